//! How well does an entity do?

use super::{BlueprintId, Query};

/// Levels, and what must hold for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Scorecard {
    /// Its identifier.
    pub identifier: String,
    /// The name that people read.
    pub title: String,
    /// Whose entities it is about.
    pub blueprint: BlueprintId,
    /// Which of them; all if not said.
    pub filter: Option<Query>,
    /// From the lowest, which everything reaches, to the highest.
    pub levels: Vec<String>,
    /// What must hold.
    pub rules: Vec<ScorecardRule>,
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorecardRule {
    /// Its identifier.
    pub identifier: String,
    /// The name that people read.
    pub title: String,
    /// For which level, by its place among them.
    pub level: usize,
    /// What must hold.
    pub query: Query,
}
