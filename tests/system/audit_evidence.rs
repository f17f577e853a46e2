//! `starcell audit verify` with what was kept elsewhere: a hash that was noted, and anchors. A log that lost lines is
//! found although its chain is sound.

use std::fs;
use std::path::{Path, PathBuf};

use starcell_tests::log::{ask, ask_json};
use starcell_tests::process::{Ended, Starcell, folder, until};
use starcell_tests::upstream::Upstream;

const ANCHORED: [&str; 4] = ["--audit", "log/audit.jsonl", "--audit-anchor", "elsewhere/anchors"];
const SOURCE: &str = "fs.write_text(\"a\", \"12345\")\nfor i in range(3):\n    fs.read_text(\"a\")\n";

/// A folder whose log holds two runs, with anchors of both.
fn recorded() -> PathBuf {
    let folder = folder();
    fs::create_dir(folder.join("log")).unwrap();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    run(&folder, &ANCHORED);
    run(&folder, &ANCHORED);
    folder
}

fn run(folder: &Path, arguments: &[&str]) {
    let ended = Starcell::run_in(folder, &[&["--allow-fs"][..], arguments].concat(), SOURCE);
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log/audit.jsonl")
}

fn verify(folder: &Path, arguments: &[&str]) -> Ended {
    ask(folder, &[&["audit", "verify"][..], arguments, &["log/audit.jsonl"]].concat())
}

fn against_anchors(folder: &Path) -> Ended {
    verify(folder, &["--anchor", "elsewhere/anchors"])
}

/// The lines of the log up to the end of the first run.
fn first_run(whole: &str) -> String {
    let end = whole.find("\"kind\":\"close\"").unwrap();
    let end = end + whole[end..].find('\n').unwrap() + 1;
    whole[..end].to_owned()
}

#[test]
fn a_log_fits_its_anchors_and_so_does_a_longer_one() {
    let folder = recorded();
    let found = against_anchors(&folder);
    assert_eq!(found.code(), 0, "{}", found.output);
    assert!(found.stdout.contains("it holds the line of each of 4 anchors\n"), "{}", found.stdout);
    // A run without anchors, and one that begins new files.
    run(&folder, &["--audit", "log/audit.jsonl"]);
    assert_eq!(against_anchors(&folder).code(), 0);
    let flood = "for i in range(6000):\n    fs.exists(\"x\")\n";
    let rotating = [&["--allow-fs", "--setup-cpu", "60s", "--audit-rotate", "1", "--audit-keep", "1"][..], &ANCHORED];
    let ended = Starcell::run_in(&folder, &rotating.concat(), flood);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let found = ask_json(&folder, &["audit", "verify", "--json", "--anchor", "elsewhere/anchors", "log/audit.jsonl"]);
    assert!(found["sound"] == true && found["anchors"]["count"].as_u64().unwrap() >= 6, "{found}");
}

