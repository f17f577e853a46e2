//! Files: what each function does, and that no path, link, special file or race leads out of what was granted.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use starcell_tests::log::denied;
use starcell_tests::process::{Ended, RaiseAtEnd, Starcell, folder};

const EACH: &str = r#"
fs.write_text("a.txt", "one\n")
fs.append_text("a.txt", "two ü\n")
print(fs.read_text("a.txt").splitlines())
fs.write_bytes("b.bin", b"\x00\xff")
print(len(fs.read_bytes("b.bin")), fs.read_bytes("./b.bin") == b"\x00\xff")
fs.append_text("new.txt", "made")
print(fs.exists("new.txt"), fs.exists("none"), fs.exists("none/deeper"), fs.exists("a.txt/x"))
info = fs.stat("a.txt")
print(info.is_file, info.is_dir, info.size, info.modified > 1700000000, info.modified_nano > info.modified)
fs.mkdir("d")
fs.mkdir("d/e/f", parents=True)
fs.mkdir("d/e/f", parents=True)
fs.copy("a.txt", "d/e/copy.txt")
fs.rename("new.txt", "d/renamed.txt")
fs.write_text("d/.hidden", "")
print(fs.listdir("d"), fs.listdir())
print(fs.glob("d/**/*.txt"), fs.glob("*.[bt]*"), fs.glob("none/*"), fs.glob("d/*"), fs.glob("a.txt"))
print([path.startswith("/") for path in fs.glob(ROOT + "/d/*")])
fs.remove("b.bin")
print(fs.try_remove("d").error)
fs.remove("d", recursive=True)
print(fs.listdir())
"#;

#[test]
fn each_function_does_what_it_says() {
    let folder = folder();
    let source = format!("ROOT = {:?}\n{EACH}", folder.display().to_string());
    let ended = Starcell::run_in(&folder, &["--allow-fs"], &source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let expected = [
        r#"["one", "two ü"]"#,
        "2 True",
        "True False False False",
        "True False 11 True True",
        r#"[".hidden", "e", "renamed.txt"] ["a.txt", "b.bin", "d"]"#,
        r#"["d/e/copy.txt", "d/renamed.txt"] ["a.txt", "b.bin"] [] ["d/e", "d/renamed.txt"] ["a.txt"]"#,
        "[True, True]",
        r#"fs.remove("d"): directory not empty"#,
        r#"["a.txt"]"#,
    ];
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected, "{}", ended.output);
    assert_eq!(fs::read(folder.join("a.txt")).unwrap(), "one\ntwo ü\n".as_bytes());
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left over");
}

#[test]
fn wrong_arguments_name_the_argument() {
    for (call, error) in [
        ("fs.read_text()", "fs.read_text: missing argument path"),
        ("fs.read_text(1)", "fs.read_text: path must be a non-empty string or a path, got 1 (int)"),
        ("fs.read_text(\"a\", mode=1)", "fs.read_text: unknown argument mode, accepted: path"),
        ("fs.write_text(\"a\", b\"x\")", "fs.write_text: text must be str, got b\"x\" (bytes)"),
        ("fs.write_bytes(\"a\", \"x\")", "fs.write_bytes: data must be bytes, got \"x\" (string)"),
        ("fs.remove(\"a\", True)", "fs.remove: unexpected positional argument True (bool), accepted: path, recursive"),
        ("fs.mkdir(\"a\", parents=1)", "fs.mkdir: parents must be bool, got 1 (int)"),
        ("fs.copy(\"a\")", "fs.copy: missing argument target"),
    ] {
        let ended = Starcell::run_in(&folder(), &["--allow-fs"], &format!("{call}\n"));
        assert_eq!(ended.code(), 1, "{call}: {}", ended.output);
        assert!(ended.stderr.contains(&format!("error: {error}\n")), "{call}: {}", ended.stderr);
    }
}

const CALLS: [&str; 13] = [
    "read_text(P)",
    "read_bytes(P)",
    "write_text(P, \"x\")",
    "write_bytes(P, b\"x\")",
    "append_text(P, \"x\")",
    "exists(P)",
    "stat(P)",
    "listdir(P)",
    "glob(P)",
    "mkdir(P)",
    "remove(P)",
    "rename(P, P + \"2\")",
    "copy(P, P + \"2\")",
];

