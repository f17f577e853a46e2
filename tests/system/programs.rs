//! The programs of tests/scripts: each passes its own tests under its own permissions, and some are asked over sockets.

mod alone;
mod callers;

use std::path::{Path, PathBuf};
use std::process::Command;

use starcell_tests::process::{Starcell, binary, fixture, folder, script};
use starcell_tests::tools::curl;
use starcell_tests::upstream::{Asked, Upstream, response};

/// What the programs take from their environment.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("ADMIN_PASSWORD", "correct horse"),
    ("COOKIE_KEY", "a long random text"),
    ("GITHUB_TOKEN", "the token of the bot"),
    ("REPORT_TOKEN", "the token of the services"),
    ("SLACK_SIGNING_SECRET", "8f742231b10e8888abcd99yyyzzz85a5"),
    ("TOKEN_CLIENTS", r#"{"ci": "its secret"}"#),
    ("TOKEN_KEYS", "the key of today,the key of yesterday"),
    ("WEBHOOK_SECRET", "It's a Secret to Everybody"),
];

/// A command of `starcell` for one of the programs.
fn command(subcommand: &str, program: &Path) -> Command {
    let mut command = Command::new(binary());
    command.arg(subcommand).envs(ENVIRONMENT).current_dir(program);
    let profile = program.join("starcell.toml");
    if profile.is_file() {
        command.arg("--config").arg(profile);
    }
    command
}

fn test(program: &str, passed: usize) {
    test_command(command("test", &fixture(program)), passed);
}

