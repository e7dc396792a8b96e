//! What do we say? Every sentence that people read on the forge.
//!
//! What people typed is quoted as code with a fence longer than anything inside it, so it can
//! neither mention anybody nor imitate us.

mod by_hand;
mod issue;
mod plan;
mod whole_log;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::{
    catalog::report,
    domain::{
        Action, BreakGlass, Diagnostic, Entity, Login, RequestId, RunStep, Stage, StepState, Timestamp,
    },
    plan::{
        approval::{Judgement, RuleState},
        build::Built,
        diff, log,
        plan_file::Plan,
    },
};

pub use by_hand::{ByHand, Tried, by_hand, by_hand_marker};
pub use issue::{issue_asked, issue_ended, issue_in_progress, issue_marker, issue_mistakes, issue_observed};
pub use plan::preview;
pub(super) use plan::rule_as_written;
use plan::{asked, effect, rules_as_written};
pub(super) use whole_log::{check_title_of_step, whole_log};

/// The longest comment that we write, in bytes; forges take 65,536 characters.
pub const LONGEST: usize = 60_000;

/// The first line of one of our texts: what it is for.
pub fn marker_of(body: &str) -> &str {
    body.lines().next().unwrap_or_default().trim_end()
}

/// Is this the first line of one of our texts, and not a line of somebody who shares our account?
pub fn is_marker(line: &str) -> bool {
    line.starts_with("<!-- chandlery:")
}

/// The marker of the comment about a request.
pub fn request_marker(id: &str) -> String {
    format!("<!-- chandlery:request {id} -->")
}

/// The second line of the comment about a request: its stage, for programs.
fn stage_marker(stage: Stage) -> String {
    format!("<!-- chandlery:stage {stage} -->")
}

/// The stage that one of our comments about a request names.
pub fn stage_of(body: &str) -> Option<Stage> {
    let name = body.lines().nth(1)?.strip_prefix("<!-- chandlery:stage ")?.strip_suffix(" -->")?;
    Stage::ALL.into_iter().find(|stage| stage.name() == name)
}

/// The marker of the comment on a pull request from a fork.
pub fn fork_marker() -> &'static str {
    "<!-- chandlery:fork -->"
}

/// The marker of the answer to a command.
pub fn answer_marker(comment: u64) -> String {
    format!("<!-- chandlery:answer {comment} -->")
}

/// What can be said in comments.
pub fn commands() -> String {
    let mut text = String::from("What you can say here, as the first line of a comment:\n\n");
    for (command, what) in [
        ("/plan", "plan it again, against what the repositories hold now"),
        (
            "/cancel",
            "take it back, if you asked for it; while it is carried out, whoever may write can stop it too",
        ),
        ("/decline REASON", "say no, if you may approve it or write to this repository"),
        (
            "/break-glass REASON",
            "have it carried out though it was merged past the rules, as an administrator and where the settings allow it",
        ),
        ("/retry", "try the step again that failed, while it is carried out"),
        ("/help", "this list"),
    ] {
        let _ = writeln!(text, "- `{command}`: {what}");
    }
    text.push_str("\nApprovals are reviews of the pull request, never comments. A comment that was edited says nothing.\n");
    text
}

/// That a request waits for the forge's limits; `until` is a time of the day.
pub fn waits_for_the_forge(until: &str) -> String {
    format!("waits: the forge takes no more calls of Chandlery until about {until} UTC")
}

/// That what a request needs done was refused, and is tried again.
pub fn waits_for_another_try(why: &str) -> String {
    format!("waits: {}; each pass tries it again", quoted(&log::plain(why, 300)))
}

/// The marker in the text of a follow-up pull request.
pub fn follow_up_marker(request: &RequestId, step: &str) -> String {
    format!("<!-- chandlery:follow-up {request} {step} -->")
}

/// What a follow-up pull request is told when it is closed.
pub fn taken_back(request: &RequestId, asked_in: &str, why: &str) -> String {
    format!(
        "<!-- chandlery:closed {request} -->\nClosed by Chandlery: {why}. It followed from {asked_in}; nothing more comes of that.\n"
    )
}

