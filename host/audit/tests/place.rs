//! The file at the path is the one that is written: removed, renamed, emptied, replaced, changed and damaged files.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

mod common;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufReader, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use common::{Folder, call, open, records, subject};
use starcell_audit::{
    After, Audit, AuditApp, AuditError, Decision, Options, Outcome, RecordKind, Seen, files_of, verify,
};

async fn done(app: &AuditApp, resource: &str) -> Result<(), AuditError> {
    let ticket = app.intent(&call(resource, Decision::Allow)).await?;
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    Ok(())
}

/// Verifies the logs at these paths with all their files.
fn verified(paths: &[PathBuf]) -> Seen {
    let files = files_of(paths).unwrap();
    verify(files.iter().map(|path| (path.display().to_string(), BufReader::new(File::open(path).unwrap())))).unwrap()
}

fn resources(path: &Path) -> Vec<String> {
    let calls = records(path).into_iter().filter_map(|record| match record.kind {
        RecordKind::Call(call) => Some(call.resource),
        _ => None,
    });
    calls.collect()
}

#[tokio::test]
async fn a_file_that_is_gone_is_followed_by_a_new_one() {
    for remove in [true, false] {
        let folder = Folder::new(if remove { "removed" } else { "renamed" });
        let (audit, writer) = open(&folder);
        let app = audit.subject(&subject());
        done(&app, "/srv/before").await.unwrap();
        match remove {
            true => fs::remove_file(folder.log()).unwrap(),
            false => fs::rename(folder.log(), folder.path("old.jsonl")).unwrap(),
        }
        done(&app, "/srv/after").await.unwrap();
        assert_eq!(resources(&folder.log()), ["/srv/after"], "the record is where an operator finds it");
        writer.close().unwrap();
        let RecordKind::Open(opened) = &records(&folder.log())[0].kind else { panic!() };
        assert_eq!((opened.after, opened.at), (After::Moved, 0));
        let seen = verified(&[folder.log()]);
        assert_eq!((seen.moved, seen.closed, seen.files), (1, true, 1));
        if !remove {
            // In any order, and with each outcome beside its call.
            let seen = verified(&[folder.log(), folder.path("old.jsonl")]);
            assert_eq!((seen.files, seen.start), (2, Some(starcell_audit::Hash::ZERO)));
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_gone_refuses_the_call() {
    let folder = Folder::new("no-folder");
    fs::create_dir(folder.path("log")).unwrap();
    let (audit, writer) = Audit::open(Options::new(folder.path("log/audit.jsonl"))).unwrap();
    let app = audit.subject(&subject());
    fs::rename(folder.path("log"), folder.path("away")).unwrap();
    let refused = done(&app, "/srv/a").await;
    assert!(matches!(refused, Err(AuditError::Write { .. })), "{refused:?}");
    fs::rename(folder.path("away"), folder.path("log")).unwrap();
    done(&app, "/srv/b").await.unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.path("log/audit.jsonl")), ["/srv/b"]);
    assert_eq!(verified(&[folder.path("log/audit.jsonl")]).refused, 1);
}

#[tokio::test]
async fn a_tool_that_rotates_renames_and_asks_to_reopen() {
    let folder = Folder::new("logrotate");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    audit.reopen();
    // As logrotate does it: the newest is `.1`, the older ones move up; some make the new file themselves.
    for (round, create) in [(1, false), (2, true), (3, false)] {
        done(&app, &format!("/srv/{round}")).await.unwrap();
        for number in (1..round).rev() {
            let [old, new] = [number, number + 1].map(|number| folder.path(&format!("audit.jsonl.{number}")));
            fs::rename(old, new).unwrap();
        }
        fs::rename(folder.log(), folder.path("audit.jsonl.1")).unwrap();
        if create {
            File::create(folder.log()).unwrap();
        }
        audit.reopen();
    }
    done(&app, "/srv/last").await.unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.log()), ["/srv/last"]);
    assert_eq!(resources(&folder.path("audit.jsonl.1")), ["/srv/3"]);
    let seen = verified(&[folder.log()]);
    assert_eq!((seen.files, seen.moved, seen.closed), (4, 3, true));
    assert_eq!(verified(&[folder.log(), folder.path("audit.jsonl.1"), folder.path("audit.jsonl.3")]), seen);
    // The next writer goes on from the newest file, whatever its number.
    fs::rename(folder.log(), folder.path("audit.jsonl.9")).unwrap();
    open(&folder).1.close().unwrap();
    assert_eq!(verified(&[folder.log()]).files, 5);
}

