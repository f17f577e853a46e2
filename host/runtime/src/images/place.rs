//! The image of one revision: looked for, kept, and recalled.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ring::digest::{SHA256, digest};
use starcell_budget::MemoryUse;
use starcell_policy::{EnvFunction, EnvName, ServerAddress, ServerFunction};

use super::files::{ImageFile, ImageName};
use super::format::{FIXED, Head, decode, encode, head_length};
use super::identity::{ImageOwner, identity};
use super::store::ImageStore;
use crate::app::App;
use crate::bindings::starcell::guest::types::Position;
use crate::call_error::HostCallError;
use crate::capability::source::read as read_source;
use crate::context::AppContext;
use crate::failure::{Failure, Limit};
use crate::gate::{Effect, Gate};
use crate::holding::PATIENCE;
use crate::memory::image::Image;
use crate::serving::Serving;
use crate::slow::on_blocking_thread;
use crate::witness::{Asked, SetupCall, SetupCallKind, source_digest};

/// Bytes that are read of a file before it is known how long its head is: all of most heads.
const FIRST: usize = 4096;

/// Where the image of one revision is looked for and kept.
pub struct ImagePlace {
    store: Arc<ImageStore>,
    identity: [u8; 32],
}

/// An image that is on disk, and stays there as long as this is held.
#[derive(Debug)]
pub struct Kept {
    store: Arc<ImageStore>,
    name: ImageName,
    identity: [u8; 32],
    bytes: usize,
}

/// An image that was found, of which only the head was read.
#[derive(Debug)]
pub struct Recalled {
    kept: Kept,
    asked: Asked,
    server: u32,
    routes: Vec<String>,
}

/// Why an image did not come back into memory.
#[derive(Debug)]
pub enum NotRecalled {
    /// It is of no use any more: the sentence. It has to be made anew.
    Useless(String),
    /// Not now.
    Failed(Failure),
}

impl fmt::Debug for ImagePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImagePlace").field("store", &self.store).finish_non_exhaustive()
    }
}

impl ImagePlace {
    /// The place of an app with this script.
    #[must_use]
    pub fn new(store: &Arc<ImageStore>, app: &App, owner: &ImageOwner<'_>, source: &[u8]) -> Self {
        let identity = identity(&store.key, &store.interpreter, owner, &app.context, source);
        Self { store: Arc::clone(store), identity }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<ImageStore> {
        &self.store
    }

    /// Looks for an image that an earlier setup of the same script left under the same conditions. One whose loaded files
    /// have changed is none.
    ///
    /// # Errors
    /// There is one, and it cannot be used: the sentence. It is removed.
    pub async fn find(&self, app: &App) -> Result<Option<Recalled>, String> {
        let name = ImageName { digest: self.identity, lasts: true };
        if !self.store.folder.hold(&name) {
            return Ok(None);
        }
        let mut kept = Kept { store: Arc::clone(&self.store), name, identity: self.identity, bytes: 0 };
        let (context, store) = (Arc::clone(&app.context), Arc::clone(&self.store));
        let found = self.store.blocking(move || {
            let (head, _, _) = read_head(&store, &name)?;
            if !is_loaded(&context, &head) {
                return Ok(None);
            }
            let bytes = head.layout.own_pages().unwrap_or_default().saturating_mul(head.layout.page);
            Ok(Some((head, bytes)))
        });
        match found.await {
            Ok(None) => Ok(None),
            Ok(Some((Head { identity, .. }, _))) if identity != self.identity => {
                Err(kept.refuse("it is the image of something else".to_owned()))
            }
            Ok(Some((Head { asked: Some(asked), server, routes, .. }, bytes))) => {
                kept.bytes = bytes;
                Ok(Some(Recalled { kept, asked, server, routes }))
            }
            Ok(Some(_)) => Err(kept.refuse("its setup looked at the world, so it does not last".to_owned())),
            Err(why) => Err(kept.refuse(why)),
        }
    }

    /// Writes the image that answers requests. `made_by` is the app that has set the script up, and has nothing more to do:
    /// all that its setup asked for is known. Another process can use the image too, if the setup did not look at the world.
    ///
    /// # Errors
    /// The sentence about a disk that is full, or that fails.
    pub async fn keep(
        &self,
        made_by: &App,
        serving: &Serving,
        server: u32,
        routes: Vec<String>,
    ) -> Result<Kept, String> {
        let asked = made_by.context.witness.asked();
        let name = match asked {
            Some(_) => ImageName { digest: self.identity, lasts: true },
            None => self.store.passing_name(),
        };
        let (store, image, identity) = (Arc::clone(&self.store), Arc::clone(serving.image()), self.identity);
        let bytes = image.bytes();
        let write = move || {
            let mut head = Head { identity, asked, server, routes, layout: image.layout(), digest: [0; 32] };
            head.digest.copy_from_slice(digest(&SHA256, image.own_bytes()).as_ref());
            let begin = encode(&store.key, &head)?;
            store.folder.write(&name, &[&begin, image.own_bytes()]).map_err(|error| error.to_string())
        };
        self.store.blocking(write).await?;
        Ok(Kept { store: Arc::clone(&self.store), name, identity, bytes })
    }
}

impl Kept {
    /// Whether another process can use it.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.name.lasts
    }

