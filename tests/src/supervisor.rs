//! What systemd does for a service: sockets that it binds, and a place where the service says how it is.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::process::{PATIENCE, binary, folder};

/// Binds sockets on free ports and starts a program with them, as often as it is told to: again when the one before has
/// ended. Arguments: how often, the names of the sockets with colons between them, the program and its arguments.
const SUPERVISOR: &str = r#"
import fcntl, os, socket, sys
times, names, program = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
sockets = []
for name in names.split(":"):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    sockets.append(fcntl.fcntl(listening.detach(), fcntl.F_DUPFD, 100))
    print("socket", name, socket.socket(fileno=os.dup(sockets[-1])).getsockname()[1], flush=True)
for _ in range(times):
    child = os.fork()
    if child == 0:
        for number, held in enumerate(sockets):
            os.dup2(held, 3 + number)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)), LISTEN_FDNAMES=names)
        os.execv(program[0], program)
    print("child", child, flush=True)
    status = os.waitpid(child, 0)[1]
    print("ended", os.waitstatus_to_exitcode(status), flush=True)
"#;

/// The command that starts `starcell` with sockets of these names, so many times one after the other.
#[must_use]
pub fn activated(times: u32, names: &str, folder: &Path) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", SUPERVISOR, &times.to_string(), names]).arg(binary()).current_dir(folder);
    command
}

/// Where a service says how it is.
#[derive(Debug)]
pub struct Notices {
    received: Receiver<String>,
    path: PathBuf,
}

impl Notices {
    /// A place of its own.
    #[must_use]
    pub fn new() -> Self {
        let path = folder().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket of our own");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        let (sender, received) = mpsc::channel();
        // Read at once, as systemd does: a socket whose queue is full loses what a service says.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes)
                && sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_ok()
            {}
        });
        Self { received, path }
    }

    /// Names the place in the environment of a command, and has it say now and then that it lives.
    pub fn give(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    }

    /// Waits for a notice that begins like this, and returns it. Others are passed over.
    #[must_use]
    pub fn wait_for(&self, text: &str) -> String {
        loop {
            let notice =
                self.received.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no notice {text}: {error}"));
            if notice.starts_with(text) {
                return notice;
            }
        }
    }
}

impl Default for Notices {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        // Its folder goes with the machine's temporary files.
        let _ = fs::remove_file(&self.path);
    }
}
