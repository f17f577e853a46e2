//! The flags about the forks that answer requests.

use clap::Args;
use starcell_runtime::Forks;

/// Arguments that decide whether a fork answers a second request.
#[derive(Args, Clone, Debug)]
pub struct ForkFlags {
    /// Answers each request in a new fork. Without it a fork whose memory was put back answers further requests of the same
    /// script.
    #[arg(long, conflicts_with = "compare_every")]
    pub fresh: bool,

    /// Compares the whole memory with its image after every Nth request, rather than every 1000th. For tests.
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(u64).range(1..))]
    pub compare_every: Option<u64>,
}

impl ForkFlags {
    /// The choice, as the runtime takes it.
    #[must_use]
    pub fn forks(&self) -> Forks {
        match (self.fresh, self.compare_every) {
            (true, _) => Forks::Fresh,
            (false, Some(compare_every)) => Forks::Parked { compare_every },
            (false, None) => Forks::default(),
        }
    }
}
