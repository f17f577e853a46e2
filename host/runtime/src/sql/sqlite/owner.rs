//! One process at a time uses a file.
//!
//! SQLite keeps the index of a log in the memory of this process, so another process that wrote to the same file would
//! break it. The locks that SQLite takes by itself are gone as soon as anything in this process closes the file, as reading
//! it with `fs` does; so a lock that belongs to an open file, and not to the process, is held beside them.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Device and inode of a file.
pub(crate) type FileIdentity = (u64, u64);

/// The files that this process uses.
static USED: Mutex<BTreeMap<FileIdentity, Weak<OwnedFd>>> = Mutex::new(BTreeMap::new());

/// The right of this process to use a file, for as long as any of these is there.
#[derive(Clone, Debug)]
pub(crate) struct FileOwner {
    /// The lock belongs to it, and is gone when it is closed.
    _file: Arc<OwnedFd>,
}

impl FileOwner {
    /// The right to a file that this process uses already.
    pub(crate) fn known(identity: FileIdentity) -> Option<Self> {
        USED.lock().get(&identity).and_then(Weak::upgrade).map(|file| Self { _file: file })
    }

    /// The right to a file, by an open description of it; none while another process has it.
    pub(crate) fn take(file: &Arc<OwnedFd>, identity: FileIdentity) -> Result<Option<Self>, Errno> {
        let mut used = USED.lock();
        if let Some(owner) = used.get(&identity).and_then(Weak::upgrade) {
            return Ok(Some(Self { _file: owner }));
        }
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error),
        }
        used.retain(|_, owner| owner.strong_count() > 0);
        used.insert(identity, Arc::downgrade(file));
        Ok(Some(Self { _file: Arc::clone(file) }))
    }
}
