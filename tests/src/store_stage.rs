//! A node whose store is at the end of a wire, and the look at all that is said when the store does not do a call.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::admin::Operator;
use crate::client::get;
use crate::node::{NodeFolder, ask, says, watched_port};
use crate::process::{SLACK, Starcell, binary, until};
use crate::relay::Relay;
use crate::servers::{PASSWORD, Server};

/// How long a call takes at most.
const DEADLINE: Duration = Duration::from_secs(3);

const STORED: &str = r#"
def told(result):
    return {"status": 200 if result.ok else 503, "body": str(result.value) if result.ok else result.error}
srv = http.server()
srv.handle("GET /look", lambda req: told(kv.try_get("n", 0)))
srv.handle("GET /count", lambda req: told(kv.try_incr("n")))
srv.handle("GET /fill", lambda req: told(kv.try_set("big", "x" * 10000)))
srv.handle("GET /small", lambda req: told(kv.try_set("big", "x")))
srv.serve(port=8080)
"#;

const DENIED: &str = r#"
def every(req):
    results = [kv.try_get("n"), kv.try_set("n", 1), kv.try_incr("n"), kv.try_delete("n"), kv.try_list("n"),
               kv.try_compare_and_set("n", None, 1)]
    return str(len([r for r in results if not r.ok and r.error.startswith("permission denied")]))
srv = http.server()
srv.handle("GET /", every)
srv.serve(port=8080)
"#;

/// What is seen of a call that a store did not do.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The path of the app that makes the call.
    pub call: &'static str,
    /// A part of the sentence that the script reads.
    pub sentence: &'static str,
    /// The word of the numbers and of `app show`.
    pub kind: &'static str,
    /// A part of a line of the log; none where the log says nothing.
    pub log: Option<&'static str>,
}

/// A node with three apps: `stored` uses the store, `denied` may not, `other` does not.
#[derive(Debug)]
pub struct Stage {
    /// The node.
    pub starcell: Starcell,
    /// What leads to its store.
    pub wire: Relay,
    /// The file of the password that it has there.
    pub password: PathBuf,
    folder: NodeFolder,
    port: u16,
    watched: u16,
}

impl Stage {
    /// Starts one as the user who owns everything on the server.
    #[must_use]
    pub fn start(server: &Server) -> Self {
        Self::start_as("", server, None)
    }

