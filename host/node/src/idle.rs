//! Apps that nobody asks for anything, dropped from memory.
//!
//! An app is dropped when it has had no request for the time that the operator chose; when more apps are in memory than
//! the process can map, those first that were asked longest ago; and when memory is short, likewise, of the tenant that is
//! short or of all. One that has a request, or was asked within the last second, is never dropped: apps that are all in use
//! would throw each other out, and each request would pay for it. Then a request waits for memory, and is refused with 503.

use std::sync::Arc;
use std::time::Duration;

use starcell_budget::MemoryBudget;
use starcell_log::{Level, Logs};
use tokio::time::sleep;

use crate::node::Node;
use crate::revision::Revision;

/// How often apps are looked at: ten thousand in well below a millisecond.
const LOOK: Duration = Duration::from_secs(1);

/// The shortest time between two looks that memory asks for.
const REST: Duration = Duration::from_millis(50);

/// Apps that had a request within this time are in use.
const IN_USE: Duration = Duration::from_secs(1);

/// Which apps are dropped.
#[derive(Clone, Copy, Debug)]
pub struct IdleRule {
    /// Time without a request after which an app is; none for never.
    pub after: Option<Duration>,
    /// Apps that stay in memory at most.
    pub most: usize,
}

/// Drops apps of a node, for as long as this is polled. `memory` are the bytes of the node.
pub async fn drop_idle(node: Arc<Node>, memory: MemoryBudget, rule: IdleRule, logs: Logs) {
    let mut complained = None;
    loop {
        let pause = rule.after.map_or(LOOK, |after| LOOK.min(after / 4).max(REST));
        let is_wanted = tokio::select! {
            biased;
            () = memory.wanted() => true,
            () = sleep(pause) => false,
        };
        let why = look(&node, &memory, rule, is_wanted).await.err();
        if why != complained {
            let tell = |why: &String| logs.say(Level::Error, &format!("an app cannot be dropped from memory: {why}"));
            why.iter().for_each(tell);
            complained = why;
        }
        if is_wanted {
            sleep(REST).await;
        }
    }
}

/// Looks at all apps once. The error is why one could not be dropped.
async fn look(node: &Node, memory: &MemoryBudget, rule: IdleRule, is_wanted: bool) -> Result<(), String> {
    let seats = node.seats();
    let revisions = seats.iter().filter_map(|seat| seat.current()).filter(|revision| revision.is_resident());
    let mut resident: Vec<(Duration, Arc<Revision>)> = revisions.map(|revision| (revision.idle(), revision)).collect();
    resident.sort_unstable_by_key(|(idle, _)| std::cmp::Reverse(*idle));
    let mut count = resident.len();
    let mut failed = Ok(());
    for (idle, revision) in resident {
        let is_due = rule.after.is_some_and(|after| idle >= after);
        let makes_room =
            || is_short(memory, is_wanted) || is_short_of_its_own(revision.tenant().memory(), memory, is_wanted);
        if !is_due && (idle < IN_USE || (count <= rule.most && !makes_room())) {
            continue;
        }
        match revision.rest().await {
            Ok(dropped) => count -= usize::from(dropped),
            Err(why) => failed = Err(why),
        }
    }
    failed
}

/// Whether so much of a budget is used that apps make room. Where somebody waits for bytes, there is more to be made.
fn is_short(memory: &MemoryBudget, is_wanted: bool) -> bool {
    let eighths = if is_wanted { 5 } else { 6 };
    memory.used() > memory.limit() / 8 * eighths
}

fn is_short_of_its_own(tenant: &MemoryBudget, node: &MemoryBudget, is_wanted: bool) -> bool {
    tenant.limit() != node.limit() && is_short(tenant, is_wanted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use starcell_budget::MemoryUse;

    use super::*;

    #[test]
    fn apps_make_room_before_a_budget_is_used_up() {
        let node = MemoryBudget::new(800);
        let tenant = node.part(80);
        let _held = tenant.try_take(MemoryUse::Small, 55).unwrap();
        assert!(!is_short(&tenant, false) && is_short(&tenant, true), "more is wanted");
        assert!(!is_short_of_its_own(&node, &node, true) && is_short_of_its_own(&tenant, &node, true));
        let _more = tenant.try_take(MemoryUse::Small, 10).unwrap();
        assert!(is_short(&tenant, false) && !is_short(&node, true));
        assert!(!is_short(&MemoryBudget::unlimited(), true));
    }
}
