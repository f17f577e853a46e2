//! Losses that anchors prove: a cut tail, a removed run, a chain written anew, a log removed and begun again.

#![allow(clippy::disallowed_methods, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use common::{Folder, call, subject};
use starcell_audit::{
    AnchorOptions, AnchorPlace, Anchors, Audit, AuditError, Decision, Evidence, EvidenceError, Hash, Options,
    SigningKey, Verified, VerifyError, VerifyingKey, files_of, verify_against,
};

const PRIVATE: &[u8] = include_bytes!("keys/private.pem");
const PUBLIC: &[u8] = include_bytes!("keys/public.pem");
const OTHER: &[u8] = include_bytes!("keys/other.pem");

fn anchored(folder: &Folder, key: Option<&[u8]>) -> Options {
    let place = AnchorPlace::File(folder.path("anchors"));
    let key = key.map(|pem| SigningKey::from_pem(pem).unwrap());
    let anchor = Some(AnchorOptions { place, every: Duration::from_secs(3600), key });
    Options { anchor, ..Options::new(folder.log()) }
}

/// One run: the writer opens the log, records some calls and closes it.
fn run(options: Options, calls: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (audit, writer) = Audit::open(options).unwrap();
        let app = audit.subject(&subject());
        for n in 0..calls {
            let _ticket = app.intent(&call(&format!("/srv/{n}"), Decision::Allow)).await.unwrap();
        }
        writer.close().unwrap();
    });
}

fn verified(folder: &Folder, key: Option<&[u8]>) -> Result<Verified, VerifyError> {
    let key = key.map(|pem| VerifyingKey::from_pem(pem).unwrap());
    let anchors = Anchors::read(fs::read(folder.path("anchors")).unwrap().as_slice(), key.as_ref())?;
    held(folder, &Evidence { anchors: Some(anchors), expect: Vec::new() })
}

fn held(folder: &Folder, evidence: &Evidence) -> Result<Verified, VerifyError> {
    let files: Vec<PathBuf> = files_of(&[folder.log()]).unwrap();
    let files: Vec<(String, Vec<u8>)> =
        files.iter().map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    verify_against(files.iter().map(|(name, bytes)| (name.clone(), bytes.as_slice())), evidence)
}

fn is_unsound(found: &Result<Verified, VerifyError>) -> bool {
    matches!(found, Err(VerifyError::Evidence(EvidenceError::Anchor { .. } | EvidenceError::Number { .. })))
}

#[test]
fn a_log_that_grows_fits_its_anchors() {
    let folder = Folder::new("anchored");
    for calls in [3, 0, 50] {
        run(anchored(&folder, None), calls);
        let found = verified(&folder, None).unwrap();
        let [anchors, 0, 0] = found.anchors.unwrap() else { panic!("{found:?}") };
        assert!(anchors >= 2, "one at the start and one at the end");
        assert!(
            found.text().contains(&format!("it holds the line of each of {anchors} anchors\n")),
            "{}",
            found.text()
        );
    }
    // Honest growth, without an anchor and in more files.
    run(Options { rotate_bytes: 4000, ..Options::new(folder.log()) }, 50);
    verified(&folder, None).unwrap();
    run(anchored(&folder, None), 3);
    verified(&folder, None).unwrap();
    // Old files that were deleted.
    run(Options { rotate_bytes: 4000, keep: 2, ..anchored(&folder, None) }, 50);
    let found = verified(&folder, None).unwrap();
    assert_ne!(found.seen.start, Some(Hash::ZERO));
}

