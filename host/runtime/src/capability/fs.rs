//! `starcell:guest/fs`: files, the capabilities `fs.read`, `fs.write` and `fs.delete`.
//!
//! A path is judged, then walked to without following links. A link found on the way makes a new path, which goes
//! through the gate by itself: so links work where both of their ends are granted, and nowhere else. Nothing here opens
//! what is not a regular file or a folder. All of it runs on threads that may block.
//!
//! - [`mod@locate`]: from a permit to a place in the file system
//! - [`content`], [`folder`], [`glob`], [`names`]: what is done there
//! - [`refusal`]: why not

mod content;
mod folder;
mod glob;
pub(super) mod locate;
mod names;
mod refusal;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use starcell_policy::{CanonicalPath, Capability, Function as _, PathFunction as Function};

use crate::Position;
use crate::bindings::starcell::guest::fs::{Host, Info, Kind};
use crate::call_error::HostCallError;
use crate::caller::Caller;
use crate::gate::Effect;
use crate::state::State;
use glob::Pattern;
use locate::{Last, Spot, Walk, locate};
pub(super) use refusal::Refusal;

use super::blocking::{Work, blocking};

/// Most links that one call follows; Linux has the same number.
pub(super) const MAX_LINKS: usize = 40;

/// The result of a function of the host.
type Answer<T> = Result<T, HostCallError>;

impl Host for State {
    async fn read_text(&mut self, path: String, at: Position) -> Answer<String> {
        let files = self.files("fs.read_text", &at)?;
        let bytes = files.read(Function::ReadText, &path, files.limit()).await?;
        let not_text =
            |error: std::string::FromUtf8Error| files.failed(&path, Refusal::NotUtf8(error.utf8_error().valid_up_to()));
        String::from_utf8(bytes).map_err(not_text)
    }

    async fn read_bytes(&mut self, path: String, at: Position) -> Answer<Vec<u8>> {
        let files = self.files("fs.read_bytes", &at)?;
        files.read(Function::ReadBytes, &path, files.limit()).await
    }

    async fn write_text(&mut self, path: String, text: String, at: Position) -> Answer<()> {
        self.files("fs.write_text", &at)?.write(Function::WriteText, &path, text.into_bytes()).await
    }

    async fn write_bytes(&mut self, path: String, data: Vec<u8>, at: Position) -> Answer<()> {
        self.files("fs.write_bytes", &at)?.write(Function::WriteBytes, &path, data).await
    }

    async fn append_text(&mut self, path: String, text: String, at: Position) -> Answer<()> {
        self.files("fs.append_text", &at)?.append(&path, text.into_bytes()).await
    }

    async fn exists(&mut self, path: String, at: Position) -> Answer<bool> {
        let files = self.files("fs.exists", &at)?;
        let exists = |spot: Spot, _: &Work| Ok((spot.entry.is_some(), 0));
        let missing = |refusal: &Refusal| matches!(refusal, Refusal::Os(Errno::NOENT | Errno::NOTDIR));
        files.act_unless(Function::Exists, &path, Last::Follow, exists, move |r| missing(r).then_some(false)).await
    }

    async fn stat(&mut self, path: String, at: Position) -> Answer<Info> {
        let files = self.files("fs.stat", &at)?;
        let stat = |spot: Spot, _: &Work| Ok((info(&spot.entry()?.stat), 0));
        files.act(Function::Stat, &path, Last::Follow, stat).await
    }

    async fn resolve(&mut self, path: String, at: Position) -> Answer<String> {
        let files = self.files("fs.resolve", &at)?;
        let resolve = |spot: Spot, _: &Work| Ok((spot.path.to_string(), 0));
        files.act(Function::Resolve, &path, Last::Follow, resolve).await
    }

    async fn listdir(&mut self, path: String, at: Position) -> Answer<Vec<String>> {
        let files = self.files("fs.listdir", &at)?;
        let list = |spot: Spot, work: &Work| {
            let names = folder::names(spot.open_folder()?, &mut folder::Budget::new(work))?;
            Ok((names.into_iter().map(|name| name.text).collect(), 0))
        };
        files.act(Function::Listdir, &path, Last::Follow, list).await
    }

