//! What does a catalog say when it is asked? Stored values, and what is derived from them when somebody wants it.
//!
//! A derived value that cannot be computed is null with its reason; it never makes a catalog invalid.

mod around;

use std::{
    cell::{Cell, OnceCell, RefCell},
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use around::Way;
use serde_json::{Map, Value};

use super::{
    Definitions, Files,
    circle::{Key, Line},
    compare::{fits, holds, sorted},
    derived::sees,
    document::query::loose_query,
    entity::with_defaults,
    past::{DATED, Past},
    store::{InFiles, Pointing, Store, pattern, relations},
    values::{Wrong, field_name},
};
use crate::{
    domain::{
        Blueprint, BlueprintId, Calculation, Direction, Entity, EntityId, Identifier, Mirror, Ownership,
        Query, Scorecard, Timestamp,
    },
    expr::Expression,
};

/// Why what goes in a circle has no value.
const CIRCLE: &str = "it goes in a circle: it is computed from itself";

/// Over how many other values a value may be computed.
const DEEPEST: usize = 200;

/// A value, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Derived {
    /// The value; null where there is none.
    pub value: Value,
    /// Why it could not be computed.
    pub problem: Option<String>,
    /// Whether a calculation that it rests on has that problem, and tells it.
    pub is_told: bool,
}

/// How far an entity has come by a scorecard.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The level that it reaches.
    pub level: String,
    /// Each rule: its identifier, its level, and whether it holds.
    pub rules: Vec<(String, String, bool)>,
}

type Found = Rc<BTreeSet<EntityId>>;

/// Entities by their identifiers, each read when it is asked for; nothing where it cannot be used.
type Entities = BTreeMap<Identifier, OnceCell<Option<Entity>>>;

/// What is known of a blueprint's entities.
#[derive(Default)]
struct Kind {
    entities: OnceCell<Entities>,
    /// Whether all of them have been read.
    is_read: Cell<bool>,
    past: OnceCell<Past>,
}

/// A catalog at one commit or in one folder, ready to be asked.
pub struct View<'a> {
    definitions: &'a Definitions,
    store: Box<dyn Store + 'a>,
    kinds: BTreeMap<BlueprintId, Kind>,
    incoming: RefCell<HashMap<EntityId, Rc<[Pointing]>>>,
    now: Timestamp,
    /// Reads the history of a blueprint's entities, when somebody wants to know of it.
    tell_past: Box<dyn Fn(&BlueprintId) -> Past + 'a>,
    known: RefCell<HashMap<Key, Derived>>,
    line: RefCell<Line>,
    closures: RefCell<HashMap<String, Found>>,
}

/// How the reason begins why a value of another type than its definition says is none.
pub const OTHER_KIND: &str = "it should be a";

/// Reads a query that stands in no file.
///
/// # Errors
/// What is wrong with it, one line each.
pub fn parse_query(value: &Value) -> Result<Query, Vec<String>> {
    loose_query(value).map_err(|found| in_words(&found))
}

/// What is wrong with something that stands in no file.
pub fn in_words(found: &[Wrong]) -> Vec<String> {
    let tell = |wrong: &Wrong| match &wrong.help {
        Some(help) => format!("`{}` {}: {help}", field_name(&wrong.path), wrong.message),
        None => format!("`{}` {}", field_name(&wrong.path), wrong.message),
    };
    found.iter().map(tell).collect()
}

/// The properties that a query asks for by their names.
pub fn asked_for(query: &Query) -> Vec<&str> {
    match query {
        Query::All(queries) | Query::Any(queries) => queries.iter().flat_map(asked_for).collect(),
        Query::Compare { property, .. } => vec![property],
        Query::RelatedTo { .. } | Query::Along { .. } | Query::AnyOfType { .. } => Vec::new(),
    }
}

impl Derived {
    pub(super) fn of(value: Value) -> Self {
        Self { value, problem: None, is_told: false }
    }

    pub(super) fn none(problem: impl Into<String>) -> Self {
        Self { value: Value::Null, problem: Some(problem.into()), is_told: false }
    }
}

