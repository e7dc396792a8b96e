//! What does one pass of the reconciler do? Looks at everything open, decides, acts, and looks
//! again, until a look at everything finds nothing to do.
//!
//! Flow: a *wave* looks at some keys, decides each, and carries out all their steps; the next wave
//! looks at the keys whose acts open the way to others, or failed. When none is left and something
//! was done, everything is looked at once more.
//!
//! Guarantees: no I/O here; a pass may be dropped at any point and the next one goes on from what
//! Git and the forge say; two passes at once do no harm, since every act carries what it expects.
//!
//! Caveats: a key whose acts fail three times is left to the next pass, and said in the report and where people look.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    num::NonZero,
    panic::resume_unwind,
    sync::Arc,
    thread::available_parallelism,
};

use crate::{
    catalog::{Definitions, Mode},
    domain::{Diagnostic, RequestId, Stage},
    plan::{
        self, Decision, Key, Verdict,
        facts::{Answer, Facts, Here, Open, Question},
        step::{Act, Acted, Attempt, Call, Outcome},
    },
    reconcile::batch::{self, Batched},
};

/// The most rounds of questions before a decision; one more is a bug.
pub const MOST_ROUNDS: usize = 30;

/// The most waves of a pass. A request needs about eight from its form to its end.
const MOST_WAVES: usize = 60;

/// In how many waves of a pass a key may act. A request needs about eight from its form to its end; one that goes on
/// and on meets something that nobody thought of, and must not wear out the forge.
const MOST_WAVES_OF_A_KEY: usize = 20;

/// So many keys are decided by several threads.
const MANY: usize = 32;

/// How many are told that they must wait.
const MOST_LAST_WORDS: usize = 20;

/// How often the acts of a key may fail or be refused in one pass.
const MOST_TRIES: usize = 3;

/// What the loop is told.
#[derive(Debug)]
pub enum Input {
    /// Begin.
    Start,
    /// What was answered.
    Answers(Vec<(Question, Answer)>),
    /// What came of the act.
    Acted(Acted),
}

/// What the loop wants.
#[derive(Debug)]
pub enum Output {
    /// Answers to these questions.
    Look(BTreeSet<Question>),
    /// This to be done.
    Act(Act),
    /// Nothing more.
    Done(Report),
}

/// What a pass did.
#[must_use]
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Every request looked at.
    pub stages: BTreeMap<RequestId, Stage>,
    /// How many acts were done.
    pub acts: usize,
    /// How many times something was decided.
    pub decisions: usize,
    /// The most rounds of questions that one decision took.
    pub rounds: usize,
    /// What could not be decided because the world did not answer.
    pub waits: BTreeSet<String>,
    /// What could not be done, and why; the next pass tries again.
    pub left: BTreeMap<Key, String>,
    /// Who could not be notified, and why; nobody tries again.
    pub untold: Vec<String>,
    /// Why nothing could be done at all.
    pub stopped: Option<Stopped>,
}

/// Why nothing could be done at all.
#[derive(Debug, Clone)]
pub enum Stopped {
    /// The world did not answer.
    World(String),
    /// The catalog's settings have mistakes.
    Settings(Arc<Vec<Diagnostic>>),
}

/// One pass.
#[derive(Debug, Default)]
pub struct Turn {
    facts: Facts,
    asked: BTreeSet<Question>,
    phase: Phase,
    report: Report,
    tries: BTreeMap<Key, usize>,
    /// What a backend is being asked.
    attempting: Option<Attempt>,
    /// What people are told at the end, of what could not be done.
    last_words: BTreeMap<Key, Call>,
    /// In how many waves each key has acted, and which have in this one.
    busy: BTreeMap<Key, usize>,
    acting: BTreeSet<Key>,
    /// Looked at in the next wave; none means everything open.
    focus: Option<BTreeSet<Key>>,
    /// Whether something was done since everything was last looked at.
    acted: bool,
    waves: usize,
    /// Whether each decision is held against one that begins anew.
    doubts: bool,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Orient,
    Decide {
        definitions: Arc<Definitions>,
        here: Arc<Here>,
        undecided: Vec<Key>,
        decided: Vec<(Key, Decision)>,
        rounds: usize,
    },
    Act {
        queue: VecDeque<Batched>,
        doing: Vec<Key>,
        touched: BTreeSet<Key>,
        /// What did not go well in this wave; nothing more is done about it before it is looked at again.
        failed: BTreeSet<Key>,
    },
    /// Who waits is told, and the pass ends.
    TellWhoWaits { queue: VecDeque<Call> },
}

