//! What does it cost to render a template of ten files, as a whole process?

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::side::{Bars, By, Cost, World, ends, heading, pairs, spent};

/// How often ours is run for each time of theirs: the kernel tells CPU to a hundredth of a second, and one run takes less.
const RUNS: u32 = 25;
/// Theirs, for the same reason.
const PEER_RUNS: u32 = 2;
const ROUNDS: usize = 11;

/// What the files are filled with.
const INPUTS: &[(&str, &str)] = &[
    ("name", "basket"),
    ("title", "Basket of a customer"),
    ("team", "storefront"),
    ("port", "8080"),
    ("stage", "test"),
];

/// The files, with `@` before each name: where a tool looks for it differs.
const FILES: &[(&str, &str)] = &[
    (
        "README.md",
        "# {{ @title }}\n\n`{{ @name }}` belongs to {{ @team }} and answers on port {{ @port }}.\n{% if @stage == \"test\" %}\nIt is not for customers yet.\n{% endif %}\n",
    ),
    (
        "Dockerfile",
        "FROM python:3\nLABEL team={{ @team }} name={{ @name }}\nCOPY {{ @name }}.py /app/\nEXPOSE {{ @port }}\nCMD [\"python\", \"/app/{{ @name }}.py\"]\n",
    ),
    (
        "{{ @name }}.py",
        "\"\"\"{{ @title }}\"\"\"\n\nPORT = {{ @port }}\n\n\ndef name():\n    return \"{{ @name }}\"\n\n\n{% for path in [\"live\", \"ready\", \"metrics\"] %}def {{ path }}():\n    return \"/{{ path }}\", \"{{ @name }}\", \"{{ @team }}\"\n\n\n{% endfor %}",
    ),
    (
        "test_{{ @name }}.py",
        "import {{ @name }}\n\n\ndef test_name():\n    assert {{ @name }}.name() == \"{{ @name }}\"\n",
    ),
    (
        "pyproject.toml",
        "[project]\nname = \"{{ @name }}\"\ndescription = \"{{ @title }}\"\nversion = \"0.1.0\"\n\n[tool.team]\nname = \"{{ @team }}\"\n",
    ),
    (
        "deploy.yaml",
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ @name }}\n  labels: { team: {{ @team }}, stage: {{ @stage }} }\nspec:\n  replicas: {% if @stage == \"test\" %}1{% else %}3{% endif %}\n  template:\n    spec:\n      containers:\n        - name: {{ @name }}\n          image: acme/{{ @name }}:latest\n          ports: [{ containerPort: {{ @port }} }]\n",
    ),
    (
        "service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: { name: {{ @name }} }\nspec:\n  selector: { app: {{ @name }} }\n  ports:\n    - port: 80\n      targetPort: {{ @port }}\n",
    ),
    (
        "values.json",
        "{\n  \"name\": \"{{ @name }}\",\n  \"team\": \"{{ @team }}\",\n  \"port\": {{ @port }}\n}\n",
    ),
    (
        "main.tf",
        "module \"{{ @name }}\" {\n  source = \"./service\"\n  title  = \"{{ @title }}\"\n  team   = \"{{ @team }}\"\n  stage  = \"{{ @stage }}\"\n}\n",
    ),
    ("Makefile", "run:\n\tpython {{ @name }}.py --port {{ @port }}\n\ntest:\n\tpytest test_{{ @name }}.py\n"),
];

pub fn measure(world: &World) {
    let Some(tools) = &world.tools else {
        return world.not_measured(
            "rendering: `make bench` fetches the tools, and names them in CHANDLERY_BENCH_TOOLS",
        );
    };
    let room = world.room.path().join("render");
    let ours = Side::chandlery(world, &room);
    heading("A template of ten files, CPU of whole processes", "chandlery", "other");
    let peers = [Side::copier(tools, &room), Side::cookiecutter(tools, &room), Side::nunjucks(tools, &room)];
    for (peer, bars) in peers.iter().zip([Bars::NONE.aim(1.0 / 20.0), Bars::NONE, Bars::NONE]) {
        let pairs = pairs(ROUNDS, || ours.cost(RUNS), || peer.cost(PEER_RUNS));
        for (name, text) in FILES {
            let name = filled(name);
            let read = |side: &Side| fs::read_to_string(side.written.join(&name)).unwrap();
            assert_eq!(read(&ours), read(peer), "{} renders {name} otherwise: {text}", peer.name);
        }
        world.row(peer.name, By::Cpu, &pairs, bars);
    }
}

