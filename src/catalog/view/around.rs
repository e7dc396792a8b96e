//! What is around an entity, along its relations, and what is made of it?

use std::{
    collections::{BTreeSet, VecDeque},
    rc::Rc,
};

use super::{Derived, Found, View};
use crate::{
    catalog::measure::{average_of_periods, frequency, measured},
    domain::{Aggregation, Entity, EntityId, Hop, Measure, Over, Timestamp},
};

/// With the arrows or against them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

impl View<'_> {
    pub(super) fn aggregation(&self, entity: &Entity, aggregation: &Aggregation) -> Derived {
        let id = entity.id();
        let related: Vec<EntityId> = match &aggregation.path {
            Some((hops, false)) => self.along(&[id].into(), hops, Way::Out).into_iter().collect(),
            Some((hops, true)) => {
                let back: Vec<Hop> = hops.iter().rev().cloned().collect();
                self.along(&[id].into(), &back, Way::In).into_iter().collect()
            }
            None => {
                let up = self.closure(&[id.clone()].into(), Way::Out, None);
                let down = self.closure(&[id].into(), Way::In, None);
                up.union(&down).cloned().collect()
            }
        };
        let counted: Vec<EntityId> = related
            .into_iter()
            .filter(|id| id.blueprint == aggregation.target && self.entity(id).is_some())
            .filter(|id| aggregation.query.as_ref().is_none_or(|query| self.matches(query, id)))
            .collect();
        let number = |id: &EntityId, property: &str| self.value(id, property).value.as_f64();
        match &aggregation.measure {
            Measure::Count => Derived::of(counted.len().into()),
            Measure::Frequency(over) => match self.when(&counted, over) {
                Ok(when) => frequency(when.iter().map(|(_, number)| *number), over.period.number(self.now)),
                Err(why) => why,
            },
            Measure::Of { function, property, over: None } => {
                measured(function, counted.iter().filter_map(|id| number(id, property)).collect())
            }
            Measure::Of { property, over: Some(over), .. } => match self.when(&counted, over) {
                Ok(when) => average_of_periods(
                    when.into_iter().filter_map(|(id, period)| Some((period, number(id, property)?))),
                ),
                Err(why) => why,
            },
        }
    }

    /// The periods in which entities were; where none says when, why not.
    fn when<'e>(&self, entities: &'e [EntityId], over: &Over) -> Result<Vec<(&'e EntityId, i64)>, Derived> {
        let period = |id: &'e EntityId| {
            let at: Timestamp = self.value(id, &over.by).value.as_str()?.parse().ok()?;
            Some((id, over.period.number(at)))
        };
        let found: Vec<_> = entities.iter().filter_map(period).collect();
        if found.is_empty() && !entities.is_empty() {
            let why = entities.iter().find_map(|id| self.value(id, &over.by).problem);
            return Err(Derived::none(why.unwrap_or_else(|| format!("none of them says `{}`", over.by))));
        }
        Ok(found)
    }

    /// The entities reached by these relations, one after the other, each followed once or up to so many times.
    pub(super) fn along(&self, from: &BTreeSet<EntityId>, hops: &[Hop], way: Way) -> BTreeSet<EntityId> {
        let mut at = from.clone();
        for hop in hops {
            let mut reached = BTreeSet::new();
            let mut edge = at;
            for _ in 0..hop.most {
                edge =
                    edge.iter().flat_map(|id| self.neighbours(id, way, None, Some(&hop.relation))).collect();
                edge.retain(|id| !reached.contains(id));
                if edge.is_empty() {
                    break;
                }
                reached.extend(edge.iter().cloned());
            }
            at = reached;
        }
        at
    }

    fn neighbours(
        &self,
        id: &EntityId,
        way: Way,
        required: Option<bool>,
        relation: Option<&str>,
    ) -> Vec<EntityId> {
        let counts = |from: &EntityId, name: &str| {
            let is_required = || {
                let blueprint = self.definitions.blueprints.get(&from.blueprint);
                blueprint.and_then(|blueprint| blueprint.relations.get(name)).is_some_and(|one| one.required)
            };
            relation.is_none_or(|wanted| wanted == name)
                && required.is_none_or(|wanted| wanted == is_required())
        };
        match way {
            Way::Out => self
                .points_at(id)
                .into_iter()
                .filter(|(name, _)| counts(id, name))
                .map(|(_, to)| to)
                .collect(),
            Way::In => {
                let edges = self.pointed_at_by(id);
                edges.iter().filter(|(from, name)| counts(from, name)).map(|(from, _)| from.clone()).collect()
            }
        }
    }

    /// Everything reached from these, by any number of relations in one direction.
    pub(super) fn closure(&self, from: &BTreeSet<EntityId>, way: Way, required: Option<bool>) -> Found {
        let key = format!("{from:?}{way:?}{required:?}");
        if let Some(found) = self.closures.borrow().get(&key) {
            return Rc::clone(found);
        }
        let mut found = BTreeSet::new();
        let mut open: VecDeque<EntityId> = from.iter().cloned().collect();
        while let Some(id) = open.pop_front() {
            for next in self.neighbours(&id, way, required, None) {
                if found.insert(next.clone()) {
                    open.push_back(next);
                }
            }
        }
        let found = Rc::new(found);
        self.closures.borrow_mut().insert(key, Rc::clone(&found));
        found
    }
}
