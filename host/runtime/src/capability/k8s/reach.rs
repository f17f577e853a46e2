//! To the cluster: how it serves the permitted objects, and the requests about them.
//!
//! The operator's cluster is where the operator said. One that the script named is a server like any other to a script,
//! so every request to it also passes the gate as `http.client`: its URL first, then each address of its name.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Bytes;
use starcell_policy::{Endpoint, Host, HttpMethod, KubernetesObject, Permit, Url};

use super::objects::Objects;
use crate::call_error::{Cause, HostCallError};
use crate::gate::Effect;
use crate::k8s::cluster::Cluster;
use crate::k8s::exchange::{Answer, ApiRequest, Fault};
use crate::k8s::kinds::{Api, find};
use crate::k8s::route::{self, Name, Version};

/// Addresses of one name that are tried.
const MAX_TRIED: usize = 4;

/// Permitted objects of a cluster that serves them.
pub(super) struct Reached<'a> {
    call: &'a Objects<'a>,
    cluster: Arc<Cluster>,
    permit: Permit<KubernetesObject>,
    version: Version,
    name: Option<Name>,
    /// How errors call them.
    subject: String,
}

impl Reached<'_> {
    /// Where they are.
    pub(super) fn collection(&self) -> Result<String, HostCallError> {
        self.told(route::collection(&self.permit, &self.version))
    }

    /// Where the one is that the call names.
    pub(super) fn object(&self) -> Result<String, HostCallError> {
        match &self.name {
            Some(name) => self.told(route::object(&self.permit, &self.version, name)),
            None => Err(self.call.failed(&self.subject, "it has no name")),
        }
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_ref().map_or("", Name::as_str)
    }

    pub(super) async fn send(&self, request: ApiRequest) -> Result<Answer, HostCallError> {
        self.send_within(request, 0).await
    }

    /// Sends a request of a call whose answers had so many bytes before.
    pub(super) async fn send_within(&self, request: ApiRequest, before: usize) -> Result<Answer, HostCallError> {
        self.call.send(&self.cluster, &request, before, &self.subject).await
    }

    /// Sends a request that changes an object, and takes the object that it became.
    pub(super) async fn change(&self, request: ApiRequest) -> Result<(String, u64), HostCallError> {
        let sent = request.body.len();
        let answer = self.send(request).await?;
        let object = self.text(self.told(answer.body())?)?;
        let bytes = (sent + object.len()) as u64;
        Ok((object, bytes))
    }

    pub(super) fn text(&self, body: Bytes) -> Result<String, HostCallError> {
        self.told(String::from_utf8(body.into()).map_err(|_| "the answer is not text".to_owned()))
    }

    /// A result whose error does not say yet what it is about.
    pub(super) fn told<T>(&self, result: Result<T, String>) -> Result<T, HostCallError> {
        result.map_err(|text| self.call.failed(&self.subject, text))
    }
}

