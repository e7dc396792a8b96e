//! A base made from nothing: every document of a tree read once.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Write},
    ops::Range,
    sync::{Mutex, PoisonError},
};

use super::{
    base::{
        Base, Dangling, Edge, FORMAT, FileRecord, Folded, Folder, Head, NONE, Record, Row, Table, Text,
        by_parts,
    },
    before::{Before, Known},
    change::Added,
    pages::Writer,
    walk::{Below, is_document, listed},
};
use crate::{
    catalog::{Definitions, Field, each_reference},
    domain::{BlueprintId, ObjectId, RepoPath},
    git::{
        bulk::read_blobs,
        objects::{Objects, Read, ReadError},
        tree::entries,
    },
};

/// How many bytes of what entities say a thread gathers before it writes them.
const GATHERED: usize = 1 << 18;

/// What goes wrong when a base is made.
#[derive(Debug, thiserror::Error)]
pub(super) enum BuildError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the index cannot be written: {0}")]
    Write(#[from] io::Error),
}

/// Texts on their way into the pool.
#[derive(Default)]
struct Pool(Vec<u8>);

impl Pool {
    fn add(&mut self, text: &str) -> Text {
        self.put(text.as_bytes())
    }

    fn put(&mut self, text: &[u8]) -> Text {
        let at = self.0.len() as u32;
        self.0.extend_from_slice(text);
        Text { at, length: text.len() as u16 }
    }

    /// The text's bytes, which compare and end as it does.
    fn get(&self, text: Text) -> &[u8] {
        let at = text.at as usize;
        &self.0[at..at + usize::from(text.length)]
    }

    fn text(&self, text: Text) -> &str {
        std::str::from_utf8(self.get(text)).unwrap_or_default()
    }
}

/// The names that records speak of by number.
pub(super) struct Names<'a> {
    pub(super) blueprints: Vec<String>,
    fields: HashMap<Field<'a>, u32>,
    field_names: Vec<String>,
}

impl<'a> Names<'a> {
    /// `folders` are those right below the folder of entities, named after blueprints.
    pub(super) fn new(definitions: &'a Definitions, folders: impl IntoIterator<Item = String>) -> Self {
        let mut blueprints: BTreeSet<String> = folders.into_iter().collect();
        let mut fields: BTreeMap<String, Field<'a>> = BTreeMap::from([("team".to_owned(), Field::Team)]);
        for (name, blueprint) in &definitions.blueprints {
            blueprints.insert(name.to_string());
            blueprints.extend(blueprint.relations.values().map(|relation| relation.target.to_string()));
            let properties = blueprint.properties.iter().map(|(name, _)| Field::Property(name));
            let relations = blueprint.relations.keys().map(|name| Field::Relation(name));
            fields.extend(properties.chain(relations).map(|field| (field_name(field), field)));
        }
        let field_names = fields.keys().cloned().collect();
        let fields = fields.into_values().zip(0..).collect();
        Self { blueprints: blueprints.into_iter().collect(), fields, field_names }
    }

    fn blueprint(&self, name: &BlueprintId) -> Option<u32> {
        let found = self.blueprints.binary_search_by(|known| known.as_str().cmp(name.as_str()));
        found.ok().map(|at| at as u32)
    }

    /// The numbers that the names of a base have here.
    fn of(&self, base: &Base) -> Numbers {
        let number = |names: &[String], name: &String| names.binary_search(name).ok().map(|at| at as u32);
        let blueprints = base.head.blueprints.iter().map(|name| number(&self.blueprints, name)).collect();
        let fields = base.head.fields.iter().map(|name| number(&self.field_names, name)).collect();
        Numbers { blueprints, fields }
    }
}

/// By their number in a base: the numbers that blueprints and fields have now, where they are still spoken of.
struct Numbers {
    blueprints: Vec<Option<u32>>,
    fields: Vec<Option<u32>>,
}

pub(super) fn field_name(field: Field<'_>) -> String {
    match field {
        Field::Team => "team".to_owned(),
        Field::Property(name) => format!("properties.{name}"),
        Field::Relation(name) => format!("relations.{name}"),
    }
}

