//! The console of a node over real sockets: who gets in, what a page shows, what a form does, and that no text of a script, of
//! a client or of a manifest becomes markup.

use std::fs;
use std::os::unix::net::UnixStream;

use serde_json::Value;
use starcell_tests::admin::admin_port;
use starcell_tests::client::{Client, Response};
use starcell_tests::log::{ask_json, lines};
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};
use starcell_tests::tls::replace;

const OPERATE: &str = "operate-0123456789";
const READ: &str = "read-0123456789abc";
const ACME: &str = "acme-0123456789abc";

const REST: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n\
    [profiles.shop]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\n\
    [tenants.acme]\nprofile = \"shop\"\nquotas = { requests = \"3/h\" }\n[tenants.beta]\nprofile = \"shop\"\n";

const HOSTILE: &str = "\"><script>alert('x')</script><img src=x onerror=alert(1)>\u{202e}";

/// Answers, fails with what it is asked for, is refused a file of a hostile name, and logs hostile words.
const WORKS: &str = r#"
def words(req):
    return req.query_first("words", "none")

def fails(req):
    log.error("said " + words(req), {"k": words(req)})
    fail("raised " + words(req))

def refused(req):
    return str(fs.try_read_text("/etc/" + words(req)).ok)

srv = http.server()
srv.handle("GET /fails", fails)
srv.handle("GET /refused", refused)
srv.handle("GET /cookies", lambda req: req.headers.get("Cookie") or "none")
srv.handle("GET /", lambda req: "v1")
srv.serve(port=8080)
"#;

struct Console {
    node: NodeFolder,
    starcell: Starcell,
    admin: u16,
}

/// What a browser keeps.
struct Browser {
    port: u16,
    cookie: Option<String>,
}

impl Console {
    fn start(node: NodeFolder) -> Self {
        let log = node.path.join("audit.jsonl");
        let starcell = node.start(&["--audit", log.to_str().unwrap()]);
        let admin = admin_port(&starcell);
        Self { node, starcell, admin }
    }

    fn browser(&self) -> Browser {
        Browser { port: self.admin, cookie: None }
    }

    fn signed_in(&self, token: &str) -> Browser {
        let mut browser = self.browser();
        let answer = browser.sign_in(token);
        assert_eq!((answer.status, answer.header("location")), (303, Some("/console")), "{answer:?}");
        browser
    }

    fn actions(&self) -> Vec<(String, String, String)> {
        let text = |action: &Value, key: &str| action[key].as_str().unwrap_or_default().to_owned();
        let all = lines(&self.node.path.join("audit.jsonl"), "action");
        all.iter().map(|action| (text(action, "actor"), text(action, "action"), text(action, "decision"))).collect()
    }
}

impl Browser {
    fn send(&self, method: &str, path: &str, more: &[(&str, &str)], body: &str) -> Response {
        let mut headers = more.to_vec();
        headers.extend(self.cookie.as_ref().map(|cookie| ("Cookie", cookie.as_str())));
        Client::connect(self.port).request(method, path, &headers, body.as_bytes())
    }

    fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[], "")
    }

    fn page(&self, path: &str) -> String {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text().to_owned()
    }

    /// Sends a form as a page of the console has it sent.
    fn post(&self, path: &str, body: &str) -> Response {
        self.send("POST", path, &[("Origin", "http://localhost"), ("Sec-Fetch-Site", "same-origin")], body)
    }

    fn sign_in(&mut self, token: &str) -> Response {
        let answer = self.post("/console/login", &format!("token={token}&next="));
        self.cookie = answer.header("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned());
        answer
    }

    /// The key of the forms of a page.
    fn key(&self, path: &str) -> String {
        let page = self.page(path);
        let (_, rest) = page.split_once("name=\"form\" value=\"").expect("a form");
        rest.split('"').next().unwrap().to_owned()
    }
}

fn manifest(tenant: &str, host: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{host}.example\"]\n")
}

fn node() -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(REST);
    fs::write(node.path.join("key"), "sk_live_1").unwrap();
    node.tokens(&format!("ci operate {OPERATE}\nwatch read {READ}\nshop operate acme {ACME}\n"));
    let more = "env = { GREETING = \"env_value_1\" }\nsecrets = { KEY = { file = \"../../key\" } }\n";
    node.app("orders", &format!("{}{more}", manifest("beta", "o")), WORKS);
    node.app("shop", &manifest("acme", "s"), &says("shop"));
    node
}

