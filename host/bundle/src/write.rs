//! Files to bytes, in one way: sorted by name, without owners and times, compressed at one level.

use std::collections::BTreeMap;
use std::io;

use flate2::{Compression, GzBuilder};

use crate::header::{BLOCK, Header};

/// The number of an operating system that is none (RFC 1952, section 2.3.1).
const NO_SYSTEM: u8 = 255;

/// The archive of files whose names were checked, compressed.
pub(crate) fn packed(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut packed = GzBuilder::new().mtime(0).operating_system(NO_SYSTEM).write(Vec::new(), Compression::new(6));
    // Memory takes what is written to it.
    let _ = archive(files, &mut packed);
    packed.finish().unwrap_or_default()
}

fn archive(files: &BTreeMap<String, Vec<u8>>, to: &mut impl io::Write) -> io::Result<()> {
    for (name, bytes) in files {
        // Each name that was checked has room.
        let Some(header) = Header::of_file(name, bytes.len()) else { continue };
        to.write_all(&header)?;
        to.write_all(bytes)?;
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        to.write_all([0; BLOCK].get(..padding).unwrap_or_default())?;
    }
    to.write_all(&[0; 2 * BLOCK])
}
