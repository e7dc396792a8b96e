//! Which inputs can be made up for an action? Values that its form may let through, with everything in them that
//! breaks out of files; the same ones each time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    catalog::values::check_value,
    domain::{Action, BlueprintId, Format, Identifier, Property, PropertyType},
};

/// How many values are tried for an input whose limits are narrow.
const TRIES: usize = 60;

/// What breaks out of something, in one language or another.
const NASTY: [&str; 36] = [
    "a: b",
    "x\nadmin: true",
    " # not a comment",
    "it's",
    "say \"hi\"",
    "back\\slash",
    "${var.secret}",
    "$${x}",
    "%{ if true }",
    "{{ inputs.name }}",
    "{% raw %}",
    "{# x #}",
    "${{ github.token }}",
    "&anchor",
    "*alias",
    "!!python/object",
    "- item",
    "? key",
    "| text",
    "> text",
    "yes",
    "null",
    "~",
    "1e3",
    "012",
    "2026-01-01",
    "\"\nadmin = true\nx = \"",
    "EOT\n",
    "*/",
    "$(id)",
    "`id`",
    "; rm -rf x",
    "Größe 🧀",
    "\u{2028}",
    "../../etc/passwd",
    "a/b",
];
const PLAIN: [&str; 12] = [
    "pay",
    "checkout",
    "a1",
    "shop-cart",
    "x-y-z",
    "Pay",
    "v1.2.3",
    "eu-central-1",
    "abc123",
    "team_a",
    "9lives",
    "a",
];

/// Chance that is the same each time (SplitMix64).
pub(super) struct Chance(u64);

impl Chance {
    /// As good as any other, and always the same for the same text.
    pub(super) fn of(text: &str) -> Self {
        // FNV-1a.
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { of.get(self.below(of.len())) }
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// Makes inputs up.
pub(super) struct Maker<'a> {
    pub(super) action: &'a Action,
    /// The entities that there are, by blueprint.
    pub(super) known: &'a BTreeMap<BlueprintId, Vec<Identifier>>,
}

impl Maker<'_> {
    /// Inputs like those of an example, some of them made up.
    pub(super) fn inputs(&self, example: &Map<String, Value>, chance: &mut Chance) -> Map<String, Value> {
        let mut inputs = example.clone();
        for (name, property) in &self.action.inputs {
            let is_required = self.action.required.contains(name);
            match (example.contains_key(name), is_required) {
                // What is given stays mostly, as the others may depend on it.
                (true, _) if chance.one_in(2) => {}
                (_, false) if chance.one_in(3) => drop(inputs.shift_remove(name)),
                (false, false) if chance.one_in(2) => {}
                _ => {
                    if let Some(value) = self.value(property, chance) {
                        inputs.insert(name.clone(), value);
                    }
                }
            }
        }
        inputs
    }

    /// Takes back what was made up of the inputs that a form refuses: they become as in the example, or go, or come where they
    /// are missing. Whether anything changed.
    pub(super) fn makes_milder(
        &self,
        inputs: &mut Map<String, Value>,
        example: &Map<String, Value>,
        refused: &BTreeSet<String>,
        chance: &mut Chance,
    ) -> bool {
        let before = inputs.clone();
        for name in refused {
            match (inputs.get(name), example.get(name)) {
                (Some(value), Some(usual)) if value != usual => {
                    drop(inputs.insert(name.clone(), usual.clone()));
                }
                (Some(_), _) => drop(inputs.shift_remove(name)),
                (None, Some(usual)) => drop(inputs.insert(name.clone(), usual.clone())),
                (None, None) => {
                    let value = self.action.input(name).and_then(|property| self.value(property, chance));
                    inputs.extend(value.map(|value| (name.clone(), value)));
                }
            }
        }
        *inputs != before
    }

    /// A value that the definition of the input allows, if one is found.
    fn value(&self, property: &Property, chance: &mut Chance) -> Option<Value> {
        (0..TRIES).find_map(|_| {
            let value = self.candidate(property, chance)?;
            check_value(property, &value).is_empty().then_some(value)
        })
    }

