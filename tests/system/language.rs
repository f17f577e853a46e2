//! What ties a script of several files together, through the real binary: load, folders, errors as values, and tracebacks
//! that lead through files and middleware.

use std::path::PathBuf;
use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::process::{Ended, Starcell, binary, folder};

fn project(files: &[(&str, &str)]) -> PathBuf {
    let folder = folder();
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Runs a folder of files from elsewhere.
fn run(files: &[(&str, &str)]) -> Ended {
    let folder = project(files);
    Starcell::command(folder.parent().unwrap(), &["run", folder.to_str().unwrap()], "")
}

#[test]
fn a_folder_with_main_star_runs_and_its_files_are_found_from_anywhere() {
    let ended = run(&[
        ("main.star", "load('lib/a.star', 'a')\nload('lib/b.star', alias = 'b')\nprint(a(), alias)\n"),
        ("lib/a.star", "load('lib/b.star', 'b')\nprint('a once')\ndef a():\n    return b + 1\n"),
        ("lib/b.star", "print('b once')\nb = 41\n"),
    ]);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "b once\na once\n42 41\n"), "{}", ended.stderr);
}

#[test]
fn a_folder_without_main_star_is_told() {
    let ended = run(&[("other.star", "print(1)\n")]);
    assert_eq!(ended.code(), 2, "{}", ended.output);
    assert!(ended.stderr.contains("main.star: "), "{}", ended.stderr);
}

#[test]
fn what_load_refuses_has_a_place_and_a_path() {
    for (files, code, text) in [
        (
            &[
                ("main.star", "load('a.star', 'x')\n"),
                ("a.star", "load('b.star', 'x')\n"),
                ("b.star", "load('a.star', 'x')\n"),
            ][..],
            3,
            "the files load each other: a.star -> b.star -> a.star",
        ),
        (&[("main.star", "y = 1\nload('../up.star', 'x')\n")], 3, "a path cannot leave the script's folder"),
        (&[("main.star", "load('/etc/passwd', 'x')\n")], 3, "a path is relative to the script's folder"),
        (&[("main.star", "load('none.star', 'x')\n")], 3, "cannot load \"none.star\": there is no such file"),
        (&[("main.star", "load('a.star', '_x')\n"), ("a.star", "_x = 1\n")], 1, "private symbol `_x`"),
        (&[("main.star", "load('a.star', 'x')\n"), ("a.star", "x = 1 +\n")], 3, "a.star:1:"),
        (&[("main.star", "load('a.star', 'x')\n"), ("a.star", "x = 1 // 0\n")], 1, "a.star:1:5"),
        (&[("main.star", "load('a.star', 'x')\nx.append(1)\n"), ("a.star", "x = []\n")], 1, "main.star:2:1"),
    ] {
        let ended = run(files);
        assert!(ended.stderr.contains(text), "{files:?}: {}", ended.stderr);
        assert_eq!(ended.code(), code, "{files:?}: {}", ended.output);
    }
}

#[test]
fn a_link_that_leads_out_of_the_folder_is_not_followed() {
    let folder = project(&[("app/main.star", "load('out.star', 'x')\nprint(x)\n"), ("secret.star", "x = 'secret'\n")]);
    std::os::unix::fs::symlink("../secret.star", folder.join("app/out.star")).unwrap();
    let ended = Starcell::command(&folder, &["run", "app"], "");
    assert_eq!((ended.code(), ended.stdout.as_str()), (3, ""), "{}", ended.output);
    assert!(ended.stderr.contains("a link leads out of the script's folder"), "{}", ended.stderr);
}

#[test]
fn every_failure_can_be_a_value() {
    let source = r#"
for result in [
    json.try_decode("{"),
    kv.try_get("k"),
    fs.try_read_text("/etc/hostname"),
    http.try_get("http://127.0.0.1:1/"),
    http.server().try_start(),
    time.try_parse("date", "x"),
    regexp.try_compile("("),
    json.try_decode("[1]"),
    Result(ok = True, value = 7),
]:
    print(bool(result), type(result), result.value, result.error if not result.ok else None)
"#;
    let ended = run(&[("main.star", source)]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 9, "{}", ended.stdout);
    for (line, text) in [
        (0, "line 1"),
        (1, "permission denied: kv.read(\"k\")"),
        (2, "permission denied: fs.read(\"/etc/hostname\")"),
        (3, "permission denied: http.client"),
        (4, "no handlers registered"),
        (5, "does not match the layout"),
        (6, "regexp.compile"),
    ] {
        assert!(lines[line].starts_with("False Result ") && lines[line].contains(text), "{line}: {}", lines[line]);
    }
    assert_eq!(&lines[7..], ["True Result [1] None", "True Result 7 None"]);
}

/// From the middleware's file through the handler to the file that it loads.
#[test]
fn a_traceback_leads_through_files_and_middleware() {
    let folder = project(&[
        (
            "main.star",
            "load('lib/guard.star', 'guard')\nload('lib/work.star', 'work')\n\ndef handler(req):\n    return str(work(req.query_first('n')))\n\n\
             def older(req, next):\n    return next(req)\n\nsrv = http.server()\nsrv.use(guard)\nsrv.use(older)\n\
             srv.handle('GET /', handler)\nsrv.serve()\n",
        ),
        ("lib/guard.star", "def guard(next):\n    def guarded(req):\n        return next(req)\n    return guarded\n"),
        ("lib/work.star", "def work(n):\n    return 10 // int(n)\n"),
    ]);
    let mut command = Command::new(binary());
    command.args(["run", "--allow-local", "--port", "0", "--dev", "main.star"]).current_dir(&folder);
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    let reply = get(server.port(), "/?n=0");
    assert_eq!(reply.status, 500);
    let text = reply.text();
    let order: Vec<usize> = [
        "* lib/guard.star:3, in guarded",
        "* main.star:8, in older",
        "* main.star:5, in handler",
        "error: Floor division by zero: 10 // 0",
        "--> lib/work.star:2:12",
    ]
    .iter()
    .map(|part| text.find(part).unwrap_or_else(|| panic!("{part}\nin\n{text}")))
    .collect();
    assert!(order.is_sorted(), "{text}");
    assert_eq!(get(server.port(), "/?n=5").text(), "2", "the next request is none the worse");
}
