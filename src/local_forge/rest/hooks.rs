//! Webhooks of a repository: who is told.

use crate::local_forge::reply::{Answer, Call, Reply, created, invalid, not_found, ok};
use crate::local_forge::store::{Hook, Permission};

pub(crate) fn list(call: &Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    let repository = call.repository(key);
    let view = call.view();
    call.page(&repository.hooks.values().collect::<Vec<_>>(), |hook| view.hook(repository, hook))
}

pub(crate) fn create(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    let config = call.body.get("config").cloned().unwrap_or_default();
    let text = |field: &str| config[field].as_str().map(str::to_owned);
    let url =
        text("url").ok_or_else(|| invalid("Hook", "url", "missing_field", Some("config.url is missing")))?;
    let events = call.names("events").unwrap_or_else(|| vec!["push".to_owned()]);
    let active = call.flag("active").unwrap_or(true);
    let (id, created_at) = (call.state.next_id(), call.state.stamp());
    let content_type = text("content_type").unwrap_or_else(|| "form".to_owned());
    let hook = Hook { id, url, secret: text("secret"), content_type, events, active, created_at };
    let shown = call.view().hook(call.repository(key), &hook);
    call.repository_mut(key).hooks.insert(id, hook);
    created(shown)
}

pub(crate) fn get(call: &Call<'_>, key: &str, id: u64) -> Answer {
    call.require(key, Permission::Admin)?;
    let repository = call.repository(key);
    ok(call.view().hook(repository, repository.hooks.get(&id).ok_or_else(not_found)?))
}

pub(crate) fn delete(call: &mut Call<'_>, key: &str, id: u64) -> Answer {
    call.require(key, Permission::Admin)?;
    call.repository_mut(key).hooks.remove(&id).ok_or_else(not_found)?;
    Ok(Reply::empty())
}
