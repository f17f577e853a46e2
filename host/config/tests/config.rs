//! The configuration file: what it means, and where each mistake in it is.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use starcell_config::{Config, schema};
use starcell_policy::{Profile, Rule};

const GOOD: &str = r#"
default_profile = "web"

[profiles.base]
base = "allow-fs"
deny = ["fs.read(/etc/**)"]

[profiles.web]
base = "base"
allow = [
    "http.client(https://api.example.com)",
    'os.env(APP_*)',
]

[profiles.empty]
"#;

fn mistake(text: &str) -> String {
    Config::parse(text, "starcell.toml").unwrap_err().to_string()
}

#[test]
fn profiles_stand_on_each_other_and_on_the_ladder() {
    let config = Config::parse(GOOD, "starcell.toml").unwrap();
    let web = config.profile("web").unwrap();
    assert_eq!(config.default_profile(), web);
    let lineage: Vec<_> = web.lineage().into_iter().map(Profile::name).collect();
    assert_eq!(lineage, ["deny-all", "allow-fs", "base", "web"]);
    let rules: Vec<_> = web.allow().iter().map(Rule::to_string).collect();
    assert_eq!(rules, ["http.client(https://api.example.com)", "os.env(APP_*)"]);
    assert_eq!(config.profile("empty").unwrap().base(), Some(&Profile::deny_all()));
    assert_eq!(config.profile("allow-net").unwrap(), Profile::named("allow-net").unwrap());
    assert_eq!(config.profiles().count(), 3);
    assert_eq!(config.known().count(), 8);
}

#[test]
fn the_default_profile_is_the_named_one_or_default_or_nothing() {
    let default = |text: &str| Config::parse(text, "c").unwrap().default_profile().name().to_owned();
    assert_eq!(default(""), "deny-all");
    assert_eq!(default("[profiles.mine]"), "deny-all");
    assert_eq!(default("[profiles.default]"), "default");
    assert_eq!(default("default_profile = \"allow-fs\"\n[profiles.default]"), "allow-fs");
    let unknown = Config::default().profile("default").unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "unknown profile \"default\"; known are deny-all, allow-fs, allow-net, allow-local, allow-all"
    );
    let unknown = Config::parse(GOOD, "c").unwrap().profile("alow-fs").unwrap_err();
    assert!(unknown.to_string().ends_with(", base, empty, web; did you mean `allow-fs`?"), "{unknown}");
}

