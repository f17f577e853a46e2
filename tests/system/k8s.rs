//! Objects of a Kubernetes cluster: what scripts do to them, what kubectl sees of it, and who may not.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use starcell_tests::client::Client as TestClient;
use starcell_tests::kube::{Kube, TOKEN};
use starcell_tests::process::{Ended, Starcell, binary, folder, script};
use starcell_tests::tls::Identity;
use starcell_tests::tools;

/// Runs a script on a machine whose operator has this kubeconfig.
fn run_with(kubeconfig: Option<&Path>, arguments: &[&str], source: &str) -> Ended {
    let ended = Starcell::spawn_command(command(kubeconfig, &folder(), arguments, source)).wait();
    assert!(!ended.output.contains(TOKEN), "a credential in {}", ended.output);
    ended
}

fn command(kubeconfig: Option<&Path>, folder: &Path, arguments: &[&str], source: &str) -> Command {
    let mut command = Command::new(binary());
    command.arg("run").args(arguments).arg(script(source)).current_dir(folder).env("HOME", folder);
    // A proxy of the environment is never asked: nothing listens there.
    command.env("HTTPS_PROXY", "http://127.0.0.1:1").env_remove("KUBERNETES_SERVICE_HOST");
    match kubeconfig {
        Some(path) => command.env("KUBECONFIG", path),
        None => command.env_remove("KUBECONFIG"),
    };
    command
}

