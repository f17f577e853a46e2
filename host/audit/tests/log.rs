//! The log as its writer leaves it: whole, bounded, chained, and refusing where it cannot be written.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod common;

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader, Write as _},
    time::Duration,
};

use common::{Folder, call, open, records, subject};
use starcell_audit::{
    Action, After, Arguments, Audit, AuditError, AuditedCall, Decision, Options, Outcome, Phase, Record, RecordKind,
    Subject,
};

#[tokio::test]
async fn intent_comes_before_the_outcome_and_denials_have_none() {
    let folder = Folder::new("order");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    assert!(app.is_on());
    let ticket = app.intent(&call("/srv/a", Decision::Allow)).await.unwrap();
    let kinds: Vec<_> = records(&folder.log()).into_iter().map(|r| r.kind).collect();
    assert!(matches!(kinds.as_slice(), [RecordKind::Open(_), RecordKind::Call(_)]), "written before it returned");
    app.outcome(ticket, Outcome::Ok, Duration::from_micros(1500), 42);
    let denied = app.intent(&call("/etc/shadow", Decision::Deny)).await.unwrap();
    app.outcome(denied, Outcome::Error, Duration::ZERO, 0);
    let unknown = app.intent(&call("/srv/b", Decision::WouldDeny)).await.unwrap();
    app.outcome(unknown, Outcome::Unknown, Duration::ZERO, 0);
    writer.close().unwrap();

    let records = records(&folder.log());
    let kinds: Vec<_> = records.iter().map(|r| &r.kind).collect();
    let [_, RecordKind::Call(first), RecordKind::Outcome(outcome), RecordKind::Call(denied), RecordKind::Call(_), last] =
        kinds.as_slice()
    else {
        panic!("{records:?}");
    };
    assert_eq!(**last, RecordKind::Close);
    assert_eq!((outcome.id, outcome.outcome, outcome.bytes), (first.id, Outcome::Ok, 42));
    assert_eq!(outcome.duration, Duration::from_micros(1500));
    assert_eq!(first.subject, subject());
    assert_eq!(denied.decision, Decision::Deny);
    assert_eq!(denied.resource, "/etc/shadow");
}

#[tokio::test]
async fn a_log_that_is_off_lets_everything_pass() {
    let app = Audit::off().subject(&subject());
    let ticket = app.intent(&call("/x", Decision::Allow)).await.unwrap();
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    assert!(!app.is_on());
}

#[tokio::test]
async fn after_the_end_calls_are_refused() {
    let folder = Folder::new("end");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    writer.close().unwrap();
    let refused = app.intent(&call("/x", Decision::Allow)).await;
    assert!(matches!(refused, Err(AuditError::Closed)));
}

#[tokio::test]
async fn hostile_values_stay_on_their_line_and_within_bounds() {
    let folder = Folder::new("hostile");
    let (audit, writer) = open(&folder);
    let long = "\u{202e}\n".repeat(1 << 20);
    let app = audit.subject(&Subject { app: long.clone(), ..subject() });
    let words = || vec![long.clone(); 3];
    let arguments = Arguments {
        argv: Some(words()),
        env: Some(words()),
        cwd: Some(long.clone()),
        object: Some(long.clone()),
        method: Some(long.clone()),
        dry_run: true,
        store: Some(long.clone()),
        statement: Some(long.clone()),
        parameters: Some(words()),
    };
    let hostile = AuditedCall {
        request: Some(&long),
        phase: Phase::Request,
        capability: &long,
        category: "http.client",
        resource: "https://user:hunter2@h.example/a?token=hunter2",
        decision: Decision::Deny,
        rule: Some(&long),
        needed: Some(&long),
        file: &long,
        line: u32::MAX,
        arguments: &arguments,
    };
    let _denied = app.intent(&hostile).await.unwrap();
    writer.close().unwrap();
    let text = fs::read_to_string(folder.log()).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().all(|line| line.len() < 64 << 10), "{} bytes", text.len());
    assert!(!text.contains("hunter2"));
    assert!(!text.contains('\u{202e}'));
    let RecordKind::Call(read) = &records(&folder.log())[1].kind else { panic!() };
    assert!(read.cut);
    assert_eq!(read.resource, "https://***@h.example/a");
}

