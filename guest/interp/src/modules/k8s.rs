//! `k8s`: objects of a Kubernetes cluster, as dicts.
//!
//! What goes to the cluster and what comes back is JSON in both directions and is made and read here, inside the guest.
//! The host never looks into an object further than to see what it is and where it goes.

mod arguments;
mod target;

use starlark::collections::SmallMap;
use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::Value;
use starlark::values::dict::{AllocDict, Dict, DictRef};
use starlark::values::list::{AllocList, ListRef};

use crate::error::{from_host, usage};
use crate::host::{
    Cluster, Deletion, HostError, LogOptions, Manifest, PatchType, Place, Position, Propagation, Selection,
};
use crate::modules::json_decode;
use crate::pairs;
use crate::result::attempt;
use crate::session::{Session, position};
use arguments::Call;

/// Who owns the fields of an applied object unless the script says otherwise.
const MANAGER: &str = "starcell";

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// Reads an object, which is an error or the default if it is not there.
    ///
    /// `k8s.get(kind: str, name: str, default = None, *, namespace: str = None, timeout: str = None)`
    ///
    /// `kind` is a kind or its plural, such as `"deployment"`, with its group where that is needed. The object is a dict:
    /// `k8s.get("deployment", "web", namespace = "prod")["spec"]["replicas"]`.
    fn get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        get_of("k8s.get", args, eval)
    }

    /// Like `get`, as a `Result`.
    fn try_get<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(get_of("k8s.try_get", args, eval), eval.heap())
    }

    /// Reads the objects of a kind, all of them or those that labels and fields select; `namespace = "*"` is all namespaces.
    ///
    /// `k8s.list(kind: str, *, namespace: str = None, labels = None, fields = None, limit: int = None, timeout: str = None)
    /// -> list`
    ///
    /// Such as `k8s.list("pods", namespace = "prod", labels = {"app": "web"})`.
    fn list<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        list_of("k8s.list", args, eval)
    }

    /// Like `list`, as a `Result`.
    fn try_list<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(list_of("k8s.try_list", args, eval), eval.heap())
    }

    /// Makes an object and returns it as the cluster has it.
    ///
    /// `k8s.create(object: dict, *, namespace: str = None, kind: str = None, timeout: str = None)`
    ///
    /// Such as `k8s.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})`.
    fn create<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        create_of("k8s.create", args, eval)
    }

    /// Like `create`, as a `Result`.
    fn try_create<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(create_of("k8s.try_create", args, eval), eval.heap())
    }

    /// Makes an object or changes it to have these fields, by server-side apply, and returns it as the cluster has it.
    ///
    /// `k8s.apply(object: dict, *, namespace: str = None, kind: str = None, field_manager: str = "starcell",
    /// force: bool = False, timeout: str = None)`
    ///
    /// Such as `k8s.apply(yaml.decode(fs.read_text("web.yaml")))`. With `force` it takes fields over that others own.
    fn apply<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        apply_of("k8s.apply", args, eval)
    }

    /// Like `apply`, as a `Result`.
    fn try_apply<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(apply_of("k8s.try_apply", args, eval), eval.heap())
    }

    /// Changes an object and returns it as the cluster has it.
    ///
    /// `k8s.patch(kind: str, name: str, patch, *, namespace: str = None, type: str = "merge", timeout: str = None)`
    ///
    /// `type` is `"merge"` or `"strategic"`, for a dict of fields, or `"json"`, for a list of operations:
    /// `k8s.patch("deployment", "web", {"spec": {"replicas": 3}})`.
    fn patch<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        patch_of("k8s.patch", args, eval)
    }

    /// Like `patch`, as a `Result`.
    fn try_patch<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(patch_of("k8s.try_patch", args, eval), eval.heap())
    }

    /// Deletes an object, and says whether there was one.
    ///
    /// `k8s.delete(kind: str, name: str, *, namespace: str = None, propagation: str = None, grace_period: str = None,
    /// timeout: str = None) -> bool`
    ///
    /// `propagation` is `"background"`, `"foreground"` or `"orphan"`; `grace_period` a time such as `"30s"`.
    fn delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        delete_of("k8s.delete", args, eval)
    }

    /// Like `delete`, as a `Result`.
    fn try_delete<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(delete_of("k8s.try_delete", args, eval), eval.heap())
    }

    /// What a container of a pod wrote, as text.
    ///
    /// `k8s.logs(pod: str, *, namespace: str = None, container: str = None, tail: int = None, since: str = None,
    /// previous: bool = False, timestamps: bool = False, timeout: str = None) -> str`
    ///
    /// Such as `k8s.logs("web-0", namespace = "prod", tail = 100, since = "10m")`.
    fn logs<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        logs_of("k8s.logs", args, eval)
    }

    /// Like `logs`, as a `Result`.
    fn try_logs<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(logs_of("k8s.try_logs", args, eval), eval.heap())
    }

    /// Chooses what later calls use, and returns its context and namespace.
    ///
    /// `k8s.config(kubeconfig: str = None, *, context: str = None, namespace: str = None, timeout: str = None) -> dict`
    ///
    /// Without a kubeconfig it is the cluster that the operator chose, with the credentials that the operator gave. In a
    /// handler it is for its request alone.
    fn config<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        config_of("k8s.config", args, eval)
    }

    /// Like `config`, as a `Result`.
    fn try_config<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(config_of("k8s.try_config", args, eval), eval.heap())
    }
}

