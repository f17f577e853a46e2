//! Answers that an auditor gets from a log: use, the least profile, another policy tried on it.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    convert::Infallible,
    time::{Duration, SystemTime},
};

use common::subject;
use proptest::{prelude::*, sample::select};
use starcell_audit::{
    After, Arguments, CallRecord, Decision, Event, Hash, Open, Outcome, OutcomeRecord, Phase, Record, RecordKind,
    Widen, events, least, replay, summary,
};
use starcell_policy::{CanonicalPath, Capability, Grants, Profile, Roots, Rule};

fn call(id: u64, capability: &str, category: &str, resource: &str, decision: Decision) -> CallRecord {
    CallRecord {
        id,
        subject: subject(),
        request: None,
        phase: Phase::Setup,
        capability: capability.into(),
        category: category.into(),
        resource: resource.into(),
        arguments: Arguments::default(),
        decision,
        rule: None,
        needed: None,
        file: "shop.star".into(),
        line: 3,
        cut: false,
    }
}

fn record(kind: RecordKind) -> Result<Record, Infallible> {
    Ok(Record { time: SystemTime::UNIX_EPOCH, kind })
}

fn asked(id: u64, decision: Decision) -> Result<Record, Infallible> {
    record(RecordKind::Call(Box::new(call(id, "fs.stat", "fs.read", "/a", decision))))
}

fn opened(after: After) -> Result<Record, Infallible> {
    record(RecordKind::Open(Open { previous: Hash::ZERO, at: 0, after, torn_bytes: 0 }))
}

fn ended(id: u64, outcome: Outcome) -> Result<Record, Infallible> {
    let duration = Duration::from_micros(10);
    record(RecordKind::Outcome(OutcomeRecord { id, outcome, duration, bytes: 5 }))
}

/// Calls that were done, from `capability category resource`.
fn done(calls: &[[&str; 3]]) -> Vec<Result<Event, Infallible>> {
    let event = |[capability, category, resource]: &[&str; 3]| {
        let call = Box::new(call(1, capability, category, resource, Decision::Allow));
        let time = SystemTime::UNIX_EPOCH;
        Ok(Event { time, call, outcome: Some(Outcome::Ok), duration: Duration::ZERO, bytes: 0 })
    };
    calls.iter().map(event).collect()
}

fn roots() -> Roots {
    Roots::new(CanonicalPath::absolute("/srv/app").unwrap())
}

fn granting(rules: &[Rule]) -> Grants {
    Grants::new(&Profile::deny_all(), rules, &[], &roots()).unwrap()
}

fn printed(rules: &[Rule]) -> Vec<String> {
    rules.iter().map(Rule::to_string).collect()
}

#[test]
fn a_call_without_an_outcome_is_unknown() {
    let records = [
        opened(After::Nothing),
        asked(1, Decision::Allow),
        asked(2, Decision::Allow),
        asked(3, Decision::Deny),
        asked(4, Decision::WouldDeny),
        opened(After::Rotation),
        ended(1, Outcome::Ok),
        opened(After::Moved),
        ended(4, Outcome::Error),
        ended(99, Outcome::Ok),
        opened(After::Kill),
        // The ids of another run.
        asked(1, Decision::Allow),
        ended(2, Outcome::Ok),
    ];
    let events: Vec<Event> = events(records.into_iter()).map(Result::unwrap).collect();
    let found: Vec<_> = events.iter().map(|e| (e.call.id, e.outcome)).collect();
    assert_eq!(
        found,
        [
            (3, None),
            (1, Some(Outcome::Ok)),
            (4, Some(Outcome::Error)),
            (2, Some(Outcome::Unknown)),
            (1, Some(Outcome::Unknown)),
        ]
    );
    let found = summary(events.into_iter().map(Ok::<_, Infallible>)).unwrap();
    assert_eq!(
        found.text(),
        "acme/shop\n  fs.stat(/a)                                        \
         1 ok, 1 error, 2 unknown, 1 denied, 1 of them would-deny\n\
         total: 1 ok, 1 error, 2 unknown, 1 denied, 1 of them would-deny; 20us, 10 bytes\n"
    );
    let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(json["rows"][0]["unknown"], 2);
    assert_eq!(json["total"]["bytes"], 10);
}

