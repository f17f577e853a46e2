//! Databases on a server of PostgreSQL: values, types and transactions that only it has, encryption, and sessions that are
//! one app's.

use std::process::Command;

use starcell_tests::node::{NodeFolder, ask};
use starcell_tests::process::{Ended, Starcell, binary, folder, script};
use starcell_tests::servers::{PASSWORD, Server};
use starcell_tests::tls::Identity;

/// Opens the database of a server, in a script.
fn open(server: &Server) -> String {
    let url = format!("postgres://starcell@127.0.0.1:{}/starcell?sslmode=disable", server.port);
    format!("sql.open({url:?}, password={PASSWORD:?})")
}

fn run(server: &Server, source: &str) -> Ended {
    Starcell::run_in(&folder(), &["--allow-local"], &format!("db = {}\n{source}", open(server)))
}

#[test]
fn numbers_and_times_of_a_server_are_exact() {
    let server = Server::postgres();
    let source = "print(db.query_row(\"select $1::numeric as a, 12.50::numeric(10,2) as b, 1::numeric / 3 > 0 as c\", 1 << 70))\n\
         print(db.query_value(\"select $1::timestamptz\", time.parse(\"rfc3339nano\", \"2026-01-02T03:04:05.000006Z\")))\n\
         print(repr(db.query_value(\"select $1::bytea\", b\"\\x00'\\xff\")), db.query_value(\"select $1::jsonb\", \"{\\\"a\\\":1}\"))\n\
         print(db.try_query(\"select now()::date\").error)\n\
         print(db.try_query(\"select $1::int\", \"hunter2\").error)\n\
         print(db.try_query(\"select pg_sleep(0), nextval('none')\").error)\n\
         print(db.try_query(\"select set_config('transaction_read_only', 'off', false)\").ok)\n";
    let ended = run(&server, source);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines[0], "{\"a\": 1180591620717411303424, \"b\": \"12.50\", \"c\": True}", "{}", ended.output);
    assert_eq!(lines[1], "2026-01-02T03:04:05.000006Z");
    assert_eq!(lines[2], "b\"\\x00'\\xff\" {\"a\": 1}");
    assert!(lines[3].contains("of type date") && lines[3].contains("::text"), "{}", lines[3]);
    assert!(
        lines[4].contains("invalid input syntax for type integer") && !lines[4].contains("hunter2"),
        "{}",
        lines[4]
    );
    assert_eq!(lines[6], "False");
}

const TRANSACTIONS: &str = r#"
db.exec("create type mood as enum ('sad', 'happy')")
db.exec("create table t (id int primary key, m mood)")

# A type of the database's own: it is written as a text, and read as one.
db.exec("insert into t values ($1, $2)", 1, "happy")
print(db.try_query("select m from t").error)
print(db.query_value("select m::text from t where m = $1", "happy"))

# The server keeps nothing of a transaction in which a statement failed, and says so to nobody: starcell does.
def half(tx):
    tx.exec("insert into t values (2, null)")
    return tx.try_exec("insert into t values (1, null)").ok
print(db.try_tx(half).error)
print(db.query_value("select count(*) from t"))

# A statement that ends the transaction of the host, however it is written.
def smuggle(tx):
    for text in ["--\rcommit;--\nselect 1", "commit", "/* /* */ */ rollback", "do $$ begin commit; end $$", "select set_config('transaction_read_only', 'off', true)"]:
        if tx.try_query(text).ok:
            print("taken:", text)
    return tx.try_exec("insert into t values (3, null)").ok
print(db.try_tx(smuggle, read_only=True).ok, db.query_value("select count(*) from t"))

# What a call leaves in its session is gone for the next one.
def leave(tx):
    tx.query("select set_config('app.x', 'left', false)")
    tx.exec("create temp table left_behind (a int)")
    return tx.query_value("select pg_backend_pid()")
session = db.tx(leave)
print(session == db.query_value("select pg_backend_pid()"), db.query_value("select current_setting('app.x', true)") in [None, ""])
print(db.try_query("select * from left_behind").ok, db.query_value("show statement_timeout"))

# Rows are bounded before they come over.
print("more than 10000 rows" in db.try_query("select generate_series(1, 1000000)").error)
print("larger than 16 MiB" in db.try_query("select repeat('x', 1000000) from generate_series(1, 100)").error)
print(db.try_query("select repeat('x', 20000000)").ok, db.query_value("select 1"))
"#;

#[test]
fn transactions_are_the_hosts() {
    let server = Server::postgres();
    let ended = run(&server, TRANSACTIONS);
    assert_eq!(ended.code(), 0, "{}", ended.output);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert!(
        lines[0].contains("of a type of the database's own") && lines[0].contains("select m::text"),
        "{}",
        lines[0]
    );
    assert!(lines[2].contains("keeps nothing of it"), "{}", lines[2]);
    assert_eq!([lines[1], lines[3]], ["happy", "1"], "{}", ended.output);
    assert_eq!(lines[4..], ["False 1", "True True", "False 30s", "True", "True", "False 1"], "{}", ended.output);
}

