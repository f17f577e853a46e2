//! One process, no network: the guest against the same interpreter compiled natively.

use std::time::{Duration, Instant};

use starcell_interp::testing::NativeHost;
use starcell_runtime::parking::FORK_BYTES;
use starcell_runtime::{Forks, Limits};
use starcell_tests::edge::{Deployed, interpreter, request};

use crate::hello::HELLO;

/// Handlers with their route numbers, and how often each is called in a round.
const HANDLERS: [(&str, u32, u32); 4] =
    [("hello", 0, 1_000), ("sum of i*i", 1, 20), ("sum of i%7", 2, 20), ("JSON list of 100", 3, 100)];

/// The two take turns for so many rounds, and the middle one of each counts: what else runs on the machine comes and
/// goes.
const ROUNDS: usize = 25;

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}

/// Answers with one handler until a profiler has seen enough.
pub(crate) fn spin(route: u32, forks: Forks, count: u32) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let interpreter = interpreter();
        let app = Deployed::start_with(&interpreter, HELLO, |config| config.forks = forks).await.unwrap();
        for _ in 0..count {
            app.serving.answer(route, request("/hello?name=Bob")).await.result.unwrap();
        }
        println!("{:?}", interpreter.forks());
    });
}

/// Deploys until a profiler has seen enough.
pub(crate) fn deploy() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let interpreter = interpreter();
        for _ in 0..200 {
            Deployed::start(&interpreter, HELLO, Limits::default()).await.unwrap().stop().await.unwrap();
        }
    });
}

async fn measure() {
    let started = Instant::now();
    let interpreter = interpreter();
    println!("load the guest                {:>9.1} ms", ms(started.elapsed()));

    let mut deploys = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let app = Deployed::start(&interpreter, HELLO, Limits::default()).await.unwrap();
        let answer = app.serving.answer(0, request("/hello")).await;
        assert_eq!(answer.result.unwrap().body, b"Hello, World");
        deploys.push(began.elapsed());
        app.stop().await.unwrap();
    }
    deploys.sort();
    println!("deploy (source to answer)     {:>9.1} ms   (median of 20)", ms(deploys[10]));

    let app = Deployed::start(&interpreter, HELLO, Limits::default()).await.unwrap();
    println!("serving image                 {:>9.0} KiB", app.serving.image_bytes() as f64 / 1024.0);
    let fork = {
        let (count, began) = (20_000, Instant::now());
        for _ in 0..count {
            app.serving.fork().await.unwrap();
        }
        began.elapsed() / count
    };
    println!("fork + drop                   {:>9.1} us", us(fork));

    // One fork is parked by now, and what it holds beside the usual are the pages that it writes.
    let _ = answers(&app, 0, 100).await;
    let written = interpreter.forks().parked_bytes.saturating_sub(FORK_BYTES) / 4096;
    println!("pages that hello writes       {written:>9}");

    let fresh = Deployed::start_with(&interpreter, HELLO, |config| config.forks = Forks::Fresh).await.unwrap();
    let host = NativeHost::new();
    let native = starcell_interp::run_native(&host, "bench.star", HELLO).1.expect("it serves");
    println!("handler                           fresh     parked     native   fresh/native   parked/native");
    for (name, route, count) in HANDLERS {
        let mut rounds = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            rounds[0].push(answers(&fresh, route, count).await);
            rounds[1].push(answers(&app, route, count).await);
            let began = Instant::now();
            for _ in 0..count {
                assert_eq!(native.handle(&host, route, native_request()).unwrap().status, 200);
            }
            rounds[2].push(began.elapsed() / count);
        }
        let [fresh, parked, native] = rounds.map(|mut times| {
            times.sort();
            us(times[ROUNDS / 2])
        });
        let ratios = [fresh / native, parked / native].map(|ratio| format!("{ratio:>12.2}"));
        println!("{name:<28} {fresh:>7.1} us {parked:>7.1} us {native:>7.1} us   {}", ratios.join("   "));
    }
    println!("{:?}", interpreter.forks());
    fresh.stop().await.unwrap();
    app.stop().await.unwrap();
}

/// Time of one answer.
async fn answers(app: &Deployed, route: u32, count: u32) -> Duration {
    let began = Instant::now();
    for _ in 0..count {
        let answer = app.serving.answer(route, request("/hello?name=Bob")).await;
        assert_eq!(answer.result.unwrap().status, 200);
    }
    began.elapsed() / count
}

fn native_request() -> starcell_interp::Request {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    starcell_interp::Request {
        method: "GET".into(),
        path: "/hello".into(),
        url: "http://localhost/hello?name=Bob".into(),
        query: vec![pair("name", "Bob")],
        headers: starcell_interp::Fields::from_iter([("User-Agent", "test"), ("Accept", "*/*")]).into_lines(),
        remote_addr: "127.0.0.1:1".into(),
        host: "localhost".into(),
        id: "test".into(),
        proto: "HTTP/1.1".into(),
        ..Default::default()
    }
}

pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
