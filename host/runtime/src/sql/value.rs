//! Values of databases, and the bounds of what one call may return.

use std::fmt;

/// Most rows of one call.
pub(crate) const MAX_ROWS: usize = 10_000;

/// Bytes of a statement.
pub(crate) const MAX_TEXT: usize = 1 << 20;

/// What a row takes beside the bytes of its texts: a value of the guest's contract each.
const VALUE_BYTES: usize = 24;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SqlValue {
    Null,
    Boolean(bool),
    Int(i64),
    /// The digits of a whole number that does not fit into 64 bits.
    Big(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
}

impl SqlValue {
    /// What it takes.
    pub(crate) fn size(&self) -> usize {
        VALUE_BYTES
            + match self {
                Self::Text(text) | Self::Big(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
                Self::Null | Self::Boolean(_) | Self::Int(_) | Self::Float(_) | Self::Time(_) => 0,
            }
    }
}

/// As a record shows it.
impl fmt::Display for SqlValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Big(digits) => f.write_str(digits),
            Self::Float(float) => write!(f, "{float}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Time(nanoseconds) => write!(f, "{nanoseconds} ns"),
        }
    }
}

/// What a statement returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SqlRows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<SqlValue>>,
    pub(crate) changed: u64,
    pub(crate) last_id: Option<i64>,
}

/// A statement with its parameters, once for each list of them.
#[derive(Clone, Debug)]
pub(crate) struct SqlText {
    pub(crate) text: String,
    pub(crate) parameters: Vec<SqlValue>,
    pub(crate) more: Vec<Vec<SqlValue>>,
    /// Whether it must only read.
    pub(crate) reads: bool,
}

impl SqlText {
    /// Bytes of all parameters.
    pub(crate) fn size(&self) -> usize {
        let lists = [&self.parameters].into_iter().chain(&self.more);
        lists.flatten().map(SqlValue::size).sum::<usize>() + self.text.len()
    }

    /// Each list of parameters.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &[SqlValue]> {
        [self.parameters.as_slice()].into_iter().chain(self.more.iter().map(Vec::as_slice))
    }
}

/// Rows as they come, within bounds.
pub(crate) struct Gathered {
    rows: SqlRows,
    size: usize,
    limit: usize,
}

impl Gathered {
    /// Rows of these columns, of at most so many bytes.
    pub(crate) fn new(columns: Vec<String>, limit: usize) -> Self {
        Self { rows: SqlRows { columns, ..SqlRows::default() }, size: 0, limit }
    }

    /// Adds a row; says how many bytes it takes.
    pub(crate) fn add(&mut self, row: Vec<SqlValue>) -> Result<usize, String> {
        if self.rows.rows.len() >= MAX_ROWS {
            return Err(format!("the statement finds more than {MAX_ROWS} rows; end it with `limit`"));
        }
        let size: usize = row.iter().map(SqlValue::size).sum();
        self.size = self.size.saturating_add(size);
        if self.size > self.limit {
            return Err(format!("the rows are together larger than {} MiB; select less", self.limit >> 20));
        }
        self.rows.rows.push(row);
        Ok(size)
    }

    /// The rows, and their bytes.
    pub(crate) fn finish(self, changed: u64, last_id: Option<i64>) -> (SqlRows, u64) {
        (SqlRows { changed, last_id, ..self.rows }, self.size as u64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn rows_are_bounded_in_number_and_bytes() {
        let mut gathered = Gathered::new(vec!["a".into()], 1 << 20);
        for _ in 0..MAX_ROWS {
            gathered.add(vec![SqlValue::Null]).unwrap();
        }
        assert!(gathered.add(vec![SqlValue::Null]).unwrap_err().contains("`limit`"));
        let mut gathered = Gathered::new(vec!["a".into()], 1 << 20);
        assert!(gathered.add(vec![SqlValue::Text("x".repeat(1 << 20))]).unwrap_err().contains("1 MiB"));
        assert_eq!(gathered.finish(3, None).0.changed, 3);
    }
}
