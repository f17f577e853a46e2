//! `starcell check`: its exit codes, and that it never runs or waits for anything.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use starcell_tests::process::{Ended, PATIENCE, Starcell, binary, fixture, folder, script, script_bytes};

fn check(arguments: &[&str], path: &Path) -> Ended {
    let mut command = Command::new(binary());
    command.arg("check").args(arguments).arg(path);
    Starcell::spawn_command(command).wait()
}

#[test]
fn a_good_script_is_0_and_its_capabilities_are_told() {
    let ended = check(&[], &fixture("routes.star"));
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let line = ended.stdout.lines().find(|line| line.contains("http.server")).unwrap();
    assert!(
        line.contains("routes.star:") && line.contains("http.serve") && line.ends_with("from allow-local"),
        "{line}"
    );
    assert!(ended.stdout.ends_with("lowest profile: allow-local\n1 file checked: 0 errors, 0 warnings\n"));
    assert_eq!(ended.stderr, "");
}

#[test]
fn nothing_of_the_script_is_run() {
    let place = folder();
    let target = place.join("made.txt");
    let ended = check(
        &[],
        &script(&format!("fs.write_text({:?}, \"x\")\nprint(\"ran\")\nfail(\"ran\")\n", target.display().to_string())),
    );
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(!target.exists() && !ended.output.contains("ran\n"), "{}", ended.output);
    assert!(ended.stdout.contains("fs.write"));
}

#[test]
fn exit_codes_say_what_was_found() {
    let warning = "def f():\n    x = 1\n    return 2\nf()\n";
    for (arguments, source, code) in [
        (&[][..], "x = nope\n", 1),
        (&[], warning, 0),
        (&["--deny-warnings"], warning, 1),
        (&["--deny-warnings"], "x = 1\n", 0),
        (&[], "x = (\n", 3),
        (&["--json"], "x = (\n", 3),
        (&[], "load(\"none.star\", \"x\")\nx()\n", 1),
    ] {
        let ended = check(arguments, &script(source));
        assert_eq!(ended.code(), code, "{source}{}", ended.output);
    }
    let missing = check(&[], Path::new("/nowhere/at-all.star"));
    assert_eq!(missing.code(), 2);
    assert!(missing.stderr.contains("cannot read /nowhere/at-all.star"), "{}", missing.stderr);
}

#[test]
fn errors_point_at_their_place() {
    let path = script("def f():\n    return fs.raed_text(\"x\")\nf()\n");
    let ended = check(&[], &path);
    let expected = format!(
        "error[unknown-name]: the module fs has no raed_text; did you mean read_text?\n --> {}:2:12\n  |\n2 |     return fs.raed_text(\"x\")\n  |            ^^^^^^^^^^^^\n",
        path.display()
    );
    assert!(ended.stdout.starts_with(&expected), "{}", ended.stdout);
}

#[test]
fn json_is_one_object_a_script() {
    let path = script("kv.get()\n");
    let ended = check(&["--json"], &path);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code(), &json["version"], &json["profile"]), (1, &1.into(), &"allow-fs".into()));
    let found = &json["diagnostics"][0];
    assert_eq!((&found["code"], &found["line"], &found["column"]), (&"missing-argument".into(), &1.into(), &1.into()));
    assert_eq!(json["capabilities"][0]["capability"], "kv.read");
}

#[test]
fn a_folder_is_its_main_script_or_all_of_them() {
    let place = folder();
    assert_eq!(check(&[], &place).code(), 2);
    std::fs::write(place.join("a.star"), "x = nope\n").unwrap();
    std::fs::write(place.join("b.star"), "x = 1\n").unwrap();
    let all = check(&["--json"], &place);
    assert_eq!((all.code(), all.stdout.lines().count()), (1, 2), "{}", all.output);
    std::fs::write(place.join("main.star"), "load(\"b.star\", \"x\")\nprint(x)\n").unwrap();
    let main = check(&[], &place);
    assert_eq!(main.code(), 0, "{}", main.output);
    assert!(main.stdout.ends_with("2 files checked: 0 errors, 0 warnings\n"), "{}", main.stdout);
}

