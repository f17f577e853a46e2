//! What those who operate a node ask of it, on the way to whoever sets its apps up.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{mpsc, oneshot};

use crate::api::views::{AppLineView, AppView, DoneView, TenantView};

use super::upload::Upload;

/// Orders that wait to be carried out.
const QUEUE: usize = 64;

/// Where an answer goes; whoever waited for it may have left.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refused>>;

/// An order to a node.
pub(crate) enum Order {
    /// Tells of all apps of a tenant, or of all.
    Apps(Option<String>, Reply<Vec<AppLineView>>),
    /// Tells of one app.
    App(AppName, Reply<AppView>),
    /// Tells of the tenants, or of one.
    Tenants(Option<String>, Reply<Vec<TenantView>>),
    /// Does something with an app.
    Act(AppName, Act, Reply<DoneView>),
}

/// An app, as somebody names it who may see the apps of one tenant, or all.
#[derive(Clone, Debug)]
pub(crate) struct AppName {
    /// Its name.
    pub(crate) name: String,
    /// The tenant whose apps may be seen.
    pub(crate) within: Option<String>,
}

/// What can be done with an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Sets up what is in its folder.
    Deploy,
    /// Sets up files that were sent.
    Upload(Arc<Upload>),
    /// Has a kept revision answer.
    Rollback(Option<u64>),
    /// Has a kept revision answer a part of the requests.
    Canary {
        /// The revision.
        revision: u64,
        /// How many of every hundred.
        percent: u8,
    },
    /// Has a kept revision answer the requests with a key.
    Preview {
        /// The revision.
        revision: u64,
        /// How long.
        time: Duration,
    },
    /// Ends it until it is started again.
    Stop,
    /// Has it answer again.
    Start,
    /// Has it take no more requests, and waits for those in flight.
    Drain,
}

impl Act {
    /// The word for it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Deploy | Self::Upload(_) => "deploy",
            Self::Rollback(_) => "rollback",
            Self::Canary { .. } => "canary",
            Self::Preview { .. } => "preview",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Drain => "drain",
        }
    }

    /// Its arguments, for the audit log.
    pub(crate) fn detail(&self) -> Option<String> {
        match self {
            Self::Upload(upload) => Some(upload.detail()),
            Self::Rollback(Some(revision)) => Some(format!("revision={revision}")),
            Self::Canary { revision, percent } => Some(format!("revision={revision} percent={percent}")),
            Self::Preview { revision, time } => Some(format!("revision={revision} minutes={}", time.as_secs() / 60)),
            Self::Rollback(None) | Self::Deploy | Self::Stop | Self::Start | Self::Drain => None,
        }
    }
}

/// Why an order was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// A word for programs.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

impl Refused {
    /// The word for an app that there is not.
    const UNKNOWN_APP: &'static str = "unknown_app";

    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// There is no such app, or it is not one that may be seen: whoever asks cannot tell which.
    pub(crate) fn no_app(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Self::UNKNOWN_APP, format!("there is no app {name}; GET /v1/apps lists them"))
    }

    /// There is no such app to deploy, or it is not one that may be seen. A deploy makes none.
    pub(crate) fn no_app_to_deploy(name: &str) -> Self {
        let message = format!(
            "there is no app {name}, and a deploy makes no new one: put its app.toml and main.star into the folder \
             apps/{name} of the node, which then starts it; GET /v1/apps (`starcell app list`) lists those that are there"
        );
        Self::new(StatusCode::NOT_FOUND, Self::UNKNOWN_APP, message)
    }

    /// Whether it was refused because there is no such app.
    pub(crate) fn is_no_app(&self) -> bool {
        self.code == Self::UNKNOWN_APP
    }

    /// It cannot be done as things are.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }
}

/// The way to whoever carries orders out. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// The two ends of the way.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), receiver)
    }

    /// Gives an order, and waits for what it comes to.
    pub(crate) async fn give<T>(&self, order: impl FnOnce(Reply<T>) -> Order) -> Result<T, Refused> {
        let ends = || Refused::new(StatusCode::SERVICE_UNAVAILABLE, "ending", "the node or the app ends; ask again");
        let (reply, answer) = oneshot::channel();
        self.0.send(order(reply)).await.map_err(|_| ends())?;
        answer.await.map_err(|_| ends())?
    }
}