    async fn glob(&mut self, pattern: String, at: Position) -> Answer<Vec<String>> {
        self.files("fs.glob", &at)?.glob(&pattern).await
    }

    async fn mkdir(&mut self, path: String, parents: bool, at: Position) -> Answer<()> {
        self.files("fs.mkdir", &at)?.mkdir(&path, parents).await
    }

    async fn remove(&mut self, path: String, recursive: bool, at: Position) -> Answer<()> {
        let files = self.files("fs.remove", &at)?;
        let remove = move |spot: Spot, work: &Work| match recursive {
            true => folder::remove_all(&spot, work).map(|()| ((), 0)),
            false => folder::remove(&spot).map(|()| ((), 0)),
        };
        files.act(Function::Remove, &path, Last::Itself, remove).await
    }

    async fn rename(&mut self, source: String, target: String, at: Position) -> Answer<()> {
        self.files("fs.rename", &at)?.rename(&source, &target).await
    }

    async fn copy(&mut self, source: String, target: String, at: Position) -> Answer<()> {
        let files = self.files("fs.copy", &at)?;
        let bytes = files.read(Function::ReadBytes, &source, files.limit()).await?;
        files.write(Function::Copy, &target, bytes).await
    }
}

impl State {
    fn files<'a>(&self, function: &'static str, at: &'a Position) -> wasmtime::Result<Files<'a>> {
        Ok(Files { caller: self.caller()?, function, at })
    }
}

/// A file that the host needs for a script, `option` being what names it there.
pub(super) async fn read_for_host(
    caller: &Caller,
    option: &'static str,
    path: &str,
    limit: usize,
    at: &Position,
) -> Result<Vec<u8>, HostCallError> {
    Files { caller: caller.clone(), function: option, at }.read(Function::ReadBytes, path, limit).await
}

/// A folder that a program is to run in, as a place alone.
pub(super) struct Folder {
    /// Its path, without links.
    pub(super) path: String,
    pub(super) handle: OwnedFd,
}

/// The folder that a program is to run in: `$CWD`, or one that the script may look into.
pub(super) async fn folder_to_run_in(
    caller: &Caller,
    path: Option<&str>,
    at: &Position,
) -> Result<Folder, HostCallError> {
    let Some(path) = path else {
        let path = caller.app.config.cwd.to_string();
        let open = move |_: &Work| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let handle = rustix::fs::open(&path, flags, Mode::empty())?;
            Ok(Folder { path, handle })
        };
        let opened = blocking(caller, open).await;
        return opened.map_err(|refusal: Refusal| HostCallError::of("$CWD", refusal));
    };
    let folder = |spot: Spot, _: &Work| match spot.entry()?.file_type() {
        FileType::Directory => Ok((Folder { path: spot.path.to_string(), handle: spot.open_folder()? }, 0)),
        _ => Err(Refusal::Os(Errno::NOTDIR)),
    };
    let files = Files { caller: caller.clone(), function: "fs.listdir", at };
    files.act(Function::Listdir, path, Last::Follow, folder).await
}

/// One call of a function of this interface.
struct Files<'a> {
    caller: Caller,
    /// Its name in a script, or of the option that names the file, for errors.
    function: &'static str,
    at: &'a Position,
}

