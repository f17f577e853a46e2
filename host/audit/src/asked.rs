//! A recorded call as the policy sees it.

use std::net::IpAddr;

use serde::Serialize;
use starcell_policy::{AddressClass, Call, CallBuf, Capability, Grants, Profile};
use starcell_text::{ELLIPSIS, one_line};

use crate::{record::CallRecord, redact::split_connection, shown};

/// Bytes at which the policy cuts the resource of a refused call.
const POLICY_CUTS_AT: usize = 1024;

/// A recorded call as the policy judges it; for a request whose host was resolved, with the address.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) call: CallBuf,
    pub(crate) address: Option<IpAddr>,
}

/// Calls that cannot be judged, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unjudged {
    /// The function.
    pub capability: String,
    /// The resource, as recorded.
    pub resource: String,
    /// The reason why no rule can be tried on it.
    pub problem: String,
    /// The number of such calls.
    pub calls: u64,
}

impl Asked {
    /// Reads a call back from its record.
    pub(crate) fn of(record: &CallRecord) -> Result<Self, String> {
        let CallRecord { capability, category, resource, cut, .. } = record;
        if resource.ends_with(ELLIPSIS) && (*cut || resource.len() > POLICY_CUTS_AT) {
            return Err("the resource was too long to be recorded whole".to_owned());
        }
        let granted = Capability::named(category).ok_or_else(|| format!("unknown capability {category:?}"))?;
        let function = capability.rsplit('.').next().unwrap_or_default();
        let (resource, address) = match granted {
            Capability::HttpClient => split_connection(resource),
            // No database of a server has a space in it; the path of a file may.
            Capability::SqlOpen if resource.starts_with("postgres:") => split_connection(resource),
            _ => (resource.as_str(), None),
        };
        let call = CallBuf::new(granted, function, resource).map_err(|error| error.to_string())?;
        Ok(Self { call, address })
    }

    pub(crate) fn call(&self) -> Call<'_> {
        self.call.call()
    }

    /// True if the grants allow the call, the address included.
    pub(crate) fn is_allowed(&self, grants: &Grants) -> bool {
        let call = self.call();
        // A call that is not granted by name is refused before the name is resolved.
        grants.allows(&call, None) && (self.address.is_none() || grants.allows(&call, self.address))
    }

    /// The address, when no profile reaches it without a rule that names it.
    pub(crate) fn address_to_name(&self) -> Option<IpAddr> {
        self.address.filter(|address| !Profile::deny_all().reach().contains(AddressClass::of(*address)))
    }
}

/// One line for each kind of call that could not be judged.
pub(crate) fn unjudged_text(unjudged: &[Unjudged]) -> String {
    unjudged.iter().fold(String::new(), |text, Unjudged { capability, resource, problem, calls }| {
        let call = one_line(&format!("{capability}({resource})"));
        format!("{text}not judged: {call}: {} ({})\n", one_line(problem), shown::calls(*calls))
    })
}
