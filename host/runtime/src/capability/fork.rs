//! `starcell:guest/fork`: a guest hands over its memory.
//!
//! Linked by hand so that the memory is read in place. What the memory contains is the tenant's own and is never
//! interpreted here: it becomes an image.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::bindings::starcell::guest::types::Error;
use crate::memory::image::{Image, MEMORY_START};
use crate::state::{Role, State};

/// Links the interface.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance("starcell:guest/fork@0.1.0")?.func_wrap_async(
        "fork",
        |store: StoreContextMut<'_, State>, (server, memory, stack_pointer): (u32, WasmList<u8>, u32)| {
            Box::new(async move { Ok((fork(store, server, &memory, stack_pointer).await?,)) })
        },
    )
}

async fn fork(
    mut store: StoreContextMut<'_, State>,
    server: u32,
    memory: &WasmList<u8>,
    stack_pointer: u32,
) -> wasmtime::Result<Result<(), Error>> {
    let image = capture(&store, memory, stack_pointer)?;
    let (app, taker) = match &store.data().role {
        Role::Boot | Role::Collect(_) | Role::Freeze(_) => {
            store.data_mut().captured = Some(image);
            return Ok(Ok(()));
        }
        Role::Setup(app, taker) => (Arc::clone(app), Arc::clone(taker)),
        Role::Request(..) => {
            return Ok(Err(Error::Failed("a request cannot fork its script".into())));
        }
    };
    Ok(match taker.take(server, image).await {
        Ok(()) => Ok(()),
        Err(why) => {
            app.host.abandon(server);
            Err(Error::Failed(why))
        }
    })
}

/// The image of a memory as it is now. Takes about half a millisecond for each MiB that is not zero.
fn capture(store: &StoreContextMut<'_, State>, memory: &WasmList<u8>, stack_pointer: u32) -> wasmtime::Result<Image> {
    let memory = memory.as_le_slice(store);
    let size = memory.len() + MEMORY_START;
    // Behind what was ever written all is zero; to look at it would have it made.
    let written = store.data().slot.as_ref().map_or(size, |slot| slot.written().min(size));
    let memory = memory.get(..written - MEMORY_START).unwrap_or_default();
    Ok(Image::capture(memory, size, stack_pointer)?)
}
