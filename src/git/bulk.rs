//! How are very many blobs read? By the git program, which is twice as fast at it as libgit2: it keeps what
//! others are differences to. They are worked on by several threads while it reads.

use std::{
    io::{BufRead, BufReader, BufWriter, Read as _, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use git2::Repository;

use super::objects::{Read, ReadError, to_git};
use crate::domain::ObjectId;

/// Fewer than this are read here: a program takes longer to start.
const FEW: usize = 1_000;
/// How many bytes of blobs a thread is given at once.
const SHARE: usize = 1 << 18;
/// How many such shares may lie ready for each thread.
const READY: usize = 4;

/// Reads blobs and does something with each: its place in the list, and its bytes. Each thread works on a
/// state of its own, made by `start`. Blobs near each other in the list should be alike.
///
/// # Errors
/// When one is missing or the repository is broken; nothing is said about the others then.
pub fn read_blobs<S: Send>(
    repository: &Path,
    wanted: &[ObjectId],
    start: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, usize, &[u8]) + Sync,
) -> Read<Vec<S>> {
    // Where there is no such program it takes longer.
    match (wanted.len() >= FEW).then(|| git(repository)) {
        Some(Ok(child)) => by_git(child, wanted, start, each),
        Some(Err(_)) | None => here(repository, wanted, start(), each),
    }
}

fn here<S>(
    repository: &Path,
    wanted: &[ObjectId],
    mut state: S,
    each: impl Fn(&mut S, usize, &[u8]),
) -> Read<Vec<S>> {
    let repository = Repository::open(repository).map_err(|error| ReadError::broken(&error))?;
    for (place, id) in wanted.iter().enumerate() {
        let blob = repository.find_blob(to_git(*id)).map_err(ReadError::of(*id))?;
        each(&mut state, place, blob.content());
    }
    Ok(vec![state])
}

#[expect(clippy::disallowed_methods, reason = "git is started here, too: it only reads")]
fn git(repository: &Path) -> std::io::Result<Child> {
    Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["cat-file", "--batch", "--buffer"])
        .env_clear()
        .envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_NO_LAZY_FETCH", "1")])
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Blobs one after the other: from which place in the list, and where each ends.
struct Share {
    first: usize,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

fn by_git<S: Send>(
    mut child: Child,
    wanted: &[ObjectId],
    start: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, usize, &[u8]) + Sync,
) -> Read<Vec<S>> {
    let broken = |what: &str| ReadError::Broken(format!("git does not read it: {what}"));
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(broken("it cannot be talked to"));
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (sender, shares) = mpsc::sync_channel::<Share>(threads * READY);
    let shares = Arc::new(Mutex::new(shares));
    let work = || {
        let mut state = start();
        loop {
            let next = shares.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(share) = next else { return state };
            let mut from = 0;
            for (place, end) in (share.first..).zip(share.ends) {
                each(&mut state, place, &share.bytes[from..end]);
                from = end;
            }
        }
    };
    let (read, states) = std::thread::scope(|scope| {
        // What it is asked and what it answers go past each other, or both would wait.
        let asking = scope.spawn(move || {
            let mut input = BufWriter::new(input);
            wanted.iter().try_for_each(|id| writeln!(input, "{id}")).and_then(|()| input.flush())
        });
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let read = answers(BufReader::with_capacity(SHARE, output), wanted, &sender);
        drop(sender);
        let states: Vec<S> =
            workers.into_iter().map(|thread| thread.join().expect("a worker does not panic")).collect();
        if !matches!(read, Ok(None)) {
            // It may wait for somebody to read on, and whoever asks for it.
            drop(child.kill());
        }
        drop(asking.join());
        (read, states)
    });
    drop(child.wait());
    match read {
        Ok(None) => Ok(states),
        Ok(Some(missing)) => Err(ReadError::Missing(missing)),
        Err(error) => Err(broken(&error.to_string())),
    }
}

/// Passes on what git says; the first blob that is missing, if one is.
fn answers(
    mut output: impl BufRead,
    wanted: &[ObjectId],
    sender: &mpsc::SyncSender<Share>,
) -> std::io::Result<Option<ObjectId>> {
    let mut line = String::new();
    let mut share = Share { first: 0, ends: Vec::new(), bytes: Vec::with_capacity(SHARE) };
    for (place, id) in wanted.iter().enumerate() {
        line.clear();
        output.read_line(&mut line)?;
        let mut words = line.split_whitespace().skip(1);
        let (Some("blob"), Some(Ok(size))) = (words.next(), words.next().map(str::parse::<u64>)) else {
            return if line.is_empty() {
                Err(std::io::ErrorKind::UnexpectedEof.into())
            } else {
                Ok(Some(*id))
            };
        };
        let read = output.by_ref().take(size).read_to_end(&mut share.bytes)?;
        let mut end = [0];
        output.read_exact(&mut end)?;
        if read as u64 != size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        share.ends.push(share.bytes.len());
        if share.bytes.len() >= SHARE || place + 1 == wanted.len() {
            let next = Share { first: place + 1, ends: Vec::new(), bytes: Vec::with_capacity(SHARE) };
            if sender.send(std::mem::replace(&mut share, next)).is_err() {
                return Err(std::io::ErrorKind::BrokenPipe.into());
            }
        }
    }
    Ok(None)
}
