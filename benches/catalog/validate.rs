//! What does it cost to look at a whole catalog, and at what changed in it?

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chandlery::{
    catalog::{Definitions, Root, Store, load_definitions, load_settings},
    domain::{Entity, Timestamp},
    git::objects::Objects,
    index::{self, Commit, Index},
};
use serde_json::{Map, Value, json};

use super::{
    large::{self, KINDS, Packs},
    side::{Bars, By, Cost, World, ends, heading, pairs, spent},
};

const SMALL: usize = 1_000;
/// What the slow tools are given; ours gets the same then.
const MIDDLE: usize = 10_000;
const LARGE: usize = 100_000;
/// How many entities a change is about.
const FEW: usize = 10;
const REFERRERS: usize = 100;
/// MiB.
const MOST_MEMORY: f64 = 100.0;

pub fn measure(world: &World) {
    let [small, middle, repacked] =
        [SMALL, MIDDLE, LARGE].map(|entities| Catalog::new(world, entities, Packs::Repacked));
    let imported = Catalog::new(world, LARGE, Packs::Imported);
    let shapes = [(&repacked, "repacked"), (&imported, "just imported")];

    heading("All of 100,000 entities, the base written", "chandlery", "git");
    println!("  git: `git ls-tree -r --object-only HEAD | git cat-file --batch --buffer`");
    for ((catalog, shape), bars) in
        shapes.into_iter().zip([Bars::gate(2.0).aim(1.5), Bars::gate(1.2).aim(1.0)])
    {
        let pairs = pairs(7, || catalog.whole(), || catalog.read_with_git());
        world.row(shape, By::Wall, &pairs, bars);
        world.row(&format!("{shape}, CPU"), By::Cpu, &pairs, Bars::NONE);
    }

    heading("A change in 100,000 entities, the base of before kept", "chandlery", "git");
    println!("  git: `git diff-tree -r` of the same two commits");
    for (catalog, shape) in shapes {
        for (edit, what) in [(TEN, "10 files"), (GROUPED, "10 files of kinds in groups")] {
            let kept = catalog.keep(edit);
            let pairs = pairs(21, || kept.look(), || catalog.differ_with_git(edit));
            world.row(&format!("{what}, {shape}"), By::Wall, &pairs, Bars::gate(0.6).aim(0.5));
        }
    }

    heading("Other changes in 100,000 entities, repacked", "this", "that");
    let [ten, gone, blueprint] = [TEN, GONE, BLUEPRINT].map(|edit| repacked.keep(edit));
    let deletion = pairs(21, || gone.look(), || ten.look());
    world.row("one deleted that 100 point at / 10 files", By::Wall, &deletion, Bars::gate(2.0));
    let redefined = pairs(3, || blueprint.look(), || repacked.whole());
    world.row("a blueprint of 8,334 entities / all", By::Wall, &redefined, Bars::NONE);

    heading("How a change of 10 files grows, in million instructions", "100,000", "1,000");
    for (edit, what) in [(TEN, "chandlery, 10 files"), (GROUPED, "chandlery, 10 files of kinds in groups")] {
        match [&repacked, &small].map(|catalog| instructions(catalog.keep(edit).command())) {
            [Some(large), Some(small)] => world.amounts(what, [large, small], "M", Bars::gate(1.2)),
            _ => world.not_measured("instructions: valgrind is not here"),
        }
        if let [Some(large), Some(small)] = [&repacked, &small].map(|one| instructions(one.diff_tree(edit))) {
            world.amounts(&what.replace("chandlery", "git diff-tree"), [large, small], "M", Bars::NONE);
        }
    }

    heading("Having 100,000 entities at hand, within one process", "chandlery", "serde_json");
    println!(
        "  chandlery: definitions read, a kept base opened; serde_json: the same entities from one array in memory"
    );
    let everything = repacked.as_json();
    let pairs = pairs(
        9,
        || repacked.open(),
        || {
            in_here(|| {
                let entities: Vec<Entity> = serde_json::from_str(&everything).unwrap();
                assert!(entities.len() >= LARGE);
                entities
            })
        },
    );
    world.row("open", By::Wall, &pairs, Bars::gate(0.15));
    drop(everything);

    heading("Private memory at most", "chandlery", "allowed");
    for (catalog, shape) in shapes {
        catalog.forget();
        let most = private_memory(catalog.validate(&["--at", "main"]));
        world.amounts(&format!("all of 100,000, {shape}"), [most, MOST_MEMORY], "MiB", Bars::gate(1.0));
    }

    peers(world, &middle, &repacked);
}

