//! `sql` over a database that lives in memory: what of a call reaches the host, and what of its answer the script.

use starcell_interp::testing::{NativeHost, SqlCalled};
use starcell_interp::{Connection, Rows, SqlValue, Statement};

use super::common::{Deployed, failure_on, prints_on, text};

fn file(path: &str) -> Connection {
    Connection { url: format!("sqlite:{path}"), user: None, password: None, plain: false }
}

fn statement(text: &str, parameters: &[SqlValue], transaction: Option<u32>) -> Statement {
    Statement { text: text.to_owned(), parameters: parameters.to_vec(), transaction }
}

#[test]
fn parameters_reach_the_host_beside_the_text() {
    let host = NativeHost::new();
    let source = "db = sql.open(\"sqlite:a.db\")\n\
        db.query(\"select ?\", None, True, -1, 1 << 63, 1 << 70, 0.5, \"'; --\", b\"\\x00\", time.parse(\"rfc3339\", \"2026-01-02T03:04:05Z\"))\n\
        db.exec_many(\"insert into t values (?, ?)\", [[1, \"a\"], (2, None)])\n\
        print(db.exec_many(\"insert into t values (?)\", []))\n";
    assert_eq!(prints_on(&host, source), ["0"]);
    let given = [
        SqlValue::Null,
        SqlValue::Boolean(true),
        SqlValue::Int(-1),
        SqlValue::Big("9223372036854775808".into()),
        SqlValue::Big("1180591620717411303424".into()),
        SqlValue::Float(0.5),
        SqlValue::Text("'; --".into()),
        SqlValue::Bytes(vec![0]),
        SqlValue::Text("2026-01-02T03:04:05Z".into()),
    ];
    let many = statement("insert into t values (?, ?)", &[SqlValue::Int(1), SqlValue::Text("a".into())], None);
    let more = vec![vec![SqlValue::Int(2), SqlValue::Null]];
    assert_eq!(
        host.sql.calls(),
        [
            SqlCalled::Query(file("a.db"), statement("select ?", &given, None)),
            SqlCalled::Exec(file("a.db"), many, more)
        ]
    );
}

#[test]
fn what_is_no_parameter_is_an_error_before_the_host_is_asked() {
    for (call, part) in [
        ("query(\"select ?\", [1])", "sql.database.query: parameter 1 is a list; give each value by itself"),
        ("query(\"select ?\", 1, (1,))", "parameter 2 is a tuple"),
        ("query(\"select ?\", {})", "parameter 1 must be None, a bool, int, float, str, bytes or time, got "),
        ("exec(\"x\", lambda: 1)", "parameter 1 must be"),
        ("exec_many(\"x\", [1])", "rows[0] must be a list of parameters, got 1 (int)"),
        ("exec_many(\"x\", [[1], [[]]])", "parameter 1 is a list"),
        ("tx(1)", "must be"),
        ("query(1)", "must be"),
    ] {
        let host = NativeHost::new();
        let message = failure_on(&host, &format!("sql.open(\"sqlite:a.db\").{call}\n")).message;
        assert!(message.contains(part), "{call}: {message}");
        assert!(host.sql.calls().is_empty(), "{call}");
    }
}

