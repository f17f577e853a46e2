//! One time of serving: from bound listeners to apps that have ended and stores that are closed.
//!
//! A shift ends with the process, or by giving the work to a new process. If that one fails, this process begins another
//! shift with the sockets that it has kept.

use std::sync::Arc;
use std::time::Duration;

use starcell_log::{Level, Logs};
use starcell_node::Node;
use starcell_runtime::slow::on_blocking_thread;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::admin::server::AdminServer;
use super::base::Base;
use super::bounds::dropping;
use super::deployer::Deployer;
use super::elsewhere::Elsewhere;
use super::files::NodeFiles;
use super::front::{Listeners, ListenersError, Watched, watch_pages};
use super::handover::{HandOver, Predecessor, Successor};
use super::orders::{Order, Orders};
use super::reread::Reread;
use super::sockets::{KeptSockets, NodeSockets};
use crate::exit::Exit;
use crate::say::fail;
use crate::signals::{Reload, Signals};
use crate::supervisor::Supervisor;

/// How long clients of a node wait for its slowest app, when it starts, before the others answer them.
const START: Duration = Duration::from_secs(10);

/// How long responses say that their connection ends before a new process takes over. A connection that is used as often as
/// that ends with a response; one that is used less often is idle by then and is closed.
const WINDING_DOWN: Duration = Duration::from_secs(1);

/// Whom a node listens to besides its clients.
pub(crate) struct Callers {
    pub(crate) signals: Signals,
    pub(crate) reload: Reload,
    pub(crate) supervisor: Supervisor,
}

/// How a shift ended.
pub(crate) enum Shift {
    /// With the process.
    Over(Exit),
    /// A new process is prepared. It waits until the stores and the audit log are closed. With it comes the configuration as it
    /// was in force, for another shift.
    Given(Successor, Box<NodeFiles>),
}

/// Serves until the process shall end or a new process takes over. `predecessor` is told once this one serves, and what comes
/// from `elsewhere` is taken.
pub(crate) async fn serve(
    base: Arc<Base>,
    node: Arc<Node>,
    sockets: &mut NodeSockets,
    kept: &KeptSockets,
    (predecessor, elsewhere): (Option<Predecessor>, &mut Elsewhere),
    callers: &mut Callers,
) -> Shift {
    let logs = base.share.logs.clone();
    let listeners = match Listeners::bind(&base.files, &node, &logs, sockets, kept).await {
        Ok(listeners) => listeners,
        Err(ListenersError::Unbound(error)) => return Shift::Over(fail(Exit::Bind, &error)),
        Err(ListenersError::Certificates(error)) => return Shift::Over(fail(Exit::Configuration, &error)),
    };
    let watched = match watch_pages(&base, &node, sockets, kept).await {
        Ok(watched) => watched,
        Err(error) => return Shift::Over(fail(Exit::Bind, &error)),
    };
    let (orders, ordered) = Orders::new();
    let admin = match AdminServer::start(&base, &node, orders, sockets, kept).await {
        Ok(admin) => admin,
        Err((exit, error)) => return Shift::Over(fail(exit, &error)),
    };
    if let Some(kv) = &base.kv {
        // The log says so when the server does not answer, and the node goes on: the server may come.
        kv.probe().await;
    }
    let dropping = dropping(&base, &node);
    let deployer = Deployer::new(Arc::clone(&base), node);
    let hand_over = None;
    let serving = Serving {
        base,
        logs,
        listeners,
        watched,
        admin,
        ordered,
        deployer,
        hand_over,
        reloading: false,
        _dropping: dropping,
    };
    serving.run(kept, (predecessor, elsewhere), callers).await
}

/// A node that serves, or is about to.
struct Serving {
    base: Arc<Base>,
    logs: Logs,
    listeners: Listeners,
    watched: Watched,
    /// Where operators ask, and what they ask for. Without the former nobody does, now and later.
    admin: Option<AdminServer>,
    ordered: mpsc::Receiver<Order>,
    deployer: Deployer,
    /// Where new processes ask to take over, once this one serves.
    hand_over: Option<HandOver>,
    /// True until what a SIGHUP asked for is done.
    reloading: bool,
    /// Drops apps from memory that are not used.
    _dropping: AbortOnDropHandle<()>,
}

