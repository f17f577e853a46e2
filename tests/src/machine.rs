//! Machines that lack something: the binary under test behind a filter that answers as their kernels do, or as another
//! user.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::process::{binary, folder};

/// A kind of machine, or of user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// This one, as this user.
    Whole,
    /// A kernel without landlock.
    WithoutLandlock,
    /// A container in which nobody makes namespaces.
    WithoutNamespaces,
    /// Neither of the two.
    WithoutBoth,
    /// This one, as a user without privileges.
    Unprivileged,
    /// A container without namespaces, and a user without privileges.
    UnprivilegedWithoutNamespaces,
}

/// Puts up a filter that has system calls fail, and becomes another program. Arguments: pairs of a call and an error,
/// `--`, the user's number or 0, the program and its arguments.
const FILTER: &str = r#"
import ctypes, os, struct, sys
split = sys.argv.index("--")
pairs = [int(a) for a in sys.argv[1:split]]
user, program = int(sys.argv[split + 1]), sys.argv[split + 2:]
if user:
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
code = struct.pack("HBBI", 0x20, 0, 0, 0)
for call, error in zip(pairs[::2], pairs[1::2]):
    code += struct.pack("HBBI", 0x15, 0, 1, call) + struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | error)
code += struct.pack("HBBI", 0x06, 0, 0, 0x7fff0000)
if pairs:
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    held = Program(len(code) // 8, code)
    assert libc.prctl(22, 2, ctypes.byref(held)) == 0, ctypes.get_errno()
os.execv(program[0], program)
"#;

/// `unshare` fails with "not permitted", and the calls of landlock as on a kernel that does not have them.
#[cfg(target_arch = "x86_64")]
const UNSHARE: i64 = 272;
#[cfg(target_arch = "aarch64")]
const UNSHARE: i64 = 97;
const LANDLOCK: [i64; 3] = [444, 445, 446];
const EPERM: i64 = 1;
const ENOSYS: i64 = 38;

/// The user without privileges.
pub const NOBODY: u32 = 65534;

impl Machine {
    /// The command that starts `starcell` on such a machine, in a folder.
    #[must_use]
    pub fn starcell(self, folder: &Path) -> Command {
        let mut command = Command::new("python3");
        command.args(["-c", FILTER]).current_dir(folder);
        if self.lacks_namespaces() {
            command.args([UNSHARE, EPERM].map(|number| number.to_string()));
        }
        if matches!(self, Self::WithoutLandlock | Self::WithoutBoth) {
            command.args(LANDLOCK.iter().flat_map(|call| [*call, ENOSYS]).map(|number| number.to_string()));
        }
        let user = if self.is_unprivileged() { NOBODY } else { 0 };
        let program = if self.is_unprivileged() { reachable() } else { binary() };
        command.arg("--").arg(user.to_string()).arg(program);
        command
    }

    /// Whether its user has no privileges.
    #[must_use]
    pub const fn is_unprivileged(self) -> bool {
        matches!(self, Self::Unprivileged | Self::UnprivilegedWithoutNamespaces)
    }

    /// Whether nobody makes namespaces on it.
    #[must_use]
    pub const fn lacks_namespaces(self) -> bool {
        matches!(self, Self::WithoutNamespaces | Self::WithoutBoth | Self::UnprivilegedWithoutNamespaces)
    }
}

/// A copy of the binary where every user may start it: that of the build may lie in a home folder.
fn reachable() -> PathBuf {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    let copy = COPY.get_or_init(|| {
        let copy = folder().join("starcell");
        fs::copy(binary(), &copy).expect("the binary can be copied");
        copy
    });
    copy.clone()
}
