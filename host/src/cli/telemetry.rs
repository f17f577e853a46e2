//! Where the traces, metrics and logs of one script are sent, as flags.

use clap::Args;
use starcell_node::subject::machine;
use starcell_telemetry::{CollectorEndpoint, TelemetryConfig};

/// Arguments of `starcell run` about telemetry. A node has them in its configuration.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryFlags {
    /// Sends traces, metrics and logs to an OpenTelemetry collector, by OTLP over HTTP, such as http://127.0.0.1:4318.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<CollectorEndpoint>,

    /// How much of all traces is sent: from 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share, requires = "otlp")]
    pub otlp_sample: f64,

    /// Goes on with the trace that a client names in the field traceparent. Only behind a proxy that sets it: without this
    /// flag each request begins a trace of its own, whatever its client says.
    #[arg(long, requires = "otlp")]
    pub trust_traceparent: bool,
}

impl TelemetryFlags {
    /// What the flags say, if telemetry is sent.
    #[must_use]
    pub fn config(&self) -> Option<TelemetryConfig> {
        let endpoint = self.otlp.clone()?;
        let (sample, trusts_clients) = (self.otlp_sample, self.trust_traceparent);
        Some(TelemetryConfig { endpoint, sample, trusts_clients, node: machine() })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "not a number; write a share such as 0.1".to_owned())?;
    match (0.0..=1.0).contains(&share) {
        true => Ok(share),
        false => Err("not a share; write a number from 0 to 1".to_owned()),
    }
}
