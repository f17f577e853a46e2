//! `time`: the host's wall clock, read at every call, and arithmetic with what it says. A clock kept in memory would be
//! copied by a fork and stand still.
//!
//! A time is shown with an offset from UTC, or in a zone of the tz database, whose rules are those of the day the
//! interpreter was built.

pub(crate) mod duration;
mod golayout;
mod instant;
mod layout;
mod moment;
mod zone;

use jiff::Timestamp;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::none::NoneType;
use starlark::values::{Heap, Value, ValueLike};

use crate::error::{from_host, usage};
use crate::session::Session;

pub(crate) use duration::{Deadline, Duration, Length, Wait};
use instant::Instant;

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// The types of the values that these functions return.
pub(super) fn types() -> [(&'static str, DocType); 2] {
    [("time.duration", duration::documented()), ("time.time", instant::documented())]
}

/// The text of a time in UTC, with its fraction, as databases read it; none for another value.
pub(super) fn rfc3339(value: Value<'_>) -> Option<String> {
    Some(value.downcast_ref::<Instant>()?.0.timestamp.to_string())
}

/// The time so many nanoseconds after the Unix epoch.
pub(super) fn at<'v>(nanoseconds: i64, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
    let timestamp = Timestamp::from_nanosecond(i128::from(nanoseconds));
    Ok(heap.alloc(Instant::utc(timestamp.map_err(|error| usage(error.to_string()))?)))
}

#[builtins("time")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The layout of RFC 3339, such as `2025-01-15T14:30:00Z`.
    const RFC3339: &str = "rfc3339";
    /// RFC 3339 with the fraction of the second.
    const RFC3339Nano: &str = "rfc3339nano";
    /// The layout `Wed, 15 Jan 2025 14:30:00 UTC`.
    const RFC1123: &str = "rfc1123";
    /// The layout `15 Jan 25 14:30 UTC`.
    const RFC822: &str = "rfc822";
    /// The layout of HTTP headers: `Wed, 15 Jan 2025 14:30:00 GMT`.
    const HTTP: &str = "http";
    /// The layout `3:04PM`.
    const Kitchen: &str = "kitchen";
    /// The layout `2025-01-15 14:30:00`.
    const DateTime: &str = "datetime";
    /// The layout `2025-01-15`.
    const DateOnly: &str = "date";
    /// The layout `14:30:00`.
    const TimeOnly: &str = "time";
    /// The layout `Jan 15 14:30:00`.
    const Stamp: &str = "stamp";

    /// The time now, in UTC.
    ///
    /// ```text
    /// >>> time.now() > time.from_unix(1700000000)
    /// True
    /// ```
    fn now(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<Instant> {
        clock(eval)
    }

    /// Whole seconds since the Unix epoch, now.
    ///
    /// ```text
    /// >>> time.unix() >= 1700000000
    /// True
    /// ```
    fn unix(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<u64> {
        Ok(Session::of(eval)?.host.now() / NANOSECONDS_PER_SECOND)
    }

    /// Nanoseconds since the Unix epoch, now.
    ///
    /// ```text
    /// >>> time.unix_nano() >= 1700000000123456789
    /// True
    /// ```
    fn unix_nano(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<u64> {
        Ok(Session::of(eval)?.host.now())
    }

    /// The time a number of seconds, and of nanoseconds, after the Unix epoch. Errors: a year outside -9999 to 9999.
    ///
    /// ```text
    /// >>> time.from_unix(1700000000)
    /// 2023-11-14T22:13:20Z
    /// ```
    fn from_unix<'v>(seconds: i64, #[starlark(default = 0)] nanoseconds: i64) -> starlark::Result<Instant> {
        let whole = i128::from(seconds) * i128::from(NANOSECONDS_PER_SECOND);
        let fraction = nanoseconds;
        Timestamp::from_nanosecond(whole + i128::from(fraction))
            .map(Instant::utc)
            .map_err(|_| usage("the year is outside of -9999 to 9999"))
    }

    /// The time that a text tells.
    ///
    /// `layout` is one of `rfc3339`, `rfc3339nano`, `rfc1123`, `rfc822`, `http`, `kitchen`, `datetime`, `date`, `time`,
    /// `stamp` (also as the constants `time.RFC3339` and so on), a pattern of `strftime` such as `%d.%m.%Y %H:%M`, or a
    /// layout as Go writes it, such as `Jan 2, 2006 at 3:04pm`. `http` also takes the two older forms of HTTP.
    /// What the layout leaves out is that of midnight, January 1st of the year 0, in UTC. Errors: a text that does not
    /// match, a date that does not exist, an unknown layout.
    ///
    /// ```text
    /// >>> time.parse(time.RFC3339, "2025-01-15T14:30:00+01:00").unix
    /// 1736947800
    /// ```
    fn parse<'v>(layout: &'v str, value: &'v str, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Instant> {
        layout::parse(layout, value, clock(eval)?.0.timestamp).map(Instant).map_err(usage)
    }

    /// A time as text, by a layout as `parse` takes it. Errors: an unknown layout.
    ///
    /// ```text
    /// >>> time.format(time.from_unix(0), "%A, %-d %B %Y")
    /// "Thursday, 1 January 1970"
    /// ```
    fn format<'v>(t: &'v Instant, layout: &'v str) -> starlark::Result<String> {
        layout::format(layout, &t.0).map_err(usage)
    }

    /// A duration from a text such as `1h30m`, `250ms`, `-1.5s` (units: `ns`, `us`, `ms`, `s`, `m`, `h`), or the same
    /// duration again. Errors: a number without a unit, more than 292 years.
    ///
    /// ```text
    /// >>> time.duration("90m").hours
    /// 1.5
    /// ```
    fn duration<'v>(d: Length) -> starlark::Result<Duration> {
        Ok(d.0)
    }

    /// How long ago a time was.
    ///
    /// ```text
    /// >>> time.since(time.from_unix(0)) > time.duration("24h")
    /// True
    /// ```
    fn since<'v>(t: &'v Instant, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Duration> {
        clock(eval)?.since(t)
    }

    /// How long it is until a time.
    ///
    /// ```text
    /// >>> time.until(time.from_unix(0)) < time.duration("0s")
    /// True
    /// ```
    fn until<'v>(t: &'v Instant, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Duration> {
        t.since(&clock(eval)?)
    }

    /// Waits. The time counts as the request's own, so its limits end it. Errors: a negative duration, a host that
    /// cannot wait.
    ///
    /// ```text
    /// >>> time.sleep("0s")
    /// None
    /// ```
    fn sleep<'v>(d: Wait, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        wait(eval, d.0)?;
        Ok(NoneType)
    }
}

/// The host's clock.
fn clock(eval: &Evaluator<'_, '_, '_>) -> starlark::Result<Instant> {
    let now = Timestamp::from_nanosecond(i128::from(Session::of(eval)?.host.now()));
    now.map(Instant::utc).map_err(|e| usage(format!("the host's clock is out of range: {e}")))
}

/// Waits for that long; not at all is no call to the host.
pub(super) fn wait(eval: &Evaluator<'_, '_, '_>, nanoseconds: u64) -> starlark::Result<()> {
    if nanoseconds == 0 {
        return Ok(());
    }
    Session::of(eval)?.host.sleep(nanoseconds).map_err(from_host)
}
