//! Use of capabilities: calls counted by app, function, resource and outcome.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use starcell_text::one_line;

use crate::{
    call::{Decision, Outcome},
    event::Event,
    shown::json,
};

/// Calls of one app to one function on one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The owner of the app.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// The function.
    pub capability: String,
    /// The resource.
    pub resource: String,
    /// The number of calls by their ends.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The numbers of calls by their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Done, and succeeded.
    pub ok: u64,
    /// Done, and failed.
    pub error: u64,
    /// Begun, and nobody knows.
    pub unknown: u64,
    /// Not done.
    pub denied: u64,
    /// Of the ones that were done: those that would have been denied if the app did not only count.
    pub would_deny: u64,
    /// The time they took together, in microseconds.
    pub duration_us: u64,
    /// The bytes they moved together.
    pub bytes: u64,
}

/// The use of capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// In the order of tenants, apps, functions and resources.
    pub rows: Vec<Row>,
    /// All of them together.
    pub total: Counts,
}

/// Counts events.
pub fn summary<E>(events: impl Iterator<Item = Result<Event, E>>) -> Result<Summary, E> {
    let mut rows: BTreeMap<[String; 4], Counts> = BTreeMap::new();
    let mut total = Counts::default();
    for event in events {
        let event = event?;
        total.add(&event);
        let call = *event.call.clone();
        let key = [call.subject.tenant, call.subject.app, call.capability, call.resource];
        rows.entry(key).or_default().add(&event);
    }
    let row = |([tenant, app, capability, resource], counts): ([String; 4], _)| Row {
        tenant,
        app,
        capability,
        resource,
        counts,
    };
    Ok(Summary { rows: rows.into_iter().map(row).collect(), total })
}

impl Counts {
    fn add(&mut self, event: &Event) {
        match event.outcome {
            None => self.denied += 1,
            Some(Outcome::Ok) => self.ok += 1,
            Some(Outcome::Error) => self.error += 1,
            Some(Outcome::Cancelled | Outcome::Unknown) => self.unknown += 1,
        }
        self.would_deny += u64::from(event.call.decision == Decision::WouldDeny);
        let micros = u64::try_from(event.duration.as_micros()).unwrap_or(u64::MAX);
        self.duration_us = self.duration_us.saturating_add(micros);
        self.bytes = self.bytes.saturating_add(event.bytes);
    }

    fn text(&self) -> String {
        let counts = [
            (self.ok, "ok"),
            (self.error, "error"),
            (self.unknown, "unknown"),
            (self.denied, "denied"),
            (self.would_deny, "of them would-deny"),
        ];
        let told: Vec<String> =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
    }
}

impl Summary {
    /// One line for each row under the name of its app, then all together.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut app = None;
        for row in &self.rows {
            let name = (&row.tenant, &row.app);
            if app != Some(name) {
                text += &format!("{}/{}\n", one_line(&row.tenant), one_line(&row.app));
                app = Some(name);
            }
            let call = format!("{}({})", row.capability, row.resource);
            text += &format!("  {:50} {}\n", one_line(&call), row.counts.text());
        }
        let Counts { duration_us, bytes, .. } = self.total;
        let time = humantime::format_duration(Duration::from_micros(duration_us));
        text + &format!("total: {}; {time}, {bytes} bytes\n", self.total.text())
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        json(self)
    }
}
