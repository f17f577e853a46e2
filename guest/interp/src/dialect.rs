//! The language: starlark-rust's extended dialect.
//!
//! Top-level `if` and `for`, f-strings, `lambda`, keyword-only and positional-only parameters, and type annotations that
//! are checked when a function is called. There is no `while`. Recursion is allowed and bounded by the operator's
//! `--call-depth`.

use starlark::syntax::{Dialect, DialectTypes};

/// What the parser accepts.
pub(crate) const DIALECT: Dialect = Dialect {
    enable_def: true,
    enable_lambda: true,
    enable_load: true,
    enable_keyword_only_arguments: true,
    enable_positional_only_arguments: true,
    enable_types: DialectTypes::Enable,
    enable_load_reexport: false,
    enable_top_level_stmt: true,
    enable_f_strings: true,
    _non_exhaustive: (),
};
