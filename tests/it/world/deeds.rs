//! Deeds as people write them, one a line; printing and reading are each other's inverse.

use std::{collections::BTreeMap, fmt, str::FromStr};

use super::{Ask, Deed, How, Repo};

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.action)?;
        if let Some(entity) = &self.entity {
            write!(f, " of {entity}")?;
        }
        for (name, value) in &self.inputs {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

impl FromStr for Ask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace().peekable();
        let action = words.next().ok_or("an action is missing")?.to_owned();
        let entity = (words.peek() == Some(&"of")).then(|| {
            words.next();
            words.next().unwrap_or_default().to_owned()
        });
        let mut inputs = BTreeMap::new();
        for word in words {
            let (name, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is not name=value"))?;
            inputs.insert(name.to_owned(), value.to_owned());
        }
        Ok(Self { action, entity, inputs })
    }
}

struct At(Repo, u64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.0.name().name(), self.1)
    }
}

fn at(word: &str) -> Result<(Repo, u64), String> {
    let (repository, number) =
        word.split_once('#').ok_or_else(|| format!("`{word}` is not repository#number"))?;
    let repository = self::repository(repository)?;
    Ok((repository, number.parse().map_err(|_| format!("`{number}` is no number"))?))
}

fn repository(word: &str) -> Result<Repo, String> {
    Ok(match word {
        "catalog" => Repo::Catalog,
        "infra" => Repo::Infra,
        "fresh" => Repo::Fresh,
        _ => return Err(format!("there is no repository `{word}`")),
    })
}

struct Given<'a>(&'a [(String, String)]);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

fn given(words: &[&str]) -> Vec<(String, String)> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { who, ask } => write!(f, "{who} files {ask}"),
            Self::EditIssue { who, issue, ask } => write!(f, "{who} edits-issue {issue} {ask}"),
            Self::SpoilIssue { who, issue } => write!(f, "{who} spoils-issue {issue}"),
            Self::CloseIssue { who, issue } => write!(f, "{who} closes-issue {issue}"),
            Self::LockIssue { who, issue } => write!(f, "{who} locks-issue {issue}"),
            Self::Ask { who, id, ask } => write!(f, "{who} asks {id} {ask}"),
            Self::Offer { who, id, ask } => write!(f, "{who} offers {id} {ask}"),
            Self::Repeat { who, pull } => write!(f, "{who} repeats {}", At(Repo::Catalog, *pull)),
            Self::Propose { who, path, text } => {
                write!(f, "{who} proposes {path} {}", text.trim_end().replace('\n', "\\n"))
            }
            Self::Mode { mode } => write!(f, "ada sets-mode {mode}"),
            Self::Queue { at } => write!(f, "ada wants-a-queue {}", at.name().name()),
            Self::Push { who, pull, ask } => write!(f, "{who} pushes {} {ask}", At(Repo::Catalog, *pull)),
            Self::Tamper { who, pull, file } => {
                write!(f, "{who} tampers {} {file}", At(Repo::Catalog, *pull))
            }
            Self::Rewind { who, pull } => write!(f, "{who} rewinds {}", At(Repo::Catalog, *pull)),
            Self::UpdateBranch { who, pull } => write!(f, "{who} updates {}", At(Repo::Catalog, *pull)),
            Self::Approve { who, at } => write!(f, "{who} approves {}", At(at.0, at.1)),
            Self::RequestChanges { who, at } => write!(f, "{who} refuses {}", At(at.0, at.1)),
            Self::Remark { who, at } => write!(f, "{who} remarks {}", At(at.0, at.1)),
            Self::Say { who, at, text } => write!(f, "{who} says {} {text}", At(at.0, at.1)),
            Self::Unsay { who, at } => write!(f, "{who} unsays {}", At(at.0, at.1)),
            Self::Dismiss { who, at, whose } => write!(f, "{who} dismisses {} {whose}", At(at.0, at.1)),
            Self::Merge { who, at, how } => {
                let how = match how {
                    How::Merge => "",
                    How::Squash => " squash",
                    How::Rebase => " rebase",
                    How::Queue => " queue",
                };
                write!(f, "{who} merges {}{how}", At(at.0, at.1))
            }
            Self::Close { who, at } => write!(f, "{who} closes {}", At(at.0, at.1)),
            Self::Retarget { who, at, branch } => write!(f, "{who} retargets {} {branch}", At(at.0, at.1)),
            Self::RenameBranch { who, at, name } => {
                write!(f, "{who} renames-branch {} {name}", At(at.0, at.1))
            }
            Self::Ready { who, at } => write!(f, "{who} marks-ready {}", At(at.0, at.1)),
            Self::Reopen { who, at } => write!(f, "{who} reopens {}", At(at.0, at.1)),
            Self::Smuggle { who, id, ask } => write!(f, "{who} smuggles {id} {ask}"),
            Self::Remove { who, id } => write!(f, "{who} removes {id}"),
            Self::Join { who } => write!(f, "{who} joins"),
            Self::Leave { who } => write!(f, "{who} leaves"),
            Self::ChangeAction => write!(f, "ada changes-action"),
            Self::Write { path, text } => {
                write!(f, "ada writes {path} {}", text.trim_end().replace('\n', "\\n"))
            }
            Self::ChangeTarget { path, text } => {
                write!(f, "ada changes-target {path} {}", text.trim_end().replace('\n', "\\n"))
            }
            Self::Meddle { who, at } => write!(f, "{who} meddles {}", At(Repo::Infra, *at)),
            Self::Answers { status, json } => write!(f, "backend answers {status} {json}"),
            Self::Ends { workflow, conclusion, outputs } => {
                write!(f, "backend ends {workflow} {conclusion}{}", Given(outputs))
            }
            Self::Checks { who, at, context, state } => {
                write!(f, "{who} checks {} {context} {state}", At(at.0, at.1))
            }
            Self::Loses => write!(f, "backend loses-answer"),
            Self::Reports { who, at, step, success, outputs } => {
                let how = if *success { "success" } else { "failure" };
                write!(f, "{who} reports {} {step} {how}{}", At(at.0, at.1), Given(outputs))
            }
            Self::Wait { seconds } => write!(f, "everybody waits {seconds}"),
        }
    }
}

