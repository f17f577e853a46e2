//! The flags of commands that speak to a node, and the commands about its apps and tenants.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use starcell_config::RegistryReference;

/// The node that a command speaks to, and how it answers.
#[derive(Args, Clone, Debug)]
pub struct NodeFlags {
    /// Finds the node by the `admin` table of its configuration.
    #[arg(long, value_name = "FILE", required_unless_present = "node", conflicts_with = "node")]
    pub config: Option<PathBuf>,

    /// Finds the node by its address.
    #[arg(long, value_name = "unix:PATH|http://HOST:PORT")]
    pub node: Option<String>,

    /// Shows the strongest token of this file to the node that --node names.
    #[arg(long, value_name = "FILE", requires = "node")]
    pub token_file: Option<PathBuf>,

    /// Answers in JSON, as the node does.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of a command about one app.
#[derive(Args, Clone, Debug)]
pub struct OneApp {
    /// The app.
    #[arg(value_name = "NAME")]
    pub app: String,

    /// The node.
    #[command(flatten)]
    pub node: NodeFlags,
}

/// Arguments of `starcell app`.
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Has a kept revision answer a part of the requests. With 0 percent, ends that.
    Canary {
        /// The app.
        #[arg(value_name = "NAME")]
        app: String,
        /// The revision, as `app show` lists them.
        revision: u64,
        /// How many of every hundred requests it answers.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
        /// The node.
        #[command(flatten)]
        node: NodeFlags,
    },
    /// Lists the calls of an app that were refused. The node must keep an audit log.
    Denials {
        /// The app and the node.
        #[command(flatten)]
        one: OneApp,
        /// Lists so many of them, the last ones.
        #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(0..=1000))]
        tail: u32,
    },
    /// Sets up what is in the folder of an app beside the revision that answers, and has it answer. If it cannot be set
    /// up, the revision that answers stays.
    Deploy {
        /// The app and the node.
        #[command(flatten)]
        one: OneApp,
        /// Sends the scripts (*.star) of this folder to the node, and has them answer until the folder of the app changes.
        #[arg(long, value_name = "FOLDER")]
        from: Option<PathBuf>,
        /// Sends the app.toml of that folder too. It takes a token of the whole node.
        #[arg(long, requires = "from")]
        with_manifest: bool,
    },
    /// Has an app take no more requests, and waits for those in flight. `app start` has it answer again.
    Drain(OneApp),
    /// Lists the apps, and whether they answer.
    List(NodeFlags),
    /// Shows the last lines of the log of an app.
    Logs {
        /// The app and the node.
        #[command(flatten)]
        one: OneApp,
        /// Goes on with each line that comes.
        #[arg(long, short)]
        follow: bool,
        /// Begins with so many lines that are there already.
        #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(0..=1000))]
        tail: u32,
    },
    /// Has a kept revision answer the requests that have its key in a header, and shows the key.
    Preview {
        /// The app.
        #[arg(value_name = "NAME")]
        app: String,
        /// The revision, as `app show` lists them.
        revision: u64,
        /// Ends the preview after so many minutes.
        #[arg(long, value_name = "N", default_value = "60", value_parser = clap::value_parser!(u32).range(1..=1440))]
        minutes: u32,
        /// The node.
        #[command(flatten)]
        node: NodeFlags,
    },
    /// Makes a bundle of a folder: the apps of a node, or one app, as one file. The same files give the same bundle.
    Pack {
        /// The folder of the apps, or of one app. Names that begin with a dot are left out.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Writes the bundle to this file.
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
        /// Signs the bundle with this Ed25519 private key in PEM, and writes the signature to FILE.sig.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Shows the least profile that allows what an app did. The node must keep an audit log.
    Profile(OneApp),
    /// Sends a bundle to a registry, from which nodes take it, and prints the name under which it stays the same.
    Push {
        /// The bundle, or a folder to pack.
        #[arg(value_name = "BUNDLE|FOLDER")]
        source: PathBuf,
        /// The place in the registry.
        #[arg(value_name = "oci://HOST/REPOSITORY:TAG")]
        reference: RegistryReference,
        /// Signs the bundle with this Ed25519 private key in PEM. Without it, the signature in BUNDLE.sig goes along.
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Logs in with this file, as `docker login` and `podman login` write it.
        #[arg(long, value_name = "FILE")]
        credentials: Option<PathBuf>,
        /// Speaks to a registry that is not on this machine without encryption. No login is sent then.
        #[arg(long)]
        plain_http: bool,
    },
    /// Has a kept revision answer, until the folder of the app changes or is deployed.
    Rollback {
        /// The app.
        #[arg(value_name = "NAME")]
        app: String,
        /// The revision; the one before the one that answers when not given.
        revision: Option<u64>,
        /// The node.
        #[command(flatten)]
        node: NodeFlags,
    },
    /// Shows an app with its grants, limits, quotas and revisions.
    Show(OneApp),
    /// Has an app that is stopped, drained or failed answer again.
    Start(OneApp),
    /// Ends an app until it is started again, also after a restart of the node.
    Stop(OneApp),
}

/// Arguments of `starcell tenant`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Lists the tenants.
    List(NodeFlags),
    /// Shows a tenant with its grants and quotas.
    Show {
        /// The tenant.
        #[arg(value_name = "NAME")]
        tenant: String,
        /// The node.
        #[command(flatten)]
        node: NodeFlags,
    },
}

/// Arguments of `starcell top`.
#[derive(Args, Debug)]
pub struct Top {
    /// The node.
    #[command(flatten)]
    pub node: NodeFlags,

    /// Shows what was counted since the node started, and ends.
    #[arg(long)]
    pub once: bool,

    /// Time between two looks.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = super::duration::duration)]
    pub interval: Duration,

    /// Shows so many apps, those that used most CPU time.
    #[arg(long, value_name = "N", default_value = "20")]
    pub lines: NonZeroU32,
}
