//! The files of a host that records and keeps: moved away while they are written, damaged, or filled too fast.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use starcell_tests::client::get;
use starcell_tests::log::{ask, ask_json, lines};
use starcell_tests::process::{Starcell, folder, until};

/// A server whose handler reads a file that is not there.
fn serving(folder: &Path, log: &str) -> Starcell {
    let source = "def go(req):\n    return fs.try_read_text(\"live\").error\nhttp.serve({\"GET /go\": go})\n";
    let arguments = ["--allow-local", "--port", "0", "--audit", log];
    let mut starcell = Starcell::spawn_in(folder, &arguments, source);
    starcell.wait_for("serving ");
    starcell
}

/// How many records of reading the file stand in a log.
fn reads(log: &Path) -> usize {
    lines(log, "call").iter().filter(|call| call["capability"] == "fs.read_text").count()
}

fn separate() -> (PathBuf, PathBuf) {
    let folder = folder();
    fs::create_dir(folder.join("work")).unwrap();
    fs::create_dir(folder.join("log")).unwrap();
    (folder.join("work"), folder.join("log/audit.jsonl"))
}

#[test]
fn a_log_that_is_moved_away_goes_on_at_its_path() {
    for by in ["remove", "rename", "copy"] {
        let (work, log) = separate();
        let starcell = serving(&work, log.to_str().unwrap());
        assert_eq!(get(starcell.port(), "/go").status, 200);
        let old = log.with_file_name("old.jsonl");
        match by {
            "remove" => fs::remove_file(&log).unwrap(),
            "rename" => fs::rename(&log, &old).unwrap(),
            _ => {
                fs::copy(&log, &old).unwrap();
                fs::write(&log, "").unwrap();
            }
        }
        assert_eq!(get(starcell.port(), "/go").status, 200);
        assert_eq!(reads(&log), 1, "{by}");
        let ended = starcell.stop();
        assert_eq!(ended.code(), 0, "{by}: {}", ended.output);
        let told = format!("another program moved or emptied the audit log {}", log.display());
        assert!(ended.stderr.contains(&told), "{by}: {}", ended.stderr);
        let seen = ask_json(&work, &["audit", "verify", "--json", log.to_str().unwrap()]);
        assert_eq!((&seen["sound"], &seen["moved"]), (&true.into(), &1.into()), "{by}: {seen}");
        if by == "rename" {
            let both = ask(&work, &["audit", "verify", log.to_str().unwrap(), old.to_str().unwrap()]);
            assert_eq!(both.code(), 0, "{}", both.output);
            assert!(both.stdout.contains("lines in 2 files"), "{}", both.stdout);
        }
    }
}

#[test]
fn a_log_that_another_program_replaced_refuses_the_call() {
    let (work, log) = separate();
    let starcell = serving(&work, log.to_str().unwrap());
    fs::rename(&log, log.with_file_name("old.jsonl")).unwrap();
    fs::write(&log, "notes\n").unwrap();
    let told = get(starcell.port(), "/go");
    assert!(told.text().contains("the audit log cannot be written, so the call was not made"), "{}", told.text());
    assert_eq!(fs::read_to_string(&log).unwrap(), "notes\n");
    fs::remove_file(&log).unwrap();
    assert!(!get(starcell.port(), "/go").text().contains("audit log"));
    OpenOptions::new().append(true).open(&log).unwrap().write_all(b"forged\n").unwrap();
    assert!(get(starcell.port(), "/go").text().contains("was changed by another program"));
    fs::remove_file(&log).unwrap();
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let error = format!("another file was put in place of the audit log {}", log.display());
    assert!(ended.stderr.contains(&error), "{}", ended.stderr);
}

#[test]
fn a_tool_rotates_the_log_with_sighup() {
    let (work, log) = separate();
    let starcell = serving(&work, log.to_str().unwrap());
    for round in (1..=3).rev() {
        assert_eq!(get(starcell.port(), "/go").status, 200);
        fs::rename(&log, log.with_file_name(format!("audit.jsonl.{round}"))).unwrap();
        starcell.signal("HUP");
        until("the log was opened anew", || log.exists() && fs::metadata(&log).unwrap().len() > 0);
    }
    assert_eq!(get(starcell.port(), "/go").status, 200);
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(!ended.stderr.contains("another program"), "what was asked for is no error: {}", ended.stderr);
    let seen = ask_json(&work, &["audit", "verify", "--json", log.to_str().unwrap()]);
    assert_eq!((&seen["sound"], &seen["files"]), (&true.into(), &4.into()), "{seen}");
    assert_eq!(reads(&log), 1);
}

