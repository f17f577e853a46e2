//! The classes of addresses: each says to what kind of place an address leads.
//!
//! A granted host name says nothing about where its addresses point: the owner of the name may
//! answer with `169.254.169.254` and read the cloud's credentials through the script. So every
//! resolved address is put into a class, and a profile grants classes. Addresses that carry an IPv4
//! address inside (mapped, translated, tunnelled) take the worst class found in them, because the
//! packet ends up there; whatever is not known to be public is not public.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{Ipv4Net, Ipv6Net};

/// The kind of place that an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// 255.255.255.255.
    Broadcast,
    /// 169.254.0.0/16 and fe80::/10.
    LinkLocal,
    /// 127.0.0.0/8 and ::1.
    Loopback,
    /// An address where clouds hand out credentials.
    Metadata,
    /// 224.0.0.0/4 and ff00::/8.
    Multicast,
    /// The private ranges, shared address space (100.64.0.0/10) and unique local IPv6.
    Private,
    /// The rest: the public internet.
    Public,
    /// Documentation, benchmarks, translation prefixes and whatever is not assigned.
    Reserved,
    /// 0.0.0.0/8 and ::, which a kernel takes for the machine itself.
    Unspecified,
}

impl AddressClass {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Broadcast,
        Self::LinkLocal,
        Self::Loopback,
        Self::Metadata,
        Self::Multicast,
        Self::Private,
        Self::Public,
        Self::Reserved,
        Self::Unspecified,
    ];

    /// The class of an address: the worst of its own and of those of the addresses inside.
    pub fn of(address: IpAddr) -> Self {
        let own = match address.to_canonical() {
            IpAddr::V4(v4) => Some(of_v4(v4)),
            // What only wraps an IPv4 address has no class of its own.
            IpAddr::V6(v6) if !wrapped(v6).is_empty() => None,
            IpAddr::V6(v6) => Some(of_v6(v6)),
        };
        let inside = embedded(address).into_iter().map(of_v4);
        inside.chain(own).max_by_key(|class| class.rank()).unwrap_or(Self::Reserved)
    }

    /// How little an address of this class is to be trusted: what one profile adds after another.
    const fn rank(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Loopback => 1,
            Self::Private => 2,
            Self::Broadcast | Self::Multicast | Self::Reserved | Self::Unspecified => 3,
            Self::LinkLocal => 4,
            Self::Metadata => 5,
        }
    }

    /// A stable label for metrics and the audit log.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Broadcast => "broadcast",
            Self::LinkLocal => "link_local",
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
            Self::Multicast => "multicast",
            Self::Private => "private",
            Self::Public => "public",
            Self::Reserved => "reserved",
            Self::Unspecified => "unspecified",
        }
    }
}

/// The class in words, as in "a link-local address".
impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkLocal => f.write_str("link-local"),
            other => f.write_str(other.label()),
        }
    }
}

/// The classes of addresses that a profile lets `http.client` reach without naming them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddressClasses(u16);

impl AddressClasses {
    /// Every class.
    pub fn all() -> Self {
        AddressClass::ALL.into_iter().collect()
    }

    /// Returns whether the class is one of them.
    pub const fn contains(self, class: AddressClass) -> bool {
        self.0 & 1 << class as u16 != 0
    }

    /// Returns whether all of them are in `other`.
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

impl FromIterator<AddressClass> for AddressClasses {
    fn from_iter<T: IntoIterator<Item = AddressClass>>(classes: T) -> Self {
        Self(classes.into_iter().fold(0, |set, class| set | 1 << class as u16))
    }
}

/// Returns whether connecting to the address reaches the machine itself.
pub(crate) fn is_local(address: IpAddr) -> bool {
    matches!(AddressClass::of(address), AddressClass::Loopback | AddressClass::Unspecified)
}

/// The loopback address that a connection to the unspecified address ends at.
pub(crate) fn reached_by_unspecified(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) if v4.is_unspecified() => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        _ => None,
    }
}

/// The IPv4 addresses inside an IPv6 address: those it wraps, and the interface of ISATAP.
pub(crate) fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(v6) = address else {
        return Vec::new();
    };
    let mut inside = wrapped(v6);
    if let [_, _, _, _, 0 | 0x200, 0x5efe, a, b] = v6.segments() {
        inside.push(pair(a, b));
    }
    inside
}

/// The IPv4 addresses that an IPv6 address is only a way to write or to reach: mapped, compatible,
/// translated (SIIT and NAT64), 6to4, and the server and client of Teredo.
fn wrapped(v6: Ipv6Addr) -> Vec<Ipv4Addr> {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        [0, 0, 0, 0, 0, 0 | 0xffff, a, b]
        | [0, 0, 0, 0, 0xffff, 0, a, b]
        | [0x64, 0xff9b, 0, 0, 0, 0, a, b]
        | [0x2002, a, b, ..] => vec![pair(a, b)],
        [0x2001, 0, a, b, _, _, c, d] => vec![pair(a, b), pair(!c, !d)],
        _ => Vec::new(),
    }
}

fn pair(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 4], last: u16, prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, last), prefix)
}

