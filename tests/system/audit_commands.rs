//! `starcell audit`: what a log says to whoever asks, and that it says nothing past a line that is not as it was written.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use starcell_tests::log::{ask, ask_json};
use starcell_tests::process::{Starcell, folder};

/// A folder with a log of some calls, and one that was refused.
fn recorded() -> PathBuf {
    let folder = folder();
    let source = "fs.write_text(\"a\", \"12345\")\nfor i in range(3):\n    fs.read_text(\"a\")\nfs.try_read_text(\"none\")\n\
                  fs.try_write_text(\"../b\", \"x\")\nkv.set(\"k\", 1)\n";
    run(&folder, source);
    folder
}

fn run(folder: &Path, source: &str) {
    let ended = Starcell::run_in(folder, &["--allow-fs", "--env", "HOME", "--audit", "audit.jsonl"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn a_summary_counts_by_app_function_resource_and_outcome() {
    let folder = recorded();
    let found = ask_json(&folder, &["audit", "summary", "audit.jsonl", "--json"]);
    let row = |capability: &str, resource: String| -> Value {
        let rows = found["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["capability"] == capability && row["resource"] == resource.as_str());
        let row = row.unwrap_or_else(|| panic!("{capability} {resource}: {found}"));
        json!([row["ok"], row["error"], row["denied"], row["bytes"]])
    };
    let path = |name: &str| folder.join(name).display().to_string();
    assert_eq!(row("fs.write_text", path("a")), json!([1, 0, 0, 5]));
    assert_eq!(row("fs.read_text", path("a")), json!([3, 0, 0, 15]));
    assert_eq!(row("fs.read_text", path("none")), json!([0, 1, 0, 0]));
    assert_eq!(row("kv.set", "k".into())[0], 1);
    let outside = folder.parent().unwrap().join("b").display().to_string();
    assert_eq!(row("fs.write_text", outside), json!([0, 0, 1, 0]));
    let text = ask(&folder, &["audit", "summary", "audit.jsonl"]);
    assert!(
        text.stdout.contains("local/") && text.stdout.contains("\ntotal: 5 ok, 1 error, 1 denied; "),
        "{}",
        text.output
    );
}

/// Two scripts wrote one log, one after the other.
#[test]
fn one_app_can_be_looked_at_alone() {
    let folder = recorded();
    run(&folder, "os.env(\"HOME\")\n");
    let all = ask_json(&folder, &["audit", "summary", "audit.jsonl", "--json"]);
    let row = all["rows"].as_array().unwrap().iter().find(|row| row["capability"] == "os.env").unwrap();
    let app = row["app"].as_str().unwrap();
    let alone = ask_json(&folder, &["audit", "least", "audit.jsonl", "--app", app, "--json"]);
    assert_eq!(alone, json!({ "allow": ["os.env[env](HOME)"] }));
    let alone = ask_json(&folder, &["audit", "summary", "audit.jsonl", "--app", app, "--json"]);
    assert_eq!((&alone["total"]["ok"], &alone["total"]["denied"]), (&1.into(), &0.into()));
    let none = ask(&folder, &["audit", "least", "audit.jsonl", "--app", "nobody"]);
    assert_eq!((none.code(), none.stdout.as_str()), (0, ""), "{}", none.output);
    let replayed = ask(&folder, &["audit", "replay", "audit.jsonl", "--app", app, "--allow", "os.env"]);
    assert_eq!((replayed.code(), replayed.stdout.as_str()), (0, "1 call allowed; denied: 0 calls\n"));
}

#[test]
fn a_replay_tells_what_would_be_denied() {
    let folder = recorded();
    let run = |arguments: &[&str]| ask(&folder, &[&["audit", "replay", "audit.jsonl"], arguments].concat());
    let all = run(&["--allow-all"]);
    assert_eq!((all.code(), all.stdout.as_str()), (0, "7 calls allowed; denied: 0 calls\n"));
    let none = run(&[]);
    assert_eq!(none.code(), 5, "deny-all is what applies when none is named: {}", none.output);
    assert!(
        none.stdout.ends_with("0 calls allowed; denied: 7 calls, 1 of them denied when it was recorded\n"),
        "{}",
        none.stdout
    );
    let denied = run(&["--allow-all", "--deny", "kv.write", "--json"]);
    assert_eq!(denied.code(), 5, "{}", denied.output);
    let found: Value = serde_json::from_str(&denied.stdout).unwrap();
    assert_eq!((&found["allowed"], found["denied"].as_array().unwrap().len()), (&6.into(), 1));
    assert_eq!((&found["denied"][0]["capability"], &found["denied"][0]["rule"]), (&"kv.set".into(), &Value::Null));
    assert!(found["denied"][0]["why"].as_str().unwrap().contains("denied by the rule kv.write"), "{found}");
    assert!(found["denied"][0]["at"].as_str().unwrap().ends_with(".star:6"), "{found}");
    for (arguments, code) in [
        (&["--permissions", "none"][..], 4),
        (&["--allow", "kv.wirte"], 4),
        (&["--allow-fs", "--deny-all"], 2),
        (&["--mode", "count"], 2),
    ] {
        assert_eq!(run(arguments).code(), code, "{arguments:?}");
    }
}

/// Each change to a log shows, in the exit code, for people and for programs; and no answer is given past it.
#[test]
fn a_log_that_was_changed_is_unsound() {
    let folder = recorded();
    let whole = fs::read_to_string(folder.join("audit.jsonl")).unwrap();
    let sound = ask(&folder, &["audit", "verify", "audit.jsonl"]);
    assert_eq!(sound.code(), 0, "{}", sound.output);
    let lines: Vec<&str> = whole.lines().collect();
    assert!(
        sound.stdout.starts_with(&format!("the chain is sound: {} lines in 1 files\n", lines.len())),
        "{}",
        sound.stdout
    );
    let sound = ask_json(&folder, &["audit", "verify", "audit.jsonl", "--json"]);
    assert_eq!((&sound["sound"], &sound["lines"], &sound["closed"]), (&true.into(), &lines.len().into(), &true.into()));
    assert_eq!(sound["kills"], 0);

    let denial = lines.iter().position(|line| line.contains("\"deny\"")).unwrap();
    let joined = |lines: &[&str]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let changed = lines[denial].replace("\"deny\"", "\"allow\"");
    let with = |line: &str| joined(&lines[..denial]) + line + "\n" + &joined(&lines[denial + 1..]);
    let removed = [&lines[..denial], &lines[denial + 1..]].concat();
    let mut moved = lines.clone();
    moved.swap(denial, denial + 1);
    for (what, text) in [
        ("changed", with(&changed)),
        ("removed", joined(&removed)),
        ("moved", joined(&moved)),
        ("added", with(&format!("{0}\n{0}", lines[denial]))),
    ] {
        fs::write(folder.join("other.jsonl"), text).unwrap();
        let ended = ask(&folder, &["audit", "verify", "other.jsonl"]);
        assert_eq!((ended.code(), ended.stdout.as_str()), (8, ""), "{what}: {}", ended.output);
        assert!(
            ended.stderr.starts_with("starcell: other.jsonl: line ") && ended.stderr.contains("does not follow"),
            "{what}: {}",
            ended.stderr
        );
        let ended = ask(&folder, &["audit", "verify", "other.jsonl", "--json"]);
        assert_eq!(ended.code(), 8, "{what}");
        let told: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((&told["sound"], &told["file"]), (&false.into(), &"other.jsonl".into()));
        for command in ["summary", "least", "replay"] {
            let ended = ask(&folder, &["audit", command, "other.jsonl", "--json"]);
            assert_eq!((ended.code(), ended.stdout.as_str()), (8, ""), "{what} {command}: {}", ended.output);
        }
        // Nor is it written on, which would make the break look like an old one.
        if what != "added" {
            continue;
        }
        let ended = Starcell::run_in(&folder, &["--allow-fs", "--audit", "other.jsonl"], "print(1)\n");
        assert!(ended.code() == 0 || ended.code() == 4, "{}", ended.output);
        assert_eq!(ask(&folder, &["audit", "verify", "other.jsonl"]).code(), 8, "it stays unsound");
    }
}

/// A log of a version whose records had no arguments, with the dates of its day.
#[test]
fn a_log_of_an_older_version_is_read() {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/audit_old.jsonl");
    let (folder, log) = (folder(), log.to_str().unwrap());
    assert_eq!(ask_json(&folder, &["audit", "verify", "--json", log])["lines"], 8);
    let found = ask_json(&folder, &["audit", "summary", "--json", log]);
    let total = json!([found["total"]["ok"], found["total"]["error"], found["total"]["denied"]]);
    assert_eq!(total, json!([1, 1, 1]), "{found}");
    let least = ask_json(&folder, &["audit", "least", "--json", log]);
    assert_eq!(least, json!({ "allow": ["fs.read[read_text](/srv/app/a)", "k8s.write[delete](prod/pods)"] }));
    let replayed = ask(&folder, &["audit", "replay", "--allow-all", log]);
    assert_eq!((replayed.code(), replayed.stdout.as_str()), (0, "3 calls allowed; denied: 0 calls\n"));
}

#[test]
fn what_is_no_log_is_told() {
    let folder = folder();
    fs::write(folder.join("notes"), "my notes\n").unwrap();
    for command in ["summary", "least", "replay", "verify"] {
        let missing = ask(&folder, &["audit", command, "none.jsonl"]);
        assert_eq!((missing.code(), missing.stdout.as_str()), (2, ""), "{command}: {}", missing.output);
        assert!(missing.stderr.contains("cannot read none.jsonl: "), "{command}: {}", missing.stderr);
        assert_eq!(ask(&folder, &["audit", command, "."]).code(), 2, "{command}");
        let notes = ask(&folder, &["audit", command, "notes"]);
        assert_eq!((notes.code(), notes.stdout.as_str()), (8, ""), "{command}: {}", notes.output);
        assert_eq!(ask(&folder, &["audit", command]).code(), 2, "{command}");
    }
    let bad = ask(&recorded(), &["audit", "least", "audit.jsonl", "--profile", "Bad Name"]);
    assert_eq!(bad.code(), 2, "{}", bad.output);
    assert!(bad.stderr.contains("bad profile name \"Bad Name\""), "{}", bad.stderr);
}
