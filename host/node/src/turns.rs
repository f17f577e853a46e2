//! Fair turns: which tenant's guest runs next, and on which threads.
//!
//! A guest that computes yields every 2 ms, and by itself would join the end of the runtime's queue: a tenant with a thousand
//! loops would have a thousand turns for each one of its neighbour, and whoever wants no more than a moment would wait for
//! as many of them as there are. So there are two lanes.
//!
//! A request begins at once, on the thread that read it. One that yields has used its time there and goes on in the slow
//! lane: as many threads as there are cores, of low priority, so that what is short, and all that the host itself does, comes
//! first. Their next turn goes to the tenant that has had the least time, divided by its weight; within a tenant to whoever
//! came first. A guest that waits for the host holds none, and goes on as a request begins. A tenant that comes back from a
//! pause begins where the others are: it has no claim on the time that it did not ask for.
//!
//! What keeps the first lane short: each tenant may use it for what is beyond 0.1 ms for half a hundredth of the time; and
//! while others ask too and the thread is busy, for no more than a quarter of that time, beyond the first 0.03 ms. Without the
//! first, requests of 1.9 ms would never leave it; without the second, a neighbour would stand in the runtime's queue behind
//! as many requests as one tenant has connections: what is in the slow lane comes back to the runtime one by one. And while
//! somebody waits there, a tenant goes there too that has had 10 ms more than whoever had the last turn, or many short
//! requests would starve a long one.

mod lane;
mod lines;
pub(crate) mod run;

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use starcell_runtime::meter::thread_clock;
use tokio::time::{Sleep, sleep_until};

use self::lane::{Job, Receiver, Shared};
use self::lines::Among;

/// What yields sooner than this after it began has not computed for long: the clock that has guests yield ticks for all of
/// them at once, and of those that take 20 us it meets one in a hundred. A guest that loops is stopped by the next tick, and
/// a call of the host that yields after much work goes on where its connections are.
const AT_ONCE: Duration = Duration::from_millis(1);

/// The turns of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Owner>);

/// Whoever owns the threads of the slow lane.
#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    /// How many threads there are to be.
    wanted: usize,
    /// Made when the first future needs them.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The turns of one tenant. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantTurns {
    turns: Turns,
    tenant: usize,
}

impl Turns {
    /// So many turns at once in the slow lane.
    #[must_use]
    pub fn new(turns: usize) -> Self {
        Self(Arc::new(Owner { shared: Shared::new(), wanted: turns.max(1), threads: Mutex::default() }))
    }

    /// How many there are at once in the slow lane: one for each thread of the runtime.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.0.wanted
    }

    /// The turns of a tenant with a weight from 1 on.
    #[must_use]
    pub fn tenant(&self, weight: u32) -> TenantTurns {
        let tenant = self.0.shared.lines().add(weight);
        TenantTurns { turns: self.clone(), tenant }
    }

    /// Ends the slow lane: what is there does not go on. To be called before the runtime ends, since its clocks are gone then.
    pub fn end(&self) {
        self.0.end();
    }
}

impl Owner {
    /// Whether there is a thread in the slow lane.
    fn has_started(&self) -> bool {
        let mut threads = self.threads.lock();
        if threads.is_empty() {
            // A machine that has no room for a thread may have some later.
            threads.extend((0..self.wanted).map_while(|_| lane::start(&self.shared).ok()));
        }
        !threads.is_empty()
    }

    fn end(&self) {
        self.shared.end();
        let threads = std::mem::take(&mut *self.threads.lock());
        let here = std::thread::current().id();
        // What ran last may be what holds this.
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != here) {
            // Panics of what runs there are caught there.
            let _ = thread.join();
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.end();
    }
}

impl TenantTurns {
    /// Runs a future that computes for long, in the slow lane from its start.
    pub fn run<F>(&self, future: F) -> InTurn<F>
    where
        F: Future<Output: Send> + Send + Unpin + 'static,
    {
        self.begin(future, true)
    }

    /// Runs a future that may be short. If it is in the slow lane when its time is over it is given up, and the result is
    /// the time that it ran there: a deadline of its own it would notice at its next turn only.
    pub fn run_within<F>(&self, time: Duration, future: F) -> InTurnWithin<F>
    where
        F: Future<Output: Send> + Send + Unpin + 'static,
    {
        InTurnWithin { inner: self.begin(future, false), due: tokio::time::Instant::now() + time, alarm: None }
    }

