//! Servers that send what they should not.

use tokio::io::AsyncReadExt as _;

use super::*;

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body].concat()
}

/// A column named `n` of a type.
fn column(ty: u32) -> Vec<u8> {
    [b"n\0", &[0; 6][..], &ty.to_be_bytes(), &[0; 8]].concat()
}

/// What the library is given of what a server sends, in pieces of each size; what is long comes in large ones alone.
async fn given(sent: &[u8]) -> io::Result<Vec<u8>> {
    let mut results = Vec::new();
    for size in [1, 3, 7, 8 << 10].into_iter().filter(|size| *size > 7 || sent.len() < 10_000) {
        let (mut server, client) = tokio::io::duplex(size);
        let mut guarded = Guarded::new(client, &TransactionStatus::default());
        let send = async {
            // Fails where the guard refuses, which ends the reading.
            let _ = tokio::io::AsyncWriteExt::write_all(&mut server, sent).await;
            drop(server);
        };
        let mut all = Vec::new();
        let read = async {
            let read = guarded.read_to_end(&mut all).await;
            drop(guarded);
            read
        };
        let (read, ()) = tokio::join!(read, send);
        results.push(read.map(|_| all).map_err(|error| error.to_string()));
    }
    assert!(results.iter().all(|result| *result == results[0]), "the size of pieces matters");
    results.remove(0).map_err(io::Error::other)
}

#[tokio::test]
async fn what_a_server_may_send_is_handed_on_as_it_is() {
    let sent = [
        message(b'R', &0_u32.to_be_bytes()),
        message(b'R', b"\0\0\0\x0br=abc,s=QUJD,i=4096"),
        message(b'S', b"TimeZone\0UTC\0"),
        message(b'Z', b"I"),
        message(b't', &[0, 1, 0, 0, 0, 23]),
        message(b'T', &[&[0, 1][..], &column(25)].concat()),
        message(b'D', &[7; 5000]),
        message(b'N', b"a notice"),
        message(b'C', b"SELECT 1\0"),
        message(b'Z', b"T"),
    ]
    .concat();
    assert_eq!(given(&sent).await.unwrap(), sent);
}

#[tokio::test]
async fn types_that_nobody_knows_are_replaced() {
    let sent = [
        message(b'T', &[&[0, 2][..], &column(16_400), &column(23)].concat()),
        message(b't', &[0, 2, 0, 0, 0x40, 0x10, 0, 0, 0, 25]),
    ]
    .concat();
    let expected = [
        message(b'T', &[&[0, 2][..], &column(Type::INTERNAL.oid()), &column(23)].concat()),
        message(b't', &[&[0, 2][..], &Type::UNKNOWN.oid().to_be_bytes(), &25_u32.to_be_bytes()].concat()),
    ]
    .concat();
    assert_eq!(given(&sent).await.unwrap(), expected);
}

#[tokio::test]
async fn what_no_server_may_send_ends_the_connection() {
    let head = |kind: u8, length: u32| [&[kind][..], &length.to_be_bytes()].concat();
    for (sent, part) in [
        (head(b'D', u32::MAX), "longer than 16384 KiB"),
        (head(b'D', (16 << 20) + 5), "longer than 16384 KiB"),
        (head(b'E', 2 << 20), "longer than 1024 KiB"),
        (head(b'T', 1 << 20), "longer than 512 KiB"),
        (head(b'Z', 3), "no length"),
        (message(b'T', &[0, 2, b'n']), "no columns"),
        (message(b'T', b""), "no columns"),
        (message(b't', &[0, 9, 0]), "no parameters"),
        (message(b'R', b"\0\0\0\x0br=abc,s=QUJD,i=4294967295"), "rounds"),
        (message(b'R', b"\0\0\0\x0br=abc,s=QUJD,i=99999999999999"), "rounds"),
        (message(b'R', b"\0\0\0\x0br=abc,s=QUJD"), "rounds"),
        (message(b'S', &[0; 40_000]).repeat(2), "without end"),
        (message(b'N', &[0; 40_000]).repeat(40), "without end"),
    ] {
        let error = given(&sent).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn the_status_is_that_of_the_last_answer() {
    let (mut server, client) = tokio::io::duplex(1 << 10);
    let status = TransactionStatus::default();
    let mut guarded = Guarded::new(client, &status);
    for (word, expected) in [(b"T", true), (b"E", false), (b"T", true), (b"I", false)] {
        tokio::io::AsyncWriteExt::write_all(&mut server, &message(b'Z', word)).await.unwrap();
        guarded.read_exact(&mut [0; 6]).await.unwrap();
        assert_eq!(status.is_in_transaction(), expected);
    }
}
