//! The laws of the ladder, each a property over generated profiles and calls.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::{prelude::*, sample::select};
use starcell_policy::{
    AddressClass, Call, CallBuf, CanonicalPath, EnvFunction, EnvName, ExecFunction, Grants, Host, HttpMethod,
    K8sFunction, KubernetesObject, KvFunction, KvKey, PathFunction, Profile, ProgramPath, Roots, Rule, ServerAddress,
    ServerFunction, SqlFunction, SqlSource, Url,
};

/// A call that owns its resource.
#[derive(Clone, Debug)]
enum Asked {
    Env(EnvFunction, EnvName),
    Exec(ExecFunction, ProgramPath),
    Http(HttpMethod, Url),
    K8s(K8sFunction, KubernetesObject),
    Kv(KvFunction, KvKey),
    Path(PathFunction, CanonicalPath),
    Server(ServerFunction, ServerAddress),
    Sql(SqlFunction, SqlSource),
}

impl Asked {
    fn call(&self) -> Call<'_> {
        match self {
            Self::Env(function, name) => Call::new(*function, name),
            Self::Exec(function, program) => Call::new(*function, program),
            Self::Http(method, url) => Call::new(*method, url),
            Self::K8s(function, object) => Call::new(*function, object),
            Self::Kv(function, key) => Call::new(*function, key),
            Self::Path(function, path) => Call::new(*function, path),
            Self::Server(function, address) => Call::new(*function, address),
            Self::Sql(function, source) => Call::new(*function, source),
        }
    }

    fn allowed(&self, grants: &Grants) -> bool {
        grants.explain(&self.call()).is_allowed()
    }

    /// The rule the advice would give, from grants that deny everything.
    fn rule(&self) -> Option<Rule> {
        grants(&Profile::deny_all(), &[], &[]).explain(&self.call()).granting_rule().cloned()
    }
}

fn roots() -> Roots {
    let cwd = CanonicalPath::absolute("/srv/app").unwrap();
    Roots::new(cwd).with_home(CanonicalPath::absolute("/home/me").unwrap())
}

fn grants(profile: &Profile, allow: &[Rule], deny: &[Rule]) -> Grants {
    Grants::new(profile, allow, deny, &roots()).unwrap()
}

fn path() -> impl Strategy<Value = String> {
    let segment = select(vec!["srv", "app", "home", "me", "etc", "x", "data.txt", "a b", "é"]);
    prop::collection::vec(segment, 0..5).prop_map(|s| format!("/{}", s.join("/")))
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec!["example.com", "api.example.com", "localhost", "a.b.c"]).prop_map(str::to_owned),
        any::<u32>().prop_map(|bits| std::net::Ipv4Addr::from(bits).to_string()),
        any::<u128>().prop_map(|bits| format!("[{}]", std::net::Ipv6Addr::from(bits))),
        select(vec!["127.0.0.1", "10.0.0.5", "169.254.169.254", "[::1]", "[fd00::1]"]).prop_map(str::to_owned),
    ]
}

/// An address of either kind, those of special ranges among them.
fn address_bits() -> impl Strategy<Value = Result<u32, u128>> {
    let special = [0x7f00_0001, 0x0a00_0005, 0xa9fe_a9fe, 0xc0a8_0101, 0xe000_0001, 0x0808_0808];
    prop_oneof![
        any::<u32>().prop_map(Ok),
        select(special.to_vec()).prop_map(Ok),
        any::<u128>().prop_map(Err),
        // Mapped and translated.
        any::<u32>().prop_map(|bits| Err(0xffff << 32 | u128::from(bits))),
        any::<u32>().prop_map(|bits| Err(0x64_ff9b << 96 | u128::from(bits))),
    ]
}

fn url() -> impl Strategy<Value = Url> {
    (select(vec!["http", "https"]), host(), select(vec!["", ":80", ":8443"]), path()).prop_map(
        |(scheme, host, port, path)| {
            Url::parse(&format!("{scheme}://{host}{port}{}", path.replace(' ', "%20"))).unwrap()
        },
    )
}

fn source() -> impl Strategy<Value = SqlSource> {
    let server = (host(), select(vec!["", ":5432", ":6000"]), select(vec!["shop", "x"]))
        .prop_map(|(host, port, database)| format!("postgres://{host}{port}/{database}"));
    prop_oneof![server, path().prop_map(|path| format!("sqlite:{path}"))]
        .prop_map(|text| SqlSource::parse(&text, None).unwrap())
}

