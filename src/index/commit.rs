//! Is the catalog in these files, or at this commit, sound? Both say the same; the second reads what it must.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    thread,
};

use super::{Index, Kept, Near, Seen, list};
use crate::{
    catalog::{
        Checked, Counts, Definitions, Files, Report, Root, Settings, check_all, in_order, load_definitions,
        load_settings,
    },
    domain::{Action, Bytes, Diagnostic, Dynamic, ObjectId, Place, RepoPath, TemplateName},
    git::objects::{Node, Objects, Read},
    render,
};

/// Bytes of stack for whoever loads definitions: as much as a program's first thread has.
const STACK: usize = 8 << 20;

/// All the files of a catalog.
#[derive(Debug)]
pub struct Whole {
    /// Where it lies.
    pub root: Root,
    /// Its files.
    pub files: Files,
    /// Those that may be executed, as far as that was looked at.
    pub executables: Vec<RepoPath>,
    /// Names that no file of a catalog can have, each with its folder.
    pub refused: Vec<(RepoPath, String)>,
}

impl Whole {
    /// No files yet.
    pub fn new(root: Root) -> Self {
        Self { root, files: Files::new(), executables: Vec::new(), refused: Vec::new() }
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

/// Everything that is wrong with the templates of actions, with what they take from the actions that name them, and with the
/// texts of notifications.
fn templates(definitions: &Definitions) -> Vec<Diagnostic> {
    let folder = |name: &TemplateName| format!("{}/{name}", definitions.settings.folders.templates);
    let each = definitions.templates.iter();
    let mut found: Vec<_> =
        each.flat_map(|(name, template)| render::check(template, &folder(name))).collect();
    for (id, action) in &definitions.actions {
        let action = &action.value;
        let names: BTreeSet<&TemplateName> =
            action.steps.iter().filter_map(|step| step.pull_request()).map(|pull| &pull.template).collect();
        let known: BTreeSet<&str> = action.inputs.iter().map(|(name, _)| name.as_str()).collect();
        let optional = known.iter().copied().filter(|name| may_be_missing(action, name)).collect();
        let inputs = render::Inputs { known, optional };
        for template in names.into_iter().filter_map(|name| definitions.templates.get(name)) {
            found.extend(render::check_names(template, &folder(&template.name), id.as_str(), &inputs));
        }
    }
    let settings_path = definitions.root.settings_path();
    found.extend(definitions.settings.notifications.iter().enumerate().filter_map(|(index, sink)| {
        let mut place = Place::file(settings_path.as_str());
        place.field = Some(format!("notifications[{index}].text"));
        render::check_text(sink.text.as_deref()?, &place)
    }));
    found
}

/// Whether an input that is asked of everybody may be left empty, and has no value then.
fn may_be_missing(action: &Action, name: &str) -> bool {
    let behaviour = action.form.inputs.get(name);
    let has_default = action.input(name).is_some_and(|input| input.default.is_some())
        || behaviour.is_some_and(|behaviour| behaviour.computed.contains_key("default"));
    let is_always_asked = behaviour
        .is_none_or(|behaviour| behaviour.visible == Dynamic::Fixed(true) && behaviour.depends_on.is_empty());
    action.form.required.is_none()
        && !action.required.iter().any(|required| required == name)
        && !has_default
        && is_always_asked
}

/// The catalog at a commit, of which only what is needed is read.
pub struct Commit {
    /// The repository.
    pub objects: Objects,
    /// The commit's tree.
    pub tree: ObjectId,
    /// Where the catalog lies.
    pub root: Root,
    /// Files that something was said of, which are asked for to be shown: a folder of thousands is not read again for each.
    said: RefCell<HashMap<String, ObjectId>>,
}

impl Commit {
    /// The catalog of this tree.
    pub fn new(objects: Objects, tree: ObjectId, root: Root) -> Self {
        Self { objects, tree, root, said: RefCell::default() }
    }

    /// One of its files.
    pub fn file(&self, path: &str) -> Option<Bytes> {
        if let Some(blob) = self.said.borrow().get(path) {
            return self.objects.blob(*blob).ok();
        }
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
        kept.recall();
        let small = self.definitions()?;
        let settings = match load_settings(&self.root, small.files.get(&self.root.settings_path())) {
            Ok(settings) => settings,
            Err(diagnostics) => {
                return Ok(Report { diagnostics: in_order(diagnostics), counts: Counts::default() });
            }
        };
        let near = |settings: &Settings| Near::find(&self.objects, settings, self.tree, since, kept);
        // Of a small look this is most, so it is done by two.
        let (loaded, found) = std::thread::scope(|scope| {
            let (root, files, own) = (&self.root, &small.files, settings.clone());
            let load = move || load_definitions(root, own, files);
            let loading = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, load);
            let found = near(&settings);
            (loading.map(|loading| loading.join().expect("definitions are loaded or refused")), found)
        });
        let (definitions, mut diagnostics) =
            loaded.unwrap_or_else(|_| load_definitions(&self.root, settings, &small.files));
        let open = |near: Near| Index::from_near(near, &self.objects, &definitions, self.tree, kept);
        let judge = |index: &Index| -> Read<Vec<Diagnostic>> {
            let seen = Seen { index, objects: &self.objects };
            let checked = Checked::new(&definitions, &small.files, &seen);
            let mut found = index.check(&self.objects, &checked, self.tree)?;
            found.extend(index.refused().iter().map(|(folder, name)| refusal(folder, name)));
            Ok(found)
        };
        let mut index = open(found?)?;
        let mut judged = judge(&index)?;
        if index.is_damaged() {
            kept.clear();
            index = open(near(&definitions.settings)?)?;
            judged = judge(&index)?;
        }
        let places = judged
            .iter()
            .flat_map(|one| [&one.place].into_iter().chain(one.related.iter().map(|related| &related.place)));
        for place in places {
            if let Some(blob) = place.source.parse().ok().and_then(|path| index.blob(&path)) {
                self.said.borrow_mut().insert(place.source.clone(), blob);
            }
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
        kept.remember();
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
