//! Chandlery: a self-service portal that lives in a Git repository.
//!
//! The modules in reading order. `plan` is the heart: a pure function from what Git and the
//! forge say to what should happen next. Everything before it is nouns and text; everything
//! after it acts.

pub mod domain;

pub mod expr;

pub mod catalog;

pub mod intake;

pub mod render;

pub mod plan;

pub mod git;

pub mod index;

pub mod seal;

pub mod forge;

pub mod backends;

pub mod reconcile;

pub mod local_forge;

pub mod cli;

/// Of the program as it is published, of the tests and of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
