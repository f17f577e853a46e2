//! The sessions of browsers with the console.
//!
//! The decision: a browser shows a token once, in a form, and gets a cookie of 128 random bits (`HttpOnly`,
//! `SameSite=Strict`, for the paths of the console alone). A session ends 30 minutes after its last page, 8 hours after its
//! beginning, with the token that it began with, and with the process. It is kept by the digest of its cookie.
//!
//! Each form that changes something has a key, which is of the session, or of the operator where there is none: whoever
//! knows the cookie alone, or has a browser send it, has no key.
//!
//! What is refused: a cookie that is there twice with two sessions. More than [`MOST`] sessions: the one that was used
//! longest ago ends.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use starcell_edge::Ids;
use starcell_node::console_cookie::CONSOLE_COOKIE;
use starcell_node::subject::digest;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

/// Sessions at once.
const MOST: usize = 256;

/// How long a session lasts without a page, and at most.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LIFE: Duration = Duration::from_secs(8 * 3600);

/// The sessions of a node.
#[derive(Debug)]
pub(super) struct Sessions {
    /// By the digests of their cookies.
    all: Mutex<BTreeMap<String, Session>>,
    /// What the keys of forms without a session are made of.
    secret: String,
}

/// A session.
#[derive(Clone)]
struct Session {
    /// The digest of the token that it began with.
    token: String,
    form: FormKey,
    began: Instant,
    used: Instant,
}

/// The key of a form.
#[derive(Clone)]
pub(super) struct FormKey(String);

/// No key is shown.
impl std::fmt::Debug for FormKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FormKey")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("used", &self.used).finish_non_exhaustive()
    }
}

impl FormKey {
    /// The key as the form has it.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Whether a form has sent this key.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self { all: Mutex::default(), secret: random() }
    }

    /// Begins a session of whoever has the token of a digest, and returns its cookie.
    pub(super) fn begin(&self, token: String) -> String {
        let (cookie, now) = (random(), Instant::now());
        let mut all = self.all.lock();
        all.retain(|_, session| session.lasts(now));
        while all.len() >= MOST {
            let Some(oldest) = all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| key.clone()) else {
                break;
            };
            all.remove(&oldest);
        }
        all.insert(digest(cookie.as_bytes()), Session { token, form: FormKey(random()), began: now, used: now });
        format!("{CONSOLE_COOKIE}={cookie}; Path=/console; HttpOnly; SameSite=Strict; Max-Age={}", LIFE.as_secs())
    }

    /// The session of these cookies: the digest of its token, and the key of its forms. `is_used` says that somebody looks at
    /// a page, and not only a page that renews itself.
    pub(super) fn find<'a>(&self, cookies: impl Iterator<Item = &'a str>, is_used: bool) -> Option<(String, FormKey)> {
        let (now, mut all) = (Instant::now(), self.all.lock());
        let mut found: Option<String> = None;
        // An app at another port can set a cookie of this name, which is no session.
        for key in cookies.take(8).map(|cookie| digest(cookie.as_bytes())) {
            if all.get(&key).is_some_and(|session| session.lasts(now)) {
                if found.as_ref().is_some_and(|other| *other != key) {
                    return None;
                }
                found = Some(key);
            }
        }
        let session = all.get_mut(&found?)?;
        if is_used {
            session.used = now;
        }
        Some((session.token.clone(), session.form.clone()))
    }

    /// Ends the sessions of these cookies, and returns the cookie that the browser has from then on.
    pub(super) fn end<'a>(&self, cookies: impl Iterator<Item = &'a str>) -> String {
        let mut all = self.all.lock();
        for cookie in cookies.take(8) {
            all.remove(&digest(cookie.as_bytes()));
        }
        format!("{CONSOLE_COOKIE}=; Path=/console; HttpOnly; SameSite=Strict; Max-Age=0")
    }

    /// The key of the forms of an operator who has no session: one who shows a token with each request, or asks over the unix
    /// socket.
    pub(super) fn form_of(&self, operator: &str) -> FormKey {
        FormKey(digest(format!("{}\0{operator}", self.secret).as_bytes()))
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now < self.used + IDLE && now < self.began + LIFE
    }
}

/// 128 random bits.
fn random() -> String {
    Ids::new().next().text().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(cookie: &str) -> String {
        let start = format!("{CONSOLE_COOKIE}=");
        cookie.strip_prefix(&start).unwrap().split(';').next().unwrap().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_disuse_and_by_age() {
        let sessions = Sessions::new();
        let cookie = value(&sessions.begin("token".to_owned()));
        let find = |is_used| sessions.find([cookie.as_str()].into_iter(), is_used).map(|(token, _)| token);
        assert_eq!(find(true).as_deref(), Some("token"));
        for _ in 0..15 {
            tokio::time::advance(IDLE - Duration::from_secs(1)).await;
            assert!(find(true).is_some());
        }
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        assert!(find(false).is_some(), "a page that renews itself is shown");
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(find(true).is_none(), "and keeps no session open");
        let cookie = value(&sessions.begin("token".to_owned()));
        let find = || sessions.find([cookie.as_str()].into_iter(), true);
        for _ in 0..31 {
            tokio::time::advance(Duration::from_secs(15 * 60)).await;
            assert!(find().is_some());
        }
        tokio::time::advance(Duration::from_secs(15 * 60)).await;
        assert!(find().is_none(), "eight hours are the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_is_of_one_session_and_a_form_has_its_key() {
        let sessions = Sessions::new();
        let (first, second) = (value(&sessions.begin("a".to_owned())), value(&sessions.begin("b".to_owned())));
        let find = |cookies: &[&str]| sessions.find(cookies.iter().copied(), true);
        assert!(find(&[&first, &second]).is_none(), "two sessions");
        assert_eq!(find(&["x", &first, &first]).unwrap().0, "a");
        assert!(find(&[]).is_none() && find(&[""]).is_none());
        let (one, two) = (find(&[&first]).unwrap().1, find(&[&second]).unwrap().1);
        assert!(one.is(one.text()) && !one.is(two.text()) && !one.is(""));
        assert!(!sessions.form_of("unix:0").is(sessions.form_of("unix:1").text()));
        assert!(!Sessions::new().form_of("unix:0").is(sessions.form_of("unix:0").text()));
        assert!(!format!("{sessions:?}").contains(one.text()));
        assert!(sessions.end([first.as_str()].into_iter()).contains("Max-Age=0"));
        assert!(find(&[&first]).is_none() && find(&[&second]).is_some());
        for _ in 0..MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            sessions.begin("c".to_owned());
        }
        assert!(find(&[&second]).is_none(), "the one that was used longest ago gave way");
    }
}
