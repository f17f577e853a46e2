//! Kubernetes clusters, for one app: the one that its operator chose, and those that its script names.
//!
//! The operator's kubeconfig, with the certificates and keys that it names, is read once, before any script runs, and
//! stays here. Read later it could be what a script wrote, and it names programs that the host runs. A script learns the names of its contexts, if it guesses them,
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
//! - `thread`: where it may take its time
//! - `words`: what went wrong, without what is secret about it

pub(crate) mod cluster;
pub(crate) mod exchange;
pub(crate) mod kinds;
pub mod operator;
pub(crate) mod route;
pub(crate) mod script;
mod thread;
pub(crate) mod words;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use cluster::Cluster;
use operator::{Operator, Source};
use thread::on_a_thread;

/// Clusters that one app keeps open. Each holds some connections and, at most, some hundred kilobytes of names.
const MAX_CLUSTERS: usize = 8;

/// The clusters of one app. Cheap to clone.
#[derive(Clone)]
pub struct Kubernetes(Arc<Inner>);

struct Inner {
    /// What the operator's files say, or why they say nothing.
    source: Result<Source, String>,
    /// The files it came from.
    files: Vec<PathBuf>,
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
        f.debug_struct("Kubernetes").field("files", &self.0.files).finish_non_exhaustive()
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self::new(&Operator::default())
    }
}

impl Kubernetes {
    /// The clusters of an app whose operator chose one this way. Reads the operator's files, so it blocks; to be called
    /// before the script starts.
    #[must_use]
    pub fn new(operator: &Operator) -> Self {
        let source = operator.read();
        let named = source.as_ref().map(Source::files).unwrap_or_default();
        let files = operator.kubeconfigs.iter().cloned().chain(named).collect();
        Self(Arc::new(Inner { source, files, open: Mutex::default() }))
    }

    /// The operator's files that decide how a cluster is reached, there or not: kubeconfigs, and the certificates, keys,
    /// tokens and programs that they name.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.files.iter().map(PathBuf::as_path)
    }

    /// Returns whether the operator's kubeconfig names programs that make credentials, which the host runs.
    #[must_use]
    pub fn runs_programs(&self) -> bool {
        self.0.source.as_ref().is_ok_and(Source::runs_programs)
    }

    /// A cluster that was opened before.
    pub(crate) fn opened(&self, selection: &Selection) -> Option<Arc<Cluster>> {
        let open = self.0.open.lock();
        open.iter().find(|(opened, _)| opened == selection).map(|(_, cluster)| Arc::clone(cluster))
    }

    /// Keeps a cluster open, in place of what had its name; the one that was opened first makes room.
    pub(crate) fn keep(&self, selection: Selection, cluster: Cluster) -> Arc<Cluster> {
        let cluster = Arc::new(cluster);
        let mut open = self.0.open.lock();
        open.retain(|(opened, _)| *opened != selection);
        if open.len() >= MAX_CLUSTERS {
            open.remove(0);
        }
        open.push((selection, Arc::clone(&cluster)));
        cluster
    }

    /// The operator's cluster, by a context or the current one. Connects to nothing.
    pub(crate) async fn of_operator(&self, context: Option<String>) -> Result<Cluster, String> {
        let source = self.0.source.clone()?;
        on_a_thread(move || source.cluster(context)).await
    }
}
