//! A test file: its top level runs once and is frozen, and each of its tests starts from that.
//!
//! A test is a function whose name begins with `test_`, with one parameter, the test, or none. `setup` runs before each
//! test and `teardown` after it, in the same fork. Nothing that a test does is seen by the next one.

use starlark::environment::{FrozenModule, Module};
use starlark::eval::Evaluator;
use starlark::values::{Heap, Value};

use crate::error::{skipped, usage};
use crate::host::{Failure, Host};
use crate::logging::LogSettings;
use crate::modules::Tester;
use crate::phase::Phase;
use crate::session::{Session, surround};
use crate::{callable, diagnostic, setup, source};

/// What the name of a test begins with.
const PREFIX: &str = "test_";

/// A test file, evaluated and frozen.
#[derive(Debug)]
pub struct Suite {
    module: FrozenModule,
    /// How log lines are written, as the top level left it.
    log: LogSettings,
}

impl Suite {
    /// Evaluates the top level of a test file.
    ///
    /// # Errors
    ///
    /// The source does not parse, the file raised, or one of its tests is no function that could be called as one.
    pub fn collect(host: &dyn Host, file: &str, source: &[u8]) -> Result<Self, Failure> {
        let failed = |error| diagnostic::failure(error, Phase::Setup);
        let source = source::text(file, source).map_err(failed)?;
        Module::with_temp_heap(|module| {
            let session = Session::collect(host);
            setup::evaluate(&session, &module, file, source).map_err(failed)?;
            let module = module.freeze();
            let module = module.map_err(|error| failed(usage(format!("cannot freeze {file}: {}", error.err_msg))))?;
            Ok(Self { module, log: session.log.get() })
        })
    }

    /// The names of the tests, in the order of the file.
    #[must_use]
    pub fn tests(&self) -> Vec<String> {
        let names = self.module.names().map(|name| name.as_str().to_owned());
        names.filter(|name| name.starts_with(PREFIX) && self.is_function(name)).collect()
    }

    /// Runs one test. A text says why the test does not apply.
    ///
    /// # Errors
    ///
    /// The test raised, which is how a test fails, or the host stopped it.
    pub fn run(&self, host: &dyn Host, test: &str) -> Result<Option<String>, Failure> {
        Module::with_temp_heap(|module| {
            let session = Session::test(host, &self.module, self.log);
            let tester = module.heap().alloc(Tester::new(test));
            let step = |name: &str| self.step(name, tester, &module, &session);
            let ran = match step("setup") {
                Ok(_) => {
                    let ran = step(test).and_then(|found| match found {
                        true => Ok(()),
                        false => Err(usage(format!("there is no test {test}"))),
                    });
                    // What the test raised comes first, whatever else goes wrong afterwards.
                    let after = step("teardown");
                    ran.and(after.map(|_| ()))
                }
                Err(error) => Err(error),
            };
            match ran {
                Ok(()) => Ok(None),
                Err(error) => match skipped(&error) {
                    Some(reason) => Ok(Some(reason.to_owned())),
                    None => Err(diagnostic::failure(error, Phase::Test)),
                },
            }
        })
    }

    /// Calls a function of the file, if there is one.
    fn step<'v>(
        &self,
        name: &str,
        tester: Value<'v>,
        module: &Module<'v>,
        session: &Session<'_>,
    ) -> starlark::Result<bool> {
        let Some(function) = self.function(name, module.heap())? else { return Ok(false) };
        let mut eval = Evaluator::new(module);
        surround(&mut eval, session)?;
        eval.disable_gc();
        let arguments: &[Value<'v>] = match callable::required_positional(function) {
            _ if callable::takes_one(function) => &[tester],
            Some(callable::Required::Exactly(0)) => &[],
            _ => {
                let signature = callable::signature(function);
                return Err(usage(format!("a test takes one argument, the test, or none; {signature} does not")));
            }
        };
        eval.eval_function(function, arguments, &[])?;
        Ok(true)
    }

    fn is_function(&self, name: &str) -> bool {
        self.module.get_option(name).is_ok_and(|value| value.is_some_and(|value| callable::is_callable(value.value())))
    }

    fn function<'v>(&self, name: &str, heap: Heap<'v>) -> starlark::Result<Option<Value<'v>>> {
        let found = self.module.get_option(name).map_err(|error| usage(error.to_string()))?;
        // What the module owns must live as long as this evaluation.
        Ok(found
            .filter(|value| callable::is_callable(value.value()))
            .map(|value| heap.access_owned_frozen_value(&value)))
    }
}
