//! Calls and their resources: every spelling of one gets one answer, each rung of the ladder grants what the one below
//! grants, and the narrowest rule for a call allows it.

use starcell_policy::{CallBuf, CanonicalPath, Grants, Host, Profile, Roots, Rule, ServerAddress, Url};

use crate::rule::{RULES, WORDS};
use crate::target::{Target, texts};

pub(crate) fn target() -> Target {
    let mut seeds = texts(CALLS);
    seeds.extend(CALLS.iter().zip(RULES).map(|(call, rule)| format!("{call}\n{rule}").into_bytes()));
    Target { name: "call", run, seeds, words: WORDS }
}

/// One call of each kind, and some that are spelled with care.
pub(crate) const CALLS: &[&str] = &[
    "fs.read_text(a/../b.txt)",
    "fs.write_text(/etc/passwd)",
    "fs.remove(/srv/app/x)",
    "http.get(https://a.example.com/x?q#f)",
    "http.post(http://0x7f.1:80/%2e%2e/a)",
    "http.get(http://[::ffff:10.0.0.1]/)",
    "http.serve(127.0.0.1:8080)",
    "k8s.get(default/po)",
    "k8s.list(*/pods)",
    "kv.get(a:b)",
    "kv.list(a*)",
    "os.env(PATH)",
    "os.exec(/usr/bin/id)",
];

pub(crate) fn roots() -> Roots {
    let root = |path: &str| CanonicalPath::absolute(path).expect("the path is canonical");
    Roots::new(root("/srv/app")).with_home(root("/home/me"))
}

pub(crate) fn asked(text: &str) -> Option<CallBuf> {
    CallBuf::parse(text, roots().cwd()).ok()
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (call, rule) = text.split_once('\n').map_or((text.as_ref(), None), |(call, rule)| (call, Some(rule)));
    spellings(call);
    let Some(asked) = asked(call) else { return };
    assert!(!asked.to_string().contains(|c: char| c.is_control()), "{asked}");
    let grants = |profile: &Profile, allow: &[Rule]| Grants::new(profile, allow, &[], &roots());
    let answers: Vec<bool> = Profile::ladder()
        .iter()
        .filter_map(|rung| grants(rung, &[]).ok())
        .map(|grants| grants.explain(&asked.call()).is_allowed())
        .collect();
    assert!(answers.len() == 5 && answers.is_sorted(), "{asked}: {answers:?}");
    assert_eq!((answers.first(), answers.last()), (Some(&false), Some(&true)), "{asked}");

    let narrowest = asked.rule_for(&[asked.call().function()], &asked.rule_resource());
    let granted = grants(&Profile::deny_all(), std::slice::from_ref(&narrowest)).expect("one rule is not too many");
    assert!(granted.explain(&asked.call()).is_allowed(), "{narrowest} does not allow {asked}");
    let denied = grants(&Profile::deny_all(), &[]).expect("none is not too many").explain(&asked.call());
    if let Some(advice) = denied.granting_rule() {
        let granted = grants(&Profile::deny_all(), std::slice::from_ref(advice)).expect("one rule is not too many");
        assert!(granted.explain(&asked.call()).is_allowed(), "{advice} does not allow {asked}");
    }
    // What an audit log says of a call is read as that call.
    let text = asked.call().resource_text();
    if !text.ends_with('…') {
        let again = CallBuf::new(asked.call().capability(), asked.call().function(), &text);
        assert_eq!(again.map(|again| again.to_string()), Ok(asked.to_string()), "{text:?}");
    }
    let Some(Ok(rule)) = rule.map(Rule::parse) else { return };
    narrowed(&asked, &rule);
}

/// An app's own rule never gives it more than its tenant has.
fn narrowed(asked: &CallBuf, rule: &Rule) {
    for rung in Profile::ladder() {
        let tenant = Grants::new(rung, &[], &[], &roots()).expect("a rung is not too many");
        let Ok(app) = Grants::new(&Profile::deny_all(), std::slice::from_ref(rule), &[], &roots()) else { return };
        let is_allowed = |grants: &Grants| grants.explain(&asked.call()).is_allowed();
        assert_eq!(is_allowed(&tenant.narrow(&app)), is_allowed(&tenant) && is_allowed(&app), "{asked} under {rule}");
    }
}

/// A resource that was brought to its one spelling stays there.
fn spellings(text: &str) {
    let inside = text.split_once('(').map_or(text, |(_, rest)| rest.strip_suffix(')').unwrap_or(rest));
    if let Ok(url) = Url::parse(inside) {
        // The query is for the server alone: rules do not see it, and the log does not show it.
        let printed = |text: &str| Url::parse(text).map(|url| url.to_string());
        assert_eq!(printed(&url.to_string()), Ok(url.to_string()));
        for origin in [url.origin(), url.origin().to_ascii_uppercase()] {
            assert_eq!(printed(&format!("{origin}{}", url.path())), Ok(url.to_string()), "{origin}");
        }
    }
    if let Ok(host) = Host::parse(inside) {
        let printed = host.to_string();
        assert_eq!(Host::parse(&printed).as_ref(), Ok(&host), "{printed}");
        assert_eq!(Host::parse(&inside.to_ascii_uppercase()).as_ref(), Ok(&host), "{inside}");
    }
    if let Ok(path) = CanonicalPath::resolve(inside, roots().cwd()) {
        assert_eq!(CanonicalPath::absolute(path.as_str()).as_ref(), Ok(&path), "{path}");
        assert!(!path.as_str().split('/').any(|segment| matches!(segment, "." | "..")), "{path}");
    }
    if let Ok(address) = ServerAddress::new(inside, 80) {
        assert_eq!(ServerAddress::new(&address.host().to_string(), 80).as_ref(), Ok(&address));
    }
}
