//! Programs: what each function does, and everything a program and whoever names one cannot do.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use starcell_tests::client::Client;
use starcell_tests::log::lines;
use starcell_tests::process::{Starcell, binary, folder, script};

/// An executable file.
fn program(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// What a script printed that may run programs of its folder, and read and write there.
fn run(folder: &Path, source: &str) -> String {
    let ended = Starcell::run_in(folder, &["--allow-local"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

/// The same, and how each of its calls ended in the log.
fn run_recorded(folder: &Path, source: &str) -> (String, Vec<String>) {
    let log = folder.join("audit.jsonl");
    // A log for each run.
    let _ = fs::remove_file(&log);
    let ended = Starcell::run_in(folder, &["--allow-local", "--audit", "audit.jsonl"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let outcomes = lines(&log, "outcome").into_iter().map(|line| line["outcome"].as_str().unwrap().to_owned());
    (ended.stdout, outcomes.collect())
}

#[test]
fn each_function_does_what_it_says() {
    let folder = folder();
    program(
        &folder,
        "show",
        // No pipe: its first command may end while the second is made, which no machine under load stands (docs/confinement.md).
        "#!/bin/sh\nprintf '%s|' \"$@\"; pwd; cat; echo \"$A\" >&2; env; exit ${CODE:-0}\n",
    );
    fs::create_dir(folder.join("sub")).unwrap();
    let source = r#"
print(os.exec(["./show", "a b", "", "$HOME", "*"], env={}))
print(os.exec("./show 'c d' e\\ f \"$X;id\" >g", env={}, cwd="sub", stdin="in\n"))
r = os.try_exec("./show", env={"A": "err", "CODE": "3"})
print(r.ok, r.value.code, r.value.stderr, r.error)
print(type(os.try_exec(["./show"], stdin=b"\xff", env={}).value.stdout))
print(os.exec("./show"))
"#;
    let ended = Starcell::run_in(&folder, &["--allow-local", "--env", "A", "--env", "CODE"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let out = ended.stdout;
    let cwd = folder.display();
    let pwd = |path: &str| format!("PWD={cwd}{path}\n");
    // The shell itself sets PWD.
    assert!(out.starts_with(&format!("a b||$HOME|*|{cwd}\n{}", pwd(""))), "{out}");
    assert!(out.contains(&format!("c d|e f|$X;id|>g|{cwd}/sub\nin\n{}", pwd("/sub"))), "{out}");
    assert!(out.contains("False 3 err\n command failed (exit code 3): err\n"), "{out}");
    assert!(out.contains("\nbytes\n"), "{out}");
    let last = out.rsplit_once(&format!("|{cwd}\n")).unwrap().1;
    let mut variables: Vec<&str> = last.lines().filter(|line| !line.is_empty()).collect();
    variables.sort_unstable();
    assert_eq!(variables, ["LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin", pwd("").trim_end()]);
}

#[test]
fn a_failing_program_is_an_error_with_its_words() {
    let folder = folder();
    program(&folder, "fail", "#!/bin/sh\necho 'no luck' >&2; exit 7\n");
    let ended = Starcell::run_in(&folder, &["--allow-local"], "\nos.exec(\"./fail\")\n");
    assert_eq!(ended.code(), 1);
    assert!(ended.stderr.contains("error: os.exec: command failed (exit code 7): no luck\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains(".star:2:1\n"), "{}", ended.stderr);
    program(&folder, "die", "#!/bin/sh\nkill -9 $$\n");
    assert_eq!(
        run(&folder, "r = os.try_exec(\"./die\")\nprint(r.value.code, r.error)\n"),
        "-9 command failed (signal 9): \n"
    );
}

#[test]
fn the_environment_is_asked_for_by_name() {
    let mut command = Command::new(binary());
    command.args(["run", "--allow", "os.env(APP_*)"]).env("APP_NAME", "cell").env("SECRET", "s");
    command.arg(script("print(os.env(\"APP_NAME\"), os.env(\"APP_NONE\"), os.env(\"APP_NONE\", 1))\nprint(os.try_env(\"SECRET\").error)\nprint(os.try_env(\"A=B\").error)\n"));
    let ended = Starcell::spawn_command(command).wait();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "cell None 1", "{}", ended.output);
    assert!(
        lines[1].starts_with("permission denied: os.env(\"SECRET\"): not granted by deny-all; granted from allow-all")
    );
    assert!(lines[2].starts_with("os.env(\"A=B\"): an environment variable is named by"), "{}", lines[2]);
}

/// The name of the machine is the variable HOSTNAME, which the operator may give another value; where the script runs is
/// read like any path.
#[test]
fn the_machine_and_the_working_directory_are_told_to_whom_they_are_granted() {
    let source = "print(os.try_hostname().error)\nprint(os.try_cwd().error)\n";
    let ended = Starcell::run(&[], &script(source));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(lines[0].starts_with("permission denied: os.env(\"HOSTNAME\"): not granted by deny-all"), "{}", lines[0]);
    assert!(lines[1].starts_with("permission denied: fs.read(\"/"), "{}", lines[1]);
    let folder = folder();
    let source = "print(hostname(), cwd(), fs.path(\"a/../b\").resolve())\n";
    let ended = Starcell::run_in(&folder, &["--allow-fs", "--env", "HOSTNAME=web-1"], source);
    let here = folder.display().to_string();
    assert_eq!(ended.stdout, format!("web-1 {here} {here}/b\n"), "{}", ended.output);
    let ended = Starcell::run(&["--allow-all"], &script("print(os.hostname() != \"\")\n"));
    assert_eq!(ended.stdout, "True\n", "{}", ended.output);
}

#[test]
fn which_finds_only_what_may_run() {
    let folder = folder();
    program(&folder, "tool", "#!/bin/sh\n");
    fs::write(folder.join("data"), "").unwrap();
    let path = format!("/nonexistent:{}:/usr/bin:/bin", folder.display());
    let which = |arguments: &[&str], name: &str| {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).env("PATH", &path).current_dir(&folder);
        command.arg(script(&format!("r = os.try_which(\"{name}\")\nprint(r.value, r.error)\n")));
        Starcell::spawn_command(command).wait().stdout
    };
    assert_eq!(which(&["--allow-local"], "tool"), format!("{}/tool None\n", folder.display()));
    assert_eq!(which(&["--allow-local"], "./tool"), format!("{}/tool None\n", folder.display()));
    for absent in ["data", "none", "sh"] {
        assert_eq!(which(&["--allow-local"], absent), "None None\n", "{absent}");
    }
    assert!(which(&["--allow-all"], "sh").ends_with("bin/sh None\n"));
    // A script that may run nothing finds nothing.
    assert_eq!(which(&[], "sh"), "None None\n");
}

/// Where a command ends that runs nothing.
enum By {
    /// Granted, and the system would not. The log has it with its outcome.
    Failed,
    /// A wrong argument, which never leaves the guest.
    Guest,
    /// Refused by the host. The log has it.
    Refused,
}

/// Each refused, each with its reason, and none of them runs anything.
#[test]
fn the_attack_table() {
    use By::{Failed, Guest, Refused};
    let folder = folder();
    program(&folder, "tool", "#!/bin/sh\ntouch ran\n");
    symlink("/bin/sh", folder.join("link")).unwrap();
    symlink("/bin", folder.join("bin")).unwrap();
    fs::write(folder.join("data"), "#!/bin/sh\ntouch ran\n").unwrap();
    let table = [
        (
            Refused,
            "\"tool\"",
            "a program is named by its path, never looked up in PATH; os.which(\"tool\") may tell its path",
        ),
        (Refused, "\"sh -c id\"", "a program is named by its path, never looked up in PATH"),
        (Refused, "\"/bin/sh -c id\"", "permission denied: os.exec(\"/bin/sh\")"),
        (Refused, "[\"./../../bin/sh\"]", "permission denied: os.exec(\""),
        (Refused, "[\"./link\"]", "permission denied: os.exec(\"/bin/sh\")"),
        (Refused, "[\"bin/sh\"]", "permission denied: os.exec(\"/bin/sh\")"),
        (Refused, "[\"/proc/self/exe\"]", "permission denied: os.exec(\"/proc/self/exe\"): the file is the host's"),
        (Failed, "[\"./data\"]", "os.exec(\"./data\"): permission denied"),
        (Failed, "[\"./none\"]", "os.exec(\"./none\"): no such file or directory"),
        (Refused, "[\".\"]", "a program is named by its path"),
        (Refused, "[\"./\"]", "permission denied: os.exec(\""),
        (Refused, "[\"./tool\\0x\"]", "NUL byte"),
        (Refused, "[\"./tool\", \"a\\0b\"]", "NUL byte"),
        (Refused, "[\"./tool%00\"]", "percent-encoded"),
        (Guest, "[\"\"]", "cmd is empty"),
        (Guest, "\"\"", "cmd is empty"),
        (Guest, "\"./tool 'x\"", "cmd has a quote without an end"),
        (Guest, "[\"./tool\", 1]", "cmd must be a list of str, or a str"),
        (Guest, "[\"./tool\"] + [\"x\"] * 1000000", "os.exec: cmd has 1000001 words, more than 4096"),
        (Refused, "[\"./tool\", \"x\" * 300000]", "more than 4096 arguments and variables, or 256 KiB of them"),
        (Refused, "[\"./tool\"], env={\"LD_PRELOAD\": \"/tmp/x.so\"}", "LD_PRELOAD cannot be set"),
        (Refused, "[\"./tool\"], env={\"LD_LIBRARY_PATH\": \"/tmp\"}", "LD_LIBRARY_PATH cannot be set"),
        (Refused, "[\"./tool\"], env={\"DYLD_INSERT_LIBRARIES\": \"x\"}", "DYLD_INSERT_LIBRARIES cannot be set"),
        (Refused, "[\"./tool\"], env={\"A=B\": \"x\"}", "\"A=B\" cannot name a variable"),
        (Refused, "[\"./tool\"], env={\"BASH_ENV\": \"x\"}", "BASH_ENV cannot be set: a script may set LANG"),
        (Refused, "[\"./tool\"], env={\"PATH\": \".\"}", "PATH cannot be set: programs find others"),
        (Guest, "[\"./tool\"], env={\"A\": 1}", "env must be a dict of str and str"),
        (Failed, "[\"./tool\"], cwd=\"none\"", "no such file or directory"),
        (Failed, "[\"./tool\"], cwd=\"data\"", "not a directory"),
        (Guest, "[\"./tool\"], timeout=\"5\"", "timeout must be a duration"),
        (
            Guest,
            "[\"./tool\"], shell=True",
            "unknown argument shell, accepted: cmd, args, env, cwd, stdin, input, timeout",
        ),
    ];
    let source: String =
        table.iter().map(|(_, arguments, _)| format!("print(os.try_exec({arguments}).error)\n")).collect();
    let ended = Starcell::run_in(&folder, &["--allow-local", "--audit", "audit.jsonl"], &source);
    let log = folder.join("audit.jsonl");
    assert_eq!(ended.stdout.lines().count(), table.len(), "{}", ended.output);
    let (calls, outcomes) = (lines(&log, "call"), lines(&log, "outcome"));
    for (at, (line, (by, arguments, error))) in ended.stdout.lines().zip(table).enumerate() {
        assert!(line.contains(error), "{arguments}: {line}");
        let last = calls.iter().rfind(|call| call["line"] == at + 1);
        let decision = last.map(|call| call["decision"].as_str().unwrap());
        let outcome = last.and_then(|call| outcomes.iter().find(|outcome| outcome["id"] == call["id"]));
        let outcome = outcome.map(|outcome| outcome["outcome"].as_str().unwrap());
        let expected = match by {
            Failed => (Some("allow"), Some("error")),
            Guest => (None, None),
            Refused => (Some("deny"), None),
        };
        assert_eq!((decision, outcome), expected, "{arguments} in the log: {last:?}");
    }
    assert!(!folder.join("ran").exists());
    // A folder to run in is judged like one to read.
    let rules = ["--allow", "os.exec($CWD/tool)"];
    let ended = Starcell::run_in(&folder, &rules, "print(os.try_exec(\"./tool\", cwd=\"/etc\").error)\n");
    assert!(ended.stdout.starts_with("permission denied: fs.read(\"/etc\")"), "{}", ended.output);
}

/// A newline or a dash is data; nothing of an argument is looked at.
#[test]
fn arguments_are_data() {
    let folder = folder();
    program(&folder, "count", "#!/bin/sh\necho $#; printf '<%s>' \"$@\"\n");
    let source = "print(os.exec([\"./count\", \"a\\nb\", \"--\", \"-rf\", \"$(id)\", \"`id`\", \"ü\"]))\n";
    assert_eq!(run(&folder, source), "6\n<a\nb><--><-rf><$(id)><`id`><ü>\n");
}

#[test]
fn a_program_inherits_no_descriptor() {
    let folder = folder();
    fs::write(folder.join("secret"), "secret").unwrap();
    program(&folder, "look", "#!/bin/sh\nls -l /proc/self/fd | grep -c secret\nls /proc/self/fd | wc -l\n");
    let secret = fs::File::open(folder.join("secret")).unwrap();
    // A shell hands on a descriptor that is not marked close-on-exec, as a careless parent would.
    let mut command = Command::new("sh");
    command.args(["-c", "exec 9<secret; exec \"$@\"", "sh"]).arg(binary()).args(["run", "--allow-local"]);
    command
        .arg(script("r = os.try_exec(\"./look\")\nprint(r.value.stdout if r.value else r.error)\n"))
        .current_dir(&folder);
    let ended = Starcell::spawn_command(command).wait();
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "0", "{}", ended.output);
    // The three streams, the folder that ls reads, and the handle of the script that the shell reads.
    assert!(lines[1].parse::<u32>().unwrap() <= 5, "{}", ended.output);
    assert!(secret.as_raw_fd() > 2);
}

/// Processes whose command line holds a text.
fn alive(text: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    processes.filter(|line| line.contains(text)).count()
}

fn wait_until_dead(text: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while alive(text) > 0 {
        assert!(Instant::now() < deadline, "{text} is still alive");
        std::thread::yield_now();
    }
}

/// At the deadline everything a program started dies, also what wants to leave its group.
#[test]
fn a_deadline_kills_the_whole_family() {
    let folder = folder();
    let mark = format!("31.{}7", std::process::id());
    for (name, start) in [
        ("plain", format!("sleep {mark}")),
        ("background", format!("sleep {mark} & sleep {mark} & wait")),
        ("deaf", format!("trap '' TERM HUP INT; sleep {mark}")),
        ("session", format!("setsid sleep {mark} & setsid setsid sleep {mark}; sleep {mark}")),
        ("double", format!("( ( sleep {mark} & ) & ); sleep {mark}")),
    ] {
        program(&folder, name, &format!("#!/bin/sh\n{start}\n"));
        let began = Instant::now();
        let source = format!("print(os.try_exec(\"./{name}\", timeout=\"300ms\").error)\n");
        let (out, outcomes) = run_recorded(&folder, &source);
        assert_eq!(outcomes, ["error"], "{name}");
        assert_eq!(out, format!("os.exec(\"./{name}\"): killed: it took longer than 0.3 s\n"), "{name}");
        assert!(began.elapsed() < Duration::from_secs(20));
        wait_until_dead(&format!("sleep {mark}"));
    }
}

/// What a program leaves running when it ends does not outlive the call.
#[test]
fn nothing_is_left_behind() {
    let folder = folder();
    let mark = format!("32.{}7", std::process::id());
    program(&folder, "leave", &format!("#!/bin/sh\nsleep {mark} &\nnohup sleep {mark} >/dev/null 2>&1 &\necho left\n"));
    assert_eq!(run(&folder, "print(os.exec(\"./leave\"))\n"), "left\n\n");
    wait_until_dead(&format!("sleep {mark}"));
}

/// The request's own deadline, and a client's that goes away, end the program too.
#[test]
fn a_request_takes_its_program_with_it() {
    let folder = folder();
    let mark = format!("33.{}7", std::process::id());
    program(&folder, "slow", &format!("#!/bin/sh\nsleep {mark}\n"));
    let source = "http.serve({\"GET /\": lambda req: os.exec(\"./slow\")})\n";
    let arguments = ["--allow-local", "--port", "0", "--request-time", "500ms"];
    let mut starcell = Starcell::spawn_in(&folder, &arguments, source);
    starcell.wait_for("serving ");
    let response = Client::connect(starcell.port()).get("/");
    assert!(response.status >= 500, "{}", response.status);
    wait_until_dead(&format!("sleep {mark}"));
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_fork_bomb_ends_with_its_deadline() {
    let folder = folder();
    let mark = format!("bomb{}", std::process::id());
    let bomb = format!(
        "#!/bin/sh\n# {mark}\nn=0\nwhile [ $n -lt 200 ]; do ( while :; do :; done ) & n=$((n+1)); done\nwait\n"
    );
    program(&folder, &mark, &bomb);
    let source = format!("print(os.try_exec(\"./{mark}\", timeout=\"1s\").error)\n");
    let (out, outcomes) = run_recorded(&folder, &source);
    assert_eq!(outcomes, ["error"]);
    assert!(out.contains("killed: it took longer than 1 s"), "{out}");
    wait_until_dead(&mark);
}

#[test]
fn output_is_bounded() {
    let folder = folder();
    program(&folder, "flood", "#!/bin/sh\ncat /dev/zero\n");
    program(&folder, "errors", "#!/bin/sh\ncat /dev/zero >&2\n");
    program(&folder, "ignore", "#!/bin/sh\nexit 0\n");
    let source = "print(os.try_exec(\"./flood\").error)\nprint(os.try_exec(\"./errors\").error)\n\
                  print(os.try_exec(\"./ignore\", stdin=\"x\" * 1000000).ok)\n";
    let killed = |name: &str| format!("os.exec(\"./{name}\"): killed: it wrote more than 16 MiB\n");
    let (out, outcomes) = run_recorded(&folder, source);
    assert_eq!(out, format!("{}{}True\n", killed("flood"), killed("errors")));
    assert_eq!(outcomes, ["error", "error", "ok"]);
}

/// A program reaches no further than the script.
#[test]
fn a_program_cannot_write_where_its_script_cannot() {
    let folder = folder();
    let neighbour = starcell_tests::process::folder();
    fs::write(neighbour.join("file"), "kept").unwrap();
    let other = neighbour.display();
    program(
        &folder,
        "write",
        &format!(
            "#!/bin/sh\necho own > own.txt && echo wrote\necho x > {other}/file; rm {other}/file; echo x > {other}/new\ncat {other}/file\n"
        ),
    );
    let out = run(&folder, "r = os.try_exec(\"./write\")\nprint(r.value.stdout, r.value.stderr)\n");
    assert!(out.starts_with("wrote\n"), "{out}");
    assert_eq!(fs::read_to_string(folder.join("own.txt")).unwrap(), "own\n");
    assert_eq!(fs::read_to_string(neighbour.join("file")).unwrap(), "kept");
    assert_eq!(fs::read_dir(&neighbour).unwrap().count(), 1);
    // What it may read is what the script may read.
    assert!(!out.contains("kept"), "{out}");
    let all =
        Starcell::run_in(&folder, &["--allow-all"], &format!("print(os.exec([\"/bin/cat\", \"{other}/file\"]))\n"));
    assert_eq!(all.stdout, "kept\n", "{}", all.output);
    let rules = ["--allow", "os.exec($CWD/write)"];
    let ended = Starcell::run_in(&folder, &rules, "print(os.try_exec(\"./write\").value.stdout)\n");
    assert_eq!(ended.stdout, "\n", "{}", ended.output);
}

#[test]
fn time_sleep_waits_and_ends_with_its_request() {
    let source =
        "def nap(req):\n    time.sleep(req.query[\"t\"])\n    return \"rested\"\nhttp.serve({\"GET /\": nap})\n";
    let starcell = Starcell::serve(&["--request-time", "2s", "--request-cpu", "50ms"], &script(source));
    let began = Instant::now();
    assert_eq!(Client::connect(starcell.port()).get("/?t=200ms").text(), "rested");
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(Client::connect(starcell.port()).get("/?t=1h").status >= 500);
    assert_eq!(Client::connect(starcell.port()).get("/?t=x").status, 500);
}
