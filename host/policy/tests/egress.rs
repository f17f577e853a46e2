//! Every way to spell an address that a public-only grant must not reach.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use starcell_policy::{AddressClass, CanonicalPath, DenyReason, Grants, HttpMethod, Profile, Roots, Rule, Url};

use AddressClass::{Broadcast, LinkLocal, Loopback, Metadata, Multicast, Private, Public, Reserved, Unspecified};

/// Hosts as a URL spells them, and where they lead.
const FORBIDDEN: &[(&str, AddressClass)] = &[
    // Loopback.
    ("127.0.0.1", Loopback),
    ("127.0.0.1.", Loopback),
    ("127.255.255.254", Loopback),
    ("127.1", Loopback),
    ("127.0.1", Loopback),
    ("2130706433", Loopback),
    ("0x7f000001", Loopback),
    ("0X7F.0.0.1", Loopback),
    ("0x7f.1", Loopback),
    ("0177.0.0.1", Loopback),
    ("017700000001", Loopback),
    ("00000177.0.0.1", Loopback),
    ("[::1]", Loopback),
    ("[0:0:0:0:0:0:0:1]", Loopback),
    ("[::ffff:127.0.0.1]", Loopback),
    ("[::ffff:7f00:1]", Loopback),
    ("[::FFFF:7F00:0001]", Loopback),
    ("[::127.0.0.1]", Loopback),
    ("[::ffff:0:127.0.0.1]", Loopback),
    ("[64:ff9b::127.0.0.1]", Loopback),
    ("[64:ff9b::7f00:1]", Loopback),
    ("[2002:7f00:1::]", Loopback),
    ("[2001:0:808:808:0:0:80ff:fffe]", Loopback),
    ("[2600::5efe:127.0.0.1]", Loopback),
    // The machine itself, by another name.
    ("0.0.0.0", Unspecified),
    ("0", Unspecified),
    ("0x0", Unspecified),
    ("0.1.2.3", Unspecified),
    ("[::]", Unspecified),
    ("[::ffff:0.0.0.0]", Unspecified),
    // Private ranges.
    ("10.0.0.1", Private),
    ("10.1", Private),
    ("167772161", Private),
    ("0x0a.0.0.1", Private),
    ("012.0.0.1", Private),
    ("172.16.0.1", Private),
    ("172.31.255.255", Private),
    ("192.168.1.1", Private),
    ("0xc0.0250.1.1", Private),
    ("100.64.0.1", Private),
    ("100.127.255.255", Private),
    ("[::ffff:10.0.0.1]", Private),
    ("[::ffff:c0a8:101]", Private),
    ("[64:ff9b::10.0.0.1]", Private),
    ("[64:ff9b:1::10.0.0.1]", Private),
    ("[2002:a00:1::1]", Private),
    ("[fc00::1]", Private),
    ("[fd12:3456::1]", Private),
    ("[fec0::1]", Private),
    // Link-local and metadata.
    ("169.254.0.1", LinkLocal),
    ("[fe80::1]", LinkLocal),
    ("[febf::1]", LinkLocal),
    ("169.254.169.254", Metadata),
    ("169.254.43518", Metadata),
    ("2852039166", Metadata),
    ("0xa9fea9fe", Metadata),
    ("0251.0376.0251.0376", Metadata),
    ("169.254.170.2", Metadata),
    ("100.100.100.200", Metadata),
    ("168.63.129.16", Metadata),
    ("192.0.0.192", Metadata),
    ("[::ffff:169.254.169.254]", Metadata),
    ("[64:ff9b::a9fe:a9fe]", Metadata),
    ("[2002:a9fe:a9fe::]", Metadata),
    ("[fd00:ec2::254]", Metadata),
    ("[fd20:ce::254]", Metadata),
    // Nobody's.
    ("192.0.2.1", Reserved),
    ("192.0.0.1", Reserved),
    ("192.88.99.1", Reserved),
    ("198.18.0.1", Reserved),
    ("198.51.100.1", Reserved),
    ("203.0.113.1", Reserved),
    ("240.0.0.1", Reserved),
    ("[2001:db8::1]", Reserved),
    ("[3fff::1]", Reserved),
    ("[100::1]", Reserved),
    ("[4000::1]", Reserved),
    ("[5f00::1]", Reserved),
    ("224.0.0.1", Multicast),
    ("239.255.255.250", Multicast),
    ("[ff02::1]", Multicast),
    ("255.255.255.255", Broadcast),
    ("4294967295", Broadcast),
];

const PUBLIC: &[&str] = &[
    "1.1.1.1",
    "8.8.8.8.",
    "134744072",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "[2606:4700:4700::1111]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::808:808]",
    "[2002:808:808::1]",
];

fn grants(profile: &str, allow: &[&str]) -> Grants {
    let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
    let allow: Vec<Rule> = allow.iter().map(|rule| Rule::parse(rule).unwrap()).collect();
    Grants::new(&Profile::named(profile).unwrap(), &allow, &[], &roots).unwrap()
}

fn url(host: &str) -> Url {
    Url::parse(&format!("http://{host}/latest")).unwrap()
}