#[test]
fn deny_all_denies_each_function_with_its_place() {
    let folder = folder();
    fs::write(folder.join("p"), "content").unwrap();
    let path = folder.join("p").display().to_string();
    for call in CALLS {
        let ended = Starcell::run_in(&folder, &[], &format!("P = \"p\"\n\nfs.{call}\n"));
        assert_eq!(ended.code(), 5, "{call}: {}", ended.output);
        let category = match call.split('(').next().unwrap() {
            "remove" => "delete",
            "write_text" | "write_bytes" | "append_text" | "mkdir" => "write",
            _ => "read",
        };
        let denial = format!(
            "error: permission denied: fs.{category}({path:?}): not granted by deny-all; granted from allow-fs, \
             or by the rule fs.{category}({path})\n"
        );
        assert!(ended.stderr.contains(&denial), "{call}: {}", ended.stderr);
        assert!(ended.stderr.contains(".star:3:1\n"), "{call}: {}", ended.stderr);
        let caught = Starcell::run_in(&folder, &[], &format!("P = \"p\"\nprint(fs.try_{call}.error)\n"));
        assert_eq!(caught.code(), 0, "{call}: {}", caught.output);
        assert!(caught.stdout.starts_with("permission denied: fs."), "{call}: {}", caught.stdout);
    }
    assert_eq!(fs::read_to_string(folder.join("p")).unwrap(), "content");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

/// A folder that is granted, with a neighbour that is not.
struct Pair {
    inside: std::path::PathBuf,
    outside: std::path::PathBuf,
}

impl Pair {
    fn new() -> Self {
        let both = folder();
        let pair = Self { inside: both.join("in"), outside: both.join("out") };
        fs::create_dir_all(pair.inside.join("sub")).unwrap();
        fs::create_dir(&pair.outside).unwrap();
        fs::write(pair.outside.join("secret.txt"), "secret").unwrap();
        fs::write(pair.inside.join("open.txt"), "open").unwrap();
        pair
    }

    /// Runs with every file capability beneath the granted folder and nowhere else.
    fn run(&self, source: &str) -> Ended {
        let rules = ["--allow", "fs.*($CWD/**)", "--allow", "fs.*($CWD)", "--audit", "../audit.jsonl"];
        // A log for each run.
        let _ = fs::remove_file(self.log());
        Starcell::run_in(&self.inside, &rules, source)
    }

    /// What the last run was asked for, beside both folders.
    fn log(&self) -> std::path::PathBuf {
        self.inside.with_file_name("audit.jsonl")
    }

    /// The outside is as it was.
    fn check(&self) {
        let names: Vec<_> = fs::read_dir(&self.outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["secret.txt"]);
        assert_eq!(fs::read_to_string(self.outside.join("secret.txt")).unwrap(), "secret");
    }
}

/// Every function on every path that leads out: an error for each, and no effect.
#[test]
fn no_path_leads_out() {
    let pair = Pair::new();
    let outside = pair.outside.display().to_string();
    symlink(&pair.outside, pair.inside.join("folder-link")).unwrap();
    symlink(pair.outside.join("secret.txt"), pair.inside.join("link")).unwrap();
    symlink("../out/secret.txt", pair.inside.join("relative-link")).unwrap();
    symlink("link", pair.inside.join("link-to-link")).unwrap();
    symlink(pair.outside.join("new.txt"), pair.inside.join("dangling")).unwrap();
    symlink("/proc/self/root", pair.inside.join("root")).unwrap();
    symlink("loop2", pair.inside.join("loop1")).unwrap();
    symlink("loop1", pair.inside.join("loop2")).unwrap();
    let absolute = format!("{outside}/secret.txt");
    let through_root = format!("/proc/self/root{outside}/secret.txt");
    let root_link = format!("root{outside}/secret.txt");
    let paths = [
        (absolute.as_str(), "permission denied"),
        ("../out/secret.txt", "permission denied"),
        ("sub/../../out/secret.txt", "permission denied"),
        ("./../out//secret.txt", "permission denied"),
        ("folder-link/secret.txt", "permission denied"),
        ("../../../../../../../../../../../etc/passwd", "climbs above the root"),
        ("..\\\\out\\\\secret.txt", "holds a backslash"),
        ("%2e%2e/out/secret.txt", "percent-encoded"),
        ("..%2fout%2fsecret.txt", "percent-encoded"),
        ("%252e%252e/out", "percent-encoded"),
        ("open.txt\\0", "NUL"),
        (through_root.as_str(), "permission denied"),
        (root_link.as_str(), "permission denied"),
        ("loop1/x", "more than 40 links"),
    ];
    for (path, error) in paths {
        let mut source = format!("P = \"{path}\"\n");
        for call in CALLS {
            source += &format!("print(\"{}\", fs.try_{call}.error)\n", call.split('(').next().unwrap());
        }
        let ended = pair.run(&source);
        assert_eq!(ended.code(), 0, "{path}: {}", ended.output);
        let lines: Vec<&str> = ended.stdout.lines().collect();
        assert_eq!(lines.len(), CALLS.len(), "{path}: {}", ended.output);
        for line in &lines {
            assert!(line.contains(error), "{path}: {line}");
        }
        let refused = denied(&pair.log());
        for (at, call) in CALLS.iter().enumerate() {
            // The first line of the script names the path. Links in a circle are granted, and lead nowhere.
            let count = refused.iter().filter(|record| record["line"] == at + 2).count();
            assert_eq!(count, usize::from(!error.contains("links")), "{path}: {call} in the log: {refused:?}");
        }
        pair.check();
    }
    for link in ["link", "relative-link", "link-to-link", "dangling"] {
        let source = format!(
            "for call in [fs.try_read_text, fs.try_read_bytes, fs.try_stat, fs.try_exists, fs.try_listdir]:\n    \
             print(call(\"{link}\").error)\n\
             print(fs.try_write_text(\"{link}\", \"x\").error)\nprint(fs.try_append_text(\"{link}\", \"x\").error)\n\
             print(fs.try_write_bytes(\"{link}\", b\"x\").error)\nprint(fs.try_copy(\"{link}\", \"sub/copied\").error)\n\
             print(fs.try_copy(\"open.txt\", \"{link}\").error)\n"
        );
        let ended = pair.run(&source);
        assert_eq!(ended.stdout.lines().count(), 10, "{}", ended.output);
        for line in ended.stdout.lines() {
            assert!(line.starts_with("permission denied: fs.") && line.contains("/out/"), "{link}: {line}");
        }
        let refused = denied(&pair.log());
        let outside = |call: &serde_json::Value| call["resource"].as_str().unwrap().contains("/out/");
        assert!(refused.len() == 10 && refused.iter().all(outside), "{link}: {refused:?}");
        pair.check();
    }
    assert!(!pair.inside.join("sub/copied").exists());
}

/// A link is renamed and removed as what it is, and inside of what is granted it is followed.
#[test]
fn links_within_the_grant_work() {
    let pair = Pair::new();
    symlink("sub", pair.inside.join("door")).unwrap();
    symlink(pair.inside.join("open.txt"), pair.inside.join("name")).unwrap();
    symlink(pair.outside.join("secret.txt"), pair.inside.join("out")).unwrap();
    let source = "fs.write_text(\"door/x.txt\", \"1\")\nprint(fs.read_text(\"sub/x.txt\"), fs.read_text(\"name\"))\n\
                  fs.write_text(\"name\", \"changed\")\nprint(fs.glob(\"door/*\"), fs.stat(\"name\").size)\n\
                  fs.remove(\"name\")\nfs.rename(\"out\", \"out2\")\nfs.remove(\"out2\")\nprint(fs.listdir())\n";
    let ended = pair.run(source);
    assert_eq!(ended.stdout, "1 open\n[\"door/x.txt\"] 7\n[\"door\", \"open.txt\", \"sub\"]\n", "{}", ended.output);
    assert_eq!(fs::read_to_string(pair.inside.join("open.txt")).unwrap(), "changed");
    pair.check();
}

#[test]
fn what_is_no_file_is_refused_and_nothing_hangs() {
    let folder = folder();
    let made = Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap();
    assert!(made.success());
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    symlink("/dev/zero", folder.join("zero")).unwrap();
    for path in
        ["pipe", "socket", "zero", "/dev/null", "/proc/self/environ", "/proc/version", "/sys/kernel/uevent_seqnum"]
    {
        let source = format!(
            "print(fs.try_read_text(\"{path}\").error)\nprint(fs.try_read_bytes(\"{path}\").error)\n\
             print(fs.try_write_text(\"{path}\", \"x\").error)\nprint(fs.try_append_text(\"{path}\", \"x\").error)\n"
        );
        let ended = Starcell::run_in(&folder, &["--allow-all"], &source);
        assert_eq!(ended.stdout.lines().count(), 4, "{}", ended.output);
        for line in ended.stdout.lines() {
            let refused = match path {
                "pipe" | "socket" => "not a regular file or folder",
                _ => "the file is the host's",
            };
            assert!(line.contains(refused), "{path}: {line}");
        }
    }
    let source = "print(fs.stat(\"pipe\").is_file, fs.exists(\"socket\"))\nprint(fs.try_read_text(\".\").error)\n\
                  print(fs.try_listdir(\"/proc\").error)\n";
    let ended = Starcell::run_in(&folder, &["--allow-all"], source);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[..2], ["False True", "fs.read_text(\".\"): is a directory"], "{}", ended.output);
    assert!(lines[2].contains("the file is the host's"), "{}", ended.output);
}

