//! The operator's cluster: kubeconfig files, as for kubectl, or being inside of a cluster.
//!
//! What is in those files is the operator's word. They may name files, programs that make credentials, a certificate
//! that is not to be checked. Proxies alone are refused, and those of the environment are never asked: requests go where
//! the file says.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::cluster::Cluster;
use super::words;

/// Where a pod finds its service account.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Where to look for the operator's cluster, in this order.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Kubeconfig files, merged as kubectl does it. Those that are not there are passed over.
    pub kubeconfigs: Vec<PathBuf>,
    /// True if this process runs in a pod, whose service account is used if there is no kubeconfig.
    pub in_pod: bool,
}

/// What was found.
#[derive(Clone)]
pub(super) enum Source {
    Kubeconfig(Box<Kubeconfig>),
    Pod,
}

impl Operator {
    /// Reads the files. Blocks.
    pub(super) fn read(&self) -> Result<Source, String> {
        let mut merged: Option<Kubeconfig> = None;
        for path in self.kubeconfigs.iter() {
            let next = match Kubeconfig::read_from(path) {
                Ok(next) => next,
                Err(error) if words::is_missing(&error) => continue,
                Err(error) => return Err(format!("{}: {}", path.display(), words::of_kubeconfig(&error))),
            };
            merged = Some(match merged {
                None => next,
                Some(first) => first.merge(next).map_err(|error| words::of_kubeconfig(&error))?,
            });
        }
        match merged {
            Some(mut kubeconfig) => {
                inline(&mut kubeconfig);
                Ok(Source::Kubeconfig(Box::new(kubeconfig)))
            }
            None if self.in_pod => Ok(Source::Pod),
            None => Err(self.nothing()),
        }
    }

    fn nothing(&self) -> String {
        let paths: Vec<String> = self.kubeconfigs.iter().map(|path| path.display().to_string()).collect();
        let looked = match paths.as_slice() {
            [] => "no kubeconfig is named".to_owned(),
            [one] => format!("there is no kubeconfig at {one}"),
            _ => format!("there is no kubeconfig at any of {}", paths.join(", ")),
        };
        format!("no cluster is configured: {looked}, and this is not a pod; set KUBECONFIG for the host")
    }
}

impl Source {
    /// The files that it names: those that were read, and those that the host reads or runs when it asks for credentials.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Pod => vec![PathBuf::from(SERVICE_ACCOUNT)],
            Self::Kubeconfig(kubeconfig) => {
                let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
                let of_clusters = clusters.filter_map(|cluster| cluster.certificate_authority.as_deref());
                let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
                let of_users = users.flat_map(|user| {
                    let program = user.exec.as_ref().and_then(|exec| exec.command.as_deref());
                    [
                        user.client_certificate.as_deref(),
                        user.client_key.as_deref(),
                        user.token_file.as_deref(),
                        program.filter(|command| command.contains('/')),
                    ]
                });
                of_clusters.chain(of_users.flatten()).map(PathBuf::from).collect()
            }
        }
    }

    /// Returns whether some user of it gets credentials from a program.
    pub(super) fn runs_programs(&self) -> bool {
        let Self::Kubeconfig(kubeconfig) = self else { return false };
        let mut users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
        users.any(|user| user.exec.is_some() || user.auth_provider.is_some())
    }

    /// The cluster of a context. Blocks for as long as certificates take to parse.
    pub(super) fn cluster(self, context: Option<String>) -> Result<Cluster, String> {
        match (self, context) {
            (Self::Pod, Some(context)) => {
                Err(format!("there is no context {context:?}: the cluster is the one that this pod is in"))
            }
            (Self::Pod, None) => {
                let config =
                    Config::incluster().map_err(|error| format!("the service account of this pod: {error}"))?;
                Ok(Cluster::of_operator(prepared(config), None))
            }
            (Self::Kubeconfig(kubeconfig), context) => {
                let proxied = proxy(&kubeconfig, context.as_deref());
                let context = context.or_else(|| kubeconfig.current_context.clone());
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                let reading = Config::from_custom_kubeconfig(*kubeconfig, &options);
                let config = tokio::runtime::Handle::current().block_on(reading);
                let config = config.map_err(|error| format!("the operator's {}", words::of_kubeconfig(&error)))?;
                match proxied {
                    true => Err("the operator's kubeconfig: proxy-url is not supported".into()),
                    false => Ok(Cluster::of_operator(prepared(config), context)),
                }
            }
        }
    }
}

