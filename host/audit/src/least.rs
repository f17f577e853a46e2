//! The least profile that would have allowed all that was done.
//!
//! One rule for each resource, with the functions that were used on it; a second one where a host's name led to an
//! address that no profile reaches by itself. Paths and hosts are widened only when asked for. Every rule is needed: one
//! that others cover is left out, so that taking any rule away denies a recorded call.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use starcell_policy::{CanonicalPath, Capability, Grants, Host, Profile, Roots, Rule, Url};
use starcell_text::one_line;
use thiserror::Error;
use toml_writer::{ToTomlValue as _, TomlStringBuilder};

use crate::{
    asked::{Asked, Unjudged, unjudged_text},
    call::Decision,
    event::Event,
    shown::json,
};

/// Judgements that leaving out needless rules may take: some ten seconds.
const MAX_JUDGEMENTS: usize = 20_000_000;

/// The rules that may allow more than the recorded calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widen {
    /// A path of a file to all names in its folder.
    pub paths: bool,
    /// A URL to all paths of its host.
    pub hosts: bool,
}

/// The least profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Least {
    /// The rules to allow on top of `deny-all`.
    pub allow: Vec<Rule>,
    /// Calls that it allows.
    pub calls: u64,
    /// Calls that were done and that no rule could be made for.
    pub unjudged: Vec<Unjudged>,
}

/// There is no least profile.
#[derive(Debug, Error)]
pub enum LeastError<E> {
    /// A record cannot be read.
    #[error(transparent)]
    Read(#[from] E),
    /// Nobody could read a profile of that size.
    #[error("{0} rules are too many to compare; widen paths or hosts, or look at one app")]
    TooMany(usize),
}

/// Finds the least profile that allows all recorded calls that were done, those in count mode too.
pub fn least<E>(events: impl Iterator<Item = Result<Event, E>>, widen: Widen) -> Result<Least, LeastError<E>> {
    let mut done: BTreeMap<[String; 3], (u64, Result<Asked, String>)> = BTreeMap::new();
    for event in events {
        let call = *event?.call;
        if call.decision != Decision::Deny && !call.is_pure() {
            let key = [call.category.clone(), call.capability.clone(), call.resource.clone()];
            done.entry(key).or_insert_with(|| (0, Asked::of(&call))).0 += 1;
        }
    }
    let mut found = Least { allow: Vec::new(), calls: 0, unjudged: Vec::new() };
    let mut needs = Needs::default();
    for ([_, capability, resource], (calls, asked)) in done {
        match asked.and_then(|asked| needs.add(asked, widen)) {
            Ok(()) => found.calls += calls,
            Err(problem) => found.unjudged.push(Unjudged { capability, resource, problem, calls }),
        }
    }
    found.allow = needs.least_rules().map_err(LeastError::TooMany)?;
    Ok(found)
}

/// Resources with the functions used on them: each a rule.
type Key = (Capability, String);

/// The calls that were done, and the rules that allow them.
#[derive(Default)]
struct Needs {
    /// The call to spell the rule with, and the functions.
    rules: BTreeMap<Key, (Asked, BTreeSet<&'static str>)>,
    /// Each call with its rule, and the one for its address.
    done: Vec<Done>,
}

/// A rule and whether it may allow calls that it was not made for.
struct Made {
    rule: Rule,
    wide: bool,
}

impl Needs {
    fn add(&mut self, asked: Asked, widen: Widen) -> Result<(), String> {
        let capability = asked.call().capability();
        let by_name = (capability, named(&asked, widen));
        let by_address = asked.address_to_name().and_then(|address| {
            let resource = match asked.call.url().filter(|_| widen.hosts) {
                Some(url) => format!("{}://{}:{}", url.scheme().as_str(), Host::Address(address), url.port()),
                None => asked.call.address_rule_resource(address)?,
            };
            Some((capability, resource))
        });
        let function = asked.call().function();
        let alone = [Some(&by_name), by_address.as_ref()].into_iter().flatten();
        let alone: Vec<Rule> = alone.map(|(_, resource)| asked.call.rule_for(&[function], resource)).collect();
        if !Granting::new(&alone).allows(&asked) {
            return Err("no rule allows exactly this".to_owned());
        }
        for key in [Some(&by_name), by_address.as_ref()].into_iter().flatten() {
            self.rules.entry(key.clone()).or_insert_with(|| (asked.clone(), BTreeSet::new())).1.insert(function);
        }
        self.done.push((asked, by_name, by_address));
        Ok(())
    }

