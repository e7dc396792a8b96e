//! Does `chandlery render` write a template into a folder, and nothing anywhere else?

use std::{fs, path::Path};

use crate::demo::chandlery;

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn render(template: &Path, out: &Path, more: &[&str]) -> (i32, String) {
    let words = ["render", template.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let output = chandlery(&[&words, more].concat());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[test]
fn a_template_is_rendered_into_a_folder_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let (template, out) = (folder.path().join("service"), folder.path().join("out"));
    put(
        &template,
        "template.yaml",
        "files: [{ path: \"*.sh\", mode: executable }]\nset: [{ path: app.yaml, at: replicas, value: \"{{ inputs.count }}\" }]\n",
    );
    put(&template, "files/{{ inputs.name }}.sh", "echo {{ inputs.name | shell }}\n");
    put(
        &template,
        "files/made/{{ inputs.name }}.yaml",
        "{% include 'head' %}\nversion: {{ inputs.version | yaml }}\n",
    );
    put(&template, "partials/head", "# {{ inputs.name }}\n");
    let app = "replicas: 1 # by people\n";
    put(&out, "app.yaml", app);
    put(folder.path(), "inputs.yaml", "name: pay\ncount: 1\n");
    let inputs = folder.path().join("inputs.yaml");
    let more = ["--input", inputs.to_str().unwrap(), "--input", "count=3", "--input", "version=\"1.10\""];

    let (code, told) = render(&template, &out, &more);
    assert_eq!((code, told.as_str()), (0, "changed   app.yaml\nnew       made/pay.yaml\nnew       pay.sh\n"));
    let read = |path: &str| fs::read_to_string(out.join(path)).unwrap();
    assert_eq!(read("app.yaml"), "replicas: 3 # by people\n");
    assert_eq!(read("made/pay.yaml"), "# pay\nversion: \"1.10\"\n");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(out.join("pay.sh")).unwrap().permissions());
    assert_eq!(mode & 0o111, 0o111);
    assert_eq!(
        render(&template, &out, &more).1,
        "unchanged app.yaml\nunchanged made/pay.yaml\nunchanged pay.sh\n"
    );

    // Nothing is written when anything is wrong.
    put(&out, "app.yaml", app);
    put(&out, "made/pay.yaml", "mine\n");
    let (code, told) = render(&template, &out, &more);
    assert_eq!(code, 1);
    assert!(told.contains("error[file-exists]: `made/pay.yaml` exists"), "{told}");
    assert_eq!(read("app.yaml"), app);
    assert_eq!(render(&template, &out, &[&more[..], &["--overwrite"]].concat()).0, 0);
    let (code, told) = render(&template, &out, &more[..2]);
    assert_eq!(code, 1);
    assert!(told.contains("`inputs.version` has no value here"), "{told}");

    // Neither climbing nor through links.
    put(folder.path(), "elsewhere/x", "");
    fs::remove_dir_all(out.join("made")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), out.join("made")).unwrap();
    let (code, told) = render(&template, &out, &more);
    assert_eq!(code, 3);
    assert!(told.contains("is a link"), "{told}");
    assert_eq!(fs::read_dir(folder.path().join("elsewhere")).unwrap().count(), 1);
    let (code, told) = render(&template, &out, &[&more[..], &["--input", "name=../pay"]].concat());
    assert_eq!(code, 1);
    assert!(told.contains("error[template-path]"), "{told}");
    assert!(!folder.path().join("pay.sh").exists());
}
