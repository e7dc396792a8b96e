//! Does the local forge answer as GitHub's reference says? One story plays the whole API; its
//! exchanges are judged afterwards by GitHub's OpenAPI description (tests/openapi).

use serde_json::{Value, json};

use crate::forge_helper::{TestForge, base64};

const R: &str = "/repos/acme/catalog";

fn at(path: &str) -> String {
    format!("{R}{path}")
}

#[test]
fn people_and_repositories() {
    let forge = TestForge::start("people");
    assert_eq!(forge.get("ada", "/user").expect(200).text("/login"), "ada");
    assert_eq!(forge.get("bo", "/users/chandlery%5Bbot%5D").expect(200).text("/type"), "Bot");
    forge.get("nobody", "/user").expect(401);
    forge.get("bo", "/users/nobody").expect(404);
    forge.get("", "/meta").expect(200);
    forge.get("bo", "/rate_limit").expect(200);

    forge.get("", R).expect(200);
    forge.get("di", "/repos/acme/secret").expect(200);
    forge.get("", "/repos/acme/secret").expect(404);
    forge
        .post(
            "bo",
            "/orgs/acme/repos",
            json!({"name": "infra", "description": "Terraform", "auto_init": true}),
        )
        .expect(201);
    forge.post("bo", "/orgs/acme/repos", json!({"name": "infra"})).expect(422);
    forge.post("cy", "/orgs/acme/repos", json!({"name": "other"})).expect(403);
    forge.post("cy", "/user/repos", json!({"name": "mine", "private": true})).expect(201);
    forge.get("bo", "/repos/cy/mine").expect(404);
    forge.patch("bo", "/repos/acme/infra", json!({"description": "All of it", "archived": true})).expect(200);
    forge.post("bo", "/repos/acme/infra/issues", json!({"title": "x"})).expect(403);

    forge.put("ada", &at("/collaborators/cy"), json!({"permission": "triage"})).expect(204);
    forge.get("ada", &at("/collaborators/cy")).expect(204);
    forge.get("ada", &at("/collaborators")).expect(200);
    let role = forge.get("ada", &at("/collaborators/cy/permission")).expect(200);
    assert_eq!((role.text("/permission"), role.text("/role_name")), ("read", "triage"));
    forge.delete("ada", &at("/collaborators/cy")).expect(204);

    forge.get("bo", "/orgs/acme").expect(200);
    forge.get("bo", "/orgs/acme/members").expect(200);
    forge.get("bo", "/orgs/acme/members/di").expect(204);
    forge.get("bo", "/orgs/acme/members/cy").expect(404);
    forge.post("ada", "/orgs/acme/teams", json!({"name": "Site Reliability"})).expect(201);
    forge.get("bo", "/orgs/acme/teams").expect(200);
    forge.get("bo", "/orgs/acme/teams/site-reliability").expect(200);
    forge
        .put("ada", "/orgs/acme/teams/site-reliability/memberships/di", json!({"role": "member"}))
        .expect(200);
    forge.get("bo", "/orgs/acme/teams/site-reliability/memberships/di").expect(200);
    forge.get("bo", "/orgs/acme/teams/site-reliability/memberships/cy").expect(404);
    forge.get("bo", "/orgs/acme/teams/site-reliability/members").expect(200);
    forge
        .put("ada", "/orgs/acme/teams/platform/repos/acme/secret", json!({"permission": "push"}))
        .expect(204);
    forge.get("ada", "/repos/acme/secret/teams").expect(200);
    assert_eq!(
        forge.get("ada", "/repos/acme/secret/collaborators/bo/permission").text("/permission"),
        "write"
    );
    forge.delete("ada", "/orgs/acme/teams/site-reliability/memberships/di").expect(204);

    forge.get("ada", &at("/branches")).expect(200);
    assert_eq!(forge.get("ada", &at("/branches/main")).expect(200).body["protected"], true);
    forge.get("ada", &at("/branches/nope")).expect(404);
    forge.get("ada", &at("/branches/main/protection")).expect(200);
    let rules = json!({
        "required_status_checks": {"strict": false, "contexts": [], "checks": [{"context": "chandlery"}]},
        "enforce_admins": true, "required_pull_request_reviews": null,
        "restrictions": {"users": ["ada"], "teams": [], "apps": ["chandlery"]},
    });
    forge.put("ada", &at("/branches/main/protection"), rules).expect(200);
    forge.put("bo", &at("/branches/main/protection"), json!({})).expect(403);

    let hook = json!({"name": "web", "events": ["push"], "config": {"url": "http://127.0.0.1:9/", "content_type": "json"}});
    let hook = forge.post("ada", &at("/hooks"), hook).expect(201).number("/id");
    forge.get("ada", &at("/hooks")).expect(200);
    forge.get("ada", &at(&format!("/hooks/{hook}"))).expect(200);
    forge.delete("ada", &at(&format!("/hooks/{hook}"))).expect(204);
    forge.delete("cy", "/repos/cy/mine").expect(204);
}

