//! Requests to one registry: its login, the tokens that it asks for, and the redirects that it sends.
//!
//! **The decision.** A login goes to the registry that it is filed under, or to a server that has an entry of its own, and
//! to no other. A redirect is followed for what is fetched alone, without the login once it leads to another origin, over
//! TLS wherever the registry was asked over TLS, and not from a public registry into a private network.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use starcell_config::RegistryReference;
use starcell_policy::{AddressClass, Scheme, Url};

use crate::challenge::Challenge;
use crate::dial::RegistryDial;
use crate::error::RegistryError;
use crate::exchange::{Asking, Reply, exchange};
use crate::logins::RegistryLogins;

/// Redirects that are followed one after another: registries send one, to where they store blobs.
const MAX_REDIRECTS: usize = 3;

/// Bytes of an answer with a token, and of the token.
const MAX_ANSWER: usize = 64 << 10;
const MAX_TOKEN: usize = 16 << 10;

/// How long anything but a layer may take, from the connection on.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// How a registry is asked.
#[derive(Clone, Debug, Default)]
pub struct RegistryTerms {
    /// The logins of whoever asks.
    pub logins: RegistryLogins,
    /// Whether a registry elsewhere is asked without encryption.
    pub plain_http: bool,
}

/// A bundle in a registry, and how that is asked.
#[derive(Clone)]
pub struct Registry {
    pub(crate) reference: RegistryReference,
    terms: RegistryTerms,
    dial: Arc<dyn RegistryDial>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl Registry {
    /// The registry of a reference. Asks nothing yet.
    #[must_use]
    pub fn new(reference: RegistryReference, terms: RegistryTerms, dial: Arc<dyn RegistryDial>) -> Self {
        Self { reference, terms, dial }
    }

    /// Begins to ask: `actions` are what a token must allow.
    pub(crate) fn session(&self, actions: &'static str) -> Result<Session<'_>, RegistryError> {
        let plain = self.reference.is_on_loopback() || self.terms.plain_http;
        let scheme = if plain { Scheme::Http } else { Scheme::Https };
        let base = format!("{}://{}", scheme.as_str(), self.reference.authority());
        let base = Url::parse(&base).map_err(|error| RegistryError::Away(base, error.to_string()))?;
        Ok(Session { registry: self, base, actions, authorization: None })
    }
}

/// What is asked of one registry for one purpose.
pub(crate) struct Session<'a> {
    registry: &'a Registry,
    base: Url,
    actions: &'static str,
    /// What the registry wants to see, once it has asked for it.
    authorization: Option<HeaderValue>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session<'_> {
    /// The URL of something in the repository, such as `manifests/stable`.
    pub(crate) fn url(&self, rest: &str) -> Result<Url, RegistryError> {
        let path = format!("/v2/{}/{rest}", self.registry.reference.repository);
        follow(&self.base, &path).ok_or_else(|| RegistryError::Away(self.name(), format!("{path} is no path")))
    }

    /// The registry in messages.
    pub(crate) fn name(&self) -> String {
        self.base.origin()
    }

    /// A request to a URL, bounded as everything but a layer is.
    pub(crate) fn asking(&self, method: Method, url: Url) -> Asking {
        Asking {
            method,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            most: MAX_ANSWER,
            time: SHORT,
            within: None,
        }
    }

    /// Asks the registry, logs in if it wants that, and follows it where it stores what is fetched.
    pub(crate) async fn ask(&mut self, asking: Asking) -> Result<Reply, RegistryError> {
        let mut reply = self.ask_itself(asking.clone()).await?;
        if reply.status == StatusCode::UNAUTHORIZED && self.log_in(&reply).await? {
            reply = self.ask_itself(asking.clone()).await?;
        }
        let (mut from, within) = (asking.url.clone(), AddressClass::of(reply.address));
        for _ in 0..MAX_REDIRECTS {
            if asking.method != Method::GET || !reply.status.is_redirection() {
                return Ok(reply);
            }
            let location = reply.header(LOCATION.as_str()).unwrap_or_default();
            let to = follow(&from, location);
            let to = to.ok_or_else(|| self.astray("a text that is no URL", "which leads nowhere"))?;
            if from.scheme() == Scheme::Https && to.scheme() == Scheme::Http {
                return Err(self.astray(&to.origin(), "which is not encrypted"));
            }
            let next = Asking { url: to.clone(), within: Some(within), ..asking.clone() };
            reply = match to.origin() == self.base.origin() {
                true => self.ask_itself(next).await?,
                false => exchange(&*self.registry.dial, next).await?,
            };
            from = to;
        }
        match reply.status.is_redirection() {
            true => Err(self.astray(&from.origin(), "after as many redirects as are followed")),
            false => Ok(reply),
        }
    }

    /// Asks the registry itself, with what it wants to see.
    async fn ask_itself(&self, mut asking: Asking) -> Result<Reply, RegistryError> {
        if let Some(authorization) = &self.authorization {
            asking.headers.insert(AUTHORIZATION, authorization.clone());
        }
        exchange(&*self.registry.dial, asking).await
    }

    fn astray(&self, to: &str, why: &'static str) -> RegistryError {
        RegistryError::Redirect(self.name(), to.to_owned(), why)
    }

    /// Answers the challenge of a registry. False where there is nothing to answer it with.
    async fn log_in(&mut self, refused: &Reply) -> Result<bool, RegistryError> {
        let unusable = |why: &str| RegistryError::Challenge(self.name(), why.to_owned());
        if self.authorization.is_some() {
            return Ok(false);
        }
        let mut challenges = refused.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = challenges.find_map(Challenge::parse);
        let authorization = match challenge.ok_or_else(|| unusable("neither Basic nor Bearer"))? {
            Challenge::Basic => match self.registry.terms.logins.of(&self.registry.reference.authority()) {
                Some(_) if !is_private(&self.base) => return Err(RegistryError::Clear(self.name())),
                Some(login) => login,
                None => return Ok(false),
            },
            Challenge::Token { realm, service } => {
                let realm =
                    Url::parse(&realm).map_err(|error| unusable(&format!("the realm of its token: {error}")))?;
                format!("Bearer {}", self.token(&realm, service.as_deref()).await?)
            }
        };
        let mut value =
            HeaderValue::try_from(authorization).map_err(|_| unusable("its token fits no header of a request"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(true)
    }

    /// Asks the server that a registry names for a token.
    async fn token(&self, realm: &Url, service: Option<&str>) -> Result<String, RegistryError> {
        let (registry, logins) = (&self.registry.reference, &self.registry.terms.logins);
        if realm.scheme() == Scheme::Http && realm.origin() != self.base.origin() {
            return Err(RegistryError::Challenge(self.name(), format!("{} is not encrypted", realm.origin())));
        }
        let origin = realm.origin();
        let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
        let own = logins.of(&registry.authority());
        let login = match realm.origin() == self.base.origin() {
            true => own,
            false => match (logins.of(authority), own) {
                (None, Some(_)) => return Err(RegistryError::Elsewhere(self.name(), authority.to_owned())),
                (login, _) => login,
            },
        };
        if login.is_some() && !is_private(realm) {
            return Err(RegistryError::Clear(origin));
        }
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let scope = encoded(&format!("repository:{}:{}", registry.repository, self.actions));
        let service = service.map(|service| format!("service={}&", encoded(service))).unwrap_or_default();
        let target = realm.request_target();
        let separator = if target.contains('?') { '&' } else { '?' };
        let url = follow(realm, &format!("{target}{separator}{service}scope={scope}"));
        let url =
            url.ok_or_else(|| RegistryError::Challenge(self.name(), "the realm of its token is no URL".to_owned()))?;
        let mut asking = self.asking(Method::GET, url);
        if let Some(Ok(login)) = login.map(HeaderValue::try_from) {
            asking.headers.insert(AUTHORIZATION, login);
        }
        let reply = exchange(&*self.registry.dial, asking).await?;
        if reply.status != StatusCode::OK {
            let what = format!("a token for {}", registry.repository);
            return Err(RegistryError::Refused(origin, what, reply.status.as_u16()));
        }
        let token = serde_json::from_slice::<TokenAnswer>(&reply.body).ok();
        let token = token.and_then(|answer| answer.token.or(answer.access_token));
        let token = token.filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN);
        token.ok_or_else(|| RegistryError::Challenge(origin, "its answer has no token".to_owned()))
    }
}

/// Whether nobody else can read what goes to a URL.
fn is_private(url: &Url) -> bool {
    url.scheme() == Scheme::Https || url.host().is_loopback()
}

/// The URL that a location leads to: an absolute one, or a path of the same server.
pub(crate) fn follow(from: &Url, location: &str) -> Option<Url> {
    match location.starts_with('/') && !location.starts_with("//") {
        true => Url::parse(&format!("{}{location}", from.origin())).ok(),
        false => Url::parse(location).ok(),
    }
}
