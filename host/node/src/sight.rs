//! Who sees the requests of an app: its numbers, and the trace of each request.
//!
//! A request is seen from its route to its response, whoever asks: a client, a schedule, a test. One that no app answers is
//! counted by its node and has no trace.

use std::sync::Arc;

use starcell_edge::{Answered, Asked};
use starcell_runtime::{DenialWatch, ForkKind, StoreFailure, StoreWatch};
use starcell_telemetry::{RequestSpan, TraceContext, TracedApp};
use tokio::time::Instant;

use crate::insight::AppInsight;
use crate::metrics::AppMetrics;

/// Who sees the requests of an app. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sight {
    /// What is counted of it.
    pub metrics: AppMetrics,
    /// Where its requests are traced.
    pub traced: Option<TracedApp>,
}

/// A request that is being answered, as it is seen.
#[derive(Debug)]
pub(crate) struct Seen {
    metrics: AppMetrics,
    span: Option<RequestSpan>,
    began: Instant,
}

impl Sight {
    /// A request begins.
    pub(crate) fn begin(&self, asked: &Asked) -> Seen {
        let span = self.traced.as_ref().map(|app| app.request(&asked.parts, asked.id.text(), &asked.peer.address));
        Seen { metrics: self.metrics.clone(), span, began: Instant::now() }
    }

    /// Who counts the calls of its script that are refused.
    #[must_use]
    pub fn denials(&self) -> Arc<dyn DenialWatch> {
        Arc::new(self.metrics.clone())
    }

    /// Who counts the calls that the store of the app did not do; `insight` keeps the last one for whoever looks at the app.
    #[must_use]
    pub fn stores(&self, insight: Option<AppInsight>) -> Arc<dyn StoreWatch> {
        Arc::new(StoreSight { metrics: self.metrics.clone(), insight })
    }
}

/// Who counts the calls that the store of an app did not do: in the numbers, and for whoever looks at the app.
#[derive(Debug)]
struct StoreSight {
    metrics: AppMetrics,
    /// None where nobody looks at an app.
    insight: Option<AppInsight>,
}

impl StoreWatch for StoreSight {
    fn failed(&self, failure: StoreFailure) {
        self.metrics.store_failed(failure);
        if let Some(insight) = &self.insight {
            insight.store_failed(failure);
        }
    }
}

impl Seen {
    /// Where in its trace the request is.
    pub(crate) fn trace(&self) -> Option<TraceContext> {
        self.span.as_ref().map(RequestSpan::context)
    }

    /// It was answered.
    pub(crate) fn end(self, answered: &Answered, fork: Option<ForkKind>) {
        let status = answered.status();
        self.metrics.answered(status, self.began.elapsed(), answered.cpu, fork);
        if let Some(span) = self.span {
            span.answered(status, answered.route.as_deref(), fork.map(ForkKind::name), answered.cpu);
        }
    }
}
