//! `starcell repl`, with its input from a pipe.

use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::process::{Ended, Starcell, binary, folder};
use starcell_tests::tools::run;

fn repl(arguments: &[&str], input: &str) -> Ended {
    Starcell::command(&folder(), &[&["repl"], arguments].concat(), input)
}

#[test]
fn values_are_shown_and_stay() {
    let ended = repl(&[], "x = [1]\nx.append(2)\nx\nNone\n\"a\\u001b\"\n{\"k\": x}\n");
    assert_eq!(ended.stdout, "[1, 2]\n\"a\\x1b\"\n{\"k\": [1, 2]}\n", "{}", ended.stderr);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
    assert_eq!(repl(&[], "").code(), 0);
    assert_eq!(repl(&[], "1\n.exit\n2\n").stdout, "1\n");
}

#[test]
fn blocks_brackets_and_texts_go_on() {
    let input = "def f(n):\n    if n:\n        return n\n\n    else:\n        return -1\nf(0)\nf(\n  7\n)\n\"\"\"a\n\nb\"\"\"\n\
                 for i in range(2):\n    print(i)\n";
    let ended = repl(&[], input);
    assert_eq!(ended.stdout, "-1\n7\n\"a\\n\\nb\"\n0\n1\n", "{}", ended.stderr);
    let ended = repl(&[], "x = (1,\n");
    assert_eq!((ended.code(), ended.stderr.as_str()), (1, "the last input is not whole\n"));
}

#[test]
fn errors_have_carets_and_end_nothing() {
    let ended = repl(&[], "def f(x):\n    return 1 // x\n\nf(0)\nx +\nnope\n1 + 1\n");
    assert_eq!(ended.stdout, "2\n");
    for part in [
        "Traceback (most recent call last):\n  * <input>:4, in <module>\n",
        "2 |     return 1 // x\n  |            ^^^^^^\n",
        "Parse error",
        "Variable `nope` not found",
    ] {
        assert!(ended.stderr.contains(part), "{part}\nin\n{}", ended.stderr);
    }
    assert_eq!(ended.code(), 1, "somebody's script was wrong");
}

#[test]
fn a_limit_ends_the_guest_and_not_the_session() {
    let input = "x = 1\nfor i in range(1000000000): pass\n2\nx\nkv.get(\"kept\")\n";
    let input = format!("kv.set(\"kept\", \"still here\")\n{input}");
    let ended = repl(&["--setup-cpu", "300ms", "--allow", "kv.*"], &input);
    assert_eq!(ended.stdout, "2\n\"still here\"\n", "{}", ended.stderr);
    let told = "CPU time limit of 0.3 s reached; a new session has begun, and what was defined is gone\n";
    assert!(ended.stderr.starts_with(told), "{}", ended.stderr);
    assert!(ended.stderr.contains("Variable `x` not found"), "{}", ended.stderr);
    let ended = repl(&["--memory", "16"], "x = \"x\" * 100000000\n1\n");
    assert!(ended.stderr.contains("memory limit of 16 MiB reached"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "1\n");
}

#[test]
fn each_input_has_time_of_its_own() {
    let work = "for i in range(200000): i + 1\n".repeat(20);
    let ended = repl(&["--setup-cpu", "300ms"], &format!("{work}\"done\"\n"));
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "\"done\"\n"), "{}", ended.stderr);
}

#[test]
fn what_is_granted_can_be_used_and_nothing_else() {
    let ended = repl(&[], "kv.get(\"a\")\nkv.try_get(\"a\").ok\n");
    assert_eq!(ended.stdout, "False\n");
    assert!(ended.stderr.contains("permission denied: kv.read(\"a\")"), "{}", ended.stderr);
    let ended = repl(&["--allow-fs"], "kv.set(\"a\", 1)\nkv.get(\"a\")\nlog.info(\"told\", n = 1)\n");
    assert_eq!(ended.stdout, "1\n");
    assert!(ended.stderr.contains(" info  told ") && ended.stderr.contains("at=\"<input>:1\" n=1"), "{}", ended.stderr);
    assert_eq!(repl(&["--allow", "nonsense"], "1\n").code(), 4);
}

