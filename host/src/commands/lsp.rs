//! `starcell lsp`: the language server, over standard input and output.
//!
//! It is starlark's own server, told what our files, modules and checks are. That one knows names but not members:
//! behind `fs.` it offers nothing and explains `fs`. So what a client asks goes past `members` first, which answers
//! for members of modules and of values it can tell the type of, and hands on everything else.
//!
//! Scripts are parsed and checked, never evaluated.

mod context;
mod documents;
mod members;
mod stubs;

use std::thread;

use lsp_server::{Connection, Message, Notification, Request, Response};
use serde_json::{Value, json};
use starlark_lsp::server::server_with_connection;

use crate::exit::Exit;
use crate::say::fail;
use context::Context;
use documents::Documents;

/// What parsing and checking recurse on.
const STACK_BYTES: usize = 64 << 20;

/// Serves one client until it says `exit`.
#[expect(clippy::disallowed_methods, reason = "both threads are joined below")]
pub fn lsp() -> Exit {
    let (client, io) = Connection::stdio();
    let (server, ours) = Connection::memory();
    let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
    let serving = spawn("lsp server")
        .stack_size(STACK_BYTES)
        .spawn(move || server_with_connection(server, Context::default()).map_err(|error| error.to_string()));
    let Ok(serving) = serving else { return fail(Exit::Host, "cannot start a thread") };
    let Connection { sender: to_server, receiver: from_server } = ours;
    let to_client = client.sender.clone();
    let answering = spawn("lsp answers").spawn(move || {
        for message in from_server {
            if to_client.send(introduced(message)).is_err() {
                return;
            }
        }
    });
    let Ok(answering) = answering else { return fail(Exit::Host, "cannot start a thread") };

    let mut documents = Documents::default();
    let mut orderly = false;
    for message in &client.receiver {
        let last = matches!(&message, Message::Notification(told) if told.method == "exit");
        orderly |= matches!(&message, Message::Request(asked) if asked.method == "shutdown");
        let sent = match answered(message, &mut documents) {
            Handled::Answer(response) => client.sender.send(Message::Response(response)).is_ok(),
            Handled::Forward(message) => to_server.send(message).is_ok(),
            Handled::Nothing => true,
        };
        if last || !sent {
            break;
        }
    }
    drop(to_server);
    let outcome = serving.join();
    let _ = answering.join();
    drop(client);
    match outcome {
        Ok(Ok(())) if orderly => match io.join() {
            Ok(()) => Exit::Ok,
            Err(error) => fail(Exit::Host, &format!("cannot speak to the client: {error}")),
        },
        // By the protocol, for a client that leaves without a word.
        Ok(Ok(())) => Exit::Raised,
        Ok(Err(error)) => fail(Exit::Host, &error),
        Err(_) => fail(Exit::Host, "the language server failed"),
    }
}

/// What becomes of a message of the client.
enum Handled {
    Answer(Response),
    Forward(Message),
    Nothing,
}

fn answered(message: Message, documents: &mut Documents) -> Handled {
    match message {
        Message::Request(request) => match answer(&request, documents) {
            Some(result) => Handled::Answer(Response { id: request.id, result: Some(result), error: None }),
            None => Handled::Forward(Message::Request(request)),
        },
        Message::Notification(told) => match noted(told, documents) {
            Some(told) => Handled::Forward(Message::Notification(told)),
            None => Handled::Nothing,
        },
        response @ Message::Response(_) => Handled::Forward(response),
    }
}

/// The answer to a question about a member.
fn answer(request: &Request, documents: &Documents) -> Option<Value> {
    let place = documents.place(&request.params);
    match request.method.as_str() {
        "textDocument/completion" => members::completions(&place?),
        "textDocument/hover" => members::hover(&place?),
        "textDocument/definition" => members::definition(&place?),
        _ => None,
    }
}

/// Keeps what documents say; gives what the server is to be told.
fn noted(mut told: Notification, documents: &mut Documents) -> Option<Notification> {
    match told.method.as_str() {
        "textDocument/didOpen" => documents.opened(&told.params),
        "textDocument/didClose" => documents.closed(&told.params),
        // Each change is the whole text, so only the last one counts; without any there is nothing to tell.
        "textDocument/didChange" => {
            let changes = told.params.get_mut("contentChanges")?.as_array_mut()?;
            let last = changes.pop()?;
            *changes = vec![last];
            documents.changed(&told.params);
        }
        _ => {}
    }
    Some(told)
}

/// The answer to `initialize` says who answers, and that a dot is worth asking about.
fn introduced(mut message: Message) -> Message {
    if let Message::Response(Response { result: Some(result), .. }) = &mut message
        && let Some(completion) = result.pointer_mut("/capabilities/completionProvider")
    {
        *completion = json!({"triggerCharacters": ["."]});
        if let Some(fields) = result.as_object_mut() {
            let version = env!("CARGO_PKG_VERSION");
            fields.insert("serverInfo".to_owned(), json!({"name": "starcell", "version": version}));
        }
    }
    message
}
