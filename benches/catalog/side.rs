//! Two sides of a comparison, run in alternating pairs as whole processes.

use std::{
    cell::RefCell,
    ops::Sub,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// What the measurements share: the program, the tools of others, room for files, and what was missed.
pub struct World {
    program: PathBuf,
    _beside: tempfile::TempDir,
    /// Where `make bench-tools` put the tools of others; none where it did not.
    pub tools: Option<PathBuf>,
    pub room: tempfile::TempDir,
    missed: RefCell<Vec<String>>,
}

impl World {
    /// The program is copied, so that what is built in the meantime is not measured; to where it lies, since a program starts
    /// more slowly from a file system in memory, where the catalogs may be.
    pub fn new(program: &str) -> Self {
        let room = tempfile::tempdir().unwrap();
        let beside = tempfile::tempdir_in(Path::new(program).parent().unwrap()).unwrap();
        let copy = beside.path().join("program");
        std::fs::copy(program, &copy).unwrap();
        let tools =
            std::env::var_os("CHANDLERY_BENCH_TOOLS").map(PathBuf::from).filter(|tools| tools.is_dir());
        Self { program: copy, _beside: beside, tools, room, missed: RefCell::default() }
    }

    /// Our program, in this folder.
    pub fn chandlery(&self, folder: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder).args(words).stdout(Stdio::null());
        command
    }

    /// One line of a table: our side, the other, and how the ratios lie.
    pub fn row(&self, what: &str, by: By, pairs: &[[Cost; 2]], bars: Bars) {
        let ratios = pairs.iter().map(|[ours, other]| by.of(ours) / by.of(other)).collect();
        let side = |side: usize| quartiles(pairs.iter().map(|pair| by.of(&pair[side])).collect())[1];
        let [low, ratio, high] = quartiles(ratios);
        println!(
            "{what:<58} {:>11} {:>11} {:>7}  {:<11} {}",
            seconds(side(0)),
            seconds(side(1)),
            shown(ratio),
            format!("{}–{}", shown(low), shown(high)),
            self.judged(what, ratio, bars)
        );
    }

    /// One line of a table of amounts: here, there, and their ratio.
    pub fn amounts(&self, what: &str, [ours, other]: [f64; 2], unit: &str, bars: Bars) {
        let ratio = ours / other;
        let shown = |amount: f64| format!("{amount:.1} {unit}");
        println!(
            "{what:<58} {:>11} {:>11} {ratio:>7.2}  {:<11} {}",
            shown(ours),
            shown(other),
            "",
            self.judged(what, ratio, bars)
        );
    }

    /// What could not be measured is said, and counts as missed.
    pub fn not_measured(&self, what: &str) {
        println!("NOT MEASURED: {what}");
        self.missed.borrow_mut().push(format!("{what}: not measured"));
    }

    fn judged(&self, what: &str, ratio: f64, bars: Bars) -> String {
        let judge = |name: &str, bar: Option<f64>| match bar {
            None => String::new(),
            Some(bar) if ratio <= bar => format!("{name} {bar} met"),
            Some(bar) => {
                self.missed.borrow_mut().push(format!("{what}: {ratio:.2}, and the {name} is {bar}"));
                format!("{name} {bar} MISSED")
            }
        };
        format!("{:<17} {}", judge("gate", bars.gate), judge("aim", bars.aim)).trim_end().to_owned()
    }

    /// Everything that was missed, once more, so that nobody has to look for it.
    pub fn conclude(&self) {
        match self.missed.borrow().as_slice() {
            [] => println!("\nEvery gate and aim is met."),
            missed => {
                println!("\nMISSED:");
                for one in missed {
                    println!("  {one}");
                }
            }
        }
    }
}

/// A ratio, with as many digits as say something.
fn shown(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// How busy the machine is: whoever reads the ratios should know what else ran beside both sides.
pub fn noise(when: &str) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    println!("{cores} cores; load {when}, of the last 1, 5 and 15 minutes: {}", load.join(" "));
}

/// The heading of a table.
pub fn heading(title: &str, ours: &str, other: &str) {
    println!("\n{title:<58} {ours:>11} {other:>11} {:>7}  quartiles", "ratio");
}

/// What must be reached, and what is hoped for, as a ratio of our side to the other.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bars {
    pub gate: Option<f64>,
    pub aim: Option<f64>,
}

impl Bars {
    pub const NONE: Self = Self { gate: None, aim: None };

    pub fn gate(gate: f64) -> Self {
        Self { gate: Some(gate), aim: None }
    }

    pub fn aim(self, aim: f64) -> Self {
        Self { aim: Some(aim), ..self }
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub enum By {
    Wall,
    /// Of all processes and their children, user and system.
    Cpu,
}

impl By {
    fn of(self, cost: &Cost) -> f64 {
        match self {
            Self::Wall => cost.wall.as_secs_f64(),
            Self::Cpu => cost.cpu.as_secs_f64(),
        }
    }
}

/// What running something took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    pub wall: Duration,
    /// Known to a hundredth of a second only.
    pub cpu: Duration,
}

/// Measures the processes that are started and waited for by `work`.
pub fn spent(work: impl FnOnce()) -> Cost {
    let (cpu, start) = (cpu_of_children(), Instant::now());
    work();
    let wall = start.elapsed();
    Cost { wall, cpu: cpu_of_children().sub(cpu) }
}

/// As the kernel adds it up, <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>: fields 16 and 17.
fn cpu_of_children() -> Duration {
    /// How many a second the kernel tells to programs, on all that Rust's Linux runs on.
    const TICKS: u64 = 100;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks = |field: usize| fields[field - 3].parse::<u64>().unwrap();
    Duration::from_millis((ticks(16) + ticks(17)) * 1000 / TICKS)
}

/// Runs both sides so many times, in turns, and each first as often as the other. The first pair warms up and does not count.
pub fn pairs(
    rounds: usize,
    mut ours: impl FnMut() -> Cost,
    mut other: impl FnMut() -> Cost,
) -> Vec<[Cost; 2]> {
    let mut pair = |round: usize| match round % 2 {
        0 => {
            let ours = ours();
            [ours, other()]
        }
        _ => {
            let other = other();
            [ours(), other]
        }
    };
    pair(0);
    (1..=rounds).map(pair).collect()
}

/// Waits for a process that must end so.
pub fn ends(command: &mut Command, code: i32) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert_eq!(status.code(), Some(code), "{command:?}");
}

/// The lower quartile, the median and the upper quartile, between two values where none lies there.
pub fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.25, 0.5, 0.75].map(|share| {
        let place = (values.len() - 1) as f64 * share;
        let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
        below + (above - below) * place.fract()
    })
}

fn seconds(seconds: f64) -> String {
    match seconds {
        0.0..1.0 => format!("{:.1} ms", seconds * 1000.0),
        _ => format!("{seconds:.2} s"),
    }
}
