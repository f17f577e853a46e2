//! The kinds of objects that every cluster has, and every name they go by.
//!
//! They are written down so that a call on one of them is decided, and its path known, before anything is asked of the
//! cluster. A deny rule for a kind must meet each spelling of it, so a kind that is served by two API groups is one kind
//! here too, under the group that is older.

/// A kind of object that every cluster has.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownKind {
    /// The name in the path of the API.
    pub plural: &'static str,
    /// The API group; empty for the core one.
    pub group: &'static str,
    /// The version of the group that all clusters of today serve.
    pub version: &'static str,
    /// The name in an object.
    pub kind: &'static str,
    /// True if its objects live in namespaces.
    pub namespaced: bool,
    /// Short names.
    short: &'static [&'static str],
}

impl KnownKind {
    /// The kind with this plural, singular or short name in any case, optionally followed by a dot and its group.
    pub fn named(name: &str) -> Option<&'static Self> {
        // A kind's name is at most a DNS name; what is longer is not even copied.
        let name = (name.len() <= 253).then(|| name.to_ascii_lowercase())?;
        let (stem, group) = name.split_once('.').unwrap_or((&name, ""));
        KINDS.iter().find(|known| (group.is_empty() || known.is_of(group)) && known.is_called(stem))
    }

    /// The kind that objects of this group and kind are of.
    pub fn of_object(group: &str, kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.is_of(group) && known.kind == kind)
    }

    fn is_called(&self, stem: &str) -> bool {
        stem == self.plural || self.kind.eq_ignore_ascii_case(stem) || self.short.contains(&stem)
    }

    fn is_of(&self, group: &str) -> bool {
        self.group == group || (self.plural == "events" && group == "events.k8s.io")
    }
}

