//! The small company of the scenarios: two repositories, a few people, some actions.

use std::sync::LazyLock;

use chandlery::{
    catalog::{Files, Root, load_definitions, load_settings},
    intake::issue_form::{self, Listed},
};

pub const CATALOG: &str = "acme/catalog";
pub const INFRA: &str = "acme/infra";
pub const FRESH: &str = "acme/fresh";
pub const ME: &str = "chandlery[bot]";
/// Who merges what was put into the queue.
pub const QUEUE: &str = "github-merge-queue[bot]";

/// Login and what they may do in the catalog; in the target everybody who may write here may write there.
pub const PEOPLE: &[(&str, &str)] = &[
    ("ada", "admin"),
    ("bo", "write"),
    ("cleo", "write"),
    ("dan", "write"),
    ("eve", "write"),
    ("zoe", "read"),
    (QUEUE, "write"),
    (ME, "admin"),
];

/// The files of the catalog: those written below, and the forms that are generated from them.
pub fn catalog_files() -> Vec<(String, String)> {
    static MADE: LazyLock<Vec<(String, String)>> = LazyLock::new(make_catalog_files);
    MADE.clone()
}

fn make_catalog_files() -> Vec<(String, String)> {
    let files: Files =
        CATALOG_FILES.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().into())).collect();
    let root = Root::default();
    let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
    let (definitions, problems) = load_definitions(&root, settings, &files);
    assert!(problems.is_empty(), "the fixture is valid: {problems:#?}");
    let buckets = |_: &Listed| vec![("old".parse().unwrap(), None)];
    let forms = issue_form::generate(&definitions, &buckets).into_iter();
    let written = CATALOG_FILES.iter().map(|(path, text)| (path.to_string(), text.to_string()));
    written.chain(forms.map(|(path, text)| (path.to_string(), text))).collect()
}

