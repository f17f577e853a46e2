//! The subcommands, one module for each. No command knows another one.

pub mod app;
pub mod audit;
pub mod check;
pub mod completions;
pub mod docs;
pub mod doctor;
pub mod host;
pub mod lsp;
pub mod new;
pub mod permissions;
pub mod repl;
pub mod run;
pub mod tenant;
pub mod test;
pub mod top;
