//! What text does GitHub make of a filled-in form? For the demo and for tests, which have no browser.

use std::collections::BTreeMap;

use crate::domain::Action;

use super::field::{Answer, Asks, Field, NO_RESPONSE, action_option, fields, prefilled};

/// The text of an issue in which these answers are given, by the name of the input (or `entity`, `onBehalfOf`, `reason`).
/// A list with a default that nobody touched shows that.
pub fn fill(action: &Action, answers: &BTreeMap<String, String>) -> String {
    let sections = fields(action).into_iter().map(|field| {
        let given = match field.asks {
            Asks::Action => Some(action_option(action)),
            Asks::Entity => answers.get("entity").cloned(),
            Asks::OnBehalf => answers.get("onBehalfOf").cloned(),
            Asks::Reason => answers.get("reason").cloned(),
            Asks::Input(name, _) => answers.get(name).cloned().or_else(|| preselected(action, &field)),
        };
        let answer = match given.filter(|answer| !answer.trim().is_empty()) {
            None => NO_RESPONSE.to_owned(),
            Some(answer) if matches!(field.answer, Answer::Yaml | Answer::YamlText) => {
                format!("```yaml\n{answer}\n```")
            }
            Some(answer) => answer,
        };
        format!("### {}\n\n{answer}", field.heading)
    });
    sections.collect::<Vec<_>>().join("\n\n")
}

fn preselected(action: &Action, field: &Field<'_>) -> Option<String> {
    let (Asks::Input(name, property), Answer::Choice(options)) = (&field.asks, &field.answer) else {
        return None;
    };
    let default = prefilled(action, name, property)?;
    options.iter().find(|(_, value)| value == default).map(|(text, _)| text.clone())
}
