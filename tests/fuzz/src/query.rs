//! Queries: what was read, spelled anew, reads the same.

use percent::encode;
use starcell_http::query::parse;

use crate::target::{Target, texts};

pub(crate) fn target() -> Target {
    let seeds = texts(&["a=1&b=%20x+y&a=&=v&c", "a=%zz&b;c=1&%=2", "a=%ff%C3%A9", "&&&", "a=b=c&%26=%3D"]);
    Target { name: "query", run, seeds, words: &["%20", "%", "&", "=", "+", ";", "%ff", "%C3%A9", "%26", "%3b"] }
}

fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let pairs = parse(&text);
    assert!(pairs.len() <= text.split('&').count());
    let spelled: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    assert_eq!(parse(&spelled.join("&")), pairs);
}

mod percent {
    /// Every byte escaped that is no letter or digit.
    pub(super) fn encode(text: &str) -> String {
        let escaped = |byte: u8| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02x}"),
        };
        text.bytes().map(escaped).collect()
    }
}
