//! How is a script run? As another user, who cannot read what we can, in a folder of its own, with nothing of our
//! environment, and with a limit for its time, its memory and what it writes.
//!
//! Assumptions: we are root, as whom one may become another. What the script starts dies with its process group; a process
//! that leaves it outlives the script, as that user.

#![expect(clippy::disallowed_methods, reason = "scripts are files and processes")]

use std::{
    fs::{self, File, Permissions},
    io::{Read, Seek, SeekFrom},
    os::unix::{
        fs::{PermissionsExt, chown},
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use tracing::info;

use super::Vault;
use crate::plan::step::{Outcome, RunScript};

/// What `sh` limits before the script begins: seconds of the processor, KiB of memory, files of so many half KiB, no cores.
/// It gets everything as arguments; nothing that people wrote is part of this text.
const LIMITED: &str =
    r#"ulimit -t "$1" && ulimit -v "$2" && ulimit -f "$3" && ulimit -c 0 && shift 3 && exec "$@""#;
const MEMORY: &str = "4194304";
const FILES: &str = "65536";

/// How much of what it wrote is read.
const OUTPUT: u64 = 4 << 20;
/// How often it is looked whether it has ended.
const LOOKS: Duration = Duration::from_millis(20);

/// A user of the machine.
struct User {
    uid: u32,
    gid: u32,
}

pub(super) fn run(vault: &Vault, path: &str, script: &RunScript) -> Outcome {
    match try_run(vault, path, script) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Refused(vault.mask(&why)),
    }
}

fn try_run(vault: &Vault, path: &str, script: &RunScript) -> Result<Outcome, String> {
    let user = isolated(&script.user)?;
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let folder =
        tempfile::Builder::new().prefix("chandlery-").tempdir().map_err(failed("no folder can be made"))?;
    let home = folder.path().join("home");
    let name = format!(
        "script.{}",
        match script.interpreter.program() {
            "bash" => "sh",
            _ => "py",
        }
    );
    let file = folder.path().join(&name);
    let input = folder.path().join("input.json");
    (|| {
        fs::create_dir(&home)?;
        chown(&home, Some(user.uid), Some(user.gid))?;
        fs::set_permissions(folder.path(), Permissions::from_mode(0o711))?;
        fs::write(&file, &script.text)?;
        fs::set_permissions(&file, Permissions::from_mode(0o444))?;
        fs::write(&input, script.input.to_string())?;
        fs::set_permissions(&input, Permissions::from_mode(0o400))
    })()
    .map_err(failed("the script cannot be laid out"))?;
    let written = tempfile::tempfile().map_err(failed("no file can be made"))?;
    let output = |file: &File| file.try_clone().map(Stdio::from).map_err(failed("no file can be made"));
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", LIMITED, "sh", &script.seconds.to_string(), MEMORY, FILES, script.interpreter.program()])
        .arg(&file)
        .env_clear()
        .env("PATH", path)
        .env("HOME", &home)
        .env("LANG", "C.UTF-8")
        .current_dir(&home)
        .stdin(File::open(&input).map_err(failed("its input cannot be read"))?)
        .stdout(output(&written)?)
        .stderr(output(&written)?)
        .process_group(0)
        .gid(user.gid)
        .uid(user.uid);
    for (name, value) in &script.env {
        command.env(name, vault.reveal_text(value)?);
    }
    let mut child = command.spawn().map_err(failed("it cannot be begun"))?;
    let (status, timed_out) = wait(&mut child, Duration::from_secs(script.seconds));
    info!(script = %script.name, ?status, timed_out, "ran a script");
    let problem = match (status, timed_out) {
        (_, true) => Some(format!("it did not end within {} seconds", script.seconds)),
        (Some(status), false) if status.success() => None,
        (Some(status), false) => Some(match (status.code(), status.signal()) {
            (Some(code), _) => format!("it ended with the code {code}"),
            (None, Some(signal)) => {
                format!("it was stopped by the signal {signal}, as when it uses too much")
            }
            (None, None) => "it did not end well".to_owned(),
        }),
        (None, false) => Some("it could not be waited for".to_owned()),
    };
    let text = read(written).map_err(failed("what it wrote cannot be read"))?;
    let lines = vault.mask(&text).lines().map(str::to_owned).collect();
    Ok(Outcome::Ran { problem, lines, timed_out })
}

/// The user that a script runs as, if that keeps our secrets from it.
fn isolated(name: &str) -> Result<User, String> {
    let refused = |why: &str| Err(format!("scripts-not-isolated: {why}"));
    if !geteuid().is_root() {
        return refused(
            "Chandlery is not root here, and cannot run a script as another user; a workflow can do the same in a job of its own",
        );
    }
    match user(name) {
        None => refused(&format!("there is no user `{name}` on this machine")),
        Some(user) if user.uid == 0 => {
            refused(&format!("the user `{name}` is root, who can read everything"))
        }
        Some(user) => Ok(user),
    }
}

/// A user by name or number, as `/etc/passwd` tells.
fn user(name: &str) -> Option<User> {
    let text = fs::read_to_string(Path::new("/etc/passwd")).unwrap_or_default();
    let listed = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (known, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let user = User { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (known == name || uid == name).then_some(user)
    });
    listed.or_else(|| name.parse().ok().map(|number| User { uid: number, gid: number }))
}

/// Waits for its end, or ends it. What it left behind ends in any case.
fn wait(child: &mut Child, most: Duration) -> (Option<ExitStatus>, bool) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let end_all = || group.map(|group| kill_process_group(group, Signal::KILL));
    let begun = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => {
                let _gone = end_all();
                return (Some(status), false);
            }
            Ok(None) if begun.elapsed() < most => sleep(LOOKS),
            Ok(None) | Err(_) => {
                let timed_out = begun.elapsed() >= most;
                let _gone = end_all();
                return (child.wait().ok(), timed_out);
            }
        }
    }
}

