//! `random`: bytes from the host at every call. A generator in the guest's memory would be copied by a fork, and two
//! requests would see the same secrets.
//!
//! Everything here is fit for secrets. A number out of a range is made of many more bits than the range has, so that no
//! draw needs a second try and none is more likely than another by more than 2^-64.

use data_encoding::HEXLOWER;
use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::list_or_tuple::UnpackListOrTuple;

use crate::error::usage;
use crate::given::Given;
use crate::session::Session;

/// Most bytes, characters or elements of one call; a secret needs 32 bytes.
const MAX_LENGTH: usize = 65_536;

/// Most bytes of one token, which is a secret.
const MAX_TOKEN_BYTES: usize = 1024;
const DEFAULT_TOKEN_BYTES: usize = 16;

/// Most bytes to ask the host for at once.
const CHUNK_BYTES: usize = 4096;

const LETTERS_AND_DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[builtins("random")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// `n` random bytes (16 unless given, at most 1024) in hexadecimal.
    ///
    /// ```text
    /// >>> len(random.token(32))
    /// 64
    /// ```
    fn token<'v>(n: Option<Given<'v, i32>>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<String> {
        let length = match n {
            Some(n) if !n.0.is_none() => within("n", n, 1, MAX_TOKEN_BYTES)?,
            _ => DEFAULT_TOKEN_BYTES,
        };
        Ok(HEXLOWER.encode(&self::bytes(eval, length)?))
    }

    /// `n` random bytes, at most 65536.
    ///
    /// ```text
    /// >>> len(random.bytes(8))
    /// 8
    /// ```
    fn bytes<'v>(n: Given<'v, i32>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Vec<u8>> {
        self::bytes(eval, within("n", n, 0, MAX_LENGTH)?)
    }

    /// A random int from `low` to `high`, both included. Errors: `high` below `low`, or either outside of 64 bits.
    ///
    /// ```text
    /// >>> random.int(1, 6) in [1, 2, 3, 4, 5, 6]
    /// True
    /// ```
    fn int<'v>(low: i64, high: i64, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<i64> {
        let (bottom, top) = (low, high);
        if top < bottom {
            return Err(usage(format!("high must be at least low, got low {bottom} and high {top}")));
        }
        let count = u128::from(top.abs_diff(bottom)) + 1;
        let offset = u128::from_le_bytes(array(eval)?) % count;
        Ok(i128::try_from(offset).ok().and_then(|o| i64::try_from(i128::from(bottom) + o).ok()).unwrap_or(top))
    }

    /// A random float from 0 up to but without 1.
    ///
    /// ```text
    /// >>> 0.0 <= random.float() and random.float() < 1.0
    /// True
    /// ```
    fn float(eval: &mut Evaluator<'_, '_, '_>) -> starlark::Result<f64> {
        let bits = u64::from_le_bytes(array(eval)?) >> 11;
        // 53 bits are exact in a float.
        Ok(bits as f64 / (1u64 << 53) as f64)
    }

    /// One element of a list or tuple. Errors: an empty one.
    ///
    /// ```text
    /// >>> random.choice(["a", "b"]) in ["a", "b"]
    /// True
    /// ```
    fn choice<'v>(
        items: UnpackListOrTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let values = items.items;
        let at = below(eval, values.len())?;
        values.get(at).copied().ok_or_else(|| usage("items is empty"))
    }

    /// The elements of a list or tuple as a new list in random order, at most 65536 of them.
    ///
    /// ```text
    /// >>> sorted(random.shuffle([3, 1, 2]))
    /// [1, 2, 3]
    /// ```
    fn shuffle<'v>(
        items: UnpackListOrTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let values = items.items;
        let count = values.len();
        drawn(values, count, eval)
    }

    /// `k` elements of a list or tuple as a new list, in random order and none of them twice.
    ///
    /// ```text
    /// >>> len(random.sample([1, 2, 3], 2))
    /// 2
    /// ```
    fn sample<'v>(
        items: UnpackListOrTuple<Value<'v>>,
        k: Given<'v, i32>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let values = items.items;
        let count = within("k", k, 0, values.len())?;
        drawn(values, count, eval)
    }

    /// `n` random characters (at most 65536) of `alphabet`: ASCII letters and digits unless given.
    ///
    /// ```text
    /// >>> len(random.string(6, "0123456789"))
    /// 6
    /// ```
    fn string<'v>(
        n: Given<'v, i32>,
        #[starlark(default = LETTERS_AND_DIGITS)] alphabet: &'v str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<String> {
        let count = within("n", n, 0, MAX_LENGTH)?;
        let alphabet: Vec<char> = alphabet.chars().collect();
        if alphabet.is_empty() {
            return Err(usage("alphabet is empty"));
        }
        let draws = draws(eval, count)?;
        Ok(draws.into_iter().filter_map(|draw| alphabet.get(scaled(draw, alphabet.len())).copied()).collect())
    }
}

/// A count from `least` to `most`.
fn within<'v>(name: &str, n: Given<'v, i32>, least: usize, most: usize) -> starlark::Result<usize> {
    let count = n.take(name).ok().and_then(|n| usize::try_from(n).ok());
    let count = count.filter(|count| (least..=most).contains(count));
    count.ok_or_else(|| n.wrong(name, &format!("an int from {least} to {most}")))
}

/// Fresh bytes from the host.
fn bytes(eval: &Evaluator<'_, '_, '_>, length: usize) -> starlark::Result<Vec<u8>> {
    let host = Session::of(eval)?.host;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        bytes.extend(host.random(CHUNK_BYTES.min(length - bytes.len())));
    }
    Ok(bytes)
}

/// Fresh bytes from the host, in an array.
pub(super) fn array<const N: usize>(eval: &Evaluator<'_, '_, '_>) -> starlark::Result<[u8; N]> {
    let mut array = [0; N];
    array.iter_mut().zip(bytes(eval, N)?).for_each(|(to, from)| *to = from);
    Ok(array)
}

/// A number below `count`; 0 when there is none.
fn below(eval: &Evaluator<'_, '_, '_>, count: usize) -> starlark::Result<usize> {
    Ok(scaled(u128::from_le_bytes(array(eval)?), count))
}

/// Numbers to be scaled to ranges.
fn draws(eval: &Evaluator<'_, '_, '_>, count: usize) -> starlark::Result<Vec<u128>> {
    let bytes = bytes(eval, count * 16)?;
    let (chunks, _) = bytes.as_chunks();
    Ok(chunks.iter().map(|chunk| u128::from_le_bytes(*chunk)).collect())
}

fn scaled(draw: u128, count: usize) -> usize {
    let count = u128::try_from(count).unwrap_or(u128::MAX);
    draw.checked_rem(count).and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

/// The first `count` of the elements in random order.
fn drawn<'v>(mut values: Vec<Value<'v>>, count: usize, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    if values.len() > MAX_LENGTH {
        return Err(usage(format!("items has {} elements, the most is {MAX_LENGTH}", values.len())));
    }
    for (at, draw) in draws(eval, count)?.into_iter().enumerate() {
        let other = at + scaled(draw, values.len() - at);
        values.swap(at, other);
    }
    values.truncate(count);
    Ok(eval.heap().alloc(AllocList(values)))
}
