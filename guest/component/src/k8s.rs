//! `Cluster` over the component's import `k8s`.

use starcell_interp::{
    Change, Cluster, ClusterSettings, Deletion, HostError, LogOptions, Manifest, Place, Position, Selection, Target,
};

use crate::bindings::starcell::guest::k8s;
use crate::imports::Imports;

impl Cluster for Imports {
    fn get(&self, target: &Target, place: &Place, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        k8s::get(target, place, name, at)
    }

    fn list(
        &self,
        target: &Target,
        place: &Place,
        selection: &Selection,
        at: &Position,
    ) -> Result<Vec<String>, HostError> {
        k8s::list(target, place, selection, at)
    }

    fn create(&self, target: &Target, manifest: &Manifest, at: &Position) -> Result<String, HostError> {
        k8s::create(target, manifest, at)
    }

    fn apply(
        &self,
        target: &Target,
        manifest: &Manifest,
        manager: &str,
        force: bool,
        at: &Position,
    ) -> Result<String, HostError> {
        k8s::apply(target, manifest, manager, force, at)
    }

    fn replace(&self, target: &Target, manifest: &Manifest, at: &Position) -> Result<String, HostError> {
        k8s::replace(target, manifest, at)
    }

    fn patch(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        change: &Change,
        at: &Position,
    ) -> Result<String, HostError> {
        k8s::patch(target, place, name, change, at)
    }

    fn delete(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        deletion: Deletion,
        at: &Position,
    ) -> Result<bool, HostError> {
        k8s::delete(target, place, name, deletion, at)
    }

    fn logs(
        &self,
        target: &Target,
        namespace: Option<&str>,
        pod: &str,
        options: &LogOptions,
        at: &Position,
    ) -> Result<Vec<u8>, HostError> {
        k8s::logs(target, namespace, pod, options, at)
    }

    fn config(&self, target: &Target, at: &Position) -> Result<ClusterSettings, HostError> {
        k8s::config(target, at)
    }
}
