//! Calls read from text: a line of an audit log, or a question of an operator.
//!
//! The text goes through the same constructors as a script's call, so it is judged as that call was. Time and again the
//! other way round is needed as well: the narrowest rule that would allow the call. Where a rule cannot spell a
//! character of the resource it takes a star, so such a rule may allow a little more, never less.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use thiserror::Error;

use crate::{
    call::Call,
    capability::{
        Capability, EnvFunction, ExecFunction, HttpMethod, K8sFunction, KvFunction, PathFunction, ResourceKind,
        ServerFunction,
    },
    host::Host,
    kubernetes::{KubernetesError, KubernetesObject},
    name::{EnvName, KvKey},
    path::{CanonicalPath, ProgramPath},
    rule::{MAX_RULE, Rule},
    server::ServerAddress,
    suggest::nearest,
    url::Url,
};

/// A call that owns its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallBuf(Parts);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Parts {
    Env(EnvFunction, EnvName),
    Exec(ExecFunction, ProgramPath),
    Http(HttpMethod, Url),
    K8s(K8sFunction, KubernetesObject),
    Kv(KvFunction, KvKey),
    Path(PathFunction, CanonicalPath),
    Server(ServerFunction, ServerAddress),
}

/// Why a text is not a call.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The resource cannot be what the function acts on.
    #[error("{function} does not act on {resource:?}: {problem}")]
    BadResource {
        /// The function.
        function: &'static str,
        /// The resource as given, at most 256 characters of it.
        resource: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is not `module.function(resource)`.
    #[error("expected a call such as fs.read_text(/srv/data.txt)")]
    NotACall,
    /// No capability has this function.
    #[error("unknown function {name:?}{}", suggestion.map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    UnknownFunction {
        /// The name as given, at most 64 characters of it.
        name: String,
        /// The function that was probably meant.
        suggestion: Option<&'static str>,
    },
}

impl CallBuf {
    /// A function of a capability and the resource it acts on, written as calls and permits print it.
    pub fn new(capability: Capability, function: &str, resource: &str) -> Result<Self, CallError> {
        let root = CanonicalPath::absolute("/").map_err(|e| bad("", resource, e))?;
        Self::read(capability, function, resource, None, &root)
    }

    /// Reads `fs.read_text(data.txt)`, `http.get(https://h/x)` or `http.server.serve(:80)`; a path may start at `cwd`, and
    /// the resource may stand in quotes.
    pub fn parse(text: &str, cwd: &CanonicalPath) -> Result<Self, CallError> {
        let (name, rest) = text.trim().split_once('(').ok_or(CallError::NotACall)?;
        let resource = rest.strip_suffix(')').ok_or(CallError::NotACall)?.trim();
        let quoted = resource.strip_prefix('"').and_then(|r| r.strip_suffix('"'));
        let (module, function) = name.trim().split_once('.').ok_or(CallError::NotACall)?;
        let (category, function) = match function.split_once('.') {
            Some((category, function)) => (Some(category), function),
            None => (None, function),
        };
        let of_module = Capability::ALL.into_iter().filter(|c| c.module() == module);
        let fitting: Vec<Capability> = of_module.filter(|c| category.is_none_or(|name| c.category() == name)).collect();
        let found = fitting.iter().find(|c| c.functions().iter().any(|f| is_named(f, function)));
        let capability = found.ok_or_else(|| unknown(function, &fitting))?;
        Self::read(*capability, function, quoted.unwrap_or(resource), Some(cwd), cwd)
    }

