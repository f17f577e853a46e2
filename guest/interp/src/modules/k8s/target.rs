//! What `k8s.config` has chosen. It is kept as names alone: the host holds what they stand for, and no fork inherits a
//! connection or a credential.

use starlark::environment::Module;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::tuple::{AllocTuple, TupleRef};

use crate::error::usage;
use crate::given::{Given, Text};
use crate::host::Target;
use crate::modules::time::Deadline;
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

    /// Takes what is given: `None` is as if it never was chosen.
    pub(super) fn change<'v>(
        &mut self,
        kubeconfig: Option<Given<'v, Text<'v>>>,
        context: Option<Given<'v, Text<'v>>>,
        namespace: Option<Given<'v, Text<'v>>>,
        timeout: Option<Given<'v, Deadline>>,
    ) -> starlark::Result<()> {
        let text =
            |given, name| Ok::<_, starlark::Error>(Given::maybe(given, name)?.map(|text: Text<'v>| text.0.to_owned()));
        if kubeconfig.is_some() {
            self.kubeconfig = text(kubeconfig, "kubeconfig")?;
            // Contexts are those of one file.
            self.context = None;
        }
        if context.is_some() {
            self.context = text(context, "context")?;
        }
        if namespace.is_some() {
            self.namespace = text(namespace, "namespace")?;
        }
        if timeout.is_some() {
            self.timeout = Given::maybe(timeout, "timeout")?.and_then(|timeout| timeout.0);
        }
        Ok(())
    }

    /// Where a call goes that has a time limit of its own.
    pub(super) fn within(&self, timeout: Option<Deadline>) -> Target {
        let target = self.target();
        Target { timeout: timeout.map_or(target.timeout, |timeout| timeout.0), ..target }
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