#[test]
fn sizes_and_counts_are_bounded() {
    let folder = folder();
    let sparse = fs::File::create(folder.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    fs::write(folder.join("latin1"), b"caf\xe9").unwrap();
    let mut deep = folder.clone();
    for _ in 0..70 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).unwrap();
    let source = "print(fs.try_read_bytes(\"sparse\").error)\nprint(fs.try_append_text(\"sparse\", \"x\").error)\n\
                  print(fs.try_write_text(\"big\", \"x\" * (17 << 20)).error)\nprint(fs.try_copy(\"sparse\", \"c\").error)\n\
                  print(fs.try_read_text(\"latin1\").error)\nprint(fs.try_glob(\"**/x\").error)\n\
                  print(fs.try_remove(\"d\", recursive=True).error)\nprint(fs.try_exists(\"x\" * 256).error)\n";
    let ended = Starcell::run_in(&folder, &["--allow-fs"], source);
    let long = "x".repeat(256);
    let expected = [
        "fs.read_bytes(\"sparse\"): larger than 16 MiB",
        "fs.append_text(\"sparse\"): it would grow over 1024 MiB",
        "fs.write_text(\"big\"): larger than 16 MiB",
        "fs.copy(\"sparse\"): larger than 16 MiB",
        "fs.read_text(\"latin1\"): not UTF-8 text: wrong byte at offset 3; read it with read_bytes",
        "fs.glob(\"**/x\"): folders nested more than 64 deep",
        "fs.remove(\"d\"): folders nested more than 64 deep",
        &format!("fs.exists(\"{}…\"): the path or a name in it is too long", &long[..200]),
    ];
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected, "{}", ended.output);
    assert!(!folder.join("big").exists() && !folder.join("c").exists());
}

