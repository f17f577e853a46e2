//! What is recorded of a run: each privileged call with its decision, before it is done; and nothing is done that
//! cannot be recorded.

use std::fs;

use serde_json::Value;
use starcell_tests::client::get;
use starcell_tests::log::{ask, ask_json, denied, lines};
use starcell_tests::process::{Starcell, binary, folder, script};

const SCRIPT: &str = "fs.write_text(\"a.txt\", \"12345\")\n\
                      print(fs.try_read_text(\"/etc/hostname\").ok)\n\
                      print(fs.try_read_text(\"none.txt\").ok)\n\
                      print(fs.try_write_text(\"../b.txt\", \"x\").ok)\n";

#[test]
fn every_call_is_recorded_with_its_decision_and_outcome() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let arguments = ["--audit", log.to_str().unwrap(), "--allow-fs", "--deny", "fs.read(/etc/**)"];
    let ended = Starcell::run_in(&folder, &arguments, SCRIPT);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "False\nFalse\nFalse\n"), "{}", ended.output);
    let calls = lines(&log, "call");
    let path = |name: &str| folder.join(name).display().to_string();
    let outside = folder.parent().unwrap().join("b.txt").display().to_string();
    let expected = [
        ("fs.write_text", "fs.write", path("a.txt"), "allow", Some("fs.write($CWD/**)"), None, 1),
        ("fs.read_text", "fs.read", "/etc/hostname".to_owned(), "deny", Some("fs.read(/etc/**)"), None, 2),
        ("fs.read_text", "fs.read", path("none.txt"), "allow", Some("fs.read($CWD/**)"), None, 3),
        ("fs.write_text", "fs.write", outside, "deny", None, Some("allow-all"), 4),
    ];
    assert_eq!(calls.len(), expected.len());
    for (call, (capability, category, resource, decision, rule, needed, line)) in calls.iter().zip(expected) {
        assert_eq!((&call["capability"], &call["category"]), (&capability.into(), &category.into()), "{call}");
        assert_eq!((&call["resource"], &call["decision"]), (&resource.into(), &decision.into()), "{call}");
        assert_eq!((call["rule"].as_str(), call["needed"].as_str()), (rule, needed), "{call}");
        assert_eq!((&call["line"], &call["phase"]), (&line.into(), &"setup".into()), "{call}");
        assert!(call["file"].as_str().unwrap().ends_with(".star") && call["request"].is_null(), "{call}");
    }
    let outcomes: Vec<(Value, Value, Value)> = lines(&log, "outcome")
        .into_iter()
        .map(|line| (line["id"].clone(), line["outcome"].clone(), line["bytes"].clone()))
        .collect();
    let of = |call: &Value| call["id"].clone();
    assert_eq!(outcomes, [(of(&calls[0]), "ok".into(), 5.into()), (of(&calls[2]), "error".into(), 0.into())]);
    assert_eq!(lines(&log, "close").len(), 1);
}

#[test]
fn a_handlers_calls_carry_its_request() {
    let folder = folder();
    fs::write(folder.join("page"), "hello").unwrap();
    let log = folder.join("audit.jsonl");
    let source = "def page(req):\n    return fs.read_text(\"page\") + req.id\nhttp.serve({\"GET /\": page})\n";
    let arguments = ["--audit", log.to_str().unwrap(), "--allow-local", "--port", "0"];
    let mut starcell = Starcell::spawn_in(&folder, &arguments, source);
    starcell.wait_for("serving ");
    let answer = get(starcell.port(), "/").text().to_owned();
    let id = answer.strip_prefix("hello").unwrap();
    assert_eq!(starcell.stop().code(), 0);
    let calls = lines(&log, "call");
    assert_eq!(calls.len(), 2);
    assert_eq!((&calls[0]["capability"], &calls[0]["resource"]), (&"http.server.serve".into(), &"127.0.0.1:0".into()));
    assert_eq!((&calls[1]["capability"], &calls[1]["phase"]), (&"fs.read_text".into(), &"request".into()));
    assert_eq!((&calls[1]["request"], &calls[1]["line"]), (&id.into(), &2.into()));
}

#[test]
fn count_mode_does_what_it_would_deny_and_says_so() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let arguments = ["--audit", log.to_str().unwrap(), "--mode", "count", "--deny", "fs.delete"];
    let source = "fs.write_text(\"a.txt\", \"x\")\nfs.remove(\"a.txt\")\nprint(fs.exists(\"a.txt\"))\n";
    let ended = Starcell::run_in(&folder, &arguments, source);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "False\n"), "{}", ended.output);
    assert!(ended.stderr.contains("warn") && ended.stderr.contains("count mode: calls that nothing allows are done"));
    let calls = lines(&log, "call");
    let decisions: Vec<(&str, Option<&str>)> =
        calls.iter().map(|call| (call["decision"].as_str().unwrap(), call["needed"].as_str())).collect();
    assert_eq!(calls[1]["rule"], "fs.delete");
    let would_deny = |needed| ("would-deny", needed);
    assert_eq!(decisions, [would_deny(Some("allow-fs")), would_deny(None), would_deny(Some("allow-fs"))]);
}

