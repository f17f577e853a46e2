//! Everything that is built once, built before it is needed.
//!
//! A memory image is taken after [`boot`], and every later fork is a copy of it. Whatever a request would initialise on
//! first use (method tables, the globals) would be initialised again in every fork, each time touching fresh pages; so
//! boot runs one small script through setup, freezing and a request, and throws it away.

use std::sync::OnceLock;

use crate::fields::Fields;
use crate::host::Request;
use crate::native::NativeHost;
use crate::setup;

/// Touches each builtin type's method table and each module once.
const WARM_UP: &str = r#"
LOGGER = log.child(warm = True)
PATTERN = regexp.compile("(/)")
PAGE = template.text("{{ n }}{{ '<'|upper }}{% if n is defined %}{% endif %}")

def fail_politely(req):
    return "%s" % json.try_decode("[1, 2.5, {\"k\": null}").error

def handler(req):
    log.info("warm-up", {"path": req.path})
    name = req.query.get("name", "World").strip()
    parts = [req.query_first("q", ""), req.headers.get("Accept", ""), req.params.get("id", "")]
    parts.append(str(req.body).upper())
    body = json.decode("{\"a\": [1, 2.5, true, null]}", default = {})
    body.update({"name": name, "parts": sorted(parts), "s": list(set([1, 2]))})
    reply = http.url("http://boot/").try_get(headers = {"X-Warm": "1"}).value
    parts.append(reply.try_json().error if reply else "")
    parts.append(kv.update("warm-up", lambda n: n + 1, default = 0))
    parts.append(fs.try_read_text("warm-up").ok)
    response = {"status": 200, "headers": {"X-Warm": "1"}, "body": json.encode(body)}
    result = json.try_encode(response, indent = 1)
    LOGGER.child(id = req.id).info("warm-up")
    found = PATTERN.find(req.path)
    parts.append([found.text, found.groups, regexp.replace("a", "b", "c"), yaml.decode("a: [1]"), PAGE.render({"n": 7})])
    form = req.form()
    parts += [form.first("a", ""), req.cookies.get("sid", ""), hash.text("").md5(), base64.text("").encode()]
    parts.append((time.now() + time.duration("1s")).string())
    return response if result.ok and hasattr(req, "id") else fail_politely(req)

def middleware(next):
    return lambda req: next(req)

def older(req, next):
    return next(req)

srv = http.server(read_timeout = "1s")
srv.use(middleware)
srv.use(older)
srv.handle("GET /", handler)
srv.handle("GET /fail", fail_politely)
srv.start(port = 0)
"#;

/// Builds everything that is built once. Calling it again does nothing; without it the first script pays.
pub fn boot() {
    static BOOTED: OnceLock<()> = OnceLock::new();
    BOOTED.get_or_init(warm_up);
}

fn warm_up() {
    let host = NativeHost::new();
    let (_, serving) = setup::run_native(&host, "boot.star", WARM_UP);
    let Some(serving) = serving else {
        return;
    };
    for route in 0..2 {
        // The outcome is of no interest: a test asserts that the script works.
        let _ = serving.handle(&host, route, request());
    }
}

fn request() -> Request {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Request {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        query: vec![pair("name", "a"), pair("q", "1"), pair("q", "2")],
        headers: Fields::from_iter([
            ("Accept", "text/html"),
            ("Accept", "text/plain"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Cookie", "sid=1"),
        ])
        .into_lines(),
        body: b"a=b".to_vec(),
        ..Request::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_warm_up_script_works() {
        boot();
        let host = NativeHost::new();
        let (outcome, serving) = setup::run_native(&host, "boot.star", WARM_UP);
        outcome.unwrap();
        let serving = serving.unwrap();
        assert_eq!(serving.handle(&host, 0, request()).unwrap().status, 200);
        let failed = serving.handle(&host, 1, request()).unwrap();
        assert!(String::from_utf8(failed.body).unwrap().contains("line 1"));
    }
}
