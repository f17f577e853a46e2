//! Options of a server that the operator's limits lower. The script asks for more than it gets, so the log says so once,
//! when the server starts: else its developer looks for the reason of a timeout in the script.

use std::time::Duration;

use starcell_edge::EdgeConfig;
use starcell_runtime::ServerOptions;

/// The longest time for one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestTime<'a> {
    /// The time.
    pub time: Duration,
    /// What the operator sets it with: a flag, or a key of a configuration.
    pub set_by: &'a str,
}

/// A sentence for each option that asks for more than the operator allows.
#[must_use]
pub fn lowered(options: &ServerOptions, edge: &EdgeConfig, request: RequestTime<'_>) -> Vec<String> {
    let time = |asked: Option<Duration>, allowed: Duration| asked.filter(|asked| *asked > allowed).map(|_| allowed);
    let size = |asked: Option<u64>, allowed: u32| asked.filter(|asked| *asked > allowed.into()).map(|_| allowed);
    let times = [
        ("read_timeout", "--header-time", " for the head of a request", time(options.read_timeout, edge.header_time)),
        ("write_timeout", request.set_by, " for the handler", time(options.write_timeout, request.time)),
        ("idle_timeout", "--idle-time", "", time(options.idle_timeout, edge.idle_time)),
    ];
    let sizes = [
        ("max_header_bytes", "--max-header-bytes", size(options.max_header_bytes, edge.max_header_bytes)),
        ("max_body_bytes", "--max-body-bytes", size(options.max_body_bytes, edge.max_body_bytes)),
    ];
    let times = times.into_iter().filter_map(|(option, flag, part, allowed)| {
        allowed.map(|allowed| sentence(options, option, &format!("{allowed:?}{part}"), flag))
    });
    let sizes = sizes
        .into_iter()
        .filter_map(|(option, flag, allowed)| Some(sentence(options, option, &allowed?.to_string(), flag)));
    times.chain(sizes).collect()
}

fn sentence(options: &ServerOptions, option: &str, allowed: &str, flag: &str) -> String {
    let written = options.written.iter().find(|(name, _)| name == option);
    let asked = written.map(|(_, value)| format!(" = {value}")).unwrap_or_default();
    format!("{option}{asked} is lowered to {allowed} by {flag}")
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const REQUEST: RequestTime<'_> = RequestTime { time: Duration::from_secs(30), set_by: "--request-time" };

    fn edge() -> EdgeConfig {
        EdgeConfig {
            max_connections: None,
            max_connections_per_address: NonZeroU32::MIN,
            handshake_time: SECOND,
            header_time: 10 * SECOND,
            idle_time: 60 * SECOND,
            stall_time: SECOND,
            min_rate: NonZeroU32::MIN,
            max_header_bytes: 1000,
            max_body_bytes: 10,
            memory_time: SECOND,
            h2c: false,
            trust_request_id: false,
            access_log: false,
        }
    }

    #[test]
    fn each_lowered_option_has_a_sentence() {
        let written = [("write_timeout", "\"60s\""), ("max_body_bytes", "11"), ("max_header_bytes", "1001")];
        let options = ServerOptions {
            read_timeout: Some(11 * SECOND),
            write_timeout: Some(60 * SECOND),
            idle_timeout: Some(61 * SECOND),
            shutdown_timeout: Some(1000 * SECOND),
            max_header_bytes: Some(1001),
            max_body_bytes: Some(11),
            written: written.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..ServerOptions::default()
        };
        assert_eq!(
            lowered(&options, &edge(), REQUEST),
            [
                "read_timeout is lowered to 10s for the head of a request by --header-time",
                "write_timeout = \"60s\" is lowered to 30s for the handler by --request-time",
                "idle_timeout is lowered to 60s by --idle-time",
                "max_header_bytes = 1001 is lowered to 1000 by --max-header-bytes",
                "max_body_bytes = 11 is lowered to 10 by --max-body-bytes",
            ]
        );
    }

    #[test]
    fn what_a_flag_allows_has_none() {
        let none: [String; 0] = [];
        assert_eq!(lowered(&ServerOptions::default(), &edge(), REQUEST), none);
        let options = ServerOptions {
            read_timeout: Some(10 * SECOND),
            write_timeout: Some(30 * SECOND),
            idle_timeout: Some(60 * SECOND),
            shutdown_timeout: Some(1000 * SECOND),
            max_header_bytes: Some(1000),
            max_body_bytes: Some(10),
            ..ServerOptions::default()
        };
        assert_eq!(lowered(&options, &edge(), REQUEST), none);
    }
}
