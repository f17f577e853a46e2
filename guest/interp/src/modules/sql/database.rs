//! The value that `sql.open(..)` returns, and the one that the function of `tx` gets.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::list::{AllocList, ListRef};
use starlark::values::structs::AllocStruct;
use starlark::values::tuple::{TupleRef, UnpackTuple};
use starlark::values::{NoSerialize, ProvidesStaticType, StarlarkValue, Value, starlark_value};

use super::value::{dict, dicts, parameter, returned};
use crate::args::describe;
use crate::error::{from_host, usage};
use crate::given::{Function, Text};
use crate::host::{Connection, HostError, Position, Rows, Sql, SqlValue, Statement};
use crate::session::{Session, position};

pub(super) const TYPE: &str = "sql.database";

/// A database, or a transaction of one.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct Database {
    #[allocative(skip)]
    connection: Connection,
    /// The number of the transaction that its statements belong to.
    transaction: Option<u32>,
}

starlark_simple_value!(Database);

impl Database {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, transaction: None }
    }

    fn statement(&self, text: &str, parameters: &[Value<'_>]) -> starlark::Result<Statement> {
        let (text, transaction) = (text.to_owned(), self.transaction);
        Ok(Statement { text, parameters: bound(parameters)?, transaction })
    }

    fn query(&self, text: Text<'_>, parameters: &[Value<'_>], eval: &Evaluator<'_, '_, '_>) -> starlark::Result<Rows> {
        let statement = self.statement(text.0, parameters)?;
        ask(eval, |sql, at| sql.query(&self.connection, &statement, at))
    }
}

/// Without the password.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Connection { url, user, .. } = &self.connection;
        match (user, url.strip_prefix("postgres://")) {
            (Some(user), Some(rest)) => write!(f, "postgres://{user}@{rest}"),
            _ => f.write_str(url),
        }
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<Database>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for Database {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }
}