/// Puts the certificates and keys that a kubeconfig names in place of their names. A file that cannot be read stays a
/// name, so that its error is told when its cluster is asked for. A token stays in its file, which others renew.
#[expect(clippy::disallowed_methods, reason = "reads the files that the operator's kubeconfig names")]
fn inline(kubeconfig: &mut Kubeconfig) {
    let read = |file: &Option<String>| {
        file.as_ref().and_then(|file| std::fs::read(file).ok()).map(|data| STANDARD.encode(data))
    };
    for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        let data = &mut cluster.certificate_authority_data;
        *data = data.take().or_else(|| read(&cluster.certificate_authority));
    }
    for user in kubeconfig.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        let data = &mut user.client_certificate_data;
        *data = data.take().or_else(|| read(&user.client_certificate));
        let data = &mut user.client_key_data;
        *data = data.take().or_else(|| read(&user.client_key).map(Into::into));
    }
}

/// Returns whether the cluster of a context is behind a proxy.
fn proxy(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    chosen(kubeconfig, context).is_some_and(|(cluster, _)| cluster.proxy_url.is_some_and(|url| !url.is_empty()))
}

/// The cluster and the user of a context.
pub(super) fn chosen(
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Option<(kube::config::Cluster, kube::config::AuthInfo)> {
    let name = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == name)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?.cluster.clone()?;
    let user = context.user.as_deref().unwrap_or_default();
    let user = kubeconfig.auth_infos.iter().find(|named| named.name == user);
    Some((cluster, user.and_then(|named| named.auth_info.clone()).unwrap_or_default()))
}

/// What holds for every cluster: no proxy of the environment, and no request that nobody asked for.
pub(super) fn prepared(mut config: Config) -> Config {
    config.proxy_url = None;
    config.default_retry = false;
    config.connect_timeout = Some(super::cluster::CONNECT_TIME);
    config
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn having_no_cluster_says_where_it_was_looked_for() {
        let nothing = |kubeconfigs: &[&str]| {
            let kubeconfigs = kubeconfigs.iter().map(PathBuf::from).collect();
            Operator { kubeconfigs, in_pod: false }.read().err().unwrap()
        };
        assert_eq!(
            nothing(&["/nowhere/a"]),
            "no cluster is configured: there is no kubeconfig at /nowhere/a, and this is not a pod; set KUBECONFIG for \
             the host"
        );
        assert!(nothing(&["/nowhere/a", "/nowhere/b"]).contains("at any of /nowhere/a, /nowhere/b"));
        assert!(nothing(&[]).contains("no kubeconfig is named"));
        let pod = Operator { kubeconfigs: vec!["/nowhere/a".into()], in_pod: true };
        assert!(matches!(pod.read(), Ok(Source::Pod)));
    }

    #[tokio::test]
    async fn what_is_written_later_is_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let text = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n\
                    clusters:\n- name: c\n  cluster: {server: 'https://h.example:6443'}\n\
                    users:\n- name: u\n  user: {tokenFile: token, exec: {apiVersion: v1, command: ./plugin}}\n";
        let file = folder.path().join("config");
        std::fs::write(&file, text).unwrap();
        let operator = Operator { kubeconfigs: vec![file.clone(), folder.path().join("none")], in_pod: false };
        let kubernetes = crate::k8s::Kubernetes::new(&operator);
        std::fs::write(&file, text.replace("h.example", "evil.example")).unwrap();
        std::fs::write(folder.path().join("none"), text.replace("h.example", "evil.example")).unwrap();
        let cluster = kubernetes.of_operator(None).await.unwrap();
        assert_eq!(cluster.server(), "https://h.example:6443");
        let files: Vec<_> =
            kubernetes.files().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(files, ["config", "none", "token", "plugin"]);
        assert!(kubernetes.runs_programs() && !crate::k8s::Kubernetes::default().runs_programs());
    }
}
