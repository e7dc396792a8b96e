//! How is a template compiled and run? Compiled once per content, however often it is rendered.

use std::sync::{Arc, LazyLock};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, Expression, OutputSpanKind, State, UndefinedBehavior, Value,
    syntax::SyntaxConfig, value::ValueKind,
};
use serde_json::Value as Json;

use crate::domain::{Delimiters, Diagnostic, Memo, Place, Span, nearest};

use super::filters;
use crate::render::inspect::{Expression as Written, Written as Output};

/// Bounds time and memory of one rendering (about one unit an instruction, or 64 bytes).
const FUEL: u64 = 500_000;
/// Macros calling macros.
const RECURSION: usize = 50;
/// The largest text of one rendering.
const MAX_TEXT: usize = 1 << 20;
/// How many compiled templates are kept; when full, all are dropped, as a catalog has far fewer.
const MEMO: usize = 4096;

/// The environment of expressions; it lives as long as the program so that compiled expressions can be kept.
static EXPRESSIONS: LazyLock<Environment<'static>> = LazyLock::new(environment);

static COMPILED: Memo<String, Arc<Environment<'static>>> = Memo::new(MEMO);
static COMPILED_EXPRESSIONS: Memo<String, Arc<Expression<'static, 'static>>> = Memo::new(MEMO);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION);
    environment.set_formatter(write);
    environment.set_syntax(syntax(None).expect("the usual delimiters are legal"));
    filters::add(&mut environment);
    environment
}

/// Writes texts as they are and everything else as JSON, so that `true` is `true` in every file.
fn write(output: &mut minijinja::Output, _: &mut State, value: &Value) -> Result<(), Error> {
    let written = match value.kind() {
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::String => {
            return output.write_str(value.as_str().unwrap_or_default()).map_err(Error::from);
        }
        _ => filters::json(value)?,
    };
    output.write_str(&written).map_err(Error::from)
}

fn syntax(delimiters: Option<&Delimiters>) -> Result<SyntaxConfig, Error> {
    let mut builder = SyntaxConfig::builder();
    builder.keep_trailing_newline(true);
    if let Some(Delimiters { variable, block, comment }) = delimiters {
        builder
            .variable_delimiters(variable.0.clone(), variable.1.clone())
            .block_delimiters(block.0.clone(), block.1.clone())
            .comment_delimiters(comment.0.clone(), comment.1.clone());
    }
    builder.build()
}

fn compiled(source: &str, delimiters: Option<&Delimiters>) -> Result<Arc<Environment<'static>>, Error> {
    let marked;
    let key = match delimiters {
        None => source,
        Some(delimiters) => {
            marked = format!("{delimiters:?}\0{source}");
            &marked
        }
    };
    COMPILED.get(key, || {
        let mut environment = environment();
        environment.set_syntax(syntax(delimiters)?);
        environment.add_template_owned("template", source.to_owned())?;
        Ok(Arc::new(environment))
    })
}

/// The text of `source`, and which parts of it expressions wrote.
pub(super) fn render(
    source: &str,
    delimiters: Option<&Delimiters>,
    place: &Place,
    context: &Value,
) -> Result<Output, Diagnostic> {
    let rendered = compiled(source, delimiters)
        .and_then(|environment| environment.get_template("template")?.render_with_spans(context.clone()));
    let (text, spans) = rendered.map_err(|error| diagnostic(&error, source, place, context))?;
    if text.len() > MAX_TEXT {
        return Err(too_large(place));
    }
    let expressions = spans
        .iter()
        .filter(|span| span.kind() == OutputSpanKind::Expression)
        .map(|span| Written {
            output: span.output_range(),
            source: span.source_range(),
            place: Place { span: Some(locate(source, span.source_range())), ..place.clone() },
        })
        .collect();
    Ok(Output { text, expressions })
}

/// What is wrong with a template whatever it is filled with.
pub(super) fn check(source: &str, delimiters: Option<&Delimiters>, place: &Place) -> Option<Diagnostic> {
    compiled(source, delimiters).err().map(|error| diagnostic(&error, source, place, &Value::UNDEFINED))
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
        Err(error) => Err(diagnostic(&error, template, place, context)),
    }
}

fn too_large(place: &Place) -> Diagnostic {
    Diagnostic::error("template-too-large", place.clone(), "the template does or writes too much")
        .help("bound its loops and repetitions; large files belong into the target repository")
}

/// Tells people what went wrong. The place inside a template is added where `place` is a whole file.
fn diagnostic(error: &Error, source: &str, place: &Place, context: &Value) -> Diagnostic {
    let range = error.range().filter(|range| source.get(range.clone()).is_some());
    let mut place = place.clone();
    if place.span.is_none() {
        place.span = range.clone().map(|range| locate(source, range));
    }
    match error.kind() {
        ErrorKind::OutOfFuel => too_large(&place),
        ErrorKind::UndefinedError => {
            let what = range.and_then(|range| source.get(range)).unwrap_or("a name").trim();
            no_value(what, place, context)
        }
        ErrorKind::SyntaxError => {
            Diagnostic::error("template-syntax", place, format!("the template is not well formed: {}", words(error)))
                .help("expressions are written `{{ inputs.name }}`, statements `{% if … %}`; the syntax is Jinja's")
        }
        _ => Diagnostic::error("template-failed", place, format!("the template failed: {}", words(error)))
            .help("a template sees `inputs`, `entities`, `entity`, `request` and `action`, and Jinja's pure filters"),
    }
}

fn words(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if detail.contains("too large") || detail.contains("too many") {
        format!("too much: {detail}")
    } else {
        detail
    }
}

fn no_value(what: &str, place: Place, context: &Value) -> Diagnostic {
    let known = names(context);
    let dotted: String = what.chars().take_while(|c| c.is_alphanumeric() || "._".contains(*c)).collect();
    let help = match nearest(&dotted, known.iter().map(String::as_str)).filter(|near| *near != dotted) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("make the input required, or write `{{{{ {dotted} | default(…) }}}}`"),
    };
    Diagnostic::error("template-failed", place, format!("`{what}` has no value here")).help(help)
}

/// The dotted names that a template may use, two levels deep.
fn names(context: &Value) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        match value.kind() {
            ValueKind::Map => {
                value.try_iter().map(|keys| keys.map(|key| key.to_string()).collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    };
    let mut names = Vec::new();
    for outer in keys(context) {
        let inner = context.get_attr(&outer).unwrap_or_default();
        names.extend(keys(&inner).into_iter().map(|key| format!("{outer}.{key}")));
        names.push(outer);
    }
    names
}

fn locate(source: &str, range: std::ops::Range<usize>) -> Span {
    let before = source.get(..range.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Span {
        start: range.start,
        end: range.end,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}
