//! `starcell docs`: what the binary writes is what is checked in.

use std::path::Path;
use std::process::Command;

use starcell_tests::process::{Starcell, binary, folder};

#[test]
fn the_reference_is_that_of_this_binary() {
    let file = folder().join("REFERENCE.md");
    let mut command = Command::new(binary());
    command.arg("docs").arg("--output").arg(&file);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!((ended.code(), ended.output.as_str()), (0, ""));
    let written = std::fs::read_to_string(&file).unwrap();
    let mut command = Command::new(binary());
    command.arg("docs");
    assert_eq!(Starcell::spawn_command(command).wait().stdout, written);
    let checked_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/interp/REFERENCE.md");
    let same = std::fs::read_to_string(checked_in).unwrap() == written;
    assert!(same, "guest/interp/REFERENCE.md is stale: run `starcell docs --output guest/interp/REFERENCE.md`");
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    let mut command = Command::new(binary());
    command.args(["docs", "--output", "/nowhere/at/all.md"]);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("cannot write /nowhere/at/all.md"), "{}", ended.stderr);
}
