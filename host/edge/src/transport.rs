//! The bytes of one connection, under deadlines and strict framing.
//!
//! Everything a client can do slowly is bounded here, below hyper, where each byte passes: the head of a request, the
//! pause between two, a response that nobody takes. Only the body of a request has its deadline where it is read. What
//! the [`Guard`] refuses is replaced by a byte that no parser takes, so that hyper answers with status 400 in its own
//! words and closes.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use starcell_budget::{MemoryUse, Taken};
use starcell_http::framing::Guard;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::activity::Activity;
use crate::pace::{Pace, Progress};
use crate::rarely::Rarely;
use crate::socket::Socket;

/// What no HTTP/1 parser takes, wherever in a message it stands.
const POISON: &[u8] = b"\0";

/// Bytes of a response, head and body, that are written in one piece.
const SMALL_WRITE: usize = 512;

/// Bytes that are read in one turn. A client that sends without a pause lets others have theirs then; tokio's own budget
/// would be 128 reads, which is milliseconds.
const TURN: usize = 64 << 10;

/// Bytes of a message that are counted at most: the largest head, and the buffer of hyper that a body passes.
const MAX_HEAD_KEPT: u64 = 128 << 10;

/// Bytes of a message that hyper has room for from the start.
const FIRST_BUFFER: u64 = 8 << 10;

/// How often in the time that a client may stall it is looked at.
const LOOKS: u32 = 4;

/// How long a client may go on sending after it was told that this is over, and how much.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 16 << 20;

/// What a client is told whose head finds no memory. hyper has not seen the head, so it has nothing to say.
const NO_MEMORY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 24\r\n\r\n503 Service Unavailable\n";

/// Times of one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For the head of a request.
    pub(crate) head: Duration,
    /// Between two requests.
    pub(crate) idle: Duration,
    /// For bytes on their way.
    pub(crate) pace: Pace,
    /// For sending one response in all.
    pub(crate) send: Option<Duration>,
}

/// A client that does not take all that it is offered.
#[derive(Clone, Copy, Debug)]
struct Stall {
    began: Instant,
    progress: Progress,
    /// Bytes that the socket has accepted since.
    accepted: u64,
    /// Of those and of what it held before, what the client had taken at the last look; below 0 at first.
    taken: i64,
}

impl Stall {
    fn new(now: Instant, untaken: u64) -> Self {
        let taken = 0_i64.saturating_sub_unsigned(untaken);
        Self { began: now, progress: Progress::new(now), accepted: 0, taken }
    }

    /// Looks at what the client has taken. Only that counts: what the kernel accepts is no sign of a client that reads,
    /// and a slow one that does read frees room for us in large steps.
    fn look(&mut self, now: Instant, untaken: u64, pace: Pace) {
        let taken = i64::try_from(self.accepted).unwrap_or(i64::MAX).saturating_sub_unsigned(untaken);
        let moved = u64::try_from(taken.saturating_sub(self.taken)).unwrap_or_default();
        self.taken = self.taken.max(taken);
        self.progress.moved(now, moved, pace);
    }

    fn deadline(&self, times: &Times) -> Instant {
        let by_pace = self.progress.deadline(times.pace);
        times.send.map_or(by_pace, |send| by_pace.min(self.began + send))
    }
}

/// A connection below hyper.
pub(crate) struct Transport<S> {
    socket: S,
    /// Bytes that were read before hyper came.
    first: Bytes,
    times: Times,
    activity: Arc<Activity>,
    /// Of HTTP/1 connections.
    guard: Option<Guard>,
    /// When the head began that is being read.
    head_began: Option<Instant>,
    /// Bytes of the message that is being read.
    message: u64,
    /// The memory of hyper's buffer, as far as that message fills it.
    buffered: Taken,
    stalled: Option<Stall>,
    timer: Option<Rarely<Pin<Box<Sleep>>>>,
    /// Bytes that were read in this turn.
    turn: usize,
    ended: bool,
    refused: bool,
    /// Whether the process has no memory for a head that is being read.
    starved: bool,
}

impl<S: AsyncRead + AsyncWrite + Socket + Unpin> Transport<S> {
    /// `first` is what was read already. The guard is for HTTP/1, and `buffered` has nothing yet.
    pub(crate) fn new(
        socket: S,
        first: Bytes,
        guard: Option<Guard>,
        times: Times,
        activity: Arc<Activity>,
        buffered: Taken,
    ) -> Self {
        let (head_began, message, stalled, timer, turn) = (None, 0, None, None, 0);
        let (ended, refused, starved) = (false, false, false);
        Self {
            socket,
            first,
            times,
            activity,
            guard,
            head_began,
            message,
            buffered,
            stalled,
            timer,
            turn,
            ended,
            refused,
            starved,
        }
    }

