//! The memories of guests as the machine sees them, and the handler of their page faults: the `unsafe` of parking.
//!
//! **Layout.** A [`Space`] is one reservation of addresses, cut into slots of equal size. A slot is what compiled code takes
//! for granted: as many bytes as a 32-bit address can name, then a guard. In a slot lie, from the bottom:
//! 1. the *paged* part: the image, mapped copy-on-write from its files, and a little zero memory behind it;
//! 2. the *zone*, which is zero and closed (no access) until a guest touches it, up to the size of the guest's memory;
//! 3. what the guest may not touch.
//!
//! **Faults.** A watched slot begins with its paged part read-only. A first write to a page raises `SIGSEGV`; the handler
//! has [`Watch`] note the page as *hot* and makes it writable, and the instruction runs again. Any access to the zone opens a
//! range that doubles. It makes no difference whether wasm or the host, lowering an argument, ran into the page. (A system
//! call that is given such a page fails with `EFAULT` instead; so no system call is ever given guest memory.) Every other
//! fault goes on to the handler that was there before, which is wasmtime's.
//!
//! **Argument.** Addresses: every operation names a slot and a range in it, and [`Space::range`] refuses what does not lie
//! inside of the slot; so nothing outside of a reservation is ever mapped over, protected, read or written. Files that are
//! mapped are sealed: they never change. Aliasing: bytes of a slot are read and written by its guest, and by
//! [`Fork`](super::fork::Fork), whose methods take `&mut self` together with the store that the guest runs in; so they never
//! run at once, and no reference into guest memory outlives a call. What is done to a slot between two guests is done by the
//! one that has taken it out of the [`Arena`](super::arena::Arena). Lifetime: wasmtime's memory and the fork share the slot,
//! which is given back when both are gone, and the arena, which gives the reservation back, lives as long as its slots.
//! Signals: the handler uses atomics and `mprotect` alone, which POSIX and Linux allow there; it takes no lock, allocates
//! nothing, and cannot panic. It finds the spaces in a table of fixed size, whose entries point to what is never freed; a
//! space is taken from the table when none of its slots is in use.

#![expect(unsafe_code, reason = "see the argument above")]

use std::io;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, Ordering};

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mmap_anonymous, mprotect, munmap};
use rustix::param::page_size;

use super::image::Part;
use super::watch::Watch;

/// What compiled code takes for granted of a memory: wasmtime's reservation for 32-bit memories.
pub(super) const RESERVATION: usize = 4 << 30;

/// And its guard behind that.
pub(super) const GUARD: usize = 32 << 20;

/// With fewer slots than these nothing is served: so much address space every system has.
const FEW_SLOTS: usize = 1024;

/// Spaces of one process: one for each interpreter.
const MAX_SPACES: usize = 64;

static SPACES: [AtomicPtr<Space>; MAX_SPACES] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_SPACES];

/// Who handled `SIGSEGV` before. Never freed.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

/// What may be done to a range of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    None,
    Read,
    Write,
}

impl Access {
    fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Read => ProtFlags::READ.bits(),
            Self::Write => ProtFlags::READ.union(ProtFlags::WRITE).bits(),
        }
    }
}

/// Address space for the memories of guests, and what the handler has to know of them. Never freed, since the handler may
/// look at it at any time; its addresses are given back.
#[derive(Debug)]
pub(super) struct Space {
    /// Address of the reservation; slots begin one guard behind it.
    reserved: usize,
    page: usize,
    watches: Box<[Watch]>,
}

