//! The keyword arguments of servers: what each accepts, checked where the script wrote it.

use starlark::values::Value;

use crate::args::Args;
use crate::duration;
use crate::host::ServerOptions;

/// What an error lists.
pub(super) const ACCEPTED: &str = "port, host, tls_cert, tls_key, read_timeout, write_timeout, idle_timeout, \
     shutdown_timeout, max_header_bytes, max_body_bytes";

/// Reads every option of a call over `base`, which they override, and refuses everything else.
pub(super) fn read<'v>(args: &mut Args<'v>, base: &ServerOptions) -> starlark::Result<ServerOptions> {
    let mut options = base.clone();
    if let Some(port) = args.either("port")? {
        options.port = Some(args.int("port", "an int from 0 to 65535", port)?);
    }
    for (name, value) in std::mem::take(&mut args.named) {
        if !set(&mut options, args, name, value)? {
            args.named.push((name, value));
        }
    }
    args.finish(ACCEPTED)?;
    check_tls(args, &options)?;
    Ok(options)
}

/// Sets one option; false when there is none of that name.
fn set<'v>(options: &mut ServerOptions, args: &Args<'v>, name: &str, value: Value<'v>) -> starlark::Result<bool> {
    match name {
        "host" => options.host = Some(args.text(name, value)?),
        "tls_cert" => options.tls_cert = Some(args.text(name, value)?),
        "tls_key" => options.tls_key = Some(args.text(name, value)?),
        "read_timeout" => options.read_timeout = Some(nanoseconds(args, name, value)?),
        "write_timeout" => options.write_timeout = Some(nanoseconds(args, name, value)?),
        "idle_timeout" => options.idle_timeout = Some(nanoseconds(args, name, value)?),
        "shutdown_timeout" => options.shutdown_timeout = Some(nanoseconds(args, name, value)?),
        "max_header_bytes" => options.max_header_bytes = Some(size(args, name, value)?),
        "max_body_bytes" => options.max_body_bytes = Some(size(args, name, value)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn nanoseconds<'v>(args: &Args<'v>, name: &str, value: Value<'v>) -> starlark::Result<u64> {
    value.unpack_str().and_then(duration::parse).ok_or_else(|| args.wrong(name, duration::EXPECTED, value))
}

fn size<'v>(args: &Args<'v>, name: &str, value: Value<'v>) -> starlark::Result<u64> {
    let expected = "a positive int";
    match args.int(name, expected, value)? {
        0 => Err(args.wrong(name, expected, value)),
        size => Ok(size),
    }
}

/// Half a TLS configuration is a server that speaks plain HTTP where the operator believes it does not.
fn check_tls(args: &Args<'_>, options: &ServerOptions) -> starlark::Result<()> {
    let (given, missing) = match (&options.tls_cert, &options.tls_key) {
        (Some(_), None) => ("tls_cert", "tls_key"),
        (None, Some(_)) => ("tls_key", "tls_cert"),
        _ => return Ok(()),
    };
    Err(args.error(format_args!("{given} given without {missing}; TLS needs both")))
}
