//! Options of a server that a flag of the operator lowers: one warning for each, at start.

use starcell_tests::client::Client;
use starcell_tests::process::{Starcell, script};

/// The warnings of a script that serves with these options under these flags.
fn warnings(flags: &[&str], options: &str) -> Vec<String> {
    let handler = "lambda req: None";
    let mut all: Vec<Vec<String>> = Vec::new();
    for source in [
        format!("s = http.server({options})\ns.handle(\"GET /\", {handler})\ns.serve()\n"),
        format!("s = http.server()\ns.handle(\"GET /\", {handler})\ns.serve({options})\n"),
        // The script must still be there when the request comes, and start nothing once it is told to stop.
        format!("s = http.server()\ns.handle(\"GET /\", {handler})\ns.start({options})\ntime.sleep(\"6s\")\n"),
        format!("http.serve({{\"GET /\": {handler}}}, {options})\n"),
        format!("def main():\n    http.serve({{\"GET /\": {handler}}}, {options})\n"),
    ] {
        let starcell = Starcell::serve(flags, &script(&source));
        // A request does not warn again.
        assert_eq!(Client::connect(starcell.port()).get("/").status, 204);
        let ended = starcell.stop();
        let lines = ended.stderr.lines().filter(|line| line.contains(" is lowered to ")).map(str::to_owned);
        all.push(lines.collect());
    }
    let texts = |lines: &Vec<String>| -> Vec<String> {
        lines.iter().map(|line| line.split_once("warn").expect("a warning").1.to_owned()).collect()
    };
    let first = texts(&all[0]);
    for (number, lines) in all.iter().enumerate() {
        assert_eq!(texts(lines).len(), first.len(), "way {number}: {lines:?}");
    }
    first
}

#[test]
fn each_option_that_a_flag_lowers_has_one_warning() {
    for (flags, option, asked, flag, allowed) in [
        (&["--request-time", "30s"][..], "write_timeout", "\"60s\"", "--request-time", "30s"),
        (&["--request-time", "250ms"], "write_timeout", "\"1m30s\"", "--request-time", "250ms"),
        (&[], "write_timeout", "\"1h\"", "--request-time", "30s"),
        (&["--header-time", "2s"], "read_timeout", "\"3s\"", "--header-time", "2s"),
        (&["--idle-time", "5s"], "idle_timeout", "\"6s\"", "--idle-time", "5s"),
        (&["--max-body-bytes", "1000"], "max_body_bytes", "1001", "--max-body-bytes", "1000"),
        (&[], "max_body_bytes", "20971520", "--max-body-bytes", "10485760"),
        (&["--max-header-bytes", "2000"], "max_header_bytes", "4000", "--max-header-bytes", "2000"),
    ] {
        let lines = warnings(flags, &format!("{option} = {asked}"));
        assert_eq!(lines.len(), 1, "{option}: {lines:?}");
        // A text in the log has its quotes escaped or not, depending on the format.
        let asked = asked.trim_matches('"');
        for part in [option, asked, flag, allowed] {
            assert!(lines[0].contains(part), "{part} in {lines:?}");
        }
    }
}

#[test]
fn several_options_have_several_warnings() {
    let flags = ["--request-time", "1s", "--idle-time", "1s", "--max-body-bytes", "1"];
    let options = "write_timeout = \"2s\", idle_timeout = \"2s\", max_body_bytes = 2, shutdown_timeout = \"1h\"";
    assert_eq!(warnings(&flags, options).len(), 3);
}

#[test]
fn what_is_not_lowered_has_no_warning() {
    for (flags, options) in [
        (&[][..], ""),
        (&["--request-time", "30s"], "write_timeout = \"30s\""),
        (&[], "write_timeout = \"1s\", read_timeout = \"1s\", idle_timeout = \"1s\", shutdown_timeout = \"1h\""),
        (
            &[],
            "write_timeout = \"0s\", read_timeout = \"0s\", idle_timeout = \"0s\", max_body_bytes = 0, max_header_bytes = 0",
        ),
        (&[], "write_timeout = None, max_body_bytes = None, host = None, port = None"),
        (&[], "max_body_bytes = 10485760, max_header_bytes = 65536"),
    ] {
        assert_eq!(warnings(flags, options), Vec::<String>::new(), "{options}");
    }
}
