//! What the operator of a node writes: its configuration, the description of an app, the tokens of its operators. Each is
//! read as a whole, or refused with a place inside the file.

use starcell_config::{AppManifest, ConfigError, NodeConfig, Tokens};

use crate::target::{Target, texts};

const NODE: &str = "[node]\nname = \"n\"\nstate = \"s\"\napps = \"a\"\nidle = \"10m\"\n[listeners.web]\naddress = \"127.0.0.1:80\"\n\
                    [profiles.p]\nbase = \"allow-local\"\n[tenants.t]\nprofile = \"p\"\nweight = 2\n\
                    quotas = { requests = { limit = \"9/s\", mode = \"count\" }, memory = \"1MiB\" }\n";
const APP: &str = "tenant = \"t\"\nhosts = [\"a.example\"]\npath = \"/shop\"\nenv = { A = \"b\" }\n\
                   secrets = { K = { file = \"k\" } }\nschedule = [{ every = \"1h\", path = \"/t\" }, { cron = \"*/5 * * * *\", path = \"/c\" }]\n";
const TOKENS: &str = "# who\nci operate operate-0123456789\nshop read t read-0123456789ab\n";

pub(crate) fn target() -> Target {
    let join = |kind: &str, text: &str| format!("{kind}{text}");
    let seeds = [join("n", NODE), join("a", APP), join("t", TOKENS), join("t", "0123456789abcdef")];
    let seeds: Vec<&str> = seeds.iter().map(String::as_str).collect();
    Target { name: "node", run, seeds: texts(&seeds), words: WORDS }
}

/// The first byte says which of the files it is.
fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut rest = text.chars();
    let kind = rest.next();
    let text = rest.as_str();
    match kind {
        Some('a') => {
            let node = NodeConfig::parse(NODE, "starcell.toml").expect("the node's own file is right");
            match AppManifest::parse(text, "app.toml", &node) {
                Ok(app) => {
                    assert!(node.tenants.contains_key(&app.tenant), "{:?} is no tenant", app.tenant);
                    assert_eq!(AppManifest::parse(text, "app.toml", &node).as_ref(), Ok(&app), "read twice");
                    let prefix = &app.prefix;
                    assert!(prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/')), "{prefix:?}");
                }
                Err(error) => placed(&error, text),
            }
        }
        Some('t') => match Tokens::parse(text, "tokens") {
            Ok(tokens) => {
                let strongest = tokens.strongest().expect("a file without a token is refused");
                for token in tokens.iter() {
                    assert!(token.role <= strongest.role || strongest.tenant.is_none());
                    assert!(!format!("{token:?}").contains(token.secret()) || token.name.contains(token.secret()));
                }
            }
            Err(error) => placed(&error, text),
        },
        _ => match NodeConfig::parse(text, "starcell.toml") {
            Ok(node) => {
                assert_eq!(NodeConfig::parse(text, "starcell.toml").as_ref(), Ok(&node), "read twice");
                assert!(node.tenants.values().all(|tenant| tenant.weight >= 1));
            }
            Err(error) => placed(&error, text),
        },
    }
}

/// The place of an error is one that an editor can go to.
fn placed(error: &ConfigError, text: &str) {
    let lines = text.split('\n').count();
    assert!((1..=lines).contains(&error.line()) && error.column() >= 1, "{error} of {lines} lines");
    let line = text.split('\n').nth(error.line() - 1).unwrap_or_default();
    assert!(error.column() <= line.chars().count() + 2, "{error} of {line:?}");
}

const WORDS: &[&str] = &[
    "[node]",
    "[listeners.",
    "[tenants.",
    "[profiles.",
    "[admin]",
    "[kv]",
    "[metrics]",
    "[telemetry]",
    "address = ",
    "profile = ",
    "quotas = ",
    "weight = ",
    "tenant = ",
    "hosts = ",
    "path = ",
    "secrets = ",
    "schedule = ",
    "every = ",
    "cron = ",
    "limits = ",
    "\"1MiB\"",
    "\"5/s\"",
    "\"10m\"",
    "mode = \"count\"",
    "past = \"throttle\"",
    " operate ",
    " read ",
    "127.0.0.1:0",
    "unix:",
    "redis://",
    "file:",
];
