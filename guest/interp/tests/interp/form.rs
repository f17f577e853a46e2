//! `req.json()`, `req.form()` and `req.cookies`: what a client sends, however it sends it.

use super::common::{deployed, request, text};
use starcell_interp::{Failure, Fields, Request, Response};

fn sent(content_type: &str, body: &[u8]) -> Request {
    let headers = Fields::from_iter([("Content-Type", content_type)]).into_lines();
    Request { headers, body: body.to_vec(), ..request("POST", "/") }
}

fn ask(code: &str, request: Request) -> Result<Response, Failure> {
    deployed(code).call(0, request)
}

fn answer(code: &str, request: Request) -> String {
    let response = ask(code, request).unwrap_or_else(|e| panic!("{}", e.report));
    text(&response).to_owned()
}

fn cookies(code: &str, fields: &[&str]) -> String {
    let headers = fields.iter().map(|field| ("Cookie", field)).collect::<Fields>().into_lines();
    answer(code, Request { headers, ..request("GET", "/") })
}

const URLENCODED: &str = "application/x-www-form-urlencoded";

#[test]
fn json_bodies() {
    assert_eq!(
        answer("return [req.json()[\"a\"], req.json() == req.json()]", sent("text/x", b"{\"a\": 1}")),
        "[1,true]"
    );
    let wrong = ask("return req.json()", sent("application/json", b"{\n\"a\" 1}")).unwrap_err();
    assert_eq!(wrong.message, "req.json: the body is not JSON: line 2, column 5: expected `:`");
    let code = "r = req.try_json()\nreturn [r.ok, r.error, req.json({}), req.json(default = 1)]";
    assert_eq!(
        answer(code, sent("a/b", b"\xff")),
        "[false,\"req.json: the body is not JSON: line 1, column 1: not UTF-8\",{},1]"
    );
    assert_eq!(answer("return [req.json(None)]", sent("a/b", b"7")), "[7]");
}

#[test]
fn urlencoded_forms() {
    let code = "f = req.form()\nreturn [f.fields, f.files, f.first(\"a\"), f.first(\"no\"), f.first(\"no\", 1), f.list(\"a\"), f.list(\"no\"), f.file(\"a\"), f.file_list(\"a\"), str(f), type(f)]";
    assert_eq!(
        answer(code, sent("Application/X-WWW-form-urlencoded; charset=utf-8", b"a=1+2&b=%C3%A9&a=%26&c")),
        "[{\"a\":[\"1 2\",\"&\"],\"b\":\"\u{e9}\",\"c\":\"\"},{},\"1 2\",null,1,[\"1 2\",\"&\"],[],null,[],\"<http.form of 4 fields and 0 files>\",\"http.form\"]"
    );
    assert_eq!(answer("return req.form().fields", sent(URLENCODED, b"")), "{}");
    assert_eq!(answer("return req.form().fields", request("POST", "/")), "{}");
}

#[test]
fn multipart_forms() {
    let mut body = Vec::new();
    for (head, content) in [
        ("name=\"title\"", &b"A \xc3\xa9"[..]),
        ("name=\"doc\"; filename=\"C:\\x\\a.bin\"\r\nContent-Type: image/png", &b"\x00\xff\r\n"[..]),
        ("name=\"doc\"; filename=\"b.txt\"", &b"text"[..]),
        ("name=\"title\"", &b"second"[..]),
    ] {
        body.extend(format!("--b1\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
        body.extend(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b1--\r\n");
    let request = sent("multipart/form-data; boundary=\"b1\"", &body);
    let code = "f = req.form(max_fields = 4)\nd = f.file(\"doc\")\nreturn [f.fields, f.first(\"title\"), f.first(\"doc\"), d.name, d.filename, d.content_type, repr(d.body), [x.content_type for x in f.file_list(\"doc\")], len(f.files[\"doc\"]), f.file(\"title\")]";
    assert_eq!(
        answer(code, request.clone()),
        "[{\"title\":[\"A \u{e9}\",\"second\"]},\"A \u{e9}\",null,\"doc\",\"a.bin\",\"image/png\",\"b\\\"\\\\x00\\\\xff\\\\r\\\\n\\\"\",[\"image/png\",\"application/octet-stream\"],2,null]"
    );
    let wrong = ask("return req.form(max_fields = 3)", request).unwrap_err();
    assert_eq!(wrong.message, "req.form: more than 3 parts");
}

#[test]
fn what_is_no_form() {
    for (content_type, body, error) in [
        ("application/json", &b"{}"[..], "the body is \"application/json\", not a form"),
        ("", b"a=1", "the request has a body and no Content-Type, so it is not a form"),
        ("multipart/form-data", b"", "the content type has no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\n", "a part has no end of its head within 8192 bytes"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--",
            "field \"a\" is not UTF-8",
        ),
    ] {
        let wrong = ask("return req.form()", sent(content_type, body)).unwrap_err();
        assert_eq!(wrong.message, format!("req.form: {error}"), "{content_type}");
        let caught = answer("return req.try_form().error", sent(content_type, body));
        assert_eq!(caught, format!("req.form: {error}"));
    }
    let many = "a=1&".repeat(1001);
    let wrong = ask("return req.form()", sent(URLENCODED, many.as_bytes())).unwrap_err();
    assert_eq!(wrong.message, "req.form: more than 1000 fields");
    assert_eq!(
        answer("return [len(req.form(max_fields = 2000).list(\"a\"))]", sent(URLENCODED, many.as_bytes())),
        "[1001]"
    );
    let wrong = ask("return req.form(max_fields = -1)", sent(URLENCODED, b"")).unwrap_err();
    assert_eq!(wrong.message, "req.form: max_fields must be an int from 0 to 4294967295, got -1 (int)");
}

#[test]
fn cookies_are_read_leniently() {
    assert_eq!(cookies("return {\"c\": req.cookies, \"n\": 1}", &[]), "{\"c\":{},\"n\":1}");
    assert_eq!(
        cookies("return [req.cookies, req.cookies.get(\"b\")]", &["a=1; b=\"two\";; =x; junk; a=3; c = d=e ", "f="]),
        "[{\"a\":\"1\",\"b\":\"two\",\"c\":\"d=e\",\"f\":\"\"},\"two\"]"
    );
    assert_eq!(cookies("req.cookies[\"user\"] = 1\nreturn req.cookies", &["a=b"]), "{\"a\":\"b\",\"user\":1}");
}

#[test]
fn helpers_become_responses() {
    let code = "return http.response(\"hi\", cookies = [http.cookie(\"a\", \"1\"), http.cookie(\"b\", \"2\", secure = False)])";
    let response = ask(code, request("GET", "/")).unwrap();
    assert_eq!(
        super::common::header(&response, "Set-Cookie"),
        ["a=1; Path=/; Secure; HttpOnly; SameSite=Lax", "b=2; Path=/; HttpOnly; SameSite=Lax"]
    );
    let response = ask("return http.redirect(\"/x\")", request("GET", "/")).unwrap();
    assert_eq!((response.status, response.body.len()), (302, 0));
    let response = ask("return http.error(403)", request("GET", "/")).unwrap();
    assert_eq!((response.status, text(&response)), (403, "Forbidden"));
    assert_eq!(super::common::header(&response, "Content-Type"), ["text/plain; charset=utf-8"]);
    assert_eq!(super::common::header(&response, "X-Content-Type-Options"), ["nosniff"]);
}
