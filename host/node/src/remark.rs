//! What scripts say, for the log.

use starcell_log::Remark;
use starcell_runtime::LogRecord;

/// A record of the runtime as the log takes it.
#[must_use]
pub fn remark<'a>(record: &LogRecord<'a>) -> Remark<'a> {
    let &LogRecord { level, message, attributes, at, request, format, stream } = record;
    Remark { level, message, attributes, at: (&at.file, at.line), request, format, stream }
}
