//! Builtins that read what somebody else wrote, natively. The laws are handlers written in Starlark: each gets the input
//! as the body of a request, tries the builtin, and fails where a law does not hold. So whatever one raises is a finding.

use std::cell::OnceCell;

use starcell_http::response;
use starcell_interp::testing::NativeHost;
use starcell_interp::{Fields, Request, Serving, boot, run_native};

use crate::target::{Target, quoted, texts};

const LAWS: &str = include_str!("scripts/laws.star");

/// In the order of the routes in the script.
const ROUTES: [&str; 10] = ["csv", "form", "gzip", "json", "regexp", "respond", "template", "text", "toml", "yaml"];

macro_rules! fixture {
    ($name:literal) => {
        quoted(include_str!(concat!("../../../guest/interp/tests/fixtures/", $name, ".star")))
    };
}

pub(crate) fn targets() -> Vec<Target> {
    let target = |name, run, seeds, words| Target { name, run, seeds, words };
    vec![
        target("csv", |data| ask("csv", data), fixture!("csv"), CSV),
        target("form", |data| ask("form", data), texts(FORMS), FORM),
        target("gzip", |data| ask("gzip", data), gzips(), &["\u{1f}", "\0"]),
        target("json", |data| ask("json", data), fixture!("json"), JSON),
        target("regexp", |data| ask("regexp", data), texts(PATTERNS), REGEXP),
        target("respond", |data| ask("respond", data), texts(RESPONSES), JSON),
        target("template", |data| ask("template", data), fixture!("template"), TEMPLATE),
        target("text", |data| ask("text", data), texts(TEXTS), TEXT),
        target("toml", |data| ask("toml", data), fixture!("toml"), TOML),
        target("yaml", |data| ask("yaml", data), fixture!("yaml"), YAML),
    ]
}

thread_local! {
    // Never dropped: the interpreter has thread locals of its own, which are gone before this one.
    static SCRIPT: OnceCell<&'static (NativeHost, Serving)> = const { OnceCell::new() };
}

fn ask(name: &'static str, data: &[u8]) {
    SCRIPT.with(|script| {
        let (host, serving) = script.get_or_init(start);
        let route = ROUTES.iter().position(|route| *route == name).expect("the route is one of them");
        let request = request(name, data);
        match serving.handle(host, route as u32, request) {
            Ok(answer) => {
                let sent = response::script(answer.status, answer.headers, answer.body);
                assert!(sent.is_ok(), "a response that the interpreter let pass cannot be sent: {sent:?}");
            }
            // What is no response is an answer of its own there.
            Err(failure) if name == "respond" => assert!(!failure.message.is_empty()),
            Err(failure) => panic!("{}", failure.report),
        }
    });
}

fn start() -> &'static (NativeHost, Serving) {
    boot();
    let host = NativeHost::new();
    let (_, serving) = run_native(&host, "laws.star", LAWS);
    Box::leak(Box::new((host, serving.expect("the script serves"))))
}

/// The input as a body; the first line of a form is its content type, and stands for its cookies too.
fn request(name: &str, data: &[u8]) -> Request {
    let mut request = Request { method: "POST".to_owned(), body: data.to_vec(), ..Request::default() };
    if name == "form" {
        let end = data.iter().position(|&byte| byte == b'\n').unwrap_or(data.len());
        let (line, body) = data.split_at(end);
        let line = String::from_utf8_lossy(line).into_owned();
        request.headers = Fields::from_iter([("Content-Type", &line), ("Cookie", &line)]).into_lines();
        request.body = body.get(1..).unwrap_or_default().to_vec();
    }
    request
}

const CSV: &[&str] = &["\"", "\"\"", ",", ";", "\t", "\r\n", "\n", "\r", "#", "\u{feff}", "a,b\n"];

const FORM: &[&str] = &[
    "multipart/form-data; boundary=X",
    "application/x-www-form-urlencoded",
    "--X",
    "--X--",
    "\r\n",
    "\n",
    "Content-Disposition: form-data; ",
    "name=\"a\"",
    "filename=\"b\"",
    "Content-Type: text/plain",
    ";",
    "=",
    "\"",
    "\\",
    "%41",
    "%",
    "&",
    "+",
    "filename*=UTF-8''",
];

const FORMS: &[&str] = &[
    "application/x-www-form-urlencoded\na=1&b=%20&a=x+y&c",
    "multipart/form-data; boundary=X\n--X\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--X\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x.txt\"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--X--\r\n",
    "a=1; b=\"2\"; c=d=e\n",
    "text/plain\nx",
];

