//! `starcell host --check`, and configurations that are refused before anything starts.

use std::fs;

use starcell_tests::node::{NodeFolder, says};

const TENANT: &str =
    "[profiles.shop]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\n[tenants.acme]\nprofile = \"shop\"\n";

#[test]
fn a_check_says_what_each_app_may_do() {
    let node = NodeFolder::new(TENANT);
    fs::write(node.path.join("key"), "sk_live_1").unwrap();
    let manifest = "tenant = \"acme\"\nhosts = [\"a.example\"]\npath = \"/shop\"\nlimits = { memory = \"32MiB\", cpu = \"100ms\" }\n\
                    env = { GREETING = \"hi\" }\nsecrets = { KEY = { file = \"../../key\" } }\n\
                    schedule = [{ every = \"5m\", path = \"/tick\" }]\n";
    node.app("orders", manifest, &says("orders"));
    node.app("quiet", "tenant = \"acme\"\nprofile = \"allow-local\"\n", &says("quiet"));
    let ended = node.check();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for told in [
        "orders: of the tenant acme, at a.example, path /shop/",
        "limits: 32 MiB, 100 ms of CPU and 30000 ms in all for a request",
        "env GREETING",
        "secret KEY of the file ../../key",
        "asked for /tick every 300 s",
        "the profile of the tenant, shop:",
        "allow http.server",
        "allow kv.*",
        "quiet: of the tenant acme, at any host, path /",
        "of that, no more than the profile of the app, allow-local:",
    ] {
        assert!(ended.stdout.contains(told), "{told}\n{}", ended.stdout);
    }
    assert!(!ended.output.contains("sk_live_1") && !ended.output.contains("serving "), "{}", ended.output);
    assert!(!node.path.join("state").exists(), "nothing is made");
}

#[test]
fn a_check_fails_for_an_app_that_cannot_be_deployed_and_lists_all() {
    let node = NodeFolder::new(TENANT);
    node.app("bad", "tenant = \"acme\"\nhosts = [\"b.example\"]\n", "1 // 0\n");
    node.app("good", "tenant = \"acme\"\nhosts = [\"a.example\"]\n", &says("good"));
    let ended = node.check();
    assert_eq!(ended.code(), 4, "{}", ended.output);
    assert!(ended.stdout.contains("bad: cannot be deployed: "), "{}", ended.stdout);
    assert!(ended.stdout.contains("main.star:1"), "{}", ended.stdout);
    assert!(ended.stdout.contains("good: of the tenant acme"), "{}", ended.stdout);
}

#[test]
fn a_configuration_with_a_mistake_names_its_place() {
    let node = NodeFolder::new("[tenants.acme]\nprofil = \"shop\"\n");
    for arguments in [&[][..], &["--check"]] {
        let ended = node.spawn(arguments).wait();
        assert_eq!(ended.code(), 4, "{}", ended.output);
        assert!(ended.stderr.contains("node.toml:8:1: unknown key `profil`"), "{}", ended.stderr);
        assert!(ended.stderr.contains("did you mean `profile`?"), "{}", ended.stderr);
    }
    fs::remove_dir(node.path.join("apps")).unwrap();
    node.configure("[listeners.web]\naddress = \"127.0.0.1:0\"\n");
    let ended = node.check();
    assert_eq!(ended.code(), 4, "{}", ended.output);
    assert!(ended.stderr.contains("cannot read the folder of the apps"), "{}", ended.stderr);
    let ended = node.spawn(&["--allow-host", "a.example"]).wait();
    assert_eq!(ended.code(), 2, "{}", ended.output);
}
