//! `starcell doctor`: what this machine can enforce, and by which means.
//!
//! The table of what programs are stopped from is that by which `os.exec` decides, so the two cannot differ. The walls
//! around the host are put up around the command itself to see whether they stand.

use std::fmt::Write as _;

use serde_json::{Value, json};
use starcell_runtime::node_walls::{self, NodeWalls, Stand, Standing};
use starcell_runtime::room;
use starcell_runtime::room::table::{self, Stopped};

use crate::cli::Doctor;
use crate::exit::Exit;
use crate::say::{Said, say};

/// Writes what this machine can enforce. The code is not 0 where `os.exec` would be refused.
#[must_use]
pub fn doctor(arguments: &Doctor) -> Exit {
    let found = Found::here();
    let exit = if found.runs_programs() { Exit::Ok } else { Exit::Raised };
    let said = if arguments.json { Said::Json(found.json().to_string()) } else { Said::Text(found.table()) };
    say(exit, &said)
}

/// What was found on this machine.
struct Found {
    /// What programs are stopped from, and what the machine lacks; or why no room could be started.
    programs: Result<(Vec<Stopped>, Vec<String>), String>,
    host: Standing,
}

impl Found {
    fn here() -> Self {
        // First the rooms: the walls around this process are around all that it starts.
        let programs = room::means().map(|means| (table::stopped(means), table::missing(means)));
        // Everything is left open: what counts is whether landlock can stand.
        let host = node_walls::put_up(NodeWalls::BestEffort, &Stand::default());
        let host = host.unwrap_or_else(|error| Standing { missing: vec![error], ..Standing::default() });
        Self { programs, host }
    }

    fn runs_programs(&self) -> bool {
        self.programs.as_ref().is_ok_and(|(rows, _)| rows.iter().all(|row| !row.by.is_empty()))
    }

    fn json(&self) -> Value {
        let (rows, missing) = match &self.programs {
            Ok((rows, missing)) => (rows.as_slice(), missing.clone()),
            Err(error) => (&[] as &[Stopped], vec![error.clone()]),
        };
        let row = |row: &Stopped| json!({ "stopped_from": row.what, "by": row.by, "could_be_by": row.could });
        json!({
            "os_exec": if self.runs_programs() { "runs" } else { "refused" },
            "programs": rows.iter().map(row).collect::<Vec<_>>(),
            "missing": missing,
            "host": {
                "capabilities_kept": self.host.kept,
                "landlock": !self.host.without_landlock,
                "missing": self.host.missing,
            },
        })
    }

    fn table(&self) -> String {
        let mut text = String::from("What programs of os.exec are stopped from on this machine, and by what\n\n");
        // Writing to a text cannot fail.
        let _ = match &self.programs {
            Err(error) => writeln!(text, "  No program can be confined here: {error}"),
            Ok((rows, missing)) => rows_as_text(&mut text, rows, missing),
        };
        let _ = match self.runs_programs() {
            true => writeln!(text, "\nos.exec runs programs."),
            false => writeln!(text, "\nos.exec is refused; --exec-walls best-effort runs programs all the same."),
        };
        text.push_str("\nWalls around the host itself\n\n");
        let standing = ["no core dumps", "limits", "no_new_privs", "capabilities", "system calls"];
        let _ = writeln!(text, "  put up: {}", standing.join(", "));
        let _ = match &self.host.kept {
            Some(kept) => writeln!(text, "  privileged: keeps {} and gives up all else", kept.join(", ")),
            None => writeln!(text, "  not privileged: there is no capability to give up"),
        };
        let _ = match self.host.without_landlock {
            true => writeln!(text, "  no landlock: files outside of the grants are open to the host itself"),
            false => writeln!(text, "  landlock: run, host, repl and test use the files of their grants and their own"),
        };
        for missing in &self.host.missing {
            let _ = writeln!(text, "  cannot be put up: {missing}");
        }
        text
    }
}

fn rows_as_text(text: &mut String, rows: &[Stopped], missing: &[String]) -> std::fmt::Result {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    for row in rows {
        let by = match row.by.as_slice() {
            [] => format!("NOT STOPPED; it takes {}", row.could),
            by => by.join(", "),
        };
        writeln!(text, "  {:width$}  {by}", row.what)?;
    }
    if !missing.is_empty() {
        writeln!(text, "\nThis machine has {}.", missing.join("; "))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    fn found(by: &[&str]) -> Found {
        let by = by.iter().map(|by| (*by).to_owned()).collect();
        let row = Stopped { what: "making sockets", by, could: "seccomp filters" };
        let host = Standing { kept: Some(vec!["FOWNER"]), ..Standing::default() };
        Found { programs: Ok((vec![row], vec!["no seccomp filters (x)".to_owned()])), host }
    }

    #[test]
    fn a_row_without_means_refuses_programs() {
        let (with, without) = (found(&["list of system calls"]), found(&[]));
        assert!(with.runs_programs() && !without.runs_programs());
        assert!(with.table().contains("making sockets  list of system calls\n"), "{}", with.table());
        assert!(without.table().contains("NOT STOPPED; it takes seccomp filters"), "{}", without.table());
        assert_eq!(without.json()["os_exec"], "refused");
        assert_eq!(with.json()["programs"][0]["by"][0], "list of system calls");
    }
}
