//! A registry on loopback that answers as each test says: what is pulled and pushed, and what is not believed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use starcell_bundle::{Bundle, digest_of};
use starcell_policy::{AddressClass, Host};
use starcell_registry::dial::may_lead;
use starcell_registry::{
    ARTIFACT, Dialled, LAYER, Registry, RegistryDial, RegistryError, RegistryLogins, RegistryStream, RegistryTerms,
};

/// Connections that a server of a test takes: more are a test that does not end.
const MOST: usize = 200;

/// Connects without a look-up and without encryption: every name is this machine.
#[derive(Debug)]
struct Loopback;

impl RegistryDial for Loopback {
    fn dial<'a>(&'a self, host: &'a Host, port: u16, tls: bool, within: Option<AddressClass>) -> Dialled<'a> {
        Box::pin(async move {
            let address = match host {
                Host::Address(address) => *address,
                Host::Name(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            };
            if tls || !may_lead(within, address) {
                return Err("not in this test".to_owned());
            }
            let stream = tokio::net::TcpStream::connect(SocketAddr::new(address, port)).await;
            let stream = stream.map_err(|error| error.to_string())?;
            Ok((address, Box::new(stream) as Box<dyn RegistryStream>))
        })
    }
}

/// A request: its method, its target, its fields with names in lower case, its body.
#[derive(Clone, Debug, Default)]
struct Request {
    method: String,
    target: String,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn authorization(&self) -> Option<&str> {
        self.fields.get("authorization").map(String::as_str)
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }
}

struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (port, asked) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming().take(MOST) {
                let mut stream = stream.unwrap();
                if let Some(request) = read(&stream) {
                    seen.lock().unwrap().push(request.clone());
                    // A client that has gone away is the test's subject.
                    let _ = stream.write_all(&answer(&request));
                }
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }

    fn reference(&self, rest: &str) -> String {
        format!("oci://127.0.0.1:{}/team/apps{rest}", self.port)
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    while lines.len() < 100 {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let fields = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let length = fields.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, target, fields, body })
}

