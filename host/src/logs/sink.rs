//! The buffer that lines gather in, and the thread that empties it.

use std::io::{self, Write as _};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::Notify;

/// Bytes that may wait for the writer.
const ROOM: usize = 1 << 20;

/// Pause between two writes. What comes meanwhile is written together, and whoever logs has nobody to wake.
const GATHER: Duration = Duration::from_millis(5);

/// Where lines go. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Buffers>,
    /// Something is there to be written, or it is the end.
    filled: Condvar,
    /// There is room again.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Buffers {
    /// For standard output: what the user asked to see.
    out: String,
    /// For standard error: what happened.
    err: String,
    /// Lines that found no room.
    lost: u64,
    ended: bool,
    /// Whether the writer waits to be woken.
    idle: bool,
    /// Whether it has taken something that is not written yet.
    writing: bool,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    #[expect(clippy::disallowed_methods, reason = "`Writer` owns this thread and joins it")]
    pub(super) fn start() -> (Self, Writer) {
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        let thread = thread::Builder::new().name("log".into()).spawn(move || writing.write_all()).ok();
        shared.lock().ended = thread.is_none();
        (Self(Arc::clone(&shared)), Writer { shared, thread })
    }

    /// Writes to standard output; waits for room.
    pub(super) async fn out(&self, text: &str) {
        self.wait_and_put(|buffers| buffers.out.push_str(text)).await;
    }

    /// Writes to standard error; waits for room.
    pub(super) async fn err(&self, text: &str) {
        self.wait_and_put(|buffers| buffers.err.push_str(text)).await;
    }

    /// Writes to standard output, or not at all.
    pub(super) fn out_now(&self, text: &str) {
        self.0.put(|buffers| buffers.out.push_str(text));
    }

    /// Writes to standard error, or counts; `note` says how many were counted.
    pub(super) fn err_now(&self, text: &str, note: impl FnOnce(u64) -> String) {
        let put = self.0.put(|buffers| {
            if let lost @ 1.. = mem::take(&mut buffers.lost) {
                buffers.err.push_str(&note(lost));
            }
            buffers.err.push_str(text);
        });
        if !put {
            self.0.lock().lost += 1;
        }
    }

    /// Waits until everything so far is written.
    pub(super) async fn settle(&self) {
        loop {
            // Registered before looking, so that an end in between is not missed.
            let emptied = self.0.emptied.notified();
            let mut emptied = std::pin::pin!(emptied);
            emptied.as_mut().enable();
            if self.0.lock().is_settled() {
                return;
            }
            emptied.await;
        }
    }

    async fn wait_and_put(&self, put: impl Fn(&mut Buffers)) {
        loop {
            // Registered before looking, so that room made in between is not missed.
            let emptied = self.0.emptied.notified();
            if self.0.put(&put) {
                return;
            }
            emptied.await;
        }
    }
}

impl Buffers {
    fn is_settled(&self) -> bool {
        self.ended || (self.out.is_empty() && self.err.is_empty() && !self.writing)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffers> {
        // No code that can panic runs under this lock but an allocation, and half a line is still a line.
        self.buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `put` if there is room, and says whether. After the end there is nobody to write anything.
    fn put(&self, put: impl FnOnce(&mut Buffers)) -> bool {
        let mut buffers = self.lock();
        if buffers.ended {
            return true;
        }
        if buffers.out.len() + buffers.err.len() >= ROOM {
            return false;
        }
        put(&mut buffers);
        if mem::take(&mut buffers.idle) {
            self.filled.notify_one();
        }
        true
    }

    /// Writes until the end. A closed stream loses its lines, not the process.
    #[expect(clippy::disallowed_methods, reason = "this thread is the writer's own")]
    fn write_all(&self) {
        let (mut out, mut err) = (String::new(), String::new());
        loop {
            let mut buffers = self.lock();
            while buffers.out.is_empty() && buffers.err.is_empty() && !buffers.ended {
                buffers.idle = true;
                buffers = self.filled.wait(buffers).unwrap_or_else(PoisonError::into_inner);
            }
            buffers.idle = false;
            let ended = buffers.ended;
            buffers.writing = true;
            mem::swap(&mut buffers.out, &mut out);
            mem::swap(&mut buffers.err, &mut err);
            drop(buffers);
            self.emptied.notify_waiters();
            let _ = io::stdout().write_all(out.as_bytes()).and_then(|()| io::stdout().flush());
            let _ = io::stderr().write_all(err.as_bytes());
            self.lock().writing = false;
            self.emptied.notify_waiters();
            if ended {
                return;
            }
            out.clear();
            err.clear();
            thread::sleep(GATHER);
        }
    }
}

impl Writer {
    /// Waits until everything is written.
    pub async fn finish(mut self) {
        self.shared.lock().ended = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // Neither the task nor the thread panics.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
