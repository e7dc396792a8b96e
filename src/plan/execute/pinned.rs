//! What was the plan made from? The action and templates of then, whatever the default branch says now.

use std::collections::BTreeMap;

use crate::{
    catalog,
    domain::{Action, ObjectId, Template, TemplateName},
    plan::{
        build::{Recipe, Site},
        facts::{Looked, Pending},
        plan_file::Plan,
    },
};

pub(in crate::plan) struct Pinned {
    pub(in crate::plan) action: Action,
    templates: BTreeMap<TemplateName, Template>,
}

impl Pinned {
    pub(in crate::plan) fn recipe(&self, plan: &Plan) -> Recipe<'_> {
        Recipe {
            action: &self.action,
            blob: plan.pins.action,
            templates: self.templates.iter().map(|(name, template)| (name.clone(), template)).collect(),
        }
    }
}

/// The action and templates that the plan was made from, read by their blobs.
pub(in crate::plan) fn pinned(site: &Site<'_>, plan: &Plan) -> Looked<Result<Pinned, String>> {
    let present = Recipe::present(site.definitions, &plan.asked.action);
    if let Some(recipe) = present.filter(|recipe| recipe.blob == plan.pins.action) {
        let same = recipe
            .templates
            .iter()
            .all(|(name, template)| plan.pins.templates.get(name) == Some(&template.pins));
        if same && recipe.templates.len() == plan.pins.templates.len() {
            let templates =
                recipe.templates.iter().map(|(name, template)| (name.clone(), (*template).clone())).collect();
            return Ok(Ok(Pinned { action: recipe.action.clone(), templates }));
        }
    }
    let mut pending = false;
    let mut blob = |id: ObjectId| match site.look.blob(&site.here.catalog, id) {
        Err(Pending) => {
            pending = true;
            Ok(None)
        }
        Ok(Ok(Some(bytes))) => Ok(Some(bytes.clone())),
        Ok(Ok(None)) => Err(format!("the pinned object {id} is gone")),
        Ok(Err(why)) => Err(format!("the pinned object {id} could not be read: {why}")),
    };
    let action = match blob(plan.pins.action) {
        Ok(action) => action,
        Err(why) => return Ok(Err(why)),
    };
    let mut templates = BTreeMap::new();
    for (name, files) in &plan.pins.templates {
        let mut read = BTreeMap::new();
        for (path, pin) in files {
            match blob(pin.id) {
                Ok(Some(bytes)) => {
                    read.insert(path.clone(), bytes);
                }
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        templates.insert(name.clone(), read);
    }
    if pending {
        return Err(Pending);
    }
    let Some(action) = action else { return Err(Pending) };
    let source = format!("{}/{}.yaml", site.definitions.settings.folders.actions, plan.asked.action);
    let Ok(source) = source.parse() else { return Ok(Err("the action's name makes no path".into())) };
    let Ok(action) = catalog::read_action(&source, &action) else {
        return Ok(Err("the pinned action cannot be read".into()));
    };
    let mut checked = BTreeMap::new();
    for (name, files) in templates {
        match catalog::read_template(&name, &files) {
            Ok(mut template) => {
                let pins = plan.pins.templates.get(&name).into_iter().flatten();
                pins.filter(|(_, pin)| pin.executable).for_each(|(path, _)| template.mark_executable(path));
                checked.insert(name, template);
            }
            Err(_) => return Ok(Err(format!("the pinned template `{name}` cannot be read"))),
        };
    }
    Ok(Ok(Pinned { action, templates: checked }))
}
