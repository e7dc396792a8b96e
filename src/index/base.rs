//! What is kept of one tree: who is where, what points at what, what has problems, and what each entity says.
//!
//! Tables of fixed records, one after the other; texts lie in a pool. A *row* is an entity file, in the
//! order of blueprint, identifier, path; a *file* is a document in the order of its folder and name; a
//! *folder* comes before all that is in it. Nothing here knows what a problem is called: the few files
//! that have some are read again.

use std::{cmp::Ordering, collections::BTreeMap, ops::Range};

use serde::{Deserialize, Serialize};

use super::{
    pages::{Pages, Place},
    sorted::{partition, partition_near},
};
use crate::domain::{BlueprintId, ObjectId, RepoPath};

/// The first thing to change when the layout does. What the program thinks of entities is in [`super::PROGRAM`].
pub(super) const FORMAT: u32 = 2;
/// No row.
pub(super) const NONE: u32 = u32::MAX;

/// What is known before anything else is read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) format: u32,
    pub(super) program: String,
    /// The folders of entities and requests.
    pub(super) roots: [String; 2],
    /// The names of blueprints, defined or not, in order; records name them by their place here.
    pub(super) blueprints: Vec<String>,
    /// What each of them was defined as; none where it was not.
    pub(super) defined: Vec<Option<String>>,
    /// The rows of each of them: from, to.
    pub(super) rows_of: Vec<(u32, u32)>,
    /// The names of fields that point at something: `team`, `properties.lead`, `relations.owner`.
    pub(super) fields: Vec<String>,
    /// Names that no file of a catalog can have, with the folder they are in.
    pub(super) refused: Vec<(u32, String)>,
    pub(super) tables: BTreeMap<String, (u64, u64)>,
}

/// The tables of a base, each with the size of its records in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Values,
    Pool,
    Folders,
    Files,
    Rows,
    /// Where the edges of the row begin in `Edges`; one more than there are rows.
    Starts,
    Edges,
    Dangling,
    /// Rows by a checksum of their identifier in lower case.
    Folded,
    Problems,
}

impl Table {
    const ALL: [Self; 10] = [
        Self::Values,
        Self::Pool,
        Self::Folders,
        Self::Files,
        Self::Rows,
        Self::Starts,
        Self::Edges,
        Self::Dangling,
        Self::Folded,
        Self::Problems,
    ];

    pub(super) const fn size(self) -> usize {
        match self {
            Self::Values | Self::Pool => 1,
            Self::Starts | Self::Problems => 4,
            Self::Folders => 48,
            Self::Files => 34,
            Self::Rows => 32,
            Self::Edges | Self::Folded => 8,
            Self::Dangling => 20,
        }
    }
}

/// A text in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) at: u32,
    pub(super) length: u16,
}

/// A folder below one of the roots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Folder {
    /// Its whole path.
    pub(super) path: Text,
    pub(super) tree: ObjectId,
    pub(super) files: u32,
    pub(super) files_end: u32,
    /// The first folder that is not in it.
    pub(super) end: u32,
    /// The text that Git keeps of it, in the pool: the names of files lie there.
    pub(super) text: u32,
    pub(super) text_length: u32,
    /// Whether it holds a request that is not over.
    pub(super) open: bool,
}

/// A document of an entity, well or wrongly placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileRecord {
    pub(super) name: Text,
    pub(super) folder: u32,
    pub(super) blob: ObjectId,
    /// [`NONE`] where it does not lie where entities lie.
    pub(super) row: u32,
}

/// An entity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    pub(super) blueprint: u32,
    pub(super) identifier: Text,
    pub(super) file: u32,
    pub(super) value: u64,
    pub(super) value_length: u32,
    /// Whether it was judged and nothing is wrong with it, seen alone.
    pub(super) sound: bool,
}

/// Something that points at a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) source: u32,
    pub(super) field: u32,
}

/// Something that points at what is not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dangling {
    pub(super) blueprint: u32,
    pub(super) identifier: Text,
    pub(super) edge: Edge,
}

/// Fields of a record, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (now, rest) = self.0.split_at(N);
        self.0 = rest;
        now.try_into().expect("a record has its size")
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn text(&mut self) -> Text {
        Text { at: self.u32(), length: u16::from_le_bytes(self.take()) }
    }

    fn bool(&mut self) -> bool {
        u16::from_le_bytes(self.take()) == 1
    }
}

/// A record of a table.
pub(super) trait Record: Sized {
    const TABLE: Table;
    fn read(bytes: &[u8]) -> Self;
    fn write(&self, into: &mut Vec<u8>);
}

fn put_text(into: &mut Vec<u8>, text: Text) {
    into.extend(text.at.to_le_bytes());
    into.extend(text.length.to_le_bytes());
}

