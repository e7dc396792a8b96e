//! May this program be asked? It must end and see nothing but its input.
//!
//! What repeats itself is refused (definitions, `reduce`, `recurse`, `range`, `while` …), and so is everything that is not
//! known to be harmless: `env` reads the environment, `input` and `debug` reach outside. Regular expressions are matched
//! in linear time. A text times a number is a long text, so what is multiplied must be seen to be numbers.
//!
//! How much the harmless can make of its input is the question of `bound`. What somebody types at their own shell need only be
//! pure: it may go on as long as they like.

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    ops::Math,
    path::{Part, Path},
};

/// The longest program, in bytes.
const LONGEST: usize = 2_000;
/// How deep a program may be nested.
const DEEPEST: usize = 60;
/// The largest number that something may be multiplied by where it is not seen to be a number.
const SMALL: f64 = 1_000.0;

/// What may be called: all of it ends, and sees nothing but its input.
const ALLOWED: [&str; 112] = [
    "abs",
    "add",
    "all",
    "any",
    "arrays",
    "ascii_downcase",
    "ascii_upcase",
    "booleans",
    "capture",
    "ceil",
    "contains",
    "del",
    "delpaths",
    "empty",
    "endswith",
    "error",
    "explode",
    "fabs",
    "finites",
    "first",
    "flatten",
    "floor",
    "from_entries",
    "fromdate",
    "fromdateiso8601",
    "fromjson",
    "getpath",
    "gmtime",
    "group_by",
    "gsub",
    "has",
    "implode",
    "in",
    "index",
    "indices",
    "infinite",
    "inside",
    "isempty",
    "isinfinite",
    "isnan",
    "isnormal",
    "isvalid",
    "iterables",
    "join",
    "keys",
    "keys_unsorted",
    "last",
    "length",
    "limit",
    "ltrimstr",
    "ltrim",
    "map",
    "map_values",
    "match",
    "max",
    "max_by",
    "min",
    "min_by",
    "mktime",
    "nan",
    "normals",
    "not",
    "nth",
    "null",
    "nulls",
    "numbers",
    "objects",
    "path",
    "paths",
    "pick",
    "pow",
    "log",
    "log10",
    "log2",
    "exp",
    "reverse",
    "rindex",
    "round",
    "rtrimstr",
    "rtrim",
    "scalars",
    "scan",
    "select",
    "setpath",
    "skip",
    "sort",
    "sort_by",
    "split",
    "splits",
    "sqrt",
    "startswith",
    "strftime",
    "strings",
    "strptime",
    "sub",
    "test",
    "to_entries",
    "toarray",
    "todate",
    "todateiso8601",
    "tojson",
    "tonumber",
    "tostring",
    "transpose",
    "trim",
    "trunc",
    "type",
    "unique",
    "unique_by",
    "utf8bytelength",
    "values",
    "with_entries",
];

/// What is asked for often and refused, with how to say the same thing.
const INSTEAD: [(&str, &str); 15] = [
    ("$ENV", "the environment is not shown to expressions; put what is needed into a property"),
    ("env", "the environment is not shown to expressions; put what is needed into a property"),
    ("now", "there is no clock: compare dates in a query, with a preset such as `lastWeek`"),
    ("input", "there is one input only: `.`"),
    ("inputs", "there is one input only: `.`"),
    ("debug", "evaluate it with `chandlery list KIND --jq EXPR` to look at it"),
    ("range", "go over what there is: `.[]`, `to_entries`"),
    ("recurse", "name the way: `.a.b`, or `paths`"),
    ("recurse_down", "name the way: `.a.b`, or `paths`"),
    ("walk", "name the way: `.a.b`, or `with_entries`"),
    ("repeat", "expressions must end: use `map`"),
    ("while", "expressions must end: use `map` and `select`"),
    ("until", "expressions must end: use `map` and `select`"),
    ("combinations", "expressions must stay small: use `map`"),
    ("ascii", "use `implode`"),
];

/// Why a program is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong, as it follows "the expression".
    pub message: String,
    /// How to say it otherwise.
    pub help: Option<String>,
    /// Where it stands in the text that was read.
    pub(super) at: Option<usize>,
}

impl Refusal {
    pub(super) fn new(message: impl Into<String>, help: Option<&str>) -> Self {
        Self { message: message.into(), help: help.map(str::to_owned), at: None }
    }

    /// At this word, which is a part of `text`.
    pub(super) fn at(self, text: &str, word: Option<&str>) -> Self {
        // A word that the reader made up itself stands nowhere.
        let start = |word: &str| (word.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        Self { at: word.and_then(start).filter(|at| *at <= text.len()), ..self }
    }

    /// With its place, as somebody counts who looks at what they wrote.
    pub(super) fn told(mut self, written: &str, read: &str) -> Self {
        if let Some(rest) = self.at.and_then(|at| read.get(at..)) {
            // Of texts in single quotes each double one was given a stroke, so the end is what they have in common.
            let character = written.chars().count().saturating_sub(rest.chars().count()) + 1;
            let near: String = rest.chars().take(30).collect();
            self.message = format!("{} (character {character}, `{near}`)", self.message);
        }
        self
    }
}

type Judged = Result<(), Refusal>;

/// A program that is looked at.
struct Guard<'a> {
    text: &'a str,
}

