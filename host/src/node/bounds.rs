//! How many apps of a node can be in memory at once, as far as it is not a matter of bytes.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use starcell_node::{IdleRule, Node, NodeShare, drop_idle};
use tokio_util::task::AbortOnDropHandle;

use super::base::Base;

/// Mappings of one app that is in memory, beside those of its forks: six were counted of one whose script is suspended, for
/// its memory, its stack and the view of its image, and fewer of one that came back from disk. Forks have some forty each,
/// but however many apps there are, the interpreter has a bounded number of places for them, which the other half is for.
const MAPPINGS: u64 = 8;

/// What Linux gives a process where the machine does not say.
const DEFAULT_MAPPINGS: u64 = 65_530;

/// Descriptors of one app that is in memory: the file of its image, and that of its store where it has one.
const DESCRIPTORS: u64 = 2;

/// The least that a node has in memory, however little the machine gives.
const LEAST: u64 = 64;

/// Drops apps from memory that are not used, until this is dropped itself.
#[expect(clippy::disallowed_methods, reason = "the task ends with the handle")]
pub(crate) fn dropping(base: &Base, node: &Arc<Node>) -> AbortOnDropHandle<()> {
    let rule = IdleRule { after: base.files.config.idle, most: most_resident() };
    let NodeShare { memory, logs, .. } = &base.share;
    AbortOnDropHandle::new(tokio::spawn(drop_idle(Arc::clone(node), memory.clone(), rule, logs.clone())))
}

/// Apps that are in memory at most: half of the mappings and of the descriptors of the process are theirs.
fn most_resident() -> usize {
    let mappings = max_map_count().unwrap_or(DEFAULT_MAPPINGS);
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = (mappings / 2 / MAPPINGS).min(descriptors / 2 / DESCRIPTORS).max(LEAST);
    usize::try_from(most).unwrap_or(usize::MAX)
}

#[expect(clippy::disallowed_methods, reason = "read once, from the kernel")]
fn max_map_count() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}
