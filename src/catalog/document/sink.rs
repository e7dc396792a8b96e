//! What may `notifications` in `chandlery.yaml` say?

use std::collections::BTreeSet;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Reader, join};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{ActionId, Address, SecretRef, Sink, SinkKind, Stage},
};

/// A place that is told where requests stand; exactly one of `slack`, `teams`, `discord`, `webhook` and `email`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SinkDocument {
    /// Its name, for people.
    name: String,
    /// The address of an incoming webhook of Slack: `env:NAME`, since who knows it may write there.
    slack: Option<String>,
    /// The address of a Teams workflow that takes a card: `env:NAME`.
    teams: Option<String>,
    /// The address of a webhook of a Discord channel: `env:NAME`.
    discord: Option<String>,
    /// Anything that takes JSON.
    webhook: Option<WebhookDocument>,
    /// E-mail.
    email: Option<EmailDocument>,
    /// The stages that it hears of; if not said, those that somebody waits for.
    #[serde(default)]
    #[schemars(schema_with = "stages")]
    on: Option<Vec<Value>>,
    /// The actions that it hears of; all if not said.
    actions: Option<Vec<String>>,
    /// What is said, a template over `request`, `action`, `requesters`, `pull` and `catalog`.
    text: Option<String>,
}

/// Something that takes JSON.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookDocument {
    /// Where: an address of https, or `env:NAME`.
    url: String,
    /// What the body is signed with: `env:NAME`.
    secret: Option<String>,
}

/// E-mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EmailDocument {
    /// The server: `env:NAME`, which holds `smtps://user:password@host`.
    server: String,
    /// The sender, `Name <mail@example.com>`.
    from: String,
    /// Who gets it.
    to: Vec<String>,
}

fn stages(_: &mut SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = Stage::ALL.into_iter().map(Stage::name).collect();
    let list = json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true, "minItems": 1 });
    json!({ "anyOf": [list, { "type": "null" }] }).try_into().unwrap_or_default()
}

pub(super) fn read(documents: Vec<SinkDocument>, reader: &mut Reader) -> Vec<Sink> {
    let mut names = BTreeSet::new();
    let mut sinks = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let path = trail!["notifications", index].to_vec();
        if !names.insert(document.name.clone()) {
            let wrong = Wrong::new("duplicate-identifier", &join(&path, "name"), "names a second one so");
            reader.wrong(wrong.help("give each a name of its own"));
        }
        sinks.extend(document.into_domain(&path, reader));
    }
    sinks
}

impl SinkDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<Sink> {
        let Self { name, slack, teams, discord, webhook, email, on, actions, text } = self;
        let mut kinds: Vec<Option<SinkKind>> = Vec::new();
        for (key, said, kind) in [
            ("slack", slack, SinkKind::Slack as fn(Address) -> SinkKind),
            ("teams", teams, SinkKind::Teams),
            ("discord", discord, SinkKind::Discord),
        ] {
            if let Some(said) = said {
                kinds.push(address(said, &join(path, key), reader).map(kind));
            }
        }
        if let Some(WebhookDocument { url, secret }) = webhook {
            let path = join(path, "webhook");
            let secret = secret.map(|secret| variable(&secret, &join(&path, "secret"), reader));
            let address = address(url, &join(&path, "url"), reader);
            kinds.push(match (address, secret) {
                (Some(address), None) => Some(SinkKind::Webhook { address, secret: None }),
                (Some(address), Some(Some(secret))) => {
                    Some(SinkKind::Webhook { address, secret: Some(secret) })
                }
                _ => None,
            });
        }
        if let Some(EmailDocument { server, from, to }) = email {
            let server = variable(&server, &join(&join(path, "email"), "server"), reader);
            kinds.push(server.map(|server| SinkKind::Email { server, from, to }));
        }
        if kinds.len() != 1 {
            let message = "must have exactly one of `slack`, `teams`, `discord`, `webhook` and `email`";
            let wrong = Wrong::new("one-sink", path, message);
            reader.wrong(wrong.help("write one item of the list for each place"));
            return None;
        }
        let actions: Vec<ActionId> = reader.names(&join(path, "actions"), &actions.unwrap_or_default());
        let on = match on {
            None => usual(),
            Some(names) => Stage::ALL
                .into_iter()
                .filter(|stage| names.iter().any(|name| name.as_str() == Some(stage.name())))
                .collect(),
        };
        Some(Sink { name, kind: kinds.pop()??, on, actions, text })
    }
}

/// The stages that somebody waits for.
fn usual() -> Vec<Stage> {
    let quiet = |stage: &Stage| matches!(stage, Stage::Invalid | Stage::InProgress | Stage::Noop);
    Stage::ALL.into_iter().filter(|stage| !quiet(stage)).collect()
}

fn address(said: String, path: &[Segment], reader: &mut Reader) -> Option<Address> {
    if said.starts_with("https://") {
        return Some(Address::Plain(said));
    }
    if said.starts_with("http://") {
        let wrong = Wrong::new("secret-expected", path, "must begin with `https://`, or be `env:NAME`");
        reader.wrong(wrong.help(
            "name its address of https; one that is a secret, or without encryption, goes into the variable `CHANDLERY_SECRET_NAME` where Chandlery runs, and `env:NAME` here",
        ));
        return None;
    }
    variable(&said, path, reader).map(Address::Secret)
}

/// A secret of the environment: no other kind can be used where nobody started anything.
fn variable(said: &str, path: &[Segment], reader: &mut Reader) -> Option<SecretRef> {
    let reference: Option<SecretRef> = said.parse().ok();
    let found = reference.filter(|reference| reference.as_str().starts_with("env:"));
    if found.is_none() {
        let wrong = Wrong::new("secret-expected", path, "must be `env:NAME`");
        reader.wrong(wrong.help(
            "put the value into the variable `CHANDLERY_SECRET_NAME` where Chandlery runs, and write `env:NAME` here; if it was a real secret, make a new one",
        ));
    }
    found
}
