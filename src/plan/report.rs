//! What does a backend report? A comment on the request's pull request that nobody edited, whose first line names the
//! request and the step, with JSON in a fence behind it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::log;
use crate::domain::{Remark, RequestId, StepId};

/// How long an output may be, as JSON in bytes.
pub const LONGEST: usize = 4_000;

/// What is reported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// How it stands.
    pub status: Status,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// Where to look, by title.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a step stands, as its backend says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It did what it should.
    Success,
    /// It did not.
    Failure,
    /// It goes on.
    Progress,
}

/// The comment that says this.
pub fn write(request: &RequestId, step: &StepId, report: &Report) -> String {
    let json = serde_json::to_string_pretty(report).expect("a report is plain data");
    let longest = json.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2);
    let fence = "`".repeat(longest + 1);
    let mut text = format!("{}\n", first_line(request, step));
    let _ = write!(text, "{fence}json\n{json}\n{fence}\n");
    text
}

fn first_line(request: &RequestId, step: &StepId) -> String {
    format!("{}{request} {step} -->", Remark::REPORT)
}

/// What a comment reports of a step, if it does.
pub fn read(remark: &Remark, request: &RequestId, step: &StepId) -> Option<Report> {
    let mut lines = remark.body.lines();
    if remark.edited || lines.next()?.trim_end() != first_line(request, step) {
        return None;
    }
    let fence = lines.next()?.trim_end().strip_suffix("json")?;
    let json: Vec<&str> = lines.take_while(|line| line.trim_end() != fence).collect();
    let mut report: Report = serde_json::from_str(&json.join("\n")).ok()?;
    report.outputs.retain(|name, value| log::is_name(name) && value.to_string().len() <= LONGEST);
    report.links = report
        .links
        .iter()
        .filter_map(|(title, url)| Some((log::plain(title, 80), log::link(url)?)))
        .collect();
    report.message = report.message.map(|message| log::plain(&message, 500));
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn what_is_reported_is_read_back_unless_somebody_edited_it() {
        let (request, step) = ("a/b".parse().unwrap(), "apply".parse().unwrap());
        let report = Report {
            status: Status::Success,
            outputs: [("url".to_owned(), "```x".into())].into_iter().collect(),
            links: [("Log".to_owned(), "https://a.test/".to_owned())].into(),
            message: Some("done".into()),
        };
        let body = write(&request, &step, &report);
        let remark = |edited| Remark {
            id: 1,
            author: None,
            body: body.replace('\n', "\r\n"),
            at: Timestamp::from_seconds(0),
            edited,
        };
        assert_eq!(read(&remark(false), &request, &step), Some(report));
        assert_eq!(read(&remark(true), &request, &step), None);
        assert_eq!(read(&remark(false), &request, &"other".parse().unwrap()), None);
    }
}