    /// The rules without those that the others cover; the error is their number when there are too many to tell.
    fn least_rules(self) -> Result<Vec<Rule>, usize> {
        let mut rules: BTreeMap<Key, Made> = BTreeMap::new();
        for (key, (asked, functions)) in self.rules {
            let functions: Vec<&str> = functions.into_iter().collect();
            let rule = asked.call.rule_for(&functions, &key.1);
            let wide = is_wide(&rule, key.0);
            rules.insert(key, Made { rule, wide });
        }
        let wide: Vec<Key> = rules.iter().filter(|(_, made)| made.wide).map(|(key, _)| key.clone()).collect();
        if wide.len().saturating_mul(rules.len() + self.done.len()) > MAX_JUDGEMENTS {
            return Err(rules.len());
        }
        drop_covered(&mut rules, &self.done);
        for key in wide {
            if let Some(made) = rules.remove(&key)
                && !is_covered(&key, &made.rule, &self.done, &rules)
            {
                rules.insert(key, made);
            }
        }
        Ok(rules.into_values().map(|made| made.rule).collect())
    }
}

/// A call that was done, its rule, and the one for its address.
type Done = (Asked, Key, Option<Key>);

/// Takes away the rules for one resource all of whose calls the wide rules allow without them.
fn drop_covered(rules: &mut BTreeMap<Key, Made>, done: &[Done]) {
    let wide: Vec<Rule> = rules.values().filter(|made| made.wide).map(|made| made.rule.clone()).collect();
    if wide.is_empty() {
        return;
    }
    let wide = Granting::new(&wide);
    let needed: BTreeSet<&Key> = done
        .iter()
        .filter(|(asked, ..)| !wide.allows(asked))
        .flat_map(|(_, by_name, by_address)| [Some(by_name), by_address.as_ref()])
        .flatten()
        .collect();
    rules.retain(|key, made| made.wide || needed.contains(key));
}

/// True if the others allow all that this rule helps to allow.
fn is_covered(key: &Key, rule: &Rule, done: &[Done], others: &BTreeMap<Key, Made>) -> bool {
    let others: Vec<Rule> = others.values().map(|made| made.rule.clone()).collect();
    let others = Granting::new(&others);
    let is_own = |(_, by_name, by_address): &&Done| by_name == key || by_address.as_ref() == Some(key);
    // Most rules are needed, and their own calls show it at once.
    if !done.iter().filter(is_own).all(|(asked, ..)| others.allows(asked)) {
        return false;
    }
    let alone = Granting::new(std::slice::from_ref(rule));
    let any_name = ["http.client", "sql.open"].into_iter().filter_map(|rule| Rule::parse(rule).ok());
    let any_name = Granting::new(&any_name.chain([rule.clone()]).collect::<Vec<_>>());
    let helps = |asked: &Asked| alone.allows_name(asked) || any_name.allows(asked);
    done.iter().filter(|(asked, ..)| helps(asked)).all(|(asked, ..)| others.allows(asked))
}

/// True if a rule may allow calls beside those it was made for: through a star, for want of a path, or as the address
/// that other names lead to.
fn is_wide(rule: &Rule, capability: Capability) -> bool {
    let Some(resource) = rule.resource() else {
        return true;
    };
    let is_wide_url = || match Url::parse(&resource) {
        Ok(url) => matches!(url.host(), Host::Address(_)) || resource == url.origin(),
        Err(_) => true,
    };
    resource.contains('*') || (capability == Capability::HttpClient && is_wide_url())
}

/// The resource of the rule for a call.
fn named(asked: &Asked, widen: Widen) -> String {
    if let Some(url) = asked.call.url().filter(|_| widen.hosts) {
        return url.origin();
    }
    let resource = asked.call.rule_resource();
    match (asked.call.path(), resource.rsplit_once('/')) {
        (Some(_), Some((folder, name))) if widen.paths && !name.is_empty() && name != "**" => format!("{folder}/*"),
        _ => resource,
    }
}

/// `deny-all` with rules.
struct Granting(Option<Grants>);

impl Granting {
    /// The rules are made from canonical resources and name no folder by a variable.
    fn new(rules: &[Rule]) -> Self {
        let root = CanonicalPath::absolute("/").ok();
        Self(root.and_then(|root| Grants::new(&Profile::deny_all(), rules, &[], &Roots::new(root)).ok()))
    }

    fn allows(&self, asked: &Asked) -> bool {
        self.0.as_ref().is_some_and(|grants| asked.is_allowed(grants))
    }

    /// True if the grants allow the call before its host is resolved.
    fn allows_name(&self, asked: &Asked) -> bool {
        self.0.as_ref().is_some_and(|grants| grants.allows(&asked.call(), None))
    }
}

impl Least {
    /// One line for each rule, then the calls that no rule covers. A rule whose resource acts on a terminal is shown
    /// escaped; [`json`](Self::json) and [`toml`](Self::toml) spell it exactly.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.allow.iter().fold(String::new(), |text, rule| text + &one_line(&rule.to_string()) + "\n");
        text += &unjudged_text(&self.unjudged);
        text
    }

    /// `{"allow": [rules]}`, with what is not covered when there is anything.
    #[must_use]
    pub fn json(&self) -> String {
        #[derive(Serialize)]
        struct Shown<'a> {
            allow: Vec<String>,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            unjudged: &'a [Unjudged],
        }
        let allow = self.allow.iter().map(Rule::to_string).collect();
        json(&Shown { allow, unjudged: &self.unjudged })
    }

    /// A profile of this name, as `starcell.toml` spells it; what is not covered stands above it as comments.
    #[must_use]
    pub fn toml(&self, name: &str) -> String {
        let comments: String = unjudged_text(&self.unjudged).lines().map(|line| format!("# {line}\n")).collect();
        let rules: String = self.allow.iter().map(|rule| format!("    {},\n", toml_text(&rule.to_string()))).collect();
        format!("{comments}[profiles.{name}]\nbase = \"deny-all\"\nallow = [\n{rules}]\n")
    }
}

/// A basic string of TOML. Characters that act on a terminal are escaped in TOML's own way, which is also that of
/// [`one_line`].
fn toml_text(text: &str) -> String {
    one_line(&TomlStringBuilder::new(text).as_basic().to_toml_value())
}
