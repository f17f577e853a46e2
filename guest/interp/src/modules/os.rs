//! `os`: programs and environment of the host. No shell is ever involved: a command given as a str is split into words
//! the way a shell would, and that is all that is done with it.

use starlark::environment::GlobalsBuilder;
use starlark::eval::{Arguments, Evaluator};
use starlark::starlark_module;
use starlark::values::bytes::StarlarkBytes;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::structs::AllocStruct;
use starlark::values::{Value, ValueLike};

use crate::args::{Args, describe};
use crate::bytes::text_or_bytes;
use crate::diagnostic::shorten;
use crate::duration;
use crate::error::{from_host, usage};
use crate::host::{Command, HostError, Output, Position, Programs};
use crate::result::{attempt, failed};
use crate::session::{Session, position};

/// Most of a program's own words that the error of `exec` quotes.
const MAX_QUOTED: usize = 2000;

/// Most words of a command; the host takes no more.
const MAX_WORDS: usize = 4096;

#[starlark_module]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The value of a variable of the host's environment, or the default.
    ///
    /// `os.env(name: str, default = None)`
    fn env<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        env_of("os.env", args, eval)
    }

    /// Like `env`, as a `Result`.
    fn try_env<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(env_of("os.try_env", args, eval), eval.heap())
    }

    /// Runs a program and returns what it wrote to standard output: str when it is UTF-8, else bytes.
    ///
    /// `os.exec(cmd, *, env: dict = None, cwd: str = None, stdin = None, timeout: str = None)`
    ///
    /// `cmd` is a list of words, the first of which names the program, or a str that is split into words without any
    /// shell. The program starts with no environment but `env`, in `cwd` or the working directory, with `stdin` (str or
    /// bytes) as its input, and is killed with all it started after `timeout`, such as `"5s"`, or when the request
    /// ends. Errors: a program that cannot be run, that ends with another code than 0, that takes too long or writes
    /// too much.
    fn exec<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let output = run("os.exec", args, eval)?;
        match failure(&output) {
            Some(text) => Err(usage(text)),
            None => Ok(text_or_bytes(&output.stdout, eval.heap())),
        }
    }

    /// Like `exec`, as a `Result` whose value has `stdout`, `stderr` and `code`, also when the program failed.
    ///
    /// `os.try_exec(cmd, *, env: dict = None, cwd: str = None, stdin = None, timeout: str = None)`
    fn try_exec<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let output = match run("os.try_exec", args, eval) {
            Ok(output) => output,
            Err(error) => return attempt(Err(error), eval.heap()),
        };
        let heap = eval.heap();
        let value = heap.alloc(AllocStruct([
            ("code", heap.alloc(output.code)),
            ("stderr", text_or_bytes(&output.stderr, heap)),
            ("stdout", text_or_bytes(&output.stdout, heap)),
        ]));
        match failure(&output) {
            Some(text) => Ok(failed(value, &text, heap)),
            None => attempt(Ok(value), heap),
        }
    }

    /// The path of a program that the script may run, or `None`.
    ///
    /// `os.which(name: str)`
    fn which<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        which_of("os.which", args, eval)
    }

    /// Like `which`, as a `Result`.
    fn try_which<'v>(args: &Arguments<'v, '_>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        attempt(which_of("os.try_which", args, eval), eval.heap())
    }
}

/// Asks the host.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Programs, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.programs(), &position(eval)).map_err(from_host)
}

fn env_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let name = args.required("name")?;
    let default = args.either("default")?;
    args.finish("name, default")?;
    let name = args.text("name", name)?;
    let value = ask(eval, |programs, at| programs.env(&name, at))?;
    Ok(value.map(|value| eval.heap().alloc(value)).or(default).unwrap_or_default())
}

