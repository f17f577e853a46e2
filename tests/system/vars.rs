//! `vars` and `args`: values that the command line and the environment give a script.

use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::process::{Ended, Starcell, binary, folder, script};

/// Shows a variable of each kind.
const SHOW: &str = r#"
print(vars.var_str("name", "nobody"), vars.var_int("port", 80), vars.var_bool("debug"), vars.var_float("ratio", 0.5))
print(vars.var_list("hosts"), vars.var_dict("db"), vars.var_str("db.host", "none"))
print(vars.names() == var_names(), vars.names())
"#;

/// Runs a script in a folder with these files and variables of the environment.
fn run(files: &[(&str, &str)], environment: &[(&str, &str)], arguments: &[&str], source: &str) -> Ended {
    let folder = folder();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    std::fs::write(folder.join("app.star"), source).unwrap();
    let mut command = Command::new(binary());
    command.args(arguments).envs(environment.iter().copied()).current_dir(folder);
    Starcell::spawn_command(command).wait()
}

fn printed(files: &[(&str, &str)], environment: &[(&str, &str)], flags: &[&str], source: &str) -> String {
    let ended = run(files, environment, &[&["run", "app.star"], flags].concat(), source);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""), "{flags:?}");
    ended.stdout
}

#[test]
fn flags_files_environment_and_default_come_in_that_order() {
    let toml = ("a.toml", "name = \"file\"\nport = 1\n[db]\nhost = \"a\"\nport = 5\n");
    let yaml = ("b.yaml", "port: 2\ndb:\n  host: b\n");
    let json = ("c.json", "{\"hosts\": [\"x\", {\"y\": 1}], \"ratio\": 2}");
    let environment = [("STARCELL_VAR_NAME", "env"), ("STARCELL_VAR_DEBUG", "true"), ("STARCELL_VAR_DB_HOST", "env")];
    let none = "nobody 80 False 0.5\n[] {} none\nTrue []\n";
    assert_eq!(printed(&[], &[("NAME", "wrong"), ("PORT", "9")], &[], SHOW), none);
    let alone = "env 80 True 0.5\n[] {} env\nTrue [\"db_host\", \"debug\", \"name\"]\n";
    assert_eq!(printed(&[], &environment, &[], SHOW), alone);
    let files = ["--var-file", "a.toml", "--var-file", "b.yaml", "--var-file", "c.json"];
    let of_files = "file 2 True 2.0\n[\"x\", {\"y\": 1}] {\"host\": \"b\", \"port\": 5} b\n\
                    True [\"db\", \"db.host\", \"db.port\", \"debug\", \"hosts\", \"name\", \"port\", \"ratio\"]\n";
    assert_eq!(printed(&[toml, yaml, json], &environment, &files, SHOW), of_files);
    let flags = ["--var", "name=flag", "--var", "port=7", "--var", "port=8", "--var", "db.host=c", "--var", "hosts=[]"];
    let all = printed(&[toml, yaml, json], &environment, &[&flags[..], &files].concat(), SHOW);
    assert!(all.starts_with("flag 8 True 2.0\n[] {\"host\": \"c\", \"port\": 5} c\n"), "{all}");
}

