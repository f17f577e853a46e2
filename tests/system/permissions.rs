//! `starcell permissions`: the ladder, why something is decided, what two profiles differ in, and the schema of the file
//! that adds profiles. Every mistake is told with its place.

use std::fs;

use serde_json::{Value, json};
use starcell_tests::log::{ask, ask_json};
use starcell_tests::process::folder;

const CONFIG: &str = r#"
[profiles.web]
base = "allow-fs"
allow = ["http.server(127.0.0.1:8080)", "http.client(https://api.example.com)"]
deny = ["fs.read(/etc/**)"]
"#;

#[test]
fn the_ladder_is_shown_with_the_profiles_of_a_file() {
    let folder = folder();
    fs::write(folder.join("mine.toml"), CONFIG).unwrap();
    let plain = ask(&folder, &["permissions"]);
    assert_eq!((plain.code(), plain.stderr.as_str()), (0, ""), "{}", plain.output);
    for line in ["deny-all: nothing but compute, load, print and log\n", "  allow fs.write($CWD/**)\n", "allow-all: "] {
        assert!(plain.stdout.contains(line), "{line}: {}", plain.stdout);
    }
    assert!(!plain.stdout.contains("web"), "{}", plain.stdout);
    let more = ask(&folder, &["permissions", "--config", "mine.toml"]);
    assert!(more.stdout.ends_with("  deny fs.read(/etc/**)\n"), "{}", more.stdout);
    let rungs = ask_json(&folder, &["permissions", "--config", "mine.toml", "--json"]);
    let names: Vec<&str> = rungs.as_array().unwrap().iter().map(|rung| rung["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["deny-all", "allow-fs", "allow-net", "allow-local", "allow-all", "web"]);
    assert_eq!(rungs[5]["base"], "allow-fs");
}

#[test]
fn a_decision_is_explained() {
    let folder = folder();
    fs::write(folder.join("mine.toml"), CONFIG).unwrap();
    let cwd = folder.display();
    let all = ask(&folder, &["permissions", "explain", "fs.write_text(../x)"]);
    assert_eq!(all.code(), 0, "{}", all.output);
    let outside = folder.parent().unwrap().join("x");
    assert!(all.stdout.starts_with(&format!("fs.write(\"{}\")\n", outside.display())), "{}", all.stdout);
    for line in ["  allow-fs: denied: no rule grants it\n", "  allow-all: allowed by the fallback of allow-all\n"] {
        assert!(all.stdout.contains(line), "{line}: {}", all.stdout);
    }
    let advice = format!("granted from allow-all\ngranted by the rule fs.write({})\n", outside.display());
    assert!(all.stdout.ends_with(&advice), "{}", all.stdout);
    // What was given decides alone, with its rules.
    for (flags, told) in [
        (&["--allow-fs"][..], "  allow-fs: allowed by the rule fs.write($CWD/**) of allow-fs\n".to_owned()),
        (&["--permissions", "allow-net"], "  allow-net: allowed by the rule fs.write($CWD/**) of allow-fs\n".into()),
        (
            &["--allow-fs", "--deny", "fs.*($CWD/a)"],
            "  command-line: denied by the rule fs.*($CWD/a) of command-line\n".into(),
        ),
        (&["--allow", "fs.write"], "  command-line: allowed by the rule fs.write of command-line\n".into()),
    ] {
        let ended = ask(&folder, &[&["permissions", "explain", "fs.write_text(a)"], flags].concat());
        let told = format!("fs.write(\"{cwd}/a\")\n{told}");
        assert!(ended.stdout.starts_with(&told), "{flags:?}: {}", ended.output);
        assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("  ")).count(), 1, "{}", ended.stdout);
    }
    let of_file =
        ["permissions", "explain", "--config", "mine.toml", "--permissions", "web", "fs.read_text(/etc/passwd)"];
    assert!(ask(&folder, &of_file).stdout.contains("  web: denied by the rule fs.read(/etc/**) of web\n"));
    let answer = ask_json(&folder, &["permissions", "explain", "--json", "http.get(http://169.254.169.254/)"]);
    let profiles = answer["call"]["profiles"].as_array().unwrap();
    let allowed: Vec<&Value> = profiles.iter().map(|profile| &profile["allowed"]).collect();
    assert_eq!(allowed, [false, false, false, false, true]);
    let rule = ask_json(&folder, &["permissions", "explain", "fs.write(/srv/**)", "--json"]);
    assert_eq!(rule["rule"]["profiles"][1]["extent"], "part");
}

#[test]
fn two_profiles_are_compared() {
    let folder = folder();
    fs::write(folder.join("mine.toml"), CONFIG).unwrap();
    let ended = ask(&folder, &["permissions", "diff", "allow-fs", "allow-net"]);
    assert_eq!(
        (ended.code(), ended.stdout.as_str()),
        (0, "from allow-fs to allow-net\n+ allow http.client\n+ allow sql.open(postgres:**)\n")
    );
    let found = ask_json(&folder, &["permissions", "diff", "allow-net", "web", "--config", "mine.toml", "--json"]);
    assert_eq!(found["removed"]["allow"], json!(["http.client", "sql.open(postgres:**)"]));
    assert_eq!(found["added"]["deny"], json!(["fs.read(/etc/**)"]));
}