const CATALOG_FILES: &[(&str, &str)] = &[
    ("chandlery.yaml", SETTINGS),
    (
        "blueprints/bucket.yaml",
        "identifier: bucket\ntitle: Bucket\nschema:\n  properties:\n    size: { type: number, minimum: 1, maximum: 9 }\n    label: { type: string }\n    until: { type: string, format: timer }\n  required: [size]\nrelations:\n  parent: { target: bucket }\n  copies: { target: bucket, many: true }\n",
    ),
    (
        "blueprints/lock.yaml",
        "identifier: lock\ntitle: Lock\nschema: { properties: {} }\nrelations:\n  of: { target: bucket, required: true }\n",
    ),
    (
        "entities/bucket/old.yaml",
        "# The first one.\nidentifier: old\nblueprint: bucket\nproperties:\n  size: 1 # small\n",
    ),
    ("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n"),
    ("entities/_user/bo.yaml", "identifier: bo\nblueprint: _user\n"),
    ("entities/_user/cleo.yaml", "identifier: cleo\nblueprint: _user\n"),
    ("entities/_user/dan.yaml", "identifier: dan\nblueprint: _user\n"),
    ("entities/_user/eve.yaml", "identifier: eve\nblueprint: _user\n"),
    ("entities/_user/zoe.yaml", "identifier: zoe\nblueprint: _user\n"),
    ("entities/_team/platform.yaml", PLATFORM),
    ("actions/create-bucket.yaml", CREATE_BUCKET),
    (
        "actions/create-vault.yaml",
        "identifier: create-vault\ntitle: Create a vault\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n    required: [name]\napproval:\n  rules:\n    - { name: everybody, teams: [platform], all: true }\n    - { name: eve, users: [eve] }\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: bucket, title: \"Vault {{ inputs.name }}\", merge: auto }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: 9 } }\n",
    ),
    (
        "actions/resize-bucket.yaml",
        "identifier: resize-bucket\ntitle: Resize a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      size: { type: number, minimum: 1, maximum: 9 }\n    required: [size]\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: resize }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { size: \"{{ inputs.size }}\" } }\n",
    ),
    (
        "actions/label-bucket.yaml",
        "identifier: label-bucket\ntitle: Label a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      label: { type: string }\n    required: [label]\napproval: none\nmerge: auto\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: \"{{ inputs.label }}\" } }\n",
    ),
    (
        "actions/tune-bucket.yaml",
        "identifier: tune-bucket\ntitle: Tune a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  condition: { combinator: and, rules: [{ property: size, operator: \"<\", value: 4 }] }\n  userInputs:\n    properties:\n      size: { type: number, default: { jqQuery: .entity.properties.size + 2 }, maximum: 9 }\n      like: { type: string, format: entity, blueprint: bucket, dataset: { combinator: and, rules: [{ property: size, operator: \">\", value: { jqQuery: .form.size } }] } }\n      label: { type: string, default: { jqQuery: .user.login }, visible: { jqQuery: .form.size > 5 } }\napproval: none\nmerge: auto\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { size: \"{{ inputs.size }}\", label: \"{{ inputs.label }}\" } }\n",
    ),
    (
        "actions/retire-bucket.yaml",
        "identifier: retire-bucket\ntitle: Retire a bucket\ntrigger:\n  operation: DELETE\n  blueprintIdentifier: bucket\n  userInputs: { properties: {} }\nexecute: { teams: [platform] }\nentities:\n  - delete: { blueprint: bucket, identifier: \"{{ entity.identifier }}\" }\n",
    ),
    (
        "actions/spread-buckets.yaml",
        "identifier: spread-buckets\ntitle: Spread buckets\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      names: { type: array, items: { type: string } }\n      parent: { type: string, format: entity, blueprint: bucket }\n      size: { type: number, default: 2 }\n    required: [names, parent]\napproval: none\nmerge: auto\nentities:\n  - forEach: \"{{ inputs.names }}\"\n    upsert: { blueprint: bucket, identifier: \"{{ item }}\", properties: { size: \"{{ inputs.size }}\", label: null }, relations: { parent: \"{{ inputs.parent }}\", copies: [\"{{ inputs.parent }}\"] } }\n",
    ),
    (
        "actions/lock-bucket.yaml",
        "identifier: lock-bucket\ntitle: Lock a bucket\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: lock\n  userInputs:\n    properties:\n      name: { type: string }\n      bucket: { type: string, format: entity, blueprint: bucket }\n    required: [name, bucket]\napproval: none\nmerge: auto\nentities:\n  - create: { blueprint: lock, identifier: \"{{ inputs.name }}\", relations: { of: \"{{ inputs.bucket }}\" } }\n",
    ),
    (
        "actions/pair-bucket.yaml",
        "identifier: pair-bucket\ntitle: A bucket and its page\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n    required: [name]\napproval: none\nmerge: auto\natomic: true\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: bucket, merge: auto, labels: [storage, \"bucket {{ inputs.name }}\"], reviewers: [cleo] }\n  - id: page\n    pullRequest: { repository: acme/catalog, template: page, title: \"Page {{ inputs.name }}\" }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: 9 } }\n",
    ),
    (
        "actions/sketch-bucket.yaml",
        "identifier: sketch-bucket\ntitle: Sketch a bucket\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n      where: { type: string, default: docs }\n    required: [name]\napproval: none\nmerge: auto\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: bucket, merge: auto, draft: true }\n  - id: page\n    pullRequest: { repository: acme/catalog, template: sketch, merge: auto }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: 9 } }\n",
    ),
    (
        "actions/found-bucket.yaml",
        "identifier: found-bucket\ntitle: A bucket in a new repository\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n    required: [name]\nsteps:\n  - id: code\n    pullRequest: { repository: acme/fresh, template: bucket }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: 9 } }\n",
    ),
    (
        "actions/free-bucket.yaml",
        "identifier: free-bucket\ntitle: Remove a bucket alone\ntrigger:\n  operation: DELETE\n  blueprintIdentifier: bucket\n  userInputs: { properties: {} }\nentities:\n  - delete: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", onDelete: nullify }\n",
    ),
    (
        "actions/drop-bucket.yaml",
        "identifier: drop-bucket\ntitle: Remove a bucket and all of it\ntrigger:\n  operation: DELETE\n  blueprintIdentifier: bucket\n  userInputs: { properties: {} }\nentities:\n  - delete: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", onDelete: cascade }\n",
    ),
    (
        "actions/ask-bucket.yaml",
        "identifier: ask-bucket\ntitle: Ask about a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      label: { type: string }\n    required: [label]\nsteps:\n  - id: call\n    title: Ask the server\n    webhook:\n      url: \"http://127.0.0.1:1/buckets/{{ entity.identifier }}\"\n      headers: { authorization: \"Bearer {{ secrets.HOOK }}\" }\n      body: { label: \"{{ inputs.label }}\" }\n      secret: env:HOOK\n      retries: 1\n      outputs: { label: .body.label }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: \"{{ steps.call.outputs.label }}\" } }\n",
    ),
    (
        "actions/order-bucket.yaml",
        "identifier: order-bucket\ntitle: Order something for a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs: { properties: {} }\napproval: none\nmerge: auto\nsteps:\n  - id: order\n    timeout: 2h\n    webhook: { url: \"http://127.0.0.1:1/orders\", callback: true }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: \"order {{ steps.order.outputs.number }}\" } }\n",
    ),
    (
        "actions/apply-bucket.yaml",
        "identifier: apply-bucket\ntitle: Apply a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs: { properties: {} }\napproval: none\nmerge: auto\nsteps:\n  - id: apply\n    workflow: { repository: acme/infra, workflow: apply.yml, inputs: { bucket: \"{{ entity.identifier }}\" }, correlation: correlation }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { label: \"{{ steps.apply.outputs.url }}\" } }\n",
    ),
    (
        "actions/deploy-bucket.yaml",
        "identifier: deploy-bucket\ntitle: Deploy a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      size: { type: number, minimum: 1, maximum: 9 }\n    required: [size]\nsteps:\n  - id: check\n    script: { run: check.sh, env: { SIZE: \"{{ inputs.size }}\" } }\n  - id: code\n    pullRequest: { repository: acme/infra, template: resize }\n  - id: apply\n    workflow: { repository: acme/infra, workflow: apply.yml, inputs: { bucket: \"{{ entity.identifier }}\", checked: \"{{ steps.check.outputs.label }}\" } }\n  - id: tell\n    if: .inputs.size > 3 and .steps.apply.state == \"success\"\n    onFailure: continue\n    webhook: { url: \"http://127.0.0.1:1/tell\", retries: 0, body: { at: \"{{ steps.apply.outputs.url }}\" } }\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { size: \"{{ inputs.size }}\", label: \"{{ steps.check.outputs.label }} at {{ steps.apply.outputs.url }}\" } }\n",
    ),
    (
        "timed/lend-bucket.yaml",
        "identifier: lend-bucket\ntitle: Lend a bucket\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n      ttl: { type: string, pattern: \"^[1-9]d$\", default: 2d }\n    required: [name]\napproval: none\nmerge: auto\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", team: platform, properties: { size: 1, until: \"{{ request.mergedAt + inputs.ttl }}\" } }\n",
    ),
    (
        "timed/extend-bucket.yaml",
        "identifier: extend-bucket\ntitle: Extend a bucket\ntrigger:\n  operation: DAY-2\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      ttl: { type: string, pattern: \"^[1-9]d$\", default: 2d }\napproval: none\nmerge: auto\nentities:\n  - update: { blueprint: bucket, identifier: \"{{ entity.identifier }}\", properties: { until: \"{{ request.mergedAt + inputs.ttl }}\" } }\n",
    ),
    (
        "timed/retire-bucket.yaml",
        "identifier: retire-bucket\ntitle: Retire a bucket\ntrigger:\n  operation: DELETE\n  blueprintIdentifier: bucket\nexecute: { teams: [platform] }\nttl: { property: until, warnBefore: 1d }\nentities:\n  - delete: { blueprint: bucket, identifier: \"{{ entity.identifier }}\" }\n",
    ),
    (CHECK_SCRIPT, "jq_free=$(cat | tr -d ' ' | grep -c '\"inputs\"'); echo \"::output label=checked\"\n"),
    (
        "action-templates/bucket/files/buckets/{{ inputs.name }}.yaml",
        "# Made by a request.\nname: {{ inputs.name }}\nsize: {{ inputs.size | default(9) }}\n",
    ),
    ("action-templates/page/files/docs/{{ inputs.name }}.md", "# {{ inputs.name }}\n"),
    ("action-templates/sketch/files/{{ inputs.where }}/{{ inputs.name }}.md", "# {{ inputs.name }}\n"),
    ("action-templates/sketch/template.yaml", "description: A page somewhere\n"),
    ("action-templates/page/template.yaml", "description: A page about a bucket\n"),
    ("action-templates/bucket/template.yaml", "description: A bucket\n"),
    (
        "action-templates/resize/template.yaml",
        "description: Another size\nset:\n  - { path: \"buckets/{{ entity.identifier }}.yaml\", at: size, value: \"{{ inputs.size }}\" }\n",
    ),
];

