//! `chandlery policy test`: do the policies say what their examples have them say?

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{
    definitions_of, folders,
    judge::{Fault, refused},
    refuse,
    rehearsal::Rehearsal,
};
use crate::{
    catalog::{
        Case, Decision, Definitions, Files, PolicyCase, TESTS, entity_path, is_document, read_policy_case,
    },
    cli::{
        self,
        misuse::unknown,
        output,
        validate::{files_of_work_tree, locate},
    },
    domain::{EntityId, Login, ObjectId, PolicyId, RepoPath, RequestId, Timestamp, counted},
    index::Whole,
    plan::{Preview, build::Built, facts::Arrival},
};

/// Try the policies of a catalog: what their examples ask, and what is expected to come of it
///
/// The examples of a policy are `policies/POLICY.tests/CASE.yaml`: a request, who asks and when, what is in the catalog
/// and what was merged before, and what is expected: allowed (with the approvals that are added), denied and why, or
/// frozen. They are held against that policy alone; those in `policies/all.tests/` against all together. Nothing is
/// asked of any forge.
///
/// Exit codes: 0 all is well, 1 something is not as expected, 2 wrong usage, 3 something could not be read.
#[derive(Debug, Args)]
pub(crate) struct PolicyTestArgs {
    /// Only these policies
    #[arg(value_name = "POLICY")]
    policies: Vec<PolicyId>,
    /// The folder of the catalog
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of --catalog itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = output::Format::Text)]
    format: output::Format,
}

/// The examples that are held against all policies together.
const ALL: &str = "all";

/// What became of the examples of a policy.
#[derive(Debug, serde::Serialize)]
struct Tried {
    policy: String,
    cases: Vec<TriedCase>,
}

#[derive(Debug, serde::Serialize)]
struct TriedCase {
    name: String,
    description: Option<String>,
    path: RepoPath,
    faults: Vec<Fault>,
}

/// Tries the policies and says how it went.
///
/// # Errors
/// When something cannot be read.
pub(crate) fn run(args: &PolicyTestArgs) -> anyhow::Result<ExitCode> {
    let top = locate(&args.catalog, args.root.as_ref())?.top;
    let whole = files_of_work_tree(&args.catalog, args.root.as_ref())?;
    let (definitions, problems) = match definitions_of(&whole) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, &whole),
    };
    // What is broken cannot be tried; `validate` says the rest.
    if !definitions.broken_policies.is_empty() {
        return refuse(&problems, &whole);
    }
    let cases = cases(&definitions, &whole);
    for id in &args.policies {
        if !definitions.policies.contains_key(id) {
            let known = definitions.policies.keys().map(PolicyId::as_str);
            return Err(unknown(&format!("there is no policy `{id}`"), id.as_str(), known));
        }
    }
    let is_known = |owner: &str| owner == ALL || definitions.policies.keys().any(|id| id.as_str() == owner);
    if let Some(owner) = cases.keys().find(|owner| !is_known(owner)) {
        bail!("`{owner}{}` holds examples of a policy that there is not", TESTS.trim_end_matches('/'));
    }
    let chosen =
        |owner: &str| args.policies.is_empty() || args.policies.iter().any(|id| id.as_str() == owner);
    let files = Arc::new(whole.files.clone());
    let owners = definitions.policies.keys().map(|id| id.as_str().to_owned());
    let owners: BTreeSet<String> = owners.chain(cases.contains_key(ALL).then(|| ALL.to_owned())).collect();
    let mut tried = Vec::new();
    for owner in owners.into_iter().filter(|owner| chosen(owner)) {
        let mut alone = definitions.clone();
        if owner != ALL || definitions.policies.keys().any(|id| id.as_str() == ALL) {
            alone.policies.retain(|id, _| id.as_str() == owner);
        }
        let mut of_policy = Tried { policy: owner.clone(), cases: Vec::new() };
        for path in cases.get(&owner).into_iter().flatten() {
            let name = path.file_name().rsplit_once('.').map_or("", |(name, _)| name).to_owned();
            let mut one = TriedCase { name, description: None, path: path.clone(), faults: Vec::new() };
            match read_policy_case(path, &whole.files[path]) {
                Err(problems) => one.faults.extend(problems.iter().map(Fault::unreadable)),
                Ok(case) => {
                    one.description.clone_from(&case.description);
                    let example = top.join(path.as_str());
                    one.faults = judge(&alone, &files, &example, &case).unwrap_or_else(|why| {
                        vec![Fault::new(format!("it cannot be tried: {why:#}"), "mend the example")]
                    });
                }
            }
            of_policy.cases.push(one);
        }
        tried.push(of_policy);
    }
    match args.format {
        output::Format::Text => output::print(&output::plain(&text(&tried)))?,
        output::Format::Json => {
            let ok = is_well(&tried);
            output::print(&format!("{}\n", json!({ "ok": ok, "policies": tried })))?;
        }
    }
    Ok(ExitCode::from(if is_well(&tried) { cli::CLEAN } else { cli::PROBLEMS }))
}

