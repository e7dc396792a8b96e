//! Which documents of definitions did their kind's schema allow before?
//!
//! To make those schemas ready takes longer than to judge all that a catalog defines. What a document says decides, so
//! the answer may outlive the process: `index::Kept` keeps it beside the repository.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use sha2::{Digest as _, Sha256};

/// A kind of document and what one says.
pub type Digest = [u8; 32];

/// A program that lives long meets many documents; what is over is judged anew.
const MOST: usize = 10_000;

static ALLOWED: Mutex<BTreeSet<Digest>> = Mutex::new(BTreeSet::new());

fn allowed() -> MutexGuard<'static, BTreeSet<Digest>> {
    ALLOWED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept of a document.
pub(super) fn digest(kind: &str, bytes: &[u8]) -> Digest {
    Sha256::new().chain_update(kind).chain_update([0]).chain_update(bytes).finalize().into()
}

pub(super) fn is_allowed(document: &Digest) -> bool {
    allowed().contains(document)
}

/// Notes that nothing was wrong with a document, as far as its schema can say.
pub(super) fn note(document: Digest) {
    note_all([document]);
}

/// All that is known.
pub fn all() -> BTreeSet<Digest> {
    allowed().clone()
}

/// Notes what an earlier process of this very program found.
pub fn note_all(documents: impl IntoIterator<Item = Digest>) {
    let mut allowed = allowed();
    if allowed.len() >= MOST {
        allowed.clear();
    }
    allowed.extend(documents);
}
