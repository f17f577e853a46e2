//! The specification of Starlark: what a module that breaks its static rules is told, and laws of numbers and texts that
//! no list of examples holds. What evaluates is in the fixtures `spec_*.star`.

use num_bigint::BigInt;
use proptest::prelude::*;

use super::common::{failure, failure_on, prints};
use starcell_interp::FailureKind;
use starcell_interp::testing::NativeHost;

/// A module that does not get as far as being run, and words of the error.
const REFUSED: [(&str, &str); 44] = [
    // String escapes.
    (r#"x = "\x80""#, r"`\x80`: octal and hexadecimal escapes above 127 are for bytes, write `\u0080`"),
    (r#"x = "\377""#, r"`\377`: octal and hexadecimal escapes above 127 are for bytes, write `\u00ff`"),
    (r#"x = "\200""#, r"`\200`"),
    (r#"x = 'a\xFFb'"#, r"write `\u00ff`"),
    (r#"x = """\x80""""#, r"`\x80`"),
    (r#"x = f"\x80""#, r"`\x80`"),
    (r#"x = "\d""#, r#"invalid string escape sequence `\d`: write `\\` for a backslash, or a raw string, `r"...""#),
    (r#"x = f"{1}\d""#, r"`\d`"),
    (r#"x = '\w+'"#, r"`\w`"),
    (r#"x = """\ """"#, r"`\ `"),
    (r#"x = b"\d""#, r"`\d`"),
    (r#"x = b"\400""#, r"`\400`: a byte is 255 at most"),
    (r#"x = "\ud83d""#, r"`\ud83d`"),
    (r#"x = "\U00110000""#, r"`\U00110000`"),
    (r#"x = "\u12""#, r"invalid string escape sequence"),
    (r#"x = "\x4""#, r"invalid string escape sequence"),
    (r#"x = "abc"#, "unfinished string literal"),
    // Numbers.
    ("x = 1e400", "float literal is too large: `1e400`"),
    ("x = 0755", "leading 0"),
    ("x = 1_000", "identifier '_000'"),
    ("x = 0x", "identifier 'x'"),
    // Tuples.
    ("for k, v, in {}.items():\n    pass", "trailing comma"),
    ("x = 1, 2,", "trailing comma"),
    ("x = [a for a in 1, 2]", "unexpected symbol ','"),
    ("x = 1 < 2 < 3", "comparison"),
    // Statements.
    ("break", "`break` cannot be used outside of a `for` loop"),
    ("return 1", "`return` cannot be used outside of a `def` function"),
    ("def f(x, x):\n    pass", "duplicated parameter"),
    ("def f(x = 1, y):\n    pass", "positional parameter after non positional"),
    ("x = f(a = 1, a = 2)", "repeated named argument"),
    ("x = f(*[1], a = 2)", "named argument after *args"),
    ("def f():\n    load(\"a.star\", \"x\")", "`load` must only occur at the top of a module"),
    ("x, y += 1, 2", "cannot be a list or tuple"),
    ("[1, 2][0:1] = 3", "left-hand-side"),
    ("x: int", "expected assignment operator"),
    // Formats of f-strings.
    ("x = 1.5\ny = f\"{x:.2f}\"", "unsupported format specification `:.2f`"),
    ("x = 1.5\ny = f\"{x!r:>10}\"", "unsupported format specification `:>10`"),
    ("x = 1.5\ny = f\"a{x:5}b{x}\"", "fmt.sprintf"),
    // Lines of other languages and hosts.
    ("import json", "the module `json` is there without an import, so leave this line out"),
    ("x = 1\nfrom time import sleep", "the module `time` is there without an import"),
    ("def f():\n    import re\n", "the module `regexp` is there without an import"),
    ("import numpy as np", "load(\"file.star\", \"name\") binds a name of another file"),
    ("load(\"time.star\", \"time\")", "the module `time` is there without a load, so leave this line out"),
    ("load(\"@stdlib//json\", \"json\")", "the module `json` is there without a load, so leave this line out"),
];

#[test]
fn a_module_that_breaks_a_rule_is_refused_before_it_runs() {
    for (source, words) in REFUSED {
        let failure = failure(&format!("print('ran')\n{source}\n"));
        assert_eq!(failure.kind, FailureKind::Syntax, "{source}: {}", failure.report);
        let message = failure.message.to_lowercase();
        assert!(message.contains(&words.to_lowercase()), "{source}: {}", failure.message);
        assert!(failure.at.line > 1, "{source}: {:?}", failure.at);
    }
}

#[test]
fn a_loaded_name_is_bound_once() {
    let rebinding = [
        "x = 2",
        "def x():\n    pass",
        "x += 1",
        "x, y = 1, 2",
        "[(y, x)] = [(1, 2)]",
        "for x in [1]:\n    pass",
        "for y, (x, z) in []:\n    pass",
        "if True:\n    x = 1",
        "if False:\n    pass\nelse:\n    for y in []:\n        x = y",
        "x: int = 1",
        "load(\"l.star\", \"x\")",
        "load(\"l.star\", x = \"y\")",
    ];
    let mut host = NativeHost::new();
    host.sources.insert("l.star".to_owned(), b"x = [1]\ny = [2]\n".to_vec());
    for statement in rebinding {
        for source in
            [format!("load(\"l.star\", \"x\")\n{statement}\n"), format!("{statement}\nload(\"l.star\", \"x\")\n")]
        {
            let failure = failure_on(&host, &source);
            assert_eq!(failure.kind, FailureKind::Syntax, "{source}: {}", failure.report);
            assert!(failure.message.contains("`x`"), "{source}: {}", failure.message);
            assert!(failure.message.contains("load"), "{source}: {}", failure.message);
        }
    }
    let twice = failure_on(&host, "load(\"l.star\", \"x\", x = \"y\")\n");
    assert!(twice.message.contains("another `load`"), "{}", twice.message);
}

#[test]
fn what_only_looks_like_rebinding_is_fine() {
    let source = "\
load(\"l.star\", \"x\", z = \"y\")
def f(x):
    z = x
    return z
w = [x for x in [5]] + x
d = {}
d[\"x\"] = struct(x = 1).x
y = f(x = 2)
print(x, z, w, y, (lambda x: x)(3), d)
";
    let mut host = NativeHost::new();
    host.sources.insert("l.star".to_owned(), b"x = [1]\ny = [2]\n".to_vec());
    assert_eq!(super::common::prints_on(&host, source), ["[1] [2] [5, 1] 2 3 {\"x\": 1}"]);
}

#[test]
fn int_reads_what_the_grammar_of_numbers_has() {
    let read = r#"
print(int("21"), int("-21"), int("+21"), int("007"), int("1234", 16), int("0x1234", 16), int("0X1234", 0), int("0b0", 16))
print(int("0b111", 0), int("0o17", 0), int("-0x10", 0), int("0", 0), int("00", 0), int("12", 0), int("zz", 36), int("0o7", 8))
print(int("11", base = 2), int("0B11", 2), int("-" + "9" * 30), int(" 1".strip()))
"#;
    assert_eq!(
        prints(read),
        ["21 -21 21 7 4660 4660 4660 176", "7 15 -16 0 0 12 1295 7", "3 3 -999999999999999999999999999999 1"]
    );
    for call in [
        r#"int("0x12")"#,
        r#"int("0b1")"#,
        r#"int("0o7")"#,
        r#"int("1_000")"#,
        r#"int("1_0", 0)"#,
        r#"int(" 1")"#,
        r#"int("1 ")"#,
        r#"int("")"#,
        r#"int("-")"#,
        r#"int("+-1")"#,
        r#"int("--1")"#,
        r#"int("0x-1", 16)"#,
        r#"int("0x", 16)"#,
        r#"int("0x", 0)"#,
        r#"int("0123", 0)"#,
        r#"int("-01", 0)"#,
        r#"int("1.0")"#,
        r#"int("1e3")"#,
        r#"int("12a")"#,
        r#"int("2", 2)"#,
        r#"int("0x1", 8)"#,
        r#"int("0b1", 8)"#,
        r#"int("٣")"#,
        r#"int("0x_1", 16)"#,
        r#"int("1", 1)"#,
        r#"int("1", 37)"#,
        r#"int("1", -2)"#,
        r#"int(1, 10)"#,
        r#"int(float("nan"))"#,
        "int([])",
    ] {
        let failure = failure(&format!("x = {call}"));
        assert_eq!(failure.kind, FailureKind::Script, "{call}: {}", failure.report);
    }
    assert!(failure("int(\"0x12\")").message.contains("Cannot parse `0x12` as an integer in base 10"));
    assert!(failure("int(float(\"inf\"))").message.contains("`+inf`"));
}

#[test]
fn a_module_that_is_used_as_a_function_says_what_it_is() {
    for module in ["json", "hash", "time", "http", "math", "fs"] {
        let called = failure(&format!("x = {module}(\"x\")")).message;
        let words = format!("`{module}` is a module, which cannot be called");
        assert!(called.contains(&words) && called.contains(&format!("`{module}.")), "{called}");
    }
    assert!(failure("j = json\nj()").message.contains("`json` is a module"));
    assert_eq!(failure("json.dump").message, "The module `json` has no `dump`");
    assert_eq!(failure("json.decod").message, "The module `json` has no `decod`, did you mean `decode`?");
    assert_eq!(
        failure("def f():\n    return time.sleeep(1)\nf()").message,
        "The module `time` has no `sleeep`, did you mean `sleep`?"
    );
    assert_eq!(failure("getattr(json, \"dump\")").message, "The module `json` has no `dump`");
    // What a function inside raises is not about the module.
    assert!(!failure("json.decode(\"[\")").message.contains("is a module"));
}

#[test]
fn a_name_is_suggested_only_if_it_is_near() {
    for (name, suggestion) in [
        ("pritn", Some("print")),
        ("lenn", Some("len")),
        ("sortd", Some("sorted")),
        ("jsn", Some("json")),
        ("true", Some("True")),
        ("enumarate", Some("enumerate")),
        ("opendir", None),
        ("qux", None),
        ("skipp", None),
    ] {
        let message = failure(&format!("def f():\n    return {name}\n")).message;
        match suggestion {
            Some(near) => {
                assert!(message.ends_with(&format!("`{name}` not found, did you mean `{near}`?")), "{message}")
            }
            None => assert!(message.ends_with(&format!("`{name}` not found")), "{message}"),
        }
    }
}

/// A float by its bits: all of them, and more of those where something changes.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<u64>().prop_map(f64::from_bits),
        1 => (0_u64..1 << 52).prop_map(f64::from_bits),
        2 => (any::<i64>(), 0_u32..60).prop_map(|(digits, shift)| (digits >> shift) as f64 / 100.0),
        1 => (any::<i64>(), 0_u32..60).prop_map(|(n, shift)| (n >> shift) as f64),
        1 => (-1100_i32..1024).prop_map(|e| 2.0_f64.powi(e)),
    ]
}

/// An int near a float or anywhere, as the source writes it.
fn ints() -> impl Strategy<Value = BigInt> {
    prop_oneof![
        (any::<i128>(), 0_u32..127).prop_map(|(n, shift)| BigInt::from(n >> shift)),
        (0_u32..1100, -2_i64..3, any::<bool>()).prop_map(|(shift, near, negative)| {
            let n = (BigInt::from(1) << shift) + near;
            if negative { -n } else { n }
        }),
    ]
}

/// How a float is written so that it is read exactly: a fraction of two ints times a power of two.
fn literal(f: f64) -> String {
    match f {
        f if f.is_nan() => "float(\"nan\")".to_owned(),
        f if f.is_infinite() => format!("float(\"{}inf\")", if f < 0.0 { "-" } else { "+" }),
        // Rust's own shortest digits.
        f => format!("{f:e}"),
    }
}

/// The exact order of an int and a finite float: both times 2^1074, which makes every float an int.
fn exact(int: &BigInt, f: f64) -> std::cmp::Ordering {
    let bits = f.to_bits();
    let exponent = u32::try_from(bits >> 52 & 0x7ff).unwrap();
    let fraction = bits & ((1 << 52) - 1);
    let (mantissa, shift) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
    let scaled = BigInt::from(mantissa) << shift;
    (int << 1074_u32).cmp(&if f.is_sign_negative() { -scaled } else { scaled })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_text_of_a_float_reads_back(floats in prop::collection::vec(floats(), 40)) {
        let list = floats.iter().map(|f| literal(*f)).collect::<Vec<_>>().join(", ");
        let source = format!("for f in [{list}]:\n    print(str(f), \"%g\" % f, \"{{}}\".format(f), f\"{{f}}\", [f], float(str(f)) == f)\n");
        for (f, line) in floats.iter().zip(prints(&source)) {
            let words: Vec<&str> = line.split(' ').collect();
            let text = words[0];
            prop_assert_eq!(text.parse::<f64>().unwrap().to_bits() == f.to_bits() || f.is_nan(), true, "{} {}", f, line);
            prop_assert!(words[1..4].iter().all(|word| *word == text) && words[4] == format!("[{text}]"), "{}", line);
            prop_assert_eq!(words[5], "True", "{}", line);
            prop_assert!(text.contains(['.', 'e', 'n']), "{} looks like an int", text);
            // No shorter digits read back: Rust's shortest have as many.
            let digits = |text: &str| text.split('e').next().unwrap().chars().filter(char::is_ascii_digit).collect::<String>();
            let fewest = digits(&format!("{f:e}")).trim_end_matches('0').len();
            prop_assert_eq!(digits(text).trim_matches('0').len().max(1), fewest.max(1), "{}", text);
        }
    }

    #[test]
    fn ints_and_floats_compare_exactly(pairs in prop::collection::vec((ints(), floats()), 30)) {
        // Each int with a float of its own and with the floats nearest to it.
        let near = |int: &BigInt| int.to_string().parse::<f64>().unwrap();
        let pairs: Vec<_> = pairs.into_iter().flat_map(|(int, f)| [(int.clone(), f), (int.clone(), near(&int)), (int.clone(), near(&int).next_up())]).collect();
        let list = pairs.iter().map(|(int, f)| format!("({int}, {})", literal(*f))).collect::<Vec<_>>().join(", ");
        let source = format!("for i, f in [{list}]:\n    print(i < f, i == f, i > f, f > i, f == i, f < i, i <= f, f <= i, i != f, i in [f], [i] == [f], sorted([i, f])[0] == i, hash_equal(i, f))\n");
        let source = format!("def hash_equal(i, f):\n    return ({{i: 0}}.get(f) == 0) == (i == f)\n{source}");
        for ((int, f), line) in pairs.iter().zip(prints(&source)) {
            let order = match f {
                f if f.is_nan() || *f == f64::INFINITY => std::cmp::Ordering::Less,
                f if *f == f64::NEG_INFINITY => std::cmp::Ordering::Greater,
                f => exact(int, *f),
            };
            let (less, equal, greater) = (order.is_lt(), order.is_eq(), order.is_gt());
            let expected = [less, equal, greater, less, equal, greater, !greater, !less, !equal, equal, equal, !greater, true];
            let expected = expected.map(|b| if b { "True" } else { "False" }).join(" ");
            prop_assert_eq!(&line, &expected, "{} and {}", int, f);
        }
    }

    #[test]
    fn ints_become_the_nearest_float(ints in prop::collection::vec(ints(), 40)) {
        let ints: Vec<_> = ints.into_iter().filter(|int| int.bits() < 1024).collect();
        let list = ints.iter().map(BigInt::to_string).collect::<Vec<_>>().join(", ");
        for (int, line) in ints.iter().zip(prints(&format!("for i in [{list}]:\n    print(float(i), i * 1.0, i + 0.0, i - 0.0, i / 1)\n"))) {
            let nearest = int.to_string().parse::<f64>().unwrap();
            for text in line.split(' ') {
                prop_assert_eq!(text.parse::<f64>().unwrap(), nearest, "{}", int);
            }
        }
    }

    #[test]
    fn floats_are_formatted_as_the_ints_they_truncate_to(floats in prop::collection::vec(floats(), 40)) {
        let floats: Vec<_> = floats.into_iter().filter(|f| f.is_finite()).collect();
        let list = floats.iter().map(|f| literal(*f)).collect::<Vec<_>>().join(", ");
        let source = format!("for f in [{list}]:\n    print(\"%d %i %x %X %o\" % (f, f, f, f, f), \"%d %i %x %X %o\" % (int(f), int(f), int(f), int(f), int(f)), sep = \"|\")\n    print(\"%e %f\" % (f, f))\n");
        let lines = prints(&source);
        for (f, lines) in floats.iter().zip(lines.chunks(2)) {
            let (as_float, as_int) = lines[0].split_once('|').unwrap();
            prop_assert_eq!(as_float, as_int, "{}", f);
            let truncated: BigInt = format!("{:.0}", f.trunc()).parse().unwrap();
            prop_assert_eq!(as_int, format!("{truncated} {truncated} {truncated:x} {truncated:X} {truncated:o}"), "{}", f);
            let (e, decimal) = lines[1].split_once(' ').unwrap();
            prop_assert_eq!(decimal, format!("{f:.6}"));
            let (digits, exponent) = e.split_once('e').unwrap();
            let expected = format!("{f:.6e}");
            let (expected_digits, expected_exponent) = expected.split_once('e').unwrap();
            prop_assert_eq!((digits, exponent.parse::<i32>().unwrap()), (expected_digits, expected_exponent.parse().unwrap()));
            prop_assert!(exponent.len() >= 3 && exponent.starts_with(['+', '-']), "{}", e);
        }
    }

    #[test]
    fn the_repr_of_a_text_is_a_literal_of_it(texts in prop::collection::vec(any::<String>(), 20), bytes in prop::collection::vec(any::<Vec<u8>>(), 20)) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let lists = |name: &str, items: Vec<String>| format!("{name} = [{}]\n", items.join(", "));
        let written = lists("T", texts.iter().map(|text| format!("str(b\"{}\")", hex(text.as_bytes()))).collect())
            + &lists("B", bytes.iter().map(|bytes| format!("b\"{}\"", hex(bytes))).collect());
        let reprs = prints(&format!("{written}print(repr(T))\nprint(repr(B))\n"));
        let same = prints(&format!("{written}print(T == {}, B == {})\n", reprs[0], reprs[1]));
        prop_assert_eq!(same, ["True True"]);
    }

    #[test]
    fn a_shift_is_a_product(ints in prop::collection::vec((ints(), 0_u32..200), 40)) {
        let list = ints.iter().map(|(int, by)| format!("({int}, {by})")).collect::<Vec<_>>().join(", ");
        for ((int, by), line) in ints.iter().zip(prints(&format!("for i, n in [{list}]:\n    x = i\n    x <<= n\n    print(i << n, x, x >> n == i)\n"))) {
            let shifted = int << *by;
            prop_assert_eq!(line, format!("{shifted} {shifted} True"));
        }
    }
}
