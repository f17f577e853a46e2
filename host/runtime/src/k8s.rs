//! Kubernetes clusters, for one app: the one that its operator chose, and those that its script names.
//!
//! The operator's kubeconfig is read once and stays here: a script learns the names of its contexts, if it guesses them,
//! and nothing else. A cluster that a script names is the script's word for a server, so its address is judged like that
//! of any other request, its certificate must verify, and its kubeconfig can neither run a program nor have a file read
//! that the script may not read.
//!
//! - [`operator`]: where the operator says which cluster it is
//! - `script`: a kubeconfig that a script names, and what is refused in one
//! - `cluster`: a cluster as one app reaches it
//! - `route`: from a permit to the path of a request
//! - `kinds`: kinds that not every cluster has
//! - `exchange`: one request and its answer, within bounds
//! - `words`: what went wrong, without what is secret about it

pub(crate) mod cluster;
pub(crate) mod exchange;
pub(crate) mod kinds;
pub mod operator;
pub(crate) mod route;
pub(crate) mod script;
pub(crate) mod words;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use cluster::Cluster;
use operator::{Operator, Source};

/// Clusters that one app keeps open. Each holds some connections and, at most, some hundred kilobytes of names.
const MAX_CLUSTERS: usize = 8;

/// The clusters of one app. Cheap to clone.
#[derive(Clone, Default)]
pub struct Kubernetes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    operator: Operator,
    source: OnceCell<Source>,
    open: Mutex<Vec<(Selection, Arc<Cluster>)>>,
}

/// How a script names a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// The canonical path of a kubeconfig; none is the operator's.
    pub(crate) kubeconfig: Option<String>,
    /// The context of it; none is its current one.
    pub(crate) context: Option<String>,
}

impl fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kubernetes").field("operator", &self.0.operator).finish_non_exhaustive()
    }
}

impl Kubernetes {
    /// The clusters of an app whose operator chose one this way.
    #[must_use]
    pub fn new(operator: Operator) -> Self {
        Self(Arc::new(Inner { operator, ..Inner::default() }))
    }

    /// A cluster that was opened before.
    pub(crate) fn opened(&self, selection: &Selection) -> Option<Arc<Cluster>> {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter().find(|(opened, _)| opened == selection).map(|(_, cluster)| Arc::clone(cluster))
    }

    /// Keeps a cluster open, in place of what had its name; the one that was opened first makes room.
    pub(crate) fn keep(&self, selection: Selection, cluster: Cluster) -> Arc<Cluster> {
        let cluster = Arc::new(cluster);
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(opened, _)| *opened != selection);
        if open.len() >= MAX_CLUSTERS {
            open.remove(0);
        }
        open.push((selection, Arc::clone(&cluster)));
        cluster
    }

    /// The operator's cluster, by a context or the current one. Reads files the first time; connects to nothing.
    pub(crate) async fn of_operator(&self, context: Option<String>) -> Result<Cluster, String> {
        let operator = self.0.operator.clone();
        let read = || async { on_a_thread(move || operator.read()).await };
        let source = self.0.source.get_or_try_init(read).await?.clone();
        on_a_thread(move || source.cluster(context)).await
    }
}

/// Does what reads files or parses much on a thread that may block.
pub(crate) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("the host failed: {error}")))
}