#[test]
fn the_schema_is_one_of_json() {
    let schema = ask_json(&folder(), &["permissions", "schema"]);
    assert_eq!((&schema["title"], &schema["additionalProperties"]), (&"starcell.toml".into(), &false.into()));
    assert!(schema["$defs"]["ProfileTable"]["properties"]["deny"].is_object(), "{schema}");
}

/// Each mistake in a file, as every command tells it that takes one.
#[test]
fn mistakes_have_their_line_and_column_and_what_was_meant() {
    let folder = folder();
    for (text, told) in [
        (
            "\n[profiles.a]\nalow = []\n",
            "3:1: unknown key `alow`, expected `base`, `allow` or `deny`; did you mean `allow`?",
        ),
        (
            "[profile.a]\n",
            "1:2: unknown key `profile`, expected `default_profile` or `profiles`; did you mean `profiles`?",
        ),
        (
            "[profiles.a]\nbase = \"alow-fs\"\n",
            "2:8: unknown profile \"alow-fs\"; known are deny-all, allow-fs, allow-net, allow-local, allow-all, a; did you mean `allow-fs`?",
        ),
        (
            "[profiles.a]\nallow = [\n  \"fs.read\",\n  \"fs.raed\",\n]\n",
            "4:7: bad rule: unknown category `raed` of module `fs`; did you mean `read`?",
        ),
        ("[profiles.a]\nallow = [\"htpp.client\"]\n", "2:11: bad rule: unknown module `htpp`; did you mean `http`?"),
        (
            "[profiles.a]\ndeny = [\"fs.read[raed_text]\"]\n",
            "2:18: bad rule: unknown function `raed_text`; did you mean `read_text`?",
        ),
        ("[profiles.a]\ndeny = [\"fs.read(a/b)\"]\n", "2:18: bad rule: expected `/`, `$CWD` or `$HOME`"),
        ("[profiles.a]\nallow = 5\n", "2:9: invalid type: integer `5`, expected a sequence"),
        ("default_profile = \"b\"\n", "1:19: unknown profile \"b\""),
        ("[profiles.a\n", "1:"),
    ] {
        fs::write(folder.join("bad.toml"), text).unwrap();
        fs::write(folder.join("x.star"), "").unwrap();
        for arguments in [
            &["permissions", "--config", "bad.toml"][..],
            &["permissions", "diff", "deny-all", "allow-fs", "--config", "bad.toml"],
            &["permissions", "explain", "fs.read", "--config", "bad.toml"],
            &["run", "--config", "bad.toml", "x.star"],
        ] {
            let ended = ask(&folder, arguments);
            assert_eq!((ended.code(), ended.stdout.as_str()), (4, ""), "{arguments:?}: {}", ended.output);
            assert!(ended.stderr.starts_with(&format!("starcell: bad.toml:{told}")), "{text}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
}

#[test]
fn what_is_no_question_is_told() {
    let folder = folder();
    for (arguments, code, told) in [
        (&["permissions", "diff", "allow-fs", "alow-net"][..], 4, "unknown profile \"alow-net\""),
        (&["permissions", "diff", "allow-fs"], 2, "<TO>"),
        (&["permissions", "explain", "fs.raed_text(/a)"], 4, "did you mean `read_text`?"),
        (&["permissions", "explain", "fs.read", "--allow", "fs.raed"], 4, "--allow: bad rule \"fs.raed\" at byte 3"),
        (&["permissions", "explain", "fs.read", "--allow-fs", "--allow-net"], 2, "cannot be used with"),
        (&["permissions", "explain", "fs.read", "--mode", "count"], 2, "unexpected argument '--mode'"),
        (&["permissions", "schema", "--config", "x.toml"], 2, "unexpected argument '--config'"),
        (&["permissions", "--config", "x.toml", "schema"], 2, "cannot be used with"),
        (&["permissions", "--config", "none.toml"], 4, "cannot read none.toml: "),
        (&["permissions", "nope"], 2, "unrecognized subcommand 'nope'"),
    ] {
        let ended = ask(&folder, arguments);
        assert_eq!((ended.code(), ended.stdout.as_str()), (code, ""), "{arguments:?}: {}", ended.output);
        assert!(ended.stderr.contains(told), "{arguments:?}: {}", ended.stderr);
    }
}

/// One that lies in the working folder could be the script's own: it is not read, and that is said.
#[test]
fn a_file_is_read_only_where_it_is_named() {
    let folder = folder();
    fs::write(folder.join("starcell.toml"), "[profiles.default]\nbase = \"allow-all\"\n").unwrap();
    fs::write(folder.join("x.star"), "print(fs.try_exists(\"x.star\").ok)\n").unwrap();
    let plain = ask(&folder, &["run", "x.star"]);
    assert_eq!((plain.code(), plain.stdout.as_str()), (0, "False\n"), "{}", plain.output);
    let told = "starcell.toml in the working folder is not read, as it could be the script's own; see --config";
    assert!(plain.stderr.contains(told) && plain.stderr.lines().count() == 1, "{}", plain.stderr);
    let named = ask(&folder, &["run", "--config", "starcell.toml", "x.star"]);
    assert_eq!((named.stdout.as_str(), named.stderr.as_str()), ("True\n", ""));
}
