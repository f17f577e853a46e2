//! Fair turns: which tenant's guest runs next.
//!
//! A guest that computes yields every 2 ms, and by itself would join the end of one queue: a tenant with a thousand loops
//! would have a thousand turns for each one of its neighbour. So there are as many turns as threads, a guest runs only
//! while it holds one, and a turn that becomes free goes to the tenant that has had the least time, divided by its weight.
//! A guest that yields joins the line, and not the queue of the runtime: so all that could run are compared. Before it does,
//! the runtime looks at its sockets, and whoever has a request there by then joins the line first. By itself it would look
//! after some sixty polls, which is a tenth of a second where each is a turn, and no request is read before.
//! Within a tenant, whoever came first is next. A guest that waits for the host holds none. A tenant that comes back from a
//! pause begins where the others are: it has no claim on the time that it did not ask for.

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Sleep, sleep_until};

/// Parts of a nanosecond that the time of tenants is kept in, so that weights divide it well.
const FINE: u64 = 1000;

/// The turns of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Turns that nobody holds. While there is one, nobody waits.
    free: usize,
    lines: Vec<Line>,
    /// The tenants that have somebody waiting, by what they have had.
    order: BTreeSet<(u64, usize)>,
    /// What the tenant had that got the last turn.
    reached: u64,
    /// Places that were given a turn and have not used it yet.
    granted: BTreeSet<u64>,
    next_place: u64,
}

/// Those of one tenant who wait.
#[derive(Debug, Default)]
struct Line {
    weight: u64,
    had: u64,
    waiting: VecDeque<(u64, Waker)>,
    /// Places that wait or run.
    active: usize,
}

/// The turns of one tenant. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TenantTurns {
    turns: Turns,
    tenant: usize,
}

impl Turns {
    /// So many turns at once.
    #[must_use]
    pub fn new(turns: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: turns.max(1),
            lines: Vec::new(),
            order: BTreeSet::new(),
            reached: 0,
            granted: BTreeSet::new(),
            next_place: 0,
        })))
    }

    /// The turns of a tenant with a weight from 1 on.
    #[must_use]
    pub fn tenant(&self, weight: u32) -> TenantTurns {
        let mut state = self.lock();
        state.lines.push(Line { weight: weight.max(1).into(), ..Line::default() });
        let tenant = state.lines.len() - 1;
        drop(state);
        TenantTurns { turns: self.clone(), tenant }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl TenantTurns {
    /// Runs a future, each poll of it in a turn.
    pub fn run<F: Future>(&self, future: F) -> InTurn<F> {
        let (spent, signal) = (Duration::ZERO, Signal::new());
        InTurn { turns: self.clone(), place: None, used: None, spent, signal, future: Box::pin(future) }
    }

    /// Runs a future, each poll of it in a turn. If it waits for one when its time is over it is given up, and the result is
    /// the time that it ran: a deadline of its own it could not notice.
    pub fn run_within<F: Future>(&self, time: Duration, future: F) -> InTurnWithin<F> {
        InTurnWithin { inner: self.run(future), due: tokio::time::Instant::now() + time, alarm: None }
    }

    /// Time that the tenant has had, divided by its weight.
    #[must_use]
    pub fn had(&self) -> Duration {
        let had = self.turns.lock().lines.get(self.tenant).map_or(0, |line| line.had);
        Duration::from_nanos(had / FINE)
    }
}

/// A future that runs in turns.
#[derive(Debug)]
pub struct InTurn<F> {
    turns: TenantTurns,
    /// Where it waits for one.
    place: Option<u64>,
    /// Time of the turn that it has used and still holds, until the sockets were looked at.
    used: Option<Duration>,
    /// Time that it ran.
    spent: Duration,
    signal: Arc<Signal>,
    future: Pin<Box<F>>,
}

/// What a future that runs in turns is woken by. Woken while it runs, it has yielded.
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

/// A future that runs in turns and is given up when it waits for one for too long.
#[derive(Debug)]
pub struct InTurnWithin<F> {
    inner: InTurn<F>,
    due: tokio::time::Instant,
    /// What wakes it then; made when it first has to wait.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Future for InTurn<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if let Some(time) = this.used.take() {
            this.place = Some(this.turns.pass_on(time, context.waker()));
        }
        let Some(turn) = this.turns.begin(&mut this.place, context) else { return Poll::Pending };
        let waker = Waker::from(Arc::clone(&this.signal));
        this.signal.begin(context.waker());
        let poll = this.future.as_mut().poll(&mut Context::from_waker(&waker));
        let yielded = this.signal.end();
        this.spent += turn.began.elapsed();
        if poll.is_pending() && yielded {
            this.used = Some(turn.keep());
            // The runtime wakes the task once it has looked at its sockets.
            let _ = std::pin::pin!(tokio::task::yield_now()).poll(context);
        }
        poll
    }
}

