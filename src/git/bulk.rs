//! How are very many blobs read? In the order in which packs hold them, by several threads, each of which works on what it read.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use git2::{ObjectType, Repository};

use super::{
    objects::{Objects, Read, ReadError, read_slowly},
    packs::{Packs, Place, Reader},
};
use crate::domain::ObjectId;

/// Fewer than this are read by one thread.
const FEW: usize = 200;
/// How many blobs a thread takes at least; what is a difference to others lies near them, and each thread unpacks its own.
const SHARE: usize = 200;

/// Reads blobs and does something with each: its place in the list, and its bytes. They come in any order. Each thread
/// works on a state of its own, made by `start`.
///
/// # Errors
/// When one is missing or the repository is broken; nothing is said about the others then.
pub fn read_blobs<S: Send>(
    objects: &Objects,
    wanted: &[ObjectId],
    start: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, usize, &[u8]) + Sync,
) -> Read<Vec<S>> {
    let (folder, packs) = (objects.folder(), objects.packs());
    // What is in no pack comes first.
    let mut order: Vec<(Option<Place>, usize)> =
        wanted.iter().enumerate().map(|(at, id)| (packs.find(*id), at)).collect();
    order.sort_unstable();
    let threads =
        if wanted.len() < FEW { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    let next = AtomicUsize::new(0);
    // Ever fewer, so that all end at about the same time.
    let take = || {
        let share = |from: usize| SHARE.max((order.len() - from) / (2 * threads));
        let from = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |from| {
            (from < order.len()).then(|| from + share(from))
        });
        from.ok().map(|from| &order[from..order.len().min(from + share(from))])
    };
    let work = || {
        let mut state = start();
        let mut hand = Hand::new(folder, packs.clone(), wanted.len());
        while let Some(share) = take() {
            for (place, at) in share {
                hand.look_at(wanted[*at], *place, ObjectType::Blob, |bytes| {
                    each(&mut state, *at, bytes);
                    Ok(())
                })?;
            }
        }
        Ok(state)
    };
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut states = vec![work()];
        states.extend(helpers.into_iter().map(|thread| thread.join().expect("a worker does not panic")));
        states.into_iter().collect()
    })
}

/// Reads the objects of a repository, on a thread of its own.
pub(super) struct Hand<'a> {
    folder: &'a Path,
    reader: Reader,
    /// Opened where something lies in no pack.
    repository: Option<Repository>,
}

impl<'a> Hand<'a> {
    /// One that will read about so many objects.
    pub(super) fn new(folder: &'a Path, packs: Arc<Packs>, objects: usize) -> Self {
        Self { folder, reader: Reader::new(packs, objects), repository: None }
    }

    /// Looks at the bytes of an object.
    ///
    /// # Errors
    /// When it is missing or broken, and those of `look`.
    pub(super) fn look<T>(
        &mut self,
        id: ObjectId,
        kind: ObjectType,
        look: impl FnOnce(&[u8]) -> Read<T>,
    ) -> Read<T> {
        let place = self.reader.packs().find(id);
        self.look_at(id, place, kind, look)
    }

    fn look_at<T>(
        &mut self,
        id: ObjectId,
        place: Option<Place>,
        kind: ObjectType,
        look: impl FnOnce(&[u8]) -> Read<T>,
    ) -> Read<T> {
        if let Some(bytes) = self.reader.read(place, id, kind) {
            return look(bytes);
        }
        let repository = match &self.repository {
            Some(repository) => repository,
            None => {
                let opened = Repository::open(self.folder).map_err(|error| ReadError::broken(&error))?;
                self.repository.insert(opened)
            }
        };
        read_slowly(repository, id, kind, look)
    }
}
