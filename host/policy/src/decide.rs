//! The decision: deny wins over allow, allow over the fallback, and every layer must allow.
//!
//! Each kind of call has its own method that returns a [`Permit`] for the very value it judged, so
//! a caller cannot check one resource and use another. A request is decided twice: its URL first,
//! then each address its host resolves to, against the deny rules that name addresses, the classes
//! of the profile and the allow rules that name addresses. All of it is a pure function of the
//! grants and the call: no clock, no lookup, no state.

use std::net::IpAddr;

use crate::{
    call::Call,
    capability::{EnvFunction, ExecFunction, HttpMethod, K8sFunction, KvFunction, PathFunction, ServerFunction},
    denial::Denial,
    explain::Explanation,
    grants::Grants,
    kubernetes::KubernetesObject,
    layer::{Decider, Layer, Verdict},
    name::{EnvName, KvKey},
    path::{CanonicalPath, ProgramPath},
    permit::{Endpoint, Permit},
    server::ServerAddress,
    url::Url,
};

impl Grants {
    /// Decides a call on an environment variable.
    pub fn env(&self, function: EnvFunction, name: EnvName) -> Result<Permit<EnvName>, Denial> {
        let decider = self.decide(&Call::env(function, &name), None)?;
        Ok(Permit::new(name, function.capability(), function.name(), decider, self))
    }

    /// Decides a call on a program.
    pub fn exec(&self, function: ExecFunction, program: ProgramPath) -> Result<Permit<ProgramPath>, Denial> {
        let decider = self.decide(&Call::exec(function, &program), None)?;
        Ok(Permit::new(program, function.capability(), function.name(), decider, self))
    }

    /// Decides a request by its URL; [`Permit::address`] then decides each resolved address.
    pub fn http_client(&self, method: HttpMethod, url: Url) -> Result<Permit<Url>, Denial> {
        let decider = self.decide(&Call::http_client(method, &url), None)?;
        Ok(Permit::new(url, method.capability(), method.name(), decider, self))
    }

    /// Decides a listener.
    pub fn http_server(
        &self,
        function: ServerFunction,
        address: ServerAddress,
    ) -> Result<Permit<ServerAddress>, Denial> {
        let decider = self.decide(&Call::http_server(function, &address), None)?;
        Ok(Permit::new(address, function.capability(), function.name(), decider, self))
    }

    /// Decides a call on Kubernetes objects.
    pub fn k8s(&self, function: K8sFunction, object: KubernetesObject) -> Result<Permit<KubernetesObject>, Denial> {
        let decider = self.decide(&Call::k8s(function, &object), None)?;
        Ok(Permit::new(object, function.capability(), function.name(), decider, self))
    }

    /// Decides a call on a key, or on all keys with a prefix.
    pub fn kv(&self, function: KvFunction, key: KvKey) -> Result<Permit<KvKey>, Denial> {
        let decider = self.decide(&Call::kv(function, &key), None)?;
        Ok(Permit::new(key, function.capability(), function.name(), decider, self))
    }

    /// Decides a call on a path.
    pub fn path(&self, function: PathFunction, path: CanonicalPath) -> Result<Permit<CanonicalPath>, Denial> {
        let decider = self.decide(&Call::path(function, &path), None)?;
        Ok(Permit::new(path, function.capability(), function.name(), decider, self))
    }

    /// Whether a call would be allowed, for a request together with the address its host resolved to. Makes no permit:
    /// it is for those who look at calls that are over.
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

    pub(crate) fn endpoint(&self, permit: &Permit<Url>, address: IpAddr) -> Result<Permit<Endpoint>, Denial> {
        let url = permit.resource();
        let call = Call::http_request(permit.function(), url);
        let address = address.to_canonical();
        let decider = self.decide(&call, Some(address))?;
        let endpoint = Endpoint::new(url.clone(), address);
        Ok(Permit::new(endpoint, permit.capability(), permit.function(), decider, self))
    }

    /// What allowed the call in the last layer, the narrowest.
    fn decide(&self, call: &Call<'_>, address: Option<IpAddr>) -> Result<Decider, Denial> {
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
    use crate::{path::Roots, profile::Profile, rule::Rule};

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
        assert!(grants.kv(KvFunction::Get, key("secret:a")).is_ok());
        assert!(grants.kv(KvFunction::Set, key("a")).is_ok());
        assert!(grants.kv(KvFunction::Set, key("secret:a")).is_err());
        assert!(grants.kv(KvFunction::Delete, key("a")).is_err());
    }

    #[test]
    fn a_deny_rule_beats_the_fallback() {
        let grants = grants("allow-all", &["*.*"], &["*.exec", "fs.read(/etc/shadow)"]);
        let path = |text| CanonicalPath::absolute(text).unwrap();
        assert!(grants.path(PathFunction::ReadText, path("/etc/shadow")).is_err());
        assert!(grants.path(PathFunction::ReadText, path("/etc/hosts")).is_ok());
        assert!(grants.exec(ExecFunction::Exec, path("/bin/sh").into()).is_err());
        assert!(grants.k8s(K8sFunction::Exec, KubernetesObject::cluster()).is_err());
    }

    #[test]
    fn the_narrowest_layer_is_named_and_the_first_refusal_reported() {
        let tenant = grants("allow-local", &[], &[]);
        let app = grants("allow-fs", &["http.server(:80)"], &[]);
        let both = tenant.narrow(&app);
        let bind = |port| ServerAddress::new("127.0.0.1", port).unwrap();
        let permit = both.http_server(ServerFunction::Serve, bind(80)).unwrap();
        assert_eq!(permit.profile(), "allow-fs");
        assert_eq!(permit.rule().unwrap().to_string(), "http.server(:80)");
        let denial = both.http_server(ServerFunction::Serve, bind(81)).unwrap_err();
        assert_eq!(denial.profile(), "allow-fs");
        let denial = app.narrow(&grants("deny-all", &[], &[])).kv(KvFunction::Get, key("a"));
        assert_eq!(denial.unwrap_err().profile(), "deny-all");
    }

    #[test]
    fn an_address_rule_keeps_its_port_path_and_method() {
        let rules = ["http.client", "http.client[GET](http://10.0.0.5:8080/api/**)"];
        let grants = grants("deny-all", &rules, &[]);
        let ask = |method, url: &str| {
            let permit = grants.http_client(method, Url::parse(url).unwrap())?;
            permit.address("10.0.0.5".parse().unwrap()).map(drop)
        };
        assert!(ask(HttpMethod::Get, "http://10.0.0.5:8080/api/x").is_ok());
        assert!(ask(HttpMethod::Get, "http://db.example:8080/api/x").is_ok());
        assert!(ask(HttpMethod::Post, "http://10.0.0.5:8080/api/x").is_err());
        assert!(ask(HttpMethod::Get, "http://10.0.0.5:8081/api/x").is_err());
        assert!(ask(HttpMethod::Get, "http://db.example:8080/x").is_err());
    }
}