impl Objects<'_> {
    /// Finds out how the cluster serves the permitted objects.
    pub(super) async fn reach<'a>(
        &'a self,
        cluster: Arc<Cluster>,
        permit: Permit<KubernetesObject>,
        (name, subject): (Option<Name>, String),
        said: Option<(Version, String)>,
    ) -> Result<Reached<'a>, HostCallError> {
        let (version, kind) = said.unzip();
        let api = self.api(&cluster, permit.resource(), version, &subject).await?;
        let object = permit.resource();
        let wrong = if kind.as_ref().is_some_and(|kind| *kind != api.kind) {
            Some(format!(
                "it is of the kind {}, not {}; pass its plural name with kind=",
                kind.unwrap_or_default(),
                api.kind
            ))
        } else if api.namespaced && object.is_in_cluster() {
            Some("objects of this kind are in namespaces; pass one with namespace=".to_owned())
        } else if !api.namespaced && !object.is_in_cluster() {
            Some("objects of this kind are in no namespace; pass namespace=\"-\"".to_owned())
        } else {
            None
        };
        match wrong {
            Some(text) => Err(self.failed(&subject, text)),
            None => Ok(Reached { call: self, cluster, permit, version: api.version, name, subject }),
        }
    }

    /// How a kind is served: as is known of every cluster, or as this one says.
    async fn api(
        &self,
        cluster: &Cluster,
        object: &KubernetesObject,
        version: Option<Version>,
        subject: &str,
    ) -> Result<Api, HostCallError> {
        let failed = |text: String| self.failed(subject, text);
        if let Some(known) = object.known_kind() {
            let version = version.map_or_else(|| Version::new(known.version), Ok).map_err(failed)?;
            return Ok(Api { version, namespaced: known.namespaced, kind: known.kind.to_owned() });
        }
        let (plural, group) = object.plural_and_group().unwrap_or_default();
        let version = match version {
            Some(version) => version,
            None if group.is_empty() => Version::new("v1").map_err(failed)?,
            None => self.preferred(cluster, group, subject).await?,
        };
        let remembered = cluster.kinds.served(group, &version);
        if let Some(Ok(api)) = remembered.map(|kinds| find(&kinds, plural, group, &version)) {
            return Ok(api);
        }
        let request = ApiRequest::get(route::version(group, &version));
        let answer = self.send(cluster, &request, 0, subject).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Err(failed(format!("the cluster has no version {} of the API group {group:?}", version.as_str())));
        }
        let body = answer.body().map_err(failed)?;
        let kinds = cluster.kinds.serve(group, &version, &body).map_err(failed)?;
        find(&kinds, plural, group, &version).map_err(failed)
    }

    /// The version of a group that the cluster prefers.
    async fn preferred(&self, cluster: &Cluster, group: &str, subject: &str) -> Result<Version, HostCallError> {
        let failed = |text: String| self.failed(subject, text);
        if let Some(version) = cluster.kinds.preferred(group) {
            return Ok(version);
        }
        let answer = self.send(cluster, &ApiRequest::get(route::group(group)), 0, subject).await?;
        if answer.status == http::StatusCode::NOT_FOUND {
            return Err(failed(format!("the cluster has no API group {group:?}")));
        }
        let body = answer.body().map_err(failed)?;
        cluster.kinds.prefer(group, &body).map_err(failed)
    }

    /// Sends a request to the cluster.
    async fn send(
        &self,
        cluster: &Cluster,
        request: &ApiRequest,
        before: usize,
        subject: &str,
    ) -> Result<Answer, HostCallError> {
        let left = self.limit().saturating_sub(before);
        if cluster.judged.is_some() {
            return self.send_judged(cluster, request, left, subject).await;
        }
        let client = cluster.direct().await.map_err(|text| self.failed(subject, text))?;
        request
            .send(&client, None, (&self.caller.holding, left))
            .await
            .map_err(|fault| self.failed(subject, self.words(fault)))
    }

    /// Sends a request to a cluster that the script named: to the first address that is granted and answers.
    async fn send_judged(
        &self,
        cluster: &Cluster,
        request: &ApiRequest,
        left: usize,
        subject: &str,
    ) -> Result<Answer, HostCallError> {
        let failed = |cause: Cause| self.failed(subject, cause);
        let url = Url::parse(&format!("{}{}", cluster.server(), request.target));
        let url = url.map_err(|error| failed(format!("the server of the kubeconfig: {error}").into()))?;
        let method = HttpMethod::named(request.method.as_str()).ok_or_else(|| failed("no such method".into()))?;
        let effect = |permit: Permit<Url>| async move {
            let addresses = self.addresses(&permit, subject).await?;
            let mut granted: Vec<IpAddr> = addresses
                .iter()
                .copied()
                .filter(|address| self.caller.gate.covers_address(&permit, *address))
                .collect();
            if granted.is_empty() {
                granted.extend(addresses.first());
            }
            let mut last = failed("the name of the cluster's server has no address".into());
            for address in granted.into_iter().take(MAX_TRIED) {
                let was_asked = AtomicBool::new(false);
                let asked = &was_asked;
                let send = |endpoint: Permit<Endpoint>| async move {
                    let client = cluster.pinned(&endpoint).await.map_err(HostCallError::failed)?;
                    let answer = request.send(&client, cluster.authority(), (&self.caller.holding, left)).await;
                    let answer = answer.map_err(|fault| {
                        asked.store(!matches!(fault, Fault::Unreached(_)), Ordering::Relaxed);
                        HostCallError::failed(self.words(fault))
                    })?;
                    let bytes = (request.body.len() + answer.body.len()) as u64;
                    Ok(((answer, bytes), 0))
                };
                match self.caller.gate.address(&permit, address, self.at, send).await {
                    Ok(answered) => return Effect::Ok(answered),
                    Err(HostCallError::Failed(fault)) => last = failed(fault.cause),
                    Err(refused) => return Err(refused),
                }
                // What may have been done is not done twice.
                if was_asked.load(Ordering::Relaxed) {
                    break;
                }
            }
            Err(last)
        };
        self.caller.gate.pass(self.at, method, url, effect).await
    }

    async fn addresses(&self, permit: &Permit<Url>, subject: &str) -> Result<Vec<IpAddr>, HostCallError> {
        match permit.resource().host() {
            Host::Address(address) => Ok(vec![*address]),
            Host::Name(name) => {
                let found = self.caller.app.config.state.client.resolver().resolve(name).await;
                found.map_err(|_| self.failed(subject, format!("cannot resolve {name}")))
            }
        }
    }

    fn words(&self, fault: Fault) -> String {
        match fault {
            Fault::TooLarge => format!("the answer is larger than {} MiB; ask for less", self.limit() >> 20),
            Fault::Failed(text) => text,
            Fault::Unreached(text) => format!("the cluster cannot be reached: {text}"),
        }
    }
}
