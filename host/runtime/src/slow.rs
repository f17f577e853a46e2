//! Threads for guests that compute for long: whatever else the process has to do comes first on the machine's cores.
//!
//! The decision: such a thread has a lower priority than the others, from its start and for good. The kernel then takes its
//! core away within microseconds when another thread of the process has something to do, and gives it all the time that
//! nobody else wants. Lowering needs no privilege, and raising again would, so the priority is that of a thread and not of
//! what runs on it.
//!
//! The trap it answers: a new thread has the priority of the one that made it, and the threads of the runtime that may block
//! are made by whoever first needs one, and shared by all. Made by a slow thread, one would be slow for everybody, for as
//! long as it lives. So work is given to them by [`on_blocking_thread`] alone, which has a task of the runtime do it where
//! the caller is slow.

use std::cell::Cell;

use rustix::process::setpriority_process;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::meter;

/// The nice value of a slow thread: the lowest priority there is. The kernel owes each thread its part of a core, and pays it in
/// pieces of some milliseconds: with a value of 10, two threads are owed a sixth of a core that others want whole, and of a
/// hundred requests that take 0.2 ms there, two waited for a piece of 2 ms. With 19 it is one of four hundred. Against other
/// services it makes no difference where each has a control group of its own, as systemd and containers give it. `SCHED_IDLE`
/// would leave a little less, but whatever else runs in the same group, as in a terminal, would starve such a thread.
const NICE: i32 = 19;

/// The nice value of a thread that works for an app beside its requests: it is owed a tenth of a core that others want whole.
/// Of a hundred requests of another app that take 0.2 ms, one waited for 1 ms when many threads of stores had the priority of
/// all others.
const NICE_BESIDE: i32 = 10;

thread_local! {
    static SLOW: Cell<bool> = const { Cell::new(false) };
}

/// Makes this thread a slow one, for as long as it lives. Where the kernel refuses, it is as fast as the others.
pub fn make_this_thread_slow() {
    SLOW.set(true);
    meter::read_clock();
    // A process that is nicer already stays as it is: raising is refused.
    let _ = setpriority_process(None, NICE);
}

/// Has this thread come after the requests of all apps, for as long as it lives. Where the kernel refuses, it is as fast as
/// the others.
pub(crate) fn put_this_thread_behind() {
    let _ = setpriority_process(None, NICE_BESIDE);
}

/// Runs work on a thread that may block.
///
/// # Errors
/// The work panicked, or the runtime ends.
#[expect(clippy::disallowed_methods, reason = "the one place that gives work to those threads; see the top")]
pub async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match SLOW.get() {
        true => Handle::current().spawn(async { tokio::task::spawn_blocking(work).await }).await?,
        false => tokio::task::spawn_blocking(work).await,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    /// The nice value of the calling thread.
    fn nice() -> i32 {
        getpriority_process(None).unwrap()
    }

    #[test]
    fn what_a_slow_thread_has_done_elsewhere_is_not_slow() {
        let own = nice();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let handle = runtime.handle().clone();
        let slow = std::thread::spawn(move || {
            make_this_thread_slow();
            let _entered = handle.enter();
            // This one is no task, so the runtime has no thread yet that may block.
            let elsewhere = handle.block_on(on_blocking_thread(nice)).unwrap();
            (nice(), elsewhere)
        });
        let (slow, elsewhere) = slow.join().unwrap();
        assert_eq!((slow, elsewhere), (own.max(NICE), own));
        assert_eq!(runtime.block_on(on_blocking_thread(nice)).unwrap(), own);
        assert_eq!(nice(), own, "the priority is that of a thread");
    }

    #[test]
    fn a_thread_behind_is_before_the_slow_ones() {
        let own = nice();
        let behind = std::thread::spawn(|| {
            put_this_thread_behind();
            nice()
        });
        assert_eq!(behind.join().unwrap(), own.max(NICE_BESIDE));
    }
}
