//! `--watch`: a changed script takes the place of the old one without a request noticing, and one that cannot be set up
//! does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use starcell_tests::client::{Client, get};
use starcell_tests::good::Good;
use starcell_tests::process::{PATIENCE, Starcell, eventually, folder};
use starcell_tests::tls::replace;

const RELOADS: usize = 100;

/// Memory that may be held more after many reloads than after a few.
const KEPT: usize = 16 << 20;

fn version(number: usize) -> String {
    format!(
        "state = [\"x\" * 1000 for i in range(1000)]\nsrv = http.server()\n\
         srv.handle(\"GET /\", lambda req: \"version {number}\")\n\
         srv.handle(\"POST /\", lambda req: \"version {number} got %d\" % len(req.body))\nsrv.serve()\n"
    )
}

fn watched(source: &str) -> (PathBuf, Starcell) {
    let path = folder().join("app.star");
    fs::write(&path, source).unwrap();
    let starcell = Starcell::serve(&["--watch", "--no-access-log", "--setup-cpu", "2s"], &path);
    (path, starcell)
}

fn until(port: u16, text: &str) {
    eventually(PATIENCE / 2, text, || get(port, "/").text() == text);
}

/// The number in an answer that must be a version's.
fn number(text: &str) -> usize {
    text.strip_prefix("version ").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

/// Asks on a connection that is kept, as long as the server does not announce its end, and takes no version older than
/// one that it saw before.
fn forward(port: u16) -> Good {
    Good::keep(
        move || (Client::connect(port), 0),
        move |(client, seen): &mut (Client, usize)| {
            let answer = client.try_request("GET", "/", &[], b"").expect("no request is dropped");
            assert_eq!(answer.status, 200, "{answer:?}");
            let now = number(answer.text());
            assert!(now >= *seen, "version {now} after {seen}");
            *seen = now;
            if answer.header("connection") == Some("close") {
                *client = Client::connect(port);
            }
        },
    )
}

/// Asks on a new connection each time.
fn fresh(port: u16) -> Good {
    Good::keep(
        || (),
        move |()| {
            let answer = Client::try_connect(port).expect("no connection is refused").try_request("GET", "/", &[], b"");
            let answer = answer.expect("no request is dropped");
            assert_eq!(answer.status, 200, "{answer:?}");
            number(answer.text());
        },
    )
}

#[test]
fn a_hundred_reloads_under_load() {
    let (path, starcell) = watched(&version(0));
    let port = starcell.port();
    let clients = [forward(port), forward(port), fresh(port)];
    let mut resident = 0;
    for reload in 1..=RELOADS {
        replace(&path, version(reload).as_bytes());
        until(port, &format!("version {reload}"));
        if reload == 10 {
            resident = starcell.resident();
        }
    }
    let answers: usize = clients.into_iter().map(|client| client.finish().len()).sum();
    assert!(answers > RELOADS, "{answers} answers");
    let began = Instant::now();
    while starcell.resident() > resident + KEPT && began.elapsed() < PATIENCE / 4 {
        std::thread::sleep(Duration::from_millis(100));
    }
    let now = starcell.resident();
    assert!(now <= resident + KEPT, "from {resident} after 10 reloads to {now} after {RELOADS}");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

/// What began with the old script is finished with it.
#[test]
fn a_request_under_way_is_finished_by_the_script_it_began_with() {
    let (path, starcell) = watched(&version(1));
    let port = starcell.port();
    let mut client = Client::connect(port);
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().status, 100);
    client.send(b"01234").unwrap();
    replace(&path, version(2).as_bytes());
    until(port, "version 2");
    client.send(b"56789").unwrap();
    let answer = client.read(false).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.text().ends_with(" got 10"), "{answer:?}");
}

