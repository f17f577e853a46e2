//! A cluster as one app reaches it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use kube::{Client, Config};
use parking_lot::Mutex;
use rustls::crypto::ring;
use starcell_policy::{Endpoint, Host, Permit, Url};
use tokio::sync::OnceCell;

use super::kinds::Kinds;
use super::thread::on_a_thread;
use super::words;

/// How long a connection may take, so that the next address of a cluster gets its turn.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Addresses of one cluster that connections are kept to.
const MAX_ADDRESSES: usize = 4;

/// A cluster, its credentials and its connections.
pub(crate) struct Cluster {
    config: Config,
    /// The context it was chosen by; none inside a pod.
    pub(crate) context: Option<String>,
    /// The server, when the script named it: then its address has to be judged.
    pub(crate) judged: Option<Url>,
    pub(crate) kinds: Kinds,
    direct: OnceCell<Client>,
    pinned: Mutex<Vec<(SocketAddr, Client)>>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("context", &self.context).finish_non_exhaustive()
    }
}

impl Cluster {
    pub(super) fn of_operator(config: Config, context: Option<String>) -> Self {
        Self::new(config, context, None)
    }

    /// A cluster of a kubeconfig that a script named.
    pub(super) fn of_script(config: Config, context: Option<String>, server: Url) -> Self {
        Self::new(config, context, Some(server))
    }

    fn new(config: Config, context: Option<String>, judged: Option<Url>) -> Self {
        let (direct, pinned) = (OnceCell::new(), Mutex::default());
        Self { config, context, judged, kinds: Kinds::default(), direct, pinned }
    }

    /// The namespace of calls that name none.
    pub(crate) fn namespace(&self) -> &str {
        &self.config.default_namespace
    }

    /// The server as its kubeconfig writes it, without a slash at the end.
    pub(crate) fn server(&self) -> String {
        self.config.cluster_url.to_string().trim_end_matches('/').to_owned()
    }

    /// The host and port of the server, as the Host header has them.
    pub(crate) fn authority(&self) -> Option<&str> {
        self.config.cluster_url.authority().map(http::uri::Authority::as_str)
    }

    /// The client of the operator's cluster: it goes to whatever the name of the server resolves to.
    pub(crate) async fn direct(&self) -> Result<Client, String> {
        let client = self.direct.get_or_try_init(|| client(self.config.clone())).await;
        client.cloned()
    }

    /// A client that connects to the address of the permit and to no other, and checks the server's name all the same.
    pub(crate) async fn pinned(&self, permit: &Permit<Endpoint>) -> Result<Client, String> {
        let address = permit.resource().socket_addr();
        if let Some(client) = self.kept(address) {
            return Ok(client);
        }
        let mut config = self.config.clone();
        if let (None, Host::Name(name)) = (&config.tls_server_name, permit.resource().host()) {
            config.tls_server_name = Some(name.as_str().to_owned());
        }
        let scheme = permit.resource().url().scheme().as_str();
        let path = config.cluster_url.path().trim_end_matches('/');
        let url = format!("{scheme}://{address}{path}").parse();
        config.cluster_url = url.map_err(|_| "the server of the kubeconfig is not a URL".to_owned())?;
        let client = client(config).await?;
        let mut pinned = self.pinned.lock();
        if pinned.len() >= MAX_ADDRESSES {
            pinned.remove(0);
        }
        pinned.push((address, client.clone()));
        Ok(client)
    }

    fn kept(&self, address: SocketAddr) -> Option<Client> {
        let pinned = self.pinned.lock();
        pinned.iter().find(|(to, _)| *to == address).map(|(_, client)| client.clone())
    }
}

/// Makes a client. On a thread that may block, since credentials may come from a file or a program.
async fn client(config: Config) -> Result<Client, String> {
    on_a_thread(move || {
        // It takes the process's provider of TLS and would panic without one. Another that is there already is fine.
        let _ = ring::default_provider().install_default();
        Client::try_from(config).map_err(|error| words::of(&error))
    })
    .await
}