#[test]
fn every_mistake_has_its_place() {
    for (text, told) in [
        ("profile = 1", "1:1: unknown key `profile`, expected `default_profile` or `profiles`; did you mean"),
        (
            "\n[profiles.a]\nalow = []",
            "3:1: unknown key `alow`, expected `base`, `allow` or `deny`; did you mean `allow`?",
        ),
        ("[profiles.a]\nmode = 1", "2:1: unknown key `mode`, expected `base`, `allow` or `deny`"),
        ("[profiles.a]\nallow = \"fs.read\"", "2:9: invalid type: string \"fs.read\", expected a sequence"),
        ("[profiles.a]\nbase = 7", "2:8: invalid type: integer `7`, expected a string"),
        (
            "[profiles.a]\nallow = [\"fs.read\", \"fs.raed\"]",
            "2:25: bad rule: unknown category `raed` of module `fs`; did you mean `read`?",
        ),
        ("[profiles.a]\nallow = [\"fss.read\"]", "2:11: bad rule: unknown module `fss`; did you mean `fs`?"),
        (
            "[profiles.a]\nallow = [\n  'k8s.read[gte]',\n]",
            "3:13: bad rule: unknown function `gte`; did you mean `get`?",
        ),
        ("[profiles.a]\ndeny = [\"é\", \"fs.read(a/b)\"]", "2:10: bad rule: expected a module or `*`, found `é`"),
        ("[profiles.a]\ndeny = [\"fs.read(/é)\", \"fs.read(a/b)\"]", "2:33: bad rule: expected `/`, `$CWD` or `$HOME`"),
        // An escape moves what comes after it, so the string itself is named.
        ("[profiles.a]\nallow = [\"fs\\u002eraed\"]", "2:10: bad rule: unknown category `raed`"),
        ("[profiles.a]\nallow = [\"\"\"\nfs.raed\"\"\"]", "2:10: bad rule: unknown category `raed`"),
        (
            "[profiles.a]\nbase = \"allow-nte\"",
            "2:8: unknown profile \"allow-nte\"; known are deny-all, allow-fs, allow-net, allow-local, allow-all, a; did you mean `allow-net`?",
        ),
        ("default_profile = \"wbe\"\n[profiles.web]", "1:19: unknown profile \"wbe\""),
        ("default_profile = \"default\"", "1:19: unknown profile \"default\""),
        ("[profiles.allow-all]", "1:11: the profile allow-all is built in and cannot be defined again"),
        ("[profiles.a]\n[profiles.\"b c\"]", "2:11: bad profile name \"b c\""),
        ("[profiles.a]\nbase = \"B\"\n[profiles.B]", "3:11: bad profile name \"B\""),
        ("[profiles.a]\nbase = \"a\"", "2:8: the profile \"a\" stands on itself"),
        ("[profiles.a]\nbase = \"b\"\n[profiles.b]\nbase = \"a\"", "4:8: the profile \"a\" stands on itself"),
        ("[profiles.a]\n[profiles.a]", "2:"),
        ("[profiles.a]\nallow = []\nallow = []", "3:1: duplicate key"),
        ("[profiles.a\n", "1:"),
        ("default_profile = \"\u{0}\"", "1:"),
    ] {
        let found = mistake(text);
        assert!(found.starts_with(&format!("starcell.toml:{told}")), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{found}");
    }
    let error = Config::parse("[profiles.a]\nalow = []", "c.toml").unwrap_err();
    assert_eq!((error.file(), error.line(), error.column()), ("c.toml", 2, 1));
    assert_eq!((error.problem().len() > 10, error.suggestion()), (true, Some("allow")));
}

#[test]
fn what_is_too_big_is_refused() {
    assert!(mistake(&"#".repeat((1 << 20) + 1)).contains("longer than 1 MiB"));
    let tower: String = (1..20_000).map(|n| format!("[profiles.p{n}]\nbase = \"p{}\"\n", n - 1)).collect();
    let tower = format!("[profiles.p0]\n{tower}");
    assert!(mistake(&tower).contains("stands on at most 15 others"), "{}", mistake(&tower));
    let nested = format!("profiles = {}1{}", "[".repeat(50_000), "]".repeat(50_000));
    assert!(Config::parse(&nested, "c").is_err());
}

#[test]
fn the_schema_is_of_the_types() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    assert_eq!(schema["title"], "starcell.toml");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["default_profile"]["type"], serde_json::json!(["string", "null"]));
    let profile = &schema["$defs"]["ProfileTable"];
    assert_eq!(profile["additionalProperties"], false);
    let keys: Vec<_> = profile["properties"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["allow", "base", "deny"]);
    assert_eq!(profile["properties"]["allow"]["items"]["type"], "string");
    assert!(profile.get("required").is_none(), "an empty profile is one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused_with_a_place_in_it(
        text in "(default_profile = \"[a-c]\"\n)?(\\[profiles\\.[a-c\"é]{1,3}\\]\n((allow|deny|base|x) = \\[?[\"']?[a-z.(/*)$é\\\\]{0,9}[\"']?\\]?\n){0,3}){0,4}"
    ) {
        if let Err(error) = Config::parse(&text, "c") {
            prop_assert!(error.line() <= text.lines().count() + 1, "{}", error);
            let line = text.split('\n').nth(error.line() - 1).unwrap_or_default();
            prop_assert!(error.column() <= line.chars().count() + 1, "{} in {:?}", error, line);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in any::<String>()) {
        let _ = Config::parse(&text, "c");
    }
}
