//! One statement of a script: compiled, given its parameters, run, and its rows gathered.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, Error, Statement, ToSql};

use super::sentence::sentence;
use crate::sql::value::{Gathered, SqlRows, SqlText, SqlValue};
use crate::sql::words::first_word;

/// Runs a statement once for each list of parameters. Its rows have at most `limit` bytes, for which memory is taken.
pub(super) fn all(
    connection: &Connection,
    text: &SqlText,
    (limit, take): (usize, &mut dyn FnMut(usize) -> Result<(), String>),
) -> Result<(SqlRows, u64), String> {
    let failed = |error: Error| sentence(&error, &text.text);
    let mut statement = compile(connection, text)?;
    let columns = statement.column_names().map(str::to_owned).collect();
    let booleans: Vec<bool> = statement.columns().map(|column| column.decl_type().is_some_and(is_boolean)).collect();
    let mut gathered = Gathered::new(columns, limit);
    let (mut changed, before): (u64, _) = (0, connection.total_changes());
    for parameters in text.lists() {
        bind(&mut statement, parameters)?;
        let already = connection.total_changes();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().map_err(failed)? {
            let value = |(column, boolean): (usize, &bool)| {
                row.get_ref(column).map_err(failed).and_then(|value| read(value, *boolean))
            };
            let values: Result<Vec<SqlValue>, String> = booleans.iter().enumerate().map(value).collect();
            take(gathered.add(values?)?)?;
        }
        drop(rows);
        if connection.total_changes() > already {
            changed = changed.saturating_add(connection.changes());
        }
    }
    let inserts = matches!(first_word(&text.text).as_str(), "INSERT" | "REPLACE" | "WITH");
    let last = (inserts && connection.total_changes() > before).then(|| connection.last_insert_rowid());
    Ok(gathered.finish(changed, last))
}

/// The one statement of a text.
fn compile<'c>(connection: &'c Connection, text: &'c SqlText) -> Result<Statement<'c>, String> {
    use rusqlite::fallible_iterator::FallibleIterator as _;
    let failed = |error: Error| sentence(&error, &text.text);
    let mut statements = Batch::new(connection, &text.text);
    let statement = statements.next().map_err(failed)?.ok_or("the statement is empty")?;
    // Compiled and not run: a second statement is a mistake, or an injection.
    if !matches!(statements.next(), Ok(None)) {
        return Err("there are several statements; run each of them by itself".to_owned());
    }
    match text.reads && !statement.readonly() {
        true => Err("the statement writes; use exec".to_owned()),
        false => Ok(statement),
    }
}

fn bind(statement: &mut Statement<'_>, parameters: &[SqlValue]) -> Result<(), String> {
    let (wanted, given) = (statement.parameter_count(), parameters.len());
    if wanted != given {
        return Err(format!("the statement has {wanted} placeholders, and there are {given} parameters"));
    }
    for (index, value) in parameters.iter().enumerate() {
        let number = index + 1;
        match value {
            SqlValue::Big(_) => {
                return Err(format!(
                    "parameter {number} does not fit into the 64 bits of SQLite's ints; give it as a str"
                ));
            }
            SqlValue::Float(float) if float.is_nan() => {
                return Err(format!("parameter {number} is nan, which SQLite has no value for; give None"));
            }
            value => statement.raw_bind_parameter(number, Bound(value)).map_err(|error| sentence(&error, ""))?,
        }
    }
    Ok(())
}

/// A value as SQLite takes it.
struct Bound<'a>(&'a SqlValue);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Boolean(value) => ValueRef::Integer(i64::from(*value)),
            SqlValue::Int(int) | SqlValue::Time(int) => ValueRef::Integer(*int),
            SqlValue::Float(float) => ValueRef::Real(*float),
            SqlValue::Big(text) | SqlValue::Text(text) => ValueRef::Text(text.as_bytes()),
            SqlValue::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn read(value: ValueRef<'_>, boolean: bool) -> Result<SqlValue, String> {
    Ok(match value {
        ValueRef::Null => SqlValue::Null,
        ValueRef::Integer(int @ (0 | 1)) if boolean => SqlValue::Boolean(int == 1),
        ValueRef::Integer(int) => SqlValue::Int(int),
        ValueRef::Real(float) => SqlValue::Float(float),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => SqlValue::Text(text.to_owned()),
            Err(_) => return Err("a text of the database is not UTF-8; select cast(column as blob)".to_owned()),
        },
        ValueRef::Blob(bytes) => SqlValue::Bytes(bytes.to_owned()),
    })
}

fn is_boolean(declared: &str) -> bool {
    declared.eq_ignore_ascii_case("boolean") || declared.eq_ignore_ascii_case("bool")
}
