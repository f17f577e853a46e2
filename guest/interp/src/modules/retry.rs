//! `retry`: calling a function again until it works.
//!
//! What counts as failed is an error it raises, or a `Result` that is not ok. A host that ends the script is passed on:
//! nothing retries that. Between attempts the script waits on the host, whose limits on a request go on counting.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::none::NoneOr;
use starlark::values::structs::AllocStruct;

use super::random;
use super::time::{Duration, Length, wait};
use crate::args::describe;
use crate::callable::is_callable;
use crate::error::{is_stopped, usage};
use crate::given::{Given, optional};
use crate::session::Session;
use crate::{diagnostic, result};

/// Most attempts. Each one's error is kept.
const MAX_ATTEMPTS: i32 = 1000;

const SECOND: u64 = 1_000_000_000;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Calls `func()` up to `max_attempts` times (3 unless given), waiting `delay` (`"1s"`) between attempts.
    ///
    /// It has failed when it raises, or returns a `Result` that is not ok. `retry_on(error)` tells whether to try again,
    /// `on_retry(attempt, error)` is called before each wait, `timeout` ends the attempts that a wait would carry beyond it, and `jitter`
    /// varies each wait by a quarter either way. Returns a struct of `ok`, `value`, `error` (the last one), `attempts`,
    /// `elapsed` (a duration) and `errors`. Errors: arguments that make no sense, and what the two functions raise.
    ///
    /// ```text
    /// >>> r = retry.do(lambda: 42)
    /// ... [r.ok, r.value, r.attempts]
    /// [True, 42, 1]
    /// ```
    fn r#do<'v>(
        func: Value<'v>,
        max_attempts: Option<Given<'v, i32>>,
        delay: Option<Given<'v, Length>>,
        retry_on: Option<Value<'v>>,
        on_retry: Option<Value<'v>>,
        timeout: Option<Given<'v, NoneOr<Length>>>,
        jitter: Option<Given<'v, bool>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let function = "retry.do";
        let delay = delay.map_or(Ok(SECOND), |delay| delay.nanoseconds(function, "delay"))?;
        let plan = Plan {
            func: callable(function, "func", Some(func))?.unwrap_or_default(),
            max_attempts: attempts(function, max_attempts, 3)?,
            delay,
            max_delay: None,
            retry_on: callable(function, "retry_on", retry_on)?,
            on_retry: callable(function, "on_retry", on_retry)?,
            timeout: self::timeout(function, timeout)?,
            jitter: optional(jitter, function, "jitter", false)?,
        };
        plan.run(eval)
    }

    /// Like `do`, with each wait twice as long as the one before: from `delay` (`"500ms"`) up to `max_delay` (`"30s"`), 5
    /// attempts and with jitter unless given.
    ///
    /// ```text
    /// >>> r = retry.with_backoff(lambda: fail("down"), max_attempts = 2, delay = "0s")
    /// ... [r.ok, r.error, r.attempts, r.errors]
    /// [False, "down", 2, ["down", "down"]]
    /// ```
    fn with_backoff<'v>(
        func: Value<'v>,
        max_attempts: Option<Given<'v, i32>>,
        delay: Option<Given<'v, Length>>,
        max_delay: Option<Given<'v, Length>>,
        retry_on: Option<Value<'v>>,
        on_retry: Option<Value<'v>>,
        timeout: Option<Given<'v, NoneOr<Length>>>,
        jitter: Option<Given<'v, bool>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let function = "retry.with_backoff";
        let delay = delay.map_or(Ok(SECOND / 2), |delay| delay.nanoseconds(function, "delay"))?;
        let max_delay = max_delay.map_or(Ok(30 * SECOND), |delay| delay.nanoseconds(function, "max_delay"))?;
        let plan = Plan {
            func: callable(function, "func", Some(func))?.unwrap_or_default(),
            max_attempts: attempts(function, max_attempts, 5)?,
            delay,
            max_delay: Some(max_delay),
            retry_on: callable(function, "retry_on", retry_on)?,
            on_retry: callable(function, "on_retry", on_retry)?,
            timeout: self::timeout(function, timeout)?,
            jitter: optional(jitter, function, "jitter", true)?,
        };
        plan.run(eval)
    }
}

/// What to call, how often, and when; durations are nanoseconds.
struct Plan<'v> {
    func: Value<'v>,
    max_attempts: i32,
    delay: u64,
    /// Where doubling ends; `None` to wait the same each time.
    max_delay: Option<u64>,
    retry_on: Option<Value<'v>>,
    on_retry: Option<Value<'v>>,
    timeout: Option<u64>,
    jitter: bool,
}

