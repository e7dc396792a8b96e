//! Is this value what its definition allows?
//!
//! Knows nothing of files: entities, defaults, request files and issue forms are all judged here.
//! A JSON Schema validator finds what is wrong; the words are ours.

mod home;
mod words;

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, LazyLock, OnceLock, RwLock},
};

use jsonschema::{
    JsonType, PatternOptions, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::Value;

pub(super) use self::words::{bare, describe, show};
use self::words::{count, length, short, type_words};
use super::{formats, mend::Mend};
use crate::domain::{
    Blueprint, BlueprintId, Diagnostic, Format, Place, Property, nearest, only_near, whole_numbers,
};

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// To the value of this key.
    Key(String),
    /// To this item, from 0.
    Index(usize),
}

impl From<&str> for Segment {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Segment {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// A path from its steps: `trail!["steps", 0, "id"]`.
macro_rules! trail {
    ($($step:expr),* $(,)?) => { [$($crate::catalog::values::Segment::from($step)),*] };
}
pub(super) use trail;

/// A path in the words of its author: `steps[0].pullRequest`.
pub fn field_name(path: &[Segment]) -> String {
    let mut name = String::new();
    for segment in path {
        match segment {
            Segment::Key(key) if name.is_empty() => name.push_str(key),
            Segment::Key(key) => {
                name.push('.');
                name.push_str(key);
            }
            Segment::Index(index) => name.push_str(&format!("[{index}]")),
        }
    }
    name
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Wrong {
    /// Where, below the value judged. Of a missing or unknown key, the key is the last step.
    pub path: Vec<Segment>,
    /// Which kind of diagnostic.
    pub code: &'static str,
    /// What is wrong, as it follows the name of the field: "must be at least 1, and is 0".
    pub message: String,
    /// A few words under the very place.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// Whether the key is wrong rather than its value.
    pub about_key: bool,
    /// What mends it, where that is safe.
    pub(super) mend: Option<Mend>,
}

impl Wrong {
    /// Something wrong at this path.
    pub fn new(code: &'static str, path: &[Segment], message: impl Into<String>) -> Self {
        let (path, message) = (path.to_vec(), message.into());
        Self { path, code, message, label: None, help: None, about_key: false, mend: None }
    }

    /// With a few words under the very place.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With what mends it, where that is safe.
    pub(super) fn mend(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }

    /// With the nearest of the words that could have been meant, or else all of them. A key that can only
    /// be one of them is mended by it.
    pub fn did_you_mean<'a>(
        mut self,
        written: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) -> Self {
        if self.about_key {
            self.mend = only_near(written, known.clone()).map(|key| Mend::Rename(key.to_owned()));
        }
        match did_you_mean(written, known) {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// The same, seen from a value around the one that was judged.
    pub fn below(mut self, path: &[Segment]) -> Self {
        self.path = path.iter().cloned().chain(self.path).collect();
        self
    }

    /// It is the key that is wrong, rather than its value.
    pub fn about_key(self) -> Self {
        Self { about_key: true, ..self }
    }

    /// The diagnostic at this place, about a field of this name.
    pub fn at(self, place: Place, subject: &str) -> Diagnostic {
        let subject = if subject.is_empty() { "this file".to_owned() } else { format!("`{subject}`") };
        let mut diagnostic = Diagnostic::error(self.code, place, format!("{subject} {}", self.message));
        diagnostic.label = self.label;
        diagnostic.help = self.help;
        diagnostic
    }
}

/// "did you mean `x`?", or the words to choose from when they are few.
pub fn did_you_mean<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(written, known.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let words: Vec<String> = known.into_iter().take(13).map(|word| format!("`{word}`")).collect();
    match words.len() {
        0 | 13 => None,
        1 => Some(format!("it can only be {}", words[0])),
        _ => Some(format!("it can be {}", list(&words, "or"))),
    }
}

/// Words in a row: `a`, `b` or `c`.
pub(super) fn list(words: &[String], and: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} {and} {last}", init.join(", ")),
    }
}

/// Everything that is wrong with a value, by its type, its choices and its limits.
pub fn check_value(property: &Property, value: &Value) -> Vec<Wrong> {
    if property.format == Some(Format::Secret) {
        // Whatever else it is, it is not repeated.
        return super::secret::read(value).err().into_iter().collect();
    }
    match schema_of(property) {
        Ok(schema) => schema.judge(value),
        Err(why) => vec![Wrong::new("invalid-schema", &[], format!("cannot be judged: {why}"))],
    }
}

/// The compiled schemas of all properties of all blueprints, made when the first entity is judged.
#[derive(Default)]
pub(super) struct Schemas(OnceLock<HashMap<BlueprintId, Vec<Compiled>>>);

impl Schemas {
    /// Those of a blueprint's properties, in their order.
    pub(super) fn of<'a>(
        &'a self,
        blueprints: &BTreeMap<BlueprintId, Blueprint>,
        name: &BlueprintId,
    ) -> &'a [Compiled] {
        let compile = |blueprint: &Blueprint| {
            blueprint.properties.iter().map(|(_, property)| schema_of(property)).collect()
        };
        let all = || blueprints.iter().map(|(name, blueprint)| (name.clone(), compile(blueprint))).collect();
        self.0.get_or_init(all).get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// They follow from the blueprints, so a copy may make its own.
impl Clone for Schemas {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Schemas {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Schemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Schemas")
    }
}

/// Why no value can be judged by this property, if so.
pub(super) fn schema_problem(property: &Property) -> Option<String> {
    schema_of(property).err().map(|why| why.to_string())
}

pub(super) type Compiled = Result<Arc<Schema>, Arc<str>>;

/// Compiled once for each different property, as compiling costs twenty times as much as judging.
fn schema_of(property: &Property) -> Compiled {
    /// A program that lives long meets many catalogs; what is over is compiled anew.
    const MAX_KEPT: usize = 10_000;
    static KEPT: LazyLock<RwLock<HashMap<u64, (Property, Compiled)>>> = LazyLock::new(RwLock::default);

    let mut hasher = DefaultHasher::new();
    hash(property, &mut hasher);
    let key = hasher.finish();
    if let Ok(kept) = KEPT.read()
        && let Some((same, compiled)) = kept.get(&key)
        && same == property
    {
        return compiled.clone();
    }
    let compiled = Schema::compile(property.json_schema()).map(Arc::new).map_err(Arc::from);
    if let Ok(mut kept) = KEPT.write() {
        if kept.len() >= MAX_KEPT {
            kept.clear();
        }
        kept.insert(key, (property.clone(), compiled.clone()));
    }
    compiled
}

fn hash(property: &Property, hasher: &mut DefaultHasher) {
    property.kind.hash(hasher);
    property.format.hash(hasher);
    property.spec.hash(hasher);
    property.choices.hash(hasher);
    property.keywords.hash(hasher);
    if let Some(items) = &property.items {
        hash(items, hasher);
    }
}

/// A key that is written wrongly is not missing as well.
pub(super) fn without_echoes(mut found: Vec<Wrong>) -> Vec<Wrong> {
    let unknown: Vec<_> =
        found.iter().filter(|wrong| wrong.about_key).map(|wrong| wrong.path.clone()).collect();
    let is_echo = |wrong: &Wrong| {
        let Some((Segment::Key(key), parent)) = wrong.path.split_last() else { return false };
        wrong.code == "missing-key"
            && unknown.iter().any(|path| match path.split_last() {
                Some((Segment::Key(written), beside)) => {
                    beside == parent && nearest(written, [key.as_str()]).is_some()
                }
                _ => false,
            })
    };
    found.retain(|wrong| !is_echo(wrong));
    found
}

/// A JSON Schema, ready to judge.
pub(super) struct Schema {
    json: Value,
    validator: Validator,
}

impl Schema {
    /// Knows our formats, looks nothing up, and matches patterns in linear time.
    pub(super) fn compile(json: Value) -> Result<Self, String> {
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex().size_limit(1 << 20));
        let validator = formats::teach(options).build(&json).map_err(|error| error.to_string())?;
        Ok(Self { json, validator })
    }

