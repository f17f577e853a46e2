//! The bodies of answers: one that is there, and one that goes on with each line of a log until its reader leaves.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use starcell_log::{KeptLines, KeptLog};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::api::views::LogLineView;

use super::lobby::Answering;

/// The body of an answer.
pub(crate) enum AnswerBody {
    /// It is there.
    Whole(Option<Bytes>),
    /// It goes on.
    Follow(Box<Follower>),
}

/// The body of an answer, whose connection keeps its place until the body is sent.
pub(crate) struct WorkingBody {
    body: AnswerBody,
    _answering: Answering,
}

/// The lines of a log, one after another.
pub(crate) struct Follower {
    log: KeptLog,
    /// Lines that are ready to be sent.
    ready: VecDeque<Bytes>,
    next: u64,
    waits: Option<Pin<Box<dyn Future<Output = Option<KeptLines>> + Send>>>,
    /// Cancelled when the node ends.
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Begins with lines that are there already.
    pub(crate) fn new(log: KeptLog, tail: &KeptLines, stop: CancellationToken, place: OwnedSemaphorePermit) -> Self {
        Self { log, ready: lines(tail), next: tail.next, waits: None, stop, _place: place }
    }

    fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Poll::Ready(Some(line));
            }
            let (log, place, stop) = (&self.log, self.next, &self.stop);
            let waits = self.waits.get_or_insert_with(|| {
                let (log, stop) = (log.clone(), stop.clone());
                Box::pin(async move { stop.run_until_cancelled(log.after(place)).await })
            });
            let found = std::task::ready!(waits.as_mut().poll(context));
            self.waits = None;
            let Some(found) = found else { return Poll::Ready(None) };
            self.next = found.next;
            self.ready = lines(&found);
        }
    }
}

fn lines(found: &KeptLines) -> VecDeque<Bytes> {
    let missed = (found.missed > 0).then_some(LogLineView { line: None, missed: found.missed });
    let lines = found.lines.iter().map(|line| LogLineView { line: Some(line.to_string()), missed: 0 });
    let text = |view: LogLineView| {
        // A view of texts and numbers is JSON.
        let mut text = serde_json::to_vec(&view).unwrap_or_default();
        text.push(b'\n');
        Bytes::from(text)
    };
    missed.into_iter().chain(lines).map(text).collect()
}

impl AnswerBody {
    /// The same, with the work that ends with it.
    pub(super) fn with(self, answering: Answering) -> WorkingBody {
        WorkingBody { body: self, _answering: answering }
    }
}

impl Body for WorkingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Follow(follower) => follower.poll_line(context).map(|line| line.map(|line| Ok(Frame::data(line)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Follow(_) => SizeHint::default(),
        }
    }
}
