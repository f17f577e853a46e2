//! A node: which app a request is for, and whether its tenant may ask.
//!
//! What stands behind the listeners of a node is one table of seats. A seat has the places of an app and the revision that
//! answers there now. Each request asks anew, so a revision is exchanged between two requests; a change of places is a new
//! table. An app that does not run keeps its seat, so that its requests are refused and not answered by another app.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::request::Parts;
use starcell_edge::{Answered, Asked, ClientLimits, Responder, Responding};
use starcell_http::prefixes::{Place, Prefixes};
use starcell_http::request;
use starcell_http::response::Refusal;

use crate::beside::Beside;
use crate::console_cookie::take_out;
use crate::hosts::plain;
use crate::metrics::Metrics;
use crate::revision::Revision;
use crate::tenant::Entry;

/// What stands behind the listeners of a node.
#[derive(Debug)]
pub struct Node {
    limits: ClientLimits,
    max_url_bytes: usize,
    seats: ArcSwap<Seats>,
    metrics: Metrics,
}

/// The apps of a node.
#[derive(Debug, Default)]
struct Seats {
    by_name: BTreeMap<String, Arc<Seat>>,
    places: Prefixes<Arc<Seat>>,
}

/// The seat of an app: where it answers, and what answers there now.
#[derive(Debug)]
pub struct Seat {
    name: Arc<str>,
    hosts: Vec<String>,
    prefix: String,
    current: ArcSwapOption<Revision>,
    /// What runs beside that; nothing at nearly every seat.
    beside: ArcSwapOption<Beside>,
}

impl Seat {
    /// A seat with nothing in it, at a prefix of these hosts or of any.
    #[must_use]
    pub fn new(name: &str, hosts: &[String], prefix: &str) -> Arc<Self> {
        let (hosts, prefix) = (hosts.to_vec(), prefix.to_owned());
        let (current, beside) = (ArcSwapOption::empty(), ArcSwapOption::empty());
        Arc::new(Self { name: name.into(), hosts, prefix, current, beside })
    }

    /// The name of the app.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether an app with these places belongs here.
    #[must_use]
    pub fn is_at(&self, hosts: &[String], prefix: &str) -> bool {
        (&*self.hosts, &*self.prefix) == (hosts, prefix)
    }

    /// The revision that answers.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Revision>> {
        self.current.load_full()
    }

    /// The revision that answers, if one does. One that is replaced at this moment is not asked any more, and the one in its
    /// place is.
    #[must_use]
    pub fn running(&self) -> Option<Arc<Revision>> {
        let mut revision = self.current()?;
        while revision.is_over() {
            let next = self.current()?;
            if Arc::ptr_eq(&next, &revision) {
                return None;
            }
            revision = next;
        }
        Some(revision)
    }

    /// Puts a revision in, and returns the one that answered before.
    pub fn exchange(&self, revision: Option<Arc<Revision>>) -> Option<Arc<Revision>> {
        self.current.swap(revision)
    }

    /// What runs beside the revision that answers.
    #[must_use]
    pub fn beside(&self) -> Option<Arc<Beside>> {
        self.beside.load_full()
    }

    /// Puts something beside the revision that answers, and returns what was there before.
    pub fn set_beside(&self, beside: Option<Arc<Beside>>) -> Option<Arc<Beside>> {
        self.beside.swap(beside)
    }

    /// The revision that a request is for.
    fn choose(&self, parts: &mut Parts) -> Result<Arc<Revision>, Refusal> {
        if let Some(beside) = &*self.beside.load()
            && let Some(revision) = beside.choose(parts)?
        {
            return Ok(revision);
        }
        self.running().ok_or(Refusal::Down)
    }

    fn places(&self) -> impl Iterator<Item = Option<&str>> {
        let any = self.hosts.is_empty().then_some(None);
        self.hosts.iter().map(|host| Some(host.as_str())).chain(any)
    }
}

