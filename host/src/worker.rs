//! The check of one script in a process of its own, under limits of its own.
//!
//! A script of a kilobyte can keep the type checker for ever or have it take all memory, and neither it nor the parser
//! can be stopped from within. So `check` and `lsp` never do that work themselves: they start this program again, hand it
//! the script, and take its last word. The kernel ends a process that has used up its processor time or memory; what it
//! had found until then counts.

#![expect(clippy::disallowed_methods, reason = "starts this program again, for the check alone")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use starcell_check::{Checked, check_in_steps, unfinished};
use starcell_runtime::node_walls::{self, NodeGround, NodeWalls, Stand};

use crate::exit::Exit;
use crate::folder::Folder;

/// The subcommand that the process runs. It is not for people.
pub(crate) const SUBCOMMAND: &str = "worker";

/// Address space of the process. The program itself takes 100 MiB of it, and its stack 64.
const MEMORY_BYTES: u64 = 640 << 20;

/// Address space that the allocator reserves at a time, in KiB.
const ARENA_KIB: &str = "65536";

/// What parsing and checking recurse on. The interpreter's own bounds fit 1 MiB; the type checker takes more a level.
const STACK_BYTES: usize = 64 << 20;

/// What a process is asked to check; the text of the script follows the line that this is.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    folder: PathBuf,
    name: String,
}

/// Checks a script in a process that may use so much processor time.
///
/// # Errors
/// The process cannot be started.
pub(crate) fn check(folder: &Path, name: &str, text: &[u8], cpu: Duration) -> io::Result<Checked> {
    let mut child = start(cpu)?;
    let task = Task { folder: folder.to_owned(), name: name.to_owned() };
    // A process that its limits have ended already reads no more; what it said counts.
    let _ = hand_over(&mut child, &task, text);
    let outcome = child.stdout.take().and_then(|stdout| {
        let lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
        lines.filter_map(|line| serde_json::from_slice(&line).ok()).last()
    });
    child.wait()?;
    Ok(outcome.unwrap_or_else(|| unfinished(name)))
}

fn start(cpu: Duration) -> io::Result<Child> {
    // The program as it runs now, even if its file has been replaced.
    Command::new("/proc/self/exe")
        .args([SUBCOMMAND, &cpu.as_secs().max(1).to_string()])
        .env_clear()
        // The allocator would reserve a GiB of address space at once, which is more than the process may have.
        .env("MIMALLOC_ARENA_RESERVE", ARENA_KIB)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

fn hand_over(child: &mut Child, task: &Task, text: &[u8]) -> io::Result<()> {
    let Some(mut stdin) = child.stdin.take() else { return Ok(()) };
    let mut line = serde_json::to_vec(task)?;
    line.push(b'\n');
    stdin.write_all(&line)?;
    // Closed when it is dropped: the process reads the text to its end.
    stdin.write_all(text)
}

/// Gives up all but reading the folder of the script, before a byte of it is looked at: the parser and the checker run code
/// that strangers feed. A machine that lacks a wall checks without it, as there is no other place to check in.
fn stand_behind_walls(folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let ground = NodeGround { read: Some(vec![folder.to_owned()]), write: Some(Vec::new()), ..NodeGround::default() };
    // With this demand nothing that is missing is an error.
    let _standing = node_walls::put_up(NodeWalls::BestEffort, &Stand { ground, rooms: None });
}

/// The process itself: takes a task from standard input, and writes what each step has found to standard output.
pub fn work(cpu_seconds: u64) -> Exit {
    for (resource, most) in [(Resource::Cpu, cpu_seconds), (Resource::As, MEMORY_BYTES), (Resource::Core, 0)] {
        if setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).is_err() {
            return Exit::Host;
        }
    }
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    let mut text = Vec::new();
    let read = input.read_until(b'\n', &mut line).and_then(|_| input.read_to_end(&mut text));
    let (Ok(_), Ok(task)) = (read, serde_json::from_slice::<Task>(&line)) else { return Exit::Usage };
    stand_behind_walls(&task.folder);
    let checking = thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        check_in_steps(&Folder(task.folder), &task.name, &text, |report| {
            let Ok(mut line) = serde_json::to_vec(&Checked::from(&report)) else { return };
            line.push(b'\n');
            let mut output = io::stdout().lock();
            // Whoever asked has gone when this fails.
            let _ = output.write_all(&line).and_then(|()| output.flush());
        });
    });
    match checking.map(thread::JoinHandle::join) {
        Ok(Ok(())) => Exit::Ok,
        _ => Exit::Host,
    }
}
