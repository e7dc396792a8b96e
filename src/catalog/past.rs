//! When was an entity made and changed last, and by whom? The history tells, not the files of a catalog.

use std::collections::HashMap;

use super::view::Derived;
use crate::domain::{EntityId, Timestamp};

/// The meta-properties that come from the history.
pub(super) const DATED: [&str; 4] = ["$createdAt", "$createdBy", "$updatedAt", "$updatedBy"];

/// Something that was done to an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// When.
    pub at: Timestamp,
    /// Who asked for it, or did it by hand.
    pub by: Vec<String>,
}

/// The two ends of an entity's history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// How it came, as far as that is known.
    pub created: Option<Deed>,
    /// Its newest change, if that is known.
    pub updated: Option<Deed>,
}

/// What the history tells of all entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Past {
    /// What is known of each.
    Told {
        /// By entity.
        lives: HashMap<EntityId, Life>,
        /// Whether older commits are missing here.
        is_cut: bool,
    },
    /// Nothing, and why.
    Silent(String),
}

impl Past {
    /// One of the meta-properties [`DATED`] of an entity.
    pub(super) fn value(&self, id: &EntityId, name: &str) -> Derived {
        let (lives, is_cut) = match self {
            Self::Silent(why) => return Derived::none(why.as_str()),
            Self::Told { lives, is_cut } => (lives, *is_cut),
        };
        let deed = lives.get(id).and_then(|life| match name {
            "$createdAt" | "$createdBy" => life.created.as_ref(),
            _ => life.updated.as_ref(),
        });
        match deed {
            Some(deed) if name.ends_with("At") => Derived::of(deed.at.to_string().into()),
            Some(deed) => Derived::of(deed.by.join(", ").into()),
            None if is_cut => Derived::none("it is older than the history here, which is cut off"),
            None => Derived::none("it is not committed yet"),
        }
    }
}
