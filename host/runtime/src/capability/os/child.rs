//! A program from its start to its end, and nothing of it beyond.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;

use super::confine;
use super::walls::Walls;

/// What to run, all of it judged.
pub(super) struct Program {
    /// The folder it runs in.
    pub(super) folder: OwnedFd,
    pub(super) argv: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
}

/// What it left.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// A running program with all it starts. Dropping it kills them.
pub(super) struct Running {
    child: Child,
    group: Group,
}

/// A process group of its own.
struct Group(Option<Pid>);

impl Group {
    /// Kills every process in it. The number cannot be somebody else's: it is free for use only when the group is empty,
    /// and this is called before, or within microseconds of, its leader being waited for.
    fn kill(&mut self) {
        if let Some(id) = self.0.take() {
            // It fails when the group is empty.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Program {
    /// Starts it. Blocks for as long as a fork takes.
    #[expect(clippy::disallowed_methods, reason = "runs what the permit led to, by its handle")]
    pub(super) fn start(self, walls: Walls) -> Result<Running, String> {
        use std::os::unix::process::CommandExt as _;
        // Both are read in the child, whose descriptors are these, so nothing is looked up by a name any more.
        let by_handle = |handle: &OwnedFd| format!("/proc/self/fd/{}", handle.as_raw_fd());
        let mut command = Command::new(by_handle(&walls.program));
        let mut argv = self.argv.into_iter();
        command.arg0(argv.next().unwrap_or_default()).args(argv);
        command.env_clear().envs(self.environment).current_dir(by_handle(&self.folder)).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        confine::behind(&mut command, walls);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn().map_err(|error| words(&error))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Running { child, group: Group(group) })
    }
}

impl Running {
    /// Waits for its end, with at most `limit` bytes on each stream. It is over when the program is: what it started and
    /// left behind is killed.
    pub(super) async fn end(mut self, stdin: Vec<u8>, limit: usize, time: Duration) -> Result<Ended, String> {
        let (input, output, errors) = (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take());
        let ended = async {
            let status = self.child.wait().await;
            self.group.kill();
            status.map_err(|error| words(&error))
        };
        let streams = async { tokio::try_join!(feed(input, &stdin), read(output, limit), read(errors, limit)) };
        let both = async { tokio::try_join!(ended, streams) };
        match timeout(time, both).await {
            Ok(Ok((status, ((), stdout, stderr)))) => {
                use std::os::unix::process::ExitStatusExt as _;
                let code = status.code().or_else(|| status.signal().map(|number| -number)).unwrap_or(-1);
                Ok(Ended { code, stdout, stderr })
            }
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(format!("killed: it took longer than {} s", time.as_secs_f64())),
        }
    }
}

/// Writes all of it, to a program that may not want it.
async fn feed(pipe: Option<ChildStdin>, data: &[u8]) -> Result<(), String> {
    if let Some(mut pipe) = pipe {
        // A program that stops reading has closed the pipe.
        let _ = pipe.write_all(data).await;
    }
    Ok(())
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        pipe.take(more).read_to_end(&mut bytes).await.map_err(|error| words(&error))?;
    }
    match bytes.len() > limit {
        true => Err(format!("killed: it wrote more than {} MiB", limit >> 20)),
        false => Ok(bytes),
    }
}

/// The system's words, without its number.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
