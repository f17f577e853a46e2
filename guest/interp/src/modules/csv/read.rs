//! CSV texts to rows.

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};
use starlark::collections::SmallMap;
use starlark::values::dict::Dict;
use starlark::values::list::AllocList;
use starlark::values::{Heap, StringValue, Value};

use super::quotes;
use crate::limits::MAX_VALUES;

/// How a text is read.
pub(in crate::modules) struct Options {
    /// What stands between fields.
    pub(in crate::modules) sep: u8,
    /// What lines begin with that are left out.
    pub(in crate::modules) comment: Option<u8>,
    /// Rows to leave out at the beginning.
    pub(in crate::modules) skip: usize,
    /// Whether the first row names the columns.
    pub(in crate::modules) header: bool,
}

/// The rows of a text; the error is the sentence to show.
pub(in crate::modules) fn rows<'v>(text: &str, options: &Options, heap: Heap<'v>) -> Result<Value<'v>, String> {
    quotes::check(text, options.sep, options.comment)?;
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(Trim::None).delimiter(options.sep).comment(options.comment);
    let mut reader = builder.from_reader(text.as_bytes());
    let mut record = StringRecord::new();
    let mut rows = Vec::new();
    let (mut skip, mut columns, mut width) = (options.skip, None, None);
    let mut left = MAX_VALUES;
    while reader.read_record(&mut record).map_err(|error| explain(&error))? {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        let expected = *width.get_or_insert(record.len());
        if record.len() != expected {
            let fields = record.len();
            return Err(format!("line {line}: {fields} fields, where the first row has {expected}"));
        }
        left = left.checked_sub(expected).ok_or_else(|| format!("line {line}: more than {MAX_VALUES} fields"))?;
        match &columns {
            None if options.header => columns = Some(header(&record, line, heap)?),
            None => rows.push(heap.alloc(AllocList(record.iter()))),
            Some(columns) => rows.push(dict(columns, &record, heap)),
        }
    }
    Ok(heap.alloc(AllocList(rows)))
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        ErrorKind::Utf8 { pos, .. } => format!("line {}: not UTF-8", pos.as_ref().map_or(0, csv::Position::line)),
        _ => error.to_string(),
    }
}

fn header<'v>(record: &StringRecord, line: u64, heap: Heap<'v>) -> Result<Vec<StringValue<'v>>, String> {
    let mut names: Vec<&str> = record.iter().collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.array_windows().find(|[a, b]| a == b) {
        return Err(format!("line {line}: the column {twice:?} is named twice"));
    }
    Ok(record.iter().map(|name| heap.alloc_str(name)).collect())
}

fn dict<'v>(columns: &[StringValue<'v>], record: &StringRecord, heap: Heap<'v>) -> Value<'v> {
    let mut entries = SmallMap::with_capacity(columns.len());
    for (column, field) in columns.iter().zip(record) {
        entries.insert_hashed(column.get_hashed_value(), heap.alloc(field));
    }
    heap.alloc(Dict::new(entries))
}