    fn begin<F: Future>(&self, future: F, is_long: bool) -> InTurn<F> {
        let fast = Fast { future, signal: Signal::new(), is_long };
        InTurn { turns: self.clone(), stage: Stage::Fast(fast) }
    }

    /// The turns of its node.
    #[must_use]
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Time that the tenant has had, divided by its weight.
    #[must_use]
    pub fn had(&self) -> Duration {
        self.turns.0.shared.lines().had(self.tenant)
    }
}

/// A future that runs in turns.
pub struct InTurn<F: Future> {
    turns: TenantTurns,
    stage: Stage<F>,
}

impl<F: Future> fmt::Debug for InTurn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lane = match &self.stage {
            Stage::Fast(_) => "fast",
            Stage::Slow(..) => "slow",
            Stage::Over => "over",
        };
        f.debug_struct("InTurn").field("stage", &lane).finish_non_exhaustive()
    }
}

/// Where a future is. One that was in the slow lane stays a job: whenever what it waited for is there, it goes on at once if it
/// may, as a request begins. So what a script streams in small pieces does not change its thread for each of them.
enum Stage<F: Future> {
    Fast(Fast<F>),
    Slow(Arc<Job>, Receiver<F::Output>),
    Over,
}

/// A future that has not been in the slow lane.
struct Fast<F> {
    future: F,
    signal: Arc<Signal>,
    /// Whether it does not run at once.
    is_long: bool,
}

/// What came of a future that may run at once.
enum Step<T> {
    Done(T),
    /// It waits for the host.
    Waits,
    /// It is for the slow lane.
    Long,
}

/// What a future that runs at once is woken by. Woken while it runs, it has yielded.
#[derive(Debug)]
struct Signal {
    state: AtomicU8,
    task: Mutex<Waker>,
}

const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const YIELDED: u8 = 2;

impl Signal {
    fn new() -> Arc<Self> {
        Arc::new(Self { state: AtomicU8::new(IDLE), task: Mutex::new(Waker::noop().clone()) })
    }

    /// It begins to run, for a task.
    fn begin(&self, waker: &Waker) {
        self.task.lock().clone_from(waker);
        self.state.store(RUNNING, Ordering::SeqCst);
    }

    /// It has run; says whether it was woken meanwhile.
    fn end(&self) -> bool {
        self.state.swap(IDLE, Ordering::SeqCst) == YIELDED
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        // In one step: either whoever runs it sees this, or the task is woken.
        let noted =
            self.state.try_update(Ordering::SeqCst, Ordering::SeqCst, |state| (state != IDLE).then_some(YIELDED));
        if noted.is_err() {
            let task = self.task.lock().clone();
            task.wake();
        }
    }
}

/// A future that may run at once, for as long as this lives; what it takes is charged to its tenant, also where it panics.
struct AtOnce<'a> {
    turns: &'a TenantTurns,
    among: Among,
    began: Instant,
    /// The clock of this thread at its beginning, where others ask too: what stops the thread is not the tenant's.
    clock: Option<u64>,
}

impl TenantTurns {
    #[expect(clippy::disallowed_methods, reason = "measures what runs at once")]
    fn go(&self) -> Option<AtOnce<'_>> {
        let began = Instant::now();
        let among = self.turns.0.shared.lines().go(self.tenant, run::of(self.tenant, began), began)?;
        Some(AtOnce { turns: self, among, began, clock: (among == Among::Others).then(thread_clock) })
    }
}

impl AtOnce<'_> {
    /// Whether what has yielded is for the slow lane. The clock is read for those alone: nearly all are over by now.
    fn is_long(&self, has_yielded: bool) -> bool {
        has_yielded && self.began.elapsed() >= AT_ONCE
    }
}

impl Drop for AtOnce<'_> {
    fn drop(&mut self) {
        let wall = self.began.elapsed();
        let now = self.began + wall;
        // It can have run for less than has passed, and only where that is much does it matter.
        let time = match self.clock.filter(|_| wall > lines::SHORT) {
            Some(clock) => wall.min(Duration::from_nanos(thread_clock().saturating_sub(clock))),
            None => wall,
        };
        run::add(self.turns.tenant, time, now);
        self.turns.turns.0.shared.lines().stop(self.turns.tenant, self.among, time, now);
    }
}

