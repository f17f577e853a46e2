//! Folders of apps that are exchanged as a whole, as a kubelet does with a ConfigMap, and folders that are work trees of git.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};

const TENANTS: &str = "[tenants.acme]\nprofile = \"allow-all\"\n";
const ONE: &str = "tenant = \"acme\"\nhosts = [\"one.example\"]\n";
const TWO: &str = "tenant = \"acme\"\nhosts = [\"two.example\"]\n";

/// A script that answers with a file of its folder, and tells what becomes of reading another one.
const READS: &str = "srv = http.server()\n\
                     srv.handle(\"GET /\", lambda req: fs.read_text(\"data.txt\"))\n\
                     srv.handle(\"GET /try\", lambda req: fs.try_read_text(req.query[\"path\"]).error or \"read\")\n\
                     srv.serve(port=8080)\n";

/// Exchanges what a volume holds, as a kubelet does: a new folder, a link to it that is renamed over the one before, a link
/// for each name at the top, and only then the end of the folder before.
fn exchange(volume: &Path, name: &str, files: &[(&str, &str)]) {
    let before = fs::read_link(volume.join("..data")).ok();
    for (file, text) in files {
        let file = volume.join(name).join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    symlink(name, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    for (file, _) in files {
        let first = file.split('/').next().unwrap();
        if fs::symlink_metadata(volume.join(first)).is_err() {
            symlink(Path::new("..data").join(first), volume.join(first)).unwrap();
        }
    }
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).unwrap();
    }
}

fn answers(starcell: &Starcell, host: &str, text: &str) {
    eventually(PATIENCE / 2, text, || ask(starcell.port(), host, "/").text() == text);
}

/// Ends a node, whose log then has none of these.
fn ends_without(starcell: Starcell, wrong: &[&str]) {
    let ended = starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for wrong in wrong {
        assert!(!ended.output.contains(wrong), "{wrong}: {}", ended.output);
    }
}

/// What the log has of a volume that is seen in the middle of an exchange, or whose folders are taken for apps.
const TORN: [&str; 4] = ["cannot be deployed", "not the names of apps", "is gone", "revision 4 of the app one"];

#[test]
fn a_volume_with_all_apps_is_exchanged_in_one_step() {
    let node = NodeFolder::new(TENANTS);
    let volume = node.path.join("apps");
    let files = |data: &'static str| {
        [
            ("one/app.toml", ONE),
            ("one/main.star", READS),
            ("one/data.txt", data),
            ("two/app.toml", TWO),
            ("two/main.star", READS),
            ("two/data.txt", "two"),
        ]
    };
    exchange(&volume, "..2026_07_01", &files("v1"));
    let mut starcell = node.start(&[]);
    // An app reads its own files behind the links, and none of another app.
    answers(&starcell, "one.example", "v1");
    for path in ["../two/data.txt", "../../two/data.txt", "../../..data/two/data.txt", "app.toml"] {
        let told = ask(starcell.port(), "one.example", &format!("/try?path={path}")).text().to_owned();
        assert!(told.contains("the file is the host's"), "{path}: {told}");
    }
    let changed = files("v2").map(|(name, text)| match name {
        "one/main.star" => (name, "load(\"lib/x.star\", \"x\")\n".to_owned() + READS),
        _ => (name, text.to_owned()),
    });
    let mut changed: Vec<(&str, &str)> = changed.iter().map(|(name, text)| (*name, text.as_str())).collect();
    changed.push(("one/lib/x.star", "x = 1\n"));
    exchange(&volume, "..2026_07_02", &changed);
    answers(&starcell, "one.example", "v2");
    starcell.wait_for("deployed revision 2 of the app one");
    changed.pop();
    let says = says("v3");
    changed[1].1 = &says;
    exchange(&volume, "..2026_07_03", &changed);
    answers(&starcell, "one.example", "v3");
    answers(&starcell, "two.example", "two");
    starcell.wait_for("deployed revision 3 of the app one");
    ends_without(starcell, &TORN);
}

#[test]
fn a_volume_for_one_app_is_exchanged_in_one_step() {
    let node = NodeFolder::new(TENANTS);
    let volume = node.path.join("apps/one");
    fs::create_dir(&volume).unwrap();
    exchange(&volume, "..2026_07_01", &[("app.toml", ONE), ("main.star", READS), ("data.txt", "v1")]);
    let mut starcell = node.start(&[]);
    answers(&starcell, "one.example", "v1");
    let says = says("v2");
    exchange(&volume, "..2026_07_02", &[("app.toml", ONE), ("main.star", &says), ("data.txt", "v2")]);
    answers(&starcell, "one.example", "v2");
    starcell.wait_for("deployed revision 2 of the app one");
    let says = starcell_tests::node::says("v3");
    exchange(&volume, "..2026_07_03", &[("app.toml", ONE), ("main.star", &says)]);
    answers(&starcell, "one.example", "v3");
    starcell.wait_for("deployed revision 3 of the app one");
    ends_without(starcell, &TORN);
}

#[test]
fn a_work_tree_is_watched_and_what_git_keeps_is_neither_an_app_nor_read() {
    let node = NodeFolder::new(TENANTS);
    let secret = "[remote \"origin\"]\n\turl = https://user:hunter2@git.example/apps.git\n";
    for folder in ["apps/.git", "apps/one/.git"] {
        fs::create_dir_all(node.path.join(folder)).unwrap();
        fs::write(node.path.join(folder).join("config"), secret).unwrap();
        fs::write(node.path.join(folder).join("main.star"), says("git")).unwrap();
        fs::write(node.path.join(folder).join("app.toml"), "tenant = \"acme\"\n").unwrap();
    }
    node.app("one", ONE, READS);
    fs::write(node.path.join("apps/one/data.txt"), "v1").unwrap();
    let starcell = node.start(&[]);
    answers(&starcell, "one.example", "v1");
    for path in [".git/config", "../.git/config", "./.git/../.git/config"] {
        let told = ask(starcell.port(), "one.example", &format!("/try?path={path}")).text().to_owned();
        assert!(told.contains("the file is the host's"), "{path}: {told}");
    }
    assert_eq!(ask(starcell.port(), "any.example", "/").status, 421, "no app answers for other hosts");
    node.app("one", ONE, &says("v2"));
    answers(&starcell, "one.example", "v2");
    ends_without(starcell, &TORN);
}
