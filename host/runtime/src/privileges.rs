//! Privileges of the calling thread, given up: capabilities, the ways to get new ones, and what limits leave.

#![expect(unsafe_code, reason = "system calls that the libraries of this workspace do not cover; see each block")]

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// A set of capabilities: the bit of each is its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities(pub(crate) u64);

/// Numbers of capabilities that the host knows by name.
pub(crate) const DAC_OVERRIDE: u32 = 1;
pub(crate) const DAC_READ_SEARCH: u32 = 2;
pub(crate) const FOWNER: u32 = 3;
pub(crate) const NET_BIND_SERVICE: u32 = 10;
pub(crate) const SETFCAP: u32 = 31;

/// No kernel has more: the set is that wide.
const MOST: u32 = 63;

/// The version of the structures, for sets of 64.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    process: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Half {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

impl Capabilities {
    /// The set of these numbers.
    pub(crate) fn of(numbers: impl IntoIterator<Item = u32>) -> Self {
        Self(numbers.into_iter().fold(0, |all, number| all | 1 << number))
    }

    /// Returns whether it holds a capability.
    pub(crate) fn has(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The capabilities that this thread may use.
    pub(crate) fn permitted() -> io::Result<Self> {
        let header = Header { version: VERSION_3, process: 0 };
        let mut halves = [Half::default(); 2];
        // SAFETY: with this version the kernel writes two structures of this layout to the address.
        done(unsafe { libc::syscall(libc::SYS_capget, &raw const header, halves.as_mut_ptr()) })?;
        let [low, high] = halves.map(|half| u64::from(half.permitted));
        Ok(Self(low | high << 32))
    }

    /// Keeps these and gives up all others for good, as far as they are in the thread's set at all. What cannot be kept
    /// from a program that it starts as user 0 is kept from it by `no_new_privs`.
    pub(crate) fn keep_only(self) -> io::Result<Self> {
        let kept = Self(Self::permitted()?.0 & self.0);
        let nothing = 0_usize;
        // SAFETY: system calls with plain numbers.
        unsafe {
            done(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, nothing, nothing, nothing).into())?;
            for number in (0..=MOST).filter(|number| !self.has(*number)) {
                // It fails for numbers that the kernel does not know, and for a thread that may not: that one has
                // nothing to give up here.
                libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), nothing, nothing, nothing);
            }
        }
        let half = |bits: u64| {
            let bits = (bits & u64::from(u32::MAX)) as u32;
            Half { effective: bits, permitted: bits, inheritable: 0 }
        };
        let (header, halves) = (Header { version: VERSION_3, process: 0 }, [half(kept.0), half(kept.0 >> 32)]);
        // SAFETY: with this version the kernel reads two structures of this layout from the address.
        done(unsafe { libc::syscall(libc::SYS_capset, &raw const header, halves.as_ptr()) })?;
        Ok(kept)
    }
}

/// Has no program that this thread starts, or becomes, gain privileges by it.
pub(crate) fn no_new_privileges() -> io::Result<()> {
    // SAFETY: a system call with plain numbers.
    done(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }.into()).map(drop)
}

/// Lowers a limit of this process for good; one that is lower already stays.
pub(crate) fn lower(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(limit, |maximum| maximum.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

/// The result of a system call, or the error that it left.
fn done(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_its_numbers() {
        let set = Capabilities::of([DAC_OVERRIDE, SETFCAP, 40]);
        assert!(set.has(1) && set.has(31) && set.has(40) && !set.has(2) && !set.has(32));
    }

    #[test]
    fn a_limit_is_never_raised() {
        let before = getrlimit(Resource::Msgqueue).maximum;
        lower(Resource::Msgqueue, u64::MAX).unwrap();
        assert_eq!(getrlimit(Resource::Msgqueue).maximum, before.or(Some(u64::MAX)));
        lower(Resource::Msgqueue, 0).unwrap();
        lower(Resource::Msgqueue, 10).unwrap();
        assert_eq!(getrlimit(Resource::Msgqueue).maximum, Some(0));
    }

    #[test]
    fn what_was_given_up_is_gone() {
        // A thread of its own, since it cannot get them back.
        let ended = std::thread::spawn(|| {
            let kept = Capabilities::of([DAC_OVERRIDE]).keep_only().unwrap();
            no_new_privileges().unwrap();
            (kept, Capabilities::permitted().unwrap())
        });
        let (kept, now) = ended.join().unwrap();
        assert_eq!(kept, now);
        assert_eq!(now.0 & !Capabilities::of([DAC_OVERRIDE]).0, 0);
    }
}