impl<'a> View<'a> {
    /// A catalog in files. `now` is what words such as `lastWeek` are seen from; `tell_past` is asked at most once of
    /// each blueprint, when something needs to know when one of its entities came or was changed.
    pub fn new(
        definitions: &'a Definitions,
        files: &'a Files,
        now: Timestamp,
        tell_past: impl Fn(&BlueprintId) -> Past + 'a,
    ) -> Self {
        Self::made(definitions, Box::new(InFiles::new(definitions, files)), now, tell_past)
    }

    /// A catalog, wherever its entities are.
    pub fn over(
        definitions: &'a Definitions,
        store: &'a dyn Store,
        now: Timestamp,
        tell_past: impl Fn(&BlueprintId) -> Past + 'a,
    ) -> Self {
        Self::made(definitions, Box::new(store), now, tell_past)
    }

    fn made(
        definitions: &'a Definitions,
        store: Box<dyn Store + 'a>,
        now: Timestamp,
        tell_past: impl Fn(&BlueprintId) -> Past + 'a,
    ) -> Self {
        let kinds = definitions.blueprints.keys().map(|blueprint| (blueprint.clone(), Kind::default()));
        Self {
            definitions,
            kinds: kinds.collect(),
            store,
            incoming: RefCell::default(),
            now,
            tell_past: Box::new(tell_past),
            known: RefCell::default(),
            line: RefCell::default(),
            closures: RefCell::default(),
        }
    }

    /// How many files hold an entity that cannot be used.
    pub fn unreadable(&self) -> usize {
        self.store.unreadable()
    }

    /// The entities of a blueprint that is defined.
    fn entities(&self, blueprint: &BlueprintId) -> Option<&Entities> {
        let unread = || {
            let identifiers = self.store.identifiers(blueprint);
            identifiers.into_iter().map(|identifier| (identifier, OnceCell::new())).collect()
        };
        Some(self.kinds.get(blueprint)?.entities.get_or_init(unread))
    }

    /// An entity, with defaults where it says nothing.
    pub fn entity(&self, id: &EntityId) -> Option<&Entity> {
        let place = self.entities(&id.blueprint)?.get(&id.identifier)?;
        let blueprint = &self.definitions.blueprints[&id.blueprint];
        place.get_or_init(|| Some(with_defaults(blueprint, self.store.one(id)?))).as_ref()
    }

