//! The files of a node: what is read of them, and that every mistake has its place.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use starcell_config::{
    AdminAddress, AppManifest, AppsPlace, BundleTerms, Cron, Flow, NodeConfig, PastQuota, SecretSource, When,
};

/// The file that the documentation shows.
const NODE: &str = r#"
[node]
name = "node-1"
state = "state"                  # kv, images, revisions; relative to this file
apps = "apps"                    # apps/NAME/app.toml beside apps/NAME/main.star

[listeners.web]
address = "127.0.0.1:8080"

[listeners.secure]
address = "127.0.0.1:8443"
certificates = "certs"           # NAME.crt and NAME.key; chosen by SNI; read again when they change

[admin]
address = "unix:state/admin.sock"     # or "127.0.0.1:9090" with token_file = "..."

[metrics]
address = "127.0.0.1:9091"       # /metrics, /healthz, /readyz; apart from traffic

[profiles.shop]
base = "allow-fs"
allow = ["http.server", "http.client(https://api.example.com)"]

[tenants.acme]
profile = "shop"
quotas = { requests = "100/s", cpu = "500ms/s", concurrency = 64, memory = "512MiB", kv = "64MiB", egress = "200/s", log = "64KiB/s" }
"#;

const APP: &str = r#"
tenant = "acme"
hosts = ["orders.example.com"]
path = "/"                       # a prefix; the script sees paths below it, and the prefix as req.prefix
profile = "shop"                 # narrows the tenant's
limits = { memory = "64MiB", cpu = "100ms", time = "10s" }
env = { GREETING = "hi" }
secrets = { STRIPE_KEY = { file = "/run/secrets/stripe" } }
vars = { currency = "EUR" }
schedule = [{ every = "5m", path = "/tick" }, { cron = "0 3 * * *", path = "/nightly" }]
"#;

fn node() -> NodeConfig {
    NodeConfig::parse(NODE, "node.toml").unwrap()
}

fn of_node(text: &str) -> String {
    NodeConfig::parse(text, "node.toml").unwrap_err().to_string()
}

fn of_app(text: &str) -> String {
    AppManifest::parse(text, "app.toml", &node()).unwrap_err().to_string()
}

#[test]
fn the_documented_node_is_read_whole() {
    let node = node();
    assert_eq!(
        (node.name.as_deref(), node.state.to_str(), node.apps.folder().and_then(|folder| folder.to_str())),
        (Some("node-1"), Some("state"), Some("apps"))
    );
    assert_eq!(node.listeners["web"].address, "127.0.0.1:8080".parse().unwrap());
    assert_eq!(node.listeners["secure"].certificates.as_deref().unwrap().to_str(), Some("certs"));
    assert_eq!(node.admin, Some(AdminAddress::Unix("state/admin.sock".into())));
    assert_eq!(node.metrics, Some("127.0.0.1:9091".parse().unwrap()));
    let acme = &node.tenants["acme"];
    assert_eq!((acme.profile.name(), acme.weight), ("shop", 1));
    let second = |amount| Flow { amount, per: Duration::from_secs(1) };
    let quotas = &acme.quotas;
    assert_eq!(quotas.requests.map(|quota| (quota.limit, quota.past)), Some((second(100), PastQuota::Reject)));
    assert_eq!(quotas.cpu.map(|quota| quota.limit), Some(second(500_000_000)));
    assert_eq!(quotas.concurrency.map(|quota| quota.limit.get()), Some(64));
    assert_eq!((quotas.memory.map(|q| q.limit), quotas.kv.map(|q| q.limit)), (Some(512 << 20), Some(64 << 20)));
    assert_eq!(
        (quotas.egress.map(|q| q.limit), quotas.log.map(|q| q.limit)),
        (Some(second(200)), Some(second(64 << 10)))
    );
}

#[test]
fn the_documented_app_is_read_whole() {
    let app = AppManifest::parse(APP, "app.toml", &node()).unwrap();
    assert_eq!((app.tenant.as_str(), app.prefix.as_str(), app.profile.name()), ("acme", "", "shop"));
    assert_eq!(app.hosts, ["orders.example.com"]);
    let limits = app.limits;
    assert_eq!((limits.memory, limits.cpu), (Some(64 << 20), Some(Duration::from_millis(100))));
    assert_eq!(limits.time, Some(Duration::from_secs(10)));
    assert_eq!(app.env["GREETING"], "hi");
    assert_eq!(app.secrets["STRIPE_KEY"], SecretSource::File("/run/secrets/stripe".into()));
    assert_eq!(app.vars["currency"], "EUR");
    assert_eq!(app.schedule[0].when, When::Every(Duration::from_secs(300)));
    assert_eq!(app.schedule[1].when, When::Cron(Cron::parse("0 3 * * *").unwrap()));
    assert_eq!(app.schedule[1].path, "/nightly");
}