#[tokio::test]
async fn many_callers_share_the_writer() {
    let folder = Folder::new("many");
    let (audit, writer) = open(&folder);
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let app = audit.subject(&Subject { app: format!("app{}", task % 4), ..subject() });
            tokio::task::spawn(async move {
                for n in 0..50 {
                    let ticket = app.intent(&call(&format!("/srv/{task}/{n}"), Decision::Allow)).await.unwrap();
                    app.outcome(ticket, Outcome::Ok, Duration::ZERO, n);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    writer.close().unwrap();
    let records = records(&folder.log());
    assert_eq!(records.len(), 2 + 2 * 64 * 50);
    let mut ids: Vec<_> =
        records.iter().filter_map(|r| if let RecordKind::Call(c) = &r.kind { Some(c.id) } else { None }).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=64 * 50).collect::<Vec<_>>());
}

#[tokio::test]
async fn callers_that_stop_waiting_hold_no_places() {
    let folder = Folder::new("cancelled");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    // More than the queue holds, each given up as soon as it waits.
    let cancelled = call("/srv/cancelled", Decision::Allow);
    for _ in 0..5000 {
        tokio::select! {
            biased;
            ticket = app.intent(&cancelled) => drop(ticket.unwrap()),
            () = std::future::ready(()) => {}
        }
    }
    let ticket = app.intent(&call("/srv/last", Decision::Allow)).await.unwrap();
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    writer.close().unwrap();
    common::verified(&folder);
    let last = records(&folder.log()).into_iter().rev().nth(2).unwrap();
    assert!(matches!(last.kind, RecordKind::Call(call) if call.resource == "/srv/last"));
}

#[tokio::test]
async fn a_second_writer_is_kept_out() {
    let folder = Folder::new("second");
    let (_audit, writer) = open(&folder);
    let second = Audit::open(Options::new(folder.log()));
    assert!(matches!(second, Err(AuditError::InUse { .. })), "{second:?}");
    writer.close().unwrap();
    open(&folder).1.close().unwrap();
}

#[test]
fn what_is_no_log_is_left_alone() {
    let folder = Folder::new("foreign");
    let in_folder = Audit::open(Options::new(folder.path("")));
    assert!(matches!(in_folder, Err(AuditError::Open { .. } | AuditError::NotAFile { .. })), "{in_folder:?}");
    let missing = Audit::open(Options::new(folder.path("none/audit.jsonl")));
    assert!(matches!(missing, Err(AuditError::Open { .. })));
    for content in
        ["my notes", "my notes\n", "{\"v\":1,\"kind\":\"close\"}\n", "[profiles]\n\n", "{\"v\":1,\"kind\":\"call\""]
    {
        fs::write(folder.log(), content).unwrap();
        let refused = Audit::open(Options::new(folder.log()));
        assert!(matches!(refused, Err(AuditError::BadTail { .. })), "{content:?}");
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), content, "left as it was");
    }
}

#[tokio::test]
async fn a_restart_goes_on_and_mends_a_torn_line() {
    let folder = Folder::new("restart");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    let _ticket = app.intent(&call("/srv/a", Decision::Allow)).await.unwrap();
    writer.close().unwrap();
    open(&folder).1.close().unwrap();
    let whole = fs::metadata(folder.log()).unwrap().len();
    let torn = b"{\"v\":1,\"kind\":\"call\",\"time\":\"20";
    OpenOptions::new().append(true).open(folder.log()).unwrap().write_all(torn).unwrap();
    open(&folder).1.close().unwrap();

    let opened: Vec<_> = records(&folder.log())
        .into_iter()
        .filter_map(|r| if let RecordKind::Open(open) = r.kind { Some(open) } else { None })
        .collect();
    assert_eq!(opened.iter().map(|o| o.after).collect::<Vec<_>>(), [After::Nothing, After::Close, After::Close]);
    assert_eq!(opened.iter().map(|o| o.torn_bytes).collect::<Vec<_>>(), [0, 0, torn.len() as u64]);
    assert_eq!(opened[2].at, whole);
    assert_eq!(common::verified(&folder).torn_bytes, torn.len() as u64);
}

