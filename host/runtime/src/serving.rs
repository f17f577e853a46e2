//! Requests, each answered in a fork of a serving image.
//!
//! Nothing a request does can reach another: not its neighbour, since they share no memory, and not its successor, whose fork
//! is a new one, or one that was put back to the image ([`crate::parked`] has the argument). A trap, a limit or a panic ends
//! that request alone, and its fork is thrown away.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use starcell_budget::{MemoryUse, Taken};
use starcell_telemetry::TraceContext;
use tokio::time::timeout;

use crate::app::App;
use crate::failure::{Failure, Limit};
use crate::holding::PATIENCE;
use crate::host::{AppHost, LogRecord};
use crate::limits::{DEFAULT_CALL_DEPTH, Limits};
use crate::memory::image::Image;
use crate::memory::slot::Watching;
use crate::meter::{Meter, Metered};
use crate::parked::{Destination, Parked, Reset};
use crate::parking::{Forks, Lot};
use crate::state::{Role, store};
use crate::{Position, Request, Response};

/// Requests that get forks which are thrown away, after one whose fork could not be put back. Watching a fork costs some 7 us
/// for each page that it writes, which is lost when it is not used again.
const AFTER_A_SPOILED_ONE: u32 = 32;

/// Native stack and tables of one fork, in bytes: more than was ever measured.
const STACK_BYTES: u64 = 256 << 10;

/// Native stack of one nested call beyond those that `STACK_BYTES` is for, in bytes: 0.9 KiB were measured.
const CALL_BYTES: u64 = 1 << 10;

/// A script as it answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    app: Arc<App>,
    image: Arc<Image>,
    /// The memory of the image.
    _taken: Arc<Taken>,
    forks: Arc<RevisionForks>,
    wall: Duration,
}

/// The forks of a revision.
#[derive(Debug)]
struct RevisionForks {
    parked: Arc<Lot<Parked>>,
    /// The pages that its requests write: hot from the start in the next fork.
    hot: Mutex<Vec<u32>>,
    /// Forks that are not watched, since one before them could not be put back.
    unwatched: AtomicU32,
    /// Memories that were put back.
    resets: AtomicU64,
}

impl std::fmt::Debug for Serving {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Serving").field("script", &self.app.context.config.script).finish_non_exhaustive()
    }
}

/// A host that answers requests from forks. Apart from [`AppHost`], so that what a guest can call knows nothing of forks.
pub trait Serve: AppHost {
    /// Answers the connections of a bound server from forks of `serving`.
    fn serve(&self, server: u32, serving: Serving) -> Result<(), String>;
}

/// What became of one request.
#[derive(Debug)]
pub struct Handled {
    /// The response, or why there is none.
    pub result: Result<Response, Failure>,
    /// Time the guest ran, its instantiation included.
    pub cpu: Duration,
    /// The kind of the fork that ran it, once there was one.
    pub fork: Option<ForkKind>,
}

/// The kinds of forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkKind {
    /// It was made for the request.
    Fresh,
    /// It was parked.
    Parked,
}

impl ForkKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Parked => "parked",
        }
    }
}

impl Serving {
    /// Makes the serving image of a script from the memory it handed over in `start()`: a fork of it freezes the
    /// module and hands over its own memory.
    pub(crate) async fn freeze(app: &Arc<App>, live: Image) -> Result<Self, Failure> {
        let limits = app.limits();
        let meter = app.interpreter.meter(limits.setup_cpu);
        let store = store(app.interpreter.engine(), Role::Freeze(Arc::clone(&app.context)), limits, Arc::clone(&meter));
        let live = Arc::new(live);
        let freeze = Box::pin(async {
            let (mut fork, guest) = app.interpreter.start(store, &live, limits).await?;
            let result = guest.starcell_guest_interpreter().call_freeze(fork.store()).await;
            result.map_err(|error| fork.store().data().failure(&error, limits))??;
            Ok::<_, Failure>(fork.store().data_mut().captured.take())
        });
        let frozen = Metered::new(meter, freeze).await?;
        let frozen = frozen.ok_or_else(|| Failure::Host("the guest froze without handing over its memory".into()))?;
        // A server that would not fit is an error in the script, before a request is answered. Others may give up what
        // they hold and do not need.
        let taken = app.context.config.memory.take(MemoryUse::Guest, frozen.bytes() as u64, PATIENCE).await;
        Ok(Self::of_image(app, frozen, taken.ok_or(Failure::Limit(Limit::Budget))?))
    }

