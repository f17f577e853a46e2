//! The reference is up to date, and its examples give what they say.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use std::path::Path;

use starcell_check::reference;
use starcell_interp::testing::{Fixture, NativeHost};
use starcell_interp::{FailureKind, run_native};

#[test]
fn what_is_checked_in_is_what_the_modules_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/interp/REFERENCE.md");
    let same = std::fs::read_to_string(file).unwrap_or_default() == reference::markdown();
    assert!(same, "guest/interp/REFERENCE.md is stale: run `starcell docs --output guest/interp/REFERENCE.md`");
}

/// Each part of the reference on its own host, its examples in their order.
#[test]
fn every_example_gives_what_it_says() {
    let text = reference::markdown();
    let mut examples = 0;
    let mut differences = String::new();
    for part in text.split("\n# ") {
        let name = part.lines().next().unwrap_or_default();
        let fixture = Fixture::parse(&code(part));
        if fixture.examples.is_empty() {
            continue;
        }
        let host = NativeHost::new();
        let (setup, serving) = run_native(&host, name, &fixture.source);
        if let Err(failure) = setup {
            assert_eq!(failure.kind, FailureKind::Stopped, "{name}: {}", failure.report);
        }
        let serving = serving.unwrap();
        for (index, example) in fixture.examples.iter().enumerate() {
            let shown = match serving.handle(&host, 0, Fixture::request(index)) {
                Ok(response) => String::from_utf8(response.body).unwrap(),
                Err(failure) => format!("error: {}", failure.message),
            };
            if shown != example.expected {
                differences += &format!("{name}: {}\n  expected {}\n  got {shown}\n", example.code, example.expected);
            }
        }
        examples += fixture.examples.len();
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert!(examples > 150, "{examples}");
}

/// The sessions of a text, without what is between them.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```text";
            code += "\n";
        } else if inside {
            code += line;
            code += "\n";
        }
    }
    // What is before the first example would be a script for all of them.
    code.find(">>> ").and_then(|at| code.get(at..)).unwrap_or_default().to_owned()
}
