//! The loop: a script runs under a wide profile with its calls recorded, the least profile is read out of the record, and
//! that profile is enough, while one rule less is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::log::{ask, ask_json, denied};
use starcell_tests::process::{Starcell, binary, folder};
use starcell_tests::upstream::Upstream;

/// Uses each capability, some while it sets up and some in its handler.
const SCRIPT: &str = r#"
fs.mkdir("out", parents=True)
fs.write_text("out/log.txt", fs.read_text("data.txt"))
fs.copy("out/log.txt", "out/old.txt")
fs.rename("out/old.txt", "out/older.txt")
kv.set("n", 1)
name = os.env("APP_NAME")
tool = os.exec(["./tool", name])

def page(req):
    fs.append_text("out/log.txt", "asked\n")
    if fs.exists("out/older.txt"):
        fs.remove("out/older.txt")
    answer = http.get("http://localhost:PORT/v1/thing")
    sent = http.post("http://127.0.0.1:PORT/v1/things", {"n": kv.incr("n")})
    return [tool, answer.body, sent.status_code, kv.get("n"), kv.list("n")]

http.serve({"GET /": page})
"#;

/// A folder with the script and what it needs.
struct Case {
    folder: PathBuf,
    runs: u32,
}

impl Case {
    fn new(upstream: &Upstream) -> Self {
        let folder = folder();
        fs::write(folder.join("main.star"), SCRIPT.replace("PORT", &upstream.port.to_string())).unwrap();
        fs::write(folder.join("data.txt"), "data").unwrap();
        fs::write(folder.join("tool"), "#!/bin/sh\necho \"tool of $1\"\n").unwrap();
        fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, runs: 0 }
    }

    /// Runs it, has it answer once, and says whether all went well; and the log of that.
    fn run(&mut self, arguments: &[&str]) -> (bool, PathBuf) {
        self.runs += 1;
        let log = self.folder.join(format!("audit{}.jsonl", self.runs));
        let mut command = Command::new(binary());
        command.args(["run", "--port", "0", "--env", "APP_NAME", "--audit"]).arg(&log).args(arguments).arg("main.star");
        command.current_dir(&self.folder).env("APP_NAME", "cell");
        let mut starcell = Starcell::spawn_command(command);
        if !starcell.serves() {
            let ended = starcell.wait();
            assert_eq!(ended.code(), 5, "refused, or nothing: {}", ended.output);
            return (false, log);
        }
        let answer = get(starcell.port(), "/");
        let ended = starcell.stop();
        assert_eq!(ended.code(), 0, "{}", ended.output);
        if answer.status == 200 {
            assert_eq!(answer.text(), r#"["tool of cell\n","ok",200,2,["n"]]"#);
        }
        (answer.status == 200, log)
    }

    /// One run that goes well.
    fn goes_well(&mut self, arguments: &[&str]) -> PathBuf {
        let (well, log) = self.run(arguments);
        assert!(well, "{arguments:?}: {:?}", denied(&log));
        assert!(denied(&log).is_empty());
        log
    }

    /// One run that is refused something.
    fn is_refused(&mut self, arguments: &[&str], missing: &str) {
        let (well, log) = self.run(arguments);
        assert!(!well, "nothing needs {missing}");
        assert!(!denied(&log).is_empty(), "it failed without {missing}, and not for want of it");
    }

    fn ask(&self, command: &[&str], log: &Path, more: &[&str]) -> Vec<String> {
        let arguments = [&["audit"], command, &[log.to_str().unwrap()], more].concat();
        let found = ask_json(&self.folder, &[&arguments[..], &["--json"]].concat());
        found["allow"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned()).collect()
    }
}

fn allowing(rules: &[String]) -> Vec<&str> {
    rules.iter().flat_map(|rule| ["--allow", rule]).collect()
}