impl<'v> Plan<'v> {
    fn run(&self, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let host = Session::of(eval)?.host;
        let started = host.now();
        let mut errors = Vec::new();
        loop {
            let error = match self.attempt(eval)? {
                Ok(value) => return self.outcome(eval, started, Some(value), errors),
                Err(error) => error,
            };
            errors.push(error);
            let attempt = i32::try_from(errors.len()).unwrap_or(i32::MAX);
            if attempt >= self.max_attempts || !self.again(error, eval)? {
                return self.outcome(eval, started, None, errors);
            }
            let pause = self.pause(attempt, eval)?;
            let spent = host.now().saturating_sub(started);
            if self.timeout.is_some_and(|timeout| spent.saturating_add(pause) >= timeout) {
                return self.outcome(eval, started, None, errors);
            }
            if let Some(on_retry) = self.on_retry {
                let attempt = eval.heap().alloc(attempt);
                eval.eval_function(on_retry, &[attempt, error], &[])?;
            }
            wait(eval, pause)?;
        }
    }

    /// One call: its value, or its error as a script sees it.
    fn attempt(&self, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Result<Value<'v>, Value<'v>>> {
        match eval.eval_function(self.func, &[], &[]) {
            Ok(value) => Ok(result::error_of(value).map_or(Ok(value), Err)),
            Err(error) if is_stopped(&error) => Err(error),
            Err(error) => Ok(Err(eval.heap().alloc(diagnostic::message(&error)))),
        }
    }

    fn again(&self, error: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        match self.retry_on {
            Some(retry_on) => Ok(eval.eval_function(retry_on, &[error], &[])?.to_bool()),
            None => Ok(true),
        }
    }

    /// How long to wait after an attempt.
    fn pause(&self, attempt: i32, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<u64> {
        let pause = match self.max_delay {
            None => self.delay,
            Some(most) => {
                let doublings = u32::try_from(attempt - 1).unwrap_or(0);
                let doubled = 1u64.checked_shl(doublings).and_then(|factor| self.delay.checked_mul(factor));
                doubled.unwrap_or(most).min(most)
            }
        };
        if !self.jitter || pause == 0 {
            return Ok(pause);
        }
        // From three quarters to five quarters of it.
        let spread = (u128::from(pause / 2) * u128::from(u32::from_le_bytes(random::array(eval)?))) >> 32;
        Ok(pause - pause / 4 + u64::try_from(spread).unwrap_or(0))
    }

    fn outcome(
        &self,
        eval: &Evaluator<'v, '_, '_>,
        started: u64,
        value: Option<Value<'v>>,
        errors: Vec<Value<'v>>,
    ) -> starlark::Result<Value<'v>> {
        let heap = eval.heap();
        let elapsed = Session::of(eval)?.host.now().saturating_sub(started);
        let elapsed = Duration { nanoseconds: i64::try_from(elapsed).unwrap_or(i64::MAX) };
        let error = if value.is_some() { None } else { errors.last().copied() };
        let attempts = errors.len() + usize::from(value.is_some());
        Ok(heap.alloc(AllocStruct([
            ("ok", Value::new_bool(value.is_some())),
            ("value", value.unwrap_or_default()),
            ("error", error.unwrap_or_default()),
            ("attempts", heap.alloc(i32::try_from(attempts).unwrap_or(i32::MAX))),
            ("elapsed", heap.alloc(elapsed)),
            ("errors", heap.alloc(AllocList(errors))),
        ])))
    }
}

fn attempts<'v>(function: &str, given: Option<Given<'v, i32>>, default: i32) -> starlark::Result<i32> {
    let Some(given) = given else {
        return Ok(default);
    };
    match given.get(function, "max_attempts")? {
        attempts @ 1..=MAX_ATTEMPTS => Ok(attempts),
        _ => Err(given.wrong(function, "max_attempts", "an int from 1 to 1000")),
    }
}

fn timeout<'v>(function: &str, given: Option<Given<'v, NoneOr<Length>>>) -> starlark::Result<Option<u64>> {
    match given {
        // The empty text is how scripts from elsewhere say that there is none.
        Some(given) if !given.0.is_none() && given.0.unpack_str() != Some("") => {
            given.some()?.nanoseconds(function, "timeout").map(Some)
        }
        _ => Ok(None),
    }
}

fn callable<'v>(function: &str, name: &str, value: Option<Value<'v>>) -> starlark::Result<Option<Value<'v>>> {
    match value {
        Some(value) if is_callable(value) => Ok(Some(value)),
        Some(value) if !value.is_none() || name == "func" => {
            Err(usage(format!("{function}: {name} must be a function, got {}", describe(value))))
        }
        _ => Ok(None),
    }
}
