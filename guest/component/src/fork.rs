//! fork(2) for a suspended interpreter: the only `unsafe` of this crate.
//!
//! `fork.live` hands the host the linear memory while Starlark frames are live. An instance started over a copy of that
//! memory, with a stack pointer below those frames, is a fork: it has everything the script built and none of the
//! frames can ever resume in it, since the wasm stack that would return into them exists in the parent alone.
//!
//! That is what makes [`freeze`] sound. In the parent the module is borrowed by the frames that evaluate it; in a fork
//! those frames are only bytes, so the module can be moved out from under them and frozen, once, exactly as if
//! evaluation had ended.
//!
//! The memory holds no handle, no clock and no generator state. A fork asks the host for time and randomness at every
//! call, so two forks never share a random byte.

#![expect(unsafe_code, reason = "see the argument at each block and above")]

use std::cell::UnsafeCell;
use std::ptr;

use starcell_contract::{Failure, FailureKind, Position};
use starcell_heap::HOST_PAGE;
use starcell_interp::{Serving, Suite};
use starlark::environment::Module;

use crate::bindings::starcell::guest::fork as host;
use crate::heap::HEAP;

/// Distance kept between the deepest live frame and the first frame of a fork, in bytes. The import call itself needs
/// some hundred bytes below the local whose address is taken, and 1 KiB is several times that.
const RED_ZONE: usize = 1024;

/// First address handed over: a Rust slice may not start at address 0, and nothing lives below 8.
const MEMORY_START: usize = 8;

/// Bytes that a request may use, beside those of its evaluator, before its memory has to grow: most need a few dozen KiB.
const REQUEST_HEAP: usize = 128 << 10;

/// The state of the instance between calls.
struct State {
    /// The module that `run` evaluates, for as long as `run` has not returned.
    live: UnsafeCell<*const Module<'static>>,
    /// The frozen script of a serving image.
    serving: UnsafeCell<Option<Serving>>,
    /// The frozen file of a test image.
    suite: UnsafeCell<Option<Suite>>,
}

// SAFETY: a guest has one thread; the component model does not enter an instance that is already running.
unsafe impl Sync for State {}

static STATE: State =
    State { live: UnsafeCell::new(ptr::null()), serving: UnsafeCell::new(None), suite: UnsafeCell::new(None) };

/// Remembers the module under evaluation, so that a fork can find it.
pub(crate) fn remember(module: &Module<'_>) {
    // SAFETY: single thread, no reference into STATE is ever kept. The lifetime is erased; `freeze` says why that holds.
    unsafe { *STATE.live.get() = ptr::from_ref(module).cast() };
}

/// Hands the memory over for the image that every script starts from.
pub(crate) fn hand_over_booted() {
    hand_over(host::boot, page_end());
}

/// Hands the memory of a suspended script over. Its forks keep clear of every live frame, because `freeze` looks at what
/// those hold.
pub(crate) fn hand_over_live() {
    let here = 0_u128;
    hand_over(host::live, (ptr::from_ref(&here).addr() - RED_ZONE) & !15);
}

/// Readies the allocator for many forks, and hands over the memory that they start from.
pub(crate) fn hand_over_frozen() {
    // SAFETY: called when `freeze` or `collect` has done its work. A block of an evaluator that is still in use then
    // belongs to the frames that this memory was forked from, which never run in this instance nor in a fork of it.
    unsafe { HEAP.settle(REQUEST_HEAP) };
    hand_over(host::frozen, page_end());
}

/// A stack pointer for forks that look at no frame of this instance: they start where a page of memory ends, over what
/// were frames, so that their own frames lie in as few pages as can be.
fn page_end() -> usize {
    let here = 0_u128;
    ptr::from_ref(&here).addr().next_multiple_of(HOST_PAGE)
}

/// Calls an import with the whole linear memory.
fn hand_over(import: fn(&[u8], u32), stack_pointer: usize) {
    let length = core::arch::wasm32::memory_size(0) * 65536 - MEMORY_START;
    // SAFETY: every byte of linear memory is readable and initialised (wasm memory starts as zeros). The host copies it
    // while this frame is suspended in the import, so nothing writes to it meanwhile.
    let memory = unsafe { std::slice::from_raw_parts(ptr::with_exposed_provenance(MEMORY_START), length) };
    import(memory, stack_pointer as u32);
}

/// Freezes the module of the script this instance was forked from.
pub(crate) fn freeze() -> Result<(), Failure> {
    // SAFETY: the host calls `freeze` only in forks. Here `live` names a module that the suspended frames of `run` own;
    // they never run in this instance, so nothing else reads it, drops it, or sees that its lifetime was erased. It is
    // taken once: the pointer is cleared first.
    let module = unsafe {
        let live = std::mem::replace(&mut *STATE.live.get(), ptr::null());
        if live.is_null() {
            return Err(unready("freeze was called before a script ran"));
        }
        ptr::read(live)
    };
    let serving = Serving::freeze(module)?;
    // SAFETY: single thread; the old value is None and no reference into it exists.
    unsafe { *STATE.serving.get() = Some(serving) };
    Ok(())
}

/// Calls `f` with the frozen script of a serving image.
pub(crate) fn with_serving<T>(f: impl FnOnce(&Serving) -> Result<T, Failure>) -> Result<T, Failure> {
    // SAFETY: single thread, and `serving` is written by `freeze` only, which never runs while a handler does.
    match unsafe { &*STATE.serving.get() } {
        Some(serving) => f(serving),
        None => Err(unready("handle was called before freeze")),
    }
}

/// Keeps a test file for the forks of this memory.
pub(crate) fn keep(suite: Suite) {
    // SAFETY: single thread; `collect` is called once, in an instance that has no suite yet, so no reference exists.
    unsafe { *STATE.suite.get() = Some(suite) };
}

/// Calls `f` with the test file of this image.
pub(crate) fn with_suite<T>(f: impl FnOnce(&Suite) -> Result<T, Failure>) -> Result<T, Failure> {
    // SAFETY: single thread, and `suite` is written by `keep` only, which never runs while a test does.
    match unsafe { &*STATE.suite.get() } {
        Some(suite) => f(suite),
        None => Err(unready("test was called before collect")),
    }
}

fn unready(message: &str) -> Failure {
    Failure {
        kind: FailureKind::Stopped,
        message: message.to_owned(),
        report: message.to_owned(),
        hint: None,
        at: Position::default(),
    }
}

/// Randomness for any dependency that asks `getrandom` for it: always the host's.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(target: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    let bytes = crate::bindings::wasi::random::random::get_random_bytes(length as u64);
    if bytes.len() != length {
        return Err(getrandom::Error::UNEXPECTED);
    }
    // SAFETY: getrandom's contract: `target` is valid for writes of `length` bytes; the lengths are equal.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, length) };
    Ok(())
}
