//! A kubeconfig that a script names. Whoever wrote it chose everything in it, so it can do no more than the script could:
//! it runs no program, skips no check of a certificate, and has no file read that the script may not read. Files that it
//! names are given to this module by a reader that asks for each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::Config;
use kube::config::{AuthInfo, Cluster as ClusterEntry, KubeConfigOptions, Kubeconfig};
use starcell_policy::Url;

use super::cluster::Cluster;
use super::operator::{chosen, prepared};
use super::words;

/// Bytes of a kubeconfig or of a file that it names; real ones have some ten thousand.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// A kubeconfig on its way to a cluster.
pub(crate) struct Named {
    kubeconfig: Kubeconfig,
    context: Option<String>,
    cluster: ClusterEntry,
    user: AuthInfo,
    server: Url,
}

/// A file that a kubeconfig names, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Authority,
    ClientCertificate,
    ClientKey,
    Token,
}

impl Named {
    /// Reads the text and picks the context. Takes some milliseconds if the text is large.
    pub(crate) fn new(text: &str, context: Option<String>) -> Result<Self, String> {
        if let Some(place) = alias(text) {
            let line = text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count() + 1;
            return Err(format!("kubeconfig: line {line} has an anchor or an alias; write out what it stands for"));
        }
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| words::of_kubeconfig(&error))?;
        let context = context.or_else(|| kubeconfig.current_context.clone());
        let Some((cluster, user)) = chosen(&kubeconfig, context.as_deref()) else {
            return Err(match context {
                Some(context) => format!("kubeconfig: it has no context {context:?} whose cluster is there"),
                None => "kubeconfig: it has no current-context, and no context is chosen".to_owned(),
            });
        };
        refuse(&cluster, &user)?;
        let server = cluster.server.as_deref().ok_or("kubeconfig: its cluster has no server")?;
        let server = Url::parse(server).map_err(|error| format!("kubeconfig: its server: {error}"))?;
        Ok(Self { kubeconfig, context, cluster, user, server })
    }

    /// The files it names.
    pub(crate) fn files(&self) -> Vec<(Wanted, String)> {
        let (cluster, user) = (&self.cluster, &self.user);
        // Inline data wins over a file; an inline token wins over a token file.
        let wanted = [
            (Wanted::Authority, cluster.certificate_authority_data.is_none(), &cluster.certificate_authority),
            (Wanted::ClientCertificate, user.client_certificate_data.is_none(), &user.client_certificate),
            (Wanted::ClientKey, user.client_key_data.is_none(), &user.client_key),
            (Wanted::Token, user.token.is_none(), &user.token_file),
        ];
        let named = wanted.into_iter().filter(|(_, needed, _)| *needed);
        named.filter_map(|(wanted, _, file)| Some((wanted, file.clone().filter(|file| !file.is_empty())?))).collect()
    }

    /// Puts the content of a file in the place of its name.
    pub(crate) fn fill(&mut self, wanted: Wanted, content: &[u8]) -> Result<(), String> {
        let data = || STANDARD.encode(content);
        match wanted {
            Wanted::Authority => self.cluster.certificate_authority_data = Some(data()),
            Wanted::ClientCertificate => self.user.client_certificate_data = Some(data()),
            Wanted::ClientKey => self.user.client_key_data = Some(data().into()),
            Wanted::Token => {
                let token = std::str::from_utf8(content).map_err(|_| "kubeconfig: its tokenFile is not text")?;
                self.user.token = Some(token.trim().to_owned().into());
            }
        }
        Ok(())
    }

    /// The cluster. Blocks for as long as certificates take to parse.
    pub(crate) fn cluster(self) -> Result<Cluster, String> {
        let Self { mut kubeconfig, context, mut cluster, mut user, server } = self;
        cluster.certificate_authority = None;
        (user.client_certificate, user.client_key, user.token_file) = (None, None, None);
        let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
        let picked = kubeconfig.contexts.iter().find(|named| Some(&named.name) == context.as_ref());
        let picked = picked.and_then(|named| named.context.clone()).unwrap_or_default();
        // What is left is what was looked at.
        for named in &mut kubeconfig.clusters {
            named.cluster = Some(cluster.clone()).filter(|_| named.name == picked.cluster);
        }
        for named in &mut kubeconfig.auth_infos {
            named.auth_info = Some(user.clone()).filter(|_| Some(&named.name) == picked.user.as_ref());
        }
        let reading = Config::from_custom_kubeconfig(kubeconfig, &options);
        let config = tokio::runtime::Handle::current().block_on(reading);
        let config = config.map_err(|error| words::of_kubeconfig(&error))?;
        Ok(Cluster::of_script(prepared(config), context, server))
    }
}