impl Record for Folder {
    const TABLE: Table = Table::Folders;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            path: fields.text(),
            open: fields.bool(),
            tree: ObjectId::from_bytes(fields.take()),
            files: fields.u32(),
            files_end: fields.u32(),
            end: fields.u32(),
            text: fields.u32(),
            text_length: fields.u32(),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        put_text(into, self.path);
        into.extend(u16::from(self.open).to_le_bytes());
        into.extend(self.tree.bytes());
        for number in [self.files, self.files_end, self.end, self.text, self.text_length] {
            into.extend(number.to_le_bytes());
        }
    }
}

impl Record for FileRecord {
    const TABLE: Table = Table::Files;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            name: fields.text(),
            folder: fields.u32(),
            blob: ObjectId::from_bytes(fields.take()),
            row: fields.u32(),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        put_text(into, self.name);
        into.extend(self.folder.to_le_bytes());
        into.extend(self.blob.bytes());
        into.extend(self.row.to_le_bytes());
    }
}

impl Record for Row {
    const TABLE: Table = Table::Rows;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self {
            identifier: fields.text(),
            sound: fields.bool(),
            blueprint: fields.u32(),
            file: fields.u32(),
            value: u64::from_le_bytes(fields.take()),
            value_length: fields.u32(),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        put_text(into, self.identifier);
        into.extend(u16::from(self.sound).to_le_bytes());
        into.extend(self.blueprint.to_le_bytes());
        into.extend(self.file.to_le_bytes());
        into.extend(self.value.to_le_bytes());
        into.extend(self.value_length.to_le_bytes());
        into.extend([0; 4]);
    }
}

impl Record for Edge {
    const TABLE: Table = Table::Edges;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self { source: fields.u32(), field: fields.u32() }
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.source.to_le_bytes());
        into.extend(self.field.to_le_bytes());
    }
}

impl Record for Dangling {
    const TABLE: Table = Table::Dangling;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        let (identifier, _) = (fields.text(), fields.bool());
        Self { identifier, blueprint: fields.u32(), edge: Edge { source: fields.u32(), field: fields.u32() } }
    }

    fn write(&self, into: &mut Vec<u8>) {
        put_text(into, self.identifier);
        into.extend([0; 2]);
        into.extend(self.blueprint.to_le_bytes());
        self.edge.write(into);
    }
}

/// A row by what its identifier is in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Folded {
    pub(super) sum: u32,
    pub(super) row: u32,
}

impl Folded {
    pub(super) fn new(blueprint: u32, identifier: &str, row: u32) -> Self {
        let mut sum = crc32fast::Hasher::new_with_initial(blueprint);
        match identifier.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
            true => sum.update(identifier.to_lowercase().as_bytes()),
            false => sum.update(identifier.as_bytes()),
        }
        Self { sum: sum.finalize(), row }
    }
}

impl Record for Folded {
    const TABLE: Table = Table::Folded;

    fn read(bytes: &[u8]) -> Self {
        let mut fields = Fields(bytes);
        Self { sum: fields.u32(), row: fields.u32() }
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.extend(self.sum.to_le_bytes());
        into.extend(self.row.to_le_bytes());
    }
}

/// A base that is being read.
pub(super) struct Base {
    pub(super) pages: Pages,
    pub(super) head: Head,
    /// Where each table lies, and how long it is.
    tables: [(u64, u64); Table::ALL.len()],
}

impl Base {
    /// Opens a base; none if it is damaged, or another program's.
    pub(super) fn open(place: Place) -> Option<Self> {
        let (pages, head) = Pages::open(place)?;
        Self::read(pages, &head).filter(|base| base.head.program == super::PROGRAM)
    }

    /// Reads the head of a base; none if it names what is not in the file.
    pub(super) fn read(pages: Pages, head: &[u8]) -> Option<Self> {
        let head: Head = serde_json::from_slice(head).ok()?;
        let lies_inside = |(at, length): &(u64, u64)| {
            at.checked_add(*length).is_some_and(|end| end <= pages.len()) && *length < u64::from(NONE)
        };
        let is_one = head.format == FORMAT && head.tables.values().all(lies_inside);
        let place = |table: Table| head.tables.get(&format!("{table:?}")).copied().unwrap_or_default();
        let tables = Table::ALL.map(place);
        is_one.then_some(Self { pages, head, tables })
    }

    fn table(&self, table: Table) -> (u64, u64) {
        self.tables[table as usize]
    }

    pub(super) fn count(&self, table: Table) -> u32 {
        (self.table(table).1 / table.size() as u64) as u32
    }

