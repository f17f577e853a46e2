//! Which profile decides a call or covers a rule, and why.
//!
//! A question is a call such as `fs.read_text(data.txt)` or a rule such as `fs.read($CWD/**)`. A text that is both, such
//! as `os.exec(/usr/bin/id)`, is taken for the call: the answer is exact, whereas a rule can only be compared with other
//! rules.

use serde::Serialize;
use starcell_policy::{
    CallBuf, CallError, Explanation, Fallback, Grants, GrantsError, Profile, Roots, Rule, RuleError, Verdict,
};
use thiserror::Error;

use crate::diff::covers;

/// The answers of the profiles to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Explained {
    /// The question was a call.
    Call {
        /// As the policy prints it.
        call: String,
        /// The decision of each profile.
        profiles: Vec<OfCall>,
        /// The lowest built-in profile that allows it.
        granted_from: Option<String>,
        /// The narrowest rule that allows it.
        rule: Option<String>,
    },
    /// The question was a rule.
    Rule {
        /// In its canonical spelling.
        rule: String,
        /// The capabilities it is about.
        capabilities: Vec<String>,
        /// The functions it is about.
        functions: Vec<String>,
        /// The part of the rule that each profile grants.
        profiles: Vec<OfRule>,
    },
}

/// The decision of a profile about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfCall {
    /// The profile.
    pub profile: String,
    /// True if the profile allows the call. A request may still be refused for the address its host resolves to.
    pub allowed: bool,
    /// The rule or default that decides.
    pub why: String,
}

/// The part of a rule that a profile grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OfRule {
    /// The profile.
    pub profile: String,
    /// The size of the part.
    pub extent: Extent,
    /// The rule or default that decides.
    pub why: String,
}

/// The size of the part of a rule that a profile grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All of it.
    All,
    /// Nothing of it.
    Nothing,
    /// Some of it, or as much as cannot be seen from the rules alone.
    Part,
}

/// A question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum QuestionError {
    /// A profile cannot be used here.
    #[error("the profile {profile}: {problem}")]
    Grants {
        /// The profile.
        profile: String,
        /// The cause.
        problem: Box<GrantsError>,
    },
    /// It is neither a call nor a rule.
    #[error("neither a call ({call}) nor a rule ({rule})")]
    Neither {
        /// The reason why it is no call.
        call: Box<CallError>,
        /// The reason why it is no rule.
        rule: Box<RuleError>,
    },
}

/// Answers a question for each profile.
pub fn explain<'a>(
    question: &str,
    profiles: impl IntoIterator<Item = &'a Profile>,
    roots: &Roots,
) -> Result<Explained, QuestionError> {
    match CallBuf::parse(question, roots.cwd()) {
        Ok(call) => of_call(&call, profiles, roots),
        Err(call) => match Rule::parse(question) {
            Ok(rule) => Ok(of_rule(&rule, profiles, roots)),
            Err(rule) => Err(QuestionError::Neither { call: call.into(), rule: rule.into() }),
        },
    }
}

fn of_call<'a>(
    call: &CallBuf,
    profiles: impl IntoIterator<Item = &'a Profile>,
    roots: &Roots,
) -> Result<Explained, QuestionError> {
    let grants = |profile: &Profile| {
        let grants = Grants::new(profile, &[], &[], roots);
        grants.map_err(|problem| QuestionError::Grants { profile: profile.name().to_owned(), problem: problem.into() })
    };
    let mut found = Vec::new();
    for profile in profiles {
        let explanation = decided(&grants(profile)?, call, roots);
        let why: Vec<String> = explanation.steps().iter().map(|step| told(&step.verdict)).collect();
        found.push(OfCall {
            profile: profile.name().to_owned(),
            allowed: explanation.is_allowed(),
            why: why.join("; "),
        });
    }
    // From nothing, so that what is advised grants it by itself.
    let advice = decided(&grants(&Profile::deny_all())?, call, roots);
    Ok(Explained::Call {
        call: call.to_string(),
        profiles: found,
        granted_from: advice.needed_profile().map(str::to_owned),
        rule: advice.granting_rule().map(Rule::to_string),
    })
}

