//! Apps that come from a registry: pushed by an operator, pulled by nodes, and not changed by whatever the registry does.

use std::fs;
use std::path::Path;

use starcell_tests::log::ask as command;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{Ended, PATIENCE, Starcell, eventually, folder};
use starcell_tests::registry::{Behaviour, TestRegistry};
use starcell_tests::upstream::{Upstream, response};

const TENANTS: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";

/// `node:hunter2` in base64.
const LOGIN: &str = "bm9kZTpodW50ZXIy";

fn key(name: &str) -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/audit/tests/keys");
    keys.join(name).canonicalize().unwrap().display().to_string()
}

/// Writes a folder of apps with one app.
fn apps(text: &str) -> std::path::PathBuf {
    let source = folder();
    fs::create_dir(source.join("one")).unwrap();
    fs::write(source.join("one/main.star"), says(text)).unwrap();
    fs::write(source.join("one/app.toml"), "tenant = \"acme\"\nhosts = [\"one.example\"]\n").unwrap();
    source
}

fn push(source: &Path, reference: &str, flags: &[&str]) -> Ended {
    let arguments = ["app", "push", source.to_str().unwrap(), reference];
    command(source, &[&arguments[..], flags].concat())
}

/// Pushes a folder and returns the name that stays the same.
fn pushed(registry: &TestRegistry, text: &str, flags: &[&str]) -> String {
    let ended = push(&apps(text), &registry.reference(":stable"), flags);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let name = ended.stdout.trim().to_owned();
    assert!(name.starts_with(&registry.reference("@sha256:")), "{name}");
    name
}

fn node(reference: &str, bundle: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    let text = format!(
        "[node]\nname = \"node-1\"\nstate = \"state\"\napps = \"{reference}\"\n[listeners.web]\naddress = \
         \"127.0.0.1:0\"\n[bundle]\nevery = \"1s\"\n{bundle}{TENANTS}"
    );
    fs::write(node.config(), text).unwrap();
    node
}

fn answers(starcell: &Starcell, text: &str) {
    eventually(PATIENCE / 2, text, || ask(starcell.port(), "one.example", "/").text() == text);
}

#[test]
fn a_tag_is_followed_and_a_digest_stays() {
    let registry = TestRegistry::start();
    let first = pushed(&registry, "v1", &[]);
    assert_eq!(pushed(&registry, "v1", &[]), first, "the same bundle has the same name");
    let following = node(&registry.reference(":stable"), "");
    let pinned = node(&first, "");
    let (following, pinned_node) = (following.start(&[]), pinned.start(&[]));
    answers(&following, "v1");
    answers(&pinned_node, "v1");
    pushed(&registry, "v2", &[]);
    answers(&following, "v2");
    answers(&pinned_node, "v1");
    assert_eq!((following.stop().code(), pinned_node.stop().code()), (0, 0));
    // What a digest names is asked for once.
    registry.behave(Behaviour::Down);
    let again = pinned.start(&[]);
    answers(&again, "v1");
    let ended = again.stop();
    assert!(ended.code() == 0 && !ended.output.contains("took last"), "{}", ended.output);
}

#[test]
fn a_registry_that_is_away_or_broken_changes_nothing() {
    let registry = TestRegistry::start();
    pushed(&registry, "v1", &[]);
    let node = node(&registry.reference(":stable"), "");
    let mut starcell = node.start(&[]);
    answers(&starcell, "v1");
    registry.behave(Behaviour::Down);
    starcell.wait_for("status 503: down for a moment. The apps stay as they are");
    registry.behave(Behaviour::Sound);
    starcell.wait_for("is as it should be again");
    pushed(&registry, "v2", &[]);
    answers(&starcell, "v2");
    for (number, (behaviour, part)) in [
        (Behaviour::CutsLayers, "the answer was cut short"),
        (Behaviour::ChangesLayers, "nothing of it is taken"),
        (Behaviour::Endless, "sends more than 262144 bytes"),
        (Behaviour::Redirects("http://169.254.169.254/latest".to_owned()), "cannot reach http://169.254.169.254"),
        (Behaviour::Redirects("gopher://x".to_owned()), "which leads nowhere"),
    ]
    .into_iter()
    .enumerate()
    {
        // A push is answered as ever, and has the node ask for another layer.
        registry.behave(behaviour);
        pushed(&registry, &format!("broken {number}"), &[]);
        starcell.wait_for(part);
        assert_eq!(ask(starcell.port(), "one.example", "/").text(), "v2", "{part}");
    }
    registry.behave(Behaviour::Sound);
    registry.tag("stable", b"{\"schemaVersion\": 2}".to_vec());
    starcell.wait_for("push one with `starcell app push`");
    pushed(&registry, "v3", &[]);
    answers(&starcell, "v3");
    assert_eq!(starcell.stop().code(), 0);

    // A start with what was kept, and none without.
    registry.behave(Behaviour::Down);
    let starcell = node.start(&[]);
    answers(&starcell, "v3");
    registry.behave(Behaviour::Sound);
    pushed(&registry, "v4", &[]);
    answers(&starcell, "v4");
    let ended = starcell.stop();
    let warning = "The node starts with the bundle that it took last, sha256:";
    assert!(ended.code() == 0 && ended.output.contains(warning), "{}", ended.output);
    registry.behave(Behaviour::Down);
    fs::remove_dir_all(node.path.join("state")).unwrap();
    let ended = node.spawn(&[]).wait();
    assert!(ended.code() == 70 && ended.stderr.contains("so there are no apps"), "{}", ended.output);
}

