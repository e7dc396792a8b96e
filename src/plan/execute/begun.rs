//! Was a run begun by us, or does somebody want it to look so?

use std::collections::BTreeSet;

use super::PATIENCE;
use crate::{
    domain::{Login, Run},
    plan::{
        build::Site,
        facts::{Appearance, Looked},
    },
};

/// Whether a run was begun by us.
pub(super) enum Begun {
    /// With these approvals.
    Yes(BTreeSet<Login>),
    No,
    Unclear(String),
}

/// Once we began, consent has been judged. That the record is ours is believed unless a pull request of somebody else
/// brought it; until the forge tells who did, nothing goes on.
pub(super) fn begun_by_us(site: &Site<'_>, record: Option<&Run>, appeared: &[Appearance]) -> Looked<Begun> {
    let (Some(record), [appeared]) = (record, appeared) else { return Ok(Begun::No) };
    let approved = record.approved_by.iter().cloned().collect();
    let pass = site.look.pass()?.unwrap_or_default();
    if !pass.is_empty() && record.progress.iter().any(|step| step.claim.as_deref() == Some(pass)) {
        return Ok(Begun::Yes(approved));
    }
    let (pulls, now) = (site.look.pulls_of(appeared.commit), site.look.now());
    Ok(match (pulls?, now?) {
        (Ok([]), Ok(now)) if now.seconds() - appeared.at.seconds() > PATIENCE => Begun::Yes(approved),
        (Ok([]), _) => {
            Begun::Unclear("the forge does not say yet what brought the record of the run".to_owned())
        }
        (Ok(pulls), _) if pulls.iter().all(|pull| pull.author.as_ref() == Some(&site.here.me)) => {
            Begun::Yes(approved)
        }
        (Ok(_), _) => Begun::No,
        (Err(why), _) => {
            Begun::Unclear(format!("what brought the record of the run could not be learnt: {why}"))
        }
    })
}
