//! `k8s`: objects of a Kubernetes cluster, as dicts that can be read by dot as well: `pod.metadata.name`.
//!
//! What goes to the cluster and what comes back is JSON in both directions and is made and read here, inside the guest.
//! The host never looks into an object further than to see what it is and where it goes.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

mod arguments;
mod manifests;
mod target;

use starcell_macros::builtins;
use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::dict::{AllocDict, Dict, DictRef};
use starlark::values::list::{AllocList, ListRef};

use crate::error::{from_host, usage};
use crate::given::{Given, Text, wrong};
use crate::host::{
    Change, Cluster, Deletion, HostError, LogOptions, PatchType, Place, Position, Propagation, Selection,
};
use crate::modules::json_decode;
use crate::modules::time::{Deadline, Wait};
use crate::pairs;
use crate::session::{Session, position};
use arguments::{Fields, Labels, Limit, json, one_of, owned};
use manifests::{Common, Manifests};
use target::Chosen;

/// The ways in which a patch is written, by name.
const PATCH_TYPES: [(&str, PatchType); 3] =
    [("merge", PatchType::Merge), ("json", PatchType::Json), ("strategic", PatchType::Strategic)];

/// What may become of the objects that belong to a deleted one, by name.
const PROPAGATIONS: [(&str, Propagation); 3] =
    [("background", Propagation::Background), ("foreground", Propagation::Foreground), ("orphan", Propagation::Orphan)];

