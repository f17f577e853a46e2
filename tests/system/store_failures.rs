//! Stores that are away, slow, silent, full, or not the ones that were named: what a script, the log, the numbers and
//! `app show` say of each, that the node and its other apps go on, and that the app goes on by itself afterwards.

use std::fs;
use std::time::{Duration, Instant};

use starcell_tests::process::{folder, until};
use starcell_tests::relay::Fault;
use starcell_tests::servers::{PASSWORD, Server};
use starcell_tests::store_operator::{redis, redis_calls, sql};
use starcell_tests::store_stage::{Seen, Stage};
use starcell_tests::tls::Identity;

/// A delay in each direction that calls have time for, and one that they have not.
const LATE: Duration = Duration::from_millis(80);
const TOO_LATE: Duration = Duration::from_secs(10);

const AWAY: &str = "the server that keeps it is away";
const UNKNOWN: &str = "the change may have been done or not";

#[test]
fn a_store_that_does_not_answer_is_an_error_within_its_deadline() {
    for server in [Server::redis(), Server::postgres()] {
        for (fault, seen) in [
            (Fault::Away, Seen { call: "/look", sentence: AWAY, kind: "away", log: Some("connection refused") }),
            (Fault::Away, Seen { call: "/count", sentence: AWAY, kind: "away", log: Some("connection refused") }),
            (Fault::Hanging, Seen { call: "/look", sentence: AWAY, kind: "unanswered", log: Some("does not answer") }),
            (
                Fault::Hanging,
                Seen { call: "/count", sentence: UNKNOWN, kind: "unanswered", log: Some("does not answer") },
            ),
            (
                Fault::Slow(TOO_LATE),
                Seen { call: "/count", sentence: UNKNOWN, kind: "unanswered", log: Some("does not answer") },
            ),
        ] {
            let what = format!("{fault:?}, {}, {server:?}", seen.call);
            let mut stage = Stage::start(&server);
            stage.wire.set(fault);
            if fault == Fault::Away && seen.call == "/count" {
                // Of a change whose connection ended nobody knows whether it was done; one that found no connection was not.
                until("a change finds no connection", || stage.text("stored", "/count").contains(AWAY));
            }
            stage.check(&what, &seen);
            stage.wire.set(Fault::None);
            stage.recover(&what, "/count");
        }
    }
}

#[test]
fn a_store_that_is_slow_is_used_all_the_same() {
    for server in [Server::redis(), Server::postgres()] {
        let stage = Stage::start(&server);
        stage.wire.set(Fault::Slow(LATE));
        for call in ["/look", "/count"] {
            let began = Instant::now();
            assert!(stage.works(call), "{server:?}");
            assert!(began.elapsed() >= LATE * 2, "the wire is not slow: {:?}", began.elapsed());
        }
        assert!(!stage.numbers().contains("starcell_store_failures_total{"));
        let app = stage.shown();
        assert!(app["store_failures"]["last"].is_null(), "{app}");
        stage.wire.set(Fault::None);
        stage.recover("a wire that was slow", "/count");
    }
}

#[test]
fn a_full_store_is_read_and_written_again_when_there_is_room() {
    let server = Server::redis();
    let mut stage = Stage::start(&server);
    let sentence = "the store is full: the server that keeps it has no memory left";
    assert_eq!(redis(&server, "CONFIG SET maxmemory 1"), "+OK");
    stage.check("memory", &Seen { call: "/count", sentence, kind: "full", log: Some("its memory is full") });
    assert!(stage.works("/look"), "what is there can be read");
    assert_eq!(redis(&server, "CONFIG SET maxmemory 0"), "+OK");
    stage.recover("memory", "/count");
    for server in [server, Server::postgres()] {
        let mut stage = Stage::start(&server);
        let sentence = "the store is full: its quota is 8 KiB";
        stage.check("a quota", &Seen { call: "/fill", sentence, kind: "quota", log: None });
        assert!(stage.works("/look") && stage.works("/small"), "there is room for less");
        stage.recover("a quota", "/count");
    }
}