    /// Whether nothing is wrong.
    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }

    /// Everything that is wrong, in our words.
    pub(super) fn judge(&self, value: &Value) -> Vec<Wrong> {
        /// To try one costs as much as to judge the whole value.
        const MAX_MENDS: usize = 20;
        if self.validator.is_valid(value) {
            return Vec::new();
        }
        let mut found: Vec<Wrong> =
            self.validator.iter_errors(value).flat_map(|error| self.explain(&error, value)).collect();
        for (index, wrong) in found.iter_mut().filter(|wrong| wrong.mend.is_some()).enumerate() {
            let tried = index < MAX_MENDS;
            wrong.mend = wrong.mend.take().filter(|mend| tried && self.is_mended(value, &wrong.path, mend));
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found.dedup();
        // What is of the wrong type is not judged further.
        let mistyped: Vec<_> =
            found.iter().filter(|wrong| wrong.code == "wrong-type").map(|wrong| wrong.path.clone()).collect();
        found.retain(|wrong| wrong.code == "wrong-type" || !mistyped.contains(&wrong.path));
        without_echoes(found)
    }

    /// Whether nothing is wrong with the value at this path once it is mended.
    fn is_mended(&self, root: &Value, path: &[Segment], mend: &Mend) -> bool {
        let mut mended = root.clone();
        let target = path.iter().try_fold(&mut mended, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
        });
        let Some(target) = target else { return false };
        match mend {
            Mend::Rename(_) => return true,
            Mend::Quote => *target = bare(target).into(),
            Mend::Set(value) => *target = value.clone(),
        }
        !self
            .validator
            .iter_errors(&mended)
            .any(|error| path_of(error.instance_path().as_str(), &mended).starts_with(path))
    }

