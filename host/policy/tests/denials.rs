//! What a developer reads when a call is refused, and what the audit log gets.

#![allow(clippy::unwrap_used, reason = "tests")]

use starcell_policy::{
    Call, CanonicalPath, DenyReason, EnvFunction, EnvName, ExecFunction, Grants, HttpMethod, K8sFunction,
    KubernetesObject, KvFunction, KvKey, PathFunction, Profile, ProgramPath, Roots, Rule, ServerAddress,
    ServerFunction, Source, Url,
};

fn path(text: &str) -> CanonicalPath {
    CanonicalPath::absolute(text).unwrap()
}

fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| Rule::parse(text).unwrap()).collect()
}

fn grants(profile: &str, allow: &[&str], deny: &[&str]) -> Grants {
    let profile = Profile::named(profile).unwrap();
    Grants::new(&profile, &rules(allow), &rules(deny), &Roots::new(path("/srv"))).unwrap()
}

#[test]
fn the_profile_and_the_rule_that_would_grant_it() {
    let deny_all = grants("deny-all", &[], &[]);
    let program = ProgramPath::from(path("/usr/bin/id"));
    assert_eq!(
        deny_all.decide(ExecFunction::Exec, program).unwrap_err().to_string(),
        "permission denied: os.exec(\"/usr/bin/id\"): not granted by deny-all; \
         granted from allow-all, or by the rule os.exec(/usr/bin/id)"
    );
    let address = ServerAddress::new("localhost", 8080).unwrap();
    assert_eq!(
        deny_all.decide(ServerFunction::Serve, address).unwrap_err().to_string(),
        "permission denied: http.server(\"127.0.0.1:8080\"): not granted by deny-all; \
         granted from allow-local, or by the rule http.server(127.0.0.1:8080)"
    );
    let url = Url::parse("https://api.example.com/v1?key=secret").unwrap();
    assert_eq!(
        deny_all.decide(HttpMethod::Get, url).unwrap_err().to_string(),
        "permission denied: http.client(\"https://api.example.com/v1\"): not granted by \
         deny-all; granted from allow-net, or by the rule http.client(https://api.example.com)"
    );
    assert_eq!(
        deny_all.decide(K8sFunction::Config, KubernetesObject::cluster()).unwrap_err().to_string(),
        "permission denied: k8s.config(\"-\"): not granted by deny-all; \
         granted from allow-local, or by the rule k8s.config"
    );
    assert_eq!(
        deny_all.decide(KvFunction::List, KvKey::prefix("user:").unwrap()).unwrap_err().to_string(),
        "permission denied: kv.read(\"user:*\"): not granted by deny-all; \
         granted from allow-fs, or by the rule kv.read(user:*)"
    );
    assert_eq!(
        deny_all.decide(EnvFunction::Env, EnvName::new("HOME").unwrap()).unwrap_err().to_string(),
        "permission denied: os.env(\"HOME\"): not granted by deny-all; \
         granted from allow-all, or by the rule os.env(HOME)"
    );
}

#[test]
fn a_deny_rule_comes_without_advice() {
    let grants = grants("allow-all", &["http.server"], &["http.server(:8080)"]);
    let address = ServerAddress::new("127.0.0.1", 8080).unwrap();
    let denial = grants.decide(ServerFunction::Serve, address).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "permission denied: http.server(\"127.0.0.1:8080\"): denied by the rule http.server(:8080)"
    );
    assert_eq!(denial.reason().label(), "denied_by_rule");
    assert_eq!(denial.needed_profile(), None);
    assert_eq!(denial.granting_rule(), None);
    assert_eq!(denial.denied_by(), rules(&["http.server(:8080)"]).first());
    let other = ServerAddress::new("127.0.0.1", 8081).unwrap();
    assert!(grants.decide(ServerFunction::Serve, other).is_ok());
}

#[test]
fn a_path_no_rule_can_spell_gets_no_rule() {
    let deny_all = grants("deny-all", &[], &[]);
    for text in ["/a*b", "/$CWD/x", "/a\nb"] {
        let denial = deny_all.decide(PathFunction::ReadText, path(text)).unwrap_err();
        assert_eq!(denial.granting_rule(), None, "{text}");
        assert!(denial.to_string().ends_with("granted from allow-all"), "{denial}");
    }
}

#[test]
fn what_a_script_chose_cannot_disturb_the_log() {
    let deny_all = grants("deny-all", &[], &[]);
    let nasty = path("/a\r\nb\u{1b}[31m\u{202e}c\"");
    let text = deny_all.decide(PathFunction::ReadText, nasty).unwrap_err().to_string();
    assert!(text.chars().all(|c| c.is_ascii() && !c.is_control()), "{text}");
    let long = path(&format!("/{}", "é/".repeat(1300)));
    let denial = deny_all.decide(PathFunction::ReadText, long).unwrap_err();
    assert!(denial.resource().len() <= 1027, "{}", denial.resource().len());
}