#[test]
fn what_is_left_out_has_its_default() {
    let node = NodeConfig::parse(
        "[node]\nstate = \"s\"\napps = \"a\"\n[listeners.web]\naddress = \"[::1]:0\"\n[tenants.t]\n",
        "node.toml",
    );
    let node = node.unwrap();
    assert_eq!((node.name.clone(), node.admin.clone(), node.metrics), (None, None, None));
    assert_eq!(node.tenants["t"].profile.name(), "deny-all");
    let app = AppManifest::parse("tenant = \"t\"", "app.toml", &node).unwrap();
    assert_eq!((app.prefix.as_str(), app.profile.name(), app.hosts.len()), ("", "deny-all", 0));
}

#[test]
fn a_node_says_when_its_apps_leave_the_memory() {
    let parse = |of_node: &str| {
        let text = format!("[node]\nstate = \"s\"\napps = \"a\"\n{of_node}[listeners.web]\naddress = \"[::1]:0\"\n");
        NodeConfig::parse(&text, "node.toml").map_err(|error| error.to_string())
    };
    let read = |of_node: &str| parse(of_node).map(|node| (node.idle, node.images)).unwrap();
    assert_eq!(read(""), (Some(Duration::from_secs(600)), 4 << 30));
    assert_eq!(read("idle = \"90s\"\nimages = \"64MiB\"\n"), (Some(Duration::from_secs(90)), 64 << 20));
    assert_eq!(read("idle = \"never\"\n").0, None);
    for (wrong, why) in [
        ("idle = \"0s\"\n", "node.toml:4:8: a time must be longer than 0, or \"never\""),
        ("idle = \"soon\"\n", "\"soon\" is no time"),
        ("images = \"64\"\n", "node.toml:4:10: \"64\" is no size"),
        ("idel = \"1s\"\n", "unknown"),
    ] {
        let error = parse(wrong).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
    let resident = |text: &str| AppManifest::parse(&format!("tenant = \"acme\"\n{text}"), "app.toml", &node());
    assert!(!resident("").unwrap().resident && resident("resident = true\n").unwrap().resident);
    assert!(resident("resident = \"yes\"\n").is_err());
}

#[test]
fn prefixes_and_hosts_have_one_spelling() {
    let app = |text: &str| AppManifest::parse(&format!("tenant = \"acme\"\n{text}"), "app.toml", &node()).unwrap();
    for (written, prefix) in [("/", ""), ("/shop", "/shop"), ("/shop/", "/shop"), ("/a/b-c_~.d", "/a/b-c_~.d")] {
        assert_eq!(app(&format!("path = {written:?}")).prefix, prefix);
    }
    assert_eq!(
        app("hosts = [\"A.Example.com.\", \"127.0.0.1\", \"::1\"]").hosts,
        ["127.0.0.1", "::1", "a.example.com"]
    );
}

#[test]
fn a_quota_says_what_happens_past_it() {
    let past = |quota: &str| {
        let text = NODE.replace("requests = \"100/s\"", quota);
        NodeConfig::parse(&text, "node.toml").unwrap().tenants["acme"].quotas.requests.map(|quota| quota.past)
    };
    assert_eq!(past("requests = { limit = \"1/m\" }"), Some(PastQuota::Reject));
    assert_eq!(past("requests = { limit = \"1/m\", past = \"throttle\" }"), Some(PastQuota::Throttle));
    assert_eq!(past("requests = { limit = \"1/m\", mode = \"count\" }"), Some(PastQuota::Count));
    assert_eq!(past("requests = { limit = \"1/m\", past = \"reject\", mode = \"enforce\" }"), Some(PastQuota::Reject));
}

#[test]
fn revisions_are_kept_unless_the_node_says_otherwise() {
    let days = |days: u64| std::time::Duration::from_secs(days * 24 * 3600);
    assert_eq!((node().revisions.count, node().revisions.age), (10, days(30)));
    let text = NODE.replace("[listeners.web]", "revisions = { count = 3, age = \"2d\" }\n[listeners.web]");
    let revisions = NodeConfig::parse(&text, "node.toml").unwrap().revisions;
    assert_eq!((revisions.count, revisions.age), (3, days(2)));
    let app = |text: &str| AppManifest::parse(text, "app.toml", &node()).unwrap();
    assert!(!app(APP).preview && app(&format!("{APP}preview = true\n")).preview);
}

#[test]
fn apps_come_from_a_folder_a_bundle_or_a_registry() {
    let parse = |apps: &str, rest: &str| {
        let text = format!("[node]\nstate = \"s\"\napps = {apps:?}\n[listeners.web]\naddress = \"[::1]:0\"\n{rest}");
        NodeConfig::parse(&text, "node.toml").map_err(|error| error.to_string())
    };
    let usual = parse("apps.tar.gz", "").unwrap();
    assert!(matches!(usual.apps, AppsPlace::Bundle { digest: None, .. }));
    assert_eq!((&usual.bundle, usual.bundle.every), (&BundleTerms::default(), Duration::from_secs(60)));
    let key = parse("apps.tar.gz", "[bundle]\nkey = \"release.pub\"\n").unwrap().bundle.key;
    assert_eq!(key.unwrap().to_str(), Some("release.pub"));
    let all = "[bundle]\nkey = \"k\"\nevery = \"10s\"\ncredentials_file = \"c\"\nplain_http = true\n";
    let registry = parse("oci://registry.example.com/team/apps:stable", all).unwrap();
    assert_eq!(registry.apps.to_string(), "oci://registry.example.com/team/apps:stable");
    let BundleTerms { every, credentials_file, plain_http, .. } = registry.bundle;
    assert_eq!((every, credentials_file, plain_http), (Duration::from_secs(10), Some("c".into()), true));
    for (apps, rest, why) in [
        ("apps", "[bundle]\nkey = \"k\"\n", "node.toml:6:1: [bundle] is about apps that are one file"),
        ("a.tar", "[bundle]\nevery = \"10s\"\n", "node.toml:7:9: `every` is about a registry"),
        ("a.tar", "[bundle]\nplain_http = false\n", "node.toml:7:14: `plain_http` is about a registry"),
        (
            "oci://r.example/a:b",
            "[bundle]\nevery = \"10ms\"\n",
            "node.toml:7:9: a registry is asked once a second at most",
        ),
        ("oci://r.example/a:b", "[bundle]\nkey = \"\"\n", "node.toml:7:7: `key` is no path"),
        ("oci://r.example/a:b", "[bundle]\nkeys = \"k\"\n", "did you mean `key`?"),
        ("oci://r.example/a", "", "node.toml:3:8: oci://r.example/a names no tag"),
        ("https://r.example/a", "", "node.toml:3:8: apps come from a folder"),
    ] {
        let error = parse(apps, rest).unwrap_err();
        assert!(error.contains(why), "{apps}: {error}");
    }
}

#[test]
fn every_mistake_in_a_node_has_its_place() {
    let with =
        |text: &str| format!("[node]\nstate = \"s\"\napps = \"a\"\n[listeners.web]\naddress = \"127.0.0.1:1\"\n{text}");
    for (text, told) in [
        (String::new(), "1:1: missing field `node`"),
        ("[node]\napps = \"a\"\n".to_owned(), "1:1: missing field `state`"),
        ("[node]\nstate = \"s\"\napps = \"a\"\n".to_owned(), "1:1: a node needs a listener"),
        ("[nodes]".to_owned(), "1:2: unknown key `nodes`, expected"),
        (
            with("[listeners.x]\nadress = \"\""),
            "7:1: unknown key `adress`, expected `address` or `certificates`; did you mean `address`?",
        ),
        (with("[listeners.x]\naddress = \"8080\""), "7:11: \"8080\" is no address with a port"),
        (
            with("[listeners.x]\naddress = \"127.0.0.1:1\""),
            "7:11: the listener web has the address 127.0.0.1:1 already",
        ),
        (with("[listeners.X]\naddress = \"127.0.0.1:2\""), "6:12: bad listener name \"X\""),
        (with("[admin]\naddress = \"0.0.0.0:1\""), "7:11: a node is operated over a unix socket or a loopback"),
        (with("[admin]\naddress = \"127.0.0.1:9\""), "7:11: an address needs a token"),
        (with("[admin]\naddress = \"unix:\""), "7:11: `unix:` names no path"),
        (with("[admin]\naddress = \"unix:a\"\ntoken_file = \"t\""), "8:14: a unix socket has no token"),
        (with("[metrics]\naddress = 9091"), "7:11: invalid type: integer `9091`, expected a string"),
        (with("[profiles.p]\nallow = [\"fs.raed\"]"), "7:14: bad rule: unknown category `raed`"),
        (with("[tenants.t]\nprofile = \"allow-ft\""), "7:11: unknown profile \"allow-ft\""),
        (with("[tenants.\"a b\"]"), "6:10: bad tenant name \"a b\""),
        (with("[tenants.t]\nweight = 0"), "7:10: a weight is a number from 1 to 1000"),
        (with("[tenants.t]\nquotas = { request = \"1/s\" }"), "7:12: unknown key `request`"),
        (with("[tenants.t]\nquotas = { requests = \"100\" }"), "7:23: the quota requests: \"100\" is no rate"),
        (with("[tenants.t]\nquotas = { requests = 100 }"), "7:23: the quota requests: \"100\" is no rate"),
        (with("[tenants.t]\nquotas = { memory = \"64MB\" }"), "7:21: the quota memory: \"64MB\" is no size"),
        (
            with("[tenants.t]\nquotas = { concurrency = 0 }"),
            "7:26: the quota concurrency: a number of requests at once",
        ),
        (with("[tenants.t]\nquotas = { concurrency = \"64\" }"), "7:26: the quota concurrency: a number"),
        (
            with("[tenants.t]\nquotas = { requests = { limit = \"1/s\", past = \"terminate\" } }"),
            "7:47: the quota requests: `past` is `reject` or `throttle`, not \"terminate\"",
        ),
        (with("[telemetry]\nendpoint = \"https://a\""), "7:12: a collector is reached over http"),
        (with("[telemetry]\nendpoint = \"http://a\"\nsample = 2.0"), "8:10: the share of traces is a number"),
        (with("[telemetry]\nurl = \"http://a\""), "7:1: unknown key `url`"),
        (with("[tenants.t]\nquotas = { cpu = true }"), "7:18: invalid type: boolean"),
        (with("[tenants.t]\nquotas = { cpu = { limt = \"1s/s\" } }"), "7:20: unknown key `limt`"),
        (
            with("[tenants.t]\nquotas = { cpu = { limit = \"1s/s\", past = \"trottle\" } }"),
            "7:43: the quota cpu: `past` is `reject`, `throttle` or `terminate`, not \"trottle\"; did you mean `throttle`?",
        ),
        (
            with("[tenants.t]\nquotas = { kv = { limit = \"1MiB\", past = \"throttle\" } }"),
            "7:42: the quota kv: `past` is `reject`, not \"throttle\"",
        ),
        (
            with("[tenants.t]\nquotas = { log = { limit = \"1KiB/s\", mode = \"count\" } }"),
            "7:45: the quota log: `mode` is `enforce`",
        ),
    ] {
        let found = of_node(&text);
        assert!(found.starts_with(&format!("node.toml:{told}")), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    assert!(of_node(&"#".repeat((1 << 20) + 1)).contains("longer than 1 MiB"));
    for (revisions, told) in [
        ("{ count = 0 }", "node.toml:4:23: from 1 to 100 revisions"),
        ("{ count = 101 }", "node.toml:4:23: from 1 to 100 revisions"),
        ("{ age = \"30\" }", "node.toml:4:21: \"30\" is no time"),
        ("{ number = 1 }", "node.toml:4:15: unknown key `number`, expected `count` or `age`"),
    ] {
        let found = of_node(&with("").replace("[listeners.web]", &format!("revisions = {revisions}\n[listeners.web]")));
        assert!(found.starts_with(told), "{revisions}\n{found}");
    }
}

#[test]
fn every_mistake_in_an_app_has_its_place() {
    for (text, told) in [
        ("", "1:1: missing field `tenant`"),
        ("tenant = \"acmee\"", "1:10: unknown tenant \"acmee\"; the node's file has acme; did you mean `acme`?"),
        ("tenant = \"acme\"\nhost = []", "2:1: unknown key `host`, expected"),
        ("tenant = \"acme\"\nhosts = [\"a\", \"https://b\"]", "2:15: \"https://b\" is no host"),
        ("tenant = \"acme\"\nhosts = [\"a:80\"]", "2:10: \"a:80\" is no host"),
        ("tenant = \"acme\"\nhosts = [\"*.a\"]", "2:10: \"*.a\" is no host"),
        ("tenant = \"acme\"\nhosts = [\"a..b\"]", "2:10: \"a..b\" is no host"),
        ("tenant = \"acme\"\nhosts = [\"a\", \"A\"]", "2:15: the host a is named twice"),
        ("tenant = \"acme\"\npath = \"shop\"", "2:8: \"shop\" is no path"),
        ("tenant = \"acme\"\npath = \"/a//b\"", "2:8: \"/a//b\" is no prefix"),
        ("tenant = \"acme\"\npath = \"/a/../b\"", "2:8: \"/a/../b\" is no prefix"),
        ("tenant = \"acme\"\npath = \"/a%20b\"", "2:8: \"/a%20b\" is no prefix"),
        ("tenant = \"acme\"\npath = \"/1/2/3/4/5/6/7/8/9\"", "2:8: a prefix has at most 8 segments"),
        ("tenant = \"acme\"\nprofile = \"shp\"", "2:11: unknown profile \"shp\""),
        ("tenant = \"acme\"\nlimits = { memory = \"1MiB\" }", "2:21: an app has 8 to 256 MiB"),
        ("tenant = \"acme\"\nlimits = { cpu = \"100\" }", "2:18: \"100\" is no time"),
        ("tenant = \"acme\"\nlimits = { wall = \"1s\" }", "2:12: unknown key `wall`"),
        ("tenant = \"acme\"\nenv = { \"A=B\" = \"c\" }", "2:9: \"A=B\""),
        ("tenant = \"acme\"\nenv = { A = 1 }", "2:13: invalid type: integer `1`, expected a string"),
        ("tenant = \"acme\"\nsecrets = { A = {} }", "2:17: a secret comes from one place"),
        ("tenant = \"acme\"\nsecrets = { A = { file = \"a\", env = \"B\" } }", "2:17: a secret comes from one place"),
        ("tenant = \"acme\"\nsecrets = { A = { path = \"a\" } }", "2:19: unknown key `path`, expected `file` or `env`"),
        ("tenant = \"acme\"\nenv = { A = \"1\" }\nsecrets = { A = { env = \"B\" } }", "3:13: A is in `env` already"),
        ("tenant = \"acme\"\nvars = { at = 2026-01-01 }", "2:15: the value of at is no text"),
        ("tenant = \"acme\"\nschedule = [{ path = \"/\" }]", "2:13: an entry of a schedule has either"),
        ("tenant = \"acme\"\nschedule = [{ every = \"5m\", cron = \"* * * * *\", path = \"/\" }]", "2:13: an entry"),
        (
            "tenant = \"acme\"\nschedule = [{ every = \"5ms\", path = \"/\" }]",
            "2:23: a schedule repeats at most once a second",
        ),
        ("tenant = \"acme\"\nschedule = [{ cron = \"61 * * * *\", path = \"/\" }]", "2:22: \"61\" is no minute"),
        ("tenant = \"acme\"\nschedule = [{ every = \"5m\", path = \"tick\" }]", "2:36: \"tick\" is no path"),
    ] {
        let found = of_app(text);
        assert!(found.starts_with(&format!("app.toml:{told}")), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

#[test]
fn a_secret_that_is_spelled_out_is_refused_and_not_shown() {
    for spelled in ["\"hunter2\"", "{ file = 42424242 }", "42424242", "[\"hunter2\"]", "{ env = [\"hunter2\"] }"] {
        let found = of_app(&format!("tenant = \"acme\"\nsecrets = {{ A = {spelled} }}"));
        assert!(found.starts_with("app.toml:2:"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
    assert!(of_app("tenant = \"acme\"\nsecrets = { A = \"x\" }").contains("is not written into this file"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(
        text in "(tenant = \"acme\"\n)?((hosts|path|env|secrets|limits|schedule|x) = [\\[{\"]?[a-z0-9 =\"/.{},\\[\\]é]{0,20}[\\]}\"]?\n){0,4}"
    ) {
        if let Err(error) = AppManifest::parse(&text, "a", &node()) {
            prop_assert!(error.line() <= text.lines().count() + 1, "{}", error);
        }
        let _ = NodeConfig::parse(&text, "n");
    }

    #[test]
    fn a_prefix_that_is_read_has_its_one_spelling(path in "/[a-zA-Z0-9/.%~_-]{0,30}") {
        if let Ok(app) = AppManifest::parse(&format!("tenant = \"acme\"\npath = {path:?}"), "a", &node()) {
            prop_assert!(app.prefix.is_empty() || (app.prefix.starts_with('/') && !app.prefix.ends_with('/')));
            prop_assert!(!app.prefix.contains("//") && !app.prefix.contains('%'));
        }
    }
}
