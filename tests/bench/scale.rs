//! One process with 1, 100 and 10,000 revisions, asked in Zipf order: what a request costs when few of them are warm, and
//! what each revision holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use starcell_runtime::{AppConfig, Forks, Interpreter, Serving};
use starcell_tests::edge::{Deployed, interpreter, request};

use crate::http::middle;
use crate::micro::us;
use crate::plot::Plot;

/// How many revisions a process has.
const REVISIONS: [usize; 3] = [1, 100, 10_000];

/// Requests of one stretch, and rounds: a stretch to one revision alone and one to all take turns.
const REQUESTS: usize = 4_000;
const ROUNDS: usize = 9;

/// Measures each count; prints a table, adds bars to the plot.
pub(crate) fn run(plot: &mut Plot) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("| revisions | forks | a request | 99 % below | against one revision | each holds |");
    println!("|---|---|---|---|---|---|");
    for (count, (name, forks)) in REVISIONS
        .into_iter()
        .flat_map(|count| [(count, ("fresh", Forks::Fresh)), (count, ("parked", Forks::default()))])
    {
        let Figures { mean, p99, ratio, bytes } = runtime.block_on(measure(count, forks));
        println!("| {count} | {name} | {mean:.1} us | {p99:.1} us | {ratio:.2} | {} KiB |", bytes >> 10);
        plot.bar(&format!("{count} revisions, {name}: of one revision"), ratio);
    }
}

struct Figures {
    /// Microseconds of a request: the middle of the rounds' means, and the middle of their 99th percentiles.
    mean: f64,
    p99: f64,
    /// The mean beside that of requests to one of the revisions alone, in the same rounds.
    ratio: f64,
    /// What a revision adds to the proportional share of memory.
    bytes: usize,
}

async fn measure(count: usize, forks: Forks) -> Figures {
    let interpreter = interpreter();
    let before = pss();
    let apps = deploy(&interpreter, count, forks).await;
    let bytes = pss().saturating_sub(before) / count;
    let (order, first) = (zipf(count), vec![0; REQUESTS]);
    let [mut means, mut tails, mut ratios] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let (alone, _) = ask(&apps, &first).await;
        let (mean, tail) = ask(&apps, &order).await;
        means.push(mean);
        tails.push(tail);
        ratios.push(mean / alone);
    }
    Figures { mean: middle(means), p99: middle(tails), ratio: middle(ratios), bytes }
}

/// The mean of some requests, and what 99 % of them stay below, in microseconds.
async fn ask(apps: &[Serving], order: &[usize]) -> (f64, f64) {
    let mut times = Vec::with_capacity(order.len());
    for app in order.iter().map(|number| &apps[*number]) {
        let began = Instant::now();
        let answer = app.answer(0, request("/hello?name=Bob")).await;
        assert_eq!(answer.result.unwrap().status, 200);
        times.push(began.elapsed());
    }
    times.sort();
    (us(times.iter().sum::<Duration>()) / order.len() as f64, us(times[order.len() * 99 / 100]))
}

async fn deploy(interpreter: &Arc<Interpreter>, count: usize, forks: Forks) -> Vec<Serving> {
    let mut apps = Vec::with_capacity(count);
    for number in 0..count {
        let source = format!("number = {number}\n{}", crate::hello::HELLO);
        let give = |config: &mut AppConfig| config.forks = forks;
        apps.push(Deployed::start_with(interpreter, &source, give).await.unwrap().settle().await.unwrap());
    }
    apps
}

/// Which revision each request asks: the n-th is asked 1/n as often as the first. The same order each time.
pub(crate) fn zipf(count: usize) -> Vec<usize> {
    let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = weights.iter().sum();
    let sums: Vec<f64> = weights
        .iter()
        .scan(0.0, |sum, weight| {
            *sum += weight / total;
            Some(*sum)
        })
        .collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let draw = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let at = (state >> 11) as f64 / (1_u64 << 53) as f64;
        sums.partition_point(|sum| *sum < at).min(count - 1)
    };
    (0..REQUESTS).map(draw).collect()
}

/// The proportional share of memory of this process, in bytes.
fn pss() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}
