//! Whose connections have the next turn.
//!
//! The runtime polls tasks in the order in which they were woken. Somebody with a thousand connections would have a thousand
//! polls before the next one of somebody with a single connection, each with a request to read, a guest to run or an answer
//! to write, and nobody would see the injustice: each of the polls is short. So connections whose requests go to one party
//! are a [`ConnectionGroup`], and of each group only so many are with the runtime at once as keep its threads busy. The others
//! stand in the group's own line. Then whoever is woken waits for as many polls as there are groups, however many
//! connections each of those has.
//!
//! A connection belongs to the group of its latest request, or to none where that names no party. Those that have not asked
//! yet are a group of their own, the newcomers of the edge: somebody who connects over and over stands in line with whoever
//! else connects, and delays none of those who are there.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// The connections whose requests go to one party.
#[derive(Debug)]
pub struct ConnectionGroup {
    /// How many of them may be with the runtime at once.
    most: usize,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// Those that are with the runtime.
    out: usize,
    /// Those that were woken and are not yet.
    waiting: VecDeque<Arc<Turn>>,
}

impl ConnectionGroup {
    /// A group that can keep so many threads of the runtime busy: one connection more than there are, so that none looks for
    /// the next one in vain.
    #[must_use]
    pub fn for_threads(threads: usize) -> Arc<Self> {
        Self::new(threads + 1)
    }

    /// A group of which at most so many connections are with the runtime at once.
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most: most.max(1), line: Mutex::default() })
    }

    /// Whether a connection may go now. One that may not stands in line.
    fn go(&self, turn: &Arc<Turn>) -> bool {
        let mut line = self.line.lock();
        let goes = line.out < self.most;
        match goes {
            true => line.out += 1,
            false => line.waiting.push_back(Arc::clone(turn)),
        }
        goes
    }

    /// One that went is back: the next one goes.
    fn back(self: &Arc<Self>) {
        loop {
            let mut line = self.line.lock();
            let Some(next) = line.waiting.pop_front() else {
                line.out -= 1;
                return;
            };
            // Its own lock is taken by whoever then takes that of the line.
            drop(line);
            if next.goes_for(self) {
                return;
            }
        }
    }
}

/// The turns of one task.
#[derive(Debug)]
pub(crate) struct Turn(Mutex<Asking>);

#[derive(Debug)]
struct Asking {
    state: State,
    /// The task.
    task: Waker,
    /// The group of the next turn.
    group: Option<Arc<ConnectionGroup>>,
    /// The group that this one is out of.
    out_of: Option<Arc<ConnectionGroup>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The runtime has not polled it yet.
    New,
    /// Nobody has woken it.
    Idle,
    /// It was woken and stands in line.
    InLine,
    /// The runtime is about to poll it.
    Out,
    Polled,
    /// It was woken while it was polled.
    PolledAndWoken,
    Gone,
}

impl Asking {
    /// Whether the turn that this is of may go now. One that may not stands in line.
    fn goes(&mut self, turn: &Arc<Turn>) -> bool {
        let goes = self.group.as_ref().is_none_or(|group| group.go(turn));
        match goes {
            true => (self.state, self.out_of) = (State::Out, self.group.clone()),
            false => self.state = State::InLine,
        }
        goes
    }
}

impl Turn {
    pub(crate) fn new(group: Option<Arc<ConnectionGroup>>) -> Arc<Self> {
        let (state, task) = (State::New, Waker::noop().clone());
        Arc::new(Self(Mutex::new(Asking { state, task, group, out_of: None })))
    }

    /// It belongs to a group from its next turn on.
    pub(crate) fn join(&self, group: &Arc<ConnectionGroup>) {
        let mut asking = self.0.lock();
        if asking.group.as_ref().is_none_or(|own| !Arc::ptr_eq(own, group)) {
            asking.group = Some(Arc::clone(group));
        }
    }

    /// It belongs to no group from its next turn on.
    pub(crate) fn leave(&self) {
        self.0.lock().group = None;
    }

    fn group(&self) -> Option<Arc<ConnectionGroup>> {
        self.0.lock().group.clone()
    }

    /// The next one of a line goes; says whether it is still there to go.
    fn goes_for(&self, group: &Arc<ConnectionGroup>) -> bool {
        let mut asking = self.0.lock();
        // It is gone, or somebody polled it without being asked.
        if asking.state != State::InLine {
            return false;
        }
        (asking.state, asking.out_of) = (State::Out, Some(Arc::clone(group)));
        let task = asking.task.clone();
        drop(asking);
        task.wake();
        true
    }

