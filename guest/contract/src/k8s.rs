//! Objects of a Kubernetes cluster.

/// Where a call goes, and how long it may take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Path of a kubeconfig that the script chose; `None` for the cluster that the operator chose.
    pub kubeconfig: Option<String>,
    /// A context of it in place of its current one.
    pub context: Option<String>,
    /// The namespace of calls that name none, in place of the context's.
    pub namespace: Option<String>,
    /// Nanoseconds for all of it; `None` is for the host to say.
    pub timeout: Option<u64>,
}

/// What kind of objects, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// A name of the kind, as the script wrote it.
    pub kind: String,
    /// `*` is all of them, `-` none; `None` is that of the target.
    pub namespace: Option<String>,
}

/// Which objects of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
    /// Most of them.
    pub limit: Option<u32>,
}

/// An object to make or to apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// One JSON text.
    pub object: String,
    /// The kind, where it cannot be told from what the object says.
    pub kind: Option<String>,
    /// The namespace, where the object does not say it.
    pub namespace: Option<String>,
    /// Whether the cluster only says what it would do.
    pub dry_run: bool,
}

/// How a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// A list of operations.
    Json,
    /// The fields to change.
    Merge,
    /// The same, with lists merged by the keys of their items.
    Strategic,
}

/// How an object is changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How the patch is written.
    pub patch_type: PatchType,
    /// The patch, which is one JSON text.
    pub patch: String,
    /// Whether the cluster only says what it would do.
    pub dry_run: bool,
}

/// What becomes of the objects that belong to a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete; `None` is as the kind has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deletion {
    /// What becomes of the objects that belong to it.
    pub propagation: Option<Propagation>,
    /// Nanoseconds that it has for ending well.
    pub grace_period: Option<u64>,
    /// Whether the cluster only says what it would do.
    pub dry_run: bool,
}

/// Which lines of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// The container, where there is more than one.
    pub container: Option<String>,
    /// The last so many lines.
    pub tail: Option<u32>,
    /// Nanoseconds that they are not older than.
    pub since: Option<u64>,
    /// Those of the container's run before.
    pub previous: bool,
    /// Each line begins with its time.
    pub timestamps: bool,
}

/// What calls without arguments of their own use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The context; none inside a cluster.
    pub context: Option<String>,
    /// The namespace.
    pub namespace: String,
}
