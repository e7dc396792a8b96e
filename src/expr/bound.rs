//! How much can a program make of its input, at most?
//!
//! Goes over the program once and adds up all that its parts can give, as polynomials in the size of the input. What
//! would grow faster than `MOST_POWER`, give more values than loops nested `DEEPEST_LOOPS` deep, or take more than `MOST_TIMES`
//! of it is refused where that happens. So no row of small steps, each harmless alone, comes to much.

mod calls;

use jaq_core::{
    load::{
        lex::StrPart,
        parse::{BinaryOp, Pattern, Term},
    },
    ops::Math,
    path::{Part, Path},
};

use super::{
    amount::{Amount, Flow, Size},
    guard::{Refusal, is_number, small, start},
};

/// How deep what goes over something may be nested.
const DEEPEST_LOOPS: usize = 3;
/// The highest power of the size of the input that all that is made may grow with.
const MOST_POWER: usize = 4;
/// What that power, and those below it, are taken times at most.
const MOST_TIMES: f64 = 1e6;
/// The longest text of a number that is not kept as it was written: a large one that was rounded.
const NUMBER: f64 = 330.0;

/// What a program makes at most of an input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    answers: Amount,
    bytes: Amount,
}

impl Bound {
    /// How many values it answers to an input of so many bytes of JSON.
    pub fn answers(&self, size: usize) -> f64 {
        self.answers.at(as_number(size))
    }

    /// How many bytes everything that it makes on the way has, its answers among it.
    pub fn bytes(&self, size: usize) -> f64 {
        self.bytes.at(as_number(size))
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody has so many bytes")]
fn as_number(size: usize) -> f64 {
    size as f64
}

/// What has been seen of a program.
struct Measured<'a> {
    text: &'a str,
    variables: Vec<(&'a str, Size)>,
    made: Size,
    /// The largest value so far; what fails may tell it.
    largest: Size,
}

type Given<'f> = &'f Flow;
type Judged = Result<Flow, Refusal>;

/// What a program makes at most.
///
/// # Errors
/// Where it would be too much.
pub(super) fn bound<'a>(term: &Term<&'a str>, text: &'a str) -> Result<Bound, Refusal> {
    let input = Size { items: Amount::input(), bytes: Amount::input() };
    let one = Amount::fixed(1.0);
    let mut measured = Measured { text, variables: Vec::new(), made: input, largest: input };
    let flow = measured.term(term, &Flow::of(one, one, input))?;
    Ok(Bound { answers: flow.count, bytes: measured.made.bytes })
}

impl<'a> Measured<'a> {
    fn term(&mut self, term: &Term<&'a str>, given: Given<'_>) -> Judged {
        let depth = self.variables.len();
        let flow = self.flow(term, given)?.tight();
        self.variables.truncate(depth);
        self.made = self.made + flow.all;
        self.largest = self.largest.max(flow.most);
        let too_much = if flow.count.power() > DEEPEST_LOOPS {
            format!("goes over things more than {DEEPEST_LOOPS} deep")
        } else if self.made.bytes.power() > MOST_POWER || self.made.items.power() > MOST_POWER {
            format!("makes more than the {MOST_POWER}th power of its input")
        } else if !(flow.count.times() <= MOST_TIMES && self.made.bytes.times() <= MOST_TIMES) {
            "makes much of little: its steps multiply".to_owned()
        } else {
            return Ok(flow);
        };
        let help = "divide it into calculations of their own, which may use each other, or do less at a time: \
                    `select` before `map`, and nothing twice";
        Err(Refusal::new(too_much, Some(help)).at(self.text, start(term)))
    }

