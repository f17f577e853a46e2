//! What the walls around a host leave open: the outline of the grants, and the files that the command line names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use starcell_audit::AnchorPlace;
use starcell_policy::{CanonicalPath, Capability, Grants, OutlinedPlace};
use starcell_runtime::node_walls::{NodeGround, Stand};
use starcell_runtime::room::porter::{RoomPlace, RoomTerms};
use starcell_runtime::{HostFiles, Kubernetes};

use crate::cli::{KvFlags, RecordFlags};
use crate::granted::Granted;
use crate::owned::Kept;

/// The file that says which name servers there are.
const NAME_SERVERS: &str = "/etc/resolv.conf";

/// What a host needs that runs the scripts of one grant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs<'a> {
    /// Its scripts, and the folders that they come from.
    pub(crate) scripts: &'a [PathBuf],
    /// What the host itself writes, beside what it keeps.
    pub(crate) writes: &'a [PathBuf],
    /// What the scripts may do.
    pub(crate) granted: &'a Granted,
    /// Whether calls that nothing allows are done all the same.
    pub(crate) counts: bool,
    /// What the host keeps for itself.
    pub(crate) kept: Kept<'a>,
    /// The files of variables, which are read again with the script.
    pub(crate) variables: &'a [PathBuf],
    pub(crate) kubernetes: &'a Kubernetes,
    pub(crate) host_files: &'a HostFiles,
    /// Whether programs run although the machine cannot stop all that they must not do.
    pub(crate) best_effort: bool,
    /// Whether telemetry is sent to a collector.
    pub(crate) sends: bool,
}

/// The stand of a host. Makes the folder of the store, so that no folder above it has to be left open.
pub(crate) fn stand(needs: &Needs<'_>) -> Stand {
    let grants = &needs.granted.grants;
    let may = |capabilities: &[Capability]| needs.counts || capabilities.iter().any(|c| grants.may_allow(*c));
    let clusters = may(&[Capability::K8sConfig, Capability::K8sRead, Capability::K8sWrite]);
    // A program that makes credentials is the operator's own, and may need anything.
    let executes = clusters && needs.kubernetes.runs_programs();
    let everywhere = needs.counts || executes;
    let connects = clusters
        || may(&[Capability::HttpClient, Capability::SqlOpen])
        || sends_anchors(needs)
        || stores_elsewhere(needs)
        || needs.sends;
    let ground = NodeGround {
        read: read(needs, clusters, connects).filter(|_| !everywhere),
        write: written(needs).filter(|_| !everywhere),
        executes,
        connects,
        serves: may(&[Capability::HttpServer]),
    };
    let rooms = may(&[Capability::OsExec]).then(|| RoomTerms {
        read: outline(grants, Capability::FsRead).filter(|_| !needs.counts),
        write: outline(grants, Capability::FsWrite).filter(|_| !needs.counts),
        closed: needs.host_files.names().map(str::to_owned).collect(),
        network: may(&[Capability::OsNetwork]),
        best_effort: needs.best_effort,
    });
    Stand { ground, rooms }
}

/// What is read: the folders of the scripts, what its grants outline, and what clusters and certificates take.
fn read(needs: &Needs<'_>, clusters: bool, connects: bool) -> Option<Vec<PathBuf>> {
    let grants = &needs.granted.grants;
    let mut places = paths(grants.outline(Capability::FsRead)?);
    places.extend(paths(grants.outline(Capability::SqlOpen)?));
    places.extend(needs.scripts.iter().flat_map(|script| both(script)));
    // A file that is replaced has another inode, so the folder that it is found in is what stays open.
    places.extend(needs.variables.iter().flat_map(|file| both(file)).filter_map(|file| folder_of(&file)));
    if clusters {
        // Where the home folder holds no kubeconfig, it stays closed. A token is replaced where its name stands, and where
        // its links lead.
        places.extend(needs.kubernetes.files().filter(|file| real(file).is_some()).flat_map(both));
    }
    places.extend(needs.kept.kv.and_then(|kv| kv.kv_password_file.as_deref()).into_iter().flat_map(both));
    places.extend(of_connections(connects, &needs.granted.environment));
    Some(places)
}