/// The request that one of our comments is about.
pub fn request_of(body: &str) -> Option<RequestId> {
    marker_of(body).strip_prefix("<!-- chandlery:request ")?.strip_suffix(" -->")?.parse().ok()
}

/// Text that people typed, as inline code.
pub fn quoted(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = diff::visible(&line);
    let shown: String =
        if line.chars().count() > 200 { line.chars().take(200).chain("…".chars()).collect() } else { line };
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    if shown.is_empty() {
        "(empty)".into()
    } else if longest > 0 || shown.starts_with(' ') || shown.ends_with(' ') {
        format!("{fence} {shown} {fence}")
    } else {
        format!("{fence}{shown}{fence}")
    }
}

/// Text of several lines, in a fence longer than anything in it.
fn fenced(kind: &str, text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2);
    let fence = "`".repeat(longest + 1);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{kind}\n{text}{end}{fence}\n")
}

fn people(logins: &BTreeSet<Login>) -> String {
    let names: Vec<String> = logins.iter().map(|login| format!("`{login}`")).collect();
    listed(&names, "or")
}

fn listed(names: &[String], word: &str) -> String {
    match names {
        [] => "nobody".into(),
        [one] => one.clone(),
        [firsts @ .., last] => format!("{} {word} {last}", firsts.join(", ")),
    }
}

/// A stage, for people.
pub fn stage_in_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Invalid => "has mistakes",
        Stage::WaitingForApproval => "waiting for approval",
        Stage::InProgress => "in progress",
        Stage::Success => "done",
        Stage::Failure => "failed",
        Stage::Denied => "denied",
        Stage::Declined => "declined",
        Stage::Cancelled => "cancelled",
        Stage::Expired => "expired",
        Stage::Noop => "nothing to change",
        Stage::TimedOut => "timed out",
        Stage::Unknown => "not known how it ended",
    }
}

/// What can be told of a request.
pub struct About<'a> {
    /// Its identifier, as written.
    pub id: &'a str,
    /// Its action, where it is known.
    pub action: Option<&'a Action>,
    /// Who asked.
    pub requesters: &'a BTreeSet<Login>,
    /// Where it stands.
    pub stage: Stage,
}

impl About<'_> {
    fn heading(&self) -> String {
        let title = self.action.map_or("A request", |action| action.title.as_str());
        let mut text = format!(
            "{}\n{}\n### {}: {}\n\n",
            request_marker(self.id),
            stage_marker(self.stage),
            plain(title),
            stage_in_words(self.stage)
        );
        if !self.requesters.is_empty() {
            let names: Vec<String> = self.requesters.iter().map(|login| format!("`{login}`")).collect();
            let _ = writeln!(text, "Request `{}`, asked by {}.", self.id, listed(&names, "and"));
        }
        text
    }
}

/// A title without what Markdown or HTML would make of it.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !"<>[]`*_@#|\\".contains(*c)).collect()
}

/// The comment on a request with mistakes.
pub fn mistakes(about: &About<'_>, problems: &[Diagnostic], contact: Option<&str>) -> String {
    with_mistakes(about.heading(), problems, "Edit the request", contact)
}

/// Who can help, as the settings say; nothing where they do not.
pub(super) fn who_helps(contact: Option<&str>) -> String {
    contact.map_or_else(String::new, |contact| format!(" Who can help: {contact}."))
}

/// How people ask for the same again: what has ended is over.
pub(super) fn ask_again(id: &RequestId) -> String {
    format!(
        "To ask for it again: `chandlery rerun {id}` in an up-to-date clone of the catalog, or its form anew."
    )
}

/// The comment on a pull request from a fork whose request has mistakes.
pub fn fork_mistakes(problems: &[Diagnostic]) -> String {
    let heading = format!("{}\n### This request has mistakes\n\n", fork_marker());
    with_mistakes(heading, problems, "Push a better one to your fork", None)
}

