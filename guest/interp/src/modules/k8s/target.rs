//! What `k8s.config` has chosen. It is kept as names alone: the host holds what they stand for, and no fork inherits a
//! connection or a credential.

use starlark::environment::Module;
use starlark::eval::{Arguments, Evaluator};
use starlark::values::Value;
use starlark::values::tuple::{AllocTuple, TupleRef};

use crate::args::Args;
use crate::duration;
use crate::error::usage;
use crate::host::Target;
use crate::session::Session;

/// Where it is kept: a name that no script can spell, so that freezing the module takes it along.
const CHOSEN: &str = "k8s.config";

/// What later calls use.
#[derive(Clone, Debug, Default)]
pub(super) struct Chosen {
    kubeconfig: Option<String>,
    context: Option<String>,
    namespace: Option<String>,
    timeout: Option<u64>,
}

/// Reads the arguments of `k8s.config`: what is not given stays as it was, and None is as if it never was.
pub(super) fn choose<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<Chosen> {
    let mut args = Args::new(function, args, eval.heap())?;
    let mut chosen = Chosen::of(eval)?;
    if let Some(kubeconfig) = args.either("kubeconfig")? {
        chosen.kubeconfig = text(&args, "kubeconfig", kubeconfig)?;
        // Contexts are those of one file.
        chosen.context = None;
    }
    if let Some(context) = args.take("context") {
        chosen.context = text(&args, "context", context)?;
    }
    if let Some(namespace) = args.take("namespace") {
        chosen.namespace = text(&args, "namespace", namespace)?;
    }
    if let Some(timeout) = args.take("timeout") {
        let nanoseconds = timeout.unpack_str().and_then(duration::parse).filter(|time| *time > 0);
        if nanoseconds.is_none() && !timeout.is_none() {
            return Err(args.wrong("timeout", duration::EXPECTED, timeout));
        }
        chosen.timeout = nanoseconds;
    }
    args.finish("kubeconfig, context, namespace, timeout")?;
    Ok(chosen)
}

fn text<'v>(args: &Args<'v>, name: &str, value: Value<'v>) -> starlark::Result<Option<String>> {
    if value.is_none() { Ok(None) } else { args.text(name, value).map(Some) }
}

impl Chosen {
    /// What was chosen: by this very request, else by the script.
    pub(super) fn of(eval: &Evaluator<'_, '_, '_>) -> starlark::Result<Self> {
        if let Some(own) = own(eval.module()) {
            return Ok(own);
        }
        let Some(script) = Session::of(eval)?.script else { return Ok(Self::default()) };
        let kept = script.get_option(CHOSEN).map_err(|error| usage(error.to_string()))?;
        Ok(kept.and_then(|kept| unpacked(kept.value())).unwrap_or_default())
    }

    /// Where its calls go.
    pub(super) fn target(&self) -> Target {
        let Self { kubeconfig, context, namespace, timeout } = self.clone();
        Target { kubeconfig, context, namespace, timeout }
    }

    /// Has later calls use it.
    pub(super) fn keep(self, eval: &Evaluator<'_, '_, '_>) {
        let heap = eval.heap();
        let text = |text: Option<String>| text.map_or_else(Value::new_none, |text| heap.alloc(text));
        let timeout = self.timeout.map_or_else(Value::new_none, |timeout| heap.alloc(timeout));
        let parts = [text(self.kubeconfig), text(self.context), text(self.namespace), timeout];
        eval.module().set(CHOSEN, heap.alloc(AllocTuple(parts)));
    }
}

fn own(module: &Module<'_>) -> Option<Chosen> {
    module.get(CHOSEN).and_then(unpacked)
}

fn unpacked(value: Value<'_>) -> Option<Chosen> {
    let [kubeconfig, context, namespace, timeout] = *TupleRef::from_value(value)?.content() else { return None };
    let text = |value: Value<'_>| value.unpack_str().map(str::to_owned);
    Some(Chosen {
        kubeconfig: text(kubeconfig),
        context: text(context),
        namespace: text(namespace),
        timeout: crate::args::int(timeout),
    })
}