impl Files<'_> {
    async fn read(&self, function: Function, path: &str, limit: usize) -> Result<Vec<u8>, HostCallError> {
        let holding = Arc::clone(&self.caller.holding);
        let read = move |spot: Spot, _: &Work| {
            let mut taken = Vec::new();
            let bytes = content::read(&spot, limit, |bytes| {
                taken.push(holding.take_blocking(bytes).map_err(Refusal::TooMuch)?);
                Ok(())
            })?;
            taken.into_iter().for_each(|taken| holding.keep(taken));
            let count = bytes.len() as u64;
            Ok((bytes, count))
        };
        self.act(function, path, Last::Follow, read).await
    }

    async fn write(&self, function: Function, path: &str, data: Vec<u8>) -> Result<(), HostCallError> {
        let (data, limit, holding) = (Arc::new(data), self.limit(), Arc::clone(&self.caller.holding));
        let write = move |spot: Spot, _: &Work| {
            let _taken = holding.take_blocking(data.len()).map_err(Refusal::TooMuch)?;
            content::replace(&spot, &data, limit).map(|()| ((), data.len() as u64))
        };
        self.act(function, path, Last::Follow, write).await
    }

    async fn append(&self, path: &str, data: Vec<u8>) -> Result<(), HostCallError> {
        let (data, limit, holding) = (Arc::new(data), self.limit(), Arc::clone(&self.caller.holding));
        let append = move |spot: Spot, _: &Work| {
            let _taken = holding.take_blocking(data.len()).map_err(Refusal::TooMuch)?;
            content::append(&spot, &data, limit, |bytes| holding.take_blocking(bytes).map_err(Refusal::TooMuch))
                .map(|()| ((), data.len() as u64))
        };
        self.act(Function::AppendText, path, Last::Follow, append).await
    }

    async fn glob(&self, pattern: &str) -> Result<Vec<String>, HostCallError> {
        let failed = |refusal: Refusal| self.failed(pattern, refusal);
        let path = self.canonical(Function::Glob, pattern).await?;
        let split = Pattern::new(&path).map_err(failed)?;
        let (base, gate) = (split.base.clone(), self.caller.gate.clone());
        let hosts = self.caller.app.config.host_files.clone();
        let search = move |spot: Spot, work: &Work| {
            let may_see =
                |path: &CanonicalPath| !hosts.has_path(path, false) && gate.covers(Function::Glob, path.clone());
            split.matches(&spot, &may_see, work).map(|found| (found, 0))
        };
        let none = |refusal: &Refusal| matches!(refusal, Refusal::Os(Errno::NOENT | Errno::NOTDIR)).then(Vec::new);
        let found = self.act_at(Function::Glob, (pattern, base), Last::Follow, search, none).await?;
        self.note_seen(&found).await?;
        if pattern.starts_with('/') {
            return Ok(found);
        }
        // Relative as they were asked for, where that can be said.
        let cwd = format!("{}/", self.caller.app.config.cwd.as_str().trim_end_matches('/'));
        Ok(found.into_iter().map(|path| path.strip_prefix(&cwd).map(str::to_owned).unwrap_or(path)).collect())
    }

    /// Records each path that a script came to know. Whoever reads the log sees what it saw, and a profile made from the
    /// log lets it see that again.
    async fn note_seen(&self, found: &[String]) -> Result<(), HostCallError> {
        if !self.caller.gate.authority().audit().is_on() {
            return Ok(());
        }
        for path in found.iter().filter_map(|path| CanonicalPath::absolute(path).ok()) {
            let nothing = |_permit| std::future::ready(Effect::Ok(((), 0)));
            self.caller.gate.pass(self.at, Function::Glob, path, nothing).await?;
        }
        Ok(())
    }

    /// Makes a folder. Each that is missing above it is made by a call of its own, with a permit of its own.
    async fn mkdir(&self, path: &str, parents: bool) -> Result<(), HostCallError> {
        let mut wanted = self.canonical(Function::Mkdir, path).await?;
        let mut missing = Vec::new();
        loop {
            let make = move |spot: Spot, _: &Work| folder::make(&spot, parents).map(|()| (true, 0));
            let orphan =
                move |refusal: &Refusal| (parents && matches!(refusal, Refusal::Os(Errno::NOENT))).then_some(false);
            let made = self.act_at(Function::Mkdir, (path, wanted.clone()), Last::Follow, make, orphan).await?;
            if made {
                let Some(next) = missing.pop() else { return Ok(()) };
                wanted = next;
            } else {
                let above = above(&wanted).ok_or_else(|| self.failed(path, Refusal::Os(Errno::NOENT)))?;
                missing.push(std::mem::replace(&mut wanted, above));
            }
        }
    }

    /// Both names are judged as writes. The source is judged for reading as well, as the whole tree it may be: under
    /// its new name it could be read where its old one was out of reach.
    async fn rename(&self, source: &str, target: &str) -> Result<(), HostCallError> {
        self.act(Function::RenameFrom, source, Last::Itself, |spot: Spot, _: &Work| spot.entry().map(|_| ((), 0)))
            .await?;
        let from = |spot: Spot, _: &Work| {
            spot.entry()?;
            Ok((spot, 0))
        };
        let from = Arc::new(self.act(Function::Rename, source, Last::Itself, from).await?);
        let rename = move |to: Spot, _: &Work| {
            rustix::fs::renameat(&from.folder, &*from.name, &to.folder, &*to.name)?;
            Ok(((), 0))
        };
        self.act(Function::Rename, target, Last::Itself, rename).await
    }

    /// Passes the gate with a path and acts at the place it names.
    async fn act<T: Send + 'static>(
        &self,
        function: Function,
        path: &str,
        last: Last,
        act: impl Fn(Spot, &Work) -> Result<(T, u64), Refusal> + Clone + Send + 'static,
    ) -> Result<T, HostCallError> {
        self.act_unless(function, path, last, act, |_| None).await
    }

    /// The same, where a refusal by the file system may be an answer too.
    async fn act_unless<T: Send + 'static>(
        &self,
        function: Function,
        path: &str,
        last: Last,
        act: impl Fn(Spot, &Work) -> Result<(T, u64), Refusal> + Clone + Send + 'static,
        otherwise: impl Fn(&Refusal) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T, HostCallError> {
        let canonical = self.canonical(function, path).await?;
        self.act_at(function, (path, canonical), last, act, otherwise).await
    }

    /// The same, for a path that is canonical; `asked` is how the script wrote it.
    async fn act_at<T: Send + 'static>(
        &self,
        function: Function,
        (asked, mut path): (&str, CanonicalPath),
        last: Last,
        act: impl Fn(Spot, &Work) -> Result<(T, u64), Refusal> + Clone + Send + 'static,
        otherwise: impl Fn(&Refusal) -> Option<T> + Clone + Send + 'static,
    ) -> Result<T, HostCallError> {
        for _ in 0..MAX_LINKS {
            let (app, beneath) = (&self.caller.app, function.takes_beneath());
            let writes = beneath || function.capability() != Capability::FsRead;
            if app.config.host_files.has_path(&path, beneath) || (writes && app.is_source(&path, beneath)) {
                return Err(self.caller.gate.hosts(function, &path, self.at).await);
            }
            let (act, otherwise, judged) = (act.clone(), otherwise.clone(), path.clone());
            let effect = |permit| async move {
                let hosts = self.caller.app.config.host_files.clone();
                let work = move |work: &Work| match locate(&permit, last, (&hosts, function.takes_beneath())) {
                    Ok(Walk::Link(next)) => Ok((Err(next), 0)),
                    Ok(Walk::Arrived(spot)) => act(spot, work).map(|(value, bytes)| (Ok(value), bytes)),
                    Err(refusal) => Err(refusal),
                };
                let done = blocking(&self.caller, work).await;
                match done {
                    Err(Refusal::Hosts) => Err(self.caller.gate.hosts(function, &judged, self.at).await),
                    done => done
                        .or_else(|refusal| otherwise(&refusal).map(|value| (Ok(value), 0)).ok_or(refusal))
                        .map_err(|refusal: Refusal| self.failed(asked, refusal)),
                }
            };
            match self.caller.gate.pass(self.at, function, path, effect).await? {
                Ok(value) => return Ok(value),
                Err(next) => path = next,
            }
        }
        Err(self.failed(asked, Refusal::Links(MAX_LINKS)))
    }

    /// The one spelling of a path; one that has none is refused.
    async fn canonical(&self, function: Function, path: &str) -> Result<CanonicalPath, HostCallError> {
        match CanonicalPath::resolve(path, &self.caller.app.config.cwd) {
            Ok(path) => Ok(path),
            Err(error) => {
                self.caller.gate.unjudged(function, path, self.at).await;
                Err(self.failed(path, error.into()))
            }
        }
    }

    fn limit(&self) -> usize {
        self.caller.app.config.limits.io_bytes
    }

    fn failed(&self, path: &str, refusal: Refusal) -> HostCallError {
        HostCallError::about(self.function, path, refusal)
    }
}

/// The folder that a path is in.
fn above(path: &CanonicalPath) -> Option<CanonicalPath> {
    let (above, _) = path.as_str().rsplit_once('/').filter(|(_, name)| !name.is_empty())?;
    CanonicalPath::absolute(if above.is_empty() { "/" } else { above }).ok()
}

fn info(stat: &Stat) -> Info {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    Info {
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            _ => Kind::Other,
        },
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: seconds.saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec),
    }
}