impl<F: Future> Future for InTurnWithin<F> {
    type Output = Result<F::Output, Duration>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, due, alarm } = &mut *self;
        if let Poll::Ready(output) = Pin::new(&mut *inner).poll(context) {
            return Poll::Ready(Ok(output));
        }
        if inner.place.is_none() {
            return Poll::Pending;
        }
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(*due)));
        match alarm.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(inner.spent)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<F> Drop for InTurn<F> {
    fn drop(&mut self) {
        if let Some(time) = self.used.take() {
            self.turns.end(time);
        }
        if let Some(place) = self.place.take() {
            self.turns.leave(place);
        }
    }
}

/// A turn that is held; it ends with this, also where what runs in it panics.
struct Held<'a> {
    turns: &'a TenantTurns,
    began: Instant,
    kept: bool,
}

impl Held<'_> {
    /// Does not end it. Returns its time.
    fn keep(mut self) -> Duration {
        self.kept = true;
        self.began.elapsed()
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.turns.end(self.began.elapsed());
        }
    }
}

impl TenantTurns {
    /// Takes a turn if there is one for this place, or else a place in the line.
    #[expect(clippy::disallowed_methods, reason = "measures what a turn takes")]
    fn begin(&self, place: &mut Option<u64>, context: &Context<'_>) -> Option<Held<'_>> {
        let mut state = self.turns.lock();
        match *place {
            None if state.free > 0 => {
                state.free -= 1;
                state.enter(self.tenant);
            }
            None => {
                *place = Some(state.wait(self.tenant, context.waker()));
                return None;
            }
            Some(number) if state.granted.remove(&number) => *place = None,
            Some(number) => {
                // It was polled for another reason than a turn.
                state.wake_by(self.tenant, number, context.waker());
                return None;
            }
        }
        drop(state);
        Some(Held { turns: self, began: Instant::now(), kept: false })
    }

    /// Ends a turn for one that has yielded and waits for its next. Returns its place.
    fn pass_on(&self, time: Duration, waker: &Waker) -> u64 {
        let mut state = self.turns.lock();
        let place = state.again(self.tenant, time, waker);
        let next = state.pass_on();
        drop(state);
        wake(next);
        place
    }

    fn end(&self, time: Duration) {
        let mut state = self.turns.lock();
        state.charge(self.tenant, time);
        let next = state.pass_on();
        drop(state);
        wake(next);
    }

    /// Gives up a place, and the turn that it was given.
    fn leave(&self, place: u64) {
        let mut state = self.turns.lock();
        let next = state.leave(self.tenant, place);
        drop(state);
        wake(next);
    }
}

fn wake(next: Option<Waker>) {
    if let Some(waker) = next {
        waker.wake();
    }
}

impl State {
    /// A place of a tenant becomes active.
    fn enter(&mut self, tenant: usize) {
        let reached = self.reached;
        if let Some(line) = self.lines.get_mut(tenant) {
            if line.active == 0 {
                line.had = line.had.max(reached);
            }
            line.active += 1;
        }
    }

    fn wait(&mut self, tenant: usize, waker: &Waker) -> u64 {
        self.enter(tenant);
        self.stand(tenant, waker)
    }

