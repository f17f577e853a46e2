//! The manifests for Kubernetes: what kubectl makes of them fits together, and this binary runs as they say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use starcell_tests::client::get;
use starcell_tests::node::{ask, watched_port};
use starcell_tests::process::{PATIENCE, Starcell, binary, eventually, folder, script};
use starcell_tests::tools::run;

/// The objects that would be applied, as kubectl makes them and as our own YAML reads them.
fn objects() -> Vec<Value> {
    let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy/kubernetes");
    let arguments = ["kustomize".as_ref(), manifests.as_os_str()];
    let rendered = run("kubectl", "kubernetes-client", arguments).well();
    assert!(!rendered.contains("\"\"\""), "{rendered}");
    let reader = format!("print(json.encode(yaml.decode_all(r\"\"\"{rendered}\"\"\")))\n");
    let read = Starcell::run(&[], &script(&reader));
    assert_eq!(read.code(), 0, "{}", read.output);
    serde_json::from_str(&read.stdout).unwrap()
}

/// The one object of a kind.
fn one<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    one
}

fn container(objects: &[Value]) -> &Value {
    let containers = &one(objects, "Deployment")["spec"]["template"]["spec"]["containers"];
    assert_eq!(containers.as_array().map(Vec::len), Some(1), "{containers}");
    &containers[0]
}

fn arguments(objects: &[Value]) -> Vec<String> {
    serde_json::from_value(container(objects)["args"].clone()).unwrap()
}

#[test]
fn the_manifests_are_about_the_same_pods() {
    let objects = objects();
    let kinds: Vec<&str> = objects.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    let all = [
        ("v1", "ServiceAccount"),
        ("v1", "ConfigMap"),
        ("v1", "Service"),
        ("apps/v1", "Deployment"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    ];
    for (version, kind) in all {
        let mut of_kind = objects.iter().filter(|object| object["kind"] == kind).peekable();
        assert!(of_kind.peek().is_some(), "no {kind} among {kinds:?}");
        for object in of_kind {
            assert_eq!(object["apiVersion"], version, "{object}");
            assert!(object["metadata"]["name"].as_str().is_some_and(|name| name.starts_with("starcell")), "{object}");
        }
    }
    assert_eq!(objects.len(), all.len() + 1, "two ConfigMaps, and one of all others: {kinds:?}");
    let spec = &one(&objects, "Deployment")["spec"];
    let labels = &spec["template"]["metadata"]["labels"];
    assert_eq!(*labels, json!({ "app.kubernetes.io/name": "starcell" }));
    let pod = &spec["template"]["spec"];
    for selected in [
        &spec["selector"]["matchLabels"],
        &one(&objects, "Service")["spec"]["selector"],
        &one(&objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &one(&objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][1]["labelSelector"]["matchLabels"],
    ] {
        assert_eq!(selected, labels);
    }
    assert_eq!(pod["serviceAccountName"], one(&objects, "ServiceAccount")["metadata"]["name"]);
    let target = &one(&objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"];
    assert_eq!((&target["kind"], &target["name"]), (&json!("Deployment"), &json!("starcell")));
}

#[test]
fn the_container_has_no_more_than_it_needs() {
    let objects = objects();
    let (pod, container) = (&one(&objects, "Deployment")["spec"]["template"]["spec"], container(&objects));
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false);
    assert_eq!(security["readOnlyRootFilesystem"], true);
    assert_eq!(security["capabilities"]["drop"], json!(["ALL"]));
    let ports = container["ports"].as_array().unwrap();
    let named = |name: &Value| ports.iter().any(|port| port["name"] == *name);
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert!(named(&container[probe]["httpGet"]["port"]), "{probe}");
    }
    assert!(named(&one(&objects, "Service")["spec"]["ports"][0]["targetPort"]));
    // A pod is not killed before its drain is over: that begins behind the delay, and scripts have 5 s unless they say more.
    let arguments = arguments(&objects);
    let delay = arguments.iter().skip_while(|argument| *argument != "--drain-delay").nth(1).unwrap();
    let delay: u64 = delay.strip_suffix('s').and_then(|seconds| seconds.parse().ok()).unwrap();
    assert!(delay > 0 && pod["terminationGracePeriodSeconds"].as_u64().unwrap() >= delay + 10);
}

/// Writes the volumes of the pod below a folder as a kubelet does: each name of a ConfigMap leads through a link to a folder
/// that is exchanged as a whole. Returns where a path of the container is.
fn mount(objects: &[Value], root: &Path) -> impl Fn(&str) -> PathBuf + use<> {
    let volumes = one(objects, "Deployment")["spec"]["template"]["spec"]["volumes"].as_array().unwrap();
    for mounted in container(objects)["volumeMounts"].as_array().unwrap() {
        let place = below(root, mounted["mountPath"].as_str().unwrap());
        fs::create_dir_all(&place).unwrap();
        let volume = volumes.iter().find(|volume| volume["name"] == mounted["name"]).unwrap();
        let name = &volume["configMap"]["name"];
        if name.is_null() {
            continue;
        }
        let map = objects.iter().find(|object| object["kind"] == "ConfigMap" && object["metadata"]["name"] == *name);
        let data = map.unwrap_or_else(|| panic!("no ConfigMap {name}"))["data"].as_object().unwrap();
        let items: Vec<(&str, &str)> = match volume["configMap"]["items"].as_array() {
            Some(items) => {
                items.iter().map(|item| (item["key"].as_str().unwrap(), item["path"].as_str().unwrap())).collect()
            }
            None => data.keys().map(|key| (key.as_str(), key.as_str())).collect(),
        };
        assert_eq!(items.len(), data.len(), "each key of {name} has its place");
        symlink("..2026", place.join("..data")).unwrap();
        for (key, path) in items {
            let file = place.join("..2026").join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, data[key].as_str().unwrap()).unwrap();
            let first = path.split('/').next().unwrap();
            if !place.join(first).exists() {
                symlink(Path::new("..data").join(first), place.join(first)).unwrap();
            }
        }
    }
    let root = root.to_owned();
    move |path| below(&root, path)
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.strip_prefix('/').expect("an absolute path"))
}

