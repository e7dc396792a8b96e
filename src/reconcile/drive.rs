//! How does the loop meet the world? The turn says what it wants; the hands look and act.

use std::collections::BTreeSet;

use tracing::info;

use crate::{
    plan::Key,
    reconcile::{Hands, Input, Output, Report, Turn},
};

/// One pass over everything that is open, and first over what it was woken by.
pub async fn drive(hands: &mut Hands, woken_by: BTreeSet<Key>) -> Report {
    let mut turn = Turn::woken_by(&name_of_pass(), woken_by);
    let mut input = Input::Start;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(hands.look(&questions).await),
            Output::Act(act) => input = Input::Acted(hands.act(&act).await),
            Output::Done(report) => {
                info!(acts = report.acts, decisions = report.decisions, rounds = report.rounds, "passed");
                return report;
            }
        }
    }
}

/// A name that no other pass has.
fn name_of_pass() -> String {
    let mut bytes = [0; 16];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).expect("the system gives random bytes");
    hex::encode(bytes)
}
