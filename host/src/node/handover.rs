//! From a running node to a new process: its listening sockets, then its stores, and no connection refused in between.
//!
//! **The decision.** The new process connects to `take-over.sock` in the state folder and gets a handle of each socket. It
//! reads its configuration and loads the guest; only then does it say that it is prepared. The old process answers what it
//! has, closes its stores and its audit log, and says so. From then until the new process serves, connections wait in the
//! queues of the sockets, which both processes hold. The old process ends when the new one says that it is ready.
//!
//! **What it refuses.** Two writers of one store: the new process opens none before the old one has closed them. A process of
//! another user: the folder is the node's own, and each side asks the kernel who the other is.
//!
//! **If the new process fails**, at whatever point, its end of the connection closes. Before the stores were given up the old
//! process has lost nothing; after that it starts its apps again, with the sockets that it has kept.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use rustix::process::{Pid, test_kill_process};
use starcell_log::{Level, Logs};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::sockets::KeptSockets;
use crate::sockets::GivenSocket;

/// The socket in the state folder.
const SOCKET: &str = "take-over.sock";

/// The first line of a new process, with the version of this exchange.
const HELLO: &str = "take-over 1\n";
const END: &str = "end\n";
const PREPARED: &str = "prepared\n";
const RELEASED: &str = "released\n";
const READY: &str = "ready\n";

/// How long the first line may take.
const GREETING: Duration = Duration::from_secs(5);

/// How long a new process may take to prepare itself, before another one has its turn.
const PREPARING: Duration = Duration::from_secs(120);

/// How long a new process that has failed may take to end, and how often it is looked for.
const ENDING: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(10);

/// Bytes that one side reads of the other at most.
const MAX_TEXT: usize = 64 << 10;

/// A running node, where new processes ask to take over. Ends when dropped.
#[derive(Debug)]
pub(crate) struct HandOver {
    prepared: mpsc::Receiver<Successor>,
    _task: JoinSet<()>,
}

/// A new process that is prepared, as the old one sees it.
#[derive(Debug)]
pub(crate) struct Successor {
    stream: UnixStream,
    process: u32,
    /// Dropped with this: then another one has its turn.
    _turn: oneshot::Sender<()>,
}

/// A running node, as the new process sees it.
#[derive(Debug)]
pub(crate) struct Predecessor(UnixStream);

impl HandOver {
    /// Waits for new processes in a state folder. A socket that is there already was left by an earlier process, or is that of
    /// the predecessor of this one.
    ///
    /// # Errors
    /// The sentence about a socket that cannot be made.
    pub(crate) fn open(state: &Path, kept: KeptSockets, logs: Logs) -> Result<Self, String> {
        let path = state.join(SOCKET);
        let listener = listen(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        let (sender, prepared) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(GREETING).await;
                    continue;
                };
                match give(stream, &kept).await {
                    Ok((stream, process)) => {
                        let (_turn, over) = oneshot::channel();
                        if sender.send(Successor { stream, process, _turn }).await.is_err() {
                            return;
                        }
                        // One at a time. An error is the end of its turn.
                        let _ = over.await;
                    }
                    Err(why) => logs.say(Level::Warn, &format!("a process that asked to take over did not: {why}")),
                }
            }
        });
        Ok(Self { prepared, _task: task })
    }

    /// The next process that is prepared to take over.
    pub(crate) async fn next(&mut self) -> Successor {
        match self.prepared.recv().await {
            Some(successor) => successor,
            None => std::future::pending().await,
        }
    }
}

/// Makes the socket beside its place and moves it there: a process that connects finds the old one or the new one.
#[expect(clippy::disallowed_methods, reason = "makes a socket in the folder of the node")]
fn listen(path: &Path) -> io::Result<UnixListener> {
    let beside = beside(path);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&beside)?;
    std::fs::rename(&beside, path)?;
    Ok(listener)
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension(format!("{}", std::process::id()))
}

/// Refuses the other end of a connection unless it has this process's own user. Returns its process.
fn judged(stream: &UnixStream) -> Result<u32, String> {
    let other = stream.peer_cred().map_err(|error| format!("the kernel does not say whose it is: {error}"))?;
    if other.uid() != rustix::process::geteuid().as_raw() {
        return Err(format!("it is a process of the user {}", other.uid()));
    }
    Ok(other.pid().and_then(|process| process.try_into().ok()).unwrap_or_default())
}

