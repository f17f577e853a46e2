//! Denials: what was refused, why, and what would have granted it.
//!
//! The text is for the developer of the script: it names the lowest built-in profile and the
//! narrowest rule that would grant the call, and neither when a deny rule refused it, since no grant
//! would help. It never holds a query, credentials or an address a name resolved to; the last is
//! for the operator, in [`Denial::granting_rule`] and [`Denial::address`]. Running out of a quota
//! is not a denial: it passes by itself, and saying "permission denied" would send the developer
//! after the wrong thing.

use std::{fmt, net::IpAddr};

use crate::{
    call::Call,
    capability::Capability,
    egress::AddressClass,
    grants::Grants,
    layer::{Decider, Layer, Verdict},
    rule::Rule,
};

/// The reason of a refusal; the labels are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DenyReason {
    /// The host's name is granted, the class of its address is not.
    AddressNotGranted,
    /// The address to connect to is not the one in the URL.
    AddressNotOfUrl,
    /// A deny rule is about the call.
    DeniedByRule,
    /// No allow rule is about the call.
    NotGranted,
}

impl DenyReason {
    /// A stable label for metrics and the audit log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::AddressNotGranted => "address_not_granted",
            Self::AddressNotOfUrl => "address_not_of_url",
            Self::DeniedByRule => "denied_by_rule",
            Self::NotGranted => "not_granted",
        }
    }
}

/// A refused call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    capability: Capability,
    function: &'static str,
    resource: String,
    profile: String,
    address: Option<IpAddr>,
    verdict: Verdict,
    needed_profile: Option<String>,
    granting_rule: Option<Rule>,
}

impl std::error::Error for Denial {}

impl Denial {
    pub(crate) fn new(
        grants: &Grants,
        layer: &Layer,
        call: &Call<'_>,
        address: Option<IpAddr>,
        verdict: Verdict,
    ) -> Self {
        let advice = Advice::new(grants, call, address, &verdict);
        Self(Box::new(Parts {
            capability: call.capability(),
            function: call.function(),
            resource: call.resource_text(),
            profile: layer.profile().to_owned(),
            address,
            verdict,
            needed_profile: advice.profile,
            granting_rule: advice.rule,
        }))
    }

    /// The capability that was asked for.
    pub fn capability(&self) -> Capability {
        self.0.capability
    }

    /// The script function, or the method of a request.
    pub fn function(&self) -> &'static str {
        self.0.function
    }

    /// The canonical resource, without credentials or query, at most 1024 bytes.
    pub fn resource(&self) -> &str {
        &self.0.resource
    }

    /// The profile whose grants refused the call.
    pub fn profile(&self) -> &str {
        &self.0.profile
    }

    /// The address that a granted name resolved to, when that was refused. Not for the script.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address
    }

    /// The reason.
    pub fn reason(&self) -> DenyReason {
        match self.0.verdict {
            Verdict::AddressNotGranted(_) => DenyReason::AddressNotGranted,
            Verdict::AddressNotOfUrl => DenyReason::AddressNotOfUrl,
            Verdict::Denied(_) => DenyReason::DeniedByRule,
            Verdict::Allowed(_) | Verdict::NotGranted => DenyReason::NotGranted,
        }
    }

    /// The class of the address that was refused.
    pub fn address_class(&self) -> Option<AddressClass> {
        match self.0.verdict {
            Verdict::AddressNotGranted(class) => Some(class),
            _ => None,
        }
    }

    /// The deny rule that decided.
    pub fn denied_by(&self) -> Option<&Rule> {
        match &self.0.verdict {
            Verdict::Denied(decider) => decider.rule(),
            _ => None,
        }
    }

    /// The deny rule that decided, if one did.
    pub fn decider(&self) -> Option<&Decider> {
        match &self.0.verdict {
            Verdict::Denied(decider) => Some(decider),
            _ => None,
        }
    }

    /// The lowest built-in profile that would grant the call.
    pub fn needed_profile(&self) -> Option<&str> {
        self.0.needed_profile.as_deref()
    }

    /// The narrowest rule that would grant the call. It may hold an address that a name resolved
    /// to, which the script is not told.
    pub fn granting_rule(&self) -> Option<&Rule> {
        self.0.granting_rule.as_ref()
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { capability, resource, profile, address, verdict, .. } = &*self.0;
        write!(f, "permission denied: {capability}({resource:?}): ")?;
        match verdict {
            Verdict::Denied(decider) => match decider.rule() {
                Some(rule) => return write!(f, "denied by the rule {rule}"),
                None => return write!(f, "denied by {profile}"),
            },
            Verdict::AddressNotOfUrl => {
                return f.write_str("the connection is to another address than the URL's");
            }
            Verdict::AddressNotGranted(class) if address.is_some() => {
                write!(f, "it resolves to {}, not granted by {profile}", article(*class))?;
            }
            Verdict::AddressNotGranted(class) => {
                write!(f, "{} is not granted by {profile}", article(*class))?;
            }
            Verdict::Allowed(_) | Verdict::NotGranted => write!(f, "not granted by {profile}")?,
        }
        let rule = match (&self.0.granting_rule, address) {
            (Some(_), Some(_)) => Some("a rule for its address".to_owned()),
            (Some(rule), None) => Some(format!("the rule {rule}")),
            (None, _) => None,
        };
        match (&self.0.needed_profile, rule) {
            (Some(needed), Some(rule)) => write!(f, "; granted from {needed}, or by {rule}"),
            (Some(needed), None) => write!(f, "; granted from {needed}"),
            (None, Some(rule)) => write!(f, "; granted by {rule}"),
            (None, None) => Ok(()),
        }
    }
}

fn article(class: AddressClass) -> String {
    match class {
        AddressClass::Unspecified => format!("an {class} address"),
        _ => format!("a {class} address"),
    }
}

/// What would grant a refused call; nothing after a deny rule.
pub(crate) struct Advice {
    pub(crate) profile: Option<String>,
    pub(crate) rule: Option<Rule>,
}

impl Advice {
    pub(crate) fn new(grants: &Grants, call: &Call<'_>, address: Option<IpAddr>, verdict: &Verdict) -> Self {
        let rule = match (verdict, address) {
            (Verdict::NotGranted, _) | (Verdict::AddressNotGranted(_), None) => Rule::granting(call),
            (Verdict::AddressNotGranted(_), Some(address)) => address_rule(call, address),
            _ => {
                return Self { profile: None, rule: None };
            }
        };
        let profile = grants.needed_profile(call, address).map(str::to_owned);
        Self { profile, rule }
    }
}

fn address_rule(call: &Call<'_>, address: IpAddr) -> Option<Rule> {
    let resource = call.resource().at_address(address)?;
    Rule::parse(&format!("{}({resource})", call.capability())).ok()
}
