//! Values of the guest and of the host.

use starcell_audit::Arguments;

use crate::bindings::starcell::guest::sql::{Rows, Statement as Asked, Value as Given};
use crate::sql::value::{SqlRows, SqlText, SqlValue};

/// A statement, with each list of its parameters.
pub(super) fn text_of(statement: Asked, more: Vec<Vec<Given>>, reads: bool) -> SqlText {
    let list = |values: Vec<Given>| values.into_iter().map(taken).collect();
    SqlText {
        text: statement.text,
        parameters: list(statement.parameters),
        more: more.into_iter().map(list).collect(),
        reads,
    }
}

/// What a record holds of a statement when the operator asks for it.
pub(super) fn recorded(text: &SqlText) -> Arguments {
    let parameters = text.lists().flatten().map(SqlValue::to_string);
    Arguments::default().statement(text.text.clone()).parameters(parameters)
}

/// Rows for the guest.
pub(super) fn returned(rows: SqlRows) -> Rows {
    let SqlRows { columns, rows, changed, last_id } = rows;
    let rows = rows.into_iter().map(|row| row.into_iter().map(given).collect()).collect();
    Rows { columns, rows, changed, last_id }
}

fn taken(value: Given) -> SqlValue {
    match value {
        Given::Null => SqlValue::Null,
        Given::Boolean(value) => SqlValue::Boolean(value),
        Given::Int(int) => SqlValue::Int(int),
        Given::Big(digits) => SqlValue::Big(digits),
        Given::Float(float) => SqlValue::Float(float),
        Given::Text(text) => SqlValue::Text(text),
        Given::Bytes(bytes) => SqlValue::Bytes(bytes),
        Given::Time(nanoseconds) => SqlValue::Time(nanoseconds),
    }
}

fn given(value: SqlValue) -> Given {
    match value {
        SqlValue::Null => Given::Null,
        SqlValue::Boolean(value) => Given::Boolean(value),
        SqlValue::Int(int) => Given::Int(int),
        SqlValue::Big(digits) => Given::Big(digits),
        SqlValue::Float(float) => Given::Float(float),
        SqlValue::Text(text) => Given::Text(text),
        SqlValue::Bytes(bytes) => Given::Bytes(bytes),
        SqlValue::Time(nanoseconds) => Given::Time(nanoseconds),
    }
}
