//! Scripts that use databases against their host: files of the host, files that SQLite keeps, statements without end, and
//! servers of their own that send what no server should.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::process::Command;
use std::thread;

use starcell_tests::client::get;
use starcell_tests::process::{Starcell, binary, folder};

#[test]
fn the_files_of_the_host_are_no_databases() {
    let program = folder();
    let source = "for url in [\"sqlite:audit.jsonl\", \"sqlite:state/kv.redb\", \"sqlite:/proc/self/mem\", \"sqlite:link.db\"]:\n    \
        print(sql.open(url).try_exec(\"create table t (v)\").error)\n";
    symlink("audit.jsonl", program.join("link.db")).unwrap();
    symlink("audit.jsonl", program.join("shop.db-wal")).unwrap();
    let flags = ["--allow-all", "--audit", "audit.jsonl", "--state", "state"];
    let beside = "print(sql.open(\"sqlite:shop.db\").try_exec(\"create table t (v)\").error)\n";
    let ended = Starcell::run_in(&program, &flags, &format!("{source}{beside}"));
    let lines: Vec<&str> = ended.stdout.lines().collect();
    for line in &lines[..4] {
        assert!(line.contains("the host's") || line.contains("no regular file"), "{line}");
    }
    assert!(lines[4].contains("the host's") || lines[4].contains("no regular file"), "{}", lines[4]);
    assert!(!program.join("audit.jsonl-wal").exists());
}

const HOSTILE: &str = r#"
db = sql.open("sqlite:shop.db")
db.exec("create table t (v)")
endless = "with recursive n(i) as (select 1 union all select i + 1 from n) "
for text in [
    "attach database 'other.db' as other", "vacuum into 'copy.db'", "pragma journal_mode = off", "pragma temp_store_directory = '/tmp'",
    "select load_extension('/tmp/x.so')", "select readfile('/etc/passwd')", "create virtual table x using csv(filename='/etc/passwd')",
    "select 1; drop table t", "begin", "pragma mmap_size = 1000000000", "select zeroblob(2000000000)",
    endless + "select i from n", endless + "select randomblob(1000000) from n order by 1",
]:
    for done in [db.try_query(text), db.try_exec(text)]:
        if done.ok:
            print("taken:", text)
print(db.query("select count(*) as n from t"))
db.try_query(endless + "select count(*) from n")
print("not reached")
"#;

#[test]
fn statements_are_bounded_and_end_with_their_request() {
    let program = folder();
    let ended = Starcell::run_in(&program, &["--allow-fs", "--setup-cpu", "5s"], HOSTILE);
    assert_eq!(ended.stdout, "[{\"n\": 0}]\n", "{}", ended.output);
    assert_eq!(ended.code(), 6, "{}", ended.output);
    let mut files: Vec<_> = fs::read_dir(&program).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    files.retain(|name| !name.to_string_lossy().ends_with(".star"));
    files.sort();
    assert!(files.iter().all(|name| name.to_string_lossy().starts_with("shop.db")), "{files:?}");
}

/// A script that changes what SQLite keeps while the host uses it. A mapped file that is cut short ends a process.
const TAMPERING: &str = r#"
db = sql.open("sqlite:shop.db")
db.exec("create table t (v)")
def fill(req):
    def rows(tx):
        for i in range(200):
            tx.exec("insert into t values (?)", "x" * 1000)
    db.tx(rows)
def tamper(req):
    def inside(tx):
        tx.exec("insert into t values (1)")
        for name in ["shop.db-shm", "shop.db-wal", "shop.db"]:
            fs.write_bytes(name, b"")
            fs.append_text(name, "x")
            os.try_exec(["/bin/sh", "-c", ": > " + name])
        return tx.try_query("select count(*) from t").ok
    return str(db.try_tx(inside).ok)
def count(req):
    r = db.try_query_value("select count(*) from t")
    return str(r.value) if r.ok else r.error
srv = http.server()
srv.handle("GET /fill", fill)
srv.handle("GET /tamper", tamper)
srv.handle("GET /count", count)
srv.serve()
"#;

#[test]
fn tampering_with_the_files_of_a_database_harms_nobody_else() {
    let program = folder();
    fs::write(program.join("main.star"), TAMPERING).unwrap();
    let mut command = Command::new(binary());
    command.args(["run", "--allow-all", "--exec-walls", "best-effort", "--port", "0", "main.star"]);
    command.current_dir(&program);
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    assert_eq!(get(server.port(), "/fill").status, 204);
    assert_eq!(get(server.port(), "/count").body, b"200");
    for _ in 0..3 {
        assert_eq!(get(server.port(), "/tamper").status, 200);
        assert_eq!(get(server.port(), "/count").status, 200);
        let _ = get(server.port(), "/fill");
    }
    assert_eq!(server.stop().code(), 0);
}

/// A server that answers whoever connects with these bytes, after what a client sends first.
fn saying(bytes: Vec<u8>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            // Again and again: the client goes as soon as it has seen enough.
            while stream.write_all(&bytes).is_ok() {}
        }
    });
    port
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &u32::try_from(body.len() + 4).unwrap().to_be_bytes(), body].concat()
}

#[test]
fn a_server_of_an_attacker_takes_nothing_of_the_host() {
    let welcome = [message(b'R', &[0; 4]), message(b'Z', b"I")].concat();
    let huge = [&welcome[..], b"D", &i32::MAX.to_be_bytes(), &[0; 65536]].concat();
    let settings = message(b'S', &[&[b'x'; 8000][..], b"\0y\0"].concat());
    let notices = message(b'N', &[b'x'; 8000]);
    // As many rounds of a hash as fit into 32 bits would keep a thread for an hour.
    let rounds =
        [message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"), message(b'R', b"\0\0\0\x0br=x,s=QUJD,i=4294967295")].concat();
    for (name, bytes) in [("huge", huge), ("settings", settings), ("notices", notices), ("rounds", rounds)] {
        let port = saying(bytes);
        let source = format!(
            "r = sql.open(\"postgres://u@127.0.0.1:{port}/x?sslmode=disable\", password=\"p\").try_query(\"select 1\")\n\
             print(r.ok, len(r.error) < 500)\n"
        );
        let mut server = Starcell::spawn_in(&folder(), &["--allow-local"], &source);
        server.wait_for("False True");
        assert_eq!(server.wait().code(), 0, "{name}");
    }
}
