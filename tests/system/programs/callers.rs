//! Programs that ask other servers: each passes its own tests, and asks what it should over sockets.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use starcell_tests::client::{Client, Response, get};
use starcell_tests::kube::Kube;
use starcell_tests::process::{Starcell, fixture, folder, script, until};
use starcell_tests::upstream::{Answer, Asked, Upstream, response};

use super::{command, printed, serve_command, test_command};

fn json(status: u16, body: &str) -> Answer {
    (response(status, &[("Content-Type", "application/json")], body.as_bytes()), false)
}

fn base(upstream: &Upstream) -> String {
    format!("http://127.0.0.1:{}", upstream.port)
}

/// A command for a program that may ask this server.
fn asking(subcommand: &str, program: &Path, upstream: &Upstream) -> Command {
    let mut command = command(subcommand, program);
    command.args(["--allow", &format!("http.client({})", base(upstream))]);
    command
}

/// Takes what it is sent; issue 13 is too much for it.
fn github() -> Upstream {
    Upstream::start(|asked: &Asked| match asked.target().contains("/issues/13/") {
        true => json(500, "{}"),
        false => json(201, "{}"),
    })
}

fn github_bot(subcommand: &str, github: &Upstream) -> Command {
    let mut command = asking(subcommand, &fixture("githubbot"), github);
    command.env("GITHUB_API", base(github));
    command
}

#[test]
fn githubbot() {
    test_command(github_bot("test", &github()), 7);
}