fn with_mistakes(mut text: String, problems: &[Diagnostic], cure: &str, contact: Option<&str>) -> String {
    let (problems, help) = (report::markdown(problems), who_helps(contact));
    let _ = write!(text, "\n{problems}\n\n{cure}, and it is tried again. Nothing else was made.{help}\n");
    cut(text)
}

/// The comment on a pull request from a fork that became one of ours.
pub fn fork_taken(pull: &str) -> String {
    format!(
        "{}\n### Asked\n\nThis became {pull}: there stands what would change and who must approve. A plan cannot be committed to a fork, so it goes on there, and this is closed. To ask for something else, open another one.\n",
        fork_marker()
    )
}

fn first_upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The comment on a request that is planned and waits.
pub fn planned(
    about: &About<'_>,
    built: &Built,
    judgement: &Judgement,
    notes: &[String],
    next: &str,
) -> String {
    let mut text = about.heading();
    text.push_str(&asked(&built.plan));
    let _ = writeln!(text, "\n**Now:** {next}\n");
    for note in notes {
        let _ = writeln!(text, "> {note}\n");
    }
    text.push_str(&approvals(judgement, &built.plan));
    text.push_str(&effect(built, text.len()));
    text
}

/// What a catalog that only observes says of what comes next.
pub const OBSERVES: &str = "nothing. This catalog only observes (`mode: observe` in chandlery.yaml): it shows what would happen, and commits, opens and merges nothing.";

fn approvals(judgement: &Judgement, plan: &Plan) -> String {
    let mut text = String::from("**Who must approve**\n\n");
    if judgement.rules.is_empty() {
        text.push_str("- nobody: the action needs no approval\n");
    }
    for rule in &judgement.rules {
        let all = plan.approval.iter().any(|planned| planned.name == rule.name && planned.count.is_none());
        let _ = writeln!(text, "- {}", rule_in_words(rule, all));
    }
    for login in &judgement.refused_by {
        let _ =
            writeln!(text, "- `{login}` asks for changes: approve, or have the review dismissed, to go on");
    }
    for (login, why) in &judgement.void {
        let _ = writeln!(text, "- the approval of `{login}` does not count: {why}", why = plain_reason(why));
    }
    for why in &judgement.blocked {
        let _ = writeln!(text, "- no approval counts yet: {}", plain_reason(why));
    }
    text
}

/// Whose approval some rules wait for, in words.
pub(super) fn missing(judgement: &Judgement) -> String {
    let open = judgement.rules.iter().filter(|rule| !rule.holds());
    let rules: Vec<String> = open.map(|rule| rule_in_words(rule, false)).collect();
    if rules.is_empty() { "no approval counts yet".to_owned() } else { rules.join("; ") }
}

fn plain_reason(why: &str) -> String {
    why.chars().filter(|c| !c.is_control() && *c != '@' && *c != '<').collect()
}

fn rule_in_words(rule: &RuleState, all: bool) -> String {
    let mut text = format!("**{}**: ", plain(&rule.name));
    if let Some(problem) = &rule.problem {
        let _ = write!(text, "cannot be satisfied: {}", plain_reason(problem));
        return text;
    }
    if !rule.given.is_empty() {
        let names: Vec<String> = rule.given.iter().map(|login| format!("`{login}`")).collect();
        let _ = write!(text, "approved by {}", listed(&names, "and"));
    }
    if let Some(until) = rule.until {
        let _ = write!(text, ", which counts until {}", moment(until));
    }
    if rule.missing > 0 {
        if !rule.given.is_empty() {
            text.push_str("; ");
        }
        let who = match &rule.candidates {
            None => "somebody with write access who did not ask for it".to_owned(),
            Some(candidates) if all => {
                let names: Vec<String> = candidates.iter().map(|login| format!("`{login}`")).collect();
                listed(&names, "and")
            }
            Some(candidates) => people(candidates),
        };
        let number = if all || rule.missing == 1 { String::new() } else { format!("{} of ", rule.missing) };
        let _ = write!(text, "waits for {number}{who}");
    }
    text
}

