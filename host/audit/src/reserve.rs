//! Room on the disk that belongs to the log before it is needed.
//!
//! A disk that is full for everybody would refuse the audited calls of all apps alike, whoever filled it. So the file
//! holds blocks behind its end: when they cannot be renewed the disk is full, and there is still room to write the
//! records of the apps that did not fill it. A file system without such blocks has no reserve; there a full disk is
//! noticed by a failed write, which refuses every call of that round.

use std::os::fd::AsFd;

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

/// Bytes that are held behind the end of the file: some 6,000 records.
pub(crate) const RESERVE: u64 = 4 << 20;

/// Bytes of the reserve that one app may use while the disk is full, and that are written before the reserve is renewed:
/// seven apps can use their part up before an eighth finds nothing left.
pub(crate) const PART: u64 = RESERVE / 8;

/// The blocks behind the end of one file.
#[derive(Debug, Default)]
pub(crate) struct Reserve {
    /// The offset up to which blocks are held.
    until: u64,
    unsupported: bool,
}

impl Reserve {
    /// Holds blocks behind a file of this length. False when the disk has none.
    pub(crate) fn renew(&mut self, file: impl AsFd, len: u64) -> bool {
        if self.unsupported || self.until >= len.saturating_add(RESERVE - PART) {
            return true;
        }
        match fallocate(file, FallocateFlags::KEEP_SIZE, len, RESERVE) {
            Ok(()) => {
                self.until = len.saturating_add(RESERVE);
                true
            }
            // Without any reserve there is nothing to share out: the writes themselves tell when the disk is full.
            Err(Errno::NOSPC | Errno::DQUOT) => self.until == 0,
            Err(Errno::INTR) => true,
            Err(_) => {
                self.unsupported = true;
                true
            }
        }
    }

    /// Gives the blocks behind the end of a file back that is written no more.
    pub(crate) fn release(&mut self, file: impl AsFd, len: u64) {
        let Some(held) = self.until.checked_sub(len).filter(|held| *held > 0) else { return };
        // On a file system that does not support this the blocks stay with the file until it is deleted; they are few.
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(file.as_fd(), hole, len, held).and_then(|()| rustix::fs::ftruncate(file, len));
        *self = Self::default();
    }
}
