use std::collections::BTreeMap;

use serde_json::Value;

use super::path::{END, segments};
use super::pattern::{Pattern, Segment};
use super::precedence::{self, Relation};
use super::{Found, PatternError, Routes};

fn routes(patterns: &[&str]) -> Routes {
    let mut routes = Routes::new();
    for pattern in patterns {
        routes.add(pattern).unwrap();
    }
    routes
}

/// What a request finds, in one line.
fn found(routes: &Routes, method: &str, host: &str, target: &str) -> String {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    match routes.find(method, host, path, query) {
        Found::MethodNotAllowed { allow } => format!("allow {allow}"),
        Found::NotFound => "not found".to_owned(),
        Found::Redirect { location } => format!("to {location}"),
        Found::Route { index, params } => {
            let params = params.iter().map(|(name, value)| format!(" {name}={value:?}"));
            format!("{}{}", routes.pattern(index).unwrap(), params.collect::<String>())
        }
    }
}

#[test]
fn agrees_with_go() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/servemux.jsonl");
    let (mut cases, mut requests) = (0, 0);
    for line in std::fs::read_to_string(data).unwrap().lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let mut routes = Routes::new();
        for pattern in case["register"].as_array().unwrap() {
            let text = pattern["pattern"].as_str().unwrap();
            let added = routes.add(text);
            assert_eq!(added.is_ok(), pattern["ok"].as_bool().unwrap(), "{text}: {added:?} in {line}");
        }
        for request in case["requests"].as_array().unwrap() {
            check(&routes, request);
            requests += 1;
        }
        cases += 1;
    }
    assert_eq!((cases, requests), (1_500, 12_000));
}

fn check(routes: &Routes, request: &Value) {
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    let (path, query) = match text("target").split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text("target"), None),
    };
    let found = routes.find(text("method"), text("host"), path, query);
    match (request["status"].as_u64().unwrap(), &found) {
        (200, Found::Route { index, params }) => {
            assert_eq!(routes.pattern(*index).unwrap(), text("pattern"), "{request}");
            let params: BTreeMap<_, _> = params.iter().cloned().collect();
            let expected = request.get("params").cloned().unwrap_or_else(|| serde_json::json!({}));
            assert_eq!(serde_json::to_value(params).unwrap(), expected, "{request}");
        }
        (307, Found::Redirect { location }) => assert_eq!(location, text("location"), "{request}"),
        (404, Found::NotFound) => {}
        (405, Found::MethodNotAllowed { allow }) => assert_eq!(allow, text("allow"), "{request}"),
        _ => panic!("{found:?} for {request}"),
    }
}

#[test]
fn the_most_specific_wins_in_any_order() {
    let mut patterns = ["/", "/a/", "/a/{x}", "GET /a/b", "HEAD /a/b", "/a/b", "h/a/", "/a/{$}"];
    for _ in 0..patterns.len() {
        patterns.rotate_left(1);
        let routes = routes(&patterns);
        assert_eq!(found(&routes, "POST", "", "/a/c"), "/a/{x} x=\"c\"");
        assert_eq!(found(&routes, "GET", "", "/a/b"), "GET /a/b");
        assert_eq!(found(&routes, "HEAD", "", "/a/b"), "HEAD /a/b");
        assert_eq!(found(&routes, "POST", "", "/a/b"), "/a/b");
        assert_eq!(found(&routes, "POST", "", "/a/b/c"), "/a/");
        assert_eq!(found(&routes, "POST", "", "/a/"), "/a/{$}");
        assert_eq!(found(&routes, "POST", "", "/c"), "/");
        assert_eq!(found(&routes, "POST", "h:80", "/a/b"), "h/a/");
        assert_eq!(found(&routes, "POST", "h:80", "/c"), "/");
    }
}

#[test]
fn a_refused_pattern_takes_no_index() {
    let mut routes = Routes::new();
    assert_eq!(routes.add("GET /a/{x}"), Ok(0));
    let conflict = routes.add("/{x}/b").unwrap_err();
    assert!(matches!(conflict, PatternError::Conflict { old, .. } if old == "GET /a/{x}"));
    assert!(matches!(routes.add("nopath"), Err(PatternError::Invalid { .. })));
    assert_eq!(routes.add("h/{x}/b"), Ok(1));
    assert_eq!((routes.len(), routes.pattern(1), routes.pattern(2)), (2, Some("h/{x}/b"), None));
    assert_eq!(found(&routes, "GET", "", "/c/b"), "not found");
}

#[test]
fn redirects_keep_the_query_and_stay_here() {
    let routes = routes(&["GET /tree/", "/exact/{$}", "/echo/{id}/{rest...}"]);
    assert_eq!(found(&routes, "GET", "", "/tree?a=1"), "to /tree/?a=1");
    assert_eq!(found(&routes, "POST", "", "/tree"), "allow GET, HEAD");
    assert_eq!(found(&routes, "GET", "", "/exact?"), "to /exact/");
    assert_eq!(found(&routes, "PUT", "", "/echo/a%2Fb"), "to /echo/a%2Fb/");
    assert_eq!(found(&routes, "PUT", "", "/echo/7/"), "/echo/{id}/{rest...} id=\"7\" rest=\"\"");
    assert_eq!(found(&routes, "GET", "", "//evil.example/../x?y"), "to /x?y");
    assert_eq!(found(&routes, "GET", "", "/tree\\"), "not found");
    assert_eq!(found(&routes, "GET", "", "*"), "not found");
}

