//! `csv`: rows of texts, as RFC 4180 quotes them, and dicts by the names of a header row.
//!
//! Rows of different lengths are an error, not rows with something missing: a lost quote otherwise moves every column
//! after it.

use csv::{ErrorKind, ReaderBuilder, StringRecord, Trim, WriterBuilder};
use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::starlark_module;
use starlark::values::dict::{Dict, DictRef};
use starlark::values::float::StarlarkFloat;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::tuple::TupleRef;
use starlark::values::{Heap, StringValue, Value, ValueLike};

use super::encoding::{Outcome, Wrong, check_size, push_big_int};
use super::text::document;
use crate::bytes::Bytes;
use crate::error::usage;
use crate::given::{Given, optional};
use crate::limits::MAX_VALUES;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The rows of a CSV text, given as str or bytes: lists of texts, or dicts when there is a header row.
    ///
    /// `sep` is the separator and `comment` the first character of lines to leave out (one ASCII character each), `skip` the number of rows
    /// to leave out at the beginning, `header` whether the next row names the columns. Errors: rows of different
    /// lengths, a column named twice, more than 1000000 fields.
    ///
    /// ```text
    /// >>> csv.decode("name,age\nAnn,7\n\"Bob, jr\",8\n", header = True)
    /// [{"name": "Ann", "age": "7"}, {"name": "Bob, jr", "age": "8"}]
    /// >>> csv.decode("1;2\n# no\n3;4", sep = ";", comment = "#")
    /// [["1", "2"], ["3", "4"]]
    /// ```
    fn decode<'v>(
        text: Given<'v, Bytes<'v>>,
        sep: Option<Given<'v, &'v str>>,
        comment: Option<Given<'v, &'v str>>,
        skip: Option<Given<'v, i32>>,
        header: Option<Given<'v, bool>>,
        heap: Heap<'v>,
    ) -> starlark::Result<Value<'v>> {
        let function = "csv.decode";
        let text = document(text, function, "text")?;
        let options = Options {
            sep: character(sep, function, "sep")?.unwrap_or(b','),
            comment: character(comment, function, "comment")?,
            skip: rows(skip, function)?,
            header: optional(header, function, "header", false)?,
        };
        decoded(text, &options, heap).map_err(|sentence| usage(format!("{function}: {sentence}")))
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
        rows: Given<'v, &'v ListRef<'v>>,
        sep: Option<Given<'v, &'v str>>,
        headers: Option<Given<'v, &'v ListRef<'v>>>,
    ) -> starlark::Result<String> {
        let function = "csv.encode";
        let rows = rows.get(function, "rows")?;
        let sep = character(sep, function, "sep")?.unwrap_or(b',');
        let headers = match headers.filter(|headers| !headers.0.is_none()) {
            Some(headers) => Some(names(headers.get(function, "headers")?, function)?),
            None => None,
        };
        encoded(rows, sep, headers).map_err(|wrong| usage(format!("{function}: {}", wrong.into_text())))
    }
}

struct Options {
    sep: u8,
    comment: Option<u8>,
    skip: usize,
    header: bool,
}

/// A separator: one ASCII character that cannot be part of a quoted field or end a line.
fn character<'v>(given: Option<Given<'v, &'v str>>, function: &str, name: &str) -> starlark::Result<Option<u8>> {
    let Some(given) = given.filter(|given| !given.0.is_none()) else {
        return Ok(None);
    };
    match *given.get(function, name)?.as_bytes() {
        [] if name == "comment" => Ok(None),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(Some(byte)),
        _ => Err(given.wrong(function, name, "one ASCII character, neither a quote nor a line's end")),
    }
}

fn rows(skip: Option<Given<'_, i32>>, function: &str) -> starlark::Result<usize> {
    let Some(skip) = skip else { return Ok(0) };
    let rows = optional(Some(skip), function, "skip", 0)?;
    usize::try_from(rows).map_err(|_| skip.wrong(function, "skip", "an int that is not negative"))
}

fn names(headers: &ListRef<'_>, function: &str) -> starlark::Result<Vec<String>> {
    let name = |value: Value<'_>| match value.unpack_str() {
        Some(name) => Ok(name.to_owned()),
        None => {
            let value = crate::args::describe(value);
            Err(usage(format!("{function}: headers must be a list of str, got {value} in it")))
        }
    };
    headers.iter().map(name).collect()
}