/// A gzip of two members, and one of a stored block.
fn gzips() -> Vec<Vec<u8>> {
    let hello = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xcbH\xcd\xc9\xc9\x07\x00\x86\xa6\x106\x05\x00\x00\x00";
    let stored = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x05\x00\xfa\xffhello\x86\xa6\x106\x05\x00\x00\x00";
    vec![hello.to_vec(), [&hello[..], &hello[..]].concat(), stored.to_vec(), b"hello".to_vec()]
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\u0041",
    "\\ud83d\\ude00",
    "\\ud83d",
    "\\n",
    "true",
    "false",
    "null",
    "1e400",
    "1E-400",
    "-0",
    "0.1",
    "123456789012345678901234567890",
    "\"status\":",
    "\"headers\":",
    "\"body\":",
    "\"Set-Cookie\"",
    "NaN",
];

const RESPONSES: &[&str] = &[
    "{\"status\": 200, \"headers\": {\"A\": \"b\", \"Set-Cookie\": [\"a=1\", \"b=2\"]}, \"body\": {\"x\": [1, 2.5, null]}}",
    "{\"status\": 99}",
    "{\"body\": \"text\", \"headers\": {\"Content-Type\": \"a\\r\\nB: c\"}}",
    "[1, {\"a\": null}]",
    "\"text\"",
    "null",
    "{}",
];

const PATTERNS: &[&str] = &[
    "a+\nbaab",
    "(?P<name>\\w+)=(\\d*)\na=1 b=22",
    "^[^a-z]{2,5}?$\nAB\n12",
    "(a|b)*c|\\bd\\B\nababc d",
    "(?i)É.\néa",
    "((a*)*)*b\naaaaaaaaaaaaaaaaaaaaaaaa",
    "\\p{L}\\x41\\u{42}[[:alpha:]]\nAB",
];

const REGEXP: &[&str] = &[
    "(?P<a>",
    "(?:",
    "(?i)",
    "(?s-m)",
    "\\b",
    "\\B",
    "\\d",
    "\\w",
    "\\s",
    "\\pL",
    "[^",
    "[[:alpha:]]",
    "{2,5}",
    "{1000}",
    "*",
    "+?",
    "|",
    "^",
    "$",
    "\\A",
    "\\z",
    "\\x{41}",
    "\\Q",
    "\\1",
    ".",
    "\n",
    "$1",
    "${a}",
];

const TEMPLATE: &[&str] = &[
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{#",
    "#}",
    "for x in items",
    "endfor",
    "if ",
    "elif ",
    "else",
    "endif",
    "set y = ",
    "macro m(a)",
    "endmacro",
    "block b",
    "endblock",
    "extends ",
    "include ",
    "raw",
    "endraw",
    "filter ",
    "|",
    "safe",
    "escape",
    "join(",
    "range(",
    "loop.index",
    "recursive",
    "loop(",
    "a",
    "b.c",
    "items",
    "tojson",
    "urlencode",
    "replace(",
    "default(",
    "**",
    "//",
    "~",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "-%}",
    "with ",
    "import ",
    "call ",
];

const TEXT: &[&str] = &[
    "%d",
    "%s",
    "%v",
    "%q",
    "%x",
    "%5.2f",
    "%*d",
    "%[1]d",
    "%%",
    "http://",
    "https://u:p@h:80/a/../b?c=d#e",
    "//",
    "%2f",
    "%zz",
    "&amp;",
    "&#x41;",
    "&notit;",
    "2024-02-30T25:61:61Z",
    "2024-01-31",
    "+01:00",
    "1h2m3.5s",
    "-1ns",
    "=",
    "==",
    "\0",
    "é",
];

const TEXTS: &[&str] = &[
    "https://u:p@h.example:80/a/../b?c=d&e=%20#f",
    "2024-02-29T12:30:45.123456789+01:00",
    "1h30m0.5s",
    "%5.2f %d %s %v %q %x",
    "&lt;a href=&quot;&#x26;&quot;&gt;",
    "aGVsbG8=",
    "68656c6c6f",
];

const TOML: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    " = ",
    "\"\"\"",
    "'''",
    "\"",
    "'",
    ".",
    "1979-05-27T07:32:00Z",
    "07:32:00",
    "inf",
    "nan",
    "0x1F",
    "0o17",
    "0b1",
    "1_000",
    "true",
    "{",
    "}",
    ",",
    "#",
    "\n",
    "\\U0001F600",
    "123456789012345678901234567890",
];

const YAML: &[&str] = &[
    "- ",
    ": ",
    "? ",
    "&a ",
    "*a",
    "!!str ",
    "!!int ",
    "|",
    ">-",
    "|2+",
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "\\x41",
    "\n  ",
    "~",
    ".inf",
    ".nan",
    "0x1f",
    "0o17",
    "<<: ",
    "%YAML 1.2\n",
    "#",
    "\t",
    "\u{feff}",
    "null",
    "true",
    "1e3",
];
