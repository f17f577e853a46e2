//! What an operator decided for all servers of an app, and what they share.

use std::sync::Arc;
use std::time::Duration;

use starcell_budget::MemoryBudget;
use starcell_edge::Edge;
use starcell_log::Logs;

use crate::cutoff::CpuCut;
use crate::sight::Sight;
use crate::turns::TenantTurns;

/// What holds for all servers of an app.
#[derive(Debug)]
pub struct AppTerms {
    /// Name of the script, for messages.
    pub script: String,
    /// Hosts that its servers answer for; any, where there is none.
    pub allow_hosts: Vec<String>,
    /// Whether clients see tracebacks.
    pub dev: bool,
    /// Longest time for one request.
    pub request_time: Duration,
    /// Requests of one server that are in a handler at once.
    pub max_requests: u16,
    /// Requests of one server that wait for a place among those.
    pub max_queue: u32,
    /// How long a request waits for a place.
    pub queue_time: Duration,
    /// Longest path and query, in bytes.
    pub max_url_bytes: usize,
    /// The bytes that its requests may take: those of the process, or of its tenant.
    pub memory: MemoryBudget,
    /// The turns of its tenant.
    pub turns: TenantTurns,
    /// Who ends its requests when its tenant has no CPU time left, where a quota says so.
    pub cpu_cut: Option<Arc<dyn CpuCut>>,
    /// The edge that their connections come in by.
    pub edge: Arc<Edge>,
    /// Where lines about the app go.
    pub logs: Logs,
    /// Who sees its requests.
    pub sight: Option<Sight>,
}
