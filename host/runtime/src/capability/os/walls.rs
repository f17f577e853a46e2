//! The walls around a program that a script runs, whoever wrote it: what its grants come to, and what the machine has.
//!
//! A program knows nothing of rules, so it gets whole folders: all that lies beneath, or nothing. Which walls stand is
//! decided by what the machine can enforce, and a machine that cannot stop one of the things in the
//! table ([`crate::room::table`]) runs no program, unless the operator accepts that.

use std::time::Duration;

use rustix::fs::{FileType, Stat};
use starcell_policy::{CanonicalPath, DenyReason, PathFunction};

use crate::caller::Caller;
use crate::programs::ExecWalls;
use crate::room::plan::{Files, Granted, Plan, Walls};
use crate::room::table::{self, Means};
use crate::room::{KERNEL, is_beneath};

/// The walls that this machine has; an error says what it lacks.
pub(super) fn walls(demand: ExecWalls) -> Result<Walls, String> {
    let means = crate::room::means().map_err(|error| format!("no program can be confined here: {error}"))?;
    let lacks = table::lacks(means);
    match demand {
        ExecWalls::Strict if !lacks.is_empty() => Err(refusal(means, &lacks)),
        _ => Ok(Walls {
            namespaces: means.namespaces.is_none(),
            landlock: means.landlock,
            calls: means.calls.is_none(),
            count: means.count.is_none(),
        }),
    }
}

fn refusal(means: &Means, lacks: &[&str]) -> String {
    format!(
        "this machine cannot stop programs from {}: {}. `starcell doctor` shows all; --exec-walls best-effort runs \
         programs all the same",
        lacks.join(", nor from "),
        table::missing(means).join("; ")
    )
}

/// What the grants of a script come to for a program.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    files: Files,
    network: bool,
}

impl Reach {
    /// The reach of a program. It gets folders of which the script may use all that lies beneath, but for the files of the
    /// host.
    pub(super) fn of(caller: &Caller, network: bool) -> Self {
        let config = &caller.app.config;
        let whole = CanonicalPath::absolute("/").ok();
        let granted = whole.iter().chain([&config.cwd]).filter_map(|folder| {
            let read = beneath(caller, (PathFunction::ReadBytes, PathFunction::RenameFrom), folder);
            let write = beneath(caller, (PathFunction::WriteBytes, PathFunction::Rename), folder);
            (read || write).then(|| Granted { path: folder.to_string(), read, write })
        });
        let granted: Vec<Granted> = granted.collect();
        let within = |path: &str| granted.iter().any(|granted| is_beneath(path, &granted.path));
        // The folders of the kernel are closed to every program as it is.
        let mut hosts: Vec<String> = config.host_files.paths().iter().map(ToString::to_string).collect();
        if config.host_files.has_sources() {
            // A wall tells no reading from writing here.
            hosts.extend(caller.app.loaded().iter().filter_map(|file| file.to_str().map(str::to_owned)));
        }
        let closed = hosts.into_iter().filter(|path| within(path) && !KERNEL.contains(&path.as_str())).collect();
        Self { files: Files { granted, closed }, network }
    }

    /// The plan for a program with this reach, without its places. Looks at the files of the host.
    pub(super) fn plan(self, program: String, folder: String, walls: Walls, time: Duration) -> Result<Plan, String> {
        for closed in &self.files.closed {
            // A wall is about a name. Under its other name the file would be within reach.
            if rustix::fs::lstat(closed.as_str()).is_ok_and(|stat| is_data_with_two_names(&stat)) {
                return Err(format!(
                    "{closed} is a file of the host and has another name (a hard link), so no program runs"
                ));
            }
        }
        Ok(Plan {
            program,
            argv: Vec::new(),
            environment: Vec::new(),
            folder,
            files: self.files,
            network: self.network,
            // A process that waits uses none; one that computes on several cores is stopped by the deadline.
            cpu_seconds: time.as_secs().saturating_add(1),
            places: 0,
            walls,
        })
    }
}

/// Whether something is a file with more than one name. One that may be executed does not count: programs often have
/// several, and the kernel lets nobody write to the one that the host is.
fn is_data_with_two_names(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_nlink > 1 && stat.st_mode & 0o111 == 0
}

/// Whether all that lies beneath a folder is granted: a name no rule was made for is, and no deny rule is about any part.
fn beneath(caller: &Caller, (one, tree): (PathFunction, PathFunction), folder: &CanonicalPath) -> bool {
    let Ok(any) = CanonicalPath::absolute(&format!("{folder}/.starcell-any/name")) else { return false };
    let refusal = caller.gate.authority().grants().decide(tree, folder.clone()).err();
    let denied = refusal.is_some_and(|denial| denial.reason() == DenyReason::DeniedByRule);
    caller.gate.covers(one, any) && !denied
}
