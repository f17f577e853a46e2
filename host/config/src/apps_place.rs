//! Where the apps of a node come from: the text of `apps` in `[node]`, and of `starcell app push`.
//!
//! **The decision.** A folder, a bundle (the apps as one file, see `starcell-bundle`), or a repository of a registry that
//! keeps bundles. A bundle and a repository can be pinned to a digest; then nothing else is ever taken. A repository without
//! a digest names a tag, which says what it follows: nobody gets `latest` for having written nothing.
//!
//! **What it refuses.** Credentials in the text, which stands in process lists and logs; a tag beside a digest, of which one
//! would be passed over; another algorithm than SHA-256; a repository in a spelling that a path of HTTP could change.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use starcell_policy::Host;

/// How the reference of a registry begins.
const SCHEME: &str = "oci://";

/// How a digest begins.
const ALGORITHM: &str = "sha256:";

/// Endings of a bundle's file name.
const BUNDLES: [&str; 3] = [".tar.gz", ".tgz", ".tar"];

/// Bytes of a repository's name, and of a tag (OCI distribution specification 1.1, "Pulling manifests").
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// Where the apps of a node come from. A path is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppsPlace {
    /// A file with all apps.
    Bundle {
        /// The file.
        file: PathBuf,
        /// The digest that it must have.
        digest: Option<ContentDigest>,
    },
    /// A folder with a folder for each app.
    Folder(PathBuf),
    /// A repository of a registry.
    Registry(RegistryReference),
}

impl AppsPlace {
    /// The folder, if it is one.
    #[must_use]
    pub fn folder(&self) -> Option<&Path> {
        match self {
            Self::Folder(folder) => Some(folder),
            Self::Bundle { .. } | Self::Registry(_) => None,
        }
    }
}

impl FromStr for AppsPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with(SCHEME) {
            return text.parse().map(Self::Registry);
        }
        if text.is_empty() || text.contains('\0') {
            return Err("`apps` is no path".to_owned());
        }
        if let Some((scheme, _)) = text.split_once("://") {
            let shown: String = scheme.chars().take(32).collect();
            return Err(format!(
                "apps come from a folder, a bundle or a registry, and {shown}:// is none of them; write apps, \
                 apps.tar.gz or oci://HOST/REPOSITORY:TAG"
            ));
        }
        let (path, digest) = match text.rsplit_once('@') {
            Some((path, digest)) if digest.contains(':') => (path, Some(digest.parse()?)),
            _ => (text, None),
        };
        match BUNDLES.iter().any(|ending| path.ends_with(ending)) {
            true => Ok(Self::Bundle { file: path.into(), digest }),
            false if digest.is_some() => Err(format!(
                "a folder has no digest; pack it with `starcell app pack {path} --output apps.tar.gz` and name that file"
            )),
            false => Ok(Self::Folder(path.into())),
        }
    }
}

impl fmt::Display for AppsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bundle { file, digest: Some(digest) } => write!(f, "{}@{digest}", file.display()),
            Self::Bundle { file, digest: None } | Self::Folder(file) => write!(f, "{}", file.display()),
            Self::Registry(reference) => reference.fmt(f),
        }
    }
}

/// A bundle in a repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryReference {
    /// The host of the registry.
    pub host: Host,
    /// Its port, where the text names one.
    pub port: Option<u16>,
    /// The repository.
    pub repository: String,
    /// The manifest in it.
    pub version: ManifestVersion,
}

/// Which manifest of a repository is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestVersion {
    /// The one with this digest, for ever.
    Digest(ContentDigest),
    /// The one that the tag names at the time.
    Tag(String),
}

impl RegistryReference {
    /// Whether the registry is on this machine, where nobody else can listen to what is sent.
    #[must_use]
    pub fn is_on_loopback(&self) -> bool {
        self.host.is_loopback()
    }

    /// The registry with its port, as credentials are filed under it.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// The same repository at one digest.
    #[must_use]
    pub fn at(&self, digest: ContentDigest) -> Self {
        Self { version: ManifestVersion::Digest(digest), ..self.clone() }
    }
}

impl FromStr for RegistryReference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "write a registry like oci://HOST/REPOSITORY:TAG or oci://HOST/REPOSITORY@sha256:DIGEST".to_owned();
        let rest = text.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (authority, path) = rest.split_once('/').ok_or_else(wrong)?;
        if authority.contains('@') {
            return Err("credentials do not belong in the name of a registry; put them into a file".to_owned());
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, number)) if !number.ends_with(']') => {
                let number = number.parse().ok().filter(|port| *port != 0);
                (host, Some(number.ok_or("the port of a registry is a number from 1 to 65535")?))
            }
            _ => (authority, None),
        };
        let host = Host::parse(host).map_err(|error| format!("the registry {host:?}: {error}"))?;
        let (named, digest) = match path.split_once('@') {
            Some((named, digest)) => (named, Some(digest.parse()?)),
            None => (path, None),
        };
        let (repository, tag) = match named.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        if !is_repository(repository) {
            return Err(format!(
                "{repository:?} is no repository: lower-case letters and digits, with `.`, `_` or `-` inside a part and \
                 `/` between parts, {MAX_REPOSITORY} characters at most"
            ));
        }
        let version = match (tag, digest) {
            (None, Some(digest)) => ManifestVersion::Digest(digest),
            (Some(tag), None) if is_tag(tag) => ManifestVersion::Tag(tag.to_owned()),
            (Some(tag), None) => {
                return Err(format!("{tag:?} is no tag: up to {MAX_TAG} letters, digits, `_`, `.` and `-`"));
            }
            (Some(_), Some(_)) => {
                return Err("name a tag or a digest, not both: the tag would decide nothing".to_owned());
            }
            (None, None) => return Err(format!("{text} names no tag and no digest; add :TAG or @sha256:DIGEST")),
        };
        Ok(Self { host, port, repository: repository.to_owned(), version })
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.authority(), self.repository)?;
        match &self.version {
            ManifestVersion::Digest(digest) => write!(f, "@{digest}"),
            ManifestVersion::Tag(tag) => write!(f, ":{tag}"),
        }
    }
}

