//! Evaluating a script's top level.

use starlark::environment::Module;
use starlark::eval::Evaluator;
use starlark::values::Value;

use crate::host::{Failure, Host};
use crate::load::{self, Loaded};
use crate::phase::Phase;
use crate::serving::Serving;
use crate::session::{Session, surround};
use crate::source::text;
use crate::{diagnostic, entry, globals};

/// Parses `source`, which must be UTF-8, and evaluates its top level; `file` is the name that messages use.
///
/// # Errors
///
/// The source does not parse, the script raised, or the host refused or stopped it.
pub fn run(host: &dyn Host, file: &str, source: &[u8]) -> Result<(), Failure> {
    let source = text(file, source).map_err(|error| diagnostic::failure(error, Phase::Setup))?;
    Module::with_temp_heap(|module| top_level(host, &module, file, source))
}

/// Like [`run`], and then freezes the module, when the script started a server.
///
/// For hosts without a fork: their [`Host::wait`] answers [`HostError::Stopped`](crate::HostError::Stopped), so that the
/// script ends inside `serve()` with everything a request needs in place.
pub fn run_native(host: &dyn Host, file: &str, source: &str) -> (Result<(), Failure>, Option<Serving>) {
    Module::with_temp_heap(|module| {
        let outcome = top_level(host, &module, file, source);
        if module.extra_value().is_none() {
            return (outcome, None);
        }
        match Serving::freeze(module) {
            Ok(serving) => (outcome, Some(serving)),
            Err(failure) => (outcome.and(Err(failure)), None),
        }
    })
}

fn top_level(host: &dyn Host, module: &Module<'_>, file: &str, source: &str) -> Result<(), Failure> {
    host.entered(module);
    let session = Session::setup(host);
    let evaluated = evaluate_all(&session, module, file, source, true);
    evaluated.map(|_| ()).map_err(|error| diagnostic::failure(error, Phase::Setup))
}

/// Evaluates a source in a module, after the files that it loads; the value is that of its last expression.
pub(crate) fn evaluate<'v>(
    session: &Session<'_>,
    module: &Module<'v>,
    file: &str,
    source: &str,
) -> starlark::Result<Value<'v>> {
    evaluate_all(session, module, file, source, false)
}

/// The same, and its `main`, if that is to be called.
fn evaluate_all<'v>(
    session: &Session<'_>,
    module: &Module<'v>,
    file: &str,
    source: &str,
    and_main: bool,
) -> starlark::Result<Value<'v>> {
    let mut files = load::resolve(session.host, file, source)?;
    let Some(script) = files.pop() else { return Ok(Value::new_none()) };
    session.loads();
    let mut loaded = Loaded::default();
    for file in files {
        loaded.evaluate(file, session)?;
    }
    session.loaded();
    let mut eval = Evaluator::new(module);
    surround(&mut eval, session)?;
    eval.set_loader(&loaded);
    let and_main = and_main && entry::is_left(&script.ast);
    let value = eval.eval_module(script.ast, globals::of(session))?;
    if and_main {
        entry::call(&mut eval)?;
    }
    Ok(value)
}