impl Space {
    /// Reserves addresses for so many slots, or for as many as the system has in one piece, and has their faults handled.
    pub(super) fn reserve(mut slots: usize) -> io::Result<&'static Self> {
        static HANDLER: Once = Once::new();
        HANDLER.call_once(install);
        let (access, flags) = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE);
        // The program itself lies in the middle of the 128 TiB of a process, at another place each time.
        let reserved = loop {
            // SAFETY: a new mapping at an address that the system chooses.
            match unsafe { mmap_anonymous(ptr::null_mut(), reservation(slots), access, flags) } {
                Ok(reserved) => break reserved,
                Err(Errno::NOMEM) if slots > FEW_SLOTS => slots -= slots / 16,
                Err(error) => return Err(error.into()),
            }
        };
        let watches = std::iter::repeat_with(Watch::new).take(slots).collect();
        let space: &'static Self =
            Box::leak(Box::new(Self { reserved: reserved.expose_provenance(), page: page_size(), watches }));
        match replace_entry(ptr::null(), space) {
            true => Ok(space),
            false => Err(io::Error::other(format!("more than {MAX_SPACES} interpreters in one process"))),
        }
    }

    /// Gives all addresses back. Nobody may hold a slot.
    pub(super) fn give_back(&self) {
        replace_entry(self, ptr::null());
        // SAFETY: the reservation is this space's, and no slot of it is in use, since each keeps the arena.
        let _ = unsafe { munmap(ptr::with_exposed_provenance_mut(self.reserved), reservation(self.watches.len())) };
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.watches.len()
    }

    /// Bytes of a page.
    pub(super) fn page(&self) -> usize {
        self.page
    }

    /// What is known of a slot.
    #[expect(clippy::indexing_slicing, reason = "every index comes from the arena's list of free slots")]
    pub(super) fn watch(&self, slot: usize) -> &Watch {
        &self.watches[slot]
    }

    /// Where a slot begins.
    pub(super) fn start(&self, slot: usize) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.address(slot))
    }

    /// Maps a part of an image.
    pub(super) fn map(&self, slot: usize, part: &Part<'_>, access: Access) -> io::Result<()> {
        let start = self.range(slot, part.address, part.length).ok_or(io::ErrorKind::InvalidInput)?;
        let (access, flags) = (ProtFlags::from_bits_retain(access.bits()), MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: a range of the slot, which the caller holds alone. The file cannot change: it is sealed.
        unsafe { mmap(start.cast(), part.length, access, flags, part.file, part.offset as u64)? };
        Ok(())
    }

    /// Takes the mappings of the first `length` bytes of a slot away.
    pub(super) fn unmap(&self, slot: usize, length: usize) -> bool {
        let (access, flags) = (ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED);
        let Some(start) = self.range(slot, 0, length) else { return false };
        // SAFETY: a range of the slot, which nobody holds: wasmtime has dropped its memory, and so has the fork.
        length == 0 || unsafe { mmap_anonymous(start.cast(), length, access, flags) }.is_ok()
    }

    /// Sets what may be done to whole pages of a slot. Runs in the signal handler as well.
    pub(super) fn protect(&self, slot: usize, from: usize, length: usize, access: Access) -> bool {
        let Some(start) = self.range(slot, from, length) else { return false };
        let access = MprotectFlags::from_bits_retain(access.bits());
        // SAFETY: a range of a slot that the caller holds, or that is held by what the handler interrupted. Access that a
        // guest loses makes it fault, which is defined.
        length == 0 || unsafe { mprotect(start.cast(), length, access) }.is_ok()
    }

    /// Takes what was written to whole pages away, and what was read of them out of the page tables: they show their file
    /// again, or zeros.
    pub(super) fn forget(&self, slot: usize, from: usize, length: usize) -> bool {
        self.advise(slot, from, length, Advice::LinuxDontNeed)
    }

    /// Asks the system to take pages away, to swap if there is any; says whether it may have done so.
    #[cfg(test)]
    pub(super) fn page_out(&self, slot: usize, length: usize) -> bool {
        self.advise(slot, 0, length, Advice::LinuxPageOut)
    }

    fn advise(&self, slot: usize, from: usize, length: usize, advice: Advice) -> bool {
        let Some(start) = self.range(slot, from, length) else { return false };
        // SAFETY: private mappings of sealed files, and memory of no file, in a slot whose guest does not run.
        length == 0 || unsafe { madvise(start.cast(), length, advice) }.is_ok()
    }

    /// Writes to writable pages of a slot.
    pub(super) fn write(&self, slot: usize, offset: usize, bytes: &[u8]) -> bool {
        let Some(target) = self.range(slot, offset, bytes.len()) else { return false };
        // SAFETY: the range is writable, and the guest does not run. No file of an image is mapped here twice, so `bytes`
        // is elsewhere.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        true
    }

    /// Writes zeros to writable pages of a slot.
    pub(super) fn clear(&self, slot: usize, offset: usize, length: usize) -> bool {
        let Some(target) = self.range(slot, offset, length) else { return false };
        // SAFETY: the range is writable, and the guest does not run.
        unsafe { target.write_bytes(0, length) };
        true
    }

    /// Has the first `length` bytes of a slot looked at, which are readable.
    pub(super) fn look<T>(&self, slot: usize, length: usize, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let start = self.range(slot, 0, length)?;
        // SAFETY: the range is readable, and the guest does not run.
        Some(look(unsafe { std::slice::from_raw_parts(start, length) }))
    }

    /// The address of a range, if it lies in the slot.
    fn range(&self, slot: usize, from: usize, length: usize) -> Option<*mut u8> {
        let end = from.checked_add(length)?;
        let lies_inside = slot < self.watches.len() && end <= RESERVATION;
        lies_inside.then(|| ptr::with_exposed_provenance_mut(self.address(slot) + from))
    }

    fn address(&self, slot: usize) -> usize {
        self.reserved + GUARD + slot * (RESERVATION + GUARD)
    }

    /// Handles a fault; says whether the instruction can run again. Runs in the signal handler.
    fn fault(&self, address: usize) -> bool {
        let Some(distance) = address.checked_sub(self.address(0)) else { return false };
        let (slot, offset) = (distance / (RESERVATION + GUARD), distance % (RESERVATION + GUARD));
        let Some(watch) = self.watches.get(slot) else { return false };
        watch.touch(offset, self.page, |from, length| self.protect(slot, from, length, Access::Write))
    }
}

