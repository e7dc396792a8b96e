//! How are objects read? By gix, which unpacks packs several times as fast as libgit2. What it does not find or cannot
//! read is left to libgit2, which says what is wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use git2::{ObjectType, Oid};
use gix_hash::oid;
use gix_object::Kind;
use gix_pack::{
    cache::DecodeEntry,
    data::{
        self,
        decode::{entry::ResolvedBase, header},
    },
    index,
};

use super::{loose, objects::to_git};
use crate::domain::ObjectId;

/// The packs that a repository had when it was opened; they are mapped, and stay readable when Git removes them.
pub(super) struct Packs {
    packs: Vec<Pack>,
    /// The folder that they are in, and objects in files of their own.
    objects: PathBuf,
    /// Whether what they hold is not held against its id.
    are_believed: bool,
}

struct Pack {
    index: index::File,
    path: PathBuf,
    /// Opened by whoever reads from it first; none where that cannot be done.
    data: OnceLock<Option<data::File>>,
}

/// Where an object lies, in the order in which a pack is read fastest: what an object is a difference to lies near it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pack: usize,
    offset: u64,
}

impl Packs {
    /// Those of a folder of objects.
    pub(super) fn of(objects: &Path, are_believed: bool) -> Self {
        let found = fs::read_dir(objects.join("pack")).into_iter().flatten().flatten();
        let indexes =
            found.map(|file| file.path()).filter(|path| path.extension().is_some_and(|it| it == "idx"));
        let mut packs: Vec<Pack> = indexes
            .filter_map(|path| {
                let index = index::File::at(&path, gix_hash::Kind::Sha1).ok()?;
                Some(Pack { index, path: path.with_extension("pack"), data: OnceLock::new() })
            })
            .collect();
        // Most is in the largest.
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.index.num_objects()));
        Self { packs, objects: objects.to_owned(), are_believed }
    }

    pub(super) fn find(&self, id: ObjectId) -> Option<Place> {
        let id = gix_hash::ObjectId::from_bytes_or_panic(id.bytes());
        let found = |(at, pack): (usize, &Pack)| Some(Place { pack: at, offset: pack.offset(&id)? });
        self.packs.iter().enumerate().find_map(found)
    }

    fn at(&self, place: Place) -> Option<(&Pack, &data::File)> {
        let pack = self.packs.get(place.pack)?;
        Some((pack, pack.data()?))
    }
}

impl Pack {
    fn offset(&self, id: &oid) -> Option<u64> {
        Some(self.index.pack_offset_at_index(self.index.lookup(id)?))
    }

    fn data(&self) -> Option<&data::File> {
        self.data.get_or_init(|| data::File::at(&self.path, gix_hash::Kind::Sha1).ok()).as_ref()
    }
}

/// What a thread needs to read objects.
pub(super) struct Reader {
    packs: Arc<Packs>,
    inflate: gix_zlib::Inflate,
    bytes: Vec<u8>,
    kept: Kept,
}

impl Reader {
    /// One that will read about so many objects.
    pub(super) fn new(packs: Arc<Packs>, objects: usize) -> Self {
        Self { packs, inflate: gix_zlib::Inflate::default(), bytes: Vec::new(), kept: Kept::new(objects) }
    }

    pub(super) fn packs(&self) -> &Arc<Packs> {
        &self.packs
    }

    /// The bytes of an object, if it is one of this kind and can be read.
    pub(super) fn find(&mut self, id: ObjectId, kind: ObjectType) -> Option<&[u8]> {
        self.read(self.packs.find(id), id, kind)
    }

    /// The bytes of an object at its place in a pack, or of one in no pack, if it is one of this kind and can be read.
    pub(super) fn read(&mut self, place: Option<Place>, id: ObjectId, kind: ObjectType) -> Option<&[u8]> {
        let found = match place {
            Some(place) => self.unpack(place),
            None => loose::read(&self.packs.objects, id, &mut self.inflate, &mut self.bytes),
        }?;
        let is_right = || Oid::hash_object(kind, &self.bytes).is_ok_and(|is| is == to_git(id));
        (from_gix(found) == kind && (self.packs.are_believed || is_right())).then_some(&self.bytes)
    }

    fn unpack(&mut self, place: Place) -> Option<Kind> {
        let (pack, data) = self.packs.at(place)?;
        let base = |id: &oid, _: &mut Vec<u8>| match pack.offset(id) {
            Some(offset) => Ok(Some(ResolvedBase::InPack(data.entry(offset)?))),
            None => Ok(None),
        };
        let entry = data.entry(place.offset).ok()?;
        let (offset, is_whole) = (entry.data_offset, !entry.header.is_delta());
        self.kept.pack = place.pack;
        let read =
            data.decode_entry(entry, &mut self.bytes, &mut self.inflate, &base, &mut self.kept).ok()?;
        if is_whole {
            // What was a difference was put there already.
            self.kept.put(data.id, offset, &self.bytes, read.kind, read.compressed_size);
        }
        Some(read.kind)
    }