/// What a script prints that may talk to the cluster.
fn run(kube: &Kube, source: &str) -> String {
    let ended = run_with(Some(&kube.kubeconfig()), &["--allow-local"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout
}

/// What `k8s.try_..` calls report as wrong, one line each.
fn errors(kubeconfig: Option<&Path>, arguments: &[&str], calls: &[&str]) -> Vec<String> {
    let source: String =
        calls.iter().map(|call| format!("print({}.error)\n", call.replacen("k8s.", "k8s.try_", 1))).collect();
    let ended = run_with(kubeconfig, arguments, &source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    ended.stdout.lines().map(str::to_owned).collect()
}

const CONFIG_MAP: &str =
    r#"cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": "1"}}"#;

#[test]
fn each_function_does_what_it_says() {
    let kube = Kube::start();
    let source = format!(
        r#"{CONFIG_MAP}
pod = k8s.get("po", "web-0")
print(pod["kind"], pod["metadata"]["namespace"], pod["spec"]["containers"][0]["image"])
print([p["metadata"]["name"] for p in k8s.list("pods", labels={{"app": "web"}})], k8s.list("pods", labels="app=none"))
print([n["metadata"]["name"] + " " + n["kind"] for n in k8s.list("node")])
made = k8s.create(cm, namespace="prod")
print(made["metadata"]["namespace"], made["metadata"]["resourceVersion"] != "")
print(k8s.patch("cm", "a", {{"data": {{"m": "2", "n": None}}}}, namespace="prod")["data"])
print(k8s.patch("cm", "a", [{{"op": "replace", "path": "/data/m", "value": "3"}}], namespace="prod", type="json")["data"])
image = {{"spec": {{"containers": [{{"name": "app", "image": "app:2"}}]}}}}
print(k8s.patch("pod", "web-0", image, type="strategic")["spec"]["containers"])
print(k8s.delete("configmap", "a", namespace="prod", propagation="foreground", grace_period="1500ms"))
print(k8s.delete("configmap", "a", namespace="prod"), k8s.get("configmap", "a", None, namespace="prod"))
print(repr(k8s.logs("web-0", container="app", tail=2, since="90s", timestamps=True)))
print(k8s.config(), k8s.config(context="other"), k8s.config(namespace="x"), k8s.config(context=None, namespace=None))
"#
    );
    let expected = r#"Pod web app:1
["web-0"] []
["n1 Node"]
prod True
{"m": "2"}
{"m": "3"}
[{"image": "app:2", "name": "app"}]
True
False None
"line 4\nline 5\n"
{"context": "test", "namespace": "web"} {"context": "other", "namespace": "prod"} {"context": "other", "namespace": "x"} {"context": "test", "namespace": "web"}
"#;
    assert_eq!(run(&kube, &source), expected);
    let in_prod = "/api/v1/namespaces/prod/configmaps";
    assert_eq!(
        kube.lines(),
        [
            "GET /api/v1/namespaces/web/pods/web-0".to_owned(),
            "GET /api/v1/namespaces/web/pods?labelSelector=app%3Dweb&limit=500".to_owned(),
            "GET /api/v1/namespaces/web/pods?labelSelector=app%3Dnone&limit=500".to_owned(),
            "GET /api/v1/nodes?limit=500".to_owned(),
            format!("POST {in_prod}"),
            format!("PATCH {in_prod}/a"),
            format!("PATCH {in_prod}/a"),
            "PATCH /api/v1/namespaces/web/pods/web-0".to_owned(),
            format!("DELETE {in_prod}/a"),
            format!("DELETE {in_prod}/a"),
            format!("GET {in_prod}/a"),
            "GET /api/v1/namespaces/web/pods/web-0/log?container=app&tailLines=2&sinceSeconds=90&timestamps=true\
             &limitBytes=16777217"
                .to_owned(),
        ]
    );
    let asked = kube.asked();
    assert!(asked.iter().all(|asked| asked.agent == "starcell/0.1.0"), "{asked:?}");
    let deleted: Value = serde_json::from_str(&asked[8].body).unwrap();
    assert_eq!((&deleted["propagationPolicy"], &deleted["gracePeriodSeconds"]), (&"Foreground".into(), &2.into()));
    let types: Vec<&str> = asked[5..8].iter().map(|asked| asked.content_type.as_str()).collect();
    let kinds = ["merge-patch", "json-patch", "strategic-merge-patch"].map(|kind| format!("application/{kind}+json"));
    assert_eq!(types, kinds);
}

#[test]
fn apply_owns_its_fields_and_no_others() {
    let kube = Kube::start();
    let source = r#"
def cm(data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
print(k8s.apply(cm({"a": "1", "b": "1"}))["data"])
print(k8s.apply(cm({"a": "2"}))["data"])
print(k8s.apply(cm({"c": "1"}), field_manager="other")["data"])
print(k8s.try_apply(cm({"a": "3"}), field_manager="other").error)
print(k8s.apply(cm({"a": "3"}), field_manager="other", force=True)["data"])
print(k8s.try_apply({"apiVersion": "v1", "kind": "ConfigMap"}).error)
"#;
    let expected = r#"{"a": "1", "b": "1"}
{"a": "2"}
{"a": "2", "c": "1"}
k8s.apply("web/configmaps/a"): 409 Conflict: Apply failed with 1 conflict: conflict with "starcell": /data/a
{"a": "3"}
k8s.apply("web/configmaps"): the object has no metadata.name, which apply needs
"#;
    assert_eq!(run(&kube, source), expected);
    let asked = kube.asked();
    assert!(asked.iter().all(|asked| asked.content_type == "application/apply-patch+yaml"), "{asked:?}");
    assert!(asked[0].target.ends_with("/a?fieldManager=starcell&force=false"), "{}", asked[0].target);
    assert!(asked[4].target.ends_with("/a?fieldManager=other&force=true"), "{}", asked[4].target);
}

/// Runs kubectl against the same cluster.
fn kubectl(kube: &Kube, kubeconfig: &Path, arguments: &[&str]) -> String {
    let cache = kubeconfig.with_file_name("cache");
    let own = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()];
    let said = tools::run("kubectl", "kubernetes-client", own.iter().chain(arguments));
    assert!(said.success, "{said:#?}\nasked: {:#?}", kube.lines());
    said.stdout
}

#[test]
fn kubectl_and_a_script_see_the_same_objects() {
    let kube = Kube::start();
    let kubeconfig = kube.kubeconfig();
    let source = r#"
k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "made"}, "data": {"by": "script"}})
web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "prod"},
       "spec": {"replicas": 2}}
