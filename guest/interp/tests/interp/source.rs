//! Sources that would overflow the parser, and sources that are no text.

use super::common::prints;
use starcell_interp::testing::NativeHost;
use starcell_interp::{Failure, FailureKind, MAX_DEPTH, run};

/// Runs on a small stack, so that passing means the limits are tight enough, not that this thread had room.
fn on_small_stack(source: String) -> Result<(), Failure> {
    std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(move || run(&NativeHost::new(), "app.star", source.as_bytes()))
        .unwrap()
        .join()
        .unwrap()
}

const HUGE: usize = 200_000;

fn nested(open: &str, core: &str, close: &str, times: usize) -> String {
    format!("x = {}{core}{}\n", open.repeat(times), close.repeat(times))
}

#[test]
fn nesting_far_beyond_the_limit_is_a_syntax_error() {
    let indented = |line: &str| -> String { (0..1000).map(|n| format!("{}{line}\n", " ".repeat(n))).collect() };
    for (what, source) in [
        ("round", nested("(", "1", ")", HUGE)),
        ("unclosed", "(".repeat(HUGE)),
        ("square", nested("[", "1", "]", HUGE)),
        ("curly", nested("{1:", "1", "}", HUGE)),
        ("calls in calls", nested("f(", "1", ")", HUGE)),
        ("f-string", format!("x = f\"{{{}\"\n", "(".repeat(HUGE))),
        ("not", nested("not ", "1", "", HUGE)),
        ("minus", nested("-", "1", "", HUGE)),
        ("tilde", nested("~", "1", "", HUGE)),
        ("plus chain", nested("1 + ", "1", "", HUGE)),
        ("string chain", nested("\"a\" + \\\n", "\"\"", "", HUGE)),
        ("attributes", nested("", "x", ".a", HUGE)),
        ("calls", nested("", "x", "()", HUGE)),
        ("indexes", nested("", "x", "[0]", HUGE)),
        ("conditionals", nested("1 if 1 else ", "1", "", HUGE)),
        ("lambdas", nested("lambda: ", "1", "", HUGE)),
        ("lambdas with commas", nested("lambda a, b: ", "1", "", HUGE)),
        ("lambdas in defaults", nested("lambda a = lambda b: 1, c = 1: ", "1", "", HUGE)),
        ("and", nested("1 and ", "1", "", HUGE)),
        ("comprehensions", format!("x = [1 {}]\n", "for a in [] ".repeat(HUGE))),
        ("blocks", indented("if True:")),
        ("defs", indented("def f():")),
        ("left and up", format!("x = {}1{}\n", "(".repeat(90), " + 1 + 1 + 1 + 1)".repeat(90))),
        ("signs in brackets", nested("(- - - -", "1", ")", 90)),
        ("lambdas in brackets", nested("(lambda: ", "1", ")", 90)),
        ("signs after operators", format!("x = 1{}\n", " + -1 - -1".repeat(HUGE))),
        (
            "in a deep block",
            format!(
                "{}{}x = {}1{}\n",
                (0..50).map(|n| format!("{}if True:\n", " ".repeat(n))).collect::<String>(),
                " ".repeat(50),
                "(".repeat(90),
                " + 1)".repeat(90)
            ),
        ),
        ("elif", format!("if 1:\n  pass\n{}", "elif 1:\n  pass\n".repeat(HUGE))),
    ] {
        let failure = on_small_stack(source).expect_err(what);
        assert_eq!(failure.kind, FailureKind::Syntax, "{what}");
        assert!(failure.message.starts_with("nested or chained too deeply"), "{what}: {}", failure.message);
        assert!(failure.at.line >= 1 && failure.at.column >= 1, "{what}");
        assert!(failure.report.len() < 70_000, "{what}");
    }
}

