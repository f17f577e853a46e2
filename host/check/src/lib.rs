//! What can be said of a script without running it.
//!
//! A script is never evaluated here: it is parsed by the interpreter's own parser behind the interpreter's own bounds,
//! and everything else is read off its syntax tree. What cannot be known that way is not guessed: a check stays silent
//! about it, and the list of capabilities counts it as reached.
//!
//! In the order a script meets them:
//! - [`program`]: the files of a script, found by their `load()` statements
//! - [`facts`]: what its syntax tree says: calls, bindings, uses of the predeclared modules
//! - `names`: starlark's own resolver, linter and type checker
//! - `builtins`, `calls`: the arguments of calls of builtins
//! - `frozen`: state of the module that requests change, which they cannot
//! - `routes`: patterns, by the router that serves them
//! - [`capabilities`]: what the script can ask the host for
//! - [`report`], [`diagnostic`]: what was found, as text with carets or as JSON
//! - `checked`: a report as plain data, which a process of its own hands over
//! - [`mod@reference`]: the reference of the modules, from their own documentation

#![forbid(unsafe_code)]

mod builtins;
mod calls;
pub mod capabilities;
mod checked;
pub mod diagnostic;
pub mod facts;
mod frozen;
mod names;
pub mod program;
pub mod reference;
pub mod report;
mod routes;
mod values;

pub use builtins::{Builtins, builtins};
pub use checked::{Checked, Finding, TextPosition, unfinished};
pub use diagnostic::{Diagnostic, Severity};
pub use program::ScriptFiles;
pub use report::{Report, check, check_in_steps};
