//! Why a store did not do a call: for whoever operates the node, who can do something about it.
//!
//! **The decision.** A failure has a kind out of a short list, beside the sentence that the script reads. The kind is a
//! label of a number and a word for the operators of a tenant, so it says what to do (look at the password, give the store
//! room) and never where a server is or what a script asked for: that is for the log of the host and the audit log.
//!
//! **What is no failure.** A call whose script asked for what cannot be done, such as adding to a text: every store would
//! refuse it.

use std::fmt;

/// Why a store did not do a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreFailure {
    /// No connection to the server can be made.
    Away,
    /// More calls wait for the server than may.
    Busy,
    /// The server's certificate was not accepted, or TLS failed otherwise.
    Certificate,
    /// The file of the store cannot be written.
    Disk,
    /// The server has no memory or disk left.
    Full,
    /// The server did not let the node in.
    Password,
    /// The store has its quota of bytes.
    Quota,
    /// The server is a replica, which cannot be written.
    ReadOnly,
    /// The server refused the call otherwise.
    Refused,
    /// The server did not answer in time, or the connection ended under the call.
    Unanswered,
}

impl StoreFailure {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Away,
        Self::Busy,
        Self::Certificate,
        Self::Disk,
        Self::Full,
        Self::Password,
        Self::Quota,
        Self::ReadOnly,
        Self::Refused,
        Self::Unanswered,
    ];

    /// The word for it, in numbers and views.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Busy => "busy",
            Self::Certificate => "certificate",
            Self::Disk => "disk",
            Self::Full => "full",
            Self::Password => "password",
            Self::Quota => "quota",
            Self::ReadOnly => "read-only",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }

    /// The sentence for operators.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Away => "no connection to the server can be made",
            Self::Busy => "more calls wait for the server than may",
            Self::Certificate => "the connection to the server cannot be encrypted; its certificate was not accepted",
            Self::Disk => "the file of the store cannot be written",
            Self::Full => "the server has no memory or disk left",
            Self::Password => "the server refused the password of the node",
            Self::Quota => "the store is full: the quota of the app or of its tenant is used up",
            Self::ReadOnly => "the server is a replica, which cannot be written",
            Self::Refused => "the server refused a call; the log of the host says why",
            Self::Unanswered => "the server did not answer in time, or the connection ended under a call",
        }
    }
}

/// Who counts the calls that the store of an app did not do.
pub trait StoreWatch: fmt::Debug + Send + Sync + 'static {
    /// The store failed a call. Must not wait.
    fn failed(&self, failure: StoreFailure);
}

/// An error of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreError {
    /// None where the call itself cannot be done.
    pub(crate) failure: Option<StoreFailure>,
    /// The sentence for the script, which does not say where the store is.
    pub(crate) sentence: String,
}

impl StoreError {
    /// A failure with its sentence for the script.
    pub(crate) fn new(failure: StoreFailure, sentence: impl Into<String>) -> Self {
        Self { failure: Some(failure), sentence: sentence.into() }
    }
}

/// The call itself cannot be done.
impl From<String> for StoreError {
    fn from(sentence: String) -> Self {
        Self { failure: None, sentence }
    }
}

/// The call itself cannot be done.
impl From<&str> for StoreError {
    fn from(sentence: &str) -> Self {
        Self::from(sentence.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_kind_has_a_word_and_a_sentence_of_its_own() {
        let words: BTreeSet<&str> = StoreFailure::ALL.into_iter().map(StoreFailure::name).collect();
        let sentences: BTreeSet<&str> = StoreFailure::ALL.into_iter().map(StoreFailure::sentence).collect();
        assert_eq!((words.len(), sentences.len()), (StoreFailure::ALL.len(), StoreFailure::ALL.len()));
    }

    #[test]
    fn what_a_script_asked_wrongly_is_no_failure_of_its_store() {
        assert_eq!(StoreError::from("the value is no int").failure, None);
        assert_eq!(StoreError::new(StoreFailure::Full, "full").failure, Some(StoreFailure::Full));
    }
}
