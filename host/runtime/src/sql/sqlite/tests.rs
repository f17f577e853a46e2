//! Against real files: what scripts may do, and what they may not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat};

use super::*;
use crate::sql::value::SqlValue;

/// A folder of a test's own, with an open file in it.
fn open(name: &str) -> (PathBuf, OpenFile) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("starcell-sql-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    let file = again(&path, name).unwrap();
    (path, file)
}

/// An open description of a file, which is made if there is none.
fn description(folder: &Path, name: &str) -> Result<Arc<OwnedFd>, String> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder.join(name), flags, Mode::from_raw_mode(0o600));
    file.map(Arc::new).map_err(|error| error.to_string())
}

fn again(folder: &Path, name: &str) -> Result<OpenFile, String> {
    let file = description(folder, name)?;
    let stat = fstat(&file).unwrap();
    let identity = (stat.st_dev, stat.st_ino);
    let owner = own(&file, identity, &bounds().go_on)?;
    drop(file);
    open_as(folder, name, identity, owner)
}

fn open_as(folder: &Path, name: &str, identity: FileIdentity, owner: FileOwner) -> Result<OpenFile, String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(folder, flags, Mode::empty()).unwrap();
    OpenFile::new(folder, name, Which { path: name.to_owned(), identity }, owner)
}

fn bounds() -> Bounds {
    Bounds { go_on: Arc::new(|| Ok(())), limit: 16 << 20, take: Box::new(|_| Ok(())) }
}

fn run(file: &mut OpenFile, text: &str, parameters: &[SqlValue], reads: bool) -> Result<SqlRows, String> {
    let text = SqlText { text: text.to_owned(), parameters: parameters.to_vec(), more: Vec::new(), reads };
    file.run(&text, bounds()).map(|(rows, _)| rows)
}

fn exec(file: &mut OpenFile, text: &str, parameters: &[SqlValue]) -> Result<SqlRows, String> {
    run(file, text, parameters, false)
}

fn query(file: &mut OpenFile, text: &str, parameters: &[SqlValue]) -> Result<Vec<Vec<SqlValue>>, String> {
    run(file, text, parameters, true).map(|rows| rows.rows)
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

#[test]
fn values_come_back_as_they_went_in() {
    let (_folder, mut file) = open("values.db");
    exec(&mut file, "create table t (v, b boolean)", &[]).unwrap();
    let values = [
        SqlValue::Null,
        SqlValue::Int(i64::MIN),
        SqlValue::Int(i64::MAX),
        SqlValue::Float(0.1),
        text("ü \0 '; drop table t; --"),
        SqlValue::Bytes(vec![0, 255]),
    ];
    for value in &values {
        let done =
            exec(&mut file, "insert into t (v, b) values (?, ?)", &[value.clone(), SqlValue::Boolean(true)]).unwrap();
        assert_eq!(done.changed, 1);
    }
    let found = query(&mut file, "select v, b from t order by rowid", &[]).unwrap();
    let expected: Vec<_> = values.iter().map(|value| vec![value.clone(), SqlValue::Boolean(true)]).collect();
    assert_eq!(found, expected);
    let many = SqlText {
        text: "insert into t (v) values (?)".into(),
        parameters: vec![SqlValue::Int(1)],
        more: vec![vec![SqlValue::Int(2)], vec![SqlValue::Big("9223372036854775808".into())]],
        reads: false,
    };
    assert!(file.run(&many, bounds()).unwrap_err().contains("parameter 1 does not fit"));
    assert_eq!(query(&mut file, "select count(*) from t", &[]).unwrap(), [[SqlValue::Int(6)]], "all or none");
    let last = exec(&mut file, "insert into t (v) values (7) returning v", &[]).unwrap();
    assert_eq!((last.last_id, last.rows), (Some(7), vec![vec![SqlValue::Int(7)]]));
}

/// Statements that no script may run, whoever may write, and what the error has in it.
const REFUSED: [(&str, &str); 36] = [
    ("attach database 'other.db' as other", "no script may"),
    ("attach database '/etc/passwd' as other", "no script may"),
    ("detach database main", "no script may"),
    ("vacuum", ""),
    ("vacuum into '/tmp/starcell-copy.db'", ""),
    ("pragma journal_mode = off", "no script may"),
    ("pragma synchronous = off", "no script may"),
    ("pragma writable_schema = on", "no script may"),
    ("pragma temp_store_directory = '/tmp'", "no script may"),
    ("pragma data_store_directory = '/tmp'", "no script may"),
    ("pragma max_page_count = 1000000000", "no script may"),
    ("pragma cache_size = -100000000", "no script may"),
    ("pragma mmap_size = 100000000", "no script may"),
    ("pragma hard_heap_limit = 0", "no script may"),
    ("pragma trusted_schema = on", "no script may"),
    ("pragma wal_checkpoint(truncate)", "no script may"),
    ("pragma query_only = off", "no script may"),
    ("pragma locking_mode = exclusive", "no script may"),
    ("PrAgMa main.journal_mode", "no script may"),
    ("/* a */ pragma /* b */ journal_mode", "no script may"),
    ("select load_extension('/tmp/x.so')", ""),
    ("select LOAD_EXTENSION('/tmp/x.so', 'f')", ""),
    ("select writefile('/tmp/x', 'y')", ""),
    ("select readfile('/etc/passwd')", ""),
    ("select fts3_tokenizer('simple')", ""),
    ("create virtual table x using dbstat", "no script may"),
    ("create virtual table x using fts4(a, tokenize=simple)", "no script may"),
    ("create virtual table x using csv(filename='/etc/passwd')", ""),
    ("begin", "no script may"),
    ("commit", "no script may"),
    ("rollback", "no script may"),
    ("savepoint a", "no script may"),
    ("select 1; select 2", "several statements"),
    ("select 1; drop table t", "several statements"),
    ("select 1 /* ; */ ; -- x\n drop table t", "several statements"),
    ("", "empty"),
];

#[test]
fn the_attack_table_is_held() {
    let (folder, mut file) = open("attacked.db");
    exec(&mut file, "create table t (v)", &[]).unwrap();
    exec(&mut file, "insert into t values ('kept')", &[]).unwrap();
    for (statement, part) in REFUSED {
        for reads in [true, false] {
            let refused = run(&mut file, statement, &[], reads);
            let error = refused.expect_err(statement);
            // A reader may be told that the statement writes, before anything else is said of it.
            assert!(error.contains(part) || reads, "{statement}: {error}");
        }
    }
    assert_eq!(query(&mut file, "select v from t", &[]).unwrap(), [[text("kept")]]);
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["attacked.db", "attacked.db-wal"], "nothing else, and no mapped file");
    assert!(!std::path::Path::new("/tmp/starcell-copy.db").exists());
}

