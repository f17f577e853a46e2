//! A Kubernetes API server: TLS, a bearer token, and the REST paths that kubectl and kube speak, over objects in memory.
//!
//! Some namespaces are for what goes wrong: `forbidden` is, `slow` never answers, `huge` answers with 20 MiB, `broken`
//! with something that is no JSON, and `endless` has always one more page.

mod answers;
mod discovery;
mod objects;
mod patch;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::process::folder;
use crate::tls::Identity;
pub use answers::Asked;
use answers::{Answer, failure};
use objects::Objects;

/// What the operator's kubeconfig proves itself with. No output of ours may ever hold it.
pub const TOKEN: &str = "s3cret-token-of-the-operator";

/// A running API server; its thread ends with the process.
#[derive(Clone, Debug)]
pub struct Kube {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its certificate, which signs itself.
    pub identity: Identity,
    asked: Arc<Mutex<Vec<Asked>>>,
    objects: Arc<Mutex<Objects>>,
}

impl Kube {
    /// Starts one, with two namespaces, a node and a pod in it.
    #[must_use]
    pub fn start() -> Self {
        let identity = Identity::make();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket of our own");
        let port = listener.local_addr().expect("bound").port();
        let kube = Self { port, identity, asked: Arc::default(), objects: Arc::new(Mutex::new(Objects::first())) };
        let (served, acceptor) = (kube.clone(), acceptor(&kube.identity));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(served.accept(listener, acceptor));
        });
        kube
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Method and target of what it was asked so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
    }

    /// A kubeconfig of the operator, in a folder of its own: the contexts `test`, whose namespace is `web`, and `other`.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfig_with(&self.authority(), &format!("token: {TOKEN}"))
    }

    /// The line that has its certificate believed.
    #[must_use]
    pub fn authority(&self) -> String {
        format!("certificate-authority: {}", self.identity.cert.display())
    }

    /// A kubeconfig with these lines for the cluster and for the user.
    #[must_use]
    pub fn kubeconfig_with(&self, cluster: &str, user: &str) -> PathBuf {
        let mut text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: test\nclusters:\n- name: c\n  cluster:\n    server: https://localhost:{}\n    {cluster}\nusers:\n- name: u\n  user:\n    {user}\ncontexts:\n",
            self.port
        );
        for (name, namespace) in [("test", "web"), ("other", "prod")] {
            let context = format!("{{cluster: c, user: u, namespace: {namespace}}}");
            writeln!(text, "- name: {name}\n  context: {context}").expect("strings take everything");
        }
        let path = folder().join("kubeconfig.yaml");
        std::fs::write(&path, text).expect("a temporary file");
        path
    }

    async fn accept(self, listener: std::net::TcpListener, acceptor: TlsAcceptor) {
        let listener = TcpListener::from_std(listener).expect("a socket of our own");
        while let Ok((stream, _)) = listener.accept().await {
            let (kube, acceptor) = (self.clone(), acceptor.clone());
            tokio::spawn(async move {
                // A client that does not like the certificate is the test's subject.
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let service = service_fn(|request| kube.clone().answer(request));
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let asked = Asked {
            method: head.method.to_string(),
            target: head.uri.to_string(),
            content_type: header("content-type").to_owned(),
            agent: header("user-agent").to_owned(),
            host: header("host").to_owned(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        self.asked.lock().expect("no panic").push(asked.clone());
        let (status, kind, body) = if header("authorization") == format!("Bearer {TOKEN}") {
            self.answer_to(&asked).await
        } else {
            failure(401, "Unauthorized", "Unauthorized", "")
        };
        let response = Response::builder().status(status).header("content-type", kind);
        Ok(response.body(Full::new(body.into())).expect("a response"))
    }

    async fn answer_to(&self, asked: &Asked) -> Answer {
        let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
        let query = starcell_http::query::parse(query);
        if let Some(answer) = discovery::answer(path) {
            return answer;
        }
        let Some(at) = discovery::At::of(path) else {
            return (404, "text/plain", "404 page not found\n".to_owned());
        };
        match at.namespace.as_deref() {
            Some("forbidden") => {
                let text = format!("{} is forbidden: User \"tester\" cannot do that", at.plural);
                return failure(403, "Forbidden", &text, "");
            }
            Some("slow") => tokio::time::sleep(Duration::from_secs(600)).await,
            Some("huge") => return (200, "application/json", json!({ "items": ["x".repeat(20 << 20)] }).to_string()),
            Some("broken") => return (500, "text/html", "<html>oops".to_owned()),
            Some("endless") => {
                let page = json!({ "kind": "PodList", "metadata": { "continue": "more" }, "items": [] });
                return (200, "application/json", page.to_string());
            }
            _ => {}
        }
        self.objects.lock().expect("no panic").answer(&at, asked, &query)
    }
}

fn acceptor(identity: &Identity) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.expect("versions").with_no_client_auth();
    let key = PrivateKeyDer::from_pem_file(&identity.key).expect("a key");
    let config = builder.with_single_cert(vec![identity.der()], key).expect("a pair");
    TlsAcceptor::from(Arc::new(config))
}