    /// The script whose serving image this is, and the memory that was taken for it.
    pub(crate) fn of_image(app: &Arc<App>, image: Image, taken: Taken) -> Self {
        let (image, forks, wall) = (Arc::new(image), Arc::new(RevisionForks::new(app)), app.limits().request_wall);
        Self { app: Arc::clone(app), image, _taken: Arc::new(taken), forks, wall }
    }

    /// What its requests start from.
    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    /// The same script answering for another app: under its grants, over its store, to its host. It shares no fork with this
    /// one.
    #[must_use]
    pub fn under(&self, app: &Arc<App>) -> Self {
        let forks = Arc::new(RevisionForks::new(app));
        Self { app: Arc::clone(app), forks, wall: app.limits().request_wall, ..self.clone() }
    }

    /// The same, with less wall time for a request than its app has.
    #[must_use]
    pub fn within(mut self, wall: Duration) -> Self {
        self.wall = self.wall.min(wall);
        self
    }

    /// Answers one request with the handler of `route`, in a fork of its own.
    pub async fn answer(&self, route: u32, request: Request) -> Handled {
        self.respond(Destination::Route(route), request, None).await
    }

    /// Answers one request, in a fork of its own. `trace` is where in its trace the request is.
    pub async fn respond(&self, destination: Destination, request: Request, trace: Option<TraceContext>) -> Handled {
        let limits = self.app.limits();
        let meter = self.app.interpreter.meter(limits.request_cpu);
        let kind = Mutex::new(None);
        let call = self.call(destination, (request, trace), Arc::clone(&meter), &kind);
        let call = Metered::new(Arc::clone(&meter), Box::pin(call));
        // The epoch cannot wake a guest that waits for the host, so the wall deadline is outside of it.
        let result = within(self.wall, call).await.map_err(|failure| self.app.context.hinted_once(failure));
        let fork = *kind.lock();
        Handled { result, cpu: meter.spent(), fork }
    }

    /// Makes a new fork and drops it: what a request costs that finds none parked, before any of its own code runs.
    ///
    /// # Errors
    /// No instance is free, or the image cannot be instantiated.
    pub async fn fork(&self) -> Result<(), Failure> {
        let meter = self.app.interpreter.meter(self.app.limits().request_cpu);
        self.new_fork(self.role("", None), meter, Watching::Nothing).await.map(|_| ())
    }

    async fn call(
        &self,
        destination: Destination,
        (request, trace): (Request, Option<TraceContext>),
        meter: Arc<Meter>,
        kind: &Mutex<Option<ForkKind>>,
    ) -> Result<Response, Failure> {
        let limits = self.app.limits();
        let parking = self.app.interpreter.parking();
        let handle_miss = self.app.interpreter.handle_miss();
        let role = self.role(&request.id, trace);
        let parked = self.forks.parked.take();
        *kind.lock() = Some(if parked.is_some() { ForkKind::Parked } else { ForkKind::Fresh });
        let mut fork = match parked {
            Some(mut fork) => {
                parking.reused.fetch_add(1, Ordering::Relaxed);
                fork.renew(role, limits, meter);
                fork
            }
            // What it writes is watched also where it is not parked: then nothing else is taken away when it ends.
            None if parking.is_on() && self.forks.is_watched() => {
                let hot = self.forks.hot.lock().clone();
                self.new_fork(role, meter, Watching::AllBut(&hot)).await?
            }
            None => {
                let mut fork = self.new_fork(role, meter, Watching::Nothing).await?;
                return fork.answer(destination, request, limits, handle_miss).await;
            }
        };
        // An error drops the fork, and so does the end of this future.
        let response = fork.answer(destination, request, limits, handle_miss).await?;
        match self.app.context.config.forks {
            Forks::Fresh => {
                self.learns(&fork, &fork.wear());
            }
            Forks::Parked { .. } => self.park(fork).await,
        }
        Ok(response)
    }