#[test]
fn no_other_variable_of_the_environment_can_be_read() {
    let source = "print([var_str(n) for n in ['PATH', 'HOME', 'SECRET', '../SECRET', 'STARCELL_VARSECRET', 'x=y']])";
    let environment = [("SECRET", "hidden"), ("STARCELL_VARSECRET", "hidden"), ("starcell_var_secret", "hidden")];
    let ended = run(&[], &environment, &["run", "app.star", "--allow-all"], source);
    assert_eq!(
        (ended.code(), ended.stdout.as_str()),
        (0, "[\"\", \"\", \"\", \"\", \"\", \"\"]\n"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_wrong_value_is_an_error_that_names_it_and_its_origin() {
    let file = ("a.toml", "port = \"http\"\nname = 5\n");
    for (flags, environment, call, message) in [
        (
            &["--var", "port=http"][..],
            &[][..],
            "var_int('port')",
            "the variable \"port\" must be an int, got \"http\" from --var",
        ),
        (&["--var-file", "a.toml"], &[], "var_int('port')", "must be an int, got \"http\" from a.toml"),
        (
            &["--var-file", "a.toml"],
            &[],
            "vars.var_str('name')",
            "the variable \"name\" must be a str, got 5 from a.toml",
        ),
        (&[], &[("STARCELL_VAR_PORT", "http")], "var_int('port')", "got \"http\" from STARCELL_VAR_PORT"),
        (
            &["--var", "on=maybe"],
            &[],
            "var_bool('on')",
            "the variable \"on\" must be true, false, 1 or 0, got \"maybe\"",
        ),
        (&["--var", "l=a,b"], &[], "var_list('l')", "must be a list, in JSON such as [\"a\", \"b\"], got \"a,b\""),
    ] {
        let ended = run(&[file], environment, &[&["run", "app.star"], flags].concat(), call);
        assert_eq!(ended.code(), 1, "{call}: {}", ended.output);
        assert!(ended.stderr.contains(message), "{call}: {}", ended.stderr);
    }
}

#[test]
fn wrong_flags_and_files_are_2() {
    let files = [
        ("app_test.star", "def test_it(t):\n    print('it ran')\n"),
        ("a.txt", "a = 1"),
        ("broken.toml", "a = 1\nb = \n"),
        ("broken.json", "{\"a\": 1,\n \"b\"}"),
        ("broken.yaml", "a: [1\n"),
        ("list.json", "[1]"),
        ("large.json", &format!("{{\"a\": \"{}\"}}", "x".repeat(1 << 20))),
    ];
    for (flags, message) in [
        (&["--var", "port"][..], "write NAME=VALUE"),
        (&["--var", "=1"], "the name before = is missing"),
        (&["--var"], "a value is required"),
        (&["--var-file", "none.toml"], "starcell: --var-file: cannot read none.toml: "),
        (&["--var-file", "."], "--var-file: .: a file of variables ends in .toml, .json, .yaml or .yml"),
        (&["--var-file", "a.txt"], "--var-file: a.txt: a file of variables ends in"),
        (&["--var-file", "broken.toml"], "--var-file: broken.toml: line 2"),
        (&["--var-file", "broken.json"], "--var-file: broken.json: line 2"),
        (&["--var-file", "broken.yaml"], "--var-file: broken.yaml: line"),
        (&["--var-file", "list.json"], "--var-file: list.json: a file of variables has names and values"),
        (&["--var-file", "large.json"], "--var-file: large.json: it has more than 1048576 bytes"),
    ] {
        for command in [&["run", "app.star"][..], &["test"], &["repl"]] {
            let ended = run(&files, &[], &[command, flags].concat(), "print('it ran')\n");
            assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{command:?} {flags:?}: {}", ended.output);
            assert!(ended.stderr.contains(message), "{command:?} {flags:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn handlers_read_them_and_so_does_a_version_that_takes_over() {
    let source =
        "srv = http.server()\nsrv.handle('GET /', lambda req: [var_str('a'), var_int('b.c'), args])\nsrv.serve()\n";
    for forks in [&[][..], &["--fresh"], &["--compare-every", "1"]] {
        let flags = [&["--var", "a=x", "--var", "b.c=7"][..], forks].concat();
        let folder = folder();
        std::fs::write(folder.join("app.star"), source).unwrap();
        let mut command = Command::new(binary());
        command.args(["run", "--allow-local", "--port", "0"]).args(flags).args(["app.star", "--", "one", "--two"]);
        let mut starcell = Starcell::spawn_command({
            command.current_dir(folder);
            command
        });
        assert!(starcell.serves());
        for _ in 0..3 {
            assert_eq!(get(starcell.port(), "/").text(), r#"["x",7,["one","--two"]]"#);
        }
        assert_eq!(starcell.stop().code(), 0);
    }
}

#[test]
fn tests_and_sessions_have_variables_and_no_arguments() {
    let tests = "def test_it(t):\n    assert_eq(var_str('a'), 'x')\n    assert_eq(args, [])\n    assert_eq(t.get('/').body, 'x')\n";
    let app = "srv = http.server()\nsrv.handle('GET /', lambda req: var_str('a'))\nsrv.serve()\n";
    let ended = run(&[("app_test.star", tests)], &[], &["test", "--var", "a=x"], app);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("1 passed, 0 failed\n"), "{}", ended.stdout);
    let folder = folder();
    let ended = Starcell::command(&folder, &["repl", "--var", "a=x"], "var_str('a')\nargs\nvars.names()\n");
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "\"x\"\n[]\n[\"a\"]\n"), "{}", ended.stderr);
}

#[test]
fn check_knows_the_names() {
    let source = "print(vars.var_str('a'), var_int('b', 1), var_names(), args[0].upper() if args else '')\n";
    let ended = Starcell::command(&folder(), &["check", script(source).to_str().unwrap()], "");
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let ended = Starcell::command(&folder(), &["check", script("vars.var_text('a')\n").to_str().unwrap()], "");
    assert_eq!(ended.code(), 1, "{}", ended.output);
    assert!(ended.output.contains("var_text"), "{}", ended.output);
}

#[test]
fn arguments_are_those_behind_two_dashes() {
    let source = "print(args)\n";
    for (arguments, expected) in
        [(&[][..], "[]\n"), (&["--"], "[]\n"), (&["--", "a b", "--port", "é"], "[\"a b\", \"--port\", \"é\"]\n")]
    {
        let ended = run(&[], &[], &[&["run", "app.star"], arguments].concat(), source);
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, expected), "{}", ended.stderr);
    }
    let ended = run(&[], &[], &["run", "app.star", "stray"], source);
    assert_eq!((ended.code(), ended.stdout.as_str()), (2, ""), "{}", ended.stderr);
    let ended = run(&[], &[], &["run", "app.star", "--", "a"], "args.append('b')\n");
    assert_eq!(ended.code(), 1, "{}", ended.output);
}
