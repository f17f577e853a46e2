//! Records as text and back.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, SystemTime};

use proptest::{prelude::*, sample::select};
use starcell_audit::{
    ActionRecord, After, Arguments, CallRecord, Decision, Hash, Open, Outcome, OutcomeRecord, Phase, Record,
    RecordKind, Subject,
};

fn time() -> impl Strategy<Value = SystemTime> {
    // To the end of the year 9999.
    (0..253_402_300_800_000_000u64).prop_map(|micros| SystemTime::UNIX_EPOCH + Duration::from_micros(micros))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9/.:-]{0,40}",
        any::<String>(),
        "\\PC{0,600}",
        select(vec![
            "https://u:p@h/a?b#c",
            "\u{202e}\r\n\0\u{7f}\"\\",
            "http.client",
            "os.env",
            "A=B",
            "http://h 10.0.0.1"
        ])
        .prop_map(str::to_owned),
    ]
}

fn call() -> impl Strategy<Value = RecordKind> {
    let subject = (text(), text(), text(), any::<Option<u64>>(), text(), text()).prop_map(
        |(node, tenant, app, revision, script_digest, policy_digest)| Subject {
            node,
            tenant,
            app,
            revision,
            script_digest,
            policy_digest,
        },
    );
    let optional = || prop::option::of(text());
    let decided = (
        select(vec![Decision::Allow, Decision::Deny, Decision::WouldDeny]),
        select(vec![Phase::Setup, Phase::Request]),
        any::<bool>(),
    );
    let numbers = (any::<u64>(), any::<u32>());
    let words = || prop::option::of(prop::collection::vec(text(), 0..20));
    let of_sql = (optional(), words());
    let arguments = (words(), words(), optional(), optional(), optional(), optional(), of_sql, any::<bool>()).prop_map(
        |(argv, env, cwd, object, method, store, (statement, parameters), dry_run)| Arguments {
            argv,
            env,
            cwd,
            object,
            method,
            store,
            statement,
            parameters,
            dry_run,
        },
    );
    let texts = (text(), text(), text(), text());
    (subject, (optional(), optional(), optional(), arguments), texts, decided, numbers).prop_map(
        |(
            subject,
            (request, rule, needed, arguments),
            (capability, category, resource, file),
            (decision, phase, cut),
            (id, line),
        )| {
            RecordKind::Call(Box::new(CallRecord {
                id,
                subject,
                request,
                phase,
                capability,
                category,
                resource,
                arguments,
                decision,
                rule,
                needed,
                file,
                line,
                cut,
            }))
        },
    )
}

fn action() -> impl Strategy<Value = RecordKind> {
    let optional = || prop::option::of(text());
    let decision = select(vec![Decision::Allow, Decision::Deny]);
    let texts = (text(), text(), text());
    (any::<u64>(), texts, (optional(), optional(), optional(), optional(), optional()), decision).prop_map(
        |(id, (node, actor, action), (tenant, app, role, detail, reason), decision)| {
            let found =
                ActionRecord { id, node, tenant, app, actor, role, action, detail, decision, reason, cut: false };
            RecordKind::Action(Box::new(found))
        },
    )
}

fn kind() -> impl Strategy<Value = RecordKind> {
    let outcome = (any::<u64>(), any::<u64>(), any::<u64>(), any::<bool>()).prop_map(|(id, micros, bytes, ok)| {
        let outcome = if ok { Outcome::Ok } else { Outcome::Error };
        RecordKind::Outcome(OutcomeRecord { id, outcome, duration: Duration::from_micros(micros), bytes })
    });
    let after = select(vec![After::Close, After::Kill, After::Nothing, After::Rotation]);
    let open = ("[0-9a-f]{64}", any::<u64>(), after, any::<u64>()).prop_map(|(hash, at, after, torn_bytes)| {
        RecordKind::Open(Open { previous: hash.parse::<Hash>().unwrap(), at, after, torn_bytes })
    });
    let gap = (any::<u64>(), any::<u64>()).prop_map(|(refused, lost)| RecordKind::Gap { refused, lost });
    prop_oneof![4 => call(), 2 => action(), 1 => outcome, 1 => open, 1 => gap, 1 => Just(RecordKind::Close)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_printed_reads_back(time in time(), kind in kind()) {
        let written = Record { time, kind };
        let line = written.to_string();
        prop_assert!(line.len() < 64 << 10);
        prop_assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{}", line);
        // Bounded and without secrets, and nothing else is lost.
        let read = Record::parse(&line).unwrap();
        prop_assert_eq!(read.time, time);
        prop_assert_eq!(read.to_string(), line);
        if !matches!(read.kind, RecordKind::Call(_) | RecordKind::Action(_)) {
            prop_assert_eq!(&read, &written);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\{\"v\":1,\"kind\":\"(action|call|open|gap)\",.{0,200}") {
        let _ = Record::parse(&text);
    }
}

#[test]
fn plain_values_are_kept_whole() {
    let line = concat!(
        r#"{"v":1,"kind":"call","time":"2026-11-24T01:02:03.000456Z","id":7,"node":"n","tenant":"t","app":"a","#,
        r#""script":"5c","policy":"7f","request":"r","phase":"request","capability":"fs.read_text","#,
        r#""category":"fs.read","resource":"/srv/é","decision":"would-deny","rule":"fs.read","needed":"allow-fs","#,
        r#""file":"a.star","line":3}"#
    );
    let record = Record::parse(line).unwrap();
    assert_eq!(record.to_string(), line);
    let RecordKind::Call(call) = record.kind else { panic!() };
    assert_eq!((call.decision, call.resource.as_str(), call.cut), (Decision::WouldDeny, "/srv/é", false));
}

#[test]
fn what_is_not_of_the_schema_is_refused() {
    let gap = r#"{"v":1,"kind":"gap","time":"2026-11-24T01:02:03.000000Z","refused":1,"lost":0}"#;
    assert!(Record::parse(gap).is_ok());
    for (from, to, told) in [
        ("\"v\":1", "\"v\":2", "version 2 of the schema"),
        ("\"gap\"", "\"gaps\"", "unknown kind \"gaps\""),
        ("\"lost\":0", "\"lost\":0,\"more\":1", "unknown field `more`"),
        ("\"lost\":0", "\"lost\":0,\"lost\":0", "duplicate field `lost`"),
        (",\"lost\":0", "", "missing field `lost`"),
        ("\"lost\":0", "\"lost\":-1", "invalid value"),
        (".000000Z", ".000Z", "a time has microseconds"),
        ("2026", "26", "timestamp"),
        ("}", "", "EOF"),
        ("}", "} x", "trailing characters"),
    ] {
        let error = Record::parse(&gap.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn an_action_has_its_actor_and_no_field_that_it_lacks() {
    let line = concat!(
        r#"{"v":1,"kind":"action","time":"2026-11-24T01:02:03.000456Z","id":7,"node":"n","app":"a","actor":"ci","#,
        r#""role":"operate","action":"rollback","detail":"revision=3","decision":"allow"}"#
    );
    let record = Record::parse(line).unwrap();
    assert_eq!(record.to_string(), line);
    let RecordKind::Action(action) = record.kind else { panic!() };
    assert_eq!((action.actor.as_str(), action.tenant, action.reason), ("ci", None, None));
}
