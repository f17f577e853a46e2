//! The life of a script's top level: it runs once, stays suspended while forks answer requests, and goes on afterwards.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::app::App;
use crate::context::{AppConfig, AppContext};
use crate::failure::{Failure, Limit};
use crate::interpreter::Interpreter;
use crate::memory::image::Image;
use crate::meter::Metered;
use crate::serving::{Serve, Serving};
use crate::state::{ForkTaker, Role, store};

impl App {
    /// An app that has not run yet.
    pub fn new(interpreter: Arc<Interpreter>, config: AppConfig, host: Arc<dyn Serve>) -> Arc<Self> {
        let context = AppContext::new(config, Arc::clone(&host) as _);
        let serve = move |app: Arc<Self>, server, image| serve(Arc::clone(&host), app, server, image).boxed();
        Arc::new(Self { context, interpreter, serve: Box::new(serve) })
    }

    /// An app that is like this one but for what `change` changes, and for its host. None of its forks can touch what
    /// this one keeps, unless both were given the same.
    #[must_use]
    pub fn variant(&self, change: impl FnOnce(&mut AppConfig), host: Arc<dyn Serve>) -> Arc<Self> {
        let mut config = self.context.config.clone();
        change(&mut config);
        Self::new(Arc::clone(&self.interpreter), config, host)
    }

    /// Runs the top level of the script. Returns when it has ended, which for a script that serves is after shutdown.
    ///
    /// # Errors
    /// What the script raised, the limit it hit, or what the host could not do.
    pub async fn run(self: &Arc<Self>, source: Vec<u8>) -> Result<(), Failure> {
        let limits = self.limits();
        let meter = self.interpreter.meter(limits.setup_cpu);
        let store = store(self.interpreter.engine(), self.setup_role(), limits, Arc::clone(&meter));
        let (script, conditions) = (self.context.script(source), self.context.conditions());
        let run = Box::pin(async {
            let (mut fork, guest) = self.begin(store).await?;
            let result = guest.starcell_guest_interpreter().call_run(fork.store(), &script, &conditions).await;
            let result = result.map_err(|error| fork.store().data().failure(&error, limits))?;
            result.map_err(|failure| fork.store().data().judged(failure.into()))
        });
        tokio::select! {
            result = Metered::new(meter, run) => result.map_err(|failure| self.context.judged(failure)),
            () = self.setup_overdue(limits.setup_wall) => Err(Failure::Limit(Limit::Wall(limits.setup_wall))),
        }
    }

    /// Evaluates what the app's tool gives it, piece by piece, until it has no more. Each piece has the CPU time of a
    /// setup.
    ///
    /// # Errors
    /// The limit that was hit, or what the host could not do. What a piece raises is told to the tool.
    pub async fn interact(self: &Arc<Self>) -> Result<(), Failure> {
        let limits = self.limits();
        let meter = self.interpreter.meter(limits.setup_cpu);
        let store = store(self.interpreter.engine(), self.setup_role(), limits, Arc::clone(&meter));
        let conditions = self.context.conditions();
        let run = Box::pin(async {
            let (mut fork, guest) = self.begin(store).await?;
            let result = guest.starcell_guest_interpreter().call_interact(fork.store(), &conditions).await;
            result.map_err(|error| fork.store().data().failure(&error, limits))?.map_err(Failure::from)
        });
        Metered::new(meter, run).await
    }

    fn setup_role(self: &Arc<Self>) -> Role {
        Role::Setup(Arc::clone(&self.context), Arc::new(Parent(Arc::clone(self))))
    }

    /// Ends when the setup has taken too long; never, once a server is up.
    async fn setup_overdue(&self, wall: Duration) {
        tokio::time::sleep(wall).await;
        if self.context.has_served() {
            std::future::pending::<()>().await;
        }
    }
}

/// A suspended parent: what it hands over becomes what answers requests.
struct Parent(Arc<App>);

impl ForkTaker for Parent {
    fn take(&self, server: u32, image: Image) -> BoxFuture<'_, Result<(), Failure>> {
        (self.0.serve)(Arc::clone(&self.0), server, image)
    }
}

async fn serve(host: Arc<dyn Serve>, app: Arc<App>, server: u32, image: Image) -> Result<(), Failure> {
    let serving = Serving::freeze(&app, image).await?;
    host.serve(server, serving).map_err(Failure::Host)?;
    app.context.note_serving();
    Ok(())
}