k8s.apply(web)
k8s.patch("deploy", "web", {"spec": {"replicas": 5}}, namespace="prod")
k8s.apply({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 9007199254740993}})
"#;
    run(&kube, source);
    let kubectl = |arguments: &[&str]| kubectl(&kube, &kubeconfig, arguments);
    let object = |arguments: &[&str]| serde_json::from_str::<Value>(&kubectl(arguments)).unwrap();
    assert_eq!(kubectl(&["get", "configmaps", "-o", "name"]), "configmap/made\n");
    assert_eq!(object(&["get", "cm", "made", "-o", "json"])["data"]["by"], "script");
    assert_eq!(object(&["-n", "prod", "get", "deployment", "web", "-o", "json"])["spec"]["replicas"], 5);
    assert_eq!(object(&["get", "widgets", "w", "-o", "json"])["spec"]["size"], 9_007_199_254_740_993_u64);

    let manifest = kubeconfig.with_file_name("manifest.yaml");
    let text =
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: theirs\n  labels: {app: web}\ndata:\n  by: kubectl\n";
    fs::write(&manifest, text).unwrap();
    kubectl(&["apply", "--server-side", "--validate=false", "-f", manifest.to_str().unwrap()]);
    kubectl(&["delete", "--wait=false", "cm", "made"]);
    let source = r#"
print([c["metadata"]["name"] for c in k8s.list("cm")], k8s.get("cm", "theirs")["data"]["by"])
print(k8s.try_apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"by": "me"}}).error)
print(k8s.logs("web-0", tail=1))
"#;
    let conflict = "k8s.apply(\"web/configmaps/theirs\"): 409 Conflict: Apply failed with 1 conflict: conflict with \
                    \"kubectl\": /data/by";
    assert_eq!(run(&kube, source), format!("[\"theirs\"] kubectl\n{conflict}\nline 5\n\n"));
    assert_eq!(kubectl(&["logs", "web-0", "--tail=1"]), "line 5\n");
    // Every object the script lists is one that kubectl lists, in the same words.
    let listed = run(&kube, "print(json.encode(k8s.list(\"pods\", namespace=\"*\")))\n");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(object(&["get", "pods", "-A", "-o", "json"])["items"], listed);
}

#[test]
fn lists_are_read_page_by_page() {
    let kube = Kube::start();
    let source = r#"
for i in range(7):
    k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-"}}, namespace="prod" if i % 2 else "web")
print(len(k8s.list("cm", namespace="*")), len(k8s.list("cm", namespace="prod")), len(k8s.list("cm", namespace="*", limit=5)))
print([c["metadata"]["namespace"] for c in k8s.list("cm", namespace="*", fields={"metadata.namespace": "prod"})])
"#;
    assert_eq!(run(&kube, source), "7 3 5\n[\"prod\", \"prod\", \"prod\"]\n");
    let lines = kube.lines();
    assert_eq!(lines[7], "GET /api/v1/configmaps?limit=500");
    assert_eq!(lines[9], "GET /api/v1/configmaps?limit=5");
    let kube = Kube::start();
    let source = "for i in range(501):\n    k8s.create({\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"c-%d\" % i}})\n\
                  print(len(k8s.list(\"cm\")), len(k8s.list(\"cm\", limit=501)), len(k8s.list(\"cm\", limit=500)))\n";
    assert_eq!(run(&kube, source), "501 501 500\n");
    let lines = kube.lines().split_off(501);
    let path = "GET /api/v1/namespaces/web/configmaps?limit=";
    let next = |limit: u32| format!("{path}{limit}&continue=500");
    assert_eq!(lines, [format!("{path}500"), next(500), format!("{path}500"), next(1), format!("{path}500")]);
}

#[test]
fn kinds_that_not_every_cluster_has_are_asked_for_once() {
    let kube = Kube::start();
    let source = r#"
w = k8s.create({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}})
print(w["kind"], k8s.get("Widgets.example.com", "w")["metadata"]["namespace"])
mouse = {"apiVersion": "example.com/v1", "kind": "Mouse", "metadata": {"name": "m"}}
print(k8s.try_create(mouse).error)
print(k8s.try_create(mouse, kind="mice.example.com").error)
print(k8s.create(mouse, kind="mice.example.com", namespace="-")["kind"])
print([m["metadata"]["name"] for m in k8s.list("mice.example.com", namespace="-")])
print(k8s.try_create(mouse, kind="widgets.example.com").error)
print(k8s.try_list("widgets.example.com", namespace="-").error)
print(k8s.try_list("widget.example.com").error)
print(k8s.try_list("gadgets.example.org").error)
print(k8s.try_list("gadgets").error)
print(k8s.try_create({"apiVersion": "example.com/v9", "kind": "Widget", "metadata": {"name": "w"}}).error)
"#;
    let expected = r#"Widget web
