//! The nouns: what everything else talks about. No I/O here, no clock, no forge.
//!
//! | word | meaning |
//! | --- | --- |
//! | Blueprint | a kind of thing |
//! | Entity | one thing of a kind |
//! | Action | something people may ask for |
//! | Request | one asking |
//! | Plan | what a request would do (in `plan`) |
//! | Run | what became of a request |
//! | Definitions | what a platform team wrote, at one commit (in `catalog`) |
//! | Facts | everything a decision may depend on (in `plan`) |
//! | Diagnostic | one thing to tell a person |

mod id;
mod file_name;
mod memo;
mod secret;
mod time;
mod period;
mod files;
mod property;
mod query;
mod blueprint;
mod scorecard;
mod glob;
mod number;
mod policy;
mod entity;
mod form;
mod action;
mod step;
pub mod later;
mod template;
mod trailer;
mod request;
mod rule;
mod run;
mod sink;
mod pull;
mod diagnostic;

pub use action::{Action, ChangeKind, EntityChange, MergeMode, OnDelete, Operation, Ttl};
pub use blueprint::{Aggregation, Blueprint, Calculation, Measure, Mirror, Over, Ownership, Relation};
pub use diagnostic::{
    Code, Diagnostic, Fix, Place, Related, Replacement, Severity, Span, counted, nearest, only_near,
};
pub use entity::Entity;
pub use files::{Bytes, Change, Changes, FileMode, ObjectId, Pin, RepoPath, TreeEntry};
pub use form::{Behaviour, Dataset, Dynamic, Form, FormStep, Heading, Search, Validation};
pub use glob::Glob;
pub use id::{
    ActionId, BlueprintId, Branch, EntityId, Identifier, InvalidId, Login, PolicyId, RepoName, RequestId,
    SecretRef, StepId, TeamSlug, TemplateName,
};
pub(crate) use memo::Memo;
pub use number::{whole, whole_numbers};
pub use period::Period;
pub use policy::{
    Concerns, Cost, Counted, Day, Effects, Freeze, Limit, Longest, Paths, Per, Policy, Removals, Spent,
    Window,
};
pub use property::{Format, Property, PropertyType, Spec};
pub use pull::{
    Activity, ActivityKind, Attribution, CheckId, CheckRun, Comment, Conclusion, Dismissal, Edit, Issue,
    Known, Permission, Pull, PullCommit, PullState, Remark, Review, ReviewState,
};
pub use query::{Direction, Hop, Operator, PRESETS, PropertySchema, Query, preset};
pub use request::{Request, RequestFile};
pub use rule::{Approval, Asked, Askers, Execute, People, Quorum, Rule, Terms, Way};
pub use run::{BreakGlass, LABELS, Run, RunEntity, RunPull, RunStep, Stage, StepState};
pub use scorecard::{Scorecard, ScorecardRule};
pub use secret::{Secret, credentials, masked};
pub use sink::{Address, Notice, Sink, SinkKind};
pub use step::{
    Interpreter, OnFailure, PullRequestStep, ScriptStep, Step, StepKind, WebhookStep, WorkflowStep,
};
pub use template::{
    Delimiters, DocumentPlace, EditChange, EditTarget, FileRule, Template, TemplateFile, TemplateManifest,
    TextEdit,
};
pub use time::{Timestamp, moment};
pub use trailer::{RUN_TRAILER, trailers};
