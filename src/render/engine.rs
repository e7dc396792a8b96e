//! How is a template compiled and run? Compiled once per content, however often it is rendered.

mod filters;
mod marks;
mod tell;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, LazyLock},
};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Expression, OutputSpanKind, State, UndefinedBehavior, Value,
    syntax::SyntaxConfig, value::ValueKind,
};
use serde_json::Value as Json;

use crate::domain::{Bytes, Delimiters, Diagnostic, Memo, ObjectId, Place};
use crate::render::inspect::{Expression as Written, Written as Output};

use tell::{diagnostic, locate, no_value, too_large};

pub(super) use marks::Quoting;

/// Bounds time and memory of one rendering (about one unit an instruction, or 64 bytes).
const FUEL: u64 = 500_000;
/// Macros calling macros.
const RECURSION: usize = 50;
/// The largest text of one rendering.
const MAX_TEXT: usize = 1 << 20;
/// How many compiled templates are kept; when full, all are dropped, as a catalog has far fewer.
const MEMO: usize = 4096;

/// The name of the template itself, which no partial has.
const MAIN: &str = " template";

/// The environment of expressions; it lives as long as the program so that compiled expressions can be kept.
static EXPRESSIONS: LazyLock<Environment<'static>> = LazyLock::new(|| environment(false));

static COMPILED: Memo<String, Arc<Environment<'static>>> = Memo::new(MEMO);
static COMPILED_EXPRESSIONS: Memo<String, Arc<Expression<'static, 'static>>> = Memo::new(MEMO);

/// How the texts of a folder of templates are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect<'a> {
    /// How expressions are marked in the file.
    pub(super) delimiters: Option<&'a Delimiters>,
    /// What it may include.
    pub(super) partials: &'a Partials<'a>,
}

/// What files may include.
#[derive(Debug, Default)]
pub(super) struct Partials<'a> {
    texts: Vec<(&'a str, &'a str)>,
    delimiters: Option<&'a Delimiters>,
    /// Names them and how they are read, for whoever keeps what was compiled.
    key: String,
}

impl<'a> Partials<'a> {
    /// These, which mark expressions so.
    pub(super) fn new(partials: &'a BTreeMap<String, Bytes>, delimiters: Option<&'a Delimiters>) -> Self {
        let mut key = String::new();
        if !partials.is_empty() {
            partials
                .iter()
                .for_each(|(name, bytes)| key.push_str(&format!("{name}\0{}\0", ObjectId::of_blob(bytes))));
            key.push_str(&format!("{delimiters:?}"));
        }
        let text =
            |(name, bytes): (&'a String, &'a Bytes)| Some((name.as_str(), std::str::from_utf8(bytes).ok()?));
        Self { texts: partials.iter().filter_map(text).collect(), delimiters, key }
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.texts.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }
}

/// No partials: what texts outside a folder of templates have.
static NONE: Partials<'static> = Partials { texts: Vec::new(), delimiters: None, key: String::new() };

impl Dialect<'static> {
    /// The usual delimiters, and nothing to include.
    pub(super) const PLAIN: Self = Self { delimiters: None, partials: &NONE };
}

fn environment(marked: bool) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_formatter(if marked { write_marked } else { write });
    environment.set_syntax(syntax(None, true).expect("the usual delimiters are legal"));
    filters::add(&mut environment, marked);
    environment
}

/// Writes texts as they are and everything else as JSON, so that `true` is `true` in every file.
fn write(output: &mut minijinja::Output, state: &mut State, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => output.write_str(text).map_err(Error::from),
        None => output.write_str(&written(state, value)?).map_err(Error::from),
    }
}

/// The same, with marks around it.
fn write_marked(output: &mut minijinja::Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let is_text = value.kind() == ValueKind::String;
    output.write_str(&marks::value(&written(state, value)?, is_text)).map_err(Error::from)
}

fn written(state: &State, value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        _ => filters::json(state, value),
    }
}

fn syntax(delimiters: Option<&Delimiters>, keeps_last_newline: bool) -> Result<SyntaxConfig, Error> {
    let mut builder = SyntaxConfig::builder();
    builder.keep_trailing_newline(keeps_last_newline);
    if let Some(Delimiters { variable, block, comment }) = delimiters {
        builder
            .variable_delimiters(variable.0.clone(), variable.1.clone())
            .block_delimiters(block.0.clone(), block.1.clone())
            .comment_delimiters(comment.0.clone(), comment.1.clone());
    }
    builder.build()
}