#[test]
fn each_way_to_lose_lines_is_found() {
    let folder = recorded();
    let (whole, anchors) = (fs::read_to_string(log(&folder)).unwrap(), folder.join("elsewhere/anchors"));
    let kept = fs::read(&anchors).unwrap();
    let cut: String = whole.split_inclusive('\n').collect::<Vec<_>>().split_last().unwrap().1.concat();
    let other = recorded();
    let forged = fs::read_to_string(log(&other)).unwrap();
    for (what, text) in [
        ("a cut tail", cut),
        ("a removed run", first_run(&whole)),
        ("a chain written anew", forged),
        ("nothing", String::new()),
    ] {
        fs::write(log(&folder), text).unwrap();
        assert_eq!(verify(&folder, &[]).code(), 0, "{what}: the chain alone cannot show it");
        let found = against_anchors(&folder);
        assert_eq!((found.code(), found.stdout.as_str()), (8, ""), "{what}: {}", found.output);
        assert!(found.stderr.contains("the log lacks line ") && found.stderr.contains("which was anchored"), "{what}");
    }
    // Removed, and begun again by one more run.
    fs::remove_file(log(&folder)).unwrap();
    assert_eq!((verify(&folder, &[]).code(), against_anchors(&folder).code()), (2, 8), "it is gone");
    let ended = Starcell::run_in(&folder, &[&["--allow-fs"][..], &ANCHORED].concat(), SOURCE);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(
        ended.stderr.contains("the audit log lacks the line that elsewhere/anchors anchored last"),
        "{}",
        ended.stderr
    );
    assert_eq!(verify(&folder, &[]).code(), 0);
    assert_eq!(against_anchors(&folder).code(), 8);
    assert!(fs::read(&anchors).unwrap().starts_with(&kept), "anchors are added to, never replaced");
    let found = verify(&folder, &["--anchor", "elsewhere/anchors", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(found["sound"], false, "{found}");
}

#[test]
fn an_expected_hash_is_that_of_a_line() {
    let folder = recorded();
    let seen = ask_json(&folder, &["audit", "verify", "--json", "log/audit.jsonl"]);
    let head = seen["head"].as_str().unwrap();
    assert_eq!(verify(&folder, &["--expect", head]).code(), 0);
    run(&folder, &["--audit", "log/audit.jsonl"]);
    assert_eq!(verify(&folder, &["--expect", head]).code(), 0, "honest growth");
    let whole = fs::read_to_string(log(&folder)).unwrap();
    fs::write(log(&folder), first_run(&whole)).unwrap();
    let found = verify(&folder, &["--expect", head]);
    assert_eq!(found.code(), 8, "{}", found.output);
    assert!(found.stderr.contains(&format!("no line of the log has the hash {head}")), "{}", found.stderr);
    let usage = verify(&folder, &["--expect", "abc"]);
    assert_eq!(usage.code(), 2);
    assert!(usage.stderr.contains("64 lower-case hexadecimal digits"), "{}", usage.stderr);
}

#[test]
fn signed_anchors_cannot_be_made_up() {
    let folder = folder();
    fs::create_dir(folder.join("log")).unwrap();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    let openssl = |arguments: &[&str]| {
        let mut command = std::process::Command::new("openssl");
        let status = command.args(arguments).current_dir(&folder).status();
        assert!(status.unwrap().success(), "openssl {arguments:?}");
    };
    for name in ["key", "other"] {
        let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
        openssl(&["genpkey", "-algorithm", "ed25519", "-out", &private]);
        openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    run(&folder, &[&ANCHORED[..], &["--audit-key", "key.pem"]].concat());
    let with = |key: &str| verify(&folder, &["--anchor", "elsewhere/anchors", "--key", key]);
    let found = with("key.pub");
    assert_eq!(found.code(), 0, "{}", found.output);
    assert!(found.stdout.contains("2 signatures hold"), "{}", found.stdout);
    assert_eq!(against_anchors(&folder).code(), 0, "without the key the anchors hold, unsigned");
    assert_eq!(with("other.pub").code(), 8);
    assert_eq!(with("key.pem").code(), 2, "a private key is not what verifies");
    // A log and anchors that were written anew without the key.
    fs::remove_file(log(&folder)).unwrap();
    fs::remove_file(folder.join("elsewhere/anchors")).unwrap();
    run(&folder, &ANCHORED);
    assert_eq!(against_anchors(&folder).code(), 0);
    let found = with("key.pub");
    assert_eq!(found.code(), 8, "{}", found.output);
    assert!(found.stderr.contains("line 1 of the anchors is not signed with this key"), "{}", found.stderr);
    let ended = Starcell::run_in(&folder, &[&ANCHORED[..], &["--audit-key", "key.pub"]].concat(), SOURCE);
    assert_eq!(ended.code(), 4, "{}", ended.output);
    assert!(ended.stderr.contains("cannot use the key key.pub: not an Ed25519 private key"), "{}", ended.stderr);
}

#[test]
fn anchors_that_prove_nothing_are_no_proof() {
    let folder = recorded();
    let anchors = folder.join("elsewhere/anchors");
    for (content, told) in [("", "holds none"), ("notes\n", "line 1 of the anchors: "), ("\u{1b}[2J\n", "line 1")] {
        fs::write(&anchors, content).unwrap();
        let found = against_anchors(&folder);
        assert_eq!(found.code(), 8, "{content:?}: {}", found.output);
        assert!(found.stderr.contains(told) && !found.stderr.contains('\u{1b}'), "{}", found.stderr);
    }
    assert_eq!(verify(&folder, &["--anchor", "elsewhere/none"]).code(), 2);
    fs::write(&anchors, "notes\n").unwrap();
    let ended = Starcell::run_in(&folder, &[&["--allow-fs"][..], &ANCHORED].concat(), SOURCE);
    assert_eq!(ended.code(), 4, "{}", ended.output);
    assert!(ended.stderr.contains("cannot anchor the audit log in elsewhere/anchors"), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(&anchors).unwrap(), "notes\n");
    let url = ["--audit", "a", "--audit-anchor", "https://h.example/"];
    for arguments in [&["--audit-anchor", "x"][..], &["--audit", "a", "--audit-key", "x"], &url] {
        assert_eq!(Starcell::run_in(&folder, arguments, SOURCE).code(), 2, "{arguments:?}");
    }
}

/// Kill -9 leaves the anchors of the interval, and the next run counts on from them.
#[test]
fn a_killed_host_has_anchored_what_it_wrote() {
    let folder = recorded();
    let source = "def page(req):\n    fs.exists(\"x\")\n    return \"fine\"\nhttp.serve({\"GET /\": page})\n";
    let arguments = [&["--allow-local", "--port", "0", "--audit-anchor-interval", "10ms"][..], &ANCHORED].concat();
    let mut starcell = Starcell::spawn_in(&folder, &arguments, source);
    starcell.wait_for("serving ");
    let before = fs::read_to_string(folder.join("elsewhere/anchors")).unwrap().lines().count();
    assert_eq!(starcell_tests::client::get(starcell.port(), "/").status, 200);
    let anchored = || fs::read_to_string(folder.join("elsewhere/anchors")).unwrap().lines().count() > before;
    until("an anchor of the interval", anchored);
    starcell.signal("KILL");
    let _ended = starcell.wait();
    assert_eq!(against_anchors(&folder).code(), 0);
    run(&folder, &ANCHORED);
    let found = against_anchors(&folder);
    assert_eq!(found.code(), 0, "{}", found.output);
    assert!(found.stdout.contains("1 writers ended without closing the log"), "{}", found.stdout);
}

/// The bodies that a server took, one after the other, are a file of anchors.
#[test]
fn anchors_are_sent_to_a_server() {
    let upstream = Upstream::saying(200, "text/plain", "");
    let url = format!("http://127.0.0.1:{}/anchors", upstream.port);
    let folder = folder();
    fs::create_dir(folder.join("log")).unwrap();
    let arguments = ["--audit", "log/audit.jsonl", "--audit-anchor", &url];
    run(&folder, &arguments);
    run(&folder, &arguments);
    let asked = upstream.asked();
    assert!(asked.iter().all(|asked| asked.line == "POST /anchors HTTP/1.1"), "{asked:?}");
    let bodies: Vec<u8> = asked.into_iter().flat_map(|asked| asked.body).collect();
    fs::write(folder.join("taken"), &bodies).unwrap();
    assert_eq!(verify(&folder, &["--anchor", "taken"]).code(), 0);
    let whole = fs::read_to_string(log(&folder)).unwrap();
    fs::write(log(&folder), first_run(&whole)).unwrap();
    assert_eq!(verify(&folder, &["--anchor", "taken"]).code(), 8);
}

/// Calls go on without the server, and the operator is told.
#[test]
fn a_server_that_takes_no_anchor_is_told_and_stops_nothing() {
    let upstream = Upstream::saying(500, "text/plain", "");
    let url = format!("http://127.0.0.1:{}/anchors", upstream.port);
    let folder = folder();
    fs::create_dir(folder.join("log")).unwrap();
    let source = format!("{SOURCE}print(\"done\")\n");
    let arguments = ["--allow-fs", "--audit", "log/audit.jsonl", "--audit-anchor", &url];
    let ended = Starcell::run_in(&folder, &arguments, &source);
    assert_eq!((ended.code(), ended.stdout.as_str()), (70, "done\n"), "{}", ended.output);
    assert!(ended.stderr.contains(&format!("cannot anchor the audit log in {url}")), "{}", ended.stderr);
    assert_eq!(verify(&folder, &[]).code(), 0, "the log itself is whole");
    let usage = Starcell::run_in(&folder, &["--audit", "log/a", "--audit-anchor", "https://h.example/"], "");
    assert_eq!(usage.code(), 2, "{}", usage.output);
    assert!(usage.stderr.contains("anchors are sent by http:// alone"), "{}", usage.stderr);
}
