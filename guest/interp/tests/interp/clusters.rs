//! `k8s` over a cluster that lives in memory: what of a call reaches the host, and what of its answer the script.

use starcell_interp::testing::{Called, NativeHost};
use starcell_interp::{
    Change, Deletion, FailureKind, HostError, LogOptions, Manifest, PatchType, Place, Propagation, Selection, Target,
    run_native,
};

use super::common::{Deployed, failure_on, prints_on, request};

fn place(kind: &str, namespace: Option<&str>) -> Place {
    Place { kind: kind.to_owned(), namespace: namespace.map(str::to_owned) }
}

fn calls(host: &NativeHost) -> Vec<Called> {
    host.cluster.calls().into_iter().map(|(_, called)| called).collect()
}

#[test]
fn objects_are_dicts_and_ints_stay_ints() {
    let host = NativeHost::new();
    let source = r#"
pod = k8s.get("pod", "web", namespace="prod")
print(type(pod), pod["metadata"]["generation"] + 1, pod["kind"])
"#;
    assert_eq!(prints_on(&host, source), ["dict 12345678901234567891 Pod"]);
    assert_eq!(calls(&host), [Called::Get { place: place("pod", Some("prod")), name: "web".into() }]);
}

#[test]
fn objects_are_read_by_dot_too() {
    let mut host = NativeHost::new();
    host.cluster.object = Some(
        r#"{"kind":"Pod","metadata":{"name":"web","labels":{"app":"shop"}},"items":1,"spec":{"containers":[{"image":"a:1"}]}}"#
            .into(),
    );
    host.cluster.pages = vec![r#"{"kind":"PodList","items":[{"metadata":{"name":"a"}}]}"#.into()];
    let source = r#"
pod = k8s.get("pod", "web")
print(pod.kind, pod.metadata.name, pod.metadata.labels.app, [c.image for c in pod.spec.containers], type(pod.metadata))
print(pod["items"], len(pod.items()), hasattr(pod, "status"), getattr(pod.metadata, "uid", "-"), pod.metadata == {"name": "web", "labels": {"app": "shop"}})
pod["metadata"]["name"] = "two"
print(pod.metadata.name, json.encode(pod.metadata), [p.metadata.name for p in k8s.list("pods")])
copy = dict(pod)
print(copy["metadata"].name, hasattr({"a": 1}, "a"))
"#;
    assert_eq!(
        prints_on(&host, source),
        [
            "Pod web shop [\"a:1\"] dict",
            "1 4 False - True",
            "two {\"name\":\"two\",\"labels\":{\"app\":\"shop\"}} [\"a\"]",
            "two False",
        ]
    );
    let error = failure_on(&host, "k8s.get(\"pod\", \"web\").status\n").message;
    assert!(error.starts_with("Object of type `dict` has no attribute `status`"), "{error}");
}

/// Frozen, as a handler finds it.
#[test]
fn a_handler_reads_an_object_of_the_setup_by_dot() {
    let app = Deployed::new("POD = k8s.get(\"pod\", \"web\")\nhttp.serve(lambda req: POD.kind + POD.metadata.name)\n");
    assert_eq!(super::common::text(&app.call(0, request("GET", "/")).unwrap()), "Podweb");
}

#[test]
fn what_is_not_there_is_an_error_or_the_default() {
    let mut host = NativeHost::new();
    host.cluster.object = None;
    let source = "print(k8s.get(\"pod\", \"web\", None), k8s.get(\"pod\", \"web\", default=0), k8s.delete(\"pod\", \"web\"))\n\
                  print(k8s.try_get(\"pod\", \"web\", namespace=\"prod\").error)\n";
    let error = "k8s.get: there is no pod \"web\" in the namespace prod";
    assert_eq!(prints_on(&host, source), ["None 0 False", error]);
    assert_eq!(failure_on(&host, "k8s.get(\"pod\", \"web\")\n").message, "k8s.get: there is no pod \"web\"");
}

#[test]
fn items_of_a_list_say_what_they_are() {
    let mut host = NativeHost::new();
    host.cluster.pages = vec![
        r#"{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"a"}},{"kind":"Own","metadata":{}}]}"#
            .into(),
        r#"{"apiVersion":"v1","kind":"PodList","items":null}"#.into(),
        r#"{"items":[{"x":1}]}"#.into(),
    ];
    let source = r#"
for item in k8s.list("pods", namespace="*", labels={"app": "web", "tier": ""}, fields={"status.phase": "a,b=c"}):
    print(item)
print(len(k8s.list("pods", labels="app in (a, b)", limit=2)))
print(k8s.list("pods", labels={}))
"#;
    let printed = prints_on(&host, source);
    assert_eq!(
        printed[..4],
        [
            "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\"}}",
            "{\"apiVersion\": \"v1\", \"kind\": \"Own\", \"metadata\": {}}",
            "{\"x\": 1}",
            "2",
        ]
    );
    let all =
        Selection { labels: Some("app=web,tier=".into()), fields: Some("status.phase=a\\,b\\=c".into()), limit: None };
    let some = Selection { labels: Some("app in (a, b)".into()), limit: Some(2), ..Selection::default() };
    assert_eq!(
        calls(&host),
        [
            Called::List { place: place("pods", Some("*")), selection: all },
            Called::List { place: place("pods", None), selection: some },
            Called::List { place: place("pods", None), selection: Selection::default() },
        ]
    );
    host.cluster.pages = vec!["[]".into()];
    let error = failure_on(&host, "k8s.list(\"pods\")\n").message;
    assert_eq!(error, "k8s.list: the cluster's answer is not a list of objects");
}

#[test]
fn changes_reach_the_host_as_they_were_written() {
    let host = NativeHost::new();
    let source = r#"
cm = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"n": "1"}}
print(k8s.create(cm, namespace="prod")["kind"])
k8s.apply(cm)
k8s.apply(cm, kind="configmaps", field_manager="me", force=True)
k8s.replace(cm)
k8s.patch("cm", "a", {"data": {"n": None}}, namespace="prod")
k8s.patch("cm", "a", [{"op": "remove", "path": "/data"}], type="json")
k8s.patch("cm", "a", patch={}, type="strategic")
print(k8s.delete("cm", "a"), k8s.delete("cm", "a", propagation="orphan", grace_period="0s"))
"#;
    assert_eq!(prints_on(&host, source), ["Pod", "True True"]);
    let object = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"n":"1"}}"#.to_owned();
    let manifest = Manifest { object, ..Manifest::default() };
    let in_prod = Manifest { namespace: Some("prod".into()), ..manifest.clone() };
    let named = Manifest { kind: Some("configmaps".into()), ..manifest.clone() };
    let patch = |namespace, patch_type, patch: &str| Called::Patch {
        place: place("cm", namespace),
        name: "a".into(),
        change: Change { patch_type, patch: patch.into(), dry_run: false },
    };
    let delete = |deletion| Called::Delete { place: place("cm", None), name: "a".into(), deletion };
    assert_eq!(
        calls(&host),
        [
            Called::Create { manifest: in_prod },
            Called::Apply { manifest: manifest.clone(), manager: "starcell".into(), force: false },
            Called::Apply { manifest: named, manager: "me".into(), force: true },
            Called::Replace { manifest },
            patch(Some("prod"), PatchType::Merge, r#"{"data":{"n":null}}"#),
            patch(None, PatchType::Json, r#"[{"op":"remove","path":"/data"}]"#),
            patch(None, PatchType::Strategic, "{}"),
            delete(Deletion::default()),
            delete(Deletion { propagation: Some(Propagation::Orphan), grace_period: Some(0), dry_run: false }),
        ]
    );
}

#[test]
fn objects_are_a_dict_a_list_or_yaml() {
    let host = NativeHost::new();
    let source = r#"
one = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
two = one + "---\n" + one.replace("a}", "b}")
pod = yaml.decode(one)
for object in [pod, one, bytes(one), "---\n" + one + "---\n", "\ufeff" + one, two, [pod], [pod, pod]]:
    print(type(k8s.apply(object, namespace = "prod")))
print(len(k8s.create(two)), len(k8s.replace([pod, pod, pod])))
"#;
    let types = ["dict", "dict", "dict", "dict", "dict", "list", "list", "list", "2 3"];
    assert_eq!(prints_on(&host, source), types);
    let names: Vec<String> = host
        .cluster
        .calls()
        .iter()
        .map(|(_, called)| match called {
            Called::Apply { manifest, .. } | Called::Create { manifest } | Called::Replace { manifest } => {
                let a = manifest.object == r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#;
                if a { "a".to_owned() } else { manifest.object.clone() }
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let b = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}}"#;
    assert_eq!(names, ["a", "a", "a", "a", "a", "a", b, "a", "a", "a", "a", b, "a", "a", "a"]);
}

#[test]
fn a_wrong_object_is_found_before_any_is_sent() {
    let good = "apiVersion: v1\\nkind: Pod\\nmetadata: {name: a}\\n";
    for function in ["create", "apply", "replace"] {
        for (object, error) in [
            ("5".to_owned(), "object must be a dict, a list of dicts or a YAML text, got 5 (int)".to_owned()),
            ("None".to_owned(), "object must be a dict, a list of dicts or a YAML text, got None".to_owned()),
            ("\"\"".to_owned(), "object holds no manifest".to_owned()),
            ("\"---\\n---\\n\"".to_owned(), "object holds no manifest".to_owned()),
            ("[]".to_owned(), "object holds no manifest".to_owned()),
            ("\"just text\"".to_owned(), "object must be a dict, got \"just text\" (string)".to_owned()),
            (format!("\"{good}---\\n- 1\""), "object 2 of 2 must be a dict, got [1] (list)".to_owned()),
            ("[{}, 7]".to_owned(), "object 2 of 2 must be a dict, got 7 (int)".to_owned()),
            ("[{}, {\"a\": len}]".to_owned(), "object 2 of 2: $.a: JSON has no value of type function".to_owned()),
            (format!("\"{good}a: [\""), "line 5, column 1: ".to_owned()),
        ] {
            let host = NativeHost::new();
            let message = failure_on(&host, &format!("k8s.{function}({object})\n")).message;
            assert!(message.starts_with(&format!("k8s.{function}: {error}")), "{object}: {message}");
            assert!(host.cluster.calls().is_empty(), "{object}");
        }
    }
}

#[test]
fn a_dry_run_is_told_to_the_host() {
    let host = NativeHost::new();
    let source = r#"
pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
for dry in [True, False]:
    k8s.create([pod, pod], dry_run = dry)
    k8s.apply(pod, dry_run = dry)
    k8s.replace(pod, dry_run = dry)
    k8s.patch("pod", "a", {}, dry_run = dry)
    k8s.delete("pod", "a", dry_run = dry)
"#;
    prints_on(&host, source);
    let dry: Vec<bool> = host
        .cluster
        .calls()
        .iter()
        .map(|(_, called)| match called {
            Called::Apply { manifest, .. } | Called::Create { manifest } | Called::Replace { manifest } => {
                manifest.dry_run
            }
            Called::Patch { change, .. } => change.dry_run,
            Called::Delete { deletion, .. } => deletion.dry_run,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(dry, [[true; 6], [false; 6]].concat());
    let error = failure_on(&host, "k8s.create({}, dry_run = \"All\")\n").message;
    assert_eq!(error, "k8s.create: dry_run must be bool, got \"All\" (string)");
}

#[test]
fn logs_are_text_whatever_the_program_wrote() {
    let mut host = NativeHost::new();
    host.cluster.log = b"one\n\xfftwo\n".to_vec();
    let source = "print(k8s.logs(\"web\"))\n\
                  k8s.logs(\"web\", namespace=\"prod\", container=\"app\", tail=10, since=\"1m\", previous=True, timestamps=True)\n";
    assert_eq!(prints_on(&host, source), ["one\n\u{fffd}two\n"]);
    let options = LogOptions {
        container: Some("app".into()),
        tail: Some(10),
        since: Some(60_000_000_000),
        previous: true,
        timestamps: true,
    };
    assert_eq!(
        calls(&host),
        [
            Called::Logs { namespace: None, pod: "web".into(), options: LogOptions::default() },
            Called::Logs { namespace: Some("prod".into()), pod: "web".into(), options },
        ]
    );
}

#[test]
fn what_config_chooses_holds_for_the_script_or_for_one_request() {
    let source = r#"
print(k8s.config("a.yaml", context="one", timeout="3s"))
print(k8s.config(namespace="web"))
print(k8s.config(kubeconfig=None))
k8s.config(context="two")
def handler(req):
    k8s.get("pod", "1")
    k8s.config(context=None, timeout="4s")
    k8s.get("pod", "2", timeout="5s")
    return "x"
http.serve(handler)
"#;
    let app = Deployed::on(NativeHost::new(), source);
    assert_eq!(
        app.host.prints(),
        [
            "{\"context\": \"one\", \"namespace\": \"default\"}",
            "{\"context\": \"one\", \"namespace\": \"web\"}",
            "{\"context\": \"test\", \"namespace\": \"web\"}",
        ]
    );
    for _ in 0..2 {
        app.call(0, request("GET", "/")).unwrap();
    }
    let targets: Vec<Target> = app.host.cluster.calls().into_iter().map(|(target, _)| target).collect();
    let target = |kubeconfig: Option<&str>, context: Option<&str>, namespace: Option<&str>, seconds: u64| Target {
        kubeconfig: kubeconfig.map(str::to_owned),
        context: context.map(str::to_owned),
        namespace: namespace.map(str::to_owned),
        timeout: Some(seconds * 1_000_000_000),
    };
    let setup = [
        target(Some("a.yaml"), Some("one"), None, 3),
        target(Some("a.yaml"), Some("one"), Some("web"), 3),
        target(None, None, Some("web"), 3),
        target(None, Some("two"), Some("web"), 3),
    ];
    assert_eq!(targets[..4], setup);
    // What a handler chooses is for its request alone: the second request begins like the first.
    let of_request = [
        target(None, Some("two"), Some("web"), 3),
        target(None, None, Some("web"), 4),
        target(None, None, Some("web"), 5),
    ];
    assert_eq!(targets[4..7], of_request);
    assert_eq!(targets[7..], of_request);
}

#[test]
fn what_config_was_refused_is_not_chosen() {
    let mut host = NativeHost::new();
    host.cluster.refuse = Some(HostError::Denied("permission denied: k8s.config(\"-\")".to_owned()));
    let (outcome, _) = run_native(&host, "app.star", "k8s.try_config(\"a.yaml\")\nk8s.get(\"pod\", \"web\")\n");
    assert_eq!(outcome.unwrap_err().kind, FailureKind::Denied);
    host.cluster.refuse = None;
    prints_on(&host, "k8s.try_config(\"a.yaml\", bad=1)\nk8s.get(\"pod\", \"web\")\n");
    assert_eq!(host.cluster.calls()[0].0, Target::default());
}