#[test]
fn without_its_log_nothing_runs() {
    let folder = folder();
    let missing = folder.join("none/audit.jsonl");
    let ended = Starcell::run_in(&folder, &["--audit", missing.to_str().unwrap(), "--allow-fs"], SCRIPT);
    assert_eq!((ended.code(), ended.stdout.as_str()), (4, ""), "{}", ended.output);
    assert!(ended.stderr.contains("cannot open the audit log"), "{}", ended.stderr);
    assert!(!folder.join("a.txt").exists());
}

/// A full disk: the log cannot grow, so no effect happens any more.
#[test]
fn what_cannot_be_recorded_is_not_done() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let source = "def try_all():\n    for i in range(1000000):\n        r = fs.try_append_text(\"n\", \"x\")\n        \
                  if not r.ok:\n            return \"%d %s\" % (i, r.error)\nprint(try_all())\n";
    // A file size limit is a disk that is full for this process alone. It leaves room for the images of a script.
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$@\"", "bash"]).arg(binary());
    command.args(["run", "--allow-fs", "--setup-cpu", "60s", "--audit"]).arg(&log);
    command.arg(script(source)).current_dir(&folder);
    let ended = Starcell::spawn_command(command).wait();
    let (count, error) = ended.stdout.split_once(' ').unwrap_or_else(|| panic!("{}", ended.output));
    assert!(error.contains("the audit log cannot be written, so the call was not made"), "{}", ended.output);
    assert_eq!(fs::read(folder.join("n")).unwrap().len(), count.parse::<usize>().unwrap());
    assert!(lines(&log, "call").len() >= count.parse::<usize>().unwrap());
}

/// What only looks like a file that grows is none.
#[test]
fn a_log_is_a_regular_file() {
    let folder = folder();
    for path in ["/dev/full", "/dev/null", "."] {
        let ended = Starcell::run_in(&folder, &["--audit", path, "--allow-fs"], SCRIPT);
        assert_eq!((ended.code(), ended.stdout.as_str()), (4, ""), "{path}: {}", ended.output);
        assert!(ended.stderr.contains("the audit log"), "{path}: {}", ended.stderr);
    }
    assert!(!folder.join("a.txt").exists());
}

/// The same for what needs no permission, where it is to be recorded.
#[test]
fn a_time_that_cannot_be_recorded_is_not_told() {
    let folder = folder();
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$@\"", "bash"]).arg(binary());
    command.args(["run", "--setup-cpu", "60s", "--audit", "audit.jsonl", "--audit-pure"]);
    let source = "for i in range(1000000):\n    time.now()\nprint(\"never\")\n";
    command.arg(script(source)).current_dir(&folder);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (70, ""), "{}", ended.output);
    assert!(ended.stderr.contains("the audit log cannot be written, so time.now was not done"), "{}", ended.stderr);
}

/// Once there is room again the script goes on, and the log tells what it lacks.
#[test]
fn a_disk_that_was_full_shows_in_the_log() {
    let folder = folder();
    let log = folder.join("audit.jsonl");
    // What is looked for has a long name, as there may still be room for a shorter line.
    let source = "for i in range(1000000):\n    if not fs.try_append_text(\"n\", \"x\").ok:\n        break\n\
                  print(\"full\")\nfor i in range(100000000):\n    if fs.try_exists(\"room\" * 50).ok:\n        break\n\
                  print(\"room\")\n";
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$@\"", "bash"]).arg(binary());
    command.args(["run", "--allow-fs", "--setup-cpu", "60s", "--audit"]).arg(&log);
    command.arg(script(source)).current_dir(&folder);
    let mut starcell = Starcell::spawn_command(command);
    starcell.wait_for("full");
    let id = starcell.id().to_string();
    let raised = starcell_tests::tools::run("prlimit", "util-linux", ["--pid", &id, "--fsize=unlimited:unlimited"]);
    let _ = raised.well();
    let ended = starcell.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "full\nroom\n"), "{}", ended.output);
    let gaps = lines(&log, "gap");
    assert!(gaps.iter().any(|gap| gap["refused"].as_u64().unwrap() > 0), "{gaps:?}");
    let seen = ask_json(&folder, &["audit", "verify", "--json", "audit.jsonl"]);
    assert!(seen["refused"].as_u64().unwrap() > 0, "{seen}");
}

