//! How does a command learn all that an answer rests on? It asks, hears what must be known first, and asks again.

use std::collections::BTreeSet;

use anyhow::bail;

use crate::{
    plan::facts::{Answer, Facts, Question},
    reconcile::MOST_ROUNDS,
};

/// Questions, each with its answer.
type Answered = Vec<(Question, Answer)>;

/// Asks `ask` until it knows enough; `answer` answers what it wants to know.
///
/// # Errors
/// When something cannot be answered.
pub(super) fn until<T>(
    facts: &mut Facts,
    ask: &mut dyn FnMut(&Facts) -> Result<T, BTreeSet<Question>>,
    answer: &mut dyn FnMut(&BTreeSet<Question>) -> anyhow::Result<Answered>,
) -> anyhow::Result<T> {
    for _ in 0..=MOST_ROUNDS {
        match ask(facts) {
            Ok(known) => return Ok(known),
            Err(questions) => {
                for (question, answer) in answer(&questions)? {
                    facts.insert(question, answer);
                }
            }
        }
    }
    bail!("it asks and asks; this is a mistake in chandlery")
}
