//! `chandlery demo`: how does all of it look at work? A story on a local forge, over real HTTP and
//! real Git, that checks itself as it goes.
//!
//! * `seed`: what the forge begins with: the example, unpacked;
//! * `person`: somebody with a token, and what people do on a forge;
//! * `story`: four requests, from their asking to their end;
//! * `tale`: how it is told.

mod seed;
mod person;
mod tale;
mod story;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::{
    config,
    misuse::misuse,
    output::{self, Format},
};
use crate::{
    catalog::Root,
    cli,
    domain::Secret,
    forge::identity::Credentials,
    local_forge::{self, Options, Seed},
    reconcile::{Hands, Settings},
};
use person::Person;
use story::{CATALOG, Outcome, Story};

/// Who Chandlery is on the forge of the example.
const ME: &str = "chandlery[bot]";

/// Play a story on a local forge: asked, approved, carried out, recorded
///
/// Four requests: a cloud account by issue form, a replica count by pull request, a form with mistakes,
/// and one that is merged round its approvals. Everything is kept in DIR to explore.
///
/// Exit codes: 0 the story was told, 2 wrong usage, 3 it went otherwise, or the world failed.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where everything is kept: an empty folder or a new one [default: a new one among the temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// What the last line says
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Keep the forge running when the story is told, until interrupted
    #[arg(long)]
    serve: bool,
}

/// Tells the story.
///
/// # Errors
/// When it goes otherwise than it must, or the world fails.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let Some(folder) = folder(args.dir.as_deref())? else {
        let shown = args.dir.as_deref().unwrap_or(Path::new("")).display();
        return Err(misuse(format!("`{shown}` is not empty; name a new folder, or empty this one")));
    };
    cli::runtime()?
        .block_on(play(args, &folder))
        .with_context(|| format!("the demo ended early; what there is lies in `{}`", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The folder to use, made where it is missing; none if there is something in it.
fn folder(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    let Some(named) = named else {
        let made = tempfile::Builder::new().prefix("chandlery-demo-").tempdir();
        return Ok(Some(
            made.context("cannot make a folder among the temporary files; name one with --dir")?.keep(),
        ));
    };
    let make = || -> std::io::Result<_> {
        fs::create_dir_all(named)?;
        let is_empty = fs::read_dir(named)?.next().is_none();
        Ok(is_empty.then_some(fs::canonicalize(named)?))
    };
    make().with_context(|| format!("cannot make the folder `{}`", named.display()))
}

async fn play(args: &DemoArgs, folder: &Path) -> anyhow::Result<()> {
    let (seed, definitions) = seed::unpack(&folder.join("seed"))?;
    let root = folder.join("forge");
    let options = Options {
        root: root.clone(),
        listen: vec!["127.0.0.1:0".parse()?],
        seed: Some(seed.clone()),
        record: None,
    };
    let forge = local_forge::start(options).await?;
    tale::line(&format!("Acme's forge is served at {}, and kept in {}.", forge.url, root.display()))?;
    let catalog = root.join("repositories").join(format!("{CATALOG}.git"));
    let told = match begin(&forge.url, folder, &seed) {
        Ok((people, hands)) => Story::new(&forge.url, &catalog, &definitions, people, hands).tell().await,
        Err(error) => Err(error),
    };
    let outcomes = match told {
        Ok(outcomes) => outcomes,
        Err(error) => {
            // What happened so far is kept; why it ended is what counts.
            forge.shutdown().await.ok();
            return Err(error);
        }
    };
    if !args.serve {
        tale::how_to_go_on(&root)?;
        forge.shutdown().await?;
        return finish(args, &root, &catalog, &outcomes);
    }
    tale::players(&forge.url, &seed)?;
    finish(args, &root, &catalog, &outcomes)?;
    tokio::signal::ctrl_c().await?;
    forge.shutdown().await
}

/// The people with their tokens, and Chandlery's own hands.
fn begin(url: &str, folder: &Path, seed: &Seed) -> anyhow::Result<(BTreeMap<String, Person>, Hands)> {
    let environment = config::path_of_programs();
    let token =
        |login: &str| seed.users.iter().find(|user| user.login == login).map(|user| Secret::new(&user.token));
    let settings = Settings {
        api_url: format!("{url}/api/v3"),
        git_url: url.to_owned(),
        credentials: Credentials::Token(token(ME).with_context(|| format!("the seed has no user `{ME}`"))?),
        catalog: CATALOG.parse()?,
        root: Root(None),
        cache: folder.join("cache"),
        signer: None,
        manners: Default::default(),
        environment: environment.clone(),
        secrets: config::secrets(),
        identities: None,
    };
    let mut people = BTreeMap::new();
    for user in seed.users.iter().filter(|user| user.login != ME) {
        let copies = folder.join("people").join(&user.login);
        let person =
            Person::new(url, user.login.parse()?, Secret::new(&user.token), copies, environment.clone());
        people.insert(user.login.clone(), person);
    }
    Ok((people, Hands::new(settings)?))
}

/// The last line.
fn finish(args: &DemoArgs, root: &Path, catalog: &Path, outcomes: &[Outcome]) -> anyhow::Result<()> {
    if args.format == Format::Text {
        return Ok(());
    }
    let requests: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            json!({
                "id": outcome.id,
                "action": outcome.action,
                "status": outcome.stage,
                "pullRequests": outcome.pulls,
            })
        })
        .collect();
    output::print(&format!("{}\n", json!({ "forge": root, "catalog": catalog, "requests": requests })))
}