/// Whether a text is short and flat enough to be read: the reader calls itself for each bracket.
///
/// # Errors
/// Why not.
pub(super) fn check_text(text: &str) -> Judged {
    let divide = Some("divide it: calculations may use each other");
    if text.len() > LONGEST {
        return Err(Refusal::new(format!("is longer than {LONGEST} bytes"), divide));
    }
    let mut depth = 0_usize;
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Refusal::new("is nested too deeply", divide));
        }
    }
    Ok(())
}

/// Whether a program may be asked.
///
/// # Errors
/// Why not.
pub(super) fn check(term: &Term<&str>, text: &str) -> Judged {
    Guard { text }.term(term, 0)
}

/// What to say instead of a name that is not known.
pub(super) fn instead(name: &str) -> Option<&'static str> {
    INSTEAD.iter().find(|(refused, _)| *refused == name).map(|(_, instead)| *instead)
}

impl Guard<'_> {
    fn term(&self, term: &Term<&str>, depth: usize) -> Judged {
        if depth > DEEPEST {
            return Err(Refusal::new(
                "is nested too deeply",
                Some("divide it: calculations may use each other"),
            ));
        }
        let deeper = depth + 1;
        match term {
            Term::Id | Term::Num(_) => Ok(()),
            Term::Recurse => Err(refused("..", Some("name the way: `.a.b`, or `paths`"))),
            Term::Str(format, parts) => {
                if let Some(format) = format {
                    self.format(format)?;
                }
                parts.iter().try_for_each(|part| match part {
                    StrPart::Term(inner) => self.term(inner, deeper),
                    StrPart::Str(_) | StrPart::Char(_) => Ok(()),
                })
            }
            Term::Arr(inner) => inner.iter().try_for_each(|inner| self.term(inner, deeper)),
            Term::Obj(entries) => entries.iter().try_for_each(|(key, value)| {
                self.term(key, deeper)?;
                value.iter().try_for_each(|value| self.term(value, deeper))
            }),
            Term::Neg(inner) => self.term(inner, deeper),
            Term::BinOp(left, operator, right) => {
                self.operator(left, operator, right)?;
                self.term(left, deeper)?;
                self.term(right, deeper)
            }
            Term::Label(..) | Term::Break(_) => Err(refused("label", Some("use `first` or `limit`"))),
            Term::Fold(name, ..) => {
                let help = "use `add`, `map`, `group_by`, `min_by` and the like";
                Err(refused(name, Some(help)).at(self.text, Some(name)))
            }
            Term::TryCatch(inner, otherwise) => {
                self.term(inner, deeper)?;
                otherwise.iter().try_for_each(|inner| self.term(inner, deeper))
            }
            Term::IfThenElse(branches, otherwise) => {
                for (condition, then) in branches {
                    self.term(condition, deeper)?;
                    self.term(then, deeper)?;
                }
                otherwise.iter().try_for_each(|inner| self.term(inner, deeper))
            }
            Term::Def(..) => Err(refused("def", Some("write it out, or make it a calculation of its own"))),
            Term::Call(name, arguments) => {
                self.call(name)?;
                arguments.iter().try_for_each(|argument| self.term(argument, deeper))
            }
            Term::Var(name) if matches!(*name, "$ENV" | "$__prog_args" | "$__loc__") => {
                let help = "the environment is not shown to expressions";
                Err(refused(name, Some(help)).at(self.text, Some(name)))
            }
            Term::Var(_) => Ok(()),
            Term::Path(inner, path) => {
                self.term(inner, deeper)?;
                self.path(path, deeper)
            }
        }
    }

    fn path(&self, Path(parts): &Path<Term<&str>>, depth: usize) -> Judged {
        parts.iter().try_for_each(|(part, _)| match part {
            Part::Index(index) => self.term(index, depth),
            Part::Range(from, to) => from.iter().chain(to).try_for_each(|end| self.term(end, depth)),
        })
    }

    fn call(&self, name: &str) -> Judged {
        if let Some(format) = name.strip_prefix('@') {
            return self.format(format);
        }
        if ALLOWED.contains(&name) || matches!(name, "true" | "false") {
            return Ok(());
        }
        match instead(name) {
            Some(instead) => Err(refused(name, Some(instead)).at(self.text, Some(name))),
            None => {
                let near = crate::domain::nearest(name, ALLOWED);
                let help = near.map(|near| format!("did you mean `{near}`?"));
                let refusal =
                    Refusal::new(format!("calls `{name}`, which is not known here"), help.as_deref());
                Err(refusal.at(self.text, Some(name)))
            }
        }
    }

    fn format(&self, name: &str) -> Judged {
        let name = name.trim_start_matches('@');
        if ["text", "json", "html", "uri", "base64", "base64d", "csv", "tsv", "sh", "urid"].contains(&name) {
            return Ok(());
        }
        Err(Refusal::new(format!("uses `@{name}`, which is not known here"), None).at(self.text, Some(name)))
    }

    fn operator(&self, left: &Term<&str>, operator: &BinaryOp<&str>, right: &Term<&str>) -> Judged {
        let math = match operator {
            BinaryOp::Math(math) | BinaryOp::UpdateMath(math) => math,
            BinaryOp::Pipe(pattern) => return pattern.iter().try_for_each(|pattern| self.pattern(pattern)),
            BinaryOp::Comma
            | BinaryOp::Alt
            | BinaryOp::Or
            | BinaryOp::And
            | BinaryOp::Cmp(_)
            | BinaryOp::Assign
            | BinaryOp::Update
            | BinaryOp::UpdateAlt => return Ok(()),
        };
        match math {
            // A mapping times a mapping is both in one.
            Math::Mul if matches!(left, Term::Obj(_)) || matches!(right, Term::Obj(_)) => Ok(()),
            Math::Mul if is_number(left) && is_number(right) => Ok(()),
            Math::Mul if small(left).or(small(right)).is_some() => Ok(()),
            Math::Mul => Err(Refusal::new(
                "multiplies what may be a text, which would make a long one",
                Some("say that they are numbers: `(.a | tonumber) * (.b | tonumber)`"),
            )
            .at(self.text, start(left).or_else(|| start(right)))),
            Math::Add | Math::Sub | Math::Div | Math::Rem => Ok(()),
        }
    }

    fn pattern(&self, pattern: &Pattern<&str>) -> Judged {
        match pattern {
            Pattern::Var(_) => Ok(()),
            Pattern::Arr(inner) => inner.iter().try_for_each(|inner| self.pattern(inner)),
            Pattern::Obj(entries) => entries.iter().try_for_each(|(key, inner)| {
                self.term(key, 1)?;
                self.pattern(inner)
            }),
        }
    }
}

