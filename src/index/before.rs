//! What does an older base know of the files that are still as they were? A new one takes it over instead of reading them.

use std::ops::Range;

use super::{
    base::{Base, Dangling, Edge, FileRecord, Folder, NONE, Row, Table, Text},
    change::Change,
};

/// A base, and what differs from it now.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) base: &'a Base,
    pub(super) change: &'a Change,
}

/// What the base knows of a file.
pub(super) struct Known<'a> {
    pub(super) row: &'a Row,
    pub(super) identifier: &'a str,
    /// What it says, as JSON.
    pub(super) value: &'a [u8],
    /// What it points at: the number of a field in the base, a blueprint and an identifier.
    pub(super) pointing: Vec<(u32, u32, &'a str)>,
}

/// Something that the entity of a row points at.
struct Target {
    source: u32,
    field: u32,
    blueprint: u32,
    identifier: Text,
}

/// What the base knows of many files.
pub(super) struct Memory<'a> {
    base: &'a Base,
    pool: Vec<u8>,
    /// The new number of each file, and its row in the base, in the order in which values lie there.
    pub(super) files: Vec<(u32, u32, Row)>,
    /// In the order of rows.
    pointing: Vec<Target>,
}

impl<'a> Before<'a> {
    /// The number in the base of each of these files, in the order of folder and name; none for what must be read.
    /// `name` gives the name of a file, `path` the path of a folder.
    pub(super) fn numbers<'p>(
        self,
        folders: &[Folder],
        files: &[FileRecord],
        path: impl Fn(&Folder) -> &'p str,
        name: impl Fn(&FileRecord) -> &'p [u8],
    ) -> Vec<Option<u32>> {
        let mut numbers = vec![None; files.len()];
        let mut room = Vec::new();
        for folder in folders {
            let Some(before) = self.base.folder(path(folder)) else { continue };
            let before: Folder = self.base.record(before);
            let text = self.base.folder_text(&before, &mut room);
            let name_before = |file: &FileRecord| {
                let at = file.name.at.wrapping_sub(before.text) as usize;
                text.get(at..at.saturating_add(file.name.length.into())).unwrap_or_default()
            };
            let known: Vec<FileRecord> = self.base.records(before.files..before.files_end);
            let mut known = (before.files..).zip(&known).peekable();
            for at in folder.files as usize..folder.files_end as usize {
                let file = &files[at];
                while known.next_if(|(_, known)| name_before(known) < name(file)).is_some() {}
                let same = known.next_if(|(_, known)| name_before(known) == name(file));
                let same = same
                    .filter(|(number, known)| known.blob == file.blob && !self.change.gone.contains(number));
                numbers[at] = same.map(|(number, _)| number);
            }
        }
        numbers
    }

    /// What the base knows of these files, each with its new number and that in the base.
    pub(super) fn memory(self, files: impl Iterator<Item = (u32, u32)>) -> Memory<'a> {
        let base = self.base;
        let rows: Vec<Row> = base.records(0..base.count(Table::Rows));
        let records: Vec<FileRecord> = base.records(0..base.count(Table::Files));
        let mut known = Vec::with_capacity(records.len());
        for (new, file) in files {
            match records.get(file as usize).map(|record| record.row) {
                // What does not lie where entities lie has none.
                Some(NONE) => {}
                Some(row) if (row as usize) < rows.len() => known.push((new, row, rows[row as usize])),
                Some(_) | None => base.pages.damage(),
            }
        }
        known.sort_unstable_by_key(|(_, _, row)| row.value);
        let pool = base.bytes(Table::Pool, 0..base.count(Table::Pool), &mut Vec::new()).to_vec();
        Memory { base, pool, files: known, pointing: self.pointing(&rows) }
    }

    /// What each row points at; the base has it by what is pointed at.
    fn pointing(self, rows: &[Row]) -> Vec<Target> {
        let target = |edge: Edge, blueprint: u32, identifier: Text| Target {
            source: edge.source,
            field: edge.field,
            blueprint,
            identifier,
        };
        let starts = self.base.starts();
        let edges: Vec<Edge> = self.base.records(0..self.base.count(Table::Edges));
        let mut pointing = Vec::with_capacity(edges.len());
        for (row, range) in rows.iter().zip(starts.windows(2)) {
            let edges = edges.get(range[0] as usize..range[1] as usize).unwrap_or_default();
            pointing.extend(edges.iter().map(|edge| target(*edge, row.blueprint, row.identifier)));
        }
        let dangling = self.base.records::<Dangling>(0..self.base.count(Table::Dangling));
        pointing.extend(dangling.into_iter().map(|one| target(one.edge, one.blueprint, one.identifier)));
        pointing.sort_unstable_by_key(|target| target.source);
        pointing
    }
}

impl Memory<'_> {
    /// Tells what is known of some of the files.
    pub(super) fn tell(&self, some: Range<usize>, mut tell: impl FnMut(u32, &Known<'_>)) {
        /// Bytes of values that are read at once, at least.
        const WINDOW: u32 = 1 << 18;
        let end = self.base.count(Table::Values);
        let (mut room, mut window) = (Vec::new(), 0..0);
        let mut values: &[u8] = &[];
        for (file, number, row) in &self.files[some] {
            let value = row.value as u32..(row.value as u32).saturating_add(row.value_length);
            if value.start < window.start || value.end > window.end {
                window = value.start..value.end.max(value.start.saturating_add(WINDOW).min(end));
                values = self.base.bytes(Table::Values, window.clone(), &mut room);
            }
            let at = (value.start - window.start) as usize;
            let value = values.get(at..at + row.value_length as usize).unwrap_or_default();
            let from = self.pointing.partition_point(|target| target.source < *number);
            let own = self.pointing[from..].iter().take_while(|target| target.source == *number);
            let pointing = own.map(|target| (target.field, target.blueprint, self.text(target.identifier)));
            let identifier = self.text(row.identifier);
            tell(*file, &Known { row, identifier, value, pointing: pointing.collect() });
        }
    }

    fn text(&self, text: Text) -> &str {
        let at = text.at as usize;
        let bytes = self.pool.get(at..at + usize::from(text.length));
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_else(|| {
            self.base.pages.damage();
            ""
        })
    }
}