/// Gives the sockets to a new process, and waits until it is prepared.
async fn give(mut stream: UnixStream, kept: &KeptSockets) -> Result<(UnixStream, u32), String> {
    let process = judged(&stream)?;
    let hello = timeout(GREETING, line(&mut stream)).await.map_err(|_| "it said nothing".to_owned())??;
    if hello != HELLO {
        return Err(format!("it speaks another version: {hello:?}"));
    }
    let sockets = kept.copies().map_err(|error| error.to_string())?;
    for (table, socket) in &sockets {
        send(&stream, &format!("{table}\n"), Some(socket)).await.map_err(|error| error.to_string())?;
    }
    send(&stream, END, None).await.map_err(|error| error.to_string())?;
    let prepared =
        timeout(PREPARING, line(&mut stream)).await.map_err(|_| "it was not prepared in time".to_owned())??;
    if prepared != PREPARED {
        return Err(format!("it said {prepared:?}"));
    }
    Ok((stream, process))
}

impl Successor {
    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Ends when the new process does before it is ready.
    pub(crate) async fn gone(&mut self) {
        // It has nothing to say before it was told anything: whatever can be read is its end.
        let _ = self.stream.read_u8().await;
    }

    /// Says that the stores are free; true when the new process is ready, false when it has ended.
    pub(crate) async fn go_on(&mut self) -> bool {
        self.stream.write_all(RELEASED.as_bytes()).await.is_ok()
            && line(&mut self.stream).await.is_ok_and(|said| said == READY)
    }
}

impl Predecessor {
    /// Asks the node of a state folder for its sockets; nobody where none runs.
    ///
    /// # Errors
    /// The sentence about a node that does not give them.
    pub(crate) async fn find(state: &Path) -> Result<Option<(Self, Vec<GivenSocket>)>, String> {
        let path = state.join(SOCKET);
        let cannot = |why: String| format!("cannot take over from the node at {}: {why}", path.display());
        let mut stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(cannot(error.to_string())),
        };
        judged(&stream).map_err(&cannot)?;
        stream.write_all(HELLO.as_bytes()).await.map_err(|error| cannot(error.to_string()))?;
        let sockets = timeout(PREPARING, receive(&stream)).await;
        let sockets = sockets.map_err(|_| "it does not answer".to_owned()).and_then(|sockets| sockets);
        Ok(Some((Self(stream), sockets.map_err(cannot)?)))
    }

    /// Says that this process is prepared, and waits until the stores are free.
    ///
    /// # Errors
    /// The sentence about a node that has ended instead.
    pub(crate) async fn released(&mut self) -> Result<(), String> {
        let sent = self.0.write_all(PREPARED.as_bytes()).await.map_err(|error| error.to_string());
        let said = match sent {
            Ok(()) => line(&mut self.0).await,
            Err(error) => Err(error),
        };
        match said {
            Ok(said) if said == RELEASED => Ok(()),
            Ok(said) => Err(format!("the node that was to be taken over said {said:?}")),
            Err(why) => Err(format!("the node that was to be taken over gave nothing up: {why}")),
        }
    }

    /// Says that this process serves.
    pub(crate) async fn ready(mut self) {
        // A node that has ended meanwhile needs to know nothing.
        let _ = self.0.write_all(READY.as_bytes()).await;
    }
}

/// Waits until a process has ended, and with it all that it has locked; not for ever, as it may hang.
pub(crate) async fn ended(process: u32) {
    let gone = async {
        while is_alive(process) {
            tokio::time::sleep(LOOK).await;
        }
    };
    let _ = timeout(ENDING, gone).await;
}

/// Whether there is a process. Behind landlock a node may not signal it, and is told so, which is an answer too; `/proc` is
/// closed there.
fn is_alive(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    process.is_some_and(|process| test_kill_process(process) != Err(Errno::SRCH))
}

/// Sends a line, with a socket beside it.
async fn send(stream: &UnixStream, line: &str, socket: Option<&TcpListener>) -> io::Result<()> {
    let sent = stream.async_io(Interest::WRITABLE, || {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        let handles = socket.map(|socket| [socket.as_fd()]);
        if let Some(handles) = &handles {
            beside.push(SendAncillaryMessage::ScmRights(handles));
        }
        Ok(sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut beside, SendFlags::NOSIGNAL)?)
    });
    // A line is shorter than the smallest buffer of a socket, so that it goes as a whole.
    match sent.await? == line.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Receives lines with a socket beside each, until the last line, which has none.