impl Serving {
    async fn run(
        mut self,
        kept: &KeptSockets,
        (mut predecessor, elsewhere): (Option<Predecessor>, &mut Elsewhere),
        callers: &mut Callers,
    ) -> Shift {
        self.deployer.look(true).await;
        let mut slowest = std::pin::pin!(tokio::time::sleep(START));
        let mut is_open = false;
        loop {
            if !is_open && (self.deployer.is_idle() || slowest.is_elapsed()) {
                self.open(kept);
                if let Some(predecessor) = predecessor.take() {
                    predecessor.ready().await;
                }
                callers.supervisor.ready();
                is_open = true;
            }
            if self.reloading && self.deployer.is_idle() {
                callers.supervisor.ready();
                self.reloading = false;
            }
            let pause = self.deployer.pause();
            let settled = self.deployer.is_idle();
            tokio::select! {
                biased;
                exit = callers.signals.next() => {
                    if is_open {
                        self.linger(callers).await;
                    }
                    // A log that nobody reads must not hold up the end.
                    self.logs.hurry();
                    if !is_open {
                        return Shift::Over(exit);
                    }
                    return Shift::Over(self.end(callers).await);
                }
                () = callers.reload.asked() => {
                    callers.supervisor.reloading();
                    self.reloading = true;
                    self.base.audit.reopen();
                    self.reread(is_open).await;
                    self.admin.iter().for_each(|admin| admin.reload(&self.base));
                    elsewhere.hurry();
                    self.deployer.look(true).await;
                }
                // Before the orders: those who ask all the time would put the look off for as long as they do.
                () = pause => self.deployer.look(false).await,
                // The links of the apps are exchanged between two looks, so that one look sees all of it.
                arrived = elsewhere.arrived() => {
                    if elsewhere.take(arrived).await {
                        self.deployer.look(true).await;
                    }
                }
                Some(order) = self.ordered.recv() => self.deployer.carry_out(order),
                () = self.deployer.finished() => {}
                // An app that is being set up may open its store, which the new process would find in use.
                mut successor = next(self.hand_over.as_mut()), if settled => {
                    if self.wind_down(&mut successor, callers).await {
                        let files = Box::new(self.base.files.clone());
                        return match self.give(callers).await {
                            None => Shift::Given(successor, files),
                            Some(exit) => Shift::Over(exit),
                        };
                    }
                }
                () = &mut slowest, if !is_open => {}
                never = callers.supervisor.keep_alive() => match never {},
            }
        }
    }

    /// Begins to answer.
    fn open(&mut self, kept: &KeptSockets) {
        self.listeners.open(&self.base.edge, &self.logs);
        self.set_ready(true);
        match HandOver::open(&self.base.files.state, kept.clone(), self.logs.clone()) {
            Ok(hand_over) => self.hand_over = Some(hand_over),
            Err(why) => self.logs.say(Level::Warn, &format!("no new process can take over: {why}")),
        }
    }