    /// A place of a tenant joins its line.
    fn stand(&mut self, tenant: usize, waker: &Waker) -> u64 {
        let place = self.next_place;
        self.next_place += 1;
        if let Some(line) = self.lines.get_mut(tenant) {
            line.waiting.push_back((place, waker.clone()));
            self.order.insert((line.had, tenant));
        }
        place
    }

    fn wake_by(&mut self, tenant: usize, place: u64, waker: &Waker) {
        let line = self.lines.get_mut(tenant);
        let waiting = line.and_then(|line| line.waiting.iter_mut().find(|(number, _)| *number == place));
        if let Some((_, old)) = waiting {
            old.clone_from(waker);
        }
    }

    /// A place that has run stays active, and joins the line again.
    fn again(&mut self, tenant: usize, time: Duration, waker: &Waker) -> u64 {
        self.add(tenant, time);
        self.stand(tenant, waker)
    }

    /// A place that has run is not active any more.
    fn charge(&mut self, tenant: usize, time: Duration) {
        self.add(tenant, time);
        if let Some(line) = self.lines.get_mut(tenant) {
            line.active -= 1;
        }
    }

    /// Adds to what a tenant has had.
    fn add(&mut self, tenant: usize, time: Duration) {
        let Some(line) = self.lines.get_mut(tenant) else { return };
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).saturating_mul(FINE);
        let had = line.had.saturating_add(time / line.weight);
        let before = std::mem::replace(&mut line.had, had);
        if self.order.remove(&(before, tenant)) {
            self.order.insert((had, tenant));
        }
    }

    /// Gives a turn to whoever is next, or keeps it. Returns who is to be woken.
    fn pass_on(&mut self) -> Option<Waker> {
        while let Some((had, tenant)) = self.order.pop_first() {
            let Some(line) = self.lines.get_mut(tenant) else { continue };
            let Some((place, waker)) = line.waiting.pop_front() else { continue };
            if !line.waiting.is_empty() {
                self.order.insert((had, tenant));
            }
            self.reached = self.reached.max(had);
            self.granted.insert(place);
            return Some(waker);
        }
        self.free += 1;
        None
    }