/// What a thread found out.
#[derive(Default)]
struct Share {
    pool: Pool,
    rows: Vec<Draft>,
    edges: Vec<Pointing>,
    values: Vec<u8>,
    /// Rows whose values are still here, to be given their place.
    waiting: usize,
    failed: Option<io::Error>,
}

/// A row that has no number yet.
struct Draft {
    blueprint: u32,
    identifier: Text,
    file: u32,
    value: u64,
    value_length: u32,
    sound: bool,
}

/// An edge whose ends have no number yet: the source is a row of the same share.
struct Pointing {
    source: u32,
    field: u32,
    blueprint: u32,
    identifier: Text,
}

/// Makes a base of what is below these folders, and writes it. What `before` knows is not read again.
pub(super) fn build<W: Write + Send>(
    objects: &Objects,
    definitions: &Definitions,
    below: &[Below; 2],
    defined: &BTreeMap<BlueprintId, String>,
    before: Option<Before<'_>>,
    out: W,
) -> Result<W, BuildError> {
    let mut pool = Pool::default();
    let mut listing = Listing {
        objects,
        pool: &mut pool,
        folders: Vec::new(),
        files: Vec::new(),
        paths: Vec::new(),
        refused: Vec::new(),
    };
    // Folders are looked for by halving, so all of them are in order.
    let mut roots: Vec<_> = below.iter().zip([false, true]).collect();
    roots.sort_by(|(a, _), (b, _)| by_parts(a.path.as_str(), b.path.as_str()));
    for (root, requests) in roots {
        if let Some(tree) = root.tree {
            listing.folder(&root.path, tree, requests, true)?;
        }
    }
    let Listing { folders, mut files, paths, refused, .. } = listing;
    let entities = format!("{}/", below[0].path);
    let kinds = folders.iter().filter_map(|folder: &Folder| pool.text(folder.path).strip_prefix(&entities));
    let kinds: Vec<String> = kinds.filter(|name| !name.contains('/')).map(str::to_owned).collect();
    let names = Names::new(definitions, kinds);

    let writer = Mutex::new(Writer::new(out));
    let numbers = before.map(|before| {
        before.numbers(&folders, &files, |folder| pool.text(folder.path), |file| pool.get(file.name))
    });
    let numbers = numbers.unwrap_or_else(|| vec![None; files.len()]);
    let added = |file: usize| match numbers[file] {
        Some(_) => None,
        None => before?.change.added.get(&paths[file]).filter(|added| added.blob == files[file].blob),
    };
    let wanted: Vec<usize> =
        (0..files.len()).filter(|file| numbers[*file].is_none() && added(*file).is_none()).collect();
    let blobs: Vec<ObjectId> = wanted.iter().map(|file| files[*file].blob).collect();
    let mut shares = read_blobs(objects, &blobs, Share::default, |share, at, bytes| {
        let file = wanted[at];
        let added = Added::read(definitions, &paths[file], blobs[at], bytes);
        share.take(definitions, &names, file as u32, &added);
        if share.values.len() > GATHERED {
            share.write(&writer);
        }
    })?;
    if let Some(before) = before {
        let mut share = Share::default();
        for (file, added) in (0..files.len()).filter_map(|file| Some((file, added(file)?))) {
            share.take(definitions, &names, file as u32, added);
        }
        shares.push(share);
        let memory = before.memory((0..).zip(&numbers).filter_map(|(file, number)| Some((file, (*number)?))));
        let names = names.of(before.base);
        let recall = |some: Range<usize>| {
            let mut share = Share::default();
            memory.tell(some, |file, known| {
                share.recall(&names, file, known);
                if share.values.len() > GATHERED {
                    share.write(&writer);
                }
            });
            share
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let each = memory.files.len().div_ceil(threads).max(1);
        let parts =
            (0..memory.files.len()).step_by(each).map(|from| from..memory.files.len().min(from + each));
        std::thread::scope(|scope| {
            let recall = &recall;
            let parts: Vec<_> = parts.map(|some| scope.spawn(move || recall(some))).collect();
            shares.extend(parts.into_iter().map(|thread| thread.join().expect("what is known is told")));
        });
    }
    for share in &mut shares {
        share.write(&writer);
        if let Some(error) = share.failed.take() {
            return Err(error.into());
        }
    }
    let mut writer = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut tables = BTreeMap::from([(format!("{:?}", Table::Values), (0, writer.at()))]);

    // Rows by blueprint, identifier and path. Files are nearly in the order of their paths: those of a folder come before
    // its folders, whatever they are called.
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (at, share) in shares.iter().enumerate() {
        order.extend((0..share.rows.len()).map(|row| (at, row)));
    }
    let draft = |(share, row): (usize, usize)| &shares[share].rows[row];
    let key = |at: (usize, usize)| {
        let row = draft(at);
        (row.blueprint, shares[at.0].pool.get(row.identifier), &paths[row.file as usize])
    };
    order.sort_unstable_by_key(|at| draft(*at).file);
    // They are nearly so by now.
    order.sort_by(|a, b| key(*a).cmp(&key(*b)));
    let mut numbers: Vec<Vec<u32>> = shares.iter().map(|share| vec![NONE; share.rows.len()]).collect();
    let mut first: HashMap<(u32, &[u8]), u32> = HashMap::with_capacity(order.len());
    let mut bad = vec![false; order.len()];
    for (number, at) in (0..).zip(&order) {
        numbers[at.0][at.1] = number;
        let (blueprint, identifier, _) = key(*at);
        let earliest = *first.entry((blueprint, identifier)).or_insert(number);
        bad[number as usize] = earliest != number || !draft(*at).sound;
    }

    // Identifiers that differ in nothing but case: the first of them has no problem of it.
    let name = |at: (usize, usize)| shares[at.0].pool.text(draft(at).identifier);
    let mut folded: Vec<Folded> =
        (0..).zip(&order).map(|(number, at)| Folded::new(draft(*at).blueprint, name(*at), number)).collect();
    folded.sort_unstable();
    for alike in folded.chunk_by(|a, b| a.sum == b.sum).filter(|alike| alike.len() > 1) {
        let named = |one: &Folded| key(order[one.row as usize]);
        let first_named = named(&alike[0]);
        for one in &alike[1..] {
            bad[one.row as usize] |= named(one).1 != first_named.1;
        }
    }

    // Edges by the row that they point at.
    let mut starts = vec![0_u32; order.len() + 1];
    let mut pointing: Vec<(u32, Edge)> = Vec::new();
    let mut dangling: Vec<(u32, &[u8], Edge)> = Vec::new();
    // To look so many up takes a while, so each thread's are looked up by a thread.
    let look_up = |share: &Share| -> Vec<Option<u32>> {
        let target = |edge: &Pointing| first.get(&(edge.blueprint, share.pool.get(edge.identifier))).copied();
        share.edges.iter().map(target).collect()
    };
    let targets: Vec<Vec<Option<u32>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = shares.iter().map(|share| scope.spawn(|| look_up(share))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a look does not panic")).collect()
    });
    for ((share, numbers), targets) in shares.iter().zip(&numbers).zip(targets) {
        for (edge, target) in share.edges.iter().zip(targets) {
            let made = Edge { source: numbers[edge.source as usize], field: edge.field };
            match target {
                Some(row) => {
                    starts[row as usize + 1] += 1;
                    pointing.push((row, made));
                }
                None => {
                    dangling.push((edge.blueprint, share.pool.get(edge.identifier), made));
                    bad[made.source as usize] |= is_judged(defined, &names, edge.blueprint);
                }
            }
        }
    }
    for row in 1..starts.len() {
        starts[row] += starts[row - 1];
    }
    let mut next = starts.clone();
    let mut edges = vec![Edge { source: NONE, field: NONE }; pointing.len()];
    for (row, edge) in pointing {
        edges[next[row as usize] as usize] = edge;
        next[row as usize] += 1;
    }
    for row in starts.windows(2) {
        edges[row[0] as usize..row[1] as usize].sort_unstable_by_key(|edge| (edge.source, edge.field));
    }
    dangling.sort_unstable_by_key(|(blueprint, identifier, edge)| {
        (*blueprint, *identifier, edge.source, edge.field)
    });

    let mut rows_of = vec![(0, 0); names.blueprints.len()];
    let mut rows = Vec::with_capacity(order.len());
    for (number, at) in (0..).zip(&order) {
        let row = draft(*at);
        files[row.file as usize].row = number;
        let range: &mut (u32, u32) = &mut rows_of[row.blueprint as usize];
        if range.0 == range.1 {
            *range = (number, number);
        }
        range.1 = number + 1;
        let identifier = shares[at.0].pool.get(row.identifier);
        let name = files[row.file as usize].name;
        let identifier = match pool.get(name).starts_with(identifier) {
            true => Text { length: identifier.len() as u16, ..name },
            false => pool.put(identifier),
        };
        let Draft { blueprint, file, value, value_length, sound, .. } = *row;
        rows.push(Row { blueprint, identifier, file, value, value_length, sound });
    }
    let dangling: Vec<Dangling> = dangling
        .into_iter()
        .map(|(blueprint, identifier, edge)| Dangling { blueprint, identifier: pool.put(identifier), edge })
        .collect();
    let problems = (0..).zip(&files).filter(|(_, file)| file.row == NONE || bad[file.row as usize]);
    let problems: Vec<u32> = problems.map(|(number, _)| number).collect();

    let mut table = |writer: &mut Writer<W>, table: Table, bytes: Vec<u8>| -> io::Result<()> {
        tables.insert(format!("{table:?}"), (writer.at(), bytes.len() as u64));
        writer.write(&bytes)
    };
    table(&mut writer, Table::Pool, pool.0)?;
    table(&mut writer, Table::Folders, written(&folders))?;
    table(&mut writer, Table::Files, written(&files))?;
    table(&mut writer, Table::Rows, written(&rows))?;
    table(&mut writer, Table::Edges, written(&edges))?;
    table(&mut writer, Table::Dangling, written(&dangling))?;
    table(&mut writer, Table::Folded, written(&folded))?;
    table(&mut writer, Table::Starts, starts.iter().flat_map(|start| start.to_le_bytes()).collect())?;
    table(&mut writer, Table::Problems, problems.iter().flat_map(|file| file.to_le_bytes()).collect())?;
    let head = Head {
        format: FORMAT,
        program: super::PROGRAM.to_owned(),
        roots: below.each_ref().map(|root| root.path.to_string()),
        defined: names.blueprints.iter().map(|name| defined.get(&name.parse().ok()?).cloned()).collect(),
        blueprints: names.blueprints,
        rows_of,
        fields: names.field_names,
        refused,
        tables,
    };
    let head = serde_json::to_vec(&head).map_err(io::Error::from)?;
    Ok(writer.finish(&head)?)
}

