//! The real binary as a child process. It is killed, by its own handle, when the test is done with it.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::scratch::temporary;
pub use crate::scratch::{fixture, folder, script, script_bytes};

/// How long anything that should happen may take on a loaded machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `starcell`.
#[derive(Debug)]
pub struct Starcell {
    child: Child,
    lines: Receiver<(Stream, String)>,
    seen: String,
    stdout: String,
    stderr: String,
    /// Ports that were announced, in order.
    pub ports: Vec<u16>,
}

/// What a finished process left behind.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything it wrote to either stream.
    pub output: String,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Where a line was written.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Out,
    Err,
}

impl Ended {
    /// The exit code; a process that a signal ended has none.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}

/// The binary under test: built beside the test.
#[must_use]
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let folder = test.ancestors().find(|folder| folder.join("starcell").is_file());
    folder.expect("build the `starcell` binary first").join("starcell")
}

/// The folder that everything was built in: the binary under test in one of its folders, the guest in another.
#[must_use]
pub fn target() -> PathBuf {
    binary().ancestors().nth(2).expect("the binary lies in the folder of its profile").to_owned()
}

/// How much later than its limit something may be closed on a loaded machine.
pub const SLACK: Duration = Duration::from_secs(4);

/// Waits until something is so; panics when it is not within a time.
pub fn eventually(time: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < time, "{what}: not within {time:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A flag that is raised when its scope ends, by a failed assertion too: whoever waits for it in another thread ends.
#[derive(Debug)]
pub struct RaiseAtEnd<'a>(pub &'a AtomicBool);

impl Drop for RaiseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until a condition holds that something else on the machine brings about.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Starcell {
    /// Runs a script in a folder, which is its `$CWD`, and waits for it to end.
    #[must_use]
    pub fn run_in(folder: &Path, arguments: &[&str], source: &str) -> Ended {
        Self::spawn_in(folder, arguments, source).wait()
    }

