//! Is the catalog in these files, or at this commit, sound? Both say the same; the second reads what it must.

use super::{Index, Kept, Seen, list};
use crate::{
    catalog::{
        Checked, Counts, Definitions, Files, Report, Root, check_all, in_order, load_definitions,
        load_settings,
    },
    domain::{Bytes, Diagnostic, ObjectId, Place, RepoPath},
    git::objects::{Node, Objects, Read},
    render,
};

/// All the files of a catalog.
#[derive(Debug)]
pub struct Whole {
    /// Where it lies.
    pub root: Root,
    /// Its files.
    pub files: Files,
    /// Names that no file of a catalog can have, each with its folder.
    pub refused: Vec<(RepoPath, String)>,
}

impl Whole {
    /// No files yet.
    pub fn new(root: Root) -> Self {
        Self { root, files: Files::new(), refused: Vec::new() }
    }

    /// Everything that is wrong, the templates among it.
    pub fn check(&self) -> Report {
        let Report { mut diagnostics, counts } = check_all(&self.root, &self.files);
        diagnostics.extend(self.refused.iter().map(|(folder, name)| refusal(folder, name)));
        if let Ok(settings) = load_settings(&self.root, self.files.get(&self.root.settings_path())) {
            let (definitions, _) = load_definitions(&self.root, settings, &self.files);
            diagnostics.extend(templates(&definitions));
        }
        Report { diagnostics: in_order(diagnostics), counts }
    }
}

/// Some names are files in one system and not in another; a catalog has only those that are in all.
fn refusal(folder: &RepoPath, name: &str) -> Diagnostic {
    let message = format!("`{name}` is not a name that a file of a catalog can have");
    let found = Diagnostic::error("invalid-path", Place::file(folder.as_str()), message);
    found.help("rename it: no \\ : * ? \" < > |, and no space or dot at the end")
}

/// Everything that is wrong with the templates of actions, and with the texts of notifications.
fn templates(definitions: &Definitions) -> Vec<Diagnostic> {
    let settings = &definitions.settings;
    let folder = &settings.folders.templates;
    let each = definitions.templates.iter();
    let sinks = settings.notifications.iter().enumerate();
    let texts = sinks.filter_map(|(index, sink)| {
        let mut place = Place::file(definitions.root.settings_path().as_str());
        place.field = Some(format!("notifications[{index}].text"));
        render::check_text(sink.text.as_deref()?, &place)
    });
    each.flat_map(|(name, template)| render::check(template, &format!("{folder}/{name}")))
        .chain(texts)
        .collect()
}

/// The catalog at a commit, of which only what is needed is read.
pub struct Commit {
    /// The repository.
    pub objects: Objects,
    /// The commit's tree.
    pub tree: ObjectId,
    /// Where the catalog lies.
    pub root: Root,
}

impl Commit {
    /// One of its files.
    pub fn file(&self, path: &str) -> Option<Bytes> {
        match self.objects.find(self.tree, path).ok()? {
            Some(Node::File(file)) => self.objects.blob(file.id).ok(),
            Some(Node::Folder(_)) | None => None,
        }
    }

    /// The files of its definitions.
    ///
    /// # Errors
    /// When an object is missing.
    pub fn definitions(&self) -> Read<Whole> {
        let mut small = Whole::new(self.root.clone());
        let settings_path = self.root.settings_path();
        if let Some(bytes) = self.file(settings_path.as_str()) {
            small.files.insert(settings_path.clone(), bytes);
        }
        if let Ok(settings) = load_settings(&self.root, small.files.get(&settings_path)) {
            for folder in Definitions::paths_to_read(&settings) {
                if let Some(Node::Folder(tree)) = self.objects.find(self.tree, folder.as_str())? {
                    self.read(folder, tree, &mut small)?;
                }
            }
        }
        Ok(small)
    }

    /// The entities, for whoever asks; what is read of them is whole, as far as a whole look can tell.
    ///
    /// # Errors
    /// When an object is missing.
    pub fn index(&self, definitions: &Definitions, kept: &Kept) -> anyhow::Result<Index> {
        let index = Index::open(&self.objects, definitions, self.tree, None, kept)?;
        index.renew(&self.objects, definitions, self.tree, kept);
        Ok(index)
    }

    /// Everything that is wrong. `since` is a tree that is likely to be near.
    ///
    /// # Errors
    /// When an object is missing.
    pub fn check(&self, since: Option<ObjectId>, kept: &Kept) -> anyhow::Result<Report> {
        let small = self.definitions()?;
        let settings = match load_settings(&self.root, small.files.get(&self.root.settings_path())) {
            Ok(settings) => settings,
            Err(diagnostics) => {
                return Ok(Report { diagnostics: in_order(diagnostics), counts: Counts::default() });
            }
        };
        let (definitions, mut diagnostics) = load_definitions(&self.root, settings, &small.files);
        let open = || Index::open(&self.objects, &definitions, self.tree, since, kept);
        let judge = |index: &Index| -> Read<Vec<Diagnostic>> {
            let seen = Seen { index, objects: &self.objects, tree: self.tree };
            let checked = Checked::new(&definitions, &small.files, &seen);
            let mut found = index.check(&self.objects, &checked, self.tree)?;
            found.extend(index.refused().iter().map(|(folder, name)| refusal(folder, name)));
            Ok(found)
        };
        let mut index = open()?;
        let mut judged = judge(&index)?;
        if index.is_damaged() {
            kept.clear();
            index = open()?;
            judged = judge(&index)?;
        }
        diagnostics.extend(judged);
        diagnostics.extend(templates(&definitions));
        diagnostics.extend(small.refused.iter().map(|(folder, name)| refusal(folder, name)));
        let counts = Counts {
            entities: index.entities(),
            requests: index.open_requests().len(),
            ..Counts::of_definitions(&definitions, &small.files)
        };
        index.renew(&self.objects, &definitions, self.tree, kept);
        Ok(Report { diagnostics: in_order(diagnostics), counts })
    }

    /// All files below a folder.
    fn read(&self, folder: &RepoPath, tree: ObjectId, into: &mut Whole) -> Read<()> {
        let listed = list(&self.objects, folder, tree)?;
        into.refused.extend(listed.refused.into_iter().map(|name| (folder.clone(), name)));
        for (path, blob) in listed.files {
            let bytes = self.objects.blob(blob)?;
            into.files.insert(path, bytes);
        }
        for (path, tree) in listed.folders {
            self.read(&path, tree, into)?;
        }
        Ok(())
    }
}
