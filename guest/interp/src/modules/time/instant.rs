//! The time value: a point in time, and where it is shown.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::cmp::Ordering;
use std::fmt;

use allocative::Allocative;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use starcell_macros::builtins;
use starlark::collections::StarlarkHasher;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::values::{
    Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueError, ValueLike, starlark_value,
};

use super::duration::{Duration, Length};
use super::moment::Moment;
use super::{layout, zone};
use crate::error::usage;
use crate::given::Given;

const TYPE: &str = "time.time";

/// A point in time.
#[derive(Clone, Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Instant(#[allocative(skip)] pub(super) Moment);

starlark_simple_value!(Instant);

impl Instant {
    /// A time shown in UTC.
    pub(super) fn utc(timestamp: Timestamp) -> Self {
        Self(Moment { timestamp, zone: TimeZone::UTC })
    }

    /// How much later this is than another.
    pub(super) fn since(&self, other: &Self) -> starlark::Result<Duration> {
        Duration::between(other.0.timestamp.as_nanosecond(), self.0.timestamp.as_nanosecond())
    }

    fn later(&self, nanoseconds: i128) -> starlark::Result<Self> {
        let timestamp = Timestamp::from_nanosecond(self.0.timestamp.as_nanosecond() + nanoseconds)
            .map_err(|_| usage("a time is outside of the years -9999 to 9999"))?;
        Ok(Self(Moment { timestamp, zone: self.0.zone.clone() }))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = layout::format("rfc3339nano", &self.0).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Instant>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Instant {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<Self>().is_some_and(|other| self.0.timestamp == other.0.timestamp))
    }

    fn compare(&self, other: Value<'v>) -> starlark::Result<Ordering> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(self.0.timestamp.cmp(&other.0.timestamp)),
            None => ValueError::unsupported_with(self, "compare", other),
        }
    }

    fn write_hash(&self, hasher: &mut StarlarkHasher) -> starlark::Result<()> {
        std::hash::Hash::hash(&self.0.timestamp, hasher);
        Ok(())
    }

    fn add(&self, other: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        let duration = other.downcast_ref::<Duration>()?;
        Some(self.later(duration.nanoseconds.into()).map(|time| heap.alloc(time)))
    }

    fn radd(&self, other: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        self.add(other, heap)
    }

    fn sub(&self, other: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        if let Some(earlier) = other.downcast_ref::<Self>() {
            return Ok(heap.alloc(self.since(earlier)?));
        }
        match other.downcast_ref::<Duration>() {
            Some(duration) => Ok(heap.alloc(self.later(-i128::from(duration.nanoseconds))?)),
            None => ValueError::unsupported_with(self, "-", other),
        }
    }
}

/// A moment, and the offset or zone that it is shown in.
///
/// Operators: `t + d` and `t - d`, a time; `t - t`, a duration; `==`, `<` and their siblings, which compare moments wherever
/// they are shown.
///
/// ```text
/// >>> t = time.from_unix(0)
/// ... [t + time.duration("1h"), t + time.duration("1h") - t, t == t.in_offset("+02:00"), t < time.now()]
/// [1970-01-01T01:00:00Z, 1h0m0s, True, True]
/// ```
#[builtins("time")]
fn methods(builder: &mut MethodsBuilder) {
    /// The year.
    #[starlark(attribute)]
    fn year(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().year().into())
    }

    /// The month, 1 to 12.
    #[starlark(attribute)]
    fn month(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().month().into())
    }

    /// The day of the month, 1 to 31.
    #[starlark(attribute)]
    fn day(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().day().into())
    }

    /// The hour, 0 to 23.
    #[starlark(attribute)]
    fn hour(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().hour().into())
    }

    /// The minute, 0 to 59.
    #[starlark(attribute)]
    fn minute(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().minute().into())
    }

    /// The second, 0 to 59.
    #[starlark(attribute)]
    fn second(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().second().into())
    }

    /// The nanosecond within the second.
    #[starlark(attribute)]
    fn nanosecond(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().subsec_nanosecond())
    }

    /// The day of the week, 0 for Sunday to 6 for Saturday.
    #[starlark(attribute)]
    fn weekday(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().weekday().to_sunday_zero_offset().into())
    }

    /// The day of the year, from 1.
    #[starlark(attribute)]
    fn yearday(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.civil().day_of_year().into())
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[starlark(attribute)]
    fn unix(this: &Instant) -> starlark::Result<i64> {
        let nanoseconds = this.0.timestamp.as_nanosecond().div_euclid(1_000_000_000);
        i64::try_from(nanoseconds).map_err(|e| usage(e.to_string()))
    }

    /// Nanoseconds since the Unix epoch.
    #[starlark(attribute)]
    fn unix_nano(this: &Instant) -> starlark::Result<num_bigint::BigInt> {
        Ok(this.0.timestamp.as_nanosecond().into())
    }

    /// Seconds east of UTC.
    #[starlark(attribute)]
    fn offset(this: &Instant) -> starlark::Result<i32> {
        Ok(this.0.offset().seconds())
    }

    /// The time as text, by a layout as `time.parse` takes it: `rfc3339` unless given. Errors: an unknown layout.
    fn string<'v>(this: &Instant, #[starlark(default = "rfc3339")] format: &'v str) -> starlark::Result<String> {
        layout::format(format, &this.0).map_err(usage)
    }

    /// The time a duration later. Errors: a year outside of -9999 to 9999.
    fn add<'v>(this: &Instant, d: Length) -> starlark::Result<Instant> {
        this.later(d.0.nanoseconds.into())
    }

    /// The duration since another time. Errors: more than 292 years.
    fn sub<'v>(this: &Instant, t: &'v Instant) -> starlark::Result<Duration> {
        this.since(t)
    }

    /// The same time, shown with another offset, such as `"+02:00"` or `"Z"`. Errors: what is no offset.
    fn in_offset<'v>(this: &Instant, offset: Given<'v, &'v str>) -> starlark::Result<Instant> {
        let text = offset.take("offset")?;
        let expected = "an offset such as \"+02:00\", \"-0530\" or \"Z\"; in_location takes names of zones";
        let parsed = layout::offset(text).ok_or_else(|| offset.wrong("offset", expected))?;
        Ok(Instant(Moment { zone: TimeZone::fixed(parsed), timestamp: this.0.timestamp }))
    }

    /// The same time, shown in a zone of the tz database, such as `"America/New_York"`, with its summer time.
    ///
    /// Errors: a name that is not in it.
    fn in_location(this: &Instant, name: &str) -> starlark::Result<Instant> {
        Ok(Instant(Moment { zone: zone::named(name).map_err(usage)?, timestamp: this.0.timestamp }))
    }

    /// The same time, shown in UTC.
    fn utc(this: &Instant) -> Instant {
        Instant::utc(this.0.timestamp)
    }
}
