//! Objects of a Kubernetes cluster: what scripts do to them, what kubectl sees of it, and who may not.

mod config;
mod permissions;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;
use starcell_tests::client::Client as TestClient;
use starcell_tests::kube::{Kube, TOKEN};
use starcell_tests::process::{Ended, Starcell, binary, folder, script};
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
fn manifests_are_dicts_lists_or_yaml() {
    let kube = Kube::start();
    let source = format!(
        r#"{CONFIG_MAP}
text = yaml.encode(cm) + "---\n" + yaml.encode(cm).replace("name: a", "name: b")
names = lambda objects: [o["metadata"]["name"] for o in objects]
print(names(k8s.create(text)), names(k8s.list("configmaps")))
print(names(k8s.apply([cm, cm], field_manager="me")), k8s.apply(yaml.encode(cm), field_manager="me")["metadata"]["name"])
changed = k8s.replace(cm | {{"data": {{"other": "1"}}}})
print(changed["data"], k8s.get("cm", "a")["data"])
print(k8s.try_replace(cm | {{"metadata": {{"name": "none"}}}}).error)
print(k8s.try_replace(cm | {{"metadata": {{"name": "a", "resourceVersion": "1"}}}}).error)
print(k8s.try_replace({{"apiVersion": "v1", "kind": "ConfigMap"}}).error)
print(k8s.try_create(text.replace("name: a", "name: c")).error, names(k8s.list("configmaps")))
"#
    );
    let expected = r#"["a", "b"] ["a", "b"]
["a", "a"] a
{"other": "1"} {"other": "1"}
k8s.replace("web/configmaps/none"): 404 NotFound: configmaps "none" not found
k8s.replace("web/configmaps/a"): 409 Conflict: the object has been modified; please apply your changes to the latest version and try again
k8s.replace("web/configmaps"): the object has no metadata.name, which replace needs
k8s.create("web/configmaps/b"): 409 AlreadyExists: configmaps "b" already exists ["a", "b", "c"]
"#;
    assert_eq!(run(&kube, &source), expected);
}

/// The cluster answers as if the change was made, and keeps nothing of it.
#[test]
fn a_dry_run_changes_nothing() {
    let kube = Kube::start();
    let source = format!(
        r#"{CONFIG_MAP}
k8s.create(cm)
other = cm | {{"metadata": {{"name": "b"}}}}
before = k8s.list("configmaps")
print(k8s.create(other, dry_run=True)["metadata"]["name"], k8s.apply(other, dry_run=True)["metadata"]["name"])
print(k8s.patch("cm", "a", {{"data": {{"n": "2"}}}}, dry_run=True)["data"])
print(k8s.replace(cm | {{"data": {{}}}}, dry_run=True)["data"])
print(k8s.delete("cm", "a", dry_run=True), k8s.delete("cm", "b", dry_run=True), k8s.list("configmaps") == before)
print(k8s.delete("cm", "a", dry_run=False), k8s.list("configmaps"))
"#
    );
    let expected = "b b\n{\"n\": \"2\"}\n{}\nTrue False True\nTrue []\n";
    let folder = folder();
    let log = folder.join("audit.jsonl");
    let arguments = ["--allow-local", "--audit", log.to_str().unwrap()];
    let ended = run_with(Some(&kube.kubeconfig()), &arguments, &source);
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, expected), "{}", ended.output);
    let in_web = "/api/v1/namespaces/web/configmaps";
    let changes: Vec<String> = kube.lines().into_iter().filter(|line| !line.starts_with("GET ")).collect();
    assert_eq!(
        changes,
        [
            format!("POST {in_web}"),
            format!("POST {in_web}?dryRun=All"),
            format!("PATCH {in_web}/b?fieldManager=starcell&force=false&dryRun=All"),
            format!("PATCH {in_web}/a?dryRun=All"),
            format!("PUT {in_web}/a?dryRun=All"),
            format!("DELETE {in_web}/a"),
            format!("DELETE {in_web}/b"),
            format!("DELETE {in_web}/a"),
        ]
    );
    // A server does not look at the query of a deletion that has a body.
    let deletions = kube.asked().into_iter().filter(|asked| asked.method == "DELETE");
    let stages: Vec<Value> =
        deletions.map(|asked| serde_json::from_str::<Value>(&asked.body).unwrap()["dryRun"].clone()).collect();
    assert_eq!(stages, [serde_json::json!(["All"]), serde_json::json!(["All"]), Value::Null]);
    // The record of each change says whether it was one.
    let calls = starcell_tests::log::lines(&log, "call");
    let dry: Vec<(String, bool)> = calls
        .iter()
        .filter(|call| call["category"] == "k8s.write")
        .map(|call| (call["capability"].as_str().unwrap().to_owned(), call["dry_run"] == true))
        .collect();
    let dry: Vec<(&str, bool)> = dry.iter().map(|(name, dry)| (name.as_str(), *dry)).collect();
    assert_eq!(
        dry,
        [
            ("k8s.create", false),
            ("k8s.create", true),
            ("k8s.apply", true),
            ("k8s.patch", true),
            ("k8s.replace", true),
            ("k8s.delete", true),
            ("k8s.delete", true),
            ("k8s.delete", false),
        ]
    );
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
k8s.create("web/mice.example.com/m"): objects of this kind are in no namespace; pass namespace="-"
Mouse
["m"]
k8s.create("web/widgets.example.com/m"): it is of the kind Mouse, not Widget; pass its plural name with kind=
k8s.list("-/widgets.example.com"): objects of this kind are in namespaces; pass one with namespace=
k8s.list("web/widget.example.com"): the cluster has no kind "widget.example.com"; did you mean "widgets.example.com"?
k8s.list("web/gadgets.example.org"): the cluster has no API group "example.org"
k8s.list("web/gadgets"): the cluster has no kind "gadgets"; name a custom kind as plural.group, for example certificates.cert-manager.io
k8s.create("web/widgets.example.com/w"): the cluster has no version v9 of the API group "example.com"
"#;
    assert_eq!(run(&kube, source), expected);
    let lines = kube.lines();
    // What it does not find it asks for again: a kind may have been added.
    let asked = |line: &str| lines.iter().filter(|asked| *asked == line).count();
    assert_eq!((asked("GET /apis/example.com"), asked("GET /apis/example.com/v1")), (1, 3), "{lines:#?}");
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
