//! `os`: programs and environment of the host. No shell is ever involved: a command given as a str is split into words
//! the way a shell would, and that is all that is done with it.

#![expect(clippy::too_many_arguments, reason = "they are named where they are given")]

use starcell_macros::builtins;
use starlark::environment::GlobalsBuilder;
use starlark::eval::Evaluator;
use starlark::values::Value;
use starlark::values::dict::DictRef;
use starlark::values::list::ListRef;
use starlark::values::structs::AllocStruct;

use super::files;
use super::time::Deadline;
use crate::args::describe;
use crate::bytes::{Bytes, text_or_bytes};
use crate::error::{from_host, usage};
use crate::given::{Text, argument, wrong};
use crate::host::{Command, HostError, Output, Position, Programs};
use crate::result::{attempt, failed};
use crate::session::{Session, position};
use crate::shorten::shorten;

/// Most of a program's own words that the error of `exec` quotes.
const MAX_QUOTED: usize = 2000;

/// Most words of a command; the host takes no more.
const MAX_WORDS: usize = 4096;

#[builtins("os")]
pub(super) fn register(builder: &mut GlobalsBuilder) {
    /// The value of a variable of the host's environment, or the default.
    fn env<'v>(
        name: Text<'v>,
        default: Option<Value<'v>>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let value = ask(eval, |programs, at| programs.env(name.0, at))?;
        Ok(value.map(|value| eval.heap().alloc(value)).or(default).unwrap_or_default())
    }

    /// The working directory, from the root: where relative paths start. Needs the permission to read it.
    fn cwd<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<String> {
        files::ask(eval, |files, at| files.resolve(".", at))
    }

    /// The name of this machine, or what the operator says it is with `--env HOSTNAME=name`. Needs the permission to read
    /// the variable `HOSTNAME`.
    fn hostname<'v>(eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<String> {
        ask(eval, |programs, at| programs.hostname(at))
    }

    /// Runs a program and returns what it wrote to standard output: str when it is UTF-8, else bytes.
    ///
    /// `cmd` is a list of words, the first of which names the program, or a str that is split into words without any
    /// shell. With `args`, a list of str, `cmd` is the program alone, and no word of either is split. The program starts
    /// with no environment but `env`, in `cwd` or the working directory, with `stdin` (str or bytes; `input` is another
    /// name of it) as its input, and is killed with all it started after `timeout`, such as `"5s"`, or when the request
    /// ends. Errors: a program that cannot be run, that ends with another code than 0, that takes too long or writes
    /// too much.
    fn exec<'v>(
        cmd: Value<'v>,
        args: Option<Words<'v>>,
        #[starlark(require = named)] env: Option<DictRef<'v>>,
        #[starlark(require = named)] cwd: Option<Text<'v>>,
        #[starlark(require = named)] stdin: Option<Bytes<'v>>,
        #[starlark(require = named)] input: Option<Bytes<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let output = Program { cmd, args, env, cwd, stdin, input, timeout }.run(eval)?;
        match failure(&output) {
            Some(text) => Err(usage(text)),
            None => Ok(text_or_bytes(&output.stdout, eval.heap())),
        }
    }

    /// Like `exec`, as a `Result` whose value has `stdout`, `stderr` and `code`, also when the program failed.
    fn try_exec<'v>(
        cmd: Value<'v>,
        args: Option<Words<'v>>,
        #[starlark(require = named)] env: Option<DictRef<'v>>,
        #[starlark(require = named)] cwd: Option<Text<'v>>,
        #[starlark(require = named)] stdin: Option<Bytes<'v>>,
        #[starlark(require = named)] input: Option<Bytes<'v>>,
        #[starlark(require = named)] timeout: Option<Deadline>,
        eval: &mut Evaluator<'v, '_, '_>,
    ) -> starlark::Result<Value<'v>> {
        let output = Program { cmd, args, env, cwd, stdin, input, timeout }.run(eval)?;
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
    fn which<'v>(name: Text<'v>, eval: &mut Evaluator<'v, '_, '_>) -> starlark::Result<Value<'v>> {
        let path = ask(eval, |programs, at| programs.which(name.0, at))?;
        Ok(path.map(|path| eval.heap().alloc(path)).unwrap_or_default())
    }
}

argument! {
    /// Words of a command.
    Words<'v>(&'v ListRef<'v>) as &'v ListRef<'v>, "a list of str", |value| {
        ListRef::from_value(value).filter(|words| words.iter().all(|word| word.unpack_str().is_some()))
    }
}

/// Asks the host.
fn ask<'v, T>(
    eval: &Evaluator<'v, '_, '_>,
    question: impl FnOnce(&dyn Programs, &Position) -> Result<T, HostError>,
) -> starlark::Result<T> {
    question(Session::of(eval)?.host.programs(), &position(eval)).map_err(from_host)
}

/// The arguments of `exec`.
struct Program<'v> {
    cmd: Value<'v>,
    args: Option<Words<'v>>,
    env: Option<DictRef<'v>>,
    cwd: Option<Text<'v>>,
    stdin: Option<Bytes<'v>>,
    input: Option<Bytes<'v>>,
    timeout: Option<Deadline>,
}

impl<'v> Program<'v> {
    fn run(self, eval: &Evaluator<'v, '_, '_>) -> starlark::Result<Output> {
        if self.stdin.is_some() && self.input.is_some() {
            return Err(usage("give stdin or input, which are one, not both"));
        }
        let command = Command {
            argv: self.words()?,
            environment: self.env.as_ref().map(variables).transpose()?,
            folder: self.cwd.map(|cwd| cwd.0.to_owned()),
            stdin: self.stdin.or(self.input).map(|input| input.0.to_owned()).unwrap_or_default(),
            timeout: self.timeout.and_then(|timeout| timeout.0),
        };
        ask(eval, |programs, at| programs.exec(&command, at))
    }

    fn words(&self) -> starlark::Result<Vec<String>> {
        let owned = |word: &Value<'v>| word.unpack_str().map(str::to_owned);
        let mut words = match (self.cmd.unpack_str(), ListRef::from_value(self.cmd)) {
            (Some(program), _) if self.args.is_some() => vec![program.to_owned()],
            (Some(text), _) => shlex::split(text)
                .ok_or_else(|| usage(format!("cmd has a quote without an end: {}", describe(self.cmd))))?,
            (None, list) => list
                .and_then(|list| list.iter().map(|word| owned(&word)).collect::<Option<Vec<_>>>())
                .ok_or_else(|| wrong("cmd", "a list of str, or a str", self.cmd))?,
        };
        words.extend(self.args.iter().flat_map(|args| args.0.iter()).filter_map(|word| owned(&word)));
        match words.first().map(String::as_str) {
            None | Some("") => Err(usage("cmd is empty")),
            Some(_) if words.len() > MAX_WORDS => {
                Err(usage(format!("cmd has {} words, more than {MAX_WORDS}", words.len())))
            }
            Some(_) => Ok(words),
        }
    }
}

fn variables(env: &DictRef<'_>) -> starlark::Result<Vec<(String, String)>> {
    let pair = |(name, value): (Value<'_>, Value<'_>)| match (name.unpack_str(), value.unpack_str()) {
        (Some(name), Some(value)) => Ok((name.to_owned(), value.to_owned())),
        _ => {
            Err(usage(format!("env must be a dict of str and str, got {}: {} in it", describe(name), describe(value))))
        }
    };
    env.iter().map(pair).collect()
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
