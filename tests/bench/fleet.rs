//! What clients of three nodes behind HAProxy notice while a node is killed, one is restarted in order, all are upgraded and
//! the store restarts: the time from the first try of a request to its answer.

use std::fs;
use std::path::Path;
use std::time::Duration;

use starcell_tests::fleet::{Event, Fleet};
use starcell_tests::fleet_load::{CLIENTS, FleetLoad, Sample, Trouble};
use starcell_tests::good::percentile;
use starcell_tests::servers::Server;

use crate::plot::Plot;

/// Changes that are acknowledged during each event.
const WRITES: u64 = 4_000;

/// The time of one bar of the plot.
const STEP: Duration = Duration::from_secs(1);

/// Measures both stores; the file gets the plot of the first.
pub(crate) fn run(plot: Option<&Path>) {
    let redis = Measured::of(Server::redis());
    redis.print("Redis, every change on its disk before it is acknowledged");
    if let Some(file) = plot {
        fs::write(file, redis.plot().svg()).unwrap();
        println!("\nThe plot is in {}.", file.display());
    }
    println!();
    Measured::of(Server::postgres()).print("PostgreSQL");
}

/// An event, from its begin until the fleet was whole again.
struct Stretch {
    event: Event,
    from: Duration,
    to: Duration,
    unknown: u64,
    again: u64,
}

struct Measured {
    stretches: Vec<Stretch>,
    samples: Vec<Sample>,
}

impl Measured {
    fn of(mut store: Server) -> Self {
        let mut fleet = Fleet::start(&store);
        let load = FleetLoad::start(fleet.proxy.port);
        load.go_on(WRITES);
        let mut stretches = Vec::new();
        for event in Event::ALL {
            let (from, before) = (load.age(), load.trouble());
            fleet.live_through(event, &mut store, &|| load.go_on(WRITES));
            let Trouble { unknown, again } = load.trouble();
            let (unknown, again) = (unknown - before.unknown, again - before.again);
            stretches.push(Stretch { event, from, to: load.age(), unknown, again });
        }
        let samples = load.finish().samples;
        fleet.stop();
        Self { stretches, samples }
    }

    /// How long the requests took that began in a time.
    fn times(&self, from: Duration, to: Duration) -> Vec<Duration> {
        let began = self.samples.iter().filter(|sample| (from..to).contains(&sample.at));
        began.map(|sample| sample.took).collect()
    }

    fn print(&self, title: &str) {
        println!("| {title}, {CLIENTS} clients | requests | half below | 99 % below | longest | again | unknown |");
        println!("|---|---|---|---|---|---|---|");
        for Stretch { event, from, to, unknown, again } in &self.stretches {
            let times = self.times(*from, *to);
            let [half, most] = [50, 99].map(|part| ms(percentile(&times, part)));
            let longest = ms(times.iter().max().copied().unwrap_or_default());
            let (name, count) = (event.name(), times.len());
            println!("| {name} | {count} | {half:.1} ms | {most:.1} ms | {longest:.0} ms | {again} | {unknown} |");
        }
    }

    /// A bar for each second: what 99 of a hundred requests that began in it took at most.
    fn plot(&self) -> Plot {
        let mut plot =
            Plot::new("Milliseconds that 99 of 100 requests took at most, by the second in which they began");
        let (begin, end) = (self.stretches[0].from, self.stretches[self.stretches.len() - 1].to);
        let mut at = begin;
        while at < end {
            let times = self.times(at, at + STEP);
            let begins = self.stretches.iter().filter(|stretch| (at..at + STEP).contains(&stretch.from));
            let names: Vec<&str> = begins.map(|stretch| stretch.event.name()).collect();
            let second = (at - begin).as_secs();
            let tail = if times.is_empty() { 0.0 } else { ms(percentile(&times, 99)) };
            plot.bar(&format!("{} {second} s", names.join("; ")), tail);
            at += STEP;
        }
        plot
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
