//! Apps that come as one file: what of it a node takes, what it refuses, and that its other apps go on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use starcell_tests::log::ask as command;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually, folder};
use starcell_tests::tls::replace;

const TENANTS: &str = "[tenants.acme]\nprofile = \"allow-local\"\n";

/// A key of the tests of the audit log, which is of the same kind.
fn key(name: &str) -> String {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/audit/tests/keys");
    keys.join(name).canonicalize().unwrap().display().to_string()
}

/// Writes an app into a folder of apps.
fn write(apps: &Path, app: &str, script: &str) {
    let folder = apps.join(app);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.star"), script).unwrap();
    fs::write(folder.join("app.toml"), format!("tenant = \"acme\"\nhosts = [\"{app}.example\"]\n")).unwrap();
}

/// Packs a folder to a file, and returns the digest.
fn pack(from: &Path, to: &Path, flags: &[&str]) -> String {
    let new = to.with_extension("new");
    let arguments = ["app", "pack", from.to_str().unwrap(), "--output", new.to_str().unwrap()];
    let ended = command(from, &[&arguments[..], flags].concat());
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let signature = PathBuf::from(format!("{}.sig", new.display()));
    if signature.exists() {
        fs::rename(signature, format!("{}.sig", to.display())).unwrap();
    }
    fs::rename(new, to).unwrap();
    let digest = ended.stdout.split(['@', ' ']).nth(1).expect("FILE@DIGEST");
    assert!(digest.starts_with("sha256:"), "{}", ended.stdout);
    digest.to_owned()
}

/// A node whose apps are in the file `apps.tar.gz`, perhaps with a digest and with a table of its own.
fn node(apps: &str, bundle: &str) -> NodeFolder {
    let node = NodeFolder::new("");
    fs::remove_dir(node.path.join("apps")).unwrap();
    let text = format!(
        "[node]\nname = \"node-1\"\nstate = \"state\"\napps = \"{apps}\"\n[listeners.web]\naddress = \
         \"127.0.0.1:0\"\n{bundle}{TENANTS}"
    );
    fs::write(node.config(), text).unwrap();
    node
}

fn answers(starcell: &Starcell, app: &str, text: &str) {
    eventually(PATIENCE / 2, &format!("{app} answers {text}"), || {
        ask(starcell.port(), &format!("{app}.example"), "/").text() == text
    });
}

/// What a node says that does not start.
fn refused(node: &NodeFolder) -> String {
    let ended = node.spawn(&[]).wait();
    assert_eq!(ended.code(), 4, "{}", ended.output);
    ended.stderr
}

#[test]
fn a_bundle_answers_and_another_one_changes_what_differs() {
    let (node, source) = (node("apps.tar.gz", ""), folder());
    let bundle = node.path.join("apps.tar.gz");
    for app in ["one", "two"] {
        write(&source, app, &says("v1"));
    }
    pack(&source, &bundle, &[]);
    let mut starcell = node.start(&[]);
    answers(&starcell, "one", "v1");
    answers(&starcell, "two", "v1");
    write(&source, "one", &says("v2"));
    write(&source, "three", &says("new"));
    pack(&source, &bundle, &[]);
    answers(&starcell, "one", "v2");
    answers(&starcell, "three", "new");

    // What is no bundle, or one with a script that does not run, replaces nothing.
    replace(&bundle, b"no archive");
    starcell.wait_for("the archive is cut short");
    answers(&starcell, "one", "v2");
    write(&source, "one", "1 // 0\n");
    fs::remove_dir_all(source.join("two")).unwrap();
    pack(&source, &bundle, &[]);
    starcell.wait_for("the app two is gone");
    starcell.wait_for("the app one cannot be deployed");
    answers(&starcell, "one", "v2");
    assert_eq!(ask(starcell.port(), "two.example", "/").status, 421);
    let ended = starcell.stop();
    assert!(ended.code() == 0 && ended.output.contains("deployed revision 2 of the app one"), "{}", ended.output);
    assert!(ended.output.contains("the apps are those of apps.tar.gz: sha256:"), "{}", ended.output);
    assert!(!ended.output.contains("deployed revision 2 of the app two"), "{}", ended.output);
}

