//! Text to a configuration, every name and rule checked.

use std::collections::BTreeMap;

use starcell_policy::{Profile, Rule, nearest};
use thiserror::Error;
use toml::Spanned;

use crate::{
    error::{ConfigError, Source},
    file::{File, ProfileTable},
};

/// Bytes of a file: far more than anyone writes, and little to parse.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// Profiles that one may stand on: none that is understood is taller, and each costs a step in every decision.
const MAX_DEPTH: usize = 16;

/// The name of the profile that applies when none is named.
const DEFAULT: &str = "default";

/// The content of a configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// By their names.
    profiles: BTreeMap<String, Profile>,
    default_profile: Option<Profile>,
}

/// A profile that is neither built in nor in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown profile {name:?}; known are {}{}", known.join(", "), did_you_mean(.suggestion.as_deref()))]
pub struct UnknownProfile {
    /// The name as given, at most 64 characters of it.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
    /// The one that was probably meant.
    pub suggestion: Option<String>,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|s| format!("; did you mean `{s}`?")).unwrap_or_default()
}

impl Config {
    /// Reads a file; `file` is its name in messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ConfigError> {
        let source = Source { text, file };
        if text.len() > MAX_FILE {
            return Err(source.error(MAX_FILE, "the file is longer than 1 MiB", None));
        }
        let File { default_profile, profiles } = toml::from_str(text).map_err(|e| source.toml_error(&e))?;
        let mut config = Self::of(&source, &profiles)?;
        config.default_profile = match default_profile {
            Some(name) => Some(config.named(&source, &name)?),
            None => config.profiles.get(DEFAULT).cloned(),
        };
        Ok(config)
    }

    /// The profiles of the tables of a file.
    pub(crate) fn of(
        source: &Source<'_>,
        tables: &BTreeMap<Spanned<String>, ProfileTable>,
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader { source: *source, tables, found: BTreeMap::new() };
        for name in tables.keys() {
            reader.profile(name, &mut Vec::new())?;
        }
        Ok(Self { profiles: reader.found, default_profile: None })
    }

    /// The profiles of the file, by name.
    pub fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// All profiles: the ladder from the lowest up, then those of the file.
    pub fn known(&self) -> impl Iterator<Item = &Profile> {
        Profile::ladder().iter().chain(self.profiles.values())
    }

    /// The profile with this name, built in or of the file.
    pub fn profile(&self, name: &str) -> Result<Profile, UnknownProfile> {
        let found = self.known().find(|profile| profile.name() == name);
        found.cloned().ok_or_else(|| unknown(name, self.known().map(Profile::name)))
    }

    /// The profile that applies when none is named: `default_profile`, else the one called `default`, else `deny-all`.
    pub fn default_profile(&self) -> Profile {
        self.default_profile.clone().unwrap_or_default()
    }

    pub(crate) fn named(&self, source: &Source<'_>, name: &Spanned<String>) -> Result<Profile, ConfigError> {
        self.profile(name.get_ref()).map_err(|unknown| source.unknown_profile(name, &unknown))
    }
}

fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> UnknownProfile {
    let known: Vec<String> = known.map(str::to_owned).collect();
    let suggestion = nearest(name, known.iter().map(String::as_str)).map(str::to_owned);
    UnknownProfile { name: name.chars().take(64).collect(), known, suggestion }
}

impl Source<'_> {
    fn unknown_profile(&self, at: &Spanned<String>, unknown: &UnknownProfile) -> ConfigError {
        let problem = format!("unknown profile {:?}; known are {}", unknown.name, unknown.known.join(", "));
        self.error(at.span().start, problem, unknown.suggestion.as_deref())
    }

    fn rules(&self, rules: &[Spanned<String>]) -> Result<Vec<Rule>, ConfigError> {
        rules.iter().map(|rule| self.rule(rule)).collect()
    }

    fn rule(&self, written: &Spanned<String>) -> Result<Rule, ConfigError> {
        let text = written.get_ref();
        Rule::parse(text).map_err(|error| {
            let start = written.span().start;
            // Inside the string when it is spelled as it reads, which escapes are not.
            let spelled = self.text.get(start + 1..).is_some_and(|rest| rest.starts_with(text.as_str()));
            let at = if spelled { start + 1 + error.position() } else { start };
            self.error(at, format!("bad rule: {}", error.problem()), error.suggestion())
        })
    }
}

/// Reads profiles, the base of each before it.
struct Reader<'a> {
    source: Source<'a>,
    tables: &'a BTreeMap<Spanned<String>, ProfileTable>,
    found: BTreeMap<String, Profile>,
}

impl<'a> Reader<'a> {
    /// The profile of a table; `above` are those that stand on it.
    fn profile(&mut self, name: &'a Spanned<String>, above: &mut Vec<&'a str>) -> Result<Profile, ConfigError> {
        if let Some(found) = self.found.get(name.get_ref()) {
            return Ok(found.clone());
        }
        let Some(table) = self.tables.get(name.get_ref().as_str()) else {
            return Err(self.unknown(name));
        };
        above.push(name.get_ref());
        let base = match &table.base {
            Some(base) => self.base(base, above)?,
            None => Profile::deny_all(),
        };
        above.pop();
        let (allow, deny) = (self.source.rules(&table.allow)?, self.source.rules(&table.deny)?);
        let profile = Profile::custom(name.get_ref(), &base, allow, deny)
            .map_err(|error| self.source.error(self.name_of(name), error.to_string(), None))?;
        if profile.lineage().len() > MAX_DEPTH {
            let at = table.base.as_ref().map_or(0, |base| base.span().start);
            let problem = format!("a profile stands on at most {} others", MAX_DEPTH - 1);
            return Err(self.source.error(at, problem, None));
        }
        self.found.insert(profile.name().to_owned(), profile.clone());
        Ok(profile)
    }

    fn base(&mut self, base: &'a Spanned<String>, above: &mut Vec<&'a str>) -> Result<Profile, ConfigError> {
        if let Some(built_in) = Profile::named(base.get_ref()) {
            return Ok(built_in);
        }
        if above.contains(&base.get_ref().as_str()) {
            let problem = format!("the profile {:?} stands on itself", base.get_ref());
            return Err(self.source.error(base.span().start, problem, None));
        }
        if above.len() >= MAX_DEPTH {
            let problem = format!("a profile stands on at most {} others", MAX_DEPTH - 1);
            return Err(self.source.error(base.span().start, problem, None));
        }
        self.profile(base, above)
    }

    /// The offset of a table's own name, also when the table was found as the base of another.
    fn name_of(&self, name: &Spanned<String>) -> usize {
        let own = self.tables.get_key_value(name.get_ref().as_str());
        own.map_or(name.span().start, |(own, _)| own.span().start)
    }

    fn unknown(&self, name: &Spanned<String>) -> ConfigError {
        let of_file = self.tables.keys().map(|name| name.get_ref().as_str());
        let known = Profile::NAMES.into_iter().chain(of_file);
        self.source.unknown_profile(name, &unknown(name.get_ref(), known))
    }
}
