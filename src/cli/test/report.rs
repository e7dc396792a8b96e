//! How are tried actions told?

use std::fmt::Write as _;

use serde_json::json;

use super::{Fault, Tried};
use crate::domain::counted;

/// For people.
pub(super) fn text(tried: &[Tried]) -> String {
    let mut out = String::new();
    let (mut cases, mut faults, mut made_up) = (0_usize, 0, 0);
    for Tried { action, cases: of_action, fuzz } in tried {
        let _ = writeln!(out, "{action}");
        for case in of_action {
            cases += 1;
            let said = match (case.faults.is_empty(), case.updated) {
                (false, _) => "FAILED",
                (true, true) => "updated",
                (true, false) => "ok",
            };
            let what = case.description.as_ref().map(|what| format!(": {what}")).unwrap_or_default();
            let _ = writeln!(out, "  {said:<8} {}{what}", case.name);
            for fault in &case.faults {
                faults += 1;
                show(fault, &mut out);
            }
        }
        if of_action.is_empty() {
            let _ = writeln!(out, "  no examples: add one as {action}.tests/NAME.yaml beside the action");
        }
        let count = fuzz.planned + fuzz.refused + fuzz.failed;
        made_up += count;
        let said = if fuzz.faults.is_empty() { "ok" } else { "FAILED" };
        let _ = writeln!(
            out,
            "  {said:<8} made-up inputs: {} planned, {} refused, {} failed{}",
            fuzz.planned,
            fuzz.refused,
            fuzz.failed,
            match (fuzz.planned + fuzz.failed == 0 && count > 0, of_action.is_empty()) {
                (true, true) => "; write an example to start from",
                (true, false) => "; so nothing of it was tried: is there an example that is planned?",
                (false, _) => "",
            }
        );
        for fault in &fuzz.faults {
            faults += 1;
            show(fault, &mut out);
        }
    }
    let said = if faults == 0 { "all is well".to_owned() } else { format!("{faults} failed") };
    let tried = [
        counted(tried.len(), "action", "actions"),
        counted(cases, "example", "examples"),
        counted(made_up, "made-up input", "made-up inputs"),
    ];
    let _ = writeln!(out, "{}: {said}", tried.join(", "));
    out
}

pub(super) fn show(fault: &Fault, out: &mut String) {
    let _ = writeln!(out, "    {}", fault.what);
    for line in fault.details.iter().flat_map(|detail| detail.lines()) {
        let _ = writeln!(out, "      {line}");
    }
    let _ = writeln!(out, "    = help: {}", fault.help);
}

/// For programs.
pub(super) fn json(tried: &[Tried]) -> String {
    let ok = tried.iter().all(Tried::is_well);
    json!({ "ok": ok, "actions": tried }).to_string()
}
