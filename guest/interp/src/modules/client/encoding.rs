//! Answers that are packed on their way, as Go's client has it: it asks for gzip and unpacks what comes, and keeps its hands
//! off where the script said which encodings it takes.

use crate::host::Incoming;
use crate::modules::gzip::pack;

/// Asks for gzip, unless the script said what it takes; says whether it did.
pub(super) fn ask(headers: &mut Vec<(String, String)>) -> bool {
    let chosen = headers.iter().any(|(name, _)| {
        // A part of a packed body is not packed itself.
        name.eq_ignore_ascii_case("accept-encoding") || name.eq_ignore_ascii_case("range")
    });
    if !chosen {
        headers.push(("Accept-Encoding".to_owned(), "gzip".to_owned()));
    }
    !chosen
}

/// Unpacks an answer that is packed to so many bytes at most, and takes out what is true of the packed one; the error
/// is the sentence to show.
pub(super) fn unpack(answer: &mut Incoming, most: usize) -> Result<(), String> {
    let encoding = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    if !encoding.is_some_and(|(_, value)| matches!(value.to_ascii_lowercase().as_str(), "gzip" | "x-gzip")) {
        return Ok(());
    }
    if !answer.body.is_empty() {
        let unpacked = pack::unpack_any(&answer.body, most);
        answer.body = unpacked.map_err(|wrong| format!("the answer of {} is gzip: {wrong}", answer.url))?;
    }
    answer.headers.retain(|(name, _)| {
        !name.eq_ignore_ascii_case("content-encoding") && !name.eq_ignore_ascii_case("content-length")
    });
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const MAX_BYTES: usize = 1 << 20;

    fn answer(encoding: &str, body: &[u8]) -> Incoming {
        let headers = [("content-encoding", encoding), ("Content-Length", "9"), ("X-Other", "1")];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Incoming { headers, body: body.to_vec(), ..Incoming::default() }
    }

    #[test]
    fn what_was_not_asked_for_by_the_script_is_unpacked() {
        let packed = pack::pack(b"hello", None).unwrap();
        for encoding in ["gzip", "GZIP", "x-gzip"] {
            let mut answer = answer(encoding, &packed);
            unpack(&mut answer, MAX_BYTES).unwrap();
            assert_eq!((answer.body.as_slice(), answer.headers.len()), (&b"hello"[..], 1), "{encoding}");
        }
        let mut other = answer("br", b"xyz");
        unpack(&mut other, MAX_BYTES).unwrap();
        assert_eq!((other.body.as_slice(), other.headers.len()), (&b"xyz"[..], 3));
        let mut empty = answer("gzip", b"");
        unpack(&mut empty, MAX_BYTES).unwrap();
        assert_eq!(empty.headers.len(), 1);
        assert!(unpack(&mut answer("gzip", b"not gzip"), MAX_BYTES).unwrap_err().contains("is gzip: not a gzip"));
        let bomb = pack::pack(&vec![0; MAX_BYTES + 1], None).unwrap();
        assert!(unpack(&mut answer("gzip", &bomb), MAX_BYTES).unwrap_err().contains("more than 1048576 bytes"));
    }

    #[test]
    fn a_script_that_says_what_it_takes_is_left_alone() {
        for header in ["Accept-Encoding", "accept-encoding", "Range"] {
            let mut headers = vec![(header.to_owned(), "identity".to_owned())];
            assert!(!ask(&mut headers));
            assert_eq!(headers.len(), 1);
        }
        let mut headers = Vec::new();
        assert!(ask(&mut headers));
        assert_eq!(headers, [("Accept-Encoding".to_owned(), "gzip".to_owned())]);
    }
}
