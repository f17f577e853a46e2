//! Who may do what, and where it then goes.

use std::fs;

use serde_json::Value;
use starcell_tests::kube::{Kube, TOKEN};
use starcell_tests::process::{Starcell, folder};

use super::{CONFIG_MAP, command, errors, run, run_with};

#[test]
fn the_ladder_begins_at_allow_local() {
    let kube = Kube::start();
    let calls = [
        ("k8s.get(\"pods\", \"web-0\")", "k8s.read", "web/pods"),
        ("k8s.list(\"secrets\", namespace=\"*\")", "k8s.read", "*/secrets"),
        ("k8s.logs(\"web-0\")", "k8s.read", "web/pods"),
        (
            "k8s.create({\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"n\"}})",
            "k8s.write",
            "-/nodes",
        ),
        (
            "k8s.apply({\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"s\"}})",
            "k8s.write",
            "web/secrets",
        ),
        (
            "k8s.replace({\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"s\"}}, dry_run=True)",
            "k8s.write",
            "web/secrets",
        ),
        ("k8s.patch(\"node\", \"n\", {})", "k8s.write", "-/nodes"),
        ("k8s.delete(\"widgets.example.com\", \"w\", namespace=\"prod\")", "k8s.write", "prod/widgets.example.com"),
        ("k8s.config()", "k8s.config", "-"),
        ("k8s.config(context=\"other\")", "k8s.config", "-"),
    ];
    let only: Vec<&str> = calls.iter().map(|(call, ..)| *call).collect();
    let kubeconfig = kube.kubeconfig();
    for profile in ["--deny-all", "--allow-fs", "--allow-net"] {
        let told = errors(Some(&kubeconfig), &[profile], &only);
        for (told, (call, category, resource)) in told.iter().zip(calls) {
            let denial = format!("permission denied: {category}({resource:?}): not granted by {}", &profile[2..]);
            assert!(told.starts_with(&denial), "{call}: {told}");
            assert!(told.contains("; granted from allow-local"), "{call}: {told}");
        }
    }
    // Where there is no cluster either, what is said is still the denial.
    let told = errors(None, &["--deny-all"], &["k8s.get(\"pods\", \"x\")"]);
    assert!(told[0].starts_with("permission denied: k8s.read(\"default/pods\")"), "{told:?}");
    assert_eq!(kube.lines(), Vec::<String>::new(), "a cluster was asked before the decision");
    for profile in ["--allow-local", "--allow-all"] {
        let told = errors(Some(&kubeconfig), &[profile], &only[..3]);
        assert!(told.iter().all(|told| told == "None"), "{profile}: {told:?}");
    }
    let ended = run_with(Some(&kubeconfig), &[], "k8s.get(\"pods\", \"web-0\")\n");
    assert_eq!(ended.code(), 5, "{}", ended.output);
}