fn test_command(command: Command, passed: usize) {
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!(ended.stdout.lines().last(), Some(format!("{passed} passed, 0 failed").as_str()), "{}", ended.output);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

fn serve(program: &str, more: &[&str]) -> Starcell {
    let program = fixture(program);
    let mut command = command("run", &program);
    command.args(more);
    serve_command(command)
}

/// Serves the program in whose folder the command runs, on a port of the system's choice.
fn serve_command(mut command: Command) -> Starcell {
    command.args(["--port", "0", "."]);
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    server
}

/// What a script prints: the second opinion of a test that needs a signature.
fn printed(source: &str) -> String {
    let ended = Starcell::run(&[], &script(source));
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout.trim_end().to_owned()
}

#[test]
fn every_program_with_tests_is_here() {
    let programs = std::fs::read_dir(fixture("")).unwrap().map(|entry| entry.unwrap().path());
    let programs: Vec<PathBuf> = programs.filter(|path| path.join("main_test.star").is_file()).collect();
    assert!(programs.len() >= 21, "{programs:?}");
    let tests = [
        include_str!("programs.rs"),
        include_str!("programs/alone.rs"),
        include_str!("programs/callers.rs"),
        include_str!("sql.rs"),
    ]
    .concat();
    for program in programs {
        let name = program.file_name().unwrap().to_str().unwrap();
        let called = [format!("test(\"{name}\", "), format!("fixture(\"{name}\")"), format!("copied(\"{name}\")")];
        assert!(called.iter().any(|call| tests.contains(call)), "{name} is not run");
    }
}

/// What authors see first: nothing is found in a program that is right.
#[test]
fn nothing_is_found_in_them() {
    for folder in ["", "starkite"] {
        for entry in std::fs::read_dir(fixture(folder)).unwrap() {
            let path = entry.unwrap().path();
            if !path.join("main.star").is_file() && path.extension().is_none_or(|extension| extension != "star") {
                continue;
            }
            let mut command = Command::new(binary());
            command.arg("check").arg(&path);
            let ended = Starcell::spawn_command(command).wait();
            assert_eq!(ended.code(), 0, "{}", ended.output);
            assert!(ended.stdout.contains(" checked: 0 errors, 0 warnings"), "{}", ended.output);
        }
    }
}

#[test]
fn csv2json() {
    test("csv2json", 5);
}

#[test]
fn guestbook() {
    test("guestbook", 5);
}

#[test]
fn health() {
    test("health", 4);
}

#[test]
fn login() {
    test("login", 5);
}

#[test]
fn notes() {
    test("notes", 4);
}

#[test]
fn shortlinks() {
    test("shortlinks", 5);
}

#[test]
fn slash() {
    test("slash", 6);
}

#[test]
fn upload() {
    test("upload", 5);
}

#[test]
fn webhook() {
    test("webhook", 5);
}

/// Says what it was asked, fails at `/broken`, and hangs up at `/gone`.
fn api() -> Upstream {
    Upstream::start(|asked: &Asked| match asked.target() {
        "/broken" => (response(500, &[("Content-Type", "text/plain")], b"broken"), false),
        "/gone" => (Vec::new(), true),
        target => {
            let authorization = asked.header("authorization").unwrap_or_default();
            let said = serde_json::json!({ "target": target, "authorization": authorization });
            (response(200, &[("Content-Type", "application/json")], said.to_string().as_bytes()), false)
        }
    })
}

fn with_api(subcommand: &str, api: &Upstream) -> Command {
    let mut command = command(subcommand, &fixture("proxy"));
    let upstream = format!("http://127.0.0.1:{}", api.port);
    command.args(["--allow", &format!("http.client({upstream})")]);
    command.env("UPSTREAM", upstream).env("API_KEY", "the-key");
    command
}

#[test]
fn proxy() {
    test_command(with_api("test", &api()), 6);
}

#[test]
fn the_proxy_over_sockets() {
    let api = api();
    let server = serve_command(with_api("run", &api));
    let base = format!("http://127.0.0.1:{}", server.port());
    let said = curl(&["-i", &format!("{base}/api/a%20b?x=1")]).well();
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.contains("\r\nx-cache: miss\r\n"), "{said}");
    assert!(said.ends_with(r#"{"authorization":"Bearer the-key","target":"/a%20b?x=1"}"#), "{said}");
    assert_eq!(api.asked().len(), 1);
}

#[test]
fn the_notes_over_sockets() {
    let server = serve("notes", &[]);
    let base = format!("http://127.0.0.1:{}", server.port());
    let made = curl(&["-i", "-d", r#"{"title":"Milk","text":"two"}"#, &format!("{base}/notes")]).well();
    assert!(made.starts_with("HTTP/1.1 201 Created\r\n"), "{made}");
    let location = made.lines().find_map(|line| line.strip_prefix("location: ")).unwrap().trim();
    let note = curl(&[&format!("{base}{location}")]).well();
    assert!(note.ends_with(r#","title":"Milk","text":"two"}"#), "{note}");
    assert_eq!(curl(&["-X", "DELETE", "-w", "%{http_code}", &format!("{base}{location}")]).well(), "204");
    assert_eq!(curl(&[&format!("{base}/notes")]).well(), r#"{"notes":[],"next":null}"#);
}

#[test]
fn the_guestbook_over_sockets() {
    let server = serve("guestbook", &[]);
    let base = format!("http://127.0.0.1:{}/", server.port());
    let page = curl(&["-L", "--data-urlencode", "name=Ann <b>", "--data-urlencode", "words=Löve", &base]).well();
    assert!(page.contains("<h2>Ann &lt;b&gt;</h2>") && page.contains("<p>Löve</p>"), "{page}");
}

#[test]
fn uploads_over_sockets() {
    let server = serve("upload", &[]);
    let file = folder().join("a b.png");
    std::fs::write(&file, b"\x89PNG\xff\0").unwrap();
    let base = format!("http://127.0.0.1:{}/files", server.port());
    let field = format!("file=@{};type=image/png", file.display());
    let made = curl(&["-F", &field, "-F", "note=holiday", &base]).well();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["name"], &made["size"], &made["note"]), (&"a b.png".into(), &6.into(), &"holiday".into()));
    let back = file.with_file_name("back");
    let target = format!("{base}/{}", made["id"].as_str().unwrap());
    let _ = curl(&["-o", back.to_str().unwrap(), &target]).well();
    assert_eq!(std::fs::read(back).unwrap(), b"\x89PNG\xff\0");
}

#[test]
fn short_links_over_sockets_survive_a_restart() {
    let state = folder();
    let state = ["--state", state.to_str().unwrap()];
    let server = serve("shortlinks", &state);
    let links = format!("http://127.0.0.1:{}/links", server.port());
    let made = curl(&["-d", r#"{"url":"https://example.com/a?b#c"}"#, &links]).well();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!(server.stop().code(), 0);
    let server = serve("shortlinks", &state);
    let link = format!("http://127.0.0.1:{}/{}", server.port(), made["code"].as_str().unwrap());
    let followed = curl(&["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &link]).well();
    assert_eq!(followed, "302 https://example.com/a?b#c");
}

#[test]
fn the_service_over_sockets_is_watched_at_another_address() {
    let mut server = serve("health", &[]);
    // Only the first server's port is the operator's to say here.
    if server.ports.len() < 2 {
        server.wait_for("serving ");
    }
    let base = format!("http://127.0.0.1:{}", server.ports[0]);
    assert_eq!(curl(&[&format!("{base}/work/a")]).well(), "done: a");
    let metrics = curl(&[&format!("http://127.0.0.1:{}/metrics", server.ports[1])]).well();
    assert!(metrics.contains("requests_total{method=\"GET\",status=\"200\"} 1\n"), "{metrics}");
}
