//! Where the stores of apps are kept: what the command line and the node's file say of it becomes a store.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use starcell_config::{KvPlace, ServerUrl};
use starcell_log::Logs;
use starcell_node::subject::TENANT;
use starcell_runtime::kv::DEFAULT_QUOTA;
use starcell_runtime::{Kv, KvServer, KvSpace, RemoteServer};

use crate::cli::KvFlags;
use crate::folder::MAIN;

/// The server that a place names; none for a folder.
pub(crate) fn server(place: &KvPlace, password_file: Option<&Path>, logs: &Logs) -> Option<KvServer> {
    let remote = |server: &ServerUrl| RemoteServer {
        host: server.host.clone(),
        port: server.port,
        tls: server.tls,
        user: server.user.clone(),
        password_file: password_file.map(Path::to_owned),
        database: server.database.clone(),
    };
    match place {
        KvPlace::Folder(_) => None,
        KvPlace::Postgres(server) => Some(KvServer::postgres(remote(server), logs.clone())),
        KvPlace::Redis(server) => Some(KvServer::redis(remote(server), logs.clone())),
    }
}

/// The store of a run: where `--kv` says, else in the folder of `--state`, else in memory. With it comes the new name of a
/// damaged store that was set aside.
pub(crate) async fn of_run(
    (flags, state): (&KvFlags, Option<&Path>),
    script: &Path,
    set_aside_damaged: bool,
    logs: &Logs,
) -> anyhow::Result<(Kv, Option<PathBuf>)> {
    let place = flags.kv.as_ref();
    if let Some(server) = place.and_then(|place| server(place, flags.kv_password_file.as_deref(), logs)) {
        let app = flags.kv_app.clone().unwrap_or_else(|| app_name(script));
        let space = KvSpace { tenant: TENANT.to_owned(), app, quota: DEFAULT_QUOTA, share: None };
        // The log says so when it does not answer, and the run goes on: it may come.
        server.probe().await;
        return Ok((Kv::on_server(&server, &space), None));
    }
    match flags.folder().or(state) {
        Some(folder) => in_folder(folder, set_aside_damaged),
        None => Ok((Kv::memory(DEFAULT_QUOTA), None)),
    }
}

#[expect(clippy::disallowed_methods, reason = "makes the folder that the command line names")]
fn in_folder(folder: &Path, set_aside_damaged: bool) -> anyhow::Result<(Kv, Option<PathBuf>)> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let file = folder.join("kv.redb");
    match set_aside_damaged {
        true => Ok(Kv::open_or_set_aside(&file, DEFAULT_QUOTA)?),
        false => Ok((Kv::open(&file, DEFAULT_QUOTA)?, None)),
    }
}

/// The name of a script on a server: that of its file without `.star`, or of the folder whose `main.star` it is.
fn app_name(script: &Path) -> String {
    let folder = script.file_name().is_some_and(|name| name == MAIN).then(|| script.parent()).flatten();
    let named = folder.and_then(Path::file_name).or(script.file_stem());
    named.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_named_by_its_file_or_folder() {
        for (script, name) in
            [("shop.star", "shop"), ("a/b/shop.star", "shop"), ("a/shop/main.star", "shop"), ("main.star", "main")]
        {
            assert_eq!(app_name(Path::new(script)), name, "{script}");
        }
    }
}