#[test]
fn rules_are_about_a_namespace_and_a_kind() {
    let kube = Kube::start();
    let kubeconfig = kube.kubeconfig();
    let allowed = |rules: &[&str], calls: &[&str]| -> Vec<bool> {
        let told = errors(Some(&kubeconfig), rules, calls);
        let denied = |told: &String| told.starts_with("permission denied: ");
        told.iter().map(|told| !denied(told)).collect()
    };
    let reads = [
        "k8s.get(\"po\", \"web-0\")",
        "k8s.list(\"Pod\", namespace=\"web\")",
        "k8s.list(\"pods\", namespace=\"prod\")",
        "k8s.list(\"pods\", namespace=\"*\")",
        "k8s.list(\"cm\")",
        "k8s.list(\"nodes\")",
        "k8s.delete(\"pods\", \"none\")",
    ];
    for (rules, expected) in [
        (&["--allow", "k8s.read(web/pods)"][..], [true, true, false, false, false, false, false]),
        (&["--allow", "k8s.read[get](web/pods)"], [true, false, false, false, false, false, false]),
        (&["--allow", "k8s.read(*/pods)"], [true, true, true, true, false, false, false]),
        (&["--allow", "k8s.*(web/*)"], [true, true, false, false, true, false, true]),
        (&["--allow", "k8s.read(-/nodes)"], [false, false, false, false, false, true, false]),
        (&["--allow-local", "--deny", "k8s.*(prod/*)"], [true, true, false, false, true, true, true]),
        (&["--allow-local", "--deny", "k8s.read(web/pods)"], [false, false, true, false, true, true, true]),
        (&["--allow-local", "--deny", "k8s.write"], [true, true, true, true, true, true, false]),
    ] {
        assert_eq!(allowed(rules, &reads), expected, "{rules:?}");
    }
    // Whatever an object says of itself is what is judged.
    let manifest = |api_version: &str, kind: &str, namespace: &str| {
        format!(
            "k8s.create({{\"apiVersion\": \"{api_version}\", \"kind\": \"{kind}\", \"metadata\": {{\"name\": \"x\", \"namespace\": \"{namespace}\"}}}})"
        )
    };
    let writes = [
        manifest("v1", "ConfigMap", "web"),
        manifest("v1", "Secret", "web"),
        manifest("v1", "ConfigMap", "prod"),
        manifest("v1", "ConfigMap", ""),
    ];
    let writes: Vec<&str> = writes.iter().map(String::as_str).collect();
    assert_eq!(allowed(&["--allow", "k8s.write(web/configmaps)"], &writes), [true, false, false, true]);
}

/// A rule that protects what is in a namespace protects it from the end of the namespace too.
#[test]
fn deleting_a_namespace_is_deleting_what_is_in_it() {
    let kube = Kube::start();
    let kubeconfig = kube.kubeconfig();
    let calls = ["k8s.delete(\"ns\", \"prod\")", "k8s.delete(\"crd\", \"widgets.example.com\")"];
    for (rules, denied) in [
        (&["--deny", "k8s.write(prod/secrets)"][..], ["k8s.write(\"prod/*\")", ""]),
        (&["--deny", "k8s.write(prod/*)"], ["k8s.write(\"prod/*\")", "k8s.write(\"*/widgets.example.com\")"]),
        (
            &["--deny", "k8s.write(*/widgets.example.com)"],
            ["k8s.write(\"prod/*\")", "k8s.write(\"*/widgets.example.com\")"],
        ),
        (&["--deny", "k8s.write(-/widgets.example.com)"], ["", "k8s.write(\"-/widgets.example.com\")"]),
    ] {
        let told = errors(Some(&kubeconfig), &[&["--allow-local"], rules].concat(), &calls);
        for (told, denied) in told.iter().zip(denied) {
            let expected = if denied.is_empty() { "None".to_owned() } else { format!("permission denied: {denied}: ") };
            assert!(told.starts_with(&expected) || (denied.is_empty() && told.contains("404")), "{rules:?}: {told}");
        }
    }
    let only = ["--allow", "k8s.write(-/namespaces)"];
    let told = errors(Some(&kubeconfig), &only, &["k8s.delete(\"ns\", \"web\")"]);
    assert!(told[0].starts_with("permission denied: k8s.write(\"web/*\")"), "{told:?}");
    let both = ["--allow", "k8s.write(-/namespaces)", "--allow", "k8s.write(web/*)"];
    assert_eq!(errors(Some(&kubeconfig), &both, &["k8s.delete(\"ns\", \"web\")"]), ["None"]);
}

