//! A registry of bundles on loopback: as much of the OCI distribution specification as a push and a pull need, and the
//! answers of one that is broken or hostile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use starcell_bundle::digest_of;

use crate::upstream::{Answer, Asked, Upstream, response};

/// How the registry behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// It answers as the specification says.
    #[default]
    Sound,
    /// It answers each request with status 503.
    Down,
    /// It takes connections and never answers.
    Silent,
    /// Its layers end before their end.
    CutsLayers,
    /// Its layers are others than their digests say.
    ChangesLayers,
    /// Its manifests have no end, as far as anybody reads.
    Endless,
    /// Its layers are at another place.
    Redirects(String),
}

#[derive(Debug, Default)]
struct Kept {
    /// Blobs by digest, manifests by digest and by tag.
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Vec<u8>>,
    behaviour: Behaviour,
    /// The value of `Authorization` that it wants to see.
    login: Option<String>,
}

/// A running registry. It has one repository under any name.
#[derive(Clone, Debug)]
pub struct TestRegistry {
    upstream: Upstream,
    kept: Arc<Mutex<Kept>>,
}

impl TestRegistry {
    /// Starts an empty one.
    #[must_use]
    pub fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let own = Arc::clone(&kept);
        let upstream = Upstream::start(move |asked| answer(asked, &mut own.lock().expect("no panic")));
        Self { upstream, kept }
    }

    /// A reference to a bundle in it: `rest` is `:TAG` or `@DIGEST`.
    #[must_use]
    pub fn reference(&self, rest: &str) -> String {
        format!("oci://127.0.0.1:{}/team/apps{rest}", self.upstream.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.upstream.port
    }

    /// Has it behave in another way.
    pub fn behave(&self, behaviour: Behaviour) {
        self.kept().behaviour = behaviour;
    }

    /// Has it want a user and a password, which are given as base64.
    pub fn want_login(&self, encoded: &str) {
        self.kept().login = Some(format!("Basic {encoded}"));
    }

    /// The bytes of a manifest.
    #[must_use]
    pub fn manifest(&self, reference: &str) -> Vec<u8> {
        self.kept().manifests.get(reference).expect("it was pushed").clone()
    }

    /// Has a tag name these bytes.
    pub fn tag(&self, tag: &str, manifest: Vec<u8>) {
        self.kept().manifests.insert(tag.to_owned(), manifest);
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.upstream.asked()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no panic")
    }
}

fn answer(asked: &Asked, kept: &mut Kept) -> Answer {
    let close = |bytes: Vec<u8>| (bytes, true);
    match kept.behaviour {
        Behaviour::Down => return close(response(503, &[], b"down for a moment")),
        // The connection stays open, and nothing comes.
        Behaviour::Silent => return (Vec::new(), false),
        _ => {}
    }
    if kept.login.is_some() && kept.login.as_deref() != asked.header("authorization") {
        return close(response(401, &[("WWW-Authenticate", "Basic realm=\"registry\"")], b""));
    }
    let (method, target) = (asked.line.split(' ').next().unwrap_or_default(), asked.target());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some((_, rest)) = path.split_once("/team/apps/") else { return close(response(404, &[], b"")) };
    close(match (method, rest.split_once('/')) {
        ("GET", Some(("manifests", reference))) => manifest(kept, reference),
        ("PUT", Some(("manifests", reference))) => {
            for name in [reference.to_owned(), digest_of(&asked.body).to_string()] {
                kept.manifests.insert(name, asked.body.clone());
            }
            response(201, &[], b"")
        }
        ("HEAD", Some(("blobs", digest))) => {
            response(if kept.blobs.contains_key(digest) { 200 } else { 404 }, &[], b"")
        }
        ("POST", Some(("blobs", "uploads/"))) => response(202, &[("Location", &format!("{path}1?state=2"))], b""),
        ("PUT", Some(("blobs", "uploads/1"))) => {
            let digest = query.rsplit("digest=").next().unwrap_or_default();
            let is_own = digest_of(&asked.body).as_str() == digest;
            kept.blobs.insert(digest.to_owned(), asked.body.clone());
            response(if is_own { 201 } else { 400 }, &[], b"")
        }
        ("GET", Some(("blobs", digest))) => blob(kept, digest),
        _ => response(405, &[], b""),
    })
}

fn manifest(kept: &Kept, reference: &str) -> Vec<u8> {
    match (kept.manifests.get(reference), &kept.behaviour) {
        (_, Behaviour::Endless) => [b"HTTP/1.1 200 x\r\n\r\n", &vec![b' '; 4 << 20][..]].concat(),
        (Some(bytes), _) => response(200, &[("Docker-Content-Digest", digest_of(bytes).as_str())], bytes),
        (None, _) => response(404, &[], b"{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}"),
    }
}

fn blob(kept: &Kept, digest: &str) -> Vec<u8> {
    let Some(bytes) = kept.blobs.get(digest) else { return response(404, &[], b"") };
    match &kept.behaviour {
        Behaviour::CutsLayers => {
            let mut whole = response(200, &[], bytes);
            whole.truncate(whole.len() - 10);
            whole
        }
        Behaviour::ChangesLayers => {
            let mut changed = bytes.clone();
            changed[20] ^= 1;
            response(200, &[], &changed)
        }
        Behaviour::Redirects(place) => response(307, &[("Location", place)], b""),
        _ => response(200, &[], bytes),
    }
}
