//! What the top level of a script asked of the host, as far as a stored image has to know.
//!
//! **The decision.** A serving image is what a setup made of the script, of what the operator gave it, and of what it found
//! in the world. The first two are covered by the digest that an image is named by; the third is not. So a setup is watched:
//! - `load()` is noted with the digest of the file, which is compared when the image is used again.
//! - `http.server` and `os.env` are noted as calls. What they return follows from the grants and the environment, which the
//!   digest covers; and whoever uses the image again makes these calls again, so that the policy decides and the audit log
//!   records them as ever.
//! - `log` and `print` return nothing.
//! - Anything else (a file, a key of `kv`, a response, a program, a cluster, the clock, a random number, a pause) counts as
//!   a look at the world: the image is never used by another process.
//!
//! **The attack it answers.** A capability that is added later and forgotten here. Looking at the world is what
//! [`State::caller`](crate::state::State) notes for every capability; only the calls above take the other way.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::host::ServerOptions;

/// Files and calls that are noted of one setup. One that has more counts as one that looked at the world.
const MAX_NOTED: usize = 1000;

/// What a setup asked for.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    looked: AtomicBool,
    asked: Mutex<Asked>,
}

/// What a setup asked for that can be compared, or done again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The files that it loaded, with their digests.
    pub(crate) loaded: Vec<(String, [u8; 32])>,
    /// Its privileged calls.
    pub(crate) calls: Vec<SetupCall>,
}

/// A privileged call of a setup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetupCall {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) what: SetupCallKind,
}

/// Which call it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum SetupCallKind {
    /// `os.env` of a name.
    Env(String),
    /// The start of a server.
    Listen { server: u32, host: String, port: u16, options: ServerOptions },
}

impl Witness {
    /// Notes that the setup looked at what no digest covers.
    pub(crate) fn looked(&self) {
        self.looked.store(true, Ordering::Relaxed);
    }

    /// Notes a file that was loaded. One that could not be read is a look at the world: it may be there later.
    pub(crate) fn loaded(&self, path: &str, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.note(|asked| asked.loaded.push((path.to_owned(), source_digest(bytes)))),
            None => self.looked(),
        }
    }

    /// Notes a privileged call that can be made again.
    pub(crate) fn called(&self, call: SetupCall) {
        self.note(|asked| asked.calls.push(call));
    }

    fn note(&self, note: impl FnOnce(&mut Asked)) {
        let mut asked = self.asked.lock();
        match asked.loaded.len() + asked.calls.len() < MAX_NOTED {
            true => note(&mut asked),
            false => self.looked(),
        }
    }

    /// All that it asked for; none if it looked at the world.
    pub(crate) fn asked(&self) -> Option<Asked> {
        (!self.looked.load(Ordering::Relaxed)).then(|| self.asked.lock().clone())
    }
}

/// The digest of a file that a script loads.
pub(crate) fn source_digest(bytes: &[u8]) -> [u8; 32] {
    let mut found = [0; 32];
    // A digest of this kind has 32 bytes.
    found.copy_from_slice(digest(&SHA256, bytes).as_ref());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> SetupCall {
        SetupCall { file: "a.star".to_owned(), line: 1, column: 1, what: SetupCallKind::Env(name.to_owned()) }
    }

    #[test]
    fn what_can_be_compared_or_done_again_is_kept_in_order() {
        let witness = Witness::default();
        witness.loaded("lib.star", Some(b"x = 1"));
        ["A", "B"].into_iter().for_each(|name| witness.called(env(name)));
        let asked = witness.asked().unwrap_or_default();
        assert_eq!(asked.loaded, [("lib.star".to_owned(), source_digest(b"x = 1"))]);
        assert_eq!(asked.calls, [env("A"), env("B")]);
        assert_ne!(source_digest(b"x = 1"), source_digest(b"x = 2"));
    }

    #[test]
    fn a_look_at_the_world_is_not_forgotten() {
        let looks: [fn(&Witness); 3] = [
            Witness::looked,
            |witness| witness.loaded("gone.star", None),
            |witness| {
                (0..=MAX_NOTED).for_each(|_| witness.called(env("A")));
            },
        ];
        for look in looks {
            let witness = Witness::default();
            look(&witness);
            assert_eq!(witness.asked(), None);
        }
    }
}
