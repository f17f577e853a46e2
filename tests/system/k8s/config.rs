//! Which cluster a script reaches: the operator's, or one of its own choice.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use starcell_tests::kube::{Kube, TOKEN};
use starcell_tests::process::{Starcell, binary, folder, script};
use starcell_tests::tls::Identity;

use super::{command, errors};

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
        let what = told[0].strip_prefix("k8s.get(").unwrap_or_else(|| panic!("{told:?}"));
        assert!(what.contains(error) && !what.contains("k8s."), "{error}: {told:?}");
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
    let told = run(&["--allow-local", "--allow", "fs.read"], all);
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
    let arguments = ["--audit", log.to_str().unwrap(), "--allow-local", "--allow", "fs.read"];
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
