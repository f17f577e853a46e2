//! `math`: functions of numbers, the same to the last digit natively and in the guest.
//!
//! A result that is not a number is an error here, where it arises; found later, in a JSON answer, it says nothing of
//! where it came from. Infinities pass.

use std::f64::consts::{E, PI};

use num_bigint::{BigInt, ToBigInt};
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::float::UnpackFloat;
use starlark::values::{Heap, UnpackValue, Value};

use crate::error::usage;
use crate::given::Given;

/// Largest exact power, in bits: as far as `<<` shifts.
const MAX_POWER_BITS: u128 = 100_000;

#[builtins("math")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    const pi: f64 = PI;
    const e: f64 = E;
    const inf: f64 = f64::INFINITY;
    const nan: f64 = f64::NAN;

    /// The arc cosine of `x`, in radians. Errors: `x` outside -1 to 1.
    ///
    /// ```text
    /// >>> math.acos(1)
    /// 0.0
    /// ```
    fn acos<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::acos)
    }

    /// The inverse hyperbolic cosine of `x`. Errors: `x` below 1.
    ///
    /// ```text
    /// >>> math.acosh(1)
    /// 0.0
    /// ```
    fn acosh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::acosh)
    }

    /// The arc sine of `x`, in radians. Errors: `x` outside -1 to 1.
    ///
    /// ```text
    /// >>> math.asin(0)
    /// 0.0
    /// ```
    fn asin<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::asin)
    }

    /// The inverse hyperbolic sine of `x`.
    ///
    /// ```text
    /// >>> math.asinh(0)
    /// 0.0
    /// ```
    fn asinh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::asinh)
    }

    /// The arc tangent of `x`, in radians.
    ///
    /// ```text
    /// >>> math.atan(0)
    /// 0.0
    /// ```
    fn atan<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::atan)
    }

    /// The angle of the point (`x`, `y`), in radians.
    ///
    /// ```text
    /// >>> math.atan2(0, 1)
    /// 0.0
    /// ```
    fn atan2<'v>(y: UnpackFloat, x: UnpackFloat) -> starlark::Result<f64> {
        binary(("y", y), ("x", x), libm::atan2)
    }

    /// The inverse hyperbolic tangent of `x`. Errors: `x` outside -1 to 1.
    ///
    /// ```text
    /// >>> math.atanh(0)
    /// 0.0
    /// ```
    fn atanh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::atanh)
    }

    /// The smallest int that is at least `x`. Errors: an infinity, NaN.
    ///
    /// ```text
    /// >>> math.ceil(1.2)
    /// 2
    /// ```
    fn ceil<'v>(x: Given<'v, UnpackFloat>) -> starlark::Result<BigInt> {
        whole(x, libm::ceil)
    }

    /// The size of `x` with the sign of `y`.
    ///
    /// ```text
    /// >>> math.copysign(2, -0.0)
    /// -2.0
    /// ```
    fn copysign<'v>(x: UnpackFloat, y: UnpackFloat) -> starlark::Result<f64> {
        binary(("x", x), ("y", y), libm::copysign)
    }

    /// The cosine of `x` radians.
    ///
    /// ```text
    /// >>> math.cos(0)
    /// 1.0
    /// ```
    fn cos<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::cos)
    }

    /// The hyperbolic cosine of `x`.
    ///
    /// ```text
    /// >>> math.cosh(0)
    /// 1.0
    /// ```
    fn cosh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::cosh)
    }

    /// Radians as degrees.
    ///
    /// ```text
    /// >>> math.degrees(math.pi)
    /// 180.0
    /// ```
    fn degrees<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, |x| x * (180.0 / PI))
    }

    /// e to the power of `x`.
    ///
    /// ```text
    /// >>> math.exp(0)
    /// 1.0
    /// ```
    fn exp<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::exp)
    }

    /// The absolute value of `x`, as a float.
    ///
    /// ```text
    /// >>> math.fabs(-2)
    /// 2.0
    /// ```
    fn fabs<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::fabs)
    }

    /// The largest int that is at most `x`. Errors: an infinity, NaN.
    ///
    /// ```text
    /// >>> math.floor(-1.2)
    /// -2
    /// ```
    fn floor<'v>(x: Given<'v, UnpackFloat>) -> starlark::Result<BigInt> {
        whole(x, libm::floor)
    }

    /// The gamma function of `x`: `gamma(n + 1)` is the factorial of `n`. Errors: `x` negative infinity or a negative int.
    ///
    /// ```text
    /// >>> math.gamma(5)
    /// 24.0
    /// ```
    fn gamma<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::tgamma)
    }

    /// The greatest common divisor of two ints, which is never negative.
    ///
    /// ```text
    /// >>> math.gcd(12, -18)
    /// 6
    /// ```
    fn gcd<'v>(a: i64, b: i64) -> starlark::Result<u64> {
        let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        Ok(a)
    }

    /// The length of the vector (`x`, `y`).
    ///
    /// ```text
    /// >>> math.hypot(3, 4)
    /// 5.0
    /// ```
    fn hypot<'v>(x: UnpackFloat, y: UnpackFloat) -> starlark::Result<f64> {
        binary(("x", x), ("y", y), libm::hypot)
    }

    /// The logarithm of `x`, natural unless a `base` is given. Errors: `x` or `base` not above 0, `base` 1.
    ///
    /// ```text
    /// >>> [math.log(1), math.log(8, 2), math.log(1000, 10)]
    /// [0.0, 3.0, 3.0]
    /// ```
    fn log<'v>(x: UnpackFloat, #[starlark(default = UnpackFloat(E))] base: UnpackFloat) -> starlark::Result<f64> {
        let UnpackFloat(number) = x;
        let UnpackFloat(base) = base;
        if number <= 0.0 || base <= 0.0 || base == 1.0 {
            return Err(usage(format!("x must be above 0, and base above 0 and not 1, got {number} and {base}")));
        }
        Ok(match base {
            2.0 => libm::log2(number),
            10.0 => libm::log10(number),
            E => libm::log(number),
            base => libm::log(number) / libm::log(base),
        })
    }

    /// The remainder of `x / y` with the sign of `x`, unlike `%`. Errors: `y` is 0.
    ///
    /// ```text
    /// >>> math.mod(-7, 3)
    /// -1.0
    /// ```
    fn r#mod<'v>(x: UnpackFloat, y: UnpackFloat) -> starlark::Result<f64> {
        binary(("x", x), ("y", y), libm::fmod)
    }

    /// `x` to the power of `y`: exact for an int and an int of at least 0, a float otherwise.
    ///
    /// Errors: an int result of more than 100000 bits, a negative number to a fraction.
    ///
    /// ```text
    /// >>> [math.pow(2, 100), math.pow(2, -1), math.pow(2.0, 3)]
    /// [1267650600228229401496703205376, 0.5, 8.0]
    /// ```
    fn pow<'v>(x: Given<'v, UnpackFloat>, y: Given<'v, UnpackFloat>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        let ints = (BigInt::unpack_value(x.0)?, i64::unpack_value(y.0).ok().flatten());
        let (Some(base), Some(exponent @ 0..)) = ints else {
            return Ok(heap.alloc(binary(("x", x.take("x")?), ("y", y.take("y")?), libm::pow)?));
        };
        let bits = u128::from(base.bits().saturating_sub(1)) * u128::from(exponent.unsigned_abs());
        match u32::try_from(exponent) {
            Ok(exponent) if bits <= MAX_POWER_BITS => Ok(heap.alloc(base.pow(exponent))),
            // 0, 1 and -1 have powers of any size.
            _ if base.bits() <= 1 => Ok(heap.alloc(base.pow(if exponent % 2 == 0 { 2 } else { 1 }))),
            _ => Err(usage(format!("the result would have more than {MAX_POWER_BITS} bits"))),
        }
    }

    /// Degrees as radians.
    ///
    /// ```text
    /// >>> math.radians(180) == math.pi
    /// True
    /// ```
    fn radians<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, |x| x * (PI / 180.0))
    }

    /// The remainder of `x / y` rounded to the nearest int. Errors: `y` is 0.
    ///
    /// ```text
    /// >>> math.remainder(7, 4)
    /// -1.0
    /// ```
    fn remainder<'v>(x: UnpackFloat, y: UnpackFloat) -> starlark::Result<f64> {
        binary(("x", x), ("y", y), libm::remainder)
    }

    /// The nearest int, halves away from zero. Errors: an infinity, NaN.
    ///
    /// ```text
    /// >>> math.round(2.5)
    /// 3
    /// ```
    fn round<'v>(x: Given<'v, UnpackFloat>) -> starlark::Result<BigInt> {
        whole(x, libm::round)
    }

    /// The sine of `x` radians.
    ///
    /// ```text
    /// >>> math.sin(0)
    /// 0.0
    /// ```
    fn sin<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::sin)
    }

    /// The hyperbolic sine of `x`.
    ///
    /// ```text
    /// >>> math.sinh(0)
    /// 0.0
    /// ```
    fn sinh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::sinh)
    }

    /// The square root of `x`. Errors: a negative `x`.
    ///
    /// ```text
    /// >>> math.sqrt(2)
    /// 1.4142135623730951
    /// ```
    fn sqrt<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::sqrt)
    }

    /// The tangent of `x` radians.
    ///
    /// ```text
    /// >>> math.tan(0)
    /// 0.0
    /// ```
    fn tan<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::tan)
    }

    /// The hyperbolic tangent of `x`.
    ///
    /// ```text
    /// >>> math.tanh(0)
    /// 0.0
    /// ```
    fn tanh<'v>(x: UnpackFloat) -> starlark::Result<f64> {
        unary(x, libm::tanh)
    }

    /// `x` without its fraction. Errors: an infinity, NaN.
    ///
    /// ```text
    /// >>> math.trunc(-2.7)
    /// -2
    /// ```
    fn trunc<'v>(x: Given<'v, UnpackFloat>) -> starlark::Result<BigInt> {
        whole(x, libm::trunc)
    }
}

fn unary(UnpackFloat(x): UnpackFloat, apply: fn(f64) -> f64) -> starlark::Result<f64> {
    let result = apply(x);
    if result.is_nan() && !x.is_nan() {
        return Err(usage(format!("not defined for x = {x}")));
    }
    Ok(result)
}

fn binary(
    (first, UnpackFloat(x)): (&str, UnpackFloat),
    (second, UnpackFloat(y)): (&str, UnpackFloat),
    apply: fn(f64, f64) -> f64,
) -> starlark::Result<f64> {
    let result = apply(x, y);
    if result.is_nan() && !x.is_nan() && !y.is_nan() {
        return Err(usage(format!("not defined for {first} = {x} and {second} = {y}")));
    }
    Ok(result)
}

fn whole(x: Given<'_, UnpackFloat>, apply: fn(f64) -> f64) -> starlark::Result<BigInt> {
    // An int that no float holds exactly is whole already.
    if let Some(int) = BigInt::unpack_value(x.0)? {
        return Ok(int);
    }
    let UnpackFloat(number) = x.take("x")?;
    apply(number).to_bigint().ok_or_else(|| usage(format!("no int is {}", x.0)))
}