#[test]
fn a_browser_signs_in_and_sees_what_its_token_may() {
    let console = Console::start(node());
    let mut stranger = console.browser();
    for path in ["/console", "/console/apps/orders", "/console/audit", "/console/nothing"] {
        let answer = stranger.get(path);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.text().contains("name=\"token\"") && !answer.text().contains("orders.example"), "{path}");
    }
    let answer = stranger.get("/console/login");
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("content-type", "text/html; charset=utf-8"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (file, kind) in [("console.css", "text/css"), ("console.js", "text/javascript"), ("icon.svg", "image/svg")] {
        let answer = stranger.get(&format!("/console/{file}"));
        assert!(answer.status == 200 && answer.header("content-type").unwrap().starts_with(kind), "{file}");
    }
    let wrong = stranger.sign_in("operate-0123456788");
    assert_eq!((wrong.status, wrong.header("set-cookie")), (401, None));
    assert!(wrong.text().contains("This is no token"), "{}", wrong.text());

    let mut browser = console.browser();
    let answer = browser.post("/console/login", &format!("token={OPERATE}&next=%2Fconsole%2Fapps%2Forders%3Fa"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("/console/apps/orders")));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/console", "Max-Age=28800"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    browser.cookie = Some(cookie.split(';').next().unwrap().to_owned());
    let page = browser.page("/console");
    for text in [">orders</a>", ">shop</a>", "/console/tenants/beta", "ci (operate)", "class=\"spark requests\""] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    for pattern in ["<style", "style=", " onclick", "<script>", "http://", "https://"] {
        assert!(!page.contains(pattern), "{pattern}\n{page}");
    }
    assert!(browser.page("/console?q=SHO&state=running").contains(">shop</a>"));
    assert!(!browser.page("/console?q=shop").contains(">orders</a>"));

    let tenant = console.signed_in(ACME);
    for path in [
        "/console",
        "/console/tenants/acme",
        "/console/apps/shop",
        "/console/audit?q=",
        "/console/apps/shop/permissions",
    ] {
        let page = tenant.page(path);
        assert!(!page.contains("orders") && !page.contains("beta"), "{path}\n{page}");
    }
    for (path, other, absent) in [
        ("/console/apps/NAME", "orders", "absent"),
        ("/console/apps/NAME/permissions", "orders", "absent"),
        ("/console/apps/NAME/compare?from=1&to=1", "orders", "absent"),
        ("/console/tenants/NAME", "beta", "absent"),
    ] {
        let (theirs, none) = (tenant.get(&path.replace("NAME", other)), tenant.get(&path.replace("NAME", absent)));
        assert_eq!((theirs.status, none.status), (404, 404), "{path}");
        assert_eq!(theirs.text().replace(other, absent), none.text(), "{path}");
    }
    for (path, status) in
        [("/console/nothing", 404), ("/console/apps/shop/compare?from=x", 400), ("/console/apps/%2e%2e", 404)]
    {
        assert_eq!(tenant.get(path).status, status, "{path}");
    }
    assert_eq!(tenant.send("DELETE", "/console/apps/shop", &[], "").status, 405);

    // A session ends by a form, and with its token.
    let key = tenant.key("/console");
    let left = tenant.post("/console/logout", &format!("form={key}"));
    assert_eq!((left.status, tenant.get("/console").status), (303, 401));
    let tenant = console.signed_in(ACME);
    console.node.tokens(&format!("ci operate {OPERATE}\nwatch read {READ}\n"));
    console.starcell.signal("HUP");
    eventually(PATIENCE / 2, "the session has ended", || tenant.get("/console").status == 401);
    assert_eq!(browser.get("/console").status, 200);
    let told = console.actions();
    for (actor, action, decision) in
        [("stranger", "request", "deny"), ("ci", "console-login", "allow"), ("shop", "console-logout", "allow")]
    {
        let record = (actor.to_owned(), action.to_owned(), decision.to_owned());
        assert!(told.contains(&record), "{record:?} in {told:?}");
    }
    let text = fs::read_to_string(console.node.path.join("audit.jsonl")).unwrap();
    assert!([OPERATE, READ, ACME].iter().all(|token| !text.contains(token)), "a token is recorded");
}