/// `chandlery.yaml` in a mode; `by-pull`, `by-api`, `hasty`, `timed`, `helped` and `released` are ways of being on.
pub fn settings(mode: &str) -> String {
    match mode {
        "by-pull" => format!("{SETTINGS}state: pullRequest\n"),
        "hasty" => format!("{SETTINGS}requests: {{ expireAfter: 1h }}\n"),
        // Other actions, some of which have to do with time.
        "timed" => format!("{SETTINGS}folders: {{ actions: timed }}\nrequests: {{ expireAfter: 5d }}\n"),
        "helped" => format!("{SETTINGS}contact: \"#platform in Slack\"\n"),
        "released" => format!("{SETTINGS}breakGlass: {{ within: 1d }}\n"),
        "by-api" => SETTINGS.replace("acme/infra,", "{ name: acme/infra, commits: api },") + "commits: api\n",
        // Buckets are not for everybody to write.
        "guarded" => format!(
            "{SETTINGS}entities:\n  bucket:\n    create: {{ teams: [platform], users: [dan], properties: [size] }}\n    change: {{ teams: [platform], owners: true, properties: [size, label] }}\n    delete: nobody\n"
        ),
        "by-both" => settings("by-api") + "state: pullRequest\n",
        mode => SETTINGS.replace("mode: on", &format!("mode: {mode}")),
    }
}

