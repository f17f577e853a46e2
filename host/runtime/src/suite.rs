//! A test file: its top level runs once, and each of its tests in a fork of what that made.
//!
//! So tests share nothing but what the file says: a test that changes something, loops or runs out of memory ends
//! alone, and the next one starts from where it did. What a test asks of the app beside it goes through the
//! [tool](crate::tool) of the app that it runs for.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::failure::Failure;
use crate::memory::image::Image;
use crate::meter::{Meter, Metered};
use crate::serving::within;
use crate::state::{Role, store};

/// A test file as its tests start from it.
pub struct Suite {
    tests: Vec<String>,
    image: Arc<Image>,
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
        let store =
            store(app.interpreter.engine(), Role::Collect(Arc::clone(&app.context)), limits, Arc::clone(&meter));
        let (script, conditions) = (app.context.script(source), app.context.conditions());
        let collect = Box::pin(async {
            let (mut fork, guest) = app.begin(store).await?;
            let result = guest.starcell_guest_interpreter().call_collect(fork.store(), &script, &conditions).await;
            let tests = result.map_err(|error| fork.store().data().failure(&error, limits))??;
            Ok((tests, fork.store().data_mut().captured.take()))
        });
        let (tests, image) = within(limits.setup_wall, Metered::new(meter, collect)).await?;
        let image = image.ok_or_else(|| Failure::Host("a test file ended without handing over its memory".into()))?;
        Ok(Self { tests, image: Arc::new(image) })
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
        let role = Role::Request(Arc::clone(&app.context), test.into(), None);
        let store = store(app.interpreter.engine(), role, limits, meter);
        let (mut fork, guest) = app.interpreter.start(store, &self.image, limits).await?;
        let result = guest.starcell_guest_interpreter().call_test(fork.store(), test).await;
        result.map_err(|error| fork.store().data().failure(&error, limits))?.map_err(Failure::from)
    }
}