    /// Bytes of memory that one fork of it may take before it grows.
    #[must_use]
    pub fn fork_bytes(&self, app: &App) -> u64 {
        Serving::bytes_of_fork(self.bytes, app.limits())
    }

    /// Brings the image back into memory, to answer the requests of an app.
    ///
    /// # Errors
    /// It is of no use any more, or there is no memory for it now.
    pub async fn recall(&self, app: &Arc<App>) -> Result<Serving, NotRecalled> {
        let taken = app.context.config.memory.take(MemoryUse::Guest, self.bytes as u64, PATIENCE).await;
        let taken = taken.ok_or(NotRecalled::Failed(Failure::Limit(Limit::Budget)))?;
        let (store, name, identity) = (Arc::clone(&self.store), self.name, self.identity);
        let (base, expected) = (Arc::clone(app.interpreter.base()), self.bytes);
        let read = self.store.blocking(move || Ok(read_image(&store, &name, &identity, expected, &base)));
        match read.await.map_err(|error| NotRecalled::Failed(Failure::Host(error)))? {
            Ok(image) => {
                self.store.counted.recalled.fetch_add(1, Ordering::Relaxed);
                Ok(Serving::of_image(app, image, taken))
            }
            Err(NotRecalled::Useless(why)) => Err(NotRecalled::Useless(self.refuse(why))),
            Err(error) => Err(error),
        }
    }

    /// Takes an image that cannot be used out of the store.
    fn refuse(&self, why: String) -> String {
        self.store.counted.refused.fetch_add(1, Ordering::Relaxed);
        self.store.folder.discard(&self.name);
        why
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.store.folder.release(&self.name);
    }
}

impl Recalled {
    /// Has an app do what the setup did with the host: make its routes, and its privileged calls, each of which the policy
    /// decides and the audit log records as ever. Returns the server that answers.
    ///
    /// # Errors
    /// The host does not do it any more: the sentence.
    pub async fn repeat(self, app: &Arc<App>) -> Result<(Kept, u32), String> {
        let Self { kept, asked, server, routes } = self;
        let context = &app.context;
        for (number, pattern) in routes.iter().enumerate() {
            let made = context.host.add_route(server, pattern)?;
            if made as usize != number {
                return Err(format!("the route {pattern:?} has the number {made} and had {number}"));
            }
        }
        if let Some(folder) = &context.config.folder {
            asked.loaded.iter().for_each(|(path, _)| context.note_loaded(folder.join(path)));
        }
        for SetupCall { file, line, column, what } in asked.calls {
            let at = Position { file, line, column };
            let gate = Gate::new(Arc::clone(&context.authority), None);
            match what {
                SetupCallKind::Env(name) => ask_for_env(context, &gate, &at, &name).await,
                SetupCallKind::Listen { server: number, host, port, options } => {
                    let address = ServerAddress::new(&host, port).map_err(|error| format!("{host:?}: {error}"))?;
                    let listen = |permit| async {
                        let listening = context.host.listen(number, options, permit, None).await;
                        listening.map(|port| (port, 0)).map_err(HostCallError::failed)
                    };
                    let listening = gate.pass(&at, ServerFunction::Serve, address, listen).await;
                    if number == server && listening.is_err() && context.host.port(server).is_none() {
                        return Err("its server cannot be started any more".to_owned());
                    }
                }
            }
        }
        context.note_serving();
        kept.store.counted.found.fetch_add(1, Ordering::Relaxed);
        Ok((kept, server))
    }
}

