//! The bytes that a process may hold.
//!
//! The decision: whatever a client, another server or a script can make the host keep is taken from one budget before it
//! is kept, and given back when it is dropped. Limits of single requests bound none of this: 150 bodies of 10 MiB are
//! 1.5 GiB. Without a sum the kernel ends the process, and with it every other tenant.
//!
//! What is refused: bytes that do not fit. New work waits for a moment and is then refused, which costs one request and
//! no process.
//!
//! [`MemoryUse`] keeps one kind of attack from starving another kind of work: bodies on their way in may fill half of the
//! budget, what scripts fetch five eighths, large heads and responses on their way out three quarters, and guests that grow
//! seven eighths.
//! So a request that was let in can be answered, and a small one always finds room.
//!
//! A budget may be part of another one ([`MemoryBudget::part`]), as that of a tenant is of its node's: what is taken from
//! it is taken from both, so that one tenant can be refused while there is room for the others.

#![forbid(unsafe_code)]

mod buffer;
mod machine;
mod memory;

pub use buffer::{BudgetBuffer, BufferError};
pub use machine::default_bytes;
pub use memory::{MemoryBudget, MemoryUse, SMALL, Taken};
