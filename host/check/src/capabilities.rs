//! What a script can ask the host for.
//!
//! The list errs on one side only: what is on it may never be called, what is not on it cannot be. So a module that is
//! used as a value counts as all of it, and an attribute whose name only running tells counts as any.

use serde::Serialize;
use starcell_policy::{Capability, Fallback, Profile};
use starlark::codemap::{FileSpan, Span};
use starlark::syntax::ast::Argument;

use crate::builtins::builtins;
use crate::diagnostic::End;
use crate::facts::Facts;
use crate::program::File;
use crate::values::{Made, format_needs};

/// A capability that a script can reach, at one place.
#[derive(Clone, Debug)]
pub struct Reach {
    /// The capability.
    pub capability: Capability,
    /// What leads to it, as the script says it.
    pub via: String,
    /// Where.
    pub at: FileSpan,
}

impl Reach {
    /// What JSON says of it.
    #[must_use]
    pub fn record(&self) -> ReachRecord<'_> {
        let span = self.at.resolve_span();
        ReachRecord {
            capability: self.capability.to_string(),
            profile: lowest(self.capability),
            via: &self.via,
            file: self.at.filename(),
            line: span.begin.line + 1,
            column: span.begin.column + 1,
            end: End { line: span.end.line + 1, column: span.end.column + 1 },
        }
    }
}

/// A reached capability as JSON has it.
#[derive(Debug, Serialize)]
pub struct ReachRecord<'r> {
    capability: String,
    /// The lowest built-in profile that grants it.
    profile: &'static str,
    via: &'r str,
    file: &'r str,
    line: usize,
    column: usize,
    end: End,
}

/// The lowest built-in profile that grants a capability, for some resource at least.
#[must_use]
pub fn lowest(capability: Capability) -> &'static str {
    let grants = |profile: &&Profile| {
        profile.fallback() == Fallback::Allow
            || profile
                .lineage()
                .iter()
                .any(|of| of.allow().iter().any(|rule| rule.capabilities().any(|c| c == capability)))
    };
    Profile::ladder().iter().find(grants).map_or("allow-all", Profile::name)
}

/// The lowest built-in profile that grants them all.
#[must_use]
pub fn lowest_of(reached: &[Reach]) -> &'static str {
    let rung = |name: &str| Profile::NAMES.iter().position(|rung| *rung == name);
    let names = reached.iter().map(|reach| lowest(reach.capability));
    names.max_by_key(|name| rung(name)).unwrap_or("deny-all")
}

/// The capabilities that a function of a module needs: those that have a function of its name, and what some do beyond
/// their name.
#[must_use]
pub fn needs(module: &str, function: &str) -> Vec<Capability> {
    let function = function.strip_prefix("try_").unwrap_or(function);
    match (module, function) {
        ("fs", "copy") => vec![Capability::FsRead, Capability::FsWrite],
        // The value of `http.url` can do nothing else than ask, and the method of a request may be in a variable.
        ("http", "batch" | "request" | "url") => vec![Capability::HttpClient],
        // Where relative paths start is a path like any other.
        ("os", "cwd") => vec![Capability::FsRead],
        ("kv", "update") => vec![Capability::KvRead, Capability::KvWrite],
        _ => [Capability::needed_for(module, function), format_needs(module, function)].concat(),
    }
}

/// The capabilities that the methods of a server need, by their names.
#[must_use]
pub fn server_method_needs(method: &str) -> Vec<Capability> {
    match method.strip_prefix("try_").unwrap_or(method) {
        "serve" | "start" => vec![Capability::HttpServer],
        _ => Vec::new(),
    }
}

