//! How many connections there may be: in all, and from one address, so that one client cannot take every place.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use parking_lot::Mutex;

/// Connections when nobody says how many: half of the descriptors, as each may need another one for what it asks for.
const SHARE_OF_DESCRIPTORS: u64 = 2;

/// Bounds of that: enough to work, and no more than the kernel tracks well for one process.
const DEFAULT_RANGE: (u64, u64) = (64, 32_768);

/// The places of a process.
#[derive(Debug)]
pub struct Places {
    max: usize,
    max_per_address: u32,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_network: HashMap<IpAddr, u32>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub struct ConnectionPlace {
    places: Arc<Places>,
    network: IpAddr,
}

impl Places {
    /// So many places; by the limit on descriptors if `max` is not given.
    #[must_use]
    pub fn new(max: Option<NonZeroUsize>, max_per_address: NonZeroU32) -> Arc<Self> {
        let max = max.map_or_else(by_descriptors, NonZeroUsize::get);
        Arc::new(Self { max, max_per_address: max_per_address.get(), taken: Mutex::default() })
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.lock().total
    }

    /// All places.
    pub(crate) fn most(&self) -> usize {
        self.max
    }

    /// A place for a connection from `address`; none if all are taken, or all of that address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPlace> {
        let network = network(address);
        let mut taken = self.taken.lock();
        if taken.total >= self.max {
            return None;
        }
        let count = taken.by_network.entry(network).or_default();
        if *count >= self.max_per_address {
            return None;
        }
        *count += 1;
        taken.total += 1;
        Some(ConnectionPlace { places: Arc::clone(self), network })
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Entry::Occupied(mut entry) = taken.by_network.entry(self.network) {
            *entry.get_mut() = entry.get().saturating_sub(1);
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// What counts as one address: all of an IPv6 /64, since one client has that many.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn by_descriptors() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let (least, most) = DEFAULT_RANGE;
    let places = limit.map_or(most, |limit| limit / SHARE_OF_DESCRIPTORS).clamp(least, most);
    usize::try_from(places).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn places(max: usize, per_address: u32) -> Arc<Places> {
        Places::new(NonZeroUsize::new(max), NonZeroU32::new(per_address).unwrap())
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let places = places(3, 2);
        let (a, b): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let held = [places.take(a).unwrap(), places.take(a).unwrap()];
        assert!(places.take(a).is_none());
        let other = places.take(b).unwrap();
        assert!(places.take(b).is_none(), "all places are taken");
        drop((held, other));
        assert!(places.take(a).is_some());
        assert!(places.taken.lock().by_network.is_empty(), "nothing is remembered of those that left");
    }

    #[test]
    fn a_network_of_ipv6_and_a_mapped_address_count_as_one() {
        let places = places(10, 1);
        let take = |text: &str| places.take(text.parse().unwrap());
        let _held = (take("2001:db8::1").unwrap(), take("10.0.0.1").unwrap());
        assert!(take("2001:db8::2").is_none());
        assert!(take("::ffff:10.0.0.1").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }
}
