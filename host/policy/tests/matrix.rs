//! The golden matrix: what each built-in profile says about a representative call of every kind.
//!
//! Read a row from left to right: once `yes`, always `yes`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use starcell_policy::{
    Call, CanonicalPath, Capability, EnvFunction, EnvName, ExecFunction, Grants, HttpMethod, K8sFunction,
    KubernetesObject, KvFunction, KvKey, PathFunction, Profile, ProgramPath, Roots, ServerAddress, ServerFunction, Url,
};

const CWD: &str = "/srv/app";

const MATRIX: &str = "
call                                                  | deny-all | allow-fs | allow-net | allow-local | allow-all
fs.read   read_text     /srv/app/data.json            | no       | yes      | yes       | yes         | yes
fs.read   read_text     /etc/hosts                    | no       | yes      | yes       | yes         | yes
fs.read   listdir       /srv/app                      | no       | yes      | yes       | yes         | yes
fs.write  write_text    /srv/app/out/log.txt          | no       | yes      | yes       | yes         | yes
fs.write  write_text    data/../out.txt               | no       | yes      | yes       | yes         | yes
fs.write  write_text    ../other/out.txt              | no       | no       | no        | no          | yes
fs.write  write_text    /srv/app/../../etc/hosts      | no       | no       | no        | no          | yes
fs.write  chmod         /srv/app                      | no       | no       | no        | no          | yes
fs.write  symlink_to    /srv/apple/x                  | no       | no       | no        | no          | yes
fs.delete remove        /srv/app/old                  | no       | yes      | yes       | yes         | yes
fs.delete remove        /srv/app                      | no       | no       | no        | no          | yes
fs.delete remove        /                             | no       | no       | no        | no          | yes
os.env    env           HOME                          | no       | yes      | yes       | yes         | yes
os.env    setenv        LANG                          | no       | yes      | yes       | yes         | yes
kv.read   get           user:1                        | no       | yes      | yes       | yes         | yes
kv.read   list          user:*                        | no       | yes      | yes       | yes         | yes
kv.write  set           user:1                        | no       | yes      | yes       | yes         | yes
http.client GET         https://api.example.com/v1    | no       | no       | yes       | yes         | yes
http.client POST        https://8.8.8.8/              | no       | no       | yes       | yes         | yes
http.client GET         http://127.0.0.1:9000/        | no       | no       | no        | yes         | yes
http.client GET         http://[::1]/                 | no       | no       | no        | yes         | yes
http.client GET         http://10.0.0.5/              | no       | no       | no        | no          | yes
http.client GET         http://169.254.169.254/       | no       | no       | no        | no          | yes
http.client GET         http://[fe80::1]/             | no       | no       | no        | no          | yes
http.server serve       127.0.0.1:8080                | no       | no       | no        | yes         | yes
http.server start       0.0.0.0:443                   | no       | no       | no        | yes         | yes
os.exec   exec          /srv/app/bin/tool             | no       | no       | no        | yes         | yes
os.exec   exec          /srv/app/../bin/sh            | no       | no       | no        | no          | yes
os.exec   exec          /usr/bin/id                   | no       | no       | no        | no          | yes
os.exec   which         /usr/bin/id                   | no       | no       | no        | no          | yes
k8s.read  get           default/pods                  | no       | no       | no        | yes         | yes
k8s.read  list          */secrets                     | no       | no       | no        | yes         | yes
k8s.read  get           -/nodes                       | no       | no       | no        | yes         | yes
k8s.read  logs          default/pods                  | no       | no       | no        | yes         | yes
k8s.write apply         default/deployments           | no       | no       | no        | yes         | yes
k8s.write create        default/configmaps            | no       | no       | no        | yes         | yes
k8s.write patch         prod/widgets.example.com      | no       | no       | no        | yes         | yes
k8s.write delete        -/namespaces                  | no       | no       | no        | yes         | yes
k8s.write delete        prod/*                        | no       | no       | no        | yes         | yes
k8s.config config       -                             | no       | no       | no        | yes         | yes
k8s.exec  exec          default/pods                  | no       | no       | no        | no          | yes
k8s.exec  cp            default/pods                  | no       | no       | no        | no          | yes
";

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
            let function = PathFunction::named(function).unwrap();
            let path = CanonicalPath::resolve(resource, &cwd).unwrap();
            let permit = grants.path(function, path.clone()).map(drop).map_err(text);
            decided(Call::path(function, &path), permit)
        }
        Capability::HttpClient => {
            let method = HttpMethod::named(function).unwrap();
            let url = Url::parse(resource).unwrap();
            let permit = grants.http_client(method, url.clone()).map(drop).map_err(text);
            decided(Call::http_client(method, &url), permit)
        }
        Capability::HttpServer => {
            let function = ServerFunction::named(function).unwrap();
            let (host, port) = resource.rsplit_once(':').unwrap();
            let address = ServerAddress::new(host, port.parse().unwrap()).unwrap();
            let permit = grants.http_server(function, address).map(drop).map_err(text);
            decided(Call::http_server(function, &address), permit)
        }
        Capability::K8sConfig | Capability::K8sExec | Capability::K8sRead | Capability::K8sWrite => {
            let named = |f: &&K8sFunction| f.name() == function && f.capability() == capability;
            let function = *K8sFunction::ALL.iter().find(named).unwrap();
            let object = match resource.split_once('/') {
                None => KubernetesObject::cluster(),
                Some(("-", kind)) => KubernetesObject::in_cluster(kind).unwrap(),
                Some((namespace, "*")) => KubernetesObject::all_in_namespace(namespace).unwrap(),
                Some(("*", kind)) => KubernetesObject::in_all_namespaces(kind).unwrap(),
                Some((ns, kind)) => KubernetesObject::in_namespace(ns, kind).unwrap(),
            };
            let permit = grants.k8s(function, object.clone()).map(drop).map_err(text);
            decided(Call::k8s(function, &object), permit)
        }
        Capability::KvRead | Capability::KvWrite => {
            let function = KvFunction::named(function).unwrap();
            let key = match resource.strip_suffix('*') {
                Some(prefix) => KvKey::prefix(prefix).unwrap(),
                None => KvKey::new(resource).unwrap(),
            };
            let permit = grants.kv(function, key.clone()).map(drop).map_err(text);
            decided(Call::kv(function, &key), permit)
        }
        Capability::OsEnv => {
            let function = EnvFunction::named(function).unwrap();
            let name = EnvName::new(resource).unwrap();
            let permit = grants.env(function, name.clone()).map(drop).map_err(text);
            decided(Call::env(function, &name), permit)
        }
        Capability::OsExec => {
            let function = ExecFunction::named(function).unwrap();
            let program = ProgramPath::resolve(resource, &cwd).unwrap();
            let permit = grants.exec(function, program.clone()).map(drop).map_err(text);
            decided(Call::exec(function, &program), permit)
        }
    }
}

fn cells(line: &str) -> Vec<&str> {
    line.split('|').map(str::trim).collect()
}

#[test]
fn every_profile_says_what_the_matrix_says() {
    let roots = Roots::new(CanonicalPath::absolute(CWD).unwrap());
    let grants: Vec<Grants> =
        Profile::ladder().iter().map(|profile| Grants::new(profile, &[], &[], &roots).unwrap()).collect();
    let mut lines = MATRIX.trim().lines();
    assert_eq!(cells(lines.next().unwrap()).split_off(1), Profile::NAMES);
    let mut seen = BTreeSet::new();
    for line in lines {
        let row = cells(line);
        let call: Vec<&str> = row.first().unwrap().split_whitespace().collect();
        let [capability, function, resource] = call.as_slice() else { panic!("{line}") };
        let capability = Capability::named(capability).unwrap();
        seen.insert(capability);
        for (grants, expected) in grants.iter().zip(row.iter().skip(1)) {
            let answer = if allowed(grants, capability, function, resource) { "yes" } else { "no" };
            let profile = grants.profiles().next().unwrap();
            assert_eq!(answer, *expected, "{profile}: {line}");
        }
    }
    assert_eq!(seen, BTreeSet::from(Capability::ALL), "every capability has a row");
}

#[test]
fn a_rung_grants_every_function_of_what_it_grants() {
    let roots = Roots::new(CanonicalPath::absolute(CWD).unwrap());
    for (profile, count) in [("deny-all", 0), ("allow-fs", 38), ("allow-all", 73)] {
        let grants = Grants::new(&Profile::named(profile).unwrap(), &[], &[], &roots).unwrap();
        let granted: usize = Capability::ALL
            .into_iter()
            .map(|capability| {
                let resource = representative(capability);
                let functions = capability.functions();
                functions.iter().filter(|f| allowed(&grants, capability, f, resource)).count()
            })
            .sum();
        assert_eq!(granted, count, "{profile}");
    }
}

fn representative(capability: Capability) -> &'static str {
    match capability {
        Capability::FsDelete | Capability::FsRead | Capability::FsWrite => "/srv/app/x",
        Capability::HttpClient => "https://api.example.com/",
        Capability::HttpServer => "127.0.0.1:8080",
        Capability::K8sConfig | Capability::K8sExec | Capability::K8sRead | Capability::K8sWrite => "default/pods",
        Capability::KvRead | Capability::KvWrite => "user:1",
        Capability::OsEnv => "HOME",
        Capability::OsExec => "/srv/app/bin/tool",
    }
}
