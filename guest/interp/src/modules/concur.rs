//! `concur`: a function for each item of a list, and several functions, as scripts for Starkite spell it.
//!
//! A guest has one thread, so the calls are made one after the other; what this keeps of concurrency is what can be seen
//! of it: the order of the results, and whether one failure ends the rest.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::list_or_tuple::UnpackListOrTuple;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;

use super::time::Deadline;
use crate::error::usage;
use crate::given::{Function, Given, argument};
use crate::result::attempt;
use crate::session::Session;

#[builtins("concur")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// What a function returns for each item, as a list in the order of the items.
    ///
    /// With `on_error = "continue"` each is a `Result`; else the first failure ends the calls and is raised. No call
    /// begins once `timeout` is over. The calls are made one after the other, whatever `workers` says.
    ///
    /// ```text
    /// >>> concur.map([1, 2, 3], lambda n: n * n, workers = 4)
    /// [1, 4, 9]
    /// >>> [r.ok for r in concur.map([1, 0], lambda n: 1 // n, on_error = "continue")]
    /// [True, False]
    /// ```
    fn map<'v>(
        items: UnpackListOrTuple<Value<'v>>,
        func: Function<'v>,
        workers: Option<Given<'v, i32>>,
        timeout: Option<Deadline>,
        on_error: Option<OnError<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let calls = items.items.into_iter().map(|item| (func.0, Some(item)));
        check_workers(workers)?;
        let results = run(calls, timeout, on_error, eval)?;
        Ok(eval.heap().alloc(AllocList(results)))
    }

    /// Like `map`, for a function that is called for what it does: what it returns is dropped.
    ///
    /// ```text
    /// >>> concur.each(["a", "b"], print)
    /// None
    /// ```
    fn each<'v>(
        items: UnpackListOrTuple<Value<'v>>,
        func: Function<'v>,
        workers: Option<Given<'v, i32>>,
        timeout: Option<Deadline>,
        on_error: Option<OnError<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        let calls = items.items.into_iter().map(|item| (func.0, Some(item)));
        check_workers(workers)?;
        run(calls, timeout, on_error, eval)?;
        Ok(NoneType)
    }

    /// What each of some functions without arguments returns, as a list in their order.
    ///
    /// `timeout` and `on_error` are those of `map`.
    ///
    /// ```text
    /// >>> concur.exec(lambda: 1, lambda: "two")
    /// [1, "two"]
    /// ```
    fn exec<'v>(
        #[starlark(args)] functions: UnpackTuple<Value<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        #[starlark(require = named)] on_error: Option<OnError<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        if let Some(other) = functions.items.iter().find(|function| !crate::callable::is_callable(**function)) {
            return Err(crate::given::wrong("each argument", "a function", *other));
        }
        let results = run(functions.items.into_iter().map(|function| (function, None)), timeout, on_error, eval)?;
        Ok(eval.heap().alloc(AllocList(results)))
    }
}

/// How many calls there may be at a time: a number that a guest with one thread can only check.
fn check_workers(workers: Option<Given<'_, i32>>) -> starlark::Result<()> {
    match workers {
        Some(given) if Given::maybe(workers, "workers")?.is_some_and(|workers| workers < 1) => {
            Err(given.wrong("workers", "an int from 1 up"))
        }
        _ => Ok(()),
    }
}

argument! {
    /// Whether the calls go on after a failure.
    OnError<'v>(bool) as &'v str, "\"raise\", \"stop\" or \"continue\"", |value| match value.unpack_str()? {
        "continue" => Some(true),
        "raise" | "stop" | "abort" | "fail" => Some(false),
        _ => None,
    }
}

/// Makes the calls, each of a function with one argument or none.
fn run<'v>(
    calls: impl Iterator<Item = (Value<'v>, Option<Value<'v>>)>,
    timeout: Option<Deadline>,
    on_error: Option<OnError<'v>>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Vec<Value<'v>>> {
    let goes_on = on_error.is_some_and(|on_error| on_error.0);
    let host = Session::of(eval)?.host;
    let started = host.now();
    let limit = timeout.and_then(|timeout| timeout.0);
    let mut results = Vec::new();
    for (function, argument) in calls {
        let late = limit.is_some_and(|limit| host.now().saturating_sub(started) >= limit);
        let outcome = match late {
            true => Err(usage("the time is over")),
            false => eval.eval_function(function, argument.as_slice(), &[]),
        };
        results.push(if goes_on { attempt(outcome, eval.heap())? } else { outcome? });
    }
    Ok(results)
}
