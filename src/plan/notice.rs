//! Who else hears that a request has come to another stage?
//!
//! A request's comment names its stage; when it comes to name another, the sinks that want to know are told, after the
//! comment was written. So each transition is told once; what cannot be delivered is said in the report and not told later.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    domain::{Action, Entity, Login, Notice, Place, Pull, RequestId, Run, Sink, Stage, Timestamp},
    plan::{
        build::Site,
        message::{self, About},
        read, say,
        step::{Call, Step},
    },
    render,
};

/// The most of a text that is sent.
const LONGEST: usize = 1_500;

/// What is said where a sink has no text of its own.
const TEXT: &str = "{{ action.title }}: {{ request.stageInWords }} ({{ request.id }}, asked by {{ requesters | join(', ') }})\
{% if request.reason %}\n{{ request.reason }}{% endif %}{% if pull.url %}\n{{ pull.url }}{% endif %}";

/// The steps that make the comment about a request say `body`, and that tell whoever wants to know of another stage.
pub(super) fn tell(
    site: &Site<'_>,
    pull: &Pull,
    about: &About<'_>,
    reason: Option<&str>,
    body: String,
) -> Vec<Step> {
    let marker = message::request_marker(about.id);
    let comments: Vec<_> =
        pull.comments.iter().filter(|comment| message::marker_of(&comment.body) == marker).cloned().collect();
    let before = comments.first().and_then(|comment| message::stage_of(&comment.body));
    let mut steps = say(&site.here.catalog, pull.number, &comments, body);
    let says = steps.iter().any(|step| matches!(step, Step::Call(Call::Say { .. })));
    if says && before != Some(about.stage) {
        let happened = Happened { about, reason, pull: Some(pull) };
        steps.extend(happened.notices(site));
    }
    steps
}

/// What is told of a request that no pull request carried.
pub(super) fn unheralded(
    site: &Site<'_>,
    id: &RequestId,
    requesters: &BTreeSet<Login>,
    stage: Stage,
    reason: Option<&str>,
) -> Vec<Step> {
    let about = About { id: id.as_str(), action: None, requesters, stage };
    Happened { about: &about, reason, pull: None }.notices(site)
}

/// What is told of an entity whose time is over soon, to whoever hears of expired requests.
pub(super) fn ends_soon(
    site: &Site<'_>,
    pull: &Pull,
    action: &Action,
    run: &Run,
    entity: &Entity,
    due: Timestamp,
) -> Vec<Step> {
    let requesters: BTreeSet<Login> = run.requesters.iter().cloned().collect();
    let about = About {
        id: run.request.as_str(),
        action: Some(action),
        requesters: &requesters,
        stage: Stage::Expired,
    };
    let happened = Happened { about: &about, reason: None, pull: Some(pull) };
    let subject = format!("{} ends soon", entity.id());
    let text = format!(
        "{}: its time is over at {due}, and then it is removed ({}).\n{}",
        entity.id(),
        action.identifier,
        pull.url
    );
    let told = |sink: &Sink| {
        let mut names = happened.names(site);
        names.insert("event".into(), "entity.ends".into());
        names.insert("entity".into(), json!({ "id": entity.id().to_string(), "endsAt": due }));
        let (subject, text) = (subject.clone(), text.clone());
        Step::Notify(Box::new(Notice { sink: sink.clone(), subject, text, event: Value::Object(names) }))
    };
    happened.sinks(site).map(told).collect()
}

struct Happened<'a> {
    about: &'a About<'a>,
    reason: Option<&'a str>,
    pull: Option<&'a Pull>,
}

impl Happened<'_> {
    fn notices(&self, site: &Site<'_>) -> Vec<Step> {
        self.sinks(site).map(|sink| Step::Notify(Box::new(self.notice(site, sink)))).collect()
    }

    /// Those that want to hear of it.
    fn sinks<'s>(&'s self, site: &'s Site<'_>) -> impl Iterator<Item = &'s Sink> {
        let wants = |sink: &&Sink| {
            let action = self.about.action.map(|action| &action.identifier);
            let concerned = sink.actions.is_empty() || action.is_some_and(|id| sink.actions.contains(id));
            concerned && sink.on.contains(&self.about.stage)
        };
        site.definitions.settings.notifications.iter().filter(wants)
    }

    fn notice(&self, site: &Site<'_>, sink: &Sink) -> Notice {
        let names = self.names(site);
        let context = render::Context::new(names.clone());
        let place = Place::file("chandlery.yaml");
        let own = sink.text.as_ref().map(|text| render::text(text, &place, &context));
        let text = match own {
            Some(Ok(text)) => text,
            Some(Err(problem)) => {
                let usual = render::text(TEXT, &place, &context).unwrap_or_default();
                format!("{usual}\n(The text of this notification cannot be made: {})", problem.message)
            }
            None => render::text(TEXT, &place, &context).unwrap_or_default(),
        };
        let subject = render::text(
            "{{ action.title }}: {{ request.stageInWords }} ({{ request.id }})",
            &place,
            &context,
        );
        let text: String = text.chars().filter(|c| *c == '\n' || !c.is_control()).take(LONGEST).collect();
        let subject = subject.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        Notice { sink: sink.clone(), subject, text, event: Value::Object(names) }
    }

    /// The names that the text may use; they are also what a program gets.
    fn names(&self, site: &Site<'_>) -> Map<String, Value> {
        let About { id, action, requesters, stage } = self.about;
        let names = json!({
            "event": "request.stage",
            "catalog": site.here.catalog,
            "request": {
                "id": id,
                "stage": stage.name(),
                "stageInWords": message::stage_in_words(*stage),
                "reason": self.reason.map(|reason| reason.chars().take(LONGEST).collect::<String>()),
            },
            "action": {
                "identifier": action.map(|action| action.identifier.as_str()),
                "title": action.map_or("A request", |action| action.title.as_str()),
            },
            "requesters": requesters,
            "pull": {
                "number": self.pull.map(|pull| pull.number),
                "url": self.pull.map(|pull| pull.url.as_str()),
                "reference": self.pull.map(|pull| read::reference(&pull.repository, pull.number)),
            },
        });
        match names {
            Value::Object(names) => names,
            _ => Map::new(),
        }
    }
}