    fn read(
        capability: Capability,
        function: &str,
        resource: &str,
        relative_to: Option<&CanonicalPath>,
        cwd: &CanonicalPath,
    ) -> Result<Self, CallError> {
        let functions = capability.functions();
        let found = functions.into_iter().find(|f| is_named(f, function));
        let name = found.ok_or_else(|| unknown(function, &[capability]))?;
        let not_here = || unknown(name, &[capability]);
        let path = || match relative_to {
            Some(cwd) => CanonicalPath::resolve(resource, cwd).map_err(|e| bad(name, resource, e)),
            None => CanonicalPath::absolute(resource).map_err(|e| bad(name, resource, e)),
        };
        Ok(Self(match capability.kind() {
            ResourceKind::EnvName => {
                let variable = EnvName::new(resource).map_err(|e| bad(name, resource, e))?;
                Parts::Env(EnvFunction::named(name).ok_or_else(not_here)?, variable)
            }
            ResourceKind::Key => {
                let function = KvFunction::named(name).ok_or_else(not_here)?;
                let key = match resource.strip_suffix('*').filter(|_| function == KvFunction::List) {
                    Some(prefix) => KvKey::prefix(prefix),
                    None => KvKey::new(resource),
                };
                Parts::Kv(function, key.map_err(|e| bad(name, resource, e))?)
            }
            ResourceKind::Object => {
                let object = object(resource).map_err(|e| bad(name, resource, e))?;
                Parts::K8s(K8sFunction::named(name).ok_or_else(not_here)?, object)
            }
            ResourceKind::Path => Parts::Path(PathFunction::named(name).ok_or_else(not_here)?, path()?),
            ResourceKind::Program => {
                path()?;
                let program = ProgramPath::resolve(resource, cwd).map_err(|e| bad(name, resource, e))?;
                Parts::Exec(ExecFunction::named(name).ok_or_else(not_here)?, program)
            }
            ResourceKind::Server => {
                let address = server(resource).ok_or_else(|| bad(name, resource, "expected address:port"))?;
                Parts::Server(ServerFunction::named(name).ok_or_else(not_here)?, address)
            }
            ResourceKind::Url => {
                let url = Url::parse(resource).map_err(|e| bad(name, resource, e))?;
                Parts::Http(HttpMethod::named(name).ok_or_else(not_here)?, url)
            }
        }))
    }

    /// The call, to be explained.
    pub fn call(&self) -> Call<'_> {
        match &self.0 {
            Parts::Env(function, name) => Call::env(*function, name),
            Parts::Exec(function, program) => Call::exec(*function, program),
            Parts::Http(method, url) => Call::http_client(*method, url),
            Parts::K8s(function, object) => Call::k8s(*function, object),
            Parts::Kv(function, key) => Call::kv(*function, key),
            Parts::Path(function, path) => Call::path(*function, path),
            Parts::Server(function, address) => Call::http_server(*function, address),
        }
    }

    /// The URL of a request.
    pub fn url(&self) -> Option<&Url> {
        match &self.0 {
            Parts::Http(_, url) => Some(url),
            _ => None,
        }
    }

    /// The path of a call on files.
    pub fn path(&self) -> Option<&CanonicalPath> {
        match &self.0 {
            Parts::Path(_, path) => Some(path),
            _ => None,
        }
    }

    /// The resource that a rule needs to allow this call and as little else as rules can say.
    pub fn rule_resource(&self) -> String {
        match &self.0 {
            Parts::Exec(_, program) => path_glob(program.path()),
            Parts::Http(_, url) => url_pattern(url, None),
            // A rule names a kind; the cluster itself has none.
            Parts::K8s(_, object) if object.kind().is_none() && object.namespace().is_none() => format!("{object}/*"),
            Parts::Path(_, path) => path_glob(path),
            _ => self.call().full_resource(),
        }
    }

    /// The resource of a rule that lets this request connect to an address its host resolved to.
    pub fn address_rule_resource(&self, address: IpAddr) -> Option<String> {
        self.url().map(|url| url_pattern(url, Some(address)))
    }

    /// The rule for functions of this call's capability on a resource; without one where it is too long for a rule.
    pub fn rule_for(&self, functions: &[&str], resource: &str) -> Rule {
        let capability = self.call().capability();
        let list = if functions.is_empty() { String::new() } else { format!("[{}]", functions.join(",")) };
        let rule = Rule::parse(&format!("{capability}{list}({resource})"));
        rule.or_else(|_| Rule::parse(&format!("{capability}{list}"))).unwrap_or_else(|_| Rule::of(capability))
    }
}

