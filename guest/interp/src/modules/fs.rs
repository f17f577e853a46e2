//! `fs`: files of the host. Each function is one call of the host, which judges the path and everything it leads to.

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::list::AllocList;
use starlark::values::structs::AllocStruct;
use starlark::values::{Value, ValueLike};

use crate::args::Args;
use crate::error::from_host;
use crate::host::{FileKind, Files, HostError, Position};
use crate::result::attempt;
use crate::session::{Session, position};

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The text of a file, which must be UTF-8.
    ///
    /// `fs.read_text(path: str) -> str`
    ///
    /// Errors: a file that is missing, no regular file, not UTF-8, or larger than the host gives to one call.
    ///
    /// ```text
    /// >>> fs.write_text("notes.txt", "one\ntwo\n")
    /// ... fs.read_text("notes.txt").splitlines()
    /// ["one", "two"]
    /// ```
    fn read_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        read_text_of("fs.read_text", args, eval)
    }

    /// Like `read_text`, as a `Result`.
    fn try_read_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(read_text_of("fs.try_read_text", args, eval), eval.heap())
    }

    /// The bytes of a file.
    ///
    /// `fs.read_bytes(path: str) -> bytes`
    ///
    /// Errors: as those of `fs.read_text`, save that any bytes are welcome.
    ///
    /// ```text
    /// >>> fs.write_bytes("logo.bin", b"\x00\xff")
    /// ... fs.read_bytes("logo.bin")
    /// b"\x00\xff"
    /// ```
    fn read_bytes<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        read_bytes_of("fs.read_bytes", args, eval)
    }

    /// Like `read_bytes`, as a `Result`.
    fn try_read_bytes<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(read_bytes_of("fs.try_read_bytes", args, eval), eval.heap())
    }

    /// Replaces a file by this text, at once: whoever reads it meanwhile sees the old or the new one, never a part.
    ///
    /// `fs.write_text(path: str, text: str) -> None`
    ///
    /// Errors: a folder that is missing, a path that is a folder, a full disk.
    ///
    /// ```text
    /// >>> fs.write_text("out.txt", "hello\n")
    /// ... fs.stat("out.txt").size
    /// 6
    /// ```
    fn write_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        write_text_of("fs.write_text", args, eval)
    }

    /// Like `write_text`, as a `Result`.
    fn try_write_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(write_text_of("fs.try_write_text", args, eval), eval.heap())
    }

    /// Replaces a file by these bytes, at once.
    ///
    /// `fs.write_bytes(path: str, data: bytes) -> None`
    ///
    /// Errors: as those of `fs.write_text`; data that is not bytes.
    ///
    /// ```text
    /// >>> fs.try_write_bytes("out.bin", "text").error
    /// "fs.try_write_bytes: data must be bytes, got \"text\" (string)"
    /// ```
    fn write_bytes<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        write_bytes_of("fs.write_bytes", args, eval)
    }

    /// Like `write_bytes`, as a `Result`.
    fn try_write_bytes<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(write_bytes_of("fs.try_write_bytes", args, eval), eval.heap())
    }

    /// Adds text to the end of a file, in one piece, and makes the file if there is none.
    ///
    /// `fs.append_text(path: str, text: str) -> None`
    ///
    /// Errors: as those of `fs.write_text`.
    ///
    /// ```text
    /// >>> fs.append_text("log.txt", "a\n")
    /// ... fs.append_text("log.txt", "b\n")
    /// ... fs.read_text("log.txt")
    /// "a\nb\n"
    /// ```
    fn append_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        append_text_of("fs.append_text", args, eval)
    }

    /// Like `append_text`, as a `Result`.
    fn try_append_text<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(append_text_of("fs.try_append_text", args, eval), eval.heap())
    }

    /// Whether there is a file or folder of that name.
    ///
    /// `fs.exists(path: str) -> bool`
    ///
    /// ```text
    /// >>> fs.exists("never-written.txt")
    /// False
    /// ```
    fn exists<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        exists_of("fs.exists", args, eval)
    }

    /// Like `exists`, as a `Result`.
    fn try_exists<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(exists_of("fs.try_exists", args, eval), eval.heap())
    }

    /// Size, kind and time of a file or folder: a struct of `size` in bytes, `is_file`, `is_dir`, `modified` in seconds
    /// since 1970 and `modified_nano` in nanoseconds.
    ///
    /// `fs.stat(path: str)`
    ///
    /// Errors: a file that is missing.
    ///
    /// ```text
    /// >>> fs.write_text("stat.txt", "abc")
    /// ... [fs.stat("stat.txt").size, fs.stat("stat.txt").is_file, fs.stat("stat.txt").is_dir]
    /// [3, True, False]
    /// ```
    fn stat<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        stat_of("fs.stat", args, eval)
    }

    /// Like `stat`, as a `Result`.
    fn try_stat<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(stat_of("fs.try_stat", args, eval), eval.heap())
    }

    /// The names in a folder, sorted; the working directory's when no path is given.
    ///
    /// `fs.listdir(path: str = ".") -> list[str]`
    ///
    /// Errors: a folder that is missing or has more names than the host gives to one call.
    fn listdir<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        listdir_of("fs.listdir", args, eval)
    }

    /// Like `listdir`, as a `Result`.
    fn try_listdir<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(listdir_of("fs.try_listdir", args, eval), eval.heap())
    }

    /// The paths that match a pattern, sorted: `*` and `?` within a name, `**` for any folders.
    ///
    /// `fs.glob(pattern: str) -> list[str]`
    ///
    /// A path that the script may not see is left out. Errors: a malformed pattern.
    fn glob<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        glob_of("fs.glob", args, eval)
    }

    /// Like `glob`, as a `Result`.
    fn try_glob<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(glob_of("fs.try_glob", args, eval), eval.heap())
    }

    /// Makes a folder; with `parents=True` those above it too, and then one that exists is no error.
    ///
    /// `fs.mkdir(path: str, *, parents: bool = False) -> None`
    fn mkdir<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        mkdir_of("fs.mkdir", args, eval)
    }

    /// Like `mkdir`, as a `Result`.
    fn try_mkdir<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(mkdir_of("fs.try_mkdir", args, eval), eval.heap())
    }

    /// Removes a file or an empty folder; with `recursive=True` a full one.
    ///
    /// `fs.remove(path: str, *, recursive: bool = False) -> None`
    ///
    /// Errors: what is missing, and a full folder without `recursive=True`.
    ///
    /// ```text
    /// >>> fs.write_text("old.txt", "")
    /// ... fs.remove("old.txt")
    /// ... fs.exists("old.txt")
    /// False
    /// ```
    fn remove<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        remove_of("fs.remove", args, eval)
    }

    /// Like `remove`, as a `Result`.
    fn try_remove<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(remove_of("fs.try_remove", args, eval), eval.heap())
    }

    /// Gives a file or folder another name, and replaces a file that has it.
    ///
    /// `fs.rename(source: str, target: str) -> None`
    ///
    /// What is moved must be readable too, since it can be read under its new name.
    ///
    /// ```text
    /// >>> fs.write_text("draft.txt", "x")
    /// ... fs.rename("draft.txt", "final.txt")
    /// ... [fs.exists("draft.txt"), fs.read_text("final.txt")]
    /// [False, "x"]
    /// ```
    fn rename<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        rename_of("fs.rename", args, eval)
    }

    /// Like `rename`, as a `Result`.
    fn try_rename<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(rename_of("fs.try_rename", args, eval), eval.heap())
    }

    /// Copies the content of a file.
    ///
    /// `fs.copy(source: str, target: str) -> None`
    ///
    /// ```text
    /// >>> fs.write_text("a.txt", "x")
    /// ... fs.copy("a.txt", "b.txt")
    /// ... fs.read_text("b.txt")
    /// "x"
    /// ```
    fn copy<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        copy_of("fs.copy", args, eval)
    }

    /// Like `copy`, as a `Result`.
    fn try_copy<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(copy_of("fs.try_copy", args, eval), eval.heap())
    }
}