/// Others read files on disk, and judge them by schemas alone.
fn peers(world: &World, middle: &Catalog, large: &Catalog) {
    let Some(tools) = &world.tools else {
        return world.not_measured(
            "what others take: `make bench` fetches them, and names them in CHANDLERY_BENCH_TOOLS",
        );
    };
    heading("All entities, in CPU of all threads and processes", "chandlery", "other");
    println!(
        "  chandlery: from a repacked commit, relations and identity too, the base written; others: schemas alone, from files"
    );
    let exported = Exported::new(large);
    let boon = pairs(3, || large.whole(), || exported.spent(&exported.boon(tools)));
    world.row("100,000, boon", By::Cpu, &boon, Bars::NONE.aim(0.8));
    let files = pairs(3, || exported.spent_by_ours(), || exported.spent(&exported.boon(tools)));
    world.row("100,000, boon; chandlery from the same files", By::Cpu, &files, Bars::NONE);
    println!("  others at 10,000 since they are slow, beside ours at 10,000");
    let exported = Exported::new(middle);
    for (name, commands) in [
        ("boon", exported.boon(tools)),
        ("Python with libyaml and fastjsonschema", vec![exported.python(tools)]),
        ("ajv-cli", exported.ajv(tools)),
        ("check-jsonschema", exported.check_jsonschema(tools)),
    ] {
        let pairs = pairs(3, || middle.whole(), || exported.spent(&commands));
        world.row(&format!("10,000, {name}"), By::Cpu, &pairs, Bars::NONE);
    }
}

/// Two branches that differ by one commit.
#[derive(Debug, Clone, Copy)]
struct Edit {
    from: &'static str,
    to: &'static str,
    /// How our program ends that looks at it.
    code: i32,
}

const TEN: Edit = Edit { from: "main", to: "ten", code: 0 };
const GROUPED: Edit = Edit { from: "main", to: "grouped", code: 0 };
const LINKED: Edit = Edit { from: "main", to: "linked", code: 0 };
const GONE: Edit = Edit { from: "linked", to: "gone", code: 1 };
const BLUEPRINT: Edit = Edit { from: "main", to: "blueprint", code: 0 };

/// A made-up catalog in a bare repository.
struct Catalog<'a> {
    world: &'a World,
    git: PathBuf,
}

impl<'a> Catalog<'a> {
    fn new(world: &'a World, entities: usize, packs: Packs) -> Self {
        let git = world.room.path().join(format!("{entities}-{packs:?}.git"));
        large::generate(&git, super::with_history(entities), Packs::Imported);
        let commit =
            |edit: Edit, files: &[(String, Option<String>)]| large::commit(&git, edit.to, edit.from, files);
        let kinds: Vec<usize> = (0..KINDS.len()).collect();
        let grouped: Vec<usize> = kinds.iter().copied().filter(|kind| large::is_grouped(*kind)).collect();
        commit(TEN, &large::changed(&large::spread(FEW, &kinds, entities), entities));
        commit(GROUPED, &large::changed(&large::spread(FEW, &grouped, entities), entities));
        // Accounts are owned by buckets: the first hundred by the first, where there are so many.
        let (hub, of) = (1, "account");
        let accounts = (0..entities).step_by(KINDS.len()).take(REFERRERS);
        let owned = accounts.map(|number| {
            let text = large::entity(number, 0, entities);
            let owner = text.lines().find(|line| line.starts_with("  owner: ")).unwrap();
            (large::path(number), Some(text.replace(owner, &format!("  owner: {}", large::identifier(hub)))))
        });
        assert_eq!(KINDS[0], of);
        commit(LINKED, &owned.collect::<Vec<_>>());
        commit(GONE, &[(large::path(hub), None)]);
        let looser = large::blueprint(3).replace("maximum: 9 }", "maximum: 90 }");
        assert_ne!(looser, large::blueprint(3));
        commit(BLUEPRINT, &[(format!("blueprints/{}.yaml", KINDS[3]), Some(looser))]);
        if packs == Packs::Repacked {
            large::repack(&git);
        }
        Self { world, git }
    }

    fn kept(&self) -> PathBuf {
        self.git.join("chandlery")
    }

    fn forget(&self) {
        remove(&self.kept());
    }

    fn validate(&self, words: &[&str]) -> Command {
        self.world.chandlery(&self.git, &[&["validate"], words].concat())
    }

