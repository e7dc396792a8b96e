//! Which labels tell where the requests of an issue or pull request stand?

use std::collections::BTreeSet;

use crate::{
    domain::{LABELS, Stage},
    plan::{
        build::Site,
        step::{Call, Step},
    },
};

/// The step that makes the labels tell these stages; labels of others are left alone.
pub(super) fn step(
    site: &Site<'_>,
    number: u64,
    present: &BTreeSet<String>,
    stages: impl IntoIterator<Item = Stage>,
) -> Option<Step> {
    if !site.definitions.settings.labels {
        return None;
    }
    let wanted: BTreeSet<String> = stages.into_iter().map(Stage::label).collect();
    let ours: BTreeSet<String> = present.iter().filter(|label| label.starts_with(LABELS)).cloned().collect();
    let add: Vec<String> = wanted.difference(&ours).cloned().collect();
    let remove: Vec<String> = ours.difference(&wanted).cloned().collect();
    let repository = site.here.catalog.clone();
    (!add.is_empty() || !remove.is_empty()).then_some(Step::Call(Call::Label {
        repository,
        number,
        add,
        remove,
    }))
}
