//! `starcell tenant`: asks a node about its tenants.

use crate::api::views::{TenantView, TenantsView};
use crate::cli::{NodeFlags, TenantCommand};
use crate::exit::Exit;
use crate::operate::{Failed, NodeClient};
use crate::say::{Said, fail, say};
use crate::sheets;

/// Answers what the command line asks for.
pub async fn tenant(command: &TenantCommand) -> Exit {
    let answered = match command {
        TenantCommand::List(node) => list(node).await,
        TenantCommand::Show { tenant, node } => show(tenant, node).await,
    };
    match answered {
        Ok(said) => say(Exit::Ok, &said),
        Err((exit, error)) => fail(exit, &error),
    }
}

async fn list(node: &NodeFlags) -> Result<Said, Failed> {
    let (view, text) = NodeClient::new(node)?.get::<TenantsView>("/v1/tenants").await?;
    Ok(if node.json { Said::Json(text) } else { Said::Text(sheets::tenants(&view)) })
}

async fn show(tenant: &str, node: &NodeFlags) -> Result<Said, Failed> {
    if !starcell_config::is_plain_name(tenant) {
        let text = format!("{tenant:?} is not the name of a tenant: lower-case letters, digits, `-` and `_`");
        return Err((Exit::Usage, text));
    }
    let (view, text) = NodeClient::new(node)?.get::<TenantView>(&format!("/v1/tenants/{tenant}")).await?;
    Ok(if node.json { Said::Json(text) } else { Said::Text(sheets::tenant(&view)) })
}
