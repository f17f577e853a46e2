//! The console of a node: pages for operators, at `/console` of the admin address.
//!
//! - [`html`](self::html): pages as values, escaped by their type
//! - `reply`, `layout`: what browsers may do with a page, and what all pages have
//! - `session`, `form`: who asks, and what a form says
//! - `overview`, `tenant_page`, `app_page`, `revisions`, `failures`, `permissions`, `compare`, `audit_page`: the pages
//! - `charts`, `units`, `diff`: what they are made of
//!
//! The decision: the server makes whole pages, which work without JavaScript; a script of our own renews numbers. An operator
//! sees and does what the API lets their role see and do, and no more: each page asks the [`Clerk`]. A browser shows a
//! token in a form and has a session from then on; over the unix socket nobody needs one.
//!
//! What is refused: a form without its key, and a page or a form of another origin, which was looked at before.
//!
//! The attack it answers: a page of a stranger has the browser of an operator send a form to the node; a script writes
//! markup into its log, its errors or its name, for the operator who looks at them.

mod app_page;
mod audit_page;
mod charts;
mod compare;
mod diff;
mod failures;
mod form;
mod html;
mod layout;
mod overview;
mod permissions;
mod reply;
mod revisions;
mod session;
mod tenant_page;
mod units;

use std::sync::Arc;

use http::header::{ALLOW, AUTHORIZATION, HeaderMap};
use http::{Method, StatusCode};
use hyper::Request;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use starcell_config::Role;
use starcell_node::console_cookie::values;

use crate::node::admin::access::{Caller, Operator};
use crate::node::admin::answers::{Answer, with};
use crate::node::admin::clerk::Clerk;
use crate::node::admin::question::{MAX_BODY, body_bytes};
use crate::node::orders::{Act, Refused};

use self::form::Form;
use self::html::{Html, Link, ROOT};
use self::layout::{Visit, login, refused};
use self::reply::{file, page, see, with_cookie};
use self::session::Sessions;

const STYLE: &str = include_str!("console/console.css");
const SCRIPT: &str = include_str!("console/console.js");
const ICON: &str = include_str!("console/icon.svg");

/// The console of a node.
pub(crate) struct Console {
    clerk: Arc<Clerk>,
    sessions: Sessions,
}

/// Whether a path is one of the console.
pub(crate) fn is_of_console(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Console {
    /// The console for what a clerk answers.
    pub(crate) fn new(clerk: Arc<Clerk>) -> Self {
        Self { clerk, sessions: Sessions::new() }
    }

    /// Answers a request that is none of another page.
    pub(crate) async fn answer(&self, caller: Caller, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let decoded = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let segments: Vec<String> = path.split('/').skip(2).map(decoded).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let visit = self.visit(caller, request.headers());
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match (segments.as_slice(), visit) {
            // What each page takes, and nothing of the node is in.
            (["console.css"], _) if is_get => file("text/css; charset=utf-8", STYLE),
            (["console.js"], _) if is_get => file("text/javascript; charset=utf-8", SCRIPT),
            (["icon.svg"], _) if is_get => file("image/svg+xml", ICON),
            (["login"], _) if is_get => page(StatusCode::OK, login("", None)),
            (["login"], _) if *request.method() == Method::POST => self.log_in(request).await,
            (_, None) if is_get => page(StatusCode::UNAUTHORIZED, login(&next_of(&request), None)),
            (_, None) => {
                self.clerk.ledger.stranger(&request, "no session with the console").await;
                page(StatusCode::UNAUTHORIZED, login("", Some("The session has ended. Nothing was done.")))
            }
            (segments, Some(visit)) if is_get => {
                let query = Form::read(request.uri().query().unwrap_or_default());
                let shown = self.show(&visit, segments, &query).await;
                shown.map_or_else(|why| page(why.status, refused(&visit, &why)), |shown| page(StatusCode::OK, shown))
            }
            (segments, Some(visit)) if *request.method() == Method::POST => {
                let done = self.receive(&visit, segments, request).await;
                done.unwrap_or_else(|why| page(why.status, refused(&visit, &why)))
            }
            (_, Some(visit)) => {
                let why =
                    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "The console takes GET and POST.");
                with(page(why.status, refused(&visit, &why)), ALLOW, "GET, HEAD, POST")
            }
        }
    }

    /// Who asks: over the unix socket anybody, else whoever has a token or a session.
    fn visit(&self, caller: Caller, headers: &HeaderMap) -> Option<Visit> {
        let without_session = |operator: Operator| {
            let form = self.sessions.form_of(&operator.name);
            Visit { operator, form, has_session: false }
        };
        if let Caller::User(user) = caller {
            return Some(without_session(Operator::of_user(user)));
        }
        let keys = self.clerk.keys()?;
        if headers.contains_key(AUTHORIZATION) {
            return keys.of(headers).cloned().map(without_session);
        }
        let is_used = !headers.contains_key("starcell-renew");
        let (token, form) = self.sessions.find(values(headers), is_used)?;
        // The token may be none any more, or have another role.
        let operator = keys.with_digest(&token).cloned()?;
        Some(Visit { operator, form, has_session: true })
    }

    async fn log_in(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let read = body_bytes(Request::from_parts(head.clone(), body), MAX_BODY).await;
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(why) => return page(why.status, login("", Some(&why.message))),
        };
        let form = Form::read(&String::from_utf8_lossy(&bytes));
        let keys = self.clerk.keys();
        let found = keys.as_ref().and_then(|keys| keys.of_token(form.get("token")));
        let Some((token, operator)) = found else {
            let request = Request::from_parts(head, ());
            self.clerk.ledger.stranger(&request, "no token of the node").await;
            let problem = match keys {
                Some(_) => "This is no token of the node's token file.",
                None => "Nobody signs in over a unix socket.",
            };
            return page(StatusCode::UNAUTHORIZED, login(form.get("next"), Some(problem)));
        };
        if let Err(why) = self.clerk.ledger.note(operator, "console-login").await {
            return page(why.status, login(form.get("next"), Some(&why.message)));
        }
        with_cookie(see(&link_of(form.get("next"))), &self.sessions.begin(token))
    }

    /// A page for an operator.
    async fn show(&self, visit: &Visit, segments: &[&str], query: &Form) -> Result<Html, Refused> {
        let clerk = &*self.clerk;
        let app = |name: &str| Clerk::app_name(&visit.operator, Some(name));
        match segments {
            [] | [""] => overview::overview(clerk, visit, query).await,
            ["audit"] => audit_page::audit(clerk, visit, query).await,
            ["tenants", name] => tenant_page::tenant(clerk, visit, name).await,
            ["apps", name] => app_page::app(clerk, visit, app(name)?, query).await,
            ["apps", name, "permissions"] => permissions::permissions(clerk, visit, app(name)?).await,
            ["apps", name, "compare"] => compare::compare(clerk, visit, app(name)?, query).await,
            _ => Err(no_page()),
        }
    }

    /// What a form asks for.
    async fn receive(&self, visit: &Visit, segments: &[&str], request: Request<Incoming>) -> Result<Answer, Refused> {
        let cookies: Vec<String> = values(request.headers()).map(str::to_owned).collect();
        let bytes = body_bytes(request, MAX_BODY).await?;
        let form = Form::read(&String::from_utf8_lossy(&bytes));
        if !visit.form.is(form.get("form")) {
            let reason = "The form is not of this session. Nothing was done; load the page again.";
            self.clerk.ledger.refused(&visit.operator, None, "console-form", reason).await;
            return Err(Refused::new(StatusCode::FORBIDDEN, "foreign_form", reason));
        }
        match segments {
            ["logout"] => {
                self.clerk.ledger.note(&visit.operator, "console-logout").await?;
                let cookie = self.sessions.end(cookies.iter().map(String::as_str));
                Ok(with_cookie(see(&Link::to(&["login"])), &cookie))
            }
            ["apps", name, word] => {
                let act = act_of(word, &form)?;
                let word = act.name();
                self.clerk.check_role(&visit.operator, Role::Operate, Some(name), word).await?;
                let app = Clerk::app_name(&visit.operator, Some(name))?;
                self.clerk.act(visit.operator.clone(), app, act).await?;
                Ok(see(&Link::to(&["apps", name]).with("done", word)))
            }
            _ => Err(no_page()),
        }
    }
}