#[builtins("sql.database")]
fn methods(builder: &mut MethodsBuilder) {
    /// Runs a statement that may write, and returns a struct: `changed` has the number of rows that it changed, `last_id` the
    /// id of the row that SQLite inserted last, `rows` what the statement returned, as with `RETURNING`.
    ///
    /// The parameters stand for the placeholders of the text: `?` in SQLite, `$1` and `$2` in PostgreSQL. They are never part
    /// of the text, so nothing in them can change what it means. Errors name the place in the statement; they hold no
    /// parameter.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db.exec("insert into books (title) values (?)", "Dune").changed
    /// 1
    /// ```
    fn exec<'v>(
        this: &'v Database,
        text: Text<'v>,
        #[starlark(args)] parameters: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let statement = this.statement(text.0, &parameters.items)?;
        let rows = ask(eval, |sql, at| sql.exec(&this.connection, &statement, &[], at))?;
        let heap = eval.heap();
        let found = dicts(&rows, heap)?;
        let last = rows.last_id.map_or_else(Value::new_none, |id| heap.alloc(id));
        let fields = [("changed", heap.alloc(rows.changed)), ("last_id", last), ("rows", heap.alloc(AllocList(found)))];
        Ok(heap.alloc(AllocStruct(fields)))
    }

    /// Runs a statement once for each list of parameters, all of them or none, and returns how many rows changed.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db.exec_many("insert into books (title, pages) values (?, ?)", [["Dune", 412], ["Emma", 474]])
    /// 1
    /// ```
    fn exec_many<'v>(
        this: &'v Database,
        text: Text<'v>,
        rows: &'v ListRef<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<u64> {
        let mut lists = rows.iter().enumerate().map(|(index, row)| {
            let values = ListRef::from_value(row).map(ListRef::content);
            let values = values.or_else(|| TupleRef::from_value(row).map(TupleRef::content));
            let values = values
                .ok_or_else(|| usage(format!("rows[{index}] must be a list of parameters, got {}", describe(row))))?;
            bound(values)
        });
        let Some(first) = lists.next() else { return Ok(0) };
        let more = lists.collect::<starlark::Result<Vec<_>>>()?;
        let statement = Statement { text: text.0.to_owned(), parameters: first?, transaction: this.transaction };
        ask(eval, |sql, at| sql.exec(&this.connection, &statement, &more, at)).map(|rows| rows.changed)
    }

    /// The rows that a statement finds, each a dict by the names of the columns. At most 10000 rows; a statement with more is
    /// an error, so use `limit`.
    ///
    /// The statement must only read: whatever would write is refused by the database, and is for `exec`.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db.query("select title, pages from books where pages > ?", 400)
    /// [{"title": "Dune", "pages": 412}]
    /// ```
    fn query<'v>(
        this: &'v Database,
        text: Text<'v>,
        #[starlark(args)] parameters: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let rows = this.query(text, &parameters.items, eval)?;
        let found = dicts(&rows, eval.heap())?;
        Ok(eval.heap().alloc(AllocList(found)))
    }

    /// The first row that a statement finds, as `query` returns it, or `None`.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db.query_row("select title, pages from books where id = ?", 1)
    /// {"title": "Dune", "pages": 412}
    /// ```
    fn query_row<'v>(
        this: &'v Database,
        text: Text<'v>,
        #[starlark(args)] parameters: UnpackTuple<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let rows = this.query(text, &parameters.items, eval)?;
        rows.rows.first().map_or(Ok(Value::new_none()), |row| dict(&rows.columns, row, eval.heap()))
    }

    /// The first column of the first row that a statement finds, or `default`.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... db.query_value("select title from books where id = ?", 1)
    /// "Dune"
    /// ```
    fn query_value<'v>(
        this: &'v Database,
        text: Text<'v>,
        #[starlark(args)] parameters: UnpackTuple<Value<'v>>,
        #[starlark(require = named)] default: Option<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let rows = this.query(text, &parameters.items, eval)?;
        match rows.rows.first().and_then(|row| row.first()) {
            Some(value) => returned(value, eval.heap()),
            None => Ok(default.unwrap_or_default()),
        }
    }

    /// Runs a function in a transaction and returns what it returns: all that it does with its argument, which is a database
    /// like this one, is kept, or nothing of it when the function fails.
    ///
    /// `read_only` begins a transaction in which nothing can be written, and whose reads see one moment. A transaction ends
    /// with the request at the latest. Errors: a transaction in a transaction.
    ///
    /// ```text
    /// >>> db = sql.open("sqlite:shop.db")
    /// ... def move(tx):
    /// ...     tx.exec("update accounts set sum = sum - ? where id = ?", 5, 1)
    /// ...     tx.exec("update accounts set sum = sum + ? where id = ?", 5, 2)
    /// ...     return "moved"
    /// ... db.tx(move)
    /// "moved"
    /// ```
    fn tx<'v>(
        this: &'v Database,
        r#fn: Function<'v>,
        #[starlark(require = named, default = false)] read_only: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        if this.transaction.is_some() {
            return Err(usage("a transaction cannot begin in another one; use the one that the function was given"));
        }
        let number = ask(eval, |sql, at| sql.begin(&this.connection, read_only, at))?;
        let inner = Database { connection: this.connection.clone(), transaction: Some(number) };
        let inner = eval.heap().alloc(inner);
        match eval.eval_function(r#fn.0, &[inner], &[]) {
            Ok(value) => {
                ask(eval, |sql, _| sql.commit(number))?;
                Ok(value)
            }
            Err(error) => {
                // What the function raised says more than an undoing that fails: the host undoes it with the request.
                let _ = ask(eval, |sql, _| sql.rollback(number));
                Err(error)
            }
        }
    }
}

/// Parameters for placeholders.
fn bound(values: &[Value<'_>]) -> starlark::Result<Vec<SqlValue>> {
    values.iter().enumerate().map(|(index, value)| parameter(index + 1, *value)).collect()
}

/// Asks the host's databases.
fn ask<T>(
    eval: &Evaluator<'_, '_, '_>,
    question: impl FnOnce(&dyn Sql, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.sql(), &position(eval)).map_err(from_host)
}