fn address(host: &str) -> std::net::IpAddr {
    match url(host).host() {
        starcell_policy::Host::Address(address) => *address,
        starcell_policy::Host::Name(name) => panic!("{name} is a name"),
    }
}

#[test]
fn every_spelling_has_its_class() {
    for (host, class) in FORBIDDEN {
        assert_eq!(AddressClass::of(address(host)), *class, "{host}");
    }
    for host in PUBLIC {
        assert_eq!(AddressClass::of(address(host)), Public, "{host}");
    }
}

#[test]
fn allow_net_reaches_public_addresses_only() {
    let grants = grants("allow-net", &[]);
    for (host, class) in FORBIDDEN {
        let denial = grants.decide(HttpMethod::Get, url(host)).unwrap_err();
        assert_eq!(denial.reason(), DenyReason::AddressNotGranted, "{host}");
        assert_eq!(denial.address_class(), Some(*class), "{host}");
    }
    for host in PUBLIC {
        let permit = grants.decide(HttpMethod::Get, url(host)).unwrap();
        let endpoint = permit.address(address(host)).unwrap();
        assert_eq!(endpoint.resource().socket_addr().ip(), address(host));
    }
}

#[test]
fn a_granted_name_does_not_lead_anywhere_else() {
    for (profile, rules) in [("allow-net", &[][..]), ("deny-all", &["http.client(evil.example)"][..])] {
        let grants = grants(profile, rules);
        let permit = grants.decide(HttpMethod::Get, url("evil.example")).unwrap();
        for (host, class) in FORBIDDEN {
            let denial = permit.address(address(host)).unwrap_err();
            assert_eq!(denial.address_class(), Some(*class), "{host}");
            let text = denial.to_string();
            assert!(!text.contains(&address(host).to_string()) || text.contains("http://::"), "{text}");
        }
        assert!(permit.address(address("8.8.8.8")).is_ok());
    }
}

#[test]
fn the_rungs_add_loopback_and_then_the_rest() {
    let local = grants("allow-local", &[]);
    let all = grants("allow-all", &[]);
    for (host, class) in FORBIDDEN {
        let allowed = local.decide(HttpMethod::Get, url(host)).is_ok();
        assert_eq!(allowed, *class == Loopback, "{host}");
        assert!(all.decide(HttpMethod::Get, url(host)).is_ok(), "{host}");
    }
}

#[test]
fn a_rule_grants_the_addresses_it_names() {
    let grants = grants("allow-net", &["http.client(10.0.0.0/8)", "http.client(0xa9fea9fe:80)"]);
    for host in ["10.0.0.1", "167772161", "[::ffff:10.0.0.1]", "169.254.169.254"] {
        assert!(grants.decide(HttpMethod::Get, url(host)).is_ok(), "{host}");
    }
    for host in ["11.0.0.0.1", "192.168.0.1", "[64:ff9b::10.0.0.1]", "169.254.169.254:81"] {
        let refused = Url::parse(&format!("http://{host}/")).map(|url| grants.decide(HttpMethod::Get, url).is_err());
        assert!(refused.unwrap_or(true), "{host}");
    }
    let permit = grants.decide(HttpMethod::Get, url("db.example")).unwrap();
    assert!(permit.address(address("10.2.3.4")).is_ok());
    assert!(permit.address(address("192.168.0.1")).is_err());
}

#[test]
fn a_range_alone_grants_no_name() {
    let grants = grants("deny-all", &["http.client(10.0.0.0/8)"]);
    assert!(grants.decide(HttpMethod::Get, url("10.0.0.1")).is_ok());
    let denial = grants.decide(HttpMethod::Get, url("db.example")).unwrap_err();
    assert_eq!(denial.reason(), DenyReason::NotGranted);
}

#[test]
fn a_denied_range_stops_names_and_disguises() {
    let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
    let deny = [Rule::parse("http.client(127.0.0.0/8)").unwrap()];
    let grants = Grants::new(&Profile::named("allow-all").unwrap(), &[], &deny, &roots).unwrap();
    let permit = grants.decide(HttpMethod::Get, url("evil.example")).unwrap();
    let disguises = FORBIDDEN.iter().filter(|(host, class)| *class == Loopback && *host != "[::1]");
    for (host, _) in disguises.filter(|(host, _)| *host != "[0:0:0:0:0:0:0:1]") {
        let denial = grants.decide(HttpMethod::Get, url(host)).unwrap_err();
        assert_eq!(denial.reason(), DenyReason::DeniedByRule, "{host}");
        assert!(permit.address(address(host)).is_err(), "{host}");
    }
    assert!(grants.decide(HttpMethod::Get, url("0.0.0.0")).is_err());
    assert!(permit.address(address("10.0.0.1")).is_ok());
}

#[test]
fn an_address_in_the_url_is_the_one_to_dial() {
    let grants = grants("allow-all", &[]);
    let permit = grants.decide(HttpMethod::Get, url("8.8.8.8")).unwrap();
    let denial = permit.address(address("1.1.1.1")).unwrap_err();
    assert_eq!(denial.reason(), DenyReason::AddressNotOfUrl);
    assert!(permit.address("::ffff:8.8.8.8".parse().unwrap()).is_ok());
}
