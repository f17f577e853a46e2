//! The golden matrix in `matrix.txt`: it says what the profiles say, and nothing that a script can ask for is left out.

#![allow(clippy::disallowed_methods, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use starcell_policy::{
    AddressClass, Call, CanonicalPath, Capability, EnvFunction, EnvName, ExecFunction, Grants, Host, HttpMethod,
    K8sFunction, KubernetesObject, KvFunction, KvKey, PathFunction, Profile, ProgramPath, Roots, ServerAddress,
    ServerFunction, SqlFunction, SqlSource, Url,
};

const CWD: &str = "/srv/app";

const MATRIX: &str = include_str!("matrix.txt");

/// Functions of a capability, and the rows that hold for all of them.
struct Block {
    capability: Capability,
    functions: Vec<&'static str>,
    rows: Vec<Row>,
}

/// A resource, and what each profile says to it.
struct Row {
    resource: &'static str,
    address: Option<IpAddr>,
    answers: Vec<bool>,
}

/// The file, read.
#[derive(Default)]
struct Matrix {
    profiles: Vec<&'static str>,
    blocks: Vec<Block>,
    /// What functions of wit/ ask for: capabilities with their functions.
    asks: BTreeMap<&'static str, Vec<(Capability, &'static str)>>,
    /// Functions of wit/ that ask for nothing.
    free: BTreeSet<&'static str>,
}

impl Matrix {
    fn read() -> Self {
        let mut matrix = Self::default();
        for line in MATRIX.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                _ if line.starts_with(' ') => matrix.blocks.last_mut().unwrap().rows.push(Row::read(&words, line)),
                "profiles" => matrix.profiles = words[1..].to_vec(),
                "wit" => {
                    let (function, asked) = line["wit ".len()..].split_once(':').unwrap();
                    matrix.asks.insert(function, asked.split(',').flat_map(asks).collect());
                }
                "free" => {
                    let (function, reason) = line["free ".len()..].split_once(':').unwrap();
                    assert!(!reason.trim().is_empty() && matrix.free.insert(function), "{line}");
                }
                name => {
                    let capability = capability(name.strip_suffix(':').unwrap_or_else(|| panic!("{line}")));
                    let functions = words[1..].iter().map(|function| known(capability, function)).collect();
                    matrix.blocks.push(Block { capability, functions, rows: Vec::new() });
                }
            }
        }
        matrix
    }

    /// Every function that has a row.
    fn covered(&self) -> BTreeSet<(Capability, &'static str)> {
        let blocks = self.blocks.iter().filter(|block| !block.rows.is_empty());
        blocks.flat_map(|block| block.functions.iter().map(|function| (block.capability, *function))).collect()
    }

    /// The resources that all functions of a capability are asked for.
    fn resources(&self, wanted: Capability) -> impl Iterator<Item = &Row> {
        self.blocks.iter().filter(move |block| block.capability == wanted).flat_map(|block| &block.rows)
    }
}

impl Row {
    fn read(words: &[&'static str], line: &str) -> Self {
        let (resource, rest) = words.split_first().unwrap();
        let (address, answers) = match rest[0].parse() {
            Ok(address) => (Some(address), &rest[1..]),
            Err(_) => (None, rest),
        };
        let answer = |word: &&str| match *word {
            "yes" => true,
            "no" => false,
            other => panic!("{other:?} in {line}"),
        };
        Self { resource, address, answers: answers.iter().map(answer).collect() }
    }
}

fn capability(name: &str) -> Capability {
    Capability::named(name).unwrap_or_else(|| panic!("no capability {name:?}"))
}

fn known(capability: Capability, function: &str) -> &'static str {
    let found = capability.functions().into_iter().find(|known| *known == function);
    found.unwrap_or_else(|| panic!("{capability} has no function {function:?}"))
}

/// Reads `fs.read rename stat`.
fn asks(text: &str) -> Vec<(Capability, &'static str)> {
    let (name, functions) = text.trim().split_once(' ').unwrap();
    let capability = capability(name);
    functions.split_whitespace().map(|function| (capability, known(capability, function))).collect()
}

