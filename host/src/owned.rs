//! The files of the host that a command line names or implies. No script may touch them, whatever it is granted.

use std::env;
use std::path::{Path, PathBuf};

use starcell_policy::{CanonicalPath, Grants, PathFunction};
use starcell_runtime::{HostFiles, Kubernetes};

use crate::cli::{KvFlags, RecordFlags, RuleFlags};

/// What a command has the host keep for itself, beside the files that every command has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept<'a> {
    /// The audit log.
    pub(crate) record: Option<&'a RecordFlags>,
    /// The folder of the store.
    pub(crate) state: Option<&'a Path>,
    /// Where the store is kept instead.
    pub(crate) kv: Option<&'a KvFlags>,
    /// What else it reads or writes for itself: files of variables, a report, a history.
    pub(crate) others: &'a [PathBuf],
}

/// The configuration, the files of variables, the audit log with its anchors and key, the store, the operator's kubeconfigs with the files that they name, and the program
/// of this process.
///
/// # Errors
/// The sentence for whoever typed the command: a path is none that a script could be kept away from.
pub(crate) fn host_files(
    rules: &RuleFlags,
    kept: Kept<'_>,
    kubernetes: &Kubernetes,
    cwd: &CanonicalPath,
) -> Result<HostFiles, String> {
    let named = |flag: &str, path: &Path| {
        let judged = judged(path, cwd);
        judged.ok_or_else(|| format!("{flag}: {} is not a path that rules can speak of", path.display()))
    };
    let mut files = HostFiles::new();
    if let Some(config) = &rules.config {
        files = files.with_file(&named("--config", config)?);
    }
    if let Some(log) = kept.record.and_then(|record| record.file.as_deref()) {
        files = files.with_log(&named("--audit", log)?);
    }
    for (flag, file) in kept.record.into_iter().flat_map(beside) {
        if let Some(file) = file {
            files = files.with_file(&named(flag, file)?);
        }
    }
    if let Some(state) = kept.state {
        files = files.with_folder(&named("--state", state)?);
    }
    if let Some(folder) = kept.kv.and_then(KvFlags::folder) {
        files = files.with_folder(&named("--kv", folder)?);
    }
    if let Some(file) = kept.kv.and_then(|kv| kv.kv_password_file.as_deref()) {
        files = files.with_file(&named("--kv-password-file", file)?);
    }
    // A path that no script can write down needs no wall of its own.
    let implied =
        kubernetes.files().map(Path::to_owned).chain(kept.others.iter().cloned()).chain(env::current_exe().ok());
    Ok(implied.filter_map(|path| judged(&path, cwd)).fold(files, |files, path| files.with_file(&path)))
}

/// The files that belong to an audit log, with the flags that name them.
fn beside(record: &RecordFlags) -> [(&'static str, Option<&Path>); 2] {
    [("--audit-anchor", record.anchor_file()), ("--audit-key", record.key.as_deref())]
}

/// Sentences about a log or a store that lies where the script may write. The script cannot touch it there, but it can
/// fill the folder, and programs of others may be less careful.
#[must_use]
pub(crate) fn exposed(kept: Kept<'_>, grants: &Grants, cwd: &CanonicalPath) -> Vec<String> {
    let log = kept.record.and_then(|record| record.file.as_deref()).map(|path| ("the audit log", path));
    let state = kept.kv.and_then(KvFlags::folder).or(kept.state).map(|path| ("the store", path));
    let exposed = |(what, path): (&str, &Path)| {
        let judged = judged(path, cwd)?;
        let _permit = grants.decide(PathFunction::WriteText, judged).ok()?;
        let path = path.display();
        Some(format!(
            "{what} {path} lies in a folder that the script may write; it is kept from the script all the same"
        ))
    };
    log.into_iter().chain(state).filter_map(exposed).collect()
}

pub(crate) fn judged(path: &Path, cwd: &CanonicalPath) -> Option<CanonicalPath> {
    CanonicalPath::resolve(path.to_str()?, cwd).ok()
}
