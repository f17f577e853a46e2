//! What a release is made of: the archive, the units, the container, and the guide whose every command is run here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use starcell_tests::node::{NodeFolder, says};
use starcell_tests::process::{Starcell, binary, folder};
use starcell_tests::tools::run;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Makes the archive in a folder, and returns its path.
fn dist(folder: &Path) -> PathBuf {
    let script = repository().join("deploy/dist.sh");
    let arguments = [script.as_path(), &binary(), folder].map(|path| path.as_os_str().to_owned());
    let said = run("bash", "bash", arguments).well();
    said.trim().into()
}

fn unpacked(archive: &Path, folder: &Path) -> PathBuf {
    let arguments =
        ["--extract".as_ref(), "--file".as_ref(), archive.as_os_str(), "--directory".as_ref(), folder.as_os_str()];
    let _ = run("tar", "tar", arguments).well();
    folder.join(archive.file_name().unwrap().to_str().unwrap().strip_suffix(".tar.gz").unwrap())
}

#[test]
fn an_archive_has_all_parts_and_the_same_bytes_each_time() {
    let (one, other) = (folder(), folder());
    let (first, second) = (dist(&one), dist(&other));
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the same binary makes the same archive");
    let tree = unpacked(&first, &one);
    let sums =
        run("bash", "bash", ["-c", &format!("cd {} && sha256sum --check --quiet --strict SHA256SUMS", tree.display())]);
    assert!(sums.success, "{sums:?}");
    let listed = fs::read_to_string(tree.join("SHA256SUMS")).unwrap();
    for part in [
        "bin/starcell",
        "lib/systemd/system/starcell.service",
        "lib/systemd/system/starcell.socket",
        "share/bash-completion/completions/starcell",
        "share/zsh/site-functions/_starcell",
        "share/fish/vendor_completions.d/starcell.fish",
        "share/man/man1/starcell.1",
        "share/man/man1/starcell-run.1",
        "share/man/man1/starcell-audit-verify.1",
        "docs/service.md",
        "deploy/container/Containerfile",
        "deploy/kubernetes/kustomization.yaml",
        "deploy/kubernetes/apps/hello/main.star",
        "docs/kubernetes.md",
        "LICENSE",
    ] {
        assert!(listed.lines().any(|line| line.ends_with(&format!("  {part}"))), "{part}\n{listed}");
    }
    assert!(!listed.contains("check-worker"), "{listed}");
    let mode = fs::metadata(tree.join("bin/starcell")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let page = fs::read_to_string(tree.join("share/man/man1/starcell-host.1")).unwrap();
    assert!(page.contains(".TH ") && page.contains("take\\-over"), "{page}");
}

#[test]
fn manual_pages_need_a_folder() {
    let ended = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        command.arg("docs").args(arguments);
        Starcell::spawn_command(command).wait()
    };
    let refused = ended(&["--manual", "/nowhere/at/all"]);
    assert_eq!(refused.code(), 2, "{}", refused.output);
    assert!(refused.stderr.contains("cannot write into /nowhere/at/all"), "{}", refused.stderr);
    assert_eq!(ended(&["--manual", "/tmp", "--output", "x"]).code(), 2);
}

/// The lines of a unit: its settings.
fn settings(unit: &str) -> Vec<(String, String)> {
    let text = text(unit);
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines
        .map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).expect("KEY=VALUE"))
        .collect()
}

fn setting(unit: &str, key: &str) -> String {
    let found = settings(unit).into_iter().find(|(have, _)| have == key);
    found.unwrap_or_else(|| panic!("{unit} has no {key}")).1
}

const SERVICE: &str = "deploy/systemd/starcell.service";
const SOCKET: &str = "deploy/systemd/starcell.socket";

/// The program that a unit names is not where it will be; everything else is as it is shipped.
#[test]
fn systemd_takes_the_units() {
    let units = folder();
    let service = text(SERVICE).replace("/usr/bin/starcell", &binary().display().to_string());
    fs::write(units.join("starcell.service"), service).unwrap();
    fs::write(units.join("starcell.socket"), text(SOCKET)).unwrap();
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        // A machine without systemd still checks what the two units and the binary agree about.
        return agreed();
    }
    let files = ["starcell.service", "starcell.socket"].map(|name| units.join(name).into_os_string());
    let said = run("systemd-analyze", "systemd", ["verify".into(), "--man=no".into()].into_iter().chain(files));
    // It warns of other units of the machine too.
    let ours: Vec<&str> = said.stderr.lines().filter(|line| line.contains("starcell")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
    agreed();
}

