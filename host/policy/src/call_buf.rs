//! Calls read from text: a line of an audit log, or a question of an operator.
//!
//! The text goes through the same constructors as a script's call, so it is judged as that call was. Time and again the
//! other way round is needed as well: the narrowest rule that would allow the call. Where a rule cannot spell a
//! character of the resource it takes a star, so such a rule may allow a little more, never less.

use std::{fmt, net::IpAddr};

use thiserror::Error;

use crate::{
    call::Call,
    capability::{AnyCall, Capability},
    path::CanonicalPath,
    roots::Roots,
    rule::Rule,
    sql::SqlSource,
    suggest::nearest,
    url::Url,
    url_pattern::covering_address,
};

/// A call that owns its resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallBuf(AnyCall);

/// The reason why a text is not a call.
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
        Self::read(capability, function, resource, None)
    }

    /// Reads `fs.read_text(data.txt)`, `http.get(https://h/x)` or `http.server.serve(:80)`; a path may start at `cwd`, and
    /// the resource may stand in quotes. A function that needs two capabilities is read as the last of them in the order
    /// of their names: `fs.rename` is the writing.
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
        let found = fitting.iter().rfind(|c| c.function(function).is_some());
        let capability = found.ok_or_else(|| unknown(function, &fitting))?;
        Self::read(*capability, function, quoted.unwrap_or(resource), Some(cwd))
    }

    fn read(
        capability: Capability,
        function: &str,
        resource: &str,
        cwd: Option<&CanonicalPath>,
    ) -> Result<Self, CallError> {
        let name = capability.function(function);
        let read = name.and_then(|name| AnyCall::read(capability, name, resource, cwd.map(CanonicalPath::as_str)));
        match (name, read) {
            (Some(_), Some(Ok(call))) => Ok(Self(call)),
            (Some(function), Some(Err(problem))) => {
                let resource = resource.chars().take(256).collect();
                Err(CallError::BadResource { function, resource, problem })
            }
            (None, _) | (_, None) => Err(unknown(function, &[capability])),
        }
    }

    /// The call, to be explained.
    pub fn call(&self) -> Call<'_> {
        Call::of(&self.0)
    }

    /// This call on each path that links give to its path, the place where they lead last: each of them is judged
    /// when the call is made.
    pub fn spellings(&self, roots: &Roots) -> Vec<Self> {
        match &self.0 {
            AnyCall::Path(function, path) => {
                let spellings = roots.spellings(path.clone()).into_iter();
                spellings.map(|path| Self(AnyCall::Path(*function, path))).collect()
            }
            AnyCall::Program(function, program) => {
                let spellings = roots.spellings(program.path().clone()).into_iter();
                spellings.map(|path| Self(AnyCall::Program(*function, path.into()))).collect()
            }
            AnyCall::Sql(function, SqlSource::Sqlite(path)) => {
                let spellings = roots.spellings(path.clone()).into_iter();
                spellings.map(|path| Self(AnyCall::Sql(*function, SqlSource::Sqlite(path)))).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// The URL of a request.
    pub fn url(&self) -> Option<&Url> {
        match &self.0 {
            AnyCall::Url(_, url) => Some(url),
            _ => None,
        }
    }

    /// The path of a call on files.
    pub fn path(&self) -> Option<&CanonicalPath> {
        match &self.0 {
            AnyCall::Path(_, path) => Some(path),
            _ => None,
        }
    }

    /// The resource that a rule needs to allow this call and as little else as rules can say.
    pub fn rule_resource(&self) -> String {
        self.0.covering()
    }

    /// The resource of a rule that lets this request connect to an address its host resolved to.
    pub fn address_rule_resource(&self, address: IpAddr) -> Option<String> {
        match self.url() {
            Some(url) => Some(covering_address(url, address)),
            None => self.call().resource().at_address(address),
        }
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

fn unknown(name: &str, among: &[Capability]) -> CallError {
    let known = among.iter().flat_map(|c| c.functions());
    CallError::UnknownFunction { name: name.chars().take(64).collect(), suggestion: nearest(name, known) }
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
            ("http.start([::1]:1)", "http.server(\"[::1]:1\")", "serve"),
            ("fs.rename(a)", "fs.write(\"/srv/a\")", "rename"),
            ("fs.read.walk(a)", "fs.read(\"/srv/a\")", "rename"),
            ("fs.copy_to(a)", "fs.write(\"/srv/a\")", "copy"),
            ("kv.incr(a)", "kv.write(\"a\")", "increment"),
            ("kv.get(a*)", "kv.read(\"a*\")", "get"),
            ("kv.list(a*)", "kv.read(\"a*\")", "list"),
            ("kv.list(*)", "kv.read(\"*\")", "list"),
            ("os.env(PATH)", "os.env(\"PATH\")", "env"),
            ("os.exec(./x)", "os.exec(\"/srv/x\")", "exec"),
            ("k8s.get(default/po)", "k8s.read(\"default/pods\")", "get"),
            ("k8s.list(*/po)", "k8s.read(\"*/pods\")", "list"),
            ("k8s.delete(prod/*)", "k8s.write(\"prod/*\")", "delete"),
            ("k8s.config(-)", "k8s.config(\"-\")", "config"),
        ] {
            let found = CallBuf::parse(text, &cwd()).unwrap();
            assert_eq!(found.to_string(), printed, "{text}");
            assert_eq!(found.call().function(), function, "{text}");
        }
        let key = CallBuf::parse("kv.list(a*)", &cwd()).unwrap();
        assert!(matches!(key.0, AnyCall::Key(_, key) if key.is_prefix()));
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
            ("k8s.config(-)", "-/*"),
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
