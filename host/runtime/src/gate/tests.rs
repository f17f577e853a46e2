#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use serde_json::Value;
use starcell_audit::{Audit, Options, Subject, Writer};
use starcell_policy::{CanonicalPath, Grants, KvFunction, KvKey, Profile, Roots, Rule};
use tempfile::TempDir;

use super::*;
use crate::authority::{Mode, Report};
use crate::call_error::MAX_SHOWN;

/// Keeps what the operator would be told.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<String>>);

impl Report for Told {
    fn unrecorded<'a>(&'a self, _: &'a Position, _: Option<&'a str>, text: &'a str) -> BoxFuture<'a, ()> {
        self.0.lock().unwrap().push(text.to_owned());
        std::future::ready(()).boxed()
    }
}

/// A gate whose grants allow `kv.read`, its log, and what its operator was told.
struct Staged {
    gate: Gate,
    /// The folder that the log is in; it goes with this.
    _folder: TempDir,
    log: PathBuf,
    writer: Option<Writer>,
    told: Arc<Told>,
}

impl Staged {
    fn new(mode: Mode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("audit.jsonl");
        let (audit, writer) = Audit::open(Options::new(&log)).unwrap();
        let none = String::new;
        let subject = Subject {
            node: none(),
            tenant: none(),
            app: none(),
            revision: None,
            script_digest: none(),
            policy_digest: none(),
        };
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        let allow = [Rule::parse("kv.read").unwrap()];
        let grants = Grants::new(&Profile::deny_all(), &allow, &[], &roots).unwrap();
        let told = Arc::new(Told::default());
        let authority = Authority::new(grants, mode, audit.subject(&subject), &roots, told.clone());
        Self {
            gate: Gate::new(Arc::new(authority), Some("r1".into())),
            _folder: folder,
            log,
            writer: Some(writer),
            told,
        }
    }

    /// Calls a function on the key `a`, with an effect that says whether it was begun.
    async fn call(&self, function: KvFunction, begun: &AtomicBool) -> Result<u32, HostCallError> {
        let effect = |permit: Permit<KvKey>| {
            begun.store(true, Ordering::Relaxed);
            std::future::ready(Effect::Ok((permit.resource().as_str().len() as u32, 5)))
        };
        self.gate.pass(&at(), function, KvKey::new("a").unwrap(), effect).await
    }

    /// Ends the log and reads the records of calls and outcomes.
    fn records(&mut self) -> Vec<Value> {
        self.close();
        lines(&self.log).into_iter().filter(|line| line["kind"] == "call" || line["kind"] == "outcome").collect()
    }

    fn close(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.close().unwrap();
        }
    }
}

fn lines(log: &Path) -> Vec<Value> {
    std::fs::read_to_string(log).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn at() -> Position {
    Position { file: "a.star".into(), line: 7, column: 1 }
}

#[tokio::test]
async fn the_intent_is_written_before_the_effect_and_the_outcome_after_it() {
    let mut staged = Staged::new(Mode::Enforce);
    let log = staged.log.clone();
    let effect = |_permit: Permit<KvKey>| async move {
        let seen = lines(&log);
        let last = seen.last().unwrap();
        assert_eq!(
            (&last["kind"], &last["capability"], &last["resource"]),
            (&"call".into(), &"kv.get".into(), &"a".into())
        );
        Effect::Ok((seen.len(), 9))
    };
    staged.gate.pass(&at(), KvFunction::Get, KvKey::new("a").unwrap(), effect).await.unwrap();
    let failing = |_permit: Permit<KvKey>| std::future::ready(Effect::<()>::Err(HostCallError::failed("no")));
    let failed = staged.gate.pass(&at(), KvFunction::Get, KvKey::new("a").unwrap(), failing).await;
    assert!(matches!(failed, Err(HostCallError::Failed(failed)) if failed.to_string() == "no"));
    let [call, ok, _, error] = &staged.records()[..] else { panic!("four lines") };
    assert_eq!((&call["decision"], &call["rule"], &call["line"]), (&"allow".into(), &"kv.read".into(), &7.into()));
    assert_eq!((&ok["outcome"], &ok["bytes"], &ok["id"]), (&"ok".into(), &9.into(), &call["id"]));
    assert_eq!(error["outcome"], "error");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_done() {
    let mut staged = Staged::new(Mode::Enforce);
    staged.close();
    let begun = AtomicBool::new(false);
    let refused = staged.call(KvFunction::Get, &begun).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, HostCallError::Unrecorded(_)) && refused.to_string().contains("so the call was not made")
    );
    assert!(!begun.load(Ordering::Relaxed));
    // A refusal stands without its record, and the operator is told.
    assert!(matches!(staged.call(KvFunction::Set, &begun).await, Err(HostCallError::Denied(_))));
    assert!(!begun.load(Ordering::Relaxed));
    assert!(staged.told.0.lock().unwrap().iter().any(|text| text.starts_with("a refusal could not be recorded")));
}

#[tokio::test]
async fn a_denied_call_never_acts_and_is_recorded() {
    let mut staged = Staged::new(Mode::Enforce);
    let begun = AtomicBool::new(false);
    let Err(HostCallError::Denied(denial)) = staged.call(KvFunction::Set, &begun).await else {
        panic!("it is not granted")
    };
    let text = denial.to_string();
    assert!(text.starts_with("permission denied: kv.write(\"a\"): not granted by deny-all"), "{text}");
    assert!(!begun.load(Ordering::Relaxed));
    assert!(!staged.gate.covers(KvFunction::Set, KvKey::new("a").unwrap()));
    staged.gate.unjudged(KvFunction::Get, &"x".repeat(1_000_000), &at()).await;
    let [denied, unjudged] = &staged.records()[..] else { panic!("two lines, and no outcome") };
    assert_eq!((&denied["decision"], &denied["needed"]), (&"deny".into(), &"allow-fs".into()));
    assert_eq!((&unjudged["decision"], &unjudged["capability"]), (&"deny".into(), &"kv.get".into()));
    assert_eq!(unjudged["resource"].as_str().unwrap().chars().count(), MAX_SHOWN + 1);
}

#[tokio::test]
async fn count_mode_does_and_records_what_it_would_deny() {
    let mut staged = Staged::new(Mode::Count);
    let begun = AtomicBool::new(false);
    assert_eq!(staged.call(KvFunction::Set, &begun).await.unwrap(), 1);
    assert!(begun.load(Ordering::Relaxed) && staged.gate.covers(KvFunction::Set, KvKey::new("a").unwrap()));
    assert_eq!(staged.call(KvFunction::Get, &begun).await.unwrap(), 1);
    let [set, outcome, get, _] = &staged.records()[..] else { panic!("four lines") };
    assert_eq!((&set["decision"], &set["needed"]), (&"would-deny".into(), &"allow-fs".into()));
    assert_eq!((&outcome["outcome"], &get["decision"]), (&"ok".into(), &"allow".into()));
}

#[tokio::test]
async fn an_effect_that_is_cut_short_has_an_outcome() {
    let mut staged = Staged::new(Mode::Enforce);
    let endless = |_permit: Permit<KvKey>| std::future::pending::<Effect<()>>();
    let call = at();
    let passing = staged.gate.pass(&call, KvFunction::Get, KvKey::new("a").unwrap(), endless);
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), passing).await.is_err());
    let [call, outcome] = &staged.records()[..] else { panic!("two lines") };
    assert_eq!((&outcome["outcome"], &outcome["id"]), (&"cancelled".into(), &call["id"]));
}
