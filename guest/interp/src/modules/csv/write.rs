//! Rows to CSV texts.

use csv::WriterBuilder;
use starlark::values::dict::DictRef;
use starlark::values::float::StarlarkFloat;
use starlark::values::list::ListRef;
use starlark::values::tuple::TupleRef;
use starlark::values::{Value, ValueLike};

use crate::modules::encoding::{Outcome, Wrong, check_size, push_big_int};

/// The text of rows.
pub(in crate::modules) fn rows(rows: &ListRef<'_>, sep: u8, headers: Option<Vec<String>>) -> Outcome<String> {
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