/// The decision about a call on a path: the first refusal among those about each path that its links lead to, since each
/// of them is judged when the call is made.
fn decided(grants: &Grants, call: &CallBuf, roots: &Roots) -> Explanation {
    let mut last = grants.explain(&call.call());
    for call in call.spellings(roots).iter().skip(1) {
        if !last.is_allowed() {
            break;
        }
        last = grants.explain(&call.call());
    }
    last
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::AddressNotGranted(class) => format!("denied: requests reach no {class} addresses"),
        Verdict::AddressNotOfUrl => "denied: not the address of the URL".to_owned(),
        Verdict::Allowed(decider) => format!("allowed by {decider}"),
        Verdict::Denied(decider) => format!("denied by {decider}"),
        Verdict::NotGranted => "denied: no rule grants it".to_owned(),
    }
}

fn of_rule<'a>(rule: &Rule, profiles: impl IntoIterator<Item = &'a Profile>, roots: &Roots) -> Explained {
    let functions = match rule.functions() {
        [] => rule.capabilities().flat_map(|c| c.functions()).map(str::to_owned).collect(),
        listed => listed.iter().map(|f| (*f).to_owned()).collect(),
    };
    Explained::Rule {
        rule: rule.to_string(),
        capabilities: rule.capabilities().map(|c| c.to_string()).collect(),
        functions,
        profiles: profiles.into_iter().map(|profile| OfRule::new(rule, profile, roots)).collect(),
    }
}

impl OfRule {
    fn new(rule: &Rule, profile: &Profile, roots: &Roots) -> Self {
        let (extent, why) = judged(rule, profile, roots);
        Self { profile: profile.name().to_owned(), extent, why }
    }
}

fn judged(rule: &Rule, profile: &Profile, roots: &Roots) -> (Extent, String) {
    let lineage = profile.lineage();
    let of = |rules: fn(&Profile) -> &[Rule]| {
        let rules = lineage.iter().flat_map(move |part| rules(part).iter().map(|rule| (rule, part.name())));
        rules.collect::<Vec<_>>()
    };
    let (allow, deny) = (of(Profile::allow), of(Profile::deny));
    if let Some((by, of)) = deny.iter().find(|(by, _)| covers(by, rule, roots)) {
        return (Extent::Nothing, format!("denied by the rule {by} of {of}"));
    }
    let denied = deny.iter().find(|(by, _)| by.overlaps(rule));
    let whole = allow.iter().find(|(by, _)| covers(by, rule, roots));
    let granted = match whole {
        Some((by, of)) => Some(format!("granted by the rule {by} of {of}")),
        None if profile.fallback() == Fallback::Allow => Some(format!("granted by the fallback of {}", profile.name())),
        None => None,
    };
    let part = allow.iter().find(|(by, _)| by.overlaps(rule));
    match (granted, denied, part) {
        (Some(granted), None, _) => (Extent::All, granted),
        (Some(granted), Some((by, of)), _) => {
            (Extent::Part, format!("{granted}, and some of it may be denied by the rule {by} of {of}"))
        }
        (None, _, Some((by, of))) => (Extent::Part, format!("some of it may be granted by the rule {by} of {of}")),
        (None, _, None) => (Extent::Nothing, "no rule grants it".to_owned()),
    }
}

impl Explained {
    /// The question, then one line for each profile, then what would grant a call.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Call { call, profiles, granted_from, rule } => {
                let lines = profiles.iter().map(|OfCall { profile, why, .. }| format!("  {profile}: {why}\n"));
                let from = granted_from.iter().map(|profile| format!("granted from {profile}\n"));
                let by = rule.iter().map(|rule| format!("granted by the rule {rule}\n"));
                format!("{call}\n{}", lines.chain(from).chain(by).collect::<String>())
            }
            Self::Rule { rule, capabilities, functions, profiles } => {
                let about = format!("{}: {}", capabilities.join(", "), functions.join(", "));
                let lines = profiles.iter().map(|OfRule { profile, extent, why }| {
                    let extent = match extent {
                        Extent::All => "all of it",
                        Extent::Nothing => "nothing of it",
                        Extent::Part => "part of it",
                    };
                    format!("  {profile}: {extent}: {why}\n")
                });
                format!("{rule}\n  is about {about}\n{}", lines.collect::<String>())
            }
        }
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