#[test]
fn what_was_kept_is_judged_again() {
    let registry = TestRegistry::start();
    pushed(&registry, "v1", &["--key", &key("private.pem")]);
    let node = node(&registry.reference(":stable"), &format!("key = \"{}\"\n", key("public.pem")));
    let starcell = node.start(&[]);
    answers(&starcell, "v1");
    assert_eq!(starcell.stop().code(), 0);
    registry.behave(Behaviour::Down);
    let packed = fs::read_dir(node.path.join("state/bundle")).unwrap().map(|entry| entry.unwrap().path());
    let packed = packed.into_iter().find(|path| path.extension().is_some_and(|end| end == "packed")).unwrap();
    let mut bytes = fs::read(&packed).unwrap();
    bytes[20] ^= 1;
    fs::write(packed, bytes).unwrap();
    let ended = node.spawn(&[]).wait();
    assert!(ended.code() == 70 && ended.stderr.contains("is damaged: its digest is"), "{}", ended.output);
    registry.behave(Behaviour::Sound);
    let starcell = node.start(&[]);
    answers(&starcell, "v1");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_signature_is_pushed_with_the_bundle() {
    let registry = TestRegistry::start();
    pushed(&registry, "unsigned", &[]);
    let signed = node(&registry.reference(":stable"), &format!("key = \"{}\"\n", key("public.pem")));
    let ended = signed.spawn(&[]).wait();
    assert!(ended.code() == 4 && ended.stderr.contains("it has no signature"), "{}", ended.output);
    pushed(&registry, "v1", &["--key", &key("private.pem")]);
    let manifest = registry.manifest("stable");
    let mut starcell = signed.start(&[]);
    answers(&starcell, "v1");
    // Whoever can write to the registry puts the signature of one bundle beside another one.
    pushed(&registry, "evil", &[]);
    let other = String::from_utf8(registry.manifest("stable")).unwrap();
    let annotations = String::from_utf8(manifest).unwrap();
    let at = annotations.find(",\"annotations\"").expect("a signature");
    registry.tag("stable", format!("{}{}", other.trim_end_matches('}'), &annotations[at..]).into_bytes());
    starcell.wait_for("its signature is not by the key");
    answers(&starcell, "v1");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_login_is_shown_to_the_registry_and_to_nobody_else() {
    let registry = TestRegistry::start();
    registry.want_login(LOGIN);
    let logins = folder().join("logins.json");
    let text = format!("{{\"auths\": {{\"127.0.0.1:{}\": {{\"auth\": \"{LOGIN}\"}}}}}}", registry.port());
    fs::write(&logins, text).unwrap();
    let logins = logins.to_str().unwrap();
    let ended = push(&apps("v1"), &registry.reference(":stable"), &[]);
    assert!(ended.code() == 2 && ended.stderr.contains("name a file with a login for it"), "{}", ended.output);
    pushed(&registry, "v1", &["--credentials", logins]);
    let without = node(&registry.reference(":stable"), "");
    let ended = without.spawn(&[]).wait();
    assert!(ended.code() == 4 && ended.stderr.contains("(status 401)"), "{}", ended.output);

    let with = node(&registry.reference(":stable"), &format!("credentials_file = \"{logins}\"\n"));
    let mut starcell = with.start(&[]);
    answers(&starcell, "v1");
    let elsewhere = Upstream::start(|_| (response(404, &[], b""), true));
    pushed(&registry, "v2", &["--credentials", logins]);
    registry.behave(Behaviour::Redirects(format!("http://127.0.0.1:{}/store", elsewhere.port)));
    pushed(&registry, "v3", &["--credentials", logins]);
    starcell.wait_for("is not there");
    let asked = elsewhere.asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.header("authorization").is_none()), "{asked:?}");
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0);
    assert!(!ended.output.contains(LOGIN) && !ended.output.contains("hunter2"), "{}", ended.output);
}

#[test]
fn a_silent_registry_holds_nothing_up() {
    let registry = TestRegistry::start();
    pushed(&registry, "v1", &[]);
    let node = node(&registry.reference(":stable"), "");
    let starcell = node.start(&[]);
    answers(&starcell, "v1");
    registry.behave(Behaviour::Silent);
    let asked = registry.asked().len();
    eventually(PATIENCE / 2, "it is asked", || registry.asked().len() > asked);
    answers(&starcell, "v1");
    assert_eq!(starcell.stop().code(), 0, "and ends at once");
}

#[test]
fn what_cannot_be_pushed_is_told_before_anything_is_sent() {
    let registry = TestRegistry::start();
    let empty = folder();
    let ended = push(&empty, &registry.reference(":stable"), &[]);
    assert!(ended.code() == 2 && ended.stderr.contains("there is no app in it"), "{}", ended.output);
    let file = empty.join("apps.tar.gz");
    fs::write(&file, "no archive").unwrap();
    let arguments = ["app", "push", file.to_str().unwrap(), &registry.reference(":stable")];
    let ended = command(&empty, &arguments);
    assert!(ended.code() == 2 && ended.stderr.contains("the archive is cut short"), "{}", ended.output);
    for reference in ["oci://r.example/a", "r.example/a:b", "oci://r.example/A:b"] {
        assert_eq!(push(&apps("v1"), reference, &[]).code(), 2, "{reference}");
    }
    assert!(registry.asked().is_empty());
}
