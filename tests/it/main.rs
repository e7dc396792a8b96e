//! The integration tests: one binary, so that it links once.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::collapsible_match,
    clippy::semicolon_if_nothing_returned,
    reason = "tests touch the world and may panic"
)]

mod adapter;
mod world;
mod scenarios;
mod security;
mod validate;
mod edits;
mod edits_toml_hcl;
mod forms;
mod gh;
mod act;
mod approvals;
mod attacks;
mod attacks_by_api;
mod forge_helper;
mod hook;
mod notify;
mod nine;
mod ready;
mod forge_quirks;
mod forge_rest;
mod forge_rules;
mod demo;
mod plan;
mod policies;
mod simulate;
mod quoting;
mod render;
mod test_actions;
mod histories;
mod agree;
mod crash;
mod identity;
mod pace;
mod moves;
mod release;
mod renamed;
mod secrets;
mod emulate;
mod planted;
mod steps;
mod layers;
mod readme;
mod init;
mod inputs;
mod ways;
mod ask;
mod audit;
mod ttl;
mod watch;
mod jq;
mod suites;
#[path = "../fuzz/targets.rs"]
mod fuzz_targets;
mod fuzz;
mod doctor;
mod index;
mod history;
mod careless;
mod code_owners;
mod cost;
mod import;
mod request;
mod targets;