#[test]
fn equal_folders_have_one_bundle_and_a_work_tree_is_left_out() {
    let (one, other, files) = (folder(), folder(), folder());
    for source in [&one, &other] {
        write(source, "shop", &says("v1"));
        fs::create_dir_all(source.join("shop/.git")).unwrap();
        fs::write(source.join("shop/.git/config"), source.display().to_string()).unwrap();
        fs::create_dir_all(source.join(".git/objects")).unwrap();
    }
    fs::File::open(one.join("shop/main.star")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let digest = pack(&one, &files.join("one.tar.gz"), &[]);
    assert_eq!(digest, pack(&other, &files.join("other.tar.gz"), &[]));
    assert_eq!(
        digest,
        pack(&one.join("shop"), &files.join("single.tar.gz"), &[]),
        "one app, by the name of its folder"
    );
    let listed = Command::new("tar").arg("-tf").arg(files.join("one.tar.gz")).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "shop/app.toml\nshop/main.star\n");
    symlink("/etc/passwd", one.join("shop/passwd")).unwrap();
    let ended = command(&files, &["app", "pack", one.to_str().unwrap(), "--output", "never.tar.gz"]);
    assert!(ended.code() == 2 && ended.stderr.contains("passwd is a link"), "{}", ended.output);
    assert!(!files.join("never.tar.gz").exists());
}

#[test]
fn a_digest_and_a_signature_decide_what_is_taken() {
    let source = folder();
    write(&source, "one", &says("v1"));
    let other = format!("sha256:{}", "0".repeat(64));
    let pinned = node(&format!("apps.tar.gz@{other}"), "");
    let digest = pack(&source, &pinned.path.join("apps.tar.gz"), &[]);
    let told = refused(&pinned);
    assert!(told.contains(&format!("its digest is {digest}; put the pinned file in its place")), "{told}");
    let text = fs::read_to_string(pinned.config()).unwrap().replace(&other, &digest);
    fs::write(pinned.config(), text).unwrap();
    let starcell = pinned.start(&[]);
    answers(&starcell, "one", "v1");
    assert_eq!(starcell.stop().code(), 0);

    let signed = node("apps.tar.gz", &format!("[bundle]\nkey = \"{}\"\n", key("public.pem")));
    let bundle = signed.path.join("apps.tar.gz");
    pack(&source, &bundle, &[]);
    let told = refused(&signed);
    assert!(told.contains("it has no signature") && told.contains("pack or push it with --key"), "{told}");
    fs::write(signed.path.join("apps.tar.gz.sig"), "AAAA\n").unwrap();
    assert!(refused(&signed).contains("its signature is not by the key"));
    pack(&source, &bundle, &["--key", &key("private.pem")]);
    let mut starcell = signed.start(&[]);
    answers(&starcell, "one", "v1");
    // The signature of the bundle before is none of another one.
    write(&source, "one", &says("v2"));
    pack(&source, &bundle, &[]);
    starcell.wait_for("its signature is not by the key");
    answers(&starcell, "one", "v1");
    pack(&source, &bundle, &["--key", &key("private.pem")]);
    answers(&starcell, "one", "v2");
    let ended = starcell.stop();
    assert!(ended.code() == 0 && ended.output.contains(", signed"), "{}", ended.output);
}

