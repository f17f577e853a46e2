//! What a profile grants: under deny-all a script stops at the call that would serve, with the denial and its place, and
//! no socket is ever opened; a rule or a higher profile lets it through; a deny rule wins.

use std::collections::HashSet;
use std::fs;
use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::process::{Starcell, binary, fixture, script};

const DENIAL: &str = "permission denied: http.server(\"127.0.0.1:8080\"): not granted by deny-all; \
                      granted from allow-local, or by the rule http.server(127.0.0.1:8080)";

#[test]
fn deny_all_stops_at_the_serve_call() {
    let hello = fixture("hello.star");
    let file = hello.display();
    for arguments in [&[][..], &["--deny-all"], &["--permissions", "deny-all"], &["--permissions=deny-all"]] {
        let ended = Starcell::run(arguments, &hello);
        assert_eq!(ended.code(), 5, "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains(&format!("error: {DENIAL}\n")), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!(" --> {file}:6:1\n")), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[test]
fn the_profiles_below_allow_local_do_not_serve() {
    for profile in ["allow-fs", "allow-net"] {
        let ended = Starcell::run(&["--permissions", profile, "--port", "8080"], &fixture("routes.star"));
        assert_eq!(ended.code(), 5, "{}", ended.output);
        assert!(ended.stderr.contains(&DENIAL.replace("by deny-all", &format!("by {profile}"))), "{}", ended.stderr);
    }
}

#[test]
fn every_way_to_serve_is_stopped_and_code_before_it_runs() {
    for (call, line) in [("srv.serve(port=8080)", 5), ("srv.start(port=8080)", 5), ("http.serve(h, port=8080)", 5)] {
        let source = format!(
            "h = lambda req: None\nsrv = http.server()\nsrv.handle(\"/\", h)\nprint(\"set up\")\n{call}\nprint(\"below\")\n"
        );
        let path = script(&source);
        let ended = Starcell::run(&[], &path);
        assert_eq!(ended.code(), 5, "{call}: {}", ended.output);
        assert_eq!(ended.stdout, "set up\n", "{call}");
        assert!(ended.stderr.contains(DENIAL), "{call}: {}", ended.stderr);
        assert!(ended.stderr.contains(&format!("{}:{line}:1", path.display())), "{call}: {}", ended.stderr);
    }
}

/// Goes on, and tells so, after being denied; `PLACE` is where the script says what it got.
const PERSISTENT: &str = r#"
srv = http.server()
srv.handle("GET /", lambda req: "served")
for attempt in [lambda: srv.try_start(port=8080), lambda: http.try_serve(lambda req: None, port=8080)]:
    result = attempt()
    print(result.ok, bool(result), result.value, result.error)
for i in range(1000000000):
    if i % 1000000 == 0:
        print("still running")
"#;

#[test]
fn a_denial_can_be_caught() {
    let source = PERSISTENT.replace("1000000000", "1");
    let ended = Starcell::run(&[], &script(&source));
    let line = format!("False False None {DENIAL}\n");
    assert_eq!((ended.code(), ended.stdout), (0, format!("{line}{line}still running\n")));
    assert_eq!(ended.stderr, "");
}

#[test]
fn no_socket_is_open_while_a_denied_script_runs() {
    let mut denied = Starcell::spawn(&["--setup-cpu", "60s"], &script(PERSISTENT));
    denied.wait_for("still running");
    assert_eq!(sockets(denied.id()), 0);
    denied.signal("KILL");

    // The same look finds the socket of a script that may serve.
    let served = Starcell::serve(&[], &fixture("hello.star"));
    assert_eq!(sockets(served.id()), 1);
}

/// The network sockets that a process holds open.
fn sockets(process: u32) -> usize {
    let links =
        fs::read_dir(format!("/proc/{process}/fd")).unwrap().filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let held: HashSet<String> =
        links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect();
    let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"].map(|table| format!("/proc/{process}/net/{table}"));
    let rows = tables.iter().filter_map(|table| fs::read_to_string(table).ok()).collect::<String>();
    rows.lines().filter(|row| row.split_whitespace().nth(9).is_some_and(|inode| held.contains(inode))).count()
}

#[test]
fn no_socket_is_ever_opened() {
    let source = "srv = http.server()\nsrv.handle(\"/\", lambda req: None)\nsrv.start(port=0)\nsrv.shutdown()\n";
    let path = script(source);
    let Some(allowed) = network_calls(&["--allow-local"], &path) else {
        // Without strace, or where it may not trace, the look at the open sockets above has to do.
        return no_socket_is_open_while_a_denied_script_runs();
    };
    let opens = |calls: &str| calls.lines().filter(|call| call.contains("AF_INET")).count();
    assert!(opens(&allowed) > 0 && allowed.contains("listen("), "a script that may serve: {allowed}");
    let denied = network_calls(&[], &path).expect("it traced before");
    assert_eq!(opens(&denied), 0, "{denied}");
    for call in [" bind(", " listen(", " connect(", " accept"] {
        assert!(!denied.contains(call), "{denied}");
    }
}

/// The system calls about the network that a run makes, as strace sees them.
fn network_calls(arguments: &[&str], path: &std::path::Path) -> Option<String> {
    let trace = path.with_extension(format!("{}.trace", arguments.len()));
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o"]).arg(&trace);
    command.arg(binary()).arg("run").args(arguments).arg(path).env_remove("RUST_BACKTRACE");
    let output = command.output().ok()?;
    fs::read_to_string(trace).ok().filter(|_| matches!(output.status.code(), Some(0 | 5)))
}

#[test]
fn profiles_and_rules_that_grant() {
    for arguments in [
        &["--allow-local"][..],
        &["--allow-all"],
        &["--permissions", "allow-local"],
        &["--allow", "http.server"],
        &["--allow", "http.server(127.0.0.1:0)"],
        &["--allow", "http.server(localhost:*)"],
        &["--allow-fs", "--allow", "http.*"],
        &["--allow", "os.env", "--allow", "http.server(127.0.0.1)"],
    ] {
        let arguments = [arguments, &["--port", "0"]].concat();
        let mut starcell = Starcell::spawn(&arguments, &fixture("hello.star"));
        let line = starcell.wait_for("serving ");
        assert_eq!(get(starcell.port(), "/hello").text(), "Hello, World", "{arguments:?}: {line}");
    }
}

#[test]
fn rules_that_do_not_grant() {
    for arguments in [
        &["--allow", "http.server(127.0.0.1:8081)"][..],
        &["--allow", "http.server(127.0.0.2:8080)"],
        &["--allow", "http.client"],
        &["--allow", "os.*"],
    ] {
        let ended = Starcell::run(arguments, &fixture("hello.star"));
        assert_eq!(ended.code(), 5, "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains(DENIAL), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn deny_wins_over_allow() {
    for (arguments, rule) in [
        (&["--allow-local", "--deny", "http.server(127.0.0.1:8080)"][..], "http.server(127.0.0.1:8080)"),
        (&["--allow-all", "--deny", "http.server"], "http.server"),
        (&["--allow", "http.server(127.0.0.1:8080)", "--deny", "http.*"], "http.*"),
        (&["--deny", "http.server(:8080)", "--allow-all", "--allow", "http.server"], "http.server(:8080)"),
    ] {
        let ended = Starcell::run(arguments, &fixture("hello.star"));
        assert_eq!(ended.code(), 5, "{arguments:?}: {}", ended.output);
        let denial = format!("permission denied: http.server(\"127.0.0.1:8080\"): denied by the rule {rule}\n");
        assert!(ended.stderr.contains(&denial), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_wrong_profile_or_rule_is_a_configuration_error() {
    for (arguments, message) in [
        (
            ["--permissions", "allow-lokal"],
            "unknown profile \"allow-lokal\"; known are deny-all, allow-fs, allow-net, allow-local, allow-all; \
             did you mean `allow-local`?",
        ),
        (
            ["--allow", "http.sever(1)"],
            "--allow: bad rule \"http.sever(1)\" at byte 5: unknown category `sever` of module `http`; \
             did you mean `server`?",
        ),
        (
            ["--deny", "http.server("],
            "--deny: bad rule \"http.server(\" at byte 12: expected `)` at the end of the rule, found the end",
        ),
        (["--allow", ""], "--allow: bad rule \"\" at byte 0: "),
    ] {
        let ended = Starcell::run(&arguments, &fixture("hello.star"));
        assert_eq!(ended.code(), 4, "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.starts_with(&format!("starcell: {message}")), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn two_profiles_are_a_usage_error() {
    for arguments in [&["--allow-fs", "--allow-all"][..], &["--deny-all", "--permissions", "allow-all"]] {
        let ended = Starcell::run(arguments, &fixture("hello.star"));
        assert_eq!(ended.code(), 2, "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains("cannot be used with"), "{}", ended.stderr);
    }
}

#[test]
fn a_file_adds_profiles_and_may_say_which_applies() {
    let folder = starcell_tests::process::folder();
    let file = folder.join("mine.toml");
    fs::write(&file, "[profiles.default]\nallow = [\"fs.read($CWD/**)\"]\n[profiles.more]\nbase = \"allow-fs\"\ndeny = [\"fs.read($CWD/b)\"]\n").unwrap();
    fs::write(folder.join("a"), "a").unwrap();
    fs::write(folder.join("b"), "b").unwrap();
    let source = "print(fs.try_read_text(\"a\").ok, fs.try_read_text(\"b\").ok, fs.try_write_text(\"c\", \"c\").ok)\n";
    let run = |arguments: &[&str]| Starcell::run_in(&folder, arguments, source);
    let config = ["--config", file.to_str().unwrap()];
    assert_eq!(run(&config).stdout, "True True False\n");
    assert_eq!(run(&[&config[..], &["--permissions", "more"]].concat()).stdout, "True False True\n");
    assert_eq!(run(&[&config[..], &["--deny-all"]].concat()).stdout, "False False False\n");
    // A file that merely lies there is not read: it could be a script's own.
    fs::rename(&file, folder.join("starcell.toml")).unwrap();
    assert_eq!(run(&[]).stdout, "False False False\n");
    fs::write(&file, "[profiles.default]\nallow = [\"fs.raed\"]\n").unwrap();
    let ended = run(&config);
    assert_eq!(ended.code(), 4, "{}", ended.output);
    assert!(
        ended
            .stderr
            .ends_with("mine.toml:2:14: bad rule: unknown category `raed` of module `fs`; did you mean `read`?\n"),
        "{}",
        ended.stderr
    );
    assert_eq!(run(&["--config", "/none.toml"]).code(), 4);
}

/// The first rungs reach what the operator named, and nothing else of the operator's.
#[test]
fn files_and_variables_of_the_operator_are_named_or_out_of_reach() {
    let outside = starcell_tests::process::folder();
    fs::write(outside.join("credentials"), "secret").unwrap();
    let folder = starcell_tests::process::folder();
    fs::write(folder.join("own"), "own").unwrap();
    std::os::unix::fs::symlink(outside.join("credentials"), folder.join("link")).unwrap();
    let run = |arguments: &[&str], source: &str| {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).arg(script(source)).current_dir(&folder);
        command.env("DATABASE_URL", "hidden").env("GREETING", "hi");
        Starcell::spawn_command(command).wait()
    };
    let path = outside.join("credentials").display().to_string();
    for profile in ["--allow-fs", "--allow-net", "--allow-local"] {
        for call in [
            format!("fs.read_text({path:?})"),
            "fs.read_text(\"link\")".to_owned(),
            format!("fs.stat({path:?})"),
            format!("fs.exists({path:?})"),
            format!("fs.listdir({:?})", outside.display().to_string()),
            format!("fs.glob({:?})", outside.join("*").display().to_string()),
            "os.env(\"DATABASE_URL\")".to_owned(),
            "os.env(\"HOME\")".to_owned(),
        ] {
            let ended = run(&[profile], &call);
            assert_eq!(ended.code(), 5, "{profile} {call}: {}", ended.output);
            assert!(!ended.output.contains("secret") && !ended.output.contains("hidden"), "{}", ended.output);
        }
        let own =
            "print(fs.read_text(\"own\"), fs.listdir(\".\"), fs.glob(\"o*\"), os.env(\"GREETING\"), os.env(\"NEW\"))";
        let ended = run(&[profile, "--env", "GREETING", "--env", "NEW=a=b"], own);
        let told = "own [\"link\", \"own\"] [\"own\"] hi a=b\n";
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, told), "{}", ended.output);
    }
    for (arguments, code) in [
        (&["--allow-fs", "--allow", "os.env(DATABASE_URL)"][..], 0),
        (&["--allow-all"], 0),
        (&["--env", "DATABASE_URL"], 5),
        (&["--allow-fs", "--env", "DATABASE_URL", "--deny", "os.env"], 5),
        (&["--allow-fs", "--env", "1A"], 4),
    ] {
        assert_eq!(run(arguments, "os.env(\"DATABASE_URL\")").code(), code, "{arguments:?}");
    }
}

#[test]
fn allow_local_serves_on_this_machine_or_where_the_operator_says() {
    let serve = |host: &str| {
        format!(
            "srv = http.server()\nsrv.handle(\"/\", lambda req: \"x\")\nprint(srv.try_start(host={host:?}, port=0).ok)\n"
        )
    };
    for (arguments, host, granted) in [
        (&["--allow-local"][..], "127.0.0.1", true),
        (&["--allow-local"], "127.8.9.10", true),
        (&["--allow-local"], "0.0.0.0", false),
        (&["--allow-local"], "::", false),
        (&["--allow-local", "--host", "0.0.0.0"], "127.0.0.1", true),
        (&["--allow-local", "--host", "0.0.0.0"], "0.0.0.0", true),
        (&["--allow-net", "--host", "127.0.0.1"], "127.0.0.1", false),
        (&["--allow-local", "--deny", "http.server(:*)", "--host", "127.0.0.1"], "127.0.0.1", false),
    ] {
        let ended = Starcell::run(arguments, &script(&serve(host)));
        let told = if granted { "True\n" } else { "False\n" };
        assert!(ended.code() == 0 && ended.stdout.ends_with(told), "{arguments:?} {host}: {}", ended.output);
    }
    assert_eq!(Starcell::run(&["--host", "example.com"], &script("print(1)")).code(), 4);
}
