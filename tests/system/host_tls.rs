//! `starcell host`: certificates by name, read again when they change, and broken ones that take nobody else down.

use std::fs;

use starcell_tests::good::Good;
use starcell_tests::node::{NodeFolder, ask_on, says};
use starcell_tests::process::{PATIENCE, eventually};
use starcell_tests::tls::{Identity, connect_to, replace};

const REST: &str = "[listeners.secure]\naddress = \"127.0.0.1:0\"\ncertificates = \"certs\"\n[tenants.acme]\n\
                    profile = \"allow-local\"\n";

fn node() -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(REST);
    fs::create_dir(node.path.join("certs")).unwrap();
    node.app("one", "tenant = \"acme\"\nhosts = [\"a.example\", \"b.example\", \"x.c.example\"]\n", &says("one"));
    node
}

fn identity(node: &NodeFolder, file: &str, name: &str) -> Identity {
    let certs = node.path.join("certs");
    Identity::of(name, certs.join(format!("{file}.crt")), certs.join(format!("{file}.key")))
}

#[test]
fn a_certificate_is_chosen_by_name() {
    let node = node();
    let a = identity(&node, "a.example", "a.example");
    let b = identity(&node, "b.example", "b.example");
    let wild = identity(&node, "_.c.example", "*.c.example");
    let starcell = node.start(&[]);
    let port = starcell.port();
    for (name, identity) in [("a.example", &a), ("b.example", &b), ("x.c.example", &wild)] {
        let mut client = connect_to(port, name, &[identity], &["http/1.1"]).unwrap();
        assert_eq!(ask_on(&mut client, name, "/").unwrap().text(), "one", "{name}");
    }
    // Nobody has this name, and no other's certificate is shown for it.
    assert!(connect_to(port, "d.example", &[&a, &b, &wild], &[]).is_err());
    assert!(connect_to(port, "127.0.0.1", &[&a, &b, &wild], &[]).is_err(), "a client that asks for no name");
    let fallback = identity(&node, "default", "d.example");
    eventually(PATIENCE / 2, "the default one", || connect_to(port, "d.example", &[&fallback], &[]).is_ok());
}

#[test]
fn certificates_are_read_again_and_a_broken_pair_leaves_the_others() {
    let node = node();
    let a = identity(&node, "a.example", "a.example");
    let b = identity(&node, "b.example", "b.example");
    fs::write(node.path.join("certs/c.example.crt"), "none").unwrap();
    let mut starcell = node.spawn(&[]);
    starcell.wait_for("the certificate of c.example");
    starcell.wait_for("serving ");
    let port = starcell.port();
    assert!(connect_to(port, "a.example", &[&a], &[]).is_ok() && connect_to(port, "b.example", &[&b], &[]).is_ok());
    // A new pair for one name.
    let other = Identity::make();
    let renewed = Identity::of("a.example", other.cert.clone(), other.key.clone());
    a.become_like(&renewed);
    eventually(PATIENCE / 2, "the new certificate", || connect_to(port, "a.example", &[&renewed], &[]).is_ok());
    assert!(connect_to(port, "b.example", &[&b], &[]).is_ok());
    // A pair that breaks stays as it was.
    replace(&node.path.join("certs/b.example.key"), b"broken");
    starcell.wait_for("the certificate of b.example");
    assert!(connect_to(port, "b.example", &[&b], &[]).is_ok());
    assert!(connect_to(port, "a.example", &[&renewed], &[]).is_ok());
}

#[test]
fn no_request_fails_while_certificates_change_and_the_configuration_is_read_again() {
    let node = node();
    let a = identity(&node, "a.example", "a.example");
    let [first, second] = [(), ()].map(|()| {
        let files = Identity::make();
        Identity::of("a.example", files.cert, files.key)
    });
    a.become_like(&first);
    let mut starcell = node.start(&[]);
    let port = starcell.port();
    let trusts = |identities: Vec<Identity>| {
        move || {
            let identities: Vec<&Identity> = identities.iter().collect();
            connect_to(port, "a.example", &identities, &["http/1.1"])
        }
    };
    let (either, newer) = (trusts(vec![first.clone(), second.clone()]), trusts(vec![second.clone()]));
    let kept = Good::keep(
        {
            let connect = trusts(vec![first.clone()]);
            move || connect().expect("the first certificate")
        },
        |client| assert_eq!(ask_on(client, "a.example", "/").expect("a kept connection").text(), "one"),
    );
    let others = Good::keep(
        || (),
        move |()| {
            let mut client = either().expect("one of the two certificates");
            assert_eq!(ask_on(&mut client, "a.example", "/").expect("a new connection").text(), "one");
        },
    );
    a.become_like(&second);
    eventually(PATIENCE / 2, "the second certificate", || newer().is_ok());
    for turn in 0..3 {
        node.configure(&format!("{REST}[tenants.other{turn}]\nprofile = \"allow-local\"\n"));
        starcell.signal("HUP");
        starcell.wait_for("the configuration was read again");
    }
    assert!(!kept.finish().is_empty() && !others.finish().is_empty());
}