    /// Reads the configuration again. One that is wrong changes nothing.
    async fn reread(&mut self, is_open: bool) {
        let (base, apps) = (Arc::clone(&self.base), self.deployer.tenants());
        let reread = on_blocking_thread(move || Reread::new(&base, &apps)).await;
        let mut reread = match reread.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(Some(reread)) => reread,
            Ok(None) => return,
            Err(why) => return self.logs.say(Level::Error, &format!("the configuration stays as it is: {why}")),
        };
        if reread.changes_listeners() {
            let changed = match is_open {
                true => self.listeners.change(&reread.base.files, &self.base.edge, &self.logs).await,
                false => Err("listeners are not changed while the node starts".to_owned()),
            };
            if let Err(why) = changed {
                self.logs.say(Level::Error, &format!("the listeners stay as they are: {why}"));
                reread.keep_listeners(&self.base);
            }
        }
        for text in &reread.notes {
            self.logs.say(Level::Warn, text);
        }
        self.base = Arc::new(reread.base);
        self.watched.set_tenants(self.base.tenants.values().cloned().collect());
        self.deployer.change(Arc::clone(&self.base));
        self.deployer.forget(&reread.apps);
        self.logs
            .say(Level::Info, &format!("the configuration was read again; apps set up anew: {}", reread.apps.len()));
    }

    fn set_ready(&self, ready: bool) {
        self.watched.set_ready(ready);
        self.admin.iter().for_each(|admin| admin.set_ready(ready));
    }

    /// Has connections end with their next response. False if the new process ended meanwhile: then nothing has changed.
    async fn wind_down(&mut self, successor: &mut Successor, callers: &mut Callers) -> bool {
        let process = successor.process();
        self.logs
            .say(Level::Info, &format!("the process {process} takes over: connections end with their next response"));
        self.listeners.wind_down(true);
        let stays = tokio::select! {
            () = successor.gone() => true,
            () = tokio::time::sleep(WINDING_DOWN) => false,
            never = callers.supervisor.keep_alive() => match never {},
        };
        if stays {
            self.listeners.wind_down(false);
            self.logs.say(Level::Error, &format!("the process {process} ended before it took over: this one goes on"));
        }
        !stays
    }

    /// Answers what is in flight, and gives up everything but the sockets. A signal asks for no more than that; some exit code
    /// if a second one ends the process meanwhile.
    async fn give(self, callers: &mut Callers) -> Option<Exit> {
        self.set_ready(false);
        let Self { listeners, watched, admin, ordered, deployer, .. } = self;
        listeners.leave();
        // Whoever waits for an order is told that the node ends: the next process carries out what is asked for next.
        drop(ordered);
        let given = async {
            listeners.ended().await;
            watched.leave().await;
            deployer.close().await;
            if let Some(admin) = admin {
                admin.leave().await;
            }
        };
        let mut given = std::pin::pin!(given);
        for last in [false, true] {
            tokio::select! {
                biased;
                exit = callers.signals.next() => if last { return Some(exit) },
                () = &mut given => return None,
                never = callers.supervisor.keep_alive() => match never {},
            }
        }
        None
    }

    /// Says that the node ends, and answers as before for as long as those need who send requests to it. A signal ends the
    /// wait.
    async fn linger(&mut self, callers: &mut Callers) {
        callers.supervisor.stopping();
        self.set_ready(false);
        let delay = self.base.arguments.drain_delay;
        if delay.is_zero() {
            return;
        }
        let shown = humantime::format_duration(delay);
        self.logs.say(Level::Info, &format!("the drain begins in {shown}: until then requests are answered"));
        self.listeners.wind_down(true);
        let mut over = std::pin::pin!(tokio::time::sleep(delay));
        loop {
            tokio::select! {
                biased;
                _ = callers.signals.next() => return,
                () = &mut over => return,
                // Whoever rotates the log knows nothing of the end.
                () = callers.reload.asked() => self.base.audit.reopen(),
                Some(order) = self.ordered.recv() => self.deployer.carry_out(order),
                () = self.deployer.finished() => {}
                never = callers.supervisor.keep_alive() => match never {},
            }
        }
    }

    /// Answers what is in flight, and ends. A signal ends the process at once.
    async fn end(self, callers: &mut Callers) -> Exit {
        let Self { listeners, admin, ordered, deployer, .. } = self;
        listeners.stop();
        drop(ordered);
        let ended = async {
            listeners.ended().await;
            deployer.close().await;
            if let Some(admin) = admin {
                admin.close().await;
            }
        };
        tokio::select! {
            biased;
            exit = callers.signals.next() => exit,
            () = ended => Exit::Ok,
            never = callers.supervisor.keep_alive() => match never {},
        }
    }
}

/// The next process that is prepared to take over.
async fn next(hand_over: Option<&mut HandOver>) -> Successor {
    match hand_over {
        Some(hand_over) => hand_over.next().await,
        None => std::future::pending().await,
    }
}
