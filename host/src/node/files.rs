//! What lies in the folders of a node: its configuration, its apps with their secrets, its certificates.
//!
//! The script of an app and its `app.toml` are opened beneath the folder of the app by the kernel, which follows no link
//! out of it: such a folder may have come from a stranger. Secrets and certificates are where the operator says.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "reads what the configuration of the node names"
)]

use std::fs;
use std::path::{Path, PathBuf};

use starcell_config::{AdminAddress, AppManifest, AppsPlace, BundleTerms, NodeConfig, SecretSource, is_plain_name};
use starcell_edge::{CertificatePem, NamedPem};
use starcell_policy::CanonicalPath;
use starcell_runtime::{Environment, HostFiles, Secret, read_source};

use crate::bundle::signature_of;
use crate::cli::RecordFlags;
use crate::folder::{MAIN, bounded};
use crate::owned::judged;

/// What describes an app in its folder.
pub(crate) const MANIFEST: &str = "app.toml";

/// The folder of apps that come from elsewhere, in that of the state.
const UNPACKED: &str = "apps";

/// What else the node keeps in its state. No app reads any of it.
const KEPT: [&str; 5] = ["bundle", "images", "kv", "revisions", "take-over.sock"];

/// Bytes of a configuration; one that is longer is refused by its reader with a place.
const MAX_CONFIG: u64 = (1 << 20) + 1;

/// Bytes of a secret, and of a certificate or key.
const MAX_SECRET: u64 = 64 << 10;
const MAX_PEM: u64 = 1 << 20;

/// A node's configuration, with its paths from the root of the file system on.
#[derive(Clone, Debug)]
pub(crate) struct NodeFiles {
    /// What it says.
    pub(crate) config: NodeConfig,
    /// The file itself.
    pub(crate) file: PathBuf,
    /// The folder of its apps.
    pub(crate) apps: PathBuf,
    /// The folder of what it keeps.
    pub(crate) state: PathBuf,
    /// The folder that its relative paths start at.
    root: PathBuf,
}

/// What a check has unpacked, until this is dropped.
#[derive(Debug)]
pub(crate) struct CheckedApps(PathBuf);

impl Drop for CheckedApps {
    fn drop(&mut self) {
        // What stays takes room, and nothing reads it.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl NodeFiles {
    /// Reads the configuration.
    ///
    /// # Errors
    /// The sentence for whoever typed the command: a place in the file, or why a folder cannot be used.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let name = path.display().to_string();
        let text = bounded(path, MAX_CONFIG).map_err(|error| format!("cannot read {name}: {error}"))?;
        let text = String::from_utf8(text).map_err(|_| format!("cannot read {name}: it is not UTF-8"))?;
        let config = NodeConfig::parse(&text, &name).map_err(|error| error.to_string())?;
        let file = fs::canonicalize(path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let root = file.parent().unwrap_or(Path::new("/")).to_owned();
        let state = root.join(&config.state);
        let apps = match config.apps.folder().map(|folder| root.join(folder)) {
            Some(apps) => fs::canonicalize(&apps)
                .map_err(|error| format!("{name}: cannot read the folder of the apps, {}: {error}", apps.display()))?,
            None => fs::canonicalize(&state).unwrap_or_else(|_| state.clone()).join(UNPACKED),
        };
        Ok(Self { config, file, apps, state, root })
    }

    /// Makes the folder that apps from elsewhere are unpacked to. A check has one of its own, so that it changes nothing of a
    /// node that runs with the same state. Blocks.
    ///
    /// # Errors
    /// The sentence about a folder that cannot be made.
    pub(crate) fn make_unpacked(&mut self, check: bool) -> Result<(), String> {
        if self.config.apps.folder().is_some() {
            return Ok(());
        }
        make_folder(&self.state)?;
        let state = fs::canonicalize(&self.state);
        let state = state.map_err(|error| format!("cannot read {}: {error}", self.state.display()))?;
        let name = if check { format!("check-{}", std::process::id()) } else { UNPACKED.to_owned() };
        self.apps = state.join(name);
        make_folder(&self.apps)
    }

    /// The folder that a check unpacks apps to, if it does.
    pub(crate) fn checked_apps(&self, check: bool) -> Option<CheckedApps> {
        (check && self.config.apps.folder().is_none()).then(|| CheckedApps(self.apps.clone()))
    }

    /// The files that the node's own file names about bundles: the key, the logins, and the bundle with its signature.
    pub(crate) fn of_bundle(&self) -> Vec<PathBuf> {
        let BundleTerms { key, credentials_file, .. } = &self.config.bundle;
        let mut found: Vec<PathBuf> = key.iter().chain(credentials_file).map(|path| self.path(path)).collect();
        if let AppsPlace::Bundle { file, .. } = &self.config.apps {
            let file = self.path(file);
            found.extend([signature_of(&file), file]);
        }
        found
    }

    /// A path of the configuration.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }
}

/// Makes a folder of what the node keeps, for the node's own user alone.
pub(crate) fn make_folder(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))
}