k8s.create("web/mouses.example.com/m"): the cluster has no kind "mouses.example.com"
k8s.create("web/mice.example.com/m"): these are in no namespace; say so with namespace="-"
Mouse
["m"]
k8s.create("web/widgets.example.com/m"): it is of the kind Mouse, not Widget; say its plural name with kind=
k8s.list("-/widgets.example.com"): these are in namespaces; name one
k8s.list("web/widget.example.com"): the cluster has no kind "widget.example.com"; did you mean "widgets.example.com"?
k8s.list("web/gadgets.example.org"): the cluster has no API group "example.org"
k8s.list("web/gadgets"): the cluster has no kind "gadgets"; a kind that clusters have not by themselves is its plural name, a dot and its group
k8s.create("web/widgets.example.com/w"): the cluster has no version v9 of the API group "example.com"
"#;
    assert_eq!(run(&kube, source), expected);
    let lines = kube.lines();
    // What it does not find it asks for again: a kind may have been added.
    let asked = |line: &str| lines.iter().filter(|asked| *asked == line).count();
    assert_eq!((asked("GET /apis/example.com"), asked("GET /apis/example.com/v1")), (1, 3), "{lines:#?}");
}

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
    let writes =
        [manifest("v1", "ConfigMap", "web"), manifest("v1", "Secret", "web"), manifest("v1", "ConfigMap", "prod")];
    let writes: Vec<&str> = writes.iter().map(String::as_str).collect();
    assert_eq!(allowed(&["--allow", "k8s.write(web/configmaps)"], &writes), [true, false, false]);
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
fn what_goes_wrong_is_said() {
    let kube = Kube::start();
    let kubeconfig = kube.kubeconfig();
    let began = Instant::now();
    let calls = [
        ("k8s.list(\"pods\", namespace=\"slow\", timeout=\"500ms\")", "k8s.list: no answer within 0.5 s"),
        (
            "k8s.list(\"pods\", namespace=\"huge\")",
            "k8s.list(\"huge/pods\"): the answer is larger than 16 MiB; ask for less",
        ),
        (
            "k8s.list(\"pods\", namespace=\"endless\")",
            "k8s.list(\"endless/pods\"): more than 200 pages; narrow it with",
        ),
        ("k8s.get(\"pods\", \"x\", namespace=\"broken\")", "k8s.get(\"broken/pods/x\"): 500 Internal Server Error"),
        (
            "k8s.list(\"pods\", namespace=\"forbidden\")",
            "k8s.list(\"forbidden/pods\"): 403 Forbidden: pods is forbidden: User \"tester\" cannot do that",
        ),
        ("k8s.logs(\"none\")", "k8s.logs(\"web/pods/none\"): 404 NotFound: pods \"none\" not found"),
        (
            "k8s.logs(\"web-0\", container=\"x\")",
            "k8s.logs(\"web/pods/web-0\"): 400 BadRequest: container x is not valid",
        ),
        (
            "k8s.patch(\"cm\", \"none\", {})",
            "k8s.patch(\"web/configmaps/none\"): 404 NotFound: configmaps \"none\" not found",
        ),
        (
            "k8s.create({\"apiVersion\": \"v1\", \"kind\": \"Node\", \"metadata\": {\"name\": \"n1\"}})",
            "k8s.create(\"-/nodes/n1\"): 409 AlreadyExists",
        ),
        ("k8s.list(\"leases\")", "k8s.list(\"web/leases\"): 404 Not Found"),
        ("k8s.config(context=\"none\")", "k8s.config: the operator's kubeconfig: it has no context \"none\""),
    ];
    let told = errors(Some(&kubeconfig), &["--allow-local"], &calls.map(|(call, _)| call));
    for (told, (call, error)) in told.iter().zip(calls) {
        assert!(told.starts_with(error), "{call}: {told}");
    }
    assert!(began.elapsed().as_secs() < 60, "{:?}", began.elapsed());
}

