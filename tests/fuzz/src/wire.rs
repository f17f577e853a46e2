//! hyper over memory: bytes in, bytes out, and nobody to wait for.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use starcell_http::framing::Guard;

/// What no HTTP/1 parser takes: the product's own way to say that the bytes end here.
const POISON: u8 = 0;

/// A client that has sent everything already, and waits for what comes of it.
struct Wire {
    input: Vec<u8>,
    at: usize,
    /// Bytes of one read.
    step: usize,
    guard: Option<Guard>,
    refused: bool,
    output: Rc<RefCell<Vec<u8>>>,
}

impl Read for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.refused {
            return Poll::Ready(Ok(()));
        }
        if this.at == this.input.len() {
            return Poll::Pending;
        }
        let count = this.step.min(this.input.len() - this.at).min(buffer.remaining());
        let piece = &this.input[this.at..this.at + count];
        match this.guard.as_mut().map_or(Ok(()), |guard| guard.feed(piece)) {
            Ok(()) => buffer.put_slice(piece),
            Err((fit, _)) => {
                this.refused = true;
                buffer.put_slice(&piece[..fit]);
                buffer.put_slice(&[POISON]);
            }
        }
        this.at += count;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.output.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Serves a connection from its bytes, read in steps of so many, and returns what was sent to the client.
///
/// `limit` is for a request's head. With a guard the bytes pass it as they do in the product.
pub(crate) fn serve<F>(
    input: &[u8],
    step: usize,
    limit: usize,
    guard: Option<Guard>,
    service: impl Fn(Request<Incoming>) -> F,
) -> Vec<u8>
where
    F: Future<Output = Response<Bytes>>,
{
    let output = Rc::new(RefCell::new(Vec::new()));
    let wire =
        Wire { input: input.to_vec(), at: 0, step: step.max(1), guard, refused: false, output: Rc::clone(&output) };
    let mut builder = http1::Builder::new();
    builder.header_read_timeout(None).max_header_size(limit).max_buf_size((limit * 2).max(8 << 10));
    let service = service_fn(|request| {
        let answer = service(request);
        async move { Ok::<_, Infallible>(answer.await.map(Full::new)) }
    });
    let connection = pin!(builder.serve_connection(wire, service));
    run(connection);
    output.take()
}

/// Runs until it has ended, or waits for the client.
fn run(mut connection: Pin<&mut impl Future>) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    while connection.as_mut().poll(&mut context).is_pending() && woken.0.swap(false, Ordering::Relaxed) {}
}
