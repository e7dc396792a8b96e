//! What does asking the catalog cost, beside plain git and the tools that people know?
//!
//! Catalogs of 1,000, 10,000 and 100,000 entities are made up, with a history, and each question is asked in alternating
//! pairs: once of Chandlery, once of the other side. What is printed is the median of the pairs' ratios and its quartiles.
//!
//!     cargo bench --bench catalog                                              all parts
//!     cargo bench --bench catalog -- validate                                  one part, or history, or render
//!     cargo bench --bench catalog -- generate FOLDER ENTITIES imported|repacked    only a catalog
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a measurement touches the world and may panic; it shares the made-up catalog of the tests"
)]

#[path = "catalog/history.rs"]
mod history;
#[path = "../tests/it/world/large.rs"]
mod large;
#[path = "catalog/render.rs"]
mod render;
#[path = "catalog/side.rs"]
mod side;
#[path = "catalog/validate.rs"]
mod validate;

use large::{Packs, Size};
use side::World;

type Part = (&'static str, fn(&World));

/// Each part, by its name.
const PARTS: [Part; 3] =
    [("validate", validate::measure), ("history", the_past), ("render", render::measure)];

fn the_past(_: &World) {
    let folder = tempfile::tempdir().unwrap();
    history::measure(folder.path(), 100_000, 50_000);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [generate, folder, entities, packs] = words.as_slice()
        && generate == "generate"
    {
        let packs = if packs == "repacked" { Packs::Repacked } else { Packs::Imported };
        large::generate(folder.as_ref(), with_history(entities.parse().unwrap()), packs);
        return;
    }
    side::noise("before");
    let world = World::new(env!("CARGO_BIN_EXE_chandlery"));
    for (name, measure) in PARTS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            measure(&world);
        }
    }
    side::noise("after");
    world.conclude();
}

/// Two hundred commits of ten changes each.
fn with_history(entities: usize) -> Size {
    Size { entities, commits: 200, changes: 10 }
}
