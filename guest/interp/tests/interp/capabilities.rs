//! The modules that ask the host, over one that lives in memory: what of a call reaches it, and what of its answer the
//! script.

use std::cell::Cell;

use starcell_interp::testing::NativeHost;
use starcell_interp::{FailureKind, HostError, Incoming, Lifetime, Output, run_native};

use super::common::{Deployed, prints_on, request};

#[test]
fn a_refusal_is_a_denial_and_can_be_caught() {
    let mut host = NativeHost::new();
    let denied = HostError::Denied("permission denied: fs.read(\"/x\")".to_owned());
    host.files.refuse = Some(denied.clone());
    host.kv.refuse = Some(denied.clone());
    host.programs.refuse = Some(denied.clone());
    host.cluster.refuse = Some(denied.clone());
    host.sql.refuse = Some(denied.clone());
    host.client.answer = Err(denied);
    let calls = [
        "fs.read_text(\"x\")",
        "fs.glob(\"*\")",
        "kv.get(\"k\")",
        "kv.update(\"k\", lambda v: 1)",
        "os.exec([\"/x\"])",
        "os.cwd()",
        "os.env(\"X\")",
        "os.hostname()",
        "fs.path(\"x\").resolve()",
        "os.which(\"x\")",
        "k8s.get(\"pod\", \"x\")",
        "k8s.list(\"pods\")",
        "k8s.create({})",
        "k8s.apply({})",
        "k8s.replace({})",
        "k8s.patch(\"pod\", \"x\", {})",
        "k8s.delete(\"pod\", \"x\")",
        "k8s.logs(\"x\")",
        "k8s.config()",
        "sql.open(\"sqlite:a.db\").query(\"select 1\")",
        "sql.open(\"sqlite:a.db\").exec(\"delete from t\")",
        "sql.open(\"sqlite:a.db\").tx(lambda tx: 1)",
        "http.get(\"http://h/\")",
        "http.url(\"http://h/\").post()",
    ];
    for call in calls {
        let (outcome, _) = run_native(&host, "app.star", call);
        let failure = outcome.unwrap_err();
        assert_eq!(
            (failure.kind, failure.message.as_str()),
            (FailureKind::Denied, "permission denied: fs.read(\"/x\")")
        );
        assert_eq!((failure.at.line, failure.at.column), (1, 1), "{call}");
    }
    let caught = prints_on(
        &host,
        "r = fs.try_read_text(\"x\")\nprint(r.ok, r.value, r.error)\nprint(os.try_exec(\"/x\").value)\n",
    );
    assert_eq!(caught, ["False None permission denied: fs.read(\"/x\")", "None"]);
}

#[test]
fn the_host_stopping_cannot_be_caught() {
    let mut host = NativeHost::new();
    host.programs.refuse = Some(HostError::Stopped);
    let (outcome, _) = run_native(&host, "app.star", "os.try_exec(\"/x\")\nprint(1)\n");
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Stopped);
    assert!(host.prints().is_empty());
}

#[test]
fn update_tries_again_with_the_value_there_is_then() {
    let mut host = NativeHost::new();
    host.kv.contended = Cell::new(3);
    let source =
        "seen = []\ndef add(v):\n    seen.append(v)\n    return v + 1\nprint(kv.update(\"n\", add, default=5), seen)\n";
    assert_eq!(prints_on(&host, source), ["6 [5, 5, 5, 5]"]);
    let host = NativeHost::new();
    host.kv.contended.set(5000);
    let (outcome, _) = run_native(&host, "app.star", "kv.update(\"n\", lambda v: 1)\n");
    assert_eq!(outcome.unwrap_err().message, "kv.update: \"n\" was changed by others in each of 1000 tries");
}

#[test]
fn lifetimes_are_as_documented() {
    let host = NativeHost::new();
    let source = "kv.set(\"a\", 1)\nkv.set(\"b\", 1, ttl=\"2s\")\nkv.incr(\"c\", ttl=\"3s\")\nkv.update(\"a\", lambda v: 2)\n\
                  kv.compare_and_set(\"a\", 2, 3)\nkv.set(\"d\", 1, ttl=None)\n";
    prints_on(&host, source);
    let seconds = |n: u64| Lifetime::Last(n * 1_000_000_000);
    let given: Vec<Lifetime> = host.kv.lifetimes().into_iter().map(|(_, lifetime)| lifetime).collect();
    let forever = Lifetime::Forever;
    assert_eq!(given, [forever, seconds(2), seconds(3), Lifetime::Keep, forever, forever]);
}

