//! The guest, loaded and linked once for all apps of the process.
//!
//! Scripts differ by their images alone: every instance of every app runs the same compiled component, with the same
//! imports, over a memory that the host maps from the image. A tenant therefore never reaches the compiler, and an app
//! costs its image.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, Instance, Linker};
use wasmtime::{Engine, Module, Store};

use crate::artifact::Artifact;
use crate::bindings::{Guest, GuestPre};
use crate::engine::engine;
use crate::failure::{Failure, has_no_memory};
use crate::limits::Limits;
use crate::memory::arena::Arena;
use crate::memory::fork::Fork;
use crate::memory::image::Image;
use crate::memory::slot::{Slot, Watching};
use crate::meter::{Meter, Metered};
use crate::parked::Parked;
use crate::parking::{ForkCounts, MAX_PARKED, Parking, Sweeper};
use crate::state::{Role, State, store};
use crate::ticker::Ticker;
use crate::{capability, failure::Limit};

/// The unit in which guests count their memory.
const WASM_PAGE: usize = 65536;

/// The guest of this process.
pub struct Interpreter {
    engine: Engine,
    pre: GuestPre<State>,
    base: Arc<Image>,
    handle: ComponentExportIndex,
    handle_miss: ComponentExportIndex,
    arena: Arc<Arena>,
    instances: u32,
    ticker: Ticker,
    parking: Arc<Parking<Parked>>,
    _sweeper: Sweeper,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").finish_non_exhaustive()
    }
}

impl Interpreter {
    /// Loads a guest for at most so many instances at once: fewer, where there is no address space for them. Costs some milliseconds; done once for the process.
    ///
    /// # Errors
    /// The artifact was made for another version, configuration or machine, or its imports are not the host's.
    pub fn load(artifact: &Artifact, instances: u32) -> Result<Arc<Self>, Failure> {
        Self::link(artifact, instances).map_err(Failure::host)
    }

    fn link(artifact: &Artifact, instances: u32) -> wasmtime::Result<Arc<Self>> {
        let engine = engine()?;
        let component = artifact.load(&engine)?;
        let contents = starcell_image::contents(artifact.base)?;
        let size = usize::try_from(contents.pages)? * WASM_PAGE;
        let base = Arc::new(Image::new(&contents.parts, size, contents.stack_pointer)?);
        let pre = pre(capability::linker(&engine)?, &component, &artifact.load_memory(&engine)?)?;
        let handle = export(&component, "handle")?;
        let handle_miss = export(&component, "handle-miss")?;
        let arena = Arena::new(instances as usize + MAX_PARKED)?;
        let instances = instances.min(u32::try_from(arena.slots().saturating_sub(MAX_PARKED))?);
        let ticker = Ticker::start(&engine)?;
        let parking = Parking::new();
        let sweeper = parking.start()?;
        Ok(Arc::new(Self {
            engine,
            pre,
            base,
            handle,
            handle_miss,
            arena,
            instances,
            ticker,
            parking,
            _sweeper: sweeper,
        }))
    }

    /// The engine of this process.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A meter for a guest that may run for so long.
    pub(crate) fn meter(&self, limit: Duration) -> Arc<Meter> {
        Meter::new(limit, Arc::clone(self.ticker.demand()))
    }

    /// What every script starts from.
    pub(crate) fn base(&self) -> &Arc<Image> {
        &self.base
    }

    /// The export that answers a request. Looked up by itself: the generated bindings would look up, and check the types
    /// of, all of a guest's exports for each request.
    pub(crate) fn handle(&self) -> &ComponentExportIndex {
        &self.handle
    }

    /// The export that answers a request without a route.
    pub(crate) fn handle_miss(&self) -> &ComponentExportIndex {
        &self.handle_miss
    }

    /// The forks that are parked.
    pub(crate) fn parking(&self) -> &Arc<Parking<Parked>> {
        &self.parking
    }

    /// What became of forks so far.
    #[must_use]
    pub fn forks(&self) -> ForkCounts {
        self.parking.counts()
    }

    /// Makes an instance over an image that is thrown away after its one call, with all of the guest's exports looked up.
    pub(crate) async fn start(
        &self,
        store: Store<State>,
        image: &Arc<Image>,
        limits: &Limits,
    ) -> Result<(Fork<State>, Guest), Failure> {
        let (mut fork, instance) = self.fork(store, image, limits, Watching::Nothing).await?;
        let guest = Guest::new(fork.store(), &instance).map_err(Failure::host)?;
        Ok((fork, guest))
    }

    /// Makes an instance over an image.
    pub(crate) async fn fork(
        &self,
        store: Store<State>,
        image: &Arc<Image>,
        limits: &Limits,
        watching: Watching<'_>,
    ) -> Result<(Fork<State>, Instance), Failure> {
        if image.size() > limits.memory() {
            return Err(Failure::Limit(Limit::Memory(limits.memory())));
        }
        let slot = Slot::new(&self.arena, image, 0, watching);
        let slot = slot.map_err(|error| match has_no_memory(&error) {
            true => Failure::Limit(Limit::Budget),
            false => Failure::Host(format!("cannot map an image: {error}")),
        })?;
        let slot = slot.ok_or(Failure::Limit(Limit::Instances(self.instances)))?;
        self.parking.made.fetch_add(1, Ordering::Relaxed);
        let fork = Fork::new(store, slot, async |store| self.pre.instance_pre().instantiate_async(store).await).await;
        let (mut fork, instance) = fork.map_err(|error| Failure::from_call(&error, limits, false))?;
        let slot = Arc::clone(fork.slot());
        fork.store().data_mut().slot = Some(slot);
        Ok((fork, instance))
    }

    /// Boots the guest and returns its memory as the bytes of an image module: what every script starts from.
    ///
    /// # Errors
    /// The guest trapped, or did not hand over its memory.
    pub async fn boot(&self) -> Result<Vec<u8>, Failure> {
        let limits = Limits::default();
        let meter = self.meter(limits.setup_cpu);
        let store = store(self.engine(), Role::Boot, &limits, Arc::clone(&meter));
        let run = Box::pin(async {
            let (mut fork, guest) = self.start(store, &self.base, &limits).await?;
            let result = guest.starcell_guest_interpreter().call_boot(fork.store()).await;
            result.map_err(|error| fork.store().data().failure(&error, &limits))?;
            Ok::<_, Failure>(fork.store().data_mut().captured.take())
        });
        let image = Metered::new(meter, run).await?;
        let image = image.ok_or_else(|| Failure::Host("the guest booted without handing over its memory".into()))?;
        Ok(image.to_module())
    }
}

fn export(component: &Component, name: &str) -> wasmtime::Result<ComponentExportIndex> {
    let interface = component.get_export_index(None, "starcell:guest/interpreter@0.1.0");
    let found = interface.and_then(|interface| component.get_export_index(Some(&interface), name));
    found.ok_or_else(|| wasmtime::Error::msg(format!("the guest does not export `{name}`")))
}

/// Links the component with the host's functions and with the module that gives it its memory.
fn pre(mut linker: Linker<State>, component: &Component, memory: &Module) -> wasmtime::Result<GuestPre<State>> {
    linker.root().module(starcell_image::IMAGE_IMPORT, memory)?;
    GuestPre::new(linker.instantiate_pre(component)?)
}
