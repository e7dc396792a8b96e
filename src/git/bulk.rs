//! How are very many blobs read? By the git program, which is twice as fast at it as libgit2: it keeps what
//! others are differences to. They are worked on by several threads while it reads.

use std::{
    io::{self, BufWriter, Read as _, Write},
    ops::Range,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use super::objects::{Objects, Read, ReadError, to_git};
use crate::domain::ObjectId;

/// Fewer than this are read here: a program takes longer to start.
const FEW: usize = 1_000;
/// How many bytes of blobs a thread is given at once.
const SHARE: usize = 1 << 18;
/// How many such shares may lie ready for each thread.
const READY: usize = 4;
/// How long git is left alone when it has said little: less than it takes to fill its pipe.
const NAP: Duration = Duration::from_millis(1);

/// Reads blobs and does something with each: its place in the list, and its bytes. Each thread works on a
/// state of its own, made by `start`. Blobs near each other in the list should be alike.
///
/// # Errors
/// When one is missing or the repository is broken; nothing is said about the others then.
pub fn read_blobs<S: Send>(
    objects: &Objects,
    wanted: &[ObjectId],
    start: impl Fn() -> S + Sync,
    each: impl Fn(&mut S, usize, &[u8]) + Sync,
) -> Read<Vec<S>> {
    // Where there is no such program it takes longer.
    match (wanted.len() >= FEW).then(|| git(objects.folder())) {
        Some(Ok(child)) => by_git(child, wanted, start, each),
        Some(Err(_)) | None => here(objects, wanted, start(), each),
    }
}

fn here<S>(
    objects: &Objects,
    wanted: &[ObjectId],
    mut state: S,
    each: impl Fn(&mut S, usize, &[u8]),
) -> Read<Vec<S>> {
    for (place, id) in wanted.iter().enumerate() {
        let blob = objects.repository.find_blob(to_git(*id)).map_err(ReadError::of(*id))?;
        each(&mut state, place, blob.content());
    }
    Ok(vec![state])
}

#[expect(clippy::disallowed_methods, reason = "git is started here, too: it only reads")]
fn git(repository: &Path) -> io::Result<Child> {
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

/// Blobs one after the other: from which place in the list, and where each lies among the bytes.
struct Share {
    first: usize,
    blobs: Vec<Range<usize>>,
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
            for (place, blob) in (share.first..).zip(share.blobs) {
                each(&mut state, place, &share.bytes[blob]);
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
        widen(&output);
        let read = answers(output, wanted, &sender);
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
    mut output: ChildStdout,
    wanted: &[ObjectId],
    sender: &mpsc::SyncSender<Share>,
) -> io::Result<Option<ObjectId>> {
    let mut share = Share { first: 0, blobs: Vec::new(), bytes: Vec::new() };
    let (mut filled, mut at) = (0, 0);
    while let Some(id) = wanted.get(share.first + share.blobs.len()) {
        if let Some(head) = head(&share.bytes[at..filled]) {
            let Ok(Head { length, size }) = head else { return Ok(Some(*id)) };
            let end = at + length + size;
            // One byte more ends the answer.
            if end < filled {
                share.blobs.push(at + length..end);
                at = end + 1;
                if at >= SHARE {
                    let rest = share.bytes[at..filled].to_vec();
                    let first = share.first + share.blobs.len();
                    let next = Share { first, blobs: Vec::new(), bytes: rest };
                    (filled, at) = (filled - at, 0);
                    send(sender, std::mem::replace(&mut share, next))?;
                }
                continue;
            }
            share.bytes.resize(share.bytes.len().max(end + 1), 0);
        }
        share.bytes.resize(share.bytes.len().max(filled + SHARE), 0);
        let read = output.read(&mut share.bytes[filled..])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        // Git writes a few blobs at a time, and whoever waits for them would be woken each time.
        if read < SHARE / 4 && filled < SHARE {
            std::thread::sleep(NAP);
        }
    }
    send(sender, share)?;
    Ok(None)
}

fn send(sender: &mpsc::SyncSender<Share>, share: Share) -> io::Result<()> {
    sender.send(share).map_err(|_| io::ErrorKind::BrokenPipe.into())
}

/// The line before a blob.
struct Head {
    /// How long it is, its end included.
    length: usize,
    /// How long the blob is.
    size: usize,
}

/// The line that a text begins with, if all of it is there: an id, `blob` and a size. An error where it says anything else.
fn head(text: &[u8]) -> Option<Result<Head, ()>> {
    let end = memchr::memchr(b'\n', text)?;
    let words = std::str::from_utf8(&text[..end]).unwrap_or_default();
    let size = words.split_once(" blob ").and_then(|(_, size)| size.parse().ok());
    Some(size.map(|size| Head { length: end + 1, size }).ok_or(()))
}

/// Gives a pipe room for what is written during a nap; where it stays small, git waits now and then.
#[cfg(target_os = "linux")]
fn widen(pipe: &ChildStdout) {
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(pipe, 4 * SHARE) {
        tracing::debug!("a pipe stays small: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn widen(_: &ChildStdout) {}