fn is_judged(defined: &BTreeMap<BlueprintId, String>, names: &Names<'_>, blueprint: u32) -> bool {
    names.blueprints[blueprint as usize].parse().is_ok_and(|name: BlueprintId| defined.contains_key(&name))
}

fn written<T: Record>(records: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * T::TABLE.size());
    for record in records {
        record.write(&mut bytes);
    }
    debug_assert_eq!(bytes.len(), records.len() * T::TABLE.size());
    bytes
}

impl Share {
    /// Notes what a file says and points at, and whether nothing is wrong with it.
    fn take(&mut self, definitions: &Definitions, names: &Names<'_>, file: u32, added: &Added) {
        let Some(id) = &added.id else { return };
        let Some(blueprint) = names.blueprint(&id.blueprint) else { return };
        let source = self.rows.len() as u32;
        let identifier = self.pool.add(id.identifier.as_str());
        let value = self.values.len();
        if let Some(entity) = &added.entity {
            each_reference(definitions, entity, &mut |field, _, target, text| {
                if let (Some(field), Some(blueprint)) = (names.fields.get(&field), names.blueprint(target)) {
                    let identifier = self.pool.add(text);
                    self.edges.push(Pointing { source, field: *field, blueprint, identifier });
                }
            });
            if added.sound
                && let Err(error) = serde_json::to_writer(&mut self.values, entity)
            {
                self.failed = Some(error.into());
            }
        }
        let value_length = (self.values.len() - value) as u32;
        let (value, sound) = (value as u64, added.sound);
        self.rows.push(Draft { blueprint, identifier, file, value, value_length, sound });
    }