impl Node {
    /// A node without apps. `limits` are those of connections; each app can have lower ones for bodies.
    #[must_use]
    pub fn new(limits: ClientLimits, max_url_bytes: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self { limits, max_url_bytes, seats: ArcSwap::default(), metrics })
    }

    /// The seat of an app.
    #[must_use]
    pub fn seat(&self, name: &str) -> Option<Arc<Seat>> {
        self.seats.load().by_name.get(name).cloned()
    }

    /// All seats, by the names of their apps.
    #[must_use]
    pub fn seats(&self) -> Vec<Arc<Seat>> {
        self.seats.load().by_name.values().cloned().collect()
    }

    /// Puts seats in the place of those of the same names, and takes others away, all in one step. Not for two callers at
    /// once. A seat whose place another app has is left out, and the one of its name stays; the sentences say which and why.
    pub fn rearrange(&self, new: Vec<Arc<Seat>>, gone: &[String]) -> Vec<(String, String)> {
        let mut before = self.seats.load().by_name.clone();
        before.retain(|name, _| !gone.contains(name));
        let (mut seats, mut refused) = (Seats::default(), Vec::new());
        // Those that have their places keep them.
        let kept = before.values().filter(|seat| !new.iter().any(|other| other.name == seat.name));
        for seat in kept.cloned() {
            // They had their places beside each other.
            let _ = seats.add(seat);
        }
        for seat in new {
            let name = Arc::clone(&seat.name);
            if let Err(why) = seats.add(seat) {
                refused.push((name.to_string(), why));
                if let Some(old) = before.get(&*name) {
                    let _ = seats.add(Arc::clone(old));
                }
            }
        }
        self.seats.store(Arc::new(seats));
        refused
    }

    /// The app that a request is for, with the bytes of its path that led there.
    fn find(&self, asked: &Asked) -> Result<(Arc<Seat>, usize), Refusal> {
        let host = plain(request::check(&asked.parts, self.max_url_bytes)?);
        let seats = self.seats.load();
        match seats.places.find(&host, asked.parts.uri.path()) {
            Place::Here(seat, prefix) => Ok((Arc::clone(seat), prefix)),
            Place::NoHost => {
                self.metrics.unrouted("host");
                Err(Refusal::WrongHost)
            }
            Place::NoPath => {
                self.metrics.unrouted("path");
                Err(Refusal::NoApp)
            }
        }
    }
}

impl Seats {
    /// Adds a seat at all of its places. The error says who has one of them.
    fn add(&mut self, seat: Arc<Seat>) -> Result<(), String> {
        let taken = seat.places().find_map(|host| Some((host, self.places.at(host, &seat.prefix)?)));
        if let Some((host, other)) = taken {
            let place = format!("{}{}/", host.unwrap_or("any host, path "), seat.prefix);
            return Err(format!("the app {} answers at {place} already", other.name));
        }
        for host in seat.places() {
            // It is free: that was looked at just now.
            let _ = self.places.add(host, &seat.prefix, Arc::clone(&seat));
        }
        self.by_name.insert(seat.name.to_string(), seat);
        Ok(())
    }
}

impl Responder for Node {
    fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    fn respond(self: Arc<Self>, mut asked: Asked) -> Responding {
        take_out(&mut asked.parts.headers);
        let (seat, prefix) = match self.find(&asked) {
            Ok(found) => found,
            Err(refusal) => return Responding::Now(Answered::refused(asked.parts, asked.id, refusal)),
        };
        let app = Arc::clone(&seat.name);
        let revision = match seat.choose(&mut asked.parts) {
            Ok(revision) => revision,
            Err(refusal) => {
                self.metrics.unrouted(if refusal == Refusal::Down { "down" } else { "preview" });
                let refused = Answered::refused(asked.parts, asked.id, refusal);
                return Responding::Now(Answered { app: Some(app), ..refused });
            }
        };
        asked.prefix = prefix;
        asked.peer.joins(revision.tenant().connections());
        match revision.tenant().try_enter() {
            Entry::Refused(refusal) => Responding::Now(revision.refuse(asked, app, refusal)),
            Entry::In(admitted) => revision.answer(asked, app, admitted),
            Entry::Waits => Responding::Later(Box::pin(async move {
                let entered = revision.tenant().enter().await;
                match entered {
                    Err(refusal) => revision.refuse(asked, app, refusal),
                    Ok(admitted) => match revision.answer(asked, app, admitted) {
                        Responding::Now(answered) => answered,
                        Responding::Later(answered) => answered.await,
                    },
                }
            })),
        }
    }
}
