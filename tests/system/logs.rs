//! The log: bounded, never in the way, and no way for a script to pass for the host.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use starcell_tests::client::Client;
use starcell_tests::process::{SLACK, Starcell, binary, script};

/// Serves on a port that it prints; its other handlers flood the log.
const SCRIPT: &str = r#"
def flood(req):
    for _ in range(1000000):
        log.info("x" * 15000)
srv = http.server()
srv.handle("GET /fails", lambda req: fail("x" * 15000))
srv.handle("GET /flood", flood)
srv.handle("GET /", lambda req: "fine")
srv.serve(port=0)
print("y" * 15000)
log.info("the script has ended")
"#;

/// Nobody reads standard error, and answers come all the same; SIGTERM ends the process.
#[test]
fn a_log_that_nobody_reads_stops_neither_answers_nor_the_end() {
    let mut command = Command::new(binary());
    command.args(["run", "--allow-local", "--request-time", "1s"]).arg(script(SCRIPT));
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let port = line.trim().rsplit(':').next().unwrap().parse().unwrap();
    // The pipe holds 64 KiB and the buffer 1 MiB: far less than this.
    for _ in 0..150 {
        let began = Instant::now();
        assert_eq!(Client::connect(port).get("/fails").status, 500);
        assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", began.elapsed());
    }
    let began = Instant::now();
    assert_eq!(Client::connect(port).get("/flood").status, 500, "a script waits in its own time");
    assert!(began.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", began.elapsed());
    assert_eq!(Client::connect(port).get("/").text(), "fine");
    let began = Instant::now();
    let sent = Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    while child.try_wait().unwrap().is_none() {
        assert!(began.elapsed() < Duration::from_secs(6) + SLACK, "still running");
        std::thread::sleep(Duration::from_millis(10));
    }
    // What was written before is still in the pipe.
    let mut err = Vec::new();
    child.stderr.take().unwrap().take(1 << 20).read_to_end(&mut err).unwrap();
    assert!(!err.is_empty());
}

/// Runs a script and gives its log lines, which must all be JSON of bounded length.
fn json_lines(flags: &[&str], source: &str) -> Vec<Value> {
    let flags = [&["--log-format", "json"], flags].concat();
    let ended = Starcell::run(&flags, &script(source));
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let parse = |line: &str| {
        assert!(line.len() < 64 << 10, "{} bytes", line.len());
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    ended.stderr.lines().map(parse).collect()
}

#[test]
fn no_line_is_longer_than_64_kib() {
    let source = "v = \"\\x01\" * 16300\nlog.info(v, {str(i) + v: v for i in range(64)})\nprint(v)\n";
    let lines = json_lines(&[], source);
    assert_eq!(lines.len(), 1);
    assert!(lines[0]["attributes_left_out"].as_u64().unwrap() > 50, "{}", lines[0]["attributes_left_out"]);
    let ended = Starcell::run(&[], &script(source));
    assert!(ended.output.lines().all(|line| line.len() < 64 << 10));
    assert!(ended.stdout.contains("bytes more)"), "{}", ended.stdout.len());
}

#[test]
fn a_script_writes_so_much_in_time_and_what_is_missing_is_told() {
    let source = "for _ in range(2000):\n    log.info(\"x\" * 1000)\nlog.info(\"last\")\n";
    let lines = json_lines(&["--log-rate", "4"], source);
    let dropped = lines.iter().filter_map(|line| line["msg"].as_str()?.split_once(" lines were dropped: "));
    let dropped: usize = dropped.map(|(count, _)| count.parse::<usize>().unwrap()).sum();
    let written = lines.iter().filter(|line| line["msg"].as_str().is_some_and(|msg| msg.starts_with("xxx"))).count();
    assert!((40..120).contains(&written), "a burst of 64 KiB and little more, but {written} lines");
    assert!(dropped + written >= 1999 && dropped + written <= 2001, "{dropped} dropped, {written} written");
}

#[test]
fn a_scripts_attributes_do_not_pass_for_the_hosts() {
    let forged = "{\"time\": \"2020\", \"level\": \"error\", \"msg\": \"m\", \"script\": \"o\", \"request\": \"x\"}";
    let source = format!("log.info(\"access\", {forged}, at=\"y:1\")\nlog.info(\"m\", a=2)\n");
    let lines = json_lines(&[], &source);
    let line = &lines[0];
    assert_eq!((line["level"].as_str(), line["msg"].as_str()), (Some("info"), Some("access")));
    assert!(line["time"] != "2020" && line["script"] != "o" && line["at"] != "y:1", "{line}");
    assert!(line.get("request").is_none());
    assert_eq!((line["attrs"]["level"].as_str(), line["attrs"]["at"].as_str()), (Some("error"), Some("y:1")));
    assert_eq!(lines[1]["attrs"]["a"], 2);

    let source = "log.info('access method=\"GET\" status=200', {'x\" request=\"victim\" y': 1, \"a level=error b\": 1})\n\
                  log.info(\"m\", request=\"victim\", n=1)\n";
    let ended = Starcell::run(&[], &script(source));
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let outside = |line: &str| line.replace("\\\"", "").split('"').step_by(2).collect::<String>();
    assert!(!outside(lines[0]).contains(" status=") && !outside(lines[0]).contains(" request="), "{}", lines[0]);
    assert!(!outside(lines[0]).contains(" level="), "{}", lines[0]);
    assert!(lines[1].ends_with(" attrs.request=\"victim\" n=1"), "{}", lines[1]);
}

#[test]
fn the_level_leaves_lines_out() {
    let source = "log.debug(\"d\")\nlog.info(\"i\")\nlog.warn(\"w\")\nlog.error(\"e\")\nprint(\"p\")\n";
    for (flags, expected) in [
        (&[][..], &["i", "w", "e"][..]),
        (&["--log-level", "debug"], &["d", "i", "w", "e"]),
        (&["--log-level", "warn"], &["w", "e"]),
        (&["--log-level", "error"], &["e"]),
    ] {
        let lines = json_lines(flags, source);
        let said: Vec<_> = lines.iter().map(|line| line["msg"].as_str().unwrap()).collect();
        assert_eq!(said, expected, "{flags:?}");
    }
    assert_eq!(Starcell::run(&["--log-level", "error"], &script(source)).stdout, "p\n");
}

/// What a script chooses counts where no flag does, in its handlers too.
#[test]
fn a_script_chooses_level_format_and_stream_unless_a_flag_does() {
    let source = "log.set_level(\"debug\")\nlog.set_format(\"json\")\nlog.debug(\"d\", n = 1)\nlog.set_output(\"stdout\")\n\
                  log.info(\"i\")\nlog.logger(\"warn\").info(\"no\")\nlog.logger(\"debug\").attrs({\"a\": 1}).group(\"g\").debug(\"own\", b = 2)\n";
    let ended = Starcell::run(&[], &script(source));
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let err: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(err.len(), 2, "{}", ended.stderr);
    assert_eq!((read(err[0])["msg"].as_str(), read(err[0])["attrs"]["n"].as_i64()), (Some("d"), Some(1)));
    assert!(err[1].ends_with(" a=1 g.b=2") && err[1].contains(" debug own "), "{}", err[1]);
    assert_eq!(read(ended.stdout.trim_end())["msg"], "i");

    let ended = Starcell::run(&["--log-level", "info", "--log-format", "text"], &script(source));
    // The flag overrules the level of a logger, too.
    assert!(ended.stderr.contains(" info  no ") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    assert!(ended.stdout.contains(" info  i ") && ended.stdout.lines().count() == 1, "{}", ended.stdout);
    let ended = Starcell::run(&["--log-level", "debug", "--log-format", "json"], &script(source));
    assert!(ended.stderr.lines().chain(ended.stdout.lines()).all(|line| read(line)["level"].is_string()));
    assert_eq!(read(ended.stderr.lines().last().unwrap())["attrs"]["g"]["b"], 2);
}

/// Lines of the host do not follow the script's choice.
#[test]
fn a_handler_logs_as_the_setup_said_and_the_host_as_ever() {
    let source = "log.set_level(\"debug\")\nlog.set_format(\"json\")\n\
                  def handler(req):\n    log.debug(\"seen\")\n    log.set_level(\"error\")\n    log.warn(\"unseen\")\n\
                  srv = http.server()\nsrv.handle(\"GET /\", handler)\nsrv.serve(port=0)\n";
    let starcell = Starcell::serve(&[], &script(source));
    for _ in 0..2 {
        assert_eq!(Client::connect(starcell.port()).get("/").status, 204);
    }
    let ended = starcell.stop();
    let (json, text): (Vec<&str>, Vec<&str>) = ended.stderr.lines().partition(|line| line.starts_with('{'));
    assert_eq!(json.len(), 2, "{}", ended.stderr);
    assert!(json.iter().all(|line| line.contains("\"msg\":\"seen\"")), "{}", ended.stderr);
    assert_eq!(text.iter().filter(|line| line.contains(" access ")).count(), 2, "{}", ended.stderr);
}

#[test]
fn tests_and_sessions_take_the_flags_of_the_log() {
    let folder = starcell_tests::process::folder();
    std::fs::write(folder.join("a_test.star"), "def test_it(t):\n    log.debug(\"detail\")\n    fail(\"no\")\n")
        .unwrap();
    for (flags, expected) in [(&[][..], false), (&["--log-level", "debug"], true), (&["--log-level", "warn"], false)] {
        let ended = Starcell::command(&folder, &[&["test"], flags].concat(), "");
        assert_eq!((ended.code(), ended.output.contains("detail")), (1, expected), "{flags:?}: {}", ended.output);
        let ended = Starcell::command(&folder, &[&["repl"], flags].concat(), "log.debug(\"detail\")\n");
        assert_eq!((ended.code(), ended.stderr.contains("detail")), (0, expected), "{flags:?}: {}", ended.output);
    }
}

/// Whatever a command writes to a terminal, nothing in it is what a terminal obeys.
#[test]
fn nothing_that_a_terminal_obeys_reaches_it() {
    let sources = [
        "fail(\"\\x1b]0;t\\x07\\x1b[2J\\u202e\\u009b31m\")\n".to_owned(),
        "def f():\n    return 1 // 0 # \x1b[2J\u{202e}\u{9b}31m\r\nf()\n".to_owned(),
        "x = ( # \x1b[2J\u{202e}\n".to_owned(),
    ];
    let hostile = ['\x1b', '\x07', '\u{9b}', '\u{202e}', '\r'];
    let folder = starcell_tests::process::folder();
    for source in sources {
        let file = folder.join("a\x1b[2J\u{202e}.star");
        std::fs::write(&file, &source).unwrap();
        for command in [&["run"][..], &["check"], &["test"], &["run", "--no-such-flag\x1b[2J"]] {
            let mut process = Command::new(binary());
            process.args(command).arg(&file).current_dir(&folder);
            let ended = Starcell::spawn_command(process).wait();
            assert!(!ended.output.contains(hostile), "{command:?}: {:?}", ended.output);
        }
    }
}
