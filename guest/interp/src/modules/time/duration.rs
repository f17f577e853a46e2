//! The duration value: 64 bits of nanoseconds, written as Go writes them.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::cmp::Ordering;
use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::collections::StarlarkHasher;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::starlark_simple_value;
use starlark::typing::Ty;
use starlark::values::float::UnpackFloat;
use starlark::values::type_repr::StarlarkTypeRepr;
use starlark::values::{
    Heap, NoSerialize, ProvidesStaticType, StarlarkValue, UnpackValue, Value, ValueError, ValueLike, starlark_value,
};

use crate::duration;
use crate::error::{expected, usage};

const TYPE: &str = "time.duration";

const SECOND: u64 = 1_000_000_000;

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ProvidesStaticType, NoSerialize, Allocative)]
pub(crate) struct Duration {
    /// Nanoseconds, negative into the past.
    pub(crate) nanoseconds: i64,
}

starlark_simple_value!(Duration);

/// What a builtin takes for a duration: the value, or its text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length(pub(crate) Duration);

impl StarlarkTypeRepr for Length {
    type Canonical = Self;

    fn starlark_type_repr() -> Ty {
        Ty::union2(Duration::starlark_type_repr(), <&str>::starlark_type_repr())
    }
}

impl<'v> UnpackValue<'v> for Length {
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        let duration = match value.unpack_str() {
            Some(text) => Duration::parse(text),
            None => value.downcast_ref::<Duration>().copied(),
        };
        duration.map(|duration| Some(Self(duration))).ok_or_else(|| expected(duration::EXPECTED))
    }
}

/// A duration that is not negative, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait(pub(crate) u64);

impl StarlarkTypeRepr for Wait {
    type Canonical = Length;

    fn starlark_type_repr() -> Ty {
        Length::starlark_type_repr()
    }
}

impl<'v> UnpackValue<'v> for Wait {
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        let Some(Length(duration)) = Length::unpack_value(value)? else { return Ok(None) };
        let nanoseconds = u64::try_from(duration.nanoseconds);
        nanoseconds.map(|nanoseconds| Some(Self(nanoseconds))).map_err(|_| expected("a duration that is not negative"))
    }
}

/// How long something may take, in nanoseconds. 0 is no limit of the script's own, as without one: the host's stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Option<u64>);

impl StarlarkTypeRepr for Deadline {
    type Canonical = Length;

    fn starlark_type_repr() -> Ty {
        Length::starlark_type_repr()
    }
}

impl<'v> UnpackValue<'v> for Deadline {
    type Error = starlark::Error;

    fn unpack_value_impl(value: Value<'v>) -> starlark::Result<Option<Self>> {
        Ok(Wait::unpack_value(value)?.map(|Wait(nanoseconds)| Self(Some(nanoseconds).filter(|limit| *limit > 0))))
    }
}

impl Duration {
    fn parse(text: &str) -> Option<Self> {
        let (negative, size) = match text.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let nanoseconds = i64::try_from(duration::parse(size)?).ok()?;
        Some(Self { nanoseconds: if negative { -nanoseconds } else { nanoseconds } })
    }

    fn of(nanoseconds: i128) -> starlark::Result<Self> {
        let nanoseconds = i64::try_from(nanoseconds).map_err(|_| usage("a duration is more than 292 years"))?;
        Ok(Self { nanoseconds })
    }

    /// The duration between two counts of nanoseconds.
    pub(super) fn between(from: i128, to: i128) -> starlark::Result<Self> {
        Self::of(to - from)
    }

    /// The duration that is one of so many parts, to the nearest nanosecond towards zero. An int divides exactly.
    fn part(self, parts: Value<'_>, as_float: f64) -> starlark::Result<Self> {
        if let Some(parts) = i64::unpack_value(parts).ok().flatten() {
            return Self::of(i128::from(self.nanoseconds) / i128::from(parts));
        }
        let nanoseconds = (self.nanoseconds as f64 / as_float).trunc();
        match nanoseconds.abs() < i64::MAX as f64 {
            true => Self::of(nanoseconds as i128),
            false => Err(usage("a duration is more than 292 years")),
        }
    }

    fn over(self, unit: u64) -> f64 {
        self.nanoseconds as f64 / unit as f64
    }
}

/// A quotient, rounded down; the divisor is not 0.
fn rounded_down(size: i64, parts: i64) -> i128 {
    let (size, parts) = (i128::from(size), i128::from(parts));
    size.div_euclid(parts) - i128::from(parts < 0 && size.rem_euclid(parts) != 0)
}

/// As Go: `1h30m0s`, `1.5s`, `250ms`, `0s`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.nanoseconds.unsigned_abs();
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        match size {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{size}ns"),
            1_000..1_000_000 => return fraction(f, size, 1_000, "\u{b5}s"),
            1_000_000..SECOND => return fraction(f, size, 1_000_000, "ms"),
            _ => {}
        }
        let minutes = size / SECOND / 60;
        if minutes >= 60 {
            write!(f, "{}h", minutes / 60)?;
        }
        if minutes > 0 {
            write!(f, "{}m", minutes % 60)?;
        }
        fraction(f, size - minutes * 60 * SECOND, SECOND, "s")
    }
}

