//! Records say what was done: the arguments that decide it, for calls that were done and for those that were refused; and
//! never the values that may be secrets.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use starcell_tests::log::lines;
use starcell_tests::process::{Ended, Starcell, binary, folder, script};

/// Runs a script on a machine without a cluster, and returns the calls of its log.
fn recorded(flags: &[&str], source: &str) -> (Vec<Value>, PathBuf) {
    let folder = folder();
    let ended = run(&folder, flags, source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    (lines(&folder.join("log/audit.jsonl"), "call"), folder)
}

fn run(folder: &Path, flags: &[&str], source: &str) -> Ended {
    fs::create_dir_all(folder.join("log")).unwrap();
    fs::create_dir_all(folder.join("work")).unwrap();
    let mut command = Command::new(binary());
    command.args(["run", "--audit", "../log/audit.jsonl"]).args(flags).arg(script(source));
    command.current_dir(folder.join("work")).env("HOME", folder);
    command.env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    Starcell::spawn_command(command).wait()
}

#[test]
fn a_program_is_recorded_with_its_arguments() {
    let source = "r = os.try_exec([\"/bin/sh\", \"-c\", \"cat /etc/passwd; true\"], env={\"TZ\": \"secret-1\", \"LANG\": \"C\"}, \
                  cwd=\"/tmp\", stdin=\"secret-2\")\nprint(r.ok)\n";
    for (flags, decision) in [(&["--allow-all"][..], "allow"), (&[], "deny")] {
        let (calls, folder) = recorded(flags, source);
        let calls: Vec<_> = calls.into_iter().filter(|call| call["capability"] == "os.exec").collect();
        assert!(!calls.is_empty(), "{flags:?}");
        for call in calls {
            assert_eq!(call["decision"], decision, "{call}");
            assert!(call["node"].as_str().is_some_and(|node| !node.is_empty()), "{call}");
            assert_eq!(call["argv"], json!(["/bin/sh", "-c", "cat /etc/passwd; true"]), "{call}");
            let mut names: Vec<&str> = call["env"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
            names.sort_unstable();
            assert_eq!((names, &call["cwd"]), (vec!["LANG", "TZ"], &"/tmp".into()), "{call}");
        }
        assert!(!fs::read_to_string(folder.join("log/audit.jsonl")).unwrap().contains("secret"), "{flags:?}");
    }
}

#[test]
fn an_object_of_a_cluster_is_recorded_by_its_name() {
    let source = "k8s.try_delete(\"pod\", \"the-database\", namespace=\"prod\")\n\
                  k8s.try_patch(\"pod\", \"the-database\", {\"spec\": {\"x\": \"secret\"}}, namespace=\"prod\")\n\
                  k8s.try_get(\"node\", \"n1\")\nk8s.try_logs(\"web-0\", namespace=\"prod\")\n\
                  k8s.try_apply({\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"token\", \
                  \"namespace\": \"prod\"}, \"data\": {\"x\": \"secret\"}})\n";
    for (flags, decision) in [(&["--allow-local"][..], "allow"), (&[], "deny")] {
        let (calls, folder) = recorded(flags, source);
        let found: Vec<[&str; 4]> = calls
            .iter()
            .map(|call| {
                ["capability", "resource", "object", "decision"].map(|name| call[name].as_str().unwrap_or("none"))
            })
            .collect();
        let expected = [
            ["k8s.delete", "prod/pods", "the-database", decision],
            ["k8s.patch", "prod/pods", "the-database", decision],
            ["k8s.get", "-/nodes", "n1", decision],
            ["k8s.logs", "prod/pods", "web-0", decision],
            ["k8s.apply", "prod/secrets", "token", decision],
        ];
        assert_eq!(found, expected);
        assert!(!fs::read_to_string(folder.join("log/audit.jsonl")).unwrap().contains("\"secret\""), "{flags:?}");
    }
}

#[test]
fn a_request_is_recorded_with_method_and_url() {
    let source = "http.try_post(\"http://127.0.0.1:1/a?token=secret-1\", \"secret-2\", headers={\"X-Key\": \"secret-3\"})\n\
                  http.try_get(\"https://u:secret-4@h.example/?secret-5\")\n";
    let (calls, folder) = recorded(&["--allow-local"], source);
    assert_eq!((&calls[0]["method"], &calls[0]["resource"]), (&"POST".into(), &"http://127.0.0.1:1/a".into()));
    let last = calls.last().unwrap();
    assert_eq!((&last["method"], &last["decision"]), (&"GET".into(), &"deny".into()), "{last}");
    assert!(!fs::read_to_string(folder.join("log/audit.jsonl")).unwrap().contains("secret"));
}

#[test]
fn a_record_is_bounded_and_says_so() {
    let source = "r = os.try_exec([\"/bin/true\"] + [\"\\x1b\" * 60000] + [\"w\"] * 3000, env={})\n";
    let (calls, folder) = recorded(&["--allow-all"], source);
    let call = calls.iter().find(|call| call["capability"] == "os.exec").unwrap();
    assert_eq!((&call["cut"], &call["argv"][0]), (&true.into(), &"/bin/true".into()));
    let text = fs::read_to_string(folder.join("log/audit.jsonl")).unwrap();
    assert!(text.lines().all(|line| line.len() < 64 << 10) && !text.contains('\u{1b}'));
}

/// Calls that are refused before a rule is looked at.
#[test]
fn each_call_that_no_cluster_could_take_has_a_record() {
    for (call, asked) in [
        ("k8s.try_get(\"pods\", \"../secrets/x\", namespace=\"default\")", "../secrets/x"),
        ("k8s.try_get(\"pods/exec\", \"x\")", "pods/exec"),
        ("k8s.try_get(\"pods\", \"x\", namespace=\"../kube-system\")", "../kube-system"),
        ("k8s.try_list(\"secrets.\")", "secrets."),
        ("k8s.try_logs(\"x y\")", "x y"),
        ("k8s.try_delete(\"pods\", \"a%2fb\")", "a%2fb"),
        ("k8s.try_create({\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a/../b\"}})", "a/../b"),
    ] {
        for flags in [&["--allow-local"][..], &["--allow-all"], &[]] {
            let (calls, _) = recorded(flags, &format!("print({call}.ok)\n"));
            let denied: Vec<_> = calls.iter().filter(|call| call["decision"] == "deny").collect();
            assert!(!denied.is_empty(), "{flags:?} {call}: {calls:?}");
            assert!(denied.iter().any(|record| record.to_string().contains(asked)), "{call}: {denied:?}");
        }
    }
}
