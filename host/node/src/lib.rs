//! Apps and their servers, and what answers a request once the edge has read its head.
//!
//! - [`launch`]: all that an app is started with, in one value; a part that is missing does not compile
//! - [`terms`]: what an operator decided for all servers of an app
//! - [`servers`]: the servers of an app: bound, served, stopped, drained; taken over when its script changes
//! - [`routes`]: the routes of a server, within bounds
//! - [`lowered`]: options of a server that the operator's flags lower
//! - [`site`]: a server as its clients meet it
//! - [`sight`]: who sees its requests: numbers and traces
//! - [`hosts`]: the hosts that a server answers for
//! - `queue`: places for its requests
//! - [`mod@answer`]: the whole story of a request: route, read, wait for a place, run, respond
//! - [`remark`]: what scripts say, for the log
//! - [`subject`]: how a version of an app is named in the audit log
//!
//! A node with many apps:
//! - [`node`]: which app a request is for, and whether its tenant may ask
//! - [`metrics`], `exposition`, [`page`]: the numbers of the node, and how and where they are read
//! - [`tenant`], `bucket`, [`cutoff`]: what the apps of a tenant may use together, and what is past it
//! - [`schedule`]: requests that the node makes by itself
//! - [`turns`]: which tenant's guest runs next
//! - [`revision`], `stage`: an app as it was deployed once, and its one server
//! - [`setting_up`]: its script, run until it serves
//! - `residence`, [`idle`]: whether it is in memory, and who drops it
//! - [`beside`]: a canary and previews, which run beside the revision that answers
//! - [`tally`]: what the requests of an app came to
//! - [`insight`], [`timeline`]: what is kept of them for whoever looks at the app
//! - [`console_cookie`]: the session of an operator's browser, which no script sees
//!
//! A request comes from [`starcell_edge`], or from a test that has no socket; nothing here can tell which.

pub mod answer;
pub mod beside;
mod bucket;
pub mod console_cookie;
pub mod cutoff;
mod exposition;
pub mod hosts;
pub mod idle;
pub mod insight;
pub mod launch;
pub mod lowered;
pub mod metrics;
pub mod node;
pub mod page;
mod queue;
pub mod remark;
mod residence;
pub mod revision;
pub mod routes;
pub mod schedule;
pub mod servers;
pub mod setting_up;
pub mod sight;
pub mod site;
mod stage;
pub mod subject;
pub mod tally;
pub mod tenant;
pub mod terms;
pub mod timeline;
pub mod turns;

pub use answer::answer;
pub use beside::{Beside, Canary, PREVIEW, Preview, PreviewKey};
pub use cutoff::CpuCut;
pub use hosts::Hosts;
pub use idle::{IdleRule, drop_idle};
pub use insight::{AppInsight, InsightNow, Insights, KeptFailure, LATENCY_BOUNDS, LiveRequest, StoreFailures};
pub use launch::Launch;
pub use metrics::Metrics;
pub use node::{Node, Seat};
pub use page::{WatchPages, WatchSources};
pub use revision::{Deployment, Revision, RevisionImages};
pub use servers::Servers;
pub use setting_up::NotStarted;
pub use sight::Sight;
pub use site::{FailureNotes, Handlers, Site};
pub use tally::{Counted, Tally};
pub use tenant::{NodeShare, QuotaUse, Tenant};
pub use terms::AppTerms;
pub use timeline::{SLOT, SLOTS, TimeSlot};
pub use turns::Turns;
pub use turns::run::note_park;
