//! What follows from commands in the comments of a request that is not merged yet?
//!
//! A command counts until its request is closed the next time, so that opening it again undoes it. Each one is answered
//! once, unless what happens is answer enough.

use std::collections::BTreeSet;

use crate::{
    domain::{Comment, Login, Permission, Pull, Remark, Stage, Timestamp, nearest},
    plan::{
        approval::Judgement,
        build::Site,
        command::{BREAK_GLASS, Command, commands},
        facts::{Looked, Pending},
        message, say,
        step::Step,
    },
};

/// The most commands of one issue or pull request that are answered.
const MOST_ANSWERS: usize = 20;

/// What is known of the request, or the requests together, that commands are about.
pub(super) struct About<'a> {
    /// Where the comments are.
    pub(super) number: u64,
    pub(super) remarks: &'a [Remark],
    pub(super) comments: &'a [Comment],
    /// When it was closed last.
    pub(super) last_closed: Option<Timestamp>,
    pub(super) requesters: BTreeSet<Login>,
    /// Who was asked to approve, where that is known.
    pub(super) judgements: Vec<&'a Judgement>,
    /// What the plan is, in words.
    pub(super) plan: String,
    /// Where `/decline` is to be said instead, if not here.
    pub(super) decline_at: Option<String>,
}

/// How a request is ended by a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// Whoever asked took it back.
    Cancelled(Login),
    /// Somebody who may said no, with the reason as typed.
    Declined(Login, String),
}

impl Ended {
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Cancelled(_) => Stage::Cancelled,
            Self::Declined(..) => Stage::Declined,
        }
    }

    /// Why it ended, in words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Cancelled(login) => format!("`{login}` took it back"),
            Self::Declined(login, why) if why.is_empty() => format!("`{login}` declined it"),
            Self::Declined(login, why) => format!("`{login}` declined it: {}", message::quoted(why)),
        }
    }
}

/// What is answered, and whether the request has ended.
pub(super) fn react(site: &Site<'_>, about: &About<'_>) -> Looked<(Vec<Step>, Option<Ended>)> {
    let since = about.last_closed;
    let new =
        commands(about.remarks).into_iter().filter(|command| since.is_none_or(|since| command.at > since));
    let mut steps = Vec::new();
    let mut ended = None;
    let mut pending = false;
    for command in new.take(MOST_ANSWERS) {
        match judge(site, about, &command) {
            Err(Pending) => pending = true,
            Ok(Reaction::Nothing) => {}
            Ok(Reaction::End(how)) => ended = ended.or(Some(how)),
            Ok(Reaction::Answer(text)) => {
                let marker = message::answer_marker(command.id);
                let mut given =
                    about.comments.iter().filter(|comment| message::marker_of(&comment.body) == marker);
                // What was answered stays as it was, whatever became of the plan since.
                let body = given
                    .next()
                    .map_or_else(|| format!("{marker}\n{text}\n"), |comment| comment.body.clone());
                steps.extend(say(&site.here.catalog, about.number, about.comments, body));
            }
        }
    }
    if pending { Err(Pending) } else { Ok((steps, ended)) }
}

impl<'a> About<'a> {
    /// The commands of a pull request.
    pub(super) fn of_pull(pull: &'a Pull, requesters: BTreeSet<Login>) -> Self {
        let Pull { number, remarks, comments, last_closed, .. } = pull;
        let (judgements, plan, decline_at) = (Vec::new(), String::new(), None);
        let (number, last_closed) = (*number, *last_closed);
        Self { number, remarks, comments, last_closed, requesters, judgements, plan, decline_at }
    }
}

/// What was said about a request that was merged, and where.
pub(super) struct Spoken<'a> {
    pub(super) number: u64,
    pub(super) remarks: &'a [Remark],
    pub(super) comments: &'a [Comment],
    pub(super) merged_at: Timestamp,
    /// The pull request, if this is not it.
    pub(super) pull: Option<&'a str>,
}

/// The commands that there are.
const WORDS: [&str; 6] = ["help", "plan", "cancel", "decline", "retry", BREAK_GLASS];

/// What is answered while a merged request is carried out, and when it has ended: since then `ended` says when and how.
/// `requesters` is asked only where it matters.
pub(super) fn answers(
    site: &Site<'_>,
    spoken: &Spoken<'_>,
    ended: Option<(Timestamp, Stage)>,
    requesters: &dyn Fn() -> Looked<BTreeSet<Login>>,
) -> Looked<Vec<Step>> {
    let new = commands(spoken.remarks).into_iter().filter(|command| command.at >= spoken.merged_at);
    let (mut steps, mut pending) = (Vec::new(), false);
    for command in new.take(MOST_ANSWERS) {
        let marker = message::answer_marker(command.id);
        // What was answered stays as it was, once.
        if let Some(given) =
            spoken.comments.iter().find(|comment| message::marker_of(&comment.body) == marker)
        {
            steps.extend(say(&site.here.catalog, spoken.number, spoken.comments, given.body.clone()));
            continue;
        }
        match answer_to_merged(site, spoken, &command, ended, requesters) {
            Err(Pending) => pending = true,
            Ok(None) => {}
            Ok(Some(text)) => {
                let body = format!("{marker}\n{text}\n");
                steps.extend(say(&site.here.catalog, spoken.number, spoken.comments, body));
            }
        }
    }
    if pending { Err(Pending) } else { Ok(steps) }
}

