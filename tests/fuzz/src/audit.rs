//! Lines of an audit log: what reads as a record prints as one line that reads the same, nothing in it acts on a
//! terminal, and the least profile for what was done allows all of it.

use std::convert::Infallible;

use starcell_audit::{Anchors, Evidence, Record, Records, Widen, events, least, replay, summary, verify_against};
use starcell_policy::{Grants, Profile};

use crate::call::roots;
use crate::target::{Target, texts};

/// No line that is written is longer.
const MAX_LINE: usize = 64 << 10;

pub(crate) fn target() -> Target {
    Target {
        name: "audit",
        run,
        seeds: texts(&[&LINES.join("\n"), LINES[1], LINES[2], LINES[0], LINES[6], &(LINES[7].to_owned() + "\n")]),
        words: WORDS,
    }
}

fn run(data: &[u8]) {
    let mut files = Records::new([("a.log".to_owned(), data)]);
    let sound = files.by_ref().take_while(Result::is_ok).count() as u64;
    assert_eq!(sound, files.seen().lines, "lines that were read are not those that were seen");
    anchors(data);
    let text = String::from_utf8_lossy(data);
    let mut records = Vec::new();
    for line in text.lines().take(64) {
        let Ok(record) = Record::parse(line) else { continue };
        let printed = record.to_string();
        assert!(printed.len() < MAX_LINE, "a line of {} bytes", printed.len());
        assert!(!printed.contains(starcell_text::disturbs), "{printed:?}");
        let read = Record::parse(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        assert_eq!(read.to_string(), printed);
        records.push(Ok::<_, Infallible>(read));
    }
    let Ok(found) = summary(events(records.iter().cloned())).map(|summary| summary.json());
    assert!(found.starts_with(['{', '[']), "{found}");
    let Ok(found) = least(events(records.iter().cloned()), Widen::default()) else { return };
    let Ok(grants) = Grants::new(&Profile::deny_all(), &found.allow, &[], &roots()) else { return };
    let done = events(records.into_iter())
        .filter(|event| event.as_ref().is_ok_and(|event| event.call.decision != starcell_audit::Decision::Deny));
    let Ok(judged) = replay(done, &grants);
    assert_eq!(judged.denied, [], "the least profile does not allow what was done");
}

/// A file of anchors is read or refused, and no log without lines fits one.
fn anchors(data: &[u8]) {
    let Ok(anchors) = Anchors::read(data, None) else { return };
    assert!(!anchors.is_empty() && anchors.verified == 0);
    let evidence = Evidence { anchors: Some(anchors), expect: Vec::new() };
    assert!(verify_against([("a.log".to_owned(), b"".as_slice())], &evidence).is_err());
}

const LINES: [&str; 8] = [
    r#"{"v":1,"kind":"open","time":"2026-11-24T01:02:03.000456Z","prev":"0000000000000000000000000000000000000000000000000000000000000000","at":0,"after":"nothing","torn_bytes":0}"#,
    r#"{"v":1,"kind":"call","time":"2026-11-24T01:02:03.000456Z","id":7,"node":"n","tenant":"t","app":"a","script":"5c","policy":"7f","request":"r","phase":"request","capability":"fs.read_text","category":"fs.read","resource":"/srv/é","decision":"allow","rule":"fs.read","needed":"allow-fs","file":"a.star","line":3}"#,
    r#"{"v":1,"kind":"call","time":"2026-11-24T01:02:03.000456Z","id":8,"node":"n","tenant":"t","app":"a","script":"5c","policy":"7f","phase":"setup","capability":"http.get","category":"http.client","resource":"https://u:p@h.example/a?b","decision":"would-deny","file":"a.star","line":3,"cut":true}"#,
    r#"{"v":1,"kind":"outcome","time":"2026-11-24T01:02:03.000456Z","id":7,"outcome":"ok","duration_us":12,"bytes":34}"#,
    r#"{"v":1,"kind":"gap","time":"2026-11-24T01:02:03.000456Z","refused":1,"lost":2}"#,
    r#"{"v":1,"kind":"close","time":"2026-11-24T01:02:03.000456Z"}"#,
    r#"{"v":1,"kind":"call","time":"2026-11-24T01:02:03.000456Z","id":9,"node":"n","tenant":"t","app":"a","script":"5c","policy":"7f","phase":"setup","capability":"os.exec","category":"os.exec","resource":"/bin/sh","argv":["/bin/sh","-c","id"],"env":["A"],"cwd":"/tmp","object":"o","method":"GET","decision":"allow","file":"a.star","line":3}"#,
    r#"{"v":1,"kind":"anchor","time":"2026-11-24T01:02:03.000456Z","log":"audit.jsonl","lines":7,"head":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
];

const WORDS: &[&str] = &[
    "\"v\":1",
    "\"kind\":",
    "\"call\"",
    "\"open\"",
    "\"gap\"",
    "\"close\"",
    "\"outcome\"",
    "\"deny\"",
    "\"allow\"",
    "\"would-deny\"",
    "\"capability\":",
    "\"category\":",
    "\"resource\":",
    "fs.write_text",
    "fs.write",
    "http.get",
    "http.client",
    "http.server",
    "serve",
    "kv.get",
    "kv.read",
    "kv.list",
    "os.exec",
    "os.env",
    "k8s.get",
    "k8s.read",
    "\"rotation\"",
    "\"kill\"",
    "\"hash\":",
    "\"argv\":[",
    "\"anchor\"",
    "\"moved\"",
    "\"signature\":\"",
    "\\u202e",
    "\\n",
    "http://h 10.0.0.1",
    "127.0.0.1:80",
    "default/pods",
    "\n",
];
