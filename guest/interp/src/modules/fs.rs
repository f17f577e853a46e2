//! `fs`: files of the host. Each function is one call of the host, which judges the path and everything it leads to.

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::list::AllocList;
use starlark::values::none::NoneType;

use super::files::{self, ask};
use super::path::{FilePath, PathValue};
use crate::bytes::Data;

#[builtins("fs")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// A path as a value: `name`, `parent`, `stem`, `suffix` and `parts`, `join(..)` or `/` for what is below it, and the
    /// functions here as methods. Making one needs no permission. Every function here takes one in place of a str.
    ///
    /// ```text
    /// >>> p = fs.path("docs") / "intro.md"
    /// ... [str(p), p.name, p.stem, p.suffix, str(p.parent)]
    /// ["docs/intro.md", "intro.md", "intro", ".md", "docs"]
    /// ```
    fn path<'v>(path: FilePath<'v>) -> starlark::Result<PathValue> {
        Ok(PathValue::new(path.0))
    }

    /// The text of a file, which must be UTF-8.
    ///
    /// Errors: a file that is missing, no regular file, not UTF-8, or larger than the host gives to one call.
    ///
    /// ```text
    /// >>> fs.write_text("notes.txt", "one\ntwo\n")
    /// ... fs.read_text("notes.txt").splitlines()
    /// ["one", "two"]
    /// ```
    fn read_text<'v>(path: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<String> {
        ask(eval, |files, at| files.read_text(path.0, at))
    }

    /// The bytes of a file.
    ///
    /// Errors: as those of `fs.read_text`, save that any bytes are welcome.
    ///
    /// ```text
    /// >>> fs.write_bytes("logo.bin", b"\x00\xff")
    /// ... fs.read_bytes("logo.bin")
    /// b"\x00\xff"
    /// ```
    fn read_bytes<'v>(path: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Vec<u8>> {
        ask(eval, |files, at| files.read_bytes(path.0, at))
    }

    /// Replaces a file by this text, at once: whoever reads it meanwhile sees the old or the new one, never a part.
    ///
    /// The file keeps its permissions but for those to run it, so that a script cannot run what it wrote: mode 0755 becomes
    /// 0644. Errors: a folder that is missing, a path that is a folder, a full disk.
    ///
    /// ```text
    /// >>> fs.write_text("out.txt", "hello\n")
    /// ... fs.stat("out.txt").size
    /// 6
    /// ```
    fn write_text<'v>(
        path: FilePath<'v>,
        text: &'v str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.write_text(path.0, text, at))?;
        Ok(NoneType)
    }

    /// Replaces a file by these bytes, at once.
    ///
    /// Errors: as those of `fs.write_text`; data that is not bytes.
    ///
    /// ```text
    /// >>> fs.try_write_bytes("out.bin", "text").error
    /// "fs.write_bytes: data must be bytes, got \"text\" (string)"
    /// ```
    fn write_bytes<'v>(
        path: FilePath<'v>,
        data: Data<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.write_bytes(path.0, data.0, at))?;
        Ok(NoneType)
    }

    /// Adds text to the end of a file, in one piece, and makes the file if there is none.
    ///
    /// Errors: as those of `fs.write_text`.
    ///
    /// ```text
    /// >>> fs.append_text("log.txt", "a\n")
    /// ... fs.append_text("log.txt", "b\n")
    /// ... fs.read_text("log.txt")
    /// "a\nb\n"
    /// ```
    fn append_text<'v>(
        path: FilePath<'v>,
        text: &'v str,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.append_text(path.0, text, at))?;
        Ok(NoneType)
    }

    /// Whether there is a file or folder of that name.
    ///
    /// ```text
    /// >>> fs.exists("never-written.txt")
    /// False
    /// ```
    fn exists<'v>(path: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<bool> {
        ask(eval, |files, at| files.exists(path.0, at))
    }

    /// Size, kind and time of a file or folder: a struct of `size` in bytes, `is_file`, `is_dir`, `modified` in seconds
    /// since 1970 and `modified_nano` in nanoseconds.
    ///
    /// Errors: a file that is missing.
    ///
    /// ```text
    /// >>> fs.write_text("stat.txt", "abc")
    /// ... [fs.stat("stat.txt").size, fs.stat("stat.txt").is_file, fs.stat("stat.txt").is_dir]
    /// [3, True, False]
    /// ```
    fn stat<'v>(path: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        files::stat(path.0, eval)
    }

    /// The names in a folder, sorted; the working directory's when no path is given.
    ///
    /// Errors: a folder that is missing or has more names than the host gives to one call.
    fn listdir<'v>(path: Option<FilePath<'v>>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let names = ask(eval, |files, at| files.listdir(path.map_or(".", |path| path.0), at))?;
        Ok(eval.heap().alloc(AllocList(names)))
    }

    /// The paths that match a pattern, sorted: `*` and `?` within a name, `**` for any folders.
    ///
    /// A path that the script may not see is left out. Errors: a malformed pattern.
    fn glob<'v>(pattern: FilePath<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let paths = ask(eval, |files, at| files.glob(pattern.0, at))?;
        Ok(eval.heap().alloc(AllocList(paths)))
    }

    /// Makes a folder; with `parents=True` those above it too, and then one that exists is no error.
    fn mkdir<'v>(
        path: FilePath<'v>,
        #[starlark(require = named, default = false)] parents: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.mkdir(path.0, parents, at))?;
        Ok(NoneType)
    }

    /// Removes a file or an empty folder; with `recursive=True` a full one.
    ///
    /// Errors: what is missing, and a full folder without `recursive=True`.
    ///
    /// ```text
    /// >>> fs.write_text("old.txt", "")
    /// ... fs.remove("old.txt")
    /// ... fs.exists("old.txt")
    /// False
    /// ```
    fn remove<'v>(
        path: FilePath<'v>,
        #[starlark(require = named, default = false)] recursive: bool,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.remove(path.0, recursive, at))?;
        Ok(NoneType)
    }

    /// Gives a file or folder another name, and replaces a file that has it.
    ///
    /// What is moved must be readable too, since it can be read under its new name.
    ///
    /// ```text
    /// >>> fs.write_text("draft.txt", "x")
    /// ... fs.rename("draft.txt", "final.txt")
    /// ... [fs.exists("draft.txt"), fs.read_text("final.txt")]
    /// [False, "x"]
    /// ```
    fn rename<'v>(
        source: FilePath<'v>,
        target: FilePath<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.rename(source.0, target.0, at))?;
        Ok(NoneType)
    }

    /// Copies the content of a file.
    ///
    /// ```text
    /// >>> fs.write_text("a.txt", "x")
    /// ... fs.copy("a.txt", "b.txt")
    /// ... fs.read_text("b.txt")
    /// "x"
    /// ```
    fn copy<'v>(
        source: FilePath<'v>,
        target: FilePath<'v>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<NoneType> {
        ask(eval, |files, at| files.copy(source.0, target.0, at))?;
        Ok(NoneType)
    }
}
