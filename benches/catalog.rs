#![allow(clippy::unwrap_used, dead_code, reason = "a measurement may panic")]
#[path = "../tests/it/world/large.rs"]
mod large;
fn main() {
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    let folder = args.next().unwrap();
    let entities: usize = args.next().unwrap().parse().unwrap();
    let packs = if args.next().as_deref() == Some("repacked") {
        large::Packs::Repacked
    } else {
        large::Packs::Imported
    };
    large::generate(
        std::path::Path::new(&folder),
        large::Size { entities, commits: 200, changes: 10 },
        packs,
    );
}
