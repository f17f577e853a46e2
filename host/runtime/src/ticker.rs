//! The clock that interrupts guests.
//!
//! A plain OS thread moves the engine's epoch on; a task on the async runtime would starve exactly when it is needed,
//! with every worker busy in a guest that loops. One thread serves all guests of the engine. It stands still while no
//! guest runs, so that a process of idle scripts wakes up for nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Time between ticks. A guest yields its worker at every tick, so this is how long a neighbour waits for a guest that
/// loops; the tick itself costs some microseconds.
pub const TICK: Duration = Duration::from_millis(2);

/// Ticks without a guest after which the clock stands still: so many that starting it again, a system call, is seldom
/// paid for.
const IDLE_TICKS: u32 = 50;

/// The running thread; dropping it stops and joins the thread.
#[derive(Debug)]
pub struct Ticker {
    demand: Arc<Demand>,
    thread: Option<JoinHandle<()>>,
}

/// The demand for the clock.
#[derive(Debug, Default)]
pub(crate) struct Demand {
    /// A guest began to run after the last tick.
    used: AtomicBool,
    /// The thread sleeps until it is woken.
    still: AtomicBool,
    stop: AtomicBool,
    thread: std::sync::OnceLock<thread::Thread>,
}

impl Ticker {
    /// Starts the thread.
    #[expect(clippy::disallowed_methods, reason = "owns this thread, and joins it when dropped")]
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let demand = Arc::new(Demand::default());
        let (engine, asked) = (engine.weak(), Arc::clone(&demand));
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || tick(&engine, &asked))?;
        // Set once, here.
        let _ = demand.thread.set(thread.thread().clone());
        Ok(Self { demand, thread: Some(thread) })
    }

    /// What guests that run tell the clock.
    pub(crate) fn demand(&self) -> &Arc<Demand> {
        &self.demand
    }
}

impl Demand {
    /// A guest begins to run. One that goes on for longer comes here again after each tick, since it yields then.
    pub(crate) fn guest_runs(&self) {
        // Mostly it is set already, and a line of memory that all workers write would cost each of them.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::SeqCst);
            if self.still.load(Ordering::SeqCst) {
                self.wake();
            }
        }
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until a guest runs. Either this sees what `guest_runs` has set, or that sees `still` and wakes this.
    fn stand_still(&self) {
        self.still.store(true, Ordering::SeqCst);
        while !self.used.load(Ordering::SeqCst) && !self.stop.load(Ordering::SeqCst) {
            thread::park();
        }
        self.still.store(false, Ordering::SeqCst);
    }
}

#[expect(clippy::disallowed_methods, reason = "a plain thread, for the reason at the top")]
fn tick(engine: &EngineWeak, demand: &Demand) {
    let mut idle = 0;
    while !demand.stop.load(Ordering::SeqCst) {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        drop(engine);
        idle = if demand.used.swap(false, Ordering::SeqCst) { 0 } else { idle + 1 };
        if idle >= IDLE_TICKS {
            demand.stand_still();
            idle = 0;
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.demand.stop.store(true, Ordering::SeqCst);
        self.demand.wake();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; a join error would have nothing to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::engine::engine;

    /// Waits for what another thread does.
    #[expect(clippy::disallowed_methods, reason = "looks again after a while, and gives up after a long one")]
    fn until(what: &str, mut seen: impl FnMut() -> bool) {
        let began = Instant::now();
        while !seen() {
            assert!(began.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
            thread::sleep(TICK);
        }
    }

    #[test]
    fn the_clock_stands_still_without_guests_and_goes_on_with_one() {
        let engine = engine().unwrap();
        let ticker = Ticker::start(&engine).unwrap();
        let demand = Arc::clone(ticker.demand());
        for _ in 0..3 {
            until("it stands still", || demand.still.load(Ordering::SeqCst));
            demand.guest_runs();
            // Each tick takes note of the guest that ran.
            until("it ticks", || !demand.used.load(Ordering::SeqCst));
        }
        until("it stands still", || demand.still.load(Ordering::SeqCst));
        drop(ticker);
    }
}
