//! The folder of the images: names, what is in use, the bound, and writing so that no file is ever half.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this file owns the folder of the images")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};

/// The file with the key of the node. Whoever has it can make images that the node takes for its own.
const KEY: &str = "key";
const KEY_BYTES: usize = 32;

/// Ends of names: images that last, images of this process, and files that are being written.
const LASTING: &str = ".image";
const PASSING: &str = ".passing";
const UNFINISHED: &str = ".tmp";

/// What an image is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ImageName {
    pub(super) digest: [u8; 32],
    /// Whether it is still of use to another process.
    pub(super) lasts: bool,
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Bytes that the images may have together.
    most: u64,
    index: Mutex<Index>,
    unfinished: AtomicU64,
}

#[derive(Debug, Default)]
struct Index {
    files: BTreeMap<ImageName, Entry>,
    bytes: u64,
    /// Counts uses.
    uses: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    bytes: u64,
    used: u64,
    /// Revisions that need it.
    holders: u32,
}

impl ImageName {
    fn file(&self) -> String {
        let mut name = String::with_capacity(2 * self.digest.len() + PASSING.len());
        for byte in self.digest {
            // Writing to a String cannot fail.
            let _ = write!(name, "{byte:02x}");
        }
        name.push_str(if self.lasts { LASTING } else { PASSING });
        name
    }

    fn of_file(name: &str) -> Option<Self> {
        let hex = name.strip_suffix(LASTING)?;
        let mut digest = [0; 32];
        if hex.len() != 2 * digest.len() || !hex.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(Self { digest, lasts: true })
    }
}