const NANOSECONDS_PER_SECOND: u64 = 1_000_000_000;

/// Asks the host's files.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Files, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.files(), &position(eval)).map_err(from_host)
}

/// The path of a function that takes nothing else.
fn only_path<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<String> {
    let mut args = Args::new(function, args, eval.heap())?;
    let path = args.required("path")?;
    args.finish("path")?;
    args.text("path", path)
}

fn read_text_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let path = only_path(function, args, eval)?;
    let text = ask(eval, |files, at| files.read_text(&path, at))?;
    Ok(eval.heap().alloc(text))
}

fn read_bytes_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let path = only_path(function, args, eval)?;
    let bytes = ask(eval, |files, at| files.read_bytes(&path, at))?;
    Ok(eval.heap().alloc(bytes.as_slice()))
}

fn write_text_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (path, text) = path_and_text(function, args, eval)?;
    ask(eval, |files, at| files.write_text(&path, text, at))?;
    Ok(Value::new_none())
}

fn append_text_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (path, text) = path_and_text(function, args, eval)?;
    ask(eval, |files, at| files.append_text(&path, text, at))?;
    Ok(Value::new_none())
}

fn path_and_text<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<(String, &'v str)> {
    let mut args = Args::new(function, args, eval.heap())?;
    let path = args.required("path")?;
    let text = args.required("text")?;
    args.finish("path, text")?;
    match text.unpack_str() {
        Some(content) => Ok((args.text("path", path)?, content)),
        None => Err(args.wrong("text", "a str", text)),
    }
}

