//! The history of one line of commits, as it is kept: commits by number and by id, entities by name, and what was
//! touched of each, oldest first. Records have one size each; texts lie in a pool.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Write},
    ops::Range,
};

use serde::{Deserialize, Serialize};

use super::{Authored, Stretch, Touch};
use crate::{
    domain::{ObjectId, RepoPath, Timestamp},
    index::{
        PROGRAM,
        pages::{Pages, Place, Writer},
        sorted::partition,
    },
};

/// The first thing to change when the layout does.
const FORMAT: u32 = 1;
/// Id, time, author, requests.
const COMMIT: usize = 44;
/// Name, first touch, end.
const ENTITY: usize = 16;
/// Commit, blob (zeros where the file went), path.
const TOUCH: usize = 32;
const NUMBER: usize = 4;
const GONE: [u8; 20] = [0; 20];

/// What is known before anything else is read.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Head {
    format: u32,
    program: String,
    /// The folder of the entities.
    pub(super) folder: String,
    /// What the clone lacked.
    pub(super) cut: String,
    /// Whether it lacked something of this line.
    pub(super) is_cut: bool,
    /// Where each table begins, and how long it is.
    tables: [(u64, u64); 5],
}

#[derive(Debug, Clone, Copy)]
enum Table {
    Pool,
    Commits,
    /// The numbers of the commits in the order of their ids.
    ById,
    Entities,
    Touches,
}

/// Such a file, being read.
pub(super) struct Written {
    pages: Pages,
    pub(super) head: Head,
}

impl Written {
    /// Opens a file; none if it is damaged, or another program's.
    pub(super) fn open(place: Place) -> Option<Self> {
        let (pages, head) = Pages::open(place)?;
        let head: Head = serde_json::from_slice(&head).ok()?;
        (head.format == FORMAT && head.program == PROGRAM).then_some(Self { pages, head })
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.pages.is_damaged()
    }

    fn count(&self, table: Table, size: usize) -> u32 {
        (self.head.tables[table as usize].1 / size as u64) as u32
    }

    /// How much there is, in commits and touches.
    pub(super) fn len(&self) -> usize {
        self.count(Table::Commits, COMMIT) as usize + self.count(Table::Touches, TOUCH) as usize
    }

    fn look<T>(&self, table: Table, at: u64, length: usize, look: impl Fn(&[u8]) -> T) -> T {
        let (start, end) = self.head.tables[table as usize];
        if at + length as u64 > end {
            self.pages.damage();
            return look(&[0; COMMIT][..length.min(COMMIT)]);
        }
        self.pages.look(start + at, length, look)
    }

    fn record<const SIZE: usize>(&self, table: Table, number: u32) -> [u8; SIZE] {
        let at = u64::from(number) * SIZE as u64;
        self.look(table, at, SIZE, |bytes| bytes.try_into().expect("a record has its size"))
    }

    /// The text whose place and length these bytes begin with.
    fn text<T>(&self, place: &[u8], look: impl Fn(&str) -> T) -> T {
        let (at, length) = (u32_at(place, 0), u32_at(place, 4));
        self.look(Table::Pool, at.into(), length as usize, |bytes| {
            look(std::str::from_utf8(bytes).unwrap_or_default())
        })
    }

    fn commit(&self, number: u32) -> ObjectId {
        let record: [u8; COMMIT] = self.record(Table::Commits, number);
        id_at(&record, 0)
    }

    /// The oldest commit.
    pub(super) fn oldest(&self) -> Option<ObjectId> {
        (self.count(Table::Commits, COMMIT) > 0).then(|| self.commit(0))
    }

    /// The number of a commit.
    pub(super) fn number(&self, commit: ObjectId) -> Option<u32> {
        let number = |at| u32_at(&self.record::<NUMBER>(Table::ById, at), 0);
        let all = 0..self.count(Table::ById, NUMBER);
        let at = partition(all.clone(), |at| self.commit(number(at)) < commit);
        let found = (at < all.end).then(|| number(at))?;
        (self.commit(found) == commit).then_some(found)
    }

    pub(super) fn authored(&self, number: u32) -> Option<Authored> {
        if number >= self.count(Table::Commits, COMMIT) {
            return None;
        }
        let record: [u8; COMMIT] = self.record(Table::Commits, number);
        Some(Authored {
            commit: id_at(&record, 0),
            at: Timestamp::from_seconds(i64::from_le_bytes(part(&record, 20))),
            author: self.text(&record[28..], str::to_owned),
            runs: self.text(&record[36..], |text| text.split_whitespace().map(str::to_owned).collect()),
        })
    }

    /// The place of the first entity whose name is not before this one, and whether that is its name.
    fn place(&self, key: &str) -> (u32, bool) {
        let compare = |at| self.text(&self.record::<ENTITY>(Table::Entities, at), |text| text.cmp(key));
        let all = 0..self.count(Table::Entities, ENTITY);
        let at = partition(all.clone(), |at| compare(at).is_lt());
        (at, at < all.end && compare(at).is_eq())
    }

