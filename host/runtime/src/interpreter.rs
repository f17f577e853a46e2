//! The guest, loaded and linked once for all apps of the process.
//!
//! Scripts differ by their images alone: every instance of every app runs the same compiled component over a memory of
//! its own. A tenant therefore never reaches the compiler, and an app costs its image.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex, Linker};

use crate::artifact::Artifact;
use crate::bindings::GuestPre;
use crate::engine::{Purpose, engine};
use crate::failure::Failure;
use crate::image::Image;
use crate::limits::Limits;
use crate::meter::{Meter, Metered};
use crate::state::{Role, State, store};
use crate::ticker::Ticker;
use crate::{capability, failure::Limit};

/// The guest of this process.
pub struct Interpreter {
    engine: Engine,
    component: Component,
    linker: Linker<State>,
    base: GuestPre<State>,
    handle: ComponentExportIndex,
    instances: u32,
    ticker: Ticker,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").finish_non_exhaustive()
    }
}

impl Interpreter {
    /// Loads a guest for at most so many instances at once. Costs some milliseconds; done once for the process.
    ///
    /// # Errors
    /// The artifact was made for another version, configuration or machine, or its imports are not the host's.
    pub fn load(artifact: &Artifact, instances: u32) -> Result<Arc<Self>, Failure> {
        Self::link(artifact, instances).map_err(Failure::host)
    }

    fn link(artifact: &Artifact, instances: u32) -> wasmtime::Result<Arc<Self>> {
        let engine = engine(Purpose::Run(instances))?;
        let component = artifact.load(&engine)?;
        let linker = capability::linker(&engine)?;
        let base = pre(&linker, &component, &Image::load(&engine, artifact.base)?)?;
        let handle = handle(&component).ok_or_else(|| wasmtime::Error::msg("the guest does not export `handle`"))?;
        let ticker = Ticker::start(&engine)?;
        Ok(Arc::new(Self { engine, component, linker, base, handle, instances, ticker }))
    }

    /// The engine of this process.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// A meter for a guest that may run for so long.
    pub(crate) fn meter(&self, limit: Duration) -> Arc<Meter> {
        Meter::new(limit, Arc::clone(self.ticker.demand()))
    }

    /// Sorts an error of instantiation: the pool being full is a limit, anything else is the host's.
    pub(crate) fn instantiation_failure(&self, error: &wasmtime::Error, limits: &Limits) -> Failure {
        match error.is::<wasmtime::PoolConcurrencyLimitError>() {
            true => Failure::Limit(Limit::Instances(self.instances)),
            false => Failure::from_call(error, limits, false),
        }
    }

    /// What a script starts from.
    pub(crate) fn base(&self) -> &GuestPre<State> {
        &self.base
    }

    /// The export that answers a request. Looked up by itself: the generated bindings would look up, and check the types
    /// of, all of a guest's exports for each request.
    pub(crate) fn handle(&self) -> &ComponentExportIndex {
        &self.handle
    }

    /// Readies the component for being instantiated over `image`. Costs some ten microseconds.
    pub(crate) fn over(&self, image: &Image) -> wasmtime::Result<GuestPre<State>> {
        pre(&self.linker, &self.component, image)
    }

    /// Boots the guest and returns its memory as the bytes of an image: what every script starts from.
    pub async fn boot(&self) -> Result<Vec<u8>, Failure> {
        let limits = Limits::default();
        let meter = self.meter(limits.setup_cpu);
        let mut store = store(self.engine(), Role::Boot, &limits, Arc::clone(&meter));
        let run = Box::pin(async {
            let guest = self.base.instantiate_async(&mut store).await?;
            guest.starcell_guest_interpreter().call_boot(&mut store).await
        });
        let result = Metered::new(meter, run).await;
        result.map_err(|error| store.data().failure(&error, &limits))?;
        let image = store.data_mut().captured.take();
        image.ok_or_else(|| Failure::Host("the guest booted without handing over its memory".into()))
    }
}

fn handle(component: &Component) -> Option<ComponentExportIndex> {
    let interface = component.get_export_index(None, "starcell:guest/interpreter@0.1.0")?;
    component.get_export_index(Some(&interface), "handle")
}

fn pre(linker: &Linker<State>, component: &Component, image: &Image) -> wasmtime::Result<GuestPre<State>> {
    let mut linker = linker.clone();
    linker.root().module("image", image.module())?;
    GuestPre::new(linker.instantiate_pre(component)?)
}
