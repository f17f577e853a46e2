//! Names to addresses. A trait, so that a test can be the name server that lies.
//!
//! The system's resolver blocks its thread for as long as a name server is silent, and its threads cannot be stopped. So
//! it has threads of its own: as many for one app, and for all apps together, as are worth holding for servers that do
//! not answer. A look-up that finds no place waits in the time of its request, and delays no other work of the host.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use starcell_policy::HostName;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Most addresses of one name that are looked at.
const MAX_ADDRESSES: usize = 16;

/// Look-ups of one app at a time.
const PLACES_OF_APP: usize = 8;

/// Look-ups of all apps at a time. Each holds a thread.
const PLACES: usize = 64;

/// How long a look-up may take: the resolver of glibc gives a name server 5 s and asks it twice.
const MAX_TIME: Duration = Duration::from_secs(12);

/// Bytes of stack of a thread that looks a name up; modules of the system's resolver need some hundred kilobytes.
const STACK_BYTES: usize = 512 << 10;

/// Tells the addresses of a name.
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The addresses of a name, the preferred first.
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver, as one app uses it.
#[derive(Debug)]
pub struct System {
    places: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES_OF_APP)) }
    }
}

impl Resolve for System {
    fn resolve<'a>(&'a self, name: &'a HostName) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        let name = name.as_str().to_owned();
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let looked_up = timeout(MAX_TIME, in_a_place(places, move || system(&name))).await;
            looked_up.unwrap_or_else(|_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut)))
        })
    }
}

/// The one place that resolves; each answer is judged before it is used.
fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    let addresses = (name, 0).to_socket_addrs()?;
    Ok(addresses.map(|address| address.ip()).take(MAX_ADDRESSES).collect())
}

/// Does what blocks on a thread of its own, once the app has a place for it. The place is taken until the thread ends,
/// whoever waits for it.
#[expect(clippy::disallowed_methods, reason = "a thread that nobody can end; its place is what bounds their number")]
async fn in_a_place<T: Send + 'static>(
    places: Arc<Semaphore>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    static ALL: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(PLACES)));
    let closed = |_| io::Error::other("the resolver is closed");
    let own = places.acquire_owned().await.map_err(closed)?;
    let common = Arc::clone(&ALL).acquire_owned().await.map_err(closed)?;
    let (answer, answered) = oneshot::channel();
    let run = move || {
        let done = work();
        drop((own, common));
        // Whoever asked may be gone.
        let _ = answer.send(done);
    };
    thread::Builder::new().name("resolve".into()).stack_size(STACK_BYTES).spawn(run)?;
    answered.await.map_err(|_| io::Error::other("the resolver failed"))?
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_name_of_this_machine_is_resolved() {
        let name = match starcell_policy::Host::parse("localhost").unwrap() {
            starcell_policy::Host::Name(name) => name,
            starcell_policy::Host::Address(_) => unreachable!(),
        };
        let found = System::default().resolve(&name).await.unwrap();
        assert!(found.iter().any(IpAddr::is_loopback), "{found:?}");
    }

    #[tokio::test]
    async fn whoever_leaves_does_not_give_the_place_back() {
        static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);
        let places = Arc::new(Semaphore::new(2));
        let (end, ended) = mpsc::channel::<()>();
        let ended = Arc::new(parking_lot::Mutex::new(ended));
        for _ in 0..10 {
            let ended = Arc::clone(&ended);
            let silent = move || {
                UNDER_WAY.fetch_add(1, Ordering::SeqCst);
                let _ = ended.lock().recv();
                Ok(())
            };
            let left = timeout(Duration::from_millis(20), in_a_place(Arc::clone(&places), silent)).await;
            assert!(left.is_err(), "nobody answers");
        }
        assert_eq!(UNDER_WAY.load(Ordering::SeqCst), 2);
        drop(end);
        // Once the threads have ended there is a place again.
        in_a_place(places, || Ok(())).await.unwrap();
    }
}
