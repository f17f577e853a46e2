//! Rules about files under every name that links give them: a deny rule is not passed by under another name, and an allow
//! rule that goes through a link grants what it leads to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use starcell_tests::log::ask;
use starcell_tests::process::{Ended, Starcell, binary, folder, script};

/// `real/secret` is a file, `alias` a link to `real`, `first` one to `alias`, `real/inner` one to `deep`.
fn linked() -> PathBuf {
    let folder = folder();
    fs::create_dir_all(folder.join("real/deep")).unwrap();
    fs::write(folder.join("real/secret"), "s").unwrap();
    fs::write(folder.join("real/deep/secret"), "d").unwrap();
    symlink("real", folder.join("alias")).unwrap();
    symlink("alias", folder.join("first")).unwrap();
    symlink("deep", folder.join("real/inner")).unwrap();
    folder
}

fn is_denied_by(ended: &Ended, rule: &str, what: &str) {
    assert_eq!(ended.code(), 5, "{what}: {}", ended.output);
    assert!(ended.stderr.contains(&format!("denied by the rule {rule}")), "{what}: {}", ended.stderr);
}

#[test]
fn a_deny_rule_meets_every_name_of_a_file() {
    let folder = linked();
    let at = |name: &str| folder.join(name).display().to_string();
    for (category, link, calls) in [
        ("fs.read", "alias/**", &["read_text", "stat", "read_bytes", "exists"][..]),
        ("fs.read", "first/**", &["read_text"]),
        ("fs.*", "alias/secret", &["read_text", "remove"]),
        ("fs.read", "alias/*", &["read_text"]),
    ] {
        let rule = format!("{category}({})", at(link));
        for call in calls {
            for name in ["real/secret", "alias/secret", "first/secret"] {
                let source = format!("fs.{call}({:?})\n", at(name));
                let ended = Starcell::run_in(&folder, &["--allow-all", "--deny", &rule], &source);
                is_denied_by(&ended, &rule, &source);
            }
        }
    }
    let rule = format!("fs.write({})", at("alias/**"));
    for call in
        ["write_text(P, \"x\")", "append_text(P, \"x\")", "rename(P, \"gone\")", "copy(\"real/deep/secret\", P)"]
    {
        let source = format!("P = {:?}\nfs.{call}\n", at("real/secret"));
        is_denied_by(&Starcell::run_in(&folder, &["--allow-all", "--deny", &rule], &source), &rule, call);
    }
    let rule = format!("fs.delete({})", at("first/inner/**"));
    for source in
        [format!("fs.remove({:?})", at("real/deep/secret")), format!("fs.remove({:?}, recursive=True)", at("real"))]
    {
        is_denied_by(&Starcell::run_in(&folder, &["--allow-all", "--deny", &rule], &source), &rule, &source);
    }
    let listed = format!("fs.read({})", at("alias/**"));
    let ended =
        Starcell::run_in(&folder, &["--allow-all", "--deny", &listed], &format!("fs.listdir({:?})", at("real")));
    is_denied_by(&ended, &listed, "listdir");
    let beside = Starcell::run_in(
        &folder,
        &["--allow-all", "--deny", &listed],
        "fs.write_text(\"b\", \"b\")\nprint(fs.read_text(\"b\"))",
    );
    assert_eq!((beside.code(), beside.stdout.as_str()), (0, "b\n"), "{}", beside.output);
}

#[test]
fn a_home_behind_a_link_and_rules_of_a_profile_are_followed_too() {
    let folder = linked();
    fs::write(folder.join("c.toml"), "[profiles.mine]\nbase = \"allow-all\"\ndeny = [\"fs.read($HOME/secret)\"]\n")
        .unwrap();
    let config = folder.join("c.toml").display().to_string();
    let run = |arguments: &[&str], source: &str| {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments).arg(script(source)).env("HOME", folder.join("first")).current_dir("/");
        Starcell::spawn_command(command).wait()
    };
    for name in ["real/secret", "alias/secret", "first/secret"] {
        let source = format!("print(fs.read_text({:?}))", folder.join(name));
        for flags in
            [&["--config", &config, "--permissions", "mine"][..], &["--allow-all", "--deny", "fs.read($HOME/secret)"]]
        {
            is_denied_by(&run(flags, &source), "fs.read($HOME/secret)", name);
        }
        let granted = run(&["--allow", "fs.read($HOME/**)"], &source);
        assert_eq!((granted.code(), granted.stdout.as_str()), (0, "s\n"), "{name}: {}", granted.output);
    }
}

#[test]
fn an_allow_rule_through_a_link_grants_what_it_leads_to() {
    let folder = linked();
    let rule = format!("fs.read({})", folder.join("first/**").display());
    for name in ["first/secret", "alias/secret", "real/secret", "alias/deep/secret"] {
        let source = format!("print(fs.read_text({:?}))", folder.join(name));
        let ended = Starcell::run_in(&folder, &["--allow", &rule], &source);
        assert_eq!(ended.code(), 0, "{name}: {}", ended.output);
    }
    fs::write(folder.join("beside"), "b").unwrap();
    let outside = Starcell::run_in(&folder, &["--allow", &rule], &format!("fs.read_text({:?})", folder.join("beside")));
    assert_eq!(outside.code(), 5, "{}", outside.output);
}

#[test]
fn programs_are_denied_under_every_name() {
    let folder = folder();
    let real = fs::canonicalize("/bin/sh").unwrap();
    let deny = ["--allow-all", "--deny", "os.exec(/bin/sh)"];
    for name in ["/bin/sh".to_owned(), "/usr/bin/sh".to_owned(), real.display().to_string()] {
        if !std::path::Path::new(&name).exists() {
            continue;
        }
        let ended = Starcell::run_in(&folder, &deny, &format!("os.exec([{name:?}, \"-c\", \"true\"])"));
        is_denied_by(&ended, "os.exec(/bin/sh)", &name);
    }
}

#[test]
fn an_explanation_says_what_a_run_does() {
    let folder = linked();
    let rule = format!("fs.read({})", folder.join("alias/**").display());
    for name in ["real/secret", "first/secret", "alias/secret"] {
        let question = format!("fs.read_text({})", folder.join(name).display());
        let told = ask(&folder, &["permissions", "explain", "--allow-all", "--deny", &rule, &question]);
        assert!(told.stdout.contains(&format!("denied by the rule {rule}")), "{name}: {}", told.output);
    }
    let behind = format!("fs.read({})", folder.join("real/**").display());
    let question = format!("fs.read_text({})", folder.join("first/secret").display());
    let told = ask(&folder, &["permissions", "explain", "--allow-all", "--deny", &behind, &question]);
    assert!(told.stdout.contains(&format!("denied by the rule {behind}")), "{}", told.output);
}
