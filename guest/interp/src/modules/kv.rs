//! `kv`: state that outlives a request, since nothing else of a fork does.

mod value;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::none::NoneType;

use crate::args::describe;
use crate::duration;
use crate::error::{from_host, usage};
use crate::given::{Function, Text, argument};
use crate::host::{HostError, Kv, Lifetime, Listing, Position};
use crate::session::{Session, position};

/// How often `update` tries. Each failure is somebody else's success, so a script that gets here is not alone but
/// outnumbered.
const MAX_TRIES: usize = 1000;

#[builtins("kv")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The value of a key, or the default.
    ///
    /// ```text
    /// >>> kv.get("nobody", "none")
    /// "none"
    /// >>> kv.set("user:1", {"name": "Ada", "tags": ["a"]})
    /// ... kv.get("user:1")
    /// {"name": "Ada", "tags": ["a"]}
    /// ```
    fn get<'v>(
        key: Text<'v>,
        default: Option<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        match ask(eval, |kv, at| kv.get(key.0, at))? {
            Some(stored) => value::from_stored(&stored, eval.heap()),
            None => Ok(default.unwrap_or_default()),
        }
    }

    /// Whether a key has a value.
    ///
    /// ```text
    /// >>> kv.exists("never-set")
    /// False
    /// ```
    fn exists<'v>(key: Text<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        ask(eval, |kv, at| kv.exists(key.0, at))
    }

    /// Gives a key a value, which comes back as it went in: str, bytes, or whatever JSON can hold.
    ///
    /// `ttl` is how long it lasts, such as `"1h"`; for ever without it. Errors: a value that cannot be kept, a full
    /// store.
    ///
    /// ```text
    /// >>> kv.set("session:7", b"\x01", ttl = "30m")
    /// ... kv.get("session:7")
    /// b"\x01"
    /// ```
    fn set<'v>(
        key: Text<'v>,
        value: Value<'v>,
        #[starlark(require = named)] ttl: Option<Ttl<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let (stored, lifetime) = (value::to_stored(value)?, lifetime(ttl, Lifetime::Forever));
        ask(eval, |kv, at| kv.set(key.0, &stored, lifetime, at))?;
        Ok(NoneType)
    }

    /// Takes a key's value away, and says whether there was one.
    ///
    /// ```text
    /// >>> kv.set("gone", 1)
    /// ... [kv.delete("gone"), kv.delete("gone")]
    /// [True, False]
    /// ```
    fn delete<'v>(key: Text<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        ask(eval, |kv, at| kv.delete(key.0, at))
    }

    /// The keys with a prefix, sorted.
    ///
    /// `limit` (1 to 10000) and the last key of the page before as `after` give them in pages; without `limit` it is an
    /// error when there are more than 10000.
    ///
    /// ```text
    /// >>> kv.set("page:1", 1)
    /// ... kv.set("page:2", 2)
    /// ... [kv.list("page:"), kv.list("page:", after = "page:1", limit = 1)]
    /// [["page:1", "page:2"], ["page:2"]]
    /// ```
    fn list<'v>(
        #[starlark(default = "")] prefix: &'v str,
        #[starlark(require = named)] after: Option<&'v str>,
        #[starlark(require = named)] limit: Option<Limit<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let listing =
            Listing { prefix: prefix.to_owned(), after: after.map(str::to_owned), limit: limit.map(|limit| limit.0) };
        let keys = ask(eval, |kv, at| kv.list(&listing, at))?;
        Ok(eval.heap().alloc(AllocList(keys)))
    }

    /// Adds to an int, which starts at 0, and returns the sum. No other request comes between.
    ///
    /// `ttl` counts from the first call. Errors: a value that is no int, a sum that needs more than 64 bits.
    ///
    /// ```text
    /// >>> [kv.incr("hits"), kv.incr("hits", 10)]
    /// [1, 11]
    /// ```
    fn incr<'v>(
        key: Text<'v>,
        #[starlark(default = 1)] by: i64,
        #[starlark(require = named)] ttl: Option<Ttl<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<i64> {
        ask(eval, |kv, at| kv.increment(key.0, by, lifetime(ttl, Lifetime::Forever), at))
    }

    /// Sets a value if the present one equals `expected`, `None` being no value, and says whether it did.
    ///
    /// ```text
    /// >>> [kv.compare_and_set("owner", None, "me"), kv.compare_and_set("owner", None, "you"), kv.get("owner")]
    /// [True, False, "me"]
    /// ```
    fn compare_and_set<'v>(
        key: Text<'v>,
        expected: Value<'v>,
        value: Value<'v>,
        #[starlark(require = named)] ttl: Option<Ttl<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<bool> {
        let expected = if expected.is_none() { None } else { Some(value::to_stored(expected)?) };
        let (stored, lifetime) = (value::to_stored(value)?, lifetime(ttl, Lifetime::Forever));
        ask(eval, |kv, at| kv.compare_and_set(key.0, expected.as_ref(), &stored, lifetime, at))
    }

    /// Sets what `fn` makes of the present value, and tries again when another request changed it meanwhile; returns
    /// what was set.
    ///
    /// `fn` gets the value, or `default` without one. It may be called several times, so it should do nothing else. A
    /// `ttl` that the key has stays unless another is given. Errors: a `fn` that returns `None`; 1000 tries that others
    /// outran.
    ///
    /// ```text
    /// >>> kv.update("cart", lambda items: items + ["book"], default = [])
    /// ["book"]
    /// ```
    fn update<'v>(
        key: Text<'v>,
        r#fn: Function<'v>,
        #[starlark(require = named)] default: Option<Value<'v>>,
        #[starlark(require = named)] ttl: Option<Ttl<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        update(key.0, r#fn.0, default.unwrap_or_default(), lifetime(ttl, Lifetime::Keep), eval)
    }
}

/// Asks the host's store.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Kv, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.kv(), &position(eval)).map_err(from_host)
}

/// Sets what a function makes of the present value, until nobody else was faster.
fn update<'v>(
    key: &str,
    change: Value<'v>,
    default: Value<'v>,
    lifetime: Lifetime,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    for _ in 0..MAX_TRIES {
        let present = ask(eval, |kv, at| kv.get(key, at))?;
        let old = match &present {
            Some(stored) => value::from_stored(stored, eval.heap())?,
            None => default,
        };
        let new = eval.eval_function(change, &[old], &[])?;
        if new.is_none() {
            let old = describe(old);
            return Err(usage(format!("fn returned None for {old}; it must return the new value")));
        }
        let stored = value::to_stored(new)?;
        if ask(eval, |kv, at| kv.compare_and_set(key, present.as_ref(), &stored, lifetime, at))? {
            return Ok(new);
        }
    }
    Err(usage(format!("{key:?} was changed by others in each of {MAX_TRIES} tries")))
}

argument! {
    /// How many keys to list.
    Limit<'v>(u32) as i32, "an int from 1 to 10000", |value| {
        value.unpack_i32().and_then(|limit| u32::try_from(limit).ok()).filter(|limit| (1..=10_000).contains(limit))
    }
}

argument! {
    /// How long a value lasts, in nanoseconds.
    Ttl<'v>(u64) as &'v str, duration::EXPECTED, |value| {
        value.unpack_str().and_then(duration::parse).filter(|nanoseconds| *nanoseconds > 0)
    }
}

/// What `ttl` says, or what holds without it.
fn lifetime(ttl: Option<Ttl<'_>>, otherwise: Lifetime) -> Lifetime {
    ttl.map_or(otherwise, |ttl| Lifetime::Last(ttl.0))
}
