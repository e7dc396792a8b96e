//! Which properties does a program speak of?

use std::collections::BTreeSet;

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    path::{Part, Path},
};

/// What looks names up that are texts elsewhere in the program, as in `has("tier")` or `to_entries`.
const BY_TEXT: [&str; 14] = [
    "contains",
    "delpaths",
    "from_entries",
    "getpath",
    "has",
    "in",
    "inside",
    "keys",
    "keys_unsorted",
    "path",
    "paths",
    "setpath",
    "to_entries",
    "with_entries",
];

/// The names that it goes by. Texts are among them only where something may look a name up by them: `.tier == "gold"` does not
/// speak of `gold`.
pub(super) fn names(term: &Term<&str>) -> BTreeSet<String> {
    let mut found = Found::default();
    found.term(term);
    if found.by_text {
        found.names.append(&mut found.texts);
    }
    found.names
}

/// The ways that it goes into its input, such as `properties` and `tier`, where there is no doubt that it is the input.
pub(super) fn ways(term: &Term<&str>) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    into_input(term, &mut found);
    found
}

fn into_input(term: &Term<&str>, found: &mut BTreeSet<Vec<String>>) {
    match term {
        Term::Path(inner, Path(parts)) => {
            if matches!(**inner, Term::Id) {
                let named = parts.iter().map_while(|(part, _)| match part {
                    Part::Index(index) => literal(index),
                    Part::Range(..) => None,
                });
                let way: Vec<String> = named.collect();
                found.extend((!way.is_empty()).then_some(way));
            }
            into_input(inner, found);
        }
        // What comes after a pipe sees something else, unless a name is given to what stands before it.
        Term::BinOp(left, BinaryOp::Pipe(None), _) => into_input(left, found),
        Term::BinOp(left, _, right) => [left, right].into_iter().for_each(|term| into_input(term, found)),
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(inner) = part {
                    into_input(inner, found);
                }
            }
        }
        Term::Arr(inner) => inner.iter().for_each(|term| into_input(term, found)),
        Term::Neg(inner) => into_input(inner, found),
        Term::Obj(entries) => {
            entries.iter().filter_map(|(_, value)| value.as_ref()).for_each(|term| into_input(term, found));
        }
        Term::TryCatch(inner, _) => into_input(inner, found),
        Term::IfThenElse(branches, otherwise) => {
            branches
                .iter()
                .flat_map(|(condition, then)| [condition, then])
                .for_each(|term| into_input(term, found));
            otherwise.iter().for_each(|term| into_input(term, found));
        }
        Term::Id
        | Term::Recurse
        | Term::Num(_)
        | Term::Var(_)
        | Term::Break(_)
        | Term::Label(..)
        | Term::Fold(..)
        | Term::Def(..)
        | Term::Call(..) => {}
    }
}

