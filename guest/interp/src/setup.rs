//! Evaluating a script's top level.

use starlark::codemap::{CodeMap, Pos, Span};
use starlark::environment::Module;
use starlark::values::Value;
use starlark::{Error, ErrorKind};

use crate::diagnostic;
use crate::host::{Failure, Host};
use crate::load::{self, Loaded};
use crate::serving::Serving;
use crate::session::{Phase, Session, evaluator};

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
    let evaluated = evaluate(&Session::setup(host), module, file, source);
    evaluated.map(|_| ()).map_err(|error| diagnostic::failure(error, Phase::Setup))
}

/// Evaluates a source in a module, after the files that it loads; the value is that of its last expression.
pub(crate) fn evaluate<'v>(
    session: &Session<'_>,
    module: &Module<'v>,
    file: &str,
    source: &str,
) -> starlark::Result<Value<'v>> {
    let mut files = load::resolve(session.host, file, source)?;
    let Some(script) = files.pop() else { return Ok(Value::new_none()) };
    session.loads();
    let mut loaded = Loaded::default();
    for file in files {
        loaded.evaluate(file, session)?;
    }
    session.loaded();
    let mut eval = evaluator(module, session)?;
    eval.set_loader(&loaded);
    eval.eval_module(script.ast, session.globals())
}

/// The source as text; what is not UTF-8 is a syntax error at the first wrong byte.
pub(crate) fn text<'a>(file: &str, source: &'a [u8]) -> starlark::Result<&'a str> {
    std::str::from_utf8(source).map_err(|error| {
        let good = source.get(..error.valid_up_to()).unwrap_or_default();
        // The wrong byte has to be part of the text for its line to exist.
        let shown = format!("{}\u{fffd}", String::from_utf8_lossy(good));
        let codemap = CodeMap::new(file.to_owned(), shown);
        let end = Pos::new(u32::try_from(good.len()).unwrap_or(0));
        let text = format!("the script is not UTF-8: wrong byte at offset {}", good.len());
        Error::new_spanned(ErrorKind::Parser(anyhow::Error::msg(text)), Span::new(end, end), &codemap)
    })
}