/// What a whole script can reach, in the order of its files and lines.
pub(crate) fn reached(files: &[(&File, Facts<'_>)]) -> Vec<Reach> {
    let servers = files.iter().any(|(_, facts)| makes_servers(facts));
    let made = Made::by(files.iter().map(|(_, facts)| facts));
    let mut reached = Vec::new();
    for (file, facts) in files {
        for mention in &facts.mentions {
            let (via, capabilities) = match mention.member {
                Some(member) => (format!("{}.{member}", mention.module), needs(mention.module, member)),
                None => (format!("{} (as a value)", mention.module), all_of(mention.module)),
            };
            reached.extend(capabilities.into_iter().map(|capability| Reach {
                capability,
                via: via.clone(),
                at: file.ast.file_span(mention.span),
            }));
        }
        for attribute in facts.attributes.iter().filter(|_| servers) {
            let (via, capabilities) = match attribute.name {
                Some(name) => (format!(".{name}"), server_method_needs(name)),
                None => ("getattr".to_owned(), vec![Capability::HttpServer]),
            };
            reached.extend(capabilities.into_iter().map(|capability| Reach {
                capability,
                via: via.clone(),
                at: file.ast.file_span(attribute.span),
            }));
        }
        for attribute in &facts.attributes {
            let via = attribute.name.map_or_else(|| "getattr".to_owned(), |name| format!(".{name}"));
            reached.extend(made.attribute_needs(attribute.name).into_iter().map(|capability| Reach {
                capability,
                via: via.clone(),
                at: file.ast.file_span(attribute.span),
            }));
        }
        reached.extend(files_read(facts, servers).into_iter().map(|(via, span)| Reach {
            capability: Capability::FsRead,
            via,
            at: file.ast.file_span(span),
        }));
    }
    reached
}

/// Whether a file can have a server in its hands.
fn makes_servers(facts: &Facts<'_>) -> bool {
    let leads = |member: Option<&str>| member.is_none_or(|member| matches!(member, "server" | "try_server"));
    facts.mentions.iter().any(|mention| mention.module == "http" && leads(mention.member))
}

/// Arguments that name a file or folder, which is judged as `fs.read` is: with the functions that take them.
const FILE_ARGUMENTS: [(&str, &str, &[&str]); 4] = [
    ("http", "serve", &["tls_cert", "tls_key"]),
    ("http", "server", &["tls_cert", "tls_key"]),
    ("k8s", "config", &[KUBECONFIG]),
    ("os", "exec", &["cwd"]),
];

/// The one of them that may come without its name, as the first.
const KUBECONFIG: &str = "kubeconfig";

/// Where a file may be read by an argument, and what leads there.
fn files_read(facts: &Facts<'_>, servers: bool) -> Vec<(String, Span)> {
    let mut found = Vec::new();
    for mention in &facts.mentions {
        let Some(member) = mention.member else { continue };
        let plain = member.strip_prefix("try_").unwrap_or(member);
        let takes = FILE_ARGUMENTS.iter().find(|(module, name, _)| *module == mention.module && *name == plain);
        if let Some((.., names)) = takes.filter(|(.., names)| may_name(facts, mention.span, names)) {
            found.push((format!("{}.{member} ({})", mention.module, names.join(", ")), mention.span));
        }
    }
    for attribute in facts.attributes.iter().filter(|_| servers) {
        let starts = attribute.name.is_none_or(|name| !server_method_needs(name).is_empty());
        if starts && may_name(facts, attribute.span, &["tls_cert", "tls_key"]) {
            let name = attribute.name.map_or_else(|| "getattr".to_owned(), |name| format!(".{name}"));
            found.push((format!("{name} (tls_cert, tls_key)"), attribute.span));
        }
    }
    found
}

/// Whether what is at a place may be called with one of these arguments: it is, or its arguments are not to be seen.
fn may_name(facts: &Facts<'_>, callee: Span, names: &[&str]) -> bool {
    facts.call_of(callee).is_none_or(|call| {
        call.args.iter().any(|arg| match &arg.node {
            Argument::Named(name, _) => names.contains(&name.node.as_str()),
            Argument::KwArgs(_) => true,
            Argument::Positional(_) | Argument::Args(_) => names.contains(&KUBECONFIG),
        })
    })
}

/// Everything that a module can lead to.
fn all_of(module: &str) -> Vec<Capability> {
    let members = builtins().module(module).into_iter().flat_map(|module| module.members.keys());
    let mut all: Vec<Capability> = members.flat_map(|member| needs(module, member)).collect();
    if FILE_ARGUMENTS.iter().any(|(of, ..)| *of == module) {
        all.push(Capability::FsRead);
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The modules of the capabilities.
    fn privileged() -> BTreeSet<&'static str> {
        Capability::ALL.into_iter().map(Capability::module).collect()
    }

    /// Adding a function to a privileged module without deciding what it needs is noticed here.
    #[test]
    fn every_function_of_a_privileged_module_is_decided_upon() {
        const FREE: [(&str, &str); 7] = [
            // A path asks for what its methods do.
            ("fs", "path"),
            ("http", "config"),
            ("http", "cookie"),
            ("http", "error"),
            ("http", "redirect"),
            ("http", "response"),
            ("http", "server"),
        ];
        for module in privileged() {
            for name in builtins().module(module).into_iter().flat_map(|module| module.members.keys()) {
                let free = FREE.contains(&(module, name.strip_prefix("try_").unwrap_or(name)));
                assert_ne!(needs(module, name).is_empty(), !free, "{module}.{name}");
            }
        }
    }

    #[test]
    fn other_modules_lead_to_files_alone() {
        let modules = builtins().modules();
        for module in modules.into_iter().filter(|module| !privileged().contains(module)) {
            let reads = builtins().function(module, "file").is_some();
            let expected = if reads { vec![Capability::FsRead] } else { Vec::new() };
            assert_eq!(all_of(module), expected, "{module}");
        }
    }

    #[test]
    fn the_lowest_profile_is_the_first_that_grants() {
        for (capability, profile) in [
            (Capability::FsDelete, "allow-fs"),
            (Capability::FsRead, "allow-fs"),
            (Capability::HttpClient, "allow-net"),
            (Capability::HttpServer, "allow-local"),
            (Capability::K8sRead, "allow-local"),
            (Capability::KvRead, "allow-fs"),
            (Capability::KvWrite, "allow-fs"),
            (Capability::OsEnv, "allow-fs"),
            (Capability::OsExec, "allow-local"),
        ] {
            assert_eq!(lowest(capability), profile, "{capability}");
        }
        assert_eq!(lowest_of(&[]), "deny-all");
    }
}
