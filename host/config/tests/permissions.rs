//! Answers about profiles: the ladder, the reason of a decision, the differences of two.

#![allow(clippy::unwrap_used, reason = "tests")]

use starcell_config::{Config, Diff, Explained, diff, explain, ladder_json, ladder_text};
use starcell_policy::{CanonicalPath, Profile, Roots};

fn roots() -> Roots {
    Roots::new(CanonicalPath::absolute("/srv/app").unwrap())
}

fn config() -> Config {
    let text = r#"
        [profiles.mine]
        base = "allow-fs"
        allow = ["http.client(https://api.example.com)", "kv.read(a*)"]
        deny = ["fs.read(/etc/**)"]
    "#;
    Config::parse(text, "c").unwrap()
}

fn answer(question: &str) -> Explained {
    explain(question, config().known(), &roots()).unwrap()
}

#[test]
fn the_ladder_in_text() {
    assert_eq!(
        ladder_text(config().known()),
        "\
deny-all: nothing but compute, load, print and log
allow-fs: deny-all and
  allow fs.read($CWD)
  allow fs.read($CWD/**)
  allow fs.write($CWD/**)
  allow fs.delete($CWD/**)
  allow os.env($ENV)
  allow kv.*
  allow sql.open(sqlite:$CWD/**)
allow-net: allow-fs and
  allow http.client
  allow sql.open(postgres:**)
allow-local: allow-net and
  allow http.server(127.0.0.0/8:*)
  allow http.server([::1]:*)
  allow http.server($HOST:*)
  allow os.exec($CWD/**)
  allow k8s.read
  allow k8s.write
  allow k8s.config
  requests reach loopback addresses
allow-all: allow-local and
  requests reach broadcast, link_local, metadata, multicast, private, reserved, unspecified addresses
  allow whatever no rule denies
mine: allow-fs and
  allow http.client(https://api.example.com)
  allow kv.read(a*)
  deny fs.read(/etc/**)
"
    );
    let json: serde_json::Value = serde_json::from_str(&ladder_json(Profile::ladder())).unwrap();
    assert_eq!(json.pointer("/1/allow/0").unwrap(), "fs.read($CWD)");
    assert_eq!(json.pointer("/0/reach/0").unwrap(), "public");
    assert_eq!(json.pointer("/4/otherwise").unwrap(), "allow");
}

#[test]
fn a_call_is_explained_for_each_profile() {
    assert_eq!(
        answer("fs.write_text(../x)").text(),
        "fs.write(\"/srv/x\")
  deny-all: denied: no rule grants it
  allow-fs: denied: no rule grants it
  allow-net: denied: no rule grants it
  allow-local: denied: no rule grants it
  allow-all: allowed by the fallback of allow-all
  mine: denied: no rule grants it
granted from allow-all
granted by the rule fs.write(/srv/x)
"
    );
    let text = answer("fs.read_text(/etc/passwd)").text();
    assert!(text.contains("  allow-all: allowed by the fallback of allow-all\n"), "{text}");
    assert!(text.contains("  mine: denied by the rule fs.read(/etc/**) of mine\n"), "{text}");
    let text = answer("http.get(http://10.0.0.5/)").text();
    assert!(text.contains("  allow-net: denied: requests reach no private addresses\n"), "{text}");
    // Both a call and a rule: the call.
    assert!(matches!(answer("os.exec(/usr/bin/id)"), Explained::Call { .. }));
    let json: serde_json::Value = serde_json::from_str(&answer("os.exec(/usr/bin/id)").json()).unwrap();
    assert_eq!(json.pointer("/call/granted_from").unwrap(), "allow-all");
    assert_eq!(json.pointer("/call/profiles/0/allowed").unwrap(), false);
}

#[test]
fn a_rule_is_compared_with_each_profile() {
    assert_eq!(
        answer("fs.write[mkdir](/srv/app/out/**)").text(),
        "fs.write[mkdir](/srv/app/out/**)
  is about fs.write: mkdir
  deny-all: nothing of it: no rule grants it
  allow-fs: all of it: granted by the rule fs.write($CWD/**) of allow-fs
  allow-net: all of it: granted by the rule fs.write($CWD/**) of allow-fs
  allow-local: all of it: granted by the rule fs.write($CWD/**) of allow-fs
  allow-all: all of it: granted by the rule fs.write($CWD/**) of allow-fs
  mine: all of it: granted by the rule fs.write($CWD/**) of allow-fs
"
    );
    for (rule, told) in [
        ("fs.read(/etc/ssl/**)", "  mine: nothing of it: denied by the rule fs.read(/etc/**) of mine\n"),
        ("fs.read", "  allow-fs: part of it: some of it may be granted by the rule fs.read($CWD) of allow-fs\n"),
        (
            "os.exec",
            "  allow-local: part of it: some of it may be granted by the rule os.exec($CWD/**) of allow-local\n",
        ),
        ("kv.*", "  allow-all: all of it: granted by the rule kv.* of allow-fs\n"),
        (
            "http.client(10.0.0.0/8)",
            "  allow-net: part of it: some of it may be granted by the rule http.client of allow-net\n",
        ),
    ] {
        let text = answer(rule).text();
        assert!(text.contains(told), "{text}");
    }
    let json: serde_json::Value = serde_json::from_str(&answer("*.exec").json()).unwrap();
    assert_eq!(json.pointer("/rule/capabilities").unwrap(), &serde_json::json!(["os.exec"]));
    assert_eq!(json.pointer("/rule/profiles/4/extent").unwrap(), "all");
}

#[test]
fn what_is_no_question_is_told() {
    let error = explain("fs.raed_text(/a)", [], &roots()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "neither a call (unknown function \"raed_text\"; did you mean `read_text`?) nor a rule (bad rule \
         \"fs.raed_text(/a)\" at byte 3: unknown category `raed_text` of module `fs`)"
    );
    let home = Config::parse("[profiles.h]\nallow = [\"fs.read($HOME/**)\"]", "c").unwrap();
    let error = explain("fs.read_text(/a)", home.known(), &roots()).unwrap_err();
    assert_eq!(error.to_string(), "the profile h: the rule fs.read($HOME/**) needs a home folder");
}

fn compared(from: &str, to: &str) -> Diff {
    let config = config();
    diff(&config.profile(from).unwrap(), &config.profile(to).unwrap(), &roots())
}

#[test]
fn profiles_differ_by_what_they_cover() {
    assert_eq!(
        compared("allow-fs", "allow-net").text(),
        "from allow-fs to allow-net\n+ allow http.client\n+ allow sql.open(postgres:**)\n"
    );
    assert_eq!(
        compared("mine", "allow-net").text(),
        "from mine to allow-net\n- deny fs.read(/etc/**)\n+ allow http.client\n+ allow sql.open(postgres:**)\n",
        "kv.read(a*) and one host are covered"
    );
    assert_eq!(
        compared("allow-local", "mine").text(),
        "from allow-local to mine
- allow http.client
- allow sql.open(postgres:**)
- allow http.server(127.0.0.0/8:*)
- allow http.server([::1]:*)
- allow http.server($HOST:*)
- allow os.exec($CWD/**)
- allow k8s.read
- allow k8s.write
- allow k8s.config
- reach loopback addresses
+ deny fs.read(/etc/**)
"
    );
    let up = compared("allow-local", "allow-all");
    assert!(up.added.allows_the_rest && up.removed.allow.is_empty());
    assert!(up.text().ends_with("+ allow whatever no rule denies\n"), "{}", up.text());
    assert!(compared("mine", "mine").is_empty());
    assert_eq!(compared("mine", "mine").text(), "mine and mine do not differ\n");
    let json: serde_json::Value = serde_json::from_str(&compared("allow-fs", "allow-net").json()).unwrap();
    assert_eq!(json.pointer("/added/allow/0").unwrap(), "http.client");
}

#[test]
fn no_rung_takes_anything_away() {
    for pair in Profile::ladder().windows(2) {
        if let [lower, higher] = pair {
            let found = diff(lower, higher, &roots());
            assert_eq!(found.removed, starcell_config::Side::default(), "{}", found.text());
            assert!(!found.is_empty());
        }
    }
}
