//! What the flags mean for the servers of an app.

use std::sync::Arc;

use starcell_budget::MemoryBudget;
use starcell_edge::Edge;
use starcell_log::{LogRate, Logs};
use starcell_node::{AppTerms, Sight, Turns};
use tokio::runtime::Handle;

use crate::cli::{EdgeFlags, LimitFlags};

/// The terms of an app, with an edge for its servers alone and a log of its own that is written at a rate.
#[must_use]
pub fn app(
    script: String,
    dev: bool,
    limits: &LimitFlags,
    flags: &EdgeFlags,
    memory: &MemoryBudget,
    (logs, rate): (&Logs, LogRate),
    sight: Option<Sight>,
) -> Arc<AppTerms> {
    let logs = logs.of_script(&script, rate);
    Arc::new(AppTerms {
        script,
        allow_hosts: flags.allow_host.clone(),
        dev,
        request_time: limits.request_time,
        max_requests: flags.max_requests,
        max_queue: flags.max_queue,
        queue_time: flags.queue_time,
        max_url_bytes: flags.max_url_bytes as usize,
        memory: memory.clone(),
        turns: Turns::new(Handle::current().metrics().num_workers()).tenant(1),
        cpu_cut: None,
        edge: Edge::new(flags.config(), memory.clone(), logs.clone()),
        logs,
        sight,
    })
}
