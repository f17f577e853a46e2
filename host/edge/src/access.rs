//! One line for each request: what was asked, what came of it, what it cost.

use std::time::Duration;

use http::request::Parts;
use starcell_http::request::proto;
use starcell_http::response::Answer;
use starcell_log::{Field, Line};

/// The line of a request that was answered.
pub(crate) struct Entry<'a> {
    pub(crate) parts: &'a Parts,
    /// The app that was asked.
    pub(crate) app: Option<&'a str>,
    /// The pattern that matched.
    pub(crate) route: Option<&'a str>,
    pub(crate) answer: &'a Answer,
    /// From its head to its response; what is answered at once takes no time worth a reading of the clock.
    pub(crate) duration: Duration,
    /// Time that its guest ran.
    pub(crate) cpu: Option<Duration>,
    pub(crate) id: &'a str,
    pub(crate) remote: &'a str,
}

impl Entry<'_> {
    /// Adds the fields. The query is left out of the line: that is where secrets are.
    pub(crate) fn write(&self, line: &mut Line<'_>) {
        let Self { parts, answer, .. } = self;
        line.text(Field::METHOD, parts.method.as_str());
        line.text(Field::PATH, parts.uri.path());
        if let Some(app) = self.app {
            line.text(Field::APP, app);
        }
        if let Some(route) = self.route {
            line.text(Field::ROUTE, route);
        }
        line.number(Field::STATUS, answer.status().as_u16().into());
        line.number(Field::BYTES, answer.body().len() as u64);
        line.number(Field::DURATION_US, micros(self.duration));
        if let Some(cpu) = self.cpu {
            line.number(Field::CPU_US, micros(cpu));
        }
        line.text(Field::REQUEST, self.id);
        line.text(Field::REMOTE, self.remote);
        line.text(Field::PROTO, proto(parts.version));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
