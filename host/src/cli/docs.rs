//! The arguments of `starcell docs`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `starcell docs`.
#[derive(Args, Debug)]
pub struct Docs {
    /// The file to write; standard output without it.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
