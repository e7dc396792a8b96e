//! Where in the bytes of a file of HCL is each value?
//!
//! A block is found by its kind and its labels, one key after the other: `resource.aws_s3_bucket.logs.tags`. Several
//! blocks without labels are a list. What is computed is a text that nobody compares.

use std::ops::Range;

use hcl_edit::{
    Span,
    expr::{Expression, ObjectKey},
    structure::{Block, Body, Structure},
};
use serde_json::{Map, Value};

use super::{
    Deed, Refusal, Step,
    assigned::{self, Read, Section, node, scalar, unreadable},
    place,
    tree::{Kind, Node},
    unsupported,
};
use crate::{
    domain::{Diagnostic, Place, RepoPath},
    render::{Context, inspect, quote, template},
};

pub(super) fn read(text: &str) -> Result<Read, Refusal> {
    let body = inspect::hcl::read(text).map_err(|problem| unreadable(&problem))?;
    let mut sections = Vec::new();
    let root = self::body(&body, 0..text.len(), text, &mut sections);
    let last = body.attributes().filter_map(Span::span).map(|span| (span.end, String::new())).last();
    sections.push(Section { map: 0..text.len(), whole: None, last, empty: None });
    Ok(Read { root, sections })
}

/// A key as it is written: bare where HCL has it so.
pub(super) fn key(key: &str) -> String {
    let mut characters = key.chars();
    let is_bare = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && characters.all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    if is_bare { key.to_owned() } else { quote::hcl(&key.into()) }
}

fn body(found: &Body, range: Range<usize>, text: &str, sections: &mut Vec<Section>) -> Node {
    let mut entries: Vec<(Node, Node)> = Vec::new();
    for structure in found {
        match structure {
            Structure::Attribute(attribute) => {
                let key = name(attribute.key.span(), attribute.key.as_str());
                entries.push((key, value(&attribute.value, text)));
            }
            Structure::Block(found) => {
                let inner = block(found, text, sections);
                let labels = found.labels.iter().map(|label| (label.span(), label.as_str()));
                let names: Vec<Node> = [(found.ident.span(), found.ident.as_str())]
                    .into_iter()
                    .chain(labels)
                    .map(|(span, text)| name(span, text))
                    .collect();
                let whole = found.span().unwrap_or_default();
                put(&mut entries, &names, inner, &whole);
            }
        }
    }
    node(range, Kind::Map { flow: false, entries })
}

/// Puts a block below its names; a second one of the same names makes a list.
fn put(entries: &mut Vec<(Node, Node)>, names: &[Node], block: Node, whole: &Range<usize>) {
    let Some((first, rest)) = names.split_first() else { return };
    let known = entries.iter_mut().find(|(name, _)| name.key() == first.key());
    match (known, rest) {
        (None, []) => entries.push((first.clone(), block)),
        (None, rest) => {
            let mut inner = Vec::new();
            put(&mut inner, rest, block, whole);
            let kind = Kind::Map { flow: false, entries: inner };
            entries.push((first.clone(), Node { start: first.start, end: whole.end, kind, special: false }));
        }
        (Some((_, node)), []) => match &mut node.kind {
            Kind::List { flow: false, items } => {
                node.end = whole.end;
                items.push(block);
            }
            Kind::Map { .. } | Kind::List { .. } | Kind::Scalar { .. } | Kind::Alias => {
                let start = node.start.saturating_sub(1);
                let items = vec![node.clone(), block];
                *node =
                    Node { start, end: whole.end, kind: Kind::List { flow: false, items }, special: false };
            }
        },
        (Some((_, node)), rest) => {
            node.end = node.end.max(whole.end);
            if let Kind::Map { entries, .. } = &mut node.kind {
                put(entries, rest, block, whole);
            }
        }
    }
}

fn block(found: &Block, text: &str, sections: &mut Vec<Section>) -> Node {
    let whole = found.span().unwrap_or_default();
    let head = found.labels.last().map_or_else(|| found.ident.span(), Span::span).unwrap_or_default();
    let open = text[head.end..whole.end].find('{').map_or(whole.end, |at| head.end + at);
    let inside = (open + 1).min(whole.end)..whole.end.saturating_sub(1).max(open + 1);
    let indent = |at: usize| -> String {
        let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
        line.chars().take_while(|c| c.is_whitespace()).collect()
    };
    let own = indent(whole.start);
    let last = found.body.attributes().filter_map(Span::span).last();
    let is_one_line = !text[inside.clone()].contains('\n');
    let (last, empty) = match last {
        Some(span) if !is_one_line => (Some((span.end, indent(span.start))), None),
        None if is_one_line => (None, Some((open..whole.end, own))),
        None => (Some((open, format!("{own}  "))), None),
        // One line has one attribute.
        Some(_) => (Some((whole.end, own)), None),
    };
    sections.push(Section { map: inside.clone(), whole: Some(whole), last, empty });
    body(&found.body, inside, text, sections)
}

fn name(span: Option<Range<usize>>, text: &str) -> Node {
    scalar(span.unwrap_or_default(), text.into())
}