impl Turn {
    /// A pass that has not begun, by a name that no other pass has: what it claims is claimed by that name.
    pub fn new(pass: &str) -> Self {
        Self::woken_by(pass, BTreeSet::new())
    }

    /// A pass that looks at these first, since something happened to them, and then at everything.
    pub fn woken_by(pass: &str, keys: BTreeSet<Key>) -> Self {
        let focus = (!keys.is_empty()).then_some(keys);
        let mut facts = Facts::default();
        facts.insert(Question::Pass, Answer::Pass(pass.into()));
        // As if something had been done: everything is looked at afterwards.
        Self { facts, acted: focus.is_some(), focus, ..Self::default() }
    }

    /// The same pass, which holds each decision against one that nothing was kept for, and panics where they differ.
    #[must_use]
    pub fn doubting(self) -> Self {
        Self { doubts: true, ..self }
    }

    /// Takes what was learnt or done, and says what is wanted next.
    pub fn next(&mut self, input: Input) -> Output {
        match input {
            Input::Start => {}
            Input::Answers(answers) => {
                for (question, answer) in answers {
                    self.facts.insert(question, answer);
                }
                for question in std::mem::take(&mut self.asked) {
                    if self.facts.get(&question).is_none() {
                        self.facts.insert(question, Answer::Unknown("it was not answered".into()));
                    }
                }
            }
            Input::Acted(acted) => self.acted(acted),
        }
        loop {
            let output = match std::mem::take(&mut self.phase) {
                Phase::Orient => self.orient(),
                Phase::Decide { definitions, here, undecided, decided, rounds } => {
                    self.decide(definitions, here, undecided, decided, rounds)
                }
                Phase::Act { queue, touched, failed, .. } => self.act(queue, touched, failed),
                Phase::TellWhoWaits { queue } => self.tell_who_waits(queue),
            };
            match output {
                Some(Output::Look(questions)) => {
                    self.asked = questions.clone();
                    return Output::Look(questions);
                }
                Some(output) => return output,
                None => {}
            }
        }
    }

