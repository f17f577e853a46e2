//! Texts that a script chooses, as the audit log and the log write them: one line each, within its bound, nothing in it
//! that acts on a terminal, no field that the writer did not set, and every field as it was set.

use std::time::SystemTime;

use serde_json::Value;
use starcell_audit::{Arguments, CallRecord, Decision, Phase, Record, RecordKind, Subject};
use starcell_text::{ELLIPSIS, disturbs, escape_json, is_plain, one_line, push_json, push_json_bounded, terminal};

use crate::target::{Target, texts};

/// No record is longer.
const MAX_LINE: usize = 64 << 10;

/// The fields that a call may have, in the order of the schema.
const FIELDS: [&str; 29] = [
    "v",
    "kind",
    "time",
    "id",
    "node",
    "tenant",
    "app",
    "revision",
    "script",
    "policy",
    "request",
    "phase",
    "capability",
    "category",
    "resource",
    "argv",
    "env",
    "cwd",
    "object",
    "method",
    "store",
    "statement",
    "parameters",
    "dry_run",
    "decision",
    "rule",
    "needed",
    "file",
    "line",
];

pub(crate) fn target() -> Target {
    Target { name: "record", run, seeds: texts(SEEDS), words: WORDS }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parts: Vec<&str> = text.split('\u{0}').collect();
    shown(&text);
    object(&parts);
    record(&parts);
}

fn shown(text: &str) {
    let line = one_line(text);
    assert!(!line.contains(disturbs), "{line:?}");
    assert!(!terminal(text).contains(|c: char| disturbs(c) && c != '\n' && c != '\t'), "{text:?}");
    if is_plain(text) {
        assert_eq!(line, text);
    }
}

/// Names and values of a log line: the object has those and no others.
fn object(parts: &[&str]) {
    // The colon keeps names apart: without it the second part "0" and an empty eleventh one are both called "10".
    let name = |index: usize, part: &str| format!("{index}:{part}");
    let mut json = String::from("{");
    for (index, part) in parts.iter().enumerate() {
        json += if index == 0 { "" } else { "," };
        push_json(&mut json, &name(index, part));
        json.push(':');
        push_json(&mut json, part);
    }
    json.push('}');
    assert!(!json.contains(disturbs), "{json:?}");
    assert_eq!(escape_json(&json), json);
    let read: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    let read = read.as_object().expect("an object");
    assert_eq!(read.len(), parts.len());
    for (index, part) in parts.iter().enumerate() {
        assert_eq!(read[&name(index, part)], *part);
        let mut bounded = String::new();
        let cut = push_json_bounded(&mut bounded, part, 20);
        assert!(bounded.len() <= 22, "{bounded}");
        assert_eq!(cut, serde_json::from_str::<String>(&bounded).expect("JSON") != **part);
    }
}

fn record(parts: &[&str]) {
    let part = |index: usize| parts.get(index % parts.len()).copied().unwrap_or_default().to_owned();
    let category = ["fs.read", "http.client", "os.env", "os.exec", "k8s.write", "kv.read"][parts.len() % 6];
    let words = || Some(parts.iter().map(|part| (*part).to_owned()).collect());
    let (node, tenant, app) = (part(0), part(1), part(2));
    let revision = (parts.len() % 2 == 0).then(|| data_number(&part(3)));
    let subject = Subject { node, tenant, app, revision, script_digest: part(3), policy_digest: part(4) };
    let call = CallRecord {
        id: data_number(&part(5)),
        subject,
        request: Some(part(6)),
        phase: Phase::Request,
        capability: part(7),
        category: category.to_owned(),
        resource: part(8),
        arguments: Arguments {
            argv: words(),
            env: words(),
            cwd: Some(part(9)),
            object: Some(part(10)),
            method: None,
            store: Some(part(10)),
            statement: Some(part(11)),
            parameters: words(),
            dry_run: true,
        },
        decision: Decision::Deny,
        rule: Some(part(11)),
        needed: None,
        file: part(12),
        line: 7,
        cut: false,
    };
    let kind = RecordKind::Call(Box::new(call.clone()));
    let line = Record { time: SystemTime::UNIX_EPOCH, kind }.to_string();
    assert!(line.len() < MAX_LINE, "{} bytes", line.len());
    assert!(!line.contains(disturbs), "{line:?}");
    let read: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let names: Vec<&String> = read.as_object().expect("an object").keys().collect();
    assert!(names.iter().all(|name| FIELDS.contains(&name.as_str()) || *name == "cut"), "{names:?}");
    let read = Record::parse(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(read.to_string(), line);
    let RecordKind::Call(read) = read.kind else { panic!("{line}") };
    let texts =
        [(&call.subject.app, &read.subject.app), (&call.file, &read.file), (&call.capability, &read.capability)];
    for (given, found) in texts {
        assert!(given == found || (found.ends_with(ELLIPSIS) && read.cut), "{given:?} became {found:?}");
    }
    assert_eq!((read.id, read.decision, read.line), (call.id, call.decision, call.line));
}

fn data_number(text: &str) -> u64 {
    text.bytes().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()))
}

const SEEDS: &[&str] = &[
    "plain\u{0}words\u{0}of a script",
    "\",\"decision\":\"allow\u{0}\\\u{0}\u{1b}]0;t\u{7}\u{1b}[2J",
    "https://u:p@h.example/a?b#c\u{0}/bin/sh\u{0}-c\u{0}cat /etc/passwd",
    "\u{202e}\u{2028}\u{feff}\u{e0041}\u{61c}\u{ad}\u{200b}",
    "A=B\u{0}é 漢 ❤\u{fe0f}",
];

const WORDS: &[&str] =
    &["\",\"", "\":\"", "\\u", "\\", "\u{1b}[", "\u{9b}", "\r\n", "\u{202e}", "\u{2066}", "://", "@", "…", "}", "{"];