impl<F: Future + Unpin> Fast<F> {
    /// Lets it run, if it may.
    fn go(&mut self, turns: &TenantTurns, context: &Context<'_>) -> Step<F::Output> {
        if self.is_long {
            return Step::Long;
        }
        let Some(at_once) = turns.go() else { return Step::Long };
        let waker = Waker::from(Arc::clone(&self.signal));
        self.signal.begin(context.waker());
        let poll = Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker));
        let has_yielded = self.signal.end();
        let is_long = at_once.is_long(has_yielded);
        drop(at_once);
        match poll {
            Poll::Ready(output) => Step::Done(output),
            Poll::Pending if is_long => Step::Long,
            Poll::Pending if has_yielded => {
                context.waker().wake_by_ref();
                Step::Waits
            }
            Poll::Pending => Step::Waits,
        }
    }
}

impl TenantTurns {
    /// Has what was in the slow lane go on, now that what it waited for is there: at once, if it may.
    fn go_on(&self, job: &Arc<Job>, context: &Context<'_>) {
        let Some(at_once) = self.go() else { return job.stand() };
        let goes_on = job.go();
        let is_long = at_once.is_long(goes_on);
        drop(at_once);
        match goes_on {
            true if is_long => job.stand(),
            true => context.waker().wake_by_ref(),
            false => {}
        }
    }
}

impl<F> Future for InTurn<F>
where
    F: Future<Output: Send> + Send + Unpin + 'static,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { turns, stage } = &mut *self;
        let owner = &turns.turns.0;
        if let Stage::Fast(fast) = stage {
            match fast.go(turns, context) {
                Step::Done(output) => {
                    *stage = Stage::Over;
                    return Poll::Ready(output);
                }
                Step::Waits => return Poll::Pending,
                Step::Long if owner.has_started() => {}
                // There is no room for a thread: it goes on here.
                Step::Long => return Pin::new(&mut fast.future).poll(context),
            }
        }
        *stage = match std::mem::replace(stage, Stage::Over) {
            Stage::Fast(fast) => {
                let (job, receiver) = Job::start(&owner.shared, turns.tenant, fast.future);
                Stage::Slow(job, receiver)
            }
            stage => stage,
        };
        let Stage::Slow(job, receiver) = stage else { return Poll::Pending };
        if job.is_ready(context.waker()) {
            turns.go_on(job, context);
        }
        match Pin::new(receiver).poll(context) {
            Poll::Ready(Ok(Ok(output))) => Poll::Ready(output),
            Poll::Ready(Ok(Err(panic))) => resume_unwind(panic),
            // The slow lane has ended, and all else is about to.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<F: Future> Drop for InTurn<F> {
    fn drop(&mut self) {
        if let Stage::Slow(job, _) = &self.stage {
            job.give_up();
        }
    }
}

