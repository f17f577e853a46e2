//! What a good client notices of each attack: the time that 99 of its 100 answers take at most, with and without it.
//!
//! An attacker has a machine of its own. This one has two cores: the server gets one, and on the other the attacker runs
//! only while the good client does not. What the attack costs the server still counts, what it costs the attacker does
//! not.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::attack::{self, Attack};
use starcell_tests::good::percentile;
use starcell_tests::tools;

use crate::http::pin;

/// How long the good client asks, at least: some thousand answers.
const MEASURED: Duration = Duration::from_secs(4);

/// Above this a good client notices too much.
const WANTED: f64 = 2.0;

/// Measures the attacks whose names contain a text.
pub(crate) fn run(name: &str) {
    println!("good client's p99, in microseconds       without     with    ratio  attacks  answers");
    let mut worse = Vec::new();
    for attack in attack::all().filter(|attack| attack.name.contains(name)) {
        let ratio = measure(attack);
        if ratio > WANTED {
            worse.push(format!("{} ({ratio:.2})", attack.name));
        }
    }
    match worse.as_slice() {
        [] => println!("every attack is noticed by less than a factor of {WANTED}"),
        some => println!("above a factor of {WANTED}: {}", some.join(", ")),
    }
}

fn measure(attack: &Attack) -> f64 {
    // A child starts on the core of its parent.
    pin(std::process::id(), 0);
    let target = attack.target();
    pin(std::process::id(), 1);
    target.warm_up();
    let good = target.keep_asking();
    thread::sleep(MEASURED);
    let without = good.finish();

    let good = target.keep_asking();
    let run = attack.run;
    let attacker = thread::spawn(move || {
        yield_to_all();
        let (began, mut times) = (Instant::now(), 0);
        while began.elapsed() < MEASURED {
            run(&target.server);
            times += 1;
        }
        (times, target)
    });
    // The server lives until the good client is done with it.
    let (attacks, _target) = attacker.join().expect("the server shakes it off");
    let with = good.finish();

    let [before, after] = [&without, &with].map(|times| percentile(times, 99).as_secs_f64() * 1e6);
    let (name, ratio) = (attack.name, after / before);
    println!("  {name:<36} {before:>9.0} {after:>9.0} {ratio:>8.2} {attacks:>8} {:>8}", with.len());
    ratio
}

/// Lets this thread, and those it starts, run only while nobody else wants its core.
pub(crate) fn yield_to_all() {
    let thread = fs::read_link("/proc/thread-self").expect("there is /proc");
    let thread = thread.file_name().and_then(|name| name.to_str()).expect("a number");
    let _ = tools::run("chrt", "util-linux", ["--idle", "--pid", "0", thread]).well();
}
