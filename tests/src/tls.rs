//! Certificates of a test's own making, and a client that trusts only those.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::Client;
use crate::process::{PATIENCE, folder};
use crate::tools::run;

/// TLS over a socket.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// A certificate that signs itself, for localhost, and its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate's file.
    pub cert: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

impl Identity {
    /// Makes one in a folder of its own.
    #[must_use]
    pub fn make() -> Self {
        let folder = folder();
        Self::of("localhost", folder.join("cert.pem"), folder.join("key.pem"))
    }

    /// Makes one for a name, in these files.
    #[must_use]
    pub fn of(name: &str, cert: PathBuf, key: PathBuf) -> Self {
        let subject = format!("/CN={name}");
        let names = format!("subjectAltName=DNS:{name},IP:127.0.0.1");
        // Not an authority: a client that is strict takes no authority's own certificate for a server's.
        let arguments = [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30",
            "-addext basicConstraints=critical,CA:FALSE",
        ];
        let mut arguments: Vec<&str> = arguments.iter().flat_map(|line| line.split(' ')).collect();
        arguments.extend(["-subj", &subject, "-addext", &names]);
        arguments.extend(["-out", text(&cert), "-keyout", text(&key)]);
        let _ = run("openssl", "openssl", arguments).well();
        Self { cert, key }
    }

    /// Makes one whose time is over, in a folder of its own: nothing else is wrong with it.
    #[must_use]
    pub fn expired() -> Self {
        let folder = folder();
        let [cert, key, request, index, config] =
            ["cert.pem", "key.pem", "request.pem", "index", "ca.conf"].map(|name| folder.join(name));
        std::fs::write(&index, "").expect("a folder of our own");
        let authority = format!(
            "[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {}\ndatabase = {}\nrand_serial = yes\ndefault_md = sha256\n\
             policy = any\ncopy_extensions = copyall\n[any]\ncommonName = supplied\n",
            folder.display(),
            index.display()
        );
        std::fs::write(&config, authority).expect("a folder of our own");
        let asked = "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost \
                     -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
        let files = ["-keyout", text(&key), "-out", text(&request)];
        let _ = run("openssl", "openssl", asked.split_whitespace().chain(files)).well();
        let signed = "ca -selfsign -batch -notext -startdate 20200101000000Z -enddate 20200201000000Z";
        let files = ["-config", text(&config), "-in", text(&request), "-keyfile", text(&key)];
        let out = ["-out", text(&cert)];
        let _ = run("openssl", "openssl", signed.split_whitespace().chain(files).chain(out)).well();
        Self { cert, key }
    }

    /// The options that have a server use it.
    #[must_use]
    pub fn options(&self) -> String {
        format!("tls_cert={:?}, tls_key={:?}", text(&self.cert), text(&self.key))
    }

    /// Puts another's certificate and key in the place of this one's, each in one step.
    pub fn become_like(&self, other: &Self) {
        for (from, to) in [(&other.key, &self.key), (&other.cert, &self.cert)] {
            replace(to, &std::fs::read(from).expect("a file of our own"));
        }
    }

    /// The certificate as it goes over the wire.
    #[must_use]
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(&self.cert).expect("a certificate")
    }
}

/// Connects and finishes the handshake, with application protocols to choose from. Trusts the given only.
pub fn connect(port: u16, trusted: &[&Identity], protocols: &[&str]) -> std::io::Result<Client<TlsStream>> {
    connect_to(port, "localhost", trusted, protocols)
}

/// The same, asking for the certificate of a name.
pub fn connect_to(
    port: u16,
    name: &str,
    trusted: &[&Identity],
    protocols: &[&str],
) -> std::io::Result<Client<TlsStream>> {
    let mut roots = RootCertStore::empty();
    for identity in trusted {
        roots.add(identity.der()).expect("a certificate that can be trusted");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a configuration");
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(Client::over(StreamOwned::new(connection, stream)))
}

/// Replaces a file in one step: whoever reads it sees the old or the new whole.
pub fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).expect("a temporary file");
    std::fs::rename(&new, path).expect("the same folder");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
