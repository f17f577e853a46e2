//! Attacks of a client on the edge, each bounded in count and in time. A test checks that the server survives each while
//! a good client keeps asking; the bench measures what the good client notices of it.
//!
//! An attack ends by itself, and panics when the server did not shake it off within its limit. The limits are brought
//! down to a second by flags.

mod bombs;
mod floods;
mod harness;
mod slow;

pub use bombs::BOMBS;
pub use floods::FLOODS;
pub use harness::{Attack, Target};
pub use slow::SLOW;

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    SLOW.iter().chain(BOMBS).chain(FLOODS)
}
