//! Which cluster a call goes to. That of the operator needs no permission of its own; a context or a kubeconfig that the
//! script chooses needs `k8s.config`, each time it is opened, and its files `fs.read`.

use std::sync::Arc;

use starcell_policy::{CanonicalPath, Grants, K8sFunction as Function, KubernetesObject, Permit};

use super::{Error, Objects, Settings};
use crate::capability::fs::read_for_host;
use crate::k8s::cluster::Cluster;
use crate::k8s::script::{MAX_BYTES, Named};
use crate::k8s::{Kubernetes, Selection, on_a_thread};

impl Objects<'_> {
    /// The cluster of this call. Nothing is asked of it yet.
    pub(super) async fn cluster(&self) -> Result<Arc<Cluster>, Error> {
        let selection = self.selection()?;
        if let Some(cluster) = self.clusters().opened(&selection) {
            return Ok(cluster);
        }
        if selection != Selection::default() {
            return self.open(selection).await;
        }
        let cluster = self.clusters().of_operator(None).await.map_err(|text| self.failed("", &text))?;
        Ok(self.clusters().keep(selection, cluster))
    }

    /// Opens the cluster anew and tells what calls to it use.
    pub(super) async fn settings(&self) -> Result<Settings, Error> {
        if let Some(namespace) = self.target.namespace.as_deref().filter(|namespace| *namespace != "*") {
            KubernetesObject::in_namespace(namespace, "pods").map_err(|error| self.failed("", &error.to_string()))?;
        }
        let cluster = self.open(self.selection()?).await?;
        let namespace = self.target.namespace.as_deref().unwrap_or_else(|| cluster.namespace());
        Ok(Settings { context: cluster.context.clone(), namespace: namespace.to_owned() })
    }

    /// Passes the gate with the choice of a cluster.
    async fn open(&self, selection: Selection) -> Result<Arc<Cluster>, Error> {
        let decide = |grants: &Grants| grants.k8s(Function::Config, KubernetesObject::cluster());
        let effect = |_permit: Permit<KubernetesObject>| async move {
            let opened = match selection.kubeconfig {
                // The operator's is read once, so there is nothing new to it.
                None => self.clusters().opened(&selection),
                Some(_) => None,
            };
            if let Some(cluster) = opened {
                return Ok::<_, Error>((cluster, 0));
            }
            let cluster = match &self.target.kubeconfig {
                Some(path) => self.named(path, selection.context.clone()).await?,
                None => {
                    let opened = self.clusters().of_operator(selection.context.clone()).await;
                    opened.map_err(|text| self.failed("", &text))?
                }
            };
            Ok((self.clusters().keep(selection, cluster), 0))
        };
        self.gate.pass(self.at, decide, effect).await
    }

    /// Reads a kubeconfig that the script names, and each file that it names in turn, as the script could.
    async fn named(&self, path: &str, context: Option<String>) -> Result<Cluster, Error> {
        let failed = |text: String| self.failed(path, &text);
        let text = self.read("kubeconfig", path).await?;
        let text = String::from_utf8(text).map_err(|_| failed("it is not text".to_owned()))?;
        let mut named = on_a_thread(move || Named::new(&text, context)).await.map_err(failed)?;
        for (wanted, file) in named.files() {
            let content = self.read("file of a kubeconfig", &beside(path, &file)).await?;
            named.fill(wanted, &content).map_err(failed)?;
        }
        on_a_thread(move || named.cluster()).await.map_err(failed)
    }

    async fn read(&self, what: &'static str, path: &str) -> Result<Vec<u8>, Error> {
        read_for_host(&self.gate, what, path, MAX_BYTES, self.at).await
    }

    fn selection(&self) -> Result<Selection, Error> {
        let canonical = |path: &String| {
            let path = CanonicalPath::resolve(path, &self.gate.app().config.cwd);
            path.map(|path| path.to_string()).map_err(|error| self.failed("", &format!("kubeconfig: {error}")))
        };
        let kubeconfig = self.target.kubeconfig.as_ref().map(canonical).transpose()?;
        Ok(Selection { kubeconfig, context: self.target.context.clone() })
    }

    fn clusters(&self) -> &Kubernetes {
        &self.gate.app().config.kubernetes
    }
}

/// A file that a kubeconfig names lies beside it, unless its path is absolute.
fn beside(kubeconfig: &str, file: &str) -> String {
    match kubeconfig.rsplit_once('/') {
        Some((folder, _)) if !file.starts_with('/') => format!("{folder}/{file}"),
        _ => file.to_owned(),
    }
}
