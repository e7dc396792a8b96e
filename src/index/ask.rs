//! The entities of a commit for whoever asks, of which only those that are asked for are read.

use std::collections::{BTreeMap, BTreeSet};

use regex::bytes::Regex;

use super::{
    Index,
    base::{FileRecord, NONE, Row, Table, Text},
    change::id_of,
};
use crate::{
    catalog::{Pointing, Store},
    domain::{BlueprintId, Entity, EntityId, Identifier, RepoPath},
};

impl Index {
    /// What a row says, if it can be used.
    fn entity(&self, row: &Row) -> Option<Entity> {
        let is_told = row.sound && row.value_length > 0;
        if !is_told || self.change.gone.contains(&row.file) {
            return None;
        }
        let read = self.base.look_value(row, |json| serde_json::from_slice(json).ok());
        if read.is_none() {
            self.base.pages.damage();
        }
        read
    }
}

impl Index {
    /// The entities that point at one by any field, sound or not, whether it is there or not.
    pub fn sources(&self, id: &EntityId) -> BTreeSet<EntityId> {
        let mut found = BTreeSet::new();
        if let Some(blueprint) = self.base.blueprint(&id.blueprint) {
            for edge in self.base.edges(blueprint, id.identifier.as_str()) {
                let row: Row = self.base.record(edge.source);
                if !self.change.gone.contains(&row.file) {
                    found.extend(id_of(&self.base, edge.source));
                }
            }
        }
        let added = self.change.added.values().filter(|added| added.targets.contains(id));
        found.extend(added.filter_map(|added| added.id.clone()));
        found
    }
}

impl Store for Index {
    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier> {
        let mut found: BTreeSet<Identifier> = BTreeSet::new();
        if let Some(number) = self.base.blueprint(blueprint) {
            let mut rows: Vec<Row> = self.base.records(self.base.rows_of(number));
            rows.retain(|row| !self.change.gone.contains(&row.file));
            let texts: Vec<Text> = rows.iter().map(|row| row.identifier).collect();
            found.extend(self.base.texts(&texts).iter().filter_map(|text| text.parse().ok()));
        }
        let added = self.change.by_id.keys().filter(|id| id.blueprint == *blueprint);
        found.extend(added.map(|id| id.identifier.clone()));
        found.into_iter().collect()
    }

    fn one(&self, id: &EntityId) -> Option<Entity> {
        let first = self.first_sound(id)?;
        if let Some(added) = self.change.added.get(&first) {
            return added.entity.clone();
        }
        let rows = self.rows(id);
        let row = rows.iter().find(|row| self.base.path(row.file).as_ref() == Some(&first))?;
        self.entity(row)
    }

    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity> {
        let mut found: Vec<Entity> = Vec::new();
        if let Some(number) = self.base.blueprint(blueprint) {
            let rows: Vec<Row> = self.base.records(self.base.rows_of(number));
            found.extend(rows.iter().filter_map(|row| self.entity(row)));
        }
        let added: BTreeMap<&RepoPath, &Entity> = self
            .change
            .added
            .iter()
            .filter(|(_, added)| added.sound)
            .filter_map(|(path, added)| Some((path, added.entity.as_ref()?)))
            .filter(|(_, entity)| entity.blueprint == *blueprint)
            .collect();
        if added.is_empty() {
            return found;
        }
        // Of several files of one entity the first one counts, so they are in the order of their paths.
        let doubtful = |id: &EntityId| self.paths(id).len() > 1;
        let mut last = Vec::new();
        for (path, entity) in added {
            let first = self.first_sound(&entity.id());
            match doubtful(&entity.id()) && first.as_ref() != Some(path) {
                true => last.push(entity.clone()),
                false => {
                    found.retain(|other| other.identifier != entity.identifier);
                    found.push(entity.clone());
                }
            }
        }
        found.extend(last);
        found
    }

    fn suspects(&self, pattern: &Regex) -> Vec<EntityId> {
        let mut room = Vec::new();
        let values = self.base.bytes(Table::Values, 0..self.base.count(Table::Values), &mut room);
        let rows: Vec<Row> = self.base.records(0..self.base.count(Table::Rows));
        let is_suspect = |row: &Row| {
            let value =
                values.get(row.value as usize..).and_then(|rest| rest.get(..row.value_length as usize));
            // Other letters have cases, too, and some of them are ASCII in the other one.
            value.is_some_and(|json| !json.is_ascii() || pattern.is_match(json))
        };
        let rows = (0..).zip(&rows).filter(|(_, row)| row.sound && !self.change.gone.contains(&row.file));
        let found =
            rows.filter(|(_, row)| is_suspect(row)).filter_map(|(number, _)| id_of(&self.base, number));
        found.chain(self.change.by_id.keys().cloned()).collect()
    }

    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing> {
        let mut found = Vec::new();
        if let Some(blueprint) = self.base.blueprint(&id.blueprint) {
            for edge in self.base.edges(blueprint, id.identifier.as_str()) {
                let Some(field) = self.base.head.fields.get(edge.field as usize) else { continue };
                let Some(relation) = field.strip_prefix("relations.") else { continue };
                let row: Row = self.base.record(edge.source);
                if row.sound && !self.change.gone.contains(&row.file) {
                    found.extend(id_of(&self.base, edge.source).map(|from| (from, relation.to_owned())));
                }
            }
        }
        found.extend(self.change.pointing.get(id).into_iter().flatten().cloned());
        found
    }

    fn unreadable(&self) -> usize {
        let unsound = |file: &u32| {
            let file: FileRecord = self.base.record(*file);
            file.row != NONE && !self.base.record::<Row>(file.row).sound
        };
        let kept = self.candidates();
        let added = self.change.added.values().filter(|added| added.id.is_some());
        let added = added.filter(|added| !added.sound || added.entity.is_none());
        // Entities of blueprints that are not there have no problems of their own.
        let undefined = (0..).zip(&self.base.head.defined).filter(|(_, defined)| defined.is_none());
        let rows = undefined.flat_map(|(number, _)| self.base.records::<Row>(self.base.rows_of(number)));
        let unjudged: BTreeSet<u32> =
            rows.map(|row| row.file).filter(|file| !self.change.gone.contains(file)).collect();
        let unsound = kept.iter().filter(|file| unsound(file) && !unjudged.contains(file)).count();
        unsound + unjudged.len() + added.count()
    }
}
