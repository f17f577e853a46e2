//! Patterns and requests, one a line: a redirect leads to a path of this server and never in a circle, and what a route
//! says of itself is true.

use starcell_http::router::{Found, Routes};

use crate::target::{Target, texts};

/// Patterns, and requests, of one input.
const MOST: usize = 48;

pub(crate) fn target() -> Target {
    Target { name: "route", run, seeds: seeds(), words: WORDS }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (patterns, requests) = text.split_once("\n\n").unwrap_or((&text, "GET a /"));
    let mut routes = Routes::new();
    for pattern in patterns.lines().take(MOST) {
        let before = routes.len();
        match routes.add(pattern) {
            Ok(index) => assert_eq!((index, routes.pattern(index)), (before, Some(pattern))),
            Err(error) => {
                assert!(error.to_string().contains(&format!("{pattern:?}")), "{error}");
                assert_eq!(routes.len(), before, "a refused pattern has a place");
            }
        }
        // What stands there cannot be added again.
        assert!(routes.add(pattern).is_err(), "{pattern:?} twice");
    }
    for request in requests.lines().take(MOST) {
        let mut words = request.splitn(3, ' ');
        let (Some(method), Some(host), Some(target)) = (words.next(), words.next(), words.next()) else { continue };
        ask(&routes, method, host, target);
    }
}

fn ask(routes: &Routes, method: &str, host: &str, target: &str) {
    let mut at = target.to_owned();
    // One to the clean path, and one to the path with a slash.
    for _ in 0..3 {
        let (path, query) = at.split_once('?').map_or((at.as_str(), None), |(path, query)| (path, Some(query)));
        let location = match routes.find(method, host, path, query) {
            Found::Redirect { location } => location,
            Found::MethodNotAllowed { allow } => {
                let methods: Vec<&str> = allow.split(", ").collect();
                assert!(methods.is_sorted() && !methods.contains(&method), "{method} gets 405 with {allow:?}");
                return;
            }
            Found::NotFound => return,
            Found::Route { index, params } => {
                let pattern = routes.pattern(index).unwrap_or_else(|| panic!("route {index} does not exist"));
                for (name, _) in params {
                    assert!(pattern.contains(&format!("{{{name}")), "{name:?} is not in {pattern:?}");
                }
                return;
            }
        };
        assert!(location.starts_with('/') && !location.starts_with("//"), "a redirect elsewhere: {location:?}");
        assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "{location:?}");
        assert!(!location.split('?').next().unwrap_or_default().contains('\\'), "{location:?}");
        // CONNECT is routed by the path as it is, and Go redirects it by the patterns without a host.
        if method == "CONNECT" {
            return;
        }
        assert_ne!(location, at, "a redirect to itself");
        at = location;
    }
    panic!("{method} {host} {target:?} is redirected for ever, at last to {at:?}");
}

const WORDS: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "CONNECT ",
    "\n\n",
    "\n",
    "/{x}",
    "/{rest...}",
    "/{$}",
    "/{a}/{b}",
    "example.com",
    "/",
    "//",
    "/../",
    "/./",
    "%2f",
    "%2F",
    "%2e",
    "%41",
    "%zz",
    "?",
    "{",
    "}",
    "...",
    " ",
    "\\",
    ":80",
    "é",
];

fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "/\nGET /a/{x}\nPOST /a/{rest...}\n/a/{$}\nexample.com/a/b\n\nGET a /\nHEAD b /a/1\nPOST example.com:80 /a/b/c?q\nGET a /a",
        "/a/b/\n/{x}/c\n\nGET h /a/b\nGET h //a/../b/.\nPUT h /a%2Fb/c",
        "GET /\n/index.html\n/{user}/posts/{id}\n/static/\n\nDELETE h /\nGET h /static\nGET h /bob/posts/7",
        "CONNECT a:80/\n\nCONNECT a:80 a:80\nCONNECT h //x",
    ])
}
