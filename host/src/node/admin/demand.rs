//! The action that a request asks for, read from its body.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use hyper::Request;
use hyper::body::Incoming;

use crate::api::paths::Operation;
use crate::api::views::{CanaryBody, DeployBody, NoBody, PreviewBody, RollbackBody};
use crate::node::orders::{Act, Refused};
use crate::node::upload::Upload;

use super::question::{MAX_BODY, MAX_FILES_BODY, body};

/// The time of a preview that says none, and the longest one, in minutes.
const PREVIEW_MINUTES: u32 = 60;
const MAX_PREVIEW_MINUTES: u32 = 24 * 60;

/// The action that a request asks for.
pub(super) async fn act(operation: Operation, request: Request<Incoming>) -> Result<Act, Refused> {
    let bad = |message: &str| Refused::new(StatusCode::BAD_REQUEST, "bad_body", message);
    Ok(match operation {
        Operation::Deploy => match body::<DeployBody>(request, MAX_FILES_BODY).await?.files {
            Some(files) => Act::Upload(Arc::new(Upload::new(files).map_err(|why| bad(&why))?)),
            None => Act::Deploy,
        },
        Operation::Rollback => Act::Rollback(body::<RollbackBody>(request, MAX_BODY).await?.revision),
        Operation::Canary => {
            let CanaryBody { revision, percent } = body(request, MAX_BODY).await?;
            if percent > 100 {
                return Err(bad("`percent` is a number from 0 to 100"));
            }
            Act::Canary { revision, percent }
        }
        Operation::Preview => {
            let PreviewBody { revision, minutes } = body(request, MAX_BODY).await?;
            let minutes = minutes.unwrap_or(PREVIEW_MINUTES);
            if !(1..=MAX_PREVIEW_MINUTES).contains(&minutes) {
                return Err(bad("`minutes` is a number from 1 to 1440"));
            }
            Act::Preview { revision, time: Duration::from_secs(u64::from(minutes) * 60) }
        }
        other => {
            let NoBody {} = body(request, MAX_BODY).await?;
            match other {
                Operation::Stop => Act::Stop,
                Operation::Start => Act::Start,
                _ => Act::Drain,
            }
        }
    })
}
