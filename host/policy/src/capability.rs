//! The closed list of what a script may be refused.
//!
//! A capability is a `module.category` pair with the script functions it covers and the kind of resource those functions
//! act on. The list is made of types, not of strings, so that a call cannot pair a function with a resource of another
//! kind, and so that a misspelt name in a rule is an error instead of a rule that silently matches nothing. Every function
//! is asked for by some function of wit/, which a test checks. Time and randomness are not here: every script has them.

use std::{fmt, net::IpAddr};

use crate::{
    glob::Fault,
    kubernetes::KubernetesObject,
    name::{EnvName, KvKey},
    path::{CanonicalPath, ProgramPath},
    registry::registry,
    resource::{MissingRoot, Pattern, Reading, Resource},
    roots::Roots,
    server::ServerAddress,
    sql::SqlSource,
    suggest::nearest,
    url::Url,
};

registry! {
    /// A function on a path.
    PathFunction of Path(CanonicalPath), "paths" {
        /// `fs.delete`: remove files and folders.
        FsDelete "fs" "delete":
            Remove "remove" beneath;
        /// `fs.read`: read files, list folders, look at metadata. What is renamed is read too: under its new name it
        /// could be read where its old one was out of reach.
        FsRead "fs" "read":
            Exists "exists", Glob "glob", Listdir "listdir", ReadBytes "read_bytes", ReadText "read_text",
            RenameFrom "rename" beneath ("walk"), Resolve "resolve", Stat "stat";
        /// `fs.write`: create, change and move files.
        FsWrite "fs" "write":
            AppendText "append_text", Copy "copy" beneath ("copy_to"), Mkdir "mkdir", Rename "rename" beneath,
            WriteBytes "write_bytes", WriteText "write_text";
    }

    /// The method of an outgoing request.
    HttpMethod of Url(Url), "URLs" {
        /// `http.client`: send a request; the function is the method.
        HttpClient "http" "client":
            Delete "DELETE", Get "GET", Head "HEAD", Options "OPTIONS", Patch "PATCH", Post "POST", Put "PUT";
    }

    /// A function that binds a listener.
    ServerFunction of Server(ServerAddress), "server addresses" {
        /// `http.server`: bind a listener.
        HttpServer "http" "server":
            Serve "serve" ("start");
    }

    /// A function on Kubernetes objects.
    K8sFunction of Object(KubernetesObject), "kubernetes objects" {
        /// `k8s.config`: choose a cluster, and read the configuration in use.
        K8sConfig "k8s" "config":
            Config "config";
        /// `k8s.read`: read cluster objects and logs.
        K8sRead "k8s" "read":
            Get "get", List "list", Logs "logs";
        /// `k8s.write`: change cluster objects.
        K8sWrite "k8s" "write":
            Apply "apply", Create "create", Delete "delete", Patch "patch", Replace "replace";
    }

    /// A function on keys of the key-value store.
    KvFunction of Key(KvKey), "keys" {
        /// `kv.read`: read the key-value store.
        KvRead "kv" "read":
            Exists "exists", Get "get", List "list" beneath;
        /// `kv.write`: change the key-value store.
        KvWrite "kv" "write":
            CompareAndSet "compare_and_set", Delete "delete", Increment "increment" ("incr"), Set "set";
    }

    /// A function on an environment variable.
    EnvFunction of EnvName(EnvName), "environment variables" {
        /// `os.env`: read environment variables, and the name of the machine, which is the variable HOSTNAME.
        OsEnv "os" "env":
            Env "env", Hostname "hostname";
    }

    /// A function on a program.
    ExecFunction of Program(ProgramPath), "programs" {
        /// `os.exec`: run a program of the host.
        OsExec "os" "exec":
            Exec "exec", Which "which";
        /// `os.network`: a program that is run may make sockets. No function asks for it; `os.exec` looks whether it is
        /// granted.
        OsNetwork "os" "network":
            Network "network";
    }

    /// A function on a database.
    SqlFunction of Sql(SqlSource), "databases" {
        /// `sql.open`: use a database. What only reads is `query`, and the database is told to refuse whatever would
        /// write; `exec` may do both.
        SqlOpen "sql" "open":
            Exec "exec", Query "query" ("open");
    }
}

/// A function of the list, which knows its capability and what it acts on.
pub trait Function: Copy + fmt::Debug + 'static {
    /// What it acts on.
    type Resource: Registered;

    /// The capability it needs.
    fn capability(self) -> Capability;

    /// Its name in a script and in a rule's function list.
    fn name(self) -> &'static str;

    /// Whether it acts on everything beneath the resource at once, so that a deny rule for something beneath must stop
    /// it: moving a folder away would otherwise free its denied contents.
    fn takes_beneath(self) -> bool;
}

/// A resource whose kind is in the table.
pub trait Registered: Resource {
    /// The pattern as one for this kind; none for a rule about another one.
    fn pattern(any: &AnyPattern) -> Option<&Self::Pattern>;
}