impl FromStr for Deed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (who, verb, third) = (word(), word(), word());
        let rest = word();
        let number = || third.parse::<u64>().map_err(|_| format!("`{third}` is no number"));
        let pull = || at(&third).map(|at| at.1);
        let both = || format!("{third} {rest}").trim().parse::<Ask>();
        Ok(match verb.as_str() {
            "files" => Self::File { who, ask: both()? },
            "edits-issue" => Self::EditIssue { who, issue: number()?, ask: rest.parse()? },
            "spoils-issue" => Self::SpoilIssue { who, issue: number()? },
            "closes-issue" => Self::CloseIssue { who, issue: number()? },
            "locks-issue" => Self::LockIssue { who, issue: number()? },
            "asks" => Self::Ask { who, id: third.clone(), ask: rest.parse()? },
            "offers" => Self::Offer { who, id: third.clone(), ask: rest.parse()? },
            "repeats" => Self::Repeat { who, pull: pull()? },
            "proposes" => {
                Self::Propose { who, path: third.clone(), text: format!("{}\n", rest.replace("\\n", "\n")) }
            }
            "wants-a-queue" => Self::Queue { at: repository(&third)? },
            "sets-mode" => Self::Mode { mode: third.clone() },
            "pushes" => Self::Push { who, pull: pull()?, ask: rest.parse()? },
            "tampers" => Self::Tamper { who, pull: pull()?, file: rest },
            "rewinds" => Self::Rewind { who, pull: pull()? },
            "updates" => Self::UpdateBranch { who, pull: pull()? },
            "approves" => Self::Approve { who, at: at(&third)? },
            "refuses" => Self::RequestChanges { who, at: at(&third)? },
            "remarks" => Self::Remark { who, at: at(&third)? },
            "says" => Self::Say { who, at: at(&third)?, text: rest },
            "unsays" => Self::Unsay { who, at: at(&third)? },
            "dismisses" => Self::Dismiss { who, at: at(&third)?, whose: rest },
            "merges" => {
                let how = match rest.as_str() {
                    "" => How::Merge,
                    "squash" => How::Squash,
                    "rebase" => How::Rebase,
                    "queue" => How::Queue,
                    other => return Err(format!("nobody merges by `{other}`")),
                };
                Self::Merge { who, at: at(&third)?, how }
            }
            "closes" => Self::Close { who, at: at(&third)? },
            "retargets" => Self::Retarget { who, at: at(&third)?, branch: rest },
            "renames-branch" => Self::RenameBranch { who, at: at(&third)?, name: rest },
            "marks-ready" => Self::Ready { who, at: at(&third)? },
            "reopens" => Self::Reopen { who, at: at(&third)? },
            "smuggles" => Self::Smuggle { who, id: third.clone(), ask: rest.parse()? },
            "removes" => Self::Remove { who, id: third.clone() },
            "joins" => Self::Join { who },
            "leaves" => Self::Leave { who },
            "changes-action" => Self::ChangeAction,
            "writes" => Self::Write { path: third.clone(), text: format!("{}\n", rest.replace("\\n", "\n")) },
            "changes-target" => {
                Self::ChangeTarget { path: third.clone(), text: format!("{}\n", rest.replace("\\n", "\n")) }
            }
            "meddles" => Self::Meddle { who, at: pull()? },
            "answers" => Self::Answers { status: number()? as u16, json: rest },
            "ends" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let conclusion = words[0].to_owned();
                Self::Ends { workflow: third.clone(), conclusion, outputs: given(&words[1..]) }
            }
            "checks" => {
                let (context, state) = rest.split_once(' ').ok_or("a check has a name and a state")?;
                Self::Checks { who, at: at(&third)?, context: context.into(), state: state.into() }
            }
            "loses-answer" => Self::Loses,
            "reports" => {
                let words: Vec<&str> = rest.split(' ').collect();
                let [step, how, outputs @ ..] = &words[..] else { return Err("a report says more".into()) };
                let (step, success) = ((*step).to_owned(), *how == "success");
                Self::Reports { who, at: at(&third)?, step, success, outputs: given(outputs) }
            }
            "waits" => Self::Wait { seconds: number()? as i64 },
            other => return Err(format!("nobody can `{other}`")),
        })
    }
}
