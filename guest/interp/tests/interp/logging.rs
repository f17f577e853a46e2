//! `log` and `print`.

use super::common::{Deployed, failure, prints_on};
use starcell_interp::testing::NativeHost;
use starcell_interp::{Conditions, Level, LogFormat, LogOutput};

/// A host whose operator made a choice.
fn asked(log_level: Option<Level>, log_format: Option<LogFormat>) -> NativeHost {
    let conditions = Conditions { log_level, log_format, ..Conditions::default() };
    NativeHost::under(conditions)
}

/// The messages that a script logs, with format and stream where they are not the usual ones.
fn logged(host: &NativeHost) -> Vec<String> {
    let line = |line: starcell_interp::LogLine| {
        let format = if line.format == LogFormat::Json { " json" } else { "" };
        let output = if line.output == LogOutput::Stdout { " stdout" } else { "" };
        format!("{}{format}{output}", line.message)
    };
    host.logs().into_iter().map(line).collect()
}

const ALL: &str = "log.debug('d')\nlog.info('i')\nlog.warn('w')\nlog.error('e')\n";

#[test]
fn every_way_to_give_attributes() {
    let host = asked(Some(Level::Debug), None);
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

#[test]
fn lines_from_info_on_are_written_unless_the_script_says_otherwise() {
    for (set, expected) in [
        ("", &["i", "w", "e"][..]),
        ("log.set_level('debug')\n", &["d", "i", "w", "e"]),
        ("log.set_level(level = 'WARN')\n", &["w", "e"]),
        ("log.set_level('warning')\n", &["w", "e"]),
        ("log.set_level('error')\n", &["e"]),
        ("log.set_level('debug')\nlog.set_level('error')\n", &["e"]),
        ("log.set_format('json')\nlog.set_level('error')\n", &["e json"]),
        ("log.set_level('error')\nlog.set_output('stdout')\n", &["e stdout"]),
    ] {
        let host = NativeHost::new();
        prints_on(&host, &format!("{set}{ALL}"));
        assert_eq!(logged(&host), expected, "{set}");
    }
}

#[test]
fn the_operators_choice_comes_before_every_choice_of_a_script() {
    let own = "own = log.logger('error', 'json')\nown.debug('own d')\nown.warn('own w')\n";
    let source = format!("log.set_level('debug')\nlog.set_format('json')\n{ALL}{own}");
    let host = asked(Some(Level::Warn), Some(LogFormat::Text));
    prints_on(&host, &source);
    assert_eq!(logged(&host), ["w", "e", "own w"]);
    let host = asked(Some(Level::Debug), None);
    prints_on(&host, &format!("log.set_level('error')\n{own}"));
    assert_eq!(logged(&host), ["own d json", "own w json"]);
}

#[test]
fn a_logger_has_settings_attributes_and_groups_of_its_own() {
    let host = NativeHost::new();
    let source = r#"
log.set_level("error")
l = log.logger(level = "debug", format = "json", output = "stdout")
print(l, l.level, l.format, l.output, log.logger().level, log.child().level)
req = l.attrs({"app": "shop"}).group("req").attrs({"id": 7})
req.debug("one", {"path": "/"})
l.info("two")
log.logger().child(app = "x").group("req").info("three", id = 1)
log.logger().debug("not written")
log.child(a = 1).group("g").error("four", b = 2)
log.child(a = 1).warn("not written either")
"#;
    assert_eq!(
        prints_on(&host, source),
        ["Logger(level=\"debug\", format=\"json\", output=\"stdout\") debug json stdout info None"]
    );
    let lines: Vec<(String, String)> = host
        .logs()
        .iter()
        .map(|line| {
            let attributes: Vec<String> = line.attributes.iter().map(|(name, json)| format!("{name}={json}")).collect();
            (format!("{:?} {}", line.format, line.message), attributes.join(" "))
        })
        .collect();
    let line = |line: &str, attributes: &str| (line.to_owned(), attributes.to_owned());
    assert_eq!(
        lines,
        [
            line("Json one", "app=\"shop\" req={\"id\":7,\"path\":\"/\"}"),
            line("Json two", ""),
            line("Text three", "app=\"x\" req.id=1"),
            line("Text four", "a=1 g.b=2"),
        ]
    );
}

#[test]
fn a_handler_begins_with_what_the_setup_left_and_leaves_nothing() {
    let source = r#"
log.set_level("warn")
log.set_format("json")
own = log.logger("debug")
def handler(req):
    log.info("hidden")
    log.warn("seen")
    own.debug("own")
    log.set_level("debug")
    log.set_format("text")
    log.debug("in this request")
srv = http.server()
srv.handle("GET /", handler)
srv.start(port = 0)
log.set_level("error")
"#;
    let deployed = Deployed::new(source);
    deployed.get("/").unwrap();
    deployed.get("/").unwrap();
    let once = ["seen json", "own", "in this request"];
    assert_eq!(logged(&deployed.host), [once, once].concat());
}

#[test]
fn unknown_levels_formats_and_streams_name_those_that_there_are() {
    for (call, message) in [
        (
            "log.set_level('loud')",
            "log.set_level: level must be \"debug\", \"info\", \"warn\" or \"error\", got \"loud\" (string)",
        ),
        ("log.set_level(3)", "log.set_level: level must be \"debug\", \"info\", \"warn\" or \"error\", got 3 (int)"),
        ("log.set_format('xml')", "log.set_format: format must be \"text\" or \"json\", got \"xml\" (string)"),
        (
            "log.set_output('/tmp/x')",
            "log.set_output: output must be \"stderr\" or \"stdout\", got \"/tmp/x\" (string)",
        ),
        ("log.logger('loud')", "log.logger: level must be"),
        ("log.logger(format = 'xml')", "log.logger: format must be \"text\" or \"json\""),
        ("log.logger(output = 'file')", "log.logger: output must be \"stderr\" or \"stdout\""),
        ("log.logger().group('')", "logger.group: name must be a non-empty string"),
        ("log.logger().attrs({1: 2})", "logger.attrs: an attribute's name must be a str"),
        ("log.debug('m', {1: 2})", "log.debug: an attribute's name must be a str"),
    ] {
        let found = failure(call).message;
        assert!(found.starts_with(message), "{call}: {found}");
    }
}
