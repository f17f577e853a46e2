//! The clock that interrupts guests.
//!
//! A plain OS thread moves the engine's epoch on; a task on the async runtime would starve exactly when it is needed,
//! with every worker busy in a guest that loops. One thread serves all guests of the engine.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// Time between ticks. A guest yields its worker at every tick, so this is how long a neighbour waits for a guest that
/// loops; the tick itself costs some microseconds.
pub const TICK: Duration = Duration::from_millis(2);

/// The running thread; dropping it stops and joins the thread.
#[derive(Debug)]
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread.
    #[expect(clippy::disallowed_methods, reason = "owns this thread, and joins it when dropped")]
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (engine, stopped) = (engine.weak(), Arc::clone(&stop));
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || tick(&engine, &stopped))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

#[expect(clippy::disallowed_methods, reason = "a plain thread, for the reason at the top")]
fn tick(engine: &EngineWeak, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic; a join error would have nothing to tell.
            let _ = thread.join();
        }
    }
}