/// Bytes of addresses for so many slots, with a guard before the first.
fn reservation(slots: usize) -> usize {
    GUARD + slots * (RESERVATION + GUARD)
}

/// Puts a space into the handler's table, or takes it out.
fn replace_entry(old: *const Space, new: *const Space) -> bool {
    let (old, new) = (old.cast_mut(), new.cast_mut());
    SPACES.iter().any(|entry| entry.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok())
}

/// Puts our handler before the one that is there. wasmtime has installed its own by now: an engine is made first.
fn install() {
    // SAFETY: both are plain data. The handler is as the argument above says, and the one before it is kept for good before
    // ours can run.
    unsafe {
        let previous = Box::into_raw(Box::new(std::mem::zeroed::<libc::sigaction>()));
        libc::sigaction(libc::SIGSEGV, ptr::null(), previous);
        PREVIOUS.store(previous, Ordering::SeqCst);
        let mut ours: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = on_fault as *const () as usize;
        // As wasmtime's: on a stack of its own, and not blocked while it runs, since a trap leaves it by returning elsewhere.
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        libc::sigemptyset(&raw mut ours.sa_mask);
        libc::sigaction(libc::SIGSEGV, &raw const ours, ptr::null_mut());
    }
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// `SEGV_ACCERR`: mapped, but not for this access. A signal that another process sends has another code.
    const NO_ACCESS: libc::c_int = 2;
    // SAFETY: the system passes a valid structure, and what the table points to is never freed.
    unsafe {
        let address = (*info).si_addr().addr();
        let spaces = || SPACES.iter().map(|space| space.load(Ordering::Acquire)).filter(|space| !space.is_null());
        if (*info).si_code == NO_ACCESS && spaces().any(|space| (*space).fault(address)) {
            return;
        }
        pass_on(signal, info, context);
    }
}

/// Has a fault handled as it would be without us.
///
/// # Safety
/// The arguments are those of a signal handler.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    type WithInfo = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
    // SAFETY: `install` stored it before this handler could run; what it holds came from the system.
    unsafe {
        let previous = *PREVIOUS.load(Ordering::SeqCst);
        if previous.sa_sigaction == libc::SIG_DFL || previous.sa_sigaction == libc::SIG_IGN {
            // The instruction runs again, and ends the process as any other would.
            libc::sigaction(signal, &raw const previous, ptr::null_mut());
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            std::mem::transmute::<usize, WithInfo>(previous.sa_sigaction)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(previous.sa_sigaction)(signal);
        }
    }
}
