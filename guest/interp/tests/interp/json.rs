//! `json.encode` and `json.decode`.

use super::common::{failure, prints};

fn one(expression: &str) -> String {
    let lines = prints(&format!("print({expression})"));
    assert_eq!(lines.len(), 1);
    lines[0].clone()
}

#[test]
fn encodes() {
    for (value, json) in [
        ("None", "null"),
        ("[True, False]", "[true,false]"),
        ("1", "1"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("1 << 200", "1606938044258990275541962092341162602522202993782792835301376"),
        ("1.0", "1.0"),
        ("0.1", "0.1"),
        ("1e100", "1e100"),
        ("-0.0", "-0.0"),
        ("\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u2028\u{e9}</x>\"", "\"a\\\"b\\\\c\\n\\t\\r\\u0001\u{2028}\u{e9}</x>\""),
        ("(1, (2,))", "[1,[2]]"),
        ("{\"b\": 1, \"a\": {}}", "{\"b\":1,\"a\":{}}"),
        ("struct(x = 1, y = [])", "{\"x\":1,\"y\":[]}"),
        ("[]", "[]"),
    ] {
        assert_eq!(one(&format!("json.encode({value})")), json);
    }
}

#[test]
fn indents() {
    let spaces = one("json.encode({\"a\": [1, {}], \"b\": []}, indent = 2)");
    assert_eq!(spaces, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
    assert_eq!(one("json.encode([1], indent = \"\\t\")"), "[\n\t1\n]");
    assert_eq!(one("json.encode([1], indent = None)"), "[1]");
    for wrong in ["-1", "17", "\"x\"", "True", "1.0"] {
        let message = failure(&format!("json.encode(1, indent = {wrong})")).message;
        assert!(message.starts_with("json.encode: indent must be None, an int from 0 to 16"), "{message}");
    }
}

#[test]
fn encode_errors_name_the_path() {
    for (value, error) in [
        (
            "{\"users\": [1, 2, {\"name\": b\"x\"}]}",
            "$.users[2].name: JSON has no bytes; decode them to text first, as with str(b)",
        ),
        ("{\"a b\": {\"c\": {1: 2}}}", "$[\"a b\"].c: a key must be a str, got 1 (int)"),
        ("[float(\"nan\")]", "$[0]: JSON has no NaN"),
        ("[float(\"-inf\")]", "$[0]: JSON has no -inf"),
        ("set([1])", "$: JSON has no set; use list(..)"),
        ("len", "$: JSON has no value of type function"),
    ] {
        assert_eq!(failure(&format!("json.encode({value})")).message, format!("json.encode: {error}"));
    }
}

#[test]
fn a_list_in_itself_is_an_error() {
    let message = failure("x = []\nx.append(x)\njson.encode(x)").message;
    assert!(message.ends_with(": nested more than 500 deep"), "{message}");
    assert!(message.len() < 400);
}

#[test]
fn decodes() {
    for (json, value) in [
        ("null", "None"),
        (" [true, false] ", "[True, False]"),
        ("0", "0"),
        ("-0", "0"),
        ("2147483648", "2147483648"),
        ("18446744073709551616", "18446744073709551616"),
        ("-123456789012345678901234567890", "-123456789012345678901234567890"),
        ("1.0", "1.0"),
        ("1e2", "100.0"),
        ("\\\"\\\\u00e9\\\\n\\\"", "\u{e9}\n"),
        ("{\\\"b\\\": 1, \\\"a\\\": 2}", "{\"b\": 1, \"a\": 2}"),
        ("{\\\"a\\\": 1, \\\"b\\\": 2, \\\"a\\\": 3}", "{\"a\": 3, \"b\": 2}"),
    ] {
        assert_eq!(one(&format!("json.decode(\"{json}\")")), value, "{json}");
    }
    assert_eq!(one("json.decode(b\"[1]\")"), "[1]");
    assert_eq!(one("type(json.decode(\"1.0\")), type(json.decode(\"1\"))"), "float int");
}

#[test]
fn the_private_number_key_is_only_a_key() {
    let key = "$serde_json::private::Number";
    for (document, value) in [
        (format!("{{\"{key}\": \"12\"}}"), format!("{{\"{key}\": \"12\"}}")),
        (format!("{{\"{key}\": \"1\\u0032\"}}"), format!("{{\"{key}\": \"12\"}}")),
        (format!("{{\"{key}\": 7, \"a\": 1}}"), format!("{{\"{key}\": 7, \"a\": 1}}")),
        (format!("{{\"{key}\": null}}"), format!("{{\"{key}\": None}}")),
        (
            format!("{{\"{key}\": [true, {{\"{key}\": \"x\"}}]}}"),
            format!("{{\"{key}\": [True, {{\"{key}\": \"x\"}}]}}"),
        ),
        (format!("{{\"a\": 1, \"{key}\": \"12\"}}"), format!("{{\"a\": 1, \"{key}\": \"12\"}}")),
    ] {
        assert_eq!(one(&format!("json.decode({document:?})")), value, "{document}");
    }
}

#[test]
fn decode_errors_have_line_and_column() {
    for (json, error) in [
        ("", "line 1, column 1: EOF while parsing a value"),
        ("{\\\"a\\\": tru}", "line 1, column 10: expected ident"),
        ("[1,\\n 2,\\n x]", "line 3, column 2: expected value"),
        ("[1] 2", "line 1, column 5: trailing characters"),
        ("[\\\"\u{e9}\u{e9}\\\" x]", "line 1, column 7: expected `,` or `]`"),
        ("01", "line 1, column 2: invalid number"),
        ("1e999", "line 1, column 5: number out of range"),
        ("\\\"\\n\\\"", "line 2, column 1: control character (\\\\u0000-\\\\u001F) found while parsing a string"),
        ("NaN", "line 1, column 1: expected value"),
    ] {
        let message = failure(&format!("json.decode(\"{json}\")")).message;
        assert_eq!(message, format!("json.decode: {error}").replace("\\\\u", "\\u"), "{json}");
    }
    assert_eq!(failure("json.decode(b\"[\\xff]\")").message, "json.decode: line 1, column 2: not UTF-8");
    assert_eq!(failure("json.decode(1)").message, "json.decode: text must be str or bytes, got 1 (int)");
    assert_eq!(failure("json.decode()").message, "json.decode: missing argument text");
    assert_eq!(
        failure("json.decode(\"1\", defualt = 1)").message,
        "json.decode: unknown argument defualt, accepted: text, default"
    );
}

#[test]
fn a_default_answers_for_what_is_not_json() {
    assert_eq!(one("json.decode(\"{\", default = 5), json.decode(\"{\", None), json.decode(\"1\", 2)"), "5 None 1");
}

#[test]
fn hostile_documents_are_errors() {
    let deep = failure("json.decode(\"[\" * 100000)").message;
    assert_eq!(deep, "json.decode: line 1, column 128: nested more than 127 deep");
    let digits = failure("json.decode(\"1\" * 1000000)").message;
    assert!(digits.contains("an int of more than 4300 digits"), "{digits}");
}

#[test]
fn what_goes_out_comes_back() {
    let source = r#"
value = {"z": [1, 1.5, None, True, "x\u0000\"", {}, []], "a": {"b": 1 << 100, "c": -0.5}}
print(json.decode(json.encode(value)) == value, json.encode(json.decode(json.encode(value))) == json.encode(value))
"#;
    assert_eq!(prints(source), ["True True"]);
}
