//! Files that the host reads, writes or runs for itself: no script reads, writes, moves or removes them under any profile,
//! while the files beside them stay the script's.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use starcell_tests::log::{ask, denied};
use starcell_tests::process::{Ended, Starcell, binary, folder, script};

/// Runs a script in a folder that is its home as well.
fn run_at_home(folder: &Path, arguments: &[&str], source: &str) -> Ended {
    let mut command = Command::new(binary());
    command.arg("run").args(arguments).arg(script(source)).current_dir(folder);
    command.env("HOME", folder).env_remove("KUBECONFIG").env_remove("KUBERNETES_SERVICE_HOST");
    Starcell::spawn_command(command).wait()
}

fn is_refused(ended: &Ended, what: &str) {
    assert_eq!(ended.code(), 5, "{what}: {}", ended.output);
    assert!(ended.stderr.contains("permission denied: fs."), "{what}: {}", ended.stderr);
    assert!(ended.stderr.contains("the file is the host's"), "{what}: {}", ended.stderr);
}

#[test]
fn a_script_cannot_rewrite_the_profile_it_runs_under() {
    let folder = folder();
    let profile = "[profiles.shop]\nbase = \"allow-fs\"\n";
    fs::write(folder.join("starcell.toml"), profile).unwrap();
    let wide = "\"[profiles.shop]\\nbase = 'allow-all'\\n\"";
    let flags = ["--config", "starcell.toml", "--permissions", "shop"];
    for change in [
        format!("fs.write_text(\"starcell.toml\", {wide})"),
        format!("fs.append_text(\"starcell.toml\", {wide})"),
        format!("fs.write_text(\"other\", {wide}); fs.rename(\"other\", \"starcell.toml\")"),
        format!("fs.write_text(\"other\", {wide}); fs.copy(\"other\", \"./starcell.toml\")"),
        "fs.rename(\"starcell.toml\", \"gone\")".to_owned(),
        "fs.remove(\"starcell.toml\")".to_owned(),
        "fs.read_text(\"starcell.toml\")".to_owned(),
    ] {
        let source = change.replace("; ", "\n");
        is_refused(&Starcell::run_in(&folder, &flags, &source), &change);
        assert_eq!(fs::read_to_string(folder.join("starcell.toml")).unwrap(), profile, "{change}");
    }
    let ended = Starcell::run_in(
        &folder,
        &flags,
        "print(os.try_exec([\"/usr/bin/id\"]).ok)\nfs.write_text(\"starcell.toml.new\", \"x\")\n",
    );
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "False\n"), "{}", ended.output);
}

#[test]
fn a_script_cannot_touch_its_audit_log() {
    for profile in ["--allow-fs", "--allow-all"] {
        for call in [
            "fs.read_text(\"logs/audit.jsonl\")",
            "fs.write_text(\"logs/audit.jsonl\", \"\")",
            "fs.append_text(\"logs/audit.jsonl\", \"garbage\\n\")",
            "fs.remove(\"logs/audit.jsonl\")",
            "fs.rename(\"logs/audit.jsonl\", \"gone\")",
            "fs.rename(\"other\", \"logs/audit.jsonl\")",
            "fs.copy(\"logs/audit.jsonl\", \"copy\")",
            "fs.remove(\"logs\", recursive=True)",
            "fs.rename(\"logs\", \"away\")",
            "fs.rename(\"other\", \"logs/audit.jsonl.7\")",
            "fs.write_text(\"logs/../logs/audit.jsonl.1\", \"\")",
            "fs.read_text(\"alias/audit.jsonl\")",
            "fs.read_text(\"linked\")",
        ] {
            let folder = folder();
            fs::create_dir(folder.join("logs")).unwrap();
            fs::write(folder.join("a"), "a").unwrap();
            fs::write(folder.join("other"), "o").unwrap();
            symlink("logs", folder.join("alias")).unwrap();
            symlink("logs/audit.jsonl", folder.join("linked")).unwrap();
            let source = format!("fs.read_text(\"a\")\n{call}\n");
            let ended = Starcell::run_in(&folder, &[profile, "--audit", "logs/audit.jsonl"], &source);
            is_refused(&ended, call);
            let log = folder.join("logs/audit.jsonl");
            let denied = denied(&log);
            assert!(
                denied.iter().any(|record| record["category"].as_str().unwrap().starts_with("fs.")),
                "{call}: {denied:?}"
            );
            let sound = ask(&folder, &["audit", "verify", "logs/audit.jsonl"]);
            assert_eq!(sound.code(), 0, "{call}: {}", sound.output);
            assert!(fs::read_to_string(&log).unwrap().contains("fs.read_text"), "{call}");
        }
    }
}