#[test]
fn a_hostile_archive_writes_nothing_and_is_named() {
    let source = folder();
    write(&source, "one", &says("v1"));
    symlink("/etc", source.join("one/etc")).unwrap();
    let tar = |node: &NodeFolder, arguments: &[&str]| {
        let mut command = Command::new("tar");
        command.arg("-C").arg(&source).arg("-czf").arg(node.path.join("apps.tar.gz")).args(arguments).arg("one");
        assert!(command.status().unwrap().success());
    };
    for (arguments, part) in [
        (&[][..], "\"one/etc\" is a symbolic link"),
        (&["--exclude=etc", "-P", "--transform=s,main,../../../evil,"], "is no name of a file"),
        (&["--exclude=etc", "-P", "--transform=s,^one,/tmp/evil,"], "is no name of a file"),
        (&["--exclude=etc", "--transform=s,^one,One,"], "\"One\" is not the name of an app"),
        (&["--exclude=etc", "--exclude=app.toml"], "the app one has no app.toml"),
        (&["--exclude=etc", "--transform=s,app.toml,main.star,"], "has \"one/main.star\" twice"),
    ] {
        let node = node("apps.tar.gz", "");
        tar(&node, arguments);
        let told = refused(&node);
        assert!(told.contains(part), "{arguments:?}: {told}");
        assert_eq!(fs::read_dir(node.path.join("state/apps")).unwrap().count(), 0, "{arguments:?}");
    }
    let node = node("apps.tar.gz", "");
    assert!(refused(&node).contains("cannot read"), "there is no file");
    tar(&node, &["--exclude=etc"]);
    let starcell = node.start(&[]);
    answers(&starcell, "one", "v1");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn an_app_reads_its_own_files_of_the_bundle_and_nothing_else_of_the_state() {
    let (node, source) = (node("apps.tar.gz", ""), folder());
    let script = "srv = http.server()\n\
                  srv.handle(\"GET /\", lambda req: fs.read_text(\"data.txt\"))\n\
                  srv.handle(\"GET /write\", lambda req: fs.write_text(\"own.txt\", \"1\") or \"written\")\n\
                  srv.handle(\"GET /try\", lambda req: fs.try_read_text(req.query[\"path\"]).error or \"read\")\n\
                  srv.serve(port=8080)\n";
    for app in ["one", "two"] {
        write(&source, app, script);
        fs::write(source.join(app).join("data.txt"), format!("of {app}")).unwrap();
    }
    pack(&source, &node.path.join("apps.tar.gz"), &[]);
    let text = fs::read_to_string(node.config()).unwrap().replace("allow-local", "allow-all");
    fs::write(node.config(), text).unwrap();
    let starcell = node.start(&[]);
    answers(&starcell, "one", "of one");
    assert_eq!(ask(starcell.port(), "one.example", "/write").text(), "written");
    let state = node.path.join("state");
    for path in ["apps/two/data.txt", "apps/two/main.star", "bundle/kept.json", "revisions/one/index.json", "apps"] {
        let target = format!("/try?path={}", state.join(path).display());
        let told = ask(starcell.port(), "one.example", &target).text().to_owned();
        assert!(told.contains("the file is the host's"), "{path}: {told}");
    }
    let told = ask(starcell.port(), "one.example", "/try?path=app.toml").text().to_owned();
    assert!(told.contains("the file is the host's"), "{told}");
    assert_eq!(starcell.stop().code(), 0);
}

#[test]
fn a_check_unpacks_beside_the_node_that_runs() {
    let (node, source) = (node("apps.tar.gz", ""), folder());
    let bundle = node.path.join("apps.tar.gz");
    write(&source, "one", &says("v1"));
    pack(&source, &bundle, &[]);
    let starcell = node.start(&[]);
    answers(&starcell, "one", "v1");
    let before = fs::read_link(node.path.join("state/apps/one")).unwrap();
    let checked = node.check();
    assert!(checked.code() == 0 && checked.stdout.contains("one"), "{}", checked.output);
    assert_eq!(fs::read_link(node.path.join("state/apps/one")).unwrap(), before);
    let left = fs::read_dir(node.path.join("state")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("check-")));
    replace(&bundle, b"no archive");
    let checked = node.check();
    assert!(checked.code() == 4 && checked.stderr.contains("the archive is cut short"), "{}", checked.output);
    answers(&starcell, "one", "v1");
    assert_eq!(starcell.stop().code(), 0);
}