    fn flow(&mut self, term: &Term<&'a str>, given: Given<'_>) -> Judged {
        Ok(match term {
            Term::Id => Flow::same(given),
            Term::Num(number) => Flow::one(given, Size::plain(length(number) + 1.0)),
            Term::Str(format, parts) => self.string(format.is_some(), parts, given)?,
            Term::Arr(None) => Flow::one(given, Size::plain(3.0)),
            Term::Arr(Some(inner)) => self.term(inner, given)?.listed(given),
            Term::Obj(entries) => self.object(entries, given)?,
            Term::Neg(inner) => self.term(inner, given)?.grown(1.0, 1.0, NUMBER),
            Term::BinOp(left, operator, right) => self.operation(left, operator, right, given)?,
            Term::TryCatch(inner, otherwise) => {
                let tried = self.term(inner, given)?;
                let Some(otherwise) = otherwise else { return Ok(tried) };
                // A message may quote two values, each quote escaped.
                let told =
                    Size { items: Amount::fixed(1.0) + self.largest.items, bytes: self.largest.bytes * 4.0 };
                let failed = Flow::one(given, told + Size::plain(200.0));
                tried.and(&failed.then(&self.term(otherwise, &failed)?))
            }
            Term::IfThenElse(branches, otherwise) => self.branches(branches, otherwise.as_deref(), given)?,
            Term::Var(name) => {
                let size = self.variables.iter().rev().find(|(known, _)| known == name);
                // What is not bound is told when it is compiled.
                Flow::one(given, size.map_or(Size::plain(1.0), |(_, size)| *size))
            }
            Term::Path(inner, path) => {
                let from = self.term(inner, given)?;
                self.path(from, path, given)?
            }
            Term::Call(name, arguments) => self.call(name, arguments, given, term)?,
            // Refused by their names already.
            Term::Recurse | Term::Label(..) | Term::Break(_) | Term::Fold(..) | Term::Def(..) => Flow::none(),
        })
    }

    /// A term that is asked of each of these; what comes out for each of what was given before them.
    fn then(&mut self, from: &Flow, term: &Term<&'a str>) -> Judged {
        Ok(from.then(&self.term(term, from)?))
    }

    fn string(
        &mut self,
        formats: bool,
        parts: &[StrPart<&'a str, Term<&'a str>>],
        given: Given<'_>,
    ) -> Judged {
        let mut text = Flow::one(given, Size::plain(3.0));
        for part in parts {
            text = match part {
                StrPart::Str(part) => text.text(1.0, as_json(part)),
                StrPart::Char(_) => text.text(1.0, 6.0),
                StrPart::Term(inner) => {
                    let inner = self.term(inner, given)?;
                    text.with(&if formats { inner.text(8.0, 16.0) } else { inner.text(2.0, 8.0) })
                }
            }
            .text(1.0, 0.0);
        }
        Ok(text)
    }

    fn object(&mut self, entries: &[(Term<&'a str>, Option<Term<&'a str>>)], given: Given<'_>) -> Judged {
        let mut object = Flow::one(given, Size::plain(3.0));
        for (key, value) in entries {
            let key_flow = self.term(key, given)?;
            object = object.with(&match value {
                Some(value) => key_flow.with(&self.term(value, given)?),
                None => match key {
                    // `{$x}` holds what `$x` holds; `{a}` and `{"a"}` hold a part of the input.
                    Term::Var(_) => key_flow.grown(1.0, 1.0, length(self.text)),
                    _ => key_flow.with(&Flow::same(given)).grown(1.0, 1.0, 5.0),
                },
            });
        }
        Ok(object)
    }

    fn branches(
        &mut self,
        branches: &[(Term<&'a str>, Term<&'a str>)],
        otherwise: Option<&Term<&'a str>>,
        given: Given<'_>,
    ) -> Judged {
        let Some(((condition, then), rest)) = branches.split_first() else {
            return match otherwise {
                Some(otherwise) => self.term(otherwise, given),
                None => Ok(Flow::same(given)),
            };
        };
        let asked = self.term(condition, given)?;
        let asked = Flow::same(given).repeated(&asked);
        let (one, other) = (self.term(then, &asked)?, self.branches(rest, otherwise, &asked)?);
        // For one answer only one of them is taken.
        let taken = one.and(&other);
        let taken = Flow { each: one.each.max(other.each), whole: one.whole.max(other.whole), ..taken };
        Ok(asked.then(&taken))
    }

