//! What asks the host for time, randomness and output.

use super::common::{failure, failure_on, prints_on};
use starcell_interp::HostError;
use starcell_interp::testing::NativeHost;

const SECOND: u64 = 1_000_000_000;

/// The waits of a script, in nanoseconds, and what it printed.
fn waits(source: &str) -> (Vec<u64>, Vec<String>) {
    let host = NativeHost::new();
    let prints = prints_on(&host, source);
    (host.sleeps(), prints)
}

#[test]
fn sleeping_is_the_hosts_to_do() {
    let (sleeps, prints) =
        waits("t = time.now()\ntime.sleep(\"1.5s\")\ntime.sleep(time.duration(\"2ns\"))\nprint(time.since(t))");
    assert_eq!(sleeps, [1_500_000_000, 2]);
    assert_eq!(prints, ["1.500000002s"]);
}

#[test]
fn retry_waits_between_attempts_only() {
    let (sleeps, prints) = waits("r = retry.do(lambda: fail(\"x\"))\nprint(r.attempts, r.elapsed)");
    assert_eq!(sleeps, [SECOND, SECOND]);
    assert_eq!(prints, ["3 2s"]);
    let (sleeps, _) = waits("retry.do(lambda: fail(\"x\"), max_attempts = 1)");
    assert!(sleeps.is_empty());
}

#[test]
fn backoff_doubles_up_to_its_limit() {
    let source = "retry.with_backoff(lambda: fail(\"x\"), max_attempts = 7, max_delay = \"5s\", jitter = False)";
    let (sleeps, _) = waits(source);
    assert_eq!(sleeps, [SECOND / 2, SECOND, 2 * SECOND, 4 * SECOND, 5 * SECOND, 5 * SECOND]);
    let (sleeps, _) = waits(
        "retry.with_backoff(lambda: fail(\"x\"), max_attempts = 1000, delay = \"1ns\", max_delay = \"3ns\", jitter = False)",
    );
    assert_eq!((sleeps.len(), sleeps.last()), (999, Some(&3)));
}

#[test]
fn jitter_stays_within_a_quarter() {
    let (sleeps, _) =
        waits("retry.with_backoff(lambda: fail(\"x\"), max_attempts = 5, delay = \"1s\", max_delay = \"1s\")");
    assert_eq!(sleeps.len(), 4);
    assert!(sleeps.iter().all(|sleep| (SECOND * 3 / 4..=SECOND * 5 / 4).contains(sleep)), "{sleeps:?}");
}

#[test]
fn a_timeout_ends_what_would_outlast_it() {
    let (sleeps, prints) =
        waits("r = retry.do(lambda: fail(\"x\"), max_attempts = 9, timeout = \"2500ms\")\nprint(r.attempts, r.ok)");
    assert_eq!(sleeps, [SECOND, SECOND]);
    assert_eq!(prints, ["3 False"]);
}

#[test]
fn a_host_that_cannot_wait_says_so() {
    assert_eq!(failure_message("time.sleep(\"1s\")"), "this host cannot wait");
    assert_eq!(failure_message("retry.do(lambda: fail(\"x\"))"), "this host cannot wait");
}

#[test]
fn a_stop_is_not_retried() {
    let source = "srv = http.server()\nsrv.handle(\"/\", str)\ncalls = []\ndef f():\n    calls.append(1)\n    print(len(calls))\n    srv.serve()\nretry.do(f, delay = \"0s\")\n";
    let host = NativeHost::new();
    assert_eq!(failure_on(&host, source).message, "stopped by the host");
    assert_eq!(host.prints(), ["1"]);
}

#[test]
fn a_failed_attempt_leaves_the_call_stack_whole() {
    let source = "def deep(n):\n    return deep(n + 1)\ndef f():\n    r = retry.do(lambda: deep(0), max_attempts = 3, delay = \"0s\")\n    print(r.attempts, r.error)\n    return 1 // 0\nf()\n";
    let host = NativeHost::new();
    let failed = failure_on(&host, source);
    assert_eq!(failed.at.line, 6, "{}", failed.report);
    assert!(host.prints()[0].starts_with("3 "), "{:?}", host.prints());
}

#[test]
fn formatted_lines_are_printed() {
    let host = NativeHost::new();
    let printed = prints_on(
        &host,
        "fmt.printf(\"%d items\\n\", 3)\nfmt.printf(\"a\\n\\n\")\nfmt.println(\"b\", 1)\nfmt.printf(\"%s\", \"c\")",
    );
    assert_eq!(printed, ["3 items", "a\n", "b 1", "c"]);
    let wrong = failure("fmt.printf(\"%d\", \"x\")");
    assert_eq!(wrong.message, "fmt.printf: %d needs an int, got \"x\" (string)");
}

#[test]
fn randomness_is_asked_for_at_every_call() {
    let host = NativeHost::new();
    let source = "random.token(4)\nuuid.v4()\nuuid.v4()\nrandom.int(1, 6)\nrandom.choice([1, 2])\nrandom.bytes(5000)\n";
    starcell_interp::run(&host, "app.star", source.as_bytes()).unwrap();
    assert_eq!(host.asked(), [4, 16, 16, 16, 16, 4096, 904]);
}

fn failure_message(source: &str) -> String {
    let mut host = NativeHost::new();
    host.sleep = Err(HostError::Failed("this host cannot wait".to_owned()));
    starcell_interp::run(&host, "app.star", source.as_bytes()).unwrap_err().message
}