#[test]
fn the_least_profile_is_enough_and_none_of_it_can_be_left_out() {
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let mut case = Case::new(&upstream);
    let log = case.goes_well(&["--allow-local"]);
    let rules = case.ask(&["least"], &log, &[]);
    assert!(rules.len() >= 14, "{rules:?}");
    for capability in ["fs.read", "fs.write", "fs.delete", "kv.read", "kv.write", "os.env", "os.exec", "http.server"] {
        assert!(rules.iter().any(|rule| rule.starts_with(capability)), "{capability} was used: {rules:?}");
    }
    // Its name, and the address that no profile below allow-local reaches.
    let port = upstream.port;
    assert!(rules.contains(&format!("http.client[GET](http://localhost:{port}/v1/thing)")), "{rules:?}");
    assert!(rules.iter().any(|rule| rule.starts_with("http.client[GET") && rule.contains("127.0.0.1")), "{rules:?}");

    let again = case.goes_well(&allowing(&rules));
    assert_eq!(case.ask(&["least"], &again, &[]), rules, "it needs what it has");
    for left_out in 0..rules.len() {
        let mut fewer = rules.clone();
        let missing = fewer.remove(left_out);
        case.is_refused(&allowing(&fewer), &missing);
    }
}

#[test]
fn the_least_profile_can_be_put_into_the_file() {
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let mut case = Case::new(&upstream);
    let log = case.goes_well(&["--allow-local"]);
    let log = log.to_str().unwrap();
    let made = ask(&case.folder, &["audit", "least", log, "--profile", "shop"]);
    assert_eq!(made.code(), 0, "{}", made.output);
    let config = case.folder.join("profiles.toml");
    let flags = ["--config", "profiles.toml", "--permissions", "shop"];
    fs::write(&config, &made.stdout).unwrap();
    case.goes_well(&flags);
    let replayed = ask(&case.folder, &[&["audit", "replay", log][..], &flags].concat());
    assert_eq!(replayed.code(), 0, "{}", replayed.output);
    assert!(replayed.stdout.ends_with("; denied: 0 calls\n"), "{}", replayed.stdout);

    let lines: Vec<&str> = made.stdout.lines().collect();
    let rules: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with("    \"")).collect();
    assert!(rules.len() >= 14, "{}", made.stdout);
    for left_out in rules {
        let fewer: String =
            lines.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, l)| format!("{l}\n")).collect();
        fs::write(&config, fewer).unwrap();
        case.is_refused(&flags, lines[left_out]);
        let replayed = ask(&case.folder, &[&["audit", "replay", log][..], &flags].concat());
        assert_eq!(replayed.code(), 5, "a replay tells it beforehand: {}", replayed.output);
    }
}

/// Wider only where it was asked for, and then fewer rules.
#[test]
fn paths_and_hosts_are_widened_on_request() {
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let mut case = Case::new(&upstream);
    let log = case.goes_well(&["--allow-local"]);
    let exact = case.ask(&["least"], &log, &[]);
    let paths = case.ask(&["least"], &log, &["--widen-paths"]);
    let both = case.ask(&["least"], &log, &["--widen-paths", "--widen-hosts"]);
    assert!(both.len() < paths.len() && paths.len() < exact.len(), "{exact:?}\n{paths:?}\n{both:?}");
    assert!(!exact.iter().any(|rule| rule.contains("/*")), "{exact:?}");
    assert!(paths.iter().any(|rule| rule.ends_with("/out/*)")), "{paths:?}");
    let port = upstream.port;
    assert!(both.iter().any(|rule| rule.ends_with(&format!("(http://localhost:{port})"))), "{both:?}");
    case.goes_well(&allowing(&paths));
    case.goes_well(&allowing(&both));
}

/// What a script saw it must see again, no more and no less: a glob leaves out what may not be read.
#[test]
fn a_glob_finds_under_the_least_profile_what_it_found_before() {
    let folder = folder();
    for name in ["a.txt", "b.txt", "c.md"] {
        fs::write(folder.join(name), "").unwrap();
    }
    let source = "print(fs.glob(\"*.txt\"), fs.glob(\"none/*\"))\n";
    let run = |arguments: &[&str]| {
        let _ = fs::remove_file(folder.join("audit.jsonl"));
        let ended = Starcell::run_in(&folder, &[&["--audit", "audit.jsonl"][..], arguments].concat(), source);
        assert_eq!(ended.stdout, "[\"a.txt\", \"b.txt\"] []\n", "{arguments:?}: {}", ended.output);
        let found = ask_json(&folder, &["audit", "least", "audit.jsonl", "--json"]);
        let rules = found["allow"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap().to_owned());
        rules.collect::<Vec<String>>()
    };
    let rules = run(&["--allow-fs"]);
    fs::write(folder.join("d.md"), "").unwrap();
    assert_eq!(run(&allowing(&rules)), rules);
    assert_eq!(run(&["--mode", "count"]), rules, "so it does where it is only counted");
}
