//! Every fixture of `tests/fixtures`, run natively. The whole-system tests run the same files in the guest.

use std::path::Path;

use starcell_interp::testing::{Example, Fixture, NativeHost};
use starcell_interp::{FailureKind, Serving, run_native};

/// On a stack of the guest's size: what recurses over a document or a template must fit it.
#[test]
fn every_example_gives_what_it_says() {
    let small = std::thread::Builder::new().stack_size(1 << 20);
    small.spawn(run_all).unwrap().join().unwrap();
}

fn run_all() {
    let mut differences = String::new();
    let mut examples = 0;
    for (name, text) in fixtures() {
        let fixture = Fixture::parse(&text);
        assert!(!fixture.examples.is_empty(), "{name} has no example");
        let host = NativeHost::new();
        let serving = serve(&host, &name, &fixture);
        for (index, example) in fixture.examples.iter().enumerate() {
            let shown = answer(&host, &serving, index);
            differences += &difference(&name, example, &shown);
        }
        examples += fixture.examples.len();
    }
    assert!(differences.is_empty(), "\n{differences}");
    assert!(examples >= 20, "only {examples} examples were found");
}

fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut fixtures: Vec<_> = files
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    fixtures.sort();
    fixtures
}

fn serve(host: &NativeHost, name: &str, fixture: &Fixture) -> Serving {
    let (setup, serving) = run_native(host, name, &fixture.source);
    if let Err(failure) = setup {
        assert_eq!(failure.kind, FailureKind::Stopped, "{}", failure.report);
    }
    serving.expect("a fixture serves")
}

fn answer(host: &NativeHost, serving: &Serving, index: usize) -> String {
    match serving.handle(host, 0, Fixture::request(index)) {
        Ok(response) => String::from_utf8(response.body).unwrap(),
        Err(failure) => format!("error: {}", failure.message),
    }
}

fn difference(name: &str, example: &Example, shown: &str) -> String {
    if shown == example.expected {
        return String::new();
    }
    let Example { line, code, expected } = example;
    format!("{name}:{line}: {code}\n  expected {expected}\n  got      {shown}\n")
}
