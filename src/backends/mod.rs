//! What do backends that are not the forge do? A server is called, a script is run, a sink is told. What is asked is complete; only secrets
//! stand in it by their names, and are put into their places here, at the last moment.

mod http;
mod notify;
mod script;
mod webhook;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::{
    domain::{
        Notice, Secret, SecretRef,
        later::{self, Piece},
    },
    plan::step::{Outcome, RunScript, Send},
};

/// The backends, and what they need to know.
#[derive(Debug, Clone)]
pub struct Backends {
    vault: Arc<Vault>,
    /// Where programs are found.
    path: String,
}

/// The secrets that may be put into what is sent, by name.
#[derive(Debug)]
struct Vault(BTreeMap<String, Secret>);

impl Backends {
    /// With these secrets, by name, and the PATH on which programs are found.
    pub fn new(secrets: BTreeMap<String, Secret>, path: String) -> Self {
        Self { vault: Arc::new(Vault(secrets)), path }
    }

    /// Calls a server.
    pub async fn send(&self, call: &Send) -> Outcome {
        webhook::send(&self.vault, call).await
    }

    /// Tells a sink.
    ///
    /// # Errors
    /// Why it could not be told, in words without secrets.
    pub async fn notify(&self, notice: &Notice) -> Result<(), String> {
        notify::deliver(&self.vault, notice).await
    }

    /// Runs a script, and waits for its end: it blocks.
    pub fn run(&self, script: &RunScript) -> Outcome {
        script::run(&self.vault, &self.path, script)
    }
}

impl Vault {
    /// The text of a secret.
    ///
    /// # Errors
    /// That there is none of this name, in words.
    fn open(&self, secret: &SecretRef) -> Result<&str, String> {
        let name = secret.as_str().strip_prefix("env:");
        let found = name.and_then(|name| self.0.get(name));
        found.map(Secret::expose).ok_or_else(|| match name {
            Some(name) => format!(
                "there is no secret `{secret}`: CHANDLERY_SECRET_{name} is not set where Chandlery runs"
            ),
            None => format!("`{secret}` is no secret that Chandlery has"),
        })
    }

    /// A value with its secrets.
    fn reveal(&self, value: &Value) -> Result<Value, String> {
        later::filled(value, &mut |piece| match piece {
            Piece::Secret(secret) => self.open(secret).map(|text| Some(Value::String(text.to_owned()))),
            Piece::Output(step, name) => Err(format!("the output `{name}` of `{step}` is not known")),
            Piece::Merged(_) => Err("when it was merged is not known".to_owned()),
            Piece::Text(_) => Ok(None),
        })
    }

    /// As [`Self::reveal`], as a text.
    fn reveal_text(&self, value: &Value) -> Result<String, String> {
        Ok(match self.reveal(value)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// A text without any secret of ours, in it or as base64 and the like have it.
    fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.0.values().map(Secret::expose).filter(|secret| secret.len() >= 4) {
            text = text.replace(secret, "***");
            let escaped = Value::from(secret).to_string();
            text = text.replace(escaped.trim_matches('"'), "***");
        }
        text
    }

    fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.mask(text).into(),
            Value::Array(items) => items.iter().map(|item| self.mask_value(item)).collect(),
            Value::Object(entries) => Value::Object(
                entries.iter().map(|(key, value)| (self.mask(key), self.mask_value(value))).collect(),
            ),
            other => other.clone(),
        }
    }
}