/// A resource of any kind, asked about rules of any kind.
///
/// Names select a rule before its pattern is looked at, and a capability has one kind, so a pattern of another kind is
/// never met. If it were, it would grant nothing and deny everything.
pub(crate) trait Judged: fmt::Debug + fmt::Display {
    fn granted_by(&self, pattern: &AnyPattern) -> bool;
    fn denied_by(&self, pattern: &AnyPattern, address: Option<IpAddr>, beneath: bool) -> bool;
    fn reached_by(&self, pattern: &AnyPattern, address: IpAddr) -> bool;
    fn own_address(&self) -> Option<IpAddr>;
    fn at_address(&self, address: IpAddr) -> Option<String>;
    fn in_rule(&self) -> Option<String>;
}

impl<R: Registered> Judged for R {
    fn granted_by(&self, pattern: &AnyPattern) -> bool {
        R::pattern(pattern).is_some_and(|pattern| pattern.grants(self))
    }

    fn denied_by(&self, pattern: &AnyPattern, address: Option<IpAddr>, beneath: bool) -> bool {
        R::pattern(pattern).is_none_or(|pattern| pattern.denies(self, address, beneath))
    }

    fn reached_by(&self, pattern: &AnyPattern, address: IpAddr) -> bool {
        R::pattern(pattern).is_some_and(|pattern| pattern.reaches(self, address))
    }

    fn own_address(&self) -> Option<IpAddr> {
        self.address()
    }

    fn at_address(&self, address: IpAddr) -> Option<String> {
        Resource::at_address(self, address)
    }

    fn in_rule(&self) -> Option<String> {
        Resource::in_rule(self)
    }
}

impl Capability {
    /// The capability written `module.category`.
    pub fn named(name: &str) -> Option<Self> {
        let (module, category) = name.split_once('.')?;
        Self::ALL.into_iter().find(|c| c.module() == module && c.category() == category)
    }

    /// The capabilities that have a function which a script calls by this name; its twin `try_name` is the same one.
    pub fn needed_for(module: &str, function: &str) -> Vec<Self> {
        let of_module = Self::ALL.into_iter().filter(|capability| capability.module() == module);
        of_module.filter(|capability| capability.function(function).is_some()).collect()
    }

    /// The known module most like `name`.
    pub(crate) fn module_like(name: &str) -> Option<&'static str> {
        nearest(name, Self::ALL.into_iter().map(Self::module))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module(), self.category())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_the_capability() {
        for capability in Capability::ALL {
            assert_eq!(Capability::named(&capability.to_string()), Some(capability));
        }
        assert_eq!(Capability::named("fs"), None);
        assert_eq!(Capability::named("fs.reads"), None);
        assert_eq!(Capability::named("time.now"), None);
        assert!(Capability::ALL.map(|capability| capability.to_string()).is_sorted());
    }

    #[test]
    fn every_capability_has_functions_and_none_is_listed_twice() {
        for capability in Capability::ALL {
            let mut names = capability.functions();
            assert!(!names.is_empty(), "{capability}");
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{capability}");
            assert!(names.iter().all(|name| capability.function(name) == Some(*name)), "{capability}");
        }
    }

    #[test]
    fn functions_know_their_capability() {
        assert_eq!(PathFunction::named("remove").map(PathFunction::capability), Some(Capability::FsDelete));
        assert_eq!(HttpMethod::named("get"), Some(HttpMethod::Get));
        assert_eq!(HttpMethod::named("CONNECT"), None);
        for (module, function, needed) in [
            ("fs", "try_rename", &[Capability::FsRead, Capability::FsWrite][..]),
            ("http", "get", &[Capability::HttpClient]),
            ("http", "start", &[Capability::HttpServer]),
            ("kv", "incr", &[Capability::KvWrite]),
            ("os", "setenv", &[]),
            ("k8s", "exec", &[]),
        ] {
            assert_eq!(Capability::needed_for(module, function), needed, "{module}.{function}");
        }
    }

    #[test]
    fn a_pattern_of_another_kind_grants_nothing_and_denies_everything() {
        let address = "127.0.0.1".parse().ok();
        for kind in Capability::ALL.map(Capability::kind) {
            let text = ["/**", "*/*", "A*", "h", ":80", "postgres:**"]
                .into_iter()
                .find_map(|text| AnyPattern::parse(kind, text).ok());
            let name = EnvName::new("A");
            let (Some(pattern), Ok(name)) = (text, name) else { unreachable!("{kind} takes one of these") };
            let own = kind == ResourceKind::EnvName;
            assert_eq!(name.granted_by(&pattern), own, "{kind}");
            assert!(name.denied_by(&pattern, address, false), "{kind}");
        }
    }

    #[test]
    fn a_misspelt_module_has_a_suggestion() {
        assert_eq!(Capability::module_like("htpp"), Some("http"));
        assert_eq!(Capability::module_like("random"), None);
    }
}