    /// The runtime wants to poll it; says whether it has its turn. The runtime asks for the first one by itself.
    fn begin(self: &Arc<Self>, task: &Waker) -> bool {
        let mut asking = self.0.lock();
        asking.task.clone_from(task);
        if asking.state == State::New && !asking.goes(self) {
            return false;
        }
        asking.state = State::Polled;
        true
    }

    /// A poll has ended.
    fn end(self: &Arc<Self>, is_over: bool) {
        let mut asking = self.0.lock();
        let woken = asking.state == State::PolledAndWoken;
        asking.state = if is_over { State::Gone } else { State::Idle };
        let out_of = asking.out_of.take();
        drop(asking);
        // Before it stands in line itself.
        if let Some(group) = out_of {
            group.back();
        }
        if woken && !is_over {
            self.ask();
        }
    }

    /// It was woken.
    fn ask(self: &Arc<Self>) {
        let mut asking = self.0.lock();
        match asking.state {
            State::Idle => {}
            State::Polled => return asking.state = State::PolledAndWoken,
            State::New | State::InLine | State::Out | State::PolledAndWoken | State::Gone => return,
        }
        if !asking.goes(self) {
            return;
        }
        let task = asking.task.clone();
        drop(asking);
        task.wake();
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.ask();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ask();
    }
}

/// A task that has its turns with its group. To be polled by nobody but the runtime.
pub(crate) struct Grouped<F> {
    future: F,
    turn: Arc<Turn>,
    waker: Waker,
}

impl<F: Future + Unpin> Grouped<F> {
    /// A task of a group, made of its turns.
    pub(crate) fn of(group: Arc<ConnectionGroup>, make: impl FnOnce(Arc<Turn>) -> F) -> Self {
        Self::with(Turn::new(Some(group)), make)
    }

    /// A task of the group that another one has now.
    pub(crate) fn beside(turn: &Turn, future: F) -> Self {
        Self::with(Turn::new(turn.group()), |_| future)
    }

    fn with(turn: Arc<Turn>, make: impl FnOnce(Arc<Turn>) -> F) -> Self {
        Self { future: make(Arc::clone(&turn)), waker: Waker::from(Arc::clone(&turn)), turn }
    }
}

impl<F: Future + Unpin> Future for Grouped<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        if !this.turn.begin(context.waker()) {
            return Poll::Pending;
        }
        // One that panics is dropped, and back by that.
        let poll = Pin::new(&mut this.future).poll(&mut Context::from_waker(&this.waker));
        this.turn.end(poll.is_ready());
        poll
    }
}

impl<F> Drop for Grouped<F> {
    fn drop(&mut self) {
        let mut asking = self.turn.0.lock();
        asking.state = State::Gone;
        let (out_of, task) = (asking.out_of.take(), mem::replace(&mut asking.task, Waker::noop().clone()));
        drop(asking);
        // Whoever still holds a waker does not hold the task.
        drop(task);
        if let Some(group) = out_of {
            group.back();
        }
    }
}

