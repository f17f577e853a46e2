//! A thousand apps in one process share one compiled interpreter: each answers for itself, and adds little memory.

#![allow(clippy::print_stdout, reason = "the figures are what a reader of the test is after")]

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Arc;

use starcell_runtime::{Interpreter, Limits};
use starcell_tests::edge::{Deployed, interpreter, request};

const APPS: usize = 1000;

/// Apps that are up before anything is measured: what the first ones add is the process's, not theirs.
const WARM: usize = 20;

/// What one more app may add to the memory that is resident in the process, in bytes. It is counted as Pss: Rss counts
/// a page of the image that all apps start from once for each of them.
const MOST_RESIDENT: usize = 1 << 20;

/// What it may add in all, with the pages of its own image that no fork has touched.
const MOST: usize = 3 << 20;

#[test]
fn a_thousand_apps_share_one_interpreter() {
    let test = std::env::current_exe().unwrap();
    let mut command = Command::new(test);
    command.args(["--exact", "many::in_a_process_of_its_own", "--ignored", "--nocapture", "--test-threads=1"]);
    let output = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
    for line in out.lines().filter(|line| line.contains("each app")) {
        println!("{line}");
    }
}

/// Memory is measured of a whole process, so this one runs nothing else.
#[test]
#[ignore = "a_thousand_apps_share_one_interpreter runs it"]
fn in_a_process_of_its_own() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let interpreter = interpreter();
    let mut apps = deploy(&interpreter, 0..WARM).await;
    ask(&apps).await;
    let before = Memory::now();
    apps.extend(deploy(&interpreter, WARM..WARM + APPS).await);
    ask(&apps).await;
    let after = Memory::now();

    let image = apps[0].serving.image_bytes();
    println!("each app: serving image of {} KiB", image >> 10);
    let mut added = BTreeMap::new();
    for (kind, bytes) in &after.kinds {
        let bytes = bytes.saturating_sub(before.kinds.get(kind).copied().unwrap_or_default()) / APPS;
        println!("each app adds: {:6.1} KiB {kind}", bytes as f64 / 1024.0);
        added.insert(kind.as_str(), bytes);
    }
    for (kind, most) in [("Pss", MOST_RESIDENT), ("Anonymous and memory files", MOST)] {
        let bytes = added[kind];
        assert!((1..=most).contains(&bytes), "each app adds {} KiB {kind}", bytes >> 10);
    }
    for app in apps {
        app.stop().await.unwrap();
    }
}

async fn deploy(interpreter: &Arc<Interpreter>, numbers: std::ops::Range<usize>) -> Vec<Deployed> {
    let mut apps = Vec::new();
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(4) {
        let starts: Vec<_> = some.iter().map(|number| tokio::spawn(start(Arc::clone(interpreter), *number))).collect();
        for started in starts {
            apps.push(started.await.unwrap());
        }
    }
    apps
}

async fn start(interpreter: Arc<Interpreter>, number: usize) -> Deployed {
    let source = format!(
        "def hello(req):\n    name = req.query.get(\"name\", \"World\")\n    \
         return {{\"status\": 200, \"body\": \"Hello, \" + name + \" from {number}\"}}\n\
         srv = http.server()\nsrv.handle(\"GET /hello\", hello)\nsrv.serve(port=8080)\n"
    );
    Deployed::start(&interpreter, &source, Limits::default()).await.unwrap()
}

async fn ask(apps: &[Deployed]) {
    for (number, app) in apps.iter().enumerate() {
        let response = app.serving.answer(0, request("/hello?name=Bob")).await.result.unwrap();
        assert_eq!(String::from_utf8(response.body).unwrap(), format!("Hello, Bob from {number}"));
    }
}

/// What this process holds, in bytes, by kind.
struct Memory {
    kinds: BTreeMap<String, usize>,
}

impl Memory {
    fn now() -> Self {
        let mut kinds = BTreeMap::new();
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        for name in ["Rss", "Pss", "Anonymous"] {
            kinds.insert(name.to_owned(), field(&rollup, name));
        }
        // The pages of a memory file that no mapping has touched are in no process's Rss, but they are held.
        kinds.insert("memory files, touched or not".to_owned(), memory_files());
        kinds.insert("Anonymous and memory files".to_owned(), field(&rollup, "Anonymous") + memory_files());
        let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut mapping = String::new();
        for line in smaps.lines() {
            match line.split_once(':') {
                Some(("Rss", size)) => *kinds.entry(format!("Rss of {mapping}")).or_default() += kib(size),
                Some((name, _)) if !name.contains(' ') => {}
                _ => mapping = sort(line),
            }
        }
        Self { kinds }
    }
}

/// The kind of a mapping, from its line in `smaps`.
fn sort(line: &str) -> String {
    let kind = match line.split_whitespace().nth(5) {
        None => "anonymous mappings",
        Some("[heap]") => "the heap",
        Some(path) if path.starts_with("/memfd:") => "memory files",
        Some(path) if path.starts_with('[') => "the kernel's mappings",
        Some(_) => "other files",
    };
    kind.to_owned()
}

fn field(rollup: &str, name: &str) -> usize {
    let size = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    kib(size.unwrap_or_else(|| panic!("no {name} in {rollup}")))
}

fn kib(size: &str) -> usize {
    size.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// What the memory files that this process has open take up.
fn memory_files() -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let files = fs::read_dir("/proc/self/fd").unwrap().filter_map(|file| Some(file.ok()?.path()));
    let memory =
        files.filter(|file| fs::read_link(file).is_ok_and(|path| path.to_string_lossy().starts_with("/memfd:")));
    // A file that is open twice is held once.
    let sizes: BTreeMap<u64, u64> =
        memory.filter_map(|file| fs::metadata(file).ok()).map(|file| (file.ino(), file.blocks() * 512)).collect();
    usize::try_from(sizes.values().sum::<u64>()).unwrap()
}
