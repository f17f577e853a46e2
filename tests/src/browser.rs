//! A headless Chromium that a test drives: pages, keys, sizes, colours, and what the browser complains about.
//!
//! It speaks the DevTools protocol over a pair of pipes, so that no port is open and nobody else can drive it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::process::{PATIENCE, eventually, folder};

/// A browser with one page.
#[derive(Debug)]
pub struct Chromium {
    child: Child,
    orders: File,
    told: Receiver<Value>,
    last: u64,
    session: Option<String>,
    events: Vec<Value>,
}

impl Chromium {
    /// Starts it with an empty page of 1280 by 900 points. One that is not installed is a failure that says what to install.
    #[must_use]
    pub fn start() -> Self {
        let place = folder();
        let (orders, told) = (place.join("orders"), place.join("told"));
        let made = Command::new("mkfifo").args([&orders, &told]).status().expect("mkfifo is there");
        assert!(made.success(), "mkfifo");
        let profile = format!("--user-data-dir={}", place.join("profile").display());
        // What a shell does best: descriptors 3 and 4 are where the browser reads and writes.
        let script = "exec chromium-headless-shell --remote-debugging-pipe --no-sandbox --disable-gpu \
                      --hide-scrollbars --no-proxy-server \"$3\" about:blank 3<\"$1\" 4>\"$2\"";
        let mut child = Command::new("bash");
        child.args(["-c", script, "browser"]).arg(&orders).arg(&told).arg(&profile);
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let there = Command::new("bash").args(["-c", "type -P chromium-headless-shell"]).stdout(Stdio::null()).status();
        assert!(there.is_ok_and(|there| there.success()), "chromium is missing: .ci/install chromium-headless-shell");
        let child = child.spawn().expect("bash is there");
        // In the order in which the shell opens them.
        let orders = File::options().write(true).open(&orders).expect("the browser reads");
        let told = listen(&told);
        let mut browser = Self { child, orders, told, last: 0, session: None, events: Vec::new() };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.resize(1280, 900);
        browser
    }

    /// Calls a method of the protocol, which must be done.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Like [`call`](Self::call), where an error is an answer too.
    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.last += 1;
        let mut order = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        let mut bytes = serde_json::to_vec(&order).expect("JSON");
        bytes.push(0);
        self.orders.write_all(&bytes).expect("the browser reads");
        loop {
            let told =
                self.told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the browser does not answer {method}"));
            if told["id"] == json!(self.last) {
                return if told["error"].is_null() { Ok(told["result"].clone()) } else { Err(told["error"].clone()) };
            }
            self.events.push(told);
        }
    }

    /// Goes to an address and waits until its page is loaded.
    pub fn go(&mut self, url: &str) {
        self.call("Runtime.evaluate", json!({"expression": "window.isLeft = true"}));
        let gone = self.call("Page.navigate", json!({"url": url}));
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        // A place on the same page has no loader.
        if gone["loaderId"].is_string() {
            self.until("the page is loaded", "window.isLeft !== true && document.readyState === 'complete'");
        }
    }

    /// The value of an expression on the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let order = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.call("Runtime.evaluate", order);
        assert!(told["exceptionDetails"].is_null(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression on the page is true.
    pub fn until(&mut self, what: &str, expression: &str) {
        // While a page is exchanged there is nothing to ask.
        let order = json!({"expression": expression, "returnByValue": true});
        eventually(PATIENCE / 2, what, || {
            let told = self.try_call("Runtime.evaluate", order.clone());
            told.is_ok_and(|told| told["result"]["value"] == json!(true))
        });
    }

    /// Types a text, or presses `Tab`, `Enter` or `Escape`.
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            let (code, text) = match *key {
                "Tab" => (9, ""),
                "Enter" => (13, "\r"),
                "Escape" => (27, ""),
                text => (0, text),
            };
            let down = json!({"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code});
            self.call("Input.dispatchKeyEvent", down);
            self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}));
        }
    }

    /// Gives the page a width and a height in points; one of less than 500 is a phone's.
    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Prefers `dark` or `light` colours.
    pub fn prefer(&mut self, colours: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": colours}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Runs no script of pages from now on, or again.
    pub fn run_scripts(&mut self, run: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !run}));
    }

    /// The markup of the page as the browser has it.
    pub fn markup(&mut self) -> String {
        let mut markup = None;
        // A page that is exchanged between the two has another root.
        eventually(PATIENCE / 2, "the markup of a page", || {
            let root = self.call("DOM.getDocument", json!({"depth": 0}))["root"]["nodeId"].clone();
            let told = self.try_call("DOM.getOuterHTML", json!({"nodeId": root}));
            markup = told.ok().and_then(|told| told["outerHTML"].as_str().map(str::to_owned));
            markup.is_some()
        });
        markup.expect("it was there")
    }

    /// Writes what is seen as a PNG.
    pub fn screenshot(&mut self, file: &Path) {
        let told = self.call("Page.captureScreenshot", json!({"format": "png"}));
        std::fs::write(file, decoded(told["data"].as_str().expect("a picture"))).expect("a folder of our own");
    }

    /// What the browser has complained about since the last time: errors of scripts, and what a policy refused.
    pub fn complaints(&mut self) -> Vec<String> {
        // What came before the answer to this has come.
        self.call("Runtime.evaluate", json!({"expression": "0"}));
        let events = std::mem::take(&mut self.events);
        let is_complaint = |event: &Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        events.iter().filter(|event| is_complaint(event)).map(ToString::to_string).collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It ends when nobody gives it orders, and is not waited for without end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The messages of the browser, each of which ends with a zero byte.
fn listen(pipe: &Path) -> Receiver<Value> {
    let (sender, receiver) = channel();
    let file = File::open(pipe).expect("the browser writes");
    std::thread::spawn(move || {
        let mut reader = BufReader::new(file);
        let mut message = Vec::new();
        while reader.read_until(0, &mut message).is_ok_and(|length| length > 0) {
            message.pop();
            let told = serde_json::from_slice(&message).expect("a message in JSON");
            message.clear();
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The bytes of Base64.
fn decoded(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| DIGITS.iter().position(|digit| *digit == byte));
    let (mut out, mut bits, mut count) = (Vec::new(), 0_usize, 0);
    for digit in digits {
        (bits, count) = (bits << 6 | digit, count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}
