//! The decision: deny wins over allow, allow over the fallback, and every layer must allow.
//!
//! One method decides calls of every kind and returns a [`Permit`] for the very value it judged, so a caller cannot check
//! one resource and use another. A request is decided twice: its URL first, then each address its host resolves to,
//! against the deny rules that name addresses, the classes of the profile and the allow rules that name addresses. All of
//! it is a pure function of the grants and the call: no clock, no lookup, no state.

use std::net::IpAddr;

use crate::{
    call::Call,
    capability::Function,
    denial::Denial,
    explain::Explanation,
    grants::Grants,
    layer::{Decider, Layer, Verdict},
    permit::{Endpoint, Permit, Reached},
};

impl Grants {
    /// Decides a call: a permit for the very resource that was judged, or why not. A request is judged by its URL here;
    /// [`Permit::address`] then decides each resolved address.
    pub fn decide<F: Function>(&self, function: F, resource: F::Resource) -> Result<Permit<F::Resource>, Denial> {
        let decider = self.judge(&Call::new(function, &resource), None)?;
        Ok(Permit::new(resource, function.capability(), function.name(), decider, self))
    }

    /// Returns whether a call would be allowed, for a request together with the address its host resolved to. Makes no
    /// permit: it is for those who look at calls that are over.
    pub fn allows(&self, call: &Call<'_>, address: Option<IpAddr>) -> bool {
        let address = address.map(|address| address.to_canonical());
        self.layers().all(|layer| layer.judge(call, address).is_allowed())
    }

    /// Tells how a call would be decided and by what, without deciding it.
    pub fn explain(&self, call: &Call<'_>) -> Explanation {
        Explanation::new(self, call, None)
    }

    /// Tells how a request that resolved to an address would be decided.
    pub fn explain_address(&self, call: &Call<'_>, address: IpAddr) -> Explanation {
        Explanation::new(self, call, Some(address))
    }

    pub(crate) fn endpoint<R: Reached>(
        &self,
        permit: &Permit<R>,
        address: IpAddr,
    ) -> Result<Permit<Endpoint<R>>, Denial> {
        let resource = permit.resource();
        let call = Call::again(permit.capability(), permit.function(), resource);
        let address = address.to_canonical();
        let decider = self.judge(&call, Some(address))?;
        let endpoint = Endpoint::new(resource.clone(), address);
        Ok(Permit::new(endpoint, permit.capability(), permit.function(), decider, self))
    }

    /// What allowed the call in the last layer, the narrowest.
    fn judge(&self, call: &Call<'_>, address: Option<IpAddr>) -> Result<Decider, Denial> {
        let ask = |layer: &Layer| match layer.judge(call, address) {
            Verdict::Allowed(decider) => Ok(decider),
            refusal => Err(Denial::new(self, layer, call, address, refusal)),
        };
        self.inner.iter().try_fold(ask(&self.outer)?, |_, layer| ask(layer))
    }

    /// The lowest built-in profile that would allow the call.
    pub(crate) fn needed_profile(&self, call: &Call<'_>, address: Option<IpAddr>) -> Option<&str> {
        let granting = self.ladder.iter().find(|rung| rung.judge(call, address).is_allowed());
        granting.map(Layer::profile)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::{
        Url,
        capability::{ExecFunction, HttpMethod, KvFunction, PathFunction, ServerFunction},
        name::KvKey,
        path::CanonicalPath,
        profile::Profile,
        roots::Roots,
        rule::Rule,
        server::ServerAddress,
    };

    fn grants(profile: &str, allow: &[&str], deny: &[&str]) -> Grants {
        let parse = |rules: &[&str]| -> Vec<Rule> { rules.iter().map(|rule| Rule::parse(rule).unwrap()).collect() };
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        let profile = Profile::named(profile).unwrap();
        Grants::new(&profile, &parse(allow), &parse(deny), &roots).unwrap()
    }

    fn key(text: &str) -> KvKey {
        KvKey::new(text).unwrap()
    }

    #[test]
    fn a_function_list_is_about_its_functions_only() {
        let grants = grants("deny-all", &["kv.*[get,set]"], &["kv.*[set](secret:*)"]);
        assert!(grants.decide(KvFunction::Get, key("secret:a")).is_ok());
        assert!(grants.decide(KvFunction::Set, key("a")).is_ok());
        assert!(grants.decide(KvFunction::Set, key("secret:a")).is_err());
        assert!(grants.decide(KvFunction::Delete, key("a")).is_err());
    }

    #[test]
    fn a_deny_rule_beats_the_fallback() {
        let grants = grants("allow-all", &["*.*"], &["*.exec", "fs.read(/etc/shadow)"]);
        let path = |text| CanonicalPath::absolute(text).unwrap();
        assert!(grants.decide(PathFunction::ReadText, path("/etc/shadow")).is_err());
        assert!(grants.decide(PathFunction::ReadText, path("/etc/hosts")).is_ok());
        assert!(grants.decide(ExecFunction::Exec, path("/bin/sh").into()).is_err());
    }

    #[test]
    fn the_narrowest_layer_is_named_and_the_first_refusal_reported() {
        let tenant = grants("allow-local", &[], &[]);
        let app = grants("allow-fs", &["http.server(:80)"], &[]);
        let both = tenant.narrow(&app);
        let bind = |port| ServerAddress::new("127.0.0.1", port).unwrap();
        let permit = both.decide(ServerFunction::Serve, bind(80)).unwrap();
        assert_eq!(permit.profile(), "allow-fs");
        assert_eq!(permit.rule().unwrap().to_string(), "http.server(:80)");
        let denial = both.decide(ServerFunction::Serve, bind(81)).unwrap_err();
        assert_eq!(denial.profile(), "allow-fs");
        let denial = app.narrow(&grants("deny-all", &[], &[])).decide(KvFunction::Get, key("a"));
        assert_eq!(denial.unwrap_err().profile(), "deny-all");
    }

    #[test]
    fn an_address_rule_keeps_its_port_path_and_method() {
        let rules = ["http.client", "http.client[GET](http://10.0.0.5:8080/api/**)"];
        let grants = grants("deny-all", &rules, &[]);
        let ask = |method, url: &str| {
            let permit = grants.decide(method, Url::parse(url).unwrap())?;
            permit.address("10.0.0.5".parse().unwrap()).map(drop)
        };
        assert!(ask(HttpMethod::Get, "http://10.0.0.5:8080/api/x").is_ok());
        assert!(ask(HttpMethod::Get, "http://db.example:8080/api/x").is_ok());
        assert!(ask(HttpMethod::Post, "http://10.0.0.5:8080/api/x").is_err());
        assert!(ask(HttpMethod::Get, "http://10.0.0.5:8081/api/x").is_err());
        assert!(ask(HttpMethod::Get, "http://db.example:8080/x").is_err());
    }
}
