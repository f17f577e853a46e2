//! The flags that bound what clients can make a server do. A script can ask for less, never for more.

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use clap::{Args, Parser};
use starcell_edge::EdgeConfig;

use super::duration::duration;

/// Arguments of `starcell run` that bound what clients can do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Edge")]
pub struct EdgeFlags {
    /// Connections at once, over all servers; half of the file descriptors of the process when not given.
    #[arg(long, value_name = "N")]
    pub max_connections: Option<NonZeroUsize>,

    /// Connections at once from one address, or from one /64 network of IPv6.
    #[arg(long, value_name = "N", default_value = "1024")]
    pub max_connections_per_address: NonZeroU32,

    /// Requests of one server that are in a handler at once.
    #[arg(long, value_name = "N", default_value = "512", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub max_requests: u16,

    /// Requests of one server that wait for a place among those; the next one gets status 503.
    #[arg(long, value_name = "N", default_value_t = 1024, allow_negative_numbers = true)]
    pub max_queue: u32,

    /// Time that a request waits for a place, or for memory, before it gets status 503.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    pub queue_time: Duration,

    /// Time for a TLS handshake.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub handshake_time: Duration,

    /// Time for the head of a request, from connecting or from its first byte.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub header_time: Duration,

    /// Time between two requests of a connection.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub idle_time: Duration,

    /// Time that a body, or a response on its way to the client, may take besides what --min-rate gives it.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub stall_time: Duration,

    /// Bytes that a client must send of a body, or take of a response, in each second beyond --stall-time.
    #[arg(long, value_name = "BYTES", default_value = "8192")]
    pub min_rate: NonZeroU32,

    /// Largest request head; a larger one gets status 431.
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 10, value_parser = clap::value_parser!(u32).range(1024..=1 << 20))]
    pub max_header_bytes: u32,

    /// Largest request body; a larger one gets status 413.
    #[arg(long, value_name = "BYTES", default_value_t = 10 << 20, value_parser = clap::value_parser!(u32).range(0..=64 << 20))]
    pub max_body_bytes: u32,

    /// Longest path and query; a longer one gets status 414.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 10, value_parser = clap::value_parser!(u32).range(16..=32 << 10))]
    pub max_url_bytes: u32,

    /// Takes HTTP/2 on plain sockets too, from clients that start with it.
    #[arg(long)]
    pub h2c: bool,

    /// Answers requests for this host alone, and others with status 421. May be repeated. Without it any host is
    /// answered, but with --dev on a loopback address only loopback names and the hosts of the script's patterns are.
    #[arg(long, value_name = "NAME", value_parser = host)]
    pub allow_host: Vec<String>,

    /// Keeps the X-Request-Id of a client. Only behind a proxy that sets it.
    #[arg(long)]
    pub trust_request_id: bool,

    /// Writes no line for each request.
    #[arg(long)]
    pub no_access_log: bool,
}

/// A host without its port: a name, or an address.
fn host(text: &str) -> Result<String, String> {
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    match address.parse::<IpAddr>().is_ok() || (!text.is_empty() && text.bytes().all(is_name)) {
        true => Ok(address.to_owned()),
        false => Err("not a host; write a name such as example.com, or an address, without scheme and port".into()),
    }
}

impl EdgeFlags {
    /// The flags about connections and the bytes on them; the other flags are about answering requests.
    #[must_use]
    pub fn config(&self) -> EdgeConfig {
        EdgeConfig {
            max_connections: self.max_connections,
            max_connections_per_address: self.max_connections_per_address,
            handshake_time: self.handshake_time,
            header_time: self.header_time,
            idle_time: self.idle_time,
            stall_time: self.stall_time,
            min_rate: self.min_rate,
            max_header_bytes: self.max_header_bytes,
            max_body_bytes: self.max_body_bytes,
            memory_time: self.queue_time,
            h2c: self.h2c,
            trust_request_id: self.trust_request_id,
            access_log: !self.no_access_log,
        }
    }
}

impl Default for EdgeFlags {
    /// The values of a command line without these flags.
    fn default() -> Self {
        #[derive(Parser)]
        struct Only {
            #[command(flatten)]
            edge: EdgeFlags,
        }
        // Every flag has a default, so there is nothing to refuse.
        Only::parse_from(["starcell"]).edge
    }
}
