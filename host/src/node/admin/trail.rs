//! Answers that the audit log of the node has: its last records, the calls of an app that were refused, and the least
//! profile for what it did.
//!
//! They read the files of the log as `starcell audit` does, which takes as long as the log is: one such answer is made at a
//! time, away from the threads that serve. A tenant's operator gets the records of that tenant alone.

#![expect(clippy::disallowed_types, reason = "reads the audit log that the command line names")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use http::StatusCode;
use serde_json::Value;
use starcell_audit::{Decision, Event, LeastError, ReadError, Records, Widen, events, files_of, least};

use crate::api::views::{DenialView, DenialsView, LeastView, RecordsView};
use crate::node::orders::{AppName, Refused};

/// Bytes at the end of the log that are looked at for its last records.
const WINDOW: u64 = 8 << 20;

/// An audit log, as far as somebody may see it.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    file: PathBuf,
}

/// A call or an action, with its outcome where that is known.
#[derive(Clone, Debug)]
pub(crate) struct FoundRecord {
    /// The record.
    pub(crate) record: BTreeMap<String, Value>,
    /// The record of its outcome.
    pub(crate) outcome: Option<BTreeMap<String, Value>>,
}

impl Trail {
    /// The log of a node that has one.
    pub(crate) fn new(file: Option<&Path>) -> Result<Self, Refused> {
        let file = file.ok_or_else(|| {
            Refused::conflict("no_audit_log", "the node keeps no audit log; start it with --audit FILE")
        })?;
        Ok(Self { file: file.to_owned() })
    }

    /// The last records, those of one tenant where one is given. Blocks.
    pub(crate) fn tail(&self, most: usize, tenant: Option<&str>) -> Result<RecordsView, Refused> {
        let text = end_of(&self.file).map_err(unreadable)?;
        let mut last: VecDeque<BTreeMap<String, Value>> = VecDeque::new();
        let mut seen = BTreeSet::new();
        // A line that is being written has no end yet.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            let Ok(record) = serde_json::from_str::<BTreeMap<String, Value>>(line) else { continue };
            if tenant.is_none_or(|tenant| is_of(&record, tenant, &mut seen)) {
                last.push_back(record);
            }
            if last.len() > most {
                last.pop_front();
            }
        }
        Ok(RecordsView { records: last.into() })
    }

    /// The last calls and actions that a search finds, the newest first, each with its outcome where that is known. Blocks.
    pub(crate) fn search(
        &self,
        most: usize,
        tenant: Option<&str>,
        finds: impl Fn(&str, &BTreeMap<String, Value>) -> bool,
    ) -> Result<Vec<FoundRecord>, Refused> {
        let text = end_of(&self.file).map_err(unreadable)?;
        Ok(found(&text, most, tenant, finds))
    }

    /// The calls of an app that were refused. Blocks.
    pub(crate) fn denials(&self, app: &AppName, most: usize) -> Result<DenialsView, Refused> {
        let (mut total, mut last) = (0, VecDeque::new());
        for event in self.events(app)? {
            let event = event.map_err(unsound)?;
            if event.call.decision != Decision::Deny {
                continue;
            }
            total += 1;
            last.push_back(denial(event));
            if last.len() > most {
                last.pop_front();
            }
        }
        Ok(DenialsView { app: app.name.clone(), total, denials: last.into() })
    }

    /// The least profile that allows what an app did. Blocks.
    pub(crate) fn least(&self, app: &AppName) -> Result<LeastView, Refused> {
        let found = least(self.events(app)?, Widen::default()).map_err(|error| match error {
            LeastError::Read(error) => unsound(error),
            LeastError::TooMany(_) => Refused::conflict("too_many", error.to_string()),
        })?;
        let name = if app.name.len() < 58 { format!("{}-least", app.name) } else { "least".to_owned() };
        let toml = found.toml(&name);
        let allow = found.allow.iter().map(ToString::to_string).collect();
        let unjudged = found.unjudged.iter();
        let unjudged = unjudged.map(|call| format!("{}({}): {}", call.capability, call.resource, call.problem));
        Ok(LeastView { app: app.name.clone(), allow, unjudged: unjudged.collect(), toml })
    }

    fn events(&self, app: &AppName) -> Result<impl Iterator<Item = Result<Event, ReadError>>, Refused> {
        let paths = files_of(std::slice::from_ref(&self.file)).map_err(unreadable)?;
        let open = |path: &PathBuf| Ok((path.display().to_string(), BufReader::new(File::open(path)?)));
        let files: Vec<_> = paths.iter().map(open).collect::<io::Result<_>>().map_err(unreadable)?;
        let AppName { name, within } = app.clone();
        let wanted = move |event: &Result<Event, ReadError>| match event {
            Ok(event) => {
                let subject = &event.call.subject;
                subject.app == name && within.as_ref().is_none_or(|tenant| subject.tenant == *tenant)
            }
            Err(_) => true,
        };
        Ok(events(Records::new(files)).filter(wanted))
    }
}

/// Whether a record is of a tenant: a call or an action of it, or the outcome of one.
fn is_of(record: &BTreeMap<String, Value>, tenant: &str, seen: &mut BTreeSet<u64>) -> bool {
    let text = |key: &str| record.get(key).and_then(Value::as_str);
    let id = record.get("id").and_then(Value::as_u64);
    match text("kind") {
        // Ids begin anew with another writer.
        Some("open") => {
            if !goes_on(record) {
                seen.clear();
            }
            false
        }
        Some("outcome") => id.is_some_and(|id| seen.remove(&id)),
        _ if text("tenant") == Some(tenant) => {
            seen.extend(id);
            true
        }
        _ => false,
    }
}