#[test]
fn a_cluster_that_cannot_be_used_is_a_clear_error() {
    let kube = Kube::start();
    let token = format!("token: {TOKEN}");
    let other = Identity::make();
    let folder = folder();
    let bad = |text: &str| {
        let path = folder.join(format!("{}.yaml", text.len()));
        fs::write(&path, text).unwrap();
        path
    };
    let call = ["k8s.get(\"pods\", \"web-0\")"];
    let table = [
        (kube.kubeconfig_with(&format!("certificate-authority: {}", other.cert.display()), &token), "invalid peer certificate"),
        (kube.kubeconfig_with("certificate-authority: /none.pem", &token), "its certificate-authority: /none.pem: no such file"),
        (kube.kubeconfig_with("certificate-authority-data: '***'", &token), "its certificate-authority: its data are not base64"),
        (kube.kubeconfig_with(&kube.authority(), "token: wrong"), "401 Unauthorized"),
        (kube.kubeconfig_with(&kube.authority(), "tokenFile: /none"), "the credentials of the kubeconfig: /none: no such file"),
        (
            kube.kubeconfig_with(&kube.authority(), "exec: {apiVersion: client.authentication.k8s.io/v1, command: /none, interactiveMode: Never}"),
            "the credentials of the kubeconfig: its program cannot be started: no such file",
        ),
        (
            kube.kubeconfig_with(
                &kube.authority(),
                &format!("exec: {{apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, args: [-c, 'echo {TOKEN}; exit 3'], interactiveMode: Never}}"),
            ),
            "the credentials of the kubeconfig: its program failed with exit status: 3",
        ),
        (kube.kubeconfig_with("proxy-url: http://127.0.0.1:1", &token), "the operator's kubeconfig: proxy-url is not supported"),
        (bad(&format!("users: [{{name: u, user: {{token: [{TOKEN}]}}}}]")), "kubeconfig: line 1, column "),
        (bad("{"), "kubeconfig: line "),
        (bad("clusters: []"), "kubeconfig: it has no current-context, and no context is chosen"),
        (bad("current-context: x"), "kubeconfig: it has no context \"x\""),
        (folder.join("none.yaml"), "no cluster is configured: there is no kubeconfig at "),
    ];
    for (kubeconfig, error) in table {
        let told = errors(Some(&kubeconfig), &["--allow-local"], &call);
        assert!(told[0].starts_with("k8s.") && told[0].contains(error), "{error}: {told:?}");
        assert!(!told[0].contains(TOKEN), "{told:?}");
    }
    let told = errors(None, &["--allow-local"], &call);
    assert!(
        told[0].contains("there is no kubeconfig at ") && told[0].ends_with("set KUBECONFIG for the host"),
        "{told:?}"
    );
    let mut nobody = kube.clone();
    nobody.port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let told = errors(Some(&nobody.kubeconfig()), &["--allow-local"], &call);
    assert!(told[0].contains("the cluster cannot be reached: ") && told[0].contains("refused"), "{told:?}");
    // A program of the operator's that gives a token is run, and files are merged as kubectl merges them.
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: /bin/sh, interactiveMode: Never, args: [-c, 'printf \"%s\" \"{{\\\"apiVersion\\\": \\\"client.authentication.k8s.io/v1\\\", \\\"kind\\\": \\\"ExecCredential\\\", \\\"status\\\": {{\\\"token\\\": \\\"{TOKEN}\\\"}}}}\"']}}"
    );
    let own = kube.kubeconfig_with(&kube.authority(), &exec);
    let both = std::env::join_paths([folder.join("none.yaml"), own]).unwrap();
    let told = errors(Some(Path::new(&both)), &["--allow-local"], &call);
    assert_eq!(told, ["None"]);
}

