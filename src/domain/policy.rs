//! What must hold of every request, whatever its action says?

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime, Weekday};

use super::{ActionId, BlueprintId, Glob, PolicyId, Rule};

/// What must hold of the requests that it concerns. It can only tighten what their actions say.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its identifier.
    pub identifier: PolicyId,
    /// The name that people read.
    pub title: String,
    /// Which requests it concerns.
    pub concerns: Concerns,
    /// The program that says whether it is asked of one of them; always if not said.
    pub when: Option<String>,
    /// What those can do whom it refuses.
    pub help: Option<String>,
    /// What follows.
    pub effects: Effects,
}

/// Which requests a policy concerns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Concerns {
    /// Those of these actions.
    pub actions: BTreeSet<ActionId>,
    /// Those whose actions are about these blueprints, or that change entities of them.
    pub blueprints: BTreeSet<BlueprintId>,
}

impl Concerns {
    /// Whether requests of an action are concerned that touches these blueprints.
    pub fn covers<'a>(
        &self,
        action: &ActionId,
        mut blueprints: impl Iterator<Item = &'a BlueprintId>,
    ) -> bool {
        self.actions.is_empty() && self.blueprints.is_empty()
            || self.actions.contains(action)
            || blueprints.any(|name| self.blueprints.contains(name))
    }
}

/// What follows from a policy; each by itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Effects {
    /// Nobody may ask for it, and why.
    pub deny: Option<String>,
    /// Who must approve as well.
    pub approval: Vec<Rule>,
    /// How many there may be.
    pub limit: Option<Limit>,
    /// How long new entities may live.
    pub max_ttl: Option<Longest>,
    /// When nothing is carried out.
    pub freeze: Option<Freeze>,
    /// What it may cost.
    pub cost: Option<Cost>,
    /// The only repositories that may be written to or made to run something; empty where nothing is said.
    pub repositories: Vec<Glob>,
    /// Which files may change.
    pub paths: Vec<Paths>,
    /// How much may be removed at once.
    pub removals: Option<Removals>,
}

impl Effects {
    /// Whether nothing follows.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How many there may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// At most so many.
    pub count: u32,
    /// Of what.
    pub of: Counted,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Counted {
    /// Entities, as they will be.
    Entities {
        /// Of this blueprint.
        blueprint: BlueprintId,
        /// That this query asks for, as JSON.
        query: Option<String>,
        /// Each team's for themselves.
        per_team: bool,
    },
    /// Requests that were merged.
    Requests {
        /// In so many seconds.
        within: i64,
        /// Which of them count together.
        per: Per,
        /// Whether only those count for which the policy's `when` holds, too.
        matching: bool,
    },
}

/// Which requests count together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Those of all that the policy concerns.
    All,
    /// Those of members of one team.
    Team,
    /// Those of one person.
    User,
    /// Those of one action.
    Action,
    /// Those about one blueprint.
    Blueprint,
}

/// An amount of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Longest {
    /// As it was written.
    pub text: String,
    /// In seconds.
    pub seconds: i64,
}

/// When nothing is carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// Where the clock hangs, such as `Europe/Berlin`.
    pub zone: String,
    /// When.
    pub windows: Vec<Window>,
    /// Whose approval makes an exception; empty where nobody's does.
    pub unless: Vec<Rule>,
}

/// A time in which nothing is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// Again and again.
    Daily {
        /// On these days of the week …
        days: Vec<Weekday>,
        /// … and these of the calendar.
        dates: Vec<Day>,
        /// From this minute of the day.
        from: u16,
        /// To this one, which is free again; of the next day where it is not later.
        to: u16,
    },
    /// Once.
    Once {
        /// From then on.
        from: DateTime,
        /// Until then, which is free again.
        to: DateTime,
    },
}

/// A day of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// This one.
    Once(Date),
    /// That of this month and number in every year.
    Yearly {
        /// From 1.
        month: i8,
        /// From 1.
        day: i8,
    },
}

impl Day {
    /// Whether a date is this day.
    pub fn is(self, date: Date) -> bool {
        match self {
            Self::Once(day) => day == date,
            Self::Yearly { month, day } => (month, day) == (date.month(), date.day()),
        }
    }
}

/// What requests may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// The program that says what one adds.
    pub estimate: String,
    /// At most so much in all.
    pub ceiling: f64,
    /// Whether each team has its own ceiling.
    pub per_team: bool,
    /// What is spent already: the sum of this property of entities.
    pub spent: Option<Spent>,
}

/// What is spent already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The property that is summed.
    pub property: String,
    /// Of entities of these blueprints.
    pub blueprints: BTreeSet<BlueprintId>,
}

/// Which files may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// In the repositories that fit this; in all if not said.
    pub repository: Option<Glob>,
    /// Only these; all if none is said.
    pub allow: Vec<Glob>,
    /// None of these.
    pub deny: Vec<Glob>,
}

/// How much may be removed at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Removals {
    /// Of entities of this blueprint; if not said, of all entities and files together.
    pub of: Option<BlueprintId>,
    /// At most so many.
    pub count: Option<u32>,
    /// At most so many of a hundred.
    pub share: Option<f64>,
    /// Whose approval allows more; empty where nobody's does.
    pub unless: Vec<Rule>,
}
