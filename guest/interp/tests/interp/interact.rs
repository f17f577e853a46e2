//! Sessions: what inputs come to, and what stays between them.

use starcell_interp::testing::NativeHost;
use starcell_interp::{FailureKind, Outcome, interact};

/// What a session tells for each of its inputs.
fn told(host: &NativeHost, inputs: &[&str]) -> Vec<Outcome> {
    host.tool.inputs.borrow_mut().extend(inputs.iter().map(|input| (*input).to_owned()));
    interact(host).unwrap();
    host.tool.told().split_off(1)
}

fn shown(inputs: &[&str]) -> Vec<Option<String>> {
    let values = told(&NativeHost::new(), inputs).into_iter().map(|outcome| match outcome {
        Outcome::Value(value) => value,
        other => panic!("{other:?}"),
    });
    values.collect()
}

#[test]
fn expressions_are_shown_and_values_stay_and_change() {
    let value = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown(&["x = [1]", "x.append(2)", "x", "def f(n):\n    return n + len(x)\n", "f(1)", "'a'", "None", "", "# x"]),
        [None, None, value("[1, 2]"), None, value("3"), value("\"a\""), None, None, None]
    );
    assert_eq!(shown(&["x = 1", "x = x + 1", "x"]), [None, None, value("2")], "names can be bound again");
}

#[test]
fn an_input_that_fails_changes_nothing_else() {
    let host = NativeHost::new();
    let told = told(&host, &["x = 1", "x + nope", "x +", "1 // 0", "x"]);
    let failed = |index: usize| match &told[index] {
        Outcome::Failed(failure) => failure.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(1).kind, FailureKind::Syntax);
    assert!(failed(2).report.contains("<input>:1:"), "{}", failed(2).report);
    assert!(failed(3).report.contains("1 // 0\n  | ^^^^^^"), "{}", failed(3).report);
    assert_eq!(told[4], Outcome::Value(Some("1".to_owned())));
}

#[test]
fn an_open_input_is_not_evaluated() {
    let host = NativeHost::new();
    assert_eq!(told(&host, &["f(", "def f():"]), [Outcome::Incomplete, Outcome::Incomplete]);
}

#[test]
fn what_can_be_written_is_told() {
    let host = NativeHost::new();
    told(&host, &["point = struct(x = 1)"]);
    let names = host.tool.names();
    for name in ["json", "json.encode", "point", "point.x", "print"] {
        assert!(names.iter().any(|given| given == name), "{name}");
    }
    assert!(!names.iter().any(|name| name.contains('<')), "no name that cannot be written");
}

#[test]
fn a_session_loads_and_serves() {
    let mut host = NativeHost::new();
    host.sources.insert("a.star".into(), b"a = 7".to_vec());
    let told = told(
        &host,
        &["load('a.star', 'a')", "a", "srv = http.server()", "srv.handle('/', lambda req: a)", "srv.start()"],
    );
    assert_eq!(told[1], Outcome::Value(Some("7".to_owned())));
    assert_eq!(host.routes(), [(0, "/".to_owned())]);
    assert_eq!(host.starts().len(), 1);
}