/// Whether it may look at all that its input holds, or at all of `.properties`. What surely does not is told by its form:
/// it goes some steps into the input by name, and what comes after a pipe sees no more than that.
pub(super) fn looks_at_all(term: &Term<&str>) -> bool {
    let any = |terms: &[&Term<&str>]| terms.iter().any(|term| looks_at_all(term));
    match term {
        Term::Num(_) | Term::Var(_) | Term::Break(_) => false,
        Term::Path(inner, Path(parts)) => {
            let steps = parts.iter().map_while(|(part, _)| match part {
                Part::Index(index) => literal(index),
                Part::Range(..) => None,
            });
            let steps: Vec<String> = steps.collect();
            let into = match &**inner {
                Term::Id => steps.is_empty() || steps == ["properties"],
                inner => looks_at_all(inner),
            };
            into || parts.iter().any(|(part, _)| match part {
                Part::Index(index) => looks_at_all(index),
                Part::Range(from, to) => from.iter().chain(to).any(looks_at_all),
            })
        }
        Term::Str(_, parts) => {
            parts.iter().any(|part| matches!(part, StrPart::Term(inner) if looks_at_all(inner)))
        }
        Term::Arr(inner) => inner.as_deref().is_some_and(looks_at_all),
        Term::Neg(inner) | Term::TryCatch(inner, _) => looks_at_all(inner),
        Term::Obj(entries) => entries.iter().any(|(key, value)| match value {
            Some(value) => any(&[key, value]),
            None => literal(key).is_none_or(|name| name == "properties"),
        }),
        Term::BinOp(left, BinaryOp::Pipe(None), _) => looks_at_all(left),
        Term::BinOp(
            left,
            BinaryOp::Comma
            | BinaryOp::Math(_)
            | BinaryOp::Cmp(_)
            | BinaryOp::Alt
            | BinaryOp::Or
            | BinaryOp::And,
            right,
        ) => any(&[left, right]),
        Term::IfThenElse(branches, Some(otherwise)) => {
            branches.iter().any(|(condition, then)| any(&[condition, then])) || looks_at_all(otherwise)
        }
        Term::Call(name, arguments) => !(arguments.is_empty() && CONSTANTS.contains(name)),
        Term::Id
        | Term::Recurse
        | Term::BinOp(..)
        | Term::IfThenElse(..)
        | Term::Label(..)
        | Term::Fold(..)
        | Term::Def(..) => true,
    }
}

/// What looks at nothing.
const CONSTANTS: [&str; 4] = ["empty", "false", "null", "true"];

#[derive(Default)]
struct Found {
    names: BTreeSet<String>,
    /// Whole texts that might be names.
    texts: BTreeSet<String>,
    by_text: bool,
}

impl Found {
    fn term(&mut self, term: &Term<&str>) {
        match term {
            Term::Id | Term::Num(_) | Term::Var(_) | Term::Break(_) => {}
            Term::Recurse => self.by_text = true,
            Term::Str(_, parts) => {
                self.texts.extend(literal(term));
                for part in parts {
                    if let StrPart::Term(inner) = part {
                        self.term(inner);
                    }
                }
            }
            Term::Arr(inner) => self.all(inner.as_deref()),
            Term::Neg(inner) | Term::Label(_, inner) => self.term(inner),
            Term::Obj(entries) => {
                for (key, value) in entries {
                    match (value, literal(key)) {
                        // `{tier}` takes what is called so.
                        (None, Some(name)) => drop(self.names.insert(name)),
                        _ => self.all([key].into_iter().chain(value)),
                    }
                }
            }
            Term::BinOp(left, operator, right) => {
                if let BinaryOp::Pipe(Some(pattern)) = operator {
                    self.pattern(pattern);
                }
                self.all([&**left, &**right]);
            }
            Term::TryCatch(inner, otherwise) => {
                self.term(inner);
                self.all(otherwise.as_deref());
            }
            Term::IfThenElse(branches, otherwise) => {
                self.all(branches.iter().flat_map(|(condition, then)| [condition, then]));
                self.all(otherwise.as_deref());
            }
            Term::Fold(_, from, pattern, arguments) => {
                self.term(from);
                self.pattern(pattern);
                self.all(arguments);
            }
            Term::Def(definitions, body) => {
                self.all(definitions.iter().map(|definition| &definition.body));
                self.term(body);
            }
            Term::Call(name, arguments) => {
                self.by_text |= BY_TEXT.contains(name);
                self.all(arguments);
            }
            Term::Path(inner, Path(parts)) => {
                self.term(inner);
                for (part, _) in parts {
                    match part {
                        Part::Index(index) => self.key(index),
                        Part::Range(from, to) => self.all(from.iter().chain(to)),
                    }
                }
            }
        }
    }

