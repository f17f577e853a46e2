//! `starcell completions`: the shells understand what it writes.

use std::process::{Command, Stdio};

use starcell_tests::process::{Starcell, binary};

fn completions(shell: &str) -> String {
    let mut command = Command::new(binary());
    command.args(["completions", shell]);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    ended.stdout
}

/// bash reads the script and completes a command and a flag of one.
#[test]
fn bash_completes_a_command_and_a_flag() {
    let file = starcell_tests::process::folder().join("starcell.bash");
    std::fs::write(&file, completions("bash")).unwrap();
    for (words, expected) in
        [("starcell che", "check"), ("starcell check --js", "--json"), ("starcell run --allow-a", "--allow-all")]
    {
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             COMP_LINE='{words}'; COMP_POINT=${{#COMP_LINE}}; \
             _starcell starcell \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display()
        );
        let ran = Command::new("bash").args(["--norc", "-c", &script]).stderr(Stdio::piped()).output().unwrap();
        let (shown, wrong) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert_eq!(shown.trim(), expected, "{words}: {wrong}");
    }
}

#[test]
fn other_shells_get_theirs() {
    assert!(completions("zsh").starts_with("#compdef starcell"));
    assert!(completions("fish").contains("complete -c starcell"));
    let mut command = Command::new(binary());
    command.args(["completions", "sh"]);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("possible values") && ended.stderr.contains("bash"), "{}", ended.stderr);
}
