//! From a `starlark::Error` to a [`Failure`]: kind, one line, full report, place.
//!
//! A few of starlark's texts are reworded, because read in a handler they explain nothing: `Immutable` is what every
//! script that keeps state in a module variable runs into first.

use starlark::codemap::FileSpan;
use starlark::values::ValueError;
use starlark::{Error, ErrorKind};
use starlark_syntax::call_stack::CALL_STACK_TRACEBACK_PREFIX;

use crate::elsewhere;
use crate::error::{cause, failure_kind, usage};
use crate::host::{Failure, Position};
use crate::immutable;
use crate::phase::Phase;
use crate::reserved::as_written;
use crate::shorten::shorten;
use crate::unknown;

/// Longest report. A script chooses the text of `fail()` and the length of its lines, and a report ends up in logs.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// Calls that a report shows from each end of a longer stack.
const MAX_CALLS: usize = 20;

/// Longest message, for the same reason.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

const FROZEN_STATE: &str = "module state is frozen while serving: every request runs in its own fork; keep state in kv";

const FROZEN_TEST: &str =
    "what the top level of a test file made is frozen while a test runs: every test runs in its own fork";

/// The position where a span begins.
pub(crate) fn position(span: &FileSpan) -> Position {
    let begin = span.resolve_span().begin;
    Position { file: span.filename().to_owned(), line: one_based(begin.line), column: one_based(begin.column) }
}

/// Describes an error that ended an evaluation.
pub(crate) fn failure(error: Error, phase: Phase) -> Failure {
    let hint = if is_frozen_state(&error, phase) { immutable::hint(&error) } else { None };
    let error = reword(error, phase);
    let report = shorten(report(&error), MAX_REPORT_BYTES);
    Failure { kind: failure_kind(&error), message: message(&error), report, hint, at: place(&error) }
}

/// The error alone, in one line.
pub(crate) fn message(error: &Error) -> String {
    let text = match error.kind() {
        ErrorKind::Fail(e) => e.to_string(),
        ErrorKind::StackOverflow(e) => overflow(e),
        _ => error.without_diagnostic().to_string(),
    };
    let text = as_written(text.trim()).replace('\n', "\\n").replace('\r', "\\r");
    let text = elsewhere::completed(&text).unwrap_or(text);
    shorten(text, MAX_MESSAGE_BYTES)
}

/// starlark's diagnostic without the frames that have no place: calls made by builtins, such as a handler's own.
fn report(error: &Error) -> String {
    let text = error.to_string();
    let text = as_written(&text);
    let Some(frames) = text.strip_prefix(CALL_STACK_TRACEBACK_PREFIX) else {
        return text.trim_end().to_owned();
    };
    let frames = frames.trim_start_matches('\n');
    let mut calls: Vec<String> = Vec::new();
    let mut rest = frames;
    while rest.starts_with("  ") {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        match calls.last_mut() {
            // The line of the source, below the place.
            Some(call) if line.starts_with("     ") => call.push_str(&format!("{line}\n")),
            _ if line.starts_with("  File <builtin>") => {}
            _ => calls.push(format!("{line}\n")),
        }
        rest = after;
    }
    let mut kept = String::with_capacity(text.len());
    if !calls.is_empty() {
        kept.push_str(&format!("{CALL_STACK_TRACEBACK_PREFIX}\n"));
        kept.push_str(&without_middle(&calls));
    }
    kept.push_str(rest.trim_end());
    kept
}

/// The outermost and the innermost calls. A recursion without end would push the error itself out of a log line.
fn without_middle(calls: &[String]) -> String {
    let middle = calls.len().saturating_sub(2 * MAX_CALLS);
    if middle == 0 {
        return calls.concat();
    }
    let (outer, rest) = calls.split_at(MAX_CALLS);
    let inner = rest.get(middle..).unwrap_or_default();
    format!("{}  ... {middle} more calls ...\n{}", outer.concat(), inner.concat())
}

fn place(error: &Error) -> Position {
    if let Some(span) = error.span() {
        return position(span);
    }
    let frames = &error.call_stack().frames;
    let innermost = frames.iter().rev().find_map(|f| f.location.as_ref());
    innermost.map(position).unwrap_or_default()
}

fn reword(error: Error, phase: Phase) -> Error {
    let Some(text) = better_text(&error, phase) else {
        return error;
    };
    let kind = match error.kind() {
        // It decides whether the script ran.
        ErrorKind::Scope(_) => ErrorKind::Scope(anyhow::Error::msg(text)),
        _ => usage(text).into_kind(),
    };
    let mut better = match error.span() {
        Some(span) => Error::new_spanned(kind, span.span, &span.file),
        None => Error::new_kind(kind),
    };
    better.set_call_stack(|| error.call_stack().clone());
    better
}

/// The text for too many nested calls, with the flag that says how many there may be.
fn overflow(error: &anyhow::Error) -> String {
    format!("{error}, the limit that --call-depth sets")
}

fn better_text(error: &Error, phase: Phase) -> Option<String> {
    if let ErrorKind::StackOverflow(error) = error.kind() {
        return Some(overflow(error));
    }
    if let ErrorKind::Scope(_) | ErrorKind::Value(_) = error.kind()
        && let Some(text) = elsewhere::completed(&error.without_diagnostic().to_string())
    {
        return Some(text);
    }
    match cause(error)?.downcast_ref::<ValueError>()? {
        ValueError::CannotMutateImmutableValue => match phase {
            Phase::Setup => None,
            Phase::Request => Some(FROZEN_STATE.to_owned()),
            Phase::Test => Some(FROZEN_TEST.to_owned()),
        },
        ValueError::NoAttr(of, name) if of == unknown::REQUEST => Some(unknown::attribute(name)),
        _ => None,
    }
}

fn is_frozen_state(error: &Error, phase: Phase) -> bool {
    let immutable = cause(error).and_then(|cause| cause.downcast_ref::<ValueError>());
    phase == Phase::Request && matches!(immutable, Some(ValueError::CannotMutateImmutableValue))
}

fn one_based(zero_based: usize) -> u32 {
    u32::try_from(zero_based.saturating_add(1)).unwrap_or(u32::MAX)
}
