//! Does `watch` tell as soon as a file is saved? A real process follows real files.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Ends with its watcher.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn what_is_saved_is_judged_and_a_request_is_planned() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(package.join("catalog-example"))
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let catalog = folder.path().join("catalog-example");
    let deployments = catalog.join(".demo/deployments");
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b.test"])
            .args(arguments)
            .current_dir(&deployments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "x"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .arg("watch")
        .arg(&catalog)
        .arg("--target")
        .arg(format!("acme/deployments={}", deployments.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let _watching = Watching(child);
    let mut until = |end: &str| -> String {
        let mut seen = String::new();
        for line in lines.by_ref() {
            seen.push_str(&format!("{line}\n"));
            if line.contains(end) {
                return seen;
            }
        }
        panic!("it ended before `{end}`: {seen}");
    };
    until("no problems");

    let entity = catalog.join("entities/service/storefront/basket.yaml");
    let text = std::fs::read_to_string(&entity).unwrap();
    std::fs::write(&entity, text.replace("tier: gold", "tier: golden")).unwrap();
    let told = until("1 problem");
    assert!(told.contains("basket.yaml was saved") && told.contains("cannot be `golden`"), "{told}");
    // As editors do it: a new file is put in the place of the old one.
    let new = entity.with_extension("tmp");
    std::fs::write(&new, &text).unwrap();
    std::fs::rename(&new, &entity).unwrap();
    until("no problems");

    let request = catalog.join("requests/more/request.yaml");
    std::fs::create_dir_all(request.parent().unwrap()).unwrap();
    let asked =
        "action: change-replicas\nentity: checkout\ninputs: { replicas: 5 }\nreason: More people come\n";
    std::fs::write(&request, asked).unwrap();
    let told = until("replicas: 5");
    assert!(told.contains("requests/more/request.yaml"), "{told}");
}