    /// Finds out where we are and what is open.
    fn orient(&mut self) -> Option<Output> {
        let everything = self.focus.is_none();
        let here = match self.facts.get(&Question::Here) {
            None => return self.look([Question::Here, Question::Open, Question::Now].into()),
            Some(Answer::Here(here)) => Arc::clone(here),
            Some(other) => return self.stop(&other.clone()),
        };
        let head = Question::Head(here.catalog.clone(), here.branch.clone());
        let queue = Question::Queue(here.catalog.clone(), here.branch.clone());
        let mut wanted = BTreeSet::from([Question::Now, head.clone(), queue]);
        if everything {
            wanted.insert(Question::Open);
        }
        wanted.retain(|question| self.facts.get(question).is_none());
        if !wanted.is_empty() {
            return self.look(wanted);
        }
        let commit = match self.facts.get(&head) {
            Some(Answer::Head(Some(commit))) => *commit,
            Some(Answer::Head(None)) => {
                let why = format!("`{}` has no branch `{}`", here.catalog, here.branch);
                return self.stop(&Answer::Unknown(why.into()));
            }
            Some(other) => return self.stop(&other.clone()),
            None => return None,
        };
        let question = Question::Definitions(commit);
        let definitions = match self.facts.get(&question) {
            None => return self.look([question].into()),
            Some(Answer::Definitions(Ok(definitions))) => Arc::clone(definitions),
            Some(Answer::Definitions(Err(problems))) => {
                self.report.stopped = Some(Stopped::Settings(Arc::clone(problems)));
                return Some(Output::Done(self.report.clone()));
            }
            Some(other) => return self.stop(&other.clone()),
        };
        if definitions.settings.mode == Mode::Off {
            self.report.waits.insert("`mode: off` in chandlery.yaml: nothing is done".to_owned());
            return Some(Output::Done(self.report.clone()));
        }
        let all = match self.facts.get(&Question::Open) {
            _ if !everything => BTreeSet::new(),
            Some(Answer::Open(open)) => keys(open, &definitions),
            Some(other) => return self.stop(&other.clone()),
            None => return None,
        };
        let undecided = self.focus.take().unwrap_or_else(|| {
            self.acted = false;
            all
        });
        let is_tired = |key: &Key| self.tries.get(key).is_some_and(|tries| *tries >= MOST_TRIES);
        let undecided = undecided.into_iter().filter(|key| !is_tired(key)).collect();
        self.phase = Phase::Decide { definitions, here, undecided, decided: Vec::new(), rounds: 0 };
        None
    }

