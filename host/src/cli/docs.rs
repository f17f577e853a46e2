//! The arguments of `starcell docs`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `starcell docs`.
#[derive(Args, Debug)]
pub struct Docs {
    /// Writes the description of the API that a node is operated by instead, as OpenAPI 3.1.
    #[arg(long, conflicts_with = "manual")]
    pub openapi: bool,

    /// The file to write the reference of the modules, or the description of the API, to; standard output without it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Writes the manual pages of the commands into this folder instead, which is there already: starcell.1 and one page
    /// for each command.
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub manual: Option<PathBuf>,
}