#[test]
fn each_way_to_lose_lines_shows() {
    let folder = Folder::new("lost");
    run(anchored(&folder, None), 5);
    let first = fs::read_to_string(folder.log()).unwrap();
    let first_anchors = fs::read(folder.path("anchors")).unwrap();
    run(anchored(&folder, None), 5);
    let whole = fs::read_to_string(folder.log()).unwrap();
    verified(&folder, None).unwrap();

    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for (what, text) in [("a cut tail", lines[..lines.len() - 1].concat()), ("a removed run", first.clone())] {
        fs::write(folder.log(), text).unwrap();
        let found = verified(&folder, None);
        assert!(is_unsound(&found), "{what}: {found:?}");
        assert!(found.unwrap_err().json().contains("\"sound\":false"));
    }
    // The chain written anew: by a second log in place of the first.
    let forged = Folder::new("forged");
    run(Options::new(forged.log()), 5);
    run(Options::new(forged.log()), 5);
    fs::copy(forged.log(), folder.log()).unwrap();
    assert!(is_unsound(&verified(&folder, None)));
    // Removed and begun again, with and without anchors.
    for options in [Options::new(folder.log()), anchored(&folder, None)] {
        fs::remove_file(folder.log()).unwrap();
        run(options, 20);
        assert!(is_unsound(&verified(&folder, None)));
    }
    let anchors = fs::read(folder.path("anchors")).unwrap();
    assert!(anchors.starts_with(&first_anchors), "anchors are added and never replaced");
}

#[test]
fn a_hash_that_was_noted_is_that_of_a_line() {
    let folder = Folder::new("expected");
    run(Options::new(folder.log()), 3);
    let head = held(&folder, &Evidence::default()).unwrap().seen.head.unwrap();
    let expecting = Evidence { expect: vec![head], anchors: None };
    let found = held(&folder, &expecting).unwrap();
    assert!(found.text().ends_with("the expected hash is that of one of its lines\n"), "{}", found.text());
    run(Options { rotate_bytes: 2000, ..Options::new(folder.log()) }, 10);
    held(&folder, &expecting).unwrap();
    for expect in [vec![Hash::ZERO], vec![head, "5c".repeat(32).parse().unwrap()]] {
        let lacking = held(&folder, &Evidence { expect, anchors: None });
        assert!(matches!(lacking, Err(VerifyError::Evidence(EvidenceError::Expected(_)))), "{lacking:?}");
    }
}

#[test]
fn signed_anchors_cannot_be_made_up() {
    let folder = Folder::new("signed");
    run(anchored(&folder, Some(PRIVATE)), 3);
    let found = verified(&folder, Some(PUBLIC)).unwrap();
    let [anchors, signed, held] = found.anchors.unwrap();
    assert_eq!((signed, held), (anchors, anchors));
    assert!(found.text().ends_with(&format!("{anchors} signatures hold\n")), "{}", found.text());
    assert!(verified(&folder, None).unwrap().text().contains("signatures were not verified"));
    assert!(matches!(verified(&folder, Some(OTHER)), Err(VerifyError::Anchors(_))));
    // Without the key, a forged log needs forged anchors.
    for path in [folder.log(), folder.path("anchors")] {
        fs::remove_file(path).unwrap();
    }
    run(anchored(&folder, None), 3);
    verified(&folder, None).unwrap();
    assert!(matches!(verified(&folder, Some(PUBLIC)), Err(VerifyError::Anchors(_))));
}

#[test]
fn a_killed_writer_is_counted_on_and_half_an_anchor_is_none() {
    let folder = Folder::new("kill-anchored");
    run(anchored(&folder, None), 5);
    // As after a kill: lines that no anchor is of, and a piece of an anchor.
    run(Options::new(folder.log()), 5);
    let mut anchors = fs::read_to_string(folder.path("anchors")).unwrap();
    anchors += "{\"v\":1,\"kind\":\"anch";
    fs::write(folder.path("anchors"), &anchors).unwrap();
    verified(&folder, None).unwrap();
    run(anchored(&folder, None), 5);
    verified(&folder, None).unwrap();
    let lines = fs::read_to_string(folder.log()).unwrap().lines().count();
    let anchors = fs::read_to_string(folder.path("anchors")).unwrap();
    assert!(anchors.lines().last().unwrap().contains(&format!("\"lines\":{lines},")), "{anchors}");
    assert!(!anchors.contains("anch{"), "{anchors}");
}

