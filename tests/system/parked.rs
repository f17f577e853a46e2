//! Forks that answer several requests: how often they do, what drops them, and that nothing of a request is left in one.
//!
//! Everything that is counted is counted for a whole process, so each test here runs in one of its own. On a busy machine
//! a second may pass between two requests, and then the parked fork is dropped as one that nobody needs: so no test
//! counts on finding one, but each on what may not be found.

#![allow(clippy::print_stdout, reason = "the figures are what a reader of the test is after")]

use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use starcell_runtime::{AppConfig, Failure, ForkCounts, Forks, Interpreter, Limits};
use starcell_tests::edge::{Deployed, interpreter, request};
use starcell_tests::process::PATIENCE;

/// Handlers of many kinds. Each does as much as `n` says, and answers what it would answer a first time.
const HANDLERS: &str = r#"
kept = {"list": [], "text": "initial"}
def rec(n):
    return 0 if n == 0 else 1 + rec(n - 1)
def small(req):
    return "small " + req.query["n"]
def listing(req):
    return json.encode([{"id": i, "name": "item %d" % i} for i in range(int(req.query["n"]))])
def text(req):
    return str(len("x" * (int(req.query["n"]) * 1000)))
def sorting(req):
    n = int(req.query["n"])
    return str(sorted([(i * 7919) % (n + 1) for i in range(n)])[:5])
def deep(req):
    return str(rec(int(req.query["n"]) % 150))
def nested(req):
    table = {}
    for i in range(int(req.query["n"])):
        table.setdefault(i % 17, []).append({"CANARY%d" % i: [i] * (i % 9)})
    return str(len(table))
def hashing(req):
    return hash.sha256("x" * int(req.query["n"]))
def raising(req):
    fail("CANARY " + req.query["n"])
def changing(req):
    kept["list"].append("CANARY")
def looking(req):
    return str(kept) + str(dir(kept))
HANDLERS = [small, listing, text, sorting, deep, nested, hashing, raising, changing, looking]
srv = http.server()
for i, handler in enumerate(HANDLERS):
    srv.handle("GET /%d" % i, handler)
def forever(req):
    for i in range(2147483647):
        pass
def hoard(req):
    kept = []
    for i in range(2147483647):
        kept.append([i] * 10000)
srv.handle("GET /forever", forever)
srv.handle("GET /hoard", hoard)
srv.handle("GET /sleep", lambda req: time.sleep("1h"))
srv.handle("GET /state", lambda req: [random.token(16), time.unix_nano()])
srv.serve()
"#;

/// The routes that end by themselves.
const ROUTES: u32 = 10;
const RAISING: u32 = 7;
const CHANGING: u32 = 8;
const LOOKING: u32 = 9;
const FOREVER: u32 = 10;
const HOARD: u32 = 11;
const SLEEP: u32 = 12;
const STATE: u32 = 13;

/// Runs one of the tests below in a process of its own.
fn alone(name: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("parked::{name}"), "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
    out.lines().filter(|line| line.contains("forks:")).for_each(|line| println!("{line}"));
}

fn block_on<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}

async fn deploy(interpreter: &Arc<Interpreter>, forks: Forks) -> Deployed {
    let limits = Limits { request_cpu: Duration::from_millis(300), ..Limits::default() };
    let give = |config: &mut AppConfig| (config.limits, config.forks) = (limits, forks);
    Deployed::start_with(interpreter, HANDLERS, give).await.unwrap()
}

async fn ask(app: &Deployed, route: u32, n: u32) -> Result<String, Failure> {
    let response = app.serving.answer(route, request(&format!("/?n={n}"))).await.result?;
    Ok(String::from_utf8(response.body).unwrap())
}

/// What happened to forks during `test`.
async fn counted<T>(interpreter: &Interpreter, test: impl Future<Output = T>) -> (T, ForkCounts) {
    let before = interpreter.forks();
    let value = test.await;
    let after = interpreter.forks();
    let counts = ForkCounts {
        made: after.made - before.made,
        reused: after.reused - before.reused,
        spoiled: after.spoiled - before.spoiled,
        compared: after.compared - before.compared,
        differences: after.differences - before.differences,
        ..after
    };
    (value, counts)
}

