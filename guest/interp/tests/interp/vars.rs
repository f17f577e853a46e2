//! `vars` and `args`: what the operator gives a script.

use super::common::{Deployed, failure_on, prints_on, request, text};
use starcell_interp::testing::NativeHost;
use starcell_interp::{Conditions, Setting, Suite, Variable, interact};

fn text_variable(name: &str, value: &str) -> Variable {
    Variable { name: name.to_owned(), setting: Setting::Text(value.to_owned()), origin: "--var".to_owned() }
}

fn json_variable(name: &str, value: &str) -> Variable {
    Variable { name: name.to_owned(), setting: Setting::Json(value.to_owned()), origin: "app.toml".to_owned() }
}

fn given(variables: Vec<Variable>, environment: &[(&str, &str)]) -> NativeHost {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    NativeHost::under(Conditions { variables, environment, ..Conditions::default() })
}

fn arguments(arguments: &[&str]) -> NativeHost {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    NativeHost::under(Conditions { arguments, ..Conditions::default() })
}

/// What an expression prints where these variables are given.
fn shown(variable: Variable, expression: &str) -> String {
    prints_on(&given(vec![variable], &[]), &format!("print(repr({expression}))")).concat()
}

#[test]
fn without_a_value_there_is_the_default() {
    let host = NativeHost::new();
    let source = r#"
print([var_str("a"), var_int("a"), var_bool("a"), var_float("a"), var_list("a"), var_dict("a"), var_names()])
print([vars.var_str("a", "x"), vars.var_int("a", -(1 << 70)), vars.var_bool("a", True), vars.var_float("a", 2)])
print([var_list("a", [1]), var_dict("a", default = {"k": 2}), var_str("a", None), var_int(name = "a", default = None)])
"#;
    assert_eq!(
        prints_on(&host, source),
        [
            r#"["", 0, False, 0.0, [], {}, []]"#,
            r#"["x", -1180591620717411303424, True, 2.0]"#,
            r#"[[1], {"k": 2}, "", 0]"#
        ]
    );
}

#[test]
fn a_text_is_read_as_the_type_that_is_asked_for() {
    for (value, expression, expected) in [
        ("", "var_str('v', 'default')", "\"\""),
        ("8080", "var_str('v')", "\"8080\""),
        ("8080", "var_int('v')", "8080"),
        ("+7", "var_int('v')", "7"),
        ("-0012", "var_int('v')", "-12"),
        ("123456789012345678901234567890", "var_int('v')", "123456789012345678901234567890"),
        ("true", "var_bool('v')", "True"),
        ("1", "var_bool('v')", "True"),
        ("false", "var_bool('v', True)", "False"),
        ("0", "var_bool('v', True)", "False"),
        ("2.5e3", "var_float('v')", "2500.0"),
        ("3", "var_float('v')", "3.0"),
        ("[1, \"a\", null]", "var_list('v')", "[1, \"a\", None]"),
        ("{\"b\": 1, \"a\": [2]}", "var_dict('v')", "{\"b\": 1, \"a\": [2]}"),
    ] {
        assert_eq!(shown(text_variable("v", value), expression), expected, "{value}");
    }
}

#[test]
fn a_value_of_a_file_has_its_type() {
    for (value, expression, expected) in [
        ("\"a\"", "var_str('v')", "\"a\""),
        ("5", "var_int('v')", "5"),
        ("5", "var_float('v')", "5.0"),
        ("0.25", "var_float('v')", "0.25"),
        ("true", "var_bool('v')", "True"),
        ("0", "var_bool('v')", "False"),
        ("[1,2]", "var_list('v')", "[1, 2]"),
        ("{\"host\":\"x\"}", "var_dict('v')", "{\"host\": \"x\"}"),
        ("\"12\"", "var_int('v')", "12"),
    ] {
        assert_eq!(shown(json_variable("v", value), expression), expected, "{value}");
    }
}

