//! The console in a real browser: signed in by keys, dark and light, as wide as a phone, without scripts, and numbers that
//! renew themselves. With `STARCELL_PICTURES=FOLDER` the pages are written there as pictures.

use std::path::PathBuf;

use serde_json::json;
use starcell_tests::admin::operated_at;
use starcell_tests::browser::Chromium;
use starcell_tests::node::{NodeFolder, ask, says};
use starcell_tests::process::{PATIENCE, Starcell, eventually};
use starcell_tests::tls::replace;

const OPERATE: &str = "operate-0123456789";

const REST: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = \"tokens\"\n\
    [profiles.shop]\nbase = \"allow-fs\"\nallow = [\"http.server\", \"http.client(https://api.example.com)\"]\n\
    [tenants.acme]\nprofile = \"shop\"\nquotas = { requests = \"200/h\", memory = \"256MiB\", kv = \"8MiB\" }\n\
    [tenants.globex]\nprofile = \"shop\"\nweight = 2\n";

const ORDERS: &str = r#"
PRICES = {"tea": 3, "coffee": 4}

def price(name):
    return PRICES[name]

def buy(req):
    name = req.query_first("what", "tea")
    kv.set("last", name)
    log.info("sold", {"what": name})
    return {"price": price(name)}

def export(req):
    return fs.read_text("/etc/hostname")

srv = http.server()
srv.handle("GET /buy", buy)
srv.handle("GET /export", export)
srv.handle("GET /", lambda req: "orders")
srv.serve(port=8080)
"#;

struct Shown {
    _starcell: Starcell,
    port: u16,
    admin: String,
    browser: Chromium,
    pictures: Option<PathBuf>,
}

impl Shown {
    fn start() -> Self {
        let node = node();
        let log = node.path.join("audit.jsonl");
        let starcell = node.start(&["--audit", log.to_str().unwrap()]);
        let admin = operated_at(&starcell).to_owned();
        let port = starcell.port();
        eventually(PATIENCE / 2, "the app answers", || ask(port, "orders.example", "/").text() == "orders");
        // A change of what it may do and of its script.
        let changed = ORDERS
            .replace("\"coffee\": 4", "\"coffee\": 4,\n    \"milk\": 2")
            .replace("lambda req: \"orders\"", "lambda req: \"orders v2\"");
        replace(
            &node.path.join("apps/orders/app.toml"),
            manifest("acme", "orders", "profile = \"allow-local\"\n").as_bytes(),
        );
        replace(&node.path.join("apps/orders/main.star"), changed.as_bytes());
        eventually(PATIENCE / 2, "it is deployed", || ask(port, "orders.example", "/").text() == "orders v2");
        let pictures = std::env::var_os("STARCELL_PICTURES").map(PathBuf::from);
        Self { _starcell: starcell, port, admin, browser: Chromium::start(), pictures }
    }

    fn traffic(&self) {
        for number in 0..40 {
            let what = if number % 9 == 4 { "cake" } else { "tea" };
            let _ = ask(self.port, "orders.example", &format!("/buy?what={what}"));
        }
        let _ = ask(self.port, "orders.example", "/export");
        for _ in 0..8 {
            let _ = ask(self.port, "status.example", "/");
        }
    }

    /// Signs in with the keyboard alone.
    fn sign_in(&mut self) {
        self.browser.go(&format!("{}/console", self.admin));
        self.browser.until("the field of the token has the focus", "document.activeElement.id === 'token'");
        let keys: Vec<String> = OPERATE.chars().map(String::from).collect();
        self.browser.press(&keys.iter().map(String::as_str).collect::<Vec<_>>());
        self.browser.press(&["Enter"]);
        self.browser.until("the apps are there", "document.querySelector('h1')?.textContent === 'Node node-1'");
        // That there was no session is all there is to complain about.
        let complaints = self.browser.complaints();
        assert!(complaints.iter().all(|complaint| complaint.contains("status of 401")), "{complaints:?}");
    }

    fn go(&mut self, path: &str) {
        self.browser.go(&format!("{}/console{path}", self.admin));
    }

    fn picture(&mut self, name: &str) {
        if let Some(folder) = &self.pictures {
            self.browser.screenshot(&folder.join(format!("{name}.png")));
        }
    }
}