#[test]
fn a_form_needs_its_key_and_its_role_and_is_recorded() {
    let console = Console::start(node());
    let port = console.starcell.port();
    replace(&console.node.path.join("apps/orders/main.star"), WORKS.replace("\"v1\"", "\"v2\"").as_bytes());
    eventually(PATIENCE / 2, "v2", || ask(port, "o.example", "/").text() == "v2");
    let browser = console.signed_in(OPERATE);
    let page = browser.page("/console/apps/orders");
    assert!(page.contains("Roll back to 1") && page.contains("action=\"/console/apps/orders/rollback\""), "{page}");
    let compared = browser.page("/console/apps/orders/compare?from=1&to=2");
    assert!(compared.contains("- srv.handle(&quot;GET /&quot;, lambda req: &quot;v1&quot;)"), "{compared}");
    assert!(compared.contains("Both may do the same") && compared.contains("Both are described"), "{compared}");

    let key = browser.key("/console/apps/orders");
    let other = console.signed_in(OPERATE).key("/console/apps/orders");
    assert_ne!(key, other, "each session has a key of its own");
    let path = "/console/apps/orders/rollback";
    for body in ["revision=1".to_owned(), format!("revision=1&form={other}"), "revision=1&form=".to_owned()] {
        let answer = browser.post(path, &body);
        assert_eq!(answer.status, 403, "{body}");
        assert!(answer.text().contains("The form is not of this session"), "{}", answer.text());
    }
    let body = format!("revision=1&form={key}");
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost:81"),
        ("Sec-Fetch-Site", "same-site"),
        ("Sec-Fetch-Site", "cross-site"),
    ] {
        assert_eq!(browser.send("POST", path, &[(name, value)], &body).status, 403, "{name}: {value}");
        assert_eq!(browser.send("GET", "/console", &[(name, value)], "").status, 403, "{name}: {value}");
    }
    assert_eq!(console.browser().post(path, &body).status, 401, "no session");
    assert_eq!(ask(port, "o.example", "/").text(), "v2", "nothing was done");

    let reader = console.signed_in(READ);
    let page = reader.page("/console/apps/orders");
    assert!(!page.contains("Roll back to") && !page.contains("Drain"), "{page}");
    let answer = reader.post(path, &format!("revision=1&form={}", reader.key("/console")));
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("watch has the role `read`; this takes `operate`"), "{}", answer.text());
    let tenant = console.signed_in(ACME);
    let answer = tenant.post(path, &format!("revision=1&form={}", tenant.key("/console")));
    assert_eq!(answer.status, 404, "another tenant's app");

    let done = browser.post(path, &body);
    assert_eq!((done.status, done.header("location")), (303, Some("/console/apps/orders?done=rollback")), "{done:?}");
    assert_eq!(ask(port, "o.example", "/").text(), "v1");
    let page = browser.page("/console/apps/orders?done=rollback");
    assert!(page.contains("The revision answers now.") && page.contains("answers, pinned"), "{page}");
    let gone = browser.post(path, &format!("revision=9&form={key}"));
    assert_eq!(gone.status, 404);
    assert!(gone.text().contains("kept are"), "{}", gone.text());
    for act in ["deploy", "drain", "start", "stop", "start"] {
        let done = browser.post(&format!("/console/apps/orders/{act}"), &format!("form={key}"));
        assert_eq!(done.status, 303, "{act}: {}", done.text());
    }
    let told = console.actions();
    for (actor, action, decision) in [
        ("ci", "rollback", "allow"),
        ("ci", "stop", "allow"),
        ("ci", "console-form", "deny"),
        ("watch", "rollback", "deny"),
        ("shop", "rollback", "deny"),
    ] {
        let record = (actor.to_owned(), action.to_owned(), decision.to_owned());
        assert!(told.contains(&record), "{record:?} in {told:?}");
    }
    let found = browser.page("/console/audit?kind=action&app=orders&q=rollback");
    assert!(found.contains("ci") && found.contains("rollback revision=1") && !found.contains("kv."), "{found}");
    let ended = console.starcell.stop();
    assert_eq!(ended.code(), 0, "{}", ended.output);
    assert_eq!(ask_json(&console.node.path, &["audit", "verify", "audit.jsonl", "--json"])["closed"], true);
}

