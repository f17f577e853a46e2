//! `Cluster` over the component's import `k8s`.

use starcell_interp::{
    Cluster, ClusterSettings, Deletion, HostError, LogOptions, Manifest, PatchType, Place, Position, Propagation,
    Selection, Target,
};

use crate::bindings::starcell::guest::k8s;
use crate::{Imports, host_error, position};

impl Cluster for Imports {
    fn get(&self, target: &Target, place: &Place, name: &str, at: &Position) -> Result<Option<String>, HostError> {
        k8s::get(&target_into(target), &place_into(place), name, &position(at)).map_err(host_error)
    }

    fn list(
        &self,
        target: &Target,
        place: &Place,
        selection: &Selection,
        at: &Position,
    ) -> Result<Vec<String>, HostError> {
        let Selection { labels, fields, limit } = selection.clone();
        let selection = k8s::Selection { labels, fields, limit };
        k8s::list(&target_into(target), &place_into(place), &selection, &position(at)).map_err(host_error)
    }

    fn create(&self, target: &Target, manifest: &Manifest, at: &Position) -> Result<String, HostError> {
        k8s::create(&target_into(target), &manifest_into(manifest), &position(at)).map_err(host_error)
    }

    fn apply(
        &self,
        target: &Target,
        manifest: &Manifest,
        manager: &str,
        force: bool,
        at: &Position,
    ) -> Result<String, HostError> {
        k8s::apply(&target_into(target), &manifest_into(manifest), manager, force, &position(at)).map_err(host_error)
    }

    fn patch(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        (kind, patch): (PatchType, &str),
        at: &Position,
    ) -> Result<String, HostError> {
        let kind = match kind {
            PatchType::Json => k8s::PatchType::Json,
            PatchType::Merge => k8s::PatchType::Merge,
            PatchType::Strategic => k8s::PatchType::Strategic,
        };
        k8s::patch(&target_into(target), &place_into(place), name, patch, kind, &position(at)).map_err(host_error)
    }

    fn delete(
        &self,
        target: &Target,
        place: &Place,
        name: &str,
        deletion: Deletion,
        at: &Position,
    ) -> Result<bool, HostError> {
        let propagation = deletion.propagation.map(|propagation| match propagation {
            Propagation::Background => k8s::Propagation::Background,
            Propagation::Foreground => k8s::Propagation::Foreground,
            Propagation::Orphan => k8s::Propagation::Orphan,
        });
        let (target, place) = (target_into(target), place_into(place));
        k8s::delete(&target, &place, name, propagation, deletion.grace_period, &position(at)).map_err(host_error)
    }

    fn logs(
        &self,
        target: &Target,
        namespace: Option<&str>,
        pod: &str,
        options: &LogOptions,
        at: &Position,
    ) -> Result<Vec<u8>, HostError> {
        let LogOptions { container, tail, since, previous, timestamps } = options.clone();
        let options = k8s::LogOptions { container, tail, since, previous, timestamps };
        k8s::logs(&target_into(target), namespace, pod, &options, &position(at)).map_err(host_error)
    }

    fn config(&self, target: &Target, at: &Position) -> Result<ClusterSettings, HostError> {
        let k8s::Settings { context, namespace } =
            k8s::config(&target_into(target), &position(at)).map_err(host_error)?;
        Ok(ClusterSettings { context, namespace })
    }
}

fn target_into(target: &Target) -> k8s::Target {
    let Target { kubeconfig, context, namespace, timeout } = target.clone();
    k8s::Target { kubeconfig, context, namespace, timeout }
}

fn place_into(place: &Place) -> k8s::Place {
    let Place { kind, namespace } = place.clone();
    k8s::Place { kind, namespace }
}

fn manifest_into(manifest: &Manifest) -> k8s::Manifest {
    let Manifest { object, kind, namespace } = manifest.clone();
    k8s::Manifest { object, kind, namespace }
}