#[builtins("k8s")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Reads an object, which is an error or the default if it is not there.
    ///
    /// `kind` is a kind or its plural, such as `"deployment"`, with its group where that is needed. The object is a dict
    /// whose keys are attributes too, in all of its depth: `k8s.get("deployment", "web", namespace = "prod").spec.replicas`. A
    /// key that has the name of a method, such as `items`, is read by its key alone; so is what is changed.
    fn get<'v>(
        kind: Text<'v>,
        name: Text<'v>,
        default: Option<Value<'v>>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let (target, place) = (Chosen::of(eval)?.within(timeout), place(kind, namespace));
        match ask(eval, |cluster, at| cluster.get(&target, &place, name.0, at))? {
            Some(object) => decoded(&object, eval),
            None => default.ok_or_else(|| {
                let namespace = place.namespace.map(|namespace| format!(" in the namespace {namespace}"));
                usage(format!("there is no {} {:?}{}", place.kind, name.0, namespace.unwrap_or_default()))
            }),
        }
    }

    /// Reads the objects of a kind, all of them or those that labels and fields select; `namespace = "*"` is all namespaces.
    ///
    /// Such as `k8s.list("pods", namespace = "prod", labels = {"app": "web"})`.
    fn list<'v>(
        kind: Text<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] labels: Option<Labels>,
        #[starlark(require = named)] fields: Option<Fields>,
        #[starlark(require = named)] limit: Option<Limit<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let (target, place) = (Chosen::of(eval)?.within(timeout), place(kind, namespace));
        let selection = Selection {
            labels: labels.and_then(|labels| labels.0),
            fields: fields.and_then(|fields| fields.0),
            limit: limit.map(|limit| limit.0),
        };
        let pages = ask(eval, |cluster, at| cluster.list(&target, &place, &selection, at))?;
        let mut items = Vec::new();
        for page in pages {
            items.extend(items_of(decoded(&page, eval)?, eval)?);
        }
        items.truncate(selection.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(eval.heap().alloc(AllocList(items)))
    }

    /// Makes an object and returns it as the cluster has it.
    ///
    /// Such as `k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})`. `object` is a dict,
    /// a list of dicts, or a YAML text with a document for each object; for several objects the value is a list, and
    /// the first failure is raised. With `dry_run` the cluster says what it would do, and does nothing; that needs the
    /// same permission.
    fn create<'v>(
        object: Value<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] kind: Option<Text<'v>>,
        #[starlark(require = named, default = false)] dry_run: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let target = Chosen::of(eval)?.within(timeout);
        let manifests = Manifests::of(object, Common { kind, namespace, dry_run }, eval.heap())?;
        manifests.each(eval, |manifest| decoded(&ask(eval, |cluster, at| cluster.create(&target, manifest, at))?, eval))
    }

    /// Makes an object or changes it to have these fields, by server-side apply, and returns it as the cluster has it.
    ///
    /// Such as `k8s.apply(fs.read_text("web.yaml"))`. `object` and `dry_run` are those of `k8s.create`. With `force` it
    /// takes fields over that others own.
    fn apply<'v>(
        object: Value<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] kind: Option<Text<'v>>,
        #[starlark(require = named, default = "starcell")] field_manager: &'v str,
        #[starlark(require = named, default = false)] force: bool,
        #[starlark(require = named, default = false)] dry_run: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let target = Chosen::of(eval)?.within(timeout);
        let manifests = Manifests::of(object, Common { kind, namespace, dry_run }, eval.heap())?;
        manifests.each(eval, |manifest| {
            decoded(&ask(eval, |cluster, at| cluster.apply(&target, manifest, field_manager, force, at))?, eval)
        })
    }

    /// Puts an object in place of the one of its name, all of it, and returns it as the cluster has it.
    ///
    /// `object` and `dry_run` are those of `k8s.create`. Errors: no object of that name; a `metadata.resourceVersion`
    /// that is not the present one.
    fn replace<'v>(
        object: Value<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] kind: Option<Text<'v>>,
        #[starlark(require = named, default = false)] dry_run: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let target = Chosen::of(eval)?.within(timeout);
        let manifests = Manifests::of(object, Common { kind, namespace, dry_run }, eval.heap())?;
        manifests
            .each(eval, |manifest| decoded(&ask(eval, |cluster, at| cluster.replace(&target, manifest, at))?, eval))
    }

    /// Changes an object and returns it as the cluster has it.
    ///
    /// `type` is `"merge"` or `"strategic"`, for a dict of fields, or `"json"`, for a list of operations:
    /// `k8s.patch("deployment", "web", {"spec": {"replicas": 3}})`. `dry_run` is that of `k8s.create`.
    fn patch<'v>(
        kind: Text<'v>,
        name: Text<'v>,
        patch: Value<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] r#type: Option<Given<'v, &'v str>>,
        #[starlark(require = named, default = false)] dry_run: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let (target, place) = (Chosen::of(eval)?.within(timeout), place(kind, namespace));
        let patch_type = one_of("type", r#type, &PATCH_TYPES)?.unwrap_or(PatchType::Merge);
        match patch_type {
            PatchType::Json if ListRef::from_value(patch).is_none() => {
                return Err(wrong("patch", "a list of operations for the type json", patch));
            }
            PatchType::Merge | PatchType::Strategic if DictRef::from_value(patch).is_none() => {
                return Err(wrong("patch", "a dict of the fields to change", patch));
            }
            PatchType::Json | PatchType::Merge | PatchType::Strategic => {}
        }
        let change = Change { patch_type, patch: json("patch", patch)?, dry_run };
        let object = ask(eval, |cluster, at| cluster.patch(&target, &place, name.0, &change, at))?;
        decoded(&object, eval)
    }

    /// Deletes an object, and says whether there was one.
    ///
    /// `propagation` is `"background"`, `"foreground"` or `"orphan"`; `grace_period` a time such as `"30s"`. `dry_run`
    /// is that of `k8s.create`.
    fn delete<'v>(
        kind: Text<'v>,
        name: Text<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] propagation: Option<Given<'v, &'v str>>,
        #[starlark(require = named)] grace_period: Option<Wait>,
        #[starlark(require = named, default = false)] dry_run: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<bool> {
        let (target, place) = (Chosen::of(eval)?.within(timeout), place(kind, namespace));
        let propagation = one_of("propagation", propagation, &PROPAGATIONS)?;
        let deletion = Deletion { propagation, grace_period: grace_period.map(|grace| grace.0), dry_run };
        ask(eval, |cluster, at| cluster.delete(&target, &place, name.0, deletion, at))
    }

    /// What a container of a pod wrote, as text.
    ///
    /// Such as `k8s.logs("web-0", namespace = "prod", tail = 100, since = "10m")`.
    fn logs<'v>(
        pod: Text<'v>,
        #[starlark(require = named)] namespace: Option<Text<'v>>,
        #[starlark(require = named)] container: Option<Text<'v>>,
        #[starlark(require = named)] tail: Option<u32>,
        #[starlark(require = named)] since: Option<Deadline>,
        #[starlark(require = named, default = false)] previous: bool,
        #[starlark(require = named, default = false)] timestamps: bool,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let target = Chosen::of(eval)?.within(timeout);
        let (container, since) = (container.map(owned), since.and_then(|since| since.0));
        let options = LogOptions { container, tail, since, previous, timestamps };
        let namespace = namespace.map(|namespace| namespace.0);
        let log = ask(eval, |cluster, at| cluster.logs(&target, namespace, pod.0, &options, at))?;
        // Programs write what they like; whoever reads a log wants to see the rest all the same.
        Ok(eval.heap().alloc(&*String::from_utf8_lossy(&log)))
    }

    /// Chooses what later calls use, and returns its context and namespace. What is not given stays as it was chosen
    /// before, and `None` takes it back.
    ///
    /// Without a kubeconfig it is the cluster that the operator chose, with the credentials that the operator gave. In a
    /// handler it is for its request alone.
    fn config<'v>(
        kubeconfig: Option<Given<'v, Text<'v>>>,
        #[starlark(require = named)] context: Option<Given<'v, Text<'v>>>,
        #[starlark(require = named)] namespace: Option<Given<'v, Text<'v>>>,
        #[starlark(require = named)] timeout: Option<Given<'v, Deadline>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let mut chosen = Chosen::of(eval)?;
        chosen.change(kubeconfig, context, namespace, timeout)?;
        let settings = ask(eval, |cluster, at| cluster.config(&chosen.target(), at))?;
        let heap = eval.heap();
        chosen.keep(eval);
        let context = settings.context.map_or_else(Value::new_none, |context| heap.alloc(context));
        Ok(heap.alloc(AllocDict([("context", context), ("namespace", heap.alloc(settings.namespace))])))
    }
}