/// Lets the tasks that wait for the runtime have their polls first. What tokio offers for it waits until the runtime has looked
/// at its sockets as well.
pub(crate) async fn go_to_the_back() {
    let mut asked = false;
    std::future::poll_fn(|context| {
        if mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<F> fmt::Debug for Grouped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grouped").field("turn", &self.turn).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::panic, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::{JoinHandle, yield_now};

    use super::*;

    fn boxed<T>(future: impl Future<Output = T> + Send + 'static) -> Pin<Box<dyn Future<Output = T> + Send>> {
        Box::pin(future)
    }

    /// Tasks of a group that want a turn all the time; the number of turns they have had.
    fn busy(group: &Arc<ConnectionGroup>, count: usize) -> (Vec<JoinHandle<()>>, Arc<AtomicUsize>) {
        let had = Arc::new(AtomicUsize::new(0));
        let tasks = (0..count).map(|_| {
            let had = Arc::clone(&had);
            tokio::spawn(Grouped::of(Arc::clone(group), |_| {
                boxed(async move {
                    loop {
                        had.fetch_add(1, Ordering::Relaxed);
                        go_to_the_back().await;
                    }
                })
            }))
        });
        (tasks.collect(), had)
    }

    #[tokio::test]
    async fn whoever_is_alone_waits_for_no_more_than_is_out() {
        let (many, one) = (ConnectionGroup::new(2), ConnectionGroup::new(2));
        let (tasks, had) = busy(&many, 100);
        while had.load(Ordering::Relaxed) < 1000 {
            yield_now().await;
        }
        let (asked, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (wakes, answers) = (Arc::clone(&asked), Arc::clone(&answer));
        let alone = tokio::spawn(Grouped::of(one, |_| {
            boxed(async move {
                loop {
                    wakes.notified().await;
                    answers.notify_one();
                }
            })
        }));
        // In a task: what the test itself waits for is looked at when the runtime has polled 61 others.
        let asks = tokio::spawn(async move {
            for _ in 0..100 {
                let before = had.load(Ordering::Relaxed);
                asked.notify_one();
                answer.notified().await;
                let others = had.load(Ordering::Relaxed) - before;
                assert!(others <= 8, "{others} turns of others");
            }
        });
        asks.await.unwrap();
        tasks.iter().chain([&alone]).for_each(JoinHandle::abort);
    }

    #[tokio::test]
    async fn all_of_a_group_have_their_turns() {
        let group = ConnectionGroup::new(3);
        let rounds: Vec<_> = (0..50)
            .map(|_| {
                tokio::spawn(Grouped::of(Arc::clone(&group), |_| {
                    boxed(async move {
                        for _ in 0..20 {
                            go_to_the_back().await;
                        }
                    })
                }))
            })
            .collect();
        for task in rounds {
            task.await.unwrap();
        }
        let line = group.line.lock();
        assert_eq!((line.out, line.waiting.len()), (0, 0));
    }

    #[tokio::test]
    async fn newcomers_wait_for_their_first_turn_too() {
        let (group, began) = (ConnectionGroup::new(2), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let began = Arc::clone(&began);
                tokio::spawn(Grouped::of(Arc::clone(&group), |_| {
                    boxed(async move {
                        began.fetch_add(1, Ordering::Relaxed);
                        go_to_the_back().await;
                    })
                }))
            })
            .collect();
        // Whoever is woken now comes behind the polls that are due, in which no more than two of them begin.
        let others = tokio::spawn(async move { began.load(Ordering::Relaxed) }).await.unwrap();
        assert!(others <= 2, "{others} began");
        for task in tasks {
            task.await.unwrap();
        }
        let line = group.line.lock();
        assert_eq!((line.out, line.waiting.len()), (0, 0));
    }

    #[tokio::test]
    async fn one_that_is_gone_keeps_nobody_from_going() {
        let group = ConnectionGroup::new(1);
        let (tasks, had) = busy(&group, 3);
        while had.load(Ordering::Relaxed) < 10 {
            yield_now().await;
        }
        // One of them is out, and the others are in line.
        let mut tasks = tasks.into_iter();
        let last = tasks.next_back().unwrap();
        for task in tasks {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        let before = had.load(Ordering::Relaxed);
        while had.load(Ordering::Relaxed) < before + 10 {
            yield_now().await;
        }
        last.abort();
        assert!(last.await.unwrap_err().is_cancelled());
        assert_eq!(group.line.lock().out, 0);
    }

    #[tokio::test]
    async fn one_that_panics_is_back() {
        let group = ConnectionGroup::new(1);
        let panics = tokio::spawn(Grouped::of(Arc::clone(&group), |_| {
            boxed(async move {
                go_to_the_back().await;
                panic!("on purpose");
            })
        }));
        assert!(panics.await.unwrap_err().is_panic());
        assert_eq!(group.line.lock().out, 0);
    }

    #[tokio::test]
    async fn who_goes_elsewhere_stands_in_the_line_of_there() {
        let [first, second] = [(); 2].map(|()| ConnectionGroup::new(1));
        let (busy_tasks, had) = busy(&first, 10);
        let to = Arc::clone(&second);
        let moves = tokio::spawn(Grouped::of(first, |turn| {
            boxed(async move {
                go_to_the_back().await;
                turn.join(&to);
                let before = had.load(Ordering::Relaxed);
                for _ in 0..10 {
                    go_to_the_back().await;
                }
                had.load(Ordering::Relaxed) - before
            })
        }));
        assert!(moves.await.unwrap() <= 30);
        busy_tasks.iter().for_each(JoinHandle::abort);
        assert_eq!(second.line.lock().out, 0);
    }

    #[tokio::test]
    async fn who_leaves_stands_in_no_line() {
        let group = ConnectionGroup::new(1);
        let (busy_tasks, had) = busy(&group, 10);
        let counted = Arc::clone(&had);
        let leaves = tokio::spawn(Grouped::of(group, |turn| {
            boxed(async move {
                turn.leave();
                go_to_the_back().await;
                let before = counted.load(Ordering::Relaxed);
                for _ in 0..10 {
                    go_to_the_back().await;
                }
                counted.load(Ordering::Relaxed) - before
            })
        }));
        let others = leaves.await.unwrap();
        assert!(others <= 30, "{others} turns of those who are in line");
        busy_tasks.iter().for_each(JoinHandle::abort);
    }
}
