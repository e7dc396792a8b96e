//! What does each function give at most?

use jaq_core::load::{lex::StrPart, parse::Term};

use super::{Given, Judged, Measured, NUMBER, as_json, joined, length};
use crate::expr::{
    amount::{Amount, Flow, Size},
    guard::{Refusal, start},
};

impl<'a> Measured<'a> {
    pub(super) fn call(
        &mut self,
        name: &'a str,
        arguments: &[Term<&'a str>],
        given: Given<'_>,
        call: &Term<&'a str>,
    ) -> Judged {
        let fixed = |flow: &Flow, bytes: f64| Flow {
            whole: Size::plain(bytes) * flow.each,
            all: Size::plain(bytes) * flow.count,
            most: Size::plain(bytes),
            ..*flow
        };
        let same = Flow::same(given);
        Ok(match (name, arguments) {
            ("empty", []) => Flow::none(),
            ("error", arguments) => {
                self.chosen(arguments, given)?;
                Flow::none()
            }
            (
                "null" | "true" | "false" | "not" | "type" | "nan" | "infinite" | "isnan" | "isinfinite"
                | "isnormal" | "any" | "all",
                [],
            ) => fixed(&same, 16.0),
            (
                "length" | "utf8bytelength" | "floor" | "ceil" | "round" | "trunc" | "sqrt" | "fabs" | "log"
                | "log2" | "log10" | "exp" | "fromdate" | "fromdateiso8601" | "todate" | "todateiso8601"
                | "mktime",
                [],
            ) => {
                // The length of a number is the number.
                same.text(1.0, NUMBER)
            }
            ("gmtime", []) => same
                .grown(1.0, 1.0, 200.0)
                .with(&Flow::one(given, Size { items: Amount::fixed(8.0), bytes: Amount::fixed(0.0) })),
            ("abs" | "add", []) => same.grown(1.0, 1.0, NUMBER),
            (
                "first" | "last" | "min" | "max" | "sort" | "unique" | "reverse" | "flatten" | "trim"
                | "ltrim" | "rtrim" | "ascii_downcase" | "ascii_upcase" | "values" | "nulls" | "booleans"
                | "numbers" | "strings" | "arrays" | "objects" | "scalars" | "iterables" | "finites"
                | "normals" | "tonumber" | "toarray",
                [],
            ) => same.grown(1.0, 1.0, 8.0),
            ("keys" | "keys_unsorted", []) => same.grown(1.0, 8.0, 8.0),
            ("to_entries", []) => entries(&same),
            ("from_entries", []) => from_entries(&same),
            ("tojson" | "tostring", []) => same.text(2.0, 8.0),
            ("fromjson", []) => {
                let read = same.grown(1.0, 4.0, 8.0);
                let inside = |size: Size| Size { items: size.bytes, ..size };
                Flow { most: inside(read.most), all: inside(read.all), whole: inside(read.whole), ..read }
            }
            ("explode", []) => {
                let codes = same.grown(1.0, 6.0, 8.0);
                let inside = |size: Size| Size { items: size.bytes, ..size };
                Flow { most: inside(codes.most), all: inside(codes.all), whole: inside(codes.whole), ..codes }
            }
            ("implode", []) => same.text(6.0, 8.0),
            (format, []) if format.starts_with('@') => same.text(8.0, 16.0),
            ("transpose", []) => {
                let square = |size: Size| size.items * size.items;
                let made = square(same.most);
                let cells = Size { items: made, bytes: made * 5.0 } + same.most + Size::plain(8.0);
                Flow::one(given, cells)
            }
            ("paths", []) => {
                let nodes = same.parts();
                Flow::of(nodes.count, nodes.each, same.most.max(same.grown(1.0, 6.0, 8.0).most))
            }
            ("paths", [condition]) => {
                let nodes = Flow::of(same.all.items, same.whole.items, same.most).tight();
                let chosen = nodes.repeated(&self.term(condition, &nodes)?);
                let nodes = Flow { each: chosen.each * same.whole.items, ..chosen };
                Flow::of(nodes.count, nodes.each, same.grown(1.0, 6.0, 8.0).most)
            }
            ("map", [inner]) => self.then(&same.parts(), inner)?.listed(given),
            ("map_values", [inner]) => joined(&same, &self.then(&same.parts(), inner)?),
            ("select", [condition]) => {
                let asked = self.term(condition, given)?;
                same.repeated(&asked)
            }
            ("with_entries", [inner]) => {
                let given = entries(&same);
                let changed = self.then(&given.parts(), inner)?.listed(&given);
                from_entries(&changed)
            }
            ("sort_by" | "group_by" | "min_by" | "max_by" | "unique_by", [key]) => {
                self.then(&same.parts(), key)?;
                let parts = same.parts();
                let groups = Size { items: parts.each, bytes: parts.each * 3.0 } + Size::plain(8.0);
                same.with(&Flow::one(given, groups))
            }
            ("any" | "all", [condition]) => {
                self.then(&same.parts(), condition)?;
                fixed(&same, 6.0)
            }
            ("any" | "all", [from, condition]) => {
                let from = self.term(from, given)?;
                self.then(&from, condition)?;
                fixed(&same, 6.0)
            }
            ("isempty" | "isvalid", [inner]) => {
                self.term(inner, given)?;
                fixed(&same, 6.0)
            }
            ("first" | "last", [inner]) => only_one(&self.term(inner, given)?, given),
            ("limit", [count, inner]) => {
                let (again, _) = self.chosen(std::slice::from_ref(count), given)?;
                let flow = self.then(&again, inner)?;
                match count {
                    Term::Num(number) => match number.parse::<f64>() {
                        Ok(most) if most >= 0.0 => {
                            let most = Amount::fixed(most);
                            Flow {
                                count: flow.count.min(given.count * most),
                                each: flow.each.min(most),
                                ..flow
                            }
                        }
                        _ => flow,
                    },
                    _ => flow,
                }
            }
            ("skip", [count, inner]) => {
                let (again, _) = self.chosen(std::slice::from_ref(count), given)?;
                self.then(&again, inner)?
            }
            ("nth", [count, inner]) => {
                let (again, _) = self.chosen(std::slice::from_ref(count), given)?;
                let inner = self.term(inner, &again)?;
                again.then(&only_one(&inner, &again))
            }
            ("nth" | "flatten" | "ltrimstr" | "rtrimstr", arguments @ [_]) => {
                self.chosen(arguments, given)?.0.grown(1.0, 1.0, 8.0)
            }
            (
                "has" | "in" | "inside" | "contains" | "startswith" | "endswith" | "index" | "rindex",
                arguments @ [_],
            )
            | ("test", arguments @ ([_] | [_, _])) => fixed(&self.chosen(arguments, given)?.0, 16.0),
            ("pow", arguments @ [_, _]) => fixed(&self.chosen(arguments, given)?.0, NUMBER),
            ("strptime", arguments @ [_]) => {
                let again = self.chosen(arguments, given)?.0;
                Flow::of(
                    again.count,
                    again.each,
                    Size { items: Amount::fixed(9.0), bytes: Amount::fixed(200.0) },
                )
            }
            ("strftime", arguments @ [_]) => {
                // One sign of a format writes at most 255 bytes, and has at least three where it says so.
                let (again, format) = self.chosen(arguments, given)?;
                Flow::of(
                    again.count,
                    again.each,
                    Size { items: Amount::fixed(1.0), bytes: format.bytes * 100.0 + Amount::fixed(64.0) },
                )
            }
            ("indices", arguments @ [_]) => {
                let found = self.chosen(arguments, given)?.0.grown(1.0, 10.0, 8.0);
                let inside = |size: Size| Size { items: size.bytes, ..size };
                Flow { most: inside(found.most), all: inside(found.all), whole: inside(found.whole), ..found }
            }
            ("join", arguments @ [_]) => {
                let (again, between) = self.chosen(arguments, given)?;
                let text = again.text(2.0, 8.0);
                let more = |items: Amount| Size { items: Amount::fixed(0.0), bytes: items * between.bytes };
                Flow {
                    most: text.most + more(again.most.items),
                    all: text.all + more(again.all.items),
                    whole: text.whole + more(again.whole.items),
                    ..text
                }
            }
            ("split", arguments @ ([_] | [_, _])) => pieces(&self.chosen(arguments, given)?.0),
            ("splits", arguments @ ([_] | [_, _])) => pieces(&self.chosen(arguments, given)?.0).parts(),
            ("scan" | "match" | "capture", arguments @ ([_] | [_, _])) => {
                let (again, sizes) = self.chosen(arguments, given)?;
                // Offset, length, text and name of each group.
                again.then(&matches(&again, &arguments[0], sizes, 128.0))
            }
            ("sub" | "gsub", [regex, replacement, flags @ ..]) if flags.len() < 2 => {
                let (again, sizes) = self.chosen(std::slice::from_ref(regex), given)?;
                for flags in flags {
                    self.single(flags, given)?;
                }
                // A mapping of the named groups.
                let found = matches(&again, regex, sizes, 16.0);
                // Several replacements of each match would give all texts that can be made of them.
                let put = self.single(replacement, &found)?;
                let put = match written(replacement) {
                    Some(bytes) => Flow::of(found.count, found.each, Size::plain(bytes)),
                    None => found.then(&put),
                };
                // One text for each input, even where there is no regular expression to look for.
                let text = again.text(1.0, 8.0);
                let sized = |bytes: Amount, count: Amount| Size { items: count, bytes: bytes + count * 3.0 };
                let one = Amount::fixed(1.0);
                let most = sized(text.whole.bytes + put.whole.bytes * again.each, one);
                let all = sized(text.all.bytes + put.all.bytes, given.count);
                Flow { count: given.count, each: one, most, all, whole: most }
            }
            ("getpath", arguments @ [_]) => self.chosen(arguments, given)?.0.grown(1.0, 10.0, 8.0),
            ("setpath", [path, value]) => {
                let (path, value) = (self.term(path, given)?, self.term(value, given)?);
                same.with(&path).with(&value).grown(1.0, 1.0, 8.0)
            }
            ("delpaths", arguments @ [_]) => self.chosen(arguments, given)?.0,
            ("del", [places]) => {
                self.places(places, given, true)?;
                same
            }
            ("pick" | "path", [places]) => {
                let found = self.places(places, given, true)?;
                // The way to a value: keys that are there, those written here, and those computed here.
                let way = same.most
                    + Size { items: Amount::fixed(1.0), bytes: Amount::fixed(6.0) }
                        * Amount::fixed(length(self.text))
                    + self.largest;
                let ways = Flow::of(found.count, found.each, way);
                if name == "path" {
                    ways
                } else {
                    ways.with(&Flow { each: Amount::fixed(1.0), ..found }).and(&found).listed(given)
                }
            }
            _ => {
                let message = format!("gives `{name}` other arguments than it takes");
                return Err(
                    Refusal::new(message, Some("look it up in the manual of jq")).at(self.text, start(call))
                );
            }
        })
    }
}

/// At most one for each that is given.
fn only_one(flow: &Flow, given: &Flow) -> Flow {
    let one = Flow { count: flow.count.min(given.count), each: flow.each.min(Amount::fixed(1.0)), ..*flow };
    one.tight()
}

/// Each part as a mapping of its key and value.
fn entries(flow: &Flow) -> Flow {
    let more = |size: Size| Size {
        items: size.items * 4.0 + Amount::fixed(1.0),
        bytes: size.bytes * 2.0 + size.items * 40.0 + Amount::fixed(8.0),
    };
    Flow {
        most: more(flow.most),
        all: more(flow.all) + Size::plain(8.0) * flow.count,
        whole: more(flow.whole) + Size::plain(8.0) * flow.each,
        ..*flow
    }
}

fn from_entries(flow: &Flow) -> Flow {
    let more = |size: Size| Size {
        items: size.items * 2.0,
        bytes: size.bytes * 2.0 + size.items * 16.0 + Amount::fixed(8.0),
    };
    Flow {
        most: more(flow.most),
        all: more(flow.all) + Size::plain(8.0) * flow.count,
        whole: more(flow.whole) + Size::plain(8.0) * flow.each,
        ..*flow
    }
}

/// Texts cut into pieces, which may be single letters.
fn pieces(flow: &Flow) -> Flow {
    let cut = |size: Size, count: Amount| Size {
        items: size.bytes + count * 3.0,
        bytes: size.bytes * 4.0 + count * 12.0,
    };
    Flow {
        most: cut(flow.most, Amount::fixed(1.0)),
        all: cut(flow.all, flow.count),
        whole: cut(flow.whole, flow.each),
        ..*flow
    }
}

/// The matches of a regular expression: at most one at each byte and one at the end, none in another. `told` is what is
/// said of each group besides its text and its name.
fn matches(given: &Flow, regex: &Term<&str>, size: Size, told: f64) -> Flow {
    let one = Amount::fixed(1.0);
    let names = |text: &str| -> f64 {
        text.split('<').skip(1).filter_map(|rest| rest.split('>').next()).map(length).sum()
    };
    let (groups, names) = match regex {
        Term::Str(None, parts) if !parts.iter().any(|part| matches!(part, StrPart::Term(_))) => {
            let text: String =
                parts.iter().map(|part| if let StrPart::Str(text) = part { text } else { "(" }).collect();
            (Amount::fixed(1.0 + length(&text.replace(|c| c != '(', ""))), Amount::fixed(names(&text)))
        }
        _ => (size.bytes + one, size.bytes),
    };
    let each_told = (groups * told) + names;
    let sized = |count: Amount, bytes: Amount| Size {
        items: groups * count * 6.0,
        bytes: each_told * count + groups * bytes,
    };
    let (count, each) = (given.all.bytes + given.count, given.most.bytes + one);
    Flow {
        count,
        each,
        most: sized(one, given.most.bytes),
        all: sized(count, given.all.bytes),
        whole: sized(each, given.most.bytes),
    }
}

/// How many bytes of JSON a text has that is written out.
fn written(term: &Term<&str>) -> Option<f64> {
    let Term::Str(None, parts) = term else { return None };
    let bytes = parts.iter().map(|part| match part {
        StrPart::Str(text) => Some(as_json(text)),
        StrPart::Char(_) => Some(6.0),
        StrPart::Term(_) => None,
    });
    bytes.sum()
}
