//! The compiled guest, inside this binary: one file to install, and nothing to find at run time.

use starcell_runtime::artifact::Artifact;

/// The guest as the build made it.
pub static GUEST: Artifact<'static> = Artifact {
    component: include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.cwasm")),
    base: include_bytes!(concat!(env!("STARCELL_GUEST"), "/starcell_guest.image")),
};