pub const SETTINGS: &str = "version: 1\nmode: on\nrepositories: [acme/infra, acme/catalog, acme/fresh]\nwebhooks: [\"http://127.0.0.1:1\"]\nscripts: { as: nobody }\n";

const CHECK_SCRIPT: &str = "scripts/check.sh";

/// What a script of the fixture writes when it is run.
pub fn said_by(script: &str) -> &'static str {
    assert_eq!(script, CHECK_SCRIPT);
    "::output label=checked\n"
}

pub const PLATFORM: &str = "identifier: platform\nblueprint: _team\nrelations:\n  members: [bo, cleo]\n";

pub const CREATE_BUCKET: &str = "identifier: create-bucket\ntitle: Create a bucket\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: bucket\n  userInputs:\n    properties:\n      name: { type: string, pattern: \"^[a-z]+$\" }\n      size: { type: number, minimum: 1, maximum: 9, default: 1 }\n    required: [name]\napproval:\n  rules:\n    - { name: platform, teams: [platform] }\nsteps:\n  - id: code\n    pullRequest: { repository: acme/infra, template: bucket, title: \"Bucket {{ inputs.name }}\" }\nentities:\n  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: \"{{ inputs.size }}\" } }\n";

/// `create-bucket` after so many changes: its pull request has another title, and its form another heading.
pub fn changed_action(times: usize) -> String {
    CREATE_BUCKET
        .replace("Bucket {{", &format!("Bucket{} {{{{", "!".repeat(times)))
        .replace("size: { type", &format!("size: {{ title: Size {times}, type"))
}

const INFRA_FILES: &[(&str, &str)] = &[
    ("README.md", "# Infrastructure\n"),
    ("buckets/old.yaml", "# The first one.\nname: old\nsize: 1 # small\n"),
    (
        ".github/workflows/apply.yml",
        "name: apply\nrun-name: Apply (${{ inputs.correlation }})\non:\n  workflow_dispatch:\n    inputs:\n      bucket: { required: true }\n      checked: { required: false }\n      correlation: { required: false }\njobs: {}\n",
    ),
];

/// The files of the target.
pub fn infra_files() -> Vec<(String, String)> {
    INFRA_FILES.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect()
}