/// The names of the apps in a folder, sorted; and of the folders whose names cannot be those of apps.
pub(crate) fn app_names(folder: &Path) -> Result<(Vec<String>, Vec<String>), String> {
    let cannot = |error: std::io::Error| format!("cannot read the folder of the apps, {}: {error}", folder.display());
    let (mut names, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || !fs::metadata(entry.path()).is_ok_and(|about| about.is_dir()) {
            continue;
        }
        if is_plain_name(&name) { names.push(name) } else { others.push(name) }
    }
    names.sort_unstable();
    others.sort_unstable();
    Ok((names, others))
}

/// The apps whose folders lie elsewhere, with those: their names among the apps are links.
pub(crate) fn linked_folders(apps: &Path) -> Vec<(String, PathBuf)> {
    let (names, _) = app_names(apps).unwrap_or_default();
    let real = names.into_iter().filter_map(|name| fs::canonicalize(apps.join(&name)).ok().map(|real| (name, real)));
    real.filter(|(_, folder)| !folder.starts_with(apps)).collect()
}

/// The files of one app, as they were when they were read.
#[derive(Clone, Debug)]
pub(crate) struct AppFiles {
    /// Its name.
    pub(crate) name: String,
    /// Its folder, links followed.
    pub(crate) folder: PathBuf,
    /// The folder of its script: the same, or that of a kept revision.
    pub(crate) sources: PathBuf,
    /// What `app.toml` says.
    pub(crate) manifest: AppManifest,
    /// The bytes of `app.toml`, for a digest.
    pub(crate) written: Vec<u8>,
    /// Its script.
    pub(crate) source: Vec<u8>,
    /// The environment with its secrets.
    pub(crate) environment: Environment,
}

impl AppFiles {
    /// Reads the files of an app.
    ///
    /// # Errors
    /// A sentence about what is missing or wrong.
    pub(crate) fn read(node: &NodeFiles, name: &str) -> Result<Self, String> {
        Self::of(node, name, None)
    }

    /// Reads the files of a revision of an app that is kept in another folder. Its environment is as it is now.
    ///
    /// # Errors
    /// A sentence about what is missing or wrong.
    pub(crate) fn kept(node: &NodeFiles, name: &str, sources: PathBuf) -> Result<Self, String> {
        Self::of(node, name, Some(sources))
    }

    fn of(node: &NodeFiles, name: &str, sources: Option<PathBuf>) -> Result<Self, String> {
        let folder = node.apps.join(name);
        let folder = fs::canonicalize(&folder).map_err(|error| format!("cannot read {}: {error}", folder.display()))?;
        let sources = sources.unwrap_or_else(|| folder.clone());
        let file = format!("{name}/{MANIFEST}");
        let read = |path: &str| read_source(&sources, path).map_err(|error| format!("{name}/{path}: {error}"));
        let written = read(MANIFEST)?;
        let text = std::str::from_utf8(&written).map_err(|_| format!("{file}: it is not UTF-8"))?;
        let manifest = AppManifest::parse(text, &file, &node.config).map_err(|error| error.to_string())?;
        let source = read(MAIN)?;
        let environment = environment(&manifest, &folder)?;
        Ok(Self { name: name.to_owned(), folder, sources, manifest, written, source, environment })
    }

    /// The files that its secrets come from.
    pub(crate) fn secret_files(&self) -> impl Iterator<Item = PathBuf> {
        self.manifest.secrets.values().filter_map(|source| match source {
            SecretSource::File(file) => Some(self.folder.join(file)),
            SecretSource::Environment(_) => None,
        })
    }
}

fn environment(manifest: &AppManifest, folder: &Path) -> Result<Environment, String> {
    let plain = manifest.env.iter().map(|(name, value)| Ok((name.clone(), Secret::from(value.clone()))));
    let secrets = manifest.secrets.iter().map(|(name, source)| Ok((name.clone(), secret(name, source, folder)?)));
    plain.chain(secrets).collect()
}

/// What may be behind a file that the node may not read although its user may.
fn hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            " (landlock leaves open the folders that the node's files named at its start: a new one takes a restart)"
        }
        _ => "",
    }
}

