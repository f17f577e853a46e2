//! `fs.path`: a path as a value, taken apart by its text alone, with the functions of `fs` as methods.
//!
//! What a path is made of is decided without the host, and what it leads to by the host alone: a method that looks at the
//! file system asks exactly what the function of `fs` asks.

#![expect(unsafe_code, reason = "only what starlark derives expand to: a type id")]

use std::cmp::Ordering;
use std::fmt;

use allocative::Allocative;
use starcell_macros::builtins;
use starlark::collections::StarlarkHasher;
use starlark::docs::DocType;
use starlark::environment::{Methods, MethodsBuilder, MethodsStatic};
use starlark::eval::Evaluator;
use starlark::starlark_simple_value;
use starlark::values::list::AllocList;
use starlark::values::none::NoneType;
use starlark::values::tuple::{AllocTuple, UnpackTuple};
use starlark::values::{
    Heap, NoSerialize, ProvidesStaticType, StarlarkValue, Value, ValueError, ValueLike, starlark_value,
};

use super::files::{self, ask, is_kind};
use crate::bytes::Data;
use crate::error::usage;
use crate::given::{argument, wrong};
use crate::host::FileKind;

const TYPE: &str = "fs.path";

argument! {
    /// The path of a file, as text or as a path value.
    FilePath<'v>(&'v str) as &'v str, "a non-empty string or a path", |value| {
        let text = value.unpack_str().or_else(|| value.downcast_ref::<PathValue>().map(PathValue::text));
        text.filter(|text| !text.is_empty())
    }
}

/// What `fs.path` returns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ProvidesStaticType, NoSerialize, Allocative)]
pub(super) struct PathValue(String);

starlark_simple_value!(PathValue);

impl PathValue {
    /// The path that a text writes.
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn text(&self) -> &str {
        &self.0
    }

    /// The path without slashes at its end.
    fn trimmed(&self) -> &str {
        match self.0.trim_end_matches('/') {
            "" if self.0.starts_with('/') => "/",
            trimmed => trimmed,
        }
    }

    fn name(&self) -> &str {
        match self.trimmed() {
            "/" => "",
            path => path.rsplit('/').next().unwrap_or_default(),
        }
    }

    fn parent(&self) -> Self {
        let parent = match self.trimmed().rsplit_once('/') {
            Some(("", _)) => "/",
            Some((parent, _)) => parent,
            None => ".",
        };
        Self::new(parent)
    }

    /// The name up to its last dot, and from there on. A dot at the beginning is none of a suffix.
    fn stem_and_suffix(&self) -> (&str, &str) {
        let name = self.name();
        match name.rfind('.') {
            Some(at) if at > 0 && at + 1 < name.len() => name.split_at(at),
            _ => (name, ""),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        let root = self.0.starts_with('/').then_some("/");
        root.into_iter().chain(self.0.split('/').filter(|part| !part.is_empty()))
    }

    fn joined(&self, part: &str) -> Self {
        match (part.starts_with('/'), self.0.is_empty()) {
            (true, _) | (_, true) => Self::new(part),
            (false, false) if part.is_empty() => self.clone(),
            (false, false) => Self(format!("{}/{part}", self.0.trim_end_matches('/'))),
        }
    }

    /// Another name in the same folder.
    fn with_name(&self, name: &str) -> starlark::Result<Self> {
        if name.is_empty() || name.contains('/') || self.name().is_empty() {
            return Err(usage(format!("{name:?} cannot be the name of a file in the place of {:?}", self.0)));
        }
        match self.trimmed().rfind('/') {
            Some(at) => Ok(Self(format!("{}{name}", self.trimmed().get(..=at).unwrap_or_default()))),
            None => Ok(Self::new(name)),
        }
    }

    /// The shortest path that means the same as long as no link is in it.
    fn clean(&self) -> Self {
        let rooted = self.0.starts_with('/');
        let mut kept: Vec<&str> = Vec::new();
        for part in self.0.split('/') {
            match part {
                "" | "." => {}
                ".." if kept.last().is_some_and(|last| *last != "..") => drop(kept.pop()),
                ".." if rooted => {}
                part => kept.push(part),
            }
        }
        let joined = kept.join("/");
        Self(match (rooted, joined.is_empty()) {
            (true, _) => format!("/{joined}"),
            (false, true) => ".".to_owned(),
            (false, false) => joined,
        })
    }
}

impl fmt::Display for PathValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the reference says of the type.
pub(super) fn documented() -> DocType {
    DocType::from_starlark_value::<PathValue>()
}

#[starlark_value(type = TYPE)]
impl<'v> StarlarkValue<'v> for PathValue {
    fn get_methods() -> Option<&'static Methods> {
        static METHODS: MethodsStatic = MethodsStatic::new(TYPE, methods);
        Some(METHODS.methods())
    }

