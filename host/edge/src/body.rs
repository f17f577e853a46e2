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
use starcell_budget::{BudgetBuffer, BufferError, MemoryBudget, MemoryUse, Taken};
use starcell_http::response::Refusal;
use tokio::time::{Instant, timeout_at};

use crate::edge::Edge;
use crate::limits::ClientLimits;
use crate::pace::{Pace, Progress};

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

    /// The same body for a server that takes less: within both limits, at the pace and in the time of that server.
    #[must_use]
    pub fn within(mut self, limits: &ClientLimits) -> Self {
        self.limit = self.limit.min(limits.body_bytes);
        if let Source::Arriving(_, terms) = &mut self.source {
            terms.pace = limits.pace;
            terms.whole = limits.read;
        }
        self
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
    let mut buffer = BudgetBuffer::new(&terms.memory, MemoryUse::Body, limit);
    loop {
        let by_pace = progress.deadline(terms.pace);
        let deadline = terms.whole.map_or(by_pace, |whole| by_pace.min(began + whole));
        match timeout_at(deadline, body.frame()).await {
            Err(_elapsed) => return Err(Refusal::SlowBody),
            Ok(None) => {
                let (bytes, taken) = buffer.into_parts();
                return Ok(Gathered { bytes: bytes.into(), taken: Some(taken) });
            }
            Ok(Some(Err(_))) => return Err(Refusal::BadBody),
            Ok(Some(Ok(frame))) => {
                // A frame of trailers is nothing that a script could see.
                let Ok(piece) = frame.into_data() else { continue };
                progress.moved(Instant::now(), piece.len() as u64, terms.pace);
                match buffer.add(&piece, terms.patience).await {
                    Ok(false) => {}
                    // The time that a client was not read from is not its own.
                    Ok(true) => progress = Progress::new(Instant::now()),
                    Err(BufferError::TooLarge) => return Err(Refusal::LargeBody(limit)),
                    Err(BufferError::NoMemory) => return Err(Refusal::NoMemory),
                }
            }
        }
    }
}