/// First match wins, so single addresses come before the ranges around them.
const V4: &[(Ipv4Net, AddressClass)] = &[
    (v4(169, 254, 169, 254, 32), AddressClass::Metadata), // AWS, Azure, GCP and most others
    (v4(169, 254, 170, 2, 32), AddressClass::Metadata),   // AWS container credentials
    (v4(169, 254, 170, 23, 32), AddressClass::Metadata),  // AWS pod identity
    (v4(100, 100, 100, 200, 32), AddressClass::Metadata), // Alibaba Cloud
    (v4(168, 63, 129, 16, 32), AddressClass::Metadata),   // Azure, inside a public range
    (v4(192, 0, 0, 192, 32), AddressClass::Metadata),     // Oracle Cloud
    (v4(0, 0, 0, 0, 8), AddressClass::Unspecified),
    (v4(10, 0, 0, 0, 8), AddressClass::Private),
    (v4(100, 64, 0, 0, 10), AddressClass::Private),
    (v4(127, 0, 0, 0, 8), AddressClass::Loopback),
    (v4(169, 254, 0, 0, 16), AddressClass::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressClass::Private),
    (v4(192, 0, 0, 0, 24), AddressClass::Reserved),
    (v4(192, 0, 2, 0, 24), AddressClass::Reserved),
    (v4(192, 88, 99, 0, 24), AddressClass::Reserved),
    (v4(192, 168, 0, 0, 16), AddressClass::Private),
    (v4(198, 18, 0, 0, 15), AddressClass::Reserved),
    (v4(198, 51, 100, 0, 24), AddressClass::Reserved),
    (v4(203, 0, 113, 0, 24), AddressClass::Reserved),
    (v4(224, 0, 0, 0, 4), AddressClass::Multicast),
    (v4(255, 255, 255, 255, 32), AddressClass::Broadcast),
    (v4(240, 0, 0, 0, 4), AddressClass::Reserved),
];

/// First match wins; what no line names is not assigned and so reserved.
const V6: &[(Ipv6Net, AddressClass)] = &[
    (v6([0xfd00, 0xec2, 0, 0], 0x254, 128), AddressClass::Metadata), // AWS
    (v6([0xfd00, 0xec2, 0, 0], 0x23, 128), AddressClass::Metadata),  // AWS pod identity
    (v6([0xfd20, 0xce, 0, 0], 0x254, 128), AddressClass::Metadata),  // GCP
    (v6([0, 0, 0, 0], 0, 128), AddressClass::Unspecified),
    (v6([0, 0, 0, 0], 1, 128), AddressClass::Loopback),
    (v6([0x64, 0xff9b, 1, 0], 0, 48), AddressClass::Private), // local NAT64
    (v6([0x2001, 0, 0, 0], 0, 23), AddressClass::Reserved),
    (v6([0x2001, 0xdb8, 0, 0], 0, 32), AddressClass::Reserved),
    (v6([0x3fff, 0, 0, 0], 0, 20), AddressClass::Reserved),
    (v6([0x2000, 0, 0, 0], 0, 3), AddressClass::Public),
    (v6([0xfc00, 0, 0, 0], 0, 7), AddressClass::Private),
    (v6([0xfe80, 0, 0, 0], 0, 10), AddressClass::LinkLocal),
    (v6([0xfec0, 0, 0, 0], 0, 10), AddressClass::Private),
    (v6([0xff00, 0, 0, 0], 0, 8), AddressClass::Multicast),
];

fn of_v4(address: Ipv4Addr) -> AddressClass {
    let found = V4.iter().find(|(net, _)| net.contains(&address));
    found.map_or(AddressClass::Public, |(_, class)| *class)
}

fn of_v6(address: Ipv6Addr) -> AddressClass {
    let found = V6.iter().find(|(net, _)| net.contains(&address));
    found.map_or(AddressClass::Reserved, |(_, class)| *class)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_worst_address_inside_decides() {
        for (text, class) in [
            ("2001:0:808:808:0:0:f5ff:fffa", AddressClass::Private), // Teredo client 10.0.0.5
            ("2001:0:a00:5:0:0:f7f7:f7f7", AddressClass::Private),   // Teredo server 10.0.0.5
            ("2001:0:808:808:0:0:f7f7:f7f7", AddressClass::Public),
            ("64:ff9b::8.8.8.8", AddressClass::Public),
            ("2600::5efe:10.0.0.5", AddressClass::Private),
            ("2600::5efe:8.8.8.8", AddressClass::Public),
            ("fd00::5efe:8.8.8.8", AddressClass::Private),
            ("fe80::5efe:8.8.8.8", AddressClass::LinkLocal),
            ("2001:db8::5efe:8.8.8.8", AddressClass::Reserved),
            ("2002:808:808::5efe:10.0.0.5", AddressClass::Private),
            ("2002:7f00:1::5efe:10.0.0.5", AddressClass::Private),
        ] {
            assert_eq!(AddressClass::of(text.parse().unwrap()), class, "{text}");
        }
    }

    #[test]
    fn sets_of_classes() {
        let public: AddressClasses = [AddressClass::Public].into_iter().collect();
        assert!(public.contains(AddressClass::Public));
        assert!(!public.contains(AddressClass::Loopback));
        assert!(public.is_subset(AddressClasses::all()));
        assert!(!AddressClasses::all().is_subset(public));
        assert!(!AddressClasses::default().contains(AddressClass::Public));
    }
}
