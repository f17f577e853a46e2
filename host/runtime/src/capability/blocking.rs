//! Work that blocks its thread, on threads that are there for it.

use crate::app::App;

/// Runs `work` on a thread that may block. One app has only so many at a time; the others wait.
///
/// What was begun is finished even when nobody waits for it any more, so each piece of work has to be bounded.
pub(super) async fn blocking<T, E>(app: &App, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<tokio::task::JoinError> + Send + 'static,
{
    // The semaphore is never closed; without a permit the work would only be less bounded.
    let _place = app.blocking.acquire().await.ok();
    tokio::task::spawn_blocking(work).await?
}
