//! Databases.

/// A value of a database.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Int(i64),
    /// The digits of one that does not fit into 64 bits.
    Big(String),
    /// A number with a fraction.
    Float(f64),
    /// A str.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Nanoseconds since the Unix epoch.
    Time(i64),
}

/// A database, and who the script is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `sqlite:PATH` or `postgres://HOST/DATABASE`.
    pub url: String,
    /// The name on the server.
    pub user: Option<String>,
    /// The password on the server.
    pub password: Option<String>,
    /// Whether the connection is left without encryption.
    pub plain: bool,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Its text.
    pub text: String,
    /// What stands for its placeholders.
    pub parameters: Vec<SqlValue>,
    /// The transaction that it belongs to.
    pub transaction: Option<u32>,
}

/// What a statement returns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The values of each row.
    pub rows: Vec<Vec<SqlValue>>,
    /// Rows that it changed.
    pub changed: u64,
    /// The row that SQLite inserted last.
    pub last_id: Option<i64>,
}
