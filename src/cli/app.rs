//! `chandlery app`: what does the GitHub App need that Chandlery acts as, and why?

use std::{fmt::Write as _, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::output::{self, Format};
use crate::forge::client::encode;

/// Each permission with its level and what it is for; what is optional may be taken away on GitHub.
pub(super) const PERMISSIONS: [(&str, &str, &str); 10] = [
    ("metadata", "read", "every App has it: repositories, and what people may do in them"),
    ("contents", "write", "reads the catalog and the targets; pushes plans, records and follow-ups; merges"),
    ("pull_requests", "write", "opens requests and follow-ups, comments on them, asks for reviews"),
    ("issues", "write", "reads issue forms, answers and closes them"),
    ("checks", "write", "the check that is required on the catalog's default branch"),
    ("statuses", "read", "waits for the checks of targets before it merges there"),
    ("members", "read", "who is in a team that a rule names (organisations only)"),
    ("actions", "write", "optional: only where a step starts a workflow"),
    ("merge_queues", "write", "optional: only where merges go through a merge queue"),
    ("workflows", "write", "optional: only where a template writes below .github/workflows"),
];

/// Each event with what it wakes; nothing is believed that an event says.
const EVENTS: [(&str, &str); 6] = [
    ("issues", "a form was filed, edited, closed or locked"),
    ("issue_comment", "somebody said a command, or a backend reported"),
    ("pull_request", "a request or follow-up was opened, changed, merged or closed"),
    ("pull_request_review", "somebody approved, refused or dismissed"),
    ("push", "the catalog or a target moved"),
    ("membership", "a team changed"),
];

/// The GitHub App that Chandlery acts as
#[derive(Debug, Args)]
pub struct AppArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Manifest(ManifestArgs),
}

/// Print what the App needs, each with its reason, and the link that creates it
///
/// Exit codes: 0 printed, 2 wrong usage.
#[derive(Debug, Args)]
struct ManifestArgs {
    /// The organisation that is to own the App; your own account if not said
    #[arg(long, value_name = "ORG", value_parser = read_organisation)]
    org: Option<String>,
    /// What the App is called; its account will be NAME[bot]
    #[arg(long, default_value = "chandlery", value_name = "NAME")]
    name: String,
    /// Where people read about it: as a rule the catalog's repository
    #[arg(long, default_value = "https://github.com", value_name = "URL")]
    url: String,
    /// Where events are sent; without it the App gets none, and CI or a schedule wakes Chandlery
    #[arg(long, value_name = "URL")]
    webhook_url: Option<String>,
    /// The forge, for GitHub Enterprise Server
    #[arg(long, default_value = "https://github.com", value_name = "URL")]
    server: String,
    /// How to print it; json is the manifest alone
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &AppArgs) -> anyhow::Result<ExitCode> {
    let What::Manifest(args) = &args.what;
    let manifest = manifest(args);
    match args.format {
        Format::Json => output::print(&format!("{manifest:#}\n"))?,
        Format::Text => output::print(&text(args, &manifest))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn read_organisation(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Ok(text.to_owned());
    }
    Err("an organisation's name has letters, digits and -".to_owned())
}

/// The manifest, in the fields of
/// <https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest>.
fn manifest(args: &ManifestArgs) -> Value {
    let permissions: Map<String, Value> =
        PERMISSIONS.iter().map(|(name, word, _)| ((*name).to_owned(), (*word).into())).collect();
    let events: Vec<&str> = EVENTS.iter().map(|(name, _)| *name).collect();
    let mut manifest = json!({
        "name": args.name,
        "url": args.url,
        "public": false,
        "default_permissions": permissions,
        "default_events": if args.webhook_url.is_some() { events } else { Vec::new() },
    });
    if let Some(url) = &args.webhook_url {
        manifest["hook_attributes"] = json!({ "url": url, "active": true });
    }
    manifest
}

/// The page of GitHub on which the App is created, filled in:
/// <https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-using-url-parameters>.
fn link(args: &ManifestArgs) -> String {
    let server = args.server.trim_end_matches('/');
    let page = match &args.org {
        Some(org) => format!("{server}/organizations/{org}/settings/apps/new"),
        None => format!("{server}/settings/apps/new"),
    };
    let mut query = vec![
        ("name".to_owned(), args.name.clone()),
        ("url".to_owned(), args.url.clone()),
        ("public".to_owned(), "false".to_owned()),
        ("webhook_active".to_owned(), args.webhook_url.is_some().to_string()),
    ];
    query.extend(PERMISSIONS.iter().map(|(name, word, _)| ((*name).to_owned(), (*word).to_owned())));
    if let Some(url) = &args.webhook_url {
        query.push(("webhook_url".to_owned(), url.clone()));
        query.extend(EVENTS.iter().map(|(name, _)| ("events[]".to_owned(), (*name).to_owned())));
    }
    let query: Vec<String> =
        query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    format!("{page}?{}", query.join("&"))
}

fn text(args: &ManifestArgs, manifest: &Value) -> String {
    let mut text = String::from("Permissions\n");
    for (name, word, why) in PERMISSIONS {
        let _ = writeln!(text, "  {name:<14} {word:<6} {why}");
    }
    text.push_str("\nEvents");
    text.push_str(if args.webhook_url.is_some() {
        "\n"
    } else {
        " (none without --webhook-url; these would be)\n"
    });
    for (name, why) in EVENTS {
        let _ = writeln!(text, "  {name:<21} {why}");
    }
    let _ = write!(
        text,
        "\nManifest\n{manifest:#}\n\nCreate it here, then install it on the catalog and on the repositories that it may change:\n{}\n",
        link(args)
    );
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        app: AppArgs,
    }

    fn args(line: &str) -> ManifestArgs {
        let What::Manifest(args) = Line::parse_from(line.split(' ')).app.what;
        args
    }

    #[test]
    fn the_link_says_what_the_manifest_says() {
        let args = args("app manifest --org acme --webhook-url https://hook.acme.test/?a=b&c");
        let (manifest, link) = (manifest(&args), link(&args));
        assert!(link.starts_with("https://github.com/organizations/acme/settings/apps/new?name=chandlery&"));
        for (name, word) in manifest["default_permissions"].as_object().unwrap() {
            assert!(link.contains(&format!("&{name}={}", word.as_str().unwrap())), "{name}");
        }
        for event in manifest["default_events"].as_array().unwrap() {
            assert!(link.contains(&format!("&events%5B%5D={}", event.as_str().unwrap())), "{event}");
        }
        assert!(link.contains("&webhook_url=https%3A%2F%2Fhook.acme.test%2F%3Fa%3Db%26c"));
    }

    #[test]
    fn without_a_webhook_no_event_is_asked_for() {
        let args = args("app manifest --server https://ghe.acme.test/");
        assert_eq!(manifest(&args)["default_events"], json!([]));
        let link = link(&args);
        assert!(link.starts_with("https://ghe.acme.test/settings/apps/new?"), "{link}");
        assert!(link.contains("webhook_active=false") && !link.contains("events"), "{link}");
    }
}