    /// Takes over what a base knows of a file.
    fn recall(&mut self, numbers: &Numbers, file: u32, known: &Known<'_>) {
        let number = |numbers: &[Option<u32>], before: u32| numbers.get(before as usize).copied().flatten();
        let Known { row, identifier, value, pointing } = known;
        let Some(blueprint) = number(&numbers.blueprints, row.blueprint) else { return };
        let source = self.rows.len() as u32;
        let identifier = self.pool.add(identifier);
        for (field, blueprint, identifier) in pointing {
            let field = number(&numbers.fields, *field);
            if let (Some(field), Some(blueprint)) = (field, number(&numbers.blueprints, *blueprint)) {
                let identifier = self.pool.add(identifier);
                self.edges.push(Pointing { source, field, blueprint, identifier });
            }
        }
        let (at, value_length) = (self.values.len() as u64, value.len() as u32);
        self.values.extend_from_slice(value);
        self.rows.push(Draft { blueprint, identifier, file, value: at, value_length, sound: row.sound });
    }

    /// Writes what was gathered, and tells the rows where it lies.
    fn write<W: Write>(&mut self, writer: &Mutex<Writer<W>>) {
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let at = writer.at();
        if let Err(error) = writer.write(&self.values) {
            self.failed = Some(error);
        }
        drop(writer);
        for row in &mut self.rows[self.waiting..] {
            row.value += at;
        }
        self.waiting = self.rows.len();
        self.values.clear();
    }
}