/// A file of variables is the operator's word: what it says at the next start is not the script's to choose.
#[test]
fn a_script_cannot_touch_its_variables() {
    for call in [
        "fs.read_text(\"vars.toml\")",
        "fs.write_text(\"vars.toml\", \"admin = true\")",
        "fs.remove(\"vars.toml\")",
        "fs.rename(\"other\", \"vars.toml\")",
    ] {
        let folder = folder();
        fs::write(folder.join("vars.toml"), "admin = false\n").unwrap();
        fs::write(folder.join("other"), "admin = true\n").unwrap();
        let source = format!("print(var_bool(\"admin\", None))\nfs.write_text(\"mine.toml\", \"x = 1\")\n{call}\n");
        let ended = Starcell::run_in(&folder, &["--allow-all", "--var-file", "vars.toml"], &source);
        is_refused(&ended, call);
        assert_eq!(ended.stdout, "False\n", "{call}");
        assert_eq!(fs::read_to_string(folder.join("vars.toml")).unwrap(), "admin = false\n", "{call}");
    }
}

#[test]
fn names_that_look_alike_are_the_scripts() {
    let folder = folder();
    let source = "
for name in [\"audit.jsonl.bak\", \"audit.jsonl.1x\", \"audit.jsonlx\", \"statefile\", \"state.bak/x\"]:
    if \"/\" in name:
        fs.mkdir(\"state.bak\")
    fs.write_text(name, name)
    fs.append_text(name, \"!\")
    print(fs.read_text(name))
    fs.rename(name, name + \"-moved\")
    fs.remove(name + \"-moved\")
fs.remove(\"state.bak\", recursive=True)
print(sorted(fs.listdir(\".\")))
";
    let flags = ["--allow-fs", "--audit", "audit.jsonl", "--state", "state"];
    let ended = Starcell::run_in(&folder, &flags, source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.ends_with("[\"audit.jsonl\", \"state\"]\n"), "{}", ended.stdout);
    // Both lie where the script may write, which is said once.
    for (what, name) in [("the audit log", "audit.jsonl"), ("the store", "state")] {
        let warning = format!("{what} {name} lies in a folder that the script may write");
        assert_eq!(ended.stderr.matches(&warning).count(), 1, "{}", ended.stderr);
    }
    let elsewhere = Starcell::run_in(&folder, &["--audit", "audit.jsonl"], "print(1)");
    assert_eq!((elsewhere.code(), elsewhere.stderr.as_str()), (0, ""), "nothing may be written");
}

#[test]
fn a_script_keeps_its_store() {
    let folder = folder();
    for call in [
        "fs.write_bytes(\"state/kv.redb\", b\"x\")",
        "fs.read_bytes(\"state/kv.redb\")",
        "fs.remove(\"state\", recursive=True)",
        "fs.rename(\"state\", \"away\")",
        "fs.write_text(\"state/new\", \"x\")",
        "fs.mkdir(\"state/new\")",
        "fs.listdir(\"state\")",
    ] {
        is_refused(
            &Starcell::run_in(&folder, &["--allow-all", "--state", "state"], &format!("kv.set(\"a\", 1)\n{call}\n")),
            call,
        );
    }
    let ended = Starcell::run_in(&folder, &["--allow-fs", "--state", "state"], "print(kv.get(\"a\"))\n");
    assert_eq!((ended.code(), ended.stdout.as_str()), (0, "1\n"), "{}", ended.output);
}

#[test]
fn another_name_of_the_same_file_is_no_way_around() {
    let folder = folder();
    // A first run makes the log, and somebody outside gives it a second name.
    assert_eq!(Starcell::run_in(&folder, &["--audit", "audit.jsonl"], "print(1)").code(), 0);
    fs::hard_link(folder.join("audit.jsonl"), folder.join("second")).unwrap();
    for call in ["fs.read_text(\"second\")", "fs.write_text(\"second\", \"\")", "fs.append_text(\"second\", \"x\")"] {
        is_refused(&Starcell::run_in(&folder, &["--allow-all", "--audit", "audit.jsonl"], call), call);
    }
}

/// The worst of them: a kubeconfig names a program that the host runs.
#[test]
fn a_kubeconfig_that_a_script_writes_is_never_read() {
    let kubeconfig = |proof: &Path| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: c, user: u}}\n\
             clusters:\n- name: c\n  cluster: {{server: 'http://127.0.0.1:1'}}\nusers:\n- name: u\n  user:\n    exec: \
             {{command: /bin/sh, args: ['-c', 'id > {}'], apiVersion: client.authentication.k8s.io/v1, \
             interactiveMode: Never}}\n",
            proof.display()
        )
    };
    let folder = folder();
    let proof = folder.join("proof");
    let text = kubeconfig(&proof);
    for write in
        ["fs.write_text(\".kube/config\", TEXT)", "fs.write_text(\"x\", TEXT)\nfs.rename(\"x\", \".kube/config\")"]
    {
        let source = format!(
            "TEXT = {text:?}\nfs.mkdir(\".kube\", parents=True)\ndef write():\n    {}\n{}\nprint(k8s.try_list(\"pods\").ok)\n",
            "pass",
            write.replace("fs.write_text", "fs.try_write_text").replace("fs.rename", "fs.try_rename")
        );
        let ended = run_at_home(&folder, &["--allow-local"], &source);
        assert_eq!((ended.code(), ended.stdout.as_str()), (0, "False\n"), "{}", ended.output);
        assert!(!proof.exists(), "{write}");
        assert!(!folder.join(".kube/config").exists(), "it would be read at the next start");
    }
    // One that the operator has keeps working, its program too.
    fs::write(folder.join(".kube/config"), &text).unwrap();
    let ended = run_at_home(&folder, &["--allow-local"], "print(k8s.try_list(\"pods\").ok)\n");
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(proof.exists(), "the operator's own program was run");
    is_refused(&run_at_home(&folder, &["--allow-all"], "fs.read_text(\".kube/config\")"), "reading");
}

#[test]
fn files_that_a_kubeconfig_names_are_the_hosts_too() {
    let folder = folder();
    let kubeconfig = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {cluster: c, user: u}\n\
                      clusters:\n- name: c\n  cluster: {server: 'http://127.0.0.1:1', certificate-authority: ca.pem}\n\
                      users:\n- name: u\n  user: {tokenFile: token, exec: {command: ./plugin, apiVersion: client.authentication.k8s.io/v1}}\n";
    fs::create_dir(folder.join(".kube")).unwrap();
    fs::write(folder.join(".kube/config"), kubeconfig).unwrap();
    for name in ["ca.pem", "token", "plugin"] {
        fs::write(folder.join(".kube").join(name), "x").unwrap();
        let call = format!("fs.write_text(\".kube/{name}\", \"mine\")");
        is_refused(&run_at_home(&folder, &["--allow-all"], &call), name);
    }
    let ended = run_at_home(&folder, &["--allow-all"], "fs.write_text(\".kube/mine\", \"mine\")");
    assert_eq!(ended.code(), 0, "{}", ended.output);
}

#[test]
fn the_program_of_the_host_and_the_kernel_are_not_the_scripts() {
    let folder = folder();
    let copy = folder.join("starcell");
    fs::copy(binary(), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    for call in
        ["fs.write_text(\"starcell\", \"x\")", "fs.remove(\"starcell\")", "fs.read_text(\"/proc/self/environ\")"]
    {
        let mut command = Command::new(&copy);
        command.args(["run", "--allow-all"]).arg(script(call)).current_dir(&folder);
        is_refused(&Starcell::spawn_command(command).wait(), call);
    }
}
