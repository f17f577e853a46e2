//! Explanations: what each layer of grants says about a call, and what would grant it.
//!
//! An explanation judges as the decision does, and keeps its reasons; it makes no permit.

use std::{fmt, net::IpAddr};

use crate::{call::Call, denial::Advice, grants::Grants, layer::Verdict, rule::Rule};

/// The decision about a call, with its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    call: String,
    steps: Vec<Step>,
    needed_profile: Option<String>,
    granting_rule: Option<Rule>,
}

/// The verdict of one layer of grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The profile of the layer.
    pub profile: String,
    /// Its verdict.
    pub verdict: Verdict,
}

impl Explanation {
    pub(crate) fn new(grants: &Grants, call: &Call<'_>, address: Option<IpAddr>) -> Self {
        let steps: Vec<Step> = grants
            .layers()
            .map(|layer| Step { profile: layer.profile().to_owned(), verdict: layer.judge(call, address) })
            .collect();
        let refusal = steps.iter().find(|step| !step.verdict.is_allowed());
        let advice = refusal.map(|step| Advice::new(grants, call, address, &step.verdict));
        let (needed_profile, granting_rule) = advice.map(|a| (a.profile, a.rule)).unwrap_or_default();
        Self { call: call.to_string(), steps, needed_profile, granting_rule }
    }

    /// Returns whether every layer allows the call.
    pub fn is_allowed(&self) -> bool {
        self.steps.iter().all(|step| step.verdict.is_allowed())
    }

    /// The verdicts, the outermost layer first. A decision stops at the first refusal.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The lowest built-in profile that would grant a refused call; none after a deny rule.
    pub fn needed_profile(&self) -> Option<&str> {
        self.needed_profile.as_deref()
    }

    /// The narrowest rule that would grant a refused call; none after a deny rule.
    pub fn granting_rule(&self) -> Option<&Rule> {
        self.granting_rule.as_ref()
    }
}

/// The call, then one line for each layer, then what would grant it.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.call, if self.is_allowed() { "allowed" } else { "denied" })?;
        for Step { profile, verdict } in &self.steps {
            write!(f, "\n  {profile}: ")?;
            match verdict {
                Verdict::AddressNotGranted(class) => write!(f, "no {class} addresses"),
                Verdict::AddressNotOfUrl => f.write_str("not the address of the URL"),
                Verdict::Allowed(decider) => write!(f, "allowed by {decider}"),
                Verdict::Denied(decider) => write!(f, "denied by {decider}"),
                Verdict::NotGranted => f.write_str("no rule grants it"),
            }?;
        }
        if let Some(profile) = &self.needed_profile {
            write!(f, "\n  granted from {profile}")?;
        }
        if let Some(rule) = &self.granting_rule {
            write!(f, "\n  granted by the rule {rule}")?;
        }
        Ok(())
    }
}