fn is_well(tried: &[Tried]) -> bool {
    tried.iter().flat_map(|of| &of.cases).all(|case| case.faults.is_empty())
}

/// The files of examples, by policy.
fn cases(definitions: &Definitions, whole: &Whole) -> BTreeMap<String, Vec<RepoPath>> {
    let mut found: BTreeMap<String, Vec<RepoPath>> = BTreeMap::new();
    for path in whole.files.keys().filter(|path| is_document(path)) {
        let below = path.under(&definitions.settings.folders.policies);
        let Some((folder, _)) = below.and_then(|below| below.rsplit_once('/')) else { continue };
        let name = folder.rsplit('/').next().unwrap_or(folder);
        if let Some(owner) = name.strip_suffix(TESTS.trim_end_matches('/')) {
            found.entry(owner.to_owned()).or_default().push(path.clone());
        }
    }
    found
}

/// What is not as an example has it.
fn judge(
    definitions: &Definitions,
    files: &Arc<Files>,
    example: &std::path::Path,
    case: &PolicyCase,
) -> anyhow::Result<Vec<Fault>> {
    let (files, arrivals) = world(definitions, files, case)?;
    let bare = Case {
        description: None,
        request: case.request.clone(),
        requester: Some(case.requester.clone()),
        targets: case.targets.clone(),
        entities: None,
        diff: None,
        errors: Vec::new(),
        approvers: None,
    };
    let targets = folders::targets(example, &bare)?;
    let mut rehearsal = Rehearsal::new(definitions, Arc::new(files), targets)?.at(case.at, arrivals);
    let id: RequestId = "example".parse()?;
    let built = match rehearsal.plan(&id, &case.request, Some(&case.requester))? {
        Preview::Planned(built) => built,
        Preview::Wrong(problems) => {
            let because = match &case.expected {
                Decision::Denied { because } => because.as_slice(),
                Decision::Allowed { .. } | Decision::Frozen { .. } => &[],
            };
            return Ok(refused(&problems, because));
        }
        Preview::Ask(_) => bail!("the plan asks and asks; this is a mistake in chandlery"),
    };
    let people = BTreeSet::from([case.requester.clone()]);
    let freezes = match rehearsal.freezes(&built, &people)? {
        Ok(freezes) => freezes,
        Err(why) => {
            return Ok(vec![Fault::new(format!("it cannot be said whether it is frozen: {why}"), MEND)]);
        }
    };
    Ok(differences(definitions, &built, &freezes, &case.expected))
}

const MEND: &str = "mend the policy, or what is expected of it";

fn differences(
    definitions: &Definitions,
    built: &Built,
    freezes: &[(PolicyId, Option<Timestamp>)],
    expected: &Decision,
) -> Vec<Fault> {
    let is_added = |name: &str| {
        let policy = name.split_once(": ").map(|(policy, _)| policy);
        policy.is_some_and(|policy| definitions.policies.keys().any(|id| id.as_str() == policy))
    };
    let names = built.plan.approval.iter().map(|rule| rule.name.as_str());
    let added: BTreeSet<&str> = names.filter(|name| is_added(name)).collect();
    let until = freezes.iter().map(|(_, until)| *until).max();
    let told = match until {
        None => "allowed".to_owned(),
        Some(Some(until)) => format!("frozen until {until}"),
        Some(None) => "frozen with no end in sight".to_owned(),
    };
    let mut faults = Vec::new();
    let mut differs = |expected: String| {
        let fault = Fault::new(format!("it is {told}"), MEND);
        faults.push(fault.detail(format!("expected  {expected}")));
    };
    let approvals = match expected {
        Decision::Denied { because } => {
            differs(format!("denied ({})", because.join(", ")));
            return faults;
        }
        Decision::Allowed { approvals } => {
            if until.is_some() {
                differs("allowed".to_owned());
            }
            approvals
        }
        Decision::Frozen { approvals, until: wanted } => {
            match (until, wanted) {
                (None, _) => differs("frozen".to_owned()),
                (Some(found), Some(wanted)) if found != Some(*wanted) => {
                    differs(format!("frozen until {wanted}"));
                }
                (Some(_), _) => {}
            }
            approvals
        }
    };
    let wanted: BTreeSet<&str> = approvals.iter().map(String::as_str).collect();
    if wanted != added {
        let shown = |names: &BTreeSet<&str>| {
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.iter().copied().collect::<Vec<_>>().join(", ")
            }
        };
        faults.push(
            Fault::new("other approvals are added than expected", MEND)
                .detail(format!("expected  {}", shown(&wanted)))
                .detail(format!("came      {}", shown(&added))),
        );
    }
    faults
}

