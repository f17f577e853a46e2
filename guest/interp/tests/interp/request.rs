//! The request value.

use super::common::{answer, deployed, request, text};
use starcell_interp::{Fields, Request};

fn full() -> Request {
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    Request {
        params: vec![pair("id", "7"), pair("rest", "a/b")],
        headers: Fields::from_iter([("Accept", "text/html"), ("X-Tag", "1"), ("Accept", "text/plain")]).into_lines(),
        body: b"caf\xc3\xa9".to_vec(),
        tls: true,
        ..request("POST", "/a?k=1&k=2&one=x&empty")
    }
}

fn ask(body: &str) -> String {
    let response = deployed(body).call(0, full()).unwrap_or_else(|e| panic!("{}", e.report));
    text(&response).to_owned()
}

#[test]
fn attributes() {
    assert_eq!(
        ask("return [req.method, req.path, req.url, req.remote_addr, req.host, req.id, req.proto, req.tls, type(req)]"),
        r#"["POST","/a","http://localhost:8080/a?k=1&k=2&one=x&empty","127.0.0.1:40000","localhost:8080","req-1","HTTP/1.1",true,"http.request"]"#
    );
    assert_eq!(ask("return req.params"), r#"{"id":"7","rest":"a/b"}"#);
    assert_eq!(ask("return {\"q\": req.query, \"n\": 1}"), r#"{"q":{"k":["1","2"],"one":"x","empty":""},"n":1}"#);
    assert_eq!(ask("return req.body + type(req.body)"), "caf\u{e9}string");
}

#[test]
fn a_body_that_is_not_utf_8_is_bytes() {
    let app = deployed("return [type(req.body), len(req.body)]");
    let mut request = request("POST", "/");
    request.body = vec![0xff, 0xfe];
    assert_eq!(text(&app.call(0, request).unwrap()), r#"["bytes",2]"#);
    let app = deployed("return json.decode(req.body, default = \"none\")");
    assert_eq!(text(&app.get("/").unwrap()), "none");
}

#[test]
fn query_helpers_never_change_type() {
    assert_eq!(
        ask(
            "return [req.query_first(\"k\"), req.query_first(\"no\"), req.query_first(\"no\", \"d\"), req.query_first(\"no\", default = 1)]"
        ),
        r#"["1",null,"d",1]"#
    );
    assert_eq!(
        ask("return [req.query_list(\"k\"), req.query_list(\"one\"), req.query_list(\"no\")]"),
        r#"[["1","2"],["x"],[]]"#
    );
}

#[test]
fn headers_do_not_care_about_case() {
    assert_eq!(
        ask(
            "return [req.headers[\"accept\"], req.headers[\"ACCEPT\"], req.headers.get(\"x-tag\"), req.headers.get(\"no\"), req.headers.get(\"no\", 1)]"
        ),
        r#"["text/html, text/plain","text/html, text/plain","1",null,1]"#
    );
    assert_eq!(
        ask(
            "return [\"x-TAG\" in req.headers, \"no\" in req.headers, len(req.headers), list(req.headers), [h for h in req.headers]]"
        ),
        r#"[true,false,2,["Accept","X-Tag"],["Accept","X-Tag"]]"#
    );
    assert_eq!(
        ask("return [req.headers.get_all(\"accept\"), req.headers.keys(), req.headers.values(), req.headers.items()]"),
        r#"[["text/html","text/plain"],["Accept","X-Tag"],["text/html, text/plain","1"],[["Accept","text/html, text/plain"],["X-Tag","1"]]]"#
    );
    assert_eq!(ask("return dict(req.headers.items())"), r#"{"Accept":"text/html, text/plain","X-Tag":"1"}"#);
}

#[test]
fn header_errors() {
    assert_eq!(answer("return req.headers[\"no\"]").unwrap_err().message, "Key `\"no\"` was not found");
    assert_eq!(answer("return req.headers[1]").unwrap_err().message, "a header name must be a string, got 1 (int)");
    assert_eq!(
        answer("req.headers[\"a\"] = 1").unwrap_err().message,
        "request headers cannot be changed, tried to set \"a\""
    );
}

#[test]
fn what_was_converted_is_kept() {
    assert_eq!(
        ask("req.params[\"user\"] = \"u\"\nreq.query.pop(\"k\")\nreturn {\"p\": req.params, \"q\": req.query}"),
        r#"{"p":{"id":"7","rest":"a/b","user":"u"},"q":{"one":"x","empty":""}}"#
    );
}

#[test]
fn wrong_attributes() {
    let near = answer("return req.methud").unwrap_err().message;
    assert_eq!(near, "Object of type `http.request` has no attribute `methud`, did you mean `method`?");
    let far = answer("return req.cookies_and_cream").unwrap_err();
    assert_eq!(
        far.message,
        "a request has no attribute \"cookies_and_cream\", it has: body, cookies, form, headers, host, id, json, method, params, path, prefix, proto, query, query_first, query_list, remote_addr, tls, try_form, try_json, url"
    );
    assert_eq!((far.at.line, far.at.column), (2, 12));
    let assigned = answer("req.user = 1").unwrap_err().message;
    assert_eq!(
        assigned,
        "a request's attributes cannot be assigned, tried to set \"user\"; params, query and cookies are dicts and can be edited"
    );
    assert_eq!(
        ask(
            "return [hasattr(req, \"path\"), hasattr(req, \"query_list\"), hasattr(req, \"no\"), getattr(req, \"no\", 1)]"
        ),
        "[true,true,false,1]"
    );
    assert_eq!(ask("return sorted(dir(req))[:3]"), r#"["body","cookies","form"]"#);
}
