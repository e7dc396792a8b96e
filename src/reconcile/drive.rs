//! How does the loop meet the world? The turn says what it wants; the hands look and act.

use tracing::info;

use crate::reconcile::{Hands, Input, Output, Report, Turn};

/// One pass over everything that is open.
pub async fn drive(hands: &mut Hands) -> Report {
    let mut turn = Turn::new();
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