/// The SHA-256 of bytes, written `sha256:` and 64 hexadecimal digits in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(String);

impl ContentDigest {
    /// The digest with these bytes.
    #[must_use]
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{ALGORITHM}{hex}"))
    }

    /// All of the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64 digits, fit for a file name.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.strip_prefix(ALGORITHM).unwrap_or_default()
    }
}

impl FromStr for ContentDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        match text.strip_prefix(ALGORITHM) {
            Some(hex) if hex.len() == 64 && hex.bytes().all(digit) => Ok(Self(text.to_owned())),
            _ => {
                let shown: String = text.chars().take(80).collect();
                Err(format!("{shown:?} is no digest: write sha256: and 64 hexadecimal digits in lower case"))
            }
        }
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a repository by the grammar of the specification: parts of letters and digits, with one `.`, one or two `_`,
/// or any number of `-` between them.
fn is_repository(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let ends = part.bytes().next().is_some_and(word) && part.bytes().last().is_some_and(word);
        let gaps = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        ends && gaps.into_iter().all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
    };
    text.len() <= MAX_REPOSITORY && text.split('/').all(part)
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    text.len() <= MAX_TAG && text.bytes().next().is_some_and(word) && text.bytes().all(inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    const HEX: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn each_kind_of_place_is_told_by_its_spelling() {
        let digest = format!("sha256:{HEX}");
        for (text, kind) in [
            ("apps", "folder"),
            ("../work@home/apps", "folder"),
            ("apps.tar.d", "folder"),
            ("apps.tar.gz", "bundle"),
            ("/srv/apps.tgz", "bundle"),
            (&format!("apps.tar@{digest}"), "pinned bundle"),
            ("oci://registry.example.com/team/apps:stable", "registry"),
            ("oci://127.0.0.1:5000/a:v1.2-3", "registry"),
            ("oci://[::1]:5000/a:1", "registry"),
            ("oci://localhost/a--b/c__d.e:_", "registry"),
            (&format!("oci://registry.example.com/apps@{digest}"), "registry"),
        ] {
            let place: AppsPlace = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = match &place {
                AppsPlace::Folder(_) => "folder",
                AppsPlace::Bundle { digest: None, .. } => "bundle",
                AppsPlace::Bundle { digest: Some(_), .. } => "pinned bundle",
                AppsPlace::Registry(_) => "registry",
            };
            assert_eq!((found, place.to_string().as_str()), (kind, text));
        }
    }

    #[test]
    fn a_registry_of_this_machine_is_known() {
        for (text, here) in [
            ("oci://localhost:5000/a:b", true),
            ("oci://127.9.9.9/a:b", true),
            ("oci://[::1]/a:b", true),
            ("oci://localhost.example.com/a:b", false),
            ("oci://10.0.0.1/a:b", false),
            ("oci://0.0.0.0/a:b", false),
        ] {
            assert_eq!(text.parse::<RegistryReference>().unwrap().is_on_loopback(), here, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_fix() {
        let (long, upper) = ("a".repeat(256), HEX.to_uppercase());
        for (text, part) in [
            ("", "no path"),
            ("http://example.com/apps.tar.gz", "http:// is none of them"),
            (&format!("apps@sha256:{HEX}"), "starcell app pack apps"),
            ("apps.tar.gz@sha256:12", "64 hexadecimal digits"),
            (&format!("apps.tar.gz@sha256:{upper}"), "in lower case"),
            ("apps.tar.gz@sha512:00", "write sha256:"),
            ("oci://registry.example.com", "write a registry like"),
            ("oci://registry.example.com/apps", "names no tag"),
            (&format!("oci://r.example/a:b@sha256:{HEX}"), "not both"),
            ("oci://user:hunter2@r.example/a:b", "do not belong"),
            ("oci://r.example:0/a:b", "from 1 to 65535"),
            ("oci://r_!.example/a:b", "the registry"),
            ("oci:///a:b", "the registry"),
            ("oci://r.example/A:b", "is no repository"),
            ("oci://r.example/../a:b", "is no repository"),
            ("oci://r.example/a//b:c", "is no repository"),
            ("oci://r.example/a/:c", "is no repository"),
            ("oci://r.example/a..b:c", "is no repository"),
            ("oci://r.example/a%2f:c", "is no repository"),
            (&format!("oci://r.example/{long}:c"), "is no repository"),
            ("oci://r.example/a:-b", "is no tag"),
            ("oci://r.example/a:b c", "is no tag"),
            ("oci://r.example/a:b/c", "is no tag"),
        ] {
            let error = text.parse::<AppsPlace>().unwrap_err();
            assert!(error.contains(part) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
