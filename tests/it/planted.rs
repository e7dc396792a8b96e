//! Are the histories sharp? Each planted fault falsifies what the program is told, or what it does,
//! as a careless program would have it. The histories must catch every one.

use std::collections::BTreeSet;
use std::sync::Arc;

use chandlery::{
    domain::{ActivityKind, Attribution, Known, Permission, Pull, PullState, ReviewState, Timestamp},
    plan::{
        facts::{Answer, ChainKind, Question},
        step::{Act, Acted},
    },
};

use crate::{
    histories::{Story, tell},
    world::{Deed, Repo, World, fixture, simulated::Simulated},
};

/// How the program is made careless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    TrustsTheCommitThatAReviewNames,
    CountsReviewsAfterTheMerge,
    TakesAnyCommitForACleanMerge,
    TakesEverybodyForAMember,
    OverlooksRefusals,
    CommentsAlways,
    ChecksAlways,
    SkipsTheReadBackOfPulls,
    ForgetsRecords,
    OverlooksForcePushes,
    OverlooksContributors,
    OverlooksEditorsOfIssues,
    TakesDismissedForApproved,
    TakesIdentifiersTwice,
    TakesAnotherForTheRequester,
    ActsBeforeTheFollowUpIsMerged,
    PushesOverWhatIsThere,
    BelievesWhatWasKept,
}

const ALL: [Fault; 18] = [
    Fault::TrustsTheCommitThatAReviewNames,
    Fault::CountsReviewsAfterTheMerge,
    Fault::TakesAnyCommitForACleanMerge,
    Fault::TakesEverybodyForAMember,
    Fault::OverlooksRefusals,
    Fault::CommentsAlways,
    Fault::ChecksAlways,
    Fault::SkipsTheReadBackOfPulls,
    Fault::ForgetsRecords,
    Fault::OverlooksForcePushes,
    Fault::OverlooksContributors,
    Fault::OverlooksEditorsOfIssues,
    Fault::TakesDismissedForApproved,
    Fault::TakesIdentifiersTwice,
    Fault::TakesAnotherForTheRequester,
    Fault::ActsBeforeTheFollowUpIsMerged,
    Fault::PushesOverWhatIsThere,
    Fault::BelievesWhatWasKept,
];

/// A world seen by careless eyes and touched by careless hands.
struct Careless {
    world: Simulated,
    fault: Fault,
}