/// The catalog with what an example adds, and the requests that were merged before.
fn world(
    definitions: &Definitions,
    files: &Arc<Files>,
    case: &PolicyCase,
) -> anyhow::Result<(Files, Vec<Arrival>)> {
    let mut files = Files::clone(files);
    let settings = &definitions.settings;
    for fields in &case.entities {
        let word = |key: &str| fields.get(key).and_then(Value::as_str);
        let (Some(blueprint), Some(identifier)) = (word("blueprint"), word("identifier")) else {
            bail!("an entity under `catalog` has no `blueprint` or no `identifier`");
        };
        let id = EntityId { blueprint: blueprint.parse()?, identifier: identifier.parse()? };
        files.retain(|path, _| crate::catalog::entity_at(settings, path).is_none_or(|other| other != id));
        let bytes = serde_json::to_vec(fields)?;
        let path = entity_path(settings, &id).map_err(|error| anyhow::anyhow!("{error}"))?;
        crate::catalog::read_entity(&path, &bytes, definitions).map_err(|problems| {
            anyhow::anyhow!("`{id}` under `catalog`: {}", problems.first().map_or("", |one| &one.message))
        })?;
        files.insert(path, bytes.into());
    }
    let mut history = case.history.clone();
    history.sort_by_key(|merged| merged.at);
    let mut arrivals = Vec::new();
    for (index, merged) in history.iter().enumerate() {
        let request: RequestId = format!("history-{index}").parse()?;
        let people: [&Login; 1] = [&merged.requester];
        let record = json!({
            "version": crate::plan::plan_file::FORMAT, "request": request, "action": merged.action, "status": "success",
            "requesters": people, "approvedBy": [], "finishedAt": merged.at, "steps": [], "entities": [],
        });
        let path = settings.folders.requests.join(&format!("{request}/run.yaml"))?;
        files.insert(path, serde_json::to_vec(&record)?.into());
        let commit = ObjectId::of_blob(format!("history {index}").as_bytes());
        if let Some(inputs) = &merged.inputs {
            let plan = json!({
                "version": crate::plan::plan_file::FORMAT, "request": request, "key": "",
                "asked": { "action": merged.action, "inputs": inputs },
                "steps": [], "entities": [], "approval": [], "pins": { "action": commit, "templates": {} },
            });
            let path = settings.folders.requests.join(&format!("{request}/plan.yaml"))?;
            files.insert(path, serde_json::to_vec(&plan)?.into());
        }
        arrivals.push(Arrival { request, commit, at: merged.at });
    }
    Ok((files, arrivals))
}

/// For people.
fn text(tried: &[Tried]) -> String {
    let (mut out, mut cases, mut failed) = (String::new(), 0_usize, 0);
    for of_policy in tried {
        let _ = writeln!(out, "{}", of_policy.policy);
        if of_policy.cases.is_empty() {
            let _ = writeln!(out, "  no examples: nobody would notice if it said something else");
        }
        for case in &of_policy.cases {
            cases += 1;
            let is_well = case.faults.is_empty();
            failed += usize::from(!is_well);
            let mark = if is_well { "ok" } else { "FAILED" };
            let what = case.description.as_ref().map_or_else(String::new, |what| format!(": {what}"));
            let _ = writeln!(out, "  {mark} {}{what}", case.name);
            for fault in &case.faults {
                super::report::show(fault, &mut out);
            }
        }
    }
    let said = if failed == 0 { "all is well".to_owned() } else { format!("{failed} failed") };
    let policies = counted(tried.len(), "policy", "policies");
    let _ = writeln!(out, "{policies}, {}: {said}", counted(cases, "example", "examples"));
    out
}
