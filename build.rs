//! Tells the program by what it judges: an index that other sources made is not believed.

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a build script reads files and prints")]

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    path::Path,
};

fn main() {
    // Folders that are part of the program.
    for folder in ["action-templates", "catalog-example", "schemas", "src/cli/init"] {
        println!("cargo:rerun-if-changed={folder}");
    }
    let mut hasher = DefaultHasher::new();
    for folder in ["src/catalog", "src/domain", "src/git", "src/index"] {
        println!("cargo:rerun-if-changed={folder}");
        read(Path::new(folder), &mut hasher);
    }
    println!("cargo:rustc-env=CHANDLERY_SOURCES={:016x}", hasher.finish());
}

fn read(path: &Path, hasher: &mut DefaultHasher) {
    if path.is_dir() {
        let mut paths: Vec<_> =
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().for_each(|path| read(path, hasher));
    } else {
        (path.to_str(), fs::read(path).unwrap_or_default()).hash(hasher);
    }
}
