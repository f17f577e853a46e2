//! Databases of scripts, in the guest: SQLite and PostgreSQL do the same, reading and writing are granted apart, an open
//! transaction does not outlive its request, and records and logs hold no value.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use starcell_tests::client::get;
use starcell_tests::log::lines;
use starcell_tests::process::{Ended, Starcell, binary, fixture, folder, script};
use starcell_tests::servers::{PASSWORD, Server};

/// A copy of a program, which keeps a file beside its script.
fn copied(name: &str) -> PathBuf {
    let to = folder();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    to
}

fn test_books(more: &[&str]) {
    let program = copied("books");
    let mut command = Command::new(binary());
    command
        .args(["test", "--config", "starcell.toml"])
        .args(more)
        .env("DATABASE_PASSWORD", PASSWORD)
        .current_dir(&program);
    let ended = Starcell::spawn_command(command).wait();
    assert_eq!(ended.stdout.lines().last(), Some("5 passed, 0 failed"), "{}", ended.output);
    assert_eq!((ended.code(), ended.stderr.as_str()), (0, ""));
}

#[test]
fn a_program_keeps_its_rows_in_a_file() {
    test_books(&[]);
}

#[test]
fn a_program_keeps_its_rows_on_a_server() {
    let server = Server::postgres();
    let database = format!("DATABASE=postgres://starcell@127.0.0.1:{}/starcell?sslmode=disable", server.port);
    test_books(&["--var", &database, "--env", "DATABASE_PASSWORD"]);
}

/// The statements that both kinds answer alike; `OPEN` opens the database.
const EACH: &str = r#"
db.exec("create table t (id integer primary key, v text, n bigint, f double precision, b boolean)")
print(db.exec("insert into t (id, v, n, f, b) values ($1, $2, $3, $4, $5)", 1, "ü '; --", -(1 << 63), 0.1, True).changed)
print(db.exec_many("insert into t (id, v) values ($1, $2)", [[2, None], (3, "x")]))
print(db.query("select v, n, f, b from t order by id limit 1"), db.query_row("select v from t where id = $1", 9))
print(db.query_value("select count(*) from t"), db.query_value("select v from t where id = $1", 9, default="none"))
def add(tx):
    tx.exec("insert into t (id) values ($1)", 4)
    return tx.query_value("select count(*) from t")
print(db.tx(add))
def fails(tx):
    tx.exec("insert into t (id) values ($1)", 5)
    fail("on purpose")
print("on purpose" in db.try_tx(fails).error, db.query_value("select count(*) from t"))
def reads(tx):
    return tx.try_exec("delete from t").ok, tx.query_value("select count(*) from t")
print(db.tx(reads, read_only=True))
kept = []
db.tx(lambda tx: kept.append(tx))
print(kept[0].try_query("select 1").ok)
print(db.try_exec_many("insert into t (id) values ($1)", [[6], [1]]).ok, db.query_value("select count(*) from t"))
for text in ["", "select 1; select 2", "selct 1", "commit", "begin", "/* */ rollback", "select * from nowhere", "insert into t (id) values (7)"]:
    if db.try_query(text).ok:
        fail(text)
for text in ["", "delete from t; select 1", "commit", "-- x\nbegin", "savepoint a"]:
    if db.try_exec(text).ok:
        fail(text)
for parameters in [[], [1, 2], [[1]], [{}]]:
    if db.try_query("select $1", *parameters).ok:
        fail(repr(parameters))
print(db.query_value("select count(*) from t"))
"#;

const PRINTED: &str = "1\n2\n[{\"v\": \"ü '; --\", \"n\": -9223372036854775808, \"f\": 0.1, \"b\": True}] None\n3 none\n4\n\
    True 4\n(False, 4)\nFalse\nFalse 4\n4\n";

fn each(open: &str, flags: &[&str]) -> Ended {
    Starcell::run_in(&folder(), flags, &format!("db = {open}\n{EACH}"))
}

#[test]
fn both_kinds_do_the_same() {
    let file = each("sql.open(\"sqlite:shop.db\")", &["--allow-fs"]);
    assert_eq!(file.stdout, PRINTED, "{}", file.output);
    let server = Server::postgres();
    let url = format!("postgres://starcell@127.0.0.1:{}/starcell?sslmode=disable", server.port);
    let open = format!("sql.open({url:?}, password={PASSWORD:?})");
    let there = each(&open, &["--allow-local"]);
    assert_eq!(there.stdout, PRINTED, "{}", there.output);
    // From allow-net on to servers, and to this machine from allow-local on.
    for (flags, reason) in [(["--allow-fs"], "not granted"), (["--allow-net"], "a loopback address is not granted")] {
        let denied = each(&open, &flags);
        assert!(denied.code() == 5 && denied.output.contains(reason), "{}", denied.output);
    }
}