#[test]
fn a_value_of_another_type_is_an_error_that_names_both() {
    for (variable, expression, expected) in [
        (
            text_variable("port", "http"),
            "var_int",
            "vars.var_int: the variable \"port\" must be an int, got \"http\" from --var",
        ),
        (text_variable("n", "1.0"), "var_int", "must be an int, got \"1.0\""),
        (text_variable("n", "0x10"), "var_int", "must be an int, got \"0x10\""),
        (text_variable("n", "1_000"), "var_int", "must be an int, got \"1_000\""),
        (text_variable("n", " 1"), "var_int", "must be an int, got \" 1\""),
        (text_variable("n", ""), "var_int", "must be an int, got \"\""),
        (text_variable("n", "yes"), "var_bool", "must be true, false, 1 or 0, got \"yes\""),
        (text_variable("n", "True"), "var_bool", "must be true, false, 1 or 0, got \"True\""),
        (text_variable("n", "1e999"), "var_float", "must be a finite number, got \"1e999\""),
        (text_variable("n", "nan"), "var_float", "must be a finite number, got \"nan\""),
        (text_variable("n", "a,b"), "var_list", "must be a list, in JSON such as [\"a\", \"b\"], got \"a,b\""),
        (text_variable("n", "{}"), "var_list", "must be a list"),
        (text_variable("n", "[]"), "var_dict", "must be a dict, in JSON such as {\"a\": 1}, got \"[]\""),
        (json_variable("n", "5"), "var_str", "the variable \"n\" must be a str, got 5 from app.toml"),
        (json_variable("n", "1.5"), "var_int", "must be an int, got 1.5"),
        (json_variable("n", "true"), "var_int", "must be an int, got true"),
        (json_variable("n", "2"), "var_bool", "must be true, false, 1 or 0, got 2"),
        (json_variable("n", "\"x\""), "var_list", "must be a list"),
        (json_variable("n", "[]"), "var_float", "must be a finite number, got []"),
    ] {
        let call = format!("{expression}({:?})", variable.name);
        let message = failure_on(&given(vec![variable.clone()], &[]), &call).message;
        assert!(message.contains(expected), "{call}: {message}");
        // A wrong value is caught as one, and a default does not stand in for it.
        let caught = format!("print(vars.try_{expression}({:?}).ok)", variable.name);
        assert_eq!(prints_on(&given(vec![variable], &[]), &caught), ["False"]);
    }
    for call in ["var_int('a', 'x')", "var_list('a', 1)", "var_dict('a', [])", "var_str('a', 1)", "var_str('')"] {
        assert!(failure_on(&NativeHost::new(), call).message.contains(" must be "), "{call}");
    }
}

#[test]
fn the_environment_comes_last_and_only_what_is_meant_for_scripts() {
    let environment = [("STARCELL_VAR_PORT", "9"), ("STARCELL_VAR_DB_HOST", "e"), ("STARCELL_VAR_DEBUG", "1")];
    let host = given(vec![text_variable("port", "1"), text_variable("db.port", "2")], &environment);
    let source =
        "print([var_int('port'), var_str('db.host'), var_str('db-host'), var_bool('debug')])\nprint(vars.names())";
    let printed = prints_on(&host, source);
    assert_eq!(printed, ["[1, \"e\", \"e\", True]", r#"["db.port", "db_host", "debug", "port"]"#]);
    let message = failure_on(&host, "var_int('db.host')").message;
    assert!(message.ends_with("must be an int, got \"e\" from STARCELL_VAR_DB_HOST"), "{message}");
    let mut host = given(vec![], &environment);
    host.programs.environment.insert("PATH".to_owned(), "/bin".to_owned());
    let read = "print([var_str(n) for n in ['PATH', 'path', '../PATH', 'STARCELL_VAR_PORT', '']  if n])";
    assert_eq!(prints_on(&host, read), [r#"["", "", "", ""]"#]);
}

#[test]
fn handlers_tests_sessions_and_loaded_files_read_the_same() {
    let mut host = given(vec![text_variable("greeting", "hi")], &[]);
    host.sources.insert("lib.star".to_owned(), b"word = var_str('greeting')".to_vec());
    host.conditions.arguments = vec!["x".to_owned()];
    host.tool.inputs.borrow_mut().push_back("print(var_str('greeting'), args)".to_owned());
    interact(&host).unwrap();
    let suite =
        Suite::collect(&host, "a_test.star", b"def test_a():\n    print('test', var_str('greeting'), args)").unwrap();
    suite.run(&host, "test_a").unwrap();
    let source = "load('lib.star', 'word')\nprint(word)\n\
                  http.serve({'GET /': lambda req: [var_str('greeting'), args]}, port = 0)\n";
    let deployed = Deployed::on(host, source);
    assert_eq!(text(&deployed.call(0, request("GET", "/")).unwrap()), r#"["hi",["x"]]"#);
    assert_eq!(deployed.host.prints(), [r#"hi ["x"]"#, r#"test hi ["x"]"#, "hi"]);
}

#[test]
fn arguments_are_a_list_of_texts_that_cannot_be_changed() {
    let source = "def first():\n    return args[0] if args else 'none'\nprint(args, type(args), len(args), first())";
    assert_eq!(prints_on(&NativeHost::new(), source), ["[] list 0 none"]);
    let printed = prints_on(&arguments(&["--port", "", "a b", "é"]), source);
    assert_eq!(printed, [r#"["--port", "", "a b", "é"] list 4 --port"#]);
    for change in ["args.append('x')", "args[0] = 'x'", "args.clear()"] {
        let message = failure_on(&arguments(&["a"]), change).message;
        assert!(message.contains("Immutable") || message.contains("frozen"), "{change}: {message}");
    }
    assert!(!failure_on(&NativeHost::new(), "args.append('x')").message.is_empty());
    // The name is the script's to use for something else.
    assert_eq!(
        prints_on(&arguments(&["a"]), "args = 5\nprint(args)\ndef f(args):\n    return args\nprint(f(6))"),
        ["5", "6"]
    );
}
