//! Thousands of requests to the API of a node that nobody would write by hand: each is answered as the description says, and
//! none does more than its token may.

use serde_json::{Value, json};
use starcell_tests::admin::Operator;
use starcell_tests::node::ask;

use crate::host_admin::{ACME, ACME_READ, LOOPBACK, OPERATE, READ, node};

/// Requests of each token.
const REQUESTS: usize = 600;

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"];

/// What paths are made of. Stopping and draining are left out where an app is asked for afterwards.
const WORDS: &[&str] = &[
    "v1",
    "apps",
    "tenants",
    "audit",
    "health",
    "openapi.json",
    "orders",
    "other",
    "broken",
    "absent",
    "acme",
    "beta",
    "canary",
    "denials",
    "deploy",
    "preview",
    "profile",
    "rollback",
    "logs",
    "..",
    "%2e%2e",
    "%00",
    "%ff",
    "",
    "v2",
    "orders%2fstop",
    "ORDERS",
];

const QUERIES: &[&str] = &[
    "",
    "?",
    "?tail=1",
    "?tail=-1",
    "?tail=99999999999999999999",
    "?tail=%31",
    "?tail=1&tail=2",
    "?follow=yes",
    "?a=%zz",
    "?=&&=",
];

const BODIES: &[&str] = &[
    "",
    "{}",
    "[]",
    "null",
    "{\"revision\": 1}",
    "{\"revision\": 1, \"percent\": 50}",
    "{\"revision\": -1}",
    "{\"revision\": 1e99}",
    "{\"revision\": 18446744073709551616}",
    "{\"revision\": \"1\"}",
    "{\"revision\": 1, \"revision\": 2}",
    "{\"path\": \"/etc/passwd\"}",
    "{\"path\": \"../other\"}",
    "{\"percent\": 0}",
    "{\"\\u0000\": 1}",
    "{\"revision\":",
    "\u{feff}{}",
    "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
];

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn target(&mut self) -> String {
        let path = match self.below(4) {
            0 => (0..self.below(7)).map(|_| format!("/{}", self.of(WORDS))).collect(),
            // Most are nearly right.
            1 => format!("/v1/{}", self.of(WORDS)),
            2 => format!("/v1/{}/{}", self.of(&["apps", "tenants"]), self.of(WORDS)),
            _ => format!("/v1/apps/{}/{}", self.of(&["orders", "other", "absent"]), self.of(WORDS)),
        };
        let path = if path.is_empty() { "/".to_owned() } else { path };
        path + self.of(QUERIES)
    }

    /// A body, in a quarter of the cases with one of its bytes changed.
    fn body(&mut self) -> String {
        let mut body: Vec<char> = self.of(BODIES).chars().collect();
        if !body.is_empty() && self.below(4) == 0 {
            let at = self.below(body.len());
            body[at] = self.of(&['"', '{', '\\', '9', '\u{1F600}']);
        }
        body.into_iter().collect()
    }
}

#[test]
fn no_request_is_answered_otherwise_than_described_or_does_more_than_its_token_may() {
    let node = node(LOOPBACK);
    let log = node.path.join("audit.jsonl");
    let starcell = node.start(&["--audit", log.to_str().unwrap()]);
    let operate = Operator::of(&starcell, Some(OPERATE));
    let about = |app: &str| {
        let app = operate.get(&format!("/v1/apps/{app}"));
        json!([app["state"], app["revision"], app["revisions"], app["canary"]])
    };
    let before: Vec<Value> = ["orders", "other"].map(about).into();
    let mut random = Random(0x5eed_5eed_5eed_5eed);
    let mut noise = |token: Option<&str>, allowed: &[u16]| {
        let operator = Operator::of(&starcell, token);
        for _ in 0..REQUESTS {
            let (method, target, body) = (random.of(METHODS), random.target(), random.body());
            // What follows a log is not over by itself.
            if target.contains("follow=") && target.contains("/logs") {
                continue;
            }
            let told = operator.told(method, &target, &body);
            let is_allowed = told.status == 200 || (400..500).contains(&told.status);
            assert!(is_allowed, "{method} {target} {body:?}: {} {}", told.status, told.json);
            if method != "GET" && told.status == 200 {
                assert!(allowed.contains(&200), "{method} {target} {body:?} with {token:?}: {}", told.json);
            }
        }
    };
    for token in [None, Some(READ), Some(ACME_READ), Some("operate-012345678"), Some("\u{e9}")] {
        noise(token, &[]);
    }
    assert_eq!(["orders", "other"].map(about).to_vec(), before, "a token that reads has changed something");
    noise(Some(ACME), &[200]);
    assert_eq!(about("other"), before[1], "a tenant has changed what another one's app is");
    noise(Some(OPERATE), &[200]);
    assert_eq!(ask(starcell.port(), "o.example", "/").text(), "orders");
    assert_eq!(operate.get("/v1/health")["down"], json!(1));
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}
