//! `starcell host`: which app answers, by the host and the path of a request.

use starcell_tests::client::Client;
use starcell_tests::node::{NodeFolder, ask, says};

const TENANT: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";

/// Answers with what a handler sees of a request.
const ECHO: &str = "
def echo(req):
    return {\"path\": req.path, \"url\": req.url, \"host\": req.host}

srv = http.server()
srv.handle(\"GET /\", echo)
srv.handle(\"GET /items/\", lambda req: \"items\")
srv.handle(\"GET /{$}\", lambda req: \"root \" + req.path)
srv.serve(port=8080)
";

fn manifest(hosts: &str, path: &str) -> String {
    format!("tenant = \"acme\"\nhosts = [{hosts}]\npath = {path:?}\n")
}

#[test]
fn an_app_answers_at_its_hosts_and_its_path() {
    let node = NodeFolder::new(TENANT);
    node.app("root", &manifest("\"a.example\", \"b.example\"", "/"), &says("root"));
    node.app("shop", &manifest("\"a.example\"", "/shop"), &says("shop"));
    node.app("eu", &manifest("\"a.example\"", "/shop/eu/"), &says("eu"));
    node.app("other", &manifest("\"c.example\"", "/x"), &says("other"));
    let starcell = node.start(&[]);
    let port = starcell.port();
    for (host, path, text) in [
        ("a.example", "/", "root"),
        ("A.Example:8080", "/anything", "root"),
        ("b.example.", "/shop", "root"),
        ("a.example", "/shop", "shop"),
        ("a.example", "/shop/", "shop"),
        ("a.example", "/shopping", "root"),
        ("a.example", "/shop/e", "shop"),
        ("a.example", "/shop/eu", "eu"),
        ("a.example", "/shop/eu/deep/er", "eu"),
        ("a.example", "/%73hop", "shop"),
        ("c.example", "/x/y", "other"),
    ] {
        let answer = ask(port, host, path);
        assert_eq!((answer.status, answer.text()), (200, text), "{host} {path}");
    }
    for (host, path, status, text) in [
        ("d.example", "/", 421, "not a host of this server"),
        ("localhost", "/", 421, "not a host of this server"),
        ("c.example", "/", 404, "no app of this node answers for this path"),
        ("c.example", "/xy", 404, "no app of this node answers for this path"),
    ] {
        let answer = ask(port, host, path);
        assert_eq!(answer.status, status, "{host} {path}");
        assert!(answer.text().contains(text), "{host} {path}: {}", answer.text());
    }
}

#[test]
fn a_script_sees_the_path_behind_its_prefix() {
    let node = NodeFolder::new(TENANT);
    node.app("echo", &manifest("\"a.example\"", "/shop/eu"), ECHO);
    let starcell = node.start(&[]);
    let port = starcell.port();
    let seen = |path: &str| ask(port, "a.example", path).text().to_owned();
    assert_eq!(
        seen("/shop/eu/a%20b?x=1"),
        r#"{"path":"/a b","url":"http://a.example/shop/eu/a%20b?x=1","host":"a.example"}"#
    );
    assert_eq!(seen("/shop/eu"), "root /");
    assert_eq!(seen("/shop/eu/"), "root /");
    // A redirect of the app leads to a path that the client can ask for.
    for (path, location) in [("/shop/eu/items", "/shop/eu/items/"), ("/shop/eu/a/../items/", "/shop/eu/items/")] {
        let answer = ask(port, "a.example", path);
        assert_eq!((answer.status, answer.header("location")), (307, Some(location)), "{path}");
    }
    let climbed = ask(port, "a.example", "/shop/eu/../../etc");
    assert_eq!(climbed.header("location"), Some("/shop/eu/etc"), "a path does not leave its app");
}

#[test]
fn a_script_sees_its_prefix() {
    let node = NodeFolder::new(TENANT);
    let script =
        "srv = http.server()\nsrv.handle(\"GET /\", lambda req: \"[\" + req.prefix + \"]\")\nsrv.serve(port=8080)\n";
    node.app("below", &manifest("\"a.example\"", "/shop"), script);
    node.app("root", &manifest("\"b.example\"", "/"), script);
    let starcell = node.start(&[]);
    for (host, path, seen) in [
        ("a.example", "/shop", "[/shop]"),
        ("a.example", "/shop/x?y=/z", "[/shop]"),
        ("a.example", "/%73hop/x", "[/shop]"),
        ("b.example", "/shop/x", "[]"),
    ] {
        assert_eq!(ask(starcell.port(), host, path).text(), seen, "{host} {path}");
    }
}

#[test]
fn an_app_without_hosts_takes_those_that_nobody_names() {
    let node = NodeFolder::new(TENANT);
    node.app("any", "tenant = \"acme\"\n", &says("any"));
    node.app("named", &manifest("\"a.example\"", "/x"), &says("named"));
    let starcell = node.start(&[]);
    let mut client = Client::connect(starcell.port());
    // One connection may ask several apps.
    for (host, path, text) in [("b.example", "/", "any"), ("a.example", "/x", "named"), ("a.example", "/y", "any")] {
        let answer = starcell_tests::node::ask_on(&mut client, host, path).unwrap();
        assert_eq!((answer.status, answer.text()), (200, text), "{host} {path}");
    }
}

#[test]
fn the_first_server_answers_whatever_port_it_names() {
    let node = NodeFolder::new(TENANT);
    for (name, serve) in [("one", "port=1"), ("two", "port=65535"), ("three", "")] {
        let script = format!("srv = http.server()\nsrv.handle(\"GET /\", lambda req: {name:?})\nsrv.serve({serve})\n");
        node.app(name, &manifest(&format!("\"{name}.example\""), "/"), &script);
    }
    let mut starcell = node.start(&[]);
    for name in ["one", "two", "three"] {
        assert_eq!(ask(starcell.port(), &format!("{name}.example"), "/").text(), name);
    }
    let second = "a = http.server()\na.handle(\"GET /\", lambda req: \"a\")\na.start()\nb = http.server()\nb.handle(\"GET /\", lambda req: \"b\")\nb.start()\n";
    node.app("both", &manifest("\"both.example\"", "/"), second);
    starcell.wait_for("an app of a node has one server");
    let answer = ask(starcell.port(), "both.example", "/");
    assert_eq!(answer.status, 503, "its script has ended: {}", answer.text());
}
