//! One line for each request: what was asked, what came of it, what it cost.

use std::time::Duration;

use http::request::Parts;
use starcell_http::request::proto;
use starcell_http::response::Answer;
use tokio::time::Instant;

use crate::logs::{Attributes, Writing, name};

/// What is known of a request while it is answered.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// When it was handed on; what is answered at once takes no time worth a reading of the clock.
    began: Option<Instant>,
    /// The pattern that matched.
    route: Option<String>,
    /// Time that its guest ran.
    pub(crate) cpu: Option<Duration>,
}

impl Access {
    /// A request goes to whom its route says.
    pub(crate) fn begin(&mut self, route: Option<&str>) {
        (self.began, self.route) = (Some(Instant::now()), route.map(str::to_owned));
    }
}

/// The line of a request that was answered.
pub(crate) struct Entry<'a> {
    pub(crate) access: &'a Access,
    /// When it was answered.
    pub(crate) now: Instant,
    pub(crate) parts: &'a Parts,
    pub(crate) remote: &'a str,
    pub(crate) answer: &'a Answer,
    pub(crate) id: &'a str,
}

impl Attributes for Entry<'_> {
    /// The query is left out of the line: that is where secrets are.
    fn write<const JSON: bool>(&self, line: &mut Writing<'_, JSON>) {
        let Self { access, now, parts, answer, .. } = self;
        line.plain(name!("method"), parts.method.as_str());
        line.text(name!("path"), parts.uri.path());
        if let Some(route) = &access.route {
            line.text(name!("route"), route);
        }
        line.digits(name!("status"), answer.status().as_str());
        line.number(name!("bytes"), answer.body().len() as u64);
        line.number(name!("duration_us"), micros(access.began.map_or(Duration::ZERO, |began| *now - began)));
        if let Some(cpu) = access.cpu {
            line.number(name!("cpu_us"), micros(cpu));
        }
        line.plain(name!("request"), self.id);
        line.plain(name!("remote"), self.remote);
        line.plain(name!("proto"), proto(parts.version));
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