/// Asks for a variable of the environment as the setup did. The image has what it found; the digest says that it is the same.
async fn ask_for_env(context: &AppContext, gate: &Gate, at: &Position, name: &str) {
    match EnvName::new(name) {
        Ok(variable) => {
            let bytes = context.config.state.environment.get(name).map_or(0, |value| value.len() as u64);
            let found = |_permit| std::future::ready(Effect::Ok(((), bytes)));
            // A refusal is what the setup was told too: the digest covers the policy.
            let _ = gate.pass(at, EnvFunction::Env, variable, found).await;
        }
        Err(_) => gate.unjudged(EnvFunction::Env, name, at).await,
    }
}

impl ImageStore {
    /// Does work on a thread that may block, of which there are few at once.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        // It is never closed.
        let _place = self.places.acquire().await;
        on_blocking_thread(work).await.unwrap_or_else(|error| Err(error.to_string()))
    }
}

/// Whether the files that the setup loaded are what they were.
fn is_loaded(context: &AppContext, head: &Head) -> bool {
    let mut loaded = head.asked.iter().flat_map(|asked| &asked.loaded);
    let Some(folder) = context.config.folder.as_deref() else { return loaded.next().is_none() };
    loaded.all(|(path, digest)| read_source(folder, path).is_ok_and(|bytes| source_digest(&bytes) == *digest))
}

/// Reads the head of an image, and says where its pages begin. The error is a sentence.
fn read_head(store: &ImageStore, name: &ImageName) -> Result<(Head, ImageFile, usize), String> {
    let file = store.folder.open_image(name).map_err(|error| format!("it cannot be read: {error}"))?;
    let length = usize::try_from(file.length).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; FIRST.min(length)];
    file.read(&mut bytes, 0).map_err(|error| format!("it cannot be read: {error}"))?;
    let fixed = *bytes.first_chunk::<FIXED>().ok_or("it is cut off")?;
    let end = FIXED + head_length(&fixed)?;
    if end > length {
        return Err("it is cut off".to_owned());
    }
    let first = bytes.len();
    bytes.resize(end, 0);
    if let Some(rest) = bytes.get_mut(first.min(end)..) {
        file.read(rest, first as u64).map_err(|error| format!("it cannot be read: {error}"))?;
    }
    let head = decode(&store.key, &fixed, bytes.get(FIXED..).unwrap_or_default())?;
    let pages = head.layout.own_pages().and_then(|pages| pages.checked_mul(head.layout.page));
    match pages.and_then(|pages| pages.checked_add(end)) == Some(length) {
        true => Ok((head, file, end)),
        false => Err("it is cut off".to_owned()),
    }
}

/// Reads a whole image. Its pages are compared where nobody can change them any more.
fn read_image(
    store: &ImageStore,
    name: &ImageName,
    identity: &[u8; 32],
    expected: usize,
    base: &Arc<Image>,
) -> Result<Image, NotRecalled> {
    let useless = |why: &str| NotRecalled::Useless(why.to_owned());
    let (head, file, pages) = read_head(store, name).map_err(NotRecalled::Useless)?;
    if head.identity != *identity {
        return Err(useless("it is the image of something else"));
    }
    // A disk that fails says something about the image, unlike a machine that has no memory left.
    let read = |error: io::Error| io::Error::other(format!("it cannot be read: {error}"));
    let image = Image::restore(&head.layout, base, |target| file.read(target, pages as u64).map_err(read));
    let image = image.map_err(|error| match error.raw_os_error() {
        // The machine has no file or memory left, which says nothing about the image.
        Some(_) => NotRecalled::Failed(Failure::Host(format!("cannot map an image: {error}"))),
        None => useless(&error.to_string()),
    })?;
    if digest(&SHA256, image.own_bytes()).as_ref() != head.digest {
        return Err(useless("its pages are damaged"));
    }
    if image.bytes() != expected {
        return Err(useless("it has other pages than it had"));
    }
    Ok(image)
}