    fn operation(
        &mut self,
        left: &Term<&'a str>,
        operator: &BinaryOp<&'a str>,
        right: &Term<&'a str>,
        given: Given<'_>,
    ) -> Judged {
        match operator {
            BinaryOp::Pipe(None) => {
                let from = self.term(left, given)?;
                self.then(&from, right)
            }
            BinaryOp::Pipe(Some(pattern)) => {
                let bound = self.term(left, given)?;
                self.bind(pattern, &bound)?;
                let again = Flow::same(given).repeated(&bound);
                self.then(&again, right)
            }
            BinaryOp::Comma => Ok(self.term(left, given)?.and(&self.term(right, given)?)),
            BinaryOp::Alt => {
                let (one, other) = (self.term(left, given)?, self.term(right, given)?);
                let each = one.each.max(other.each);
                Ok(Flow { each, whole: one.whole.max(other.whole), ..one.and(&other) })
            }
            BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                let both = self.term(left, given)?.with(&self.term(right, given)?);
                Ok(Flow::of(both.count, both.each, Size::plain(6.0)))
            }
            BinaryOp::Math(math) => {
                let both = self.term(left, given)?.with(&self.term(right, given)?);
                Ok(calculated(*math, left, right, &both))
            }
            BinaryOp::Update => {
                let places = self.places(left, given, false)?;
                let changed = self.term(right, &places)?;
                let whole = joined(&Flow::same(given), &places.then(&changed));
                // Where the place is the whole input, each value that it is changed to is an answer.
                Ok(if is_whole(left) {
                    let times = Amount::fixed(1.0) + changed.each;
                    Flow::of(whole.count * times, times, whole.most)
                } else {
                    whole
                })
            }
            BinaryOp::UpdateMath(math) => {
                let places = self.places(left, given, false)?;
                let by = self.term(right, given)?;
                let pairs = places.with(&by);
                let changed = calculated(*math, left, right, &pairs);
                let times = Flow::same(given).repeated(&by);
                Ok(joined(&times, &changed))
            }
            BinaryOp::UpdateAlt | BinaryOp::Assign => {
                let places = self.places(left, given, false)?;
                let by = self.term(right, given)?;
                let times = Flow::same(given).repeated(&by);
                Ok(joined(&times, &places.with(&by)))
            }
        }
    }

    fn bind(&mut self, pattern: &Pattern<&'a str>, flow: &Flow) -> Result<(), Refusal> {
        match pattern {
            Pattern::Var(name) => self.variables.push((name, flow.most + Size::plain(5.0))),
            Pattern::Arr(inner) => {
                for inner in inner {
                    self.bind(inner, flow)?;
                }
            }
            Pattern::Obj(entries) => {
                for (key, inner) in entries {
                    self.single(key, flow)?;
                    if let Term::Var(name) = key {
                        self.variables.push((name, flow.most + Size::plain(5.0)));
                    }
                    self.bind(inner, flow)?;
                }
            }
        }
        Ok(())
    }

    fn path(&mut self, from: Flow, Path(parts): &Path<Term<&'a str>>, given: Given<'_>) -> Judged {
        let mut at = from;
        for (part, _) in parts {
            at = match part {
                Part::Range(None, None) => at.parts(),
                Part::Index(Term::Str(None, parts))
                    if !parts.iter().any(|part| matches!(part, StrPart::Term(_))) =>
                {
                    at.grown(1.0, 1.0, 5.0)
                }
                Part::Index(Term::Num(_)) => at.grown(1.0, 1.0, 5.0),
                Part::Index(index) => {
                    let index = self.term(index, given)?;
                    // A list in a list: where it stands.
                    at.repeated(&index).grown(1.0, 10.0, 5.0)
                }
                Part::Range(start, end) => {
                    for end in start.iter().chain(end) {
                        let end = self.term(end, given)?;
                        at = at.repeated(&end);
                    }
                    at.grown(1.0, 1.0, 5.0)
                }
            };
            self.made = self.made + at.all;
            self.largest = self.largest.max(at.most);
        }
        Ok(at)
    }

