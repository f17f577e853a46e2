//! A client that behaves, and keeps asking on one connection while something else goes on.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;

/// Between two requests: enough to leave the cores to the others, short enough for thousands of answers.
const PACE: Duration = Duration::from_millis(2);

/// The client at work, in a thread of its own.
#[derive(Debug)]
pub struct Good {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Good {
    /// Asks for a path over and over, and takes no other answer than 200 with the body that is expected.
    #[must_use]
    pub fn keep_asking<S>(client: Client<S>, target: &str, expected: &str) -> Self
    where
        S: Read + Write + Send + 'static,
    {
        let (target, expected) = (target.to_owned(), expected.to_owned());
        Self::keep(
            move || client,
            move |client: &mut Client<S>| {
                let answer = client.try_request("GET", &target, &[], b"");
                let answer = answer.unwrap_or_else(|error| panic!("the good client got no answer: {error}"));
                assert_eq!((answer.status, answer.text()), (200, expected.as_str()), "the good client");
            },
        )
    }

    /// Does something over and over, with what `start` made, until it is told to stop. Returns when it was done once.
    #[must_use]
    pub fn keep<T>(start: impl FnOnce() -> T + Send + 'static, ask: impl Fn(&mut T) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (asked, first) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (mut state, mut times) = (start(), Vec::new());
            ask(&mut state);
            // Nobody waits any more if the thread that started this one panicked.
            let _ = asked.send(());
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                ask(&mut state);
                times.push(began.elapsed());
                thread::sleep(PACE);
            }
            assert!(!times.is_empty(), "the good client had no time to ask");
            times
        });
        // An error is a panic there, which `finish` passes on.
        let _ = first.recv();
        Self { stop, thread }
    }

    /// How long each answer took, in order. Panics if one was wrong.
    #[must_use]
    pub fn finish(self) -> Vec<Duration> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// The time that `part` of a hundred answers took at most.
#[must_use]
pub fn percentile(times: &[Duration], part: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[(sorted.len() * part / 100).min(sorted.len() - 1)]
}
