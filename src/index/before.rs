//! What does an older base know of the files that are still as they were? A new one takes it over instead of reading them.

use std::collections::HashMap;

use super::{
    base::{Base, Dangling, Edge, FileRecord, Folder, NONE, Row, Table},
    change::Change,
};

/// A base, and what differs from it now.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    pub(super) base: &'a Base,
    pub(super) change: &'a Change,
}

/// What the base knows of a file.
pub(super) struct Known {
    pub(super) row: Row,
    pub(super) pointing: Vec<Target>,
}

/// What something of a row points at: the number of a field in the base, a blueprint and an identifier.
pub(super) struct Target {
    pub(super) field: u32,
    pub(super) blueprint: u32,
    pub(super) identifier: String,
}

impl Before<'_> {
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

    /// Tells what the base knows of each of its files.
    pub(super) fn each(self, files: &[u32], mut tell: impl FnMut(usize, Known)) {
        let rows: Vec<Row> = self.base.records(0..self.base.count(Table::Rows));
        let mut pointing = self.pointing(&rows);
        for (at, file) in files.iter().enumerate() {
            let number = self.base.record::<FileRecord>(*file).row;
            // What does not lie where entities lie has none.
            if number == NONE {
                continue;
            }
            match rows.get(number as usize) {
                Some(row) => {
                    tell(at, Known { row: *row, pointing: pointing.remove(&number).unwrap_or_default() });
                }
                None => self.base.pages.damage(),
            }
        }
    }

    /// What each row points at; the base has it by what is pointed at.
    fn pointing(self, rows: &[Row]) -> HashMap<u32, Vec<Target>> {
        let mut pointing: HashMap<u32, Vec<Target>> = HashMap::with_capacity(rows.len());
        let mut add = |edge: Edge, blueprint: u32, identifier: String| {
            let target = Target { field: edge.field, blueprint, identifier };
            pointing.entry(edge.source).or_default().push(target);
        };
        let starts = self.base.starts();
        let edges: Vec<Edge> = self.base.records(0..self.base.count(Table::Edges));
        for (row, range) in rows.iter().zip(starts.windows(2)) {
            for edge in edges.get(range[0] as usize..range[1] as usize).unwrap_or_default() {
                add(*edge, row.blueprint, self.base.text(row.identifier));
            }
        }
        for one in self.base.records::<Dangling>(0..self.base.count(Table::Dangling)) {
            add(one.edge, one.blueprint, self.base.text(one.identifier));
        }
        pointing
    }
}
