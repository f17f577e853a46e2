//! Which cluster a call goes to. That of the operator needs no permission of its own; a context or a kubeconfig that the
//! script chooses needs `k8s.config`, each time it is opened, and its files `fs.read`.

use std::sync::Arc;

use starcell_policy::{CanonicalPath, K8sFunction as Function, KubernetesObject, Permit};

use super::objects::Objects;
use crate::bindings::starcell::guest::k8s::Settings;
use crate::call_error::HostCallError;
use crate::capability::blocking::{Work, WorkError, blocking};
use crate::capability::fs::read_for_host;
use crate::k8s::cluster::Cluster;
use crate::k8s::script::{MAX_BYTES, Named};
use crate::k8s::{Kubernetes, Selection};

impl Objects<'_> {
    /// The cluster of this call, or what is wrong with that of the operator. Nothing is asked of it yet.
    pub(super) async fn cluster(&self) -> Result<Result<Arc<Cluster>, String>, HostCallError> {
        let selection = self.selection().await?;
        if let Some(cluster) = self.clusters().opened(&selection) {
            return Ok(Ok(cluster));
        }
        if selection != Selection::default() {
            return self.open(selection).await.map(Ok);
        }
        let opened = self.clusters().of_operator(None).await;
        Ok(opened.map(|cluster| self.clusters().keep(selection, cluster)))
    }

    /// Opens the cluster anew and tells what calls to it use.
    pub(super) async fn settings(&self) -> Result<Settings, HostCallError> {
        if let Some(namespace) = self.target.namespace.as_deref().filter(|namespace| *namespace != "*")
            && let Err(error) = KubernetesObject::in_namespace(namespace, "pods")
        {
            self.caller.gate.unjudged(Function::Config, namespace, self.at).await;
            return Err(self.failed("", error));
        }
        let cluster = self.open(self.selection().await?).await?;
        let namespace = self.target.namespace.as_deref().unwrap_or_else(|| cluster.namespace());
        Ok(Settings { context: cluster.context.clone(), namespace: namespace.to_owned() })
    }

    /// Passes the gate with the choice of a cluster.
    async fn open(&self, selection: Selection) -> Result<Arc<Cluster>, HostCallError> {
        let effect = |_permit: Permit<KubernetesObject>| async move {
            let opened = match selection.kubeconfig {
                // The operator's is read once, so there is nothing new to it.
                None => self.clusters().opened(&selection),
                Some(_) => None,
            };
            if let Some(cluster) = opened {
                return Ok((cluster, 0));
            }
            let cluster = match &self.target.kubeconfig {
                Some(path) => self.named(path, selection.context.clone()).await?,
                None => {
                    let opened = self.clusters().of_operator(selection.context.clone()).await;
                    opened.map_err(|text| self.failed("", text))?
                }
            };
            Ok((self.clusters().keep(selection, cluster), 0))
        };
        self.caller.gate.pass(self.at, Function::Config, KubernetesObject::cluster(), effect).await
    }

    /// Reads a kubeconfig that the script names, and each file that it names in turn, as the script could.
    async fn named(&self, path: &str, context: Option<String>) -> Result<Cluster, HostCallError> {
        let failed = |text: String| self.failed(path, text);
        let text = self.read("kubeconfig", path).await?;
        let text = String::from_utf8(text).map_err(|_| failed("it is not text".to_owned()))?;
        // As long as it is parsed, and what it came to is kept here.
        let _parsed = self.caller.holding.take(text.len().saturating_mul(PARSED)).await.map_err(failed)?;
        let mut named = self.parse(move || Named::new(&text, context)).await.map_err(failed)?;
        for (wanted, file) in named.files() {
            let content = self.read("file of a kubeconfig", &beside(path, &file)).await?;
            named.fill(wanted, &content).map_err(failed)?;
        }
        self.parse(move || named.cluster()).await.map_err(failed)
    }

    /// Parses on a thread for that; one app's kubeconfigs leave threads to the others.
    async fn parse<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let parsed = blocking(&self.caller, move |_: &Work| work().map_err(WorkError)).await;
        parsed.map_err(|error| error.0)
    }

    async fn read(&self, what: &'static str, path: &str) -> Result<Vec<u8>, HostCallError> {
        read_for_host(&self.caller, what, path, MAX_BYTES, self.at).await
    }

    async fn selection(&self) -> Result<Selection, HostCallError> {
        let named = self.target.kubeconfig.as_deref();
        let kubeconfig = match named.map(|path| CanonicalPath::resolve(path, &self.caller.app.config.cwd)).transpose() {
            Ok(path) => path.map(|path| path.to_string()),
            Err(error) => {
                self.caller.gate.unjudged(Function::Config, named.unwrap_or_default(), self.at).await;
                return Err(self.failed("", format!("kubeconfig: {error}")));
            }
        };
        Ok(Selection { kubeconfig, context: self.target.context.clone() })
    }

    fn clusters(&self) -> &Kubernetes {
        &self.caller.app.config.state.kubernetes
    }
}

/// A file that a kubeconfig names lies beside it, unless its path is absolute.
fn beside(kubeconfig: &str, file: &str) -> String {
    match kubeconfig.rsplit_once('/') {
        Some((folder, _)) if !file.starts_with('/') => format!("{folder}/{file}"),
        _ => file.to_owned(),
    }
}

/// Bytes that a byte of a kubeconfig takes while it is parsed, at most: 50 were measured.
const PARSED: usize = 64;
