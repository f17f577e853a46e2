//! Programs of others that tests use as clients and attackers.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

/// What a program said.
#[derive(Debug)]
pub struct Said {
    /// Whether it ended well.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Said {
    /// What it said, of a program that must have ended well.
    #[must_use]
    pub fn well(self) -> String {
        assert!(self.success, "{self:#?}");
        self.stdout
    }
}

/// Runs a program, at most a minute long. One that is not installed is a failure that says what to install.
#[must_use]
pub fn run<A: AsRef<OsStr>>(program: &str, package: &str, arguments: impl IntoIterator<Item = A>) -> Said {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "60", program]).args(arguments);
    // Proxies are for the machine's own business.
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!("`timeout` is missing: .ci/install coreutils"),
        _ => panic!("{program}: {error}"),
    });
    // What timeout says of a program that it cannot find.
    assert!(output.status.code() != Some(127), "{program} is missing: .ci/install {package}");
    Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs curl, quietly, with the reason of a failure.
#[must_use]
pub fn curl(arguments: &[&str]) -> Said {
    run("curl", "curl", ["--silent", "--show-error", "--max-time", "30"].iter().chain(arguments))
}