#[test]
fn no_text_of_a_script_or_a_client_becomes_markup() {
    let console = Console::start(node());
    let port = console.starcell.port();
    let words: String = HOSTILE.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(ask(port, "o.example", &format!("/fails?words={words}")).status, 500);
    assert_eq!(ask(port, "o.example", "/%3Cscript%3E%22").status, 200);
    assert_eq!(ask(port, "o.example", &format!("/refused?words={words}")).text(), "False");
    let manifest = format!("{}path = \"/<script>alert(3)\"\n", manifest("beta", "b"));
    console.node.app("broken", &manifest, &format!("fail({HOSTILE:?})\n"));
    let browser = console.signed_in(OPERATE);
    eventually(PATIENCE / 2, "the broken app is told of", || browser.get("/console/apps/broken").status == 200);
    let escaped = "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;";
    let mut shown = 0;
    for path in [
        "/console".to_owned(),
        "/console/apps/orders".to_owned(),
        "/console/apps/orders/permissions".to_owned(),
        "/console/apps/orders/compare?from=1&to=1".to_owned(),
        "/console/apps/broken".to_owned(),
        "/console/tenants/beta".to_owned(),
        "/console/audit".to_owned(),
        format!("/console/audit?q={words}&app={words}"),
        format!("/console?q={words}&state={words}"),
        format!("/console/apps/{words}"),
        format!("/console/{words}"),
    ] {
        let page = browser.get(&path).text().to_owned();
        for mark in ["<script>", "<img", "alert('x')", "\u{202e}"] {
            assert!(!page.contains(mark), "{path}: {mark}\n{page}");
        }
        assert!(page.matches("<script").count() == 1, "{path}: one script, which is our own\n{page}");
        shown += usize::from(page.contains(escaped));
    }
    assert!(shown >= 5, "the texts are shown, escaped: on {shown} pages");
    // A hostile page to go to after the sign-in, and hostile words in the form of an action.
    let login = console.browser().post("/console/login", &format!("token=x&next={words}"));
    assert!(!login.text().contains("<script>"), "{}", login.text());
    let key = browser.key("/console/apps/orders");
    let answer = browser.post("/console/apps/orders/rollback", &format!("revision={words}&form={key}"));
    assert!(answer.status == 400 && !answer.text().contains("<script>"), "{}", answer.text());
}

