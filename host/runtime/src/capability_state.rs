//! What the capabilities of an app keep, for as long as the app lives.
//!
//! A capability that keeps something has one field here, which its file in `capability/` reads. The struct has no default
//! parts outside of tests, so a command that starts apps and forgets the state of a new capability does not compile. What
//! a capability keeps for one request is a type of its own file: see `State::kept`.

use crate::client::Client;
use crate::environment::Environment;
use crate::k8s::Kubernetes;
use crate::kv::Kv;
use crate::programs::Programs;
use crate::sql::Databases;

/// What the capabilities of an app keep.
#[derive(Clone, Debug)]
pub struct CapabilityState {
    /// `http.client`: the connections to other servers.
    pub client: Client,
    /// `os.env`: the environment that the script may ask for, names and values.
    pub environment: Environment,
    /// `k8s.*`: the clusters.
    pub kubernetes: Kubernetes,
    /// `kv.*`: where handlers keep state.
    pub kv: Kv,
    /// `os.exec`: how programs run.
    pub programs: Programs,
    /// `sql.open`: the connections to databases.
    pub sql: Databases,
}