/// Waits until the last call of a log has its outcome, which is written after the call returns: it would go into a file
/// that a test puts there meanwhile.
async fn settled(log: &Path) {
    let is_settled = || records(log).last().is_some_and(|record| matches!(record.kind, RecordKind::Outcome(_)));
    while !is_settled() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn an_outcome_stays_beside_its_call_in_a_renamed_file() {
    let folder = Folder::new("renamed-outcome");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    let ticket = app.intent(&call("/srv/a", Decision::Allow)).await.unwrap();
    let old = folder.path("audit.jsonl.1");
    fs::rename(folder.log(), &old).unwrap();
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    settled(&old).await;
    assert!(!folder.log().exists(), "an outcome begins no file");
    audit.reopen();
    done(&app, "/srv/b").await.unwrap();
    writer.close().unwrap();
    assert_eq!((resources(&old), resources(&folder.log())), (vec!["/srv/a".into()], vec!["/srv/b".into()]));
    // Where the file is gone, the outcome goes where somebody finds it.
    let folder = Folder::new("removed-outcome");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    let ticket = app.intent(&call("/srv/a", Decision::Allow)).await.unwrap();
    fs::remove_file(folder.log()).unwrap();
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    writer.close().unwrap();
    assert!(records(&folder.log()).iter().any(|record| matches!(record.kind, RecordKind::Outcome(_))));
}

#[tokio::test]
async fn a_file_that_was_emptied_goes_on_with_the_chain() {
    let folder = Folder::new("copytruncate");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    done(&app, "/srv/before").await.unwrap();
    settled(&folder.log()).await;
    fs::copy(folder.log(), folder.path("copy.jsonl")).unwrap();
    OpenOptions::new().write(true).open(folder.log()).unwrap().set_len(0).unwrap();
    done(&app, "/srv/after").await.unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.log()), ["/srv/after"]);
    assert_eq!(verified(&[folder.log()]).moved, 1);
}

#[tokio::test]
async fn a_file_of_somebody_else_refuses_calls_until_it_is_gone() {
    let folder = Folder::new("replaced");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    done(&app, "/srv/before").await.unwrap();
    settled(&folder.log()).await;
    let whole = fs::read(folder.log()).unwrap();
    fs::rename(folder.log(), folder.path("old.jsonl")).unwrap();
    let (opening, _) = whole.split_at(whole.iter().position(|byte| *byte == b'\n').unwrap() + 1);
    for content in [b"notes\n".as_slice(), opening] {
        fs::write(folder.log(), content).unwrap();
        let refused = done(&app, "/srv/refused").await;
        assert!(matches!(refused, Err(AuditError::Replaced { .. })), "{refused:?}");
        assert_eq!(fs::read(folder.log()).unwrap(), content, "left as it was");
    }
    fs::remove_file(folder.log()).unwrap();
    done(&app, "/srv/after").await.unwrap();
    settled(&folder.log()).await;
    // Bytes that another program adds show at once.
    OpenOptions::new().append(true).open(folder.log()).unwrap().write_all(b"garbage\n").unwrap();
    let refused = done(&app, "/srv/refused").await;
    assert!(matches!(refused, Err(AuditError::Changed { .. })), "{refused:?}");
    fs::rename(folder.log(), folder.path("garbage.jsonl")).unwrap();
    done(&app, "/srv/last").await.unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.log()), ["/srv/last"]);
    let seen = verified(&[folder.log()]);
    assert_eq!((seen.moved, seen.refused), (1, 1), "those of the file before are told there");
}

#[tokio::test]
async fn a_copy_of_the_log_is_gone_on_with() {
    let folder = Folder::new("copied");
    let (audit, writer) = open(&folder);
    let app = audit.subject(&subject());
    let _ticket = app.intent(&call("/srv/before", Decision::Allow)).await.unwrap();
    fs::copy(folder.log(), folder.path("copy")).unwrap();
    fs::rename(folder.path("copy"), folder.log()).unwrap();
    done(&app, "/srv/after").await.unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.log()), ["/srv/before", "/srv/after"]);
    assert!(verified(&[folder.log()]).closed);
}

#[test]
fn a_damaged_log_is_set_aside_where_the_operator_says_so() {
    let folder = Folder::new("damaged");
    let options = || Options { set_aside_damaged: true, ..Options::new(folder.log()) };
    for number in 1..=3 {
        open(&folder).1.close().unwrap();
        let mut bytes = fs::read(folder.log()).unwrap();
        match number {
            1 => bytes.extend(b"garbage\n"),
            2 => bytes[20] ^= 1,
            _ => bytes = b"not even a log".to_vec(),
        }
        fs::write(folder.log(), &bytes).unwrap();
        let refused = Audit::open(Options::new(folder.log())).unwrap_err();
        assert!(matches!(refused, AuditError::BadTail { .. }), "{refused:?}");
        assert!(refused.to_string().contains("--set-aside-damaged"), "{refused}");
        let (_, writer) = Audit::open(options()).unwrap();
        let aside = folder.path(&format!("audit.jsonl.damaged-{number}"));
        assert_eq!(writer.set_aside(), Some(aside.as_path()));
        writer.close().unwrap();
        assert_eq!(fs::read(aside).unwrap(), bytes, "it keeps its bytes");
        assert_eq!(verified(&[folder.log()]).damaged, 1);
        let (_, writer) = Audit::open(options()).unwrap();
        assert_eq!(writer.set_aside(), None, "a sound log stays");
        writer.close().unwrap();
        fs::remove_file(folder.log()).unwrap();
    }
}

#[test]
fn a_number_that_is_taken_does_not_stop_the_log() {
    let folder = Folder::new("numbers");
    let options = Options { rotate_bytes: 1, ..Options::new(folder.log()) };
    let (audit, writer) = Audit::open(options).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fs::write(folder.path(&format!("audit.jsonl.{}", u64::MAX)), "").unwrap();
    let app = audit.subject(&subject());
    runtime.block_on(done(&app, "/srv/a")).unwrap();
    writer.close().unwrap();
    assert_eq!(resources(&folder.log()), ["/srv/a"]);
}
