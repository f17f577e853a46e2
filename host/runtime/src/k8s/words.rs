//! The errors of a cluster, in words for a script's developer.
//!
//! Errors of kube tell what they have read: the output of a program that makes credentials, lines of a kubeconfig, a
//! line of a key. So they are told in words of our own wherever something of that kind could be in them.

use kube::Error;
use kube::client::{AuthError, RustlsTlsError};
use kube::config::{KubeconfigError, LoadDataError};

use crate::os_words::{os_words, unnumbered};

/// Longest message of a cluster that is passed on.
const MAX_MESSAGE: usize = 1000;

/// Why a request was not answered.
pub(super) fn of(error: &Error) -> String {
    match error {
        Error::Auth(error) => of_auth(error),
        Error::InferKubeconfig(error) => of_kubeconfig(error),
        Error::RustlsTls(error) => of_tls(error),
        Error::ProxyProtocolDisabled { .. } | Error::ProxyProtocolUnsupported { .. } => {
            "the kubeconfig has a proxy-url, which is not supported".to_owned()
        }
        Error::HyperError(error) => chain(error),
        Error::Service(error) => match error.downcast_ref::<AuthError>() {
            Some(error) => of_auth(error),
            None => chain(&**error),
        },
        _ => "the request could not be made".to_owned(),
    }
}

/// What is wrong with a kubeconfig.
pub(super) fn of_kubeconfig(error: &KubeconfigError) -> String {
    let what = match error {
        KubeconfigError::CurrentContextNotSet => "it has no current-context, and no context is chosen".to_owned(),
        KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
        KubeconfigError::LoadClusterOfContext(name) => format!("it has no cluster {name:?}, which its context names"),
        KubeconfigError::MissingClusterUrl => "its cluster has no server".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => "the server of its cluster is not a URL".to_owned(),
        KubeconfigError::LoadCertificateAuthority(error) => format!("its certificate-authority: {}", of_data(error)),
        KubeconfigError::LoadClientCertificate(error) => format!("its client-certificate: {}", of_data(error)),
        KubeconfigError::LoadClientKey(error) => format!("its client-key: {}", of_data(error)),
        KubeconfigError::ParseCertificates(_) => "its certificate-authority is not PEM".to_owned(),
        KubeconfigError::ReadConfig(error, _) => os_words(error),
        KubeconfigError::Parse(error) => match error.location() {
            Some(at) => format!("line {}, column {} is not what a kubeconfig has there", at.line(), at.column()),
            None => "it is not a kubeconfig".to_owned(),
        },
        KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
            "its files are of different kinds or versions".to_owned()
        }
        _ => "it cannot be used".to_owned(),
    };
    format!("kubeconfig: {what}")
}

/// Returns whether a kubeconfig is simply not there.
pub(super) fn is_missing(error: &KubeconfigError) -> bool {
    matches!(error, KubeconfigError::ReadConfig(error, _) if error.kind() == std::io::ErrorKind::NotFound)
}

fn of_data(error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => "its data are not base64".to_owned(),
        LoadDataError::ReadFile(error, path) => format!("{}: {}", path.display(), os_words(error)),
        LoadDataError::NoBase64DataOrFile => "it is missing, and its other half is there".to_owned(),
    }
}

fn of_auth(error: &AuthError) -> String {
    let what = match error {
        AuthError::AuthExecStart(error) => format!("its program cannot be started: {}", os_words(error)),
        AuthError::AuthExecRun { out, .. } => format!("its program failed with {}", out.status),
        AuthError::MissingCommand => "its exec entry has no command".to_owned(),
        AuthError::ReadTokenFile(error, path) => format!("{}: {}", path.display(), os_words(error)),
        AuthError::AuthExec(_) => "its auth-provider is not supported".to_owned(),
        AuthError::InvalidBearerToken(_) | AuthError::InvalidBasicAuth(_) => "they hold control characters".to_owned(),
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed => "its program gave none".to_owned(),
        _ => "they cannot be used".to_owned(),
    };
    format!("the credentials of the kubeconfig: {what}")
}

fn of_tls(error: &RustlsTlsError) -> String {
    match error {
        RustlsTlsError::AddRootCertificate(_) => {
            "the certificate-authority of the kubeconfig cannot be used".to_owned()
        }
        RustlsTlsError::NoValidNativeRootCA(_) => {
            "the kubeconfig has no certificate-authority, and this machine has no root certificates".to_owned()
        }
        RustlsTlsError::InvalidServerName(_) => "the tls-server-name of the kubeconfig is not a name".to_owned(),
        _ => "the client certificate or key of the kubeconfig cannot be used".to_owned(),
    }
}

/// An error with its causes, each told once.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = unnumbered(error);
        if !told.iter().any(|before| before.ends_with(&text)) {
            told.push(text);
        }
        next = error.source();
    }
    bounded(&told.join(": "))
}

/// A text of somebody else's, at most so long.
pub(super) fn bounded(text: &str) -> String {
    match text.get(..text.floor_char_boundary(MAX_MESSAGE)) {
        Some(start) if start.len() < text.len() => format!("{start}…"),
        _ => text.to_owned(),
    }
}