    /// Starts a script in a folder.
    #[must_use]
    pub fn spawn_in(folder: &Path, arguments: &[&str], source: &str) -> Self {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).arg(script(source)).current_dir(folder);
        Self::spawn_command(command)
    }

    /// Starts `starcell run` and does not wait for anything.
    #[must_use]
    pub fn spawn(arguments: &[&str], script: &Path) -> Self {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).arg(script);
        Self::spawn_command(command)
    }

    /// Runs a command of `starcell` in a folder, with this on its standard input, and waits for it to end.
    #[must_use]
    pub fn command(folder: &Path, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(folder);
        Self::fed(command, input).wait()
    }

    /// Starts any command with this on its standard input.
    #[must_use]
    pub fn fed(mut command: Command, input: &str) -> Self {
        let mut starcell = Self::start(command.stdin(Stdio::piped()));
        let mut pipe = starcell.child.stdin.take().expect("piped");
        let input = input.to_owned();
        // A process that has ended reads no more.
        thread::spawn(move || pipe.write_all(input.as_bytes()).is_ok());
        starcell
    }

    /// Starts any command.
    #[must_use]
    pub fn spawn_command(mut command: Command) -> Self {
        Self::start(command.stdin(Stdio::null()))
    }

    fn start(command: &mut Command) -> Self {
        command.env_remove("RUST_BACKTRACE").stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (sender, lines) = mpsc::channel();
        let out: [(Stream, Box<dyn Read + Send>); 2] = [
            (Stream::Out, Box::new(child.stdout.take().expect("piped"))),
            (Stream::Err, Box::new(child.stderr.take().expect("piped"))),
        ];
        for (stream, pipe) in out {
            let sender = sender.clone();
            thread::spawn(move || {
                let lines = BufReader::new(pipe).lines().map_while(Result::ok);
                lines.take_while(|line| sender.send((stream, line.clone())).is_ok()).count()
            });
        }
        let (seen, stdout, stderr) = (String::new(), String::new(), String::new());
        Self { child, lines, seen, stdout, stderr, ports: Vec::new() }
    }

    /// Runs a script that ends of its own accord, and waits for it.
    #[must_use]
    pub fn run(arguments: &[&str], script: &Path) -> Ended {
        Self::spawn(arguments, script).wait()
    }

    /// Runs a script that may serve on a port of the system's choice, until it says what it bound.
    #[must_use]
    pub fn serve(arguments: &[&str], script: &Path) -> Self {
        // The certificates of tests lie beside the folder of the script.
        let identities = format!("fs.read({}/**)", temporary().display());
        let own = ["--allow-local", "--allow", &identities, "--port", "0"];
        let arguments: Vec<&str> = own.iter().chain(arguments).copied().collect();
        let mut starcell = Self::spawn(&arguments, script);
        starcell.wait_for("serving ");
        starcell
    }

    /// Everything that was read so far from either stream.
    #[must_use]
    pub fn seen(&self) -> &str {
        &self.seen
    }

    /// The port that was announced first.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory that is resident in the process, in bytes.
    #[must_use]
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the process lives");
        let size = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        size.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
    }

    /// Memory that the process holds itself, in bytes: without its program file, and with each page of an image counted once,
    /// however many forks map it. What is resident counts it for each of them.
    ///
    /// # Panics
    /// Panics when the process is gone.
    #[must_use]
    pub fn own_memory(&self) -> usize {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id())).expect("the process lives");
        let kilobytes = |name: &str| {
            let size = rollup.lines().find_map(|line| line.strip_prefix(name)).expect("a kernel with this line");
            size.trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
        };
        (kilobytes("Pss_Anon:") + kilobytes("Pss_Shmem:")) << 10
    }

    /// Descriptors that the process has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id())).expect("the process lives").count()
    }

    /// CPU time that the process has used, all threads, user and system.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).expect("the process lives");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u32>().expect("a number");
        // The kernel counts in hundredths of a second.
        Duration::from_secs(1) * (ticks(11) + ticks(12)) / 100
    }

    /// CPU time of its threads so far, to the nanosecond. Those that have ended do not count.
    #[must_use]
    pub fn threads_time(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("the process lives");
        let times = threads.filter_map(|thread| {
            let stat = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        });
        Duration::from_nanos(times.sum())
    }

    /// Waits for a line that contains `text` and returns it. Lines that were returned or passed over are not looked at
    /// again.
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((stream, line)) = self.lines.recv_timeout(left) else {
                panic!("no line with {text:?} within {PATIENCE:?}; so far:\n{}", self.seen);
            };
            self.note(stream, &line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits until it serves; false if it ended without.
    pub fn serves(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.ports.is_empty() {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((stream, line)) => self.note(stream, &line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("neither serving nor ended; so far:\n{}", self.seen),
            }
        }
        true
    }

    fn note(&mut self, stream: Stream, line: &str) {
        let own = match stream {
            Stream::Out => &mut self.stdout,
            Stream::Err => &mut self.stderr,
        };
        for text in [&mut self.seen, own] {
            writeln!(text, "{line}").expect("strings take everything");
        }
        if line.contains("serving ") {
            let port: Option<u16> = line.rsplit(':').next().and_then(|port| port.parse().ok());
            self.ports.extend(port);
        }
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill runs");
        assert!(sent.success(), "signal {name} to {id}");
    }

    /// Waits until the process has ended of its own accord.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                break status;
            }
            assert!(Instant::now() < deadline, "still running after {PATIENCE:?}; so far:\n{}", self.seen);
            // Reading is what passes the time: it ends when the process does.
            if let Ok((stream, line)) = self.lines.recv_timeout(Duration::from_millis(10)) {
                self.note(stream, &line);
            }
        };
        while let Ok((stream, line)) = self.lines.recv() {
            self.note(stream, &line);
        }
        let [output, stdout, stderr] = [&mut self.seen, &mut self.stdout, &mut self.stderr].map(std::mem::take);
        Ended { status, output, stdout, stderr }
    }

    /// Ends the process as an operator would, and waits for it.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.wait()
    }
}

impl Drop for Starcell {
    fn drop(&mut self) {
        // Both fail when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