#[test]
fn nesting_up_to_the_limit_works_on_a_small_stack() {
    let indented = |line: &str, times: usize| -> String {
        let lines = (0..times).map(|n| format!("{}{line}\n", " ".repeat(n)));
        lines.chain([format!("{}pass\n", " ".repeat(times))]).collect()
    };
    let brackets = MAX_DEPTH / 2 - 2;
    for (what, source) in [
        ("round", nested("(", "1", ")", brackets)),
        ("square", nested("[", "1", "]", brackets)),
        ("curly", nested("{1:", "1", "}", brackets)),
        ("calls in calls", nested("str(", "1", ")", brackets)),
        ("comprehensions", nested("[a for a in ", "[1]", "]", MAX_DEPTH / 4 - 3)),
        ("not", nested("not ", "1", "", MAX_DEPTH)),
        ("minus", nested("-", "1", "", MAX_DEPTH)),
        ("plus", nested("1 + ", "1", "", MAX_DEPTH)),
        ("conditionals", nested("1 if 1 else ", "1", "", MAX_DEPTH / 2)),
        ("lambdas", nested("lambda: ", "1", "", MAX_DEPTH / 5)),
        ("lambdas in brackets", nested("(lambda: ", "1", ")", MAX_DEPTH / 7)),
        ("methods", nested("", "\"\"", ".strip()", MAX_DEPTH / 3)),
        ("blocks", indented("if True:", MAX_DEPTH / 2)),
        ("defs", indented("def f():", MAX_DEPTH / 6)),
        ("elif", format!("if 0:\n  pass\n{}", "elif 0:\n  pass\n".repeat(MAX_DEPTH / 3 - 1))),
        ("left and up", format!("x = {}1{}\n", "(".repeat(48), " + 1 + 1 + 1 + 1)".repeat(48))),
    ] {
        if let Err(failure) = on_small_stack(source) {
            panic!("{what}: {}", failure.report);
        }
    }
}

#[test]
fn honest_scripts_are_not_bothered() {
    let rows: String = (0..5000).map(|n| format!("    {{\"id\": {n}, \"f\": lambda a, b: a.x + b[0]}},\n")).collect();
    let lines = "x = 1 + 2 - 3\n".repeat(5000);
    let ifs = "if True:\n    y = 1\nelif False:\n    y = 2\nelse:\n    y = 3\n".repeat(1000);
    let source = format!(
        "table = [\n{rows}]\n{lines}{ifs}s = \"{}\"  # {}\nprint(len(table))\n",
        "(".repeat(1000),
        "[".repeat(1000)
    );
    assert_eq!(prints(&source), ["5000"]);
}

#[test]
fn deep_recursion_fits_a_small_stack() {
    let source = "def f(n):\n    return max([n], key = lambda x: f(x + 1))\nf(0)\n";
    let failure = on_small_stack(source.to_owned()).unwrap_err();
    let expected = "call stack overflow: more than 200 nested calls, the limit that --call-depth sets";
    assert_eq!(failure.message, expected);
}

#[test]
fn recursion_through_builtins_that_catch_fits_too() {
    for retry in
        ["retry.do(lambda: f(n + 1), max_attempts = 1)", "retry.try_do(lambda: f(n + 1), max_attempts = 1).value"]
    {
        let source = format!("def f(n):\n    r = {retry}\n    if not r.ok:\n        fail(r.error)\nf(0)\n");
        let failure = on_small_stack(source).unwrap_err();
        assert!(failure.message.contains("call stack overflow"), "{}", failure.message);
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let nul = on_small_stack("x = 1\ny = \"a\0\"\n".to_owned()).unwrap_err();
    assert_eq!((nul.kind, nul.message.as_str()), (FailureKind::Syntax, "NUL byte in the script"));
    assert_eq!((nul.at.line, nul.at.column), (2, 7));
    let mark = on_small_stack("\u{feff}x = 1\n".to_owned()).unwrap_err();
    assert_eq!(mark.message, "the script begins with a byte order mark (U+FEFF), save it without one");
    assert_eq!((mark.kind, mark.at.line, mark.at.column), (FailureKind::Syntax, 1, 1));
    let large = on_small_stack("#".repeat(8 * 1024 * 1024 + 1)).unwrap_err();
    assert_eq!(large.message, "the script has more than 8388608 bytes");
    assert!(on_small_stack(String::new()).is_ok());
}
