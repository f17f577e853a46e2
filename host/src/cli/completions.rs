//! The arguments of `starcell completions`.

use clap::Args;
use clap_complete::Shell;

/// Arguments of `starcell completions`.
#[derive(Args, Debug)]
#[command(after_help = "For bash: source <(starcell completions bash)")]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}
