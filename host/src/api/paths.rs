//! The questions and actions that a node answers, each with its path. One table, which the node routes by and which the
//! description of the API is made from.

use starcell_config::Role;

/// A question or an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// How the node is.
    Health,
    /// The description of the API.
    Description,
    /// The tenants.
    Tenants,
    /// One tenant.
    Tenant,
    /// The apps.
    Apps,
    /// One app.
    App,
    /// Sets up what is sent for an app, or is in its folder.
    Deploy,
    /// Has a kept revision answer.
    Rollback,
    /// Has a kept revision answer a part of the requests.
    Canary,
    /// Has a kept revision answer the requests with a key.
    Preview,
    /// Ends an app.
    Stop,
    /// Has an app answer again.
    Start,
    /// Has an app take no more requests.
    Drain,
    /// Calls that were refused.
    Denials,
    /// The least profile.
    LeastProfile,
    /// The last lines of the log of an app.
    LogLines,
    /// The last records of the audit log.
    RecordTail,
}

/// An operation with its path.
#[derive(Debug)]
pub struct ApiPath {
    /// What it is.
    pub operation: Operation,
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The path, with a name in braces for a part of any text.
    pub path: &'static str,
    /// What it takes to be allowed.
    pub role: Role,
    /// The name of the operation in the description.
    pub id: &'static str,
    /// What it does.
    pub summary: &'static str,
    /// The shape of the answer; none for the description itself.
    pub answer: Option<&'static str>,
    /// The shape of the body.
    pub body: Option<&'static str>,
    /// What it takes in its query, each with its type and what it means.
    pub query: &'static [(&'static str, &'static str, &'static str)],
    /// Statuses of errors that it has beside those of all.
    pub errors: &'static [u16],
}

const TAIL: (&str, &str, &str) = ("tail", "integer", "How many at most: 100 when not given, 1,000 at most.");
const FOLLOW: (&str, &str, &str) =
    ("follow", "boolean", "Goes on with each line that comes, one JSON object (LogLineView) a line.");

const fn read(operation: Operation, path: &'static str, id: &'static str, answer: &'static str) -> ApiPath {
    let (method, role, errors) = ("GET", Role::Read, &[]);
    ApiPath { operation, method, path, role, id, summary: "", answer: Some(answer), body: None, query: &[], errors }
}

const fn act(operation: Operation, path: &'static str, id: &'static str, body: &'static str) -> ApiPath {
    let (method, role, answer) = ("POST", Role::Operate, Some("DoneView"));
    ApiPath {
        operation,
        method,
        path,
        role,
        id,
        summary: "",
        answer,
        body: Some(body),
        query: &[],
        errors: &[404, 409],
    }
}

