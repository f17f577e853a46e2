//! The body of a request: read whole within its limits, or refused. It is never cut short.
//!
//! A body has its deadline here, where it is read, and not in the transport: over HTTP/2 the bytes of a connection say
//! nothing about one body. Its bytes are taken from the budget of the process before room is made for them. While there
//! is none the client is not read from, and after a moment the request is refused.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use starcell_budget::{MemoryBudget, MemoryUse, SMALL, Taken};
use starcell_http::response::Refusal;
use tokio::time::{Instant, timeout_at};

use crate::edge::Edge;
use crate::limits::ClientLimits;
use crate::pace::{Pace, Progress};

/// Room that is made for the first bytes of a body.
const FIRST_ROOM: usize = 4 << 10;

/// The body of a request, not read yet.
pub struct Body {
    source: Source,
    /// Most bytes that it may have.
    limit: usize,
}

/// Where a body comes from.
enum Source {
    /// It is there.
    Here(Bytes),
    /// It is on its way.
    Arriving(Incoming, Terms),
}

/// On which terms a body arrives.
struct Terms {
    pace: Pace,
    /// For all of it, if the server bounds that.
    whole: Option<Duration>,
    memory: MemoryBudget,
    /// How long it waits for memory.
    patience: Duration,
}

/// A body that was read, and the memory that it takes.
#[derive(Debug)]
pub struct Gathered {
    /// The body.
    pub bytes: Bytes,
    /// Its memory; none for a body that did not come over a socket.
    pub taken: Option<Taken>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl Body {
    /// A body that is there already, for a server with these limits.
    #[must_use]
    pub fn whole(body: Bytes, limits: &ClientLimits) -> Self {
        Self { source: Source::Here(body), limit: limits.body_bytes }
    }

    /// A body that a client sends.
    pub(crate) fn arriving(body: Incoming, limits: &ClientLimits, edge: &Edge) -> Self {
        let (memory, patience) = (edge.memory.clone(), edge.config.memory_time);
        let terms = Terms { pace: limits.pace, whole: limits.read, memory, patience };
        Self { source: Source::Arriving(body, terms), limit: limits.body_bytes }
    }

    /// Reads the body whole. A client that waits to be told to go on is told so only now.
    ///
    /// # Errors
    /// The body is larger than the server takes, too slow, did not arrive whole, or there is no memory for it.
    pub async fn read(self) -> Result<Gathered, Refusal> {
        match self.source {
            Source::Here(body) if body.len() > self.limit => Err(Refusal::LargeBody(self.limit)),
            Source::Here(bytes) => Ok(Gathered { bytes, taken: None }),
            Source::Arriving(body, _) if body.is_end_stream() => Ok(Gathered { bytes: Bytes::new(), taken: None }),
            Source::Arriving(body, _) if body.size_hint().lower() > self.limit as u64 => {
                Err(Refusal::LargeBody(self.limit))
            }
            Source::Arriving(body, terms) => gather(body, self.limit, &terms).await,
        }
    }
}

async fn gather(mut body: Incoming, limit: usize, terms: &Terms) -> Result<Gathered, Refusal> {
    let began = Instant::now();
    let mut progress = Progress::new(began);
    let mut room = Room::new(terms);
    loop {
        let by_pace = progress.deadline(terms.pace);
        let deadline = terms.whole.map_or(by_pace, |whole| by_pace.min(began + whole));
        match timeout_at(deadline, body.frame()).await {
            Err(_elapsed) => return Err(Refusal::SlowBody),
            Ok(None) => return Ok(room.gathered()),
            Ok(Some(Err(_))) => return Err(Refusal::BadBody),
            Ok(Some(Ok(frame))) => {
                // A frame of trailers is nothing that a script could see.
                let Ok(piece) = frame.into_data() else { continue };
                if room.bytes.len() + piece.len() > limit {
                    return Err(Refusal::LargeBody(limit));
                }
                progress.moved(Instant::now(), piece.len() as u64, terms.pace);
                if room.make(piece.len(), limit).await? {
                    // The time that a client was not read from is not its own.
                    progress = Progress::new(Instant::now());
                }
                room.bytes.extend_from_slice(&piece);
            }
        }
    }
}

/// One buffer for all pieces of a body: a piece that is kept would keep the whole buffer that it was read into.
struct Room<'a> {
    terms: &'a Terms,
    bytes: Vec<u8>,
    taken: Taken,
}

impl<'a> Room<'a> {
    fn new(terms: &'a Terms) -> Self {
        Self { terms, bytes: Vec::new(), taken: terms.memory.nothing() }
    }

    /// Makes room for so many bytes more. True if that had to be waited for.
    async fn make(&mut self, more: usize, limit: usize) -> Result<bool, Refusal> {
        let length = self.bytes.len() + more;
        if length <= self.bytes.capacity() {
            return Ok(false);
        }
        let capacity = length.max(self.bytes.capacity() * 2).max(FIRST_ROOM).min(limit.max(length));
        let missing = (capacity as u64).saturating_sub(self.taken.bytes());
        let purpose = if capacity as u64 <= SMALL { MemoryUse::Small } else { MemoryUse::Body };
        let at_once = self.taken.try_grow(purpose, missing);
        if !at_once && !self.taken.grow(purpose, missing, self.terms.patience).await {
            return Err(Refusal::NoMemory);
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        Ok(!at_once)
    }

    fn gathered(self) -> Gathered {
        Gathered { bytes: self.bytes.into(), taken: Some(self.taken) }
    }
}
