//! Which hosts a server answers for.

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, script};

const SCRIPT: &str = "srv = http.server()\nsrv.handle(\"/\", lambda req: req.host)\n\
                      srv.handle(\"api.example/\", lambda req: \"api\")\nsrv.serve(port=0)\n";

/// The status for each host.
fn statuses(flags: &[&str], hosts: &[&str]) -> Vec<u16> {
    let starcell = Starcell::serve(flags, &script(SCRIPT));
    let ask = |host: &&str| {
        let mut client = Client::connect(starcell.port());
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        client.read(false).unwrap().status
    };
    hosts.iter().map(ask).collect()
}

#[test]
fn any_host_is_answered_unless_a_flag_says_which() {
    let hosts = ["localhost", "evil.example", "api.example", "shop.example:8080"];
    assert_eq!(statuses(&[], &hosts), [200, 200, 200, 200]);
    assert_eq!(statuses(&["--allow-host", "shop.example"], &hosts), [421, 421, 421, 200]);
    assert_eq!(statuses(&["--allow-host", "shop.example", "--allow-host", "localhost"], &hosts), [200, 421, 421, 200]);
    assert_eq!(statuses(&["--dev"], &hosts), [200, 421, 200, 421]);
    assert_eq!(statuses(&["--dev", "--allow-host", "shop.example"], &hosts), [200, 421, 200, 200]);
}

#[test]
fn a_host_that_is_none_is_a_usage_error() {
    for host in ["", "http://a.example", "a.example:80", "a b"] {
        let ended = Starcell::run(&["--allow-host", host], &script(SCRIPT));
        assert_eq!(ended.code(), 2, "{host:?}: {}", ended.output);
    }
}