    /// Starts one as a user of the server (`NAME@`), who trusts these certificates.
    #[must_use]
    pub fn start_as(user: &str, server: &Server, roots: Option<&Path>) -> Self {
        let (node, wire) = (NodeFolder::new(""), Relay::to(server.port));
        let password = server.password_file();
        let url =
            server.url().replace(&format!("127.0.0.1:{}", server.port), &format!("{user}127.0.0.1:{}", wire.port));
        node.configure(&format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\n[metrics]\naddress = \"127.0.0.1:0\"\n\
             [admin]\naddress = \"unix:state/admin.sock\"\n[kv]\nurl = {url:?}\npassword_file = {:?}\n\
             [profiles.web]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\n\
             [profiles.keyless]\nbase = \"allow-fs\"\nallow = [\"http.server\"]\ndeny = [\"kv.read\", \"kv.write\"]\n\
             [tenants.acme]\nprofile = \"web\"\nquotas = {{ kv = \"8KiB\" }}\n",
            password.display().to_string(),
        ));
        let manifest = |app: &str, profile: &str| {
            format!("tenant = \"acme\"\nhosts = [\"{app}.test\"]\nprofile = \"{profile}\"\n")
        };
        node.app("stored", &manifest("stored", "web"), STORED);
        node.app("denied", &manifest("denied", "keyless"), DENIED);
        node.app("other", &manifest("other", "web"), &says("other"));
        let mut command = Command::new(binary());
        command.args(["host", "--no-access-log"]).arg(node.config()).current_dir(&node.path);
        if let Some(roots) = roots {
            command.env("SSL_CERT_FILE", roots);
        }
        let mut starcell = Starcell::spawn_command(command);
        let watched = watched_port(&mut starcell);
        starcell.wait_for("serving ");
        let port = starcell.port();
        let stage = Self { folder: node, starcell, port, watched, wire, password };
        // A node that serves may still set apps up.
        until("all apps answer", || stage.numbers().contains("starcell_apps_running 3\n"));
        // Each of the connections that calls take in turns is made.
        for _ in 0..8 {
            until("the store is used", || stage.works("/look"));
        }
        stage
    }

    /// Whether the app that uses the store has its call done.
    #[must_use]
    pub fn works(&self, call: &str) -> bool {
        ask(self.port, "stored.test", call).status == 200
    }

    /// What an app answers.
    #[must_use]
    pub fn text(&self, app: &str, call: &str) -> String {
        ask(self.port, &format!("{app}.test"), call).text().to_owned()
    }

    /// All numbers of the node.
    #[must_use]
    pub fn numbers(&self) -> String {
        get(self.watched, "/metrics").text().to_owned()
    }

    /// What the node tells an operator of the app.
    #[must_use]
    pub fn shown(&self) -> serde_json::Value {
        Operator::of(&self.starcell, None).get("/v1/apps/stored")
    }

    /// Makes a call that the store does not do, and looks at all that is said of it.
    pub fn check(&mut self, what: &str, seen: &Seen) {
        let began = Instant::now();
        let answer = ask(self.port, "stored.test", seen.call);
        assert!(began.elapsed() < DEADLINE + SLACK, "{what}: {:?}", began.elapsed());
        assert_eq!(answer.status, 503, "{what}: {}", answer.text());
        assert!(answer.text().contains(seen.sentence), "{what}: {}", answer.text());
        // The script learns neither where the store is nor who the node is there.
        let port = self.wire.port.to_string();
        for secret in [port.as_str(), "127.0.0.1", PASSWORD, "starcell"] {
            assert!(!answer.text().contains(secret), "{what}: {}", answer.text());
        }
        // The node is up, and an app that stores nothing does not notice.
        assert_eq!((get(self.watched, "/readyz").status, get(self.watched, "/healthz").status), (200, 200), "{what}");
        assert_eq!(ask(self.port, "other.test", "/").text(), "other", "{what}");
        if let Some(log) = seen.log {
            let line = self.starcell.wait_for(log);
            assert!(line.contains(&format!("127.0.0.1:{}/", self.wire.port)), "{what}: {line}");
        }
        assert!(!self.starcell.seen().contains(PASSWORD), "{what}");
        self.is_shown(what, seen.kind);
    }

    /// The numbers, the API and the command tell the kind of the failure.
    fn is_shown(&self, what: &str, kind: &str) {
        let page = self.numbers();
        let series = format!("starcell_store_failures_total{{tenant=\"acme\",app=\"stored\",kind=\"{kind}\"}} ");
        let count = page.lines().find_map(|line| line.strip_prefix(&series)).and_then(|n| n.parse::<u64>().ok());
        assert!(count.is_some_and(|count| count > 0), "{what}: {page}");
        assert!(!page.contains("starcell_store_failures_total{tenant=\"acme\",app=\"other\""), "{what}");
        let app = self.shown();
        let (calls, last) = (&app["store_failures"]["calls"], &app["store_failures"]["last"]);
        assert_eq!((calls[kind].as_u64(), &last["kind"]), (count, &kind.into()), "{what}: {app}");
        let (time, message) = (last["time"].as_str().expect("a text"), last["message"].as_str().expect("a text"));
        let shown = Starcell::command(&self.folder.path, &["app", "show", "stored", "--config", "node.toml"], "");
        assert_eq!(shown.code(), 0, "{what}: {}", shown.output);
        for text in [format!("{} {kind}", count.unwrap_or_default()), time.to_owned(), message.to_owned()] {
            assert!(shown.stdout.contains(&text), "{what}: {text}\n{}", shown.stdout);
        }
    }

    /// Waits until calls are done again, which takes nobody's help, and ends the node; all that it said.
    pub fn recover(self, what: &str, call: &str) -> String {
        until(what, || self.works(call));
        let ended = self.starcell.stop();
        assert_eq!(ended.code(), 0, "{what}: {}", ended.output);
        ended.output
    }
}