    fn git(&self, words: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.git).args(words).stdout(Stdio::null());
        command
    }

    /// Our look at everything, with nothing kept.
    fn whole(&self) -> Cost {
        self.forget();
        spent(|| ends(&mut self.validate(&["--at", "main"]), 0))
    }

    /// Every file of the commit, printed by git.
    fn read_with_git(&self) -> Cost {
        spent(|| {
            let mut list = self.git(&["ls-tree", "-r", "--object-only", "main"]);
            let mut list = list.stdout(Stdio::piped()).spawn().unwrap();
            let ids = list.stdout.take().unwrap();
            ends(self.git(&["cat-file", "--batch", "--buffer"]).stdin(ids), 0);
            assert!(list.wait().unwrap().success());
        })
    }

    fn diff_tree(&self, edit: Edit) -> Command {
        self.git(&["diff-tree", "-r", edit.from, edit.to])
    }

    fn differ_with_git(&self, edit: Edit) -> Cost {
        spent(|| ends(&mut self.diff_tree(edit), 0))
    }

    fn index(&self) -> (Definitions, Index) {
        let objects = Objects::open(&self.git).unwrap();
        let tree = objects.root(objects.commit_named("main", Timestamp::from_seconds(0)).unwrap()).unwrap();
        let kept = index::Kept::beside(objects.common_folder());
        let commit = Commit::new(objects, tree, Root(None));
        let small = commit.definitions().unwrap();
        let settings = load_settings(&small.root, small.files.get(&small.root.settings_path())).unwrap();
        let (definitions, _) = load_definitions(&small.root, settings, &small.files);
        let index = commit.index(&definitions, &kept).unwrap();
        (definitions, index)
    }

    /// Opens a base that is there.
    fn open(&self) -> Cost {
        in_here(|| {
            let (_, index) = self.index();
            assert!(index.entities() >= LARGE);
            index
        })
    }

    /// All entities of the main branch; leaves a base of it.
    fn as_json(&self) -> String {
        self.forget();
        let (definitions, index) = self.index();
        let all: Vec<Entity> =
            definitions.blueprints.keys().flat_map(|blueprint| index.of(blueprint)).collect();
        serde_json::to_string(&all).unwrap()
    }

    /// Keeps the base of what was before a change.
    fn keep(&self, edit: Edit) -> Kept<'_> {
        let copy = self.git.join(format!("kept-of-{}", edit.from));
        if !copy.exists() {
            self.forget();
            ends(&mut self.validate(&["--at", edit.from]), 0);
            fs::rename(self.kept(), &copy).unwrap();
        }
        Kept { catalog: self, edit, copy }
    }
}

/// What something takes that happens in this process; what it made is given back after the time is taken.
fn in_here<T>(work: impl FnOnce() -> T) -> Cost {
    let start = Instant::now();
    let made = work();
    let wall = start.elapsed();
    drop(made);
    Cost { wall, cpu: wall }
}

/// A change, with the base of what was before.
struct Kept<'a> {
    catalog: &'a Catalog<'a>,
    edit: Edit,
    copy: PathBuf,
}

impl Kept<'_> {
    /// The base alone is there again.
    fn restore(&self) {
        let kept = self.catalog.kept();
        remove(&kept);
        fs::create_dir(&kept).unwrap();
        for file in fs::read_dir(&self.copy).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), kept.join(file.file_name())).unwrap();
        }
    }

    fn command(&self) -> Command {
        self.restore();
        self.catalog.validate(&["--at", self.edit.to, "--since", self.edit.from])
    }

    fn look(&self) -> Cost {
        let mut command = self.command();
        spent(|| ends(&mut command, self.edit.code))
    }
}

fn remove(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
}

/// In millions, as callgrind counts them; none without valgrind.
fn instructions(command: Command) -> Option<f64> {
    let mut counted = Command::new("valgrind");
    counted.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(command.get_program());
    counted.args(command.get_args());
    counted.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    let output = counted.output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let count =
        said.split("Collected :").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    Some(count.unwrap_or_else(|| panic!("valgrind counted nothing: {said}")) / 1e6)
}

/// In MiB: what a process had of memory that no file stands behind, looked at very often.
fn private_memory(mut command: Command) -> f64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most: f64 = 0.0;
    while child.try_wait().unwrap().is_none() {
        let said = fs::read_to_string(&status).unwrap_or_default();
        let anonymous = said.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anonymous.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        most = most.max(kib.unwrap_or(0.0) / 1024.0);
        std::thread::sleep(Duration::from_micros(200));
    }
    assert!(most > 0.0, "the process was gone before it was looked at");
    most
}

/// The same files on disk, with a JSON Schema for each blueprint.
struct Exported<'a> {
    catalog: &'a Catalog<'a>,
    folder: PathBuf,
}

