//! What lies on disk for an example, and what it leaves there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};

use super::rehearsal::Tree;
use crate::{
    catalog::{Case, Files, Settings, entity_at},
    cli::validate::files_below,
    domain::{FileMode, RepoName, RepoPath},
    index::Whole,
};

/// The folder that an example names.
fn named(example: &Path, folder: &str) -> anyhow::Result<PathBuf> {
    let folder = example.parent().unwrap_or(example).join(folder);
    folder.canonicalize().with_context(|| format!("cannot find `{}`", folder.display()))
}

/// What its target repositories hold.
pub(super) fn targets(example: &Path, case: &Case) -> anyhow::Result<BTreeMap<RepoName, Tree>> {
    let mut targets = BTreeMap::new();
    for (name, folder) in &case.targets {
        let folder = named(example, folder).with_context(|| format!("no files of `{name}`"))?;
        let top: RepoPath = "target".parse()?;
        let Whole { files, executables, .. } = files_below(&folder, &top)?;
        let mode =
            |path: &RepoPath| if executables.contains(path) { FileMode::Executable } else { FileMode::File };
        let tree: Tree = files
            .into_iter()
            .filter_map(|(path, bytes)| Some((path.under(&top)?.parse().ok()?, (bytes, mode(&path)))))
            .collect();
        targets.insert(name.clone(), tree);
    }
    Ok(targets)
}

/// The catalog with the entities that the example adds.
pub(super) fn catalog(
    example: &Path,
    case: &Case,
    files: &Arc<Files>,
    settings: &Settings,
) -> anyhow::Result<Arc<Files>> {
    let Some(folder) = &case.entities else { return Ok(Arc::clone(files)) };
    let below = files_below(&named(example, folder)?, &settings.folders.entities)?.files;
    let added: Vec<_> = below.keys().filter_map(|path| entity_at(settings, path)).collect();
    let mut files = Files::clone(files);
    files.retain(|path, _| entity_at(settings, path).is_none_or(|id| !added.contains(&id)));
    files.extend(below);
    Ok(Arc::new(files))
}

/// Writes what repositories hold below a folder.
pub(super) fn leave(out: &Path, repositories: &BTreeMap<RepoName, Tree>) -> anyhow::Result<()> {
    for (name, tree) in repositories {
        for (path, (bytes, mode)) in tree {
            let disk = out.join(name.as_str()).join(path.as_str());
            if disk.exists() {
                bail!("`{}` is there: name an empty folder", disk.display());
            }
            let write = || -> std::io::Result<()> {
                disk.parent().map_or(Ok(()), fs::create_dir_all)?;
                #[expect(clippy::disallowed_methods, reason = "what was asked for is written here")]
                fs::write(&disk, bytes)?;
                #[cfg(unix)]
                if *mode == FileMode::Executable {
                    use std::os::unix::fs::PermissionsExt as _;
                    fs::set_permissions(&disk, fs::Permissions::from_mode(0o755))?;
                }
                Ok(())
            };
            write().with_context(|| format!("cannot write `{}`", disk.display()))?;
        }
    }
    Ok(())
}
