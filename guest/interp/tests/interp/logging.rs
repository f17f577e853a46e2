//! `log` and `print`.

use super::common::{failure, prints_on};
use starcell_interp::Level;
use starcell_interp::testing::NativeHost;

#[test]
fn every_way_to_give_attributes() {
    let host = NativeHost::new();
    prints_on(
        &host,
        r#"
log.debug("a")
log.info("b", {"k": 1})
log.warn("c", attrs = {"k": [1.0, None]}, more = "x")
log.error("d", {"x y": True}, k = b"\xff", f = len)
log.info(msg = "e", attrs = None)
log.info(17)
"#,
    );
    let logs: Vec<(Level, String, String)> = host
        .logs()
        .into_iter()
        .map(|r| {
            let attributes: Vec<String> = r.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
            (r.level, r.message, attributes.join(" "))
        })
        .collect();
    let line = |level, message: &str, attributes: &str| (level, message.to_owned(), attributes.to_owned());
    assert_eq!(
        logs,
        [
            line(Level::Debug, "a", ""),
            line(Level::Info, "b", "k=1"),
            line(Level::Warn, "c", "k=[1.0,null] more=\"x\""),
            line(Level::Error, "d", "x y=true k=\"b\\\"\\\\xff\\\"\" f=\"len\""),
            line(Level::Info, "e", ""),
            line(Level::Info, "17", ""),
        ]
    );
    assert_eq!((host.logs()[2].at.line, host.logs()[2].at.column), (4, 1));
}

#[test]
fn wrong_attributes_are_errors() {
    for (call, message) in [
        ("log.info()", "log.info: missing argument msg"),
        ("log.info(\"m\", 1)", "log.info: attrs must be dict, got 1 (int)"),
        ("log.warn(\"m\", {1: 2})", "log.warn: an attribute's name must be a str, got 1 (int)"),
        ("log.info(\"m\", {\"a\": 1}, a = 2)", "log.info: attribute a given twice"),
        ("log.info(\"m\", {}, attrs = {})", "log.info: argument attrs given twice"),
        ("log.info(\"m\", {}, 3)", "log.info: unexpected positional argument 3 (int), accepted: msg, attrs"),
    ] {
        assert_eq!(failure(call).message, message);
    }
}

#[test]
fn print_joins_its_arguments() {
    let host = NativeHost::new();
    let lines = prints_on(&host, "print(1, \"a\", [\"b\"], b\"c\")\nprint()\nprint(1, 2, sep = \"-\")\n");
    assert_eq!(lines, ["1 a [\"b\"] c", "", "1-2"]);
}