    /// Whether it ends since the process has no memory for a head.
    pub(crate) fn is_starved(&self) -> bool {
        self.starved
    }

    /// Ends the connection so that the client gets what was sent last: closing while bytes of the client wait unread
    /// would be a reset, which takes the response with it. A client that asked for the end has no more to send.
    pub(crate) async fn linger(mut self) {
        let asked = self.guard.as_ref().is_some_and(Guard::is_last) && !self.refused;
        self.buffered.shrink_to(0);
        if self.starved {
            // A client that does not take it either is left alone.
            let _ = tokio::time::timeout(LINGER, self.socket.write_all(NO_MEMORY)).await;
        }
        if self.ended || self.socket.shutdown().await.is_err() || asked {
            return;
        }
        let read_on = async {
            let (mut total, mut turn, mut buffer) = (0, 0, Vec::with_capacity(4096));
            while let Ok(read @ 1..) = self.socket.read_buf(&mut buffer).await {
                (total, turn) = (total + read, turn + read);
                buffer.clear();
                if total > LINGER_BYTES {
                    break;
                }
                if turn >= TURN {
                    turn = 0;
                    tokio::task::yield_now().await;
                }
            }
        };
        // It was told; whether it listens is its own business.
        let _ = tokio::time::timeout(LINGER, read_on).await;
    }

    /// Lets what arrived pass, as far as it is framed as it should be. The error is that the process has no memory for
    /// another head.
    fn admit(&mut self, buffer: &mut ReadBuf<'_>, before: usize) -> io::Result<()> {
        let Some(guard) = &mut self.guard else { return Ok(()) };
        let arrived = buffer.filled().get(before..).unwrap_or_default();
        let count = arrived.len() as u64;
        if let Err((fit, _)) = guard.feed(arrived) {
            self.refused = true;
            buffer.set_filled(before + fit);
            if buffer.remaining() > 0 {
                buffer.put_slice(POISON);
            }
        }
        match guard.is_in_head() {
            true => self.head_began = self.head_began.or_else(|| Some(Instant::now())),
            false => self.head_began = None,
        }
        self.message = if guard.is_between() { 0 } else { self.message + count };
        self.count()
    }

    /// Counts what hyper keeps of a message. A head is kept whole. Of a body it is as much as the buffer holds, and that
    /// was let in with the head. hyper makes room for as much again behind what it has read.
    fn count(&mut self) -> io::Result<()> {
        let kept = self.message.min(MAX_HEAD_KEPT);
        if kept <= FIRST_BUFFER {
            self.buffered.shrink_to(0);
            return Ok(());
        }
        let missing = (2 * kept.next_power_of_two()).saturating_sub(self.buffered.bytes());
        if self.head_began.is_none() {
            self.buffered.hold(missing);
        } else if !self.buffered.try_grow(MemoryUse::Head, missing) {
            // A response that is under way is not cut into.
            self.starved = !self.activity.is_busy();
            return Err(ErrorKind::OutOfMemory.into());
        }
        Ok(())
    }

    /// When a client that sends nothing has had its time; none while it is not its turn.
    fn read_deadline(&self) -> Option<Instant> {
        // A response that is still on its way has a deadline of its own.
        if self.activity.is_busy() || self.stalled.is_some() {
            return None;
        }
        let (fresh, idle_since) = (self.activity.is_fresh(), self.activity.idle_since());
        if let Some(began) = self.head_began.filter(|_| !fresh) {
            // A head that came while a request was under way counts from then on.
            return Some(began.max(idle_since) + self.times.head);
        }
        let waits = self.guard.as_ref().is_none_or(|guard| guard.is_between() || guard.is_in_head());
        waits.then(|| idle_since + if fresh { self.times.head } else { self.times.idle })
    }

