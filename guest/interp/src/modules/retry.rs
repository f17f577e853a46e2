//! `retry`: calling a function again until it works.
//!
//! What counts as failed is an error it raises, a `Result` that is not ok, or `False`; a `Result` that is ok counts as its
//! value. `None`, 0 and `""` are what functions return that have nothing to say, so they are successes. A host that ends the script is passed on:
//! nothing retries that. Between attempts the script waits on the host, whose limits on a request go on counting.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::structs::AllocStruct;

use super::random;
use super::time::{Duration, Length, Wait, wait};
use crate::error::is_stopped;
use crate::given::{Function, argument};
use crate::session::Session;
use crate::{diagnostic, duration, result};

/// Most attempts. Each one's error is kept.
const MAX_ATTEMPTS: i32 = 1000;

const SECOND: u64 = 1_000_000_000;

#[builtins("retry")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Calls `func()` up to `max_attempts` times (3 unless given), waiting `delay` (`"1s"`) between attempts.
    ///
    /// It has failed when it raises, or returns `False` or a `Result` that is not ok; of one that is ok, the value counts. `retry_on(error)` tells whether to try again,
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
        func: Function<'v>,
        max_attempts: Option<Attempts<'v>>,
        delay: Option<Wait>,
        retry_on: Option<Function<'v>>,
        on_retry: Option<Function<'v>>,
        timeout: Option<Timeout<'v>>,
        #[starlark(default = false)] jitter: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Plan {
            func: func.0,
            max_attempts: max_attempts.map_or(3, |attempts| attempts.0),
            delay: delay.map_or(SECOND, |delay| delay.0),
            max_delay: None,
            retry_on: retry_on.map(|retry_on| retry_on.0),
            on_retry: on_retry.map(|on_retry| on_retry.0),
            timeout: timeout.and_then(|timeout| timeout.0),
            jitter,
        }
        .run(eval)
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
        func: Function<'v>,
        max_attempts: Option<Attempts<'v>>,
        delay: Option<Wait>,
        max_delay: Option<Wait>,
        retry_on: Option<Function<'v>>,
        on_retry: Option<Function<'v>>,
        timeout: Option<Timeout<'v>>,
        #[starlark(default = true)] jitter: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        Plan {
            func: func.0,
            max_attempts: max_attempts.map_or(5, |attempts| attempts.0),
            delay: delay.map_or(SECOND / 2, |delay| delay.0),
            max_delay: Some(max_delay.map_or(30 * SECOND, |delay| delay.0)),
            retry_on: retry_on.map(|retry_on| retry_on.0),
            on_retry: on_retry.map(|on_retry| on_retry.0),
            timeout: timeout.and_then(|timeout| timeout.0),
            jitter,
        }
        .run(eval)
    }
}

argument! {
    /// How often to call.
    Attempts<'v>(i32) as i32, "an int from 1 to 1000", |value| {
        value.unpack_i32().filter(|attempts| (1..=MAX_ATTEMPTS).contains(attempts))
    }
}

argument! {
    /// When to give up. The empty text is how scripts from elsewhere say: never.
    Timeout<'v>(Option<u64>) as Length, duration::EXPECTED, |value| match value.unpack_str() {
        Some("") => Some(None),
        _ => Wait::unpack_value(value).ok().flatten().map(|wait| Some(wait.0)),
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
            Ok(value) if value.unpack_bool() == Some(false) => {
                Ok(Err(eval.heap().alloc("the function returned False")))
            }
            Ok(value) => Ok(result::opened(value)),
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