    /// Those of these entities that are there, though they cannot be used.
    pub fn unusable<'i>(&self, ids: impl IntoIterator<Item = &'i EntityId>) -> BTreeSet<EntityId> {
        let mut undefined: BTreeMap<&BlueprintId, BTreeSet<Identifier>> = BTreeMap::new();
        let mut is_there = |id: &'i EntityId| match self.entities(&id.blueprint) {
            Some(entities) => entities.contains_key(&id.identifier),
            None => {
                let read = || self.store.identifiers(&id.blueprint).into_iter().collect();
                undefined.entry(&id.blueprint).or_insert_with(read).contains(&id.identifier)
            }
        };
        ids.into_iter().filter(|id| self.entity(id).is_none() && is_there(id)).cloned().collect()
    }

    /// The entities of a blueprint, in order.
    pub fn of(&self, blueprint: &BlueprintId) -> impl Iterator<Item = &Entity> {
        let entities = self.entities(blueprint);
        if let Some(entities) = entities
            && !self.kinds[blueprint].is_read.replace(true)
        {
            let defined = &self.definitions.blueprints[blueprint];
            for entity in self.store.of(blueprint) {
                if let Some(place) = entities.get(&entity.identifier) {
                    place.get_or_init(|| Some(with_defaults(defined, entity)));
                }
            }
        }
        entities.into_iter().flat_map(BTreeMap::values).filter_map(|place| place.get()?.as_ref())
    }

    /// All entities, in order.
    pub fn all(&self) -> impl Iterator<Item = &Entity> {
        self.kinds.keys().flat_map(|blueprint| self.of(blueprint))
    }

    /// The entities in which a text may stand, in whatever case, in order; it need not stand in all of them.
    pub fn suspects(&self, text: &str) -> BTreeSet<EntityId> {
        let pattern = pattern(text);
        let mut found: BTreeSet<EntityId> = self.store.suspects(&pattern).into_iter().collect();
        for (name, blueprint) in &self.definitions.blueprints {
            let defaults = blueprint.properties.iter().filter_map(|(_, property)| property.default.as_ref());
            let is_suspect = |value: String| !value.is_ascii() || pattern.is_match(value.as_bytes());
            if defaults.map(Value::to_string).any(is_suspect) {
                found.extend(self.of(name).map(Entity::id));
            }
        }
        found
    }

    /// What an entity points at: relation and entity.
    pub fn points_at(&self, id: &EntityId) -> Vec<(&'a str, EntityId)> {
        self.entity(id).map(|entity| relations(self.definitions, entity)).unwrap_or_default()
    }

    /// What points at an entity: which one, and by which relation.
    pub fn pointed_at_by(&self, id: &EntityId) -> Rc<[Pointing]> {
        let mut incoming = self.incoming.borrow_mut();
        let read = || {
            let mut found = self.store.pointing_at(id);
            found.sort();
            found.into()
        };
        Rc::clone(incoming.entry(id.clone()).or_insert_with(read))
    }

    /// The names of everything that entities of a blueprint have, stored first.
    pub fn columns(&self, blueprint: &Blueprint) -> Vec<String> {
        let stored = blueprint.properties.iter().map(|(name, _)| name);
        let derived = blueprint
            .mirrors
            .keys()
            .chain(blueprint.calculations.keys())
            .chain(blueprint.aggregations.keys());
        stored.chain(derived).cloned().collect()
    }

    /// A property of an entity, or one of its meta-properties.
    pub fn value(&self, id: &EntityId, name: &str) -> Derived {
        let Some(entity) = self.entity(id) else {
            return Derived::none(format!("`{id}` is not in the catalog"));
        };
        if let Some(value) = entity.properties.get(name) {
            return Derived::of(value.clone());
        }
        let key = (id.clone(), name.to_owned());
        if self.line.borrow_mut().goes_round(&key) {
            return Derived::none(CIRCLE);
        }
        if let Some(known) = self.known.borrow().get(&key) {
            return known.clone();
        }
        if self.line.borrow().len() >= DEEPEST {
            return Derived::none(format!("it goes over more than {DEEPEST} other values"));
        }
        self.line.borrow_mut().begin(key);
        let blueprint = &self.definitions.blueprints[&id.blueprint];
        let derived = self.derive(entity, blueprint, name);
        let Some((key, is_circle)) = self.line.borrow_mut().end() else { return derived };
        let derived = if is_circle { Derived::none(CIRCLE) } else { derived };
        self.known.borrow_mut().insert(key, derived.clone());
        derived
    }

    fn derive(&self, entity: &Entity, blueprint: &Blueprint, name: &str) -> Derived {
        if let Some(mirror) = blueprint.mirrors.get(name) {
            return self.mirror(entity, mirror);
        }
        if let Some(calculation) = blueprint.calculations.get(name) {
            return self.calculation(entity, blueprint, name, calculation);
        }
        if let Some(aggregation) = blueprint.aggregations.get(name) {
            return self.aggregation(entity, aggregation);
        }
        match name {
            "$identifier" => Derived::of(entity.identifier.as_str().into()),
            "$blueprint" => Derived::of(entity.blueprint.as_str().into()),
            "$title" => Derived::of(entity.title.as_deref().unwrap_or(entity.identifier.as_str()).into()),
            "$icon" => Derived::of(entity.icon.clone().into()),
            "$team" => Derived::of(self.team(entity, blueprint).into()),
            name if DATED.contains(&name) => self.past(&entity.blueprint).value(&entity.id(), name),
            name if blueprint.property(name).is_some() => Derived::of(Value::Null),
            name => Derived::none(format!("`{}` has no property `{name}`", blueprint.identifier)),
        }
    }

    fn past(&self, blueprint: &BlueprintId) -> &Past {
        self.kinds[blueprint].past.get_or_init(|| (self.tell_past)(blueprint))
    }

    /// The teams that own an entity: its own, or those at the end of its blueprint's path.
    fn team(&self, entity: &Entity, blueprint: &Blueprint) -> Vec<String> {
        let Some(Ownership::Inherited { path }) = &blueprint.ownership else { return entity.team.clone() };
        let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
        let owners = self.follow(&entity.id(), &steps);
        let teams = owners.iter().filter_map(|id| self.entity(id)).flat_map(|owner| &owner.team);
        let mut seen = BTreeSet::new();
        teams.filter(|team| seen.insert(*team)).cloned().collect()
    }

    /// The entities at the end of some relations, in the order written.
    fn follow(&self, from: &EntityId, steps: &[String]) -> Vec<EntityId> {
        let mut at = vec![from.clone()];
        for step in steps {
            let next = at.iter().flat_map(|id| self.points_at(id));
            at = next.filter(|(relation, _)| relation == step).map(|(_, to)| to).collect();
        }
        at
    }

    fn mirror(&self, entity: &Entity, mirror: &Mirror) -> Derived {
        let ends = self.follow(&entity.id(), &mirror.path);
        let mut blueprint = &self.definitions.blueprints[&entity.blueprint];
        let mut many = false;
        for step in &mirror.path {
            let Some(relation) = blueprint.relations.get(step) else { break };
            many |= relation.many;
            match self.definitions.blueprints.get(&relation.target) {
                Some(next) => blueprint = next,
                None => break,
            }
        }
        let values: Vec<Derived> = ends.iter().map(|end| self.value(end, &mirror.property)).collect();
        let failed = ends.iter().zip(&values).find(|(_, derived)| derived.problem.is_some());
        let is_told =
            failed.is_some_and(|(end, derived)| self.is_told(&end.blueprint, &mirror.property, derived));
        let problem = failed.and_then(|(_, derived)| derived.problem.clone());
        let mut values = values.into_iter().map(|derived| derived.value);
        let value = if many { Value::Array(values.collect()) } else { values.next().unwrap_or(Value::Null) };
        Derived { value, problem, is_told }
    }

    fn calculation(
        &self,
        entity: &Entity,
        blueprint: &Blueprint,
        name: &str,
        calculation: &Calculation,
    ) -> Derived {
        let expression = match Expression::parse(&calculation.text) {
            Ok(expression) => expression,
            Err(refusal) => return Derived::none(format!("the expression {}", refusal.message)),
        };
        let input = self.input(entity, blueprint, &expression, Some(name));
        // Where the history says nothing, or another value is missing, that is the reason, whatever jq makes of it.
        let silence = || dated(&expression).find_map(|name| self.value(&entity.id(), name).problem);
        match expression.first(&input) {
            Ok(Value::Null) => Derived { value: Value::Null, problem: silence(), is_told: false },
            Ok(value) if fits(calculation.kind, &value) => Derived::of(value),
            Ok(value) => Derived::none(format!("{OTHER_KIND} {}, and is {value}", calculation.kind.name())),
            Err(why) => match silence() {
                Some(why) => Derived::none(why),
                None => self
                    .missing(entity, blueprint, name, &expression)
                    .unwrap_or_else(|| Derived::none(format!("jq says: {why}"))),
            },
        }
    }

    /// That another value which an expression needs could not be computed, if there is one.
    fn missing(
        &self,
        entity: &Entity,
        blueprint: &Blueprint,
        own: &str,
        expression: &Expression,
    ) -> Option<Derived> {
        let needed = sees(blueprint, expression).into_iter();
        needed.filter(|name| *name != own && expression.mentions(name)).find_map(|name| {
            let needed = self.value(&entity.id(), name);
            let is_told = self.is_told(&blueprint.identifier, name, &needed);
            let problem = format!("`{name}`, which it needs, has no value: {}", needed.problem?);
            Some(Derived { is_told, ..Derived::none(problem) })
        })
    }

    /// Whether a calculation tells the problem of this value: it is one, or rests on one.
    fn is_told(&self, blueprint: &BlueprintId, name: &str, derived: &Derived) -> bool {
        derived.is_told || self.definitions.blueprints[blueprint].calculations.contains_key(name)
    }

    /// An entity as an expression sees it: as it is stored, with what is derived, and with what the history tells where
    /// the expression names that.
    pub fn as_input(&self, entity: &Entity, blueprint: &Blueprint, expression: &Expression) -> Value {
        self.input(entity, blueprint, expression, None)
    }

    /// The same for the calculation `own`, which does not see itself. What it does not see is not computed either: that might
    /// need this very calculation.
    fn input(
        &self,
        entity: &Entity,
        blueprint: &Blueprint,
        expression: &Expression,
        own: Option<&str>,
    ) -> Value {
        let mut properties = entity.properties.clone();
        for name in sees(blueprint, expression).into_iter().filter(|name| Some(*name) != own) {
            properties.insert(name.to_owned(), self.value(&entity.id(), name).value);
        }
        let relations: Map<String, Value> =
            entity.relations.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut input = serde_json::json!({
            "identifier": entity.identifier.as_str(),
            "blueprint": entity.blueprint.as_str(),
            "title": self.value(&entity.id(), "$title").value,
            "icon": entity.icon,
            "team": self.value(&entity.id(), "$team").value,
            "properties": properties,
            "relations": relations,
        });
        for name in dated(expression) {
            input[&name[1..]] = self.value(&entity.id(), name).value;
        }
        input
    }

    /// Whether an entity is one of those that a query asks for.
    pub fn matches(&self, query: &Query, id: &EntityId) -> bool {
        match query {
            Query::All(queries) => queries.iter().all(|query| self.matches(query, id)),
            Query::Any(queries) => queries.iter().any(|query| self.matches(query, id)),
            Query::Compare { property, operator, value } => {
                holds(&self.value(id, property).value, *operator, value, self.now)
            }
            Query::RelatedTo { blueprint, identifiers, direction, required } => {
                let named = named(blueprint, identifiers);
                let reaches = |way| self.closure(&named, way, *required).contains(id);
                match direction {
                    Some(Direction::Upstream) => reaches(Way::Out),
                    Some(Direction::Downstream) => reaches(Way::In),
                    None => reaches(Way::Out) || reaches(Way::In),
                }
            }
            Query::Along { path, from: None, identifiers } => {
                let ends = self.along(&[id.clone()].into(), path, Way::Out);
                ends.iter().any(|end| identifiers.iter().any(|one| one == end.identifier.as_str()))
            }
            Query::Along { path, from: Some(blueprint), identifiers } => {
                self.along(&named(blueprint, identifiers), path, Way::Out).contains(id)
            }
            Query::AnyOfType { schema, operator, value } => {
                let blueprint = &self.definitions.blueprints[&id.blueprint];
                blueprint.properties.iter().any(|(name, property)| {
                    schema.fits(property) && holds(&self.value(id, name).value, *operator, value, self.now)
                })
            }
        }
    }

    /// How far an entity has come; none if the scorecard is not about it.
    pub fn standing(&self, scorecard: &Scorecard, id: &EntityId) -> Option<Standing> {
        if id.blueprint != scorecard.blueprint || self.entity(id).is_none() {
            return None;
        }
        if scorecard.filter.as_ref().is_some_and(|filter| !self.matches(filter, id)) {
            return None;
        }
        let mut reached = scorecard.levels.len().saturating_sub(1);
        let mut rules = Vec::new();
        for rule in &scorecard.rules {
            let holds = self.matches(&rule.query, id);
            if !holds {
                reached = reached.min(rule.level.saturating_sub(1));
            }
            rules.push((rule.identifier.clone(), scorecard.levels[rule.level].clone(), holds));
        }
        Some(Standing { level: scorecard.levels.get(reached).cloned().unwrap_or_default(), rules })
    }

    /// Sorts entities by a property; those without it come last.
    pub fn sort(&self, ids: &mut [EntityId], property: &str, descending: bool) {
        ids.sort_by(|one, other| {
            let (one_value, other_value) =
                (self.value(one, property).value, self.value(other, property).value);
            let by_value = match (one_value.is_null(), other_value.is_null()) {
                (true, true) => std::cmp::Ordering::Equal,
                (true, false) => return std::cmp::Ordering::Greater,
                (false, true) => return std::cmp::Ordering::Less,
                (false, false) => sorted(&one_value, &other_value),
            };
            let by_value = if descending { by_value.reverse() } else { by_value };
            by_value.then_with(|| one.cmp(other))
        });
    }
}

/// The meta-properties from the history that an expression names, there without their `$`.
fn dated(expression: &Expression) -> impl Iterator<Item = &'static str> + use<'_> {
    DATED.into_iter().filter(|name| expression.mentions(&name[1..]))
}

fn named(blueprint: &BlueprintId, identifiers: &[String]) -> BTreeSet<EntityId> {
    let names = identifiers.iter().filter_map(|name| name.parse::<Identifier>().ok());
    names.map(|identifier| EntityId { blueprint: blueprint.clone(), identifier }).collect()
}