#[test]
fn every_profile_says_what_the_matrix_says() {
    let matrix = Matrix::read();
    assert_eq!(matrix.profiles, Profile::NAMES);
    let roots = Roots::new(CanonicalPath::absolute(CWD).unwrap());
    let given = vec![EnvName::new("GREETING").unwrap()];
    let roots = roots.with_env(given).with_host("192.0.2.7".parse().unwrap());
    let grants = |name: &&str| Grants::new(&Profile::named(name).unwrap(), &[], &[], &roots).unwrap();
    let grants: Vec<Grants> = matrix.profiles.iter().map(grants).collect();
    let mut asked = 0;
    for Block { capability, functions, rows } in &matrix.blocks {
        for Row { resource, address, answers } in rows {
            assert_eq!(answers.len(), grants.len(), "{capability} {resource}");
            for function in functions {
                for ((grants, expected), profile) in grants.iter().zip(answers).zip(&matrix.profiles) {
                    let answer = match address {
                        Some(address) => reaches(grants, function, resource, *address),
                        None => allowed(grants, *capability, function, resource),
                    };
                    assert_eq!(answer, *expected, "{profile}: {capability} {function} {resource} {address:?}");
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 1000, "{asked} questions");
}

#[test]
fn every_function_of_every_capability_has_a_row() {
    let covered = Matrix::read().covered();
    let all = Capability::ALL.into_iter().flat_map(|c| c.functions().into_iter().map(move |f| (c, f)));
    let missing: Vec<_> = all.filter(|function| !covered.contains(function)).collect();
    assert!(missing.is_empty(), "without a row in matrix.txt: {missing:?}");
}

#[test]
fn the_resources_stand_for_all_there_are() {
    let matrix = Matrix::read();
    for capability in [Capability::FsDelete, Capability::FsRead, Capability::FsWrite, Capability::OsExec] {
        let cwd = CanonicalPath::absolute(CWD).unwrap();
        let resolve = |row: &Row| CanonicalPath::resolve(row.resource, &cwd).unwrap();
        let inside = |row: &Row| resolve(row).as_str().starts_with(&format!("{CWD}/"));
        assert!(matrix.resources(capability).any(inside), "{capability}: nothing inside of $CWD");
        assert!(matrix.resources(capability).any(|row| !inside(row)), "{capability}: nothing outside of $CWD");
    }
    for class in AddressClass::ALL {
        let of_class = |row: &Row| match Url::parse(row.resource).unwrap().host() {
            Host::Address(address) => AddressClass::of(*address) == class,
            Host::Name(_) => false,
        };
        assert!(matrix.resources(Capability::HttpClient).any(of_class), "no {class} address");
    }
}

/// The list of functions is read from wit/, so a new one without a row fails here.
#[test]
fn every_function_of_wit_has_a_row_or_a_reason() {
    let matrix = Matrix::read();
    let covered = matrix.covered();
    let functions = functions_of_wit();
    assert!(functions.len() > 30, "{functions:?}");
    for name in &functions {
        let free = matrix.free.contains(name.as_str());
        let asks = match matrix.asks.get(name.as_str()) {
            Some(asks) => asks.clone(),
            None => of_the_same_name(name),
        };
        assert!(
            free || !asks.is_empty(),
            "{name} of wit/ asks for nothing that the policy knows: add it to matrix.txt"
        );
        assert!(!free || asks.is_empty(), "{name} of wit/ cannot both ask for {asks:?} and be free");
        for asked in asks {
            assert!(covered.contains(&asked), "{name} of wit/ asks for {asked:?}, which has no row in matrix.txt");
        }
    }
    for name in matrix.asks.keys().chain(&matrix.free) {
        assert!(functions.contains(*name), "{name} of matrix.txt is not in wit/");
    }
}

/// And the other way round: a function that a rule can name and nothing asks for would be a rule that never matches.
#[test]
fn every_function_that_a_rule_can_name_is_asked_for_by_wit() {
    let matrix = Matrix::read();
    let asked: BTreeSet<(Capability, &str)> = functions_of_wit()
        .iter()
        .flat_map(|name| [of_the_same_name(name), matrix.asks.get(name.as_str()).cloned().unwrap_or_default()].concat())
        .collect();
    let all = Capability::ALL.into_iter().flat_map(|c| c.functions().into_iter().map(move |f| (c, f)));
    let never: Vec<_> = all.filter(|function| !asked.contains(function)).collect();
    assert!(never.is_empty(), "no function of wit/ asks for {never:?}");
}

/// What a function asks for unless the matrix says otherwise.
fn of_the_same_name(name: &str) -> Vec<(Capability, &'static str)> {
    let (interface, function) = name.split_once('.').unwrap();
    let function = function.replace('-', "_");
    let of_module = Capability::ALL.into_iter().filter(|capability| capability.module() == interface);
    let named = |c: Capability| c.functions().into_iter().find(|f| *f == function).map(|f| (c, f));
    of_module.filter_map(named).collect()
}

/// `interface.function` for all that a guest can import.
fn functions_of_wit() -> BTreeSet<String> {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut found = BTreeSet::new();
    collect(&wit, &mut found);
    // What the guest exports is asked of it, not by it.
    found.retain(|name| !name.starts_with("interpreter."));
    found
}

fn collect(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let mut interface = String::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some(name) = line.strip_prefix("interface ").and_then(|rest| rest.strip_suffix(" {")) {
                interface = name.to_owned();
            }
            if let Some((name, _)) = line.trim().split_once(": func(").filter(|_| !line.trim().starts_with('/')) {
                found.insert(format!("{interface}.{}", name.trim_start_matches('%')));
            }
        }
    }
}

/// Whether a request may be sent to the address that its host was resolved to.
fn reaches(grants: &Grants, method: &str, url: &str, address: IpAddr) -> bool {
    match HttpMethod::named(method) {
        Some(method) => {
            let permit = grants.decide(method, Url::parse(url).unwrap());
            permit.is_ok_and(|permit| permit.address(address).is_ok())
        }
        None => {
            let permit = grants.decide(SqlFunction::named(method).unwrap(), SqlSource::parse(url, None).unwrap());
            permit.is_ok_and(|permit| permit.address(address).is_ok())
        }
    }
}

/// Whether there is a permit, which the explanation has to agree with.
fn allowed(grants: &Grants, capability: Capability, function: &str, resource: &str) -> bool {
    let cwd = CanonicalPath::absolute(CWD).unwrap();
    let decided = |call: Call<'_>, permit: Result<(), String>| {
        assert_eq!(call.capability(), capability, "{function} is of another capability");
        let explained = grants.explain(&call);
        assert_eq!(explained.is_allowed(), permit.is_ok(), "{explained}");
        assert_eq!(explained.is_allowed(), explained.needed_profile().is_none(), "{explained}");
        permit.is_ok()
    };
    let text = |denial: starcell_policy::Denial| denial.to_string();
    match capability {
        Capability::FsDelete | Capability::FsRead | Capability::FsWrite => {
            let named = |f: &&PathFunction| f.name() == function && f.capability() == capability;
            let function = *PathFunction::ALL.iter().find(named).unwrap();
            let path = CanonicalPath::resolve(resource, &cwd).unwrap();
            let permit = grants.decide(function, path.clone()).map(drop).map_err(text);
            decided(Call::new(function, &path), permit)
        }
        Capability::HttpClient => {
            let method = HttpMethod::named(function).unwrap();
            let url = Url::parse(resource).unwrap();
            let permit = grants.decide(method, url.clone()).map(drop).map_err(text);
            decided(Call::new(method, &url), permit)
        }
        Capability::HttpServer => {
            let function = ServerFunction::named(function).unwrap();
            let (host, port) = resource.rsplit_once(':').unwrap();
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let address = ServerAddress::new(host, port.parse().unwrap()).unwrap();
            let permit = grants.decide(function, address).map(drop).map_err(text);
            decided(Call::new(function, &address), permit)
        }
        Capability::K8sConfig | Capability::K8sRead | Capability::K8sWrite => {
            let named = |f: &&K8sFunction| f.name() == function && f.capability() == capability;
            let function = *K8sFunction::ALL.iter().find(named).unwrap();
            let object = match resource.split_once('/') {
                None => KubernetesObject::cluster(),
                Some(("-", kind)) => KubernetesObject::in_cluster(kind).unwrap(),
                Some((namespace, "*")) => KubernetesObject::all_in_namespace(namespace).unwrap(),
                Some(("*", kind)) => KubernetesObject::in_all_namespaces(kind).unwrap(),
                Some((namespace, kind)) => KubernetesObject::in_namespace(namespace, kind).unwrap(),
            };
            let permit = grants.decide(function, object.clone()).map(drop).map_err(text);
            decided(Call::new(function, &object), permit)
        }
        Capability::KvRead | Capability::KvWrite => {
            let function = KvFunction::named(function).unwrap();
            let key = match resource.strip_suffix('*') {
                Some(prefix) => KvKey::prefix(prefix).unwrap(),
                None => KvKey::new(resource).unwrap(),
            };
            let permit = grants.decide(function, key.clone()).map(drop).map_err(text);
            decided(Call::new(function, &key), permit)
        }
        Capability::OsEnv => {
            let function = EnvFunction::named(function).unwrap();
            let name = EnvName::new(resource).unwrap();
            let permit = grants.decide(function, name.clone()).map(drop).map_err(text);
            decided(Call::new(function, &name), permit)
        }
        Capability::OsExec | Capability::OsNetwork => {
            let named = |f: &&ExecFunction| f.name() == function && f.capability() == capability;
            let function = *ExecFunction::ALL.iter().find(named).unwrap();
            let program = ProgramPath::resolve(resource, &cwd).unwrap();
            let permit = grants.decide(function, program.clone()).map(drop).map_err(text);
            decided(Call::new(function, &program), permit)
        }
        Capability::SqlOpen => {
            let function = SqlFunction::named(function).unwrap();
            let source = SqlSource::parse(resource, Some(&cwd)).unwrap();
            let permit = grants.decide(function, source.clone()).map(drop).map_err(text);
            decided(Call::new(function, &source), permit)
        }
    }
}