/// One line on what is missing, for the check run.
pub fn check_title(judgement: &Judgement) -> String {
    if judgement.is_given() {
        return "approved: it may be merged".into();
    }
    if let Some(login) = judgement.refused_by.iter().next() {
        return format!("{login} asks for changes");
    }
    if let Some(rule) = judgement.rules.iter().find(|rule| rule.problem.is_some()) {
        return format!("the rule {} cannot be satisfied", plain(&rule.name));
    }
    let missing: Vec<String> = judgement
        .rules
        .iter()
        .filter(|rule| rule.missing > 0)
        .map(|rule| format!("{} more for {}", rule.missing, plain(&rule.name)))
        .collect();
    if missing.is_empty() {
        "no approval counts yet".into()
    } else {
        format!("waiting for approval: {}", missing.join(", "))
    }
}

/// A follow-up pull request or another step and how it stands, for a list.
pub struct FollowUp {
    /// `owner/name#number`, or its name.
    pub reference: String,
    /// In words.
    pub state: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// A step that a backend takes, and how it stands; `more` is what the backend says of it now.
pub(super) fn step_line(name: &str, step: &RunStep, more: Option<&str>) -> FollowUp {
    let mut state = match step.state {
        StepState::Started => "begun",
        StepState::Waiting => "runs",
        StepState::Success => "done",
        StepState::Failure => "failed",
        StepState::TimedOut => "timed out",
        StepState::Skipped => "left out",
        StepState::Unknown => "not known",
    }
    .to_owned();
    if let (Some(begun), Some(ended)) = (step.started_at, step.ended_at) {
        let _ = write!(state, " after {}", time_in_words(ended.seconds() - begun.seconds()));
    }
    for said in [step.reason.as_deref(), more].into_iter().flatten() {
        let _ = write!(state, ", {}", quoted(said));
    }
    if step.attempt > 1 {
        let _ = write!(state, " (attempt {})", step.attempt);
    }
    for (title, url) in &step.links {
        let _ = write!(state, " · [{}]({url})", plain(title));
    }
    let log = if step.state == StepState::Success { Vec::new() } else { step.log.clone() };
    FollowUp { reference: step_reference(name, &step.kind), state, log }
}

/// A step that is not begun.
pub(super) fn step_to_come(name: &str, kind: &str) -> FollowUp {
    FollowUp { reference: step_reference(name, kind), state: "to come".to_owned(), log: Vec::new() }
}

fn step_reference(name: &str, kind: &str) -> String {
    format!("**{}** ({})", plain(name), plain(kind))
}

/// A moment, for people.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.trim_end_matches("00Z").trim_end_matches([':', 'Z']).replace('T', " "))
}

fn time_in_words(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

/// An amount of time, in days where it is some.
pub fn days(seconds: i64) -> String {
    match seconds / 86_400 {
        0 => time_in_words(seconds),
        1 => "a day".to_owned(),
        days => format!("{days} days"),
    }
}

/// The comment on a request that was merged: in progress or ended.
pub fn progress(about: &About<'_>, follow_ups: &[FollowUp], reason: Option<&str>, next: &str) -> String {
    let mut text = about.heading();
    if let Some(reason) = reason {
        let _ = writeln!(text, "\n{}", first_upper(&plain_reason(reason)));
    }
    if !follow_ups.is_empty() {
        text.push('\n');
    }
    for follow_up in follow_ups {
        let _ = writeln!(text, "- {}: {}", follow_up.reference, follow_up.state);
        if !follow_up.log.is_empty() {
            let log = fenced("text", &diff::visible(&follow_up.log.join("\n")));
            let _ = write!(text, "\n{log}\n");
        }
    }
    let _ = writeln!(text, "\n**Now:** {next}");
    cut(text)
}

/// The warning that the time of an entity is over soon: the one comment that mentions people.
pub fn ends_soon(
    fingerprint: &str,
    action: &Action,
    entity: &Entity,
    due: Timestamp,
    names: &[String],
    keeping: &[&Action],
) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("@{name}")).collect();
    let named = if names.is_empty() { String::new() } else { format!("{}: ", names.join(" ")) };
    let of = |action: &Action| format!("\"{}\" (`{}`)", plain(&action.title), action.identifier);
    let keep = match keeping {
        [] => {
            "No action of the catalog moves that time: whoever may change the entity's file can.".to_owned()
        }
        some => {
            let some: Vec<String> = some.iter().copied().map(of).collect();
            format!("To keep it, ask for {} before.", listed(&some, "or"))
        }
    };
    format!(
        "<!-- chandlery:ends {fingerprint} -->\n### `{}` ends soon\n\n{named}its time is over at {}. Then Chandlery asks for {}. {keep}\n",
        entity.id(),
        moment(due),
        of(action),
    )
}

