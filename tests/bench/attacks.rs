//! What a good client notices of each attack: the time that 99 of its 100 answers take at most, with and without it.
//! Server, attacker and good client share the machine, so what an attack costs the machine counts against the server.

use std::thread;
use std::time::{Duration, Instant};

use starcell_tests::attack::{self, Attack};
use starcell_tests::good::percentile;

/// How long the good client asks, at least: some thousand answers.
const MEASURED: Duration = Duration::from_secs(4);

/// What the issue wants.
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
    let target = attack.target();
    target.warm_up();
    let good = target.keep_asking();
    thread::sleep(MEASURED);
    let without = good.finish();

    let good = target.keep_asking();
    let (began, mut times) = (Instant::now(), 0);
    while began.elapsed() < MEASURED {
        (attack.run)(&target.server);
        times += 1;
    }
    let with = good.finish();

    let [before, after] = [&without, &with].map(|times| percentile(times, 99).as_secs_f64() * 1e6);
    let (name, ratio) = (attack.name, after / before);
    println!("  {name:<36} {before:>9.0} {after:>9.0} {ratio:>8.2} {times:>8} {:>8}", with.len());
    ratio
}