#[test]
fn the_node_of_the_manifests_answers_and_goes_as_they_expect() {
    let (objects, root) = (objects(), folder());
    let at = mount(&objects, &root);
    // The paths of the container are below the folder of this test, and the ports are of the system's choice.
    let config = at("/etc/starcell/node/node.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    for path in ["/var/lib/starcell", "/etc/starcell/apps"] {
        assert!(text.contains(path), "{text}");
        text = text.replace(path, at(path).to_str().unwrap());
    }
    for port in container(&objects)["ports"].as_array().unwrap() {
        let address = format!("0.0.0.0:{}", port["containerPort"]);
        assert!(text.contains(&address), "{address}: {text}");
        text = text.replace(&address, "127.0.0.1:0");
    }
    fs::write(&config, text).unwrap();
    let mut command = Command::new(binary());
    let moved = |argument: String| match argument.starts_with('/') {
        true => at(&argument).display().to_string(),
        false => argument,
    };
    command.args(arguments(&objects).into_iter().map(moved)).current_dir(&root);
    let mut running = Starcell::spawn_command(command);
    let watched = watched_port(&mut running);
    running.wait_for("serving the listener web");
    let port = running.port();
    let probe = |name: &str| container(&objects)[name]["httpGet"]["path"].as_str().unwrap().to_owned();
    let (ready, alive) = (probe("readinessProbe"), probe("livenessProbe"));
    eventually(PATIENCE / 2, "it is ready", || get(watched, &ready).status == 200);
    assert_eq!(get(watched, &alive).status, 200);
    let answer = ask(port, "hello.example.com", "/?name=Bob");
    assert_eq!(answer.text(), "{\"message\":\"Hello, Bob\"}", "{answer:?}");
    let page = get(watched, "/metrics");
    for metric in one(&objects, "HorizontalPodAutoscaler")["spec"]["metrics"].as_array().unwrap() {
        if let Some(name) = metric["pods"]["metric"]["name"].as_str() {
            assert!(page.text().contains(&format!("\n{name} 0\n")), "{name}: {}", page.text());
        }
    }
    running.signal("TERM");
    eventually(Duration::from_secs(5), "it is not ready any more", || get(watched, &ready).status == 503);
    assert_eq!(ask(port, "hello.example.com", "/").status, 200);
    running.signal("TERM");
    let ended = running.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}
