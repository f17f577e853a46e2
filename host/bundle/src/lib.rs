//! A bundle: the apps of a node as one file, with a folder for each app and `app.toml` and `main.star` in it.
//!
//! **The decision.** The file is a tar archive, perhaps within gzip, so that anybody can look into it and make one with the
//! tools of any machine. It holds regular files and their folders, and nothing else: no link, no device, no second name for
//! anything. It is read whole into memory and judged whole before a byte of it is written anywhere. It is written in one
//! way only, so that equal apps have one digest wherever they are packed.
//!
//! **What it refuses.** Each refusal names the entry and the fix; see [`BundleError`]. Sizes are compared with their bounds
//! before memory is taken for them, and what a compressed file unpacks to is counted while it unpacks.
//!
//! **The attack it answers.** Whoever can put a bundle before a node chooses its every byte. Without these rules an entry
//! writes to a path of the machine (`../`, `/etc`, through a link that an earlier entry made), fills the disk from a few
//! kilobytes, or is one file to whoever reviews the archive and another one to the node (two entries of one name).
//!
//! | module | job |
//! |---|---|
//! | [`Bundle`] | The files, by app; text of a folder to bytes and back |
//! | `name` | Which names a file can have |
//! | `read`, `tar`, `header` | Bytes of a stranger to files |
//! | `write` | Files to bytes |
//! | `digest` | The SHA-256 of bytes |
//! | `bounds`, `error` | How large a bundle can be; why bytes are none |
//!
//! ```
//! use starcell_bundle::{Bundle, digest_of};
//!
//! let files = [("shop/app.toml", "tenant = \"acme\"\n"), ("shop/main.star", "print(1)\n")];
//! let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
//! let packed = Bundle::new(files.into())?.pack();
//! assert_eq!(Bundle::read(&packed)?.apps().collect::<Vec<_>>(), ["shop"]);
//! assert!(digest_of(&packed).as_str().starts_with("sha256:"));
//! # Ok::<(), starcell_bundle::BundleError>(())
//! ```

#![forbid(unsafe_code)]

mod bounds;
mod bundle;
mod digest;
mod error;
mod header;
mod name;
mod read;
mod tar;
mod write;

pub use bounds::{MAX_ENTRIES, MAX_FILE, MAX_PACKED, MAX_UNPACKED};
pub use bundle::Bundle;
pub use digest::digest_of;
pub use error::BundleError;
pub use name::is_part;