#[test]
fn reading_and_writing_are_granted_apart() {
    let folder = folder();
    let made = Starcell::run_in(&folder, &["--allow-fs"], "sql.open(\"sqlite:a.db\").exec(\"create table t (v)\")\n");
    assert_eq!(made.code(), 0, "{}", made.output);
    let source = "db = sql.open(\"sqlite:a.db\")\n\
        for r in [db.try_query(\"select * from t\"), db.try_exec(\"insert into t values (1)\"), db.try_query(\"delete from t\"),\n\
                  db.try_tx(lambda tx: 1), db.try_tx(lambda tx: 1, read_only=True)]:\n    print(r.ok, r.error)\n";
    let ended = Starcell::run_in(&folder, &["--allow", "sql.open[query](sqlite:$CWD/a.db)"], source);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines.iter().map(|line| line.starts_with("True")).collect::<Vec<_>>(),
        [true, false, false, false, true],
        "{}",
        ended.output
    );
    assert!(lines[1].contains("permission denied") && lines[2].contains("use exec"), "{}", ended.output);
    for rule in ["sql.open(sqlite:/etc/**)", "sql.open(postgres:**)", "fs.*"] {
        let ended = Starcell::run_in(&folder, &["--allow", rule], source);
        assert!(!ended.stdout.contains("True"), "{rule}: {}", ended.output);
    }
}

const OPEN_TRANSACTION: &str = r#"
db = sql.open("sqlite:shop.db")
db.exec("create table t (v)")
def leave(req):
    def inner(tx):
        tx.exec("insert into t values (1)")
        for _ in range(1000000):
            for _ in range(1000000):
                pass
    db.tx(inner)
def count(req):
    return str(db.query_value("select count(*) from t"))
def add(req):
    return str(db.exec("insert into t values (2)").changed)
srv = http.server()
srv.handle("GET /leave", leave)
srv.handle("GET /count", count)
srv.handle("GET /add", add)
srv.serve()
"#;

#[test]
fn a_transaction_ends_with_its_request() {
    let program = folder();
    let path = program.join("main.star");
    fs::write(&path, OPEN_TRANSACTION).unwrap();
    let mut command = Command::new(binary());
    command.args(["run", "--allow-local", "--port", "0", "--request-cpu", "200ms", "main.star"]).current_dir(&program);
    let mut server = Starcell::spawn_command(command);
    server.wait_for("serving ");
    assert_eq!(get(server.port(), "/leave").status, 500);
    assert_eq!(get(server.port(), "/count").body, b"0");
    assert_eq!(get(server.port(), "/add").body, b"1", "its lock is gone too");
    assert_eq!(server.stop().code(), 0);
}

#[test]
fn records_and_logs_hold_no_value() {
    let (program, audit) = (folder(), folder().join("audit.jsonl"));
    // A failure shows the line of the script: the value is on none.
    let source = "db = sql.open(\"sqlite:shop.db\")\n\
        db.exec(\"create table t (v text unique)\")\n\
        value = \"hunter\" + str(2)\n\
        db.exec(\"insert into t values (?)\", value)\n\
        db.exec(\"insert into t values (?)\", value)\n";
    let ended = Starcell::run_in(&program, &["--allow-fs", "--audit", audit.to_str().unwrap()], source);
    assert_eq!(ended.code(), 1, "{}", ended.output);
    assert!(ended.output.contains("UNIQUE constraint failed: t.v"), "{}", ended.output);
    let records = fs::read_to_string(&audit).unwrap();
    assert!(
        records.contains("\"sql.exec\"") && records.contains("sqlite:") && records.contains("shop.db"),
        "{records}"
    );
    assert!(!records.contains("hunter2") && !records.contains("insert into"), "{records}");
    // Who asks for it has both.
    let asked = folder().join("asked.jsonl");
    let flags = ["--allow-fs", "--audit", asked.to_str().unwrap(), "--audit-sql"];
    let ended = Starcell::run_in(&folder(), &flags, source);
    assert_eq!(ended.code(), 1, "{}", ended.output);
    let calls = lines(&asked, "call");
    assert_eq!(calls[1]["statement"], "insert into t values (?)");
    assert_eq!(calls[1]["parameters"], serde_json::json!(["hunter2"]));
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
    // What was done can be granted again.
    let least = Starcell::command(&program, &["audit", "least", audit.to_str().unwrap()], "");
    assert!(least.stdout.contains("sql.open[exec](sqlite:"), "{}", least.output);
}

#[test]
fn a_database_of_the_top_level_is_used_by_handlers() {
    let source = script(
        "db = sql.open(\"sqlite:/none\")\nprint(db, type(db))\nprint(sql.try_open(\"sqlite::memory:\").error)\n\
        print(sql.try_open(\"postgres://u:hunter2@h/db\").error)\nprint(sql.open(\"postgres://u@h/db\", password=\"hunter2\"))\n",
    );
    let ended = Starcell::run(&["--deny-all"], &source);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert!(ended.stdout.starts_with("sqlite:/none sql.database\n"), "{}", ended.output);
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
}