    fn touches_of(&self, entity: &[u8; ENTITY], commits: u32) -> Vec<Touch> {
        let range: Range<u32> = u32_at(entity, 8)..u32_at(entity, 12);
        if range.end > self.count(Table::Touches, TOUCH) {
            self.pages.damage();
            return Vec::new();
        }
        let records = range.map(|at| self.record::<TOUCH>(Table::Touches, at));
        let early = records.take_while(|record| u32_at(record, 0) < commits);
        let touch = |record: [u8; TOUCH]| {
            let path: Option<RepoPath> = self.text(&record[24..], |text| text.parse().ok());
            if path.is_none() {
                self.pages.damage();
            }
            let after = Some(id_at(&record, 4)).filter(|id| *id.bytes() != GONE);
            Some(Touch { number: u32_at(&record, 0), path: path?, after })
        };
        early.filter_map(touch).collect()
    }

    /// What was touched of an entity by the first so many commits.
    pub(super) fn touches(&self, key: &str, commits: u32) -> Vec<Touch> {
        match self.place(key) {
            (at, true) => self.touches_of(&self.record(Table::Entities, at), commits),
            (_, false) => Vec::new(),
        }
    }

    /// Visits all entities whose names begin so, in order, with what the first so many commits touched of them.
    pub(super) fn each(&self, begin: &str, commits: u32, visit: &mut dyn FnMut(String, Vec<Touch>)) {
        for at in self.place(begin).0..self.count(Table::Entities, ENTITY) {
            let entity = self.record(Table::Entities, at);
            let key = self.text(&entity, str::to_owned);
            if !key.starts_with(begin) {
                break;
            }
            visit(key, self.touches_of(&entity, commits));
        }
    }

    /// All that the first so many commits did, in memory.
    pub(super) fn stretch(&self, commits: u32) -> Stretch {
        let mut entities = BTreeMap::new();
        self.each("", commits, &mut |key, touches| {
            if !touches.is_empty() {
                entities.insert(key, touches);
            }
        });
        let commits = (0..commits).filter_map(|number| self.authored(number)).collect();
        Stretch { first: 0, commits, entities, is_cut: self.head.is_cut }
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a record has its size")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(part(bytes, at))
}

fn id_at(bytes: &[u8], at: usize) -> ObjectId {
    ObjectId::from_bytes(part(bytes, at))
}

/// Texts on their way into the file, each once.
#[derive(Default)]
struct Pool {
    bytes: Vec<u8>,
    known: HashMap<String, [u8; 8]>,
}

impl Pool {
    fn place(&mut self, text: &str) -> [u8; 8] {
        if let Some(place) = self.known.get(text) {
            return *place;
        }
        let mut place = [0; 8];
        place[..4].copy_from_slice(&(self.bytes.len() as u32).to_le_bytes());
        place[4..].copy_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend(text.as_bytes());
        self.known.insert(text.to_owned(), place);
        place
    }
}

/// Writes a stretch that begins with the oldest commit.
pub(super) fn write<W: Write>(stretch: &Stretch, folder: &RepoPath, cut: String, out: W) -> io::Result<W> {
    let mut pool = Pool::default();
    let (mut commits, mut entities, mut touches) = (Vec::new(), Vec::new(), Vec::new());
    for commit in &stretch.commits {
        commits.extend(commit.commit.bytes());
        commits.extend(commit.at.seconds().to_le_bytes());
        commits.extend(pool.place(&commit.author));
        commits.extend(pool.place(&commit.runs.join(" ")));
    }
    let mut by_id: Vec<(ObjectId, u32)> =
        stretch.commits.iter().map(|commit| commit.commit).zip(0..).collect();
    by_id.sort_unstable();
    let by_id: Vec<u8> = by_id.into_iter().flat_map(|(_, number)| number.to_le_bytes()).collect();
    let mut end = 0_u32;
    for (key, touched) in &stretch.entities {
        entities.extend(pool.place(key));
        entities.extend(end.to_le_bytes());
        end += touched.len() as u32;
        entities.extend(end.to_le_bytes());
        for touch in touched {
            touches.extend(touch.number.to_le_bytes());
            touches.extend(touch.after.map_or(GONE, |id| *id.bytes()));
            touches.extend(pool.place(touch.path.as_str()));
        }
    }
    let mut writer = Writer::new(out);
    let mut tables = [(0, 0); 5];
    for (table, bytes) in [
        (Table::Pool, pool.bytes),
        (Table::Commits, commits),
        (Table::ById, by_id),
        (Table::Entities, entities),
        (Table::Touches, touches),
    ] {
        tables[table as usize] = (writer.at(), bytes.len() as u64);
        writer.write(&bytes)?;
    }
    let program = PROGRAM.to_owned();
    let head =
        Head { format: FORMAT, program, folder: folder.to_string(), cut, is_cut: stretch.is_cut, tables };
    writer.finish(&serde_json::to_vec(&head).map_err(io::Error::from)?)
}