impl<'a> Exported<'a> {
    fn new(catalog: &'a Catalog<'a>) -> Self {
        let folder = catalog.git.with_extension("files");
        ends(catalog.git(&["clone", "--quiet", ".", folder.to_str().unwrap()]).stderr(Stdio::null()), 0);
        let schemas = folder.join("schemas");
        fs::create_dir(&schemas).unwrap();
        for (kind, name) in KINDS.iter().enumerate() {
            let schema = schema_of(&large::blueprint(kind)).to_string();
            fs::write(schemas.join(format!("{name}.json")), schema).unwrap();
        }
        Self { catalog, folder }
    }

    fn spent(&self, commands: &[Command]) -> Cost {
        let again = |command: &Command| {
            let mut again = Command::new(command.get_program());
            again.args(command.get_args()).current_dir(&self.folder).stdout(Stdio::null());
            again
        };
        let mut commands: Vec<Command> = commands.iter().map(again).collect();
        spent(|| commands.iter_mut().for_each(|command| ends(command, 0)))
    }

    fn spent_by_ours(&self) -> Cost {
        spent(|| ends(&mut self.catalog.world.chandlery(&self.folder, &["validate"]), 0))
    }

    /// The files of each kind, with its schema.
    fn kinds(&self) -> impl Iterator<Item = (String, Vec<String>)> {
        KINDS.iter().map(|kind| {
            let mut list = Command::new("git");
            list.current_dir(&self.folder).args(["ls-files", &format!("entities/{kind}")]);
            let listed = String::from_utf8(list.output().unwrap().stdout).unwrap();
            let files: Vec<String> = listed.lines().map(str::to_owned).collect();
            assert!(!files.is_empty());
            (format!("schemas/{kind}.json"), files)
        })
    }

    fn boon(&self, tools: &Path) -> Vec<Command> {
        let one = |(schema, files)| {
            command(tools, "bin/boon", ["--quiet".to_owned(), schema].into_iter().chain(files))
        };
        self.kinds().map(one).collect()
    }

    fn check_jsonschema(&self, tools: &Path) -> Vec<Command> {
        let one = |(schema, files)| {
            let words = ["--schemafile".to_owned(), schema];
            command(tools, "python/bin/check-jsonschema", words.into_iter().chain(files))
        };
        self.kinds().map(one).collect()
    }

    fn python(&self, tools: &Path) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/tools/loop.py");
        command(tools, "python/bin/python", [script, ".", "schemas"].map(str::to_owned))
    }

    fn ajv(&self, tools: &Path) -> Vec<Command> {
        let one = |kind: &&str| {
            let words = ["validate", "--spec=draft7", "-c", "ajv-formats", "-s"].map(str::to_owned);
            let files =
                [format!("schemas/{kind}.json"), "-d".to_owned(), format!("entities/{kind}/**/*.yaml")];
            command(tools, "node_modules/.bin/ajv", words.into_iter().chain(files))
        };
        KINDS.iter().map(one).collect()
    }
}

fn command(tools: &Path, program: &str, words: impl IntoIterator<Item = String>) -> Command {
    let mut command = Command::new(tools.join(program));
    command.args(words);
    command
}

/// What a blueprint asks of its entities, in draft 7, which all of them know.
fn schema_of(blueprint: &str) -> Value {
    let read: Value = serde_yaml::from_str(blueprint).unwrap();
    let mut properties = read["schema"]["properties"].clone();
    for property in properties.as_object_mut().unwrap().values_mut() {
        if property["format"] == "url" {
            property["format"] = "uri".into();
        }
    }
    let relations = read["relations"].as_object().unwrap();
    let one = |relation: &Value| match relation["many"] == true {
        true => json!({ "type": "array", "items": { "type": "string" } }),
        false => json!({ "type": "string" }),
    };
    let required: Vec<&String> =
        relations.iter().filter(|(_, relation)| relation["required"] == true).map(|(name, _)| name).collect();
    let relations: Map<String, Value> =
        relations.iter().map(|(name, relation)| (name.clone(), one(relation))).collect();
    let object = |properties: Value, required: Value| json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required });
    let mut schema = object(
        json!({
            "identifier": { "type": "string" },
            "blueprint": { "const": read["identifier"] },
            "title": { "type": "string" },
            "team": { "type": "string" },
            "properties": object(properties, read["schema"]["required"].clone()),
            "relations": object(relations.into(), json!(required)),
        }),
        json!(["identifier", "blueprint", "properties", "relations"]),
    );
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema
}