#[test]
fn a_query_writes_nothing() {
    let (_folder, mut file) = open("read.db");
    exec(&mut file, "create table t (v)", &[]).unwrap();
    exec(&mut file, "create index i on t (v)", &[]).unwrap();
    exec(&mut file, "create view w as select v from t", &[]).unwrap();
    exec(&mut file, "create trigger r instead of insert on w begin insert into t values (new.v); end", &[]).unwrap();
    for statement in [
        "insert into t values (1)",
        "with a as (select 1) insert into t select * from a",
        "insert into w values (1)",
        "update t set v = 1",
        "delete from t",
        "replace into t values (1) returning v",
        "create table u (a)",
        "create temp table u (a)",
        "drop table t",
        "alter table t rename to u",
        "analyze",
        "reindex",
        "pragma user_version = 7",
    ] {
        assert!(query(&mut file, statement, &[]).is_err(), "{statement}");
    }
    for statement in [
        "select * from t",
        "with a as (select 1) select * from a",
        "pragma table_info(t)",
        "pragma user_version",
        "explain query plan select * from t",
        "values (1)",
    ] {
        assert!(query(&mut file, statement, &[]).is_ok(), "{statement}");
    }
    assert_eq!(query(&mut file, "select count(*) from t", &[]).unwrap(), [[SqlValue::Int(0)]]);
}

#[test]
fn endless_and_huge_statements_end() {
    let (_folder, mut file) = open("bounded.db");
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n";
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let go_on: GoOn = Arc::new(move || match counted.fetch_add(1, Ordering::Relaxed) < 100 {
        true => Ok(()),
        false => Err("its time is used up".to_owned()),
    });
    let statement = SqlText { text: endless.into(), parameters: vec![], more: vec![], reads: true };
    let ended = file.run(&statement, Bounds { go_on, ..bounds() }).unwrap_err();
    assert_eq!(ended, "the statement was ended: its time is used up");
    assert!(asked.load(Ordering::Relaxed) <= 102, "{asked:?}");
    // The connection is as good as new.
    assert_eq!(query(&mut file, "select 1", &[]).unwrap(), [[SqlValue::Int(1)]]);
    for (statement, part) in [
        ("select zeroblob(1000000000)", "larger than 16 MiB"),
        ("select randomblob(1000000000)", "larger than 16 MiB"),
        ("select printf('%.*c', 1000000000, 'x')", ""),
        ("with recursive n(i) as (select 1 union all select i + 1 from n) select i from n", "`limit`"),
        (
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 40) select zeroblob(1000000) from n",
            "16 MiB",
        ),
        (
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100) select group_concat(zeroblob(1000000)) from n",
            "16 MiB",
        ),
    ] {
        let error = query(&mut file, statement, &[]).expect_err(statement);
        assert!(error.contains(part), "{statement}: {error}");
    }
    let deep = format!("select {}1{}", "(".repeat(5000), ")".repeat(5000));
    assert!(query(&mut file, &deep, &[]).is_err());
    assert!(query(&mut file, &"-".repeat(2 << 20), &[]).unwrap_err().contains("longer than 1 MiB"));
}