#[test]
fn a_user_who_may_only_read_reads() {
    let server = Server::postgres();
    // The tables are made by a node whose user may.
    Stage::start(&server).recover("the tables", "/count");
    let grants = "GRANT USAGE ON SCHEMA starcell TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA starcell TO reader";
    sql(&server, &format!("CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'; {grants}"));
    let mut stage = Stage::start_as("reader@", &server, None);
    let sentence = "the server that keeps it refused the call (42501)";
    stage
        .check("rights", &Seen { call: "/count", sentence, kind: "refused", log: Some("permission denied for table") });
    assert!(stage.works("/look"));
    sql(&server, "GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA starcell TO reader");
    stage.recover("rights", "/count");
}

#[test]
fn a_password_that_is_wrong_can_be_corrected_while_the_node_runs() {
    for (server, log) in
        [(Server::redis(), "it refused the password"), (Server::postgres(), "password authentication failed")]
    {
        let mut stage = Stage::start(&server);
        fs::write(&stage.password, "hunter2\n").unwrap();
        stage.wire.cut();
        // A change would be one of which nobody knows, under the connections that ended.
        stage.check(log, &Seen { call: "/look", sentence: AWAY, kind: "password", log: Some(log) });
        assert!(!stage.starcell.seen().contains("hunter2"));
        fs::write(&stage.password, format!("{PASSWORD}\n")).unwrap();
        stage.recover(log, "/count");
    }
}

#[test]
fn a_certificate_that_is_not_accepted_is_an_error_and_nothing_is_sent() {
    let (well, expired, strange) = (Identity::make(), Identity::expired(), Identity::make());
    let roots = folder().join("roots.pem");
    fs::write(&roots, [fs::read(&well.cert).unwrap(), fs::read(&expired.cert).unwrap()].concat()).unwrap();
    for start in [Server::redis_encrypted as fn(&Identity) -> Server, Server::postgres_encrypted] {
        let server = start(&well);
        for (identity, log) in [(&expired, "certificate expired"), (&strange, "invalid peer certificate")] {
            let other = start(identity);
            let mut stage = Stage::start_as("", &server, Some(&roots));
            stage.wire.lead_to(other.port);
            stage.check(log, &Seen { call: "/look", sentence: AWAY, kind: "certificate", log: Some(log) });
            stage.wire.lead_to(server.port);
            // It was tried several times, and is told once, though the time since the certificate ended is another one.
            let output = stage.recover(log, "/count");
            assert_eq!(output.matches("invalid peer certificate").count(), 1, "{output}");
        }
    }
}

#[test]
fn a_server_that_has_forgotten_the_scripts_is_told_them_again() {
    let server = Server::redis();
    let stage = Stage::start(&server);
    assert_eq!(redis(&server, "SCRIPT FLUSH"), "+OK");
    assert!(stage.works("/count") && stage.works("/look"));
    stage.recover("scripts", "/count");
}

#[test]
fn a_denied_call_never_reaches_the_store() {
    for server in [Server::redis(), Server::postgres()] {
        let stage = Stage::start(&server);
        let is_redis = server.url().starts_with("redis");
        let scripts = || if is_redis { redis_calls(&server, "evalsha") } else { 0 };
        let looks = || if is_redis { redis_calls(&server, "hget") } else { 0 };
        let before = (stage.wire.carried(), scripts(), looks());
        for _ in 0..20 {
            assert_eq!(stage.text("denied", "/"), "6");
        }
        assert_eq!((stage.wire.carried(), scripts(), looks()), before, "{server:?}");
        // The call of an app that may is one command.
        assert!(stage.works("/count"));
        assert!(stage.wire.carried() > before.0);
        assert_eq!(scripts(), before.1 + u64::from(is_redis), "{server:?}");
        let page = stage.numbers();
        assert!(page.contains("starcell_denials_total{tenant=\"acme\",app=\"denied\"} 120"), "{page}");
        assert!(!page.contains("starcell_store_failures_total{"), "{page}");
        stage.recover("a denied call", "/count");
    }
}
