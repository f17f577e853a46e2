//! A test file: its top level runs once, and each of its tests in a fork of what that made.
//!
//! So tests share nothing but what the file says: a test that changes something, loops or runs out of memory ends
//! alone, and the next one starts from where it did. What a test asks of the app beside it goes through the
//! [tool](crate::tool) of the app that it runs for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::bindings::GuestPre;
use crate::failure::Failure;
use crate::meter::{Meter, Metered};
use crate::serving::{load, within};
use crate::state::{Role, State, store};

/// A test file as its tests start from it.
pub struct Suite {
    tests: Vec<String>,
    pre: GuestPre<State>,
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("tests", &self.tests).finish_non_exhaustive()
    }
}

/// What became of one test.
#[derive(Debug)]
pub struct Tested {
    /// That it passed, or why it does not apply; or why it failed.
    pub result: Result<Option<String>, Failure>,
    /// Time the test itself ran; what it asked for is not in it.
    pub cpu: Duration,
}

impl Suite {
    /// Evaluates a test file, under the limits of a setup.
    ///
    /// # Errors
    /// What the file raised, the limit it hit, or what the host could not do.
    pub async fn collect(app: &Arc<App>, source: Vec<u8>) -> Result<Self, Failure> {
        let limits = app.limits();
        let meter = app.interpreter.meter(limits.setup_cpu);
        let mut store =
            store(app.interpreter.engine(), Role::Collect(Arc::clone(&app.context)), limits, Arc::clone(&meter));
        let script = app.context.script(source);
        let collect = Box::pin(async {
            let guest = app.begin(&mut store).await?;
            let result = guest.starcell_guest_interpreter().call_collect(&mut store, &script).await;
            result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
        });
        let tests = within(limits.setup_wall, Metered::new(meter, collect)).await?;
        let image = store.data_mut().captured.take();
        let image = image.ok_or_else(|| Failure::Host("a test file ended without handing over its memory".into()))?;
        drop(store);
        let image = load(app, image).await?;
        let pre = app.interpreter.over(&image).map_err(Failure::host)?;
        Ok(Self { tests, pre })
    }

    /// The tests, in the order of the file.
    #[must_use]
    pub fn tests(&self) -> &[String] {
        &self.tests
    }

    /// Runs one test for an app, in a fork of its own and under the limits of a setup.
    pub async fn run(&self, app: &Arc<App>, test: &str) -> Tested {
        let limits = app.limits();
        let meter = app.interpreter.meter(limits.setup_cpu);
        let run = Metered::new(Arc::clone(&meter), Box::pin(self.call(app, test, Arc::clone(&meter))));
        let result = within(limits.setup_wall, run).await;
        Tested { result, cpu: meter.spent() }
    }

    async fn call(&self, app: &Arc<App>, test: &str, meter: Arc<Meter>) -> Result<Option<String>, Failure> {
        let limits = app.limits();
        let mut store =
            store(app.interpreter.engine(), Role::Request(Arc::clone(&app.context), test.into()), limits, meter);
        let guest = self.pre.instantiate_async(&mut store).await;
        let guest = guest.map_err(|error| app.interpreter.instantiation_failure(&error, limits))?;
        let result = guest.starcell_guest_interpreter().call_test(&mut store, test).await;
        result.map_err(|error| store.data().failure(&error, limits))?.map_err(Failure::from)
    }
}