fn decoded<'v>(text: &str, options: &Options, heap: Heap<'v>) -> Result<Value<'v>, String> {
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

fn encoded(rows: &ListRef<'_>, sep: u8, headers: Option<Vec<String>>) -> Outcome<String> {
    let mut writer = Writer {
        rows: WriterBuilder::new().flexible(true).delimiter(sep).from_writer(Vec::new()),
        columns: headers,
        width: None,
        named: false,
    };
    for (index, row) in rows.iter().enumerate() {
        writer.row(row).map_err(|wrong| wrong.at(index))?;
    }
    writer.header()?;
    let text = writer.rows.into_inner().map_err(|error| Wrong::new(error.error().to_string()))?;
    String::from_utf8(text).map(|text| marked(text, sep)).map_err(|error| Wrong::new(error.to_string()))
}

/// A first field that begins like a byte order mark, in quotes: as it is, a reader would leave the mark out.
fn marked(text: String, sep: u8) -> String {
    if !text.starts_with('\u{feff}') {
        return text;
    }
    // What begins without a quote ends where its field does.
    let end = text.find([char::from(sep), '\n']).unwrap_or(text.len());
    let (field, rest) = text.split_at(end);
    format!("\"{field}\"{rest}")
}

struct Writer {
    rows: csv::Writer<Vec<u8>>,
    columns: Option<Vec<String>>,
    /// Fields of the first row.
    width: Option<usize>,
    /// Whether the columns are written.
    named: bool,
}

impl Writer {
    fn row(&mut self, row: Value<'_>) -> Outcome {
        check_size(self.rows.get_ref().len())?;
        if let Some(dict) = DictRef::from_value(row) {
            return self.dict(&dict);
        }
        let fields = match (ListRef::from_value(row), TupleRef::from_value(row)) {
            (Some(list), _) => list.content(),
            (None, Some(tuple)) => tuple.content(),
            (None, None) => {
                return Err(Wrong::new(format!("a row is a list or a dict, got {}", crate::args::describe(row))));
            }
        };
        self.header()?;
        let fields = fields.iter().enumerate().map(|(index, value)| field(*value).map_err(|wrong| wrong.at(index)));
        let fields: Vec<String> = fields.collect::<Outcome<_>>()?;
        self.write(&fields)
    }

    fn dict(&mut self, dict: &DictRef<'_>) -> Outcome {
        let given = self.columns.is_some();
        if !given {
            let names = dict.keys().map(|key| key.unpack_str().map(str::to_owned).ok_or_else(|| Wrong::key(key)));
            self.columns = Some(names.collect::<Outcome<_>>()?);
        }
        self.header()?;
        let columns = self.columns.as_deref().unwrap_or_default();
        let mut fields = Vec::with_capacity(columns.len());
        for name in columns {
            let Some(value) = dict.get_str(name) else {
                return Err(Wrong::new(format!("no column {name:?}")));
            };
            fields.push(field(value).map_err(|wrong| wrong.under(name))?);
        }
        if let Some(unknown) = dict.keys().find(|key| !columns.iter().any(|name| key.unpack_str() == Some(name))) {
            let unknown = crate::args::describe(unknown);
            return Err(Wrong::new(format!("{unknown} is not among the columns")));
        }
        self.write(&fields)
    }

    /// Writes the columns' names, once, before the first row.
    fn header(&mut self) -> Outcome {
        match &self.columns {
            Some(columns) if !self.named => {
                self.named = true;
                let columns = columns.clone();
                self.write(&columns)
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, fields: &[String]) -> Outcome {
        let expected = *self.width.get_or_insert(fields.len());
        if fields.len() != expected {
            return Err(Wrong::new(format!("{} fields, where the first row has {expected}", fields.len())));
        }
        self.rows.write_record(fields).map_err(|error| Wrong::new(error.to_string()))
    }
}

fn field(value: Value<'_>) -> Outcome<String> {
    if let Some(text) = value.unpack_str() {
        return Ok(text.to_owned());
    }
    if let Some(truth) = value.unpack_bool() {
        return Ok(truth.to_string());
    }
    if value.is_none() {
        return Ok(String::new());
    }
    if let Some(float) = value.downcast_ref::<StarlarkFloat>() {
        return Ok(float.to_string());
    }
    let mut text = String::new();
    match push_big_int(&mut text, value)? {
        true => Ok(text),
        false => Err(Wrong::value("a CSV field", value)),
    }
}