#[test]
fn a_file_of_somebody_else_takes_no_anchors() {
    let folder = Folder::new("foreign-anchors");
    for content in ["my notes\n", "my notes", "{\"v\":2}\n"] {
        fs::write(folder.path("anchors"), content).unwrap();
        let refused = Audit::open(anchored(&folder, None));
        assert!(matches!(refused, Err(AuditError::Anchor { .. })), "{content:?}: {refused:?}");
        assert_eq!(fs::read_to_string(folder.path("anchors")).unwrap(), content, "left as it was");
    }
    fs::remove_file(folder.path("anchors")).unwrap();
    let (_audit, _writer) = Audit::open(anchored(&folder, None)).unwrap();
    let second = Audit::open(Options { path: folder.path("other"), ..anchored(&folder, None) });
    assert!(matches!(second, Err(AuditError::Anchor { .. })), "two writers, one file: {second:?}");
}

/// A server that answers each POST with the next of these statuses, the last one again and again, and keeps the bodies
/// that it took.
fn server(statuses: &'static [u16]) -> (AnchorPlace, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let place = format!("http://{}/anchors?log=a", listener.local_addr().unwrap());
    let taken = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&taken);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while stream.read_line(&mut line).unwrap() > 2 {
                let (name, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                assert!(!name.starts_with("GET"), "{line}");
                line.clear();
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = statuses[number.min(statuses.len() - 1)];
            if status == 200 {
                keep.lock().unwrap().push(String::from_utf8(body).unwrap());
            }
            // Whoever asked may be gone.
            let _ = write!(stream.get_mut(), "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n");
        }
    });
    (place.parse().unwrap(), taken)
}

fn anchored_at(folder: &Folder, place: AnchorPlace, every: Duration) -> Options {
    let key = Some(SigningKey::from_pem(PRIVATE).unwrap());
    Options { anchor: Some(AnchorOptions { place, every, key }), ..Options::new(folder.log()) }
}

#[test]
fn a_server_takes_the_anchors_of_a_log() {
    let folder = Folder::new("anchor-server");
    // The server is away at first, and for a moment at the end.
    let (place, taken) = server(&[503, 200, 503, 503, 200]);
    run(anchored_at(&folder, place.clone(), Duration::from_secs(3600)), 5);
    run(anchored_at(&folder, place, Duration::from_secs(3600)), 5);
    let bodies = taken.lock().unwrap().concat();
    let key = VerifyingKey::from_pem(PUBLIC).unwrap();
    let anchors = || Some(Anchors::read(bodies.as_bytes(), Some(&key)).unwrap());
    held(&folder, &Evidence { anchors: anchors(), expect: Vec::new() }).unwrap();
    let whole = fs::read_to_string(folder.log()).unwrap();
    let lines = whole.lines().count();
    assert!(bodies.lines().last().unwrap().contains(&format!("\"lines\":{lines},")), "{bodies}");
    let cut: Vec<&str> = whole.split_inclusive('\n').take(lines - 1).collect();
    fs::write(folder.log(), cut.concat()).unwrap();
    assert!(is_unsound(&held(&folder, &Evidence { anchors: anchors(), expect: Vec::new() })));
}

#[test]
fn a_server_that_takes_none_stops_no_call_and_is_an_error_at_the_end() {
    let folder = Folder::new("anchor-nowhere");
    let (refusing, taken) = server(&[500]);
    let nobody = "http://127.0.0.1:1/".parse().unwrap();
    for place in [refusing, nobody] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (audit, writer) = Audit::open(anchored_at(&folder, place.clone(), Duration::from_millis(1))).unwrap();
        let app = audit.subject(&subject());
        runtime.block_on(async { app.intent(&call("/srv/a", Decision::Allow)).await.map(drop) }).unwrap();
        let closed = writer.close();
        let Err(AuditError::Anchor { place: named, .. }) = closed else { panic!("{closed:?}") };
        assert_eq!(named, place.to_string());
    }
    assert_eq!(taken.lock().unwrap().len(), 0);
    assert!(held(&folder, &Evidence::default()).unwrap().seen.closed, "the log itself is whole");
}
