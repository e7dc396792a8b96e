//! What does the check say that holds the whole log of a step?

use std::fmt::Write as _;

use super::{fenced, plain};
use crate::{
    domain::{StepState, masked},
    plan::{diff, log},
};

/// The title of the check that holds the log of a step.
pub(in crate::plan) fn check_title_of_step(name: &str, state: StepState) -> String {
    let how = match state {
        StepState::Success => "done",
        StepState::Failure => "failed",
        StepState::TimedOut => "timed out",
        StepState::Unknown => "not known whether it was done",
        StepState::Started | StepState::Waiting | StepState::Skipped => "not ended",
    };
    format!("{}: {how}", plain(name))
}

/// What fits into the text of a check run, in bytes.
/// <https://docs.github.com/rest/checks/runs#create-a-check-run>
const LONGEST_CHECK: usize = 65_535;

/// A whole log as the text of a check run; if it is too long, its beginning is left out, and that is said.
pub(in crate::plan) fn whole_log(lines: &[String]) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let lines: Vec<String> =
        masked(&lines.join("\n")).lines().map(|line| diff::visible(&log::uncoloured(line))).collect();
    let ticks = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    // What stands around the log, and a word on what is left out.
    let mut room = LONGEST_CHECK.saturating_sub(2 * ticks + 200);
    let mut kept = 0;
    for line in lines.iter().rev() {
        match room.checked_sub(line.len() + 1) {
            Some(rest) => room = rest,
            None => break,
        }
        kept += 1;
    }
    let left = lines.len() - kept;
    let mut text = String::new();
    if left > 0 {
        let _ = writeln!(
            text,
            "The first {left} of {} lines are left out, since the forge takes no longer text.\n",
            lines.len()
        );
    }
    text.push_str(&fenced("text", &lines[left..].join("\n")));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_log_loses_its_beginning_and_says_so() {
        let lines: Vec<String> = (1..=20_000).map(|n| format!("line {n}")).collect();
        let text = whole_log(&lines).unwrap();
        assert!((LONGEST_CHECK - 400..=LONGEST_CHECK).contains(&text.len()), "{}", text.len());
        assert!(text.ends_with("line 20000\n```\n"), "{}", &text[text.len() - 40..]);
        let left: usize = text.split(' ').nth(2).unwrap().parse().unwrap();
        assert!(text.contains(&format!("```text\nline {}\n", left + 1)), "{}", &text[..200]);
        assert_eq!(whole_log(&[]), None);
    }

    #[test]
    fn a_log_cannot_leave_its_fence_hide_anything_or_hold_a_credential() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let lines = ["\u{1b}[31m````".to_owned(), format!("@ada \u{202e}{token}")];
        assert_eq!(whole_log(&lines).unwrap(), "`````text\n````\n@ada <U+202E>(hidden)\n`````\n");
    }

    #[test]
    fn a_line_that_is_too_long_by_itself_is_cut_from_the_front() {
        let text = whole_log(&["x".repeat(100_000), "end".to_owned()]).unwrap();
        assert!(text.starts_with("The first 1 of 2 lines"), "{}", &text[..100]);
    }
}