impl Careless {
    fn pull(&self, pull: &mut Pull) {
        match self.fault {
            Fault::TrustsTheCommitThatAReviewNames => {
                // What the forge says to be about the head is taken as said now, whatever came before it.
                if let Known::Yes(reviews) = &mut pull.reviews {
                    let newest = pull.merged_at.unwrap_or(Timestamp::from_seconds(9_999_999_999));
                    for review in reviews.iter_mut().filter(|review| review.commit == Some(pull.head)) {
                        review.submitted_at = Timestamp::from_seconds(newest.seconds() - 1);
                    }
                }
            }
            Fault::CountsReviewsAfterTheMerge => {
                if pull.state == PullState::Merged {
                    pull.merged_at = Some(Timestamp::from_seconds(9_999_999_999));
                }
            }
            Fault::OverlooksContributors => {
                if let Known::Yes(commits) = &mut pull.commits {
                    for commit in commits {
                        commit.people = vec![Attribution::Account(fixture::ME.parse().unwrap())];
                    }
                }
            }
            Fault::TakesDismissedForApproved => {
                if let Known::Yes(reviews) = &mut pull.reviews {
                    for review in reviews.iter_mut().filter(|review| review.state == ReviewState::Dismissed) {
                        review.state = ReviewState::Approved;
                    }
                }
            }
            Fault::ActsBeforeTheFollowUpIsMerged => {
                if pull.repository == Repo::Infra.name() && pull.state == PullState::Open {
                    pull.state = PullState::Merged;
                    pull.merge_commit = Some(pull.head);
                    pull.merged_at = Some(pull.created_at);
                }
            }
            Fault::OverlooksRefusals => {
                if let Known::Yes(reviews) = &mut pull.reviews {
                    reviews.retain(|review| review.state != ReviewState::ChangesRequested);
                }
            }
            Fault::CommentsAlways => pull.comments.clear(),
            Fault::ChecksAlways => {
                if let Known::Yes(commits) = &mut pull.commits {
                    for commit in commits {
                        commit.checks.truncate(1);
                        for check in &mut commit.checks {
                            check.title.clear();
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn falsify(&self, question: &Question, answer: &mut Answer) {
        match answer {
            Answer::Pull(Some(pull)) => self.pull(Arc::make_mut(pull)),
            Answer::Pulls(pulls) => {
                if self.fault == Fault::SkipsTheReadBackOfPulls && matches!(question, Question::PullsFrom(..))
                {
                    pulls.clear();
                }
                for pull in pulls {
                    self.pull(Arc::make_mut(pull));
                }
            }
            Answer::Activity(activity) if self.fault == Fault::OverlooksForcePushes => {
                for entry in Arc::make_mut(activity) {
                    if entry.kind == ActivityKind::Forced {
                        entry.kind = ActivityKind::Pushed;
                    }
                    // What is not seen to have been forced is not seen to have been pushed again either.
                    entry.at = Timestamp::from_seconds(0);
                }
            }
            Answer::Activity(activity) if self.fault == Fault::OverlooksContributors => {
                for entry in Arc::make_mut(activity) {
                    entry.actor = Some(fixture::ME.parse().unwrap());
                }
            }
            Answer::Issue(Some(issue)) if self.fault == Fault::OverlooksEditorsOfIssues => {
                Arc::make_mut(issue).edits = Known::Yes(Vec::new());
            }
            Answer::Issue(Some(issue)) if self.fault == Fault::TakesAnotherForTheRequester => {
                Arc::make_mut(issue).author = Some("ada".parse().unwrap());
            }
            Answer::Issue(Some(issue)) if self.fault == Fault::CommentsAlways => {
                Arc::make_mut(issue).comments.clear()
            }
            Answer::Chain(chain) if self.fault == Fault::TakesAnyCommitForACleanMerge => {
                // All but the oldest two: the request and its plan.
                let chain = Arc::make_mut(chain);
                let kept = chain.len().saturating_sub(2);
                for commit in chain.iter_mut().take(kept) {
                    commit.kind = ChainKind::CleanMergeOfBase;
                }
            }
            Answer::Permission(permission) if self.fault == Fault::TakesEverybodyForAMember => {
                *permission = Permission::Admin
            }
            Answer::Entity(Some((path, bytes))) if self.fault == Fault::TakesEverybodyForAMember => {
                if path.as_str() == "entities/_team/platform.yaml" {
                    *bytes = fixture::PLATFORM
                        .replace("[bo, cleo]", "[ada, bo, cleo, dan, eve]")
                        .into_bytes()
                        .into();
                }
            }
            Answer::File(file) if self.fault == Fault::ForgetsRecords => {
                if matches!(question, Question::File(_, _, path) if path.file_name() == "run.yaml") {
                    *file = None;
                }
            }
            Answer::Open(open) if self.fault == Fault::ForgetsRecords => {
                let head = self.world.catalog_files();
                let open = Arc::make_mut(open);
                open.requests.extend(head.keys().filter_map(|path| {
                    path.as_str().strip_prefix("requests/")?.strip_suffix("/request.yaml")?.parse().ok()
                }));
            }
            Answer::Appearances(list)
                if matches!(self.fault, Fault::TakesIdentifiersTwice | Fault::ForgetsRecords) =>
            {
                // Only what is there now is seen, as if it had never been there before.
                let present = matches!(question, Question::Appearances(_, path)
                    if path.file_name() != "run.yaml" && self.world.catalog_files().contains_key(path));
                Arc::make_mut(list).truncate(usize::from(present));
            }
            _ => {}
        }
    }
}

impl World for Careless {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        let mut answers = self.world.ask(questions);
        for (question, answer) in &mut answers {
            self.falsify(question, answer);
        }
        answers
    }

    fn act(&mut self, act: &Act) -> Acted {
        let mut act = act.clone();
        if self.fault == Fault::PushesOverWhatIsThere
            && let Act::Push { repository, commits, .. } = &mut act
        {
            for commit in commits {
                let head = Question::Head(repository.clone(), commit.branch.clone());
                if let Some((_, Answer::Head(head))) = self.world.ask(&[head].into()).pop() {
                    commit.expect = head;
                }
            }
        }
        self.world.act(&act)
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.world.deed(deed)
    }

    fn begin_anew(&mut self, finds_what_was_kept: bool) {
        self.world.begin_anew(finds_what_was_kept);
    }
}

impl Story for Careless {
    fn real(&mut self) -> &mut Simulated {
        &mut self.world
    }
}

/// The most histories in which a fault may hide.
const MOST: u64 = 2_000;

#[test]
fn core_every_planted_fault_is_caught_first_half() {
    hunt(&ALL[..ALL.len() / 2]);
}

#[test]
fn core_every_planted_fault_is_caught_second_half() {
    hunt(&ALL[ALL.len() / 2..]);
}

fn hunt(faults: &[Fault]) {
    let mut hidden = Vec::new();
    for &fault in faults {
        let caught = (0..MOST).find(|seed| {
            let mut world = Careless { world: Simulated::new(), fault };
            world.world.believes_what_was_kept = fault == Fault::BelievesWhatWasKept;
            let told =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tell(*seed, world).map(drop)));
            !matches!(told, Ok(Ok(())))
        });
        match caught {
            Some(seed) => println!("{fault:?}: caught by history {seed}"),
            None => hidden.push(fault),
        }
    }
    assert!(hidden.is_empty(), "not caught: {hidden:?}");
}
