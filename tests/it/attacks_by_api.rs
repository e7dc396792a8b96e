//! What people try with a forge's own API, where the words of the stories would not do: forged checks and times, odd branches, and
//! texts that want to be more. On the local forge; `docs/security.md` says which is for which.

use serde_json::{Value, json};

use crate::world::{Repo, World, fixture, local::Local, reconcile, told, view};

const CATALOG: &str = "/api/v3/repos/acme/catalog";

/// Plays deeds, one a line.
fn tell(world: &mut Local, story: &str) {
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line {
            "reconcile" => {
                let report = reconcile(world);
                assert!(report.stopped.is_none() && report.left.is_empty(), "{report:#?}");
            }
            deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
        }
    }
}

/// Does something that the forge lets this person do.
fn does(world: &Local, who: &str, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = world.tries(who, method, &format!("{CATALOG}/{path}"), body);
    assert!(status < 300, "{who} {method} {path}: {status} {answer}");
    answer
}

/// The check on a pull request of the catalog as people see it.
#[track_caller]
fn says(world: &mut Local, pull: u64, check: &str) {
    let seen = view(world);
    let line = seen.lines().find(|line| line.starts_with(&format!("catalog#{pull} "))).unwrap_or_default();
    assert!(line.contains(check), "{check}\n{seen}");
}

/// The newest commit of a pull request.
fn head(world: &Local, pull: u64) -> String {
    let pull = world.get(Repo::Catalog, &format!("pulls/{pull}")).unwrap();
    pull["head"]["sha"].as_str().unwrap().to_owned()
}

#[test]
fn a_forged_check_lends_no_age_to_a_plan_and_no_green_to_a_merge() {
    let mut world = Local::new();
    tell(
        &mut world,
        "dan asks a create-bucket name=a
         reconcile
         bo approves catalog#1
         reconcile
         dan pushes catalog#1 create-bucket name=b
         reconcile",
    );
    says(&mut world, 1, "waiting for approval: 1 more for platform");
    // Somebody else's App says, and a person does by statuses, that the present plan was there before bo approved.
    let head = head(&world, 1);
    let checks = world.get(Repo::Catalog, &format!("commits/{head}/check-runs")).unwrap();
    let key = checks["check_runs"][0]["external_id"].as_str().unwrap().to_owned();
    let evil = "evil[bot]";
    world.control("POST", "users", &json!({ "login": evil, "token": crate::world::local::token(evil) }));
    does(&world, "ada", "PUT", &format!("collaborators/{evil}"), &json!({ "permission": "push" }));
    let check = json!({
        "name": "chandlery", "head_sha": head, "external_id": key, "status": "completed", "conclusion": "success",
        "started_at": "2001-01-01T00:00:00Z", "completed_at": "2001-01-01T00:00:00Z",
        "output": { "title": "approved: it may be merged", "summary": "so it is" },
    });
    does(&world, evil, "POST", "check-runs", &check);
    for (context, description) in [("chandlery", "approved: it may be merged"), ("chandlery/plan", &key)] {
        let status = json!({ "state": "success", "context": context, "description": description });
        does(&world, "eve", "POST", &format!("statuses/{head}"), &status);
    }
    tell(&mut world, "reconcile");
    assert!(told(&mut world, 1).contains("`bo` does not count: was given before the present plan"));
    tell(&mut world, "ada merges catalog#1\nreconcile");
    let seen = view(&mut world);
    assert!(seen.contains("run a denied") && !seen.contains("infra#1"), "{seen}");
}

#[test]
fn a_merge_that_brings_other_files_than_were_reviewed_is_denied_by_their_names() {
    let mut world = Local::new();
    tell(&mut world, "dan asks a create-bucket name=a\nreconcile\nbo approves catalog#1\nreconcile");
    says(&mut world, 1, "approved: it may be merged");
    // Whoever may push to the default branch makes the merge commit, and has it show people something else.
    let (main, head) = (world.tip(Repo::Catalog, "main").unwrap(), head(&world, 1));
    let base = world.get(Repo::Catalog, &format!("git/commits/{head}")).unwrap()["tree"]["sha"].clone();
    let file =
        json!({ "path": "requests/a/plan.diff", "mode": "100644", "type": "blob", "content": "nothing\n" });
    let tree = does(&world, "ada", "POST", "git/trees", &json!({ "base_tree": base, "tree": [file] }));
    let commit = json!({ "message": "Merge pull request #1", "tree": tree["sha"], "parents": [main, head] });
    let commit = does(&world, "ada", "POST", "git/commits", &commit);
    does(&world, "ada", "PATCH", "git/refs/heads/main", &json!({ "sha": commit["sha"] }));
    tell(&mut world, "reconcile");
    let seen = view(&mut world);
    assert!(seen.contains("what was merged is not what was reviewed: `requests/a/plan.diff`"), "{seen}");
    assert!(seen.contains("run a denied approved by []") && !seen.contains("infra#1"), "{seen}");
    assert!(seen.contains("says \"Create a bucket: denied\""), "{seen}");
}

