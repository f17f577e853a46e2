//! `starcell app`: asks a node about its apps, and has it do something with one; makes bundles of apps and pushes them.

mod bundles;

use std::path::Path;

use serde_json::json;

use crate::api::views::{AppView, AppsView, DenialsView, DoneView, LeastView, LogLineView, LogLinesView};
use crate::cli::{AppCommand, NodeFlags, OneApp};
use crate::exit::Exit;
use crate::node::upload::Upload;
use crate::operate::{Failed, NodeClient};
use crate::say::{Said, fail, put, say};
use crate::sheets;

/// Does what the command line asks for.
pub async fn app(command: &AppCommand) -> Exit {
    let answered = match command {
        AppCommand::List(node) => list(node).await,
        AppCommand::Show(one) => show(one).await,
        AppCommand::Deploy { one, from, with_manifest } => deploy(one, from.as_deref(), *with_manifest).await,
        AppCommand::Drain(one) => act(&one.node, &one.app, "drain", json!({})).await,
        AppCommand::Start(one) => act(&one.node, &one.app, "start", json!({})).await,
        AppCommand::Stop(one) => act(&one.node, &one.app, "stop", json!({})).await,
        AppCommand::Rollback { app, revision, node } => act(node, app, "rollback", json!({"revision": revision})).await,
        AppCommand::Canary { app, revision, percent, node } => {
            act(node, app, "canary", json!({"revision": revision, "percent": percent})).await
        }
        AppCommand::Preview { app, revision, minutes, node } => {
            act(node, app, "preview", json!({"revision": revision, "minutes": minutes})).await
        }
        AppCommand::Denials { one, tail } => denials(one, *tail).await,
        AppCommand::Profile(one) => profile(one).await,
        AppCommand::Pack { folder, output, key } => bundles::pack(folder, output, key.as_deref()),
        AppCommand::Push { source, reference, key, credentials, plain_http } => {
            let (key, credentials) = (key.as_deref(), credentials.as_deref());
            bundles::push(source, reference, (key, credentials, *plain_http)).await
        }
        AppCommand::Logs { one, follow: false, tail } => logs(one, *tail).await,
        AppCommand::Logs { one, follow: true, tail } => return followed(one, *tail).await,
    };
    match answered {
        Ok(said) => say(Exit::Ok, &said),
        Err((exit, error)) => fail(exit, &error),
    }
}

async fn list(node: &NodeFlags) -> Result<Said, Failed> {
    let (view, text) = NodeClient::new(node)?.get::<AppsView>("/v1/apps").await?;
    Ok(if node.json { Said::Json(text) } else { Said::Text(sheets::apps(&view)) })
}

async fn show(one: &OneApp) -> Result<Said, Failed> {
    let (view, text) = NodeClient::new(&one.node)?.get::<AppView>(&path(&one.app, "")?).await?;
    Ok(if one.node.json { Said::Json(text) } else { Said::Text(sheets::app(&view)) })
}

async fn act(node: &NodeFlags, app: &str, action: &str, body: serde_json::Value) -> Result<Said, Failed> {
    let path = path(app, &format!("/{action}"))?;
    let (view, text) = NodeClient::new(node)?.post::<DoneView>(&path, &body).await?;
    Ok(if node.json { Said::Json(text) } else { Said::Text(sheets::done(&view)) })
}

async fn deploy(one: &OneApp, from: Option<&Path>, with_manifest: bool) -> Result<Said, Failed> {
    let body = match from {
        Some(folder) => {
            let upload = Upload::of_folder(folder, with_manifest).map_err(|why| (Exit::Usage, why))?;
            json!({"files": upload.files()})
        }
        None => json!({}),
    };
    act(&one.node, &one.app, "deploy", body).await
}

async fn denials(one: &OneApp, tail: u32) -> Result<Said, Failed> {
    let path = path(&one.app, &format!("/denials?tail={tail}"))?;
    let (view, text) = NodeClient::new(&one.node)?.get::<DenialsView>(&path).await?;
    Ok(if one.node.json { Said::Json(text) } else { Said::Text(sheets::denials(&view)) })
}

async fn profile(one: &OneApp) -> Result<Said, Failed> {
    let (view, text) = NodeClient::new(&one.node)?.get::<LeastView>(&path(&one.app, "/profile")?).await?;
    Ok(if one.node.json { Said::Json(text) } else { Said::Text(view.toml) })
}

async fn logs(one: &OneApp, tail: u32) -> Result<Said, Failed> {
    let path = path(&one.app, &format!("/logs?tail={tail}"))?;
    let (view, text) = NodeClient::new(&one.node)?.get::<LogLinesView>(&path).await?;
    let lines = || view.lines.iter().fold(String::new(), |text, line| text + line + "\n");
    Ok(if one.node.json { Said::Json(text) } else { Said::Text(lines()) })
}

async fn followed(one: &OneApp, tail: u32) -> Exit {
    let take = |line: &str| match serde_json::from_str::<LogLineView>(line) {
        _ if one.node.json => put(&Said::Json(line.to_owned())),
        Ok(LogLineView { line: Some(line), .. }) => put(&Said::Text(line + "\n")),
        Ok(LogLineView { missed, .. }) => put(&Said::Text(format!("({missed} lines came too fast to be shown)\n"))),
        Err(_) => put(&Said::Text(line.to_owned() + "\n")),
    };
    let follow = async {
        let path = path(&one.app, &format!("/logs?tail={tail}&follow=true"))?;
        NodeClient::new(&one.node)?.follow(&path, take).await
    };
    match follow.await {
        Ok(()) => Exit::Ok,
        Err((exit, error)) => fail(exit, &error),
    }
}

/// The path of an app. A name that none can have is not sent: it could be read as something else.
fn path(app: &str, rest: &str) -> Result<String, Failed> {
    match starcell_config::is_plain_name(app) {
        true => Ok(format!("/v1/apps/{app}{rest}")),
        false => {
            Err((Exit::Usage, format!("{app:?} is not the name of an app: lower-case letters, digits, `-` and `_`")))
        }
    }
}
