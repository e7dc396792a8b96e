//! How is the story told? Who did what, where it can be seen, and what Chandlery said.

use std::path::Path;

use crate::{
    cli::output::{self, plain},
    local_forge::Seed,
};

/// A line of its own.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    output::print(&plain(&format!("{text}\n")))
}

/// A new chapter.
pub(super) fn chapter(number: usize, title: &str) -> anyhow::Result<()> {
    line(&format!("\n{number}. {title}\n"))
}

/// What somebody did.
pub(super) fn does(who: &str, what: &str) -> anyhow::Result<()> {
    line(&format!("  {who} {what}"))
}

/// Where it can be seen.
pub(super) fn at(url: &str) -> anyhow::Result<()> {
    line(&format!("      {url}"))
}

/// A command that does the same.
pub(super) fn command(text: &str) -> anyhow::Result<()> {
    line(&format!("\n  $ {text}"))
}

/// Some lines of a text.
pub(super) fn quotes<'a>(lines: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
    // Small print, such as the code of a mistake, is for the page.
    let large = |text: &'a str| text.split(" <sub>").next().unwrap_or(text);
    lines.into_iter().try_for_each(|text| line(&format!("      | {}", large(text))))
}

/// What the story leaves behind, and how to look further.
pub(super) fn how_to_go_on(root: &Path) -> anyhow::Result<()> {
    let root = root.display();
    line("\nEverything is kept. To go on from here, serve the forge again:\n")?;
    line(&format!("  chandlery forge --root {root} --listen 127.0.0.1:4000"))?;
    line("\nand, beside it, act as Chandlery:\n")?;
    line(
        "  CHANDLERY_TOKEN=chandlery-token chandlery reconcile \\\n      --repository acme/catalog --api-url http://127.0.0.1:4000/api/v3",
    )
}

/// Who may be played while the forge runs.
pub(super) fn players(url: &str, seed: &Seed) -> anyhow::Result<()> {
    line(&format!("\nThe forge keeps running at {url}; its REST API is below {url}/api/v3.\n"))?;
    line("  who              token")?;
    for user in &seed.users {
        line(&format!("  {:<16} {}", user.login, user.token))?;
    }
    line(&format!("\n  git clone {}/acme/catalog.git", url.replace("://", "://bo:bo-token@")))?;
    line(&format!(
        "  CHANDLERY_TOKEN=chandlery-token chandlery reconcile --repository acme/catalog --api-url {url}/api/v3"
    ))?;
    line("\nCtrl-C ends it.")
}
