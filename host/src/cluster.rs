//! Which Kubernetes cluster scripts reach unless they choose one: the operator's, found as kubectl finds it.

use std::env;
use std::path::PathBuf;

use starcell_runtime::Kubernetes;
use starcell_runtime::k8s::operator::Operator;

/// The clusters of one app. Reads the operator's files, so it is called before the script starts.
#[must_use]
pub fn kubernetes() -> Kubernetes {
    Kubernetes::new(&operator())
}

/// The files that KUBECONFIG names, or the one in the home folder, or the pod that this process runs in.
#[expect(clippy::disallowed_methods, reason = "reads where the operator's kubeconfig is, once")]
fn operator() -> Operator {
    let named = env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty());
    let home = || env::var_os("HOME").filter(|home| !home.is_empty());
    let kubeconfigs = match named {
        Some(paths) => env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()).collect(),
        None => home().map(|home| PathBuf::from(home).join(".kube/config")).into_iter().collect(),
    };
    Operator { kubeconfigs, in_pod: env::var_os("KUBERNETES_SERVICE_HOST").is_some() }
}