#[test]
fn a_script_that_cannot_be_set_up_leaves_the_old_one() {
    let (path, mut starcell) = watched(&version(1));
    let port = starcell.port();
    let good = Good::keep_asking(Client::connect(port), "/", "version 1");
    for (source, said) in [
        ("srv = http.server(\n", "Parse error"),
        ("srv = http.server()\nfail(\"not this time\")\n", "not this time"),
        ("srv = http.server()\nsrv.handle(\"no slash\", lambda req: None)\nsrv.serve()\n", "no slash"),
        ("os.exec(\"/usr/bin/id\")\n", "permission denied: os.exec"),
        ("srv = http.server()\nsrv.serve(host=\"0.0.0.0\", read_timeout=\"soon\")\n", "soon"),
        ("for i in range(1000000000):\n    pass\n", "limit"),
        ("x = [i for i in range(1000000000)]\n", "limit"),
        ("print(\"no server at all\")\n", "it does not serve"),
    ] {
        replace(&path, source.as_bytes());
        let line = starcell.wait_for("the changed script cannot take over, the old one stays: ");
        assert!(line.contains(" error ") && line.contains(said), "{source:?}: {line}");
        assert_eq!(get(port, "/").text(), "version 1", "{source:?}");
    }
    let _ = good.finish();
    // And one that is mended takes its place.
    replace(&path, version(2).as_bytes());
    until(port, "version 2");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

/// Editors write in place, or rename, or remove and create; modules that a script loads are a part of it.
#[test]
fn every_way_to_write_is_noticed() {
    let (path, starcell) = watched(&version(1));
    let port = starcell.port();
    let write = |number: usize| fs::write(&path, version(number)).unwrap();
    write(2);
    until(port, "version 2");
    fs::remove_file(&path).unwrap();
    // Without a script the old one serves on.
    assert_eq!(get(port, "/").text(), "version 2");
    write(3);
    until(port, "version 3");
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    write(4);
    until(port, "version 4");
    link(&path, &aside);
    until(port, "version 3");
    assert_eq!(starcell.stop().code(), 0);
}

/// `mv`, `rsync -t` and images that are made the same each time put a file of the same size and time in place of another.
#[test]
fn a_file_of_the_same_size_and_time_is_noticed() {
    let (path, starcell) = watched(&version(1));
    let port = starcell.port();
    let aside = path.with_extension("aside");
    let same_time = |file: &Path, as_in: &Path| {
        let time = fs::metadata(as_in).unwrap().modified().unwrap();
        fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
    };
    // Another file under the name, and the same file with another content.
    fs::write(&aside, version(2)).unwrap();
    same_time(&aside, &path);
    fs::rename(&aside, &path).unwrap();
    until(port, "version 2");
    fs::write(&aside, version(2)).unwrap();
    same_time(&aside, &path);
    fs::write(&path, version(3)).unwrap();
    same_time(&path, &aside);
    until(port, "version 3");
    assert_eq!(starcell.stop().code(), 0);
}

/// A file of `--var-file` is a part of what is read again.
#[test]
fn variables_are_read_again_with_the_script() {
    let home = folder();
    let (path, file) = (home.join("app.star"), folder().join("vars.toml"));
    fs::write(&path, "who = var_str(\"who\")\nhttp.serve(lambda req: who + var_str(\"more\"))\n").unwrap();
    fs::write(&file, "who = \"ann\"\n").unwrap();
    let flags = ["--watch", "--no-access-log", "--var-file", file.to_str().unwrap()];
    let mut starcell = Starcell::serve(&flags, &path);
    let port = starcell.port();
    until(port, "ann");
    replace(&file, b"who = \"bob\"\nmore = \"!\"\n");
    until(port, "bob!");
    // What cannot be read leaves the old one serving, and says why.
    replace(&file, b"who = \n");
    let line = starcell.wait_for("cannot read the script again, the old one stays: ");
    assert!(line.contains("vars.toml: line 1"), "{line}");
    assert_eq!(get(port, "/").text(), "bob!");
    replace(&file, b"who = \"cid\"\n");
    until(port, "cid");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_hangup_reads_variables_again() {
    let (path, file) = (folder().join("app.star"), folder().join("vars.json"));
    fs::write(&path, "http.serve(lambda req: var_str(\"who\"))\n").unwrap();
    fs::write(&file, "{\"who\": \"ann\"}").unwrap();
    let mut starcell = Starcell::serve(&["--no-access-log", "--var-file", file.to_str().unwrap()], &path);
    let port = starcell.port();
    fs::write(&file, "{\"who\": \"bob\"}").unwrap();
    assert_eq!(get(port, "/").text(), "ann", "nothing asked to read it again");
    starcell.signal("HUP");
    starcell.wait_for("the changed script has taken over");
    until(port, "bob");
    assert_eq!(starcell.stop().code(), 0);
}

/// Puts a symbolic link in the place of a file.
fn link(path: &Path, to: &Path) {
    let new = path.with_extension("link");
    std::os::unix::fs::symlink(to, &new).unwrap();
    fs::rename(&new, path).unwrap();
}

/// SIGHUP reads the script again as `--watch` does, cuts nothing, and never ends the process.
#[test]
fn a_hangup_reloads_and_never_kills() {
    let path = folder().join("app.star");
    fs::write(&path, version(1)).unwrap();
    let mut starcell = Starcell::serve(&["--no-access-log"], &path);
    let port = starcell.port();
    let good = fresh(port);
    let mut client = Client::connect(port);
    client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n").unwrap();
    assert_eq!(client.read(false).unwrap().status, 100);
    fs::write(&path, version(2)).unwrap();
    starcell.signal("HUP");
    starcell.wait_for("the changed script has taken over");
    until(port, "version 2");
    client.send(b"12345").unwrap();
    assert!(client.read(false).unwrap().text().ends_with(" got 5"));
    fs::write(&path, "fail(\"not this time\")\n").unwrap();
    starcell.signal("HUP");
    let line = starcell.wait_for("the changed script cannot take over, the old one stays: ");
    assert!(line.contains("not this time"), "{line}");
    assert_eq!(get(port, "/").text(), "version 2");
    let _ = good.finish();
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_hangup_does_not_run_a_script_twice_that_serves_nothing() {
    let path = folder().join("app.star");
    fs::write(&path, "print(\"begins\")\ntime.sleep(\"1s\")\nprint(\"ends\")\n").unwrap();
    let mut starcell = Starcell::spawn(&[], &path);
    starcell.wait_for("begins");
    starcell.signal("HUP");
    let ended = starcell.wait();
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "begins\nends\n"), "{}", ended.output);
}