    /// How many bytes an object has, or takes in a file of its own, if it can be read.
    pub(super) fn size(&mut self, id: ObjectId) -> Option<u64> {
        let Some(place) = self.packs.find(id) else {
            return loose::length(&self.packs.objects, id);
        };
        let (pack, data) = self.packs.at(place)?;
        let base = |id: &oid| match pack.offset(id) {
            Some(offset) => Ok(Some(header::ResolvedBase::InPack(data.entry(offset)?))),
            None => Ok(None),
        };
        let entry = data.entry(place.offset).ok()?;
        Some(data.decode_header(entry, &mut self.inflate, &base).ok()?.object_size)
    }
}

fn from_gix(kind: Kind) -> ObjectType {
    match kind {
        Kind::Tree => ObjectType::Tree,
        Kind::Blob => ObjectType::Blob,
        Kind::Commit => ObjectType::Commit,
        Kind::Tag => ObjectType::Tag,
    }
}

/// Objects that others may be differences to: of those with the same slot the last one.
struct Kept {
    slots: Vec<Option<Slot>>,
    /// Bytes of all of them.
    held: usize,
    /// The pack that is read from; those that gix numbers by a sum of their name may share a number.
    pack: usize,
}

struct Slot {
    pack: usize,
    offset: u64,
    kind: Kind,
    /// Bytes in the pack.
    packed: usize,
    object: Vec<u8>,
}

impl Kept {
    /// Slots, at most: what a pack of 100,000 small objects wants.
    const MOST: usize = 20_000;
    /// Bytes of one: to copy larger ones costs more than it saves, since few of them follow from each other.
    const LARGE: usize = 1 << 14;
    /// Bytes of all, at most.
    const HELD: usize = 8 << 20;

    fn new(objects: usize) -> Self {
        let slots = objects.clamp(64, Self::MOST);
        Self { slots: std::iter::repeat_with(|| None).take(slots).collect(), held: 0, pack: 0 }
    }

    fn slot(&self, offset: u64) -> usize {
        // Offsets that are near each other get slots that are not.
        (offset.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as usize % self.slots.len()
    }
}

impl DecodeEntry for Kept {
    fn put(&mut self, _: u32, offset: u64, data: &[u8], kind: Kind, packed: usize) {
        let at = self.slot(offset);
        let slot = &mut self.slots[at];
        let had = slot.as_ref().map_or(0, |slot| slot.object.len());
        let held = self.held - had + data.len();
        if data.len() > Self::LARGE || held > Self::HELD {
            return;
        }
        self.held = held;
        let mut object = slot.take().map(|slot| slot.object).unwrap_or_default();
        object.clear();
        object.extend_from_slice(data);
        *slot = Some(Slot { pack: self.pack, offset, kind, packed, object });
    }