fn fraction(f: &mut fmt::Formatter<'_>, size: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", size / unit)?;
    let rest = size % unit;
    if rest > 0 {
        let width = usize::try_from(unit.ilog10()).unwrap_or(0);
        let digits = format!("{rest:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Duration>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Duration {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn to_bool(&self) -> bool {
        self.nanoseconds != 0
    }

    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<Self>() == Some(self))
    }

    fn compare(&self, other: Value<'v>) -> starlark::Result<Ordering> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(self.cmp(other)),
            None => ValueError::unsupported_with(self, "compare", other),
        }
    }

    fn write_hash(&self, hasher: &mut StarlarkHasher) -> starlark::Result<()> {
        std::hash::Hash::hash(&self.nanoseconds, hasher);
        Ok(())
    }

    fn add(&self, other: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        let other = other.downcast_ref::<Self>()?;
        Some(Self::of(i128::from(self.nanoseconds) + i128::from(other.nanoseconds)).map(|sum| heap.alloc(sum)))
    }

    fn sub(&self, other: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(heap.alloc(Self::between(other.nanoseconds.into(), self.nanoseconds.into())?)),
            None => ValueError::unsupported_with(self, "-", other),
        }
    }

    fn minus(&self, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(Self::between(self.nanoseconds.into(), 0)?))
    }

    fn mul(&self, other: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        let factor = i64::unpack_value(other).ok()??;
        Some(Self::of(i128::from(self.nanoseconds) * i128::from(factor)).map(|product| heap.alloc(product)))
    }

    fn rmul(&self, other: Value<'v>, heap: Heap<'v>) -> Option<starlark::Result<Value<'v>>> {
        self.mul(other, heap)
    }

    fn div(&self, other: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        match other.downcast_ref::<Self>() {
            Some(Self { nanoseconds: 0 }) => Err(usage("division of a duration by a duration of 0s")),
            Some(other) => Ok(heap.alloc(self.nanoseconds as f64 / other.nanoseconds as f64)),
            None => match UnpackFloat::unpack_value(other)?.filter(|_| other.unpack_bool().is_none()) {
                Some(UnpackFloat(0.0)) => Err(usage("division of a duration by 0")),
                Some(UnpackFloat(parts)) => Ok(heap.alloc(self.part(other, parts)?)),
                None => ValueError::unsupported_with(self, "/", other),
            },
        }
    }

    fn floor_div(&self, other: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        if let Some(other) = other.downcast_ref::<Self>() {
            return match other.nanoseconds {
                0 => Err(usage("division of a duration by a duration of 0s")),
                unit => Ok(heap.alloc(num_bigint::BigInt::from(rounded_down(self.nanoseconds, unit)))),
            };
        }
        match i64::unpack_value(other)? {
            Some(0) => Err(usage("division of a duration by 0")),
            Some(parts) => Ok(heap.alloc(Self::of(rounded_down(self.nanoseconds, parts))?)),
            None => ValueError::unsupported_with(self, "//", other),
        }
    }
}

/// A length of time, which may be negative.
///
/// Operators: `d + d`, `d - d` and `-d`; `d * n` and `n * d` for an int; `d / n` for any number; `d // n` for an int, rounded
/// down; `d / d`, a float; `d // d`, an int; `t + d` and `t - d` for a time; `==`, `<` and their siblings. A duration of
/// nothing is false.
///
/// ```text
/// >>> d = time.duration("90s")
/// ... [d * 2 - time.duration("1m"), d / time.duration("1m"), d // 4, d < time.duration("2m")]
/// [2m0s, 1.5, 22.5s, True]
/// ```
#[builtins("duration")]
fn methods(builder: &mut MethodsBuilder) {
    /// The duration in hours, with their fraction.
    #[starlark(attribute)]
    fn hours(this: &Duration) -> starlark::Result<f64> {
        Ok(this.over(3600 * SECOND))
    }

    /// The duration in minutes, with their fraction.
    #[starlark(attribute)]
    fn minutes(this: &Duration) -> starlark::Result<f64> {
        Ok(this.over(60 * SECOND))
    }

    /// The duration in seconds, with their fraction.
    #[starlark(attribute)]
    fn seconds(this: &Duration) -> starlark::Result<f64> {
        Ok(this.over(SECOND))
    }

    /// The whole milliseconds.
    #[starlark(attribute)]
    fn milliseconds(this: &Duration) -> starlark::Result<i64> {
        Ok(this.nanoseconds / 1_000_000)
    }

    /// The nanoseconds.
    #[starlark(attribute)]
    fn nanoseconds(this: &Duration) -> starlark::Result<i64> {
        Ok(this.nanoseconds)
    }

    /// The duration as `time.duration` reads it, such as `1h30m0s`.
    fn string(this: &Duration) -> String {
        this.to_string()
    }
}