/// The name of a file, as it is rendered.
fn filled(name: &str) -> String {
    name.replace("{{ @name }}", INPUTS[0].1)
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes the ten files, names found behind this prefix.
fn template(folder: &Path, prefix: &str) {
    for (name, text) in FILES {
        put(&folder.join(name.replace('@', prefix)), &text.replace('@', prefix));
    }
}

/// One tool, how it is run, and where it writes.
struct Side {
    name: &'static str,
    program: PathBuf,
    words: Vec<String>,
    variables: Vec<(&'static str, PathBuf)>,
    /// What is emptied before each run.
    out: PathBuf,
    /// Where the files are then.
    written: PathBuf,
}

impl Side {
    fn new(
        name: &'static str,
        program: PathBuf,
        room: &Path,
        words: &[&str],
        data: &dyn Fn(&str, &str) -> Vec<String>,
    ) -> Self {
        let out = room.join(format!("{name}-out"));
        let words = words.iter().map(|word| word.replace("OUT", out.to_str().unwrap()));
        let data = INPUTS.iter().flat_map(|(key, value)| data(key, value));
        let words = words.chain(data).collect();
        Self { name, program, words, variables: Vec::new(), written: out.clone(), out }
    }

    fn chandlery(world: &World, room: &Path) -> Self {
        let folder = room.join("service");
        template(&folder.join("files"), "inputs.");
        let program = world.chandlery(room, &[]).get_program().into();
        let words = ["render", folder.to_str().unwrap(), "--out", "OUT"];
        Self::new("chandlery", program, room, &words, &|key, value| {
            vec!["--input".to_owned(), format!("{key}={value}")]
        })
    }

    fn copier(tools: &Path, room: &Path) -> Self {
        let folder = room.join("copier");
        template(&folder.join("files"), "");
        let questions: String =
            INPUTS.iter().map(|(key, _)| format!("{key}: {{ type: str, default: \"\" }}\n")).collect();
        put(
            &folder.join("copier.yml"),
            &format!("_templates_suffix: \"\"\n_subdirectory: files\n{questions}"),
        );
        let words = ["copy", "--quiet", "--defaults", "--overwrite", folder.to_str().unwrap(), "OUT"];
        Self::new("copier", tools.join("python/bin/copier"), room, &words, &|key, value| {
            vec!["--data".to_owned(), format!("{key}={value}")]
        })
    }

    fn cookiecutter(tools: &Path, room: &Path) -> Self {
        let folder = room.join("cookiecutter");
        template(&folder.join("{{ cookiecutter.name }}"), "cookiecutter.");
        let fields: Vec<String> = INPUTS.iter().map(|(key, _)| format!("{key:?}: \"\"")).collect();
        put(&folder.join("cookiecutter.json"), &format!("{{ {} }}", fields.join(", ")));
        let words = ["--no-input", "--overwrite-if-exists", "--output-dir", "OUT", folder.to_str().unwrap()];
        let mut side =
            Self::new("cookiecutter", tools.join("python/bin/cookiecutter"), room, &words, &|key, value| {
                vec![format!("{key}={value}")]
            });
        // It remembers what was asked in the user's folder.
        side.variables.push(("HOME", room.join("home")));
        side.written = side.out.join(INPUTS[0].1);
        side
    }

    fn nunjucks(tools: &Path, room: &Path) -> Self {
        let folder = room.join("nunjucks");
        template(&folder, "");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/tools/nunjucks.cjs");
        let words = [script.to_str().unwrap(), folder.to_str().unwrap(), "OUT"];
        let mut side =
            Self::new("nunjucks", "node".into(), room, &words, &|key, value| vec![format!("{key}={value}")]);
        side.variables.push(("NODE_PATH", tools.join("node_modules")));
        side
    }

    /// One run, of so many.
    fn cost(&self, runs: u32) -> Cost {
        fs::create_dir_all(self.out.with_file_name("home")).unwrap();
        let mut total = Cost { wall: std::time::Duration::ZERO, cpu: std::time::Duration::ZERO };
        let outs: Vec<PathBuf> = (0..runs).map(|run| self.out.with_extension(run.to_string())).collect();
        outs.iter()
            .chain([&self.out])
            .filter(|out| out.exists())
            .for_each(|out| fs::remove_dir_all(out).unwrap());
        let spent = spent(|| {
            for out in &outs {
                let words = self.words.iter().map(|word| {
                    if Path::new(word) == self.out { out.to_str().unwrap() } else { word.as_str() }
                });
                let mut command = Command::new(&self.program);
                command.args(words).envs(self.variables.iter().map(|(name, value)| (name, value)));
                ends(command.stdout(Stdio::null()).stderr(Stdio::null()), 0);
            }
        });
        fs::rename(&outs[0], &self.out).unwrap();
        (total.wall, total.cpu) = (spent.wall / runs, spent.cpu / runs);
        total
    }
}