    fn get(&mut self, _: u32, offset: u64, out: &mut Vec<u8>) -> Option<(Kind, usize)> {
        let slot = self.slots[self.slot(offset)].as_ref()?;
        if (slot.pack, slot.offset) != (self.pack, offset) {
            return None;
        }
        out.clear();
        out.extend_from_slice(&slot.object);
        Some((slot.kind, slot.packed))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{
        domain::Timestamp,
        git::{
            bulk::read_blobs,
            fixture::Fixture,
            objects::{Node, Objects},
        },
    };

    #[expect(clippy::disallowed_methods, reason = "packs are made by Git itself")]
    fn git(folder: &Path, arguments: &[&str]) {
        let done = Command::new("git").arg("-C").arg(folder).args(arguments).output().unwrap();
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A repository with two packs of long chains of differences, and with objects in none.
    fn with_packs() -> (Fixture, Vec<ObjectId>) {
        let fixture = Fixture::new();
        let (mut parents, mut blobs) = (Vec::new(), Vec::new());
        for number in 0..700 {
            let lines: Vec<String> = (0..40).map(|line| format!("{line}: {}", number / (line + 1))).collect();
            let commit =
                fixture.commit(&parents, &format!("{}/{number}.yaml {}", number % 7, lines.join("|")));
            parents = vec![commit];
            let name = format!("refs/heads/{number}");
            fixture.objects.repository.reference(&name, to_git(commit), true, "").unwrap();
            match number {
                400 => git(fixture.folder.path(), &["repack", "-adfq", "--depth=50", "--window=10"]),
                600 => git(fixture.folder.path(), &["repack", "-dq"]),
                _ => {}
            }
        }
        fixture
            .objects
            .walk(fixture.objects.root(parents[0]).unwrap(), "", &mut |_, entry| {
                blobs.push(entry.id);
                Ok(())
            })
            .unwrap();
        (fixture, blobs)
    }

    fn by_libgit2(objects: &Objects, id: ObjectId) -> Vec<u8> {
        objects.repository.find_blob(to_git(id)).unwrap().content().to_vec()
    }

    /// Everything that can be read, as `read_blobs` tells it.
    fn in_bulk(objects: &Objects, blobs: &[ObjectId]) -> Option<Vec<(usize, Vec<u8>)>> {
        let read =
            read_blobs(objects, blobs, Vec::new, |read, at, bytes| read.push((at, bytes.to_vec()))).ok()?;
        let mut read: Vec<_> = read.into_iter().flatten().collect();
        read.sort_unstable();
        Some(read)
    }

    #[test]
    fn what_lies_in_packs_is_what_libgit2_reads() {
        let (fixture, mut blobs) = with_packs();
        // One that is wanted twice is read twice.
        blobs.push(blobs[3]);
        let objects = fixture.objects.again().unwrap();
        let expected: Vec<_> = blobs.iter().map(|id| by_libgit2(&objects, *id)).enumerate().collect();
        assert_eq!(in_bulk(&objects, &blobs).unwrap(), expected);
        for (id, (_, bytes)) in blobs.iter().zip(&expected) {
            assert_eq!(objects.blob(*id).unwrap()[..], bytes[..]);
        }
        let packs = objects.packs();
        let in_packs = blobs.iter().filter(|id| packs.find(**id).is_some()).count();
        assert_eq!((packs.packs.len(), in_packs), (2, 602), "two packs, and the rest in none");
        let mut reader = Reader::new(packs, 10);
        for id in &blobs[..600] {
            let size = reader.size(*id).unwrap();
            if reader.packs().find(*id).is_some() {
                assert_eq!(size, by_libgit2(&objects, *id).len() as u64);
            }
            assert_eq!(reader.find(*id, ObjectType::Tree), None, "a file is no folder");
        }
        let head = objects.commit_named("699", Timestamp::from_seconds(0)).unwrap();
        assert_eq!(in_bulk(&objects, &[objects.root(head).unwrap()]), None, "a folder is no file");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "files are damaged on purpose")]
    fn damage_of_objects_in_no_pack_is_never_taken_for_what_was_there() {
        let fixture = Fixture::new();
        let text: String = (0..90).map(|line| format!("{line} is {}|", line * line)).collect();
        let commit = fixture.commit(&[], &format!("one.yaml {text}"));
        let root = fixture.objects.root(commit).unwrap();
        let Some(Node::File(file)) = fixture.objects.find(root, "one.yaml").unwrap() else { panic!() };
        let path = loose::path(&fixture.folder.path().join("objects"), file.id);
        let (whole, expected) = (fs::read(&path).unwrap(), by_libgit2(&fixture.objects, file.id));
        for are_believed in [true, false] {
            let packs = Arc::new(Packs::of(&fixture.folder.path().join("objects"), are_believed));
            let mut reader = Reader::new(packs, 1);
            assert_eq!(reader.find(file.id, ObjectType::Blob).unwrap(), expected);
            assert_eq!(reader.find(file.id, ObjectType::Tree), None);
            let damaged = (0..whole.len() * 8).map(|at| {
                let mut bytes = whole.clone();
                bytes[at / 8] ^= 1 << (at % 8);
                bytes
            });
            let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
            fs::remove_file(&path).unwrap();
            for bytes in damaged.chain(cut) {
                fs::write(&path, bytes).unwrap();
                let found = reader.find(file.id, ObjectType::Blob);
                assert!(found.is_none_or(|found| found == expected));
            }
            fs::write(&path, &whole).unwrap();
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a pack is damaged on purpose")]
    fn damage_is_never_taken_for_what_was_there() {
        let (fixture, blobs) = with_packs();
        let expected: Vec<_> = blobs.iter().map(|id| by_libgit2(&fixture.objects, *id)).enumerate().collect();
        let mut unread = 0;
        for round in 1..40 {
            // libgit2 remembers packs by their path.
            let copy = tempfile::tempdir().unwrap();
            let folder = copy.path().join("copy.git");
            git(copy.path(), &["clone", "-q", "--bare", fixture.folder.path().to_str().unwrap(), "copy.git"]);
            let packs = fs::read_dir(folder.join("objects/pack")).unwrap().map(|file| file.unwrap().path());
            let packs = packs.filter(|path| path.extension().unwrap() == "pack");
            let pack = packs.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
            let mut bytes = fs::read(&pack).unwrap();
            let at = 12 + (bytes.len() - 40) * round / 40;
            bytes[at] ^= 1 << (round % 8);
            fs::remove_file(&pack).unwrap();
            fs::write(&pack, &bytes).unwrap();
            let repository = git2::Repository::open_bare(&folder).unwrap();
            let objects = Objects::new(repository, fixture.objects.git.clone());
            match in_bulk(&objects, &blobs) {
                Some(read) => assert_eq!(read, expected),
                None => unread += 1,
            }
            for (id, (_, bytes)) in blobs.iter().zip(&expected) {
                assert!(objects.blob(*id).map_or(true, |read| read[..] == bytes[..]), "{id}");
            }
        }
        assert!(unread > 3, "{unread} of them hit something that is read");
    }
}
