//! `starcell:guest/fork`: a guest hands over its memory, in each of its roles for another image.
//!
//! A call only makes the image and keeps it with the instance; whoever started the instance, or `server.serve`, takes it
//! from there. Linked by hand so that the memory is read in place. The memory is the tenant's own and is never
//! interpreted here: it becomes an image. A guest that calls a function in another role traps, since the interpreter never
//! does.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::memory::image::{Image, MEMORY_START};
use crate::state::{Role, State};

/// Links the interface.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut fork = linker.instance("starcell:guest/fork@0.1.0")?;
    fork.func_wrap("boot", |store, call| keep(store, call, |role| matches!(role, Role::Boot)))?;
    fork.func_wrap("live", |store, call| keep(store, call, |role| matches!(role, Role::Setup(..))))?;
    let frozen = |role: &Role| matches!(role, Role::Freeze(_) | Role::Collect(_));
    fork.func_wrap("frozen", move |store, call| keep(store, call, frozen))
}

/// Keeps an image of the memory, if the role of the instance is one that hands it over.
fn keep(
    mut store: StoreContextMut<'_, State>,
    (memory, stack_pointer): (WasmList<u8>, u32),
    expected: impl Fn(&Role) -> bool,
) -> wasmtime::Result<()> {
    if !expected(&store.data().role) {
        return Err(wasmtime::Error::msg("the guest handed over its memory for an image that nobody asked for"));
    }
    let image = capture(&store, &memory, stack_pointer)?;
    store.data_mut().captured = Some(image);
    Ok(())
}

/// The image of a memory as it is now. Takes about half a millisecond for each MiB that is not zero.
fn capture(store: &StoreContextMut<'_, State>, memory: &WasmList<u8>, stack_pointer: u32) -> wasmtime::Result<Image> {
    let memory = memory.as_le_slice(store);
    let size = memory.len() + MEMORY_START;
    let slot = store.data().slot.as_ref().ok_or_else(|| wasmtime::Error::msg("a guest without a memory of ours"))?;
    // Behind what was ever written all is zero; to look at it would have it made.
    let memory = memory.get(..slot.written().min(size) - MEMORY_START).unwrap_or_default();
    Ok(Image::capture(memory, size, stack_pointer, slot.image())?)
}