fn compiled(source: &str, dialect: Dialect<'_>, marked: bool) -> Result<Arc<Environment<'static>>, Error> {
    let Dialect { delimiters, partials } = dialect;
    let key = match delimiters {
        None => format!("{marked}\0{}\0{source}", partials.key),
        Some(delimiters) => format!("{marked}\0{}\0{delimiters:?}\0{source}", partials.key),
    };
    COMPILED.get(&key, || {
        let mut environment = environment(marked);
        // What includes a partial has a line end of its own.
        environment.set_syntax(syntax(partials.delimiters, false)?);
        for (name, text) in &partials.texts {
            environment.add_template_owned((*name).to_owned(), (*text).to_owned())?;
        }
        environment.set_syntax(syntax(delimiters, true)?);
        environment.add_template_owned(MAIN, source.to_owned())?;
        Ok(Arc::new(environment))
    })
}

/// The text of `source`, and which parts of it expressions wrote; `traced` looks into what macros wrote, too.
pub(super) fn render(
    source: &str,
    dialect: Dialect<'_>,
    place: &Place,
    context: &Value,
    traced: bool,
) -> Result<Output, Diagnostic> {
    let (text, outermost) = run(source, dialect, place, context)?;
    let expressions = match traced.then(|| trace(source, dialect, context, &text)).flatten() {
        Some(regions) => traced_expressions(&regions, &outermost),
        None => outermost.into_iter().map(Outermost::untraced).collect(),
    };
    Ok(Output { text, expressions })
}

/// Where an expression wrote, and the expression.
pub(super) type Part = (Range<usize>, String);

/// The text of `source`, which includes nothing, with the part that each expression of its own wrote and the expression.
pub(super) fn parts(source: &str, place: &Place, context: &Value) -> Result<(String, Vec<Part>), Diagnostic> {
    let (text, outermost) = run(source, Dialect::PLAIN, place, context)?;
    Ok((text, outermost.into_iter().map(|one| (one.output, one.source)).collect()))
}

fn run(
    source: &str,
    dialect: Dialect<'_>,
    place: &Place,
    context: &Value,
) -> Result<(String, Vec<Outermost>), Diagnostic> {
    let rendered = compiled(source, dialect, false)
        .and_then(|environment| environment.get_template(MAIN)?.render_with_spans(context.clone()));
    let (text, spans) = rendered.map_err(|error| diagnostic(&error, source, dialect, place, context))?;
    if text.len() > MAX_TEXT {
        return Err(too_large(place));
    }
    let outermost = spans
        .iter()
        .filter(|span| span.kind() == OutputSpanKind::Expression)
        .map(|span| {
            let (source, place) = at(span.name(), source, dialect, place);
            Outermost {
                output: span.output_range(),
                source: source.get(span.source_range()).unwrap_or_default().to_owned(),
                place: Place { span: Some(locate(source, span.source_range())), ..place },
            }
        })
        .collect();
    Ok((text, outermost))
}

/// An expression that is not inside a macro.
#[derive(Debug, Clone)]
struct Outermost {
    output: Range<usize>,
    source: String,
    place: Place,
}

impl Outermost {
    /// Going by its text alone.
    fn untraced(self) -> Written {
        let quoting = match self.source.rsplit_once('|').map(|(_, filter)| filter.trim()) {
            Some("yaml") => Some(Quoting::Yaml),
            Some("json" | "tojson") => Some(Quoting::Json),
            Some("hcl") => Some(Quoting::Hcl),
            Some("toml") => Some(Quoting::Toml),
            Some("raw") => Some(Quoting::Raw),
            _ => None,
        };
        Written { output: self.output, quoting, is_text: false, place: self.place }
    }
}

/// Renders once more, with marks.
fn trace(source: &str, dialect: Dialect<'_>, context: &Value, text: &str) -> Option<Vec<marks::Region>> {
    let environment = compiled(source, dialect, true).ok()?;
    let marked = environment.get_template(MAIN).ok()?.render(context.clone()).ok()?;
    marks::read(&marked, text)
}

fn traced_expressions(regions: &[marks::Region], outermost: &[Outermost]) -> Vec<Written> {
    let outer = |range: &Range<usize>| {
        let after = outermost.partition_point(|one| one.output.start <= range.start);
        after.checked_sub(1).map(|index| &outermost[index]).filter(|one| range.end <= one.output.end)
    };
    let mut written: Vec<Written> = regions
        .iter()
        .filter_map(|region| {
            let place = outer(&region.range)?.place.clone();
            Some(Written {
                output: region.range.clone(),
                quoting: region.quoting,
                is_text: region.is_text,
                place,
            })
        })
        .collect();
    // What is joined to a macro's text is not told apart from it.
    let is_traced = |one: &&Outermost| regions.iter().any(|region| region.range == one.output);
    let joined = outermost.iter().filter(|one| one.source.contains(['~', '+']) && !is_traced(one));
    written.extend(joined.cloned().map(Outermost::untraced));
    written
}

/// The text and the place of the template with this name.
fn at<'a>(name: &str, source: &'a str, dialect: Dialect<'a>, place: &Place) -> (&'a str, Place) {
    match dialect.partials.text(name) {
        Some(text) => {
            let folder = place.source.split("/files/").next().unwrap_or_default();
            (text, Place::file(format!("{folder}/partials/{name}")))
        }
        None => (source, place.clone()),
    }
}

