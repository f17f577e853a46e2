//! `starcell new`: the project works as it is, and nothing that exists is touched.

use starcell_tests::client::get;
use starcell_tests::process::{Starcell, binary, folder};
use std::process::Command;

#[test]
fn a_new_project_is_tested_and_served() {
    let folder = folder();
    let made = Starcell::command(&folder, &["new", "greeter"], "");
    assert_eq!((made.code(), made.stderr.as_str()), (0, ""), "{}", made.output);
    let project = folder.join("greeter");
    let mut files: Vec<_> = std::fs::read_dir(&project).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["README.md", "main.star", "main_test.star", "starcell.toml"]);
    for file in files {
        let text = std::fs::read_to_string(project.join(&file)).unwrap();
        assert!(!text.contains("{{name}}"), "{file:?}: {text}");
    }
    let tested = Starcell::command(&project, &["test"], "");
    assert_eq!(tested.stdout.lines().last(), Some("3 passed, 0 failed"), "{}", tested.output);

    let mut command = Command::new(binary());
    command.args(["run", "--config", "starcell.toml", "--port", "0", "."]).current_dir(&project);
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    assert_eq!(get(server.port(), "/hello/Ann").text(), r#"{"message":"Hello, Ann"}"#);
    assert_eq!(server.stop().code(), 0);

    // The profile is the least one: it covers nothing else.
    let ended = Starcell::command(&project, &["run", "."], "");
    assert_eq!(ended.code(), 5, "without it, nothing is served: {}", ended.output);
    std::fs::write(project.join("other.star"), "kv.set('a', 1)\n").unwrap();
    assert_eq!(Starcell::command(&project, &["run", "--config", "starcell.toml", "other.star"], "").code(), 5);
}

#[test]
fn what_exists_and_what_is_no_name_is_refused() {
    let folder = folder();
    std::fs::create_dir(folder.join("there")).unwrap();
    std::fs::write(folder.join("file"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
    for name in ["there", "file", "link"] {
        let ended = Starcell::command(&folder, &["new", name], "");
        assert_eq!(ended.code(), 2, "{}", ended.output);
        assert_eq!(ended.stderr, format!("starcell: {name} is there already; choose another name\n"));
    }
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "mine");
    assert_eq!(std::fs::read_dir(folder.join("there")).unwrap().count(), 0);
    for name in ["../up", "/tmp/x", "a b", ".", "", "2x"] {
        let ended = Starcell::command(&folder, &["new", name], "");
        assert_eq!(ended.code(), 2, "{name}: {}", ended.output);
        assert!(ended.stderr.contains("a name begins with an ASCII letter"), "{name}: {}", ended.stderr);
    }
}