#[test]
fn files_of_the_folder_can_be_loaded() {
    let folder = folder();
    std::fs::write(folder.join("a.star"), "def twice(x):\n    return 2 * x\n").unwrap();
    let ended =
        Starcell::command(&folder, &["repl"], "load(\"a.star\", \"twice\")\ntwice(21)\nload(\"b.star\", \"x\")\n");
    assert_eq!(ended.stdout, "42\n");
    assert!(ended.stderr.contains("cannot load \"b.star\": there is no such file"), "{}", ended.stderr);
}

/// A session forks like a script: what it has defined so far answers.
#[test]
fn a_session_can_serve() {
    let mut command = Command::new(binary());
    command.args(["repl", "--allow-local"]);
    let input =
        "n = 7\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: \"n is %d\" % n)\nsrv.serve()\n\"stopped\"\n";
    let mut session = Starcell::fed(command, input);
    session.wait_for("serving <input> on");
    assert_eq!(get(session.port(), "/").text(), "n is 7");
    session.signal("INT");
    let ended = session.wait();
    assert_eq!((ended.code(), ended.stdout.lines().last()), (0, Some("\"stopped\"")), "{}", ended.output);
}

#[test]
fn a_running_input_can_be_given_up() {
    let mut command = Command::new(binary());
    command.arg("repl");
    let mut session = Starcell::fed(command, "print(\"waiting\") or time.sleep(\"1h\")\n1 + 1\n");
    session.wait_for("waiting");
    session.signal("INT");
    session.wait_for("interrupted; a new session has begun");
    let ended = session.wait();
    assert_eq!(ended.stdout, "waiting\n2\n", "{}", ended.output);
}

/// Types into a terminal: completion of names, blocks, history, and giving up what is typed or runs.
const TYPIST: &str = r#"
import os, pty, select, sys, time
binary, state = sys.argv[1:]
os.environ.update(XDG_STATE_HOME=state, TERM="xterm")
process, terminal = pty.fork()
if process == 0:
    os.execv(binary, [binary, "repl"])
seen = b""
def until(text):
    global seen
    end = time.time() + 30
    while text not in seen:
        if time.time() > end or not select.select([terminal], [], [], 30)[0]:
            sys.exit("no %r in %r" % (text, seen))
        seen += os.read(terminal, 65536)
    seen = seen.split(text, 1)[1]
def type_(keys, *texts):
    os.write(terminal, keys)
    for text in texts:
        until(text)
until(b"Ctrl-D ends.")
until(b">>> ")
type_(b"numbers = [1, 2]\r", b">>> ")
type_(b"numb\t + [3]\r", b"[1, 2, 3]", b">>> ")
type_(b"json.enc\t([None])\r", b'"[null]"', b">>> ")
type_(b"def f():\r", b"... ")
type_(b"\treturn 6 + 1\r", b"... ")
type_(b"\r", b">>> ")
type_(b"f()\r", b"7", b">>> ")
type_(b"\x1b[A\x1b[A", b"return 6 + 1")
type_(b"\x03", b">>> ")
type_(b"x = (\r", b"... ")
type_(b"\x03", b">>> ")
type_(b"print('on', 'it') or time.sleep('1h')\r", b"on it")
type_(b"\x03", b"interrupted; a new session has begun", b">>> ")
type_(b".help\r", b"Ctrl-C gives up", b">>> ")
os.write(terminal, b"\x04")
print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
print(open(state + "/starcell/history").read(), end="")
"#;

#[test]
fn a_terminal_has_editing_completion_and_history() {
    let (binary, state) = (binary(), folder());
    let arguments = ["-c", TYPIST, binary.to_str().unwrap(), state.to_str().unwrap()];
    let said = run("/usr/bin/python3", "python3", arguments).well();
    let remembered = [
        "#V2",
        "numbers = [1, 2]",
        "numbers + [3]",
        "json.encode([None])",
        "def f():\\n    return 6 + 1",
        "f()",
        "print('on', 'it') or time.sleep('1h')",
    ];
    let expected: Vec<&str> = ["0"].into_iter().chain(remembered).collect();
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}
