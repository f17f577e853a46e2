//! A script with its grants and limits.
//!
//! An app is a value: a process holds as many as it likes, and nothing about one is global. Its top level runs once (see
//! `setup`), in a parent instance that stays suspended inside `serve()` while forks answer requests.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use wasmtime::Store;

use crate::bindings::Guest;
use crate::context::AppContext;
use crate::failure::Failure;
use crate::interpreter::Interpreter;
use crate::limits::Limits;
use crate::memory::fork::Fork;
use crate::memory::image::Image;
use crate::state::State;

/// An app of this process.
pub struct App {
    pub(crate) context: Arc<AppContext>,
    pub(crate) interpreter: Arc<Interpreter>,
    pub(crate) serve: ServeImage,
}

/// Serves a bound server of an app from forks of the memory that its script handed over.
pub(crate) type ServeImage = Box<dyn Fn(Arc<App>, u32, Image) -> BoxFuture<'static, Result<(), Failure>> + Send + Sync>;

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("context", &self.context).finish_non_exhaustive()
    }
}

impl App {
    /// The files that the script has asked for with `load()`, there or not.
    pub fn loaded(&self) -> Vec<PathBuf> {
        self.context.loaded()
    }

    /// Whether its setup has so far asked for nothing that would be different in another process: see [`crate::images`].
    pub fn is_repeatable(&self) -> bool {
        self.context.witness.asked().is_some()
    }

    /// The folder that it loads files from.
    pub fn folder(&self) -> Option<&Path> {
        self.context.config.folder.as_deref()
    }

    /// What it may use.
    pub(crate) fn limits(&self) -> &Limits {
        &self.context.config.limits
    }

    /// An instance that has run nothing yet.
    pub(crate) async fn begin(&self, store: Store<State>) -> Result<(Fork<State>, Guest), Failure> {
        self.interpreter.start(store, self.interpreter.base(), self.limits()).await
    }
}