    fn explain(&self, error: &ValidationError<'_>, root: &Value) -> Vec<Wrong> {
        let path = path_of(error.instance_path().as_str(), root);
        let value: &Value = error.instance();
        let one = |code, message: String| vec![Wrong::new(code, &path, message)];
        match error.kind() {
            Kind::Type { kind } => vec![wrong_type(kind, value, &path)],
            Kind::Enum { options } => vec![wrong_choice(options, value, &path)],
            Kind::Constant { expected_value } => {
                one("not-a-choice", format!("must be {}", show(expected_value)))
            }
            Kind::Pattern { pattern } => {
                one("pattern-mismatch", format!("must match `{pattern}`, and is {}", show(value)))
            }
            Kind::Format { format } => {
                let message = format!("must be {}, and is {}", formats::wanted_by(format), show(value));
                let wrong = Wrong::new("wrong-format", &path, message);
                vec![match format.as_str() {
                    "user" => {
                        wrong.help("name people by their login on the forge, as their `_user` is called")
                    }
                    _ => wrong,
                }]
            }
            Kind::MinLength { limit: 1 } => one("wrong-length", "must not be empty".into()),
            Kind::MinLength { limit } => one(
                "wrong-length",
                format!("must have at least {}, and has {}", count(*limit, "character"), length(value)),
            ),
            Kind::MaxLength { limit } => one(
                "wrong-length",
                format!("must have at most {}, and has {}", count(*limit, "character"), length(value)),
            ),
            Kind::Minimum { limit } => {
                one("out-of-range", format!("must be at least {limit}, and is {value}"))
            }
            Kind::Maximum { limit } => {
                one("out-of-range", format!("must be at most {limit}, and is {value}"))
            }
            Kind::ExclusiveMinimum { limit } => {
                one("out-of-range", format!("must be more than {limit}, and is {value}"))
            }
            Kind::ExclusiveMaximum { limit } => {
                one("out-of-range", format!("must be less than {limit}, and is {value}"))
            }
            Kind::MultipleOf { multiple_of } if *multiple_of == 1.0 => {
                one("out-of-range", format!("must be a whole number, and is {value}"))
            }
            Kind::MultipleOf { multiple_of } => {
                one("out-of-range", format!("must be a multiple of {multiple_of}, and is {value}"))
            }
            Kind::MinItems { limit } => one(
                "wrong-item-count",
                format!("must have at least {}, and has {}", count(*limit, "item"), length(value)),
            ),
            Kind::MaxItems { limit } => one(
                "wrong-item-count",
                format!("must have at most {}, and has {}", count(*limit, "item"), length(value)),
            ),
            Kind::UniqueItems => repeated(value, &path),
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let path: Vec<Segment> = path.iter().cloned().chain([Segment::from(name)]).collect();
                vec![Wrong::new("missing-key", &path, "is missing").help(format!("add `{name}`"))]
            }
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                let pointer = error.schema_path().as_str();
                let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
                let known = self.json.pointer(parent).and_then(|here| here.get("properties")?.as_object());
                let known = known.into_iter().flat_map(|keys| keys.keys().map(String::as_str));
                let unknown = |key: &String| {
                    let path: Vec<Segment> =
                        path.iter().cloned().chain([Segment::from(key.as_str())]).collect();
                    let place = &path[..path.len() - 1];
                    let wrong = Wrong::new("unknown-key", &path, "is not a key that is known here");
                    let wrong = wrong.about_key().label("unknown");
                    match home::home_of(&self.json, key, place) {
                        Some(home) if nearest(key, known.clone()).is_none() => wrong.help(home),
                        _ => wrong.did_you_mean(key, known.clone()),
                    }
                };
                unexpected.iter().map(unknown).collect()
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.best_branch(context, value, root, &path)
            }
            // As a computed `enum` that lists nothing is written.
            Kind::Not { schema } if *schema == serde_json::json!({}) => one(
                "not-a-choice",
                format!("cannot be {}: there is nothing to choose from at present", show(value)),
            ),
            Kind::MinProperties { .. } | Kind::MaxProperties { .. } => {
                one("wrong-item-count", format!("has {} keys: {error}", length(value)))
            }
            _ => one("wrong-value", format!("is not allowed: {error}")),
        }
    }

    /// What was meant is the branch whose type fits.
    fn best_branch(
        &self,
        branches: &[Vec<ValidationError<'static>>],
        value: &Value,
        root: &Value,
        path: &[Segment],
    ) -> Vec<Wrong> {
        let here = |error: &ValidationError<'_>| path_of(error.instance_path().as_str(), root) == path;
        let misfit = |error: &&ValidationError<'static>| {
            here(error)
                && matches!(error.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. })
        };
        // Nothing at all is meant where nothing is written.
        let is_nothing = |error: &ValidationError<'_>| {
            here(error) && matches!(error.kind(), Kind::Type { kind: TypeKind::Single(JsonType::Null) })
        };
        let meant: Vec<_> = branches.iter().filter(|branch| !branch.iter().all(is_nothing)).collect();
        let fitting = meant.iter().filter(|branch| !branch.iter().any(|error| misfit(&error)));
        let fitting: Vec<_> = fitting.copied().collect();
        if let ([branch], _) | (_, [branch]) = (&fitting[..], &meant[..]) {
            return branch.iter().flat_map(|error| self.explain(error, root)).collect();
        }
        let mut words: Vec<String> = Vec::new();
        for error in branches.iter().flatten().filter(|error| here(error)) {
            let word = match error.kind() {
                Kind::Type { kind: TypeKind::Single(kind) } => type_words(*kind).to_owned(),
                Kind::Type { kind: TypeKind::Multiple(kinds) } => {
                    let kinds: Vec<_> = kinds.iter().filter(|kind| *kind != JsonType::Null).collect();
                    list(&kinds.iter().map(|kind| type_words(*kind).to_owned()).collect::<Vec<_>>(), "or")
                }
                Kind::Constant { expected_value } => show(expected_value),
                Kind::Enum { options } => {
                    options.as_array().into_iter().flatten().map(show).collect::<Vec<_>>().join(", ")
                }
                _ => continue,
            };
            if word != "nothing" && !words.contains(&word) {
                words.push(word);
            }
        }
        let message = format!("must be {}, and is {}", list(&words, "or"), describe(value));
        vec![Wrong::new("wrong-type", path, message)]
    }
}

