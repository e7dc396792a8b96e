//! How do `git clone` and `git push` reach the repositories?
//!
//! Through git's own `http-backend`, run as CGI. A push is noticed by comparing the refs
//! afterwards; a push to a protected branch is refused by a hook that exists only then.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use base64::Engine;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::motion;
use super::objects::{EMPTY, SIGNER};
use super::rename;
use super::reply::{Body, Call, Refusal, Reply, decode, refuse};
use super::rest::repos::may_push;
use super::rules::{self, Unless, Way};
use super::server::{Forge, Incoming};
use super::store::Permission;

/// Prints what GitHub prints and declines one ref; the others of the push go through.
///
/// Each line of `FORGE_REFUSED_REFS` is a ref, when it is refused, and what is said. What depends on the commits that
/// are pushed is looked up here, where they are.
const REFUSING_HOOK: &str = r#"#!/bin/sh
zero=0000000000000000000000000000000000000000
forward() { [ "$2" = $zero ] || [ "$3" = $zero ] || git merge-base --is-ancestor "$2" "$3"; }
signed() {
    [ "$3" = $zero ] && return 0
    for commit in $(git rev-list "$3" --not --all); do
        git cat-file commit "$commit" | grep -q "^ $FORGE_SIGNER\$" || return 1
    done
}
refused=0
while read -r name unless words; do
    [ "$name" = "$1" ] || continue
    case $unless in
    forward) forward "$@" && continue ;;
    signed) signed "$@" && continue ;;
    esac
    echo "error: $words" >&2
    refused=1
done <<END
$FORGE_REFUSED_REFS
END
exit $refused
"#;

pub(crate) fn install_hook(root: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let hooks = root.join("hooks");
    std::fs::create_dir_all(&hooks)?;
    let file = hooks.join("update");
    #[expect(clippy::disallowed_methods, reason = "the forge's own folder")]
    std::fs::write(&file, REFUSING_HOOK)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755))
}

/// The repository and the service that a Git path names.
pub(crate) fn split(path: &str) -> Option<(String, String, &str)> {
    let path = path.trim_start_matches('/');
    let (owner, rest) = path.split_once('/')?;
    let (name, service) = rest.split_once('/')?;
    let name = name.strip_suffix(".git").unwrap_or(name);
    ["info/refs", "git-upload-pack", "git-receive-pack"]
        .contains(&service)
        .then(|| (decode(owner, false), decode(name, false), service))
}

pub(crate) async fn serve(forge: &Arc<Forge>, incoming: &Incoming) -> Reply {
    match answer(forge, incoming).await {
        Ok(reply) => reply,
        Err(Refusal(mut reply)) => {
            if reply.status == 401 {
                reply.headers.push(("www-authenticate", "Basic realm=\"GitHub\"".to_owned()));
            }
            let message = match &reply.body {
                Body::Json(body) => body["message"].as_str().unwrap_or_default().to_owned(),
                Body::Text(..) | Body::Empty => String::new(),
            };
            reply.body = Body::Text("text/plain; charset=utf-8", message.into_bytes());
            *reply
        }
    }
}

async fn answer(forge: &Arc<Forge>, incoming: &Incoming) -> Result<Reply, Refusal> {
    let (owner, name, service) = split(&incoming.path).ok_or_else(super::reply::not_found)?;
    let pushes = service == "git-receive-pack" || incoming.query.contains("service=git-receive-pack");
    let needed = if pushes { Permission::Write } else { Permission::Read };
    let key = forge.with_call(incoming, |call| {
        if call.actor.is_none() && (pushes || call.repository_key(&owner, &name, needed).is_err()) {
            return Err(refuse(401, "Repository not found or authentication needed."));
        }
        if let Some(now) = rename::present(call.state, &owner, &name) {
            call.require(&now, needed)?;
            let mut moved = refuse(301, "Moved Permanently");
            let query =
                if incoming.query.is_empty() { String::new() } else { format!("?{}", incoming.query) };
            moved.0.headers.push(("location", format!("{}/{now}.git/{service}{query}", call.shared.url)));
            return Err(moved);
        }
        let key = call.repository_key(&owner, &name, needed)?;
        if let Some(grant) = &call.grant {
            grant.require(if pushes { "POST" } else { "GET" }, &["git"])?;
        }
        if pushes && call.repository(&key).archived {
            return Err(refuse(403, "This repository was archived so it is read-only."));
        }
        Ok(key)
    })?;
    if service != "git-receive-pack" {
        return backend(forge, incoming, &key, service, &[]).await;
    }
    let lock = forge.push_lock(&key);
    let _guard = lock.lock().await;
    let refused = forge.with_call(incoming, |call| {
        let mut refused = Vec::new();
        for (name, after) in pushed_refs(&incoming.body) {
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                refused.extend(refusals(call, &key, branch, &after)?);
            }
        }
        Ok(refused)
    })?;
    let reply = backend(forge, incoming, &key, service, &refused).await;
    let (forge, incoming) = (Arc::clone(forge), incoming.clone());
    let noticed = tokio::task::spawn_blocking(move || {
        forge.with_change(&incoming, |call| motion::notice_all(call, &key))
    });
    noticed.await.map_err(|error| refuse(500, format!("Server Error: {error}")))??;
    reply
}