#[test]
fn a_summary_keeps_apps_apart_and_shows_what_is_there() {
    let mut events =
        done(&[["kv.get", "kv.read", "b\u{202e}\n"], ["kv.get", "kv.read", "a"], ["kv.get", "kv.read", "a"]]);
    events[1].as_mut().unwrap().call.subject.app = "other".into();
    let found = summary(events.into_iter()).unwrap();
    let rows: Vec<_> = found.rows.iter().map(|r| (r.app.as_str(), r.resource.as_str(), r.counts.ok)).collect();
    assert_eq!(rows, [("other", "a", 1), ("shop", "a", 1), ("shop", "b\u{202e}\n", 1)]);
    assert!(found.text().contains("kv.get(b\\u202e\\n)"), "{}", found.text());
    let nothing = summary(done(&[]).into_iter()).unwrap();
    assert_eq!(nothing.text(), "total: nothing; 0s, 0 bytes\n");
}

#[test]
fn the_least_profile_is_exact_until_it_is_widened() {
    let calls = [
        ["fs.read_text", "fs.read", "/srv/a"],
        ["fs.stat", "fs.read", "/srv/a"],
        ["fs.stat", "fs.read", "/srv/b"],
        ["fs.mkdir", "fs.write", "/srv"],
        ["os.exec", "os.exec", "/usr/bin/id"],
        ["http.get", "http.client", "https://h.example/a"],
        ["http.get", "http.client", "https://h.example/a 93.184.216.34"],
        ["http.post", "http.client", "https://h.example/b"],
        ["http.get", "http.client", "http://db.example:8080/q"],
        ["http.get", "http.client", "http://db.example:8080/q 10.0.0.5"],
        ["http.server.serve", "http.server", "127.0.0.1:8080"],
        ["kv.get", "kv.read", "user:1"],
        ["kv.list", "kv.read", "user:*"],
        ["kv.set", "kv.write", "user:1"],
        ["k8s.list", "k8s.read", "*/pods"],
        ["k8s.list", "k8s.read", "default/pods"],
        ["k8s.config", "k8s.config", "-"],
        ["os.env", "os.env", "PATH"],
    ];
    let found = least(done(&calls).into_iter(), Widen::default()).unwrap();
    let exact = [
        "fs.read[read_text,stat](/srv/a)",
        "fs.read[stat](/srv/b)",
        "fs.write[mkdir](/srv)",
        "http.client[GET](http://10.0.0.5:8080/q)",
        "http.client[GET](http://db.example:8080/q)",
        "http.client[GET](https://h.example/a)",
        "http.client[POST](https://h.example/b)",
        "http.server[serve](127.0.0.1:8080)",
        "k8s.config[config](-/*)",
        "k8s.read[list](*/pods)",
        "kv.read[list](user:*)",
        "kv.read[get](user:1)",
        "kv.write[set](user:1)",
        "os.env[env](PATH)",
        "os.exec[exec](/usr/bin/id)",
    ];
    assert_eq!(printed(&found.allow), exact);
    assert_eq!((found.calls, found.unjudged.len()), (calls.len() as u64, 0));
    assert_eq!(found.text(), exact.map(|rule| format!("{rule}\n")).concat());
    let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(json, serde_json::json!({ "allow": exact }));

    let widened = least(done(&calls).into_iter(), Widen { paths: true, hosts: true }).unwrap();
    let wide = [
        "fs.read[read_text,stat](/srv/*)",
        "fs.write[mkdir](/*)",
        "http.client[GET](http://10.0.0.5:8080)",
        "http.client[GET](http://db.example:8080)",
        "http.client[GET,POST](https://h.example)",
    ];
    assert_eq!(printed(&widened.allow)[..5], wide);
    assert_eq!(printed(&widened.allow)[5..], exact[7..]);
}

