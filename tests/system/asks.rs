//! What each function of wit/ asks the policy for, as the log has it: exactly what the golden matrix of the policy says it
//! asks for, so that its rows are about what scripts really do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use starcell_tests::log::lines;
use starcell_tests::process::{Starcell, folder};
use starcell_tests::tls::Identity;
use starcell_tests::upstream::Upstream;

use crate::imports;

/// A line of a script for each function, one or more. `URL` and `TLS` stand for a server and for options.
const LINES: [(&str, &str); 41] = [
    ("client.send", "http.try_get(URL)"),
    ("client.send", "http.try_head(URL)"),
    ("client.send", "http.try_post(URL, \"x\")"),
    ("client.send", "http.try_put(URL, \"x\")"),
    ("client.send", "http.try_patch(URL, \"x\")"),
    ("client.send", "http.try_delete(URL)"),
    ("client.send", "http.try_options(URL)"),
    (
        "client.send-all",
        "http.batch([{\"method\": m, \"url\": URL} for m in [\"GET\", \"HEAD\", \"POST\", \"PUT\", \"PATCH\", \"DELETE\", \"OPTIONS\"]])",
    ),
    ("fs.read-text", "fs.try_read_text(\"a\")"),
    ("fs.read-bytes", "fs.try_read_bytes(\"a\")"),
    ("fs.write-text", "fs.try_write_text(\"t\", \"x\")"),
    ("fs.write-bytes", "fs.try_write_bytes(\"t\", b\"x\")"),
    ("fs.append-text", "fs.try_append_text(\"t\", \"x\")"),
    ("fs.exists", "fs.try_exists(\"a\")"),
    ("fs.stat", "fs.try_stat(\"a\")"),
    ("fs.listdir", "fs.try_listdir(\".\")"),
    ("fs.glob", "fs.try_glob(\"*\")"),
    ("fs.mkdir", "fs.try_mkdir(\"d\")"),
    ("fs.copy", "fs.try_copy(\"a\", \"b\")"),
    ("fs.rename", "fs.try_rename(\"b\", \"c\")"),
    ("fs.resolve", "fs.path(\"a\").try_resolve()"),
    ("fs.remove", "fs.try_remove(\"c\")"),
    ("kv.get", "kv.try_get(\"k\")"),
    ("kv.exists", "kv.try_exists(\"k\")"),
    ("kv.set", "kv.try_set(\"k\", 1)"),
    ("kv.increment", "kv.try_incr(\"k\")"),
    ("kv.compare-and-set", "kv.try_compare_and_set(\"k\", 2, 3)"),
    ("kv.list", "kv.try_list(\"k\")"),
    ("kv.delete", "kv.try_delete(\"k\")"),
    ("os.env", "os.try_env(\"HOME\")"),
    ("os.hostname", "os.try_hostname()"),
    ("os.exec", "os.try_exec([\"./tool\"], cwd=\".\")"),
    ("os.which", "os.try_which(\"./tool\")"),
    ("server.listen", "srv.try_start(port=0, TLS)"),
    ("server.shutdown", "srv.try_shutdown()"),
    ("sql.exec", "sql.open(\"sqlite:d.db\").try_exec(\"create table t (v)\")"),
    ("sql.query", "sql.open(\"sqlite:d.db\").try_query(\"select v from t\")"),
    ("sql.begin", "[sql.open(\"sqlite:d.db\").try_tx(lambda tx: 1, read_only=reads) for reads in [True, False]]"),
    ("timer.sleep", "time.sleep(\"1ms\")"),
    ("wall-clock.now", "time.now()"),
    ("random.get-random-bytes", "random.token()"),
];

/// Interfaces whose functions need more than a line, and are held to the matrix where they are tested.
const ELSEWHERE: [&str; 1] = ["k8s"];

type Asks = BTreeSet<String>;

#[test]
fn each_function_asks_for_what_the_matrix_says() {
    let folder = folder();
    fs::write(folder.join("a"), "text").unwrap();
    fs::write(folder.join("tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("tool"), fs::Permissions::from_mode(0o755)).unwrap();
    let upstream = Upstream::saying(200, "text/plain", "ok");
    let url = format!("\"http://127.0.0.1:{}/\"", upstream.port);
    let options = Identity::make().options();
    let line = |(_, line): &(&str, &str)| line.replace("URL", &url).replace("TLS", &options) + "\n";
    let source: String = LINES.iter().map(line).collect();
    let source = format!("srv = http.server()\nsrv.handle(\"/\", lambda req: None)\n{source}");
    let ended = Starcell::run_in(&folder, &["--allow-all", "--audit", "audit.jsonl"], &source);
    assert_eq!(ended.code(), 0, "{}", ended.output);

    let mut recorded: BTreeMap<&str, Asks> = BTreeMap::new();
    let calls = lines(&folder.join("audit.jsonl"), "call");
    for (at, (function, _)) in LINES.iter().enumerate() {
        let of_line = calls.iter().filter(|call| call["line"] == at + 3);
        let asked = of_line.map(|call| {
            let (category, name) = (call["category"].as_str().unwrap(), call["capability"].as_str().unwrap());
            format!("{category} {}", name.rsplit('.').next().unwrap())
        });
        recorded.entry(function).or_default().extend(asked);
    }
    let matrix = include_str!("../../host/policy/tests/matrix.txt");
    for function in functions().iter().filter(|name| !ELSEWHERE.contains(&name.split('.').next().unwrap())) {
        let said = said(matrix, function);
        match recorded.get(function.as_str()) {
            Some(asked) => assert_eq!(*asked, said, "{function}"),
            None => assert!(said.is_empty(), "{function} has no line in this test"),
        }
    }
}

/// What the matrix says of a function: listed, for nothing, or by its own name.
fn said(matrix: &str, function: &str) -> Asks {
    if matrix.contains(&format!("\nfree {function}:")) {
        return Asks::new();
    }
    let listed = matrix.lines().find_map(|line| line.strip_prefix(&format!("wit {function}:")));
    if let Some(listed) = listed {
        let one = |text: &str| {
            let (capability, functions) = text.trim().split_once(' ').unwrap();
            functions.split_whitespace().map(|name| format!("{capability} {}", name.to_lowercase())).collect::<Vec<_>>()
        };
        return listed.split(',').flat_map(one).collect();
    }
    let (interface, name) = function.split_once('.').unwrap();
    let name = name.replace('-', "_");
    let blocks = matrix.lines().filter(|line| line.starts_with(&format!("{interface}.")));
    let block = blocks.filter_map(|line| line.split_once(':')).find(|(_, f)| f.split_whitespace().any(|f| f == name));
    block.map(|(capability, _)| format!("{capability} {name}")).into_iter().collect()
}

/// `interface.function` for all that a guest can import.
fn functions() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, file) in imports::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")) {
        let mut interface = String::new();
        for line in fs::read_to_string(file).unwrap().lines() {
            if let Some(name) = line.strip_prefix("interface ").and_then(|rest| rest.strip_suffix(" {")) {
                interface = name.to_owned();
            }
            if let Some((name, _)) = line.trim().split_once(": func(").filter(|_| interface != "interpreter") {
                found.insert(format!("{interface}.{}", name.trim_start_matches('%')));
            }
        }
    }
    found
}
