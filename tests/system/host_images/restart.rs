//! A node that starts again takes the images of the one before, as far as nothing that they were made of has changed.

use std::fs;

use starcell_tests::log::lines;
use starcell_tests::node::{NodeFolder, Running, ask, says};
use starcell_tests::tls::replace;

use super::{TENANT, images, manifest, node};

/// Starts a node, waits until its apps are on disk, and ends it.
fn first_start(node: &NodeFolder, arguments: &[&str], apps: u64) {
    let running = Running::start(node, arguments);
    running.until("apps_dropped", apps);
    let ended = running.starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn hundreds_of_apps_start_without_being_evaluated() {
    const APPS: u64 = 300;
    let node = node(TENANT);
    for number in 0..APPS {
        node.app(&format!("app{number}"), &manifest(&format!("a{number}")), &says(&format!("app {number}")));
    }
    first_start(&node, &[], APPS);
    assert_eq!(images(&node).len() as u64, APPS);
    let running = Running::start(&node, &[]);
    running.until("apps_running", APPS);
    let counted = ["images_found", "apps_dropped", "forks_made_total", "images_recalled", "images_refused"];
    assert_eq!(counted.map(|name| running.number(name)), [APPS, APPS, 0, 0, 0], "{counted:?}");
    for number in 0..APPS {
        assert_eq!(running.text(&format!("a{number}"), "/"), format!("app {number}"));
    }
    assert_eq!(running.number("images_recalled"), APPS);
}

const READS: &str = r#"
load("lib.star", "shared")
found = [var_str("currency", "none"), os.env("PLAIN"), os.env("SECRET"), shared]
srv = http.server()
srv.handle("GET /", lambda req: " ".join(found))
srv.serve()
"#;

#[test]
fn whatever_a_setup_can_see_is_part_of_the_name() {
    let node =
        node(&format!("{TENANT}[tenants.other]\nprofile = \"allow-local\"\n[profiles.less]\nbase = \"allow-local\"\n"));
    let kinds = ["same", "source", "loaded", "vars", "env", "secret", "limits", "profile", "tenant", "resident"];
    let rest =
        "vars = { currency = \"EUR\" }\nenv = { PLAIN = \"plain\" }\nsecrets = { SECRET = { file = \"secret\" } }\n";
    for kind in kinds {
        let folder = node.path.join("apps").join(kind);
        fs::create_dir_all(&folder).unwrap();
        replace(&folder.join("lib.star"), b"shared = \"lib\"\n");
        replace(&folder.join("secret"), b"hush\n");
        node.app(kind, &format!("{}{rest}", manifest(kind)), READS);
    }
    first_start(&node, &[], kinds.len() as u64);
    let file = |kind: &str, name: &str| node.path.join("apps").join(kind).join(name);
    let app = |kind: &str, change: &dyn Fn(&str) -> String| {
        replace(&file(kind, "app.toml"), change(&format!("{}{rest}", manifest(kind))).as_bytes());
    };
    replace(&file("source", "main.star"), READS.replace("\" \"", "\"-\"").as_bytes());
    replace(&file("loaded", "lib.star"), b"shared = \"new\"\n");
    app("vars", &|text| text.replace("EUR", "USD"));
    app("env", &|text| text.replace("\"plain\"", "\"fancy\""));
    replace(&file("secret", "secret"), b"loud\n");
    app("limits", &|text| format!("{text}limits = {{ memory = \"32MiB\" }}\n"));
    app("profile", &|text| format!("{text}profile = \"less\"\n"));
    app("tenant", &|text| text.replace("acme", "other"));
    app("resident", &|text| format!("{text}resident = true\n"));
    let running = Running::start(&node, &[]);
    running.until("apps_running", kinds.len() as u64);
    assert_eq!((running.number("images_found"), running.number("images_refused")), (1, 0));
    for (kind, expected) in [
        ("same", "EUR plain hush lib"),
        ("source", "EUR-plain-hush-lib"),
        ("loaded", "EUR plain hush new"),
        ("vars", "USD plain hush lib"),
        ("env", "EUR fancy hush lib"),
        ("secret", "EUR plain loud lib"),
        ("limits", "EUR plain hush lib"),
        ("profile", "EUR plain hush lib"),
        ("tenant", "EUR plain hush lib"),
        ("resident", "EUR plain hush lib"),
    ] {
        assert_eq!(running.text(kind, "/"), expected, "{kind}");
    }
}

#[test]
fn a_setup_that_looked_at_the_world_is_made_again_by_the_next_process() {
    let node = node(&TENANT.replace("allow-local", "allow-all"));
    let looks = [
        ("file", "fs.read_text(\"note\")"),
        ("folder", "str(fs.try_listdir(\".\").ok)"),
        ("denied", "str(fs.try_read_text(\"/proc/version\").ok)"),
        ("clock", "str(time.now())"),
        ("random", "str(random.bytes(8))"),
        ("pause", "str(time.sleep(\"1ms\"))"),
        ("store", "str(kv.incr(\"setups\"))"),
        ("client", "str(http.try_get(\"http://127.0.0.1:1/\").ok)"),
        ("program", "str(os.try_exec([\"/bin/true\"]).ok)"),
    ];
    for (kind, look) in looks {
        let script =
            format!("found = {look}\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: found)\nsrv.serve()\n");
        node.app(kind, &manifest(kind), &script);
        fs::write(node.path.join("apps").join(kind).join("note"), "noted").unwrap();
    }
    let count = looks.len() as u64;
    let running = Running::start(&node, &[]);
    // Within the process they come back as they were, random numbers included.
    let before = looks.map(|(kind, _)| running.text(kind, "/"));
    running.until("apps_dropped", count);
    assert_eq!(looks.map(|(kind, _)| running.text(kind, "/")), before);
    // One that had to wait for its first request may have come back before.
    assert!(running.number("images_recalled") >= count);
    running.until("apps_dropped", count);
    assert_eq!(images(&node).len() as u64, count);
    // Not even a process that is killed leaves an image of them to the next.
    running.starcell.signal("KILL");
    let _ = running.starcell.wait();
    let running = Running::start(&node, &[]);
    running.until("apps_running", count);
    assert_eq!(running.number("images_found"), 0);
    let after = looks.map(|(kind, _)| running.text(kind, "/"));
    assert_ne!(after[4], before[4]);
    assert_eq!((before[6].as_str(), after[6].as_str()), ("1", "2"));
}

/// Two tenants run the same script with other secrets. Neither finds anything of the other, in memory or from the disk.
#[test]
fn a_tenant_never_gets_the_image_of_another() {
    let script =
        "secret = os.env(\"SECRET\")\nsrv = http.server()\nsrv.handle(\"GET /\", lambda req: secret)\nsrv.serve()\n";
    let node = node(&format!("{TENANT}[tenants.beta]\nprofile = \"allow-local\"\n"));
    for (tenant, canary) in [("acme", "canary-of-acme"), ("beta", "canary-of-beta")] {
        let rest = format!("tenant = {tenant:?}\nhosts = [\"{tenant}.example\"]\nenv = {{ SECRET = {canary:?} }}\n");
        node.app(tenant, &rest, script);
    }
    first_start(&node, &[], 2);
    let files = images(&node);
    let holds = |canary: &str| {
        let found = |file: &&std::path::PathBuf| {
            let bytes = fs::read(file).unwrap();
            bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
        };
        files.iter().filter(found).cloned().collect::<Vec<_>>()
    };
    let (acme, beta) = (holds("canary-of-acme"), holds("canary-of-beta"));
    assert!(acme.len() == 1 && beta.len() == 1 && acme != beta, "{acme:?} {beta:?}");
    // Somebody exchanges the two.
    let (one, other) = (fs::read(&acme[0]).unwrap(), fs::read(&beta[0]).unwrap());
    fs::write(&acme[0], other).unwrap();
    fs::write(&beta[0], one).unwrap();
    let running = Running::start(&node, &[]);
    running.until("apps_running", 2);
    assert_eq!(
        (running.text("acme", "/"), running.text("beta", "/")),
        ("canary-of-acme".into(), "canary-of-beta".into())
    );
    assert_eq!((running.number("images_found"), running.number("images_refused")), (0, 2));
}

#[test]
fn the_privileged_calls_of_a_setup_are_decided_and_recorded_again() {
    let node = node(TENANT);
    let script = "a = os.env(\"A\")\nb = os.try_env(\"B\").ok\nsrv = http.server()\n\
                  srv.handle(\"GET /\", lambda req: \"%s %s\" % (a, b))\nsrv.serve(port=8080)\n";
    node.app("one", &format!("{}env = {{ A = \"a\" }}\n", manifest("one")), script);
    let calls = |name: &str| {
        let log = node.path.join(name);
        let arguments = ["--audit", log.to_str().unwrap()];
        let running = Running::start(&node, &arguments);
        assert_eq!(ask(running.port, "one.example", "/").text(), "a False");
        running.until("apps_dropped", 1);
        let found = running.number("images_found");
        assert_eq!(running.starcell.stop().code(), 0);
        let of = |record: &serde_json::Value| {
            ["phase", "capability", "resource", "decision", "file", "line"].map(|key| record[key].to_string()).join(" ")
        };
        (found, lines(&log, "call").iter().map(of).collect::<Vec<_>>())
    };
    let (evaluated, recalled) = (calls("first.jsonl"), calls("second.jsonl"));
    assert_eq!((evaluated.0, recalled.0), (0, 1));
    assert_eq!(evaluated.1, recalled.1);
    assert_eq!(evaluated.1.len(), 3, "{evaluated:?}");
}
