//! The ladder: the five built-in profiles, each a strict superset of the one before.
//!
//! An operator picks a rung by how far a script is trusted: nothing, this folder, the internet, this machine, everything.
//! The default is the lowest. No rung but the last reaches files or variables of the operator that were not named: a script
//! that may also send requests could carry them away. `http.client` is allowed from `allow-net` on; what a rung adds later
//! is where it and `sql.open` may connect to, so that a name anyone can register does not lead to the loopback interface or a cloud's
//! metadata service. Servers listen on the loopback interface unless the operator names an address.

use std::sync::LazyLock;

use crate::{
    capability::{AnyPattern, Capability},
    egress::{AddressClass, AddressClasses},
    name_pattern::NamePattern,
    path_pattern::PathPattern,
    profile::{Fallback, Parts, Profile},
    rule::Rule,
    server::ServerPattern,
    sql_pattern::SqlPattern,
};

static LADDER: LazyLock<[Profile; 5]> = LazyLock::new(|| {
    let deny_all = rung("deny-all", None, Vec::new(), Fallback::Deny, public());
    let allow_fs = rung(
        "allow-fs",
        Some(&deny_all),
        vec![
            // The folder itself, so that it can be listed.
            Rule::about(Capability::FsRead, AnyPattern::Path(PathPattern::cwd())),
            Rule::about(Capability::FsRead, AnyPattern::Path(PathPattern::beneath_cwd())),
            Rule::about(Capability::FsWrite, AnyPattern::Path(PathPattern::beneath_cwd())),
            Rule::about(Capability::FsDelete, AnyPattern::Path(PathPattern::beneath_cwd())),
            Rule::about(Capability::OsEnv, AnyPattern::EnvName(NamePattern::given())),
            Rule::of_module(Capability::KvRead),
            Rule::about(Capability::SqlOpen, AnyPattern::Sql(SqlPattern::beneath_cwd())),
        ],
        Fallback::Deny,
        public(),
    );
    let allow_net = rung(
        "allow-net",
        Some(&allow_fs),
        vec![
            Rule::of(Capability::HttpClient),
            Rule::about(Capability::SqlOpen, AnyPattern::Sql(SqlPattern::servers())),
        ],
        Fallback::Deny,
        public(),
    );
    let [loopback4, loopback6] = ServerPattern::loopback();
    let allow_local = rung(
        "allow-local",
        Some(&allow_net),
        vec![
            Rule::about(Capability::HttpServer, AnyPattern::Server(loopback4)),
            Rule::about(Capability::HttpServer, AnyPattern::Server(loopback6)),
            Rule::about(Capability::HttpServer, AnyPattern::Server(ServerPattern::operators())),
            Rule::about(Capability::OsExec, AnyPattern::Program(PathPattern::beneath_cwd())),
            Rule::of(Capability::K8sRead),
            Rule::of(Capability::K8sWrite),
            Rule::of(Capability::K8sConfig),
        ],
        Fallback::Deny,
        [AddressClass::Public, AddressClass::Loopback].into_iter().collect(),
    );
    let allow_all = rung("allow-all", Some(&allow_local), Vec::new(), Fallback::Allow, AddressClasses::all());
    [deny_all, allow_fs, allow_net, allow_local, allow_all]
});

impl Profile {
    /// The names of the built-in profiles, the lowest first.
    pub const NAMES: [&str; 5] = ["deny-all", "allow-fs", "allow-net", "allow-local", "allow-all"];

    /// The built-in profiles, the lowest first.
    pub fn ladder() -> &'static [Self; 5] {
        &LADDER
    }

    /// The built-in profile with this name.
    pub fn named(name: &str) -> Option<Self> {
        LADDER.iter().find(|profile| profile.name() == name).cloned()
    }

    /// The lowest profile: pure compute, `load()`, `print` and `log`.
    pub fn deny_all() -> Self {
        let [deny_all, ..] = &*LADDER;
        deny_all.clone()
    }
}

fn rung(name: &str, base: Option<&Profile>, allow: Vec<Rule>, fallback: Fallback, reach: AddressClasses) -> Profile {
    Profile::from_parts(Parts { name: name.to_owned(), base: base.cloned(), allow, deny: Vec::new(), fallback, reach })
}

fn public() -> AddressClasses {
    [AddressClass::Public].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rungs_add_what_the_design_says() {
        let rules = |profile: &Profile| -> Vec<String> { profile.allow().iter().map(Rule::to_string).collect() };
        let [deny_all, allow_fs, allow_net, allow_local, allow_all] = Profile::ladder();
        assert!(rules(deny_all).is_empty());
        let of_files = ["fs.read($CWD)", "fs.read($CWD/**)", "fs.write($CWD/**)", "fs.delete($CWD/**)"];
        assert_eq!(rules(allow_fs), [&of_files[..], &["os.env($ENV)", "kv.*", "sql.open(sqlite:$CWD/**)"]].concat());
        assert_eq!(rules(allow_net), ["http.client", "sql.open(postgres:**)"]);
        let of_servers = ["http.server(127.0.0.0/8:*)", "http.server([::1]:*)", "http.server($HOST:*)"];
        let rest = ["os.exec($CWD/**)", "k8s.read", "k8s.write", "k8s.config"];
        assert_eq!(rules(allow_local), [&of_servers[..], &rest].concat());
        assert_eq!(allow_all.fallback(), Fallback::Allow);
    }

    #[test]
    fn each_rung_stands_on_the_one_before() {
        for pair in Profile::ladder().windows(2) {
            if let [lower, higher] = pair {
                assert_eq!(higher.base(), Some(lower));
                assert!(lower.reach().is_subset(higher.reach()));
                assert!(higher.deny().is_empty());
            }
        }
        let names: Vec<_> = Profile::ladder().iter().map(Profile::name).collect();
        assert_eq!(names, Profile::NAMES);
        assert_eq!(Profile::named("allow-everything"), None);
        assert_eq!(Profile::default().name(), "deny-all");
    }
}
