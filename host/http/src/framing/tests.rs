#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// Feeds the whole at once and byte by byte, which must come to the same.
fn feed(bytes: &[u8]) -> Result<bool, (usize, Violation)> {
    let mut guard = Guard::default();
    let whole = guard.feed(bytes).map(|()| guard.is_between());
    let mut guard = Guard::default();
    let mut result = Ok(());
    for (at, byte) in bytes.iter().enumerate() {
        result = guard.feed(std::slice::from_ref(byte)).map_err(|(_, violation)| (at, violation));
        if result.is_err() {
            break;
        }
    }
    assert_eq!(result.map(|()| guard.is_between()), whole, "{:?}", String::from_utf8_lossy(bytes));
    whole
}

fn violation(text: &str) -> Violation {
    feed(text.as_bytes()).unwrap_err().1
}

#[test]
fn a_client_says_that_a_message_is_its_last() {
    for (head, last) in [
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true),
        ("GET / HTTP/1.1\r\ncOnnection:Close \r\n\r\n", true),
        ("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab", true),
        ("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\na", false),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nConnection: keep-alive\r\n\r\n", false),
        // Others are waited for: it costs time, not safety.
        ("GET / HTTP/1.1\r\nConnection: close, te\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nConnection: close\r\n", false),
    ] {
        let mut guard = Guard::default();
        guard.feed(head.as_bytes()).unwrap();
        assert_eq!(guard.is_last(), last, "{head:?}");
    }
}

#[test]
fn whole_messages_end_where_they_end() {
    for message in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\nHost:a\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-LENGTH:\t 5 \r\n\r\nab\n\0c",
        "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX-Long-Name-That-Is-None-Of-Ours: \u{e9}\t1\r\nX:\r\n\r\n",
    ] {
        assert_eq!(feed(message.as_bytes()), Ok(true), "{message:?}");
        assert_eq!(feed(&message.as_bytes()[..message.len() - 1]), Ok(false), "{message:?}");
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    use Violation::{
        BareCr, BareLf, Chunk, Control, EmptyLines, Encoding, Folded, Length, LengthAndEncoding, Name, Target,
        TwoLengths,
    };
    let chunked = |body: &str| format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    for (message, expected) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLf),
        ("\nGET / HTTP/1.1\r\n\r\n", BareLf),
        ("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", BareCr),
        ("\rGET / HTTP/1.1\r\n\r\n", BareCr),
        ("\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n", EmptyLines),
        ("GET / HTTP/1.1\r\nA: b\r\n c: d\r\n\r\n", Folded),
        ("GET / HTTP/1.1\r\nA: b\0\r\n\r\n", Control),
        ("GET /\x01 HTTP/1.1\r\n\r\n", Control),
        ("GET /#a HTTP/1.1\r\n\r\n", Target),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Target),
        ("GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n", Name),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", Name),
        ("GET / HTTP/1.1\r\nnocolon\r\n\r\n", Name),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", TwoLengths),
        ("GET / HTTP/1.1\r\nContent-Length: 5, 5\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nContent-Length: 0x5\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nContent-Length:\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nContent-Length: 000000000000000000000000005\r\n\r\n", Length),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", LengthAndEncoding),
        ("GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", LengthAndEncoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Encoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", Control),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n", Encoding),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", Encoding),
        (&chunked("5\nhello\r\n0\r\n\r\n"), Chunk),
        (&chunked("5\r\nhello!\r\n0\r\n\r\n"), Chunk),
        (&chunked("5\r\nhello\n0\r\n\r\n"), Chunk),
        (&chunked("\r\n"), Chunk),
        (&chunked("-1\r\n"), Chunk),
        (&chunked("0x5\r\nhello\r\n"), Chunk),
        (&chunked(" 5\r\nhello\r\n"), Chunk),
        (&chunked("5 \r\nhello\r\n"), Chunk),
        (&chunked("5;\0\r\nhello\r\n"), Chunk),
        (&chunked("fffffffffffffffff\r\n"), Chunk),
        (&chunked(&format!("5;{}\r\n", "a".repeat(300))), Chunk),
        (&chunked("0\r\nA: b\n\r\n"), BareLf),
    ] {
        assert_eq!(violation(message), expected, "{message:?}");
    }
}

#[test]
fn the_place_of_a_violation_is_told_and_nothing_is_read_after_it() {
    let mut guard = Guard::default();
    assert_eq!(guard.feed(b"GET / HTTP/1.1\nHost"), Err((14, Violation::BareLf)));
    assert!(guard.feed(b"GET / HTTP/1.1\r\n\r\n").is_err());
    // What precedes the place is an unfinished head: nobody can take it for a message.
    let text = b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (at, _) = Guard::default().feed(text).unwrap_err();
    assert!(text[..at].ends_with(b"chunked"), "{at}");
}

proptest! {
    #[test]
    fn pieces_do_not_matter(bytes in proptest::collection::vec(prop_oneof![
        Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), Just(b'0'), Just(b'5'), any::<u8>()
    ], 0..200), chunked: bool) {
        let head: &[u8] = if chunked { b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" } else { b"" };
        let _ = feed(&[head, &bytes].concat());
    }

    #[test]
    fn pieces_of_lines_do_not_matter(pieces in proptest::collection::vec(prop_oneof![
        Just("GET /a HTTP/1.1\r\n"), Just("Host: localhost\r\n"), Just("Cookie: a=b; c=d, \t\u{e9}\r\n"), Just("A:\r\n"),
        Just("Content-Length: 5\r\n"), Just("Transfer-Encoding: chunked\r\n"), Just("Connection: close\r\n"),
        Just("\r\n"), Just("\n"), Just("\r"), Just("#"), Just("\0"), Just("\x7f"), Just("User-Agent: "), Just("12345"),
        Just("Content-Length:"), Just("                         "), Just("Content-Length-And-So-On"), Just(":"),
    ], 0..12)) {
        let _ = feed(pieces.concat().as_bytes());
    }

    #[test]
    fn lengths_are_believed(length in 1usize..3000, missing in 0usize..3000) {
        // Bytes of a body that would be refused in a head.
        let message = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{}", "\n".repeat(length));
        let missing = missing.min(length);
        prop_assert_eq!(feed(&message.as_bytes()[..message.len() - missing]), Ok(missing == 0));
    }
}
