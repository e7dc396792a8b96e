//! What do we say on the issue that a request came from?

use std::fmt::Write as _;

use super::{
    About, OBSERVES, asked, cut, effect, first_upper, marker_of, rules_as_written, stage_in_words, stage_of,
    with_mistakes,
};
use crate::{
    domain::{Diagnostic, Stage},
    plan::build::Built,
};

/// The marker of the comment on an issue.
pub fn issue_marker() -> &'static str {
    "<!-- chandlery:issue -->"
}

/// The comment on an issue whose form has mistakes.
pub fn issue_mistakes(problems: &[Diagnostic], contact: Option<&str>) -> String {
    let heading = format!("{}\n### This request has mistakes\n\n", issue_marker());
    with_mistakes(heading, problems, "Edit the issue", contact)
}

/// The comment on an issue that became a pull request.
pub fn issue_asked(pull: &str) -> String {
    format!(
        "{}\n### Asked\n\nThis became {pull}: there stands what would change and who must approve. Edit this issue to change the request; close it to take it back.\n",
        issue_marker()
    )
}

/// The comment on an issue whose request was merged; `told` is what our comment on the pull request says.
pub fn issue_in_progress(pull: &str, told: &str) -> String {
    let mut text = format!(
        "{}\n### In progress\n\nIt is being carried out: {pull} says on whose word.\n",
        issue_marker()
    );
    if let Some(standing) = standing(told) {
        let _ = write!(text, "\n{standing}\n");
    }
    cut(text)
}

/// What our comment on a merged pull request says below its heading; nothing while it still speaks of the plan.
fn standing(told: &str) -> Option<&str> {
    if stage_of(told)? != Stage::InProgress {
        return None;
    }
    let (_, below) = told.split_once("\n\n")?;
    let below = match below.strip_prefix("Request `") {
        Some(line) => line.split_once('\n')?.1,
        None => below,
    };
    Some(below.trim()).filter(|below| !below.is_empty())
}

/// The comment on an issue whose request ended; `help` says who can.
pub fn issue_ended(stage: Stage, pull: Option<&str>, reason: Option<&str>, help: &str) -> String {
    let mut text = format!("{}\n### {}\n\n", issue_marker(), first_upper(stage_in_words(stage)));
    if let Some(reason) = reason {
        let _ = writeln!(text, "{}", first_upper(reason));
    }
    if let Some(pull) = pull {
        let _ = writeln!(text, "\nThe whole story is at {pull}.{help}");
    }
    if matches!(stage, Stage::Cancelled | Stage::Declined | Stage::Expired) {
        text.push_str("\nTo ask again, file a new issue; this one is not taken up again.\n");
    }
    text
}

/// The comment on an issue that would become a pull request, were it not that the catalog only observes.
pub fn issue_observed(about: &About<'_>, built: &Built) -> String {
    let heading = about.heading();
    let mut text = heading.replacen(marker_of(&heading), issue_marker(), 1);
    text.push_str(&asked(&built.plan));
    let _ = writeln!(text, "\n**Now:** {OBSERVES}\n");
    text.push_str(&rules_as_written(&built.plan));
    text.push_str(&effect(built, text.len()));
    text
}
