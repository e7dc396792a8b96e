//! What does a catalog derive, and what comes of it over all entities? Listed here and asked one by one, so that whoever
//! does it knows which one takes too long.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{
    Definitions, Files,
    derived::{META, names, sees},
    document::{blueprint::BlueprintDocument, join, read, scorecard::ScorecardDocument},
    load::{documents_below, stem},
    values::{Segment, did_you_mean, trail},
    view::View,
};
use crate::{
    domain::{Aggregation, Blueprint, BlueprintId, EntityId, Measure, Place},
    expr::Expression,
};

/// Something that is derived, over all entities of a blueprint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trial {
    /// A property that is calculated.
    Calculation(BlueprintId, String),
    /// A property that is aggregated.
    Aggregation(BlueprintId, String),
    /// A scorecard.
    Scorecard(String),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many entities it is about.
    pub entities: usize,
    /// For how many of them it failed, where no other calculation is to blame, which says so itself.
    pub failed: usize,
    /// The first of those, and why.
    pub first: Option<(String, String)>,
}

impl Trial {
    /// As a person calls it.
    pub fn name(&self) -> String {
        match self {
            Self::Calculation(blueprint, name) | Self::Aggregation(blueprint, name) => {
                format!("`{name}` of `{blueprint}`")
            }
            Self::Scorecard(name) => format!("the scorecard `{name}`"),
        }
    }

    /// Where it is defined.
    pub fn place(&self, definitions: &Definitions, files: &Files) -> Place {
        let folders = &definitions.settings.folders;
        let (folder, file) = match self {
            Self::Calculation(blueprint, _) | Self::Aggregation(blueprint, _) => {
                (&folders.blueprints, blueprint.as_str())
            }
            Self::Scorecard(name) => (&folders.scorecards, name.as_str()),
        };
        let Some((path, bytes)) = documents_below(files, folder).find(|(path, _)| stem(path) == file) else {
            return Place::file(folder.as_str());
        };
        let source = path.as_str();
        let (document, way) = match self {
            Self::Calculation(_, name) => {
                let way = join(&trail!["calculationProperties", name.as_str()], "calculation");
                (read::<BlueprintDocument>(source, bytes).map(|(_, reader)| reader.document), way)
            }
            Self::Aggregation(_, name) => {
                let way = trail!["aggregationProperties", name.as_str()].to_vec();
                (read::<BlueprintDocument>(source, bytes).map(|(_, reader)| reader.document), way)
            }
            Self::Scorecard(_) => {
                let way: Vec<Segment> = trail!["rules"].to_vec();
                (read::<ScorecardDocument>(source, bytes).map(|(_, reader)| reader.document), way)
            }
        };
        document.map_or_else(|_| Place::file(source), |document| document.place(&way))
    }

    /// What a calculation asks of its entity that none has, and what was probably meant: that is null, and nobody would learn why.
    pub fn unknown(&self, definitions: &Definitions) -> Vec<(String, Option<String>)> {
        let Self::Calculation(blueprint, name) = self else { return Vec::new() };
        let of = &definitions.blueprints[blueprint];
        let Ok(expression) = Expression::parse(&of.calculations[name].text) else { return Vec::new() };
        let fields = || META.iter().map(|name| &name[1..]).chain(["properties", "relations"]).collect();
        let one = |way: &Vec<String>| {
            let (asked, known) = match &way[..] {
                [part, name, ..] if part == "properties" => (name, names(of)),
                [part, name, ..] if part == "relations" => {
                    (name, of.relations.keys().map(String::as_str).collect())
                }
                [name, ..] => (name, fields()),
                [] => return None,
            };
            let is_known = known.contains(&asked.as_str());
            let end = way.iter().position(|step| step == asked)?;
            (!is_known).then(|| (way[..=end].join("."), did_you_mean(asked, known)))
        };
        expression.ways().iter().filter_map(one).collect()
    }

    /// Derives it for every entity. That an aggregation finds nothing is no failure.
    pub fn run(&self, definitions: &Definitions, view: &View<'_>) -> Outcome {
        let mut outcome = Outcome { entities: 0, failed: 0, first: None };
        match self {
            Self::Calculation(blueprint, name) | Self::Aggregation(blueprint, name) => {
                for entity in view.of(blueprint) {
                    outcome.entities += 1;
                    let derived = view.value(&entity.id(), name);
                    let (Self::Calculation(..), Some(why), false) = (self, derived.problem, derived.is_told)
                    else {
                        continue;
                    };
                    outcome.failed += 1;
                    outcome.first.get_or_insert_with(|| (entity.id().to_string(), why));
                }
            }
            Self::Scorecard(name) => {
                let scorecard = &definitions.scorecards[name];
                let ids: Vec<EntityId> = view.of(&scorecard.blueprint).map(|entity| entity.id()).collect();
                outcome.entities = ids.iter().filter_map(|id| view.standing(scorecard, id)).count();
            }
        }
        outcome
    }
}