#[test]
fn what_cannot_be_judged_is_told_and_never_allowed() {
    let mut events = done(&[
        ["fs.stat", "fs.read", "relative"],
        ["fs.stat", "fs.reed", "/a"],
        ["fs.fly", "fs.read", "/a"],
        ["fs.stat", "fs.read", "/long…"],
        ["fs.stat", "fs.read", "/plain…"],
        ["fs.stat", "fs.read", "/denied"],
    ]);
    events[3].as_mut().unwrap().call.cut = true;
    events[5].as_mut().unwrap().call.decision = Decision::Deny;
    let events = || events.clone().into_iter();
    let found = least(events(), Widen::default()).unwrap();
    assert_eq!(printed(&found.allow), ["fs.read[stat](/plain…)"]);
    let problems: Vec<_> = found.unjudged.iter().map(|u| u.problem.as_str()).collect();
    assert_eq!(
        problems,
        [
            "unknown function \"fly\"",
            "the resource was too long to be recorded whole",
            "stat does not act on \"relative\": the path is not absolute",
            "unknown capability \"fs.reed\"",
        ]
    );
    assert!(found.text().contains("not judged: fs.fly(/a): unknown function \"fly\" (1 call)\n"));
    let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(json["unjudged"][0]["resource"], "/a");
    let everything = Grants::new(&Profile::named("allow-all").unwrap(), &[], &[], &roots()).unwrap();
    let replayed = replay(events(), &everything).unwrap();
    assert_eq!((replayed.allowed, replayed.unjudged.len()), (2, 4));
}

#[test]
fn what_needs_no_rule_is_neither_judged_nor_allowed() {
    let events = done(&[["time.now", "time", ""], ["random.bytes", "random", ""], ["kv.get", "kv.read", "a"]]);
    let found = least(events.clone().into_iter(), Widen::default()).unwrap();
    assert_eq!((printed(&found.allow), found.unjudged.len()), (vec!["kv.read[get](a)".to_owned()], 0));
    let replayed = replay(events.into_iter(), &granting(&[])).unwrap();
    assert_eq!((replayed.allowed, replayed.denied.len(), replayed.unjudged.len()), (2, 1, 0));
}

#[test]
fn a_profile_is_spelled_for_the_file() {
    let quoted = "/srv/\"a\\\"";
    let events = done(&[["kv.get", "kv.read", "a"], ["kv.get", "kv.read", quoted], ["fs.fly", "fs.read", "/a"]]);
    let found = least(events.into_iter(), Widen::default()).unwrap();
    assert_eq!(
        found.toml("shop"),
        "# not judged: fs.fly(/a): unknown function \"fly\" (1 call)\n\
         [profiles.shop]\nbase = \"deny-all\"\nallow = [\n    \
         \"kv.read[get](/srv/\\\"a\\\\\\\")\",\n    \"kv.read[get](a)\",\n]\n"
    );
}

#[test]
fn a_replay_tells_what_another_profile_would_deny() {
    let mut events = done(&[
        ["fs.read_text", "fs.read", "/srv/app/a"],
        ["fs.write_text", "fs.write", "/etc/passwd"],
        ["fs.write_text", "fs.write", "/etc/passwd"],
        ["http.get", "http.client", "http://h.example/ 169.254.169.254"],
    ]);
    events[2].as_mut().unwrap().call.decision = Decision::Deny;
    let net = Grants::new(&Profile::named("allow-net").unwrap(), &[], &[], &roots()).unwrap();
    let found = replay(events.into_iter(), &net).unwrap();
    assert_eq!(found.allowed, 1);
    assert_eq!(
        found.text(),
        "would be denied: acme/shop: fs.write_text(/etc/passwd) at shop.star:3, 2 calls, 1 of them denied when it was recorded\n  \
           allow-net: no rule grants it\n  \
           granted from allow-all\n  \
           granted by the rule fs.write(/etc/passwd)\n\
         would be denied: acme/shop: http.get(http://h.example/ 169.254.169.254) at shop.star:3, 1 call\n  \
           allow-net: no metadata addresses\n  \
           granted from allow-all\n  \
           granted by the rule http.client(169.254.169.254)\n\
         1 call allowed; denied: 3 calls, 1 of them denied when it was recorded\n"
    );
    let json: serde_json::Value = serde_json::from_str(&found.json()).unwrap();
    assert_eq!(json["denied"][0]["needed"], "allow-all");
    assert_eq!(json["denied"][0]["rule"], "fs.write(/etc/passwd)");
}

