//! HTTP/2 by hand: frames as an attacker writes them, which no library would send, over a plain socket.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::process::PATIENCE;

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame type: a part of a body.
pub const DATA: u8 = 0;
/// A frame type: a head, or its start.
pub const HEADERS: u8 = 1;
/// A frame type: takes a stream back.
pub const RST_STREAM: u8 = 3;
/// A frame type.
pub const SETTINGS: u8 = 4;
/// A frame type.
pub const PING: u8 = 6;
/// A frame type: no more streams.
pub const GOAWAY: u8 = 7;
/// A frame type: more of a head.
pub const CONTINUATION: u8 = 9;

/// A flag: the last frame of a stream from this side.
pub const END_STREAM: u8 = 1;
/// A flag of SETTINGS and PING: an acknowledgement.
pub const ACK: u8 = 1;
/// A flag: the last frame of a head.
pub const END_HEADERS: u8 = 4;

/// One frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 is the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The status of the head that it carries: from the static table, or written out, its digits coded or not. One that
    /// only the connection's own table knows, as for the second response of that status, is `None`.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        if self.kind != HEADERS {
            return None;
        }
        // The encoder may first say how large its table is.
        let block = if self.payload.first()? & 0xe0 == 0x20 { self.payload.get(1..)? } else { &self.payload };
        match *block.first()? {
            indexed @ 0x88..=0x8e => STATIC.get(usize::from(indexed - 0x88)).copied(),
            0x48 | 0x08 | 0x18 => {
                let length = block.get(1)?;
                let text = block.get(2..2 + usize::from(length & 0x7f))?;
                if length & 0x80 == 0 { std::str::from_utf8(text).ok()?.parse().ok() } else { digits(text) }
            }
            _ => None,
        }
    }
}

/// The bytes of a frame.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// One setting.
#[must_use]
pub fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// Header fields, each written out: no table and no Huffman code.
#[must_use]
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.extend(prefixed(text.len(), 7));
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The fields of a request that is otherwise in order.
#[must_use]
pub fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let head = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "localhost")];
    fields(&[&head, more].concat())
}

/// A number after a prefix of some bits, as HPACK writes it.
fn prefixed(number: usize, bits: u32) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if number < most {
        return vec![u8::try_from(number).expect("below the prefix")];
    }
    let (mut bytes, mut rest) = (vec![u8::try_from(most).expect("at most 127")], number - most);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).expect("seven bits") | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("seven bits"));
    bytes
}

/// A connection that has said who it is.
#[derive(Debug)]
pub struct Frames {
    /// The socket.
    pub stream: TcpStream,
}

impl Frames {
    /// Connects, and sends the preface and settings.
    #[must_use]
    pub fn connect(port: u16, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server accepts");
        stream.set_nodelay(true).expect("sockets can");
        stream.set_read_timeout(Some(PATIENCE)).expect("above zero");
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, settings)].concat();
        stream.write_all(&opening).expect("the server accepts");
        Self { stream }
    }

    /// The same where the server may refuse.
    ///
    /// # Errors
    /// It does.
    pub fn try_connect(port: u16, settings: &[u8]) -> io::Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, settings)].concat())?;
        Ok(Self { stream })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame. Settings and pings are acknowledged, as far as the server still listens.
    pub fn read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload)?;
        if flags & ACK == 0 && matches!(kind, SETTINGS | PING) {
            let echo = if kind == PING { payload.as_slice() } else { &[] };
            let _ = self.send(&frame(kind, ACK, 0, echo));
        }
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// Reads until a frame of a type.
    pub fn read_until(&mut self, kind: u8) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if frame.kind == kind {
                return Ok(frame);
            }
        }
    }

    /// Reads until the head of a response, or until the server takes back a stream or the connection.
    pub fn answer(&mut self) -> io::Result<Frame> {
        loop {
            let frame = self.read()?;
            if matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY) {
                return Ok(frame);
            }
        }
    }

    /// Reads until the head of a response, and returns its stream and status.
    pub fn status(&mut self) -> io::Result<(u32, u16)> {
        let head = self.read_until(HEADERS)?;
        let status = head.status().ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        Ok((head.stream, status))
    }

    /// Reads until the server closes the connection; the frames that came whole.
    pub fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.read().ok()).collect()
    }
}

/// Three digits in the Huffman code of HPACK, where 0, 1 and 2 take five bits and the others six.
fn digits(text: &[u8]) -> Option<u16> {
    let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
    let (mut rest, mut number) = (bits.as_str(), 0);
    for _ in 0..3 {
        let short = u16::from_str_radix(rest.get(..5)?, 2).ok()?;
        let digit = if short < 3 { short } else { u16::from_str_radix(rest.get(..6)?, 2).ok()?.checked_sub(22)? };
        rest = &rest[if short < 3 { 5 } else { 6 }..];
        number = number * 10 + digit;
    }
    Some(number)
}