fn manifest(tenant: &str, host: &str, more: &str) -> String {
    format!("tenant = {tenant:?}\nhosts = [\"{host}.example\"]\n{more}")
}

fn node() -> NodeFolder {
    let node = NodeFolder::new("");
    node.configure(REST);
    node.tokens(&format!("ci operate {OPERATE}\n"));
    node.app("orders", &manifest("acme", "orders", ""), ORDERS);
    node.app("billing", &manifest("acme", "billing", "profile = \"absent\"\n"), &says("billing"));
    node.app("status", &manifest("globex", "status", ""), &says("fine"));
    node.app("mail", &manifest("globex", "mail", ""), "fail(\"no route to the relay\")\n");
    node
}

#[test]
fn an_operator_looks_at_a_node_with_the_keyboard() {
    let mut shown = Shown::start();
    shown.sign_in();
    let hidden = shown.browser.value("document.cookie");
    assert_eq!(hidden, json!(""), "no script of a page reads the session");
    // "/" leads to the search.
    shown.browser.press(&["/"]);
    shown.browser.until("the search has the focus", "document.activeElement.name === 'q'");
    shown.browser.press(&["s", "t", "a", "t", "Enter"]);
    shown.browser.until(
        "one app is found",
        "location.search.includes('q=stat') && document.querySelectorAll('#live-apps tbody tr').length === 1",
    );
    // The first stop of the keyboard is the way past the navigation.
    shown.go("/apps/orders");
    shown.browser.press(&["Tab"]);
    shown.browser.until("the way past is first", "document.activeElement.textContent === 'Skip to the content'");
    // Numbers renew themselves, without the page being loaded again.
    shown.browser.value("window.stays = true");
    shown.traffic();
    let failed = "document.querySelector('#live-errors').textContent.includes('cake')";
    shown.browser.until("the failure is shown", failed);
    assert_eq!(shown.browser.value("window.stays"), json!(true));
    // A rollback by its form.
    let button = "[...document.querySelectorAll('button')].find(button => button.textContent === 'Roll back to 1')";
    shown.browser.value(&format!("{button}.click()"));
    shown.browser.until("it is done", "document.querySelector('.note')?.textContent === 'The revision answers now.'");
    assert_eq!(ask(shown.port, "orders.example", "/").text(), "orders");
    assert_eq!(shown.browser.complaints(), Vec::<String>::new());
}

#[test]
fn pages_are_dark_or_light_narrow_and_there_without_scripts() {
    let mut shown = Shown::start();
    shown.sign_in();
    shown.traffic();
    let pages = [
        ("node", ""),
        ("app", "/apps/orders"),
        ("errors", "/apps/orders#errors"),
        ("revisions", "/apps/orders#revisions"),
        ("compare", "/apps/orders/compare?from=1&to=2"),
        ("permissions", "/apps/orders/permissions"),
        ("tenant", "/tenants/acme"),
        ("audit", "/audit?q=orders"),
    ];
    let colour = "getComputedStyle(document.body).backgroundColor";
    for (colours, ground) in [("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 22, 27)")] {
        shown.browser.prefer(colours);
        for (width, height, size) in [(1280, 900, "wide"), (390, 844, "phone")] {
            shown.browser.resize(width, height);
            for (name, path) in pages {
                shown.go(path);
                assert_eq!(shown.browser.value(colour), json!(ground), "{name}");
                let overflow = shown.browser.value("document.documentElement.scrollWidth - innerWidth");
                assert!(
                    overflow.as_i64().is_some_and(|points| points <= 0),
                    "{name} {size}: {overflow} points too wide"
                );
                shown.picture(&format!("{name}-{colours}-{size}"));
            }
        }
    }
    shown.browser.resize(1280, 900);
    assert_eq!(shown.browser.complaints(), Vec::<String>::new());
    shown.browser.run_scripts(false);
    for (path, texts) in [
        ("", &["orders", "globex", "polyline"][..]),
        ("/apps/orders", &["Roll back to 1", "class=\"bar\"", "sold"]),
        ("/audit?q=hostname", &["/etc/hostname", "deny"]),
    ] {
        shown.browser.call("Page.navigate", json!({"url": format!("{}/console{path}", shown.admin)}));
        let mut markup = String::new();
        eventually(PATIENCE / 2, path, || {
            markup = shown.browser.markup();
            texts.iter().all(|text| markup.contains(text))
        });
    }
}
