//! How SQLite opens the files of scripts, and how much memory their statements get.
//!
//! **The decision.** A path is judged and walked to, and what arrives is an open folder and a name in it. SQLite opens a
//! database, its log and its index by paths, and follows links in them on its own. So it is given a path that begins with
//! the descriptor of the folder, `/proc/self/fd/N/shop.db`, and its file system layer takes such a path as it is. The layer
//! is `unix-excl`: the index of a log is in memory, which the connections of this process share. With the usual layer it is
//! a mapped file beside the database, which a script may shorten while the host reads it: that ends the process.
//!
//! **What it refuses.** Swapping a folder for a link between the check and the opening moves nothing: the folder is open.
//! The last part of a path is opened without following a link, which SQLite does by itself.
//!
//! **Memory.** What a statement sorts and gathers is in memory, so each allocation of a thread is counted, and one statement
//! gets at most [`STATEMENT`]. What does not fit is an error of that statement and of no other.

#![expect(
    unsafe_code,
    reason = "changes a file system layer and the allocator, which the library has no safe function for"
)]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use rusqlite::ffi;

/// The name of the layer.
pub(super) const LAYER: &CStr = c"unix-excl";

/// Bytes that one statement may allocate, beside what its connection has for its cache.
pub(super) const STATEMENT: usize = 64 << 20;

thread_local! {
    /// Bytes that this thread has allocated and not freed since its statement began.
    static USED: Cell<i64> = const { Cell::new(0) };
    /// Bytes that it may allocate.
    static MOST: Cell<i64> = const { Cell::new(i64::MAX) };
}

/// The functions of the allocator that SQLite has by itself.
struct Usual {
    allocate: unsafe extern "C" fn(c_int) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
    reallocate: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    size: unsafe extern "C" fn(*mut c_void) -> c_int,
}

static USUAL: OnceLock<Usual> = OnceLock::new();

/// A statement of this thread, whose memory is counted until this is dropped.
pub(super) struct Counted(());

impl Counted {
    /// Begins to count.
    pub(super) fn begin() -> Self {
        USED.set(0);
        MOST.set(i64::try_from(STATEMENT).unwrap_or(i64::MAX));
        Self(())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        MOST.set(i64::MAX);
    }
}

/// Bytes that the statement of this thread has allocated and not freed.
pub(crate) fn used() -> usize {
    usize::try_from(USED.get()).unwrap_or_default()
}

/// Sets SQLite up, once. False when this build of it lacks the layer, or was used before.
pub(super) fn set_up() -> bool {
    static DONE: OnceLock<bool> = OnceLock::new();
    *DONE.get_or_init(|| {
        // Before anything else: SQLite takes no other allocator once it is in use.
        if !count_memory() {
            return false;
        }
        // SAFETY: the layer is registered for the life of the process, and its functions look at nothing in it but
        // `pAppData` and `mxPathname`. No connection uses it yet, since each is opened behind this.
        unsafe {
            let layer = ffi::sqlite3_vfs_find(LAYER.as_ptr());
            if layer.is_null() {
                return false;
            }
            (*layer).xFullPathname = Some(as_it_is);
        }
        true
    })
}

/// Puts the count in front of the allocator.
fn count_memory() -> bool {
    // SAFETY: a structure of function pointers and a pointer that may be null is valid when all of it is zero. SQLite
    // fills it in, and copies what it is given.
    unsafe {
        let mut methods: ffi::sqlite3_mem_methods = std::mem::zeroed();
        if ffi::sqlite3_config(ffi::SQLITE_CONFIG_GETMALLOC, &raw mut methods) != ffi::SQLITE_OK {
            return false;
        }
        let (Some(allocate), Some(free)) = (methods.xMalloc, methods.xFree) else { return false };
        let (Some(reallocate), Some(size)) = (methods.xRealloc, methods.xSize) else { return false };
        if USUAL.set(Usual { allocate, free, reallocate, size }).is_err() {
            return false;
        }
        methods.xMalloc = Some(counted_allocate);
        methods.xFree = Some(counted_free);
        methods.xRealloc = Some(counted_reallocate);
        ffi::sqlite3_config(ffi::SQLITE_CONFIG_MALLOC, &raw mut methods) == ffi::SQLITE_OK
    }
}

fn fits(more: i64) -> bool {
    USED.get().saturating_add(more) <= MOST.get()
}

fn count(bytes: i64) {
    USED.set(USED.get().saturating_add(bytes));
}

unsafe extern "C" fn counted_allocate(bytes: c_int) -> *mut c_void {
    let Some(usual) = USUAL.get().filter(|_| fits(i64::from(bytes))) else { return std::ptr::null_mut() };
    // SAFETY: SQLite calls its own function, with the number that it gave; the size is asked of what that returned.
    unsafe {
        let memory = (usual.allocate)(bytes);
        if !memory.is_null() {
            count(i64::from((usual.size)(memory)));
        }
        memory
    }
}

unsafe extern "C" fn counted_free(memory: *mut c_void) {
    let Some(usual) = USUAL.get().filter(|_| !memory.is_null()) else { return };
    // SAFETY: SQLite gives back what the function above returned, and this looks at it for the last time before.
    unsafe {
        count(-i64::from((usual.size)(memory)));
        (usual.free)(memory);
    }
}

unsafe extern "C" fn counted_reallocate(memory: *mut c_void, bytes: c_int) -> *mut c_void {
    let Some(usual) = USUAL.get() else { return std::ptr::null_mut() };
    // SAFETY: as for the two functions above; where this returns null the old memory is left as it was.
    unsafe {
        let before = i64::from((usual.size)(memory));
        if !fits(i64::from(bytes) - before) {
            return std::ptr::null_mut();
        }
        let moved = (usual.reallocate)(memory, bytes);
        if !moved.is_null() {
            count(i64::from((usual.size)(moved)) - before);
        }
        moved
    }
}

/// The full path of a path, which is the path itself.
unsafe extern "C" fn as_it_is(
    _layer: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite hands over a text that ends with a zero, and `room` bytes that are its own to be written.
    unsafe {
        let text = CStr::from_ptr(path).to_bytes_with_nul();
        if usize::try_from(room).is_ok_and(|room| text.len() <= room) {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast::<c_char>(), out, text.len());
            return ffi::SQLITE_OK;
        }
    }
    ffi::SQLITE_CANTOPEN
}