#[test]
fn a_backdated_commit_is_as_new_as_its_push() {
    let mut world = Local::new();
    tell(&mut world, "dan asks a create-bucket name=a\nreconcile\nbo approves catalog#1\nreconcile");
    says(&mut world, 1, "approved: it may be merged");
    let branch = world.get(Repo::Catalog, "pulls/1").unwrap()["head"]["ref"].as_str().unwrap().to_owned();
    let parent = head(&world, 1);
    let base = world.get(Repo::Catalog, &format!("git/commits/{parent}")).unwrap()["tree"]["sha"].clone();
    let file = json!({
        "path": "requests/a/request.yaml", "mode": "100644", "type": "blob",
        "content": "action: create-bucket\ninputs: { name: a, size: 9 }\n",
    });
    let tree = does(&world, "eve", "POST", "git/trees", &json!({ "base_tree": base, "tree": [file] }));
    // In the name of whoever asked, years before anybody approved.
    let dan =
        json!({ "name": "dan", "email": "dan@users.noreply.github.com", "date": "2001-01-01T00:00:00Z" });
    let commit = json!({ "message": "Ask", "tree": tree["sha"], "parents": [parent], "author": dan, "committer": dan });
    let commit = does(&world, "eve", "POST", "git/commits", &commit);
    does(&world, "eve", "PATCH", &format!("git/refs/heads/{branch}"), &json!({ "sha": commit["sha"] }));
    tell(&mut world, "reconcile");
    says(&mut world, 1, "waiting for approval: 1 more for platform");
    // Nor does eve, who pushed it, count for a plan of her own.
    tell(
        &mut world,
        "ada writes entities/_team/platform.yaml identifier: platform\\nblueprint: _team\\nrelations: { members: [bo, eve] }",
    );
    tell(&mut world, "eve approves catalog#1\nreconcile");
    says(&mut world, 1, "waiting for approval: 1 more for platform");
    assert!(told(&mut world, 1).contains("`eve` does not count: contributed to the branch"));
}

#[test]
fn templates_in_what_people_type_stay_text_wherever_they_come_out() {
    let text = "{{secrets.HOOK}}${{github.token}}{{7*7}}{%raw%}{#x#}";
    let mut world = Local::new();
    world.knowing(&[("HOOK", "opened")]);
    world.sets(&format!("{}secrets: [HOOK]\n", fixture::SETTINGS));
    tell(
        &mut world,
        r#"ada writes action-templates/note/template.yaml description: A note
           ada writes action-templates/note/files/notes/{{inputs.name}}.yaml text: {{ inputs.text | yaml }}\n
           ada writes actions/note-bucket.yaml identifier: note-bucket\ntitle: Note\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties: { name: { type: string }, text: { type: string } }\n    required: [name, text]\napproval: none\nmerge: auto\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: note, merge: auto, title: "Note {{ inputs.text }}", body: "{{ inputs.text }}" }\nentities:\n  - create: { blueprint: bucket, identifier: "{{ inputs.name }}", properties: { size: 1, label: "{{ inputs.text }}" } }"#,
    );
    tell(&mut world, &format!("dan asks a note-bucket name=a text='{text}'\nreconcile"));
    let seen = view(&mut world);
    assert!(seen.contains("run a success"), "{seen}\n{}", told(&mut world, 1));
    for (at, path) in [(Repo::Infra, "notes/a.yaml"), (Repo::Catalog, "entities/bucket/a.yaml")] {
        let file = world.read(at, path);
        let read: Value = serde_yaml::from_str(&file).unwrap();
        let found = read.get("text").or_else(|| read.pointer("/properties/label"));
        assert_eq!(found, Some(&text.into()), "{file}");
    }
    let pull = world.get(Repo::Infra, "pulls/1").unwrap();
    assert_eq!(pull["title"], format!("Note {text}"));
    assert!(pull["body"].as_str().unwrap().contains(text), "{pull:#}");
}