#[test]
fn the_github_bot_over_sockets_writes_what_it_should() {
    let github = github();
    let server = serve_command(github_bot("run", &github));
    let event = r#"{"action":"opened","issue":{"number":7,"title":"Crash: why?","body":null,"user":{"login":"ann"},"author_association":"NONE"},"repository":{"full_name":"acme/tools"}}"#;
    let signature =
        printed(&format!("print(hmac.sign('sha256', \"It's a Secret to Everybody\", {}))", serde_json::json!(event)));
    let headers = [
        ("X-GitHub-Event", "issues"),
        ("X-GitHub-Delivery", "1"),
        ("X-Hub-Signature-256", &format!("sha256={signature}")),
    ];
    let mut client = Client::connect(server.port());
    let refused = client.request("POST", "/webhook", &headers[..2], event.as_bytes());
    assert_eq!((refused.status, github.asked().len()), (401, 0));
    let done = client.request("POST", "/webhook", &headers, event.as_bytes());
    assert_eq!((done.status, done.text()), (200, r#"{"labels":["bug","question"],"greeted":true}"#));
    let asked = github.asked();
    let lines: Vec<&str> = asked.iter().map(|asked| asked.line.as_str()).collect();
    let base = "POST /repos/acme/tools/issues/7";
    assert_eq!(lines, [format!("{base}/labels HTTP/1.1"), format!("{base}/comments HTTP/1.1")]);
    assert_eq!(asked[0].body, br#"{"labels":["bug","question"]}"#);
    assert!(asked.iter().all(|asked| asked.header("authorization") == Some("Bearer the token of the bot")));
}

#[test]
fn poll() {
    test_command(command("test", &fixture("poll")), 6);
}

/// A body of Slack's and the signature over it.
fn slack(client: &mut Client, path: &str, fields: &serde_json::Value) -> Response {
    let source = format!(
        "body = url.encode_query(json.decode({}))\nsent = str(time.unix())\nprint(body)\nprint(sent)\n\
         print('v0=' + hmac.sign('sha256', '8f742231b10e8888abcd99yyyzzz85a5', 'v0:' + sent + ':' + body))",
        serde_json::json!(fields.to_string())
    );
    let printed = printed(&source);
    let lines: Vec<&str> = printed.lines().collect();
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("X-Slack-Request-Timestamp", lines[1]),
        ("X-Slack-Signature", lines[2]),
    ];
    client.request("POST", path, &headers, lines[0].as_bytes())
}

#[test]
fn a_poll_over_sockets_shows_the_votes_at_slack() {
    let hooks = Upstream::saying(200, "text/plain", "ok");
    let response_url = format!("{}/actions/1", base(&hooks));
    let server = serve_command(asking("run", &fixture("poll"), &hooks));
    let mut client = Client::connect(server.port());
    let text = r#""Lunch?" Pizza Salad"#;
    let made = slack(&mut client, "/slack/commands", &serde_json::json!({ "command": "/poll", "text": text }));
    let made: serde_json::Value = serde_json::from_str(made.text()).unwrap();
    assert_eq!(made["response_type"], "in_channel");
    let value = &made["blocks"][2]["accessory"]["value"];
    let payload =
        serde_json::json!({ "user": { "id": "U1" }, "actions": [{ "value": value }], "response_url": response_url });
    let voted = slack(&mut client, "/slack/actions", &serde_json::json!({ "payload": payload.to_string() }));
    assert_eq!((voted.status, voted.body.len()), (204, 0));
    let asked = hooks.asked();
    assert_eq!((asked.len(), asked[0].line.as_str()), (1, "POST /actions/1 HTTP/1.1"));
    let shown: serde_json::Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(shown["replace_original"], true);
    let texts = ["*Lunch?*", "Pizza  `0`", "Salad  `1`"];
    assert_eq!(
        texts.map(serde_json::Value::from),
        [0, 1, 2].map(|block| shown["blocks"][block]["text"]["text"].clone())
    );
    assert_eq!(client.request("POST", "/slack/commands", &[], b"text=a+b+c").status, 401);
}

const NEWS: &str = "date,title,link,summary\n2025-01-31,\"Hello, again\",https://example.com/hello,A start\n\
                    soon,Later,https://example.com/later,\n\
                    2025-03-02,Löwen & Co,https://example.com/lions?a=1&b=2,<b>Roar</b>\n";

fn feeder(subcommand: &str, source: &Upstream) -> Command {
    let mut command = asking(subcommand, &fixture("feed"), source);
    command.env("FEED_SOURCE", format!("{}/news.csv", base(source)));
    command
}

#[test]
fn feed() {
    test_command(feeder("test", &Upstream::saying(200, "text/csv", NEWS)), 4);
}

/// The source answers once and then fails; what it said the first time is shown on.
#[test]
fn a_feed_over_sockets_outlives_its_source() {
    let asked = AtomicUsize::new(0);
    let source = Upstream::start(move |_: &Asked| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => (response(200, &[], NEWS.as_bytes()), false),
        _ => (response(503, &[], b"later"), false),
    });
    let mut command = feeder("run", &source);
    command.env("FEED_FRESH", "1ms");
    let server = serve_command(command);
    let first = get(server.port(), "/feed.xml");
    assert!(first.text().contains("<title>Löwen &amp; Co</title>"), "{}", first.text());
    until("the source is asked again", || {
        let again = get(server.port(), "/feed.xml");
        assert_eq!((again.status, again.text()), (200, first.text()));
        source.asked().len() > 1
    });
    let feed = get(server.port(), "/feed.json");
    assert_eq!(feed.header("content-type"), Some("application/feed+json"));
    let feed: serde_json::Value = serde_json::from_str(feed.text()).unwrap();
    assert_eq!(feed["items"][0]["content_text"], "<b>Roar</b>");
}

#[test]
fn a_feed_whose_source_never_answered_is_502() {
    let source = Upstream::saying(200, "text/csv", "date,title\n2025-01-01,\"open\n");
    let server = serve_command(feeder("run", &source));
    let feed = get(server.port(), "/feed.json");
    assert_eq!((feed.status, feed.text()), (502, r#"{"error":"the source cannot be read"}"#));
}

/// A shop with these prices; where there is none it answers with what `otherwise` says.
fn shop(prices: &'static [(&str, u32)], otherwise: fn(&str) -> Answer) -> Upstream {
    Upstream::start(move |asked: &Asked| {
        let sku = asked.target().trim_start_matches("/items/");
        match prices.iter().find(|(have, _)| *have == sku) {
            Some((_, cents)) => json(200, &format!(r#"{{"cents":{cents}}}"#)),
            None if sku == "broken" => json(500, "{}"),
            None => otherwise(sku),
        }
    })
}

fn shops(subcommand: &str) -> (Command, [Upstream; 3]) {
    let none = |_: &str| json(404, "{}");
    let odd = |sku: &str| match sku {
        "tea" => (response(200, &[("Content-Type", "text/html")], b"<p>tea"), false),
        "gone" => (Vec::new(), true),
        _ => json(404, "{}"),
    };
    let shops = [
        shop(&[("tea", 250), ("gone", 1)], none),
        shop(&[("tea", 300), ("gone", 2), ("cake", 700)], none),
        shop(&[], odd),
    ];
    let mut command = command(subcommand, &fixture("fanout"));
    let urls = [0, 1, 2].map(|number| base(&shops[number]));
    for url in &urls {
        command.args(["--allow", &format!("http.client[get]({url})")]);
    }
    let [cheap, dear, odd] = urls;
    command.env("SHOPS", serde_json::json!({ "cheap": cheap, "dear": dear, "odd": odd }).to_string());
    (command, shops)
}

#[test]
fn fanout() {
    let (command, _shops) = shops("test");
    test_command(command, 6);
}

#[test]
fn a_fan_out_over_sockets_asks_each_shop_once() {
    let (command, shops) = shops("run");
    let mut server = serve_command(command);
    let best = get(server.port(), "/prices/tea");
    let expected = r#"{"best":{"shop":"cheap","cents":250},"offers":[{"shop":"cheap","cents":250},{"shop":"dear","cents":300}],"failed":["odd"]}"#;
    assert_eq!((best.status, best.text()), (200, expected));
    let noted = server.wait_for("a shop is of no use");
    assert!(noted.contains("odd"), "{noted}");
    for shop in &shops {
        let lines: Vec<String> = shop.asked().into_iter().map(|asked| asked.line).collect();
        assert_eq!(lines, ["GET /items/tea HTTP/1.1"]);
    }
    assert_eq!(get(server.port(), "/prices/broken").status, 502);
    assert_eq!(get(server.port(), "/prices/a%2Fb").status, 400);
}

/// A command of an operator who has this cluster.
fn with_cluster(subcommand: &str, kube: &Kube) -> Command {
    let mut command = command(subcommand, &fixture("k8sboard"));
    command.env("KUBECONFIG", kube.kubeconfig()).env("HOME", folder()).env_remove("KUBERNETES_SERVICE_HOST");
    command.env("HTTPS_PROXY", "http://127.0.0.1:1");
    command
}

#[test]
fn k8sboard() {
    let mut command = with_cluster("test", &Kube::start());
    // The tests make and delete what the board only shows.
    command.args(["--allow", "k8s.write[create,delete](web/deployments)"]);
    test_command(command, 6);
}

#[test]
fn the_board_over_a_socket_shows_and_scales_one_namespace() {
    let kube = Kube::start();
    let deployment = r#"
for namespace in ["web", "prod"]:
    k8s.create({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": namespace + "-app"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
    }, namespace = namespace)
"#;
    let mut make = Command::new(starcell_tests::process::binary());
    make.args(["run", "--allow-local"]).arg(script(deployment)).env("KUBECONFIG", kube.kubeconfig());
    assert_eq!(Starcell::spawn_command(make).wait().code(), 0);
    let server = serve_command(with_cluster("run", &kube));
    let mut client = Client::connect(server.port());
    let page = client.get("/");
    assert!(page.text().contains("<h2>web-app 0/2</h2>") && page.text().contains("/pods/web-0/log"), "{}", page.text());
    assert!(!page.text().contains("prod-app"), "{}", page.text());
    assert!(client.get("/pods/web-0/log").text().contains("line 5\n"));
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let scaled = client.request("POST", "/deployments/web-app/scale", &[form], b"replicas=5");
    assert_eq!((scaled.status, scaled.header("location")), (303, Some("/")));
    assert!(client.get("/").text().contains("<h2>web-app 0/5</h2>"));
    let other = [form, ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(client.request("POST", "/deployments/web-app/scale", &other, b"replicas=9").status, 403);
    assert!(!kube.lines().iter().any(|line| line.contains("/namespaces/prod/") && !line.starts_with("POST")));
}

/// With another namespace the same script under the same profile sees nothing.
#[test]
fn the_board_is_refused_another_namespace() {
    let kube = Kube::start();
    let mut command = with_cluster("run", &kube);
    command.env("NAMESPACE", "prod");
    let mut server = serve_command(command);
    assert_eq!(get(server.port(), "/").status, 502);
    let logged = server.wait_for("the cluster does not answer");
    assert!(logged.contains("permission denied: k8s.read"), "{logged}");
    assert!(kube.lines().iter().all(|line| !line.contains("/namespaces/prod/")), "{:?}", kube.lines());
}
