//! Users and teams. Port knows people by their e-mail addresses, a catalog by their logins on the forge; nobody's
//! login is ever guessed, as approvals count by it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Porter, Spot, Thing, text};
use crate::domain::{EntityId, Login, TeamSlug};

/// The blueprint and the identifier of a user or a team.
type Name = (&'static str, String);

/// Everybody that an export speaks of.
#[derive(Default)]
pub(super) struct People {
    /// Entities by blueprint and identifier, with where they stand.
    entities: BTreeMap<Name, (Map<String, Value>, Spot)>,
    /// Who is named somewhere, and where first.
    named: BTreeMap<Name, (String, Spot)>,
    /// What was told once and need not be told again.
    told: BTreeSet<String>,
}

impl Porter<'_> {
    /// The identifier here of a team of Port's.
    pub(super) fn team_named(&mut self, name: &str, spot: &Spot) -> Option<String> {
        let slug = if name.parse::<TeamSlug>().is_ok() { name.to_owned() } else { slug(name) };
        if slug.parse::<TeamSlug>().is_err() {
            self.left_out(spot, format!("`{name}` cannot be the name of a team"), "rename it in the export");
            return None;
        }
        if slug != name && self.people.told.insert(format!("team {name}")) {
            let message = format!("the team `{name}` is called `{slug}` here");
            self.changed(spot, message, "identifiers of teams have letters, digits and @ _ . -");
        }
        let entry = self.people.named.entry(("_team", slug.clone()));
        entry.or_insert_with(|| (name.to_owned(), spot.clone()));
        Some(slug)
    }

    /// The login of somebody of Port's.
    pub(super) fn user_named(&mut self, name: &str, spot: &Spot) -> Option<String> {
        let login = match name.parse::<Login>() {
            Ok(login) => Some(login),
            Err(_) => self.known.logins.get(&name.to_lowercase()).cloned(),
        };
        let Some(login) = login else {
            if self.people.told.insert(format!("user {name}")) {
                let message = format!("`{name}` has no login here, and is left out wherever they are named");
                let help = format!("give `--logins FILE` with a line `{name}: LOGIN`, and import again");
                self.not_kept(spot, message, &help);
            }
            return None;
        };
        let login = login.as_str().to_owned();
        let entry = self.people.named.entry(("_user", login.clone()));
        entry.or_insert_with(|| (name.to_owned(), spot.clone()));
        Some(login)
    }

    pub(super) fn team(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let kept = [
            "identifier",
            "name",
            "title",
            "icon",
            "description",
            "users",
            "blueprint",
            "properties",
            "relations",
        ];
        let dropped =
            [("provider", "members are listed in the team's file"), ("team", "a team is owned by nobody")];
        let said = self.keep(entries, spot, &kept, &dropped);
        let Some(name) = text(&said, "identifier").or_else(|| text(&said, "name")) else {
            return self.left_out(spot, "a team without a name", "give it one");
        };
        let Some(slug) = self.team_named(name, spot) else { return };
        let title = text(&said, "title").or_else(|| text(&said, "name")).filter(|title| *title != slug);
        let mut properties = said.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(description) = said.get("description") {
            properties.insert("description".to_owned(), description.clone());
        }
        let mut relations = said.get("relations").and_then(Value::as_object).cloned().unwrap_or_default();
        relations.shift_remove("members");
        let (properties, relations) =
            (self.own("_team", properties, spot), self.related("_team", &relations, &spot.at("relations")));
        self.add_person("_team", &slug, title, said.get("icon"), properties, relations, spot);
        let users = said.get("users").map(|users| (users, spot.at("users")));
        let members = said.get("relations").and_then(|relations| relations.get("members"));
        let members = members.map(|members| (members, spot.at("relations").at("members")));
        for (people, spot) in users.into_iter().chain(members) {
            for (index, user) in people.as_array().into_iter().flatten().enumerate() {
                let name = user.as_str().or_else(|| user["email"].as_str());
                if let Some(login) = name.and_then(|name| self.user_named(name, &spot.at(index))) {
                    self.join(&slug, &login);
                }
            }
        }
    }

    pub(super) fn user(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let kept = [
            "identifier",
            "email",
            "title",
            "icon",
            "firstName",
            "lastName",
            "name",
            "teams",
            "team",
            "blueprint",
            "properties",
            "relations",
        ];
        let dropped = [
            ("roles", "rights are those of the forge"),
            ("status", "whoever has access to the forge is active"),
            ("providers", "people sign in at the forge"),
            ("picture", "the forge has their picture"),
        ];
        let said = self.keep(entries, spot, &kept, &dropped);
        let Some(name) = text(&said, "email").or_else(|| text(&said, "identifier")) else {
            return self.left_out(spot, "a user without an e-mail address", "give one");
        };
        let Some(login) = self.user_named(name, spot) else { return };
        let names: Vec<&str> = ["firstName", "lastName"].iter().filter_map(|key| text(&said, key)).collect();
        let title = text(&said, "title").or_else(|| text(&said, "name")).map(str::to_owned);
        let title = title.or_else(|| (!names.is_empty()).then(|| names.join(" ")));
        let mut properties = said.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        if name.contains('@') {
            properties.insert("email".to_owned(), name.into());
        }
        let relations = said.get("relations").and_then(Value::as_object).cloned().unwrap_or_default();
        let (properties, relations) =
            (self.own("_user", properties, spot), self.related("_user", &relations, &spot.at("relations")));
        self.add_person("_user", &login, title.as_deref(), said.get("icon"), properties, relations, spot);
        for key in ["teams", "team"] {
            for (index, team) in said.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                let spot = spot.at(key).at(index);
                let name = team.as_str().or_else(|| text(team.as_object()?, "name"));
                if let Some(team) = name.and_then(|name| self.team_named(name, &spot)) {
                    self.join(&team, &login);
                }
            }
        }
    }

    /// Properties that the blueprint has here; Port keeps others for itself.
    fn own(&mut self, blueprint: &str, properties: Map<String, Value>, spot: &Spot) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in properties {
            let is_built_in = [("_user", "email"), ("_team", "github")].contains(&(blueprint, name.as_str()));
            let is_defined = self.shapes.get(blueprint).is_some_and(|shape| shape.properties.contains(&name));
            if is_built_in || is_defined {
                kept.insert(name, value);
            } else if !value.is_null() && self.people.told.insert(format!("{blueprint} {name}")) {
                let message = format!("`{name}` of `{blueprint}` is not kept");
                let help =
                    format!("write a blueprint `{blueprint}` that has this property, and import again");
                self.not_kept(&spot.at("properties").at(&name), message, &help);
            }
        }
        kept
    }

    #[expect(clippy::too_many_arguments, reason = "these are the parts of an entity")]
    fn add_person(
        &mut self,
        blueprint: &'static str,
        identifier: &str,
        title: Option<&str>,
        icon: Option<&Value>,
        properties: Map<String, Value>,
        relations: Map<String, Value>,
        spot: &Spot,
    ) {
        let made = self.people.entities.entry((blueprint, identifier.to_owned()));
        let (entity, _) = made.or_insert_with(|| (bare(blueprint, identifier), spot.clone()));
        for (key, value) in [("title", title.map(Value::from)), ("icon", icon.cloned())] {
            if let Some(value) = value {
                entity.insert(key.to_owned(), value);
            }
        }
        // The same person or team may stand among entities and elsewhere.
        for (key, part) in [("properties", properties), ("relations", relations)] {
            if part.is_empty() {
                continue;
            }
            if let Some(known) = entity.entry(key).or_insert_with(|| json!({})).as_object_mut() {
                known.extend(part);
            }
        }
    }

    fn join(&mut self, team: &str, login: &str) {
        let key = ("_team", team.to_owned());
        let Some((name, spot)) = self.people.named.get(&key).cloned() else { return };
        let (entity, _) = self.people.entities.entry(key).or_insert_with(|| {
            let mut entity = bare("_team", team);
            entity.extend((name != team).then(|| ("title".to_owned(), name.into())));
            (entity, spot)
        });
        let relations = entity.entry("relations").or_insert_with(|| json!({}));
        if let Some(relations) = relations.as_object_mut()
            && let Some(members) = relations.entry("members").or_insert_with(|| json!([])).as_array_mut()
            && !members.contains(&login.into())
        {
            members.push(login.into());
        }
    }

    /// Writes everybody, those who are only named among them.
    pub(super) fn write_people(&mut self) {
        let mut entities = std::mem::take(&mut self.people.entities);
        for ((blueprint, identifier), (name, spot)) in std::mem::take(&mut self.people.named) {
            let Some(id) = entity_id(blueprint, &identifier) else { continue };
            let is_there = self.known.entities.contains(&id);
            if is_there || entities.contains_key(&(blueprint, identifier.clone())) {
                continue;
            }
            let mut entity = bare(blueprint, &identifier);
            if blueprint == "_team" {
                let message =
                    format!("the team `{name}` is only named in the export, and was made without members");
                self.changed(&spot, message, "list its members in its file");
                entity.extend((name != identifier).then(|| ("title".to_owned(), name.clone().into())));
            } else if name.contains('@') {
                entity.insert("properties".to_owned(), json!({ "email": name }));
            }
            entities.insert((blueprint, identifier), (entity, spot));
        }
        for ((blueprint, identifier), (entity, spot)) in entities {
            if let Some(id) = entity_id(blueprint, &identifier) {
                self.put_entity(&id, entity.into(), &spot);
            }
        }
    }
}

fn bare(blueprint: &str, identifier: &str) -> Map<String, Value> {
    [("identifier", identifier), ("blueprint", blueprint)]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into_iter()
        .collect()
}

fn entity_id(blueprint: &str, identifier: &str) -> Option<EntityId> {
    Some(EntityId { blueprint: blueprint.parse().ok()?, identifier: identifier.parse().ok()? })
}

/// Lower-case letters, digits and dashes.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