#[test]
fn an_app_shows_its_requests_its_failures_and_no_secret() {
    let console = Console::start(node());
    let port = console.starcell.port();
    let browser = console.signed_in(OPERATE);
    let page = browser.page("/console/apps/orders");
    assert!(page.contains("No request was answered yet.") && page.contains("No request has failed"), "{page}");
    for _ in 0..3 {
        assert_eq!(ask(port, "o.example", "/fails?words=one&key=query_secret").status, 500);
    }
    let page = browser.page("/console/apps/orders");
    for text in [
        "raised one",
        "3 times, last ",
        "GET /fails",
        // The line of the script, and those around it.
        "main.star, line 7",
        "<span class=\"hit\">    7      fail(&quot;raised &quot; + words(req))",
        "class=\"bar\"",
        "99 % took",
        "3 requests in the last 10 minutes",
        "3 errors in the last 10 minutes",
        "No request is under way.",
        "said one",
        "http.server",
    ] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    // What quotas refused, and whose requests those were.
    for status in [200, 200, 200, 429, 429] {
        assert_eq!(ask(port, "s.example", "/").status, status);
    }
    let page = browser.page("/console/tenants/acme");
    assert!(page.contains("Who hits them") && page.contains("<td>requests</td><td class=\"number\">2</td>"), "{page}");
    assert!(browser.page("/console/apps/shop").contains("<td>requests</td><td class=\"number\">2</td>"));
    // The least profile and refused calls.
    assert_eq!(ask(port, "o.example", "/refused?words=hostname").text(), "False");
    let page = browser.page("/console/apps/orders/permissions");
    for text in ["[profiles.orders-least]", "(/etc/hostname)", "http.server", "<h2>Used</h2>"] {
        assert!(page.contains(text), "{text}\n{page}");
    }
    let paths =
        ["", "/apps/orders", "/apps/orders/permissions", "/apps/orders/compare?from=1&to=1", "/tenants/beta", "/audit"];
    for path in paths {
        let page = browser.page(&format!("/console{path}"));
        for secret in ["sk_live_1", "env_value_1", "query_secret", OPERATE, READ, ACME] {
            assert!(!page.contains(secret), "{path}: {secret}\n{page}");
        }
    }
    assert!(browser.page("/console/apps/orders").contains("GREETING"), "names are shown");
    // The cookie of the console is no script's business, whatever host an app has.
    let cookie = format!("a=1; {}; b=2", browser.cookie.as_ref().unwrap());
    let mut client = Client::connect(port);
    client.send(format!("GET /cookies HTTP/1.1\r\nHost: o.example\r\nCookie: {cookie}\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(client.read(false).unwrap().text(), "a=1; b=2");
}

/// What an app logged, failed with and was made of is not its next owner's to see.
#[test]
fn an_app_that_changes_its_owner_begins_anew() {
    let console = Console::start(node());
    let port = console.starcell.port();
    assert_eq!(ask(port, "o.example", "/fails?words=beta_canary").status, 500);
    let browser = console.signed_in(OPERATE);
    assert!(browser.page("/console/apps/orders").contains("raised beta_canary"));
    console.node.app("orders", &manifest("acme", "o"), &says("acme's"));
    eventually(PATIENCE / 2, "the next owner's script answers", || ask(port, "o.example", "/").text() == "acme's");
    let tenant = console.signed_in(ACME);
    for path in ["/console/apps/orders", "/console/apps/orders/permissions", "/console/audit", "/console/tenants/acme"]
    {
        let page = tenant.page(path);
        assert!(
            !page.contains("beta_canary") && !page.contains("WORKS") && !page.contains("o.words"),
            "{path}\n{page}"
        );
    }
    for (from, to) in [(1, 2), (2, 1), (1, 1)] {
        let answer = tenant.get(&format!("/console/apps/orders/compare?from={from}&to={to}"));
        assert!(answer.status == 404 && !answer.text().contains("def "), "{}", answer.text());
    }
    assert_eq!(tenant.get("/console/apps/orders/compare?from=2&to=2").status, 200);
    // Nor is it offered to make what was somebody else's answer again.
    let back = ["Roll back to 1", "Roll back to 2"]
        .map(|words| [&tenant, &browser].map(|who| who.page("/console/apps/orders").contains(words)));
    assert_eq!(back, [[false, true], [false, false]], "revision 2 answers");
    let lines = tenant.send("GET", "/v1/apps/orders/logs", &[("Authorization", &format!("Bearer {ACME}"))], "");
    assert!(lines.status == 200 && !lines.text().contains("beta_canary"), "{}", lines.text());
    assert!(
        browser.page("/console/apps/orders/compare?from=1&to=2").contains("tenant acme"),
        "the node's operator sees"
    );
}

#[test]
fn the_unix_socket_needs_no_session_and_a_page_of_this_machine() {
    let node = node();
    node.configure(
        &REST.replace("address = \"127.0.0.1:0\"\ntoken_file = \"tokens\"", "address = \"unix:state/admin.sock\""),
    );
    let starcell = node.start(&[]);
    let socket = node.path.join("state/admin.sock");
    let send = |host: &str, method: &str, path: &str, body: &str| {
        let stream = UnixStream::connect(&socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client::over(stream);
        let length = body.len();
        let text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
        client.send(text.as_bytes()).unwrap();
        client.read(false).unwrap()
    };
    let page = send("localhost:9090", "GET", "/console/apps/orders", "");
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.text().contains("unix:") && !page.text().contains("Sign out"), "{}", page.text());
    assert_eq!(send("evil.example", "GET", "/console", "").status, 403, "a name that leads here is no page of ours");
    let (_, rest) = page.text().split_once("name=\"form\" value=\"").unwrap();
    let key = rest.split('"').next().unwrap();
    assert_eq!(send("localhost", "POST", "/console/apps/orders/stop", "form=x").status, 403);
    assert_eq!(send("localhost", "POST", "/console/apps/orders/stop", &format!("form={key}")).status, 303);
    assert_eq!(ask(starcell.port(), "o.example", "/").status, 503);
    let page = send("localhost", "GET", "/console/audit", "");
    assert!(page.text().contains("start it with --audit FILE"), "{}", page.text());
}
