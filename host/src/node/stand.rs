//! What the walls around a node with many apps leave open.
//!
//! **The decision.** Landlock stands from before the first app is read until the process ends, and apps come and go. So the
//! ground is an outline of what any app may be granted: what the profiles of the tenants name, with the folder of all apps
//! in place of each app's own. Beside it are the node's own places: its configuration, the folder of the apps, the
//! certificates, the state, the audit log, and the folders of the secrets that the apps there are name.
//!
//! **What it refuses.** A folder of secrets, or an app behind a link, that an app names for the first time later and that lies
//! outside of all that: it is read after the next start.

use std::path::{Path, PathBuf};

use starcell_config::{AdminAddress, AppsPlace};
use starcell_policy::{CanonicalPath, Capability, Grants, OutlinedPlace};
use starcell_runtime::HostFiles;
use starcell_runtime::node_walls::{NodeGround, Stand};
use starcell_runtime::room::porter::{RoomPlace, RoomTerms};

use super::files::{NodeFiles, host_files, linked_folders, make_folder, secrets};
use crate::cli::{Demand, HostCommand};
use crate::granted::{canonical, environment, roots_in};
use crate::stand::{both, folder_of, of_connections, outline, real, sends, written_at};

/// Where orchestrators put secrets.
const SECRETS: &str = "/run/secrets";

/// The stand of a node. Makes the folder of its state, so that no folder above it has to be left open. Blocks.
///
/// # Errors
/// The sentence for whoever typed the command.
pub fn stand(arguments: &HostCommand) -> Result<Stand, String> {
    let mut files = NodeFiles::read(&arguments.config)?;
    if !arguments.check {
        make_folder(&files.state)?;
    }
    files.make_unpacked(arguments.check)?;
    let outlines = Outlines::new(&files)?;
    let kept = host_files(&files, &arguments.record)?;
    let sends = sends(&arguments.record) || files.config.telemetry.is_some();
    let connects = outlines.may(&[Capability::HttpClient, Capability::SqlOpen]) || sends || stores_elsewhere(&files);
    let connects = connects || matches!(files.config.apps, AppsPlace::Registry(_));
    let ground = NodeGround {
        read: outlines.places(&[Capability::FsRead, Capability::SqlOpen]).map(|places| read(&files, connects, places)),
        write: outlines
            .places(&[Capability::FsWrite, Capability::FsDelete, Capability::SqlOpen])
            .map(|places| written(&files, arguments, (places, &outlines.apps))),
        executes: false,
        connects,
        serves: true,
    };
    let rooms = outlines.may(&[Capability::OsExec]).then(|| outlines.rooms(&kept, arguments));
    Ok(Stand { ground, rooms })
}

/// What the profiles of all tenants come to, in the folder of all apps.
struct Outlines {
    tenants: Vec<Grants>,
    apps: CanonicalPath,
}

impl Outlines {
    fn new(files: &NodeFiles) -> Result<Self, String> {
        let apps = canonical(files.apps.clone())?;
        let roots = roots_in(apps.clone())?;
        // An app whose profile cannot be used is not set up, and its log says why.
        let grants = |profile| Grants::new(profile, &[], &[], &roots).ok();
        let tenants = files.config.tenants.values().filter_map(|tenant| grants(&tenant.profile)).collect();
        Ok(Self { tenants, apps })
    }

    fn may(&self, capabilities: &[Capability]) -> bool {
        self.tenants.iter().any(|grants| capabilities.iter().any(|capability| grants.may_allow(*capability)))
    }

    /// Where apps may do what these capabilities are for; none for everywhere.
    fn places(&self, capabilities: &[Capability]) -> Option<Vec<OutlinedPlace>> {
        let all =
            self.tenants.iter().flat_map(|grants| capabilities.iter().map(|capability| grants.outline(*capability)));
        let all: Option<Vec<_>> = all.collect();
        Some(all?.into_iter().flatten().collect())
    }

    fn rooms(&self, kept: &HostFiles, arguments: &HostCommand) -> RoomTerms {
        let all = |capability| {
            let all: Option<Vec<Vec<RoomPlace>>> =
                self.tenants.iter().map(|grants| outline(grants, capability)).collect();
            all.map(|all| all.concat())
        };
        RoomTerms {
            read: all(Capability::FsRead),
            write: all(Capability::FsWrite),
            closed: kept.names().map(str::to_owned).collect(),
            network: self.may(&[Capability::OsNetwork]),
            best_effort: arguments.walls.exec_walls == Demand::BestEffort,
        }
    }
}

/// What is read: the node's own files, those of its apps, and what connections take.
fn read(files: &NodeFiles, connects: bool, granted: Vec<OutlinedPlace>) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = granted.into_iter().map(|place| place.path.as_str().into()).collect();
    places.extend([files.file.clone(), files.apps.clone()]);
    // Where it is not there, a folder above it would be left open.
    places.extend(real(Path::new(SECRETS)));
    places.extend(linked_folders(&files.apps).into_iter().map(|(_, folder)| folder));
    let certificates = files.config.listeners.values().filter_map(|listener| listener.certificates.as_deref());
    places.extend(certificates.flat_map(|folder| both(&files.path(folder))));
    if let Some(AdminAddress::Loopback { token_file, .. }) = &files.config.admin {
        places.extend(both(&files.path(token_file)));
    }
    let kv = files.config.kv.as_ref();
    places.extend(kv.and_then(|kv| kv.password_file.as_deref()).into_iter().flat_map(|file| both(&files.path(file))));
    places.extend(secrets(files).iter().flat_map(|file| both(file)));
    // Each may be replaced by another file of its name, so the folder that it is found in stays open.
    places.extend(files.of_bundle().iter().flat_map(|file| both(file)).filter_map(|file| folder_of(&file)));
    places.extend(of_connections(connects, &environment()));
    places
}

/// What is written: what the grants outline, the state, the audit log, and the socket of the admin.
fn written(
    files: &NodeFiles,
    arguments: &HostCommand,
    (granted, apps): (Vec<OutlinedPlace>, &CanonicalPath),
) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = granted.iter().map(|place| written_at(place, apps)).collect();
    let record = &arguments.record;
    places.extend([record.file.as_deref(), record.anchor_file()].into_iter().flatten().flat_map(both));
    if let Some(AdminAddress::Unix(socket)) = &files.config.admin {
        places.extend(folder_of(&files.path(socket)));
    }
    // A check unpacks apps that come from elsewhere, and removes them.
    if !arguments.check || files.config.apps.folder().is_none() {
        places.extend(both(&files.state));
    }
    if !arguments.check
        && let Some(folder) = files.config.kv.as_ref().and_then(|kv| kv.place.folder())
    {
        places.extend(both(&files.path(folder)));
    }
    places
}

/// Whether the stores of apps are on a server.
fn stores_elsewhere(files: &NodeFiles) -> bool {
    files.config.kv.as_ref().is_some_and(|kv| kv.place.folder().is_none())
}