    /// Ready when a client that sends nothing has had its time. hyper does not ask again when a response is out, so the
    /// timer runs while a request is under way too, and finds out then what holds.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let runs = self.timer.as_ref().is_some_and(|timer| !timer.get().is_elapsed());
            let look = match self.read_deadline() {
                // The timer, moved there if it is set to a later time, tells whether it has passed.
                Some(deadline) if runs => deadline,
                deadline => {
                    let now = Instant::now();
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        self.ended = true;
                        return Poll::Ready(ErrorKind::TimedOut.into());
                    }
                    deadline.unwrap_or(now + self.times.idle.min(self.times.head))
                }
            };
            ready!(self.poll_timer(context, look));
        }
    }

    /// Ready at a time. The timer is left to an earlier one rather than moved with every request.
    fn poll_timer(&mut self, context: &mut Context<'_>, time: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Rarely::new(Box::pin(sleep_until(time))));
        if timer.get().deadline() > time || timer.get().is_elapsed() {
            timer.get_mut().as_mut().reset(time);
        }
        Pin::new(timer).poll(context)
    }

    /// Ready when a response has had its time.
    fn poll_stalled(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let (now, untaken) = (Instant::now(), self.socket.untaken());
            let stall = self.stalled.get_or_insert_with(|| Stall::new(now, untaken));
            stall.look(now, untaken, self.times.pace);
            let deadline = stall.deadline(&self.times);
            if now >= deadline {
                self.socket.abandon();
                self.ended = true;
                return Poll::Ready(ErrorKind::TimedOut.into());
            }
            let look = now + self.times.pace.stall / LOOKS;
            ready!(self.poll_timer(context, deadline.min(look)));
        }
    }

    /// Judges what became of an offer to send so many bytes.
    fn sent(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        result: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match result {
            Poll::Ready(Ok(taken)) if taken >= offered => {
                if self.stalled.take().is_some() {
                    self.activity.rest();
                }
            }
            Poll::Ready(Ok(taken)) => {
                let (now, socket) = (Instant::now(), &self.socket);
                self.stalled.get_or_insert_with(|| Stall::new(now, socket.untaken())).accepted += taken as u64;
            }
            Poll::Ready(Err(_)) => self.ended = true,
            Poll::Pending => return self.poll_stalled(context).map(Err),
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Socket + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refused {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if !self.first.is_empty() {
            let count = self.first.len().min(buffer.remaining());
            buffer.put_slice(self.first.get(..count).unwrap_or_default());
            self.first.advance(count);
            return Poll::Ready(self.admit(buffer, before));
        }
        if self.turn >= TURN {
            self.turn = 0;
            return end_turn(context);
        }
        match Pin::new(&mut self.socket).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled().len() - before;
                (self.ended, self.turn) = (read == 0, self.turn + read);
                if let Err(error) = self.admit(buffer, before) {
                    self.ended = !self.starved;
                    return Poll::Ready(Err(error));
                }
                // Bytes alone are no reason to wait longer: a connection of several requests may send them for ever.
                match self.read_deadline().filter(|_| self.guard.is_none()) {
                    Some(deadline) if Instant::now() >= deadline => Poll::Ready(Err(ErrorKind::TimedOut.into())),
                    _ => Poll::Ready(Ok(())),
                }
            }
            Poll::Ready(Err(error)) => {
                self.ended = true;
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                self.turn = 0;
                self.poll_silence(context).map(Err)
            }
        }
    }
}

/// Pending until every other task that is ready had its turn, and those whose sockets have become ready meanwhile.
fn end_turn<T>(context: &mut Context<'_>) -> Poll<T> {
    // Polled once, it has arranged for the task to be woken then.
    let _ = std::pin::pin!(tokio::task::yield_now()).poll(context);
    Poll::Pending
}

