//! Why bytes are no bundle, as sentences for whoever made it or runs it.

use thiserror::Error;

use crate::bounds::{MAX_ENTRIES, MAX_FILE, MAX_PACKED, MAX_UNPACKED};

/// The first reason why bytes, or files, are no bundle. Names in it are as far as they can be shown in a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The archive goes on behind its end.
    #[error("the archive goes on behind its end; make it anew, one archive to a file")]
    Behind,
    /// A header is none of tar.
    #[error("the entry {0} of the archive has no sound header; make the archive anew with `starcell app pack`")]
    BadHeader(usize),
    /// The name of a folder at the top is none of an app.
    #[error(
        "{0:?} is not the name of an app: 1 to 64 lower-case ASCII letters, digits, `-` and `_`; rename its folder"
    )]
    BadApp(String),
    /// A name that a file cannot have.
    #[error(
        "{0:?} is no name of a file: parts of ASCII letters, digits, `-`, `_` and `.` between slashes, none of which \
         begins with a `.`, 255 characters at most; rename the file, or leave it out"
    )]
    BadName(String),
    /// Two names differ in their case alone.
    #[error("{0:?} and {1:?} differ in their case alone; rename one of them")]
    Case(String, String),
    /// The gzip stream is none, or ends before its end.
    #[error("the compressed data is damaged or cut short; fetch or make the file again")]
    Compression,
    /// The archive ends within an entry, or without its end.
    #[error("the archive is cut short; fetch or make the file again")]
    CutShort,
    /// Two entries have one name.
    #[error("the archive has {0:?} twice; make it anew, so that one file has one content")]
    Duplicate(String),
    /// A file is a folder too.
    #[error("{0:?} is a file and a folder at once; rename one of them")]
    FileAndFolder(String),
    /// One file has too many bytes.
    #[error("{0:?} has more than {most} MiB, which is the most that one file of an app can have", most = MAX_FILE >> 20)]
    LargeFile(String),
    /// The file as a whole has too many bytes.
    #[error("the bundle has more than {most} MiB; leave out what is no part of an app", most = MAX_PACKED >> 20)]
    LargePacked,
    /// All files have too many bytes.
    #[error("the files of the bundle have more than {most} MiB together; leave out what is no part of an app", most = MAX_UNPACKED >> 20)]
    LargeUnpacked,
    /// An app lacks one of its two files.
    #[error("the app {0} has no {1}; each folder of a bundle is an app with app.toml and main.star")]
    Lacks(String, &'static str),
    /// There is no app in it.
    #[error("there is no app in it; a bundle has NAME/app.toml and NAME/main.star")]
    NoApp,
    /// A file lies at the top, where only folders of apps are.
    #[error("{0:?} lies outside of the folder of an app; put it into NAME/, beside the app's main.star")]
    Outside(String),
    /// An entry that is neither a file nor a folder.
    #[error("{0:?} is {1}, and a bundle holds files and folders alone; put a file in its place or leave it out")]
    Special(String, &'static str),
    /// There are too many entries.
    #[error("the bundle has more than {MAX_ENTRIES} entries; leave out what is no part of an app")]
    TooMany,
    /// A header of an extension that changes what follows it.
    #[error("{0:?} has {1}, which not every reader of tar knows; make the archive with `starcell app pack`")]
    Unportable(String, &'static str),
}
