//! The way from a command to a node: where it is, and one request after another to it.
//!
//! The decision: a token is shown to a loopback address alone, as it goes there in the clear, and a node listens nowhere
//! else; another machine is reached through a tunnel. A node that a configuration names is asked with the strongest token
//! of its own file. What a node answers is bounded, and is text of others to the terminal: commands write it through
//! [`say`](crate::say).

#![expect(clippy::disallowed_methods, reason = "connects to the node that the command line names")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use starcell_config::{AdminAddress, Tokens};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use crate::api::views::ErrorView;
use crate::cli::NodeFlags;
use crate::exit::Exit;
use crate::node::files::{NodeFiles, tokens_text};

/// Bytes of an answer: some thousand apps have a megabyte.
const MAX_ANSWER: usize = 64 << 20;

/// Bytes of one line of an answer that goes on.
const MAX_LINE: usize = 1 << 20;

/// Why a command has no answer: its exit code, and the sentence for whoever typed it.
pub(crate) type Failed = (Exit, String);

/// A node that can be asked.
pub(crate) struct NodeClient {
    place: Place,
    token: Option<String>,
}

enum Place {
    Unix(PathBuf),
    Loopback(SocketAddr),
}

impl NodeClient {
    /// The node that the flags name.
    ///
    /// # Errors
    /// The flags, the configuration or the file of the token are wrong.
    pub(crate) fn new(flags: &NodeFlags) -> Result<Self, Failed> {
        match (&flags.config, &flags.node) {
            (Some(config), _) => Self::configured(config),
            (None, Some(node)) => Self::named(node, flags.token_file.as_deref()),
            (None, None) => Err((Exit::Usage, "--config or --node says which node is meant".to_owned())),
        }
    }

    fn configured(config: &Path) -> Result<Self, Failed> {
        let files = NodeFiles::read(config).map_err(|error| (Exit::Configuration, error))?;
        match &files.config.admin {
            Some(AdminAddress::Unix(path)) => Ok(Self { place: Place::Unix(files.path(path)), token: None }),
            Some(AdminAddress::Loopback { address, token_file }) => {
                let token = token(&files.path(token_file))?;
                Ok(Self { place: Place::Loopback(*address), token: Some(token) })
            }
            None => {
                let shown = config.display();
                let text = format!("{shown} has no [admin] table; add address = \"unix:state/admin.sock\" to one");
                Err((Exit::Configuration, text))
            }
        }
    }

