//! What routing a request allocates: as much for a thousand routes that could match as for two hundred. For a handful it
//! is less, as sets of few need no memory of their own.

#![allow(clippy::expect_used, reason = "tests")]

use starcell_http::router::{Found, Routes};

/// Routes that all begin like the path that is asked for, and of which every fourth matches it whole but for its method.
fn candidates(count: usize) -> Routes {
    let mut routes = Routes::new();
    routes.add("GET /{a}/{b}/{c}/{d}").expect("the pattern is right");
    routes.add("GET /a/b/literal").expect("the pattern is right");
    routes.add("GET /a/{b}/{$}").expect("the pattern is right");
    for number in 0..count {
        let pattern = match number % 4 {
            0 => format!("M{number} /{{a}}/{{b}}/{{c...}}"),
            1 => format!("GET /{{a}}/{{b}}/{{c}}/d{number}"),
            2 => format!("GET /a/{{b}}/c/d{number}/{{$}}"),
            _ => format!("GET /a/b/{{c}}/e/f{number}/{{d...}}"),
        };
        routes.add(&pattern).expect("the pattern is right");
    }
    routes
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    NotFound,
    Redirect,
    Route,
}

/// What is found, and how often something was allocated for it.
fn ask(routes: &Routes, host: &str, target: &str) -> (Kind, u64) {
    let mut kind = Kind::NotFound;
    let counted = allocation_counter::measure(|| {
        kind = match routes.find("GET", host, target, None) {
            Found::Route { .. } => Kind::Route,
            Found::Redirect { .. } => Kind::Redirect,
            Found::NotFound | Found::MethodNotAllowed { .. } => Kind::NotFound,
        };
    });
    (kind, counted.count_total)
}

#[test]
fn no_candidate_costs_an_allocation() {
    let (handful, few, many) = (candidates(8), candidates(200), candidates(996));
    for (target, kind, most) in [
        ("/a/b/literal", Kind::Route, 0),
        ("/a/b/c/d", Kind::Route, 16),
        ("/x/y/z/none", Kind::Route, 16),
        ("/a/b", Kind::Redirect, 16),
        ("/x", Kind::NotFound, 16),
        ("/a/../a/b/c/d", Kind::Redirect, 20),
    ] {
        let (with_few, with_many) = (ask(&few, "localhost", target), ask(&many, "localhost", target));
        assert_eq!(with_few, with_many, "{target}: with few routes and with many");
        let saved = with_few.1 - ask(&handful, "localhost", target).1;
        assert!(saved <= 2, "{target}: {saved} allocations fewer with a handful of routes");
        assert_eq!(with_many.0, kind, "{target}");
        assert!(with_many.1 <= most, "{target}: {} allocations", with_many.1);
    }
}