/// A deny rule holds for the file, not for one of its names, and a folder cannot be moved out from under one.
#[test]
fn deny_rules_hold_behind_links_and_renames() {
    let folder = folder();
    fs::create_dir_all(folder.join("data/private")).unwrap();
    fs::write(folder.join("data/private/key"), "secret").unwrap();
    fs::write(folder.join("data/public"), "open").unwrap();
    symlink("data/private", folder.join("way")).unwrap();
    let deny = ["--allow-fs", "--deny", "fs.read($CWD/data/private/**)"];
    let source = "for path in [\"data/private/key\", \"way/key\", \"data/../way/./key\"]:\n    print(fs.try_read_text(path).error)\n\
                  print(fs.try_rename(\"data/private/key\", \"key\").error)\nprint(fs.try_rename(\"data\", \"moved\").error)\n\
                  print(fs.try_rename(\"data/private\", \"moved\").error)\nprint(fs.try_copy(\"way/key\", \"key\").error)\n\
                  print(fs.glob(\"**/*\"), fs.try_glob(\"way/*\").ok, fs.read_text(\"data/public\"))\n";
    let ended = Starcell::run_in(&folder, &deny, source);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{}", ended.output);
    for line in &lines[..7] {
        assert!(line.contains("denied by the rule fs.read($CWD/data/private/**)"), "{line}");
    }
    assert_eq!(lines[7], r#"["data", "data/public", "way"] False open"#);
    let ended = Starcell::run_in(
        &folder,
        &["--allow-fs", "--deny", "fs.delete($CWD/data/private/**)"],
        "fs.remove(\"data\", recursive=True)\n",
    );
    assert_eq!(ended.code(), 5, "{}", ended.output);
    assert!(folder.join("data/private/key").exists());
}

/// Whoever may write files and run programs beneath one folder must not run what it wrote.
#[test]
fn what_a_script_wrote_is_not_executable() {
    let folder = folder();
    for name in ["replaced", "grown", "copied"] {
        fs::write(folder.join(name), "#!/bin/sh\n").unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o4755)).unwrap();
    }
    let source = "fs.write_text(\"replaced\", \"x\")\nfs.append_text(\"grown\", \"x\")\nfs.copy(\"copied\", \"copy\")\nfs.write_text(\"new\", \"x\")\n";
    let ended = Starcell::run_in(&folder, &["--allow-fs"], source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    for name in ["replaced", "grown", "copy", "new"] {
        let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7111, 0, "{name} has {mode:o}");
    }
}

