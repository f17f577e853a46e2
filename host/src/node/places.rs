//! Who sets an app up at which time.
//!
//! A few apps are set up at once. An app that finds no memory comes again alone among those: two that each hold a part of
//! what is left would wait for each other, both give up, and begin again together. One of each tenant stands in that line,
//! so that a tenant whose apps never fit cannot keep those of others from their turn.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, Semaphore};

/// Apps that are set up at once. Each takes a core while it does.
const AT_ONCE: usize = 4;

/// The places of a node.
#[derive(Debug)]
pub(super) struct Places {
    at_once: Semaphore,
    alone: Turn<()>,
    tenants: Mutex<BTreeMap<String, Arc<Turn<()>>>>,
}

impl Places {
    pub(super) fn new() -> Self {
        Self { at_once: Semaphore::new(AT_ONCE), alone: Turn::default(), tenants: Mutex::default() }
    }

    /// Does something in a place.
    pub(super) async fn within<T>(&self, work: impl Future<Output = T>) -> T {
        // It is never closed.
        let _place = self.at_once.acquire().await;
        work.await
    }

    /// Does something for a tenant in a place, alone among all who ask for that.
    pub(super) async fn alone<T>(&self, tenant: &str, work: impl Future<Output = T>) -> T {
        let turn = Arc::clone(self.tenants.lock().entry(tenant.to_owned()).or_default());
        let _first = turn.lock().await;
        let _alone = self.alone.lock().await;
        self.within(work).await
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_are_at_work_at_once() {
        let (places, now, most) = (Arc::new(Places::new()), Arc::new(AtomicUsize::new(0)), Arc::default());
        let mut tasks = JoinSet::new();
        for _ in 0..20 {
            let (places, now, most): (_, _, Arc<AtomicUsize>) =
                (Arc::clone(&places), Arc::clone(&now), Arc::clone(&most));
            tasks.spawn(async move {
                let work = async {
                    most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    sleep(Duration::from_secs(1)).await;
                    now.fetch_sub(1, Ordering::Relaxed);
                };
                places.within(work).await;
            });
        }
        tasks.join_all().await;
        assert_eq!((now.load(Ordering::Relaxed), most.load(Ordering::Relaxed)), (0, AT_ONCE));
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_again_is_alone_and_a_tenant_with_many_lets_others_in() {
        let (places, order) = (Arc::new(Places::new()), Arc::new(Mutex::new(Vec::new())));
        let mut tasks = JoinSet::new();
        for tenant in [["many"; 9].as_slice(), &["few"]].concat() {
            let (places, order) = (Arc::clone(&places), Arc::clone(&order));
            tasks.spawn(async move {
                let work = async {
                    order.lock().push((tenant, "begins"));
                    sleep(Duration::from_secs(1)).await;
                    order.lock().push((tenant, "ends"));
                };
                places.alone(tenant, work).await;
            });
        }
        tasks.join_all().await;
        let order = order.lock().clone();
        assert!(order.chunks(2).all(|pair| pair[0].0 == pair[1].0 && (pair[0].1, pair[1].1) == ("begins", "ends")));
        assert_eq!(order.iter().position(|(tenant, _)| *tenant == "few"), Some(2), "{order:?}");
    }
}
