//! Forks of a serving image: one for each request, thrown away after it.
//!
//! Nothing a request does can reach another: not its neighbour, since they share no memory, and not its successor,
//! since the fork is gone. A trap, a limit or a panic ends that request alone.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use starcell_budget::{Purpose, Taken};
use tokio::time::timeout;
use wasmtime::component::InstancePre;

use crate::app::App;
use crate::bindings::starcell::guest::types::Failure as GuestFailure;
use crate::failure::{Failure, Limit};
use crate::host::AppHost;
use crate::image::Image;
use crate::meter::{Meter, Metered};
use crate::state::{Role, State, store};
use crate::{Request, Response, image};

/// Native stack and tables of one fork, in bytes: more than was ever measured.
const STACK_BYTES: u64 = 256 << 10;

/// A script as it answers requests. Cheap to clone.
#[derive(Clone)]
pub struct Serving {
    app: Arc<App>,
    pre: InstancePre<State>,
    image_bytes: usize,
    /// The memory of the image.
    _taken: Arc<Taken>,
    wall: Duration,
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
pub struct Answer {
    /// The response, or why there is none.
    pub result: Result<Response, Failure>,
    /// Time the guest ran, its instantiation included.
    pub cpu: Duration,
}

impl Serving {
    /// Makes the serving image of a script from the memory it handed over in `start()`: a fork of it freezes the
    /// module and hands over its own memory.
    pub(crate) async fn freeze(app: &Arc<App>, memory: Vec<u8>) -> Result<Self, Failure> {
        let live = load(app, memory).await?;
        let limits = app.limits();
        let meter = app.interpreter.meter(limits.setup_cpu);
        let mut store =
            store(app.interpreter.engine(), Role::Freeze(Arc::clone(&app.context)), limits, Arc::clone(&meter));
        let pre = app.interpreter.over(&live).map_err(Failure::host)?;
        let freeze = Box::pin(async {
            let guest = pre
                .instantiate_async(&mut store)
                .await
                .map_err(|e| app.interpreter.instantiation_failure(&e, limits))?;
            let result = guest.starcell_guest_interpreter().call_freeze(&mut store).await;
            result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
        });
        Metered::new(meter, freeze).await?;
        let frozen = store.data_mut().captured.take();
        let frozen = frozen.ok_or_else(|| Failure::Host("the guest froze without handing over its memory".into()))?;
        drop(store);
        // A server that would not fit is an error in the script, before anything is made of it.
        let taken = app.context.config.memory.try_take(Purpose::Guest, frozen.len() as u64);
        let taken = Arc::new(taken.ok_or(Failure::Limit(Limit::Budget))?);
        let image = load(app, frozen).await?;
        let pre = app.interpreter.over(&image).map_err(Failure::host)?;
        let pre = pre.instance_pre().clone();
        Ok(Self { app: Arc::clone(app), pre, image_bytes: image.bytes(), _taken: taken, wall: limits.request_wall })
    }

    /// The same script answering for another app: under its grants, over its store, to its host.
    #[must_use]
    pub fn under(&self, app: &Arc<App>) -> Self {
        Self { app: Arc::clone(app), wall: app.limits().request_wall, ..self.clone() }
    }

    /// The same, with less wall time for a request than its app has.
    #[must_use]
    pub fn within(mut self, wall: Duration) -> Self {
        self.wall = self.wall.min(wall);
        self
    }

    /// Answers one request with the handler of `route`, in a fork of its own.
    pub async fn answer(&self, route: u32, request: Request) -> Answer {
        let limits = self.app.limits();
        let meter = self.app.interpreter.meter(limits.request_cpu);
        let call = Metered::new(Arc::clone(&meter), Box::pin(self.call(route, request, Arc::clone(&meter))));
        // The epoch cannot wake a guest that waits for the host, so the wall deadline is outside of it.
        let result = within(self.wall, call).await;
        Answer { result, cpu: meter.spent() }
    }

    /// Makes a fork and drops it: what a request costs before any of its own code runs.
    ///
    /// # Errors
    /// No instance is free, or the image cannot be instantiated.
    pub async fn fork(&self) -> Result<(), Failure> {
        let limits = self.app.limits();
        let role = Role::Request(Arc::clone(&self.app.context), "".into());
        let meter = self.app.interpreter.meter(limits.request_cpu);
        let mut store = store(self.app.interpreter.engine(), role, limits, meter);
        let guest = self.pre.instantiate_async(&mut store).await;
        guest.map(|_| ()).map_err(|error| self.app.interpreter.instantiation_failure(&error, limits))
    }

    async fn call(&self, route: u32, request: Request, meter: Arc<Meter>) -> Result<Response, Failure> {
        let limits = self.app.limits();
        let role = Role::Request(Arc::clone(&self.app.context), request.id.as_str().into());
        let mut store = store(self.app.interpreter.engine(), role, limits, meter);
        let interpreter = &self.app.interpreter;
        let guest = self.pre.instantiate_async(&mut store).await;
        let guest = guest.map_err(|error| interpreter.instantiation_failure(&error, limits))?;
        let handle = guest
            .get_typed_func::<(u32, &Request), (Result<Response, GuestFailure>,)>(&mut store, interpreter.handle())
            .map_err(Failure::host)?;
        let result = handle.call_async(&mut store, (route, &request)).await;
        result.map_err(|error| store.data().failure(&error, limits))?.0.map_err(Failure::from)
    }

    /// Bytes of memory that one fork may take before it grows: what it may write of the image, and its stack.
    #[must_use]
    pub fn fork_bytes(&self) -> u64 {
        self.image_bytes as u64 + STACK_BYTES
    }

    /// Bytes of memory that the serving image holds.
    #[must_use]
    pub fn image_bytes(&self) -> usize {
        self.image_bytes
    }
}

/// Loads an image without blocking a thread of the async runtime.
pub(crate) async fn load(app: &App, bytes: Vec<u8>) -> Result<Image, Failure> {
    let engine = app.interpreter.engine().clone();
    let loaded = tokio::task::spawn_blocking(move || image::Image::load(&engine, &bytes)).await;
    loaded.map_err(|error| Failure::Host(format!("loading an image: {error}")))?.map_err(Failure::host)
}

/// The outcome, unless it takes too long or a host function panics.
pub(crate) async fn within<T>(wall: Duration, future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match timeout(wall, AssertUnwindSafe(future).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_panic)) => Err(Failure::Host("a host function panicked; this is a defect of starcell".into())),
        Err(_elapsed) => Err(Failure::Limit(Limit::Wall(wall))),
    }
}
