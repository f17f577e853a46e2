//! Objects of a Kubernetes cluster, as the host offers them.

use starcell_contract::{
    Change, ClusterSettings, Deletion, HostError, LogOptions, Manifest, Place, Position, Selection, Target,
};

/// Objects of a Kubernetes cluster, each one JSON text.
pub trait Cluster {
    /// The object; `None` if there is none of the name.
    fn get(&self, target: &Target, place: &Place, name: &str, at: &Position) -> Result<Option<String>, HostError>;
    /// The objects, as lists in the pages that the cluster gave them in.
    fn list(
        &self,
        target: &Target,
        place: &Place,
        selection: &Selection,
        at: &Position,
    ) -> Result<Vec<String>, HostError>;
    /// The object as it was made.
    fn create(&self, target: &Target, manifest: &Manifest, at: &Position) -> Result<String, HostError>;
    /// The object as it is afterwards.
    fn apply(
        &self,
        target: &Target,
        manifest: &Manifest,
        manager: &str,
        force: bool,
        at: &Position,
    ) -> Result<String, HostError>;
    /// The object as it is afterwards.
    fn replace(&self, target: &Target, manifest: &Manifest, at: &Position) -> Result<String, HostError>;
    /// The object as it is afterwards.
    fn patch(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        change: &Change,
        at: &Position,
    ) -> Result<String, HostError>;
    /// Whether there was one.
    fn delete(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        deletion: Deletion,
        at: &Position,
    ) -> Result<bool, HostError>;
    /// What a container of a pod wrote.
    fn logs(
        &self,
        target: &Target,
        namespace: Option<&str>,
        pod: &str,
        options: &LogOptions,
        at: &Position,
    ) -> Result<Vec<u8>, HostError>;
    /// Reads the configuration of the target anew, and says what it is.
    fn config(&self, target: &Target, at: &Position) -> Result<ClusterSettings, HostError>;
}