    fn equals(&self, other: Value<'v>) -> starlark::Result<bool> {
        Ok(other.downcast_ref::<Self>() == Some(self))
    }

    fn compare(&self, other: Value<'v>) -> starlark::Result<Ordering> {
        match other.downcast_ref::<Self>() {
            Some(other) => Ok(self.cmp(other)),
            None => ValueError::unsupported_with(self, "compare", other),
        }
    }

    fn write_hash(&self, hasher: &mut StarlarkHasher) -> starlark::Result<()> {
        std::hash::Hash::hash(&self.0, hasher);
        Ok(())
    }

    fn div(&self, other: Value<'v>, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        match part(other) {
            Some(part) => Ok(heap.alloc(self.joined(part))),
            None => ValueError::unsupported_with(self, "/", other),
        }
    }
}

/// A part of a path, as text or as a path itself.
fn part<'v>(value: Value<'v>) -> Option<&'v str> {
    value.unpack_str().or_else(|| value.downcast_ref::<PathValue>().map(PathValue::text))
}

#[builtins("path")]
fn methods(builder: &mut MethodsBuilder) {
    /// The last part, such as `notes.txt`.
    #[starlark(attribute)]
    fn name<'v>(this: &PathValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.name()))
    }

    /// The folder that it is in, as a path.
    #[starlark(attribute)]
    fn parent(this: &PathValue) -> starlark::Result<PathValue> {
        Ok(this.parent())
    }

    /// The last part without its suffix.
    #[starlark(attribute)]
    fn stem<'v>(this: &PathValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.stem_and_suffix().0))
    }

    /// The suffix of the last part with its dot, or `""`.
    #[starlark(attribute)]
    fn suffix<'v>(this: &PathValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(this.stem_and_suffix().1))
    }

    /// The parts as a tuple of str.
    #[starlark(attribute)]
    fn parts<'v>(this: &PathValue, heap: Heap<'v>) -> starlark::Result<Value<'v>> {
        Ok(heap.alloc(AllocTuple(this.parts())))
    }

    /// The path as text, which `str(path)` gives as well.
    fn string<'v>(this: &PathValue, heap: Heap<'v>) -> Value<'v> {
        heap.alloc(this.text())
    }

    /// The path with these parts behind it, as `path / part` gives for one of them.
    fn join<'v>(this: &PathValue, #[starlark(args)] parts: UnpackTuple<Value<'v>>) -> starlark::Result<PathValue> {
        let mut path = this.clone();
        for value in parts.items {
            path = path.joined(part(value).ok_or_else(|| wrong("a part", "a str or a path", value))?);
        }
        Ok(path)
    }

    /// The path with another last part.
    fn with_name(this: &PathValue, name: &str) -> starlark::Result<PathValue> {
        this.with_name(name)
    }

    /// The path with another suffix, such as `".md"`; `""` takes it away.
    fn with_suffix(this: &PathValue, suffix: &str) -> starlark::Result<PathValue> {
        if !suffix.is_empty() && (!suffix.starts_with('.') || suffix.len() == 1) {
            return Err(usage(format!("a suffix begins with a dot and has more, got {suffix:?}")));
        }
        this.with_name(&format!("{}{suffix}", this.stem_and_suffix().0))
    }

    /// The path without `.`, doubled slashes and `..` where it can be.
    fn clean(this: &PathValue) -> PathValue {
        this.clean()
    }

    /// Whether the path begins at the root.
    fn is_absolute(this: &PathValue) -> bool {
        this.text().starts_with('/')
    }

    /// As `fs.exists`.
    fn exists<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        ask(eval, |files, at| files.exists(this.text(), at))
    }

    /// The path from the root that it leads to, behind links. There need not be anything of its last name. Needs the
    /// permission to read what it leads to.
    fn resolve<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<PathValue> {
        ask(eval, |files, at| files.resolve(this.text(), at)).map(|path| PathValue::new(&path))
    }

    /// Whether it is a regular file; `False` for one that is not there.
    fn is_file<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        is_kind(this.text(), FileKind::File, eval)
    }

    /// Whether it is a folder; `False` for one that is not there.
    fn is_dir<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        is_kind(this.text(), FileKind::Folder, eval)
    }

    /// As `fs.stat`.
    fn stat<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        files::stat(this.text(), eval)
    }

    /// As `fs.read_text`.
    fn read_text<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<String> {
        ask(eval, |files, at| files.read_text(this.text(), at))
    }

    /// As `fs.read_bytes`.
    fn read_bytes<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Vec<u8>> {
        ask(eval, |files, at| files.read_bytes(this.text(), at))
    }

    /// As `fs.write_text`.
    fn write_text<'v>(this: &PathValue, text: &str, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.write_text(this.text(), text, at))?;
        Ok(NoneType)
    }

    /// As `fs.write_bytes`.
    fn write_bytes<'v>(
        this: &PathValue,
        data: Data<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.write_bytes(this.text(), data.0, at))?;
        Ok(NoneType)
    }

    /// As `fs.append_text`.
    fn append_text<'v>(this: &PathValue, text: &str, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.append_text(this.text(), text, at))?;
        Ok(NoneType)
    }

    /// As `fs.mkdir`.
    fn mkdir<'v>(
        this: &PathValue,
        #[starlark(require = named, default = false)] parents: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.mkdir(this.text(), parents, at))?;
        Ok(NoneType)
    }

    /// As `fs.remove`.
    fn remove<'v>(
        this: &PathValue,
        #[starlark(require = named, default = false)] recursive: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.remove(this.text(), recursive, at))?;
        Ok(NoneType)
    }

    /// As `fs.rename`; returns the new path.
    fn move_to<'v>(
        this: &PathValue,
        target: FilePath<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PathValue> {
        ask(eval, |files, at| files.rename(this.text(), target.0, at))?;
        Ok(PathValue::new(target.0))
    }

    /// As `fs.copy`; returns the new path.
    fn copy_to<'v>(
        this: &PathValue,
        target: FilePath<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<PathValue> {
        ask(eval, |files, at| files.copy(this.text(), target.0, at))?;
        Ok(PathValue::new(target.0))
    }

    /// What is in the folder, as paths sorted by name.
    fn listdir<'v>(this: &PathValue, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let names = ask(eval, |files, at| files.listdir(this.text(), at))?;
        Ok(eval.heap().alloc(AllocList(names.iter().map(|name| this.joined(name)))))
    }

    /// The paths below the folder that match a pattern, sorted; see `fs.glob`.
    fn glob<'v>(this: &PathValue, pattern: &str, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let pattern = this.joined(pattern);
        let paths = ask(eval, |files, at| files.glob(pattern.text(), at))?;
        Ok(eval.heap().alloc(AllocList(paths.iter().map(|path| PathValue::new(path)))))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_by_its_text() {
        for (path, parent, name, stem, suffix) in [
            ("a/b.txt", "a", "b.txt", "b", ".txt"),
            ("b.tar.gz", ".", "b.tar.gz", "b.tar", ".gz"),
            ("/a", "/", "a", "a", ""),
            ("/", "/", "", "", ""),
            ("a/b/", "a", "b", "b", ""),
            (".profile", ".", ".profile", ".profile", ""),
            ("dir/x.", "dir", "x.", "x.", ""),
        ] {
            let value = PathValue::new(path);
            assert_eq!((value.parent().text(), value.name()), (parent, name), "{path}");
            assert_eq!(value.stem_and_suffix(), (stem, suffix), "{path}");
        }
        let parts = |path: &str| PathValue::new(path).parts().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(parts("/a//b"), ["/", "a", "b"]);
        assert_eq!(parts("a/b"), ["a", "b"]);
    }

    #[test]
    fn paths_are_joined_and_cleaned() {
        for (path, part, joined) in
            [("a", "b", "a/b"), ("a/", "b", "a/b"), ("a", "/b", "/b"), ("/", "b", "/b"), ("a", "", "a")]
        {
            assert_eq!(PathValue::new(path).joined(part).text(), joined);
        }
        for (path, clean) in [
            ("a//b/./c/..", "a/b"),
            ("../../x", "../../x"),
            ("/../x", "/x"),
            ("a/..", "."),
            ("", "."),
            ("/", "/"),
            ("a/../../b", "../b"),
        ] {
            assert_eq!(PathValue::new(path).clean().text(), clean, "{path}");
        }
        assert_eq!(PathValue::new("a/b.txt").with_name("c").unwrap().text(), "a/c");
        assert!(PathValue::new("a/b.txt").with_name("c/d").is_err());
        assert!(PathValue::new("/").with_name("c").is_err());
    }
}