    fn candidate(&self, property: &Property, chance: &mut Chance) -> Option<Value> {
        if !property.choices.is_empty() {
            return chance.pick(&property.choices).cloned();
        }
        let limit = |name: &str| property.keywords.get(name).and_then(Value::as_f64);
        Some(match property.kind {
            PropertyType::Boolean => Value::Bool(chance.one_in(2)),
            PropertyType::Number => number(&limit, chance),
            PropertyType::String => self.text(property, chance)?.into(),
            PropertyType::Array => {
                let most = limit("maxItems").map_or(3, |most| most.clamp(0.0, 5.0) as usize);
                let least = limit("minItems").map_or(0, |least| least.clamp(0.0, 5.0) as usize);
                let count = least + chance.below(most.saturating_sub(least) + 1);
                let mut items = Vec::new();
                for _ in 0..count {
                    let item = match &property.items {
                        Some(items) => self.value(items, chance)?,
                        None => text(chance).into(),
                    };
                    if !items.contains(&item) {
                        items.push(item);
                    }
                }
                Value::Array(items)
            }
            PropertyType::Object if property.format == Some(Format::LabeledUrl) => {
                json!({ "url": "https://acme.example/a?b=c#d", "displayText": text(chance) })
            }
            PropertyType::Object => {
                let count = chance.below(3);
                (0..count).map(|_| (text(chance), Value::from(text(chance)))).collect()
            }
        })
    }

    fn text(&self, property: &Property, chance: &mut Chance) -> Option<String> {
        let blueprint = match property.format {
            Some(Format::User) => "_user".parse().ok(),
            Some(Format::Team) => "_team".parse().ok(),
            Some(Format::Entity) => property.blueprint.clone(),
            _ => None,
        };
        if let Some(blueprint) = blueprint {
            let known = self.known.get(&blueprint)?;
            return chance.pick(known).map(|identifier| identifier.as_str().to_owned());
        }
        let of_format: &[&str] = match property.format {
            Some(Format::Url) => &["https://acme.example/a?b=c&d=%20#e", "http://x.test/'quoted'"],
            Some(Format::Email | Format::IdnEmail) => &["ada@acme.example", "o'hara+x@acme.example"],
            Some(Format::DateTime | Format::Timer) => &["2027-06-30T18:00:00Z", "2028-02-29T00:00:00+02:00"],
            Some(Format::Ipv4) => &["10.0.0.1", "192.168.255.254"],
            Some(Format::Ipv6) => &["::1", "2001:db8::8a2e:370:7334"],
            Some(Format::Duration) => &["12h", "7d", "P7D"],
            Some(Format::Blueprints) => &["_user", "_team"],
            Some(Format::Yaml) => &["a: 1\n", "- x\n- \"y: z\"\n", "a: |\n  {{ x }}\n"],
            _ => &[],
        };
        if let Some(text) = chance.pick(of_format) {
            return Some((*text).to_owned());
        }
        let mut text = text(chance);
        let limit = |name: &str| property.keywords.get(name).and_then(Value::as_u64);
        // What is too short is made longer, since narrow limits are rarely met by chance.
        while limit("minLength").is_some_and(|least| (text.chars().count() as u64) < least) {
            text = if chance.one_in(2) { format!("{text}a") } else { format!("{text}{text}a") };
        }
        if let Some(most) = limit("maxLength").and_then(|most| usize::try_from(most).ok()) {
            text = text.chars().take(most).collect();
        }
        Some(text)
    }
}

fn number(limit: &dyn Fn(&str) -> Option<f64>, chance: &mut Chance) -> Value {
    let least =
        limit("minimum").or_else(|| limit("exclusiveMinimum").map(|least| least + 1.0)).unwrap_or(-5.0);
    let most = limit("maximum")
        .or_else(|| limit("exclusiveMaximum").map(|most| most - 1.0))
        .unwrap_or(least + 1000.0);
    let step = limit("multipleOf").unwrap_or(if chance.one_in(3) { 0.5 } else { 1.0 });
    let number = match chance.below(4) {
        0 => least,
        1 => most,
        _ => least + (most - least) * (chance.below(1001) as f64 / 1000.0),
    };
    let number = (number / step).round() * step;
    if number.fract() == 0.0 && number.abs() < 9e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

fn text(chance: &mut Chance) -> String {
    let mut text = String::new();
    if !chance.one_in(3) {
        text.push_str(chance.pick(&PLAIN).copied().unwrap_or_default());
    }
    if chance.one_in(2) {
        text.push_str(chance.pick(&NASTY).copied().unwrap_or_default());
    }
    if chance.one_in(6) {
        text.push_str(chance.pick(&NASTY).copied().unwrap_or_default());
    }
    text
}