    pub(super) fn record<T: Record>(&self, number: u32) -> T {
        let (at, length) = self.table(T::TABLE);
        let (from, size) = (u64::from(number) * T::TABLE.size() as u64, T::TABLE.size());
        if from + size as u64 > length {
            self.pages.damage();
            return T::read(&[0; 64][..size]);
        }
        self.pages.look(at + from, size, T::read)
    }

    pub(super) fn records<T: Record>(&self, range: Range<u32>) -> Vec<T> {
        let mut room = Vec::new();
        let bytes = self.bytes(T::TABLE, range, &mut room);
        bytes.chunks_exact(T::TABLE.size()).map(T::read).collect()
    }

    /// Some bytes of a table, read into a room that may have served before.
    pub(super) fn bytes<'a>(&self, table: Table, range: Range<u32>, room: &'a mut Vec<u8>) -> &'a [u8] {
        let (at, length) = self.table(table);
        let size = table.size() as u64;
        let (from, to) = (u64::from(range.start) * size, u64::from(range.end) * size);
        if to > length || from > to {
            self.pages.damage();
            return &[];
        }
        self.pages.read(at + from, (to - from) as usize, room)
    }

    fn numbers(&self, table: Table, range: Range<u32>) -> Vec<u32> {
        let mut room = Vec::new();
        let bytes = self.bytes(table, range, &mut room);
        bytes.chunks_exact(4).map(|four| u32::from_le_bytes(four.try_into().expect("four bytes"))).collect()
    }

    /// The files that have problems.
    pub(super) fn problems(&self) -> Vec<u32> {
        self.numbers(Table::Problems, 0..self.count(Table::Problems))
    }

    pub(super) fn look_text<T>(&self, text: Text, look: impl FnOnce(&str) -> T) -> T {
        let (at, length) = self.table(Table::Pool);
        if u64::from(text.at) + u64::from(text.length) > length {
            self.pages.damage();
            return look("");
        }
        self.pages.look(at + u64::from(text.at), usize::from(text.length), |bytes| {
            look(std::str::from_utf8(bytes).unwrap_or_default())
        })
    }

    pub(super) fn text(&self, text: Text) -> String {
        self.look_text(text, str::to_owned)
    }

    /// Many texts, read in one go.
    pub(super) fn texts(&self, texts: &[Text]) -> Vec<String> {
        let end = |text: &Text| text.at.saturating_add(text.length.into());
        let from = texts.iter().map(|text| text.at).min().unwrap_or(0);
        let to = texts.iter().map(end).max().unwrap_or(0);
        let mut room = Vec::new();
        let pool = self.bytes(Table::Pool, from..to, &mut room);
        let one = |text: &Text| {
            let bytes = pool.get((text.at - from) as usize..(end(text) - from) as usize).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        };
        texts.iter().map(one).collect()
    }

    /// The text that Git keeps of a folder, read into a room that may have served before: it can be large.
    pub(super) fn folder_text<'a>(&self, folder: &Folder, room: &'a mut Vec<u8>) -> &'a [u8] {
        self.bytes(Table::Pool, folder.text..folder.text.saturating_add(folder.text_length), room)
    }

    /// The document of this name in a folder.
    pub(super) fn file_in(&self, folder: &Folder, name: &str) -> Option<u32> {
        let all = folder.files..folder.files_end;
        let compare = |file: u32| self.look_text(self.record::<FileRecord>(file).name, |text| text.cmp(name));
        let at = partition(all.clone(), |file| compare(file) == Ordering::Less);
        (at < all.end && compare(at) == Ordering::Equal).then_some(at)
    }

    /// The place of a blueprint among the names.
    pub(super) fn blueprint(&self, name: &BlueprintId) -> Option<u32> {
        let found = self.head.blueprints.binary_search_by(|known| known.as_str().cmp(name.as_str()));
        found.ok().map(|place| place as u32)
    }

    /// All rows of a blueprint.
    pub(super) fn rows_of(&self, blueprint: u32) -> Range<u32> {
        let (from, to) = self.head.rows_of.get(blueprint as usize).copied().unwrap_or_default();
        if from > to || to > self.count(Table::Rows) {
            self.pages.damage();
            return 0..0;
        }
        from..to
    }

    /// The rows of an entity: several, if it is there several times.
    pub(super) fn rows(&self, blueprint: u32, identifier: &str) -> Range<u32> {
        let is_it = |text: &str| text == identifier;
        let numbers = self.named(blueprint, identifier).into_iter();
        let mut same = numbers.filter(|(_, row)| self.look_text(row.identifier, is_it)).map(|(at, _)| at);
        // They lie side by side.
        same.next().map_or(0..0, |first| first..same.last().unwrap_or(first) + 1)
    }

    /// The rows of a blueprint whose identifiers differ from this one in nothing but case, it among them.
    pub(super) fn alike(&self, blueprint: u32, identifier: &str) -> Vec<Row> {
        let lower = identifier.to_lowercase();
        let is_alike = |text: &str| text.to_lowercase() == lower;
        let rows = self.named(blueprint, identifier).into_iter().map(|(_, row)| row);
        rows.filter(|row| self.look_text(row.identifier, is_alike)).collect()
    }

    /// The rows of a blueprint, in their order, which may have this identifier, whatever its case.
    fn named(&self, blueprint: u32, identifier: &str) -> Vec<(u32, Row)> {
        let wanted = Folded::new(blueprint, identifier, 0);
        let all = 0..self.count(Table::Folded);
        // Checksums lie evenly, so each tells about where it is.
        let guess = (u64::from(wanted.sum) * u64::from(all.end)) >> u32::BITS;
        let first = partition_near(all.clone(), guess as u32, |at| self.record::<Folded>(at) < wanted);
        let same =
            (first..all.end).map(|at| self.record::<Folded>(at)).take_while(|one| one.sum == wanted.sum);
        let rows = same.map(|one| (one.row, self.record::<Row>(one.row)));
        rows.filter(|(_, row)| row.blueprint == blueprint).collect()
    }

    /// What points at an entity, going by the blueprint's place and the identifier.
    pub(super) fn edges(&self, blueprint: u32, identifier: &str) -> Vec<Edge> {
        let rows = self.rows(blueprint, identifier);
        if !rows.is_empty() {
            return self.edges_of(rows.start);
        }
        let compare = |at: u32| {
            let dangling: Dangling = self.record(at);
            let text = || self.look_text(dangling.identifier, |text| text.cmp(identifier));
            dangling.blueprint.cmp(&blueprint).then_with(text)
        };
        let all = 0..self.count(Table::Dangling);
        let first = partition(all.clone(), |at| compare(at) == Ordering::Less);
        let same = (first..all.end).take_while(|at| compare(*at) == Ordering::Equal);
        same.map(|at| self.record::<Dangling>(at).edge).collect()
    }

    /// What points at the row, which must be the first of its entity.
    fn edges_of(&self, row: u32) -> Vec<Edge> {
        let starts = self.numbers(Table::Starts, row..row + 2);
        let [from, to] = starts[..] else { return Vec::new() };
        self.records(from..to)
    }

    /// Everything that points at entities of a blueprint.
    pub(super) fn edges_to(&self, blueprint: u32) -> Vec<Edge> {
        let rows = self.rows_of(blueprint);
        let mut edges = Vec::new();
        if !rows.is_empty() {
            let (from, to) = (self.start(rows.start), self.start(rows.end));
            edges = self.records(from..to);
        }
        let dangling: Vec<Dangling> = self.records(0..self.count(Table::Dangling));
        edges.extend(dangling.iter().filter(|one| one.blueprint == blueprint).map(|one| one.edge));
        edges
    }

    /// Where the edges of each row begin; one more than there are rows.
    pub(super) fn starts(&self) -> Vec<u32> {
        self.numbers(Table::Starts, 0..self.count(Table::Starts))
    }

    fn start(&self, row: u32) -> u32 {
        self.numbers(Table::Starts, row..row + 1).first().copied().unwrap_or_default()
    }

    /// Where a file lies.
    pub(super) fn path(&self, file: u32) -> Option<RepoPath> {
        let file: FileRecord = self.record(file);
        let folder: Folder = self.record(file.folder);
        let path = format!("{}/{}", self.text(folder.path), self.text(file.name));
        path.parse().inspect_err(|_| self.pages.damage()).ok()
    }

    /// The folder at a path.
    pub(super) fn folder(&self, path: &str) -> Option<u32> {
        let all = 0..self.count(Table::Folders);
        let compare = |at: u32| {
            let folder: Folder = self.record(at);
            self.look_text(folder.path, |text| by_parts(text, path))
        };
        let at = partition(all.clone(), |at| compare(at) == Ordering::Less);
        (at < all.end && compare(at) == Ordering::Equal).then_some(at)
    }

    /// What a row says, as JSON.
    pub(super) fn look_value<T>(&self, row: &Row, look: impl FnOnce(&[u8]) -> T) -> T {
        let (at, length) = self.table(Table::Values);
        if row.value.saturating_add(u64::from(row.value_length)) > length {
            self.pages.damage();
            return look(&[]);
        }
        self.pages.look(at + row.value, row.value_length as usize, look)
    }
}

/// A folder comes before all that is in it, and that before what comes after the folder.
pub(super) fn by_parts(a: &str, b: &str) -> Ordering {
    a.split('/').cmp(b.split('/'))
}
