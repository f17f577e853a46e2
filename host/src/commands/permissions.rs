//! `starcell permissions`: what the profiles grant, told without running anything.

use starcell_config::{Config, diff, explain, ladder_json, ladder_text, schema};
use starcell_policy::Profile;

use crate::cli::{Permissions, PermissionsCommand, RuleFlags};
use crate::exit::Exit;
use crate::granted::{Chosen, config, roots, roots_of};
use crate::say::{Said, fail, say};

/// What a profile is called that the command line makes of flags.
const OF_FLAGS: &str = "command-line";

/// Answers a question about permissions.
pub fn answer(arguments: &Permissions) -> Exit {
    let answered = match &arguments.question {
        None => config(arguments.config.as_deref()).map(|config| ladder(&config, arguments.json)),
        Some(PermissionsCommand::Diff { from, to, config: file }) => {
            config(file.as_deref()).and_then(|config| compared(&config, from, to, arguments.json))
        }
        Some(PermissionsCommand::Explain { question, rules }) => explained(question, rules, arguments.json),
        Some(PermissionsCommand::Schema) => Ok(Said::Text(schema())),
    };
    match answered {
        Ok(answer) => say(Exit::Ok, &answer),
        Err(error) => fail(Exit::Configuration, &error),
    }
}

fn ladder(config: &Config, json: bool) -> Said {
    match json {
        true => Said::Json(ladder_json(config.known())),
        false => Said::Text(ladder_text(config.known())),
    }
}

fn compared(config: &Config, from: &str, to: &str, json: bool) -> Result<Said, String> {
    let profile = |name| config.profile(name).map_err(|error| error.to_string());
    let found = diff(&profile(from)?, &profile(to)?, &roots()?);
    Ok(if json { Said::Json(found.json()) } else { Said::Text(found.text()) })
}

/// Explains for every profile, or for the one that the flags make.
fn explained(question: &str, rules: &RuleFlags, json: bool) -> Result<Said, String> {
    let chosen = Chosen::new(rules)?;
    let profiles: Vec<Profile> = match of_flags(&chosen, rules)? {
        Some(profile) => vec![profile],
        None => chosen.config.known().cloned().collect(),
    };
    let answer = explain(question, &profiles, &roots_of(rules)?).map_err(|error| error.to_string())?;
    Ok(if json { Said::Json(answer.json()) } else { Said::Text(answer.text()) })
}

/// The profile that the flags name, with their rules on top; none where they name neither.
fn of_flags(chosen: &Chosen, rules: &RuleFlags) -> Result<Option<Profile>, String> {
    let Chosen { profile, allow, deny, .. } = chosen;
    if !allow.is_empty() || !deny.is_empty() {
        let made = Profile::custom(OF_FLAGS, profile, allow.clone(), deny.clone());
        return made.map(Some).map_err(|error| error.to_string());
    }
    Ok(rules.profile().map(|_| profile.clone()))
}
