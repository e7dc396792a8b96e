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
