//! A full disk refuses the app that filled it first. The disk is a small file system of its own.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, process::Command, time::Duration};

use common::{Folder, call, open, subject};
use starcell_audit::{Audit, AuditApp, AuditError, Decision, Options, Outcome, RecordKind, Subject};

/// 12 MiB, which the flood fills; mounted in a namespace of the child's own, so that nothing of it is left.
#[test]
fn the_app_that_fills_the_disk_is_refused_first() {
    let folder = Folder::new("small-disk");
    let mut command = Command::new("unshare");
    // A user other than root mounts in a user namespace.
    let user: &[&str] = if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    command.args(user).args(["--mount", "sh", "-c"]);
    command.arg("mount -t tmpfs -o size=12m none \"$STARCELL_AUDIT_TEST_FOLDER\" && exec \"$0\" \"$@\"");
    let child = common::child("small_disk_child", &folder);
    command.arg(child.get_program()).args(child.get_args());
    command.envs(child.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn small_disk_child() {
    let folder = Folder::inherited();
    let (audit, writer) = Audit::open(Options { app_rate: None, ..Options::new(folder.log()) }).unwrap();
    let app = |name: &str| audit.subject(&Subject { app: name.to_owned(), ..subject() });
    let (flood, quiet, third) = (app("flood"), app("quiet"), app("third"));
    record(&quiet).await.unwrap();
    let refused = loop {
        if let Err(error) = record(&flood).await {
            break error;
        }
    };
    assert!(matches!(refused, AuditError::Full { .. }), "{refused:?}");
    assert!(refused.to_string().contains("this app wrote most of its records"), "{refused}");
    for _ in 0..200 {
        record(&quiet).await.unwrap();
        record(&third).await.unwrap();
        assert!(record(&flood).await.is_err());
    }
    // A revision of the app that floods is the app.
    let newer = audit.subject(&Subject { app: "flood".to_owned(), script_digest: "new".to_owned(), ..subject() });
    assert!(record(&newer).await.is_err());
    // An app that uses its part of the reserve up is refused too, and the others go on.
    let refused = loop {
        if let Err(error) = record(&third).await {
            break error;
        }
    };
    assert!(matches!(refused, AuditError::Full { .. }), "{refused:?}");
    record(&quiet).await.unwrap();
    // Room again: everybody goes on, and the log tells how many calls it lacks.
    let rest = fs::metadata(folder.log()).unwrap().len();
    assert!(rest > 6 << 20, "{rest}");
    writer.close().unwrap();
    fs::remove_file(folder.log()).unwrap();
    let (audit, writer) = open(&folder);
    record(&audit.subject(&subject())).await.unwrap();
    writer.close().unwrap();
    let gaps = common::records(&folder.log()).into_iter().filter(|r| matches!(r.kind, RecordKind::Gap { .. })).count();
    assert_eq!(gaps, 0, "those of the file before were told there");
}

async fn record(app: &AuditApp) -> Result<(), AuditError> {
    let ticket = app.intent(&call(&"/srv/long".repeat(100), Decision::Allow)).await?;
    app.outcome(ticket, Outcome::Ok, Duration::ZERO, 0);
    Ok(())
}