#[test]
fn parameters_are_never_part_of_the_text() {
    let (_folder, mut file) = open("injected.db");
    exec(&mut file, "create table users (name, admin boolean)", &[]).unwrap();
    exec(&mut file, "insert into users values ('ada', 0)", &[]).unwrap();
    for hostile in ["' or '1'='1", "ada'; drop table users; --", "\" or 1=1", "ada\0' or 1", "ada' /*", "\\' or 1 --"] {
        for value in [text(hostile), SqlValue::Bytes(hostile.as_bytes().to_vec())] {
            let found = query(&mut file, "select name from users where name = ?", &[value]).unwrap();
            assert!(found.is_empty(), "{hostile}");
        }
        exec(&mut file, "insert into users values (?, 1)", &[text(hostile)]).unwrap();
        let back = query(&mut file, "select name from users where name = ?1", &[text(hostile)]).unwrap();
        assert_eq!(back, [[text(hostile)]]);
    }
    let error = query(&mut file, "select ?, ?", &[SqlValue::Null]).unwrap_err();
    assert_eq!(error, "the statement has 2 placeholders, and there are 1 parameters");
}

#[test]
fn errors_name_the_place_and_hold_no_value() {
    let (_folder, mut file) = open("errors.db");
    exec(&mut file, "create table t (v integer primary key, s text unique)", &[]).unwrap();
    exec(&mut file, "insert into t values (1, 'hunter2')", &[]).unwrap();
    for (statement, part) in [
        ("select\n  absent from t", "no such column: absent at line 2, column 3"),
        ("selct 1", "near \"selct\": syntax error at line 1, column 1"),
        ("select 'hunter2' 'x' from", ""),
        ("insert into t values (2, 'hunter2')", "UNIQUE constraint failed: t.s"),
    ] {
        let error = exec(&mut file, statement, &[]).expect_err(statement);
        assert!(error.contains(part) && !error.contains("hunter2"), "{statement}: {error}");
    }
}

#[test]
fn a_transaction_is_kept_or_undone() {
    let (folder, mut file) = open("transactions.db");
    exec(&mut file, "create table t (v)", &[]).unwrap();
    file.begin(false, &bounds()).unwrap();
    exec(&mut file, "insert into t values (1)", &[]).unwrap();
    let mut other = again(&folder, "transactions.db").unwrap();
    assert_eq!(query(&mut other, "select count(*) from t", &[]).unwrap(), [[SqlValue::Int(0)]]);
    let busy = Bounds { go_on: Arc::new(|| Err("it is gone".to_owned())), ..bounds() };
    assert!(other.begin(false, &busy).is_err(), "one writer at a time, and no wait beyond the request");
    file.end(true, &bounds()).unwrap();
    file.begin(false, &bounds()).unwrap();
    exec(&mut file, "insert into t values (2)", &[]).unwrap();
    file.end(false, &bounds()).unwrap();
    file.begin(false, &bounds()).unwrap();
    exec(&mut file, "insert into t values (3)", &[]).unwrap();
    drop(file);
    assert_eq!(query(&mut other, "select v from t", &[]).unwrap(), [[SqlValue::Int(1)]]);
}

#[test]
fn a_link_is_not_followed() {
    let (folder, mut file) = open("real.db");
    exec(&mut file, "create table t (v)", &[]).unwrap();
    let which = file.which.identity;
    std::os::unix::fs::symlink(folder.join("real.db"), folder.join("link.db")).unwrap();
    assert!(again(&folder, "link.db").is_err());
    // SQLite itself does not follow it either, should somebody put it there behind the check.
    let opened = open_as(&folder, "link.db", which, file.owner.clone());
    assert!(opened.and_then(|mut file| query(&mut file, "select * from t", &[])).is_err());
}

