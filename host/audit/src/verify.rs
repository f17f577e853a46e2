//! The check that a log is as its writers left it.

use std::io::BufRead;

use serde_json::{Value, json};
use thiserror::Error;

use crate::{
    Hash,
    evidence::{AnchorError, Evidence, EvidenceError, Search},
    read::{ReadError, Records, Seen},
    shown,
};

/// A log that is sound and fits what was kept elsewhere about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The lines that were read.
    pub seen: Seen,
    /// Hashes that were expected and found.
    pub expected: usize,
    /// Anchors that were given, how many of them carry a signature, and how many signatures were verified.
    pub anchors: Option<[usize; 3]>,
}

/// A log that is not as it was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The anchors prove nothing.
    #[error(transparent)]
    Anchors(#[from] AnchorError),
    /// The log does not fit what was kept elsewhere.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// A line is not what a writer wrote.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Reads whole files, the oldest first, and names the first line that is not as it was written.
///
/// A chain alone cannot show lines cut off the end of the last file, nor a log that was written anew from its first line.
/// [`verify_against`] finds both, with what was kept elsewhere.
pub fn verify<R: BufRead>(files: impl IntoIterator<Item = (String, R)>) -> Result<Seen, ReadError> {
    let mut records = Records::new(files);
    records.by_ref().try_for_each(|record| record.map(drop))?;
    Ok(records.seen().clone())
}

/// Reads whole files, the oldest first, and holds them against what was kept elsewhere.
pub fn verify_against<R: BufRead>(
    files: impl IntoIterator<Item = (String, R)>,
    evidence: &Evidence,
) -> Result<Verified, VerifyError> {
    let mut search = Search::new(evidence);
    let mut records = Records::new(files);
    while let Some(record) = records.next() {
        record?;
        let Seen { lines, start, head, .. } = records.seen();
        if let (1, Some(start)) = (lines, start) {
            search.start(*start);
        }
        if let Some(head) = head {
            search.see(*lines, *head);
        }
    }
    search.end(records.seen().start)?;
    let anchors = evidence.anchors.as_ref().map(|anchors| [anchors.len(), anchors.signed, anchors.verified]);
    Ok(Verified { seen: records.seen().clone(), expected: evidence.expect.len(), anchors })
}

impl Verified {
    /// The sound part of the log, and the parts that may be missing for an honest reason.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.seen.text();
        match self.expected {
            0 => {}
            1 => text += "the expected hash is that of one of its lines\n",
            more => text += &format!("the {more} expected hashes are those of its lines\n"),
        }
        if let Some([count, signed, verified]) = self.anchors {
            text += &format!("it holds the line of each of {count} anchors");
            text += &match (signed, verified) {
                (0, _) => "\n".to_owned(),
                (signed, 0) => format!("; {signed} signatures were not verified, see --key\n"),
                (_, verified) => format!("; {verified} signatures hold\n"),
            };
        }
        text
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let mut found = self.seen.value();
        if let Value::Object(fields) = &mut found {
            fields.insert("expected".to_owned(), self.expected.into());
            let counts = |[count, signed, verified]: [usize; 3]| json!({ "count": count, "signed": signed, "verified": verified });
            fields.insert("anchors".to_owned(), self.anchors.map_or(Value::Null, counts));
        }
        shown::json(&found)
    }
}

impl VerifyError {
    /// The first thing that is wrong, as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        match self {
            Self::Read(error) => error.json(),
            _ => shown::json(&json!({ "sound": false, "problem": self.to_string() })),
        }
    }
}

impl Seen {
    /// The sound part of the log, and the parts that may be missing for an honest reason.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { files, lines, kills, refused, lost, torn_bytes, moved, damaged, closed, .. } = self;
        let mut text = format!("the chain is sound: {lines} lines in {files} files\n");
        if let Some(start) = self.start.filter(|start| *start != Hash::ZERO) {
            text += &format!("it goes on from an earlier file that ends in {start}\n");
        }
        if let Some(head) = self.head {
            text += &format!("it ends in {head}; keep this to see later whether lines were cut off\n");
        }
        for (count, told) in [
            (kills, "writers ended without closing the log"),
            (moved, "files began because another program had moved or emptied the one before them"),
            (damaged, "files began after a damaged one was set aside"),
            (torn_bytes, "bytes of unfinished lines, which nobody was told are written"),
            (refused, "calls were refused because they could not be recorded"),
            (lost, "outcomes could not be recorded"),
        ] {
            if *count > 0 {
                text += &format!("{count} {told}\n");
            }
        }
        if !closed && self.lines > 0 {
            text += "the last writer has not closed it: it runs or was killed\n";
        }
        text
    }

    /// One JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        shown::json(&self.value())
    }

    fn value(&self) -> Value {
        let Self { files, lines, start, head, kills, moved, damaged, refused, lost, torn_bytes, closed } = self;
        let hash = |hash: &Option<Hash>| hash.map(|hash| hash.to_string());
        json!({
            "sound": true, "files": files, "lines": lines, "start": hash(start), "head": hash(head), "kills": kills,
            "moved": moved, "damaged": damaged, "refused": refused, "lost": lost, "torn_bytes": torn_bytes,
            "closed": closed,
        })
    }
}

impl ReadError {
    /// The first bad line, as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let Self { file, line, problem } = self;
        shown::json(&json!({ "sound": false, "file": file, "line": line, "problem": problem.to_string() }))
    }
}