/// Parents are made with a permit each.
#[test]
fn a_rule_for_one_folder_makes_no_other() {
    let folder = folder();
    let rules = ["--allow", "fs.write($CWD/a/b)"];
    let ended = Starcell::run_in(&folder, &rules, "fs.mkdir(\"a/b\", parents=True)\n");
    assert_eq!(ended.code(), 5, "{}", ended.output);
    assert!(ended.stderr.contains("/a\"): not granted by deny-all"), "{}", ended.stderr);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

/// Others swap a folder for a link to the outside as fast as they can, over a hundred thousand calls; a script that goes through it sees the inside or
/// an error, and writes nowhere else.
#[test]
fn a_swapped_link_never_leads_out() {
    let pair = Pair::new();
    let (door, folder, link) = (pair.inside.join("door"), pair.inside.join("f"), pair.inside.join("l"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("secret.txt"), "inside").unwrap();
    symlink(&pair.outside, &link).unwrap();
    let over = AtomicBool::new(false);
    let source = "got = {}\nfor i in range(6000):\n    \
                  read = fs.try_read_text(\"door/secret.txt\")\n    wrote = fs.try_append_text(\"door/new.txt\", \"x\")\n    \
                  text = read.value if read.ok else read.error.split(\"(\")[0]\n    \
                  got[text] = got.get(text, 0) + 1\nprint(json.encode(got))\n";
    // As many records as an app may write at once, so that none waits for its share of the log.
    for _ in 0..9 {
        over.store(false, Ordering::Relaxed);
        let ended = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    swap(&folder, &door);
                    swap(&link, &door);
                }
            });
            let _raised = RaiseAtEnd(&over);
            pair.run(source)
        });
        assert_eq!(ended.code(), 0, "{}", ended.output);
        let got: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert!(got["secret"].is_null(), "{got}");
        let refused = got["permission denied: fs.read"].as_u64().unwrap();
        assert!(got["inside"].as_u64().unwrap() > 0 && refused > 0, "{got}");
        // Whatever was refused on the way out is in the log, each with the path behind the link.
        let recorded = denied(&pair.log());
        assert!(recorded.len() as u64 >= refused, "{} of {refused}", recorded.len());
        assert!(recorded.iter().all(|call| call["resource"].as_str().unwrap().contains("/out/")));
        pair.check();
    }
}

/// Puts a name in place of the door for a moment.
fn swap(from: &Path, door: &Path) {
    fs::rename(from, door).unwrap();
    fs::rename(door, from).unwrap();
}

/// Whoever reads a file while it is written sees one content or the other.
#[test]
fn a_write_replaces_at_once() {
    let folder = folder();
    let file = folder.join("page");
    fs::write(&file, "a".repeat(100_000)).unwrap();
    let source = "for i in range(400):\n    fs.write_text(\"page\", (\"b\" if i % 2 else \"a\") * 100000)\n";
    let writer = Starcell::spawn_in(&folder, &["--allow-fs"], source);
    for _ in 0..2000 {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.chars().next().unwrap();
        assert!(text.len() == 100_000 && text.chars().all(|c| c == first));
    }
    assert_eq!(writer.wait().code(), 0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left over");
}
