//! The slow lane: threads of low priority that run what computes for long, a turn each time.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use starcell_runtime::meter::thread_clock;
use starcell_runtime::slow::make_this_thread_slow;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::lines::Lines;

/// What those who wait and the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    lines: Mutex<Lines<Arc<Job>>>,
    /// Somebody waits, or the threads are to end.
    changed: Condvar,
    ended: AtomicBool,
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "what is counted begins now")]
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::new(Lines::new(Instant::now())),
            changed: Condvar::new(),
            ended: AtomicBool::new(false),
        })
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Lines<Arc<Job>>> {
        self.lines.lock()
    }

    fn stand(&self, job: Arc<Job>) {
        let mut lines = self.lines.lock();
        // Nobody would take it out again.
        if !self.ended.load(Ordering::SeqCst) {
            lines.stand(job.tenant, job);
            drop(lines);
            self.changed.notify_one();
        }
    }

    /// The next turn, once there is one; none when the threads are to end.
    fn next(&self) -> Option<Arc<Job>> {
        let mut lines = self.lines.lock();
        loop {
            if self.ended.load(Ordering::SeqCst) {
                return None;
            }
            match lines.next() {
                Some(job) => return Some(job),
                None => self.changed.wait(&mut lines),
            }
        }
    }

    /// Has the threads end, each after its turn.
    pub(super) fn end(&self) {
        let mut lines = self.lines.lock();
        self.ended.store(true, Ordering::SeqCst);
        let waiting = lines.clear();
        drop(lines);
        self.changed.notify_all();
        // Not under the lock: what ends with them may wake others.
        drop(waiting);
    }
}

/// Starts one of the threads. What runs there finds the runtime of the caller.
#[expect(clippy::disallowed_methods, reason = "`Turns` owns the thread, and joins it")]
pub(super) fn start(shared: &Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let (shared, runtime) = (Arc::clone(shared), Handle::current());
    thread::Builder::new().name("slow".into()).spawn(move || {
        make_this_thread_slow();
        let _entered = runtime.enter();
        while let Some(job) = shared.next() {
            job.turn();
        }
    })
}

/// A future in the slow lane.
pub(super) struct Job {
    tenant: usize,
    shared: Arc<Shared>,
    state: AtomicU8,
    /// The task that waits for its result.
    owner: Mutex<Waker>,
    given_up: AtomicBool,
    /// Nanoseconds that it ran since it came here.
    spent: AtomicU64,
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

/// It waits for something else than a turn.
const IDLE: u8 = 0;
/// What it waited for is there, and its owner says which way it goes on.
const READY: u8 = 1;
/// It is in line.
const WAITING: u8 = 2;
const RUNNING: u8 = 3;
/// It was woken while it ran.
const WOKEN: u8 = 4;

impl Job {
    /// Has a future of a tenant go on in the slow lane. Its result comes by the receiver, after all that it held is dropped.
    pub(super) fn start<F>(shared: &Arc<Shared>, tenant: usize, future: F) -> (Arc<Self>, Receiver<F::Output>)
    where
        F: Future<Output: Send> + Send + Unpin + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let running = Running { future: Some(future), sender: Some(sender) };
        let job = Arc::new(Self {
            tenant,
            shared: Arc::clone(shared),
            state: AtomicU8::new(WAITING),
            owner: Mutex::new(Waker::noop().clone()),
            given_up: AtomicBool::new(false),
            spent: AtomicU64::new(0),
            future: Mutex::new(Some(Box::pin(running))),
        });
        shared.stand(Arc::clone(&job));
        (job, receiver)
    }

    /// Notes the task that waits for its result; says whether the future is ready to go on.
    pub(super) fn is_ready(&self, owner: &Waker) -> bool {
        // Before the state is read: either this sees it, or whoever changes it next wakes the owner.
        self.owner.lock().clone_from(owner);
        self.state.load(Ordering::SeqCst) == READY
    }

    /// Has what is ready stand in line.
    pub(super) fn stand(self: &Arc<Self>) {
        self.state.store(WAITING, Ordering::SeqCst);
        self.shared.stand(Arc::clone(self));
    }

    /// Polls what is ready on the thread of its owner; says whether it wants to go on at once.
    pub(super) fn go(self: &Arc<Self>) -> bool {
        self.state.store(RUNNING, Ordering::SeqCst);
        let goes_on = !self.poll() && !self.rests();
        if goes_on {
            self.state.store(READY, Ordering::SeqCst);
        }
        goes_on
    }

    /// Time that it ran since it came here.
    pub(super) fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent.load(Ordering::Relaxed))
    }

    /// Drops the future: now, or after the turn that it has.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        // Whoever has the lock looks at the flag when it has given the lock back.
        let future = self.future.try_lock().and_then(|mut future| future.take());
        drop(future);
    }

    fn turn(self: Arc<Self>) {
        self.state.store(RUNNING, Ordering::SeqCst);
        let began = thread_clock();
        let mut is_done = self.poll();
        if self.given_up.load(Ordering::SeqCst) {
            let future = self.future.lock().take();
            drop(future);
            is_done = true;
        }
        let time = Duration::from_nanos(thread_clock().saturating_sub(began));
        let goes_on = !is_done && !self.rests();
        if goes_on {
            self.state.store(WAITING, Ordering::SeqCst);
        }
        let (tenant, shared) = (self.tenant, Arc::clone(&self.shared));
        shared.lines().end(tenant, time, goes_on.then_some(self));
    }

    /// Ends a poll that it was not woken in; says whether it was so.
    fn rests(&self) -> bool {
        self.state.compare_exchange(RUNNING, IDLE, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Polls the future once; says whether it is over.
    fn poll(self: &Arc<Self>) -> bool {
        let waker = Waker::from(Arc::clone(self));
        let began = thread_clock();
        let mut future = self.future.lock();
        let poll =
            future.as_mut().map_or(Poll::Ready(()), |future| future.as_mut().poll(&mut Context::from_waker(&waker)));
        // Before whoever waits for the result can ask.
        self.spent.fetch_add(thread_clock().saturating_sub(began), Ordering::Relaxed);
        if poll.is_ready() {
            *future = None;
        }
        poll.is_ready()
    }
}

impl Wake for Job {
    fn wake(self: Arc<Self>) {
        let next = |state| match state {
            IDLE => Some(READY),
            RUNNING => Some(WOKEN),
            _ => None,
        };
        // In one step: either the thread that runs it sees this, or its owner does.
        if self.state.try_update(Ordering::SeqCst, Ordering::SeqCst, next) == Ok(IDLE) {
            let owner = self.owner.lock().clone();
            owner.wake();
        }
    }
}

/// What comes of a future: its output, or what it panicked with.
type Ended<T> = Result<T, Box<dyn Any + Send>>;

pub(super) type Receiver<T> = oneshot::Receiver<Ended<T>>;

/// A future with the way of its result.
struct Running<F: Future> {
    future: Option<F>,
    sender: Option<oneshot::Sender<Ended<F::Output>>>,
}

impl<F: Future + Unpin> Future for Running<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(future) = &mut this.future else { return Poll::Ready(()) };
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(future).poll(context)));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future = None));
        if let Some(sender) = this.sender.take() {
            // Whoever asked may be gone.
            let _ = sender.send(dropped.and(result));
        }
        Poll::Ready(())
    }
}