#[test]
fn links_out_of_the_folder_are_not_followed() {
    let place = folder();
    let app = place.join("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(place.join("secret.star"), "x = 1\n").unwrap();
    std::os::unix::fs::symlink("../secret.star", app.join("out.star")).unwrap();
    std::fs::write(app.join("main.star"), "load(\"out.star\", \"x\")\nprint(x)\n").unwrap();
    let ended = check(&[], &app);
    assert_eq!(ended.code(), 1, "{}", ended.output);
    assert!(ended.stdout.contains("a link leads out of the script's folder"), "{}", ended.stdout);
}

/// A file without an end and a pipe that nobody writes to are no reason to wait.
#[test]
fn it_always_ends() {
    let begun = Instant::now();
    let endless = check(&[], Path::new("/dev/zero"));
    assert_eq!(endless.code(), 3, "{}", endless.output);
    let huge = check(&[], &script_bytes(&b"x = 1\n".repeat((64 << 20) / 6)));
    assert_eq!(huge.code(), 3);
    assert!(huge.stdout.contains("more than 8388608 bytes"), "{}", huge.stdout);
    let deep = check(&[], &script_bytes(&b"(".repeat(1_000_000)));
    assert_eq!(deep.code(), 3);
    assert!(deep.stdout.contains("nested or chained too deeply"), "{}", deep.stdout);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}

/// Small scripts that would keep the type checker or the parser for ever, or for longer than anybody waits.
#[test]
fn scripts_made_to_keep_the_checker_end_and_the_rest_is_told() {
    let chain = |step: &str| {
        let steps: String =
            (1..40).map(|n| format!("    a{n} = {}\n", step.replace('@', &format!("a{}", n - 1)))).collect();
        format!("def f(c):\n    a0 = (1,)\n{steps}    return a39\nfs.raed_text(\"x\")\n")
    };
    for text in [chain("(@, @)"), chain("(@, @) if c else (@,)"), chain("struct(x = @, y = @)")] {
        let ended = check(&[], &script(&text));
        assert_eq!(ended.code(), 1, "{}", ended.output);
        assert!(ended.stdout.contains("unfinished"), "{}", ended.stdout);
        assert!(ended.stdout.contains("raed_text"), "other findings are told: {}", ended.stdout);
    }
    let digits = format!("x = {}\n", "7".repeat(2_000_000));
    let ended = check(&[], &script(&digits));
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn a_folder_is_read_as_its_owner_made_it() {
    let place = folder();
    let (app, inner) = (place.join("app"), place.join("app/lib"));
    std::fs::create_dir_all(&inner).unwrap();
    std::fs::write(place.join("secret.star"), "password = 1\n").unwrap();
    std::fs::write(inner.join("real.star"), "x = 1\n").unwrap();
    // A link within the folder is one of its files.
    std::os::unix::fs::symlink("lib/real.star", app.join("a.star")).unwrap();
    let fine = check(&[], &app);
    assert_eq!(fine.code(), 0, "{}", fine.output);
    std::os::unix::fs::symlink("../secret.star", app.join("b.star")).unwrap();
    let out = check(&[], &app);
    assert_eq!(out.code(), 2, "{}", out.output);
    assert!(out.stderr.contains("b.star: a link leads out of the folder"), "{}", out.stderr);
    assert!(!out.output.contains("password"), "{}", out.output);
    std::fs::remove_file(app.join("b.star")).unwrap();
    pipe_at(&app.join("p.star"));
    let pipe = check(&[], &app);
    assert_eq!(pipe.code(), 2, "{}", pipe.output);
    assert!(pipe.stderr.contains("p.star: it is not a file"), "{}", pipe.stderr);
}

/// `run`, `check` and `test` on a folder whose script or test is a link to a file elsewhere.
#[test]
fn no_command_runs_what_a_link_in_a_folder_leads_to() {
    let place = folder();
    let app = place.join("app");
    std::fs::create_dir(&app).unwrap();
    std::fs::write(place.join("secret.star"), "print(\"secret\")\ndef test_it(t):\n    fail(\"secret\")\n").unwrap();
    std::os::unix::fs::symlink("../secret.star", app.join("main.star")).unwrap();
    for command in ["run", "check"] {
        let ended = Starcell::command(&app, &[command, "."], "");
        assert_eq!(ended.code(), 2, "{command}: {}", ended.output);
        assert!(ended.stderr.contains("main.star: a link leads out of the folder"), "{command}: {}", ended.stderr);
        assert!(!ended.output.contains("secret"), "{command}: {}", ended.output);
    }
    std::fs::rename(app.join("main.star"), app.join("a_test.star")).unwrap();
    let ended = Starcell::command(&app, &["test", "."], "");
    assert_eq!(ended.code(), 2, "{}", ended.output);
    assert!(ended.stderr.contains("a_test.star: a link leads out of the folder"), "{}", ended.stderr);
}

fn pipe_at(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}