#[test]
fn a_call_goes_nowhere_else_than_where_it_was_judged() {
    let kube = Kube::start();
    let calls = [
        ("k8s.get(\"pods\", \"../secrets/x\")", "k8s.get: a name is up to 253 characters without spaces, `/` and `%`"),
        ("k8s.get(\"pods\", \"..\")", "k8s.get: a name is up to 253 characters"),
        ("k8s.get(\"pods\", \"%2e%2e\")", "k8s.get: a name is up to 253 characters"),
        ("k8s.get(\"pods/log\", \"x\")", "k8s.get: kind \"pods/log\": a kind is ASCII letters"),
        ("k8s.get(\"pods?x\", \"x\")", "k8s.get: kind \"pods?x\": a kind is ASCII letters"),
        ("k8s.get(\"pods\", \"x\", namespace=\"a/b\")", "k8s.get: a namespace is at most 63 lower-case"),
        ("k8s.get(\"pods\", \"x\", namespace=\"*\")", "k8s.get: this needs one namespace, not all of them"),
        (
            "k8s.get(\"nodes\", \"x\", namespace=\"web\")",
            "k8s.get: nodes are in no namespace, but namespace=\"web\" is given",
        ),
        ("k8s.get(\"pods\", \"x\", namespace=\"-\")", "k8s.get: pods are in namespaces, so namespace=\"-\" means none"),
        ("k8s.config(namespace=\"A\")", "k8s.config: a namespace is at most 63 lower-case"),
        ("k8s.create({})", "k8s.create: the object: missing field `apiVersion`"),
        ("k8s.create({\"apiVersion\": \"v1\", \"kind\": 5})", "k8s.create: the object: invalid type"),
        (
            "k8s.create({\"apiVersion\": \"v1/../..\", \"kind\": \"Pod\"})",
            "k8s.create: the object's apiVersion: \"../..\" is not",
        ),
        (
            "k8s.create({\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"x\", \"namespace\": \"web\"}}, namespace=\"prod\")",
            "k8s.create: the object says the namespace \"web\", and the call \"prod\"",
        ),
        (
            "k8s.create({\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"x\"}}, kind=\"configmaps\")",
            "k8s.create(\"web/configmaps/x\"): it is of the kind Secret, not ConfigMap",
        ),
        (
            "k8s.create({\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"x\"}}, kind=\"deployments\")",
            "k8s.create: the object is of the API group \"\", and web/deployments of \"apps\"",
        ),
    ];
    let told = errors(Some(&kube.kubeconfig()), &["--allow-local"], &calls.map(|(call, _)| call));
    for (told, (call, error)) in told.iter().zip(calls) {
        assert!(told.starts_with(error), "{call}: {told}");
    }
    assert_eq!(kube.lines(), Vec::<String>::new());
    // What a segment or a query can hold is encoded.
    let source = "print(k8s.get(\"pods\", \"a?b#c\", None), k8s.list(\"pods\", labels=\"a=b&watch=true\"))\n";
    assert_eq!(run(&kube, source), "None []\n");
    assert_eq!(
        kube.lines(),
        [
            "GET /api/v1/namespaces/web/pods/a%3Fb%23c",
            "GET /api/v1/namespaces/web/pods?labelSelector=a%3Db%26watch%3Dtrue&limit=500"
        ]
    );
}

#[test]
fn calls_are_recorded_with_namespace_and_kind() {
    let kube = Kube::start();
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let source = format!(
        "{CONFIG_MAP}\nk8s.apply(cm, namespace=\"prod\")\nk8s.list(\"pods\", namespace=\"*\")\nk8s.try_delete(\"secret\", \"x\")\n\
         k8s.try_logs(\"none\")\nk8s.get(\"nodes\", \"n1\")\nk8s.config(context=\"other\")\n"
    );
    let arguments = ["--audit", log.to_str().unwrap(), "--allow-local", "--deny", "k8s.write(web/secrets)"];
    let ended = Starcell::spawn_command(command(Some(&kube.kubeconfig()), &folder, &arguments, &source)).wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &'static str| lines.iter().filter(move |line| line["kind"] == kind);
    let said: Vec<String> = of("call")
        .map(|call| {
            ["capability", "category", "resource", "decision"].map(|field| call[field].as_str().unwrap()).join(" ")
        })
        .collect();
    assert_eq!(
        said,
        [
            "k8s.apply k8s.write prod/configmaps allow",
            "k8s.list k8s.read */pods allow",
            "k8s.delete k8s.write web/secrets deny",
            "k8s.logs k8s.read web/pods allow",
            "k8s.get k8s.read -/nodes allow",
            "k8s.config k8s.config - allow",
        ]
    );
    let outcomes: Vec<&str> = of("outcome").map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "ok", "error", "ok", "ok"]);
    assert!(of("outcome").next().unwrap()["bytes"].as_u64().unwrap() > 100);
}