#[test]
fn a_fork_answers_request_after_request_until_something_goes_wrong() {
    alone("reuse");
}

#[test]
#[ignore = "a_fork_answers_request_after_request_until_something_goes_wrong runs it"]
fn reuse() {
    block_on(async {
        let interpreter = interpreter();
        let app = deploy(&interpreter, Forks::Parked { compare_every: 10 }).await;
        let small = async {
            for n in 0..100 {
                assert_eq!(ask(&app, 0, n).await.unwrap(), format!("small {n}"));
            }
        };
        let ((), counts) = counted(&interpreter, small).await;
        println!("forks: {counts:?}");
        assert_eq!((counts.made + counts.reused, counts.compared, counts.differences), (100, 10, 0));
        assert!(counts.reused >= 90 && counts.parked <= 1, "{counts:?}");

        // Each of these ends the fork that it ran in; the next request has a new one.
        for route in [RAISING, CHANGING, FOREVER, HOARD] {
            let (result, counts) = counted(&interpreter, ask(&app, route, 1)).await;
            result.unwrap_err();
            assert_eq!((counts.parked, counts.reused + counts.made), (0, 1), "route {route}");
            let (looked, counts) = counted(&interpreter, ask(&app, LOOKING, 1)).await;
            assert!(looked.as_ref().unwrap().starts_with(r#"{"list": [], "text": "initial"}"#), "{looked:?}");
            assert_eq!((counts.reused, counts.made), (0, 1), "after route {route}");
        }

        // A request that is given up ends its fork too.
        let given_up = async {
            let sleeping = app.serving.answer(SLEEP, request("/"));
            tokio::time::timeout(Duration::from_millis(200), sleeping).await.unwrap_err();
        };
        let ((), counts) = counted(&interpreter, given_up).await;
        assert_eq!((counts.parked, counts.reused + counts.made), (0, 1));
        app.stop().await.unwrap();
    });
}

#[test]
fn an_app_with_fresh_forks_has_a_new_one_each_time() {
    alone("fresh");
}

#[test]
#[ignore = "an_app_with_fresh_forks_has_a_new_one_each_time runs it"]
fn fresh() {
    block_on(async {
        let interpreter = interpreter();
        let app = deploy(&interpreter, Forks::Fresh).await;
        let (_, counts) = counted(&interpreter, async {
            for n in 0..20 {
                ask(&app, n % ROUTES, n).await.unwrap_or_default();
            }
        })
        .await;
        assert_eq!((counts.made, counts.reused, counts.compared, counts.parked), (20, 0, 0, 0));
        app.stop().await.unwrap();
    });
}

#[test]
fn a_parked_fork_has_its_own_randomness_and_time_at_each_request() {
    alone("state");
}

#[test]
#[ignore = "a_parked_fork_has_its_own_randomness_and_time_at_each_request runs it"]
fn state() {
    block_on(async {
        let interpreter = interpreter();
        let app = deploy(&interpreter, Forks::default()).await;
        let (mut tokens, mut last) = (std::collections::HashSet::new(), 0);
        let (_, counts) = counted(&interpreter, async {
            for _ in 0..500 {
                let (token, now): (String, u64) = serde_json::from_str(&ask(&app, STATE, 0).await.unwrap()).unwrap();
                assert!(tokens.insert(token.clone()), "{token} came twice");
                assert!(now > last);
                last = now;
            }
        })
        .await;
        assert_eq!(counts.made + counts.reused, 500);
        assert!(counts.reused >= 450, "{counts:?}");
        app.stop().await.unwrap();
    });
}

#[test]
fn an_idle_revision_parks_none() {
    alone("idle");
}

#[test]
#[ignore = "an_idle_revision_parks_none runs it"]
fn idle() {
    block_on(async {
        let interpreter = interpreter();
        let app = deploy(&interpreter, Forks::default()).await;
        let (one, two, three) = tokio::join!(ask(&app, 1, 500), ask(&app, 1, 501), ask(&app, 1, 502));
        assert!(one.is_ok() && two.is_ok() && three.is_ok());
        assert!(interpreter.forks().parked >= 1);
        let began = Instant::now();
        while interpreter.forks().parked != 0 {
            assert!(began.elapsed() < PATIENCE, "{:?}", interpreter.forks());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(interpreter.forks().parked_bytes, 0);
        assert!(ask(&app, 0, 1).await.is_ok());
        app.stop().await.unwrap();
    });
}

#[test]
fn random_handlers_of_many_revisions_leave_nothing_and_memory_stays_flat() {
    alone("soak");
}

/// Requests of the test below, to 20 revisions. STARCELL_SOAK=84 makes it a million, to 100.
const REQUESTS: u32 = 12_000;

#[test]
#[ignore = "random_handlers_of_many_revisions_leave_nothing_and_memory_stays_flat runs it"]
fn soak() {
    let factor = std::env::var("STARCELL_SOAK").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    block_on(async {
        let interpreter = interpreter();
        let mut apps = Vec::new();
        for revision in 0..if factor == 1 { 20 } else { 100 } {
            // Every reset of some is compared, of others the usual share.
            let compare_every = if revision % 2 == 0 { 1 } else { 1000 };
            apps.push(deploy(&interpreter, Forks::Parked { compare_every }).await);
        }
        let mut random = Random(1);
        storm(&apps, &mut random, REQUESTS / 4).await;
        let before = resident();
        storm(&apps, &mut random, REQUESTS * factor).await;
        let (after, counts) = (resident(), interpreter.forks());
        println!("forks: {counts:?}; resident {} KiB, then {} KiB", before >> 10, after >> 10);
        assert_eq!(counts.differences, 0);
        // A fifth of the requests raise, which drops their fork; a heavy one has the next 32 of its revision run unwatched.
        assert!(counts.compared > u64::from(REQUESTS) / 12, "{counts:?}");
        assert!(counts.reused > u64::from(REQUESTS) / 4, "{counts:?}");
        assert!(after < before + (48 << 20), "{before} bytes, then {after}");
        for app in apps {
            app.stop().await.unwrap();
        }
    });
}

/// Asks at random, a few requests at a time.
async fn storm(apps: &[Deployed], random: &mut Random, requests: u32) {
    for _ in 0..requests / 4 {
        let four: [(usize, u32, u32); 4] = std::array::from_fn(|_| {
            let size = [3, 3, 40, 40, 40, 400, 400, 3000][random.below(8)];
            (random.below(apps.len()), random.below(ROUTES as usize) as u32, random.below(size) as u32)
        });
        let [a, b, c, d] = four.map(|(app, route, n)| answer(&apps[app], route, n));
        tokio::join!(a, b, c, d);
    }
}

async fn answer(app: &Deployed, route: u32, n: u32) {
    let result = ask(app, route, n).await;
    match (route, result) {
        (RAISING, Err(Failure::Script(failure))) => assert!(failure.message.contains(&format!("CANARY {n}"))),
        (CHANGING, Err(Failure::Script(failure))) => assert!(failure.message.contains("frozen"), "{}", failure.message),
        (0, Ok(text)) => assert_eq!(text, format!("small {n}")),
        (2, Ok(text)) => assert_eq!(text, (n * 1000).to_string()),
        (4, Ok(text)) => assert_eq!(text, (n % 150).to_string()),
        (5, Ok(text)) => assert_eq!(text, n.min(17).to_string()),
        (6, Ok(text)) => assert_eq!(text.len(), 64),
        (LOOKING, Ok(text)) => assert!(text.starts_with(r#"{"list": [], "text": "initial"}"#), "{text}"),
        (1 | 3, Ok(text)) => assert!(text.starts_with('['), "{text}"),
        (route, result) => panic!("route {route} with {n}: {result:?}"),
    }
}

/// A small generator, so that each run asks the same.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }
}

/// Memory that is resident in this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
