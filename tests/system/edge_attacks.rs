//! Every attack of the harness, while a good client keeps asking. What the attacks are is in `src/attack`.

#![allow(clippy::print_stdout, reason = "how long each took is what a reader of the test is after")]

use std::fmt::Write as _;
use std::time::Instant;

use starcell_tests::attack::{self, Attack, BOMBS, FLOODS, SLOW};
use starcell_tests::client::Client;
use starcell_tests::good::Good;
use starcell_tests::process::{Starcell, script};
use starcell_tests::tools::run;

/// One attack after the other, each on a server of its own; says which ones were not survived.
fn survive(attacks: &[Attack]) {
    let mut failed = String::new();
    for attack in attacks {
        let began = Instant::now();
        if let Err(panic) = std::panic::catch_unwind(|| attack.survive()) {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without words");
            writeln!(failed, "{}: {text}", attack.name).unwrap();
        }
        println!("{:<40} {:>5.1} s", attack.name, began.elapsed().as_secs_f64());
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn slow_clients() {
    survive(SLOW);
}

#[test]
fn bombs() {
    survive(BOMBS);
}

#[test]
fn floods() {
    survive(FLOODS);
}

#[test]
fn attacks_have_names_of_their_own() {
    let mut names: Vec<&str> = attack::all().map(|attack| attack.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// The four that the well-known tool does. It says itself whether the server was there all the time, and ends when the
/// server has closed its connections.
#[test]
fn slowhttptest() {
    let source = "srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"good\")\n\
                  srv.handle(\"POST /\", lambda req: \"got\")\nsrv.handle(\"GET /large\", lambda req: \"x\" * 8388608)\n\
                  srv.serve()\n";
    let flags = ["--header-time", "1s", "--idle-time", "1s", "--stall-time", "1s", "--min-rate", "8388608"];
    let starcell = Starcell::serve(&[&flags[..], &["--no-access-log"]].concat(), &script(source));
    let good = Good::keep_asking(Client::connect(starcell.port()), "/", "good");
    let url = format!("http://127.0.0.1:{}/", starcell.port());
    let large = format!("{url}large");
    for (name, mode) in [
        ("slow headers", &["-H", "-c", "100", "-i", "1", "-u", &url][..]),
        ("slow body", &["-B", "-c", "100", "-i", "1", "-s", "8192", "-u", &url]),
        ("ranges", &["-R", "-c", "100", "-a", "10", "-b", "3000", "-u", &url]),
        // Each of these has the server hold 8 MB.
        ("slow read", &["-X", "-c", "20", "-w", "512", "-y", "1024", "-n", "1", "-z", "32", "-u", &large]),
    ] {
        let common = ["-r", "200", "-l", "8", "-p", "3", "-v", "1"];
        let said = run("slowhttptest", "slowhttptest", common.iter().chain(mode));
        let text = said.stdout.replace("\u{1b}[1;32m", "").replace("\u{1b}[0m", "");
        assert!(text.contains("YES") && !text.contains("NO\n"), "{name}: {text}{}", said.stderr);
        // To a slow reader the kernel goes on delivering what it has, long after the server has closed.
        assert!(text.contains("No open connections left") || name == "slow read", "{name}: {text}");
    }
    assert!(good.finish().len() > 100);
    assert_eq!(starcell.stop().code(), 0);
}