#[test]
fn git_objects_and_files() {
    let forge = TestForge::start("objects");
    let main = forge.get("bo", &at("/git/ref/heads/main")).expect(200).text("/object/sha").to_owned();
    let blob = forge
        .post("bo", &at("/git/blobs"), json!({"content": base64("hi\n"), "encoding": "base64"}))
        .expect(201);
    let blob = blob.text("/sha").to_owned();
    forge.get("bo", &at(&format!("/git/blobs/{blob}"))).expect(200);
    let commit = forge.get("bo", &at(&format!("/git/commits/{main}"))).expect(200);
    let tree = json!({
        "base_tree": commit.text("/tree/sha"),
        "tree": [
            {"path": "deep/er/hi.txt", "mode": "100644", "type": "blob", "sha": blob},
            {"path": "README.md", "mode": "100644", "type": "blob", "sha": null},
            {"path": "text.txt", "mode": "100644", "type": "blob", "content": "text\n"},
        ],
    });
    let tree = forge.post("bo", &at("/git/trees"), tree).expect(201).text("/sha").to_owned();
    let listed = forge.get("bo", &at(&format!("/git/trees/{tree}?recursive=1"))).expect(200);
    let paths: Vec<&str> =
        listed.body["tree"].as_array().unwrap().iter().filter_map(|entry| entry["path"].as_str()).collect();
    assert_eq!(paths, ["apps", "apps/checkout.yaml", "deep", "deep/er", "deep/er/hi.txt", "text.txt"]);
    let commit = json!({"message": "By API\n\nCo-authored-by: Di <di@users.noreply.github.com>", "tree": tree, "parents": [main]});
    let commit = forge.post("bo", &at("/git/commits"), commit).expect(201).text("/sha").to_owned();

    forge.post("bo", &at("/git/refs"), json!({"ref": "refs/heads/feature/a", "sha": commit})).expect(201);
    forge.post("bo", &at("/git/refs"), json!({"ref": "refs/heads/feature/a", "sha": commit})).expect(422);
    forge.patch("bo", &at("/git/refs/heads/feature/a"), json!({"sha": main})).expect(422);
    forge.patch("bo", &at("/git/refs/heads/feature/a"), json!({"sha": main, "force": true})).expect(200);
    forge.patch("bo", &at("/git/refs/heads/feature/a"), json!({"sha": commit})).expect(200);
    forge.patch("bo", &at("/git/refs/heads/main"), json!({"sha": commit})).expect(422);
    forge.patch("cy", &at("/git/refs/heads/feature/a"), json!({"sha": main})).expect(403);
    assert_eq!(
        forge.get("bo", &at("/git/matching-refs/heads/feature")).expect(200).body.as_array().unwrap().len(),
        1
    );

    let compared = forge.get("bo", &at("/compare/main...feature/a")).expect(200);
    assert_eq!((compared.text("/status"), compared.number("/ahead_by")), ("ahead", 1));
    let changed: Vec<&str> = compared.body["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file["status"].as_str())
        .collect();
    assert_eq!(changed, ["removed", "added", "added"]);
    assert_eq!(forge.get("bo", &at("/commits?sha=feature/a")).expect(200).body.as_array().unwrap().len(), 2);
    let shown = forge.get("bo", &at(&format!("/commits/{commit}"))).expect(200);
    assert_eq!((shown.text("/author/login"), shown.number("/stats/additions")), ("bo", 2));

    forge.get("bo", &at("/contents/apps?ref=feature/a")).expect(200);
    let file = forge.get("bo", &at("/contents/apps/checkout.yaml?ref=feature/a")).expect(200);
    let change = |sha: Option<&str>| {
        let mut body = json!({"message": "Two", "content": base64("replicas: 2\n"), "branch": "feature/a"});
        if let Some(sha) = sha {
            body["sha"] = sha.into();
        }
        forge.put("bo", &at("/contents/apps/checkout.yaml"), body)
    };
    change(None).expect(422);
    change(Some(&main)).expect(409);
    change(Some(file.text("/sha"))).expect(200);
    let now = forge.get("bo", &at("/contents/apps/checkout.yaml?ref=feature/a")).expect(200);
    let gone = json!({"message": "Away", "sha": now.text("/sha"), "branch": "feature/a"});
    forge.call("bo", "DELETE", &at("/contents/apps/checkout.yaml"), gone).expect(200);
    forge.get("bo", &at("/contents/apps/checkout.yaml?ref=feature/a")).expect(404);
    let refused = json!({"message": "Past the rules", "content": "", "branch": "main"});
    forge.put("bo", &at("/contents/new.txt"), refused).expect(409);
    forge.delete("bo", &at("/git/refs/heads/feature/a")).expect(204);

    let log = forge.get("bo", &at("/activity?ref=refs/heads/feature/a&per_page=100")).expect(200);
    let kinds: Vec<&str> =
        log.body.as_array().unwrap().iter().filter_map(|entry| entry["activity_type"].as_str()).collect();
    assert_eq!(kinds, ["branch_deletion", "push", "push", "push", "force_push", "branch_creation"]);
}

#[test]
fn issues_labels_and_comments() {
    let forge = TestForge::start("issues");
    forge
        .post("bo", &at("/labels"), json!({"name": "bug", "color": "ff0000", "description": "Broken"}))
        .expect(201);
    forge.post("bo", &at("/labels"), json!({"name": "bug"})).expect(422);
    forge.patch("bo", &at("/labels/bug"), json!({"new_name": "defect"})).expect(200);
    forge.get("bo", &at("/labels")).expect(200);
    forge.get("bo", &at("/labels/defect")).expect(200);

    let opened = forge
        .post("bo", &at("/issues"), json!({"title": "One", "body": "text", "labels": ["defect", "new"]}))
        .expect(201);
    assert_eq!(opened.body["labels"].as_array().unwrap().len(), 2);
    let silent = forge.post("cy", &at("/issues"), json!({"title": "Two", "labels": ["defect"]})).expect(201);
    assert_eq!(silent.body["labels"], json!([]), "who may not label has the wish dropped");
    forge.post("cy", &at("/issues"), json!({"body": "no title"})).expect(422);
    forge.get("cy", &at("/issues/1")).expect(200);
    assert_eq!(
        forge
            .get("cy", &at("/issues?labels=defect&state=all&sort=updated&direction=asc"))
            .expect(200)
            .body
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(forge.get("cy", &at("/issues?since=2999-01-01T00:00:00Z")).expect(200).body, json!([]));
    forge.patch("cy", &at("/issues/1"), json!({"title": "Mine"})).expect(403);
    forge
        .patch("bo", &at("/issues/2"), json!({"title": "Better", "labels": ["defect"], "assignees": ["bo"]}))
        .expect(200);
    forge.post("bo", &at("/issues/2/labels"), json!({"labels": ["plan"]})).expect(200);
    forge.put("bo", &at("/issues/2/labels"), json!({"labels": ["plan", "defect"]})).expect(200);
    forge.get("bo", &at("/issues/2/labels")).expect(200);
    forge.delete("bo", &at("/issues/2/labels/plan")).expect(200);
    forge.delete("bo", &at("/issues/2/labels/plan")).expect(404);

    let comment =
        forge.post("cy", &at("/issues/2/comments"), json!({"body": "Why?"})).expect(201).number("/id");
    let path = at(&format!("/issues/comments/{comment}"));
    forge.get("bo", &path).expect(200);
    assert_eq!(forge.patch("bo", &path, json!({"body": "Because"})).expect(200).text("/user/login"), "cy");
    forge.patch("di", &path, json!({"body": "No"})).expect(403);
    forge.get("bo", &at("/issues/2/comments")).expect(200);
    forge.get("bo", &at("/issues/comments")).expect(200);
    forge.post("cy", &at("/issues/2/comments"), json!({"body": "x".repeat(65_537)})).expect(422);
    forge.delete("cy", &path).expect(204);
    forge.get("cy", &path).expect(404);

    forge.put("bo", &at("/issues/2/lock"), json!({"lock_reason": "resolved"})).expect(204);
    forge.post("cy", &at("/issues/2/comments"), json!({"body": "but"})).expect(403);
    forge.delete("bo", &at("/issues/2/lock")).expect(204);
    let closed = forge
        .patch("cy", &at("/issues/2"), json!({"state": "closed", "state_reason": "not_planned"}))
        .expect(200);
    assert_eq!((closed.text("/state_reason"), closed.text("/closed_by/login")), ("not_planned", "cy"));
    forge.patch("cy", &at("/issues/2"), json!({"state": "open"})).expect(200);
    forge.get("cy", &at("/issues/2/events")).expect(200);
    forge.delete("bo", &at("/labels/defect")).expect(204);
}

#[test]
fn pull_requests_reviews_and_merges() {
    let forge = TestForge::start("pulls");
    forge.post("bo", &at("/pulls"), json!({"title": "x", "head": "main", "base": "main"})).expect(422);
    forge.post("bo", &at("/pulls"), json!({"title": "x", "head": "nope", "base": "main"})).expect(422);
    let one = forge.open("bo", "one");
    let again = forge
        .post("bo", &at("/pulls"), json!({"title": "x", "head": "acme:one", "base": "main"}))
        .expect(422);
    assert_eq!(again.text("/errors/0/message"), "A pull request already exists for acme:one.");
    let pull = at(&format!("/pulls/{one}"));
    assert_eq!(forge.get("bo", &pull).expect(200).body["mergeable"], true, "creating it was the first look");
    for more in ["", "?state=all&head=acme:one&base=main", "?sort=updated&direction=desc"] {
        assert_eq!(
            forge.get("bo", &at(&format!("/pulls{more}"))).expect(200).body.as_array().unwrap().len(),
            1
        );
    }
    forge.get("bo", &format!("{pull}/files")).expect(200);
    forge.get("bo", &format!("{pull}/commits")).expect(200);
    forge.patch("bo", &pull, json!({"title": "One", "body": "edited"})).expect(200);

    forge
        .post(
            "bo",
            &format!("{pull}/requested_reviewers"),
            json!({"reviewers": ["di"], "team_reviewers": ["platform"]}),
        )
        .expect(201);
    forge.post("bo", &format!("{pull}/requested_reviewers"), json!({"reviewers": ["cy"]})).expect(422);
    forge.get("bo", &format!("{pull}/requested_reviewers")).expect(200);
    forge
        .call(
            "bo",
            "DELETE",
            &format!("{pull}/requested_reviewers"),
            json!({"reviewers": [], "team_reviewers": ["platform"]}),
        )
        .expect(200);

    forge.post("bo", &format!("{pull}/reviews"), json!({"event": "APPROVE"})).expect(422);
    let review =
        forge.post("di", &format!("{pull}/reviews"), json!({"event": "APPROVE", "body": "Fine"})).expect(200);
    assert_eq!(
        forge.get("bo", &pull).expect(200).body["requested_reviewers"],
        json!([]),
        "who reviewed is asked no more"
    );
    forge
        .post("cy", &format!("{pull}/reviews"), json!({"event": "REQUEST_CHANGES", "body": "Hm"}))
        .expect(200);
    forge.get("bo", &format!("{pull}/reviews")).expect(200);
    let head = review.text("/commit_id").to_owned();
    let remark = json!({"body": "Here", "path": "one.txt", "line": 1, "side": "RIGHT", "commit_id": head});
    let remark = forge.post("cy", &format!("{pull}/comments"), remark).expect(201).number("/id");
    forge.post("bo", &format!("{pull}/comments/{remark}/replies"), json!({"body": "There"})).expect(201);
    forge.get("bo", &format!("{pull}/comments")).expect(200);
    let states: Vec<Value> = forge
        .get("bo", &format!("{pull}/reviews"))
        .body
        .as_array()
        .unwrap()
        .iter()
        .map(|review| review["state"].clone())
        .collect();
    assert_eq!(states, ["APPROVED", "CHANGES_REQUESTED", "COMMENTED", "COMMENTED"], "a reply makes a review");

    let refused = forge.put("bo", &format!("{pull}/merge"), json!({})).expect(405);
    assert_eq!(refused.text("/message"), "Required status check \"chandlery\" is expected.");
    let status = json!({"state": "success", "context": "build", "target_url": "http://127.0.0.1/", "description": "ok"});
    forge.post("bo", &at(&format!("/statuses/{head}")), status).expect(201);
    forge.get("bo", &at(&format!("/commits/{head}/statuses"))).expect(200);
    assert_eq!(
        forge.get("bo", &at(&format!("/commits/{head}/status"))).expect(200).text("/state"),
        "success"
    );
    forge.post("bo", &at("/check-runs"), json!({"name": "chandlery", "head_sha": head})).expect(403);
    let output = json!({"title": "Waiting", "summary": "for ada"});
    let run = json!({"name": "chandlery", "head_sha": head, "status": "in_progress", "external_id": "k1", "output": output});
    let run = forge.post("chandlery", &at("/check-runs"), run).expect(201).number("/id");
    forge
        .patch(
            "chandlery",
            &at(&format!("/check-runs/{run}")),
            json!({"status": "completed", "conclusion": "failure"}),
        )
        .expect(200);
    let refused = forge.put("bo", &format!("{pull}/merge"), json!({})).expect(405);
    assert_eq!(refused.text("/message"), "Required status check \"chandlery\" is failing.");
    forge
        .patch("chandlery", &at(&format!("/check-runs/{run}")), json!({"conclusion": "success"}))
        .expect(200);
    forge.get("bo", &at(&format!("/check-runs/{run}"))).expect(200);
    forge.get("bo", &at(&format!("/commits/{head}/check-runs?check_name=chandlery"))).expect(200);
    forge.get("bo", &at(&format!("/commits/{head}/check-suites"))).expect(200);

    let other = "0".repeat(40);
    forge.put("bo", &format!("{pull}/merge"), json!({"sha": other})).expect(409);
    forge.get("bo", &format!("{pull}/merge")).expect(404);
    let merged =
        forge.put("bo", &format!("{pull}/merge"), json!({"sha": head, "merge_method": "merge"})).expect(200);
    forge.get("bo", &format!("{pull}/merge")).expect(204);
    forge.put("bo", &format!("{pull}/merge"), json!({})).expect(405);
    let commit = forge.get("bo", &at(&format!("/commits/{}", merged.text("/sha")))).expect(200);
    assert_eq!(commit.text("/commit/message"), "Merge pull request #1 from acme/one\n\nOne");
    assert_eq!((commit.text("/author/login"), commit.text("/commit/committer/name")), ("bo", "GitHub"));
    assert_eq!(commit.body["parents"].as_array().unwrap().len(), 2);
    assert_eq!(forge.get("bo", &at(&format!("/commits/{head}/pulls"))).expect(200).number("/0/number"), one);
    let log = forge.get("bo", &at("/activity?ref=main&activity_type=pr_merge")).expect(200);
    assert_eq!(log.text("/0/actor/login"), "bo");

    forge.post("cy", &format!("{pull}/reviews"), json!({"event": "APPROVE"})).expect(200);
    let id = review.number("/id");
    forge.get("bo", &format!("{pull}/reviews/{id}")).expect(200);
    let dismissed = forge
        .put("bo", &format!("{pull}/reviews/{id}/dismissals"), json!({"message": "Too late"}))
        .expect(200);
    assert_eq!(dismissed.text("/state"), "DISMISSED");
}

#[test]
fn squashing_rebasing_conflicts_and_forks() {
    let forge = TestForge::start("merging");
    let two = forge.open("bo", "two");
    let head = forge.write("bo", "two", "two-b.txt", "b\n");
    forge.pass(&head);
    let squashed =
        forge.put("bo", &at(&format!("/pulls/{two}/merge")), json!({"merge_method": "squash"})).expect(200);
    let commit = forge.get("bo", &at(&format!("/commits/{}", squashed.text("/sha")))).expect(200);
    assert_eq!(commit.text("/commit/message"), "Add two (#1)\n\n* Write two.txt\n\n* Write two-b.txt");
    assert_eq!(commit.body["parents"].as_array().unwrap().len(), 1);

    let three = forge.open("bo", "three");
    let left = forge.open("bo", "left");
    let right = forge.open("bo", "right");
    for branch in ["left", "right"] {
        forge.write("bo", branch, "apps/checkout.yaml", &format!("name: {branch}\n"));
    }
    let sha = forge.get("bo", &at(&format!("/pulls/{three}"))).text("/head/sha").to_owned();
    forge.pass(&sha);
    let rebased =
        forge.put("bo", &at(&format!("/pulls/{three}/merge")), json!({"merge_method": "rebase"})).expect(200);
    let commit = forge.get("bo", &at(&format!("/commits/{}", rebased.text("/sha")))).expect(200);
    assert_eq!(
        (commit.text("/commit/message"), commit.text("/parents/0/sha")),
        ("Write three.txt", squashed.text("/sha"))
    );

    forge
        .put("bo", &at(&format!("/pulls/{left}/update-branch")), json!({"expected_head_sha": sha}))
        .expect(422);
    forge.put("bo", &at(&format!("/pulls/{left}/update-branch")), json!({})).expect(202);
    let sha = forge.get("bo", &at(&format!("/pulls/{left}"))).text("/head/sha").to_owned();
    forge.pass(&sha);
    forge.put("bo", &at(&format!("/pulls/{left}/merge")), json!({})).expect(200);
    assert_eq!(
        forge.get("bo", &at(&format!("/pulls/{right}"))).body["mergeable"],
        Value::Null,
        "the first look after a push"
    );
    assert_eq!(forge.get("bo", &at(&format!("/pulls/{right}"))).body["mergeable"], false);
    let sha = forge.get("bo", &at(&format!("/pulls/{right}"))).text("/head/sha").to_owned();
    forge.pass(&sha);
    let refused = forge.put("bo", &at(&format!("/pulls/{right}/merge")), json!({})).expect(405);
    assert_eq!(refused.text("/message"), "Pull Request is not mergeable");
    forge.patch("bo", &at(&format!("/pulls/{right}")), json!({"state": "closed"})).expect(200);
    forge.patch("bo", &at(&format!("/pulls/{right}")), json!({"state": "open"})).expect(200);

    let draft = json!({"title": "Draft", "head": "right-draft", "base": "main", "draft": true});
    forge.write("bo", "right-draft", "draft.txt", "d\n");
    let draft = forge.post("bo", &at("/pulls"), draft).expect(201).number("/number");
    assert_eq!(
        forge.put("bo", &at(&format!("/pulls/{draft}/merge")), json!({})).expect(405).text("/message"),
        "Pull Request is still a draft"
    );

    forge.post("cy", &at("/forks"), json!({})).expect(202);
    let file = json!({"message": "From outside", "content": base64("x\n"), "branch": "main"});
    forge.put("cy", "/repos/cy/catalog/contents/outside.txt", file).expect(201);
    let pull = forge
        .post("cy", &at("/pulls"), json!({"title": "Outside", "head": "cy:main", "base": "main"}))
        .expect(201);
    assert_eq!(pull.text("/head/repo/full_name"), "cy/catalog");
    let number = pull.number("/number");
    forge.pass(pull.text("/head/sha"));
    forge.put("cy", &at(&format!("/pulls/{number}/merge")), json!({})).expect(403);
    forge.put("bo", &at(&format!("/pulls/{number}/merge")), json!({})).expect(200);
    forge.get("bo", &at("/contents/outside.txt")).expect(200);
}

#[test]
fn lists_come_in_pages_and_unchanged_answers_cost_nothing() {
    let forge = TestForge::start("pages");
    for number in 1..=5 {
        forge.post("bo", &at("/issues"), json!({"title": format!("Issue {number}")})).expect(201);
    }
    let page = forge.get("bo", &at("/issues?per_page=2&page=2")).expect(200);
    assert_eq!((page.number("/0/number"), page.number("/1/number")), (3, 2));
    let link = |relation: &str, page: u32| {
        format!("<{}/api/v3{R}/issues?page={page}&per_page=2>; rel=\"{relation}\"", forge.url)
    };
    assert_eq!(
        page.header("link"),
        [link("prev", 1), link("next", 3), link("last", 3), link("first", 1)].join(", ")
    );

    let path = format!("/api/v3{R}/issues/1");
    let first = forge.try_request("bo", "GET", &path, &[], None).unwrap();
    let same = forge
        .try_request("bo", "GET", &path, &[("if-none-match", first.header("etag"))], None)
        .unwrap()
        .expect(304);
    assert_eq!(same.header("x-ratelimit-remaining"), first.header("x-ratelimit-remaining"));
    forge.patch("bo", &at("/issues/1"), json!({"title": "New"})).expect(200);
    forge
        .try_request("bo", "GET", &path, &[("if-none-match", first.header("etag"))], None)
        .unwrap()
        .expect(200);
}
