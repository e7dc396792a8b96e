//! Who else hears of a request, outside the forge?

use super::{ActionId, SecretRef, Stage};

/// A place that notifications go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name, for people.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// The stages that it hears of.
    pub on: Vec<Stage>,
    /// The actions that it hears of; none means all.
    pub actions: Vec<ActionId>,
    /// The text, a template; none means ours.
    pub text: Option<String>,
}

/// What a sink is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkKind {
    /// An incoming webhook of Slack.
    Slack(Address),
    /// A webhook of a Teams workflow.
    Teams(Address),
    /// A webhook of a Discord channel.
    Discord(Address),
    /// Anything that takes JSON.
    Webhook {
        /// Where.
        address: Address,
        /// What the body is signed with.
        secret: Option<SecretRef>,
    },
    /// E-mail.
    Email {
        /// The server, such as `smtps://user:password@mail.acme.test`: always a secret.
        server: SecretRef,
        /// The sender, `Name <mail@acme.test>`.
        from: String,
        /// Who gets it.
        to: Vec<String>,
    },
}

/// An address on the web; with some services it is a secret, since who knows it may write there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// As written.
    Plain(String),
    /// In our environment.
    Secret(SecretRef),
}

/// Something to be told at one sink, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Where.
    pub sink: Sink,
    /// One line, for what has subjects.
    pub subject: String,
    /// The whole text, plain.
    pub text: String,
    /// The same as data, for programs: JSON.
    pub event: serde_json::Value,
}