    fn role(&self, request: &str, trace: Option<TraceContext>) -> Role {
        Role::Request(Arc::clone(&self.app.context), request.into(), trace)
    }

    async fn new_fork(&self, role: Role, meter: Arc<Meter>, watching: Watching<'_>) -> Result<Parked, Failure> {
        let (limits, interpreter) = (self.app.limits(), &self.app.interpreter);
        let store = store(interpreter.engine(), role, limits, meter);
        let (fork, instance) = interpreter.fork(store, &self.image, limits, watching).await?;
        Parked::new(fork, &instance, interpreter.handle())
    }

    /// Puts a fork back to its image, and keeps it for the next request of this revision.
    async fn park(&self, mut fork: Parked) {
        let parking = self.app.interpreter.parking();
        let reset = fork.put_back();
        if !self.learns(&fork, &reset) {
            parking.spoiled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if self.is_compared() {
            parking.compared.fetch_add(1, Ordering::Relaxed);
            if let Some(address) = fork.difference() {
                parking.differs();
                return self.report(address).await;
            }
        }
        let bytes = fork.bytes();
        // A fork that waits gives way to whoever needs the memory now.
        if let Some(taken) = self.app.context.config.memory.try_take(MemoryUse::Guest, bytes as u64) {
            fork.hold(taken);
            self.forks.parked.put(fork, bytes);
        }
    }

    /// Keeps in mind for the next forks what this one has written; says whether it can be put back.
    fn learns(&self, fork: &Parked, reset: &Reset) -> bool {
        match reset {
            Reset::Spoiled => self.forks.unwatched.store(AFTER_A_SPOILED_ONE, Ordering::Relaxed),
            Reset::Done { learned: true } => *self.forks.hot.lock() = fork.hot(),
            Reset::Done { learned: false } => {}
        }
        !matches!(reset, Reset::Spoiled)
    }

    /// Counts a reset; says whether the whole memory is to be compared after it.
    fn is_compared(&self) -> bool {
        let Forks::Parked { compare_every } = self.app.context.config.forks else { return false };
        self.forks.resets.fetch_add(1, Ordering::Relaxed).is_multiple_of(compare_every.max(1))
    }

    /// Says in the log that a memory was not put back.
    async fn report(&self, address: usize) {
        let message = format!(
            "a fork was not put back as its image is, at address {address:#x}; every request has a new fork from now on; this is \
             a defect of starcell"
        );
        let nowhere = Position { file: String::new(), line: 0, column: 0 };
        let record = LogRecord::of_host(&message, &nowhere, None);
        self.app.context.host.log(&record).await;
    }

    /// Bytes of memory that one fork may take before it grows: what it may write of the image, and its stack.
    #[must_use]
    pub fn fork_bytes(&self) -> u64 {
        Self::bytes_of_fork(self.image.bytes(), self.app.limits())
    }

    /// The same for an image of so many bytes.
    pub(crate) fn bytes_of_fork(image: usize, limits: &Limits) -> u64 {
        let calls = limits.call_depth.saturating_sub(DEFAULT_CALL_DEPTH);
        image as u64 + STACK_BYTES + u64::from(calls) * CALL_BYTES
    }

    /// Bytes of memory that the serving image holds.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image.bytes()
    }
}

impl RevisionForks {
    fn new(app: &App) -> Self {
        Self {
            parked: app.interpreter.parking().lot(),
            hot: Mutex::default(),
            unwatched: AtomicU32::new(0),
            resets: AtomicU64::new(0),
        }
    }

    /// Whether the next new fork is watched, so that it can be put back.
    fn is_watched(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.unwatched.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
    }
}

/// The outcome, unless it takes too long or a host function panics.
pub(crate) async fn within<T>(wall: Duration, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match timeout(wall, AssertUnwindSafe(future).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Failure::Host("a host function panicked; this is a defect of starcell".into())),
        Err(_elapsed) => Err(Failure::Limit(Limit::Wall(wall))),
    }
}
