//! What does the demo's forge begin with? The example that this program carries in itself.

use std::{fs, path::Path};

use anyhow::{Context, bail};
use include_dir::{Dir, include_dir};

use crate::{
    catalog::{Definitions, Files, Root, load_definitions, load_settings, report},
    cli::{generate, init::every_file},
    domain::Diagnostic,
    intake::issue_form,
    local_forge::Seed,
};

static EXAMPLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/catalog-example");

/// The folder of the example that holds the forge's seed and the target repositories.
const DEMO: &str = ".demo/";

/// Writes the seed and the repositories below this folder.
pub(super) fn unpack(folder: &Path) -> anyhow::Result<(Seed, Definitions)> {
    for (path, bytes) in every_file(&EXAMPLE)? {
        if let Some(path) = path.strip_prefix(DEMO) {
            write(&folder.join(path), bytes)?;
        }
    }
    let (files, definitions) = catalog()?;
    let catalog = folder.join("catalog");
    for (path, bytes) in &files {
        write(&catalog.join(path.as_str()), bytes)?;
    }
    let mut seed = Seed::read(&folder.join("seed.yaml"))?;
    for repository in seed.repositories.iter_mut().filter(|repository| repository.name == "catalog") {
        repository.from = Some(catalog.clone());
    }
    Ok((seed, definitions))
}

/// The catalog as a repository of its own, with its issue forms.
fn catalog() -> anyhow::Result<(Files, Definitions)> {
    let mut files = Files::new();
    for (path, bytes) in every_file(&EXAMPLE)? {
        if !path.starts_with(DEMO) {
            files.insert(path.parse()?, bytes.into());
        }
    }
    let root = Root(None);
    let settings_path = root.settings_path();
    let settings = load_settings(&root, files.get(&settings_path)).map_err(|problems| told(&problems))?;
    let (definitions, problems) = load_definitions(&root, settings, &files);
    if !problems.is_empty() {
        bail!(told(&problems));
    }
    let forms = issue_form::generate(&definitions, &generate::listed(&definitions, &files));
    files.extend(forms.into_iter().map(|(path, text)| (path, text.into_bytes().into())));
    Ok((files, definitions))
}

fn told(problems: &[Diagnostic]) -> anyhow::Error {
    anyhow::anyhow!("the example has mistakes:\n{}", report::text(problems, &|_| None))
}

#[expect(clippy::disallowed_methods, reason = "the demo's own folder is written here")]
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let put = || {
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, bytes)
    };
    put().with_context(|| format!("cannot write `{}`", path.display()))
}
