//! How is an object read that lies in a file of its own? As in packs: unpacked by gix, and left to libgit2 where that fails.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use gix_object::{Kind, decode::loose_header};
use gix_zlib::{Inflate, Status};

use crate::domain::ObjectId;

/// Bytes of the longest head: a kind, a space, a length, a zero.
const HEAD: usize = 32;
/// How many bytes one byte of a file can stand for, at most.
const UNPACKED: u64 = 1032;

pub(super) fn path(objects: &Path, id: ObjectId) -> PathBuf {
    let id = id.to_string();
    objects.join(&id[..2]).join(&id[2..])
}

/// How many bytes the file of an object has; none where it has no file.
pub(super) fn length(objects: &Path, id: ObjectId) -> Option<u64> {
    Some(fs::metadata(path(objects, id)).ok()?.len())
}

/// Reads the bytes of an object into a room that may have served before.
pub(super) fn read(objects: &Path, id: ObjectId, inflate: &mut Inflate, bytes: &mut Vec<u8>) -> Option<Kind> {
    let mut file = File::open(path(objects, id)).ok()?;
    let mut packed = Vec::with_capacity(usize::try_from(file.metadata().ok()?.len()).ok()?);
    file.read_to_end(&mut packed).ok()?;
    let mut unpack = |into: &mut [u8]| {
        inflate.reset();
        let (status, _, unpacked) = inflate.once(&packed, into).ok()?;
        Some((status, unpacked))
    };
    let mut head = [0; HEAD];
    let (_, unpacked) = unpack(&mut head)?;
    let (kind, length, skip) = loose_header(&head[..unpacked]).ok()?;
    // Nothing is made room for that cannot be there.
    if length > packed.len() as u64 * UNPACKED {
        return None;
    }
    bytes.resize(skip + usize::try_from(length).ok()?, 0);
    let is_whole = unpack(bytes)? == (Status::StreamEnd, bytes.len());
    bytes.drain(..skip);
    is_whole.then_some(kind)
}