pub(super) fn refused(what: &str, instead: Option<&str>) -> Refusal {
    Refusal::new(format!("uses `{what}`, which is not allowed"), instead)
}

/// Whether a term gives numbers, or nothing, or fails: seen from the text alone.
pub(super) fn is_number(term: &Term<&str>) -> bool {
    let makes_numbers = [
        "tonumber",
        "length",
        "floor",
        "ceil",
        "round",
        "trunc",
        "sqrt",
        "fabs",
        "pow",
        "log",
        "log2",
        "log10",
        "exp",
        "fromdate",
        "fromdateiso8601",
        "mktime",
        "utf8bytelength",
    ];
    match term {
        Term::Num(_) => true,
        Term::Neg(_) => true,
        Term::Call(name, _) => makes_numbers.contains(name),
        Term::BinOp(_, BinaryOp::Pipe(_), last) => is_number(last),
        Term::BinOp(left, BinaryOp::Math(Math::Add | Math::Sub | Math::Div | Math::Rem), right) => {
            is_number(left) && is_number(right)
        }
        Term::BinOp(left, BinaryOp::Math(Math::Mul), right) => is_number(left) && is_number(right),
        Term::BinOp(left, BinaryOp::Alt, right) => is_number(left) && is_number(right),
        _ => false,
    }
}

/// The small number that a term is.
pub(super) fn small(term: &Term<&str>) -> Option<f64> {
    match term {
        Term::Num(number) => number.parse().ok().filter(|number: &f64| number.abs() <= SMALL),
        _ => None,
    }
}

/// The first word of a term, if it has one.
pub(super) fn start<'a>(term: &Term<&'a str>) -> Option<&'a str> {
    let in_path = |Path(parts): &Path<Term<&'a str>>| {
        parts.iter().find_map(|(part, _)| match part {
            Part::Index(index) => start(index),
            Part::Range(from, to) => from.iter().chain(to).find_map(start),
        })
    };
    match term {
        Term::Id | Term::Recurse => None,
        Term::Num(word)
        | Term::Var(word)
        | Term::Break(word)
        | Term::Label(word, _)
        | Term::Call(word, _)
        | Term::Fold(word, ..) => Some(word),
        Term::Str(_, parts) => parts.iter().find_map(|part| match part {
            StrPart::Str(word) => Some(*word),
            StrPart::Term(inner) => start(inner),
            StrPart::Char(_) => None,
        }),
        Term::Arr(inner) => inner.as_deref().and_then(start),
        Term::Obj(entries) => entries.iter().find_map(|(key, _)| start(key)),
        Term::Neg(inner) | Term::TryCatch(inner, _) => start(inner),
        Term::BinOp(left, _, right) => start(left).or_else(|| start(right)),
        Term::IfThenElse(branches, _) => {
            branches.iter().find_map(|(condition, then)| start(condition).or_else(|| start(then)))
        }
        Term::Def(_, inner) => start(inner),
        Term::Path(inner, path) => start(inner).or_else(|| in_path(path)),
    }
}
