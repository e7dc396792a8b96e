//! What do backends that are not the forge do? A server is called, a script is run, a sink is told. What is asked is complete; only secrets
//! stand in it by their names, and are put into their places here, at the last moment.

mod http;
mod notify;
mod script;
mod webhook;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::{
    domain::{
        Notice, Secret, SecretRef,
        later::{self, Piece},
    },
    plan::step::{Outcome, RunScript, Send},
    seal,
};

/// The backends, and what they need to know.
#[derive(Debug, Clone)]
pub struct Backends {
    vault: Arc<Vault>,
    /// Where programs are found.
    path: String,
}

/// The secrets that may be put into what is sent.
#[derive(Debug)]
struct Vault {
    /// Those of our environment, by name.
    named: BTreeMap<String, Secret>,
    /// What opens those that were encrypted for us.
    identities: Option<Secret>,
    /// What was opened so far, never to be shown.
    opened: Mutex<Vec<Secret>>,
}

impl Backends {
    /// With these secrets, by name, the identities of age that open others, and the PATH on which programs are found.
    pub fn new(secrets: BTreeMap<String, Secret>, identities: Option<Secret>, path: String) -> Self {
        Self { vault: Arc::new(Vault::of(secrets, identities)), path }
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
    fn of(named: BTreeMap<String, Secret>, identities: Option<Secret>) -> Self {
        Self { named, identities, opened: Mutex::default() }
    }

    /// The text of a secret.
    ///
    /// # Errors
    /// That there is none of this name, in words.
    fn open(&self, secret: &SecretRef) -> Result<Secret, String> {
        if secret.encrypted().is_some() {
            let missing =
                "a secret is encrypted, and CHANDLERY_AGE_IDENTITY names no file that could open it";
            let identities = self.identities.as_ref().ok_or(missing)?;
            let opened = seal::open(secret, identities)
                .map_err(|error| format!("a secret cannot be opened: {error}"))?;
            self.opened.lock().unwrap_or_else(PoisonError::into_inner).push(opened.clone());
            return Ok(opened);
        }
        let name = secret.environment();
        let found = name.and_then(|name| self.named.get(name));
        found.cloned().ok_or_else(|| match name {
            Some(name) => format!(
                "there is no secret `{secret}`: CHANDLERY_SECRET_{name} is not set where Chandlery runs"
            ),
            None => format!("`{secret}` is no secret that Chandlery has"),
        })
    }

    /// A value with its secrets.
    fn reveal(&self, value: &Value) -> Result<Value, String> {
        later::filled(value, &mut |piece| match piece {
            Piece::Secret(secret) => {
                self.open(secret).map(|text| Some(Value::String(text.expose().to_owned())))
            }
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
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.named.values().chain(opened.iter()).map(Secret::expose);
        for secret in known.filter(|secret| secret.len() >= 4) {
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

#[cfg(test)]
mod tests {
    use ::age::secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    /// What a request encrypted is put into its place, and is masked from then on.
    #[test]
    fn an_encrypted_secret_is_opened_where_it_is_used_and_shown_nowhere() {
        let key = ::age::x25519::Identity::generate();
        let sealed = seal::seal(&[key.to_public().to_string()], &Secret::new("hunter2-of-theirs")).unwrap();
        let identities = Secret::new(key.to_string().expose_secret());
        let vault = Vault::of(BTreeMap::new(), Some(identities));
        let body = json!({ "password": later::text_of(&[Piece::Text("pw:".into()), Piece::Secret(sealed.clone())]) });
        assert_eq!(vault.reveal(&body).unwrap(), json!({ "password": "pw:hunter2-of-theirs" }));
        assert_eq!(vault.mask("it said hunter2-of-theirs"), "it said ***");
        let without = Vault::of(BTreeMap::new(), None);
        assert!(without.reveal(&body).unwrap_err().contains("CHANDLERY_AGE_IDENTITY"));
        let theirs = Secret::new(::age::x25519::Identity::generate().to_string().expose_secret());
        let why = Vault::of(BTreeMap::new(), Some(theirs)).reveal(&body).unwrap_err();
        assert!(!why.contains("hunter2") && why.contains("others"), "{why}");
    }
}