fn no_page() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "unknown_page", "The console has no such page.")
}

/// The action that a form asks for.
fn act_of(word: &str, form: &Form) -> Result<Act, Refused> {
    let wrong = |message: &str| Refused::new(StatusCode::BAD_REQUEST, "bad_form", message);
    let revision = || form.number("revision").ok_or_else(|| wrong("`revision` is the number of a revision."));
    Ok(match word {
        "deploy" => Act::Deploy,
        "rollback" => Act::Rollback(Some(revision()?)),
        "canary" => {
            let percent = form.number("percent").filter(|percent| *percent <= 100);
            let percent = percent.ok_or_else(|| wrong("`percent` is a number from 0 to 100."))?;
            Act::Canary { revision: revision()?, percent }
        }
        "stop" => Act::Stop,
        "start" => Act::Start,
        "drain" => Act::Drain,
        _ => return Err(no_page()),
    })
}

/// The page that was asked for, for after the sign-in.
fn next_of(request: &Request<Incoming>) -> String {
    request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default()
}

/// The page of the console that a form names. Any other text leads to the first page.
fn link_of(next: &str) -> Link {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let Some(rest) = Some(path).filter(|path| is_of_console(path)).and_then(|path| path.strip_prefix(ROOT)) else {
        return Link::to(&[]);
    };
    let decoded = rest.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned());
    let segments: Vec<String> =
        decoded.filter(|segment| !matches!(segment.as_str(), "" | "." | ".." | "login")).collect();
    Link::to(&segments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_a_page_of_the_console_alone() {
        for (next, link) in [
            ("/console/apps/orders?done=stop", "/console/apps/orders"),
            ("/console", "/console"),
            ("", "/console"),
            ("//evil.example/console", "/console"),
            ("https://evil.example", "/console"),
            ("/console/../v1/apps", "/console/v1/apps"),
            ("/console//evil.example", "/console/evil.example"),
            ("/console/%2e%2e/%0d%0ax", "/console/%0D%0Ax"),
            ("/console/login", "/console"),
            ("/consolex", "/console"),
        ] {
            assert_eq!(link_of(next).as_str(), link, "{next}");
        }
        assert!(is_of_console("/console/") && !is_of_console("/console2") && !is_of_console("/"));
    }

    #[test]
    fn a_form_asks_for_an_action() {
        let act = |word: &str, form: &str| act_of(word, &Form::read(form)).map_err(|refused| refused.status.as_u16());
        assert_eq!(act("rollback", "revision=3"), Ok(Act::Rollback(Some(3))));
        assert_eq!(act("canary", "revision=3&percent=100"), Ok(Act::Canary { revision: 3, percent: 100 }));
        for (word, form, status) in [
            ("rollback", "", 400),
            ("canary", "revision=3&percent=101", 400),
            ("canary", "percent=1", 400),
            ("x", "", 404),
        ] {
            assert_eq!(act(word, form), Err(status), "{word} {form}");
        }
    }
}