impl fmt::Display for CallBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call().fmt(f)
    }
}

/// `try_read_text` is `read_text`, which does not end the script; methods are written in either case.
fn is_named(function: &str, name: &str) -> bool {
    let bare = name.strip_prefix("try_").unwrap_or(name);
    function.eq_ignore_ascii_case(bare) || function.eq_ignore_ascii_case(name)
}

fn unknown(name: &str, among: &[Capability]) -> CallError {
    let known = among.iter().flat_map(|c| c.functions());
    CallError::UnknownFunction { name: name.chars().take(64).collect(), suggestion: nearest(name, known) }
}

fn bad(function: &'static str, resource: &str, problem: impl fmt::Display) -> CallError {
    CallError::BadResource { function, resource: resource.chars().take(256).collect(), problem: problem.to_string() }
}

/// `namespace/kind`, `namespace/*`, `*/kind`, `-/kind` or `-`, as objects print.
fn object(text: &str) -> Result<KubernetesObject, KubernetesError> {
    match text.split_once('/') {
        Some(("*", kind)) => KubernetesObject::in_all_namespaces(kind),
        Some(("-", kind)) => KubernetesObject::in_cluster(kind),
        Some((namespace, "*")) => KubernetesObject::all_in_namespace(namespace),
        Some((namespace, kind)) => KubernetesObject::in_namespace(namespace, kind),
        None if text == "-" => Ok(KubernetesObject::cluster()),
        None => Err(KubernetesError::BadKind),
    }
}

/// `address:port`; without an address the one that servers have by default.
fn server(text: &str) -> Option<ServerAddress> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.into());
    }
    let (host, port) = text.rsplit_once(':')?;
    ServerAddress::new(if host.is_empty() { "localhost" } else { host }, port.parse().ok()?).ok()
}