impl Folder {
    /// Opens the folder, makes it if need be, removes what an earlier process left that is of no use, and returns the key
    /// of the node with it.
    pub(super) fn open(
        path: &Path,
        most: u64,
        new_key: impl FnOnce() -> Option<[u8; 32]>,
    ) -> io::Result<(Self, [u8; 32])> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let (mut old, mut found) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            match ImageName::of_file(name) {
                Some(image) => {
                    let about = entry.metadata()?;
                    found.push((about.modified()?, image, about.len()));
                }
                None if name.ends_with(PASSING) || name.ends_with(UNFINISHED) => old.push(entry.path()),
                None => {}
            }
        }
        let key = match read_key(&path.join(KEY)) {
            Some(key) => key,
            None => {
                let key = new_key().ok_or_else(|| io::Error::other("the system has no random number"))?;
                // No image can be verified any more.
                old.extend(found.drain(..).map(|(_, image, _)| path.join(image.file())));
                let unfinished = path.join(format!("{KEY}{UNFINISHED}"));
                let _ = fs::remove_file(&unfinished);
                write_new(&unfinished, &[&key])?;
                fs::rename(&unfinished, path.join(KEY))?;
                key
            }
        };
        old.iter().try_for_each(|file| fs::remove_file(file).or_else(ignore_missing))?;
        found.sort_unstable();
        let mut index = Index::default();
        found.into_iter().for_each(|(_, name, bytes)| index.insert(name, bytes, 0));
        let folder = Self { path: path.to_owned(), most, index: Mutex::new(index), unfinished: AtomicU64::new(0) };
        folder.make_room(None, 0);
        Ok((folder, key))
    }

    /// Has an image stay until it is released; says whether it is there.
    pub(super) fn hold(&self, name: &ImageName) -> bool {
        let mut index = self.index.lock();
        let entry = index.files.get_mut(name);
        entry.map(|entry| entry.holders += 1).is_some()
    }

    /// Gives an image up that was held or written. One that does not last and that nobody holds any more is removed.
    pub(super) fn release(&self, name: &ImageName) {
        let mut index = self.index.lock();
        index.uses += 1;
        let uses = index.uses;
        let Some(entry) = index.files.get_mut(name) else { return };
        entry.holders = entry.holders.saturating_sub(1);
        entry.used = uses;
        let is_free = entry.holders == 0;
        if is_free && !name.lasts {
            index.remove(name);
        }
        drop(index);
        let file = self.path.join(name.file());
        match name.lasts {
            // So that the next process knows what was used last. Nothing depends on it.
            true if is_free => {
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let times = Timestamps { last_access: now, last_modification: now };
                let _ = utimensat(CWD, &file, &times, AtFlags::empty());
            }
            false if is_free => drop(fs::remove_file(&file)),
            _ => {}
        }
    }

    /// Removes an image that cannot be used, whoever holds it.
    pub(super) fn discard(&self, name: &ImageName) {
        self.index.lock().remove(name);
        let _ = fs::remove_file(self.path.join(name.file()));
    }

    /// Opens an image, and says how long it is.
    pub(super) fn open_image(&self, name: &ImageName) -> io::Result<ImageFile> {
        let file = File::open(self.path.join(name.file()))?;
        let length = file.metadata()?.len();
        Ok(ImageFile { file, length })
    }

    /// Writes an image and holds it. It has its name only once all of it is there; a process that ends before leaves a file
    /// that the next one removes. Whether it is on the disk when the machine ends is left to the system: a file that is not
    /// whole then is refused when it is read.
    pub(super) fn write(&self, name: &ImageName, parts: &[&[u8]]) -> io::Result<()> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        if !self.make_room(Some(name), bytes) {
            return Err(io::Error::other(format!("{} is full: see `images` in [node]", self.path.display())));
        }
        // Its bytes are counted already.
        let finish = |entry: Option<Entry>| {
            let mut index = self.index.lock();
            index.bytes = index.bytes.saturating_sub(bytes);
            entry.into_iter().for_each(|entry| index.insert(*name, entry.bytes, entry.holders));
        };
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.path.join(format!("{}.{number}{UNFINISHED}", name.file()));
        let written = write_new(&unfinished, parts).and_then(|()| fs::rename(&unfinished, self.path.join(name.file())));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            finish(None);
            return Err(error);
        }
        finish(Some(Entry { bytes, used: 0, holders: 1 }));
        Ok(())
    }

    /// Bytes of all images.
    pub(super) fn bytes(&self) -> u64 {
        self.index.lock().bytes
    }

    /// Removes what was not used for longest and nobody holds until an image of so many bytes fits in place of the one of its
    /// name, and counts them as used; says whether it fits.
    fn make_room(&self, name: Option<&ImageName>, bytes: u64) -> bool {
        let fits = |index: &Index| {
            let before = name.and_then(|name| index.files.get(name)).map_or(0, |entry| entry.bytes);
            index.bytes.saturating_sub(before).checked_add(bytes).is_some_and(|sum| sum <= self.most)
        };
        loop {
            let mut index = self.index.lock();
            if fits(&index) {
                index.bytes += bytes;
                return true;
            }
            let free = index.files.iter().filter(|(other, entry)| entry.holders == 0 && Some(*other) != name);
            let Some(oldest) = free.min_by_key(|(_, entry)| entry.used).map(|(name, _)| *name) else { return false };
            index.remove(&oldest);
            drop(index);
            let _ = fs::remove_file(self.path.join(oldest.file()));
        }
    }
}

impl Index {
    fn insert(&mut self, name: ImageName, bytes: u64, holders: u32) {
        let before = self.files.get(&name).copied();
        self.bytes = self.bytes.saturating_sub(before.map_or(0, |entry| entry.bytes)) + bytes;
        self.uses += 1;
        let holders = holders + before.map_or(0, |entry| entry.holders);
        self.files.insert(name, Entry { bytes, used: self.uses, holders });
    }

    fn remove(&mut self, name: &ImageName) {
        if let Some(entry) = self.files.remove(name) {
            self.bytes = self.bytes.saturating_sub(entry.bytes);
        }
    }
}

/// An image that is open.
#[derive(Debug)]
pub(super) struct ImageFile {
    file: File,
    pub(super) length: u64,
}

impl ImageFile {
    /// Fills `target` with the bytes from `at` on.
    pub(super) fn read(&self, target: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(target, at)
    }
}

fn read_key(path: &Path) -> Option<[u8; 32]> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).ok()?;
    bytes.try_into().ok()
}