/// Asks the host's cluster.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Cluster, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.cluster(), &position(eval)).map_err(from_host)
}

fn place(kind: Text<'_>, namespace: Option<Text<'_>>) -> Place {
    Place { kind: owned(kind), namespace: namespace.map(owned) }
}

/// The objects of a list. They do not say what they are, since the list says it for all: each is given that, so that it
/// can be applied again as it is.
fn items_of<'v>(page: Value<'v>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Vec<Value<'v>>> {
    let heap = eval.heap();
    let wrong = || usage("the cluster's answer is not a list of objects");
    let page = DictRef::from_value(page).ok_or_else(wrong)?;
    let items = match page.get_str("items") {
        Some(items) if !items.is_none() => ListRef::from_value(items).ok_or_else(wrong)?,
        _ => return Ok(Vec::new()),
    };
    let kind = page.get_str("kind").and_then(|kind| kind.unpack_str()?.strip_suffix("List"));
    let told = [("apiVersion", page.get_str("apiVersion")), ("kind", kind.map(|kind| heap.alloc(kind)))];
    let complete = |item: Value<'v>| {
        let fields = DictRef::from_value(item).ok_or_else(wrong)?;
        let mut all = SmallMap::with_capacity(fields.len() + told.len());
        for (name, value) in told {
            if let (None, Some(value)) = (fields.get_str(name), value) {
                all.insert_hashed(pairs::key(heap, name), value);
            }
        }
        for (name, value) in fields.iter_hashed() {
            all.insert_hashed(name, value);
        }
        Ok(heap.alloc(Dict::by_dot(all)))
    };
    items.iter().map(complete).collect()
}

fn decoded<'v>(json: &str, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    let decoded = json_decode::decode_by_dot(json.as_bytes(), eval.heap());
    decoded.map_err(|wrong| usage(format!("the cluster's answer: {wrong}")))
}
