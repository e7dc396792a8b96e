//! How is a program compiled and asked?

use std::{collections::BTreeSet, convert::Infallible, fmt, sync::Arc};

use jaq_core::{
    Compiler, Ctx, Error, Filter, Vars, data,
    load::{Arena, File, Loader, parse},
    native::{Fun, bome, run, v},
    unwrap_valr,
};
use jaq_json::{Num, Val, read::parse_single};
use serde::Deserialize;
use serde_json::Value;

use super::{
    bound::{Bound, bound},
    guard::{Refusal, check, check_text, instead, refused},
    names::{looks_at_all, names, ways},
};
use crate::domain::{Memo, whole_numbers};

/// Definitions of ours, after those of jaq.
const PRELUDE: &str = include_str!("prelude.jq");

/// The most values that one question gives; more are not taken.
const MOST: usize = 100_000;
/// How many compiled programs are kept.
const KEPT: usize = 10_000;
/// The largest input, in bytes of its texts and eight for each value. An entity is one file, which may have half of that.
const LARGEST: usize = 2 << 20;
/// How deep JSON inside a text may be nested: its reader calls itself for each bracket.
const DEEPEST: usize = 100;

/// A program that may be asked.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    filter: Arc<Filter<data::JustLut<Val>>>,
    bound: Option<Bound>,
    names: Arc<BTreeSet<String>>,
    ways: Arc<BTreeSet<Vec<String>>>,
    looks_at_all: bool,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

type Compiled = Result<Expression, Refusal>;

/// Who wrote a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Author {
    /// Somebody who wrote a file of the catalog.
    File,
    /// Who asks it, at their own shell.
    Shell,
}

impl Expression {
    /// The program of this text, from a file; compiled once for each text.
    ///
    /// # Errors
    /// Why it may not be asked.
    pub fn parse(text: &str) -> Compiled {
        static COMPILED: Memo<String, Compiled> = Memo::new(KEPT);

        let Ok(compiled) = COMPILED.get(text, || Ok::<_, Infallible>(compile(text, Author::File)));
        compiled
    }

    /// The program that somebody types at their own shell: it sees nothing but its input, and may take as long as they like.
    ///
    /// # Errors
    /// Why it may not be asked.
    pub fn typed(text: &str) -> Compiled {
        compile(text, Author::Shell)
    }

    /// What it makes at most; only what was typed has no bound.
    pub fn bound(&self) -> Option<&Bound> {
        self.bound.as_ref()
    }

    /// Everything that it answers to this input.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn all(&self, input: impl Into<Input>) -> Result<Vec<Value>, String> {
        let found = self.up_to(MOST + 1, input.into())?;
        if found.len() > MOST { Err(format!("it gives more than {MOST} values")) } else { Ok(found) }
    }

    /// The first thing that it answers; null if it answers nothing.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn first(&self, input: impl Into<Input>) -> Result<Value, String> {
        Ok(self.up_to(1, input.into())?.into_iter().next().unwrap_or(Value::Null))
    }

    fn up_to(&self, count: usize, input: Input) -> Result<Vec<Value>, String> {
        let Input { value, weight } = input;
        if self.bound.is_some() && weight > LARGEST {
            return Err(format!("what it is asked of has more than {} MiB", LARGEST >> 20));
        }
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let answers = self.filter.id.run((context, value?)).map(unwrap_valr).take(count);
        answers
            .map(|answer| {
                let answer = answer.map_err(|error| error.to_string())?;
                if matches!(&answer, Val::Num(Num::Float(number)) if !number.is_finite()) {
                    return Err(
                        "it gives no number that can be written, as after a division by zero".to_owned()
                    );
                }
                let answer = answer.to_string();
                // What JSON has no word for, such as an infinite number, is null, as jq prints it.
                // What was divided is 2 where it is whole, as jq prints it.
                Ok(whole_numbers(serde_json::from_str(&answer).unwrap_or(Value::Null)))
            })
            .collect()
    }

    /// Whether the first thing that it answers is neither false nor null.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn holds(&self, input: impl Into<Input>) -> Result<bool, String> {
        Ok(!matches!(self.first(input)?, Value::Null | Value::Bool(false)))
    }

    /// Whether it speaks of what is called so.
    pub fn mentions(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether it may look at all that the input or its properties hold, as `.properties | keys` does; else it only looks at
    /// what it mentions.
    pub fn looks_at_all(&self) -> bool {
        self.looks_at_all
    }

    /// The ways that it goes into its input, such as `properties` and `tier`. It may go others, too.
    pub fn ways(&self) -> &BTreeSet<Vec<String>> {
        &self.ways
    }
}

/// What programs are asked of, made ready once for all of them.
#[derive(Debug, Clone)]
pub struct Input {
    value: Result<Val, String>,
    weight: usize,
}

impl From<&Value> for Input {
    fn from(value: &Value) -> Self {
        Self { value: Val::deserialize(value).map_err(|error| error.to_string()), weight: weight(value) }
    }
}

impl From<&Self> for Input {
    fn from(input: &Self) -> Self {
        input.clone()
    }
}

