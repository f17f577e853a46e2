//! One profile's judgement of a call.
//!
//! Deny wins over allow, allow over the fallback. A request is judged by its URL and, once it is
//! known, by the address: a rule that names the address grants it, otherwise its class must be one
//! the profile reaches. Nothing here makes a permit; the decision does, when every layer allows.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::{
    call::Call,
    capability::{AnyPattern, Capability},
    egress::{AddressClass, AddressClasses},
    profile::{Fallback, Profile},
    resource::MissingRoot,
    roots::Roots,
    rule::Rule,
};

/// The verdict of one layer of grants about a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The address is of a class the profile does not reach, and no rule names it.
    AddressNotGranted(AddressClass),
    /// The address is not the one the URL names.
    AddressNotOfUrl,
    /// Allowed, and by what.
    Allowed(Decider),
    /// A deny rule is about it.
    Denied(Decider),
    /// No rule is about it and the profile does not allow the rest.
    NotGranted,
}

impl Verdict {
    /// Returns whether it allows the call.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// The decider of a call: a rule, or the fallback of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decider {
    profile: Arc<str>,
    rule: Option<(Rule, Source)>,
}

impl Decider {
    /// The profile whose grants decided.
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The rule; none for the profile's fallback.
    pub fn rule(&self) -> Option<&Rule> {
        self.rule.as_ref().map(|(rule, _)| rule)
    }

    /// The place of the rule; none for the profile's fallback.
    pub fn source(&self) -> Option<&Source> {
        self.rule.as_ref().map(|(_, source)| source)
    }
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some((rule, source)) => write!(f, "the rule {rule} {source}"),
            None => write!(f, "the fallback of {}", self.profile),
        }
    }
}

/// The place of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Added to the profile by whoever built the grants.
    Added,
    /// In the profile with this name, which is the one in use or one it is based on.
    Profile(Arc<str>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added => f.write_str("added to the profile"),
            Self::Profile(name) => write!(f, "of {name}"),
        }
    }
}

/// One profile and the rules added to it, with their folders known.
#[derive(Debug)]
pub(crate) struct Layer {
    profile: Arc<str>,
    allow: Vec<Compiled>,
    deny: Vec<Compiled>,
    fallback: Fallback,
    reach: AddressClasses,
}

#[derive(Debug)]
struct Compiled {
    rule: Rule,
    source: Source,
    /// The resource under every name it has on this machine, any of which is meant; none for a rule about all.
    patterns: Option<Vec<AnyPattern>>,
}

impl Layer {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            profile: profile.name().into(),
            allow: Vec::new(),
            deny: Vec::new(),
            fallback: profile.fallback(),
            reach: profile.reach(),
        }
    }

    /// Adds rules; the error is one that names a folder which is not known.
    pub(crate) fn add(
        &mut self,
        source: &Source,
        allow: &[Rule],
        deny: &[Rule],
        roots: &Roots,
    ) -> Result<(), (Box<Rule>, MissingRoot)> {
        let compile = |rule: &Rule| {
            let patterns = rule.spellings(roots).map_err(|missing| (Box::new(rule.clone()), missing))?;
            Ok(Compiled { rule: rule.clone(), source: source.clone(), patterns })
        };
        for rule in allow {
            self.allow.push(compile(rule)?);
        }
        for rule in deny {
            self.deny.push(compile(rule)?);
        }
        Ok(())
    }

    pub(crate) fn profile(&self) -> &str {
        &self.profile
    }

    /// The resources of the rules that allow something of a capability; `None` for a layer that allows what no rule is
    /// about, and a resource of `None` for a rule about all of them.
    pub(crate) fn rules_about(&self, capability: Capability) -> Option<impl Iterator<Item = Option<&[AnyPattern]>>> {
        let about = move |compiled: &&Compiled| compiled.rule.capabilities().any(|of_rule| of_rule == capability);
        let rules = self.allow.iter().filter(about).map(|compiled| compiled.patterns.as_deref());
        (self.fallback == Fallback::Deny).then_some(rules)
    }

    /// Judges a call; for a request, with the address it is about to connect to.
    pub(crate) fn judge(&self, call: &Call<'_>, address: Option<IpAddr>) -> Verdict {
        let literal = call.resource().own_address();
        let address = address.or(literal);
        if let Some(rule) = self.deny.iter().find(|rule| rule.denies(call, address)) {
            return Verdict::Denied(self.decider(Some(rule)));
        }
        if literal.is_some_and(|literal| Some(literal) != address) {
            return Verdict::AddressNotOfUrl;
        }
        let by_address = address.and_then(|address| self.allow.iter().find(|r| r.reaches(call, address)));
        let by_name = self.allow.iter().find(|rule| rule.grants(call));
        let named = by_name.or(by_address.filter(|_| literal.is_some()));
        if named.is_none() && self.fallback == Fallback::Deny {
            return Verdict::NotGranted;
        }
        match address.map(AddressClass::of) {
            Some(class) if !self.reach.contains(class) => match by_address {
                Some(rule) => Verdict::Allowed(self.decider(Some(rule))),
                None => Verdict::AddressNotGranted(class),
            },
            _ => Verdict::Allowed(self.decider(named)),
        }
    }

    fn decider(&self, rule: Option<&Compiled>) -> Decider {
        Decider { profile: self.profile.clone(), rule: rule.map(|r| (r.rule.clone(), r.source.clone())) }
    }
}

impl Compiled {
    fn grants(&self, call: &Call<'_>) -> bool {
        self.is_about(call, |pattern| call.resource().granted_by(pattern))
    }

    fn reaches(&self, call: &Call<'_>, address: IpAddr) -> bool {
        // A rule about everything names no address.
        self.patterns.is_some() && self.is_about(call, |pattern| call.resource().reached_by(pattern, address))
    }

    fn denies(&self, call: &Call<'_>, address: Option<IpAddr>) -> bool {
        self.is_about(call, |pattern| call.resource().denied_by(pattern, address, call.takes_beneath()))
    }

    fn is_about(&self, call: &Call<'_>, of_resource: impl Fn(&AnyPattern) -> bool) -> bool {
        self.rule.is_about(call) && self.patterns.as_ref().is_none_or(|patterns| patterns.iter().any(of_resource))
    }
}