#[test]
fn a_command_is_split_and_nothing_more() {
    let host = NativeHost::new();
    let source = r#"
os.exec("/bin/x 'a b' \"c $D\" e\\ f *.txt ; rm -rf / | `id` $(id) > out")
os.exec(["/bin/x", "-y"], env={"A": "1"}, cwd="sub", stdin=b"\xff", timeout="2s")
"#;
    prints_on(&host, source);
    let commands = host.programs.commands();
    let words = ["/bin/x", "a b", "c $D", "e f", "*.txt", ";", "rm", "-rf", "/", "|", "`id`", "$(id)", ">", "out"];
    assert_eq!(commands[0].argv, words);
    assert_eq!((&commands[0].environment, &commands[0].folder), (&None, &None));
    let second = &commands[1];
    assert_eq!(second.environment, Some(vec![("A".to_owned(), "1".to_owned())]));
    assert_eq!((second.folder.as_deref(), second.stdin.as_slice()), (Some("sub"), &b"\xff"[..]));
    assert_eq!(second.timeout, Some(2_000_000_000));
}

#[test]
fn try_exec_has_something_to_show_of_a_failure() {
    let mut host = NativeHost::new();
    host.programs.output = Output { code: 2, stdout: b"some".to_vec(), stderr: b"why\n".to_vec() };
    let lines = prints_on(&host, "r = os.try_exec(\"/x\")\nprint(bool(r), r.value.code, r.value.stdout, r.error)\n");
    assert_eq!(lines, ["False 2 some command failed (exit code 2): why"]);
    let (outcome, _) = run_native(&host, "app.star", "os.exec(\"/x\")\n");
    assert_eq!(outcome.unwrap_err().message, "os.exec: command failed (exit code 2): why");
}

#[test]
fn a_request_has_the_defaults_of_its_script_or_its_own() {
    let mut host = NativeHost::new();
    host.client.answer = Ok(Incoming { status: 404, reason: "Not Found".to_owned(), ..Incoming::default() });
    let source = r#"
http.config(timeout="3s", headers={"X-A": "script"})
def handler(req):
    first = http.get("http://h/1")
    http.config(timeout="4s")
    http.get("http://h/2", headers={"x-a": "call"}, timeout="5s", redirects=1)
    http.post("http://h/3", {"a": 1})
    return [first.status, first.ok, first.url]
http.serve(handler)
"#;
    let app = Deployed::on(host, source);
    for _ in 0..2 {
        let response = app.call(0, request("GET", "/")).unwrap();
        assert_eq!(response.body, b"[\"404 Not Found\",false,\"http://h/1\"]");
    }
    let sent = app.host.client.requests();
    let header = |index: usize| {
        sent[index]
            .headers
            .iter()
            .filter(|(name, _)| name != "Accept-Encoding")
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    let seconds = |index: usize| sent[index].timeout.unwrap() / 1_000_000_000;
    // What a handler sets is for its request alone: the second request begins like the first.
    for start in [0, 3] {
        assert_eq!((header(start), seconds(start)), (vec!["X-A=script".to_owned()], 3));
        assert_eq!((header(start + 1), seconds(start + 1)), (vec!["x-a=call".to_owned()], 5));
        assert_eq!(header(start + 2), ["X-A=script", "Content-Type=application/json"]);
        assert_eq!((seconds(start + 2), sent[start + 2].redirects), (4, 10));
    }
    assert_eq!(sent[1].redirects, 1);
}

#[test]
fn sleeping_is_the_hosts() {
    let host = NativeHost::new();
    prints_on(&host, "time.sleep(\"1m30s\")\nprint(time.try_sleep(5).error)\n");
    assert_eq!(host.sleeps(), [90_000_000_000]);
    assert!(host.prints()[0].starts_with("time.sleep: d must be a duration such as"));
}

#[test]
fn places_and_the_name_of_the_machine_come_from_the_host() {
    let source = "print(os.cwd(), cwd(), os.hostname(), hostname(), fs.path(\"a\").resolve() / \"b\", type(path(\"/x\").resolve()))\n\
                  print(os.try_cwd().ok, os.try_hostname().value)\n";
    let printed = prints_on(&NativeHost::new(), source);
    assert_eq!(printed, ["/app /app machine-1 machine-1 /app/a/b fs.path", "True machine-1"]);
}