/// A pod's service account, mounted where pods have it, in a mount namespace of the test's own.
#[test]
fn inside_of_a_cluster_it_is_that_clusters_own() {
    let kube = Kube::start();
    let account = folder();
    fs::copy(&kube.identity.cert, account.join("ca.crt")).unwrap();
    fs::write(account.join("token"), TOKEN).unwrap();
    fs::write(account.join("namespace"), "web").unwrap();
    let mount = "mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io && \
                 cp -r \"$1\" /run/secrets/kubernetes.io/serviceaccount && shift && exec \"$@\"";
    let inside = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-ec", mount, "sh"]).arg(&account);
        command
    };
    if !inside().arg("true").output().is_ok_and(|output| output.status.success()) {
        // Where nobody may mount anything, what is said of an account that is not there has to do.
        let mut command = command(None, &folder(), &["--allow-local"], "print(k8s.try_list(\"pods\").error)\n");
        command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", kube.port.to_string());
        let ended = Starcell::spawn_command(command).wait();
        assert!(ended.stdout.starts_with("k8s.list: the service account of this pod: "), "{}", ended.output);
        return;
    }
    let source = "print(k8s.config(), [p[\"metadata\"][\"name\"] for p in k8s.list(\"pods\")])\n\
                  print(k8s.try_config(context=\"x\").error)\n";
    let mut command = inside();
    command.arg(binary()).args(["run", "--allow-local"]).arg(script(source));
    command.current_dir(folder()).env("HOME", folder()).env_remove("KUBECONFIG");
    command.env("KUBERNETES_SERVICE_HOST", "127.0.0.1").env("KUBERNETES_SERVICE_PORT", kube.port.to_string());
    let ended = Starcell::spawn_command(command).wait();
    let error = "k8s.config: there is no context \"x\": the cluster is the one that this pod is in";
    let shown = format!("{{\"context\": None, \"namespace\": \"web\"}} [\"web-0\"]\n{error}\n");
    assert_eq!((ended.code(), ended.stdout), (0, shown), "{}", ended.output);
}