/// All of them.
pub static PATHS: [ApiPath; 17] = [
    ApiPath { summary: "How the node is", ..read(Operation::Health, "/v1/health", "health", "HealthView") },
    ApiPath {
        summary: "This description",
        answer: None,
        ..read(Operation::Description, "/v1/openapi.json", "description", "")
    },
    ApiPath {
        summary: "The tenants, with their quotas and what of them is used",
        ..read(Operation::Tenants, "/v1/tenants", "tenants", "TenantsView")
    },
    ApiPath {
        summary: "One tenant",
        errors: &[404],
        ..read(Operation::Tenant, "/v1/tenants/{tenant}", "tenant", "TenantView")
    },
    ApiPath { summary: "The apps in short", ..read(Operation::Apps, "/v1/apps", "apps", "AppsView") },
    ApiPath {
        summary: "One app, with its grants, limits, quotas and revisions",
        errors: &[404],
        ..read(Operation::App, "/v1/apps/{app}", "app", "AppView")
    },
    ApiPath {
        summary: "Sets up the files that are sent, or those in the folder of the app, beside what answers, and has them answer",
        errors: &[404, 409, 422],
        ..act(Operation::Deploy, "/v1/apps/{app}/deploy", "deploy", "DeployBody")
    },
    ApiPath {
        summary: "Has a kept revision answer until the folder of the app changes or is deployed",
        errors: &[404, 409, 422],
        ..act(Operation::Rollback, "/v1/apps/{app}/rollback", "rollback", "RollbackBody")
    },
    ApiPath {
        summary: "Has a kept revision answer so many of every hundred requests; with 0 percent, ends that",
        errors: &[404, 409, 422],
        ..act(Operation::Canary, "/v1/apps/{app}/canary", "canary", "CanaryBody")
    },
    ApiPath {
        summary: "Has a kept revision answer the requests with a key, which the answer tells",
        errors: &[404, 409, 422],
        ..act(Operation::Preview, "/v1/apps/{app}/preview", "preview", "PreviewBody")
    },
    ApiPath {
        summary: "Ends the app until it is started again, also after a restart of the node",
        ..act(Operation::Stop, "/v1/apps/{app}/stop", "stop", "NoBody")
    },
    ApiPath {
        summary: "Has an app that is stopped, drained or failed answer again",
        errors: &[404, 409, 422],
        ..act(Operation::Start, "/v1/apps/{app}/start", "start", "NoBody")
    },
    ApiPath {
        summary: "Has the app take no more requests, and waits for those in flight; it stays set up",
        ..act(Operation::Drain, "/v1/apps/{app}/drain", "drain", "NoBody")
    },
    ApiPath {
        summary: "The calls of the app that were refused, from the audit log",
        query: &[TAIL],
        errors: &[404, 409],
        ..read(Operation::Denials, "/v1/apps/{app}/denials", "denials", "DenialsView")
    },
    ApiPath {
        summary: "The least profile that allows what the app did, from the audit log",
        errors: &[404, 409],
        ..read(Operation::LeastProfile, "/v1/apps/{app}/profile", "profile", "LeastView")
    },
    ApiPath {
        summary: "The last lines that the app and the node about it have logged",
        query: &[TAIL, FOLLOW],
        errors: &[404],
        ..read(Operation::LogLines, "/v1/apps/{app}/logs", "logs", "LogLinesView")
    },
    ApiPath {
        summary: "The last records of the audit log",
        query: &[TAIL],
        errors: &[409],
        ..read(Operation::RecordTail, "/v1/audit", "audit", "RecordsView")
    },
];

/// What a path leads to.
#[derive(Debug)]
pub enum ApiRoute<'a> {
    /// The operation, with the part of the path that has a name.
    To(&'static ApiPath, Option<&'a str>),
    /// Nothing for this method; these are for the path.
    WrongMethod(&'static str),
    /// Nothing.
    Nothing,
}

/// Finds what a method and a path lead to.
#[must_use]
pub fn route<'a>(method: &str, path: &'a str) -> ApiRoute<'a> {
    let mut found = ApiRoute::Nothing;
    for entry in &PATHS {
        if let Some(name) = matched(entry.path, path) {
            if entry.method == method {
                return ApiRoute::To(entry, name);
            }
            found = ApiRoute::WrongMethod(entry.method);
        }
    }
    found
}

/// Whether a path is that of a pattern, with the part of it that has a name there.
fn matched<'a>(pattern: &str, path: &'a str) -> Option<Option<&'a str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut name = None;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(name),
            (Some(part), Some(text)) if part.starts_with('{') && !text.is_empty() => name = Some(text),
            (Some(part), Some(text)) if part == text => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_one_operation() {
        for entry in &PATHS {
            let path = entry.path.replace("{app}", "orders").replace("{tenant}", "orders");
            let ApiRoute::To(found, name) = route(entry.method, &path) else { panic!("{path}") };
            assert_eq!((found.operation, name), (entry.operation, entry.path.contains('{').then_some("orders")));
            let other = if entry.method == "GET" { "DELETE" } else { "GET" };
            assert!(matches!(route(other, &path), ApiRoute::WrongMethod(allow) if allow == entry.method), "{path}");
        }
        for path in ["", "/", "/v1", "/v1/apps/", "/v1/apps//logs", "/v1/apps/a/b", "/v1/apps/a/logs/", "/v2/apps"] {
            assert!(matches!(route("GET", path), ApiRoute::Nothing), "{path}");
        }
    }
}