#[test]
fn no_text_of_others_mentions_hides_or_speaks_for_us() {
    let mut world = Local::new();
    let forged = "<!-- chandlery:request a -->\n<!-- chandlery:stage success -->\n### Create a bucket: done";
    tell(&mut world, "dan asks a create-bucket name=a");
    does(&world, "eve", "POST", "issues/1/comments", &json!({ "body": forged }));
    // What is asked wants to mention, to close the quote, to hide what follows, and to be a comment of ours on another request.
    let reason = "@acme/platform `` @bo ``` </details> <!-- \n<!-- chandlery:request b -->\n- **platform**: approved by `bo`";
    let branch = world.get(Repo::Catalog, "pulls/1").unwrap()["head"]["ref"].as_str().unwrap().to_owned();
    let path = "contents/requests/a/request.yaml";
    let known = world.get(Repo::Catalog, &format!("{path}?ref={branch}")).unwrap()["sha"].clone();
    let text = json!({ "action": "create-bucket", "inputs": { "name": "a" }, "reason": reason }).to_string();
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let body = json!({ "message": "more", "content": content, "sha": known, "branch": branch });
    does(&world, "dan", "PUT", path, &body);
    tell(&mut world, "reconcile");
    let comments = world.get(Repo::Catalog, "issues/1/comments").unwrap();
    let comments = comments.as_array().unwrap();
    let [theirs, ours] = &comments[..] else { panic!("{comments:#?}") };
    assert_eq!((&theirs["user"]["login"], &theirs["body"]), (&"eve".into(), &forged.into()));
    let ours = ours["body"].as_str().unwrap();
    assert!(
        ours.starts_with("<!-- chandlery:request a -->\n<!-- chandlery:stage waiting_for_approval -->"),
        "{ours}"
    );
    let because: Vec<&str> = ours.lines().filter(|line| line.contains("@acme/platform")).collect();
    let [because] = &because[..] else { panic!("{ours}") };
    let quote = because.strip_prefix("- because: ````").and_then(|rest| rest.strip_suffix("````"));
    assert!(quote.is_some_and(|quote| !quote.contains("````")), "{because}");
    assert!(!ours.lines().any(|line| line.starts_with("<!-- chandlery:request b")), "{ours}");
    says(&mut world, 1, "waiting for approval: 1 more for platform");
}

#[test]
fn a_branch_or_request_is_never_an_option_of_git() {
    let mut world = Local::new();
    let main = world.tip(Repo::Catalog, "main").unwrap();
    // What may be read as an option or as another name is refused and said; what only a shell would obey is a branch as any other.
    let (odd, plain) =
        (["--upload-pack=touch${IFS}x", "-c", "--", "refs/heads/main"], ["HEAD", "$(id)", "a;b"]);
    let mut asked = Vec::new();
    for (number, branch) in (1..).zip(odd.into_iter().chain(plain)) {
        let reference = json!({ "ref": format!("refs/heads/{branch}"), "sha": main });
        does(&world, "dan", "POST", "git/refs", &reference);
        let name = format!("b{}", "x".repeat(number));
        let request = format!("action: create-bucket\ninputs: {{ name: {name} }}\n");
        let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, request);
        let body = json!({ "message": "ask", "content": content, "branch": branch });
        does(&world, "dan", "PUT", &format!("contents/requests/{name}/request.yaml"), &body);
        let pull = json!({ "title": name, "head": branch, "base": "main" });
        asked.push((branch, does(&world, "dan", "POST", "pulls", &pull)["number"].as_u64().unwrap()));
    }
    tell(&mut world, "reconcile");
    for (branch, number) in &asked {
        let said = told(&mut world, *number);
        let word = if odd.contains(branch) { "bad-branch-name" } else { "waiting for approval" };
        assert!(said.contains(word), "{branch}: {said}");
        tell(&mut world, &format!("bo approves catalog#{number}"));
    }
    tell(&mut world, "reconcile");
    for (branch, number) in &asked {
        let check =
            if odd.contains(branch) { "the request has mistakes" } else { "approved: it may be merged" };
        says(&mut world, *number, check);
    }
    assert_eq!(world.tip(Repo::Catalog, "main").as_deref(), Some(main.as_str()));
    // A request cannot be called like an option either.
    tell(&mut world, "eve asks --force create-bucket name=z\nreconcile");
    let last = asked.last().unwrap().1 + 1;
    assert!(told(&mut world, last).contains("has mistakes"), "{}", told(&mut world, last));
}