impl<S: AsyncRead + AsyncWrite + Socket + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.sent(context, bytes.len(), result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        // Copying a small response once more costs less than handing it to the kernel in pieces.
        if offered <= SMALL_WRITE {
            let (mut whole, mut length) = ([0; SMALL_WRITE], 0);
            for slice in slices {
                if let Some(place) = whole.get_mut(length..length + slice.len()) {
                    place.copy_from_slice(slice);
                    length += slice.len();
                }
            }
            return self.poll_write(context, whole.get(..length).unwrap_or_default());
        }
        let result = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.sent(context, offered, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.socket).poll_flush(context) {
            Poll::Pending => self.poll_stalled(context).map(Err),
            done => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]
mod tests {
    use starcell_budget::MemoryBudget;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const TIMES: Times =
        Times { head: SECOND, idle: Duration::from_secs(3), pace: Pace { stall: SECOND, min_rate: 100 }, send: None };

    fn pair() -> (tokio::io::DuplexStream, Transport<tokio::io::DuplexStream>, Arc<Activity>) {
        let (client, server) = tokio::io::duplex(64);
        let activity = Activity::new(TIMES.pace);
        let taken = MemoryBudget::unlimited().nothing();
        let transport =
            Transport::new(server, Bytes::new(), Some(Guard::default()), TIMES, Arc::clone(&activity), taken);
        (client, transport, activity)
    }

    async fn read_all(transport: &mut Transport<tokio::io::DuplexStream>) -> (Vec<u8>, io::Result<usize>) {
        let mut bytes = Vec::new();
        let result = transport.read_to_end(&mut bytes).await;
        (bytes, result)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_however_it_trickles() {
        let (mut client, mut transport, _) = pair();
        let began = Instant::now();
        let trickle = async {
            for byte in std::iter::repeat_n(b"a", 100) {
                tokio::time::sleep(SECOND / 10).await;
                if client.write_all(byte).await.is_err() {
                    break;
                }
            }
        };
        let reading = async { read_all(&mut transport).await.1.unwrap_err() };
        let error = tokio::select! { error = reading => error, () = trickle => unreachable!() };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn idling_has_another_time_than_a_head() {
        let (_client, mut transport, activity) = pair();
        drop(activity.begin());
        let began = Instant::now();
        assert_eq!(read_all(&mut transport).await.1.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_head_takes_memory_until_its_message_ends() {
        let budget = MemoryBudget::new(128 << 10);
        let (client, server) = tokio::io::duplex(64 << 10);
        let (mut client, activity) = (client, Activity::new(TIMES.pace));
        let guard = Some(Guard::default());
        let mut transport = Transport::new(server, Bytes::new(), guard, TIMES, activity, budget.nothing());
        let mut buffer = vec![0; 64 << 10];
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX: ").await.unwrap();
        client.write_all(&[b'a'; 20_000]).await.unwrap();
        transport.read_exact(&mut buffer[..20_000]).await.unwrap();
        assert_eq!(budget.used(), 64 << 10);
        client.write_all(b"\r\n\r\n").await.unwrap();
        let rest = transport.read(&mut buffer).await.unwrap();
        assert!(rest > 0 && budget.used() == 0);
        // Where there is no memory for it, a head ends the connection.
        let _others = budget.try_take(MemoryUse::Small, 90 << 10).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nX: ").await.unwrap();
        client.write_all(&[b'a'; 20_000]).await.unwrap();
        let error = transport.read_exact(&mut buffer[..20_000]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfMemory);
        transport.linger().await;
        let mut told = [0; 12];
        client.read_exact(&mut told).await.unwrap();
        assert_eq!(&told, b"HTTP/1.1 503");
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_nobody_takes_ends() {
        let (mut client, mut transport, _) = pair();
        let began = Instant::now();
        let error = transport.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (ErrorKind::TimedOut, 1));

        // A client that was fast has earned nothing by that.
        let (mut fast, mut transport, _) = pair();
        let stalls = async {
            fast.read_exact(&mut [0; 10_000]).await.unwrap();
            Instant::now()
        };
        let sends = async { (transport.write_all(&[0; 100_000]).await.unwrap_err().kind(), Instant::now()) };
        let (stalled, (error, ended)) = tokio::join!(stalls, sends);
        assert_eq!(error, ErrorKind::TimedOut);
        assert!(ended - stalled <= SECOND + SECOND / 4, "{:?}", ended - stalled);

        // A client that takes more than the least rate may take as long as it needs.
        let (mut slow, mut transport, _) = pair();
        let began = Instant::now();
        let taking = async {
            let mut buffer = [0; 60];
            while slow.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                tokio::time::sleep(SECOND / 3).await;
            }
        };
        tokio::select! { result = transport.write_all(&[0; 1000]) => result.unwrap(), () = taking => unreachable!() }
        assert!(began.elapsed().as_secs() >= 3);
        let _ = client.read(&mut []).await;
    }

    #[tokio::test]
    async fn who_sends_without_a_pause_takes_turns() {
        let (mut client, server) = tokio::io::duplex(8 * TURN);
        let body = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 16 * TURN);
        client.write_all(body.as_bytes()).await.unwrap();
        client.write_all(&vec![b'x'; 4 * TURN]).await.unwrap();
        let mut transport = Transport::new(
            server,
            Bytes::new(),
            Some(Guard::default()),
            TIMES,
            Activity::new(TIMES.pace),
            MemoryBudget::unlimited().nothing(),
        );
        let (mut buffer, mut read) = (vec![0; TURN / 2], 0);
        let mut polls = 0;
        let mut reading = std::pin::pin!(async {
            while read < 4 * TURN {
                read += transport.read(&mut buffer).await.unwrap();
            }
        });
        std::future::poll_fn(|context| {
            polls += 1;
            reading.as_mut().poll(context)
        })
        .await;
        assert!((4..=5).contains(&polls), "{polls} turns for four times as much as one has");
    }

    #[tokio::test(start_paused = true)]
    async fn who_said_that_it_was_all_is_not_waited_for() {
        for (head, waits) in [("", true), ("Connection: close\r\n", false)] {
            let (mut client, mut transport, _) = pair();
            client.write_all(format!("GET / HTTP/1.1\r\n{head}\r\n").as_bytes()).await.unwrap();
            let _ = transport.read(&mut [0; 64]).await.unwrap();
            let began = Instant::now();
            transport.linger().await;
            assert_eq!(began.elapsed() >= LINGER, waits, "{head:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_framed_strictly_becomes_what_no_parser_takes() {
        let (mut client, mut transport, _) = pair();
        client.write_all(b"GET / HTTP/1.1\nHost: a\n\nGET /secret").await.unwrap();
        assert_eq!(read_all(&mut transport).await.0, b"GET / HTTP/1.1\0");
    }
}