fn read(mut written: File) -> std::io::Result<String> {
    written.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    written.take(OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::domain::{Interpreter, Secret};

    fn script(text: &str, interpreter: Interpreter, env: &Value, seconds: u64) -> Outcome {
        let vault = Vault::of(BTreeMap::from([("TOKEN".to_owned(), Secret::new("hunter2-secret"))]), None);
        let path = std::env::var("PATH").unwrap_or_default();
        let script = RunScript {
            name: "scripts/x".into(),
            text: text.as_bytes().into(),
            interpreter,
            env: env.as_object().cloned().unwrap_or_default(),
            input: json!({ "inputs": { "name": "pay; touch /tmp/x" } }),
            user: "nobody".into(),
            seconds,
        };
        run(&vault, &path, &script)
    }

    fn lines(outcome: &Outcome) -> Vec<String> {
        match outcome {
            Outcome::Ran { lines, .. } => lines.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// The tests run as root, as the real road needs it.
    #[test]
    fn a_script_sees_what_it_is_given_and_nothing_of_ours() {
        if !geteuid().is_root() {
            return;
        }
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), "ours").unwrap();
        let text = format!(
            "id -u; env | sort | cut -d= -f1 | grep -v ^_ | grep -v SHLVL | grep -v PWD | paste -sd' '; cat; echo; cat {} 2>&1 | tail -c 18; cat /proc/$PPID/environ | wc -c; echo \"got $T\"\n",
            secret.path().display()
        );
        let env = json!({ "T": { "$text": ["Bearer ", { "secret": "env:TOKEN" }] } });
        let seen = lines(&script(&text, Interpreter::Bash, &env, 20));
        assert_eq!(seen[0], "65534", "{seen:?}");
        assert_eq!(seen[1], "HOME LANG PATH T", "{seen:?}");
        assert!(seen[2].contains("touch /tmp/x"), "{seen:?}");
        assert!(seen.iter().any(|line| line.contains("Permission denied")), "{seen:?}");
        assert_eq!(seen.last().map(String::as_str), Some("got Bearer ***"), "{seen:?}");
        assert!(!seen.iter().any(|line| line.contains("ours")), "{seen:?}");
        let missing = json!({ "T": { "$text": [{ "secret": "env:OTHER" }] } });
        let told = script("true", Interpreter::Bash, &missing, 20);
        assert!(matches!(&told, Outcome::Refused(why) if why.contains("CHANDLERY_SECRET_OTHER")), "{told:?}");
    }

    #[test]
    fn a_script_that_takes_too_much_is_ended_with_all_that_it_began() {
        if !geteuid().is_root() {
            return;
        }
        let begun = Instant::now();
        let slow = script("sleep 60 & echo begun; sleep 60", Interpreter::Bash, &json!({}), 1);
        assert!(
            matches!(&slow, Outcome::Ran { timed_out: true, lines, .. } if lines == &["begun"]),
            "{slow:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(20));
        let large = script(
            "print('x')\nopen('f', 'wb').write(b'0' * (64 << 20))",
            Interpreter::Python,
            &json!({}),
            20,
        );
        assert!(matches!(&large, Outcome::Ran { problem: Some(_), .. }), "{large:?}");
    }
}