/// The lines for the hook about one branch.
fn refusals(call: &Call<'_>, key: &str, branch: &str, after: &str) -> Result<Vec<String>, Refusal> {
    let line = |when: &str, words: &str| format!("refs/heads/{branch} {when} {words}");
    if !may_push(call, key, branch) {
        return Ok(vec![
            line("always", &format!("GH006: Protected branch update failed for refs/heads/{branch}.")),
            line("always", "Changes must be made through a pull request."),
        ]);
    }
    let after = (after != EMPTY).then_some(after);
    let found = rules::violations(call, key, branch, after, Way::Bare, None)?;
    let mut lines = Vec::new();
    for violation in found {
        let when = match violation.unless {
            None => "always",
            Some(Unless::Forward) => "forward",
            Some(Unless::Signed) => "signed",
        };
        lines.push(line(when, &format!("GH013: Repository rule violations found for refs/heads/{branch}.")));
        lines.push(line(when, &format!("- {}", violation.words)));
    }
    Ok(lines)
}

/// The refs named by the commands at the head of a push, and where each is to point.
fn pushed_refs(body: &[u8]) -> Vec<(String, String)> {
    let mut refs = Vec::new();
    let mut rest = body;
    while let Some((length, after)) = rest.split_at_checked(4) {
        let Some(length) =
            std::str::from_utf8(length).ok().and_then(|text| usize::from_str_radix(text, 16).ok())
        else {
            break;
        };
        let Some((line, after)) = length.checked_sub(4).and_then(|length| after.split_at_checked(length))
        else {
            break;
        };
        let command = String::from_utf8_lossy(line);
        let command = command.split('\0').next().unwrap_or_default().trim();
        let mut words = command.split(' ').skip(1).map(str::to_owned);
        if let (Some(after), Some(name)) = (words.next(), words.next()) {
            refs.push((name, after));
        }
        rest = after;
    }
    refs
}

async fn backend(
    forge: &Forge,
    incoming: &Incoming,
    key: &str,
    service: &str,
    refused: &[String],
) -> Result<Reply, Refusal> {
    let shared = &forge.shared;
    // What is lost with the machine can be seeded again: nothing waits for the disk.
    let mut settings =
        vec![("safe.directory".to_owned(), "*".to_owned()), ("core.fsync".to_owned(), "none".to_owned())];
    if !refused.is_empty() {
        settings.push(("core.hooksPath".to_owned(), shared.root.join("hooks").display().to_string()));
    }
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &shared.root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", settings.len().to_string())
        .env("GIT_PROJECT_ROOT", shared.root.join("repositories"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_PROTOCOL", incoming.header("git-protocol"))
        .env("REQUEST_METHOD", &incoming.method)
        .env("PATH_INFO", format!("/{key}.git/{service}"))
        .env("QUERY_STRING", &incoming.query)
        .env("CONTENT_TYPE", incoming.header("content-type"))
        .env("CONTENT_LENGTH", incoming.body.len().to_string())
        .env("HTTP_CONTENT_ENCODING", incoming.header("content-encoding"))
        .env("REMOTE_USER", "someone")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("FORGE_REFUSED_REFS", refused.join("\n"))
        .env("FORGE_SIGNER", SIGNER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    for (at, (name, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{at}"), name).env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    let mut child = command.spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (Some(mut stdin), Some(mut stdout)) = (stdin, stdout) else {
        return Err(refuse(500, "Server Error: git has no pipes"));
    };
    let write = async {
        // The backend may stop reading early, having refused; its answer says why.
        drop(stdin.write_all(&incoming.body).await);
        drop(stdin);
    };
    let mut output = Vec::new();
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut output), write);
    read?;
    child.wait().await?;
    Ok(read_cgi(&output))
}

/// Turns a CGI answer into a reply; the headers that matter are the status and the type.
fn read_cgi(output: &[u8]) -> Reply {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(output.len());
    let (head, body) = output.split_at(end);
    let body = body.get(4..).unwrap_or_default().to_vec();
    let mut reply = Reply { status: 200, body: Body::Text("", body), headers: Vec::new() };
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "status" => {
                reply.status = value.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(500);
            }
            "content-type" => reply.headers.push(("content-type", value.to_owned())),
            "cache-control" => reply.headers.push(("cache-control", value.to_owned())),
            _ => {}
        }
    }
    reply
}

/// The token in an `Authorization` header: bearer, `token`, or the password of basic.
pub(crate) fn token(header: &str) -> Option<String> {
    let (scheme, value) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Some(value.trim().to_owned());
    }
    let plain = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let plain = String::from_utf8(plain).ok()?;
    let (user, password) = plain.split_once(':')?;
    Some(if password.is_empty() || password == "x-oauth-basic" { user } else { password }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{pushed_refs, token};

    #[test]
    fn the_commands_of_a_push_name_its_refs() {
        let old = "1".repeat(40);
        let new = "2".repeat(40);
        let line = |text: String| format!("{:04x}{text}", text.len() + 4);
        let body = line(format!("{old} {new} refs/heads/main\0 report-status"))
            + &line(format!("{old} {new} refs/heads/a"))
            + "0000PACK";
        let pushed = ["refs/heads/main", "refs/heads/a"].map(|name| (name.to_owned(), new.clone()));
        assert_eq!(pushed_refs(body.as_bytes()), pushed);
        assert!(pushed_refs(b"0000").is_empty());
    }

    #[test]
    fn a_token_comes_in_three_ways() {
        for header in ["Bearer t-ada", "token t-ada", "Basic YWRhOnQtYWRh", "basic dC1hZGE6"] {
            assert_eq!(token(header).as_deref(), Some("t-ada"), "{header}");
        }
    }
}