async fn receive(stream: &UnixStream) -> Result<Vec<GivenSocket>, String> {
    let (mut text, mut sockets) = (String::new(), Vec::new());
    while text != END && !text.ends_with(&format!("\n{END}")) {
        let read = stream.async_io(Interest::READABLE, || {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let read = recvmsg(stream, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?.bytes;
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(handles) = message {
                    sockets.extend(handles.map(TcpListener::from));
                }
            }
            Ok(bytes.get(..read).map(<[u8]>::to_vec).unwrap_or_default())
        });
        let read = read.await.map_err(|error| error.to_string())?;
        if read.is_empty() || text.len() + read.len() > MAX_TEXT {
            return Err("it gave no sockets".to_owned());
        }
        text.push_str(&String::from_utf8(read).map_err(|_| "what it says is no text".to_owned())?);
    }
    let names: Vec<&str> = text.lines().filter(|line| format!("{line}\n") != END).collect();
    if names.len() != sockets.len() {
        return Err(format!("it named {} sockets and gave {}", names.len(), sockets.len()));
    }
    Ok(names.into_iter().zip(sockets).map(|(name, socket)| GivenSocket { name: name.to_owned(), socket }).collect())
}

/// Reads one line, byte by byte: what follows it belongs to whoever reads next.
async fn line(stream: &mut UnixStream) -> Result<String, String> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        match stream.read_u8().await {
            Ok(byte) if line.len() < MAX_TEXT => line.push(byte),
            Ok(_) => return Err("its line is too long".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err("it has ended".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
    String::from_utf8(line).map_err(|_| "what it says is no text".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
mod tests {
    use starcell_log::LogChoice;

    use super::*;

    struct Old {
        folder: PathBuf,
        hand_over: HandOver,
        port: u16,
    }

    fn old(name: &str) -> Old {
        let folder = std::env::temp_dir().join(format!("starcell-take-over-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (logs, _writer) = Logs::start(LogChoice { format: None, least: Some(Level::Error) });
        let (kept, socket) = (KeptSockets::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let port = socket.local_addr().unwrap().port();
        kept.keep("listeners.web", socket);
        kept.keep("metrics", TcpListener::bind("127.0.0.1:0").unwrap());
        Old { hand_over: HandOver::open(&folder, kept, logs).unwrap(), folder, port }
    }

    #[tokio::test]
    async fn sockets_and_words_cross() {
        let mut old = old("crosses");
        let (mut new, sockets) = Predecessor::find(&old.folder).await.unwrap().unwrap();
        let names: Vec<&str> = sockets.iter().map(|given| given.name.as_str()).collect();
        assert_eq!(names, ["listeners.web", "metrics"]);
        assert_eq!(sockets.first().unwrap().socket.local_addr().unwrap().port(), old.port);
        let taking = tokio::spawn(async move {
            new.released().await.unwrap();
            new.ready().await;
        });
        let mut successor = old.hand_over.next().await;
        assert_eq!(successor.process(), std::process::id());
        assert!(successor.go_on().await, "it is ready");
        taking.await.unwrap();
        std::fs::remove_dir_all(old.folder).unwrap();
    }

    #[tokio::test]
    async fn one_that_ends_before_it_is_ready_is_noticed_and_the_next_has_its_turn() {
        let mut old = old("ends");
        for ends_late in [false, true] {
            let (mut new, _sockets) = Predecessor::find(&old.folder).await.unwrap().unwrap();
            let taking = tokio::spawn(async move { new.released().await });
            let mut successor = old.hand_over.next().await;
            match ends_late {
                false => {
                    taking.abort();
                    successor.gone().await;
                }
                // It has the stores, and ends.
                true => assert!(!successor.go_on().await),
            }
        }
        // Whoever speaks another language is sent away.
        let mut other = UnixStream::connect(old.folder.join(SOCKET)).await.unwrap();
        other.write_all(b"take-over 9\n").await.unwrap();
        assert_eq!(line(&mut other).await.unwrap_err(), "it has ended");
        assert!(Predecessor::find(&old.folder).await.unwrap().is_some());
        assert!(is_alive(std::process::id()) && !is_alive(u32::MAX));
        drop(old.hand_over);
        let nobody = async {
            // Its task ends a moment later.
            while !matches!(Predecessor::find(&old.folder).await, Ok(None)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        timeout(GREETING, nobody).await.unwrap();
        std::fs::remove_dir_all(old.folder).unwrap();
    }
}