    fn leave(&mut self, tenant: usize, place: u64) -> Option<Waker> {
        let line = self.lines.get_mut(tenant)?;
        line.active -= 1;
        line.waiting.retain(|(number, _)| *number != place);
        if line.waiting.is_empty() {
            self.order.remove(&(line.had, tenant));
        }
        if self.granted.remove(&place) { self.pass_on() } else { None }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use std::io::Write as _;
    use std::sync::atomic::{AtomicBool, AtomicU64};

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// Runs for a moment at each poll, and yields, until it is told to stop.
    async fn spin(stop: Arc<AtomicBool>, turns: Arc<AtomicU64>) {
        while !stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            while began.elapsed() < Duration::from_micros(200) {}
            turns.fetch_add(1, Ordering::Relaxed);
            Yield(false).await;
        }
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
            tokio::spawn(turns.run(spin(Arc::clone(stop), Arc::clone(&counted))));
        }
        counted
    }

    #[tokio::test]
    async fn many_loops_of_one_cost_another_one_turn() {
        let (turns, stop) = (Turns::new(1), Arc::new(AtomicBool::new(false)));
        let (greedy, modest, heavy) = (turns.tenant(1), turns.tenant(1), turns.tenant(2));
        let (greedy, modest) = (spinners(&greedy, 100, &stop), spinners(&modest, 1, &stop));
        let heavy = spinners(&heavy, 3, &stop);
        let count = |of: &Arc<AtomicU64>| of.load(Ordering::Relaxed);
        while count(&modest) < 200 {
            tokio::task::yield_now().await;
        }
        let (greedy, modest, heavy) = (count(&greedy), count(&modest), count(&heavy));
        stop.store(true, Ordering::Relaxed);
        assert!((modest * 6 / 10..=modest * 16 / 10).contains(&greedy), "{greedy} against {modest}");
        assert!((modest * 12 / 10..=modest * 32 / 10).contains(&heavy), "{heavy} against {modest}");
    }

    /// What arrives on a socket while guests compute is read before the next turn is given, not sixty turns later.
    #[tokio::test]
    async fn a_request_that_arrives_is_in_line_for_the_next_turn() {
        const REQUESTS: usize = 21;
        let (turns, stop) = (Turns::new(1), Arc::new(AtomicBool::new(false)));
        let (greedy, modest) = (turns.tenant(1), turns.tenant(1));
        let counted = spinners(&greedy, 50, &stop);
        let (mut client, server) = std::os::unix::net::UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let mut server = tokio::net::UnixStream::from_std(server).unwrap();
        let sent = Arc::clone(&counted);
        let asking = std::thread::spawn(move || {
            for _ in 0..REQUESTS {
                std::thread::sleep(Duration::from_millis(7));
                client.write_all(&sent.load(Ordering::Relaxed).to_be_bytes()).unwrap();
            }
        });
        let mut waited = Vec::new();
        for _ in 0..REQUESTS {
            let sent = server.read_u64().await.unwrap();
            let now = modest.run(async { counted.load(Ordering::Relaxed) }).await;
            waited.push(now - sent);
        }
        stop.store(true, Ordering::Relaxed);
        asking.join().unwrap();
        waited.sort_unstable();
        assert!(waited[REQUESTS / 2] <= 6, "turns of others before each: {waited:?}");
    }

    #[tokio::test]
    async fn a_turn_comes_back_however_it_ends() {
        let turns = Turns::new(1);
        let tenant = turns.tenant(1);
        assert_eq!(tenant.run(async { 7 }).await, 7);
        let panics = tokio::spawn(tenant.run(async { assert_eq!(1, 2, "on purpose") }));
        panics.await.unwrap_err();
        assert_eq!(turns.lock().free, 1);
        // One that waits for the host holds none; one that is given up passes its turn on.
        let (held, given_up) = (tenant.run(std::future::pending::<()>()), tenant.run(async {}));
        let mut held = tokio::spawn(held);
        tokio::task::yield_now().await;
        assert_eq!(turns.lock().free, 1);
        drop(given_up);
        held.abort();
        (&mut held).await.unwrap_err();
        let state = turns.lock();
        assert_eq!((state.free, state.granted.len(), state.order.len()), (1, 0, 0));
        assert!(state.lines.iter().all(|line| line.active == 0 && line.waiting.is_empty()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_its_turn_for_too_long_is_given_up() {
        let turns = Turns::new(1);
        let (one, other) = (turns.tenant(1), turns.tenant(1));
        let context = Context::from_waker(Waker::noop());
        let held = one.begin(&mut None, &context).unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(other.run_within(Duration::from_secs(1), async { 7 }).await, Err(Duration::ZERO));
        assert_eq!(began.elapsed().as_secs(), 1);
        drop(held);
        assert_eq!(other.run_within(Duration::from_secs(1), async { 7 }).await, Ok(7));
        let state = turns.lock();
        assert_eq!((state.free, state.order.len()), (1, 0));
        assert!(state.lines.iter().all(|line| line.active == 0 && line.waiting.is_empty()));
    }

    #[test]
    fn who_waits_is_forgotten_when_it_leaves() {
        let turns = Turns::new(1);
        let (one, other) = (turns.tenant(1), turns.tenant(1));
        let mut context = Context::from_waker(Waker::noop());
        let (mut place, mut second) = (None, None);
        let held = one.begin(&mut None, &context).unwrap();
        assert!(other.begin(&mut place, &context).is_none() && one.begin(&mut second, &context).is_none());
        drop(held);
        assert!(one.begin(&mut second, &context).is_none(), "the other has had less");
        let mut granted = other.run(std::future::pending::<()>());
        granted.place = place.take();
        assert!(Pin::new(&mut granted).poll(&mut context).is_pending());
        drop(granted);
        let held = one.begin(&mut second, &context).unwrap();
        drop(held);
        assert_eq!(turns.lock().free, 1);
    }
}
