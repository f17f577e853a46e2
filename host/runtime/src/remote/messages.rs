//! What a server of PostgreSQL may send.
//!
//! **The decision.** A script names the servers that it uses, so a server may be an attacker's. The client library believes
//! a server: it makes room for whatever length a message claims, keeps every setting that it is told, asks the server about
//! each type that it does not know, and about the types that those consist of, as deep as the server says, and hashes a
//! password as often as the server asks. This reader stands between the two and looks at the head of each message.
//!
//! **What it refuses.** A message that is too long for its kind; settings and notices without end; more rounds of the
//! password hash than a server has reason to ask for. A type that the library does not know becomes one that it does, so it
//! never asks: a parameter of such a type is sent as a text, and a column of it is refused by whoever reads the columns.
//!
//! **The attack it answers.** One script with a server of its own takes the memory, the stack or the threads of the host.
//!
//! It also notes whether the server is in a transaction, which every answer ends with: so a statement that ended the
//! transaction of the host is found out, however it was written.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::types::Type;

/// Bytes of one read.
const READ: usize = 8 << 10;

/// Bytes of a message with one row.
const MAX_ROW: usize = 16 << 20;

/// Bytes of a message that describes columns or parameters, of which there are at most some thousands.
const MAX_DESCRIPTION: usize = 512 << 10;

/// Bytes of any other message.
const MAX_MESSAGE: usize = 1 << 20;

/// Bytes of all settings that a server tells in a session.
const MAX_SETTINGS: usize = 64 << 10;

/// Bytes of notices between two answers.
const MAX_NOTICES: usize = 1 << 20;

/// Rounds of the password hash. PostgreSQL asks for 4096 unless it is configured otherwise.
const MAX_ROUNDS: u32 = 100_000;

/// The code of the message in which a server asks for rounds.
const SASL_CONTINUE: u32 = 11;

/// The kind of a message and its length.
const HEAD: usize = 5;

/// Whether a server is in a transaction, as its last answer said.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionStatus(Arc<AtomicU8>);

impl TransactionStatus {
    /// Returns whether it is in one that has not failed.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.0.load(Ordering::Acquire) == b'T'
    }
}

/// A connection that reads only what a server may send.
#[derive(Debug)]
pub(crate) struct Guarded<S> {
    stream: S,
    messages: Messages,
}

/// Bytes that were read, and how much of them was looked at.
#[derive(Debug, Default)]
struct Messages {
    bytes: BytesMut,
    /// Bytes at the front that may be handed on.
    seen: usize,
    /// Bytes of the message under way that are still to come.
    left: usize,
    settings: usize,
    notices: usize,
    status: TransactionStatus,
}

impl<S> Guarded<S> {
    /// Puts the guard in front of a connection, whose status it notes.
    pub(crate) fn new(stream: S, status: &TransactionStatus) -> Self {
        Self { stream, messages: Messages { status: status.clone(), ..Messages::default() } }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, messages } = self.get_mut();
        while messages.seen == 0 {
            let mut room = [0; READ];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            messages.bytes.extend_from_slice(read.filled());
            messages.look()?;
        }
        let length = messages.seen.min(out.remaining());
        out.put_slice(messages.bytes.get(..length).unwrap_or_default());
        messages.bytes.advance(length);
        messages.seen -= length;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Messages {
    /// Looks at what came last.
    fn look(&mut self) -> io::Result<()> {
        loop {
            let passed = self.left.min(self.bytes.len() - self.seen);
            self.seen += passed;
            self.left -= passed;
            let Some(message) = self.bytes.get_mut(self.seen..).filter(|_| self.left == 0) else { return Ok(()) };
            let Some(&[kind, a, b, c, d]) = message.first_chunk::<HEAD>() else { return Ok(()) };
            // The length counts itself.
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            let length = length.checked_sub(4).ok_or_else(|| refused("a message of the server has no length"))?;
            let most = match kind {
                b'D' => MAX_ROW,
                b'T' | b't' => MAX_DESCRIPTION,
                _ => MAX_MESSAGE,
            };
            if length > most {
                return Err(refused(&format!("a message of the server is longer than {} KiB", most >> 10)));
            }
            if matches!(kind, b'R' | b'T' | b'Z' | b't') {
                // These are looked into, or changed, so they are handed on whole.
                let Some(body) = message.get_mut(HEAD..HEAD + length) else { return Ok(()) };
                match kind {
                    b'R' => rounds(body)?,
                    b'T' => columns(body).ok_or_else(|| refused("the server describes no columns"))?,
                    b't' => parameters(body).ok_or_else(|| refused("the server describes no parameters"))?,
                    _ => {
                        self.notices = 0;
                        self.status.0.store(body.first().copied().unwrap_or_default(), Ordering::Release);
                    }
                }
            }
            self.count(kind, length)?;
            self.left = HEAD + length;
        }
    }

    fn count(&mut self, kind: u8, length: usize) -> io::Result<()> {
        let (sum, most) = match kind {
            b'S' => (&mut self.settings, MAX_SETTINGS),
            b'A' | b'N' => (&mut self.notices, MAX_NOTICES),
            _ => return Ok(()),
        };
        *sum = sum.saturating_add(HEAD + length);
        match *sum > most {
            true => Err(refused("the server sends settings or notices without end")),
            false => Ok(()),
        }
    }
}

/// Replaces the types of columns that the library would ask the server about: by one that no column has.
fn columns(body: &mut [u8]) -> Option<()> {
    let count = u16::from_be_bytes(*body.first_chunk()?);
    let mut rest = body.get_mut(2..)?;
    for _ in 0..count {
        let name = rest.iter().position(|byte| *byte == 0)?;
        // The table, and the number of the column in it.
        rest = rest.get_mut(name + 1 + 6..)?;
        known(rest.first_chunk_mut()?, &Type::INTERNAL);
        // The type, its length and modifier, and the format.
        rest = rest.get_mut(4 + 2 + 4 + 2..)?;
    }
    Some(())
}

/// Replaces the types of parameters that the library would ask the server about: by that of a text without a type.
fn parameters(body: &mut [u8]) -> Option<()> {
    let count = usize::from(u16::from_be_bytes(*body.first_chunk()?));
    let (types, _) = body.get_mut(2..2 + 4 * count)?.as_chunks_mut::<4>();
    for ty in types {
        known(ty, &Type::UNKNOWN);
    }
    Some(())
}

fn known(ty: &mut [u8; 4], otherwise: &Type) {
    if Type::from_oid(u32::from_be_bytes(*ty)).is_none() {
        *ty = otherwise.oid().to_be_bytes();
    }
}

/// Refuses a server that asks for too many rounds of the password hash, which this thread would have to make.
fn rounds(body: &[u8]) -> io::Result<()> {
    let Some((code, text)) = body.split_first_chunk() else { return Ok(()) };
    if u32::from_be_bytes(*code) != SASL_CONTINUE {
        return Ok(());
    }
    let text = String::from_utf8_lossy(text);
    let asked = text.split(',').find_map(|part| part.strip_prefix("i="));
    match asked.map(str::parse::<u32>) {
        Some(Ok(rounds)) if rounds <= MAX_ROUNDS => Ok(()),
        _ => Err(refused(&format!("the server asks for more than {MAX_ROUNDS} rounds of the password hash"))),
    }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