/// Asks the host's cluster.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Cluster, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.cluster(), &position(eval)).map_err(from_host)
}

fn get_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let (kind, name) = (call.required_text("kind")?, call.required_text("name")?);
    let default = call.args.either("default")?;
    let place = Place { kind, namespace: call.namespace()? };
    let target = call.finish("kind, name, default, namespace, timeout")?;
    match ask(eval, |cluster, at| cluster.get(&target, &place, &name, at))? {
        Some(object) => decoded(function, &object, eval),
        None => default.ok_or_else(|| {
            let namespace = place.namespace.map(|namespace| format!(" in the namespace {namespace}"));
            usage(format!("{function}: there is no {} {name:?}{}", place.kind, namespace.unwrap_or_default()))
        }),
    }
}

fn list_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let place = Place { kind: call.required_text("kind")?, namespace: call.namespace()? };
    let selection = Selection {
        labels: call.labels()?,
        fields: call.fields()?,
        limit: call.int("limit", "an int from 1 to 100000", 1..=100_000)?,
    };
    let target = call.finish("kind, namespace, labels, fields, limit, timeout")?;
    let pages = ask(eval, |cluster, at| cluster.list(&target, &place, &selection, at))?;
    let mut items = Vec::new();
    for page in pages {
        items.extend(items_of(function, decoded(function, &page, eval)?, eval)?);
    }
    items.truncate(selection.limit.map_or(usize::MAX, |limit| limit as usize));
    Ok(eval.heap().alloc(AllocList(items)))
}

/// The objects of a list. They do not say what they are, since the list says it for all: each is given that, so that it
/// can be applied again as it is.
fn items_of<'v>(function: &str, page: Value<'v>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Vec<Value<'v>>> {
    let heap = eval.heap();
    let wrong = || usage(format!("{function}: the cluster's answer is not a list of objects"));
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
        Ok(heap.alloc(Dict::new(all)))
    };
    items.iter().map(complete).collect()
}

fn create_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let manifest = manifest(&mut call)?;
    let target = call.finish("object, namespace, kind, timeout")?;
    let object = ask(eval, |cluster, at| cluster.create(&target, &manifest, at))?;
    decoded(function, &object, eval)
}