    fn named(node: &str, token_file: Option<&Path>) -> Result<Self, Failed> {
        let usage = |text: &str| (Exit::Usage, format!("--node {node}: {text}"));
        if let Some(path) = node.strip_prefix("unix:") {
            return match path.is_empty() {
                true => Err(usage("name the path of a socket, as in unix:state/admin.sock")),
                false => Ok(Self { place: Place::Unix(path.into()), token: None }),
            };
        }
        let Some(authority) = node.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest)) else {
            return Err(usage("write unix:PATH or http://HOST:PORT"));
        };
        let address = match authority.strip_prefix("localhost:") {
            Some(port) => port.parse().ok().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
            None => authority.parse().ok(),
        };
        let address = address.ok_or_else(|| usage("write an address and a port, as in http://127.0.0.1:9090"))?;
        if !address.ip().is_loopback() {
            return Err(usage("a node is operated over loopback; open a tunnel to it, as ssh -L does"));
        }
        let token_file = token_file.ok_or_else(|| usage("an address takes a token; add --token-file FILE"))?;
        Ok(Self { place: Place::Loopback(address), token: Some(token(token_file)?) })
    }

    /// Asks for an answer, and returns it with its text.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<(T, String), Failed> {
        read(self.send(Method::GET, path, Bytes::new()).await?).await
    }

    /// Asks for an action.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<(T, String), Failed> {
        read(self.send(Method::POST, path, Bytes::from(body.to_string())).await?).await
    }

    /// Asks for an answer that goes on, and hands over each line of it until `take` wants no more.
    pub(crate) async fn follow(&self, path: &str, mut take: impl FnMut(&str) -> bool) -> Result<(), Failed> {
        let Sent { answer, .. } = &mut self.send(Method::GET, path, Bytes::new()).await?;
        if answer.status() != StatusCode::OK {
            return Err(refused(answer.status(), &gathered(answer.body_mut()).await?));
        }
        let mut rest: Vec<u8> = Vec::new();
        while let Some(frame) = answer.body_mut().frame().await {
            let frame = frame.map_err(|error| broken(&error))?;
            rest.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                if !take(String::from_utf8_lossy(&line).trim_end()) {
                    return Ok(());
                }
            }
            if rest.len() > MAX_LINE {
                return Err((Exit::Host, "the node sends a line without an end".to_owned()));
            }
        }
        Ok(())
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Sent, Failed> {
        match &self.place {
            Place::Unix(socket) => {
                let shown = format!("unix:{}", socket.display());
                let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(&shown, &error))?;
                self.send_over(stream, method, path, body).await
            }
            Place::Loopback(address) => {
                let shown = format!("http://{address}");
                let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&shown, &error))?;
                self.send_over(stream, method, path, body).await
            }
        }
    }

    async fn send_over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Sent, Failed> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            // What goes wrong shows at the request.
            let _ = connection.await;
        });
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|error| (Exit::Usage, format!("{path}: {error}")))?;
        let answer = sender.send_request(request).await.map_err(|error| broken(&error))?;
        Ok(Sent { answer, _connections: connections })
    }
}

/// An answer whose body is on its way.
struct Sent {
    answer: Response<Incoming>,
    /// What reads from the connection, for as long as the body is read.
    _connections: JoinSet<()>,
}

async fn read<T: DeserializeOwned>(mut sent: Sent) -> Result<(T, String), Failed> {
    let status = sent.answer.status();
    let text = gathered(sent.answer.body_mut()).await?;
    if status != StatusCode::OK {
        return Err(refused(status, &text));
    }
    let view = serde_json::from_str(&text);
    let view =
        view.map_err(|error| (Exit::Host, format!("the node answers what this version cannot read: {error}")))?;
    Ok((view, text))
}

async fn gathered(body: &mut Incoming) -> Result<String, Failed> {
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map_err(|error| (Exit::Host, format!("the answer of the node did not arrive: {error}")))?;
    Ok(String::from_utf8_lossy(&body.to_bytes()).into_owned())
}

/// The exit code of an answer that is an error.
fn refused(status: StatusCode, text: &str) -> Failed {
    let error = serde_json::from_str::<ErrorView>(text).ok().map(|view| view.error);
    let code = error.as_ref().map_or("", |error| error.code.as_str());
    let exit = match (status, code) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => Exit::Denied,
        (_, "bad_configuration") => Exit::Configuration,
        (_, "not_deployed") => Exit::Raised,
        _ if status.is_client_error() => Exit::Usage,
        _ => Exit::Host,
    };
    let message =
        error.map_or_else(|| format!("the node answers with status {}", status.as_u16()), |error| error.message);
    (exit, message)
}

fn unreachable(shown: &str, error: &std::io::Error) -> Failed {
    (Exit::Host, format!("cannot reach a node at {shown}: {error}; is it running, with this [admin]?"))
}

fn broken(error: &hyper::Error) -> Failed {
    (Exit::Host, format!("the connection to the node broke: {error}"))
}

/// The strongest token of a file.
fn token(file: &Path) -> Result<String, Failed> {
    let configuration = |error: String| (Exit::Configuration, error);
    let (text, _) = tokens_text(file).map_err(configuration)?;
    let tokens = Tokens::parse(&text, &file.display().to_string());
    let tokens = tokens.map_err(|error| configuration(error.to_string()))?;
    Ok(tokens.strongest().map(|token| token.secret().to_owned()).unwrap_or_default())
}
