//! Is a secret where it should be: named, and never written?
//!
//! What is no reference is not repeated in any message, since it may be the secret itself.

use std::{collections::BTreeSet, sync::LazyLock};

use base64::{Engine, engine::general_purpose::STANDARD};
use minijinja::{Environment, UndefinedBehavior, syntax::SyntaxConfig};
use regex::Regex;
use serde_json::Value;

use super::{
    Secrets,
    document::is_template,
    values::{Segment, Wrong, did_you_mean},
};
use crate::domain::{
    Action, Delimiters, Diagnostic, EditChange, EditTarget, Format, RequestFile, SecretRef, Template,
    credentials,
};

/// The codes of diagnostics whose place holds what nobody may read.
pub const HIDDEN: [&str; 2] = ["secret-in-plain", "looks-like-a-secret"];
/// What encrypted text begins with.
const AGE: &[u8] = b"age-encryption.org/v1\n";
const ROTATE: &str =
    "if it is a secret, replace it now where it is used: whoever can read this can use it, and Git keeps it";

/// The inputs of an action that name secrets.
pub fn inputs(action: &Action) -> BTreeSet<&str> {
    let is_secret = |property: &crate::domain::Property| property.format == Some(Format::Secret);
    action.inputs.iter().filter(|(_, property)| is_secret(property)).map(|(name, _)| name.as_str()).collect()
}

/// The reference that a value is.
pub(super) fn read(value: &Value) -> Result<SecretRef, Wrong> {
    let found = value.as_str().and_then(|text| text.parse::<SecretRef>().ok());
    let is_encrypted = |text: &str| STANDARD.decode(text).is_ok_and(|bytes| bytes.starts_with(AGE));
    found.filter(|found| found.encrypted().is_none_or(is_encrypted)).ok_or_else(|| {
        Wrong::new("secret-in-plain", &[], "must say where the secret is, and never be the secret itself")
            .label("not shown")
            .help(format!(
                "{ROTATE}; then write `env:NAME`, `github-secret:NAME`, or what `chandlery encrypt` prints"
            ))
    })
}

/// The reference that a value is, if somebody can follow it.
pub fn check(value: &Value, known: &Secrets) -> Result<SecretRef, Wrong> {
    let found = read(value)?;
    let unknown = |message: String| Wrong::new("unknown-secret", &[], message);
    if let Some(name) = found.environment().filter(|name| !known.names.contains(*name)) {
        let wrong = unknown(format!("is `{found}`, and `{name}` is not among the `secrets` of the settings"));
        let help = did_you_mean(name, known.names.iter().map(String::as_str));
        return Err(wrong.help(help.unwrap_or_else(|| {
            "ask the platform team to add it, or encrypt it with `chandlery encrypt`".to_owned()
        })));
    }
    if found.encrypted().is_some() && known.recipients.is_empty() {
        let wrong = unknown("is encrypted, and the settings name nobody who could read it".to_owned());
        return Err(wrong
            .help("ask the platform team for `ageRecipients`, or use `env:NAME` or `github-secret:NAME`"));
    }
    Ok(found)
}

/// The regular expression of references that somebody can follow.
pub fn pattern(known: &Secrets) -> String {
    let names: Vec<&str> = known.names.iter().map(String::as_str).collect();
    let mut ways = vec!["github-secret:[A-Z][A-Z0-9_]{0,99}".to_owned()];
    if !names.is_empty() {
        ways.push(format!("env:({})", names.join("|")));
    }
    if !known.recipients.is_empty() {
        ways.push("age:[A-Za-z0-9+/=]{20,}".to_owned());
    }
    format!("^({})$", ways.join("|"))
}

/// What a request says that it must not, each with its place: secrets in plain text, and credentials anywhere.
/// Without its action only credentials can be told.
pub fn leaks(action: Option<&Action>, known: &Secrets, request: &RequestFile) -> Vec<Wrong> {
    let secret = action.map(inputs).unwrap_or_default();
    let mut found = Vec::new();
    for (name, value) in &request.inputs {
        let path = [Segment::from("inputs"), Segment::from(name.as_str())];
        if !value.is_null() && secret.contains(name.as_str()) {
            found.extend(check(value, known).err().map(|wrong| wrong.below(&path)));
        } else {
            found.extend(held(value).map(|what| looks_like(&path, what)));
        }
        found.extend(held(&name.as_str().into()).map(|what| looks_like(&path, what).about_key()));
    }
    let texts = [
        ("entity", request.entity.as_ref().map(|entity| entity.as_str())),
        ("reason", request.reason.as_deref()),
    ];
    for (key, text) in texts {
        let what = text.and_then(|text| credentials(text).first().map(|(_, what)| *what));
        found.extend(what.map(|what| looks_like(&[Segment::from(key)], what)));
    }
    found
}

fn looks_like(path: &[Segment], what: &str) -> Wrong {
    Wrong::new("looks-like-a-secret", path, format!("holds what looks like {what}"))
        .label("not shown")
        .help(format!("{ROTATE}; then give it in an input of the format `secret`, by name or encrypted"))
}

