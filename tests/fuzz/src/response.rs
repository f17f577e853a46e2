//! The response of a script, through the last check and hyper, to the bytes on the wire.
//!
//! The law is the one that response splitting breaks: a client that reads strictly finds one response, with the headers
//! that were checked, and a body of exactly the length that is announced.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, DATE};
use starcell_http::response;

use crate::target::Target;
use crate::wire;

/// Between the fields of an input: no text in UTF-8 has it.
const MARK: u8 = 0xff;

pub(crate) fn target() -> Target {
    Target { name: "response", run, seeds: seeds(), words: WORDS }
}

fn run(data: &[u8]) {
    let Some((numbers, rest)) = data.split_at_checked(3) else { return };
    let (status, head) = (u16::from_be_bytes([numbers[0], numbers[1]]) % 1100, numbers[2] & 1 == 1);
    let mut fields: Vec<&[u8]> = rest.split(|&byte| byte == MARK).collect();
    let body = Bytes::copy_from_slice(fields.pop().unwrap_or_default());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers: Vec<(String, String)> =
        fields.chunks_exact(2).take(80).map(|pair| (text(pair[0]), text(pair[1]))).collect();
    let answer = match response::script(status, headers, body.clone()) {
        Ok(answer) => answer,
        Err(told) => return assert!(told.starts_with("the handler returned "), "{told}"),
    };
    assert!((200..1000).contains(&status), "status {status} is sent");
    let expected = answer.headers().clone();
    let method = if head { "HEAD" } else { "GET" };
    let request = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
    let sent = wire::serve(request.as_bytes(), usize::MAX, 4096, None, move |_| {
        let answer = answer.clone();
        async move { answer }
    });
    check(&sent, status, head, &expected, &body);
}

fn check(sent: &[u8], status: u16, head: bool, expected: &http::HeaderMap, body: &[u8]) {
    let end = sent.windows(4).position(|four| four == b"\r\n\r\n").expect("the head has an end");
    let (lines, rest) = (&sent[..end], &sent[end + 4..]);
    let mut found = http::HeaderMap::new();
    for (index, line) in split(lines).enumerate() {
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | b'\0')), "a line within a line");
        if index == 0 {
            assert!(line.starts_with(format!("HTTP/1.1 {status}").as_bytes()));
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').expect("a field has a colon");
        let name = http::HeaderName::from_bytes(&line[..colon]).expect("a field has a legal name");
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).expect("a field has a legal value");
        found.append(name, value);
    }
    let length = found.remove(CONTENT_LENGTH);
    if !expected.contains_key(DATE) {
        found.remove(DATE);
    }
    assert_eq!(found.len(), expected.len(), "fields were added or lost: {found:?}");
    for name in expected.keys() {
        let trimmed = |value: &http::HeaderValue| value.as_bytes().trim_ascii().to_vec();
        let of = |map: &http::HeaderMap| map.get_all(name).iter().map(trimmed).collect::<Vec<_>>();
        assert_eq!(of(&found), of(expected), "{name}");
    }
    match (status, head) {
        (204 | 304, _) | (_, true) => assert!(rest.is_empty(), "a body where none may be"),
        _ => {
            assert_eq!(rest, body);
            let length = length.map(|length| length.to_str().unwrap_or_default().to_owned());
            assert_eq!(length, Some(body.len().to_string()));
        }
    }
}

/// The lines of a head.
fn split(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = bytes.windows(2).position(|two| two == b"\r\n");
        rest = end.map(|end| &bytes[end + 2..]);
        Some(end.map_or(bytes, |end| &bytes[..end]))
    })
}

const WORDS: &[&str] = &[
    "Content-Length",
    "Transfer-Encoding",
    "chunked",
    "Connection",
    "close",
    "Set-Cookie",
    "Content-Type",
    "\r\n",
    "\n",
    "\r",
    "Date",
    "Upgrade",
    "Trailer",
    "Keep-Alive",
    "\r\n\r\n",
    "\0",
    "Location",
    "Server",
    "TE",
];

fn seeds() -> Vec<Vec<u8>> {
    let seed = |status: u16, head: u8, fields: &[&str], body: &str| {
        let mut bytes = status.to_be_bytes().to_vec();
        bytes.push(head);
        for field in fields {
            bytes.extend_from_slice(field.as_bytes());
            bytes.push(MARK);
        }
        bytes.extend_from_slice(body.as_bytes());
        bytes
    };
    vec![
        seed(200, 0, &["Content-Type", "text/plain"], "hello"),
        seed(200, 1, &["Set-Cookie", "a=1", "set-cookie", "b=2"], "hello"),
        seed(204, 0, &["X-A", "b"], "no"),
        seed(304, 0, &["ETag", "\"x\""], "no"),
        seed(307, 0, &["Location", "/a\r\nX: y"], ""),
        seed(500, 0, &["Content-Length", "3", "Transfer-Encoding", "chunked", "Connection", "close"], "hello"),
        seed(205, 0, &["Date", "now", "X-É", "é"], "x"),
        seed(999, 0, &["A", "", "B", " \t"], "\r\n\r\n"),
    ]
}
