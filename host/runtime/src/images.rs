//! Serving images on disk: apps that are dropped from memory and come back, and nodes that start without evaluating.
//!
//! **The decision.** An image is a file that is named by a keyed digest of all that its setup could see: the interpreter,
//! the tenant and the app, the script, what the operator gives it (arguments, variables, the environment with its secrets,
//! limits, choices about the log), and the policy. The files that the script loaded are known only once it ran, so the head
//! of the image has their digests, which are compared when it is found. The head also has what answering needs beside
//! memory: the options of the server and the patterns of its routes. So a request of a dropped app evaluates nothing.
//! Behind the head lie the pages that differ from the base image, and only those.
//!
//! **When an image holds.** A setup that asked the world for nothing but `http.server`, `os.env`, `load()` and the log
//! makes the same image again whenever the digest is the same; such an image *lasts*, and a node that starts takes it in
//! place of an evaluation. Any other setup (it read a file or the clock, asked a server, kept a key) would find another
//! world after a restart. Its image is that of one revision in one process: it is named with a random number that only this
//! process knows, and removed with the revision or by the next start. [`crate::witness`] has the line between the two.
//!
//! **What it refuses.** An image whose head was not written by this node (its authentication code is wrong), whose pages
//! are not those that were written (their digest is wrong), that is shorter or longer than it says, of another interpreter or
//! other conditions, or whose loaded files have changed. Each is made anew, and the log says why.
//!
//! **The attacks it answers.** A file that a stranger put or changed there: nothing of it is read before its code is
//! verified, and pages are compared after they were copied to where nobody can change them. A guess at a secret from the
//! name of a file: the key is needed for each guess. A crash while an image is written: it has another name until it is
//! whole. A disk that fills up: the store has a bound, and what was not used for longest goes first. Scripts and programs
//! reach none of it: the folder is the host's. What it does *not* hide from whoever reads the disk as the user of the node
//! or as root: an image is the memory of a script, with the variables and secrets that the script has read.
//!
//! - `identity`: the digest
//! - `format`: bytes to head and back
//! - `files`: the folder, its bound, writing
//! - `store`: the store of a node
//! - `place`: the image of one revision

mod files;
mod format;
mod identity;
mod place;
mod store;

pub use identity::ImageOwner;
pub use place::{ImagePlace, Kept, NotRecalled, Recalled};
pub use store::{ImageCounts, ImageStore};
