//! Why does `/break-glass` on a merged pull request release nothing, and who may say it? Each such comment is answered once; one
//! that does release it is answered by what happens then.

use super::spoken_of;
use crate::{
    domain::{Permission, Pull, Run, Timestamp},
    plan::{
        build::Site,
        command::{BREAK_GLASS, Command, commands},
        execute,
        facts::{Looked, Pending},
        message, say,
        step::Step,
    },
};

/// The most of these comments on one pull request that are answered.
const MOST_ANSWERS: usize = 20;
const WHO: &str = "an administrator of this repository can, with a reason: `/break-glass REASON`";

/// The answers that are not given yet.
pub(super) fn answers(site: &Site<'_>, pull: &Pull) -> Looked<Vec<Step>> {
    let all = commands(&pull.remarks);
    let asked = all.iter().filter(|command| command.word == BREAK_GLASS).take(MOST_ANSWERS);
    let (mut steps, mut pending) = (Vec::new(), false);
    for command in asked {
        let marker = message::answer_marker(command.id);
        if let Some(given) = pull.comments.iter().find(|comment| message::marker_of(&comment.body) == marker)
        {
            steps.extend(say(&site.here.catalog, pull.number, &pull.comments, given.body.clone()));
            continue;
        }
        match why_not(site, pull, command) {
            Err(Pending) => pending = true,
            Ok(None) => {}
            Ok(Some(why)) => {
                let body = format!("{marker}\n`{}`: {why}.\n", command.by);
                steps.extend(say(&site.here.catalog, pull.number, &pull.comments, body));
            }
        }
    }
    if pending { Err(Pending) } else { Ok(steps) }
}

/// Why a comment releases nothing; none where it does, or where that is not known yet.
fn why_not(site: &Site<'_>, pull: &Pull, command: &Command<'_>) -> Looked<Option<String>> {
    let Some(merged_at) = pull.merged_at else { return Ok(None) };
    let Some(within) = site.definitions.settings.break_glass else {
        let why = "nobody may have something carried out past the rules here: `breakGlass` in chandlery.yaml is not said";
        return Ok(Some(why.to_owned()));
    };
    // The request waits until that is known.
    let Ok(permission) = site.look.permission(&site.here.catalog, command.by)? else { return Ok(None) };
    if command.by.is_app() || permission != Permission::Admin {
        return Ok(Some(format!("you may not, being no administrator of this repository; {WHO}")));
    }
    if command.rest.is_empty() {
        return Ok(Some(format!("it says no reason; {WHO}")));
    }
    if command.at < merged_at {
        return Ok(Some("it was said before the merge; say it again".to_owned()));
    }
    let until = Timestamp::from_seconds(merged_at.seconds() + within);
    if command.at > until {
        return Ok(Some("its time is over; ask again under another name".to_owned()));
    }
    let ends = ended(site, pull)?;
    let has_ended = !ends.is_empty() && ends.iter().all(|run| run.break_glass.is_none());
    Ok(has_ended.then(|| format!("there is nothing to release: it ended as {}", ends[0].status)))
}

/// The records of the requests of a pull request, if all of them have ended.
fn ended(site: &Site<'_>, pull: &Pull) -> Looked<Vec<Run>> {
    let (mut runs, mut pending) = (Vec::new(), false);
    for id in spoken_of(pull).keys() {
        match execute::recorded(site, id) {
            Err(Pending) => pending = true,
            Ok(Some(Ok(run))) => runs.push(run),
            Ok(None | Some(Err(_))) => return Ok(Vec::new()),
        }
    }
    if pending { Err(Pending) } else { Ok(runs) }
}