/// A reason that people typed, as it is kept.
pub fn shortened(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(500).collect()
}

/// Why it stands so, with who had it carried out past the rules before anything else.
pub fn with_break_glass(
    glass: Option<&BreakGlass>,
    requesters: &BTreeSet<Login>,
    reason: Option<&str>,
) -> Option<String> {
    let Some(broken) = glass else { return reason.map(str::to_owned) };
    let names: Vec<String> = requesters.iter().map(|login| format!("`{login}`")).collect();
    let more = reason.map_or_else(String::new, |reason| format!(" {}", first_upper(reason)));
    Some(format!(
        "**BREAK-GLASS**: it was merged past the rules, and `{}` had it carried out without the approvals that it needs (asked by {}): {}.{more}",
        broken.by,
        listed(&names, "and"),
        quoted(&broken.reason)
    ))
}

/// On whose word something is done.
pub struct OnWhoseWord<'a> {
    /// Who asked.
    pub requesters: &'a BTreeSet<Login>,
    /// Who approved.
    pub approved: &'a BTreeSet<Login>,
    /// Who had it carried out past the rules.
    pub glass: Option<&'a BreakGlass>,
}

/// The text of a follow-up pull request.
pub fn follow_up_body(
    marker: &str,
    own: &str,
    request: &RequestId,
    pull: &str,
    people: &OnWhoseWord<'_>,
    changed: bool,
) -> String {
    let OnWhoseWord { requesters, approved, glass } = *people;
    let names = |logins: &BTreeSet<Login>| {
        listed(&logins.iter().map(|login| format!("`{login}`")).collect::<Vec<_>>(), "and")
    };
    let mut text = format!("{marker}\n");
    if !own.trim().is_empty() {
        let _ = writeln!(text, "{}\n", own.trim());
    }
    let _ = writeln!(text, "Follows from {pull} (request `{request}`), asked by {}.", names(requesters));
    if changed {
        let _ = writeln!(
            text,
            "\n**This is not what was approved there:** this repository has changed since, and with it what the request would do. It needs the same approvals here before it may be merged; merged without them, the request counts as denied."
        );
    } else if let Some(broken) = with_break_glass(glass, requesters, None) {
        let _ = writeln!(text, "\n{broken}");
    } else if approved.is_empty() {
        let _ = writeln!(text, "\nThe action needs no approval.");
    } else {
        let _ = writeln!(text, "\nThese very bytes were approved there by {}.", names(approved));
    }
    text
}

fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}\n\n… (cut here)\n", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_typed_stays_inside_its_quotes() {
        for text in ["`", "``` x", "a\n### Approved", "<!-- chandlery:request x -->", "@everyone", " ", "``"]
        {
            let shown = quoted(text);
            assert!(!shown.contains('\n'));
            let fence: String = shown.chars().take_while(|c| *c == '`').collect();
            assert!(!fence.is_empty() || shown == "(empty)");
            let inside = &shown[fence.len()..shown.len() - fence.len()];
            assert!(!inside.contains(&fence), "{shown}");
        }
    }
}
