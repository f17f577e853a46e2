//! An editor, as far as `starcell lsp` can tell: messages of the Language Server Protocol over the real binary's pipes.

use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::{Value, json};

use crate::process::{PATIENCE, binary};

/// A running language server and what it says.
#[derive(Debug)]
pub struct Editor {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    last_id: u64,
    /// Notifications that came while something else was waited for.
    notes: Vec<Value>,
}

impl Editor {
    /// Starts the server; says nothing to it yet.
    #[must_use]
    pub fn start() -> Self {
        let mut command = Command::new(binary());
        command.arg("lsp").env_remove("RUST_BACKTRACE").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("the binary starts");
        let input = child.stdin.take();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = mpsc::channel();
        thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, input, messages, last_id: 0, notes: Vec::new() }
    }

    /// Starts the server and says hello, as for a folder that is open; gives what the server can do.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, Value) {
        let mut editor = Self::start();
        let root = format!("file://{}", folder.display());
        let hello = json!({"processId": null, "rootUri": root, "capabilities": {}, "workspaceFolders": null});
        let able = editor.ask("initialize", hello);
        editor.tell("initialized", json!({}));
        (editor, able)
    }

    /// Sends a message as it is.
    pub fn send(&mut self, message: &Value) {
        let text = message.to_string();
        let input = self.input.as_mut().expect("not closed");
        write!(input, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("the server reads");
        input.flush().expect("the server reads");
    }

    /// Sends a notification.
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and waits for its result.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        loop {
            let message = self.messages.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == id {
                assert_eq!(message.get("error"), None, "{method}: {message}");
                return message["result"].clone();
            }
            self.notes.push(message);
        }
    }

    /// Asks about a place in a file.
    pub fn ask_at(&mut self, method: &str, file: &Path, line: u32, character: u32) -> Value {
        let place = json!({"textDocument": {"uri": uri(file)}, "position": {"line": line, "character": character}});
        self.ask(method, place)
    }

    /// Opens a file with a text, and waits for what is wrong in it.
    pub fn diagnostics(&mut self, file: &Path, text: &str) -> Vec<Value> {
        let document = json!({"uri": uri(file), "languageId": "starlark", "version": 1, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
        self.published(file)
    }

    /// Changes the text of an open file, and waits for what is wrong in it.
    pub fn changed(&mut self, file: &Path, version: u32, text: &str) -> Vec<Value> {
        let document = json!({"uri": uri(file), "version": version});
        self.tell("textDocument/didChange", json!({"textDocument": document, "contentChanges": [{"text": text}]}));
        self.published(file)
    }

    fn published(&mut self, file: &Path) -> Vec<Value> {
        let wanted = |message: &Value| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri(file)
        };
        loop {
            let message = match self.notes.iter().position(wanted) {
                Some(at) => self.notes.remove(at),
                None => self.messages.recv_timeout(PATIENCE).expect("diagnostics"),
            };
            if wanted(&message) {
                return message["params"]["diagnostics"].as_array().expect("a list").clone();
            }
            self.notes.push(message);
        }
    }

    /// Says goodbye and waits for the process to end.
    #[must_use]
    pub fn close(mut self) -> ExitStatus {
        self.ask("shutdown", Value::Null);
        self.tell("exit", Value::Null);
        self.child.wait().expect("it ends")
    }

    /// Leaves without a word.
    #[must_use]
    pub fn leave(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().expect("it ends")
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The URI of a file.
#[must_use]
pub fn uri(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn read(output: &mut impl std::io::BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        output.by_ref().read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some(("Content-Length", value)) => length = value.parse::<usize>().ok(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length?];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
