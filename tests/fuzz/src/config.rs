//! `starcell.toml`: read as a whole, or refused with a place inside the file.

use starcell_config::{Config, diff, ladder_json, ladder_text};
use starcell_policy::{Profile, Rule};

use crate::call::roots;
use crate::target::{Target, texts};

pub(crate) fn target() -> Target {
    let seeds = texts(&[
        "default_profile = \"web\"\n[profiles.web]\nbase = \"allow-fs\"\nallow = [\"http.client(https://api.example.com)\"]\ndeny = [\"fs.read(/etc/**)\"]\n",
        "[profiles.default]\nbase = 'a'\n[profiles.a]\nbase = \"b\"\n[profiles.b]\nallow = ['kv.*', \"os.env(A\\u0042*)\"]\n",
        "[profiles.a]\nbase = \"b\"\n[profiles.b]\nbase = \"a\"\n",
        "profiles.x.allow = [\"fs.raed\"]\n",
        "profiles = { \"deny-all\" = {} }\n",
    ]);
    Target { name: "config", run, seeds, words: WORDS }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let config = match Config::parse(&text, "starcell.toml") {
        Ok(config) => config,
        Err(error) => {
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&error.line()) && error.column() >= 1, "{error} of {lines} lines");
            let line = text.split('\n').nth(error.line() - 1).unwrap_or_default();
            assert!(error.column() <= line.chars().count() + 2, "{error} of {line:?}");
            return;
        }
    };
    for profile in config.profiles() {
        assert_eq!(config.profile(profile.name()).as_ref(), Ok(profile));
        for rule in profile.allow().iter().chain(profile.deny()) {
            assert_eq!(Rule::parse(&rule.to_string()).as_ref(), Ok(rule), "{rule}");
        }
        assert!(diff(profile, profile, &roots()).is_empty(), "{} differs from itself", profile.name());
        let base = profile.base().map_or_else(Profile::deny_all, Clone::clone);
        let _ = diff(&base, profile, &roots()).json();
    }
    assert!(!ladder_text(config.known()).is_empty() && ladder_json(config.known()).starts_with(['{', '[']));
}

const WORDS: &[&str] = &[
    "default_profile",
    "[profiles.",
    "profiles",
    "base",
    "allow",
    "deny",
    " = ",
    "[",
    "]",
    "\"",
    "'",
    "\"\"\"",
    "\\u0041",
    "\n",
    "#",
    "{",
    "}",
    "deny-all",
    "allow-fs",
    "allow-all",
    "default",
    "fs.read",
    "http.client",
    "kv.*",
    "(",
    ")",
    "\r\n",
    "\u{feff}",
];
