//! `kv`: state that outlives a request, since nothing else of a fork does.

mod value;

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::list::AllocList;

use crate::args::{Args, describe};
use crate::callable::is_callable;
use crate::duration;
use crate::error::{from_host, usage};
use crate::host::{HostError, Kv, Lifetime, Listing, Position};
use crate::result::attempt;
use crate::session::{Session, position};

/// How often `update` tries. Each failure is somebody else's success, so a script that gets here is not alone but
/// outnumbered.
const MAX_TRIES: usize = 1000;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The value of a key, or the default.
    ///
    /// `kv.get(key: str, default = None)`
    ///
    /// ```text
    /// >>> kv.get("nobody", "none")
    /// "none"
    /// >>> kv.set("user:1", {"name": "Ada", "tags": ["a"]})
    /// ... kv.get("user:1")
    /// {"name": "Ada", "tags": ["a"]}
    /// ```
    fn get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        get_of("kv.get", args, eval)
    }

    /// Like `get`, as a `Result`.
    fn try_get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(get_of("kv.try_get", args, eval), eval.heap())
    }

    /// Whether a key has a value.
    ///
    /// `kv.exists(key: str) -> bool`
    ///
    /// ```text
    /// >>> kv.exists("never-set")
    /// False
    /// ```
    fn exists<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        exists_of("kv.exists", args, eval)
    }

    /// Like `exists`, as a `Result`.
    fn try_exists<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(exists_of("kv.try_exists", args, eval), eval.heap())
    }

    /// Gives a key a value, which comes back as it went in: str, bytes, or whatever JSON can hold.
    ///
    /// `kv.set(key: str, value, *, ttl: str = None) -> None`
    ///
    /// `ttl` is how long it lasts, such as `"1h"`; for ever without it. Errors: a value that cannot be kept, a full
    /// store.
    ///
    /// ```text
    /// >>> kv.set("session:7", b"\x01", ttl = "30m")
    /// ... kv.get("session:7")
    /// b"\x01"
    /// ```
    fn set<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        set_of("kv.set", args, eval)
    }

    /// Like `set`, as a `Result`.
    fn try_set<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(set_of("kv.try_set", args, eval), eval.heap())
    }

    /// Takes a key's value away, and says whether there was one.
    ///
    /// `kv.delete(key: str) -> bool`
    ///
    /// ```text
    /// >>> kv.set("gone", 1)
    /// ... [kv.delete("gone"), kv.delete("gone")]
    /// [True, False]
    /// ```
    fn delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        delete_of("kv.delete", args, eval)
    }

    /// Like `delete`, as a `Result`.
    fn try_delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(delete_of("kv.try_delete", args, eval), eval.heap())
    }

    /// The keys with a prefix, sorted.
    ///
    /// `kv.list(prefix: str = "", *, after: str = None, limit: int = None) -> list[str]`
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
    fn list<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        list_of("kv.list", args, eval)
    }

    /// Like `list`, as a `Result`.
    fn try_list<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(list_of("kv.try_list", args, eval), eval.heap())
    }

    /// Adds to an int, which starts at 0, and returns the sum. No other request comes between.
    ///
    /// `kv.incr(key: str, by: int = 1, *, ttl: str = None) -> int`
    ///
    /// `ttl` counts from the first call. Errors: a value that is no int, a sum that needs more than 64 bits.
    ///
    /// ```text
    /// >>> [kv.incr("hits"), kv.incr("hits", 10)]
    /// [1, 11]
    /// ```
    fn incr<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        incr_of("kv.incr", args, eval)
    }

    /// Like `incr`, as a `Result`.
    fn try_incr<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(incr_of("kv.try_incr", args, eval), eval.heap())
    }

    /// Sets a value if the present one equals `expected`, `None` being no value, and says whether it did.
    ///
    /// `kv.compare_and_set(key: str, expected, value, *, ttl: str = None) -> bool`
    ///
    /// ```text
    /// >>> [kv.compare_and_set("owner", None, "me"), kv.compare_and_set("owner", None, "you"), kv.get("owner")]
    /// [True, False, "me"]
    /// ```
    fn compare_and_set<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        compare_and_set_of("kv.compare_and_set", args, eval)
    }

    /// Like `compare_and_set`, as a `Result`.
    fn try_compare_and_set<'v>(
        args: &Arguments<'v, '_>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        attempt(compare_and_set_of("kv.try_compare_and_set", args, eval), eval.heap())
    }

    /// Sets what `fn` makes of the present value, and tries again when another request changed it meanwhile; returns
    /// what was set.
    ///
    /// `kv.update(key: str, fn, *, default = None, ttl: str = None)`
    ///
    /// `fn` gets the value, or `default` without one. It may be called several times, so it should do nothing else. A
    /// `ttl` that the key has stays unless another is given. Errors: a `fn` that returns `None`; 1000 tries that others
    /// outran.
    ///
    /// ```text
    /// >>> kv.update("cart", lambda items: items + ["book"], default = [])
    /// ["book"]
    /// ```
    fn update<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        update_of("kv.update", args, eval)
    }

    /// Like `update`, as a `Result`.
    fn try_update<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(update_of("kv.try_update", args, eval), eval.heap())
    }
}