fn path() -> impl Strategy<Value = String> {
    let segment = select(vec!["srv", "a", "b", "a*", "*", "**", "x$y", "$CWD", "é", "a b", "(x)"]);
    prop::collection::vec(segment, 0..4).prop_map(|s| format!("/{}", s.join("/")))
}

fn url() -> impl Strategy<Value = String> {
    let host = select(vec!["h.example", "localhost", "10.0.0.5", "8.8.8.8", "[::1]", "[64:ff9b::a00:5]"]);
    let path = select(vec!["/", "/a", "/a/b", "/a/*", "/*/b", "/%2A", "/x/**"]);
    let address = select(vec!["", "", " 10.0.0.5", " 8.8.8.8", " 127.0.0.1", " ::1", " 169.254.169.254"]);
    (select(vec!["http", "https"]), host, select(vec!["", ":81"]), path, address).prop_map(
        |(scheme, host, port, path, address)| {
            // An address of its own is the one it is reached at.
            let address = if host.ends_with(".example") || host == "localhost" { address } else { "" };
            format!("{scheme}://{host}{port}{path}{address}")
        },
    )
}

fn any_call() -> impl Strategy<Value = [String; 3]> {
    let of = |category: &'static str, resource: BoxedStrategy<String>| {
        let functions = Capability::named(category).unwrap().functions();
        (select(functions), resource).prop_map(move |(function, resource)| {
            let module = category.split('.').next().unwrap();
            [format!("{module}.{}", function.to_lowercase()), category.to_owned(), resource]
        })
    };
    let words = |words: &[&'static str]| select(words.to_vec()).prop_map(str::to_owned).boxed();
    prop_oneof![
        of("fs.read", path().boxed()),
        of("fs.write", path().boxed()),
        of("os.exec", path().boxed()),
        of("http.client", url().boxed()),
        of("http.client", url().boxed()),
        of("kv.read", words(&["a", "ab", "a*", "*", "a*b"])),
        of("kv.write", words(&["a", "a*"])),
        of("k8s.read", words(&["default/pods", "*/pods", "-/nodes", "-", "kube-system/pods"])),
        of("http.server", words(&["127.0.0.1:0", "127.0.0.1:80", "0.0.0.0:80", "[::1]:80"])),
        of("os.env", words(&["A", "AB"])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_least_profile_allows_all_and_needs_each_rule(
        calls in prop::collection::vec(any_call(), 1..12),
        paths in any::<bool>(),
        hosts in any::<bool>(),
    ) {
        let calls: Vec<_> = calls.iter().map(|c| c.each_ref().map(String::as_str)).collect();
        let found = least(done(&calls).into_iter(), Widen { paths, hosts }).unwrap();
        prop_assert_eq!(&found.unjudged, &[]);
        // As an operator gives them.
        let rules: Vec<Rule> = found.allow.iter().map(|rule| rule.to_string().parse().unwrap()).collect();
        let denied = |rules: &[Rule]| replay(done(&calls).into_iter(), &granting(rules)).unwrap().denied;
        prop_assert_eq!(denied(&rules), vec![], "{:?}", printed(&rules));
        for left_out in 0..rules.len() {
            let mut fewer = rules.clone();
            let rule = fewer.remove(left_out);
            prop_assert!(!denied(&fewer).is_empty(), "{} is needless in {:?}", rule, printed(&rules));
        }
    }
}
