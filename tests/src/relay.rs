//! A wire between a node and its store that a test can cut, slow down and lead elsewhere.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::refused;
use crate::process::until;
use crate::servers::steady_port;

/// How often a thread looks whether the fault is another one.
const STEP: Duration = Duration::from_millis(2);

/// What is wrong with the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// The port is closed, and connections have ended.
    Away,
    /// Connections are taken, and nothing comes through in either direction.
    Hanging,
    /// What is sent comes so much later, in each direction.
    Slow(Duration),
}

/// A port that leads to another one. It ends with this.
#[derive(Debug)]
pub struct Relay {
    /// The port on 127.0.0.1.
    pub port: u16,
    wire: Arc<Wire>,
}

#[derive(Debug)]
struct Wire {
    fault: Mutex<Fault>,
    target: AtomicU16,
    /// Bytes that came from clients.
    carried: AtomicU64,
    /// Raised by each fault that ends connections, which belong to the count that they began under.
    cuts: AtomicU64,
    ended: AtomicBool,
}

impl Relay {
    /// A wire to a port of this machine, with nothing wrong.
    #[must_use]
    pub fn to(target: u16) -> Self {
        let wire = Wire {
            fault: Mutex::new(Fault::None),
            target: AtomicU16::new(target),
            carried: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        };
        let relay = Self { port: steady_port(), wire: Arc::new(wire) };
        let (wire, port) = (Arc::clone(&relay.wire), relay.port);
        thread::spawn(move || wire.listen(port));
        until("the wire takes connections", || !refused(relay.port));
        relay
    }

    /// Brings a fault about, and returns when it is so.
    pub fn set(&self, fault: Fault) {
        *self.wire.fault.lock().expect("no panic") = fault;
        if fault == Fault::Away {
            self.wire.cuts.fetch_add(1, Ordering::SeqCst);
        }
        until("the port is open, or closed", || refused(self.port) == (fault == Fault::Away));
    }

    /// Ends all connections, and leads the next ones to another port.
    pub fn lead_to(&self, target: u16) {
        self.wire.target.store(target, Ordering::SeqCst);
        self.wire.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends all connections; others can be made.
    pub fn cut(&self) {
        self.wire.cuts.fetch_add(1, Ordering::SeqCst);
    }

    /// Bytes that clients sent so far.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.wire.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.wire.ended.store(true, Ordering::SeqCst);
        self.cut();
    }
}

impl Wire {
    fn fault(&self) -> Fault {
        *self.fault.lock().expect("no panic")
    }

    /// Takes connections while the port is to be open.
    fn listen(self: Arc<Self>, port: u16) {
        let mut open: Option<TcpListener> = None;
        while !self.ended.load(Ordering::SeqCst) {
            if self.fault() == Fault::Away {
                open = None;
            } else if open.is_none() {
                open = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok();
                open.iter().for_each(|listener| listener.set_nonblocking(true).expect("a socket of our own"));
            }
            match open.as_ref().map(TcpListener::accept) {
                Some(Ok((client, _))) => self.connect(client),
                _ => thread::sleep(STEP),
            }
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        client.set_nonblocking(false).expect("a socket of our own");
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target.load(Ordering::SeqCst))) else { return };
        let cuts = self.cuts.load(Ordering::SeqCst);
        let copies = (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
        for (from, to, counts) in [(client, server, true), (copies.1, copies.0, false)] {
            let wire = Arc::clone(self);
            let _ = (from.set_nodelay(true), from.set_read_timeout(Some(Duration::from_millis(10))));
            thread::spawn(move || wire.carry(&from, &to, cuts, counts));
        }
    }

    /// Carries bytes in one direction until either side ends, or the wire is cut.
    fn carry(&self, mut from: &TcpStream, mut to: &TcpStream, cuts: u64, counts: bool) {
        let is_cut = || self.cuts.load(Ordering::SeqCst) != cuts;
        let mut bytes = [0; 16 << 10];
        while !is_cut() {
            let read = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            if counts {
                self.carried.fetch_add(read as u64, Ordering::SeqCst);
            }
            self.hold_up(Instant::now(), &is_cut);
            if is_cut() || to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        // Both directions end: the other thread reads the end.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }

    /// Returns when what was read at this time may go on.
    fn hold_up(&self, read: Instant, is_cut: &dyn Fn() -> bool) {
        loop {
            match self.fault() {
                Fault::None | Fault::Away => return,
                Fault::Slow(time) if read.elapsed() >= time => return,
                Fault::Hanging | Fault::Slow(_) if is_cut() => return,
                Fault::Hanging | Fault::Slow(_) => thread::sleep(STEP),
            }
        }
    }
}
