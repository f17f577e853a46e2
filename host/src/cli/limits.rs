//! The flags that limit the instances of a script.

use std::time::Duration;

use clap::Args;
use starcell_budget::{MemoryBudget, default_bytes};
use starcell_runtime::{DEFAULT_CALL_DEPTH, Limits, MAX_CALL_DEPTH};

use super::duration::duration;

/// Arguments that bound what a script uses.
#[derive(Args, Clone, Debug)]
pub struct LimitFlags {
    /// Memory of each instance, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(8..=256))]
    pub memory: u32,

    /// Memory of the whole process, in MiB: of bodies, responses, guests and images together. Work that finds none left
    /// waits, and is then refused with status 503. Three quarters of what the control group or the machine has when not
    /// given.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..))]
    pub memory_budget: Option<u32>,

    /// CPU time that one request may use, such as 1s or 250ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub request_cpu: Duration,

    /// Time that one request may take, waiting included.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub request_time: Duration,

    /// CPU time that the script's top level may use before and between serving.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub setup_cpu: Duration,

    /// Calls that may be nested in one another, which bounds recursion; up to 1000, as many as the stack of an instance
    /// carries.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CALL_DEPTH, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_CALL_DEPTH)))]
    pub call_depth: u32,
}

impl LimitFlags {
    /// The bytes that the process may hold.
    #[must_use]
    pub fn budget(&self) -> MemoryBudget {
        MemoryBudget::new(self.memory_budget.map_or_else(default_bytes, |mib| u64::from(mib) << 20))
    }

    /// The limits of each instance, for the runtime.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            memory_bytes: (self.memory as usize) << 20,
            request_cpu: self.request_cpu,
            request_wall: self.request_time,
            setup_cpu: self.setup_cpu,
            call_depth: self.call_depth,
            ..Limits::default()
        }
    }
}