/// None where what happens is answer enough.
fn answer_to_merged(
    site: &Site<'_>,
    spoken: &Spoken<'_>,
    command: &Command<'_>,
    ended: Option<(Timestamp, Stage)>,
    requesters: &dyn Fn() -> Looked<BTreeSet<Login>>,
) -> Looked<Option<String>> {
    let answer = |text: &str| Ok(Some(format!("`{}`: {text}", command.by)));
    match command.word {
        "help" => return Ok(Some(message::commands())),
        "plan" => return answer("it is merged: what was approved is carried out, and nothing else."),
        "decline" => return answer("it is merged: `/cancel` ends what is still to come of it."),
        BREAK_GLASS => {
            return Ok(spoken.pull.map(|pull| format!("`{}`: say it at {pull}.", command.by)));
        }
        "retry" | "cancel" => {}
        word => return meant(word).map_or(Ok(None), |words| answer(&words)),
    }
    let may = requesters()?.contains(command.by) || {
        let permission = site.look.permission(&site.here.catalog, command.by)?;
        permission.is_ok_and(|permission| permission >= Permission::Write)
    };
    if !may {
        return answer("only who asked, or who has write access, may say this.");
    }
    match ended {
        // One that ended it is not too late, whatever the record says of the time.
        Some((at, stage)) if command.at > at && (command.word != "cancel" || stage != Stage::Cancelled) => {
            answer("it has ended: ask again under another name.")
        }
        _ => Ok(None),
    }
}

/// How a closed pull request was ended, if we closed it because of a command.
pub(super) fn how_it_ended(
    site: &Site<'_>,
    pull: &Pull,
    requesters: &BTreeSet<Login>,
) -> Looked<Option<Ended>> {
    let Some(closed) = pull.last_closed.filter(|_| pull.closed_by.as_ref() == Some(&site.here.me)) else {
        return Ok(None);
    };
    let about = About::of_pull(pull, requesters.clone());
    let (mut ended, mut unanswered) = (None, None);
    let mut pending = false;
    for command in commands(about.remarks).into_iter().filter(|command| command.at <= closed) {
        match judge(site, &about, &command) {
            Err(Pending) => pending = true,
            Ok(Reaction::End(how)) => ended = Some(how),
            // Whom a rule names may decline without write access, and who that was is not asked again: what was refused
            // was answered.
            Ok(Reaction::Answer(_)) if command.word == "decline" && !requesters.contains(command.by) => {
                let marker = message::answer_marker(command.id);
                if about.comments.iter().all(|comment| message::marker_of(&comment.body) != marker) {
                    unanswered = Some(Ended::Declined(command.by.clone(), command.rest.to_owned()));
                }
            }
            Ok(_) => {}
        }
    }
    if pending { Err(Pending) } else { Ok(ended.or(unanswered)) }
}

enum Reaction {
    Nothing,
    Answer(String),
    End(Ended),
}

fn judge(site: &Site<'_>, about: &About<'_>, command: &Command<'_>) -> Looked<Reaction> {
    let asked = about.requesters.contains(command.by);
    let answer = |text: &str| Ok(Reaction::Answer(format!("`{}`: {text}", command.by)));
    match command.word {
        "help" => Ok(Reaction::Answer(message::commands())),
        "plan" => Ok(Reaction::Answer(format!("Planned again: {}.", about.plan))),
        "cancel" if asked => Ok(Reaction::End(Ended::Cancelled(command.by.clone()))),
        "cancel" => answer("only who asked may take it back; to say no, use `/decline` and the reason."),
        "decline" if asked => answer("you asked for this: `/cancel` takes it back."),
        "decline" => match &about.decline_at {
            Some(there) => answer(&format!("say it at {there}.")),
            None if may_decline(site, about, command.by)? => {
                Ok(Reaction::End(Ended::Declined(command.by.clone(), command.rest.to_owned())))
            }
            None => answer("only people with write access, or who are asked to approve, may decline it."),
        },
        "retry" => answer("there is nothing to try again: it is not being carried out yet."),
        BREAK_GLASS => answer(
            "it is not merged: once it is, past the rules and where the settings allow it, an administrator can have it carried out.",
        ),
        "approve" => answer("approvals are reviews: approve under \"Files changed\"."),
        word => meant(word).map_or(Ok(Reaction::Nothing), |words| answer(&words)),
    }
}

/// What is said to somebody who mistyped a command. Words that are like none of ours are for others.
fn meant(word: &str) -> Option<String> {
    let near = nearest(word, WORDS)?;
    Some(format!("there is no `/{word}` here; did you mean `/{near}`? `/help` says what there is."))
}

/// Where it cannot be learnt what somebody may do, they may not.
fn may_decline(site: &Site<'_>, about: &About<'_>, login: &Login) -> Looked<bool> {
    let rules = about.judgements.iter().flat_map(|judgement| &judgement.rules);
    let named = rules.filter_map(|rule| rule.candidates.as_ref()).any(|people| people.contains(login));
    if named {
        return Ok(true);
    }
    let permission = site.look.permission(&site.here.catalog, login)?;
    Ok(permission.is_ok_and(|permission| permission >= Permission::Write))
}
