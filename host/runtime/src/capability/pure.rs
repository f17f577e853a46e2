//! `wasi:clocks/wall-clock` and `wasi:random/random`: what every script may ask for.
//!
//! Both are wasmtime-wasi's, asked at every call so that forks share neither a clock nor a generator. They are linked by
//! hand because where the operator wants them recorded the record comes first, and that takes waiting.

use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};
use wasmtime_wasi::p2::bindings::random::random;
use wasmtime_wasi::random::WasiRandomCtx;

use crate::caller::Caller;
use crate::gate::Pure;
use crate::state::State;

/// The clocks of an instance, made when it first asks for the time: most requests never do.
#[derive(Clone, Default)]
struct Clocks(Arc<Mutex<(WasiClocksCtx, ResourceTable)>>);

impl Clocks {
    fn read<T>(&self, read: impl FnOnce(&mut WasiClocksCtxView<'_>) -> wasmtime::Result<T>) -> wasmtime::Result<T> {
        let (ctx, table) = &mut *self.0.lock();
        read(&mut WasiClocksCtxView { ctx, table })
    }
}

/// The generator of an instance. It is seeded from the system for each instance that asks, and a fork inherits none.
#[derive(Clone, Default)]
struct Generator(Arc<Mutex<WasiRandomCtx>>);

/// Links the clock, in the version that wit/ has.
pub(super) fn link_clock(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut clock = linker.instance("wasi:clocks/wall-clock@0.2.12")?;
    clock.func_wrap_async("now", |mut store: StoreContextMut<'_, State>, (): ()| {
        Box::new(async move {
            let caller = store.data().recorded_caller();
            let clocks = store.data_mut().kept::<Clocks>();
            let now = async { Ok((clocks.read(|clocks| wall_clock::Host::now(clocks))?, 0)) };
            Ok((noted(caller, Pure::Time, now).await?,))
        })
    })?;
    clock.func_wrap("resolution", |mut store: StoreContextMut<'_, State>, (): ()| {
        let resolution: Datetime =
            store.data_mut().kept::<Clocks>().read(|clocks| wall_clock::Host::resolution(clocks))?;
        Ok((resolution,))
    })?;
    Ok(())
}

/// Links the generator, in the version that wit/ has.
pub(super) fn link_random(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut generator = linker.instance("wasi:random/random@0.2.12")?;
    generator.func_wrap_async("get-random-bytes", |mut store: StoreContextMut<'_, State>, (length,): (u64,)| {
        Box::new(async move {
            let caller = store.data().recorded_caller();
            let Generator(generator) = store.data_mut().kept();
            let bytes = async { Ok((random::Host::get_random_bytes(&mut *generator.lock(), length)?, length)) };
            Ok((noted(caller, Pure::Random, bytes).await?,))
        })
    })?;
    generator.func_wrap_async("get-random-u64", |mut store: StoreContextMut<'_, State>, (): ()| {
        Box::new(async move {
            let caller = store.data().recorded_caller();
            let Generator(generator) = store.data_mut().kept();
            let number = async { Ok((random::Host::get_random_u64(&mut *generator.lock())?, 8)) };
            Ok((noted(caller, Pure::Random, number).await?,))
        })
    })?;
    Ok(())
}

/// Does it; through the gate where there is one for it.
pub(super) async fn noted<T>(
    caller: Option<Caller>,
    pure: Pure,
    effect: impl Future<Output = wasmtime::Result<(T, u64)>>,
) -> wasmtime::Result<T> {
    match caller {
        Some(caller) => caller.note(pure, effect).await,
        None => effect.await.map(|(value, _)| value),
    }
}
