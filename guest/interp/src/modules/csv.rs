//! `csv`: rows of texts, as RFC 4180 quotes them, and dicts by the names of a header row.
//!
//! Rows of different lengths are an error, not rows with something missing: a lost quote otherwise moves every column
//! after it.

pub(super) mod arguments;
mod quotes;
pub(super) mod read;
pub(super) mod write;

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::values::list::ListRef;
use starlark::values::{Heap, Value};

use super::documents::{Document, Format, Source};
use super::path::FilePath;
use super::text::document;
use crate::bytes::Bytes;
use crate::error::usage;
use arguments::{Comment, Rows, Separator, names, separator};
use read::Options;

#[builtins("csv")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The rows of a CSV text, given as str or bytes: lists of texts, or dicts when there is a header row.
    ///
    /// `sep` is the separator and `comment` the first character of lines to leave out (one ASCII character each), `skip` the number of rows
    /// to leave out at the beginning, `header` whether the next row names the columns. Errors: rows of different
    /// lengths, a quote that is never closed, text behind a quote that closes a field, a column named twice, more than 1000000 fields.
    ///
    /// ```text
    /// >>> csv.decode("name,age\nAnn,7\n\"Bob, jr\",8\n", header = True)
    /// [{"name": "Ann", "age": "7"}, {"name": "Bob, jr", "age": "8"}]
    /// >>> csv.decode("1;2\n# no\n3;4", sep = ";", comment = "#")
    /// [["1", "2"], ["3", "4"]]
    /// ```
    fn decode<'v>(
        text: Bytes<'v>,
        sep: Option<Separator<'v>>,
        comment: Option<Comment<'v>>,
        skip: Option<Rows<'v>>,
        #[starlark(default = false)] header: bool,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let options = Options {
            sep: separator(sep),
            comment: comment.and_then(|comment| comment.0),
            skip: skip.map_or(0, |rows| rows.0),
            header,
        };
        read::rows(document(text)?, &options, heap).map_err(usage)
    }

    /// The CSV text of rows, which are lists, or dicts that all have the same columns.
    ///
    /// `headers` names the columns: for lists the first row, for dicts which to write and in which order (the first
    /// row's keys unless given). `None` is an empty field, a bool `true` or `false`. Errors: rows of different lengths,
    /// a column that is missing in a row or not known, a field that is a list or a dict.
    ///
    /// ```text
    /// >>> csv.encode([{"name": "Bob, jr", "age": 8}, {"name": "Ann", "age": None}])
    /// "name,age\n\"Bob, jr\",8\nAnn,\n"
    /// >>> csv.encode([[1, 2]], headers = ["a", "b"], sep = ";")
    /// "a;b\n1;2\n"
    /// ```
    fn encode<'v>(
        rows: &'v ListRef<'v>,
        sep: Option<Separator<'v>>,
        headers: Option<&'v ListRef<'v>>,
    ) -> starlark::Result<String> {
        let headers = headers.map(names).transpose()?;
        write::rows(rows, separator(sep), headers).map_err(|wrong| usage(wrong.into_text()))
    }

    /// A file of CSV, to be read by the methods of what this returns. Making one needs no permission, reading does:
    /// `csv.file("data.csv").read(header = True)`.
    fn file<'v>(path: FilePath<'v>) -> starlark::Result<Document> {
        Ok(Document::new(Format::Csv, path.0))
    }

    /// A value, to be written as CSV by the methods of what this returns: `csv.source(rows).write_file("out.csv", headers = ["a", "b"])`.
    fn source<'v>(value: Value<'v>) -> starlark::Result<Source<'v>> {
        Ok(Source::new(Format::Csv, value))
    }
}