#[test]
fn a_damaged_log_is_set_aside_by_a_flag() {
    let folder = folder();
    let run = |flags: &[&str]| {
        Starcell::run_in(
            &folder,
            &[&["--allow-fs", "--audit", "audit.jsonl"][..], flags].concat(),
            "fs.exists(\"a\")\n",
        )
    };
    assert_eq!(run(&[]).code(), 0);
    let log = folder.join("audit.jsonl");
    OpenOptions::new().append(true).open(&log).unwrap().write_all(b"garbage\n").unwrap();
    let damaged = fs::read(&log).unwrap();
    let refused = run(&[]);
    assert_eq!(refused.code(), 4, "{}", refused.output);
    assert!(refused.stderr.contains("--set-aside-damaged"), "{}", refused.stderr);
    let ended = run(&["--set-aside-damaged"]);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let told =
        "the audit log audit.jsonl was damaged: its bytes are kept in audit.jsonl.damaged-1, and a new one begins";
    assert!(ended.stderr.contains(told) && ended.stderr.contains("error"), "{}", ended.stderr);
    assert_eq!(fs::read(folder.join("audit.jsonl.damaged-1")).unwrap(), damaged);
    let seen = ask_json(&folder, &["audit", "verify", "--json", "audit.jsonl"]);
    assert_eq!((&seen["sound"], &seen["damaged"]), (&true.into(), &1.into()), "{seen}");
    let again = run(&["--set-aside-damaged"]);
    assert!(again.code() == 0 && !again.stderr.contains("damaged"), "a sound log stays: {}", again.output);
}

#[test]
fn a_damaged_store_is_set_aside_by_a_flag() {
    let folder = folder();
    let run = |flags: &[&str], source: &str| {
        Starcell::run_in(&folder, &[&["--allow-fs", "--state", "state"][..], flags].concat(), source)
    };
    let ask = "print(kv.get(\"a\"))\nkv.set(\"a\", 1)\n";
    let store = folder.join("state/kv.redb");
    for (number, damage) in [(1, vec![0; 4096]), (2, vec![b'x'; 5000])] {
        assert_eq!(run(&[], ask).stdout, "None\n");
        assert_eq!(run(&["--set-aside-damaged"], ask).stdout, "1\n", "a sound store stays");
        let mut bytes = fs::read(&store).unwrap();
        bytes[..damage.len()].copy_from_slice(&damage);
        fs::write(&store, &bytes).unwrap();
        let refused = run(&[], ask);
        assert_eq!((refused.code(), refused.stdout.as_str()), (4, ""), "{}", refused.output);
        assert!(refused.stderr.contains("--set-aside-damaged"), "{}", refused.stderr);
        let ended = run(&["--set-aside-damaged"], ask);
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, "None\n"), "{}", ended.output);
        let aside = format!("state/kv.redb.damaged-{number}");
        assert!(ended.stderr.contains(&format!("its bytes are kept in {aside}")), "{}", ended.stderr);
        assert_eq!(fs::read(folder.join(aside)).unwrap(), bytes);
        fs::remove_file(&store).unwrap();
    }
}

/// A flood of refused calls: each has its record, and together they come no faster than the rate.
#[test]
fn a_flood_of_records_waits_in_its_own_time() {
    let (work, log) = separate();
    let path = format!("/{}", "p".repeat(3000));
    let source = format!(
        "def flood(req):\n    n = 0\n    for i in range(100000):\n        n += 1 if fs.try_read_text(\"{path}\").ok else 0\n\
         def go(req):\n    return \"fine\"\nsrv = http.server()\nsrv.handle(\"GET /flood\", flood)\n\
         srv.handle(\"GET /go\", go)\nsrv.serve()\n"
    );
    let arguments = ["--allow", "http.server", "--port", "0", "--request-time", "6s", "--request-cpu", "6s", "--audit"];
    let mut starcell = Starcell::spawn_in(&work, &[&arguments[..], &[log.to_str().unwrap()]].concat(), &source);
    starcell.wait_for("serving ");
    let (port, began) = (starcell.port(), Instant::now());
    let floods: Vec<_> = (0..8).map(|_| std::thread::spawn(move || get(port, "/flood").status)).collect();
    let neighbours = (0..20).map(|_| get(port, "/go").status).collect::<Vec<_>>();
    assert_eq!(neighbours, [200; 20]);
    let statuses: Vec<u16> = floods.into_iter().map(|flood| flood.join().unwrap()).collect();
    assert!(statuses.iter().all(|status| *status >= 500), "each ran out of its time: {statuses:?}");
    let took = began.elapsed();
    assert_eq!(starcell.stop().code(), 0);
    let size = fs::metadata(&log).unwrap().len();
    let allowed = (16 << 20) + took.as_secs() * (1 << 20) + (2 << 20);
    assert!(size <= allowed, "{size} bytes in {took:?}");
    assert!(size > 15 << 20 || took > Duration::from_secs(30), "the burst is used: {size} bytes in {took:?}");
    let seen = ask_json(&work, &["audit", "verify", "--json", log.to_str().unwrap()]);
    assert_eq!((&seen["sound"], &seen["refused"], &seen["lost"]), (&true.into(), &0.into(), &0.into()), "{seen}");
}