/// Asks the host's store.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Kv, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.kv(), &position(eval)).map_err(from_host)
}

fn get_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    let default = args.either("default")?;
    args.finish("key, default")?;
    let key = args.text("key", key)?;
    match ask(eval, |kv, at| kv.get(&key, at))? {
        Some(stored) => value::from_stored(&stored, eval.heap()),
        None => Ok(default.unwrap_or_default()),
    }
}

fn exists_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let key = only_key(function, args, eval)?;
    Ok(Value::new_bool(ask(eval, |kv, at| kv.exists(&key, at))?))
}

fn delete_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let key = only_key(function, args, eval)?;
    Ok(Value::new_bool(ask(eval, |kv, at| kv.delete(&key, at))?))
}

fn only_key<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<String> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    args.finish("key")?;
    args.text("key", key)
}

fn set_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    let value = args.required("value")?;
    let lifetime = lifetime(&mut args, Lifetime::Forever)?;
    args.finish("key, value, ttl")?;
    let key = args.text("key", key)?;
    let stored = value::to_stored(function, value)?;
    ask(eval, |kv, at| kv.set(&key, &stored, lifetime, at))?;
    Ok(Value::new_none())
}

fn list_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let text = |args: &Args<'v>, name: &str, value: Value<'v>| match value.unpack_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(args.wrong(name, "a str", value)),
    };
    let prefix = match args.either("prefix")? {
        Some(prefix) => text(&args, "prefix", prefix)?,
        None => String::new(),
    };
    let after = match args.take("after") {
        Some(after) if !after.is_none() => Some(text(&args, "after", after)?),
        _ => None,
    };
    let limit = match args.take("limit") {
        Some(limit) => match args.int("limit", LIMIT, limit)? {
            1..=10_000 => Some(args.int("limit", LIMIT, limit)?),
            _ => return Err(args.wrong("limit", LIMIT, limit)),
        },
        None => None,
    };
    args.finish("prefix, after, limit")?;
    let listing = Listing { prefix, after, limit };
    let keys = ask(eval, |kv, at| kv.list(&listing, at))?;
    Ok(eval.heap().alloc(AllocList(keys)))
}

const LIMIT: &str = "an int from 1 to 10000";

fn incr_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    let by = args.either("by")?;
    let lifetime = lifetime(&mut args, Lifetime::Forever)?;
    args.finish("key, by, ttl")?;
    let key = args.text("key", key)?;
    let by = match by {
        Some(by) => starlark::values::UnpackValue::unpack_value(by)
            .ok()
            .flatten()
            .ok_or_else(|| args.wrong("by", "an int of 64 bits", by))?,
        None => 1,
    };
    let sum = ask(eval, |kv, at| kv.increment(&key, by, lifetime, at))?;
    Ok(eval.heap().alloc(sum))
}

fn compare_and_set_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    let expected = args.required("expected")?;
    let value = args.required("value")?;
    let lifetime = lifetime(&mut args, Lifetime::Forever)?;
    args.finish("key, expected, value, ttl")?;
    let key = args.text("key", key)?;
    let expected = match expected.is_none() {
        true => None,
        false => Some(value::to_stored(function, expected)?),
    };
    let stored = value::to_stored(function, value)?;
    Ok(Value::new_bool(ask(eval, |kv, at| kv.compare_and_set(&key, expected.as_ref(), &stored, lifetime, at))?))
}

fn update_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let key = args.required("key")?;
    let change = args.required("fn")?;
    let default = args.take("default").unwrap_or_default();
    let lifetime = lifetime(&mut args, Lifetime::Keep)?;
    args.finish("key, fn, default, ttl")?;
    let key = args.text("key", key)?;
    if !is_callable(change) {
        return Err(args.wrong("fn", "a function of the present value", change));
    }
    for _ in 0..MAX_TRIES {
        let present = ask(eval, |kv, at| kv.get(&key, at))?;
        let old = match &present {
            Some(stored) => value::from_stored(stored, eval.heap())?,
            None => default,
        };
        let new = eval.eval_function(change, &[old], &[])?;
        if new.is_none() {
            let old = describe(old);
            return Err(usage(format!("{function}: fn returned None for {old}; it must return the new value")));
        }
        let stored = value::to_stored(function, new)?;
        if ask(eval, |kv, at| kv.compare_and_set(&key, present.as_ref(), &stored, lifetime, at))? {
            return Ok(new);
        }
    }
    Err(usage(format!("{function}: {key:?} was changed by others in each of {MAX_TRIES} tries")))
}

/// The argument `ttl`, or what holds without it.
fn lifetime(args: &mut Args<'_>, otherwise: Lifetime) -> starlark::Result<Lifetime> {
    let Some(ttl) = args.take("ttl").filter(|ttl| !ttl.is_none()) else { return Ok(otherwise) };
    match ttl.unpack_str().and_then(duration::parse) {
        Some(0) | None => Err(args.wrong("ttl", duration::EXPECTED, ttl)),
        Some(nanoseconds) => Ok(Lifetime::Last(nanoseconds)),
    }
}