/// What connections to other machines read: the name servers, and the certificates that this process believes.
pub(crate) fn of_connections(connects: bool, environment: &BTreeMap<String, String>) -> Vec<PathBuf> {
    // Often a link to where the network's own program writes it.
    let names = both(Path::new(NAME_SERVERS)).filter(|_| connects);
    let certificates = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(|name| environment.get(name));
    names.chain(certificates.flat_map(|path| both(Path::new(path)))).collect()
}

/// What is written: what the grants outline, and what the host keeps for itself.
fn written(needs: &Needs<'_>) -> Option<Vec<PathBuf>> {
    let Granted { grants, cwd, .. } = needs.granted;
    let granted = grants.outline(Capability::FsWrite)?.into_iter().chain(grants.outline(Capability::FsDelete)?);
    // SQLite makes files beside a database.
    let granted = granted.chain(grants.outline(Capability::SqlOpen)?);
    let mut places: Vec<PathBuf> = granted.map(|place| written_at(&place, cwd)).collect();
    places.extend(needs.writes.iter().flat_map(|file| both(file)));
    let record = needs.kept.record;
    let kept = [record.and_then(|record| record.file.as_deref()), record.and_then(|record| record.anchor_file())];
    places.extend(kept.into_iter().flatten().flat_map(both));
    for folder in needs.kept.state.into_iter().chain(needs.kept.kv.and_then(KvFlags::folder)) {
        make(folder);
        places.extend(both(folder));
    }
    Some(places)
}

/// Where a place is written: what is named alone is made, replaced and removed in the folder above it; nobody does so to
/// $CWD itself.
pub(crate) fn written_at(place: &OutlinedPlace, cwd: &CanonicalPath) -> PathBuf {
    let path = Path::new(place.path.as_str());
    let above = path.parent().filter(|_| !place.beneath && place.path != *cwd);
    above.unwrap_or(path).to_owned()
}

fn sends_anchors(needs: &Needs<'_>) -> bool {
    needs.kept.record.is_some_and(sends)
}

/// Whether anchors go to a server.
pub(crate) fn sends(record: &RecordFlags) -> bool {
    matches!(record.anchor, Some(AnchorPlace::Server(_)))
}

fn stores_elsewhere(needs: &Needs<'_>) -> bool {
    needs.kept.kv.is_some_and(KvFlags::is_on_server)
}

fn paths(places: Vec<OutlinedPlace>) -> Vec<PathBuf> {
    places.into_iter().map(|place| place.path.as_str().into()).collect()
}

/// Where programs may do what a capability is for; none for everywhere.
pub(crate) fn outline(grants: &Grants, capability: Capability) -> Option<Vec<RoomPlace>> {
    let place = |place: OutlinedPlace| RoomPlace { path: place.path.to_string(), beneath: place.beneath };
    Some(grants.outline(capability)?.into_iter().map(place).collect())
}

/// A path, and where its links lead.
pub(crate) fn both(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    [path.to_owned()].into_iter().chain(real(path))
}

/// The folder that a file is in.
pub(crate) fn folder_of(file: &Path) -> Option<PathBuf> {
    match file.parent()? {
        folder if folder.as_os_str().is_empty() => Some(PathBuf::from(".")),
        folder => Some(folder.to_owned()),
    }
}

/// Where the links of a path lead; none for what is not there.
#[expect(clippy::disallowed_methods, reason = "follows the links of what the command line names")]
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Makes a folder. Where it cannot be made, whoever opens the store says why.
#[expect(clippy::disallowed_methods, reason = "makes the folder that the command line names")]
fn make(folder: &Path) {
    let _ = std::fs::create_dir_all(folder);
}