    /// The values at the places that are changed. What changes the same place again and again could double it each time.
    fn places(&mut self, term: &Term<&'a str>, given: Given<'_>, several: bool) -> Judged {
        match term {
            Term::Id => Ok(Flow::same(given)),
            Term::Path(inner, path) => {
                let from = self.places(inner, given, several)?;
                for (part, _) in &path.0 {
                    let ends: Vec<&Term<&'a str>> = match part {
                        Part::Index(index) => vec![index],
                        Part::Range(start, end) => start.iter().chain(end).collect(),
                    };
                    for end in ends.into_iter().filter(|_| !several) {
                        self.single(end, given)?;
                    }
                }
                self.path(from, path, given)
            }
            Term::BinOp(left, BinaryOp::Pipe(None), right) => {
                let from = self.places(left, given, several)?;
                Ok(from.then(&self.places(right, &from, several)?))
            }
            Term::BinOp(left, BinaryOp::Comma, right) if several => {
                Ok(self.places(left, given, several)?.and(&self.places(right, given, several)?))
            }
            Term::Call("select", arguments) if arguments.len() == 1 => {
                self.single(&arguments[0], given)?;
                Ok(Flow::same(given))
            }
            Term::Call("first" | "last", arguments) if arguments.is_empty() => Ok(given.grown(1.0, 1.0, 5.0)),
            _ => {
                let help = "name the places plainly, such as `.a.b`, `.[]` and `select`; several places one after the other: \
                            `.a |= f | .b |= f`";
                let refusal = Refusal::new("changes places that are not seen to be different", Some(help));
                Err(refusal.at(self.text, start(term)))
            }
        }
    }

    /// A term that gives one value at most.
    fn single(&mut self, term: &Term<&'a str>, given: Given<'_>) -> Judged {
        let flow = self.term(term, given)?;
        if flow.is_single() {
            return Ok(flow);
        }
        let help = "put what it is about first: `.list[] as $one | …`, or make a list of it";
        Err(Refusal::new("gives several values where one is wanted", Some(help)).at(self.text, start(term)))
    }

    /// What is given, once for each way of choosing the arguments; and how large these are.
    fn chosen(&mut self, arguments: &[Term<&'a str>], given: Given<'_>) -> Result<(Flow, Size), Refusal> {
        let mut again = Flow::same(given);
        let mut sizes = Size::plain(0.0);
        for argument in arguments {
            let flow = self.term(argument, given)?;
            again = again.repeated(&flow);
            sizes = sizes + flow.most;
        }
        Ok((again, sizes))
    }
}

/// Whether a place is the input itself.
fn is_whole(place: &Term<&str>) -> bool {
    match place {
        Term::Id | Term::Call("select", _) => true,
        Term::BinOp(left, BinaryOp::Pipe(None), right) => is_whole(left) && is_whole(right),
        _ => false,
    }
}

/// What was given, with more inside it.
fn joined(given: &Flow, more: &Flow) -> Flow {
    let list = Size::plain(8.0);
    let most = given.most + more.whole + list;
    Flow { most, all: given.all + more.all + list * given.count, whole: most * given.each, ..*given }
}

/// What two values come to.
fn calculated(math: Math, left: &Term<&str>, right: &Term<&str>, both: &Flow) -> Flow {
    let inside = |flow: Flow| {
        let inside = |size: Size| Size { items: size.bytes, ..size };
        Flow { most: inside(flow.most), all: inside(flow.all), whole: inside(flow.whole), ..flow }
    };
    match math {
        Math::Add | Math::Sub | Math::Rem => both.grown(1.0, 1.0, NUMBER),
        // A text divided by another is its pieces.
        Math::Div if is_number(left) || is_number(right) => both.grown(1.0, 1.0, NUMBER),
        Math::Div => inside(both.grown(1.0, 4.0, NUMBER)),
        Math::Mul if is_number(left) && is_number(right) => both.grown(1.0, 1.0, NUMBER),
        Math::Mul => {
            let times = small(left).or(small(right)).unwrap_or(1.0).abs().max(1.0);
            both.grown(1.0, times, NUMBER)
        }
    }
}

/// The bytes of a text in JSON.
fn as_json(text: &str) -> f64 {
    let bytes = text.chars().map(|c| match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    });
    as_number(bytes.sum())
}

fn length(text: &str) -> f64 {
    as_number(text.len())
}