/// Everything below the roots, by name.
struct Listing<'a> {
    objects: &'a Objects,
    pool: &'a mut Pool,
    folders: Vec<Folder>,
    files: Vec<FileRecord>,
    paths: Vec<RepoPath>,
    refused: Vec<(u32, String)>,
}

impl Listing<'_> {
    fn folder(&mut self, path: &RepoPath, tree: ObjectId, requests: bool, is_root: bool) -> Read<()> {
        let number = self.folders.len();
        let text = self.pool.add(path.as_str());
        let at = self.pool.0.len();
        self.objects.look_at_folder(tree, |text| {
            self.pool.0.extend_from_slice(text);
            Ok(())
        })?;
        let listed = listed(path, &self.pool.0[at..])?;
        let open = requests && !is_root && listed.is_open_request();
        let files = self.files.len() as u32;
        let text_length = (self.pool.0.len() - at) as u32;
        let record =
            Folder { path: text, tree, files, files_end: files, end: 0, open, text: at as u32, text_length };
        self.folders.push(record);
        self.refused.extend(listed.refused.into_iter().map(|name| (number as u32, name)));
        if !requests {
            let mut names = entries(&self.pool.0[at..]).filter_map(Result::ok);
            for (path, blob) in listed.files.into_iter().filter(|(path, _)| is_document(path)) {
                let name = path.file_name().as_bytes();
                let Some(entry) = names.find(|entry| entry.name == name) else { continue };
                let name = Text { at: (at + entry.at) as u32, length: name.len() as u16 };
                self.files.push(FileRecord { name, folder: number as u32, blob, row: NONE });
                self.paths.push(path);
            }
        }
        self.folders[number].files_end = self.files.len() as u32;
        let mut folders = listed.folders;
        folders.sort_by(|(a, _), (b, _)| by_parts(a.as_str(), b.as_str()));
        for (path, tree) in folders {
            self.folder(&path, tree, requests, false)?;
        }
        self.folders[number].end = self.folders.len() as u32;
        Ok(())
    }
}