#[test]
fn values_come_back_with_their_types() {
    let mut host = NativeHost::new();
    let columns = ["a", "b", "c", "d", "e", "f", "g", "h"].map(str::to_owned).to_vec();
    let row = vec![
        SqlValue::Null,
        SqlValue::Boolean(false),
        SqlValue::Int(i64::MIN),
        SqlValue::Big("1180591620717411303424".into()),
        SqlValue::Float(0.5),
        SqlValue::Text("ü".into()),
        SqlValue::Bytes(vec![0, 255]),
        SqlValue::Time(1_767_323_045_000_006_000),
    ];
    host.sql.rows = Rows { columns, rows: vec![row], changed: 3, last_id: None };
    let source = "db = sql.open(\"sqlite:a.db\")\nprint(db.query_row(\"x\"))\nprint(type(db.query_row(\"x\")[\"h\"]), db.query_value(\"x\"))\n\
        done = db.exec(\"x\")\nprint(done.changed, done.last_id, len(done.rows), type(db), db)\n";
    assert_eq!(
        prints_on(&host, source),
        [
            "{\"a\": None, \"b\": False, \"c\": -9223372036854775808, \"d\": 1180591620717411303424, \"e\": 0.5, \
             \"f\": \"ü\", \"g\": b\"\\x00\\xff\", \"h\": 2026-01-02T03:04:05.000006Z}",
            "time.time None",
            "3 None 1 sql.database sqlite:a.db",
        ]
    );
    let mut host = NativeHost::new();
    host.sql.rows = Rows::default();
    let source = "db = sql.open(\"sqlite:a.db\")\nprint(db.query(\"x\"), db.query_row(\"x\"), db.query_value(\"x\"), db.query_value(\"x\", default=7))\n";
    assert_eq!(prints_on(&host, source), ["[] None None 7"]);
}

#[test]
fn a_transaction_is_kept_when_its_function_returns_and_undone_when_it_fails() {
    let host = NativeHost::new();
    let source = "db = sql.open(\"sqlite:a.db\")\n\
        print(db.tx(lambda tx: tx.exec(\"x\").changed))\n\
        print(db.try_tx(lambda tx: fail(\"on purpose\"), read_only=True).ok)\n\
        print(db.try_tx(lambda tx: tx.tx(lambda inner: 1)).error)\n";
    let nested = "sql.database.tx: a transaction cannot begin in another one; use the one that the function was given";
    assert_eq!(prints_on(&host, source), ["1", "False", nested]);
    let begin = |read_only| SqlCalled::Begin(file("a.db"), read_only);
    assert_eq!(
        host.sql.calls(),
        [
            begin(false),
            SqlCalled::Exec(file("a.db"), statement("x", &[], Some(1)), Vec::new()),
            SqlCalled::Commit(1),
            begin(true),
            SqlCalled::Rollback(2),
            begin(false),
            SqlCalled::Rollback(3),
        ]
    );
}

#[test]
fn a_url_is_read_and_its_password_never_shown() {
    let host = NativeHost::new();
    let source = "for url in [\"postgres://shop@DB:99/shop\", \"postgresql://db/shop?sslmode=disable\"]:\n    \
        db = sql.open(url, password=\"hunter2\")\n    print(db)\n    db.query(\"x\")\n";
    assert_eq!(prints_on(&host, source), ["postgres://shop@DB:99/shop", "postgres://db/shop"]);
    let connection = |url: &str, user: Option<&str>, plain| Connection {
        url: url.to_owned(),
        user: user.map(str::to_owned),
        password: Some("hunter2".to_owned()),
        plain,
    };
    let asked = |connection| SqlCalled::Query(connection, statement("x", &[], None));
    assert_eq!(
        host.sql.calls(),
        [
            asked(connection("postgres://DB:99/shop", Some("shop"), false)),
            asked(connection("postgres://db/shop", None, true)),
        ]
    );
    for (call, part) in [
        ("\"mysql://h/a\"", "url must be sqlite:PATH or postgres://USER@HOST/DATABASE"),
        ("\"a.db\"", "url must be"),
        ("\"sqlite:\"", "name a file"),
        ("\"sqlite::memory:\"", "name a file"),
        ("\"sqlite:a.db\", password=\"x\"", "a file has no password"),
        ("\"postgres://u:hunter2@h/a\"", "a password does not belong in a URL"),
        ("\"postgres://h/a?sslmode=prefer\"", "sslmode=verify-full"),
    ] {
        let message = failure_on(&host, &format!("sql.open({call})\n")).message;
        assert!(message.starts_with("sql.open: ") && message.contains(part), "{call}: {message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn handlers_use_a_database_of_the_top_level() {
    let deployed = Deployed::new(
        "db = sql.open(\"sqlite:a.db\")\nhttp.serve({\"GET /\": lambda req: db.query_value(\"x\")}, port = 8080)\n",
    );
    assert_eq!(text(&deployed.get("/").unwrap()), "Dune");
}
