//! Sources of scripts: the check before parsing, and the parser. What gets through the check must not overflow the stack
//! of the recursive parser, whatever it is. Whatever else reads a source without running it belongs here too.

use std::thread;

use starcell_check::{ScriptFiles, check};
use starcell_interp::testing::parse;

use crate::target::Target;

pub(crate) fn target() -> Target {
    Target { name: "source", run, seeds: seeds(), words: WORDS }
}

/// What `starcell check` does with a source, on a stack as large as it has there.
pub(crate) fn checked() -> Target {
    Target { name: "check", run: run_check, seeds: seeds(), words: WORDS }
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = SCRIPTS.iter().map(|script| script.as_bytes().to_vec()).collect();
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{1:", "}"), ("not ", ""), ("lambda x: ", ""), ("-", ""), ("x if x else ", "")]
    {
        seeds.push(format!("x = {}1{}\n", open.repeat(90), close.repeat(90)).into_bytes());
    }
    seeds.push((0..60).map(|level| format!("{}if 1:\n", " ".repeat(level))).collect::<String>().into_bytes());
    seeds
}

fn run(data: &[u8]) {
    if let Err(failure) = parse("fuzz.star", data) {
        // The report is for a terminal or a log, and shows a line of the source at most.
        assert!(failure.report.len() <= 4096 + data.len() * 8, "a report of {} bytes", failure.report.len());
        assert!(!failure.message.is_empty());
    }
}

/// A script without files beside it.
struct Alone;

impl ScriptFiles for Alone {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        Err(format!("{path} is not there"))
    }
}

fn run_check(data: &[u8]) {
    const STACK_BYTES: usize = 256 << 20;
    let data = data.to_vec();
    let check = move || {
        let report = check(&Alone, "fuzz.star", &data);
        for found in &report.diagnostics {
            assert!(!found.message.is_empty(), "{}: without a word", found.code);
            assert!(!found.text().is_empty(), "{}: without a text", found.code);
        }
        assert!(!report.json().contains('\n'), "one line for each script");
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(check).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

const SCRIPTS: &[&str] = &[
    include_str!("../../scripts/create_user.star"),
    include_str!("../../scripts/hello.star"),
    include_str!("../../scripts/middleware.star"),
    include_str!("../../scripts/routes.star"),
    "load(\"a.star\", \"b\", c = \"d\")\ndef f(a: int, /, b = 1, *args, c: str | None = None, **kwargs) -> list[int]:\n    \"\"\"Doc.\"\"\"\n    for i, (j, k) in enumerate([(1, 2)]):\n        if i: continue\n        elif j: break\n        else: pass\n    return [x for x in args if x not in kwargs] + [{k: v for k, v in {}.items()}]\n",
    "x = f\"{a!r} {b + 1} {{\" + r'\\d' + b\"\\xff\" + '''a\nb'''\ny = 0x1f | 0o17 & ~1 ^ 2 << 3 >> 1 // 4 % 5 - -6 * 1.5e3\nz[1:2:3].a(*b, **c)[0] += 1\n",
];

const WORDS: &[&str] = &[
    "def ", "lambda ", "return ", "if ", "elif ", "else", "for ", " in ", "not ", " and ", " or ", "load(", "pass",
    "break", "continue", ":\n    ", "\n", "\t", "(", ")", "[", "]", "{", "}", "\"\"\"", "'''", "f\"{", "}\"", "r\"",
    "b\"", "\\x", "\\u", "\\U", "\\", "**", "*", "->", "//", "<<=", "==", "!=", "...", "#", ";", ",", "0x", "0o", "0b",
    "1e", "\r\n", "\u{feff}", "\0", "while ", "class ", "import ",
];
