//! Where in a file of HCL are its values?
//!
//! Inside quotes only what stands between `${…}` and `%{…}` is text. A bare word is the name of something unless it
//! is a key, so that no input may be one.

use hcl_edit::{
    Decorated, Formatted, Ident, Number, Span, Spanned,
    expr::{Expression, Traversal},
    structure::Body,
    visit::{self, Visit},
};

use super::{Parsed, Unreadable};

pub(super) fn parse(text: &str) -> Result<Parsed, Unreadable> {
    let body = read(text)?;
    let mut reader = Reader { parsed: Parsed::default(), text };
    reader.visit_body(&body);
    Ok(reader.parsed.in_order())
}

/// Reads a file of HCL.
pub(in crate::render) fn read(text: &str) -> Result<Body, Unreadable> {
    hcl_edit::parser::parse_body(text).map_err(|error| {
        let location = error.location();
        Unreadable {
            message: error.message().trim().replace('\n', ", "),
            at: Some((location.line(), location.column())),
        }
    })
}

struct Reader<'a> {
    parsed: Parsed,
    text: &'a str,
}

impl Reader<'_> {
    fn leaf(&mut self, node: &impl Span) {
        if let Some(span) = node.span() {
            let quotes = usize::from(self.text.get(span.clone()).is_some_and(|text| text.starts_with('"')));
            self.parsed.leaf(span, quotes);
        }
    }

    /// A number and the like.
    fn other(&mut self, node: &impl Span) {
        if let Some(span) = node.span() {
            self.parsed.other(span);
        }
    }
}

impl Visit for Reader<'_> {
    fn visit_expr(&mut self, node: &Expression) {
        if let Some(span) = node.span() {
            self.parsed.values.insert((span.start, span.end));
        }
        match node {
            Expression::Variable(_) => {}
            Expression::Null(null) => self.other(null),
            other => visit::visit_expr(self, other),
        }
    }

    fn visit_traversal(&mut self, node: &Traversal) {
        // Part of a longer name may be filled in: `aws_s3_bucket.{{ … }}.id`.
        if let Expression::Variable(name) = &node.expr {
            self.leaf(name);
        } else {
            self.visit_expr(&node.expr);
        }
        node.operators.iter().for_each(|operator| self.visit_traversal_operator(operator));
    }

    fn visit_ident(&mut self, node: &Decorated<Ident>) {
        self.leaf(node);
    }

    fn visit_bool(&mut self, node: &Decorated<bool>) {
        self.other(node);
    }

    fn visit_u64(&mut self, node: &Decorated<u64>) {
        self.other(node);
    }

    fn visit_number(&mut self, node: &Formatted<Number>) {
        self.other(node);
    }

    fn visit_string(&mut self, node: &Decorated<String>) {
        self.leaf(node);
    }

    fn visit_literal(&mut self, node: &Spanned<String>) {
        if let Some(span) = node.span() {
            self.parsed.leaf(span, 0);
        }
    }
}
