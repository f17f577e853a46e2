//! The tests of `make test-fast`: none of them opens a socket or starts a process.
//!
//! A test that waits for a server or a program is slow on a busy machine, and somebody who changes a line wants to know at
//! once. The Makefile lists the tests that do; a test that is in no list and does it all the same is found here.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

/// Texts of code that opens a socket to another program or starts one.
const OUTSIDE: [&str; 4] = ["TcpListener::bind(", "TcpStream::connect(", "UdpSocket::bind(", "Command::new("];

/// The files with fast tests that reach outside, each with the text that shows it; and how many files were looked at.
pub(crate) fn reaching_outside(root: &Path) -> (Vec<String>, usize) {
    let makefile = fs::read_to_string(root.join("Makefile")).unwrap();
    let (slow_files, slow_units) = (list(&makefile, "SLOW_FILES"), list(&makefile, "SLOW_UNITS"));
    let (mut found, mut count) = (Vec::new(), 0);
    for (file, text) in sources(root) {
        let tests = match file.split_once("/src/") {
            Some((_, module)) => {
                let unit = module.trim_end_matches(".rs").replace('/', "::") + "::tests";
                match text.split_once("#[cfg(test)]") {
                    Some((_, tests)) if !slow_units.iter().any(|slow| unit.ends_with(slow)) => tests,
                    _ => continue,
                }
            }
            None if slow_files.contains(file.as_str()) || file.contains("/tests/common/") => continue,
            None => &text,
        };
        count += 1;
        found.extend(
            OUTSIDE.iter().filter(|outside| tests.contains(**outside)).map(|text| format!("{file}: {text}..)")),
        );
    }
    (found, count)
}

/// The words of a variable of the Makefile.
fn list<'a>(makefile: &'a str, name: &str) -> BTreeSet<&'a str> {
    let line = makefile.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(":="));
    line.unwrap_or_else(|| panic!("the Makefile has no {name}")).split_whitespace().collect()
}

/// The sources of the host and the guest, with their paths in the workspace.
fn sources(root: &Path) -> Vec<(String, String)> {
    let entries = ["host", "guest"].iter().flat_map(|room| WalkDir::new(root.join(room)));
    let paths = entries.map(|entry| entry.unwrap().into_path());
    let ours = paths.filter(|path| path.extension().is_some_and(|end| end == "rs"));
    let texts = ours.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root).unwrap().display().to_string(), text)
    });
    texts.filter(|(file, _)| !file.starts_with("guest/starlark/") && !file.contains("/target/")).collect()
}