fn which_of<'v>(
    function: &'static str,
    args: &Arguments<'v, '_>,
    eval: &mut Evaluator<'v, '_, '_>,
) -> starlark::Result<Value<'v>> {
    let mut args = Args::new(function, args, eval.heap())?;
    let name = args.required("name")?;
    args.finish("name")?;
    let name = args.text("name", name)?;
    let path = ask(eval, |programs, at| programs.which(&name, at))?;
    Ok(path.map(|path| eval.heap().alloc(path)).unwrap_or_default())
}

fn run<'v>(function: &'static str, args: &Arguments<'v, '_>, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Output> {
    let mut args = Args::new(function, args, eval.heap())?;
    let cmd = args.required("cmd")?;
    let argv = words(&args, cmd)?;
    let given = |value: &Value<'v>| !value.is_none();
    let environment = args.take("env").filter(given).map(|env| variables(&args, env)).transpose()?;
    let folder = args.take("cwd").filter(given).map(|cwd| args.text("cwd", cwd)).transpose()?;
    let stdin = args.take("stdin").filter(given).map(|stdin| content(&args, stdin)).transpose()?.unwrap_or_default();
    let timeout = args.take("timeout").filter(given).map(|timeout| time(&args, timeout)).transpose()?;
    args.finish("cmd, env, cwd, stdin, timeout")?;
    let command = Command { argv, environment, folder, stdin, timeout };
    ask(eval, |programs, at| programs.exec(&command, at))
}

/// The words of a command.
fn words<'v>(args: &Args<'v>, cmd: Value<'v>) -> starlark::Result<Vec<String>> {
    let expected = "a list of str, or a str";
    let words = match (cmd.unpack_str(), ListRef::from_value(cmd)) {
        (Some(text), _) => shlex::split(text)
            .ok_or_else(|| args.error(format_args!("cmd has a quote without an end: {}", describe(cmd))))?,
        (None, Some(list)) if list.len() > MAX_WORDS => {
            return Err(args.error(format_args!("cmd has {} words, more than {MAX_WORDS}", list.len())));
        }
        (None, Some(list)) => {
            let words = list.iter().map(|word| word.unpack_str().map(str::to_owned));
            words.collect::<Option<_>>().ok_or_else(|| args.wrong("cmd", expected, cmd))?
        }
        (None, None) => return Err(args.wrong("cmd", expected, cmd)),
    };
    if words.is_empty() {
        return Err(args.error(format_args!("cmd is empty")));
    }
    Ok(words)
}

fn variables<'v>(args: &Args<'v>, env: Value<'v>) -> starlark::Result<Vec<(String, String)>> {
    let wrong = || args.wrong("env", "a dict of str and str", env);
    let dict = DictRef::from_value(env).ok_or_else(wrong)?;
    let pair =
        |(name, value): (Value<'v>, Value<'v>)| Some((name.unpack_str()?.to_owned(), value.unpack_str()?.to_owned()));
    dict.iter().map(pair).collect::<Option<_>>().ok_or_else(wrong)
}

fn content<'v>(args: &Args<'v>, stdin: Value<'v>) -> starlark::Result<Vec<u8>> {
    match (stdin.unpack_str(), stdin.downcast_ref::<StarlarkBytes>()) {
        (Some(text), _) => Ok(text.as_bytes().to_owned()),
        (None, Some(bytes)) => Ok(bytes.as_bytes().to_owned()),
        (None, None) => Err(args.wrong("stdin", "str or bytes", stdin)),
    }
}

fn time<'v>(args: &Args<'v>, timeout: Value<'v>) -> starlark::Result<u64> {
    let time = timeout.unpack_str().and_then(duration::parse).filter(|time| *time > 0);
    time.ok_or_else(|| args.wrong("timeout", duration::EXPECTED, timeout))
}

/// Why a program failed, by its code and its own words.
fn failure(output: &Output) -> Option<String> {
    let how = match output.code {
        0 => return None,
        code @ 1.. => format!("exit code {code}"),
        signal => format!("signal {}", -signal),
    };
    let stderr = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Some(format!("command failed ({how}): {}", shorten(stderr, MAX_QUOTED)))
}