    fn all<'t>(&mut self, terms: impl IntoIterator<Item = &'t Term<&'t str>>) {
        for term in terms {
            self.term(term);
        }
    }

    /// What stands where a name does.
    fn key(&mut self, key: &Term<&str>) {
        match literal(key) {
            Some(name) => drop(self.names.insert(name)),
            None => {
                self.by_text |= !matches!(key, Term::Num(_));
                self.term(key);
            }
        }
    }

    fn pattern(&mut self, pattern: &Pattern<&str>) {
        match pattern {
            Pattern::Var(_) => {}
            Pattern::Arr(inner) => inner.iter().for_each(|inner| self.pattern(inner)),
            Pattern::Obj(entries) => {
                for (key, inner) in entries {
                    self.key(key);
                    self.pattern(inner);
                }
            }
        }
    }
}

/// What a text says that nothing is put into.
fn literal(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else { return None };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text += part,
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use crate::expr::Expression;

    #[test]
    fn names_are_what_a_program_looks_up() {
        for (text, spoken, silent) in [
            (".properties.url + \"/x\"", "properties url", "x ur prop"),
            (".properties[\"u-r\"] // .\"a b\"?", "u-r", "u r"),
            (".properties.tier == \"gold\" | length", "tier", "gold length"),
            ("if .a then \"b\" elif .c > 1 then .d else -.e end", "a c d e", "b"),
            ("\"is \\(.properties.a) and b\"", "a", "b is"),
            (".properties | has(\"a\")", "a", "b"),
            (".properties | to_entries[] | select(.key == \"a\") | .value", "a key value", "b"),
            (".properties as $p | [\"a\", \"b\"] | map($p[.])", "a b", "c"),
            (".properties | {a, b: 1, c: .d}", "a d", "b c"),
            (". as {properties: {a: $x}} | $x", "a", "x"),
            ("[.list[0], .list[1:2]] | first | .a", "list a", "first 0"),
            ("try .a catch .b", "a b", ""),
            ("getpath([\"properties\", \"a\"])", "a", "b"),
        ] {
            let expression = Expression::parse(text).unwrap();
            for name in spoken.split(' ') {
                assert!(expression.mentions(name), "{text} speaks of {name}");
            }
            for name in silent.split(' ') {
                assert!(!expression.mentions(name), "{text} does not speak of {name}");
            }
        }
        assert!(Expression::parse(".\"a b\"").unwrap().mentions("a b"));
    }

    #[test]
    fn what_looks_at_all_is_not_missed() {
        for text in [
            ".",
            ".properties",
            ".properties | keys",
            ".properties[.identifier]",
            ".properties[]",
            "{properties}",
            "tojson",
            ". as $e | $e.properties.a",
            ".properties.a |= 1",
            "if .properties.a then 1 end",
            "[.properties.a, .]",
            "select(.properties.a)",
            "\"\\(.properties)\"",
            ".title as $t | .properties | length",
        ] {
            assert!(Expression::parse(text).unwrap().looks_at_all(), "{text}");
        }
        for text in [
            ".identifier",
            ".properties.a + 1",
            "[.properties.a, .properties.b] | add",
            ".properties.tags | map(.name) | length",
            "if .properties.a > 1 then \"x\" else null end",
            "{a: .properties.a, title}",
            "(.properties.a // 0) | tojson",
        ] {
            assert!(!Expression::parse(text).unwrap().looks_at_all(), "{text}");
        }
    }

    #[test]
    fn ways_are_those_that_surely_go_into_the_input() {
        for (text, expected) in [
            (".properties.tier", "properties.tier"),
            (".properties[\"a-b\"][0].c // .title", "properties.a-b title"),
            ("\"is \\(.properties.a)\"", "properties.a"),
            (
                "if .properties.a > 1 then [.relations.b] else {c: -.properties.d} end",
                "properties.a properties.d relations.b",
            ),
            (".properties as $p | .title + $p.a", "properties title"),
            // What these see is something else, or may be.
            (".properties | .tier", "properties"),
            (".properties.tags | map(.name)", "properties.tags"),
            ("[.properties.tags[] | .name]", "properties.tags"),
        ] {
            let expression = Expression::parse(text).unwrap();
            let ways: Vec<String> = expression.ways().iter().map(|way| way.join(".")).collect();
            assert_eq!(ways.join(" "), expected, "{text}");
        }
    }
}