#[test]
fn what_a_statement_sorts_and_gathers_is_bounded() {
    let (_folder, mut file) = open("memory.db");
    let rows = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)";
    for statement in [
        format!("{rows} select length(b) from (select randomblob(1000000) as b from n order by b)"),
        format!("{rows} select count(*) from (select distinct randomblob(100000) from n)"),
        format!("{rows} select count(*) from (select randomblob(100000) from n union select 1)"),
        format!("{rows} select length(group_concat(x)) from (select hex(randomblob(100000)) as x from n)"),
    ] {
        let error = query(&mut file, &statement, &[]).expect_err(&statement);
        assert!(error.contains("64 MiB of memory") || error.contains("larger than 16 MiB"), "{statement}: {error}");
        assert!(used() < 64 << 20, "{}", used());
    }
    // The next statement has all of it again.
    let sorted = "select count(*) from (select randomblob(1000000) as b from \
        (with recursive n(i) as (select 1 union all select i + 1 from n where i < 20) select i from n) order by b)";
    assert_eq!(query(&mut file, sorted, &[]).unwrap(), [[SqlValue::Int(20)]]);
}

#[test]
fn a_text_index_is_read_on_a_new_connection() {
    let (folder, mut file) = open("search.db");
    exec(&mut file, "create virtual table t using fts5(body)", &[]).unwrap();
    exec(&mut file, "insert into t values (?)", &[text("the spice must flow")]).unwrap();
    drop(file);
    let mut file = again(&folder, "search.db").unwrap();
    let found = query(&mut file, "select body from t where t match ?", &[text("spice")]).unwrap();
    assert_eq!(found, [[text("the spice must flow")]]);
    let error = query(&mut file, "select body from t where t match ?", &[text("\"hunter2")]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
    let error = query(&mut file, "select body from t where t match ?", &[text("hunter2:x")]).unwrap_err();
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn another_process_waits_for_the_file() {
    let (folder, file) = open("owned.db");
    drop(file);
    // As another process would hold it: an open description of its own.
    let theirs = description(&folder, "owned.db").unwrap();
    flock(&theirs, FlockOperation::NonBlockingLockExclusive).unwrap();
    let ours = description(&folder, "owned.db").unwrap();
    let stat = fstat(&ours).unwrap();
    let ended: GoOn = Arc::new(|| Err("its time is used up".to_owned()));
    let refused = own(&ours, (stat.st_dev, stat.st_ino), &ended);
    assert_eq!(refused.unwrap_err(), "its time is used up");
    drop(theirs);
    let mut file = again(&folder, "owned.db").unwrap();
    exec(&mut file, "create table t (v)", &[]).unwrap();
    // While it is open here, it is open for all of this process and for no other.
    let theirs = description(&folder, "owned.db").unwrap();
    assert!(flock(&theirs, FlockOperation::NonBlockingLockExclusive).is_err());
    assert!(again(&folder, "owned.db").is_ok());
}

#[test]
fn files_wait_for_the_next_call_and_are_closed() {
    let files = Files::default();
    let (folder, mut file) = open("kept.db");
    exec(&mut file, "create table t (v)", &[]).unwrap();
    let which = file.which.clone();
    files.keep(file);
    let mut file = files.waiting(&which).unwrap();
    assert!(files.waiting(&which).is_none() && !files.has_any());
    // One in a transaction is for nobody else.
    file.begin(false, &bounds()).unwrap();
    files.keep(file);
    assert!(!files.has_any());
    for _ in 0..MAX_WAITING + 3 {
        files.keep(again(&folder, "kept.db").unwrap());
    }
    assert_eq!(files.0.lock().len(), MAX_WAITING);
    files.end_idle();
    assert!(files.has_any(), "not yet");
    assert!(files.waiting(&Which { path: "other.db".into(), ..which.clone() }).is_none());
    assert!(files.waiting(&Which { identity: (0, 0), ..which }).is_none());
}

#[test]
fn what_is_no_database_is_an_error() {
    let (folder, file) = open("x.db");
    drop(file);
    for content in [&b"no database at all, but a text of some length"[..], &[0xff; 8192], b"SQLite format 3\0"] {
        std::fs::write(folder.join("bad.db"), content).unwrap();
        let opened = again(&folder, "bad.db");
        let read = opened.and_then(|mut file| query(&mut file, "select * from sqlite_schema", &[]));
        assert!(read.is_err(), "{content:?}");
    }
}
