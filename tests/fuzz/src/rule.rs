//! Rules: parsed, printed and parsed again; errors that point into the text; deny over allow.

use starcell_policy::{Grants, Profile, Rule};

use crate::call::{CALLS, asked, roots};
use crate::target::{Target, texts};

pub(crate) fn target() -> Target {
    Target { name: "rule", run, seeds: texts(RULES), words: WORDS }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let rule = match Rule::parse(&text) {
        Ok(rule) => rule,
        Err(error) => {
            assert!(text.is_char_boundary(error.position()), "the error is at {} of {text:?}", error.position());
            return;
        }
    };
    let printed = rule.to_string();
    assert_eq!(Rule::parse(&printed).as_ref(), Ok(&rule), "{printed}");
    assert!(rule.includes(&rule) && rule.overlaps(&rule), "{printed} is not like itself");
    assert!(rule.capabilities().next().is_some(), "{printed} is about nothing");
    let rules = std::slice::from_ref(&rule);
    let grants = |profile: &Profile, allow: &[Rule], deny: &[Rule]| Grants::new(profile, allow, deny, &roots()).ok();
    let (Some(given), Some(taken)) =
        (grants(&Profile::deny_all(), rules, &[]), grants(&Profile::ladder()[4], rules, rules))
    else {
        return;
    };
    for call in CALLS.iter().filter_map(|call| asked(call)) {
        let allowed = given.explain(&call.call()).is_allowed();
        assert!(!allowed || !taken.explain(&call.call()).is_allowed(), "{printed} is allowed and denied for {call}");
    }
}

pub(crate) const RULES: &[&str] = &[
    "*.*",
    "fs.read($CWD/**)",
    "fs.read[stat,listdir]($HOME/*.txt)",
    "http.client(https://*.example.com/a/**)",
    "http.client[GET,post](10.0.0.0/8)",
    "http.client([fd00::/8]:443)",
    "http.server(127.0.0.1:*)",
    "http.server(:8080)",
    "k8s.read(*/pods)",
    "k8s.*(-/nodes)",
    "kv.*(a:*)",
    "kv.read[list](*)",
    "os.env(PATH)",
    "os.exec(/usr/bin/*)",
];

pub(crate) const WORDS: &[&str] = &[
    "fs.",
    "os.",
    "kv.",
    "k8s.",
    "http.",
    "read",
    "write",
    "delete",
    "env",
    "exec",
    "client",
    "server",
    "config",
    "*",
    "**",
    "$CWD",
    "$HOME",
    "[",
    "]",
    "(",
    ")",
    ",",
    "://",
    "http",
    "https",
    "0x7f",
    "0177",
    "::ffff:",
    "[::1]",
    "127.0.0.1",
    "/8",
    ":80",
    "..",
    "%2e",
    "%2F",
    "%00",
    "localhost",
    "xn--",
    "default/",
    "pods",
    "GET",
    "get",
    "stat",
    "list",
    "é",
    "\u{202e}",
    ".",
    "@",
];
