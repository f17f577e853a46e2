//! Warnings of the host's crates, as lines of the log: that the audit log cannot begin a new file, say. They know
//! of no log, and tell whoever listens.

use std::error::Error;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::{Level, Logs, field};

impl Logs {
    /// Takes what the crates of the host warn of into this log, for the rest of the process. Libraries are left out: what
    /// makes them warn may be a client's to decide.
    pub fn take_warnings(&self) {
        // A log that listens already stays.
        let _ = tracing::subscriber::set_global_default(Warnings(self.clone()));
    }
}

struct Warnings(Logs);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() <= tracing::Level::WARN && metadata.target().starts_with("starcell")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        let level = if *event.metadata().level() == tracing::Level::ERROR { Level::Error } else { Level::Warn };
        let mut said = Said::default();
        event.record(&mut said);
        self.0.write(level, &said.message, |line| {
            said.fields.iter().for_each(|(name, value)| line.text(field::Field::of_warning(name), value));
        });
    }

    // No span is enabled.
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }

    /// With its causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let causes = std::iter::successors(Some(value), |&error| error.source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        self.fields.push((field.name(), texts.join(": ")));
    }
}