/// A kind in namespaces.
const fn in_namespaces(
    [plural, kind]: [&'static str; 2],
    [group, version]: [&'static str; 2],
    short: &'static [&'static str],
) -> KnownKind {
    KnownKind { plural, group, version, kind, namespaced: true, short }
}

/// A kind of the cluster as a whole.
const fn in_cluster(
    [plural, kind]: [&'static str; 2],
    [group, version]: [&'static str; 2],
    short: &'static [&'static str],
) -> KnownKind {
    KnownKind { plural, group, version, kind, namespaced: false, short }
}

const CORE: [&str; 2] = ["", "v1"];
const APPS: [&str; 2] = ["apps", "v1"];
const BATCH: [&str; 2] = ["batch", "v1"];
const NETWORKING: [&str; 2] = ["networking.k8s.io", "v1"];
const RBAC: [&str; 2] = ["rbac.authorization.k8s.io", "v1"];
const HOOKS: [&str; 2] = ["admissionregistration.k8s.io", "v1"];

const KINDS: &[KnownKind] = &[
    in_cluster(["apiservices", "APIService"], ["apiregistration.k8s.io", "v1"], &[]),
    in_cluster(["certificatesigningrequests", "CertificateSigningRequest"], ["certificates.k8s.io", "v1"], &["csr"]),
    in_cluster(["clusterrolebindings", "ClusterRoleBinding"], RBAC, &[]),
    in_cluster(["clusterroles", "ClusterRole"], RBAC, &[]),
    in_namespaces(["configmaps", "ConfigMap"], CORE, &["cm"]),
    in_namespaces(["controllerrevisions", "ControllerRevision"], APPS, &[]),
    in_namespaces(["cronjobs", "CronJob"], BATCH, &["cj"]),
    in_cluster(
        ["customresourcedefinitions", "CustomResourceDefinition"],
        ["apiextensions.k8s.io", "v1"],
        &["crd", "crds"],
    ),
    in_namespaces(["daemonsets", "DaemonSet"], APPS, &["ds"]),
    in_namespaces(["deployments", "Deployment"], APPS, &["deploy"]),
    in_namespaces(["endpoints", "Endpoints"], CORE, &["endpoint", "ep"]),
    in_namespaces(["endpointslices", "EndpointSlice"], ["discovery.k8s.io", "v1"], &[]),
    in_namespaces(["events", "Event"], CORE, &["ev"]),
    in_namespaces(["horizontalpodautoscalers", "HorizontalPodAutoscaler"], ["autoscaling", "v2"], &["hpa"]),
    in_cluster(["ingressclasses", "IngressClass"], NETWORKING, &[]),
    in_namespaces(["ingresses", "Ingress"], NETWORKING, &["ing"]),
    in_namespaces(["jobs", "Job"], BATCH, &[]),
    in_namespaces(["leases", "Lease"], ["coordination.k8s.io", "v1"], &[]),
    in_namespaces(["limitranges", "LimitRange"], CORE, &["limits"]),
    in_cluster(["mutatingwebhookconfigurations", "MutatingWebhookConfiguration"], HOOKS, &[]),
    in_cluster(["namespaces", "Namespace"], CORE, &["ns"]),
    in_namespaces(["networkpolicies", "NetworkPolicy"], NETWORKING, &["netpol"]),
    in_cluster(["nodes", "Node"], CORE, &["no"]),
    in_namespaces(["persistentvolumeclaims", "PersistentVolumeClaim"], CORE, &["pvc"]),
    in_cluster(["persistentvolumes", "PersistentVolume"], CORE, &["pv"]),
    in_namespaces(["poddisruptionbudgets", "PodDisruptionBudget"], ["policy", "v1"], &["pdb"]),
    in_namespaces(["pods", "Pod"], CORE, &["po"]),
    in_namespaces(["podtemplates", "PodTemplate"], CORE, &[]),
    in_cluster(["priorityclasses", "PriorityClass"], ["scheduling.k8s.io", "v1"], &["pc"]),
    in_namespaces(["replicasets", "ReplicaSet"], APPS, &["rs"]),
    in_namespaces(["replicationcontrollers", "ReplicationController"], CORE, &["rc"]),
    in_namespaces(["resourcequotas", "ResourceQuota"], CORE, &["quota"]),
    in_namespaces(["rolebindings", "RoleBinding"], RBAC, &[]),
    in_namespaces(["roles", "Role"], RBAC, &[]),
    in_namespaces(["secrets", "Secret"], CORE, &[]),
    in_namespaces(["serviceaccounts", "ServiceAccount"], CORE, &["sa"]),
    in_namespaces(["services", "Service"], CORE, &["svc"]),
    in_namespaces(["statefulsets", "StatefulSet"], APPS, &["sts"]),
    in_cluster(["storageclasses", "StorageClass"], ["storage.k8s.io", "v1"], &["sc"]),
    in_cluster(["validatingwebhookconfigurations", "ValidatingWebhookConfiguration"], HOOKS, &[]),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn no_name_is_that_of_two_kinds() {
        for known in KINDS {
            let singular = known.kind.to_ascii_lowercase();
            let names = [known.plural, known.kind, &singular].into_iter().chain(known.short.iter().copied());
            for name in names {
                assert_eq!(KnownKind::named(name), Some(known), "{name}");
                let full = format!("{name}.{}", known.group);
                assert_eq!(KnownKind::named(full.trim_end_matches('.')), Some(known), "{full}");
            }
            assert_eq!(KnownKind::of_object(known.group, known.kind), Some(known));
        }
        assert!(KINDS.windows(2).all(|pair| matches!(pair, [one, next] if one.plural < next.plural)));
    }

    #[test]
    fn a_group_of_its_own_is_a_kind_of_its_own() {
        assert_eq!(KnownKind::named("pods.metrics.k8s.io"), None);
        assert_eq!(KnownKind::named("deployments.v1.apps"), None);
        assert_eq!(KnownKind::of_object("metrics.k8s.io", "Pod"), None);
        assert_eq!(KnownKind::of_object("", "pod"), None);
        assert_eq!(KnownKind::named("events.events.k8s.io"), KnownKind::named("ev"));
        assert_eq!(KnownKind::of_object("events.k8s.io", "Event"), KnownKind::named("events"));
    }
}