fn weight(value: &Value) -> usize {
    8 + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(entries) => entries.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    }
}

fn compile(written: &str, author: Author) -> Compiled {
    check_text(written)?;
    let text = with_double_quotes(written);
    compile_text(&text, author).map_err(|refusal| refusal.told(written, &text))
}

fn compile_text(text: &str, author: Author) -> Compiled {
    let wrong =
        |what: &str| Refusal::new(format!("is not jq: {what}"), Some("try it with jq on the command line"));
    let tokens = jaq_core::load::Lexer::new(text).lex().map_err(|errors| {
        let (expected, rest) = &errors[0];
        wrong(&format!("{} is missing before `{}`", expected.as_str(), head(rest))).at(text, Some(rest))
    })?;
    let term = parse::Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = &errors[0];
        let at = found.map(|token| token.as_str());
        let found = at.map_or_else(|| "its end".to_owned(), |token| format!("`{}`", head(token)));
        wrong(&format!("{} is expected, and there is {found}", expected.as_str())).at(text, at)
    })?;
    let bound = match author {
        Author::File => {
            check(&term, text)?;
            Some(bound(&term, text)?)
        }
        Author::Shell => None,
    };
    let (names, ways, looks_at_all) = (Arc::new(names(&term)), Arc::new(ways(&term)), looks_at_all(&term));
    let arena = Arena::default();
    let outside = [
        "env",
        "now",
        "halt",
        "debug_empty",
        "stderr_empty",
        "input",
        "inputs",
        "input_line_number",
        "localtime",
        "strflocaltime",
        // Ours knows a limit.
        "fromjson",
    ];
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let defs = defs.filter(|def| !["debug", "stderr", "halt", "halt_error"].contains(&def.name));
    let ours = jaq_core::load::parse(PRELUDE, |parser| parser.defs()).expect("our own definitions are jq");
    let modules = Loader::new(defs.chain(ours))
        .load(&arena, File { code: text, path: () })
        .map_err(|_| wrong("it cannot be read"))?;
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let filter = Compiler::default()
        .with_funs(funs.filter(|(name, ..)| !outside.contains(name)).chain([from_json()]))
        .compile(modules)
        .map_err(|errors| {
            let found: Vec<&str> =
                errors.iter().flat_map(|(_, found)| found).map(|(name, _)| *name).collect();
            if let Some(refusal) = found.iter().find_map(|name| Some(refused(name, Some(instead(name)?)))) {
                return refusal;
            }
            let names: Vec<String> = found.iter().map(|name| format!("`{name}`")).collect();
            wrong(&format!("{} is not known, or has other arguments", names.join(", ")))
        })?;
    Ok(Expression { text: text.into(), filter: Arc::new(filter), bound, names, ways, looks_at_all })
}

/// One value from a text of JSON.
fn from_json() -> Fun<data::JustLut<Val>> {
    run(("fromjson", v(0), |cv| {
        let read = |value: Val| {
            let text = value.try_as_utf8_bytes_owned()?;
            if is_deep(&text) {
                return Err(Error::str("this JSON is nested too deeply"));
            }
            parse_single(&text)
                .map_err(|error| Error::str(format_args!("cannot parse {value} as JSON: {error}")))
        };
        bome(read(cv.1))
    }))
}

/// Brackets in texts are counted, too: nobody has so many that never close.
fn is_deep(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    json.iter().any(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEEPEST
    })
}

fn head(text: &str) -> String {
    text.chars().take(20).collect()
}

