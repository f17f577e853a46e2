//! The name of this machine, as the kernel has it.
//!
//! It is asked of the kernel and not read from `/proc`, which the walls around the host leave out of reach.

#![expect(unsafe_code, reason = "gethostname has no safe form in the crates that are used")]

/// Longest name that Linux has, and the byte behind it.
const ROOM: usize = 65;

/// The name of this machine; none if it has none that is text.
#[must_use]
pub fn machine_name() -> Option<String> {
    let mut name = [0_u8; ROOM];
    // SAFETY: the buffer is valid for as many bytes as are said, and one more, which stays 0.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), ROOM - 1) };
    let end = name.iter().position(|byte| *byte == 0)?;
    let text = std::str::from_utf8(name.get(..end)?).ok()?;
    (failed == 0 && !text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    #[test]
    fn a_machine_has_a_name() {
        let name = super::machine_name().unwrap();
        assert!(!name.contains(['\0', '\n', '/']), "{name}");
    }
}