/// Everything that is derived, what others need before these; only what is new or says something else than before, if that
/// is known.
pub fn trials(definitions: &Definitions, before: Option<&Definitions>) -> Vec<Trial> {
    let mut order = Order { definitions, seen: BTreeSet::new(), trials: Vec::new() };
    for blueprint in definitions.blueprints.values() {
        for name in blueprint.aggregations.keys().chain(blueprint.calculations.keys()) {
            order.visit(blueprint, name);
        }
    }
    let scorecards = definitions.scorecards.keys().cloned().map(Trial::Scorecard);
    let mut trials: Vec<Trial> = order.trials.into_iter().chain(scorecards).collect();
    if let Some(before) = before {
        trials.retain(|trial| match trial {
            Trial::Calculation(id, name) => {
                let old = before.blueprints.get(id).and_then(|blueprint| blueprint.calculations.get(name));
                old != definitions.blueprints[id].calculations.get(name)
            }
            Trial::Aggregation(id, name) => {
                let old = before.blueprints.get(id).and_then(|blueprint| blueprint.aggregations.get(name));
                old != definitions.blueprints[id].aggregations.get(name)
            }
            Trial::Scorecard(name) => before.scorecards.get(name) != definitions.scorecards.get(name),
        });
    }
    trials
}

struct Order<'a> {
    definitions: &'a Definitions,
    seen: BTreeSet<(&'a BlueprintId, String)>,
    trials: Vec<Trial>,
}

impl<'a> Order<'a> {
    fn visit(&mut self, blueprint: &'a Blueprint, name: &str) {
        if !self.seen.insert((&blueprint.identifier, name.to_owned())) {
            return;
        }
        if let Some(mirror) = blueprint.mirrors.get(name) {
            let mut end = Some(blueprint);
            for step in &mirror.path {
                let relation = end.and_then(|at| at.relations.get(step));
                end = relation.and_then(|relation| self.definitions.blueprints.get(&relation.target));
            }
            if let Some(end) = end {
                self.visit(end, &mirror.property);
            }
        }
        let id = blueprint.identifier.clone();
        if let Some(aggregation) = blueprint.aggregations.get(name) {
            self.visit_target(aggregation);
            self.trials.push(Trial::Aggregation(id, name.to_owned()));
        } else if let Some(calculation) = blueprint.calculations.get(name) {
            let expression = Expression::parse(&calculation.text);
            for needed in expression.iter().flat_map(|expression| sees(blueprint, expression)) {
                self.visit(blueprint, needed);
            }
            self.trials.push(Trial::Calculation(id, name.to_owned()));
        }
    }

    fn visit_target(&mut self, aggregation: &Aggregation) {
        let Some(target) = self.definitions.blueprints.get(&aggregation.target) else { return };
        if let Measure::Of { property, .. } = &aggregation.measure {
            self.visit(target, property);
        }
        if let Some(over) = aggregation.measure.over() {
            self.visit(target, &over.by);
        }
        for property in aggregation.query.iter().flat_map(super::view::asked_for) {
            self.visit(target, property);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        catalog::{Past, Root, load_definitions, load_settings},
        domain::{Bytes, Timestamp},
    };

    /// Each needs the two before it: were they computed anew each time, this would be some 10^12 times.
    #[test]
    fn a_value_is_computed_once_however_many_need_it() {
        let mut blueprint = "identifier: service\ncalculationProperties:\n".to_owned();
        for n in (0..60).rev() {
            let text = match n {
                0 | 1 => "1".to_owned(),
                n => format!("(.properties.n{} | tonumber) + (.properties.n{} | tonumber)", n - 1, n - 2),
            };
            blueprint.push_str(&format!("  n{n}: {{ type: number, calculation: \"{text}\" }}\n"));
        }
        let files: Files = [
            ("chandlery.yaml", "version: 1\n"),
            ("blueprints/service.yaml", &blueprint),
            ("entities/service/checkout.yaml", "identifier: checkout\nblueprint: service\n"),
        ]
        .map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.as_bytes())))
        .into();
        let root = Root(None);
        let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
        let (definitions, problems) = load_definitions(&root, settings, &files);
        assert_eq!(problems, []);
        let view =
            View::new(&definitions, &files, Timestamp::from_seconds(0), |_| Past::Silent(String::new()));
        let id = view.all().next().unwrap().id();
        assert_eq!(view.value(&id, "n59").value.as_f64(), Some(1_548_008_755_920.0));

        let trials = trials(&definitions, None);
        let names: Vec<String> = trials.iter().map(Trial::name).collect();
        assert_eq!(names, Vec::from_iter((0..60).map(|n| format!("`n{n}` of `service`"))));
        assert_eq!(super::trials(&definitions, Some(&definitions)), []);
        let outcome = trials[59].run(&definitions, &view);
        assert_eq!(outcome, Outcome { entities: 1, failed: 0, first: None });
    }
}