fn asked() -> impl Strategy<Value = Asked> {
    let canonical = || path().prop_map(|p| CanonicalPath::absolute(&p).unwrap());
    let object = (select(vec!["default", "kube-system", "*", "-"]), select(vec!["pods", "nodes", "*"])).prop_map(
        |(scope, kind)| match (scope, kind) {
            ("*" | "-", "*") => KubernetesObject::cluster(),
            ("*", kind) => KubernetesObject::in_all_namespaces(kind).unwrap(),
            ("-", kind) => KubernetesObject::in_cluster(kind).unwrap(),
            (namespace, "*") => KubernetesObject::all_in_namespace(namespace).unwrap(),
            (namespace, kind) => KubernetesObject::in_namespace(namespace, kind).unwrap(),
        },
    );
    let key = ("[a-c:]{1,3}", any::<bool>())
        .prop_map(|(key, prefix)| if prefix { KvKey::prefix(&key) } else { KvKey::new(&key) }.unwrap());
    let address = (select(vec!["127.0.0.1", "0.0.0.0", "::1", "10.0.0.1"]), 0..3u16)
        .prop_map(|(host, port)| ServerAddress::new(host, port + 79).unwrap());
    prop_oneof![
        (select(EnvFunction::ALL), "[A-C_]{1,3}").prop_map(|(f, name)| Asked::Env(f, EnvName::new(&name).unwrap())),
        (select(ExecFunction::ALL), canonical()).prop_map(|(f, p)| Asked::Exec(f, p.into())),
        (select(HttpMethod::ALL), url()).prop_map(|(f, url)| Asked::Http(f, url)),
        (select(K8sFunction::ALL), object).prop_map(|(f, object)| Asked::K8s(f, object)),
        (select(KvFunction::ALL), key).prop_map(|(f, key)| Asked::Kv(f, key)),
        (select(PathFunction::ALL), canonical()).prop_map(|(f, path)| Asked::Path(f, path)),
        (select(ServerFunction::ALL), address).prop_map(|(f, a)| Asked::Server(f, a)),
        (select(SqlFunction::ALL), source()).prop_map(|(f, source)| Asked::Sql(f, source)),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let fixed = select(vec![
        "*.*",
        "fs.*",
        "*.read",
        "fs.read[stat,listdir]",
        "fs.write($CWD/**)",
        "fs.read($HOME/*)",
        "fs.*(/srv/**/x)",
        "fs.delete(/)",
        "os.env(A*)",
        "os.exec(/srv/app/**)",
        "kv.*(a*)",
        "kv.read[list](*:*)",
        "http.client(*.example.com)",
        "http.client[GET]",
        "http.client(10.0.0.0/8)",
        "http.client(https://example.com/srv/**)",
        "http.client(*)",
        "http.client([fd00::/8])",
        "http.server(:80)",
        "http.server(127.0.0.1:*)",
        "*.exec",
        "k8s.*(default/*)",
        "sql.open",
        "sql.open[query]",
        "sql.open(sqlite:$CWD/**)",
        "sql.open[query](postgres://*.example.com:*/shop)",
        "sql.open(postgres://[10.0.0.0/8]:*/*)",
        "sql.open(postgres:**)",
        "k8s.read(*/pods)",
        "k8s.read(-/nodes)",
    ]);
    prop_oneof![
        3 => fixed.prop_map(|text| Rule::parse(text).unwrap()),
        1 => asked().prop_filter_map("no rule can name it", |asked| asked.rule()),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 0..4)
}

fn profile() -> impl Strategy<Value = Profile> {
    (select(Profile::ladder().as_slice()), rules(), rules(), any::<bool>()).prop_map(|(base, allow, deny, custom)| {
        if custom { Profile::custom("mine", &base, allow, deny).unwrap() } else { base }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_rung_grants_all_the_one_below_grants(asked in asked()) {
        let answers: Vec<bool> = Profile::ladder()
            .iter()
            .map(|rung| asked.allowed(&grants(rung, &[], &[])))
            .collect();
        prop_assert!(answers.is_sorted(), "{:?}", answers);
        prop_assert_eq!(answers.first(), Some(&false));
        prop_assert_eq!(answers.last(), Some(&true));
    }

    #[test]
    fn a_rung_reaches_all_the_addresses_the_one_below_reaches(name in "[a-z]{1,8}\\.example", bits in address_bits()) {
        let address = match bits {
            Ok(bits) => std::net::IpAddr::V4(bits.into()),
            Err(bits) => std::net::IpAddr::V6(bits.into()),
        };
        let url = Url::parse(&format!("https://{name}/")).unwrap();
        let reaches = |rung: &Profile| {
            let permit = grants(rung, &[], &[]).decide(HttpMethod::Get, url.clone());
            permit.is_ok_and(|permit| permit.address(address).is_ok())
        };
        let answers: Vec<bool> = Profile::ladder().iter().map(reaches).collect();
        prop_assert!(answers.is_sorted(), "{}: {:?}", address, answers);
        prop_assert_eq!((answers.first(), answers.last()), (Some(&false), Some(&true)));
        prop_assert_eq!(answers.get(2), Some(&(AddressClass::of(address) == AddressClass::Public)));
        // Databases lead to the same addresses.
        let database = SqlSource::parse(&format!("postgres://{name}/shop"), None).unwrap();
        let of_database = |rung: &Profile| {
            let permit = grants(rung, &[], &[]).decide(SqlFunction::Query, database.clone());
            permit.is_ok_and(|permit| permit.address(address).is_ok())
        };
        prop_assert_eq!(Profile::ladder().iter().map(of_database).collect::<Vec<_>>(), answers);
    }

    #[test]
    fn deny_wins_whatever_the_order(
        asked in asked(), profile in profile(), allow in rules(), deny in rules(), last in rule(),
    ) {
        let mut first = vec![last.clone()];
        first.extend(deny.iter().cloned());
        let mut end = deny.clone();
        end.push(last.clone());
        let allow_too = [allow.as_slice(), &end].concat();
        let answer = asked.allowed(&grants(&profile, &allow_too, &first));
        prop_assert_eq!(answer, asked.allowed(&grants(&profile, &allow_too, &end)));
        if asked.allowed(&grants(&Profile::deny_all(), std::slice::from_ref(&last), &[])) {
            prop_assert!(!answer, "{} is both allowed and denied", last);
        }
    }

    #[test]
    fn a_deny_rule_only_takes_and_an_allow_rule_only_gives(
        asked in asked(), profile in profile(), allow in rules(), deny in rules(), more in rule(),
    ) {
        let before = asked.allowed(&grants(&profile, &allow, &deny));
        let with = |rules: &[Rule]| [rules, std::slice::from_ref(&more)].concat();
        let denied = asked.allowed(&grants(&profile, &allow, &with(&deny)));
        let allowed = asked.allowed(&grants(&profile, &with(&allow), &deny));
        prop_assert!(denied <= before);
        prop_assert!(before <= allowed);
    }

    #[test]
    fn the_empty_list_denies(asked in asked(), deny in rules()) {
        prop_assert!(!asked.allowed(&grants(&Profile::deny_all(), &[], &deny)));
        let empty = Profile::custom("empty", &Profile::deny_all(), vec![], vec![]).unwrap();
        prop_assert!(!asked.allowed(&grants(&empty, &[], &deny)));
    }

    #[test]
    fn narrowing_is_the_intersection(
        asked in asked(), tenant in profile(), app in profile(), allow in rules(), deny in rules(),
    ) {
        let tenant = grants(&tenant, &[], &deny);
        let app = grants(&app, &allow, &[]);
        let both = asked.allowed(&tenant) && asked.allowed(&app);
        prop_assert_eq!(asked.allowed(&tenant.narrow(&app)), both);
        prop_assert_eq!(asked.allowed(&app.narrow(&tenant)), both);
        prop_assert_eq!(asked.allowed(&tenant.narrow(&tenant)), asked.allowed(&tenant));
    }

    #[test]
    fn narrowing_holds_for_addresses(
        url in url(), tenant in profile(), app in profile(), bits in any::<u32>(),
    ) {
        let address = std::net::IpAddr::V4(bits.into());
        let reaches = |grants: &Grants| {
            let permit = grants.decide(HttpMethod::Get, url.clone());
            permit.is_ok_and(|permit| permit.address(address).is_ok())
        };
        let (tenant, app) = (grants(&tenant, &[], &[]), grants(&app, &[], &[]));
        prop_assert_eq!(reaches(&tenant.narrow(&app)), reaches(&tenant) && reaches(&app));
    }

    #[test]
    fn advice_is_true(asked in asked(), profile in profile(), allow in rules()) {
        let denied = grants(&profile, &allow, &[]).explain(&asked.call());
        if let Some(rule) = denied.granting_rule() {
            let more = [allow.as_slice(), std::slice::from_ref(rule)].concat();
            prop_assert!(asked.allowed(&grants(&profile, &more, &[])), "{}", denied);
        }
        if let Some(needed) = denied.needed_profile() {
            prop_assert!(asked.allowed(&grants(&Profile::named(needed).unwrap(), &[], &[])));
        }
    }

    #[test]
    fn printing_and_parsing_agree(rule in rule()) {
        let printed = rule.to_string();
        let again = Rule::parse(&printed).unwrap();
        prop_assert_eq!(again.to_string(), printed);
        prop_assert_eq!(again, rule);
    }

    #[test]
    fn any_text_parses_to_a_rule_that_prints_or_to_an_error_inside_it(
        text in r"(fs|os|kv|k8s|http|\*)\.(read|write|env|exec|client|server|\*)(\[[a-zGET,_]{0,9}\])?\([ -~é]{0,24}\)",
    ) {
        match Rule::parse(&text) {
            Ok(rule) => prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule)),
            Err(error) => prop_assert!(error.position() <= text.len(), "{}", error),
        }
    }

    #[test]
    fn resource_like_text_round_trips(
        prefix in select(vec!["http.client", "http.server", "fs.read", "kv.read", "k8s.read", "sql.open"]),
        resource in r"(https?://)?(\*\.)?[a-c0-9x.:\[\]/*$%~-]{1,16}",
    ) {
        if let Ok(rule) = Rule::parse(&format!("{prefix}({resource})")) {
            prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
        }
    }

    #[test]
    fn rules_about_databases_round_trip(
        kind in select(vec!["sqlite:", "sqlite:/", "postgres:", "postgres://", "postgresql://"]),
        resource in r"(\*\.|\[)?[a-c0-9x.:\[\]/*$@_-]{0,24}",
    ) {
        if let Ok(rule) = Rule::parse(&format!("sql.open({kind}{resource})")) {
            prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
        }
        if let Ok(source) = SqlSource::parse(&format!("{kind}{resource}"), None) {
            prop_assert_eq!(SqlSource::parse(&source.to_string(), None), Ok(source));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in any::<String>()) {
        let _ = Rule::parse(&text);
        let _ = Url::parse(&text);
        let _ = Url::parse(&format!("http://{text}"));
        let _ = Host::parse(&text);
        let _ = CanonicalPath::absolute(&text);
        let _ = ServerAddress::new(&text, 0);
        let _ = SqlSource::parse(&text, None);
        let _ = SqlSource::parse(&format!("postgres://{text}"), None);
        let _ = Rule::parse(&format!("sql.open(postgres://{text})"));
    }

    #[test]
    fn every_spelling_of_an_ipv4_address_is_one_host(bits in any::<u32>(), upper in any::<bool>()) {
        let address = std::net::Ipv4Addr::from(bits);
        let [a, b, c, d] = address.octets();
        let low = bits & 0x00ff_ffff;
        let mut spellings = vec![
            format!("{address}."),
            format!("{bits}"),
            format!("0x{bits:x}"),
            format!("0{bits:o}"),
            format!("{a}.{low}"),
            format!("{a:#x}.{b}.0{c:o}.{d:#x}"),
            format!("{a}.{b}.{}", low & 0xffff),
            format!("[::ffff:{address}]"),
            format!("[0:0:0:0:0:FFFF:{:x}:{:X}]", bits >> 16, bits & 0xffff),
        ];
        if upper {
            spellings = spellings.iter().map(|s| s.to_ascii_uppercase()).collect();
        }
        let expected = Host::Address(address.into());
        let class = AddressClass::of(address.into());
        for spelling in spellings {
            prop_assert_eq!(Host::parse(&spelling), Ok(expected.clone()), "{}", spelling);
        }
        // Other ways into the same address are of the same class.
        for prefix in ["::ffff:", "64:ff9b::", "::ffff:0:"] {
            let inside = format!("{prefix}{address}").parse().unwrap();
            prop_assert_eq!(AddressClass::of(inside), class, "{}", inside);
        }
    }

    #[test]
    fn every_spelling_of_a_url_gets_one_answer(
        url in url(), grants in (profile(), rules(), rules()), upper in any::<bool>(),
    ) {
        let (profile, allow, deny) = grants;
        let grants = crate::grants(&profile, &allow, &deny);
        let (origin, path) = (url.origin(), url.path());
        let encoded: String = path.bytes().map(|b| match b {
            b'/' => "/".to_owned(),
            b'%' => "%".to_owned(),
            b if b.is_ascii_alphabetic() && !path.contains('%') => format!("%{b:02x}"),
            b => char::from(b).to_string(),
        }).collect();
        let origin = if upper { origin.to_ascii_uppercase() } else { origin };
        let expected = Asked::Http(HttpMethod::Get, url.clone()).allowed(&grants);
        for spelling in [
            format!("{origin}{path}"),
            format!("{origin}{path}/"),
            format!("{origin}/./x/%2E%2e{path}"),
            format!("{origin}/{path}?q=1#f"),
            format!("{origin}{encoded}"),
        ] {
            let asked = Asked::Http(HttpMethod::Get, Url::parse(&spelling).unwrap());
            prop_assert_eq!(asked.allowed(&grants), expected, "{}", spelling);
        }
    }

    #[test]
    fn every_spelling_of_a_name_is_one_host(name in "[a-z][a-z0-9-]{0,6}[a-z]\\.(example|com)", upper in any::<u32>()) {
        let expected = Host::parse(&name).unwrap();
        let mixed: String = name.char_indices().map(|(at, c)| match upper >> (at % 32) & 1 {
            1 => c.to_ascii_uppercase(),
            _ => c,
        }).collect();
        for spelling in [format!("{name}."), mixed.clone(), format!("{mixed}.")] {
            prop_assert_eq!(Host::parse(&spelling), Ok(expected.clone()), "{}", spelling);
            let url = Url::parse(&format!("HTTPS://{spelling}:443/a")).unwrap();
            prop_assert_eq!(url.to_string(), format!("https://{name}/a"));
        }
        // What only looks like it, to people or to another parser, is no host.
        for other in [format!("{name}%2e"), format!("%61{name}"), format!("{name}．com"), format!("{name}..")] {
            prop_assert!(Host::parse(&other).is_err(), "{}", other);
        }
    }

    #[test]
    fn every_spelling_of_a_path_gets_one_answer(
        path in path(), function in select(PathFunction::ALL), allow in rules(), deny in rules(),
    ) {
        let grants = grants(&Profile::deny_all(), &allow, &deny);
        let cwd = roots().cwd().clone();
        let spelled = |text: &str| {
            Asked::Path(function, CanonicalPath::resolve(text, &cwd).unwrap()).allowed(&grants)
        };
        let expected = spelled(&path);
        for spelling in [
            format!("{path}/"),
            format!("/{path}"),
            format!("/x/..{path}/."),
            format!("../..{path}"),
            path.replace('/', "/./"),
            path.replace('/', "//"),
        ] {
            prop_assert_eq!(spelled(&spelling), expected, "{}", spelling);
        }
    }

    #[test]
    fn a_call_reads_back_from_its_text(asked in asked()) {
        // A key that ends in a star is a prefix for `list` alone.
        if let Asked::Kv(function, key) = &asked
            && key.is_prefix() != (*function == KvFunction::List)
        {
            return Ok(());
        }
        let call = asked.call();
        let read = CallBuf::new(call.capability(), call.function(), &call.resource_text()).unwrap();
        prop_assert_eq!(read.to_string(), call.to_string());
        prop_assert_eq!(read.call().function(), call.function());
        let rule = read.rule_for(&[call.function()], &read.rule_resource());
        prop_assert!(rule.resource().is_some(), "{}", rule);
        let alone = grants(&Profile::deny_all(), std::slice::from_ref(&rule), &[]);
        prop_assert!(asked.allowed(&alone), "{} {}", rule, call);
        prop_assert!(alone.allows(&call, None));
    }

    #[test]
    fn what_includes_a_rule_grants_what_it_grants(wide in rule(), narrow in rule(), asked in asked()) {
        let by = |rule: &Rule| asked.allowed(&grants(&Profile::deny_all(), std::slice::from_ref(rule), &[]));
        prop_assert!(narrow.includes(&narrow));
        if wide.includes(&narrow) {
            prop_assert!(wide.overlaps(&narrow));
            prop_assert!(!by(&narrow) || by(&wide), "{} includes {} but not {:?}", wide, narrow, asked);
        }
        if by(&narrow) && by(&wide) {
            prop_assert!(wide.overlaps(&narrow));
        }
    }
}
