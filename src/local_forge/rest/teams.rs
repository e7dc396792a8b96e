//! Organisations, their members and teams.

use serde_json::json;

use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use crate::local_forge::store::{Organization, Permission, Team};

pub(crate) fn organization(call: &Call<'_>, login: &str) -> Answer {
    let organization = call.state.organization(login).ok_or_else(not_found)?;
    let mut shown = call.view().organization(organization);
    let at = jiff::Timestamp::UNIX_EPOCH;
    crate::local_forge::render::extend(
        &mut shown,
        json!({
            "html_url": format!("{}/{}", call.shared.url, organization.login), "has_organization_projects": false,
            "has_repository_projects": false, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
            "created_at": at, "updated_at": at, "archived_at": null, "type": "Organization",
        }),
    );
    ok(shown)
}

pub(crate) fn route(call: &mut Call<'_>, login: &str, rest: &[&str]) -> Answer {
    let login = call.state.organization(login).ok_or_else(not_found)?.login.clone();
    let actor = call.actor()?;
    // Who is no member sees neither members nor teams. Apps see what they are installed for.
    let organization = &call.state.organizations[&login];
    let inside = organization.members.contains(&actor) || organization.owners.contains(&actor);
    if !inside && !call.actor_user()?.is_app() {
        return Err(not_found());
    }
    match (call.method, rest) {
        ("GET", ["members"]) => members(call, organization),
        ("GET", ["members", member]) => {
            if organization.members.contains(*member) {
                Ok(Reply::empty())
            } else {
                Err(not_found())
            }
        }
        ("GET", ["teams"]) => {
            let teams: Vec<&Team> = organization.teams.values().collect();
            let view = call.view();
            call.page(&teams, |team| view.team(organization, team))
        }
        ("POST", ["teams"]) => create(call, &login),
        ("GET", ["teams", slug]) => {
            ok(call.view().team_full(organization, organization.teams.get(*slug).ok_or_else(not_found)?))
        }
        ("GET", ["teams", slug, "members"]) => {
            let team = organization.teams.get(*slug).ok_or_else(not_found)?;
            let view = call.view();
            call.page(&team.members.iter().collect::<Vec<_>>(), |login| view.user(login))
        }
        (_, ["teams", slug, "memberships", member]) => membership(call, &login, slug, member),
        (_, ["teams", slug, "repos", owner, name]) => repository(call, &login, slug, owner, name),
        _ => Err(not_found()),
    }
}

fn members(call: &Call<'_>, organization: &Organization) -> Answer {
    let view = call.view();
    call.page(&organization.members.iter().collect::<Vec<_>>(), |login| view.user(login))
}

fn create(call: &mut Call<'_>, login: &str) -> Answer {
    let actor = call.actor()?;
    let name = call.needed("Team", "name")?;
    let letters = name.to_lowercase();
    let slug: String =
        letters.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    let description = call.text("description").map(str::to_owned);
    let id = call.state.next_id();
    let organization = call.state.organizations.get_mut(login).ok_or_else(not_found)?;
    if organization.teams.contains_key(&slug) {
        return Err(invalid("Team", "name", "already_exists", None));
    }
    let members = [actor].into_iter().collect();
    let team = Team {
        id,
        name,
        slug: slug.clone(),
        description,
        members,
        repositories: std::collections::BTreeMap::new(),
    };
    organization.teams.insert(slug.clone(), team);
    let organization = &call.state.organizations[login];
    created(call.view().team_full(organization, &organization.teams[&slug]))
}

fn team_mut<'a>(call: &'a mut Call<'_>, login: &str, slug: &str) -> Result<&'a mut Team, Refusal> {
    call.state.organizations.get_mut(login).and_then(|known| known.teams.get_mut(slug)).ok_or_else(not_found)
}

/// Only owners and the team's own members may change who is in it.
fn require_maintainer(call: &Call<'_>, login: &str, slug: &str) -> Result<(), Refusal> {
    let actor = call.actor()?;
    let organization = &call.state.organizations[login];
    let inside = organization.teams.get(slug).is_some_and(|team| team.members.contains(&actor));
    if inside || organization.owners.contains(&actor) {
        return Ok(());
    }
    Err(refuse(403, "Must be an organization owner or a team maintainer."))
}

fn membership(call: &mut Call<'_>, login: &str, slug: &str, member: &str) -> Answer {
    let member = call.state.user(member).ok_or_else(not_found)?.login.clone();
    match call.method {
        "GET" => {}
        "PUT" => {
            require_maintainer(call, login, slug)?;
            team_mut(call, login, slug)?.members.insert(member.clone());
            if let Some(organization) = call.state.organizations.get_mut(login) {
                organization.members.insert(member.clone());
            }
        }
        "DELETE" => {
            require_maintainer(call, login, slug)?;
            team_mut(call, login, slug)?.members.remove(&member);
            return Ok(Reply::empty());
        }
        _ => return Err(not_found()),
    }
    let organization = &call.state.organizations[login];
    let team = organization.teams.get(slug).ok_or_else(not_found)?;
    if !team.members.contains(&member) {
        return Err(not_found());
    }
    let url = format!("organizations/{}/team/{}/memberships/{member}", organization.id, team.id);
    ok(json!({"url": call.view().api(&url), "role": "member", "state": "active"}))
}

fn repository(call: &mut Call<'_>, login: &str, slug: &str, owner: &str, name: &str) -> Answer {
    let key = call.repository_key(owner, name, Permission::Admin)?;
    let permission = Permission::parse(call.text("permission").unwrap_or("push"));
    match call.method {
        "PUT" => {
            let permission = permission.ok_or_else(|| invalid("Team", "permission", "invalid", None))?;
            team_mut(call, login, slug)?.repositories.insert(key, permission);
        }
        "DELETE" => drop(team_mut(call, login, slug)?.repositories.remove(&key)),
        _ => return Err(not_found()),
    }
    Ok(Reply::empty())
}

pub(crate) fn of_repository(call: &Call<'_>, key: &str) -> Answer {
    let organization = call.state.organizations.get(&call.repository(key).owner);
    let view = call.view();
    let teams = organization.iter().flat_map(|known| known.teams.values().map(move |team| (*known, team)));
    let teams: Vec<_> = teams.filter(|(_, team)| team.repositories.contains_key(key)).collect();
    call.page(&teams, |(organization, team)| view.team(organization, team))
}