fn apply_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let manifest = manifest(&mut call)?;
    let manager = call.text("field_manager")?.unwrap_or_else(|| MANAGER.to_owned());
    let force = call.flag("force")?;
    let target = call.finish("object, namespace, kind, field_manager, force, timeout")?;
    let object = ask(eval, |cluster, at| cluster.apply(&target, &manifest, &manager, force, at))?;
    decoded(function, &object, eval)
}

fn manifest(call: &mut Call<'_>) -> starlark::Result<Manifest> {
    let object = call.args.required("object")?;
    if DictRef::from_value(object).is_none() {
        return Err(call.args.wrong("object", "a dict", object));
    }
    let object = call.json("object", object)?;
    Ok(Manifest { object, kind: call.text("kind")?, namespace: call.namespace()? })
}

fn patch_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let (kind, name) = (call.required_text("kind")?, call.required_text("name")?);
    let patch = call.args.required("patch")?;
    let place = Place { kind, namespace: call.namespace()? };
    let types = [("merge", PatchType::Merge), ("json", PatchType::Json), ("strategic", PatchType::Strategic)];
    let patch_type = call.one_of("type", &types)?.unwrap_or(PatchType::Merge);
    let target = call.finish("kind, name, patch, namespace, type, timeout")?;
    match patch_type {
        PatchType::Json if ListRef::from_value(patch).is_none() => {
            return Err(call.args.wrong("patch", "a list of operations for the type json", patch));
        }
        PatchType::Merge | PatchType::Strategic if DictRef::from_value(patch).is_none() => {
            return Err(call.args.wrong("patch", "a dict of the fields to change", patch));
        }
        PatchType::Json | PatchType::Merge | PatchType::Strategic => {}
    }
    let patch = call.json("patch", patch)?;
    let object = ask(eval, |cluster, at| cluster.patch(&target, &place, &name, (patch_type, &patch), at))?;
    decoded(function, &object, eval)
}

fn delete_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let (kind, name) = (call.required_text("kind")?, call.required_text("name")?);
    let place = Place { kind, namespace: call.namespace()? };
    let ways = [
        ("background", Propagation::Background),
        ("foreground", Propagation::Foreground),
        ("orphan", Propagation::Orphan),
    ];
    let propagation = call.one_of("propagation", &ways)?;
    let deletion = Deletion { propagation, grace_period: call.duration("grace_period")? };
    let target = call.finish("kind, name, namespace, propagation, grace_period, timeout")?;
    Ok(Value::new_bool(ask(eval, |cluster, at| cluster.delete(&target, &place, &name, deletion, at))?))
}

fn logs_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut call = Call::new(function, args, eval)?;
    let pod = call.required_text("pod")?;
    let namespace = call.namespace()?;
    let options = LogOptions {
        container: call.text("container")?,
        tail: call.int("tail", "an int from 0 up", 0..=u32::MAX)?,
        since: call.positive_duration("since")?,
        previous: call.flag("previous")?,
        timestamps: call.flag("timestamps")?,
    };
    let target = call.finish("pod, namespace, container, tail, since, previous, timestamps, timeout")?;
    let log = ask(eval, |cluster, at| cluster.logs(&target, namespace.as_deref(), &pod, &options, at))?;
    // Programs write what they like; whoever reads a log wants to see the rest all the same.
    Ok(eval.heap().alloc(&*String::from_utf8_lossy(&log)))
}

fn config_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let chosen = target::choose(function, args, eval)?;
    let settings = ask(eval, |cluster, at| cluster.config(&chosen.target(), at))?;
    let heap = eval.heap();
    chosen.keep(eval);
    let context = settings.context.map_or_else(Value::new_none, |context| heap.alloc(context));
    Ok(heap.alloc(AllocDict([("context", context), ("namespace", heap.alloc(settings.namespace))])))
}

fn decoded<'v>(function: &str, json: &str, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
    json_decode::decode(json.as_bytes(), eval.heap())
        .map_err(|wrong| usage(format!("{function}: the cluster's answer: {wrong}")))
}
