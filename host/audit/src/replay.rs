//! Recorded calls judged by other grants: a change of policy tried on real use.

use std::collections::BTreeMap;

use serde::Serialize;
use starcell_policy::Grants;
use starcell_text::one_line;

use crate::{
    asked::{Asked, Unjudged, unjudged_text},
    call::Decision,
    event::Event,
    shown::{calls, calls_denied_then, json},
};

/// The recorded calls under other grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Calls that would be allowed.
    pub allowed: u64,
    /// Calls that would be denied.
    pub denied: Vec<WouldDeny>,
    /// Calls of which it cannot be said.
    pub unjudged: Vec<Unjudged>,
}

/// Calls of one app to one function on one resource that would be denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WouldDeny {
    /// The owner of the app.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// The function.
    pub capability: String,
    /// The resource.
    pub resource: String,
    /// The number of calls.
    pub calls: u64,
    /// The number of these calls that were denied when they were recorded.
    pub denied_then: u64,
    /// The verdict of each layer of the grants.
    pub why: String,
    /// The lowest built-in profile that would grant it; none after a deny rule.
    pub needed: Option<String>,
    /// The narrowest rule that would grant it; none after a deny rule.
    pub rule: Option<String>,
    /// The first of the places in scripts that it was asked from.
    pub at: String,
}

/// Judges recorded calls anew, those that were denied too.
pub fn replay<E>(events: impl Iterator<Item = Result<Event, E>>, grants: &Grants) -> Result<Replay, E> {
    let mut found: BTreeMap<[String; 5], Verdict> = BTreeMap::new();
    let mut allowed = 0;
    for event in events {
        let call = *event?.call;
        if call.is_pure() {
            allowed += 1;
            continue;
        }
        let denied = u64::from(call.decision == Decision::Deny);
        let subject = &call.subject;
        // One call may be judged twice, as a rename is: once as reading, once as writing.
        let key = [&subject.tenant, &subject.app, &call.capability, &call.resource, &call.category].map(Clone::clone);
        let verdict = found.entry(key).or_insert_with(|| Verdict {
            calls: 0,
            denied_then: 0,
            asked: Asked::of(&call),
            at: format!("{}:{}", call.file, call.line),
        });
        verdict.calls += 1;
        verdict.denied_then += denied;
    }
    let mut replay = Replay { allowed, ..Replay::default() };
    for ([tenant, app, capability, resource, _category], Verdict { calls, denied_then, asked, at }) in found {
        let asked = match asked {
            Ok(asked) if asked.is_allowed(grants) => {
                replay.allowed += calls;
                continue;
            }
            Ok(asked) => asked,
            Err(problem) => {
                replay.unjudged.push(Unjudged { capability, resource, problem, calls });
                continue;
            }
        };
        let explanation = match asked.address {
            Some(address) => grants.explain_address(&asked.call(), address),
            None => grants.explain(&asked.call()),
        };
        replay.denied.push(WouldDeny {
            tenant,
            app,
            capability,
            resource,
            calls,
            denied_then,
            why: explanation.to_string(),
            needed: explanation.needed_profile().map(str::to_owned),
            rule: explanation.granting_rule().map(ToString::to_string),
            at,
        });
    }
    Ok(replay)
}

struct Verdict {
    calls: u64,
    denied_then: u64,
    asked: Result<Asked, String>,
    at: String,
}

impl Replay {
    /// The calls that would be denied with the reason, then the numbers.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.denied {
            let WouldDeny { tenant, app, capability, resource, calls, denied_then, why, at, .. } = row;
            let call = one_line(&format!("{tenant}/{app}: {capability}({resource}) at {at}"));
            text += &format!("would be denied: {call}, {}\n", calls_denied_then(*calls, *denied_then));
            for line in why.lines().skip(1) {
                text += &format!("{}\n", one_line(line));
            }
        }
        text += &unjudged_text(&self.unjudged);
        let sum = |count: fn(&WouldDeny) -> u64| self.denied.iter().map(count).sum::<u64>();
        let (denied, denied_then) = (sum(|row| row.calls), sum(|row| row.denied_then));
        text + &format!("{} allowed; denied: {}\n", calls(self.allowed), calls_denied_then(denied, denied_then))
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        json(self)
    }
}