/// Where a text of YAML has an anchor or an alias, if it has any. A few hundred bytes of them stand for gigabytes, and the
/// parser gives up only when it has made some hundred MiB of them. A text in quotes that looks like one counts as one.
fn alias(text: &str) -> Option<usize> {
    let opens = |byte: u8| byte.is_ascii_whitespace() || b"[{,-?".contains(&byte);
    let is_one = |window: &[u8]| match window {
        [before, b'&' | b'*', name] => opens(*before) && (name.is_ascii_alphanumeric() || *name == b'_'),
        _ => false,
    };
    let starts = matches!(text.as_bytes(), [b'&' | b'*', ..]);
    let within = text.as_bytes().windows(3).position(is_one).map(|place| place + 1);
    starts.then_some(0).or(within)
}

/// What is the operator's alone to use.
fn refuse(cluster: &ClusterEntry, user: &AuthInfo) -> Result<(), String> {
    let refused = [
        ("exec", user.exec.is_some(), "it would run a program"),
        ("auth-provider", user.auth_provider.is_some(), "it would run a program"),
        ("insecure-skip-tls-verify", cluster.insecure_skip_tls_verify == Some(true), "anybody could answer"),
        ("proxy-url", cluster.proxy_url.as_ref().is_some_and(|url| !url.is_empty()), "it is not supported"),
    ];
    match refused.iter().find(|(_, is_there, _)| *is_there) {
        Some((name, _, why)) => Err(format!("kubeconfig: {name} is refused in a file that a script names: {why}")),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::slow::on_blocking_thread;

    fn kubeconfig(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts:\n- name: a\n  context: {{cluster: c, user: u, \
             namespace: web}}\nclusters:\n- name: c\n  cluster: {{server: 'https://h.example:6443', {cluster}}}\n\
             users:\n- name: u\n  user: {{{user}}}\n"
        )
    }

    #[test]
    fn anchors_and_aliases_are_refused_before_anything_is_parsed() {
        for (text, line) in
            [("a: &a [x]\n", 1), ("a: 1\nb: *a\n", 2), ("a: [*b]", 1), ("- *c", 1), ("&d x", 1), ("{x, &e y}", 1)]
        {
            let error = Named::new(text, None).err().unwrap();
            assert!(error.starts_with(&format!("kubeconfig: line {line} has an anchor")), "{text}: {error}");
        }
        for text in ["server: https://h/?a=b&c=d", "a: 2*3", "# 1 * 2", "a: b & c", "token: \"x*y&z\""] {
            assert_eq!(alias(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_script_may_not_choose_is_refused() {
        for (cluster, user, name) in [
            ("", "exec: {apiVersion: v1, command: /bin/id}", "exec"),
            ("", "auth-provider: {name: gcp}", "auth-provider"),
            ("insecure-skip-tls-verify: true", "", "insecure-skip-tls-verify"),
            ("proxy-url: 'http://p.example'", "", "proxy-url"),
        ] {
            let error = Named::new(&kubeconfig(cluster, user), None).err().unwrap();
            assert!(error.starts_with(&format!("kubeconfig: {name} is refused")), "{error}");
        }
        for (text, error) in [
            ("a: [", "kubeconfig: line "),
            ("", "kubeconfig: it has no current-context, and no context is chosen"),
            ("current-context: x", "kubeconfig: it has no context \"x\" whose cluster is there"),
        ] {
            assert!(Named::new(text, None).err().unwrap().starts_with(error), "{text}");
        }
        let text = kubeconfig("", "").replace("h.example", "u:p@h.example");
        assert!(Named::new(&text, None).err().unwrap().contains("credentials"), "{text}");
    }

    #[test]
    fn an_error_quotes_nothing_of_the_file() {
        let text = "users:\n- name: u\n  user: {token: [s3cret-value]}\n";
        let error = Named::new(text, None).err().unwrap();
        assert!(error.starts_with("kubeconfig: line 3, ") && !error.contains("s3cret"), "{error}");
    }

    #[tokio::test]
    async fn files_are_read_by_whoever_may_and_only_where_needed() {
        let text = kubeconfig("certificate-authority: ca.pem", "tokenFile: token, token: own, client-key: /k");
        let named = Named::new(&text, None).unwrap();
        assert_eq!(named.files(), [(Wanted::Authority, "ca.pem".into()), (Wanted::ClientKey, "/k".into())]);
        let mut named = Named::new(&kubeconfig("", "tokenFile: token"), None).unwrap();
        named.fill(Wanted::Token, b" secret\n").unwrap();
        let cluster = on_blocking_thread(|| named.cluster()).await.unwrap().unwrap();
        assert_eq!((cluster.namespace(), cluster.server().as_str()), ("web", "https://h.example:6443"));
        assert_eq!((cluster.context.as_deref(), cluster.authority()), (Some("a"), Some("h.example:6443")));
        assert!(!format!("{cluster:?}").contains("secret"));
    }
}
