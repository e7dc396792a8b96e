//! How are very many blobs read? In the order in which they lie in their packs, by several threads.
//!
//! Read in any other order, a pack as `git fast-import` leaves it takes ten times as long: what an
//! object is a difference to is looked for again and again.

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use git2::{Oid, Repository};

use super::objects::{Read, ReadError, to_git};
use crate::domain::ObjectId;

/// Fewer than this are read in the order given: looking through a whole repository would cost more.
const FEW: usize = 2_000;
/// How many blobs a thread takes at once.
const SHARE: usize = 1_024;

/// Reads blobs and does something with each: its place in the list, and its bytes. A blob that is in the
/// list several times is read once. Each thread works on a state of its own, made by `start`.
///
/// # Errors
/// When one is missing or the repository is broken; nothing is said about the others then.
pub fn read_blobs<S: Send>(
    repository: &Path,
    wanted: &[ObjectId],
    start: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, usize, &[u8]) + Sync,
) -> Read<Vec<S>> {
    let broken = |error: git2::Error| ReadError::broken(&error);
    let order = in_order(&Repository::open(repository).map_err(broken)?, wanted)?;
    let threads = match order.len() {
        0..FEW => 1,
        _ => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let next = AtomicUsize::new(0);
    let failed: Mutex<Option<ReadError>> = Mutex::new(None);
    let work = || -> Read<S> {
        let mut state = start();
        let repository = Repository::open(repository).map_err(broken)?;
        let odb = repository.odb().map_err(broken)?;
        loop {
            let from = next.fetch_add(SHARE, Ordering::Relaxed);
            let Some(share) =
                order.get(from..(from + SHARE).min(order.len())).filter(|share| !share.is_empty())
            else {
                return Ok(state);
            };
            for (id, places) in share {
                let object = odb.read(*id).map_err(broken)?;
                for place in places {
                    each(&mut state, *place, object.data());
                }
            }
        }
    };
    let states = std::thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let finished = started.into_iter().map(|thread| thread.join().expect("a worker does not panic"));
        let note = |result: Read<S>| match result {
            Ok(state) => Some(state),
            Err(error) => {
                failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                None
            }
        };
        finished.filter_map(note).collect()
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(states),
    }
}

/// Each blob with its places in the list, as they lie in their packs.
fn in_order(repository: &Repository, wanted: &[ObjectId]) -> Read<Vec<(Oid, Vec<usize>)>> {
    let mut places: HashMap<Oid, Vec<usize>> = HashMap::with_capacity(wanted.len());
    for (place, id) in wanted.iter().enumerate() {
        places.entry(to_git(*id)).or_default().push(place);
    }
    let mut order = Vec::with_capacity(places.len());
    if wanted.len() >= FEW {
        let odb = repository.odb().map_err(|error| ReadError::broken(&error))?;
        odb.foreach(|id| {
            order.extend(places.remove_entry(id));
            !places.is_empty()
        })
        .or_else(|error| if places.is_empty() { Ok(()) } else { Err(ReadError::broken(&error)) })?;
    }
    let mut rest: Vec<_> = places.into_iter().collect();
    rest.sort_by_key(|(_, places)| places[0]);
    order.extend(rest);
    Ok(order)
}
