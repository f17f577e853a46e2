//! `starcell:guest/fork`: a guest hands over its memory.
//!
//! Linked by hand so that the memory is read in place. What the memory contains is the tenant's own and is never
//! interpreted here: it becomes data of a module without code.

use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::bindings::starcell::guest::types::Error;
use crate::image;
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
    let image = image::capture(memory.as_le_slice(&store), stack_pointer);
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
