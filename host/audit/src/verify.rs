//! Whether a log is as its writers left it.

use std::io::BufRead;

use serde_json::json;

use crate::read::{ReadError, Records, Seen};

/// Reads whole files, the oldest first, and names the first line that is not as it was written.
///
/// What a chain cannot show: lines cut off the end of the last file, and a log that was written anew from its first
/// line. Both show in the last hash, where it was kept elsewhere.
pub fn verify<R: BufRead>(files: impl IntoIterator<Item = (String, R)>) -> Result<Seen, ReadError> {
    let mut records = Records::new(files);
    records.by_ref().try_for_each(|record| record.map(drop))?;
    Ok(records.seen().clone())
}

impl Seen {
    /// What was found sound, and what may be missing for an honest reason.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { files, lines, kills, refused, lost, torn_bytes, closed, .. } = self;
        let mut text = format!("the chain is sound: {lines} lines in {files} files\n");
        if let Some(start) = self.start.filter(|start| *start != crate::Hash::ZERO) {
            text += &format!("it goes on from an earlier file that ends in {start}\n");
        }
        if let Some(head) = self.head {
            text += &format!("it ends in {head}; keep this to see later whether lines were cut off\n");
        }
        for (count, told) in [
            (kills, "writers ended without closing the log"),
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
        let Self { files, lines, start, head, kills, refused, lost, torn_bytes, closed } = self;
        let hash = |hash: &Option<crate::Hash>| hash.map(|hash| hash.to_string());
        json!({
            "sound": true, "files": files, "lines": lines, "start": hash(start), "head": hash(head), "kills": kills,
            "refused": refused, "lost": lost, "torn_bytes": torn_bytes, "closed": closed,
        })
        .to_string()
    }
}

impl ReadError {
    /// The first bad line, as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        json!({ "sound": false, "file": self.file, "line": self.line, "problem": self.problem.to_string() }).to_string()
    }
}