/// What is wrong with a template whatever it is filled with.
pub(super) fn check(source: &str, dialect: Dialect<'_>, place: &Place) -> Option<Diagnostic> {
    let failed = compiled(source, dialect, false).err();
    failed.map(|error| diagnostic(&error, source, dialect, place, &Value::UNDEFINED))
}

/// Whether this is an expression, and what is wrong if not.
pub(super) fn check_expression(source: &str, place: &Place) -> Option<Diagnostic> {
    let failed = expression(source).err();
    failed.map(|error| diagnostic(&error, source, Dialect::PLAIN, place, &Value::UNDEFINED))
}

/// The names that a template speaks of and does not make itself, dotted as deep as they go.
pub(super) fn names_in(source: &str, dialect: Dialect<'_>) -> Vec<String> {
    let names = |environment: &Environment<'_>| {
        let template = environment.get_template(MAIN).ok()?;
        let mut names: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        names.sort();
        Some(names)
    };
    compiled(source, dialect, false).ok().and_then(|environment| names(&environment)).unwrap_or_default()
}

/// The same for an expression.
pub(super) fn names_in_expression(source: &str) -> Vec<String> {
    let names = |expression: Arc<Expression<'static, 'static>>| expression.undeclared_variables(true);
    let mut names: Vec<String> = expression(source).map(names).unwrap_or_default().into_iter().collect();
    names.sort();
    names
}

/// Whether a name is one of Jinja's own functions.
pub(super) fn is_global(name: &str) -> bool {
    // A macro that is called with a block finds it so.
    name == "caller" || EXPRESSIONS.globals().any(|(known, _)| known == name)
}

/// Whether an expression holds, as Jinja's `if` has it.
pub(super) fn holds(source: &str, place: &Place, context: &Value) -> Result<bool, Diagnostic> {
    let result = expression(source).and_then(|expression| expression.eval(context.clone()));
    match result {
        Ok(value) if value.is_undefined() => Err(no_value(source.trim(), place.clone(), context)),
        Ok(value) => Ok(value.is_true()),
        Err(error) => Err(diagnostic(&error, source, Dialect::PLAIN, place, context)),
    }
}

fn expression(source: &str) -> Result<Arc<Expression<'static, 'static>>, Error> {
    COMPILED_EXPRESSIONS.get(source, || EXPRESSIONS.compile_expression_owned(source.to_owned()).map(Arc::new))
}

/// Whether this is one expression.
pub(super) fn is_expression(source: &str) -> bool {
    expression(source).is_ok()
}

/// What an expression gives; `template` is the whole text around it.
pub(super) fn evaluate(
    source: &str,
    template: &str,
    place: &Place,
    context: &Value,
) -> Result<Json, Diagnostic> {
    let result =
        expression(source).and_then(|expression| expression.eval(context.clone())).and_then(|value| {
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            serde_json::to_value(&value).map_err(|error| {
                Error::new(ErrorKind::BadSerialization, "the result is no plain data").with_source(error)
            })
        });
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.kind() == ErrorKind::UndefinedError => {
            Err(no_value(source.trim(), place.clone(), context))
        }
        Err(error) => Err(diagnostic(&error, template, Dialect::PLAIN, place, context)),
    }
}