/// Reads a secret. Its text is in no error.
fn secret(name: &str, source: &SecretSource, folder: &Path) -> Result<Secret, String> {
    let wrong = |why: &str| format!("the secret {name}: {why}");
    match source {
        SecretSource::Environment(variable) => std::env::var(variable).map(Secret::from).map_err(|error| match error {
            std::env::VarError::NotPresent => wrong(&format!("the node has no variable {variable} in its environment")),
            std::env::VarError::NotUnicode(_) => wrong(&format!("the variable {variable} is not UTF-8")),
        }),
        SecretSource::File(file) => {
            let file = folder.join(file);
            let shown = file.display();
            let bytes = bounded(&file, MAX_SECRET + 1)
                .map_err(|error| wrong(&format!("cannot read {shown}: {error}{}", hint(&error))))?;
            if bytes.len() as u64 > MAX_SECRET {
                return Err(wrong(&format!("{shown} has more than {} KiB", MAX_SECRET >> 10)));
            }
            let text = String::from_utf8(bytes).map_err(|_| wrong(&format!("{shown} is not UTF-8")))?;
            // Editors end a file with a line feed, which is not the secret's.
            let text = text.strip_suffix('\n').unwrap_or(&text);
            Ok(Secret::from(text.strip_suffix('\r').unwrap_or(text).to_owned()))
        }
    }
}

/// The files of a node, which no app may touch whatever it is granted.
pub(crate) fn host_files(files: &NodeFiles, record: &RecordFlags) -> Result<HostFiles, String> {
    let root = crate::granted::roots()?.cwd().clone();
    let named = |path: &Path| -> Result<CanonicalPath, String> {
        judged(path, &root).ok_or_else(|| format!("{} is not a path that rules can speak of", path.display()))
    };
    let mut found = HostFiles::new().with_file(&named(&files.file)?).with_each(&named(&files.apps)?, MANIFEST);
    match (files.config.apps.folder(), files.apps.file_name().and_then(|name| name.to_str())) {
        (None, Some(unpacked)) => {
            found = found.with_all_but(&named(&files.state)?, unpacked);
            // Beside that, each by itself: walls around programs know whole folders alone.
            for kept in KEPT {
                found = found.with_folder(&named(&files.state.join(kept))?);
            }
        }
        _ => found = found.with_folder(&named(&files.state)?),
    }
    for file in files.of_bundle() {
        found = found.with_file(&named(&file)?);
    }
    for listener in files.config.listeners.values() {
        if let Some(folder) = &listener.certificates {
            found = found.with_folder(&named(&files.path(folder))?);
        }
    }
    match &files.config.admin {
        Some(AdminAddress::Unix(path)) | Some(AdminAddress::Loopback { token_file: path, .. }) => {
            found = found.with_file(&named(&files.path(path))?);
        }
        None => {}
    }
    if let Some(kv) = &files.config.kv {
        if let Some(folder) = kv.place.folder() {
            found = found.with_folder(&named(&files.path(folder))?);
        }
        if let Some(file) = &kv.password_file {
            found = found.with_file(&named(&files.path(file))?);
        }
    }
    // Before the first app is set up: any of them might look for those of another one.
    for file in secrets(files) {
        found.note(&named(&file)?);
    }
    for (name, folder) in linked_folders(&files.apps) {
        found.note_folder(&named(&folder)?, &name);
    }
    if let Some(log) = &record.file {
        found = found.with_log(&named(log)?);
    }
    for file in record.anchor_file().into_iter().chain(record.key.as_deref()) {
        found = found.with_file(&named(file)?);
    }
    Ok(found.shared())
}

/// The files that the apps there are take secrets from. An app that cannot be read is told of when it is deployed.
pub(crate) fn secrets(files: &NodeFiles) -> Vec<PathBuf> {
    let (names, _) = app_names(&files.apps).unwrap_or_default();
    let apps = names.iter().filter_map(|name| AppFiles::read(files, name).ok());
    apps.flat_map(|app| app.secret_files().collect::<Vec<_>>()).collect()
}

/// Reads a file of tokens, and says whether other users can read it too.
pub(crate) fn tokens_text(path: &Path) -> Result<(String, bool), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let cannot = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let text = bounded(path, MAX_SECRET + 1).map_err(cannot)?;
    let mode = fs::metadata(path).map_err(cannot)?.permissions().mode();
    let text = String::from_utf8(text).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    Ok((text, mode & 0o077 != 0))
}

/// The pairs of certificates and keys in a folder, by name.
pub(crate) fn certificates(folder: &Path) -> Result<NamedPem, String> {
    let cannot = |error: std::io::Error| format!("cannot read the folder {}: {error}", folder.display());
    let mut found = NamedPem::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let (Some(name), Some("crt")) = (name, path.extension().and_then(|end| end.to_str())) {
            found.insert(name.to_owned(), pair(&path, &path.with_extension("key")));
        }
    }
    Ok(found)
}

fn pair(cert: &Path, key: &Path) -> Result<CertificatePem, String> {
    let read = |path: &Path| bounded(path, MAX_PEM).map_err(|error| format!("cannot read {}: {error}", path.display()));
    Ok(CertificatePem {
        cert_path: cert.display().to_string(),
        cert: read(cert)?,
        key_path: key.display().to_string(),
        key: read(key)?,
    })
}