/// The last calls and actions of a text that a search finds, the newest first.
fn found(
    text: &str,
    most: usize,
    tenant: Option<&str>,
    finds: impl Fn(&str, &BTreeMap<String, Value>) -> bool,
) -> Vec<FoundRecord> {
    let mut last: VecDeque<FoundRecord> = VecDeque::new();
    let mut seen = BTreeSet::new();
    // Ids of those that wait for their outcomes, each with the number of its record.
    let (mut waiting, mut number): (BTreeMap<u64, usize>, usize) = (BTreeMap::new(), 0);
    // A line that is being written has no end yet.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        let Ok(record) = serde_json::from_str::<BTreeMap<String, Value>>(line) else { continue };
        let kind = record.get("kind").and_then(Value::as_str).unwrap_or_default();
        let id = record.get("id").and_then(Value::as_u64);
        if kind == "open" && !goes_on(&record) {
            waiting.clear();
        }
        if tenant.is_some_and(|tenant| !is_of(&record, tenant, &mut seen)) {
            continue;
        }
        if kind == "outcome" {
            let place = id.and_then(|id| waiting.remove(&id)).and_then(|at| at.checked_sub(number - last.len()));
            if let Some(found) = place.and_then(|place| last.get_mut(place)) {
                found.outcome = Some(record);
            }
            continue;
        }
        if !finds(line, &record) {
            continue;
        }
        waiting.extend(id.map(|id| (id, number)));
        number += 1;
        last.push_back(FoundRecord { record, outcome: None });
        if last.len() > most {
            last.pop_front();
        }
    }
    last.into_iter().rev().collect()
}

/// Whether the ids behind a record of the kind `open` go on from those before it.
fn goes_on(record: &BTreeMap<String, Value>) -> bool {
    matches!(record.get("after").and_then(Value::as_str), Some("rotation" | "moved"))
}

fn denial(event: Event) -> DenialView {
    let call = *event.call;
    DenialView {
        time: humantime::format_rfc3339_micros(event.time).to_string(),
        revision: call.subject.revision,
        request: call.request,
        capability: call.capability,
        resource: call.resource,
        rule: call.rule,
        needed: call.needed,
        file: call.file,
        line: call.line,
    }
}

/// The text at the end of a file, from the beginning of a line on.
fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let start = size.saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(start))?;
    let mut reader = BufReader::new(file.take(WINDOW));
    if start > 0 {
        reader.skip_until(b'\n')?;
    }
    let mut text = Vec::new();
    reader.read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn unreadable(error: io::Error) -> Refused {
    let message = format!("the audit log cannot be read: {error}");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "audit_unreadable", message)
}

fn unsound(error: ReadError) -> Refused {
    let message = format!("the audit log is not as it was written: {error}; see starcell audit verify");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "audit_unsound", message)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_sees_its_calls_with_their_outcomes_and_no_others() {
        let lines = [
            r#"{"kind":"call","id":1,"tenant":"acme"}"#,
            r#"{"kind":"call","id":2,"tenant":"beta"}"#,
            r#"{"kind":"outcome","id":2}"#,
            r#"{"kind":"outcome","id":1}"#,
            r#"{"kind":"call","id":3,"tenant":"acme"}"#,
            r#"{"kind":"open","after":"kill"}"#,
            r#"{"kind":"outcome","id":3}"#,
            r#"{"kind":"action","id":4,"tenant":"acme"}"#,
            r#"{"kind":"action","id":5}"#,
        ];
        let mut seen = BTreeSet::new();
        let told = lines.map(|line| is_of(&serde_json::from_str(line).unwrap(), "acme", &mut seen));
        assert_eq!(told, [true, false, false, true, true, false, false, true, false]);
    }

    #[test]
    fn a_search_finds_calls_and_actions_with_their_outcomes() {
        let lines = [
            r#"{"kind":"call","id":1,"tenant":"acme","resource":"a"}"#,
            r#"{"kind":"call","id":2,"tenant":"beta","resource":"a"}"#,
            r#"{"kind":"outcome","id":2,"outcome":"ok"}"#,
            r#"{"kind":"outcome","id":1,"outcome":"error"}"#,
            r#"{"kind":"call","id":3,"tenant":"acme","resource":"b"}"#,
            r#"{"kind":"open","after":"kill"}"#,
            r#"{"kind":"outcome","id":3,"outcome":"ok"}"#,
            r#"{"kind":"action","id":4,"tenant":"acme","resource":"a"}"#,
            r#"{"kind":"acti"#,
        ];
        let text = lines.join("\n");
        let told = |most, tenant, word: &'static str| -> Vec<(u64, Option<String>)> {
            let all = found(&text, most, tenant, |line, _| line.contains(word));
            let told = |found: FoundRecord| {
                let outcome = found.outcome.map(|outcome| outcome["outcome"].as_str().unwrap().to_owned());
                (found.record.get("id").and_then(Value::as_u64).unwrap_or_default(), outcome)
            };
            all.into_iter().map(told).collect()
        };
        let (ok, error) = (Some("ok".to_owned()), Some("error".to_owned()));
        assert_eq!(told(9, Some("acme"), "\"a\""), [(4, None), (1, error.clone())]);
        assert_eq!(told(9, None, "\"a\""), [(4, None), (2, ok.clone()), (1, error)]);
        assert_eq!(told(2, None, "\"a\""), [(4, None), (2, ok)]);
        assert_eq!(told(9, Some("acme"), "nothing"), []);
        assert_eq!(told(9, None, "open"), [(0, None)]);
        assert_eq!(told(9, None, "\"b\""), [(3, None)], "an outcome of another writer is not its own");
    }
}