#[test]
fn a_request_ends_in_time_and_makes_no_thousand_calls() {
    let kube = Kube::start();
    let source = r#"
def many(req):
    for i in range(200):
        r = k8s.try_get("pods", "web-0")
        if not r.ok:
            return "%d %s" % (i, r.error)
http.serve({"GET /slow": lambda req: k8s.list("pods", namespace="slow", timeout="1h"), "GET /many": many})
"#;
    let arguments = ["--allow-local", "--port", "0", "--request-time", "2s"];
    let mut starcell = Starcell::spawn_command(command(Some(&kube.kubeconfig()), &folder(), &arguments, source));
    starcell.wait_for("serving ");
    let mut client = TestClient::connect(starcell.port());
    let began = Instant::now();
    assert!(client.get("/slow").status >= 500);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    let mut client = TestClient::connect(starcell.port());
    assert_eq!(client.get("/many").text(), "100 k8s.get: more than 100 calls for one request to the script");
    let ended = starcell.stop();
    assert!(!ended.output.contains(TOKEN), "{}", ended.output);
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

/// A kubeconfig that a script wrote itself: it can do what the script can, and no more.
#[test]
fn a_kubeconfig_of_the_scripts_own_is_no_way_around_its_permissions() {
    let kube = Kube::start();
    let folder = folder();
    let place = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let kubeconfig = |cluster: &str, user: &str| fs::read_to_string(kube.kubeconfig_with(cluster, user)).unwrap();
    fs::copy(&kube.identity.cert, folder.join("ca.pem")).unwrap();
    place("token", format!("{TOKEN}\n"));
    place("own.yaml", kubeconfig("certificate-authority: ca.pem", "tokenFile: token"));
    place("far.yaml", kubeconfig("certificate-authority: /etc/none.pem", "token: x"));
    place(
        "exec.yaml",
        kubeconfig("certificate-authority: ca.pem", "exec: {apiVersion: v1, command: /bin/touch, args: [ran]}"),
    );
    place("blind.yaml", kubeconfig("insecure-skip-tls-verify: true", "token: x"));
    for (name, server) in
        [("private", "https://10.1.2.3:6443"), ("metadata", "http://169.254.169.254"), ("file", "file:///etc")]
    {
        let text = kubeconfig("certificate-authority: ca.pem", "token: x");
        place(&format!("{name}.yaml"), text.replace(&format!("https://localhost:{}", kube.port), server));
    }
    let run = |arguments: &[&str], source: &str| {
        // The operator has no cluster at all.
        let ended = Starcell::spawn_command(command(None, &folder, arguments, source)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.output);
        assert!(!ended.output.contains(TOKEN), "{}", ended.output);
        ended.stdout
    };
    let use_it = "print(k8s.try_config(\"./own.yaml\").error)\nprint(k8s.try_list(\"pods\").error)\n";
    let source = "print(k8s.config(\"own.yaml\"), k8s.list(\"pods\")[0][\"metadata\"][\"name\"])\n\
                  print(k8s.config(context=\"other\"), k8s.list(\"pods\"), k8s.try_list(\"gadgets\").ok)\n";
    let shown = "{\"context\": \"test\", \"namespace\": \"web\"} web-0\n{\"context\": \"other\", \"namespace\": \"prod\"} [] False\n";
    assert_eq!(run(&["--allow-local"], source), shown);
    assert!(kube.asked().iter().all(|asked| asked.host == format!("localhost:{}", kube.port)), "{:?}", kube.asked());

    let count = kube.lines().len();
    let file = |name: &str| format!("fs.read({})", folder.join(name).display());
    for (deny, error) in [
        ("k8s.config", "permission denied: k8s.config(\"-\")"),
        ("fs.read", "permission denied: fs.read("),
        (&file("token"), "permission denied: fs.read("),
        (&file("ca.pem"), "permission denied: fs.read("),
    ] {
        let told = run(&["--allow-local", "--deny", deny], use_it);
        assert!(told.starts_with(error), "{deny}: {told}");
    }
    for deny in ["http.client", "http.client(localhost)", "http.client(127.0.0.0/8)"] {
        let told = run(&["--allow-local", "--deny", deny], use_it);
        assert!(told.lines().nth(1).unwrap().starts_with("permission denied: http.client("), "{deny}: {told}");
    }
    assert_eq!(kube.lines().len(), count, "a cluster was asked that was denied");

    let all = "for name in [\"far\", \"exec\", \"blind\", \"private\", \"metadata\", \"file\", \"none\"]:\n    \
               r = k8s.try_config(name + \".yaml\")\n    print(r.error or k8s.try_list(\"pods\").error)\n";
    let told = run(&["--allow-local"], all);
    let told: Vec<&str> = told.lines().collect();
    for (told, error) in told.iter().zip([
        "file of a kubeconfig(\"/etc/none.pem\"): ",
        "k8s.config(\"exec.yaml\"): kubeconfig: exec is refused in a file that a script names",
        "k8s.config(\"blind.yaml\"): kubeconfig: insecure-skip-tls-verify is refused",
        "permission denied: http.client(\"https://10.1.2.3:6443/api/v1/namespaces/web/pods\"): a private address is not",
        "permission denied: http.client(\"http://169.254.169.254/api/v1/namespaces/web/pods\"): a ",
        "k8s.config(\"file.yaml\"): kubeconfig: its server: ",
        "kubeconfig(\"none.yaml\"): ",
    ]) {
        assert!(told.starts_with(error), "{error}: {told}");
    }
    assert_eq!(told.len(), 7);
    assert!(!folder.join("ran").exists(), "a program of a script's kubeconfig was run");
}

#[test]
fn the_records_of_a_clusters_calls_name_its_server_if_the_script_chose_it() {
    let kube = Kube::start();
    let folder = folder();
    fs::copy(kube.kubeconfig(), folder.join("own.yaml")).unwrap();
    let log = folder.join("audit.jsonl");
    let arguments = ["--audit", log.to_str().unwrap(), "--allow-local"];
    let source = "k8s.config(\"own.yaml\")\nk8s.list(\"pods\")\n";
    let ended = Starcell::spawn_command(command(None, &folder, &arguments, source)).wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.contains(TOKEN), "{text}");
    let calls: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: BTreeSet<&str> = calls.iter().filter_map(|line| line["capability"].as_str()).collect();
    assert_eq!(said, BTreeSet::from(["fs.read_bytes", "http.get", "k8s.config", "k8s.list"]));
    let url = format!("https://localhost:{}/api/v1/namespaces/web/pods", kube.port);
    assert!(calls.iter().any(|line| line["resource"].as_str() == Some(&url)), "{text}");
}
