//! One line for each request: what was asked, what came of it, what it cost.

use std::time::Duration;

use http::request::Parts;
use starcell_http::request::proto;
use starcell_http::response::Answer;
use tokio::time::Instant;

use crate::logs::Logs;

/// What is known of a request while it is answered.
#[derive(Debug)]
pub(crate) struct Access {
    began: Instant,
    /// The pattern that matched.
    pub(crate) route: Option<String>,
    /// Time that its guest ran.
    pub(crate) cpu: Option<Duration>,
}

impl Access {
    /// A request has come.
    pub(crate) fn begin() -> Self {
        Self { began: Instant::now(), route: None, cpu: None }
    }

    /// It is answered. The query is left out of the line: that is where secrets are.
    pub(crate) fn end(&self, parts: &Parts, remote: &str, answer: &Answer, id: &str, logs: &Logs) {
        logs.access(|line| {
            line.text("method", parts.method.as_str());
            line.text("path", parts.uri.path());
            if let Some(route) = &self.route {
                line.text("route", route);
            }
            line.number("status", answer.status().as_u16().into());
            line.number("bytes", answer.body().len() as u64);
            line.number("duration_us", micros(self.began.elapsed()));
            if let Some(cpu) = self.cpu {
                line.number("cpu_us", micros(cpu));
            }
            line.text("request", id);
            line.text("remote", remote);
            line.text("proto", proto(parts.version));
        });
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
