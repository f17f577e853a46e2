//! Programs that ask nobody else: each passes its own tests, and answers over a socket.

use starcell_tests::client::Client;
use starcell_tests::tools::curl;

use super::{serve, test};

#[test]
fn avatar() {
    test("avatar", 5);
}

#[test]
fn bookshelf() {
    test("bookshelf", 5);
}

#[test]
fn cors() {
    test("cors", 7);
}

#[test]
fn report() {
    test("report", 6);
}

#[test]
fn status() {
    test("status", 6);
}

#[test]
fn tokens() {
    test("tokens", 7);
}

/// The picture is the one that `file` and a browser see: PNG, 80 pixels wide and high, two colors, no interlace.
#[test]
fn an_avatar_over_a_socket_is_bytes() {
    let server = serve("avatar", &["--allow", "http.server(127.0.0.1)"]);
    let mut client = Client::connect(server.port());
    let picture = client.get("/avatars/J%C3%BCrgen");
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/png")));
    assert_eq!(picture.header("content-length"), Some(picture.body.len().to_string().as_str()));
    assert_eq!(picture.body[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(picture.body[12..29], *b"IHDR\0\0\0\x50\0\0\0\x50\x01\x03\0\0\0");
    let tag = picture.header("etag").unwrap().to_owned();
    let again = client.request("GET", "/avatars/J%C3%BCrgen", &[("If-None-Match", &tag)], b"");
    assert_eq!((again.status, again.body.len()), (304, 0));
    let head = client.request("HEAD", "/avatars/J%C3%BCrgen", &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(client.get("/avatars/x?size=1").status, 400);
}

#[test]
fn the_bookshelf_over_a_socket() {
    let server = serve("bookshelf", &[]);
    let mut client = Client::connect(server.port());
    let book = r#"{"title":"Rust <2>","authors":["Klabnik"]}"#;
    assert_eq!(client.request("PUT", "/books/9781718503106", &[], book.as_bytes()).status, 201);
    assert_eq!(client.request("PUT", "/books/9781718503107", &[], book.as_bytes()).status, 400);
    let listed = client.get("/books?author=Klabnik");
    assert_eq!(listed.text(), r#"{"books":[{"isbn":"9781718503106","title":"Rust <2>","authors":["Klabnik"]}]}"#);
    let page = client.request("GET", "/books", &[("Accept", "text/html")], b"");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().contains(">Rust &lt;2&gt;</a>"), "{}", page.text());
    assert_eq!(client.request("POST", "/books", &[], b"").header("allow"), Some("GET, HEAD"));
}

/// What a browser sends before a page of another origin may write.
#[test]
fn a_preflight_over_a_socket_is_answered_by_the_middleware() {
    let server = serve("cors", &[]);
    let mut client = Client::connect(server.port());
    let (origin, method) = (("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT"));
    let allowed = client.request("OPTIONS", "/notes/1", &[origin, method], b"");
    assert_eq!((allowed.status, allowed.body.len()), (204, 0));
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(allowed.header("access-control-allow-methods"), Some("DELETE, GET, PUT"));
    let stranger = client.request("OPTIONS", "/notes/1", &[("Origin", "https://evil.example.com"), method], b"");
    assert_eq!((stranger.status, stranger.header("access-control-allow-origin")), (204, None));
    // The page may go on, and sees what it may see.
    let written = client.request("PUT", "/notes/1", &[origin], br#"{"text":"hi"}"#);
    assert_eq!((written.status, written.text()), (200, r#"{"text":"hi"}"#));
    assert_eq!(written.header("access-control-allow-origin"), Some("https://app.example.com"));
    // What is no preflight is no route, and a path without a route is none for a page either.
    let plain = client.request("OPTIONS", "/notes/1", &[], b"");
    assert_eq!((plain.status, plain.header("allow")), (405, Some("DELETE, GET, HEAD, PUT")));
    assert_eq!(client.request("OPTIONS", "/none", &[origin, method], b"").status, 404);
}

#[test]
fn a_report_over_a_socket() {
    let server = serve("report", &[]);
    let base = format!("http://127.0.0.1:{}", server.port());
    let sales = "day,product,amount\n2025-01-31,tea,12.50\n2025-02-01,\"cake, large\",7\n";
    let sent = curl(&["-w", "%{http_code}", "--data-binary", sales, &format!("{base}/sales")]).well();
    assert_eq!(sent, r#"{"rows":2}201"#);
    let wrong = curl(&["--data-binary", "day,product,amount\nsoon,tea,1\n", &format!("{base}/sales")]).well();
    assert!(wrong.starts_with(r#"{"error":"row 1: "#), "{wrong}");
    let all = curl(&[&format!("{base}/report.csv")]).well();
    assert_eq!(all, "month,product,amount\n2025-01,tea,12.50\n2025-02,\"cake, large\",7.00\n");
    let text = curl(&[&format!("{base}/report.txt?from=2025-02")]).well();
    assert_eq!(text, "month    product          amount\n2025-02  cake, large        7.00\n");
}

#[test]
fn a_status_page_over_a_socket() {
    let server = serve("status", &[]);
    let mut client = Client::connect(server.port());
    let token = ("Authorization", "Bearer the token of the services");
    assert_eq!(client.request("POST", "/beats/api", &[token], br#"{"note":"v1 & up"}"#).status, 204);
    for (headers, path, status) in [
        (&[][..], "/beats/api", 401),
        (&[("Authorization", "Bearer guess")], "/beats/api", 401),
        (&[token], "/beats/none", 404),
    ] {
        assert_eq!(client.request("POST", path, headers, b"").status, status, "{path} {headers:?}");
    }
    let page = client.get("/");
    assert_eq!(page.header("content-security-policy"), Some("default-src 'none'; style-src 'unsafe-inline'"));
    assert!(page.text().contains("<th>api</th><td>up</td>"), "{}", page.text());
    assert!(page.text().contains("<td>v1 &amp; up</td>"), "{}", page.text());
    assert!(page.text().contains("<th>mail</th><td>unknown</td>"), "{}", page.text());
    assert_eq!(client.get("/status.json").status, 200);
}

#[test]
fn a_token_over_a_socket_is_good_until_it_is_revoked() {
    let server = serve("tokens", &[]);
    let base = format!("http://127.0.0.1:{}", server.port());
    let made = curl(&["-u", "ci:its secret", "-d", "scope=deploy", &format!("{base}/token")]).well();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let bearer = format!("Authorization: Bearer {}", made["access_token"].as_str().unwrap());
    let status = |arguments: &[&str], path: &str| {
        let target = format!("{base}{path}");
        let code = ["-o", "/dev/null", "-w", "%{http_code}", &target];
        curl(&[arguments, &code].concat()).well()
    };
    let said = curl(&["-H", &bearer, "-X", "POST", &format!("{base}/deploy")]).well();
    assert_eq!(said, r#"{"deployed_by":"ci"}"#);
    // The signature covers each bit: the last letters of it are left out here.
    assert_eq!(status(&["-H", &bearer[..bearer.len() - 3]], "/whoami"), "401");
    assert_eq!(status(&["-u", "ci:guess", "-X", "POST"], "/token"), "401");
    assert_eq!(status(&["-H", &bearer, "-X", "POST"], "/revoke"), "204");
    assert_eq!(status(&["-H", &bearer], "/whoami"), "401");
}
