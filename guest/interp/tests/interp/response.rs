//! What a handler's return value becomes.

use super::common::{Deployed, answer, header, text};
use starcell_interp::FailureKind;

#[test]
fn conversions() {
    for (returned, status, content_type, body) in [
        ("None", 204, None, ""),
        ("\"hi\"", 200, Some("text/plain; charset=utf-8"), "hi"),
        ("\"\"", 200, Some("text/plain; charset=utf-8"), ""),
        ("b\"hi\"", 200, Some("application/octet-stream"), "hi"),
        ("[1, 2.0]", 200, Some("application/json"), "[1,2.0]"),
        ("(1,)", 200, Some("application/json"), "[1]"),
        ("struct(a = 1)", 200, Some("application/json"), "{\"a\":1}"),
        ("{}", 200, Some("application/json"), "{}"),
        ("{\"a\": 1}", 200, Some("application/json"), "{\"a\":1}"),
        ("{\"status\": 200, \"data\": 1}", 200, Some("application/json"), "{\"status\":200,\"data\":1}"),
        ("{1: 2, \"status\": 3}[1] and {\"status\": 404}", 404, None, ""),
        ("{\"body\": \"x\"}", 200, Some("text/plain; charset=utf-8"), "x"),
        ("{\"body\": None, \"status\": 999}", 999, None, ""),
        ("{\"status\": 100}", 100, None, ""),
        ("{\"body\": {\"a\": [True]}}", 200, Some("application/json"), "{\"a\":[true]}"),
        ("{\"body\": [], \"status\": 201}", 201, Some("application/json"), "[]"),
        ("{\"body\": b\"x\"}", 200, Some("application/octet-stream"), "x"),
        ("{\"body\": \"<p>\", \"headers\": {\"content-TYPE\": \"text/html\"}}", 200, None, "<p>"),
        ("{\"headers\": {}}", 200, None, ""),
    ] {
        let response = answer(&format!("return {returned}")).unwrap_or_else(|e| panic!("{returned}: {}", e.report));
        assert_eq!(response.status, status, "{returned}");
        let expected: Vec<&str> = content_type.into_iter().collect();
        assert_eq!(header(&response, "Content-Type"), expected, "{returned}");
        assert_eq!(text(&response), body, "{returned}");
    }
}

#[test]
fn headers() {
    let response =
        answer("return {\"headers\": {\"Set-Cookie\": [\"a=1\", \"b=2\"], \"X-One\": \"\\t1\", \"X-None\": []}}");
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(response.unwrap().headers, [pair("Set-Cookie", "a=1"), pair("Set-Cookie", "b=2"), pair("X-One", "\t1")]);
}

#[test]
fn refusals_name_the_handler_and_the_value() {
    for (returned, wrong) in [
        ("5", "returned 5 (int); a response is None, str, bytes, a dict, a list, a tuple or a struct"),
        ("True", "returned True (bool); a response is None, str, bytes, a dict, a list, a tuple or a struct"),
        ("{\"status\": 99}", "status must be an int from 100 to 999, got 99 (int)"),
        ("{\"status\": 1000}", "status must be an int from 100 to 999, got 1000 (int)"),
        ("{\"status\": True}", "status must be an int from 100 to 999, got True (bool)"),
        ("{\"status\": 200.0}", "status must be an int from 100 to 999, got 200.0 (float)"),
        ("{\"status\": \"200\"}", "status must be an int from 100 to 999, got \"200\" (string)"),
        ("{\"status\": None}", "status must be an int from 100 to 999, got None"),
        ("{\"status\": 1 << 40}", "status must be an int from 100 to 999, got 1099511627776 (int)"),
        ("{\"body\": 5}", "body must be str, bytes, None, or a dict or list to send as JSON, got 5 (int)"),
        (
            "{\"body\": {\"a\": [b\"x\"]}}",
            "cannot send as JSON: $.a[0]: JSON has no bytes; decode them to text first, as with str(b)",
        ),
        ("{\"a\": len}", "cannot send as JSON: $.a: JSON has no value of type function"),
        ("{\"headers\": []}", "headers must be a dict of names and values, got [] (list)"),
        ("{\"headers\": {1: \"x\"}}", "illegal header name 1 (int)"),
        ("{\"headers\": {\"\": \"x\"}}", "illegal header name \"\" (string)"),
        ("{\"headers\": {\"a b\": \"x\"}}", "illegal header name \"a b\" (string)"),
        ("{\"headers\": {\"a:\": \"x\"}}", "illegal header name \"a:\" (string)"),
        ("{\"headers\": {\"X\": 5}}", "header X must be a str or a list of str, got 5 (int)"),
        ("{\"headers\": {\"X\": [None]}}", "header X must be a str or a list of str, got None"),
        (
            "{\"headers\": {\"X\": \"a\\r\\nSet-Cookie: b\"}}",
            "header X has a line break or another control character in its value: \"a\\r\\nSet-Cookie: b\" (string)",
        ),
        (
            "{\"headers\": {\"X\": [\"a\\n\"]}}",
            "header X has a line break or another control character in its value: \"a\\n\" (string)",
        ),
        (
            "{\"headers\": {\"X\": \"\\u0000\"}}",
            "header X has a line break or another control character in its value: \"\\x00\" (string)",
        ),
    ] {
        let failure = answer(&format!("return {returned}")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Script);
        assert_eq!(failure.message, format!("handler handler of \"GET /\": {wrong}"), "{returned}");
        assert_eq!((failure.at.line, failure.at.column), (3, 1));
    }
}

#[test]
fn a_lambda_is_named_by_its_route() {
    let app = Deployed::new("srv = http.server()\nsrv.handle(\"GET /x\", lambda req: 5)\nsrv.serve()\n");
    let failure = app.get("/x").unwrap_err();
    assert!(failure.message.starts_with("handler lambda of \"GET /x\": returned 5 (int)"), "{}", failure.message);
    assert!(failure.report.ends_with("registered at app.star:2:1"), "{}", failure.report);
}

#[test]
fn an_unknown_route_is_an_error() {
    let app = Deployed::new("http.serve(lambda req: None)\n");
    let failure = app.call(1, super::common::request("GET", "/")).unwrap_err();
    assert_eq!(failure.message, "no route 1");
}
