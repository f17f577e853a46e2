//! What the edge is compared with: hyper and rustls as their examples use them, which answer every request the same and
//! know of no limit, id, log or route. On the same kind of runtime as the product's.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::load::Ask;

/// Serves until the process is killed; says its port as starcell does.
pub(crate) fn serve(answer: &str, identity: Option<(&Path, &Path)>) {
    let ask = if answer == "none" { Ask::NONE } else { Ask::HELLO };
    let acceptor = identity.map(|(cert, key)| TlsAcceptor::from(config(cert, key)));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("serving plain hyper on http://{}", listener.local_addr().unwrap());
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => http1(stream, ask).await,
                    Some(acceptor) => {
                        let Ok(stream) = acceptor.accept(stream).await else { return };
                        match stream.get_ref().1.alpn_protocol() {
                            Some(b"h2") => http2(stream, ask).await,
                            _ => http1(stream, ask).await,
                        }
                    }
                }
            });
        }
    });
}

async fn http1<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ask: Ask) {
    let service = service_fn(move |_: Request<Incoming>| async move { Ok::<_, Infallible>(answer(ask)) });
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn http2<S: AsyncRead + AsyncWrite + Unpin>(stream: S, ask: Ask) {
    let service = service_fn(move |_: Request<Incoming>| async move { Ok::<_, Infallible>(answer(ask)) });
    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// The same status, body and content type as starcell's.
fn answer(ask: Ask) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(ask.body.as_bytes())));
    *answer.status_mut() = StatusCode::from_bytes(ask.status.as_bytes()).unwrap();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, text);
    answer
}

fn config(cert: &Path, key: &Path) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(cert).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}
