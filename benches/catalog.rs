//! What a catalog costs, beside what others need for the same.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a measurement touches the world and may panic"
)]

#[path = "catalog/history.rs"]
mod history;
#[path = "../tests/it/world/large.rs"]
mod large;

fn main() {
    let mut args = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let folder = args.next().unwrap();
    let mut number = |usual| args.next().map_or(usual, |number| number.parse().unwrap());
    history::measure(std::path::Path::new(&folder), number(100_000), number(50_000));
}