fn agreed() {
    assert_eq!(setting(SERVICE, "Type"), "notify");
    assert_eq!(setting(SERVICE, "NotifyAccess"), "all");
    assert_eq!(setting(SOCKET, "FileDescriptorName"), "web");
    // The command line is one that this binary takes.
    let line = setting(SERVICE, "ExecStart");
    let flags = line.split(' ').filter(|word| word.starts_with("--"));
    let mut command = Command::new(binary());
    command.args(["host", "--help"]);
    let help = Starcell::spawn_command(command).wait().stdout;
    for flag in flags {
        assert!(help.contains(flag), "{flag}");
    }
    for hardened in ["NoNewPrivileges", "ProtectSystem", "PrivateDevices", "CapabilityBoundingSet", "SystemCallFilter"]
    {
        let _ = setting(SERVICE, hardened);
    }
}

#[test]
fn the_container_has_no_root_and_its_command_works() {
    let recipe = text("deploy/container/Containerfile");
    let instruction = |name: &str| -> Vec<&str> {
        recipe.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect()
    };
    assert_eq!(instruction("USER"), ["65532:65532"]);
    let tree = unpacked(&dist(&folder()), &folder());
    for copied in instruction("COPY") {
        let source = copied.split(' ').next().unwrap();
        assert!(tree.join(source).is_file(), "the archive has no {source}");
    }
    // The command of the container, with its paths elsewhere, and nothing that it may write but its state.
    let node = NodeFolder::new("[tenants.acme]\nprofile = \"allow-local\"\n");
    node.app("hello", "tenant = \"acme\"\n", &says("contained"));
    let words: Vec<String> = serde_json::from_str(instruction("CMD")[0]).unwrap();
    let moved = |word: String| match word.as_str() {
        "/etc/starcell/node.toml" => node.config().display().to_string(),
        "/var/lib/starcell/audit.jsonl" => node.path.join("audit.jsonl").display().to_string(),
        _ => word,
    };
    let mut command = Command::new(tree.join("bin/starcell"));
    command.args(words.into_iter().map(moved)).current_dir(&node.path);
    let mut running = Starcell::spawn_command(command);
    running.wait_for("serving the listener web");
    assert_eq!(starcell_tests::client::get(running.port(), "/").text(), "contained");
    assert_eq!(running.stop().code(), 0);
}

/// The commands of a page, block by block.
fn blocks(page: &str) -> Vec<String> {
    let (mut blocks, mut block) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => text.push_str(&format!("{line}\n")),
            (None, _) => {}
        }
    }
    assert!(block.is_none() && blocks.len() > 10, "{blocks:?}");
    blocks
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn every_command_of_the_guide_works() {
    // In the folder of an archive, as the last part of the page says.
    let place = folder();
    let tree = unpacked(&dist(&place), &place);
    let (root, bin) = (place.join("root"), place.join("bin"));
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(&bin).unwrap();
    let systemctl = repository().join("tests/src/systemctl.py");
    let shim = format!("#!/bin/sh\nexec python3 {} \"$@\"\n", systemctl.display());
    fs::write(bin.join("systemctl"), shim).unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let (web, metrics) = (free_port(), free_port());
    // What fails leaves no process behind.
    let end = "trap 'kill $(jobs -p) $(cat \"$ROOT/run/pid\") 2>/dev/null || true' EXIT\n";
    let mut script = format!("set -e -o pipefail\n{end}");
    let blocks = blocks(&text("docs/service.md"));
    for (number, block) in blocks.iter().enumerate() {
        script.push_str(&format!("{block}\necho; echo block {number} has ended\n"));
    }
    let script = script.replace("8080", &web).replace("9091", &metrics);
    // The units as they are shipped, but for the port; systemctl.py looks for their paths below the root of this test.
    let socket = tree.join("lib/systemd/system/starcell.socket");
    fs::write(&socket, fs::read_to_string(&socket).unwrap().replace("8080", &web)).unwrap();
    let script = script.replace("\"/var/lib/starcell\"", &format!("\"{}/var/lib/starcell\"", root.display()));
    fs::write(place.join("guide.sh"), script).unwrap();
    let path = format!("{}:{}:{}", bin.display(), tree.join("bin").display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.arg(place.join("guide.sh")).current_dir(&tree).env("PATH", path).env("ROOT", &root);
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        command.env_remove(proxy);
    }
    let mut guide = Starcell::spawn_command(command);
    for number in 0..blocks.len() {
        guide.wait_for(&format!("block {number} has ended"));
    }
    let ended = guide.wait();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for said in ["Hello, Bob", "visitor 1\n", "starcell_requests_total"] {
        assert!(ended.stdout.contains(said), "{said}\n{}", ended.output);
    }
    assert!(ended.stdout.matches("visitor ").count() >= 4, "{}", ended.output);
}
