//! Helpers that the tests of the log share.

#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, reason = "tests, each of which uses a part")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use starcell_audit::{Arguments, Audit, AuditedCall, Decision, Options, Phase, Record, Seen, Subject, Writer};

/// A folder of one test, emptied first.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("audit").join(name);
        // What an earlier run left.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A folder that was made by the parent of this process.
    pub(crate) fn inherited() -> Self {
        Self(std::env::var_os(FOLDER).unwrap().into())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path("audit.jsonl")
    }

    pub(crate) fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

const FOLDER: &str = "STARCELL_AUDIT_TEST_FOLDER";

/// Runs one ignored test of this binary in a process of its own, which may be limited and killed.
pub(crate) fn child(test: &str, folder: &Folder) -> Command {
    let mut command = Command::new("sh");
    // A write beyond the limit shall fail, not end the process.
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", "--test-threads=1", test]);
    command.env(FOLDER, &folder.0).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

pub(crate) fn open(folder: &Folder) -> (Audit, Writer) {
    Audit::open(Options::new(folder.log())).unwrap()
}

/// The records of a file; the chain is not looked at.
pub(crate) fn records(path: &Path) -> Vec<Record> {
    fs::read_to_string(path).unwrap().lines().map(|line| Record::parse(line).unwrap()).collect()
}

/// What is sound in a log of one file, which all of it must be.
pub(crate) fn verified(folder: &Folder) -> Seen {
    let bytes = fs::read(folder.log()).unwrap();
    starcell_audit::verify([("log".to_owned(), bytes.as_slice())]).unwrap()
}

pub(crate) fn subject() -> Subject {
    Subject {
        node: "node1".into(),
        tenant: "acme".into(),
        app: "shop".into(),
        revision: None,
        script_digest: "5c".repeat(32),
        policy_digest: "7f".repeat(32),
    }
}

pub(crate) fn call(resource: &str, decision: Decision) -> AuditedCall<'_> {
    AuditedCall {
        request: Some("r-1"),
        phase: Phase::Request,
        capability: "fs.read_text",
        category: "fs.read",
        resource,
        decision,
        rule: Some("fs.read(/srv/**)"),
        needed: Some("allow-fs"),
        file: "shop.star",
        line: 7,
        arguments: Arguments::NONE,
    }
}

/// Sets how long a file this process may write; none for as long as before.
pub(crate) fn limit_file_size(bytes: Option<u64>) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}
