//! What the operator of a store does with it, beside the nodes that use it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use tokio_postgres::{Config, NoTls};

use crate::process::PATIENCE;
use crate::servers::{PASSWORD, Server};

/// Has Redis do a command, and returns what it answers: the text of a bulk or a line.
#[must_use]
pub fn redis(server: &Server, command: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
    stream.write_all(format!("AUTH \"{PASSWORD}\"\r\n{command}\r\n").as_bytes()).expect("it reads");
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    };
    assert_eq!(line(), "+OK", "the password");
    let first = line();
    match first.strip_prefix('$').map(|length| length.parse().expect("a length")) {
        None => first,
        Some(length) => {
            let mut text = vec![0; length];
            reader.read_exact(&mut text).expect("as long as it says");
            String::from_utf8(text).expect("text")
        }
    }
}

/// How often Redis has done a command, by its name.
#[must_use]
pub fn redis_calls(server: &Server, command: &str) -> u64 {
    let stats = redis(server, "INFO commandstats");
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |rest| rest.split(',').next().and_then(|calls| calls.parse().ok()).expect("a number"))
}

/// Has PostgreSQL do statements, as the user who owns everything.
pub fn sql(server: &Server, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut config = Config::new();
        config.user("starcell").dbname("starcell").password(PASSWORD);
        let stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).await.expect("it listens");
        let (client, connection) = config.connect_raw(stream, NoTls).await.expect("it lets its owner in");
        let connection = tokio::spawn(connection);
        client.batch_execute(statements).await.expect("statements that it can do");
        drop(client);
        let _ = connection.await;
    });
}