#[test]
fn a_full_file_is_renamed_and_the_log_stays_one() {
    let folder = folder();
    let source = "for i in range(6000):\n    fs.exists(\"x\")\n";
    let run = |keep: &[&str]| {
        let arguments = ["--allow-fs", "--setup-cpu", "60s", "--audit", "audit.jsonl", "--audit-rotate", "1"];
        let ended = Starcell::run_in(&folder, &[&arguments[..], keep].concat(), source);
        assert_eq!(ended.code(), 0, "{}", ended.output);
    };
    run(&[]);
    assert!(folder.join("audit.jsonl.1").is_file() && folder.join("audit.jsonl.2").is_file());
    for name in ["audit.jsonl.1", "audit.jsonl.2"] {
        let size = fs::metadata(folder.join(name)).unwrap().len();
        assert!((1 << 20..3 << 19).contains(&size), "{name} has {size} bytes");
    }
    let found = ask_json(&folder, &["audit", "summary", "--json", "audit.jsonl"]);
    assert_eq!(found["total"]["ok"], 6000, "all of its files are read: {found}");
    // A file that is gone from the middle is missed, one that is deleted from the start is told.
    fs::rename(folder.join("audit.jsonl.2"), folder.join("elsewhere")).unwrap();
    let missed = ask(&folder, &["audit", "verify", "audit.jsonl"]);
    assert_eq!(missed.code(), 8, "{}", missed.output);
    assert!(missed.stderr.contains("the file does not follow the file before it"), "{}", missed.stderr);
    fs::rename(folder.join("elsewhere"), folder.join("audit.jsonl.2")).unwrap();
    run(&["--audit-keep", "1"]);
    assert!(!folder.join("audit.jsonl.1").exists());
    let seen = ask(&folder, &["audit", "verify", "audit.jsonl"]);
    assert!(seen.stdout.contains("it goes on from an earlier file that ends in "), "{}", seen.output);
    let usage = Starcell::run_in(&folder, &["--audit-rotate", "1"], source);
    assert_eq!(usage.code(), 2, "{}", usage.output);
}

/// No number is left for the name of the full file.
#[test]
fn a_file_that_cannot_be_renamed_is_told_and_goes_on() {
    let folder = folder();
    fs::write(folder.join(format!("audit.jsonl.{}", u64::MAX)), "").unwrap();
    let source = "for i in range(6000):\n    fs.exists(\"x\")\n";
    let arguments = ["--allow-fs", "--setup-cpu", "60s", "--audit", "audit.jsonl", "--audit-rotate", "1"];
    let ended = Starcell::run_in(&folder, &arguments, source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("cannot begin a new file")).collect();
    assert!(!told.is_empty() && told[0].contains("error=\"no number is left"), "{}", ended.stderr);
    let found = ask_json(&folder, &["audit", "summary", "--json", "audit.jsonl"]);
    let rows = found["rows"].as_array().unwrap();
    let exists: Vec<_> = rows.iter().filter(|row| row["capability"] == "fs.exists").map(|row| &row["ok"]).collect();
    assert_eq!(exists, [6000], "nothing is missing: {found}");
}

/// Time, waiting and randomness are everybody's, and recorded where that is asked for.
#[test]
fn what_needs_no_permission_is_recorded_on_request() {
    let folder = folder();
    let source = "def nap(req):\n    time.sleep(\"1ms\")\n    return random.token(8)\n\
                  print(time.now() != None)\nhttp.serve({\"GET /\": nap})\n";
    let serve = |log: &str, more: &[&str]| {
        let arguments = [&["--allow-local", "--port", "0", "--audit", log][..], more].concat();
        let mut starcell = Starcell::spawn_in(&folder, &arguments, source);
        starcell.wait_for("serving ");
        assert_eq!(get(starcell.port(), "/").status, 200);
        assert_eq!(starcell.stop().code(), 0);
        lines(&folder.join(log), "call")
    };
    let named = |calls: &[Value]| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        calls.iter().map(|call| (text(&call["capability"]), text(&call["phase"]))).collect()
    };
    assert_eq!(named(&serve("plain.jsonl", &[])), [("http.server.serve".to_owned(), "setup".to_owned())]);
    let found = named(&serve("pure.jsonl", &["--audit-pure"]));
    for (function, phase) in [("time.now", "setup"), ("time.sleep", "request"), ("random.bytes", "request")] {
        assert!(found.contains(&(function.to_owned(), phase.to_owned())), "{function}: {found:?}");
    }
    let least = ask_json(&folder, &["audit", "least", "--json", "pure.jsonl"]);
    assert_eq!(least, serde_json::json!({ "allow": ["http.server[serve](127.0.0.1:0)"] }), "no rule is about them");
    assert_eq!(ask(&folder, &["audit", "replay", "pure.jsonl", "--allow-local"]).code(), 0);
    assert!(denied(&folder.join("pure.jsonl")).is_empty());
}
