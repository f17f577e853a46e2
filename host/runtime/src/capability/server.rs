//! `starcell:guest/server`: serving, the `http.server` capability.
//!
//! The gate stands in `listen`, before any socket exists. The permit holds the address, and the host of the app binds that.
//! Between `listen` and `serve` the script hands over its memory with `fork.live`.

mod tls;

use std::sync::Arc;
use std::time::Duration;

use starcell_policy::{ServerAddress, ServerFunction};

use crate::Position;
use crate::bindings::starcell::guest::server::{Host, Misses as GuestMisses, Options};
use crate::call_error::{HostCallError, shown};
use crate::context::AppContext;
use crate::failure::Failure;
use crate::host::{ListenError, Misses, ServerOptions};
use crate::state::{Role, State};
use crate::witness::SetupCallKind;

/// Where a server listens that does not say: this machine only.
const DEFAULT_HOST: &str = "127.0.0.1";

impl Host for State {
    async fn add_route(&mut self, server: u32, pattern: String) -> Result<u32, String> {
        match self.setup() {
            Ok(Some(app)) => app.host.add_route(server, &pattern),
            _ => Err("routes can be added only while the script sets up, not in a handler".into()),
        }
    }

    async fn listen(&mut self, server: u32, options: Options, at: Position) -> Result<u16, HostCallError> {
        let caller = self.repeatable_caller()?;
        let app = Arc::clone(&caller.app);
        if options.tls_cert.is_some() || options.tls_key.is_some() {
            // Files of the script.
            self.look();
        }
        if self.setup()?.is_none() {
            let host = options.host.as_deref().unwrap_or(DEFAULT_HOST);
            caller.gate.unjudged(ServerFunction::Serve, host, &at).await;
            let text = "a server can be started only while the script sets up, not in a handler";
            return Err(HostCallError::failed(text));
        }
        let address = match address(&app, server, &options) {
            Ok(address) => address,
            Err(why) => {
                let host = options.host.as_deref().unwrap_or(DEFAULT_HOST);
                caller.gate.unjudged(ServerFunction::Serve, host, &at).await;
                return Err(HostCallError::failed(why));
            }
        };
        let tls = tls::source(&caller, &at, &options).await?;
        let options = server_options(options);
        caller.note_setup_call(&at, || {
            let (host, port) = (address.host().to_string(), address.port());
            SetupCallKind::Listen { server, host, port, options: options.clone() }
        });
        let listen = |permit| async {
            let listening = app.host.listen(server, options, permit, tls).await;
            if let Err(ListenError::Unbound(_)) = &listening {
                app.note_unbound(&at);
            }
            listening.map(|port| (port, 0)).map_err(HostCallError::failed)
        };
        caller.gate.pass(&at, ServerFunction::Serve, address, listen).await
    }

    async fn serve(&mut self, server: u32) -> Result<(), HostCallError> {
        let live = self.captured.take();
        let Role::Setup(app, taker) = &self.role else {
            return Err(HostCallError::failed("a request cannot fork its script"));
        };
        let (app, taker) = (Arc::clone(app), Arc::clone(taker));
        if app.host.is_over() {
            // Nobody would be answered, so no image is made for it.
            app.host.abandon(server);
            return Ok(());
        }
        let served = match live {
            Some(image) => taker.take(server, image).await,
            None => Err(Failure::Host("the guest has not handed over its memory".into())),
        };
        served.map_err(|failure| {
            app.host.abandon(server);
            let for_memory = failure.is_for_memory();
            let why = match failure {
                Failure::Script(failure) => failure.message,
                Failure::Host(why) => why,
                other => format!("cannot serve: {other}"),
            };
            HostCallError::failed(if for_memory { self.holding.short_of(why) } else { why })
        })
    }

    async fn wait(&mut self, server: u32) -> Result<(), HostCallError> {
        let Some(app) = self.setup()?.map(Arc::clone) else {
            return Err(HostCallError::failed("a handler cannot wait for a server to stop"));
        };
        let waited = !app.host.is_over();
        app.host.wait(server).await;
        // What the script does after serving is a stretch of its own. A script that shall end gets one, and not one for each
        // server that it starts in vain.
        if waited {
            self.meter.renew();
        }
        Ok(())
    }

    async fn shutdown(&mut self, server: u32) -> Result<(), HostCallError> {
        let app = Arc::clone(self.app()?);
        app.host.stop(server);
        // A handler must not wait: the server drains only when the handler's own request is over.
        if self.setup()?.is_some() {
            app.host.wait(server).await;
        }
        Ok(())
    }

    async fn port(&mut self, server: u32) -> wasmtime::Result<Option<u16>> {
        Ok(self.app()?.host.port(server))
    }
}

impl State {
    /// The app, if this instance runs its top level.
    fn setup(&self) -> wasmtime::Result<Option<&Arc<AppContext>>> {
        self.app().map(|app| matches!(self.role, Role::Setup(..)).then_some(app))
    }
}

/// The address a server asks for. The operator's address and port are for the script's first server.
fn address(app: &AppContext, server: u32, options: &Options) -> Result<ServerAddress, String> {
    let operators = app.config.host.filter(|_| server == 0).map(|host| host.to_string());
    let host = operators.as_deref().or(options.host.as_deref()).unwrap_or(DEFAULT_HOST);
    let override_port = app.config.port.filter(|_| server == 0);
    let port = override_port.or(options.port).unwrap_or(0);
    ServerAddress::new(host, port).map_err(|error| format!("host {:?}: {error}", shown(host)))
}

fn server_options(options: Options) -> ServerOptions {
    ServerOptions {
        read_timeout: options.read_timeout.map(Duration::from_nanos),
        write_timeout: options.write_timeout.map(Duration::from_nanos),
        idle_timeout: options.idle_timeout.map(Duration::from_nanos),
        shutdown_timeout: options.shutdown_timeout.map(Duration::from_nanos),
        max_header_bytes: options.max_header_bytes,
        max_body_bytes: options.max_body_bytes,
        misses: match options.misses {
            GuestMisses::None => Misses::None,
            GuestMisses::Preflights => Misses::Preflights,
            GuestMisses::All => Misses::All,
        },
        written: options.written,
    }
}
