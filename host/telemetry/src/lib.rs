//! Traces, metrics and logs for an OpenTelemetry collector, by OTLP over HTTP with JSON.
//!
//! - `ids`: the names of traces and spans
//! - [`parent`]: the trace context of a request: `traceparent` as the W3C has it
//! - [`span`]: what a request did, and each request that it sent to another server
//! - `ended`: a span that has ended
//! - [`queue`]: the way to the collector: bounded, and never waited for
//! - `document`: spans and log lines as OTLP writes them
//! - `numbers`: the numbers of a node as OTLP writes them
//! - [`endpoint`], `delivery`: where the collector is, and one document on its way there
//! - [`exporter`]: the one task that sends
//!
//! **The decision.** OTLP's JSON is written by hand: the four kinds of documents are small, and the libraries for them bring
//! an HTTP client, a second registry of metrics and a runtime of their own. What cannot be queued or sent is dropped and
//! counted; a request never waits for a collector.
//!
//! **What it refuses.** The trace context of a client, unless the operator trusts it: a stranger could otherwise join the
//! traces of others, or have everything sampled. An endpoint of another scheme than `http`: a collector runs beside the node.

mod delivery;
mod document;
mod ended;
pub mod endpoint;
pub mod exporter;
mod ids;
mod numbers;
pub mod parent;
pub mod queue;
pub mod span;

pub use endpoint::CollectorEndpoint;
pub use exporter::{Exporter, Exporting};
pub use queue::{Telemetry, TelemetryConfig, TelemetryDrops};
pub use span::{CallSpan, RequestSpan, TraceContext, TracedApp};