#[test]
fn connect_is_matched_as_it_is() {
    let routes = routes(&["CONNECT /a/../b", "h:80/{x}/c", "/d/"]);
    assert_eq!(found(&routes, "CONNECT", "h:80", "/a/../b"), "CONNECT /a/../b");
    assert_eq!(found(&routes, "CONNECT", "h:80", "//c"), "h:80/{x}/c x=\"\"");
    assert_eq!(found(&routes, "CONNECT", "h", "/x/c"), "not found");
    assert_eq!(found(&routes, "CONNECT", "h", "/d"), "to /d/");
    assert_eq!(found(&routes, "CONNECT", "h", "h:80"), "not found");
    assert_eq!(found(&routes, "GET", "h", "/a/../b"), "to /b");
}

#[test]
fn escaped_slashes_do_not_make_segments() {
    let routes = routes(&["/a/{x}", "/a/b/c", "/{y}/{$}"]);
    assert_eq!(found(&routes, "GET", "", "/a/b%2Fc"), "/a/{x} x=\"b/c\"");
    assert_eq!(found(&routes, "GET", "", "/%61/b/%63"), "/a/b/c");
    assert_eq!(found(&routes, "GET", "", "/a%2Fb/"), "/{y}/{$} y=\"a/b\"");
    assert_eq!(found(&routes, "GET", "", "/a/%2F"), "/{y}/{$} y=\"a\"");
}

#[test]
fn braces_and_many_wildcards_are_no_trouble_for_matchit() {
    let many = (0..40).map(|at| format!("/{{x{at}}}")).collect::<String>();
    let routes = routes(&["/%7Ba%7D/}b", &many]);
    assert_eq!(found(&routes, "GET", "", "/{a}/%7Db"), "/%7Ba%7D/}b");
    assert_eq!(found(&routes, "GET", "", "/%7Bc%7D/%7Db"), "not found");
    assert!(found(&routes, "GET", "", &"/v".repeat(40)).ends_with(" x39=\"v\""));
}

/// Returns whether a pattern matches a path, by the words of the rule and one segment at a time.
fn matches(pattern: &[Segment], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([Segment::Rest(_)], [_, ..]) => true,
        ([Segment::Single(_), pattern @ ..], [segment, path @ ..]) => *segment != END && matches(pattern, path),
        ([Segment::Literal(literal), pattern @ ..], [segment, path @ ..]) => {
            literal == segment && matches(pattern, path)
        }
        _ => false,
    }
}

/// The one pattern that matches and is more specific than all others that match.
fn naive_best(patterns: &[(usize, Pattern)], method: &str, path: &str) -> Option<usize> {
    let path: Vec<_> = segments(path).collect();
    let matching: Vec<_> =
        patterns.iter().filter(|(_, pattern)| pattern.accepts(method) && matches(pattern.segments(), &path)).collect();
    let wins = |(index, pattern): &&&(usize, Pattern)| {
        matching
            .iter()
            .all(|(other, general)| other == index || precedence::relation(pattern, general) == Relation::Specific)
    };
    let mut winners = matching.iter().filter(wins);
    let winner = winners.next();
    assert_eq!((winner.is_some(), winners.next().is_some()), (!matching.is_empty(), false));
    winner.map(|(index, _)| *index)
}

#[test]
fn agrees_with_comparing_every_pattern() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut accepted, mut refused, mut hits) = (0, 0, 0);
    for _ in 0..400 {
        let mut routes = Routes::new();
        let mut patterns = Vec::<(usize, Pattern)>::new();
        for _ in 0..40 {
            let mut text = ["", "GET ", "HEAD ", "POST "][random(4)].to_owned();
            for at in 0..random(5) {
                let wildcard = format!("{{x{at}}}");
                text.push('/');
                text.push_str(["a", "b", "c", "%2F", &wildcard, &wildcard][random(6)]);
            }
            text.push_str(["/", "/{$}", "/{rest...}", "/a", "/b", "/{last}"][random(6)]);
            let new = Pattern::parse(&text).unwrap();
            let conflict = patterns.iter().any(|(_, old)| precedence::check(&new, old).is_err());
            let added = routes.add(&text);
            assert_eq!(added.is_err(), conflict, "{text}: {added:?}");
            refused += usize::from(conflict);
            if let Ok(index) = added {
                patterns.push((index, new));
                accepted += 1;
            }
        }
        for _ in 0..100 {
            let mut path = String::new();
            for _ in 0..=random(6) {
                path.push_str(["/a", "/b", "/c", "/d", "/%2F"][random(5)]);
            }
            path.push_str(["", "/"][random(2)]);
            let method = ["GET", "HEAD", "POST", "PUT"][random(4)];
            let matches = routes.any.search(&path);
            let best = matches.best(method);
            assert_eq!(best, naive_best(&patterns, method, &path), "{method} {path} {patterns:?}");
            hits += usize::from(best.is_some());
            if path.ends_with('/') {
                continue;
            }
            let slashed = naive_best(&patterns, method, &format!("{path}/"));
            assert_eq!(matches.best_slashed(method), slashed, "{method} {path}/ {patterns:?}");
        }
    }
    assert!(accepted > 1_000 && refused > 1_000 && hits > 1_000, "{accepted} {refused} {hits}");
}
