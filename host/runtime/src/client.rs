//! HTTP to other servers, for one app.
//!
//! A name is resolved once, every address is judged, and the connection is made to the address in a permit: no proxy,
//! no second look-up, no redirect of its own. Connections are kept for reuse by the same app to the same judged address
//! only, and TLS always verifies the name.
//!
//! - `allowance`: the bytes that responses may have
//! - `closed`: the addresses of the host itself
//! - `connect`: a connection to a permitted address
//! - `pool`: connections that wait to be used again
//! - `tls`: which certificates are believed
//! - [`resolve`]: names to addresses

mod allowance;
mod closed;
pub(crate) mod connect;
mod pool;
pub mod resolve;
pub(crate) mod tls;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use parking_lot::Mutex;
use starcell_budget::Taken;
use starcell_policy::{Endpoint, Permit};
use tokio::task::JoinSet;

pub(crate) use allowance::Allowance;
pub use closed::close_address;
use connect::Sender;
use pool::{Pool, Target};
use resolve::{Resolve, System};
use tls::Tls;

use crate::holding::Holding;
use crate::os_words::with_causes;

/// Bytes that a connection holds by itself: its buffers, its task, and what TLS keeps for it.
const CONNECTION_BYTES: usize = 64 << 10;

/// Who is asked before each request to another server, and may have it wait.
pub trait Toll: fmt::Debug + Send + Sync + 'static {
    /// Lets a request pass. The error is the sentence for the script.
    fn pay(&self) -> BoxFuture<'_, Result<(), String>>;
}

/// The HTTP client of one app. Cheap to clone.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    resolver: Arc<dyn Resolve>,
    pool: Pool,
    tls: Tls,
    toll: Option<Arc<dyn Toll>>,
    /// The tasks that move the connections' bytes; they end with the client.
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("resolver", &self.0.resolver).finish_non_exhaustive()
    }
}

impl Default for Client {
    fn default() -> Self {
        Self::new(Arc::new(System::default()))
    }
}

impl Client {
    /// A client that asks this resolver for addresses.
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self::with(resolver, None)
    }

    /// A client whose every request passes a toll.
    #[must_use]
    pub fn tolled(toll: Arc<dyn Toll>) -> Self {
        Self::with(Arc::new(System::default()), Some(toll))
    }

    fn with(resolver: Arc<dyn Resolve>, toll: Option<Arc<dyn Toll>>) -> Self {
        let (pool, tls, tasks) = (Pool::default(), Tls::default(), Mutex::default());
        Self(Arc::new(Inner { resolver, pool, tls, toll, tasks }))
    }

    /// Passes the toll, if there is one.
    pub(crate) async fn pay(&self) -> Result<(), String> {
        match &self.0.toll {
            Some(toll) => toll.pay().await,
            None => Ok(()),
        }
    }

    pub(crate) fn resolver(&self) -> &dyn Resolve {
        &*self.0.resolver
    }

    /// Sends a request to the address of the permit and reads the whole response. With it comes the memory that it takes.
    pub(crate) async fn exchange(
        &self,
        permit: &Permit<Endpoint>,
        mut request: Request<Full<Bytes>>,
        (holding, allowance): (&Holding, &Allowance),
    ) -> Result<(Response<Bytes>, Taken), String> {
        let target = Target::of(permit);
        loop {
            let (mut sender, used) = match self.0.pool.take(&target) {
                // The task of the connection may not have seen yet that the last response was read.
                Some(mut sender) => match sender.ready().await {
                    Ok(()) => (sender, true),
                    Err(_closed) => continue,
                },
                None => (self.connect(permit, holding).await?, false),
            };
            // A server may close a connection at any time, and then nobody knows what became of the request on it. What
            // only asks is asked again.
            let again = (used && request.method().is_safe()).then(|| request.clone());
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let response = whole(response, (holding, allowance)).await?;
                    self.0.pool.put(target, sender);
                    return Ok(response);
                }
                // It was closed while it waited, so nothing was sent: the next is tried, and in the end a fresh one.
                Err(mut error) => match error.take_message().filter(|_| used).or(again) {
                    Some(unsent) => request = unsent,
                    None => return Err(with_causes(&error.into_error())),
                },
            }
        }
    }

    async fn connect(&self, permit: &Permit<Endpoint>, holding: &Holding) -> Result<Sender, String> {
        let taken = holding.take(CONNECTION_BYTES).await?;
        let (sender, connection) = connect::connect(permit, &self.0.tls).await?;
        let mut tasks = self.0.tasks.lock();
        while tasks.try_join_next().is_some() {}
        // Its error is that of the request which is under way.
        tasks.spawn(async move {
            connection.await.unwrap_or_default();
            drop(taken);
        });
        Ok(sender)
    }
}

/// The response with all of its body. Its pieces are gathered in one buffer: a piece that is kept would keep the whole
/// buffer that it was read into.
async fn whole(
    response: Response<Incoming>,
    (holding, allowance): (&Holding, &Allowance),
) -> Result<(Response<Bytes>, Taken), String> {
    let (parts, mut body) = response.into_parts();
    let mut gathered = allowance.gather(holding);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|error| with_causes(&error))?.into_data() else { continue };
        gathered.add(&piece).await?;
    }
    let (bytes, taken) = gathered.finish();
    Ok((Response::from_parts(parts, bytes.into()), taken))
}