/// Writes a file that is not there yet, for the user of the node alone.
fn write_new(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    parts.iter().try_for_each(|part| file.write_all(part))
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use super::*;

    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("starcell-images-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }

        fn open(&self, most: u64) -> (Folder, [u8; 32]) {
            Folder::open(&self.0, most, || Some([8; 32])).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> =
                fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn name(number: u8, lasts: bool) -> ImageName {
        ImageName { digest: [number; 32], lasts }
    }

    #[test]
    fn what_is_written_is_there_for_the_user_of_the_node_alone() {
        let place = Place::new("written");
        let (folder, key) = place.open(1000);
        folder.write(&name(1, true), &[b"head", b"pages"]).unwrap();
        let image = folder.open_image(&name(1, true)).unwrap();
        let mut bytes = [0; 5];
        image.read(&mut bytes, 4).unwrap();
        assert_eq!((image.length, &bytes), (9, b"pages"));
        assert!(image.read(&mut bytes, 5).is_err() && folder.open_image(&name(2, true)).is_err());
        let mode = |file: &Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
        let file = place.0.join(name(1, true).file());
        assert_eq!((mode(&place.0), mode(&file), mode(&place.0.join(KEY))), (0o700, 0o600, 0o600));
        assert_eq!(ImageName::of_file(&name(1, true).file()), Some(name(1, true)));
        for other in ["key", "a.image", &name(1, true).file().to_uppercase(), &name(1, false).file()] {
            assert_eq!(ImageName::of_file(other), None, "{other}");
        }
        // The next process finds it with the same key.
        let (next, same) = Folder::open(&place.0, 1000, || None).unwrap();
        assert_eq!((key, same, next.bytes(), next.hold(&name(1, true))), ([8; 32], [8; 32], 9, true));
    }

    #[test]
    fn what_an_earlier_process_left_half_or_for_itself_is_removed() {
        let place = Place::new("left");
        let (folder, _) = place.open(1000);
        folder.write(&name(1, true), &[b"x"]).unwrap();
        folder.write(&name(2, false), &[b"x"]).unwrap();
        fs::write(place.0.join(format!("{}.7{UNFINISHED}", name(3, true).file())), b"ha").unwrap();
        assert_eq!(place.names().len(), 4);
        let (next, _) = place.open(1000);
        assert_eq!((place.names(), next.bytes()), (vec![name(1, true).file(), KEY.to_owned()], 1));
        // Without its key no image is of use.
        fs::write(place.0.join(KEY), b"short").unwrap();
        let (next, _) = place.open(1000);
        assert_eq!((place.names(), next.bytes()), (vec![KEY.to_owned()], 0));
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let place = Place::new("room");
        let (folder, _) = place.open(30);
        for number in 1..=3 {
            folder.write(&name(number, true), &[&[0; 10]]).unwrap();
            folder.release(&name(number, true));
        }
        assert!(folder.hold(&name(1, true)));
        folder.write(&name(4, true), &[&[0; 10]]).unwrap();
        assert!(!folder.hold(&name(2, true)) && folder.hold(&name(3, true)), "the oldest that nobody holds");
        assert_eq!(folder.bytes(), 30);
        let error = folder.write(&name(5, true), &[&[0; 10]]).unwrap_err().to_string();
        assert!(error.contains("is full"), "{error}");
        assert_eq!(place.names().len(), 4, "all are in use, and nothing half is left");
        // A larger one at the same place counts once.
        folder.release(&name(4, true));
        folder.discard(&name(3, true));
        folder.write(&name(1, true), &[&[0; 15]]).unwrap();
        assert_eq!(folder.bytes(), 25);
    }

    #[test]
    fn an_image_of_this_process_goes_with_its_last_holder() {
        let place = Place::new("passing");
        let (folder, _) = place.open(100);
        folder.write(&name(1, false), &[b"x"]).unwrap();
        assert!(folder.hold(&name(1, false)));
        folder.release(&name(1, false));
        assert!(folder.open_image(&name(1, false)).is_ok());
        folder.release(&name(1, false));
        assert!(folder.open_image(&name(1, false)).is_err());
        assert_eq!(folder.bytes(), 0);
        folder.release(&name(1, false));
    }

    #[test]
    fn the_order_of_use_outlives_the_process() {
        let place = Place::new("order");
        let (folder, _) = place.open(30);
        for number in 1..=3 {
            folder.write(&name(number, true), &[&[0; 10]]).unwrap();
            let old = SystemTime::now() - Duration::from_secs(1000 - u64::from(number));
            File::open(place.0.join(name(number, true).file())).unwrap().set_modified(old).unwrap();
        }
        folder.release(&name(1, true));
        let (next, _) = place.open(20);
        assert!(next.hold(&name(1, true)) && !next.hold(&name(2, true)) && next.hold(&name(3, true)));
    }
}
