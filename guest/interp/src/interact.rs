//! A session: inputs that are typed one after another, evaluated in one module.
//!
//! The module stays on the stack while the guest waits for the next input, so it is never frozen and its values can be
//! changed from one input to the next. Each input has an evaluator of its own: what one raised is over with it.

use starlark::environment::Module;

use crate::error::from_host;
use crate::globals::globals;
use crate::host::{Failure, FailureKind, Host, Outcome};
use crate::open::is_open;
use crate::phase::Phase;
use crate::session::Session;
use crate::shorten::shorten;
use crate::{diagnostic, setup};

/// What messages call an input.
const FILE: &str = "<input>";

/// Most bytes of a value that are shown.
const MAX_SHOWN_BYTES: usize = 64 << 10;

/// Most names that are told.
const MAX_NAMES: usize = 5000;

/// Evaluates what the host's tool gives until it has no more.
///
/// # Errors
///
/// The host stopped the session. What an input raises is told to the tool.
pub fn interact(host: &dyn Host) -> Result<(), Failure> {
    Module::with_temp_heap(|module| {
        host.entered(&module);
        let session = Session::setup(host);
        let mut outcome = Outcome::Value(None);
        loop {
            let input = host.tool().input(&outcome, &names(&module));
            let Some(input) = input.map_err(|error| diagnostic::failure(from_host(error), Phase::Setup))? else {
                return Ok(());
            };
            outcome = evaluate(&session, &module, &input);
            if let Outcome::Failed(failure) = &outcome
                && failure.kind == FailureKind::Stopped
            {
                return Err(failure.clone());
            }
        }
    })
}

fn evaluate(session: &Session<'_>, module: &Module<'_>, input: &str) -> Outcome {
    if is_open(input) {
        return Outcome::Incomplete;
    }
    match setup::evaluate(session, module, FILE, input) {
        Ok(value) if value.is_none() => Outcome::Value(None),
        Ok(value) => Outcome::Value(Some(shorten(value.to_repr(), MAX_SHOWN_BYTES))),
        Err(error) => Outcome::Failed(diagnostic::failure(error, Phase::Setup)),
    }
}

/// What can be written: names, and the attributes of what they stand for.
fn names(module: &Module<'_>) -> Vec<String> {
    let is_name = |name: &&str| name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let own: Vec<_> = module.names().map(|name| name.as_str().to_owned()).collect();
    let own = own.iter().filter_map(|name| module.get(name).map(|value| (name.as_str(), value)));
    let predeclared = globals().iter().map(|(name, value)| (name, value.to_value()));
    let mut names = Vec::new();
    for (name, value) in own.chain(predeclared).filter(|(name, _)| is_name(name)) {
        names.push(name.to_owned());
        names.extend(value.dir_attr().iter().map(|attribute| format!("{name}.{attribute}")));
        if names.len() > MAX_NAMES {
            break;
        }
    }
    names
}