/// A future that runs in turns and is given up when it is in the slow lane for too long.
#[derive(Debug)]
pub struct InTurnWithin<F: Future> {
    inner: InTurn<F>,
    due: tokio::time::Instant,
    /// What wakes it then; made when it comes to the slow lane.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<F> Future for InTurnWithin<F>
where
    F: Future<Output: Send> + Send + Unpin + 'static,
{
    type Output = Result<F::Output, Duration>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, due, alarm } = &mut *self;
        if let Poll::Ready(output) = Pin::new(&mut *inner).poll(context) {
            return Poll::Ready(Ok(output));
        }
        let Stage::Slow(job, _) = &inner.stage else { return Poll::Pending };
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(*due)));
        alarm.as_mut().poll(context).map(|()| Err(job.spent()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64};

    use tokio::sync::oneshot;

    use super::*;

    /// Runs for a moment at each poll, and yields as a guest does, until it is told to stop.
    async fn spin(stop: Arc<AtomicBool>, turns: Arc<AtomicU64>) {
        while !stop.load(Ordering::Relaxed) {
            busy(Duration::from_micros(200));
            turns.fetch_add(1, Ordering::Relaxed);
            Yield(false).await;
        }
    }

    fn busy(time: Duration) {
        let began = Instant::now();
        while began.elapsed() < time {}
    }

    /// Yields as a guest does.
    struct Yield(bool);

    impl Future for Yield {
        type Output = ();

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    fn spinners(turns: &TenantTurns, count: usize, stop: &Arc<AtomicBool>) -> Arc<AtomicU64> {
        let counted = Arc::new(AtomicU64::new(0));
        for _ in 0..count {
            tokio::spawn(turns.run(Box::pin(spin(Arc::clone(stop), Arc::clone(&counted)))));
        }
        counted
    }

    fn short(turns: &TenantTurns) -> InTurnWithin<impl Future<Output = String> + Send + Unpin + 'static + use<>> {
        turns.run_within(Duration::from_secs(60), Box::pin(async { thread_name() }))
    }

    fn thread_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn many_loops_of_one_cost_another_one_turn() {
        let (turns, stop) = (Turns::new(1), Arc::new(AtomicBool::new(false)));
        let (greedy, modest, heavy) = (turns.tenant(1), turns.tenant(1), turns.tenant(2));
        let (greedy, modest) = (spinners(&greedy, 100, &stop), spinners(&modest, 1, &stop));
        let heavy = spinners(&heavy, 3, &stop);
        let count = |of: &Arc<AtomicU64>| of.load(Ordering::Relaxed);
        while count(&modest) < 200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (greedy, modest, heavy) = (count(&greedy), count(&modest), count(&heavy));
        stop.store(true, Ordering::Relaxed);
        assert!((modest * 6 / 10..=modest * 16 / 10).contains(&greedy), "{greedy} against {modest}");
        assert!((modest * 12 / 10..=modest * 32 / 10).contains(&heavy), "{heavy} against {modest}");
    }

    #[tokio::test]
    async fn what_is_short_runs_at_once_beside_loops_and_its_thread_is_the_one_that_asked() {
        let (turns, stop) = (Turns::new(1), Arc::new(AtomicBool::new(false)));
        let (greedy, modest) = (turns.tenant(1), turns.tenant(1));
        let loops = spinners(&greedy, 50, &stop);
        while loops.load(Ordering::Relaxed) < 50 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let here = std::thread::current().name().unwrap().to_owned();
        for _ in 0..50 {
            // Where something else has stopped this thread for long, its tenant may have used more than its part.
            let began = Instant::now();
            let ran_by = short(&modest).await.unwrap();
            if ran_by != here {
                assert_eq!(ran_by, "slow");
                tokio::time::sleep(began.elapsed() * 50).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn what_yields_goes_on_in_the_slow_lane_and_comes_back_with_its_result() {
        let turns = Turns::new(2);
        let tenant = turns.tenant(1);
        let threads = tenant.run_within(
            Duration::from_secs(60),
            Box::pin(async {
                let mut threads = Vec::new();
                for _ in 0..3 {
                    threads.push(std::thread::current().name().map(str::to_owned));
                    busy(AT_ONCE);
                    Yield(false).await;
                }
                // A clock of the runtime can be asked for there, and a task be started.
                tokio::time::sleep(Duration::from_millis(1)).await;
                threads.push(tokio::spawn(async { Some("task".to_owned()) }).await.unwrap());
                threads
            }),
        );
        let here = std::thread::current().name().map(str::to_owned);
        let slow = Some("slow".to_owned());
        assert_eq!(threads.await.unwrap(), [here, slow.clone(), slow, Some("task".to_owned())]);
    }

    #[tokio::test]
    async fn what_yields_soon_after_it_began_goes_on_where_it_is() {
        let turns = Turns::new(1);
        let tenant = turns.tenant(1);
        let here = std::thread::current().name().map(str::to_owned);
        let short = Box::pin(async move {
            for _ in 0..100 {
                Yield(false).await;
            }
            std::thread::current().name().map(str::to_owned)
        });
        assert_eq!(tenant.run_within(Duration::from_secs(60), short).await.unwrap(), here);
    }

    #[tokio::test]
    async fn a_turn_comes_back_however_it_ends() {
        let turns = Turns::new(1);
        let tenant = turns.tenant(1);
        for is_long in [false, true] {
            let panics = async { assert_eq!(1, 2, "on purpose") };
            let panics = tokio::spawn(tenant.begin(Box::pin(panics), is_long)).await.unwrap_err();
            let message = panics.into_panic().downcast::<String>().unwrap();
            assert!(message.contains("on purpose"), "{message}");
            assert_eq!(tenant.begin(Box::pin(async { 7 }), is_long).await, 7);
        }
    }

    /// Tells when it is dropped.
    struct Guard(Arc<AtomicBool>);

    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_dropped_where_it_waits_and_after_its_turn_where_it_runs() {
        let (turns, stop) = (Turns::new(1), Arc::new(AtomicBool::new(false)));
        let tenant = turns.tenant(1);
        let guards = [0, 1, 2].map(|_| Arc::new(AtomicBool::new(false)));
        let guard = |index: usize| Guard(Arc::clone(&guards[index]));
        let counted = Arc::new(AtomicU64::new(0));
        // One that runs, one that is in line behind it, and one that waits for the host.
        let (running, spinning) = (guard(0), spin(Arc::clone(&stop), Arc::clone(&counted)));
        let mut running = tokio::spawn(tenant.run(Box::pin(async move {
            let _running = running;
            spinning.await;
        })));
        while counted.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        let [in_line, idle] = [1, 2].map(|index| {
            let held = guard(index);
            let mut future = tenant.run(Box::pin(async move {
                let _held = held;
                std::future::pending::<()>().await;
            }));
            assert!(Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            future
        });
        drop((in_line, idle));
        assert!(guards[1].load(Ordering::SeqCst) && guards[2].load(Ordering::SeqCst));
        running.abort();
        (&mut running).await.unwrap_err();
        // It never ends by itself.
        while !guards[0].load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        assert_eq!(tenant.run(Box::pin(async { 7 })).await, 7);
    }

    #[tokio::test]
    async fn what_waited_for_the_host_in_the_slow_lane_goes_on_where_it_was_asked_for() {
        let turns = Turns::new(1);
        let tenant = turns.tenant(1);
        for _ in 0..3 {
            let (begin, begun) = oneshot::channel::<()>();
            let (sender, receiver) = oneshot::channel::<()>();
            let names = tenant.run(Box::pin(async move {
                let began = thread_name();
                begin.send(()).unwrap();
                receiver.await.unwrap();
                [began, thread_name()]
            }));
            let answers = async {
                begun.await.unwrap();
                // It waits by now, in most of the rounds.
                tokio::time::sleep(Duration::from_millis(20)).await;
                sender.send(()).unwrap();
            };
            let ([began, ended], ()) = tokio::join!(names, answers);
            assert_eq!(began, "slow");
            if ended != began {
                assert_eq!(ended, thread_name());
                return;
            }
        }
        panic!("it never came back");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_slow_lane_for_too_long_is_given_up() {
        let turns = Turns::new(1);
        let tenant = turns.tenant(1);
        let counted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&counted);
        let spinning = Box::pin(async move {
            loop {
                busy(Duration::from_micros(200));
                if thread_name() == "slow" {
                    count.fetch_add(1, Ordering::SeqCst);
                }
                Yield(false).await;
            }
        });
        let time = Duration::from_millis(50);
        let late = async {
            // Time passes when a turn there is over.
            while counted.load(Ordering::SeqCst) < 2 {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(time).await;
        };
        let (spent, ()) =
            tokio::join!(tenant.run_within::<Pin<Box<dyn Future<Output = ()> + Send>>>(time, spinning), late);
        assert!(spent.unwrap_err() > Duration::ZERO);
        let after = counted.load(Ordering::SeqCst);
        assert_eq!(tenant.run(Box::pin(async { 7 })).await, 7);
        assert!(counted.load(Ordering::SeqCst) <= after + 1, "it does not go on");
    }

    #[tokio::test]
    async fn the_lane_ends_with_what_is_in_it() {
        let (turns, stop) = (Turns::new(2), Arc::new(AtomicBool::new(false)));
        let tenant = turns.tenant(1);
        let counted = spinners(&tenant, 5, &stop);
        while counted.load(Ordering::Relaxed) < 5 {
            tokio::task::yield_now().await;
        }
        turns.end();
        let after = counted.load(Ordering::Relaxed);
        let mut late = tenant.run(Box::pin(async {}));
        assert!(Pin::new(&mut late).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(counted.load(Ordering::Relaxed), after);
    }
}