fn wrong_type(kind: &TypeKind, value: &Value, path: &[Segment]) -> Wrong {
    let wanted: Vec<JsonType> = match kind {
        TypeKind::Single(kind) => vec![*kind],
        TypeKind::Multiple(kinds) => kinds.iter().filter(|kind| *kind != JsonType::Null).collect(),
    };
    let words: Vec<String> = wanted.iter().map(|kind| type_words(*kind).to_owned()).collect();
    let wrong =
        Wrong::new("wrong-type", path, format!("must be {}, and is {}", list(&words, "or"), describe(value)));
    match (&wanted[..], value) {
        ([JsonType::Boolean], Value::String(text)) if is_yes_or_no(text) => {
            let meant = matches!(text.to_lowercase().as_str(), "yes" | "on" | "true");
            wrong.help(format!("write `{meant}`")).mend(Mend::Set(meant.into()))
        }
        ([JsonType::Number | JsonType::Integer], Value::String(text)) if text.parse::<f64>().is_ok() => {
            let wrong = wrong.help("write it in digits and without quotes, such as `10` or `0.5`");
            match text.parse::<serde_json::Number>() {
                Ok(number) => wrong.mend(Mend::Set(number.into())),
                Err(_) => wrong,
            }
        }
        ([JsonType::String], Value::Number(_) | Value::Bool(_)) => {
            wrong.help("put it in quotes").mend(Mend::Quote)
        }
        ([JsonType::Array], Value::String(_) | Value::Number(_)) => wrong
            .help(format!("write it as a list: [{}]", short(value.as_str().unwrap_or(&value.to_string())))),
        _ => wrong,
    }
}

