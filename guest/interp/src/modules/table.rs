//! `table`: rows of values as a text whose columns are aligned.
//!
//! A cell is as wide as it has characters, and so are columns: what a terminal shows wider, such as Chinese, is not
//! measured. A row may have fewer values than the table has columns, and never more. A table that the top level made is
//! frozen while serving, as lists are, so a handler makes its own.

#![expect(unsafe_code, reason = "only what starlark derives expand to: Trace, a type id")]

use std::cell::RefCell;
use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::docs::DocType;
use starlark::environment::{GlobalsBuilder, Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::list::ListRef;
use starlark::values::none::NoneType;
use starlark::values::tuple::UnpackTuple;
use starlark::values::{
    AllocValue, Freeze, FreezeResult, Freezer, Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Trace, Value,
    ValueError, ValueLike, starlark_value,
};

use crate::error::usage;
use crate::given::wrong;
use crate::limits::MAX_TEXT_BYTES;
use crate::session::{Session, position};

const TYPE: &str = "table";

/// Built once, shared by tables before and after freezing.
static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);

#[builtins("table")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A table without rows, with a column for each of these names.
    ///
    /// Errors: a name that is no str.
    ///
    /// ```text
    /// >>> t = table.new(["name", "replicas"])
    /// ... t.add_row("frontend", 3)
    /// ... t.add_row("worker", 10)
    /// ... t.render().splitlines()
    /// ["name     | replicas", "---------+---------", "frontend | 3       ", "worker   | 10      "]
    /// ```
    fn new<'v>(headers: &'v ListRef<'v>) -> starlark::Result<TableValue> {
        let name = |value: &Value<'v>| match value.unpack_str() {
            Some(name) => Ok(name.to_owned()),
            None => Err(wrong("headers", "a list of str", *value)),
        };
        let columns = headers.content().iter().map(name).collect::<starlark::Result<_>>()?;
        Ok(TableValue(RefCell::new(Grid { columns, rows: Vec::new() })))
    }

    /// Prints a table.
    ///
    /// ```text
    /// >>> table.print(table.new(["name"]))
    /// None
    /// ```
    fn print<'v>(table: Value<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        let text = read(table, Grid::text).unwrap_or_else(|| Err(wrong("table", "a table", table)))?;
        // One call of the host is one print, which ends its last line by itself.
        Session::of(eval)?.host.print(text.trim_end_matches('\n'), &position(eval));
        Ok(NoneType)
    }
}

#[builtins("table")]
fn methods(builder: &mut MethodsBuilder) {
    /// How many rows there are.
    #[starlark(attribute)]
    fn row_count<'v>(this: Value<'v>) -> starlark::Result<usize> {
        Ok(read(this, |grid| grid.rows.len()).unwrap_or_default())
    }

    /// Adds a row, each value as `str` shows it: `t.add_row("frontend", 3)`.
    ///
    /// Errors: more values than there are columns, and a table that is frozen.
    fn add_row<'v>(this: Value<'v>, #[starlark(args)] values: UnpackTuple<Value<'v>>) -> starlark::Result<NoneType> {
        let Some(table) = this.downcast_ref::<TableValue>() else {
            return Err(ValueError::CannotMutateImmutableValue.into());
        };
        let mut grid = table.0.borrow_mut();
        let (given, columns) = (values.items.len(), grid.columns.len());
        if given > columns {
            return Err(usage(format!("{given} values for a table of {columns} columns")));
        }
        grid.rows.push(values.items.iter().map(|value| value.to_str()).collect());
        Ok(NoneType)
    }

    /// The text: a line of names, a line of dashes, and a line for each row.
    ///
    /// Errors: a text of more than 16 MB.
    fn render<'v>(this: Value<'v>) -> starlark::Result<String> {
        read(this, Grid::text).unwrap_or_else(|| Err(wrong("this", "a table", this)))
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<TableValue>()
}

/// The names of the columns and the cells under them.
#[derive(Debug, Allocative)]
struct Grid {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    fn text(&self) -> starlark::Result<String> {
        let widths = self.widths();
        // Each line is padded to the widest cells, so one long cell makes every line long.
        let line = widths.iter().map(|width| width + 3).sum::<usize>();
        if line.saturating_mul(self.rows.len() + 2) > MAX_TEXT_BYTES {
            return Err(usage(format!("the text would have more than {} MB", MAX_TEXT_BYTES / 1_000_000)));
        }
        let mut text = String::new();
        write_line(&mut text, &self.columns, &widths);
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        text.push_str(&dashes.join("-+-"));
        text.push('\n');
        for row in &self.rows {
            write_line(&mut text, row, &widths);
        }
        Ok(text)
    }

    /// For each column, the characters of its widest cell.
    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        widths
    }
}

fn write_line(text: &mut String, cells: &[String], widths: &[usize]) {
    let cells = cells.iter().map(String::as_str).chain(std::iter::repeat(""));
    for (number, (width, cell)) in widths.iter().zip(cells).enumerate() {
        if number > 0 {
            text.push_str(" | ");
        }
        text.push_str(cell);
        text.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
    }
    text.push('\n');
}

/// Something of a table, frozen or not; `None` for any other value.
fn read<T>(value: Value<'_>, read: impl FnOnce(&Grid) -> T) -> Option<T> {
    if let Some(table) = value.downcast_ref::<TableValue>() {
        return Some(read(&table.0.borrow()));
    }
    value.downcast_ref::<FrozenTable>().map(|table| read(&table.0))
}

/// A table that rows can be added to.
#[derive(Debug, Trace, ProvidesStaticType, NoSerialize, Allocative)]
struct TableValue(#[trace(static)] RefCell<Grid>);

impl<'v> AllocValue<'v> for TableValue {
    fn alloc_value(self, heap: Heap<'v>) -> Value<'v> {
        heap.alloc_complex(self)
    }
}

impl Freeze for TableValue {
    type Frozen = FrozenTable;

    fn freeze(self, _freezer: &Freezer<'_>) -> FreezeResult<FrozenTable> {
        Ok(FrozenTable(self.0.into_inner()))
    }
}

impl fmt::Display for TableValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&*self.0.borrow(), f)
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{TYPE} {} cols, {} rows>", self.columns.len(), self.rows.len())
    }
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for TableValue {
    fn get_methods() -> Option<&'static Methods> {
        Some(METHODS.methods())
    }

    fn to_bool(&self) -> bool {
        !self.0.borrow().rows.is_empty()
    }
}

/// A table of the top level, once requests are served.
#[derive(Debug, ProvidesStaticType, NoSerialize, Allocative)]
struct FrozenTable(Grid);

starlark_simple_value!(FrozenTable);

impl fmt::Display for FrozenTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for FrozenTable {
    type Canonical = TableValue;

    fn get_methods() -> Option<&'static Methods> {
        Some(METHODS.methods())
    }

    fn to_bool(&self) -> bool {
        !self.0.rows.is_empty()
    }
}