/// What kind of credential a value holds, at whatever depth.
fn held(value: &Value) -> Option<&'static str> {
    let of = |text: &str| credentials(text).first().map(|(_, what)| *what);
    match value {
        Value::String(text) => of(text),
        Value::Array(items) => items.iter().find_map(held),
        Value::Object(entries) => entries.iter().find_map(|(key, value)| of(key).or_else(|| held(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Which of these secrets a template writes into files, each with the file.
pub(super) fn written<'a>(template: &Template, secret: &BTreeSet<&'a str>) -> Vec<(&'a str, String)> {
    let mut found = Vec::new();
    if secret.is_empty() {
        return found;
    }
    let mut look = |text: &str, delimiters: Option<&Delimiters>, place: &str| {
        let named = spoken_of(text, delimiters);
        found.extend(
            secret.iter().filter(|name| named.contains(**name)).map(|name| (*name, place.to_owned())),
        );
    };
    let Template { manifest, files, partials, .. } = template;
    for (path, file) in files {
        let place = format!("files/{path}");
        look(path, None, &place);
        let rules = || manifest.rules.iter().rev().filter(|rule| rule.matches(path));
        let own = rules().find_map(|rule| rule.delimiters.as_ref()).or(manifest.delimiters.as_ref());
        if let Ok(text) = std::str::from_utf8(&file.bytes) {
            look(text, own, &place);
        }
    }
    for (name, bytes) in partials {
        if let Ok(text) = std::str::from_utf8(bytes) {
            look(text, manifest.delimiters.as_ref(), &format!("partials/{name}"));
        }
    }
    let mut tell = |text: &str| look(text, None, "template.yaml");
    let expressions = manifest.rules.iter().flat_map(|rule| [&rule.when, &rule.for_each]);
    let of_edits = manifest.edits.iter().flat_map(|edit| [&edit.when, &edit.for_each]);
    for expression in expressions.chain(of_edits).flatten() {
        tell(&format!("{{{{ {expression} }}}}"));
    }
    for edit in &manifest.edits {
        tell(&edit.path);
        let (place, value) = match &edit.change {
            EditChange::Set { target: EditTarget::At(place), value }
            | EditChange::Remove { list: place, value }
            | EditChange::Append { list: place, value }
            | EditChange::Insert { position: place, value } => (Some(&place.at), Some(value)),
            EditChange::Set { target: EditTarget::Match(_), value } => (None, Some(value)),
            EditChange::Delete(place) => (Some(&place.at), None),
            EditChange::Absent => (None, None),
            EditChange::Line { text, .. } => (Some(text), None),
            EditChange::Block { header, value } => (Some(header), Some(value)),
        };
        place.into_iter().for_each(|text| tell(text));
        value.into_iter().flat_map(texts).for_each(&mut tell);
    }
    found.dedup();
    found
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(entries) => entries.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// The inputs that a template's text speaks of; what it takes as a whole holds no secrets when it is rendered.
fn spoken_of(text: &str, delimiters: Option<&Delimiters>) -> BTreeSet<String> {
    static USUAL: LazyLock<Environment<'static>> = LazyLock::new(|| environment(None));
    if delimiters.is_none() && !is_template(text) {
        return BTreeSet::new();
    }
    let own = delimiters.map(|delimiters| environment(Some(delimiters)));
    let environment = own.as_ref().unwrap_or(&USUAL);
    // What is no template is told by whoever renders it.
    environment.template_from_str(text).map(|template| named_in(&template, text)).unwrap_or_default()
}

/// The inputs that a template names, `inputs.NAME` or `inputs["NAME"]`.
pub(super) fn named_in(template: &minijinja::Template<'_, '_>, text: &str) -> BTreeSet<String> {
    static QUOTED: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\binputs\s*\[\s*["']([^"']+)["']\s*\]"#).expect("it is a pattern"));
    let mut found = BTreeSet::new();
    for name in template.undeclared_variables(true) {
        match name.strip_prefix("inputs.") {
            Some(path) => drop(found.insert(path.split('.').next().unwrap_or_default().to_owned())),
            None if name == "inputs" => {
                found.extend(QUOTED.captures_iter(text).map(|named| named[1].to_owned()));
            }
            None => {}
        }
    }
    found
}

fn environment(delimiters: Option<&Delimiters>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    if let Some(Delimiters { variable, block, comment }) = delimiters {
        let mut builder = SyntaxConfig::builder();
        builder
            .variable_delimiters(variable.0.clone(), variable.1.clone())
            .block_delimiters(block.0.clone(), block.1.clone())
            .comment_delimiters(comment.0.clone(), comment.1.clone());
        if let Ok(syntax) = builder.build() {
            environment.set_syntax(syntax);
        }
    }
    environment
}

/// These diagnostics as they may be read: no message repeats a credential.
pub(super) fn fit_to_read(diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let mask = |text: &mut String| {
        if let std::borrow::Cow::Owned(shown) = crate::domain::masked(text) {
            *text = shown;
        }
    };
    let one = |diagnostic: &Diagnostic| {
        let mut shown = diagnostic.clone();
        mask(&mut shown.message);
        shown.label.iter_mut().chain(&mut shown.help).chain(&mut shown.place.field).for_each(mask);
        shown.related.iter_mut().for_each(|related| mask(&mut related.message));
        let holds = |text: &String| !credentials(text).is_empty();
        if shown
            .fix
            .as_ref()
            .is_some_and(|fix| holds(&fix.title) || fix.edits.iter().any(|edit| holds(&edit.text)))
        {
            shown.fix = None;
        }
        shown
    };
    diagnostics.iter().map(one).collect()
}

/// The text of a file with stars, byte for byte, where nobody may read it.
pub(super) fn hidden(text: String, source: &str, diagnostics: &[Diagnostic]) -> String {
    let told = diagnostics.iter().filter(|one| HIDDEN.contains(&one.code.0) && one.place.source == source);
    let spans = told.filter_map(|one| one.place.span).map(|span| span.start..span.end);
    let ranges: Vec<_> = spans.chain(credentials(&text).into_iter().map(|(range, _)| range)).collect();
    if ranges.is_empty() {
        return text;
    }
    let mut bytes = text.into_bytes();
    for range in ranges {
        for byte in bytes.get_mut(range).into_iter().flatten().filter(|byte| **byte != b'\n') {
            *byte = b'*';
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