#[tokio::test]
async fn a_killed_writer_is_told_and_a_broken_tail_refused() {
    let folder = Folder::new("tail");
    open(&folder).1.close().unwrap();
    let text = fs::read_to_string(folder.log()).unwrap();
    let (kept, _) = text.split_once('\n').unwrap();
    // Without its closing line, as a kill leaves it; and the first line torn as well.
    for (content, after, torn) in [(format!("{kept}\n"), After::Kill, 0), (kept[..90].to_owned(), After::Nothing, 90)] {
        fs::write(folder.log(), content).unwrap();
        open(&folder).1.close().unwrap();
        let records = records(&folder.log());
        let RecordKind::Open(open) = &records[records.len() - 2].kind else { panic!() };
        assert_eq!((open.after, open.torn_bytes), (after, torn));
    }
    for content in [text.replace("\"at\":0", "\"at\":1"), text.lines().nth(1).unwrap().to_owned() + "\n"] {
        fs::write(folder.log(), &content).unwrap();
        let refused = Audit::open(Options::new(folder.log()));
        assert!(matches!(refused, Err(AuditError::BadTail { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), content);
    }
}

#[tokio::test]
async fn full_files_are_renamed_and_old_ones_deleted() {
    let folder = Folder::new("rotate");
    fs::write(folder.path("audit.jsonl.old"), "somebody else's").unwrap();
    let options = Options { rotate_bytes: 4000, keep: 3, ..Options::new(folder.log()) };
    let (audit, writer) = Audit::open(options.clone()).unwrap();
    let app = audit.subject(&subject());
    for n in 0..100 {
        let ticket = app.intent(&call(&format!("/srv/{n}"), Decision::Allow)).await.unwrap();
        app.outcome(ticket, Outcome::Ok, Duration::ZERO, n);
    }
    writer.close().unwrap();
    let mut numbers: Vec<u64> =
        folder.names().iter().filter_map(|n| n.strip_prefix("audit.jsonl.")?.parse().ok()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers.len(), 3, "{numbers:?}");
    assert_eq!(numbers[2] - numbers[0], 2);
    assert!(folder.path("audit.jsonl.old").exists());

    // A crash between the renaming and the new file: the chain goes on from the newest full one.
    fs::remove_file(folder.log()).unwrap();
    Audit::open(options).unwrap().1.close().unwrap();
    let newest = records(&folder.path(&format!("audit.jsonl.{}", numbers[2])));
    assert!(!matches!(newest.last().unwrap().kind, RecordKind::Close));
    let RecordKind::Open(open) = &records(&folder.log())[0].kind else { panic!() };
    assert_eq!((open.after, open.at), (After::Kill, 0));
    let text = fs::read_to_string(folder.path(&format!("audit.jsonl.{}", numbers[2]))).unwrap();
    assert!(text.trim_end().ends_with(&format!("\"hash\":\"{}\"}}", open.previous)));
}

/// The limit on the size of files stands in for a full disk; it belongs to a process, so a child of this test has it.
#[test]
fn a_full_disk_refuses_the_call_and_is_told_later() {
    let folder = Folder::new("full");
    let status = common::child("full_disk_child", &folder).status().unwrap();
    assert!(status.success());
    let records = records(&folder.log());
    let gaps: Vec<_> = records.iter().filter(|r| matches!(r.kind, RecordKind::Gap { .. })).collect();
    common::verified(&folder);
    assert!(matches!(gaps.as_slice(), [Record { kind: RecordKind::Gap { refused: 3, lost: 1 }, .. }]), "{gaps:?}");
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn full_disk_child() {
    let folder = Folder::inherited();
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    let ticket = app.intent(&call("/srv/before", Decision::Allow)).await.unwrap();
    let len = fs::metadata(folder.log()).unwrap().len();
    // Room for a part of a line.
    common::limit_file_size(Some(len + 100));
    for _ in 0..2 {
        let refused = app.intent(&call("/srv/full", Decision::Allow)).await;
        assert!(matches!(refused, Err(AuditError::Write { .. })), "{refused:?}");
        assert_eq!(fs::metadata(folder.log()).unwrap().len(), len, "what was written of it is cut off");
    }
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    assert!(app.intent(&call("/srv/full", Decision::Deny)).await.is_err());
    common::limit_file_size(None);
    let _ticket = app.intent(&call("/srv/after", Decision::Allow)).await.unwrap();
    writer.close().unwrap();
}

#[test]
fn a_killed_process_loses_no_line_it_was_told_is_written() {
    let folder = Folder::new("kill");
    let mut child = common::child("killed_child", &folder).spawn().unwrap();
    let mut told = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        told.extend(line.unwrap().strip_prefix("told ").map(str::to_owned));
        if told.len() == 1000 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(told.len() >= 1000);
    let text = fs::read_to_string(folder.log()).unwrap();
    for resource in told {
        assert!(text.contains(&format!("\"resource\":\"{resource}\"")), "{resource}");
    }
    assert!(!common::verified(&folder).closed, "sound up to where it was killed");
    // The next writer takes the file over, whatever the kill left at its end.
    open(&folder).1.close().unwrap();
    let seen = common::verified(&folder);
    assert_eq!((seen.kills, seen.closed), (1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of another test"]
async fn killed_child() {
    let (audit, _writer) = open(&Folder::inherited());
    let writers = (0..8).map(|task| {
        let app = audit.subject(&subject());
        tokio::task::spawn(async move {
            for n in 0.. {
                let resource = format!("/srv/{task}/{n}");
                let ticket = app.intent(&call(&resource, Decision::Allow)).await.unwrap();
                println!("told {resource}");
                app.outcome(ticket, Outcome::Ok, Duration::ZERO, n);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn an_action_is_recorded_before_it_is_done_and_is_no_use_of_a_capability() {
    let folder = Folder::new("action");
    let (audit, writer) = open(&folder);
    let action = |decision, reason| Action {
        node: "node1",
        tenant: Some("acme"),
        app: Some("shop"),
        actor: "ci",
        role: Some("operate"),
        action: "deploy",
        detail: None,
        decision,
        reason,
    };
    let actions = audit.actions();
    let ticket = actions.intent(&action(Decision::Allow, None)).await.unwrap();
    assert!(matches!(records(&folder.log())[1].kind, RecordKind::Action(_)), "written before it returned");
    actions.outcome("ci", ticket, Outcome::Ok, Duration::from_millis(3));
    let denied = actions.intent(&action(Decision::Deny, Some("the role read"))).await.unwrap();
    actions.outcome("ci", denied, Outcome::Error, Duration::ZERO);
    writer.close().unwrap();
    let records = records(&folder.log());
    let kinds: Vec<_> = records.iter().map(|record| &record.kind).collect();
    let [_, RecordKind::Action(done), RecordKind::Outcome(outcome), RecordKind::Action(refused), RecordKind::Close] =
        kinds.as_slice()
    else {
        panic!("{kinds:?}")
    };
    assert_eq!((done.id, outcome.outcome, refused.reason.as_deref()), (outcome.id, Outcome::Ok, Some("the role read")));
    let events = starcell_audit::events(records.iter().cloned().map(Ok::<_, ()>));
    assert_eq!(events.count(), 0);
    assert!(common::verified(&folder).closed);
}