fn answer(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!("HTTP/1.1 {status} x\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn registry(reference: &str, logins: &str) -> Registry {
    let logins = if logins.is_empty() { RegistryLogins::default() } else { RegistryLogins::parse(logins).unwrap() };
    let terms = RegistryTerms { logins, plain_http: false };
    Registry::new(reference.parse().unwrap(), terms, Arc::new(Loopback))
}

fn packed() -> Vec<u8> {
    let files = [("shop/app.toml", "tenant = \"acme\"\n"), ("shop/main.star", "print(1)\n")];
    Bundle::new(files.map(|(name, text)| (name.to_owned(), text.into())).into()).unwrap().pack()
}

fn manifest(layer: &[u8]) -> Vec<u8> {
    let (digest, size) = (digest_of(layer), layer.len());
    format!(
        "{{\"schemaVersion\":2,\"artifactType\":\"{ARTIFACT}\",\"config\":{{\"mediaType\":\"x\",\"digest\":\"x\",\
         \"size\":2}},\"layers\":[{{\"mediaType\":\"{LAYER}\",\"digest\":\"{digest}\",\"size\":{size}}}]}}"
    )
    .into_bytes()
}

/// A registry that has one bundle under the tag `stable`, and answers manifests and blobs with what it is given.
fn serving(manifest: Vec<u8>, blob: Vec<u8>) -> Server {
    Server::start(move |request| match request.target.contains("/manifests/") {
        true => answer(200, &[], &manifest),
        false => answer(200, &[], &blob),
    })
}

/// Lists and fetches.
async fn pull(registry: &Registry) -> Result<Vec<u8>, RegistryError> {
    let listed = registry.list().await?;
    registry.fetch(&listed).await.map(|bytes| bytes.to_vec())
}

async fn refused(registry: &Registry) -> String {
    pull(registry).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_bundle_is_pulled_by_tag_and_by_digest() {
    let server = serving(manifest(&packed()), packed());
    let tagged = registry(&server.reference(":stable"), "");
    let listed = tagged.list().await.unwrap();
    assert_eq!((listed.manifest, listed.layer), (digest_of(&manifest(&packed())), digest_of(&packed())));
    assert_eq!(pull(&tagged).await.unwrap(), packed());
    let digest = format!("@{}", digest_of(&manifest(&packed())));
    assert_eq!(pull(&registry(&server.reference(&digest), "")).await.unwrap(), packed());
    let asked = server.asked();
    assert_eq!(asked[0].line(), "GET /v2/team/apps/manifests/stable");
    assert_eq!(asked[0].fields["accept"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(asked[2].line(), format!("GET /v2/team/apps/blobs/{}", digest_of(&packed())));
    assert_eq!(asked[3].line(), format!("GET /v2/team/apps/manifests/{}", &digest[1..]));
}

#[tokio::test]
async fn bytes_that_are_not_those_of_their_digest_are_not_taken() {
    let (sound, other) = (manifest(&packed()), digest_of(b"other"));
    let server = serving(sound.clone(), packed());
    let wrong = refused(&registry(&server.reference(&format!("@{other}")), "")).await;
    assert!(wrong.contains("the manifest oci://") && wrong.contains(&format!("not {other}")), "{wrong}");
    let lying = Server::start(move |_| answer(200, &[("Docker-Content-Digest", other.as_str())], &sound));
    assert!(refused(&registry(&lying.reference(":stable"), "")).await.contains("has the digest"));

    let mut changed = packed();
    changed[20] ^= 1;
    let server = serving(manifest(&packed()), changed);
    let wrong = refused(&registry(&server.reference(":stable"), "")).await;
    assert!(wrong.contains("the layer sha256:") && wrong.contains("nothing of it is taken"), "{wrong}");
    let server = serving(manifest(&packed()), packed()[..30].to_vec());
    assert!(refused(&registry(&server.reference(":stable"), "")).await.contains("has 30 bytes, and its manifest says"));
    let server = serving(manifest(&packed()), [packed(), vec![0]].concat());
    assert!(refused(&registry(&server.reference(":stable"), "")).await.contains("sends more than"));
    let server = serving(b"{}".to_vec(), packed());
    assert!(refused(&registry(&server.reference(":stable"), "")).await.contains("push one with `starcell app push`"));
}

#[tokio::test]
async fn an_answer_that_is_cut_or_has_no_end_is_refused() {
    let (whole, sound) = (manifest(&packed()), packed());
    let cut = Server::start(move |request| match request.target.contains("/manifests/") {
        true => answer(200, &[], &whole),
        false => {
            let mut bytes = answer(200, &[], &sound);
            bytes.truncate(bytes.len() - 10);
            bytes
        }
    });
    let error = pull(&registry(&cut.reference(":stable"), "")).await.unwrap_err();
    assert!(error.is_away() && error.to_string().contains("the answer was cut short"), "{error}");
    // Without a length, and longer than any manifest.
    let endless = Server::start(|_| [b"HTTP/1.1 200 x\r\n\r\n", &vec![b' '; 1 << 20][..]].concat());
    assert!(refused(&registry(&endless.reference(":stable"), "")).await.contains("sends more than 262144 bytes"));
    let claims = Server::start(|_| b"HTTP/1.1 200 x\r\nContent-Length: 99999999999\r\n\r\n".to_vec());
    assert!(refused(&registry(&claims.reference(":stable"), "")).await.contains("sends more than 262144 bytes"));
    let heads = Server::start(|_| [b"HTTP/1.1 200 x\r\nx: ", &vec![b'y'; 1 << 20][..]].concat());
    assert!(pull(&registry(&heads.reference(":stable"), "")).await.unwrap_err().is_away());
}

#[tokio::test(start_paused = true)]
async fn a_silent_registry_is_given_up() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let reference = format!("oci://127.0.0.1:{}/a:b", listener.local_addr().unwrap().port());
    let error = registry(&reference, "").list().await.unwrap_err();
    assert!(error.is_away() && error.to_string().contains("no whole answer within 30 s"), "{error}");
}

#[tokio::test]
async fn what_a_registry_refuses_is_told_with_the_fix() {
    for (status, part) in [
        (404, "/team/apps:stable is not there; push it"),
        (403, "(status 403); name a file with a login"),
        (500, "with status 500: out of order"),
        (204, "with status 204"),
    ] {
        let server = Server::start(move |_| answer(status, &[], b"out of order\n"));
        let told = refused(&registry(&server.reference(":stable"), "")).await;
        assert!(told.contains(part), "{status}: {told}");
    }
    let gone = { TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port() };
    let error = registry(&format!("oci://127.0.0.1:{gone}/a:b"), "").list().await.unwrap_err();
    assert!(error.is_away() && error.to_string().starts_with("cannot reach http://127.0.0.1:"), "{error}");
}

const LOGIN: &str = "Basic bm9kZTpodW50ZXIy";

fn logins(port: u16) -> String {
    format!("{{\"auths\": {{\"127.0.0.1:{port}\": {{\"auth\": \"bm9kZTpodW50ZXIy\"}}}}}}")
}

#[tokio::test]
async fn a_login_follows_no_redirect_to_another_origin() {
    let store = Server::start(|_| answer(200, &[], &packed()));
    let place = format!("http://127.0.0.1:{}/store?sig=1", store.port);
    let server = Server::start(move |request| match request {
        request if request.authorization() != Some(LOGIN) => {
            answer(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], b"")
        }
        request if request.target.contains("/manifests/") => answer(200, &[], &manifest(&packed())),
        _ => answer(307, &[("Location", &place)], b""),
    });
    assert_eq!(pull(&registry(&server.reference(":stable"), &logins(server.port))).await.unwrap(), packed());
    let stored = store.asked();
    assert_eq!((stored.len(), stored[0].line().as_str(), stored[0].authorization()), (1, "GET /store?sig=1", None));
    // Without a login, and with one that is another registry's.
    for logins in ["".to_owned(), logins(1)] {
        let told = refused(&registry(&server.reference(":stable"), &logins)).await;
        assert!(told.contains("(status 401)"), "{told}");
    }
    assert!(server.asked().iter().all(|request| request.authorization().is_none_or(|login| login == LOGIN)));
}

#[tokio::test]
async fn a_redirect_that_leads_astray_is_not_followed() {
    for (location, part) in [
        ("", "redirects to a text that is no URL"),
        ("//elsewhere.example/x", "redirects to a text that is no URL"),
        ("file:///etc/passwd", "redirects to a text that is no URL"),
        ("http://10.0.0.1/x", "cannot reach http://10.0.0.1"),
        ("http://169.254.169.254/latest", "cannot reach http://169.254.169.254"),
        ("/v2/again", "after as many redirects as are followed"),
    ] {
        let server = Server::start(move |_| answer(302, &[("Location", location)], b""));
        let told = refused(&registry(&server.reference(":stable"), "")).await;
        assert!(told.contains(part), "{location}: {told}");
        assert!(server.asked().len() <= 4);
    }
}

#[tokio::test]
async fn a_token_is_had_with_the_login_from_the_registry_alone() {
    let port = Arc::new(Mutex::new(0_u16));
    let own = Arc::clone(&port);
    let server = Server::start(move |request| match request {
        request if request.target.starts_with("/token") => answer(200, &[], b"{\"token\": \"t0k\"}"),
        request if request.authorization() != Some("Bearer t0k") => {
            let port = own.lock().unwrap();
            let challenge = format!("Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"a registry\"");
            answer(401, &[("WWW-Authenticate", &challenge)], b"")
        }
        request if request.target.contains("/manifests/") => answer(200, &[], &manifest(&packed())),
        _ => answer(200, &[], &packed()),
    });
    *port.lock().unwrap() = server.port;
    assert_eq!(pull(&registry(&server.reference(":stable"), &logins(server.port))).await.unwrap(), packed());
    assert_eq!(pull(&registry(&server.reference(":stable"), "")).await.unwrap(), packed(), "a token for anybody");
    let asked = server.asked();
    let tokens: Vec<&Request> = asked.iter().filter(|request| request.target.starts_with("/token")).collect();
    assert_eq!(tokens[0].target, "/token?service=a%20registry&scope=repository%3Ateam%2Fapps%3Apull");
    assert_eq!((tokens[0].authorization(), tokens[2].authorization()), (Some(LOGIN), None));
    // A server elsewhere gets no login that is not its own, and nothing without encryption.
    for (realm, part) in [
        ("https://auth.example/token", "add an entry for auth.example"),
        ("http://auth.example/token", "http://auth.example is not encrypted"),
        ("nonsense", "the realm of its token"),
    ] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let server = Server::start(move |_| answer(401, &[("WWW-Authenticate", &challenge)], b""));
        let told = refused(&registry(&server.reference(":stable"), &logins(server.port))).await;
        assert!(told.contains(part), "{realm}: {told}");
    }
}

#[tokio::test]
async fn credentials_go_over_no_connection_that_others_read() {
    let server = Server::start(|_| answer(401, &[("WWW-Authenticate", "Basic realm=\"r\"")], b""));
    let name = format!("registry.example:{}", server.port);
    let logins = RegistryLogins::parse(&format!("{{\"auths\": {{\"{name}\": {{\"auth\": \"bm9kZTpodW50ZXIy\"}}}}}}"));
    let reference = format!("oci://{name}/a:b").parse().unwrap();
    let terms = RegistryTerms { logins: logins.unwrap(), plain_http: true };
    let error = Registry::new(reference, terms, Arc::new(Loopback)).list().await.unwrap_err().to_string();
    assert!(error.contains("credentials go over TLS or loopback alone"), "{error}");
    assert!(server.asked().iter().all(|request| request.authorization().is_none()));
    // Without the flag it is asked over TLS.
    let error = registry(&format!("oci://{name}/a:b"), "").list().await.unwrap_err().to_string();
    assert!(error.starts_with("cannot reach https://registry.example:"), "{error}");
}

#[tokio::test]
async fn a_bundle_is_pushed_blobs_first() {
    let server = Server::start(|request| match request.method.as_str() {
        "HEAD" => answer(404, &[], b""),
        "POST" => answer(202, &[("Location", "/upload/1?state=2")], b""),
        _ => answer(201, &[], b""),
    });
    let digest = registry(&server.reference(":v1"), "").push(packed().into(), Some("c2ln")).await.unwrap();
    let asked = server.asked();
    let lines: Vec<String> = asked.iter().map(Request::line).collect();
    let layer = digest_of(&packed());
    assert_eq!(lines[0], format!("HEAD /v2/team/apps/blobs/{layer}"));
    assert_eq!(lines[1], "POST /v2/team/apps/blobs/uploads/");
    assert_eq!(lines[2], format!("PUT /upload/1?state=2&digest={layer}"));
    assert_eq!((lines.len(), lines[6].as_str()), (7, "PUT /v2/team/apps/manifests/v1"));
    assert_eq!((asked[2].body.clone(), digest_of(&asked[6].body)), (packed(), digest));
    let body = asked[6].body.clone();
    let kept = serving(body, packed());
    assert_eq!(registry(&kept.reference(":v1"), "").list().await.unwrap().signature.as_deref(), Some("c2ln"));
}

#[tokio::test]
async fn a_push_sends_nothing_twice_and_nothing_elsewhere() {
    let known = Server::start(|request| answer(if request.method == "HEAD" { 200 } else { 201 }, &[], b""));
    registry(&known.reference(":v1"), "").push(packed().into(), None).await.unwrap();
    assert_eq!(known.asked().len(), 3, "two blobs are there, and a manifest is put");
    let away = Server::start(|request| match request.method.as_str() {
        "HEAD" => answer(404, &[], b""),
        _ => answer(202, &[("Location", "http://127.0.0.1:1/upload")], b""),
    });
    let told = registry(&away.reference(":v1"), "").push(packed().into(), None).await.unwrap_err().to_string();
    assert!(told.contains("where the login for the registry does not go"), "{told}");
    let pinned = registry(&known.reference(&format!("@{}", digest_of(b"x"))), "");
    assert!(pinned.push(packed().into(), None).await.unwrap_err().to_string().contains("the manifest of this bundle"));
    let full = Server::start(|request| answer(if request.method == "HEAD" { 404 } else { 507 }, &[], b"no room"));
    let told = registry(&full.reference(":v1"), "").push(packed().into(), None).await.unwrap_err().to_string();
    assert!(told.contains("answers an upload with status 507: no room"), "{told}");
}
