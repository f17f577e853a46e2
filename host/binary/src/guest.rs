//! The compiled guest, inside this binary: one file to install, and nothing to find at run time.

use starcell_runtime::artifact::Artifact;

/// The guest as the build made it.
pub(crate) static GUEST: Artifact = Artifact {
    component: &CODE.0,
    memory: include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.memory.cwasm")),
    base: include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.image")),
};

/// Code is executed where it lies, so it starts on a page. 4 KiB is the page size wherever it is not larger; where it
/// is, the code is copied.
#[repr(C, align(4096))]
struct Page<T>(T);

static CODE: Page<[u8; include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.cwasm")).len()]> =
    Page(*include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.cwasm")));
