//! Who may ask, and who must approve? As people wrote it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde_json::Value;

use super::{BlueprintId, InvalidId, Login, TeamSlug};

/// Who may ask for an action.
#[derive(Debug, Clone, PartialEq)]
pub enum Execute {
    /// Everybody with write access to the catalog.
    Writers,
    /// Whoever one of these names, if what is asked holds, too.
    Named(Askers),
}

/// Whom an action is for. Where nobody is named, it is everybody with write access.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Askers {
    /// People.
    pub users: Vec<Login>,
    /// Teams.
    pub teams: Vec<TeamSlug>,
    /// Whoever owns what is found there.
    pub owners: Vec<Way>,
    /// A program that must hold, whoever asks.
    pub condition: Option<String>,
    /// What the condition may know of the catalog, by name.
    pub queries: BTreeMap<String, Asked>,
    /// Who may ask for somebody else; nobody if not said.
    pub on_behalf: Option<People>,
}

impl Askers {
    /// Whether it says who asks, rather than only what must hold.
    pub fn names_somebody(&self) -> bool {
        !(self.users.is_empty() && self.teams.is_empty() && self.owners.is_empty())
    }
}

/// People and teams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct People {
    /// People.
    pub users: Vec<Login>,
    /// Teams.
    pub teams: Vec<TeamSlug>,
}

/// A question about entities: which answer this query? Values in it may be `{ jqQuery: … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// Of which blueprint.
    pub blueprint: BlueprintId,
    /// The query.
    pub query: Value,
}

/// Who must approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approval {
    /// Nobody; said on purpose.
    NotNeeded,
    /// All of these rules.
    Rules(Vec<Rule>),
}

/// One condition of approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name, for people.
    pub name: String,
    /// People who may approve.
    pub users: Vec<Login>,
    /// Teams whose members may approve.
    pub teams: Vec<TeamSlug>,
    /// Whoever owns what is found there may approve.
    pub owners: Vec<Way>,
    /// A program that gives the logins of people who may approve.
    pub approvers: Option<String>,
    /// Whether it stands for a rule for each group of code owners of what changes in a target repository.
    pub code_owners: bool,
    /// Whether everybody with write access may approve (the rule of an action that names none).
    pub writers: bool,
    /// The program that says whether it is asked at all.
    pub when: Option<String>,
    /// How many must.
    pub quorum: Quorum,
    /// What counts.
    pub terms: Terms,
}

/// What counts as an approval for a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Whether nobody who counts for it counts for another rule that says the same.
    pub distinct: bool,
    /// How long an approval counts, in seconds; for ever if not said.
    pub expires_after: Option<i64>,
    /// Whether whoever asked, or put something on the branch, counts.
    pub self_approval: bool,
}

impl Rule {
    /// The rule of an action that names nobody: one person with write access.
    pub fn anybody_with_write_access() -> Self {
        Self {
            name: "write access".to_owned(),
            users: Vec::new(),
            teams: Vec::new(),
            owners: Vec::new(),
            approvers: None,
            code_owners: false,
            writers: true,
            when: None,
            quorum: Quorum::Count(1),
            terms: Terms::default(),
        }
    }

    /// Whether it says who approves.
    pub fn names_somebody(&self) -> bool {
        self.writers
            || self.code_owners
            || self.approvers.is_some()
            || !(self.users.is_empty() && self.teams.is_empty() && self.owners.is_empty())
    }
}

/// How many of those who may approve must.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// This many.
    Count(u32),
    /// Everyone named who is neither requester nor contributor.
    All,
}

/// The way to something that is owned: from the entity that is asked about, or from those that an input names, along
/// relations. `entity`, `service`, `service.system`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// Where it begins: `entity`, or the name of an input.
    pub start: String,
    /// The relations, in order.
    pub relations: Vec<String>,
}

impl Way {
    /// What a way begins with that begins at the entity.
    pub const ENTITY: &str = "entity";

    /// Whether it begins at the entity that is asked about.
    pub fn is_of_entity(&self) -> bool {
        self.start == Self::ENTITY
    }
}

impl FromStr for Way {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut names = text.split('.').map(str::to_owned);
        if text.split('.').any(|name| name.is_empty() || name.contains(char::is_whitespace)) {
            let (what, rule) =
                ("a way to an entity", "write names with dots between them, such as `service.system`");
            return Err(InvalidId { text: text.to_owned(), what, rule });
        }
        let start = names.next().unwrap_or_default();
        Ok(Self { start, relations: names.collect() })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.start)?;
        self.relations.iter().try_for_each(|relation| write!(f, ".{relation}"))
    }
}
