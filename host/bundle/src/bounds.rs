//! How large a bundle can be. Each bound is compared before memory is taken.

/// Bytes of a bundle as a file: what a registry is asked for at most.
pub const MAX_PACKED: usize = 32 << 20;

/// Bytes of all files of a bundle together. They are in memory while a bundle is taken.
pub const MAX_UNPACKED: usize = 64 << 20;

/// Bytes of one file: what a script's folder can hold.
pub const MAX_FILE: usize = 8 << 20;

/// Entries of an archive, folders included.
pub const MAX_ENTRIES: usize = 20_000;