fn value(found: &Expression, text: &str) -> Node {
    let range = found.span().unwrap_or_default();
    let written = text.get(range.clone()).unwrap_or_default();
    match found {
        Expression::Null(_) => scalar(range, Value::Null),
        Expression::Bool(inner) => scalar(range, (*inner.value()).into()),
        Expression::String(inner) => scalar(range, inner.value().as_str().into()),
        Expression::Number(_) => {
            let number = serde_json::from_str(written).unwrap_or_else(|_| written.into());
            scalar(range, number)
        }
        Expression::Array(array) => {
            let items = array.iter().map(|item| value(item, text)).collect();
            node(range, Kind::List { flow: true, items })
        }
        Expression::Object(object) => {
            let entries = object.iter().map(|(key, inner)| {
                let key = match key {
                    ObjectKey::Ident(ident) => name(ident.span(), ident.as_str()),
                    ObjectKey::Expression(expression) => value(expression, text),
                };
                (key, value(inner.expr(), text))
            });
            node(range, Kind::Map { flow: true, entries: entries.collect() })
        }
        // Computed: known by how it is written.
        _ => scalar(range, format!("${{{written}}}").into()),
    }
}

/// The text after a deed.
pub(super) fn edit(text: &str, steps: &[Step], deed: Deed<'_>) -> Result<String, Refusal> {
    assigned::edit(text, steps, deed, assigned::HCL)
}

/// The header of a block with its expressions rendered: each is part of one word.
///
/// # Errors
/// When an expression fails, or the header is none.
pub(super) fn rendered_header(header: &str, at: &Place, context: &Context) -> Result<String, Diagnostic> {
    let names = names(header).ok_or_else(|| no_header(at.clone(), header))?;
    let rendered = names.iter().map(|name| template::text(name, at, context));
    let words: Vec<String> = rendered.collect::<Result<_, _>>()?;
    Ok(shown(&words))
}

/// What is wrong with a header whatever it is filled with.
pub(super) fn check_header(header: &str, at: &Place) -> Option<Diagnostic> {
    names(header).is_none().then(|| no_header(at.clone(), header))
}

fn no_header(at: Place, header: &str) -> Diagnostic {
    Diagnostic::error("edit-place", at, format!("`{header}` is not the head of a block"))
        .help("write its kind and its labels in quotes, such as `resource \"aws_s3_bucket\" \"logs\"`")
}

/// The kind and the labels, as they are written.
fn names(header: &str) -> Option<Vec<String>> {
    let mut parts = header.trim().splitn(2, '"');
    let kind = parts.next()?.trim();
    let mut names = vec![kind.to_owned()];
    let mut rest = parts.next().map_or(String::new(), |rest| format!("\"{rest}"));
    while !rest.trim().is_empty() {
        let inside = rest.trim_start().strip_prefix('"')?;
        let (label, after) = inside.split_once('"')?;
        names.push(label.to_owned());
        rest = after.to_owned();
    }
    (!kind.is_empty() && !kind.contains(' ')).then_some(names)
}

fn shown(words: &[String]) -> String {
    let labels = words.iter().skip(1).map(|label| format!(" {}", quote::hcl(&label.as_str().into())));
    format!("{}{}", words.first().map_or("", String::as_str), labels.collect::<String>())
}

/// The file with this block in it, its attributes set.
pub(super) fn add_block(
    path: &RepoPath,
    text: &str,
    header: &str,
    value: &Value,
) -> Result<Vec<u8>, Diagnostic> {
    let here = Place { field: Some(header.to_owned()), ..Place::file(path.as_str()) };
    let refuse = |problem: &str| Err(unsupported(here.clone(), problem));
    let Value::Object(fields) = value else {
        return refuse("a block's `value` is a mapping of its attributes");
    };
    if inspect::Language::of(path) != Some(inspect::Language::Hcl) {
        return refuse("only .tf, .tfvars and .hcl files have blocks");
    }
    let Ok(head) = hcl_edit::parser::parse_body(&format!("{header} {{}}\n")) else {
        return refuse("this is not the head of a block");
    };
    let Some(head) = head.into_blocks().next() else { return refuse("this is not the head of a block") };
    let known = match inspect::hcl::read(text) {
        Ok(body) => body.blocks().any(|found| {
            found.ident.as_str() == head.ident.as_str()
                && found
                    .labels
                    .iter()
                    .map(|label| label.as_str())
                    .eq(head.labels.iter().map(|label| label.as_str()))
        }),
        Err(problem) => return refuse(&format!("it cannot be read: {}", problem.message)),
    };
    if known {
        return set_all(text, &head, fields).map(String::into_bytes).map_err(|refusal| match refusal {
            Refusal::Missing(problem) | Refusal::Unsupported(problem) => unsupported(here.clone(), &problem),
        });
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut new = text.to_owned();
    if !text.is_empty() {
        new.push_str(if text.ends_with('\n') { newline } else { "" });
        if !text.ends_with('\n') {
            new.push_str(newline);
            new.push_str(newline);
        }
    }
    new.push_str(&format!("{header} {{{newline}"));
    for (name, value) in fields {
        new.push_str(&format!("  {} = {}{newline}", key(name), quote::hcl(value)));
    }
    new.push_str(&format!("}}{newline}"));
    match read(&new) {
        Ok(_) => Ok(new.into_bytes()),
        Err(_) => refuse("its attributes cannot be written"),
    }
}

fn set_all(text: &str, head: &Block, fields: &Map<String, Value>) -> Result<String, Refusal> {
    let mut text = text.to_owned();
    for (name, value) in fields {
        let names = [head.ident.as_str()].into_iter().chain(head.labels.iter().map(|label| label.as_str()));
        let steps: Vec<Step> =
            names.chain([name.as_str()]).map(|name| place::Step::Key(name.to_owned())).collect();
        text = edit(&text, &steps, Deed::Set(value))?;
    }
    Ok(text)
}
