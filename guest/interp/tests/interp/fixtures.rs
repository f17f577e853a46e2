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

/// The examples in the documentation of builtins, from which the reference is made.
#[test]
fn every_documented_example_gives_what_it_says() {
    let mut documented = Vec::new();
    read_documented(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/modules"), &mut documented);
    compare(documented);
}

fn read_documented(folder: &Path, documented: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_documented(&path, documented);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        let comments = source.lines().filter_map(|line| line.trim_start().strip_prefix("/// "));
        let examples = comments.map(|line| if line.starts_with("```") { "" } else { line });
        let text: String = examples.flat_map(|line| [line, "\n"]).collect();
        if let Some((_, examples)) = text.split_once(">>> ") {
            documented.push((path.file_name().unwrap().to_string_lossy().into_owned(), format!(">>> {examples}")));
        }
    }
}

fn run_all() {
    compare(fixtures());
}

fn compare(fixtures: Vec<(String, String)>) {
    let mut differences = String::new();
    let mut examples = 0;
    for (name, text) in fixtures {
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