#[test]
fn connections_are_encrypted_to_the_server_that_was_named() {
    let identity = Identity::make();
    let server = Server::postgres_encrypted(&identity);
    let url = format!("postgres://starcell@127.0.0.1:{}/starcell", server.port);
    let source =
        format!("r = sql.open({url:?}, password={PASSWORD:?}).try_query(\"select 1\")\nprint(r.ok, r.error)\n");
    let run = |roots: &Identity| {
        let mut command = Command::new(binary());
        command.args(["run", "--allow-local"]).arg(script(&source)).current_dir(folder());
        command.env("SSL_CERT_FILE", &roots.cert);
        Starcell::spawn_command(command).wait()
    };
    let well = run(&identity);
    assert!(well.stdout.starts_with("True"), "{}", well.output);
    let refused = run(&Identity::make());
    assert!(refused.stdout.starts_with("False") && refused.stdout.contains("TLS"), "{}", refused.output);
}

#[test]
fn a_server_that_is_away_or_refuses_is_an_error() {
    let mut server = Server::postgres();
    let wrong = open(&server).replace(PASSWORD, "hunter2");
    let source = format!("r = {wrong}.try_query(\"select 1\")\nprint(r.error)\n");
    let ended = Starcell::run_in(&folder(), &["--allow-local"], &source);
    assert!(ended.stdout.contains("password authentication failed"), "{}", ended.output);
    assert!(!ended.output.contains("hunter2"), "{}", ended.output);
    server.kill();
    let ended = run(&server, "print(db.try_query(\"select 1\").error)\n");
    assert!(ended.stdout.contains("refused"), "{}", ended.output);
    assert_eq!(ended.code(), 0);
}

#[test]
fn a_name_is_judged_again_by_its_address() {
    let server = Server::postgres();
    let named = open(&server).replace("127.0.0.1", "localhost");
    let source = format!("r = {named}.try_query(\"select 1\")\nprint(r.ok, r.error)\n");
    // A rule for the name grants no address on this machine.
    let rule = format!("sql.open(postgres://localhost:{}/starcell)", server.port);
    let denied = Starcell::run_in(&folder(), &["--allow", &rule], &source);
    assert!(denied.stdout.starts_with("False") && denied.stdout.contains("loopback"), "{}", denied.output);
    let audit = folder().join("audit.jsonl");
    let audit = audit.to_str().unwrap();
    let granted = Starcell::run_in(&folder(), &["--allow-local", "--audit", audit], &source);
    assert!(granted.stdout.starts_with("True"), "{}", granted.output);
    // The rules that the log comes to are enough for the same again.
    let least = Starcell::command(&folder(), &["audit", "least", audit], "");
    let rules: Vec<&str> = least.stdout.split_whitespace().filter(|word| word.starts_with("sql.open")).collect();
    let rules: Vec<&str> = rules.into_iter().map(|rule| rule.trim_matches(['\'', '"'])).collect();
    let flags: Vec<&str> = rules.iter().flat_map(|rule| ["--allow", rule]).collect();
    let again = Starcell::run_in(&folder(), &flags, &source);
    assert!(again.stdout.starts_with("True"), "{flags:?}: {} {}", least.output, again.output);
}

#[test]
fn a_session_is_one_apps() {
    let server = Server::postgres();
    let tenants = format!(
        "[profiles.web]\nbase = \"allow-fs\"\nallow = [\"http.server\", \"sql.open(postgres://127.0.0.1:{}/starcell)\"]\n\
         [tenants.acme]\nprofile = \"web\"\n",
        server.port
    );
    let node = NodeFolder::new(&tenants);
    let source = format!(
        "db = {}\ndef pid(req):\n    return str(db.query_value(\"select pg_backend_pid()\"))\n\
         srv = http.server()\nsrv.handle(\"GET /\", pid)\nsrv.serve(port=8080)\n",
        open(&server)
    );
    for app in ["one", "two"] {
        node.app(app, &format!("tenant = \"acme\"\nprofile = \"web\"\nhosts = [\"{app}.test\"]\n"), &source);
    }
    let running = node.start(&[]);
    let pid = |host: &str| String::from_utf8(ask(running.port(), host, "/").body).unwrap();
    let (one, two) = (pid("one.test"), pid("two.test"));
    assert!(one.parse::<u32>().is_ok() && two.parse::<u32>().is_ok(), "{one} {two}");
    assert_ne!(one, two);
    assert_eq!((pid("one.test"), pid("two.test")), (one, two), "each is kept for the next request");
    assert_eq!(running.stop().code(), 0);
}
