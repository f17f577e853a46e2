//! What `fs`, paths and the formats share: asking the host for files, each call one question that the host judges.

use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::structs::AllocStruct;

use crate::error::from_host;
use crate::host::{FileKind, Files, HostError, Position};
use crate::session::{Session, position};

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Asks the host's files.
pub(super) fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Files, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.files(), &position(eval)).map_err(from_host)
}

/// What is known of a file or folder.
pub(super) fn stat<'v>(path: &str, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    let info = ask(eval, |files, at| files.stat(path, at))?;
    let heap = eval.heap();
    Ok(heap.alloc(AllocStruct([
        ("is_dir", Value::new_bool(info.kind == FileKind::Folder)),
        ("is_file", Value::new_bool(info.kind == FileKind::File)),
        ("modified", heap.alloc(info.modified / NANOSECONDS_PER_SECOND)),
        ("modified_nano", heap.alloc(info.modified)),
        ("size", heap.alloc(info.size)),
    ])))
}

/// Whether a path is a file of a kind; one that is not there is of none.
pub(super) fn is_kind(path: &str, kind: FileKind, eval: &Evaluator<'_, '_, '_>) -> starlark::Result<bool> {
    if !ask(eval, |files, at| files.exists(path, at))? {
        return Ok(false);
    }
    Ok(ask(eval, |files, at| files.stat(path, at))?.kind == kind)
}