fn write_bytes_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let path = args.required("path")?;
    let data = args.required("data")?;
    args.finish("path, data")?;
    let path = args.text("path", path)?;
    let Some(bytes) = data.downcast_ref::<StarlarkBytes>() else {
        return Err(args.wrong("data", "bytes", data));
    };
    ask(eval, |files, at| files.write_bytes(&path, bytes.as_bytes(), at))?;
    Ok(Value::new_none())
}

fn exists_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let path = only_path(function, args, eval)?;
    Ok(Value::new_bool(ask(eval, |files, at| files.exists(&path, at))?))
}

fn stat_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let path = only_path(function, args, eval)?;
    let info = ask(eval, |files, at| files.stat(&path, at))?;
    let heap = eval.heap();
    Ok(heap.alloc(AllocStruct([
        ("is_dir", Value::new_bool(info.kind == FileKind::Folder)),
        ("is_file", Value::new_bool(info.kind == FileKind::File)),
        ("modified", heap.alloc(info.modified / NANOSECONDS_PER_SECOND)),
        ("modified_nano", heap.alloc(info.modified)),
        ("size", heap.alloc(info.size)),
    ])))
}

fn listdir_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let path = match args.either("path")? {
        Some(path) => args.text("path", path)?,
        None => ".".to_owned(),
    };
    args.finish("path")?;
    let names = ask(eval, |files, at| files.listdir(&path, at))?;
    Ok(eval.heap().alloc(AllocList(names)))
}

fn glob_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let pattern = args.required("pattern")?;
    args.finish("pattern")?;
    let pattern = args.text("pattern", pattern)?;
    let paths = ask(eval, |files, at| files.glob(&pattern, at))?;
    Ok(eval.heap().alloc(AllocList(paths)))
}

fn mkdir_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (path, parents) = path_and_flag(function, "parents", args, eval)?;
    ask(eval, |files, at| files.mkdir(&path, parents, at))?;
    Ok(Value::new_none())
}

fn remove_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (path, recursive) = path_and_flag(function, "recursive", args, eval)?;
    ask(eval, |files, at| files.remove(&path, recursive, at))?;
    Ok(Value::new_none())
}

/// A path, and a choice that has to be named: `fs.remove("x", True)` would not say what is true.
fn path_and_flag<'v>(
    function: &'static str,
    flag: &str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<(String, bool)> {
    let mut args = Args::new(function, args, eval.heap())?;
    let path = args.required("path")?;
    let chosen = match args.take(flag) {
        Some(value) => value.unpack_bool().ok_or_else(|| args.wrong(flag, "True or False", value))?,
        None => false,
    };
    args.finish(&format!("path, {flag}"))?;
    Ok((args.text("path", path)?, chosen))
}

fn rename_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (source, target) = two_paths(function, args, eval)?;
    ask(eval, |files, at| files.rename(&source, &target, at))?;
    Ok(Value::new_none())
}

fn copy_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let (source, target) = two_paths(function, args, eval)?;
    ask(eval, |files, at| files.copy(&source, &target, at))?;
    Ok(Value::new_none())
}

fn two_paths<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &Evaluator<'v, '_, '_>,
) -> starlark::Result<(String, String)> {
    let mut args = Args::new(function, args, eval.heap())?;
    let source = args.required("source")?;
    let target = args.required("target")?;
    args.finish("source, target")?;
    Ok((args.text("source", source)?, args.text("target", target)?))
}