fn is_yes_or_no(text: &str) -> bool {
    matches!(text.to_lowercase().as_str(), "yes" | "no" | "on" | "off" | "true" | "false")
}

/// What other languages call a type or a format.
const OTHER_WORDS: [(&str, &str); 9] = [
    ("integer", "number"),
    ("int", "number"),
    ("float", "number"),
    ("text", "string"),
    ("bool", "boolean"),
    ("list", "array"),
    ("map", "object"),
    ("date", "date-time"),
    ("uri", "url"),
];

/// So many choices are still read by people.
const MANY: usize = 30;

fn wrong_choice(options: &Value, value: &Value, path: &[Segment]) -> Wrong {
    // Nothing at all is no choice that anybody would write out.
    let values: Vec<&Value> = options.as_array().into_iter().flatten().filter(|one| !one.is_null()).collect();
    let options: Vec<String> = values.iter().map(|value| bare(value)).collect();
    let mut wrong = Wrong::new("not-a-choice", path, format!("cannot be {}", show(value)));
    let only = only_near(&bare(value), options.iter().map(String::as_str));
    let meant = values.into_iter().find(|value| only == Some(bare(value).as_str()));
    wrong.mend = meant.cloned().map(Mend::Set);
    let few = options.len() <= 12;
    let wrong = if few {
        let words: Vec<String> = options.iter().map(|option| format!("`{option}`")).collect();
        wrong.label(format!("must be {}", list(&words, "or")))
    } else {
        wrong.label(format!("not one of the {} choices", options.len()))
    };
    let meant = OTHER_WORDS.iter().filter(|(word, _)| bare(value) == *word).map(|(_, meant)| *meant);
    let meant = meant.into_iter().find(|meant| options.iter().any(|option| option == meant));
    match meant.or_else(|| nearest(&bare(value), options.iter().map(String::as_str))) {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None if !few && options.len() <= MANY => wrong.help(format!("it can be {}", options.join(", "))),
        None => wrong,
    }
}

fn repeated(value: &Value, path: &[Segment]) -> Vec<Wrong> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    // 1 and 1.0 are the same.
    let said: Vec<Value> = items.iter().cloned().map(whole_numbers).collect();
    let again = |(index, item): (usize, &Value)| {
        let first = said[..index].iter().position(|earlier| *earlier == said[index])?;
        let path: Vec<Segment> = path.iter().cloned().chain([Segment::Index(index)]).collect();
        let message = format!("repeats {}, which is item {} already", show(item), first + 1);
        Some(Wrong::new("repeated-item", &path, message).help("remove one of the two"))
    };
    let found: Vec<Wrong> = items.iter().enumerate().filter_map(again).collect();
    if found.is_empty() { vec![Wrong::new("repeated-item", path, "repeats an item")] } else { found }
}

/// The path that a JSON pointer takes through a value.
fn path_of(pointer: &str, root: &Value) -> Vec<Segment> {
    let mut value = Some(root);
    let mut path = Vec::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let segment = match (value, part.parse()) {
            (Some(Value::Array(_)), Ok(index)) => Segment::Index(index),
            _ => Segment::Key(part),
        };
        value = match (value, &segment) {
            (Some(Value::Array(items)), Segment::Index(index)) => items.get(*index),
            (Some(Value::Object(entries)), Segment::Key(key)) => entries.get(key),
            _ => None,
        };
        path.push(segment);
    }
    path
}