#[test]
fn an_address_behind_a_name_is_told_to_the_operator_only() {
    let grants = grants("allow-net", &[], &[]);
    let url = Url::parse("http://db.example:5984/x").unwrap();
    let permit = grants.decide(HttpMethod::Get, url).unwrap();
    let denial = permit.address("10.0.0.5".parse().unwrap()).unwrap_err();
    assert_eq!(
        denial.to_string(),
        "permission denied: http.client(\"http://db.example:5984/x\"): it resolves to a private \
         address, not granted by allow-net; granted from allow-all, or by a rule for its address"
    );
    assert_eq!(denial.reason(), DenyReason::AddressNotGranted);
    assert_eq!(denial.address(), Some("10.0.0.5".parse().unwrap()));
    assert_eq!(denial.granting_rule().unwrap().to_string(), "http.client(10.0.0.5)");
    let url = Url::parse("http://10.0.0.5:5984/x").unwrap();
    assert_eq!(
        grants.decide(HttpMethod::Get, url).unwrap_err().to_string(),
        "permission denied: http.client(\"http://10.0.0.5:5984/x\"): a private address is not \
         granted by allow-net; granted from allow-all, or by the rule \
         http.client(http://10.0.0.5:5984)"
    );
}

#[test]
fn a_permit_says_what_decided() {
    let grants = grants("allow-local", &["http.server(:9000)"], &[]);
    let address = ServerAddress::new("127.0.0.1", 9000).unwrap();
    let permit = grants.decide(ServerFunction::Serve, address).unwrap();
    assert_eq!(permit.decider().to_string(), "the rule http.server(127.0.0.0/8:*) of allow-local");
    assert_eq!((permit.profile(), permit.function()), ("allow-local", "serve"));
    let permit = grants.decide(PathFunction::ReadText, path("/srv/hosts")).unwrap();
    assert_eq!(permit.decider().to_string(), "the rule fs.read($CWD/**) of allow-fs");
    assert_eq!(permit.decider().source(), Some(&Source::Profile("allow-fs".into())));
    let all = Grants::new(&Profile::named("allow-all").unwrap(), &[], &[], &Roots::new(path("/srv")));
    let permit = all.unwrap().decide(PathFunction::WriteText, path("/etc/hosts")).unwrap();
    assert_eq!(permit.decider().to_string(), "the fallback of allow-all");
    assert_eq!(permit.rule(), None);
}

#[test]
fn an_explanation_shows_every_layer() {
    let tenant = grants("allow-local", &[], &["os.exec[exec]"]);
    let app = grants("deny-all", &["http.server(:8080)"], &[]);
    let both = tenant.narrow(&app);
    let address = ServerAddress::new("127.0.0.1", 8080).unwrap();
    assert_eq!(
        both.explain(&Call::new(ServerFunction::Serve, &address)).to_string(),
        "http.server(\"127.0.0.1:8080\"): allowed\n  \
           allow-local: allowed by the rule http.server(127.0.0.0/8:*) of allow-local\n  \
           deny-all: allowed by the rule http.server(:8080) added to the profile"
    );
    let other = ServerAddress::new("127.0.0.1", 8081).unwrap();
    assert_eq!(
        both.explain(&Call::new(ServerFunction::Serve, &other)).to_string(),
        "http.server(\"127.0.0.1:8081\"): denied\n  \
           allow-local: allowed by the rule http.server(127.0.0.0/8:*) of allow-local\n  \
           deny-all: no rule grants it\n  \
           granted from allow-local\n  \
           granted by the rule http.server(127.0.0.1:8081)"
    );
    let program = ProgramPath::from(path("/srv/tool"));
    let explained = both.explain(&Call::new(ExecFunction::Exec, &program));
    assert_eq!(
        explained.to_string(),
        "os.exec(\"/srv/tool\"): denied\n  \
           allow-local: denied by the rule os.exec[exec] added to the profile\n  \
           deny-all: no rule grants it"
    );
}

#[test]
fn a_folder_cannot_be_moved_away_from_its_deny_rule() {
    let grants = grants("allow-fs", &[], &["fs.*($CWD/data/secret/**)"]);
    for (function, text, allowed) in [
        (PathFunction::ReadText, "/srv/data/secret/key", false),
        (PathFunction::Listdir, "/srv/data/secret", false),
        (PathFunction::Rename, "/srv/data/secret", false),
        (PathFunction::Rename, "/srv/data", false),
        (PathFunction::Remove, "/srv/data", false),
        (PathFunction::Rename, "/srv/other", true),
        (PathFunction::Listdir, "/srv/data", true),
        (PathFunction::WriteText, "/srv/data/public", true),
    ] {
        assert_eq!(grants.decide(function, path(text)).is_ok(), allowed, "{} {text}", function.name());
    }
}
