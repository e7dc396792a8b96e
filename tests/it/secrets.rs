//! Does a secret ever come out? A story is played by the program itself, as an App with a signing key, with everything
//! said that can be said and much going wrong; then all that it left is searched: output, job summary, comments, commits,
//! addresses, its own copies, and the arguments and environments of every program that it started.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    identity::PERMISSIONS,
    world::{World, local::Local},
};

/// A folder of programs that note how they were called, and then do what they always do.
fn noting(folder: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
    let (bin, log) = (folder.join("bin"), folder.join("started"));
    fs::create_dir(&bin).unwrap();
    for name in names {
        let real = Command::new("which").arg(name).output().unwrap();
        let real = String::from_utf8(real.stdout).unwrap();
        let script = format!(
            "#!/bin/sh\n{{ echo '{name}' \"$@\"; tr '\\0' '\\n' < /proc/$$/environ; }} >> '{}'\nexec '{}' \"$@\"\n",
            log.display(),
            real.trim()
        );
        fs::write(bin.join(name), script).unwrap();
        fs::set_permissions(bin.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    (bin, log)
}

/// Everything below a folder, one file after the other.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            bytes.extend(all_bytes(&entry.path()));
        } else {
            bytes.extend(fs::read(entry.path()).unwrap());
        }
    }
    bytes
}

/// What every object of a repository holds.
fn objects(repository: &Path) -> Vec<u8> {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["cat-file", "--batch-all-objects", "--batch"])
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn no_secret_comes_out() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let (mut world, key) = Local::as_app_with_key(9, &PERMISSIONS, &record);
    let (bin, started) = noting(folder.path(), &["git", "ssh-keygen"]);
    let signing = folder.path().join("signing");
    let made =
        Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&signing).status();
    assert!(made.unwrap().success());
    let signing = fs::read_to_string(&signing).unwrap();
    let summary = folder.path().join("summary.md");
    let (cache, api) = (folder.path().join("cache"), format!("{}/api/v3", world.url()));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut said = Vec::new();
    let mut run = |environment: &[(&str, &str)]| -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args(["-vv", "reconcile", "--repository", "acme/catalog", "--api-url", &api, "--cache"])
            .arg(&cache)
            .env_clear()
            .env("PATH", &path)
            .env("RUST_BACKTRACE", "full")
            .env("GITHUB_STEP_SUMMARY", &summary)
            .env("CHANDLERY_SIGNING_KEY", &signing)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        said.extend(output.stdout.iter().chain(&output.stderr).copied());
        output
    };
    let app = [("CHANDLERY_APP_ID", "9"), ("CHANDLERY_APP_KEY", key.as_str())];
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");

    deed(&mut world, "dan files create-bucket name=logs");
    assert!(run(&app).status.success());
    deed(&mut world, "bo approves catalog#2");
    deed(&mut world, "dan merges catalog#2");
    // Much goes wrong: tokens are revoked, calls fail before and after they are done, Git is refused.
    for (method, path, action) in [
        ("POST", "graphql$", json!({ "kind": "failBefore", "status": 401 })),
        ("POST", "pulls$", json!({ "kind": "failAfter", "status": 500 })),
        ("POST", "git-receive-pack$", json!({ "kind": "failBefore", "status": 403 })),
        ("GET", "git-upload-pack$", json!({ "kind": "failBefore", "status": 401 })),
    ] {
        world.control(
            "POST",
            "faults",
            &json!({ "method": method, "path": path, "times": 1, "action": action }),
        );
    }
    run(&app);
    assert!(run(&app).status.success());
    deed(&mut world, "ada merges infra#1");
    assert!(run(&app).status.success());
    // And what cannot work at all.
    let broken = key.replace("A", "B");
    for environment in [
        [("CHANDLERY_APP_ID", "9"), ("CHANDLERY_APP_KEY", broken.as_str())],
        [("CHANDLERY_APP_ID", "10"), ("CHANDLERY_APP_KEY", key.as_str())],
        [("CHANDLERY_TOKEN", "ghp_planted-and-refused"), ("X", "")],
        [("CHANDLERY_TOKEN", "ghp_planted and-broken"), ("X", "")],
        [("CHANDLERY_APP_ID", "nine"), ("CHANDLERY_APP_KEY", key.as_str())],
    ] {
        assert!(!run(&environment).status.success());
    }

    let forge = world.saved();
    let mut state: Value =
        serde_json::from_slice(&fs::read(forge.path().join("forge/state.json")).unwrap()).unwrap();
    let tokens: Vec<String> = state["app_tokens"].take().as_object().unwrap().keys().cloned().collect();
    assert!(tokens.len() >= 6, "each process makes its own: {tokens:?}");
    let body_of = |pem: &str| -> Vec<String> {
        pem.lines().filter(|line| !line.starts_with("-----") && line.len() > 20).map(str::to_owned).collect()
    };
    let mut secrets: Vec<String> =
        ["ghp_planted-and-refused", "planted and-broken"].map(str::to_owned).into();
    secrets.extend(tokens.iter().map(|token| STANDARD.encode(format!("x-access-token:{token}"))));
    secrets.extend(tokens);
    secrets.extend(body_of(&key).into_iter().chain(body_of(&broken)).chain(body_of(&signing)));

    let exchanges = fs::read_to_string(&record).unwrap();
    let exchanges: String = exchanges.lines().filter(|line| !line.contains("/access_tokens\"")).collect();
    let started = fs::read(started).unwrap();
    let programs = String::from_utf8_lossy(&started);
    assert!(programs.contains("\ngit push ") && programs.contains("ssh-keygen -Y sign"), "{programs}");
    let mut places = vec![
        ("what was printed", said),
        ("the job's summary", fs::read(summary).unwrap()),
        ("arguments and environments", started),
        ("the forge's memory", state.to_string().into_bytes()),
        ("exchanges", exchanges.into_bytes()),
        ("the cache", all_bytes(&cache)),
    ];
    for name in ["catalog", "infra"] {
        places.push((
            "a repository",
            objects(&forge.path().join(format!("forge/repositories/acme/{name}.git"))),
        ));
    }
    for (place, bytes) in &places {
        assert!(bytes.len() > 500, "{place} is empty");
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{place}: {secret}");
        }
    }
}