/// A path glob that matches the path: stars for what a rule cannot spell, and for what it is too short to hold.
fn path_glob(path: &CanonicalPath) -> String {
    let glob = starred(path.as_str(), |c| c == '*' || c == '$' || c.is_control());
    // Room for the capability and a list of functions.
    let limit = MAX_RULE - 512;
    if glob.len() <= limit {
        return glob;
    }
    let kept = glob.get(..glob.floor_char_boundary(limit)).unwrap_or_default();
    let folder = kept.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/**")
}

/// A URL pattern that matches the URL, or with an address the connection to it.
fn url_pattern(url: &Url, address: Option<IpAddr>) -> String {
    let origin = match address {
        None => url.origin(),
        Some(address) => {
            let host = Host::Address(address.to_canonical());
            format!("{}://{host}:{}", url.scheme().as_str(), url.port())
        }
    };
    let path = starred(&url.path().replace("%2A", "*"), |c| c == '*');
    // Without a path the rule is about all of them.
    if origin.len() + path.len() > MAX_RULE - 512 { origin } else { origin + &path }
}

/// The text with one star for each run of characters that a rule cannot spell.
fn starred(text: &str, unspeakable: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if !unspeakable(c) {
            out.push(c);
        } else if !out.ends_with('*') {
            out.push('*');
        }
        out
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn cwd() -> CanonicalPath {
        CanonicalPath::absolute("/srv").unwrap()
    }

    #[test]
    fn calls_are_read() {
        for (text, printed, function) in [
            ("fs.read_text(a/../b)", "fs.read(\"/srv/b\")", "read_text"),
            ("fs.try_read_text(\"/a (b)\")", "fs.read(\"/a (b)\")", "read_text"),
            (" fs.read.stat(/a) ", "fs.read(\"/a\")", "stat"),
            ("http.get(https://H.example/x?q)", "http.client(\"https://h.example/x\")", "GET"),
            ("http.server.serve(localhost:80)", "http.server(\"127.0.0.1:80\")", "serve"),
            ("http.serve(:8080)", "http.server(\"127.0.0.1:8080\")", "serve"),
            ("http.start([::1]:1)", "http.server(\"[::1]:1\")", "start"),
            ("kv.get(a*)", "kv.read(\"a*\")", "get"),
            ("kv.list(a*)", "kv.read(\"a*\")", "list"),
            ("kv.list(*)", "kv.read(\"*\")", "list"),
            ("os.env(PATH)", "os.env(\"PATH\")", "env"),
            ("os.exec(./x)", "os.exec(\"/srv/x\")", "exec"),
            ("k8s.get(default/po)", "k8s.read(\"default/pods\")", "get"),
            ("k8s.list(*/po)", "k8s.read(\"*/pods\")", "list"),
            ("k8s.delete(prod/*)", "k8s.write(\"prod/*\")", "delete"),
            ("k8s.version(-)", "k8s.read(\"-\")", "version"),
        ] {
            let found = CallBuf::parse(text, &cwd()).unwrap();
            assert_eq!(found.to_string(), printed, "{text}");
            assert_eq!(found.call().function(), function, "{text}");
        }
        let key = CallBuf::parse("kv.list(a*)", &cwd()).unwrap();
        assert!(matches!(key.0, Parts::Kv(KvFunction::List, key) if key.is_prefix()));
    }

    #[test]
    fn what_is_no_call_is_told() {
        for (text, told) in [
            ("fs.read_text", "expected a call such as fs.read_text(/srv/data.txt)"),
            ("fs.read_text(/a", "expected a call such as fs.read_text(/srv/data.txt)"),
            ("fs.raed_text(/a)", "unknown function \"raed_text\"; did you mean `read_text`?"),
            ("time.now(x)", "unknown function \"now\""),
            ("fs.stat(/a/../..)", "stat does not act on \"/a/../..\": the path climbs above the root folder"),
            ("os.exec(id)", "exec does not act on \"id\": a program is named by its path, never looked up in PATH"),
            ("http.serve(x.example:1)", "serve does not act on \"x.example:1\": expected address:port"),
            ("http.get(http://u:p@h/)", ""),
        ] {
            let error = CallBuf::parse(text, &cwd()).unwrap_err().to_string();
            assert!(error.starts_with(told), "{text}: {error}");
        }
        assert!(CallBuf::new(Capability::FsRead, "stat", "a").is_err(), "relative");
        assert!(CallBuf::new(Capability::FsRead, "write_text", "/a").is_err());
    }

    #[test]
    fn rules_spell_what_they_can() {
        let long = format!("/{}", ["x".repeat(200).as_str(); 20].join("/"));
        for (text, resource) in [
            ("fs.stat(/a/$HOME/b*c**)", "/a/*HOME/b*c*"),
            ("fs.stat(/a\nb)", "/a*b"),
            ("http.get(https://h.example/a**/%2A%2a)", "https://h.example/a*/*"),
            ("http.get(http://h.example:81)", "http://h.example:81/"),
            ("kv.list(a*)", "a*"),
            ("k8s.version(-)", "-/*"),
            ("http.serve(:80)", "127.0.0.1:80"),
        ] {
            let call = CallBuf::parse(text, &cwd()).unwrap();
            assert_eq!(call.rule_resource(), resource, "{text}");
        }
        let long = CallBuf::new(Capability::FsRead, "stat", &long).unwrap();
        assert!(long.rule_resource().ends_with("x/**"));
        assert!(long.rule_for(&["stat"], &long.rule_resource()).resource().is_some());
        let call = CallBuf::parse("http.get(http://db.example/a)", &cwd()).unwrap();
        let resource = call.address_rule_resource("::ffff:10.0.0.5".parse().unwrap()).unwrap();
        assert_eq!(call.rule_for(&["GET"], &resource).to_string(), "http.client[GET](http://10.0.0.5/a)");
    }
}
