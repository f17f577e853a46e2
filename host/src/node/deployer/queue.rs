//! What operators ask for, one order about an app after another.
//!
//! An order that finds something being set up for its app waits for it, so that two orders never race. Each order changes
//! what answers between two requests, as a change of the files does, and what was replaced answers the requests that it has.
//! Its answer is given once it is done and what it changed is on the disk.

use std::time::Duration;

use starcell_node::PREVIEW;
use tokio::time::Instant;

use crate::api::views::{DoneView, PreviewKeyView};
use crate::node::orders::{Act, AppName, Order, Refused, Reply};

use super::Deployer;
use super::acts::Came;
use super::known::Waiting;

/// Orders about one app that wait.
const MAX_WAITING: usize = 16;

impl Deployer {
    /// Carries an order out, or begins to.
    pub(crate) fn carry_out(&mut self, order: Order) {
        // Whoever asked may have left, here and below.
        match order {
            Order::Apps(within, reply) => drop(reply.send(Ok(self.lines(within.as_deref())))),
            Order::App(app, reply) => drop(reply.send(self.view(&app))),
            Order::Tenants(within, reply) => drop(reply.send(Ok(self.tenant_views(within.as_deref())))),
            Order::Act(AppName { name, within }, act, reply) => {
                let Some(known) = self.known.get_mut(&name).filter(|known| known.is_within(within.as_deref())) else {
                    return drop(reply.send(Err(Refused::no_app(&name))));
                };
                if known.queue.len() >= MAX_WAITING {
                    let message = format!("{MAX_WAITING} orders about the app {name} wait already; ask again later");
                    return drop(reply.send(Err(Refused::conflict("busy", message))));
                }
                known.queue.push_back((act, reply));
                self.go_on(&name);
            }
        }
    }

    /// Goes on with the orders about an app that wait, one at a time: the next once the answer to this one is given.
    pub(super) fn go_on(&mut self, name: &str) {
        while let Some(known) = self.known.get_mut(name)
            && !known.is_under_way
            && known.waiting.is_none()
            && let Some((act, reply)) = known.queue.pop_front()
        {
            self.act(name, act, reply);
        }
    }

    fn act(&mut self, name: &str, act: Act, reply: Reply<DoneView>) {
        // Before anything that fails at once: a failure answers whoever waits.
        if let Some(known) = self.known.get_mut(name) {
            known.waiting = Some(Waiting { act: act.clone(), reply });
        }
        let came = match act {
            Act::Deploy => self.deploy_folder(name),
            Act::Upload(upload) => self.receive(name, &upload),
            Act::Rollback(revision) => self.roll_back(name, revision),
            Act::Canary { revision, percent } => self.begin_canary(name, revision, percent),
            Act::Preview { revision, time } => self.begin_preview(name, revision, time),
            Act::Stop => self.stop(name),
            Act::Start => self.start(name),
            Act::Drain => self.drain(name),
        };
        match came {
            Ok(Came::Later) => {}
            Ok(Came::Now { previous, note }) => self.done_with(name, previous, note),
            Err(refused) => {
                let waiting = self.known.get_mut(name).and_then(|known| known.waiting.take());
                if let Some(waiting) = waiting {
                    drop(waiting.reply.send(Err(refused)));
                }
            }
        }
    }

    /// Answers whoever waits for what was done.
    pub(super) fn done(&mut self, name: &str, previous: Option<u64>) {
        self.done_with(name, previous, None);
    }

    fn done_with(&mut self, name: &str, previous: Option<u64>, note: Option<String>) {
        let Some(known) = self.known.get_mut(name).filter(|known| known.waiting.is_some()) else { return };
        if known.is_saving {
            known.came.get_or_insert((previous, note));
            return;
        }
        self.answer(name, previous, note);
    }

    /// Answers whoever waits for what was done, and written.
    pub(super) fn answer(&mut self, name: &str, previous: Option<u64>, note: Option<String>) {
        let Some(known) = self.known.get_mut(name) else { return };
        let Some(Waiting { act, reply }) = known.waiting.take() else { return };
        let preview = match act {
            Act::Preview { revision, .. } => self.key(name, revision),
            _ => None,
        };
        let (state, revision) = self.state(name);
        let unsaved = |why: &String| format!("it is done, and will be lost when the node ends: {why}");
        let note = self.known.get(name).and_then(|known| known.unsaved.as_ref()).map(unsaved).or(note);
        let (app, action) = (name.to_owned(), act.name().to_owned());
        drop(reply.send(Ok(DoneView { app, action, state, revision, previous, preview, note })));
    }

    fn key(&self, name: &str, revision: u64) -> Option<PreviewKeyView> {
        let until = self.known.get(name)?.previews.get(&revision)?;
        let beside = self.node.seat(name)?.beside()?;
        let preview = beside.previews.iter().find(|preview| preview.revision.number() == revision)?;
        let left = until.saturating_duration_since(Instant::now());
        let (header, key) = (PREVIEW.as_str().to_owned(), preview.key.secret().to_owned());
        Some(PreviewKeyView { revision, header, key, left_ms: millis(left) })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
