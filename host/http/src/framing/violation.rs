//! The violations that the framing of a message can have.

/// The reason why the bytes of a connection are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line that ends in LF alone.
    #[error("a line ends without a carriage return")]
    BareLf,
    /// A carriage return inside a line.
    #[error("a carriage return is not followed by a line feed")]
    BareCr,
    /// A control character.
    #[error("a control character")]
    Control,
    /// A header line that continues the one before.
    #[error("a folded header line")]
    Folded,
    /// A character that no request target has: RFC 9112, 3.2. A fragment is for the client alone.
    #[error("an illegal character in the request line")]
    Target,
    /// A character that no header name has, such as a space before the colon.
    #[error("an illegal header name")]
    Name,
    /// A Content-Length that is not one decimal number.
    #[error("an illegal Content-Length")]
    Length,
    /// More than one Content-Length, even if they agree.
    #[error("more than one Content-Length")]
    TwoLengths,
    /// A Transfer-Encoding other than `chunked`, or more than one.
    #[error("a Transfer-Encoding other than chunked")]
    Encoding,
    /// Both Content-Length and Transfer-Encoding.
    #[error("both Content-Length and Transfer-Encoding")]
    LengthAndEncoding,
    /// A chunk whose size or end is not as it must be.
    #[error("a malformed chunk")]
    Chunk,
    /// Empty lines instead of a request.
    #[error("too many empty lines before a request")]
    EmptyLines,
}
