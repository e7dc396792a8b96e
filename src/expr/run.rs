//! How is a program compiled and asked?

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, RwLock},
};

use jaq_core::{
    Compiler, Ctx, Filter, Vars, data,
    load::{Arena, File, Loader, parse},
    unwrap_valr,
};
use jaq_json::{Num, Val};
use serde_json::Value;

use super::guard::{Refusal, check, check_text};

/// Definitions of ours, after those of jaq.
const PRELUDE: &str = include_str!("prelude.jq");

/// The most values that one question gives; more are not taken.
const MOST: usize = 100_000;
/// How many compiled programs are kept.
const KEPT: usize = 10_000;

/// A program that may be asked.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    filter: Arc<Filter<data::JustLut<Val>>>,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

type Compiled = Result<Expression, Refusal>;

impl Expression {
    /// The program of this text; compiled once for each text.
    ///
    /// # Errors
    /// Why it may not be asked.
    pub fn parse(text: &str) -> Compiled {
        static COMPILED: LazyLock<RwLock<HashMap<String, Compiled>>> = LazyLock::new(RwLock::default);

        if let Ok(kept) = COMPILED.read()
            && let Some(compiled) = kept.get(text)
        {
            return compiled.clone();
        }
        let compiled = compile(text);
        if let Ok(mut kept) = COMPILED.write() {
            if kept.len() >= KEPT {
                kept.clear();
            }
            kept.insert(text.to_owned(), compiled.clone());
        }
        compiled
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Everything that it answers to this input.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn all(&self, input: &Value) -> Result<Vec<Value>, String> {
        let input: Val = serde_json::from_value(input.clone()).map_err(|error| error.to_string())?;
        let context = Ctx::<data::JustLut<Val>>::new(&self.filter.lut, Vars::new([]));
        let mut found = Vec::new();
        for answer in self.filter.id.run((context, input)).map(unwrap_valr) {
            if found.len() == MOST {
                return Err(format!("it gives more than {MOST} values"));
            }
            let answer = answer.map_err(|error| error.to_string())?;
            if matches!(&answer, Val::Num(Num::Float(number)) if !number.is_finite()) {
                return Err("it gives no number that can be written, as after a division by zero".to_owned());
            }
            let answer = answer.to_string();
            // What JSON has no word for, such as an infinite number, is null, as jq prints it.
            found.push(serde_json::from_str(&answer).unwrap_or(Value::Null));
        }
        Ok(found)
    }

    /// The first thing that it answers; null if it answers nothing.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn first(&self, input: &Value) -> Result<Value, String> {
        Ok(self.all(input)?.into_iter().next().unwrap_or(Value::Null))
    }

    /// Whether the first thing that it answers is neither false nor null.
    ///
    /// # Errors
    /// What jq says is wrong.
    pub fn holds(&self, input: &Value) -> Result<bool, String> {
        Ok(!matches!(self.first(input)?, Value::Null | Value::Bool(false)))
    }

    /// Whether a word stands in it, as a name on a path or as text.
    pub fn mentions(&self, word: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || "_-@=$".contains(c);
        self.text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&self.text[..at], &self.text[at + word.len()..]);
            !before.ends_with(is_part) && !after.starts_with(is_part)
        })
    }
}

fn compile(text: &str) -> Compiled {
    check_text(text)?;
    let text = with_double_quotes(text);
    let wrong =
        |what: &str| Refusal::new(format!("is not jq: {what}"), Some("try it with jq on the command line"));
    let tokens = jaq_core::load::Lexer::new(&text).lex().map_err(|errors| {
        let (expected, rest) = &errors[0];
        wrong(&format!("{} is missing before `{}`", expected.as_str(), head(rest)))
    })?;
    let term = parse::Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let (expected, found) = &errors[0];
        let found = found.map_or_else(|| "its end".to_owned(), |token| format!("`{}`", head(token.as_str())));
        wrong(&format!("{} is expected, and there is {found}", expected.as_str()))
    })?;
    check(&term)?;
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
    ];
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let defs = defs.filter(|def| !["debug", "stderr", "halt", "halt_error"].contains(&def.name));
    let ours = jaq_core::load::parse(PRELUDE, |parser| parser.defs()).expect("our own definitions are jq");
    let modules = Loader::new(defs.chain(ours))
        .load(&arena, File { code: text.as_str(), path: () })
        .map_err(|_| wrong("it cannot be read"))?;
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let filter = Compiler::default()
        .with_funs(funs.filter(|(name, ..)| !outside.contains(name)))
        .compile(modules)
        .map_err(|errors| {
            let names: Vec<String> =
                errors.iter().flat_map(|(_, found)| found).map(|(name, _)| format!("`{name}`")).collect();
            wrong(&format!("{} is not known, or has other arguments", names.join(", ")))
        })?;
    Ok(Expression { text: text.into(), filter: Arc::new(filter) })
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
            ("map", "is not known, or has other arguments"),
        ] {
            let refusal = Expression::parse(text).unwrap_err();
            assert!(refusal.message.contains(words), "{text}: {refusal:?}");
        }
        assert!(Expression::parse(&["."; 30].join("+")).unwrap_err().message.contains("sums"));
        assert!(Expression::parse(&format!("{}1{}", "[".repeat(100), "]".repeat(100))).is_err());
        assert!(Expression::parse(&"[".repeat(3_000)).is_err());
    }

    #[test]
    fn names_are_found_whole() {
        let expression = Expression::parse(".properties.url + \"x\"").unwrap();
        assert!(expression.mentions("url") && !expression.mentions("ur") && !expression.mentions("prop"));
    }
}
