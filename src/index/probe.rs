//! What does a base say, read from end to end, whatever its bytes? For whoever feeds it some.

use std::fmt::Write as _;

use super::{
    base::{Base, Dangling, Edge, FileRecord, Folded, Folder, Record, Row, Table},
    pages::{Pages, Place, Writer},
};

/// Everything that a base says; none if it is not to be believed. Whose program wrote it is not asked.
pub fn everything(bytes: &[u8]) -> Option<String> {
    let (pages, head) = Pages::open(Place::Memory(bytes.to_vec()))?;
    let base = Base::read(pages, &head)?;
    let mut said = String::new();
    for (place, name) in base.head.blueprints.iter().enumerate() {
        let place = u32::try_from(place).ok()?;
        let _ = writeln!(said, "{name}: {:?} {:?}", base.rows_of(place), base.edges_to(place));
        for identifier in ["", "a", "checkout"] {
            let rows = base.rows(place, identifier);
            let _ = writeln!(
                said,
                "{rows:?} {:?} {:?}",
                base.alike(place, identifier),
                base.edges(place, identifier)
            );
        }
    }
    for row in all::<Row>(&base) {
        let _ = writeln!(
            said,
            "{row:?} {} {}",
            base.text(row.identifier),
            base.look_value(&row, crc32fast::hash)
        );
    }
    let files: Vec<FileRecord> = all(&base);
    let paths: Vec<_> = (0..base.count(Table::Files)).map(|file| base.path(file)).collect();
    let _ = writeln!(said, "{files:?} {paths:?}");
    for folder in all::<Folder>(&base) {
        let path = base.text(folder.path);
        let mut room = Vec::new();
        let text = base.folder_text(&folder, &mut room);
        let _ = writeln!(said, "{:?} {:?}", base.file_in(&folder, "checkout.yaml"), crc32fast::hash(text));
        let _ = writeln!(said, "{folder:?} {path} {:?}", base.folder(&path));
    }
    let dangling = all::<Dangling>(&base);
    let names: Vec<_> = dangling.iter().map(|one| base.text(one.identifier)).collect();
    let _ = writeln!(said, "{:?} {dangling:?} {names:?}", base.problems());
    let _ = writeln!(said, "{:?} {:?}", all::<Edge>(&base), all::<Folded>(&base));
    (!base.pages.is_damaged()).then_some(said)
}

fn all<T: Record>(base: &Base) -> Vec<T> {
    base.records(0..base.count(T::TABLE))
}

/// A file with this head and body whose checksums are right.
pub fn sealed(head: &[u8], body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    let written = writer.write(body).and_then(|()| writer.finish(head));
    written.expect("memory takes all that is written")
}
