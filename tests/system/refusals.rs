//! What is refused before a rule is looked at has a record, records say what a call does, and no text of a script is
//! worked on before its length is known.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use starcell_tests::log::{denied, lines};
use starcell_tests::process::{Starcell, folder};
use starcell_tests::upstream::{Upstream, response};

#[test]
fn every_call_that_is_refused_unjudged_has_a_record() {
    for (call, category, asked) in [
        ("k8s.try_get(\"pods\", \"../secrets/x\", namespace=\"default\")", "k8s.read", "default/pods/../secrets/x"),
        ("k8s.try_get(\"pods/exec\", \"x\")", "k8s.read", "pods/exec"),
        ("k8s.try_get(\"pods\", \"x\", namespace=\"../kube-system\")", "k8s.read", "../kube-system/pods"),
        ("k8s.try_list(\"secrets.\")", "k8s.read", "secrets."),
        ("k8s.try_logs(\"x y\")", "k8s.read", "x y"),
        ("k8s.try_delete(\"pods\", \"a%2fb\")", "k8s.write", "a%2fb"),
        ("k8s.try_apply({\"apiVersion\": \"../v1\", \"kind\": \"Pod\"})", "k8s.write", ""),
        (
            "k8s.try_create({\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"namespace\": \"a/b\"}})",
            "k8s.write",
            "a/b/pods",
        ),
        ("k8s.try_config(\"/../x\")", "k8s.config", "/../x"),
        ("kv.try_set(\"a\", \"x\" * 2000000)", "kv.write", "a"),
        ("kv.try_get(\"a\\n\")", "kv.read", "a"),
        ("fs.try_read_text(\"/../x\")", "fs.read", "/../x"),
        ("os.try_exec([\"id\"])", "os.exec", "id"),
        ("os.try_which(\"a\\\\b\")", "os.exec", "b"),
        ("http.try_get(\"http://u:p@h.example/\")", "http.client", "h.example"),
        ("http.try_serve(lambda req: None, host=\"h.example\")", "http.server", "h.example"),
    ] {
        let folder = folder();
        let log = folder.join("audit.jsonl");
        let source = format!("print({call}.ok)\n");
        let ended = Starcell::run_in(&folder, &["--permissions", "allow-all", "--audit", "audit.jsonl"], &source);
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, "False\n"), "{call}: {}", ended.output);
        let denied = denied(&log);
        let [record] = denied.as_slice() else { panic!("{call}: {denied:?}") };
        assert_eq!(record["category"], category, "{call}");
        assert!(record["resource"].as_str().unwrap().contains(asked), "{call}: {record}");
        assert!(!record.to_string().contains("u:p"), "{record}");
    }
}

#[test]
fn records_say_what_a_call_does() {
    let folder = folder();
    let tool = folder.join("tool");
    fs::write(&tool, "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    let source = "
os.try_exec([\"./tool\", \"-c\", \"cat /etc/passwd\"], env={\"LANG\": \"s3cret\"}, cwd=\".\", stdin=\"s3cret\")
k8s.try_delete(\"pod\", \"the-database\", namespace=\"prod\")
k8s.try_get(\"pod\", \"../x\", namespace=\"prod\")
";
    let ended = Starcell::run_in(&folder, &["--deny-all", "--audit", "audit.jsonl"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let log = folder.join("audit.jsonl");
    let calls = lines(&log, "call");
    let of = |name: &str| {
        calls.iter().find(|call| call["capability"] == name).unwrap_or_else(|| panic!("{name}: {calls:?}")).clone()
    };
    // The program is judged first, and refused: nobody looks at its folder.
    assert_eq!((&of("os.exec")["decision"], &of("os.exec")["cwd"]), (&"deny".into(), &".".into()));
    let listed: Vec<&Value> = calls.iter().filter(|call| call["capability"] == "fs.listdir").collect();
    assert!(listed.is_empty(), "{calls:?}");
    assert_eq!(of("k8s.delete")["object"], "the-database");
    assert_eq!(of("k8s.get")["object"], "../x");
    let run = Starcell::run_in(
        &folder,
        &["--allow", "os.exec", "--allow", "fs.read($CWD)", "--audit", "run.jsonl"],
        "os.try_exec([\"./tool\", \"-c\", \"cat /etc/passwd\"], env={\"LANG\": \"s3cret\"}, cwd=\".\", stdin=\"s3cret\")",
    );
    assert_eq!(run.code(), 0, "{}", run.output);
    let log = folder.join("run.jsonl");
    let calls = lines(&log, "call");
    let exec = calls.iter().find(|call| call["category"] == "os.exec").unwrap();
    assert_eq!(exec["argv"], json!(["./tool", "-c", "cat /etc/passwd"]));
    assert_eq!((&exec["env"], &exec["cwd"]), (&json!(["LANG"]), &".".into()));
    assert!(!fs::read_to_string(&log).unwrap().contains("s3cret"));
}

#[test]
fn long_texts_are_refused_before_they_are_worked_on() {
    for call in [
        "fs.try_read_text(\"a/\" * 6000000)",
        "fs.try_glob(\"[\" * 12000000)",
        "fs.try_write_text(\"../\" * 4000000, \"\")",
        "os.try_which(\"a/\" * 6000000)",
        "os.try_exec([\"a/\" * 6000000])",
        "os.try_env(\"A\" * 12000000)",
        "kv.try_get(\"k\" * 12000000)",
        "k8s.try_list(\"p\" * 12000000)",
        "k8s.try_get(\"pods\", \"p\" * 12000000)",
        "k8s.try_list(\"pods\", namespace=\"p\" * 12000000)",
        "http.try_get(\"http://h/\" + \"p\" * 12000000)",
        "http.server().try_start(host=\"h\" * 12000000)",
    ] {
        let source = format!("r = {call}\nprint(r.ok, len(r.error) < 1000)\n");
        let ended = Starcell::run_in(&folder(), &["--memory", "256"], &source);
        assert_eq!(
            (ended.code(), ended.stdout.as_str()),
            (0, "False True\n"),
            "{call}: {}",
            &ended.output[..ended.output.len().min(2000)]
        );
    }
}

#[test]
fn a_redirect_to_another_origin_takes_no_secret_along() {
    let second = Upstream::start(|asked| {
        let told: String = asked.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
        (response(200, &[], told.as_bytes()), false)
    });
    let target = format!("http://127.0.0.1:{}/", second.port);
    let first = Upstream::start(move |_| (response(307, &[("Location", &target)], b""), false));
    let source = format!(
        "HEADERS = {{\"X-Api-Key\": \"S3\", \"X-Vault-Token\": \"S3\", \"Authorization\": \"S3\", \"Cookie\": \"a=S3\", \
         \"Accept\": \"text/x\", \"Content-Type\": \"text/y\", \"User-Agent\": \"me\"}}\n\
         print(http.post(\"http://127.0.0.1:{}/\", \"b\", headers=HEADERS).body)\n",
        first.port
    );
    let ended = Starcell::run_in(&folder(), &["--allow-local"], &source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let told = ended.stdout.to_ascii_lowercase();
    assert!(!told.contains("s3"), "{told}");
    for kept in ["accept: text/x", "content-type: text/y", "user-agent: me"] {
        assert!(told.contains(kept), "{kept}: {told}");
    }
}