/// Port's jq has texts in single quotes, too.
fn with_double_quotes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote: Option<char> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                out.push('"');
            }
            (Some(open), c) if c == open => {
                quote = None;
                out.push('"');
            }
            (Some('\''), '"') => out.push_str("\\\""),
            (Some(_), '\\') => {
                out.push('\\');
                out.extend(chars.next());
            }
            (_, c) => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(text: &str, input: &Value) -> Result<Value, String> {
        Expression::parse(text).map_err(|refusal| refusal.message)?.first(input)
    }

    #[test]
    fn people_ask_what_they_know_from_jq() {
        let service = json!({
            "identifier": "checkout",
            "properties": { "tier": "gold", "replicas": 3, "tags": ["web", "grpc"], "cost": "2.5" },
            "relations": { "runs_in": ["prod", "staging"] },
        });
        for (text, answer) in [
            (".identifier", json!("checkout")),
            ("\"https://\" + .identifier + \".acme.test\"", json!("https://checkout.acme.test")),
            ("'https://' + .identifier", json!("https://checkout")),
            (".properties.'tier'", json!("gold")),
            (".properties.tags | map(ascii_upcase) | join(\"-\")", json!("WEB-GRPC")),
            ("if .properties.replicas > 2 then \"big\" else \"small\" end", json!("big")),
            ("(.properties.replicas | tonumber) * (.properties.cost | tonumber)", json!(7.5)),
            (".properties.replicas * 2", json!(6)),
            (".relations.runs_in | length", json!(2)),
            (
                "[.properties | to_entries[] | select(.value | type == \"string\") | .key] | sort",
                json!(["cost", "tier"]),
            ),
            (".properties.missing // \"none\"", json!("none")),
            (".properties.tags | any(. == \"grpc\")", json!(true)),
            (".identifier | test(\"^check\")", json!(true)),
            ("\"\\(.identifier) has \\(.properties.replicas)\"", json!("checkout has 3")),
            ("empty", Value::Null),
        ] {
            assert_eq!(ask(text, &service), Ok(answer), "{text}");
        }
        assert!(ask(".identifier + 1", &service).is_err());
        assert!(ask("1 / 0", &service).is_err() && ask("nan", &service).is_err());
        assert_eq!(ask("infinite > 1", &service), Ok(json!(true)));
    }

    #[test]
    fn what_could_go_on_for_ever_or_look_outside_is_refused() {
        for (text, words) in [
            ("env.PATH", "uses `env`"),
            ("\"\\(env)\"", "uses `env`"),
            ("$ENV.PATH", "uses `$ENV`"),
            ("def f: f; f", "uses `def`"),
            ("[repeat(1)]", "uses `repeat`"),
            ("last(range(1e12))", "uses `range`"),
            ("reduce .[] as $x (\"a\"; . + .)", "uses `reduce`"),
            ("..", "uses `..`"),
            ("\"x\" * 100000000", "multiplies what may be a text"),
            (".a * .b", "multiplies what may be a text"),
            ("input", "uses `input`"),
            ("now", "uses `now`"),
            ("asci_downcase", "calls `asci_downcase`"),
            ("import \"x\" as x; 1", "is not jq"),
            (".a |", "is not jq"),
            (".a ]", "is not jq"),
            ("map(", "is not jq"),
            ("map", "other arguments than it takes"),
        ] {
            let refusal = Expression::parse(text).unwrap_err();
            assert!(refusal.message.contains(words), "{text}: {refusal:?}");
        }
        assert!(Expression::parse(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_err());
        assert!(Expression::parse(&"[".repeat(3_000)).is_err());
    }

    #[test]
    fn what_makes_much_of_little_is_refused_where_it_does() {
        let again = |step: &str, times: usize| vec![step; times].join(" | ");
        for (text, words) in [
            (again("map(., .)", 40), "its steps multiply"),
            (again(". + .", 40), "its steps multiply"),
            (again("[.[], .[]]", 40), "its steps multiply"),
            (again("gsub(\"a\"; \"aaaaaaaaaa\")", 20), "its steps multiply"),
            (again("gsub(\"\"; \"\\(.)\")", 20), "its steps multiply"),
            (again("tojson", 40), "its steps multiply"),
            (again("explode | tostring", 20), "its steps multiply"),
            (again("join(\"0123456789\") | explode", 20), "its steps multiply"),
            (again("@uri", 20), "its steps multiply"),
            (again(". * 100", 20), "its steps multiply"),
            (again("{a: ., b: .}", 40), "its steps multiply"),
            (again(".a |= [., .]", 40), "its steps multiply"),
            (again(". as $x | [$x, $x]", 22), "its steps multiply"),
            (again(".[] as $x", 5) + " | $x", "more than 3 deep"),
            ("[.[] | [.]] | ".to_owned() + &again("transpose", 4), "4th power of its input"),
            ("gsub(\"a\"; \"x\", \"y\")".to_owned(), "several values where one is wanted"),
            ("(.a, .a) |= . + .".to_owned(), "not seen to be different"),
            ("(.b[] as $x | .a) |= . + .".to_owned(), "not seen to be different"),
            (".a[0, 0] |= . + .".to_owned(), "several values where one is wanted"),
        ] {
            let refusal = Expression::parse(&text).map(|one| one.bound).unwrap_err();
            assert!(refusal.message.contains(words), "{text}: {refusal:?}");
            assert!(refusal.help.is_some(), "{text}");
            assert!(Expression::typed(&text).is_ok(), "{text}");
        }
        let refusal = Expression::parse(".title | 'a \"b\"' + ascii").unwrap_err();
        assert_eq!(refusal.message, "uses `ascii`, which is not allowed (character 20, `ascii`)");
    }

    #[test]
    fn whoever_types_may_repeat_but_not_look_outside() {
        for text in
            ["reduce .[] as $x (0; . + $x)", "def f: 1; f", "[range(3)]", "..", "[limit(3; repeat(1))]"]
        {
            assert!(Expression::typed(text).unwrap().all(&json!([1, 2])).is_ok(), "{text}");
        }
        for text in ["env", "$ENV", "now", "input", "debug", "halt", "\"\\(env)\"", "import \"x\" as x; 1"] {
            assert!(Expression::typed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_input_may_be_neither_too_large_nor_a_trap() {
        let brackets = json!("[".repeat(1_000_000));
        assert!(ask("fromjson", &brackets).unwrap_err().contains("nested too deeply"));
        assert!(ask("tonumber", &brackets).unwrap_err().contains("nested too deeply"));
        assert_eq!(ask("fromjson | .a", &json!("{\"a\": [1]}")), Ok(json!([1])));
        assert!(ask("length", &json!("x".repeat(LARGEST))).unwrap_err().contains("more than 2 MiB"));
    }
}