    fn decide(
        &mut self,
        definitions: Arc<Definitions>,
        here: Arc<Here>,
        undecided: Vec<Key>,
        mut decided: Vec<(Key, Decision)>,
        rounds: usize,
    ) -> Option<Output> {
        let mut questions = BTreeSet::new();
        let mut waiting = Vec::new();
        self.report.decisions += undecided.len();
        let verdicts = self.verdicts(&definitions, &undecided);
        for (key, verdict) in undecided.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Ask(more) => {
                    questions.extend(more);
                    waiting.push(key);
                }
                Verdict::Settled(decision) => decided.push((key, decision)),
            }
        }
        let (mut queue, mut waits) = (VecDeque::new(), Vec::new());
        if waiting.is_empty() {
            let steps = decided
                .iter()
                .flat_map(|(key, decision)| decision.steps.iter().map(|step| (key.clone(), step.clone())));
            match batch::cut(&definitions.settings, &self.facts, &here, steps.collect()) {
                Ok((acts, more)) => {
                    queue = acts.into();
                    waits = more;
                }
                Err(more) => questions.extend(more),
            }
            for act in &mut queue {
                if let Err(more) = batch::add_forms(&definitions, &self.facts, &here, act) {
                    questions.extend(more);
                }
            }
        } else {
            assert!(!questions.is_empty(), "a decision waits for nothing");
        }
        if !questions.is_empty() {
            assert!(rounds < MOST_ROUNDS, "a decision asks and asks: {waiting:?} wants {questions:?}");
            self.report.rounds = self.report.rounds.max(rounds + 1);
            self.phase = Phase::Decide { definitions, here, undecided: waiting, decided, rounds: rounds + 1 };
            return Some(Output::Look(questions));
        }
        self.report.waits.extend(waits);
        for (key, decision) in decided {
            self.report.stages.extend(decision.stages);
            self.report.waits.extend(decision.waits.into_iter().map(|why| format!("{key}: {why}")));
        }
        self.phase =
            Phase::Act { queue, doing: Vec::new(), touched: BTreeSet::new(), failed: BTreeSet::new() };
        None
    }

    /// What is decided of each key; of many by several threads, since no decision knows of another.
    fn verdicts(&self, definitions: &Definitions, keys: &[Key]) -> Vec<Verdict> {
        let decide = |key: &Key| {
            let verdict = plan::decide(definitions, &self.facts, key);
            if self.doubts {
                let anew = plan::decide(definitions, &self.facts.clone(), key);
                assert!(verdict.agrees_with(&anew), "{key} is decided as {verdict:?}, and anew as {anew:?}");
            }
            verdict
        };
        let threads = if keys.len() < MANY { 1 } else { available_parallelism().map_or(1, NonZero::get) };
        if threads == 1 {
            return keys.iter().map(decide).collect();
        }
        std::thread::scope(|scope| {
            let parts = keys.chunks(keys.len().div_ceil(threads));
            let decide = &decide;
            let parts: Vec<_> =
                parts.map(|part| scope.spawn(move || part.iter().map(decide).collect::<Vec<_>>())).collect();
            let joined = parts.into_iter().map(|part| part.join().unwrap_or_else(|bug| resume_unwind(bug)));
            joined.flatten().collect()
        })
    }

    fn act(
        &mut self,
        mut queue: VecDeque<Batched>,
        mut touched: BTreeSet<Key>,
        failed: BTreeSet<Key>,
    ) -> Option<Output> {
        while let Some(Batched { act, keys }) = queue.pop_front() {
            if keys.iter().all(|key| failed.contains(key)) {
                continue;
            }
            if opens_the_way(&act) {
                touched.extend(keys.iter().cloned());
            }
            self.attempting = match &act {
                Act::Backend(backend) => Some(backend.attempt.clone()),
                Act::Push { .. } | Act::Call(_) | Act::Notify(_) => None,
            };
            self.phase = Phase::Act { queue, doing: keys, touched, failed };
            return Some(Output::Act(act));
        }
        self.waves += 1;
        for key in std::mem::take(&mut self.acting) {
            let waves = self.busy.entry(key.clone()).or_default();
            *waves += 1;
            if *waves >= MOST_WAVES_OF_A_KEY {
                self.tries.insert(key.clone(), MOST_TRIES);
                self.report.left.insert(key, "it does not come to rest".to_owned());
            }
        }
        touched.retain(|key| self.tries.get(key).is_none_or(|tries| *tries < MOST_TRIES));
        if (touched.is_empty() && !self.acted) || self.waves >= MOST_WAVES {
            let mut words = std::mem::take(&mut self.last_words);
            words.retain(|key, _| self.report.left.contains_key(key));
            self.phase = Phase::TellWhoWaits { queue: words.into_values().take(MOST_LAST_WORDS).collect() };
            return None;
        }
        self.focus = (!touched.is_empty()).then_some(touched);
        self.report.waits.clear();
        self.facts.forget_the_present();
        self.phase = Phase::Orient;
        None
    }

    /// Says to those whose requests wait for the forge that they do; what cannot be said is in the report.
    fn tell_who_waits(&mut self, mut queue: VecDeque<Call>) -> Option<Output> {
        let Some(call) = queue.pop_front() else { return Some(Output::Done(self.report.clone())) };
        self.phase = Phase::TellWhoWaits { queue };
        Some(Output::Act(Act::Call(call)))
    }

    /// Puts off all that is left of this pass.
    fn postpone(&mut self, seconds: u64) {
        let Phase::Act { queue, doing, .. } = &mut self.phase else { return };
        let mut waiting = std::mem::take(doing);
        waiting.extend(std::mem::take(queue).into_iter().flat_map(|batched| batched.keys));
        let mut queue = VecDeque::new();
        let mut told = BTreeSet::new();
        for key in waiting {
            self.report.waits.insert(format!("{key}: the forge takes no more calls for {seconds} seconds"));
            if told.insert(key.clone()) && queue.len() < MOST_LAST_WORDS {
                queue.extend(plan::postponed(&self.facts, &key, seconds));
            }
        }
        self.phase = Phase::TellWhoWaits { queue };
    }

    /// Keeps what came of an attempt as long as the pass lasts, so that it is never made twice.
    fn keep(&mut self, attempt: Attempt, acted: Acted) -> Acted {
        let (outcome, acted) = match acted {
            Acted::Told(outcome) => (outcome, Acted::Done),
            Acted::Done => (Outcome::Lost("it did not say what came of it".to_owned()), Acted::Done),
            Acted::Refused(why) => (Outcome::Refused(why), Acted::Done),
            Acted::Failed(why) | Acted::Untold(why) => (Outcome::Lost(why), Acted::Done),
            Acted::Postponed { seconds } => {
                let why = format!("the forge takes no more calls for {seconds} seconds");
                (Outcome::Postponed(why), Acted::Done)
            }
        };
        self.facts.insert(Question::Outcome(attempt), Answer::Outcome(Arc::new(outcome)));
        acted
    }

    fn acted(&mut self, acted: Acted) {
        let acted = match self.attempting.take() {
            Some(attempt) => self.keep(attempt, acted),
            None => acted,
        };
        if let Phase::TellWhoWaits { queue } = &mut self.phase {
            match acted {
                Acted::Done | Acted::Told(_) => self.report.acts += 1,
                Acted::Refused(_) | Acted::Untold(_) => {}
                Acted::Failed(_) | Acted::Postponed { .. } => queue.clear(),
            }
            return;
        }
        if let Acted::Postponed { seconds } = acted {
            return self.postpone(seconds);
        }
        let Phase::Act { doing, touched, failed, .. } = &mut self.phase else { return };
        let keys = std::mem::take(doing);
        if let Acted::Untold(why) = acted {
            self.report.untold.push(why);
            return;
        }
        if acted != Acted::Done {
            touched.extend(keys.iter().cloned());
            failed.extend(keys.iter().cloned());
        }
        match acted {
            Acted::Done | Acted::Told(_) => {
                self.acted = true;
                self.report.acts += 1;
                for key in keys {
                    self.report.left.remove(&key);
                    self.acting.insert(key);
                }
            }
            Acted::Postponed { .. } | Acted::Untold(_) => {}
            Acted::Refused(why) | Acted::Failed(why) => {
                self.acted = true;
                for key in keys {
                    let tries = self.tries.entry(key.clone()).or_default();
                    *tries += 1;
                    if *tries >= MOST_TRIES
                        && let Some(call) = plan::refused(&self.facts, &key, &why)
                    {
                        self.last_words.insert(key.clone(), call);
                    }
                    self.report.left.insert(key, why.clone());
                }
            }
        }
    }

    fn look(&self, questions: BTreeSet<Question>) -> Option<Output> {
        Some(Output::Look(questions))
    }

    fn stop(&mut self, answer: &Answer) -> Option<Output> {
        let why = match answer {
            Answer::Unknown(why) => why.to_string(),
            other => format!("the answer is of another kind: {other:?}"),
        };
        self.report.stopped = Some(Stopped::World(why));
        Some(Output::Done(self.report.clone()))
    }
}

/// Whether something more is likely to be done once this is. What was only said is looked at again when everything is.
fn opens_the_way(act: &Act) -> bool {
    match act {
        Act::Push { .. } | Act::Backend(_) => true,
        Act::Notify(_) => false,
        Act::Call(call) => match call {
            Call::OpenPull { .. } | Call::ClosePull { .. } | Call::Merge { .. } | Call::Enqueue { .. } => {
                true
            }
            Call::Check { run, .. } => run.is_none(),
            Call::Say { .. }
            | Call::Unsay { .. }
            | Call::DropBranch { .. }
            | Call::AskReviewers { .. }
            | Call::Label { .. }
            | Call::CloseIssue { .. } => false,
        },
    }
}

/// Everything that is open.
fn keys(open: &Open, definitions: &Definitions) -> BTreeSet<Key> {
    let timers = definitions.actions.values().any(|action| action.value.ttl.is_some());
    let issues = open.issues.iter().map(|number| Key::Issue(*number));
    let pulls = open.pulls.iter().map(|number| Key::Pull(*number));
    issues
        .chain(pulls)
        .chain(open.requests.iter().map(|id| Key::Request(id.clone())))
        .chain(timers.then_some(Key::Timers))
        .collect()
}
