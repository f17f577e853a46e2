//! The keyword arguments of servers: what each accepts, checked where the script wrote it.
//!
//! `None` is as if an option was not given, and an empty text or 0 is the option's default, also where a call overrides
//! what the server was made with. A duration of 0 is no limit of the script's own, which is the default of all four.

use starlark::values::{UnpackValue, Value};

use super::time::Deadline;
use crate::args::{Args, int};
use crate::error::usage;
use crate::given::wrong;
use crate::host::ServerOptions;
use crate::shorten::shorten;

/// Bytes of a value that messages of the host repeat.
const MAX_WRITTEN: usize = 40;

/// What an error lists.
pub(super) const ACCEPTED: &str = "port, host, tls_cert, tls_key, read_timeout, write_timeout, idle_timeout, \
     shutdown_timeout, max_header_bytes, max_body_bytes";

/// Reads every option of a call over `base`, which they override, and refuses everything else.
pub(super) fn read<'v>(args: &mut Args<'v>, base: &ServerOptions) -> starlark::Result<ServerOptions> {
    let mut options = base.clone();
    if let Some(port) = args.either("port")?.filter(|port| !port.is_none()) {
        options.port = Some(self::port(port)?);
    }
    for (name, value) in std::mem::take(&mut args.named) {
        if !set(&mut options, name, value)? {
            args.named.push((name, value));
        } else if !value.is_none() {
            options.written.retain(|(written, _)| written != name);
            options.written.push((name.to_owned(), shorten(value.to_repr(), MAX_WRITTEN)));
        }
    }
    args.finish(ACCEPTED)?;
    check_tls(&options)?;
    Ok(options)
}

fn port(value: Value<'_>) -> starlark::Result<u16> {
    let port = int(value).and_then(|port| u16::try_from(port).ok());
    port.ok_or_else(|| wrong("port", "an int from 0 to 65535", value))
}

/// Sets one option; false when there is none of that name.
fn set(options: &mut ServerOptions, name: &str, value: Value<'_>) -> starlark::Result<bool> {
    let option = match name {
        "host" => Named::Text(&mut options.host),
        "tls_cert" => Named::Text(&mut options.tls_cert),
        "tls_key" => Named::Text(&mut options.tls_key),
        "read_timeout" => Named::Time(&mut options.read_timeout),
        "write_timeout" => Named::Time(&mut options.write_timeout),
        "idle_timeout" => Named::Time(&mut options.idle_timeout),
        "shutdown_timeout" => Named::Time(&mut options.shutdown_timeout),
        "max_header_bytes" => Named::Size(&mut options.max_header_bytes),
        "max_body_bytes" => Named::Size(&mut options.max_body_bytes),
        _ => return Ok(false),
    };
    if !value.is_none() {
        option.set(name, value)?;
    }
    Ok(true)
}

/// An option by the kind of its value.
enum Named<'a> {
    Text(&'a mut Option<String>),
    Time(&'a mut Option<u64>),
    Size(&'a mut Option<u64>),
}

impl Named<'_> {
    fn set(self, name: &str, value: Value<'_>) -> starlark::Result<()> {
        match self {
            Self::Text(option) => {
                let text = value.unpack_str().ok_or_else(|| wrong(name, "a str", value))?;
                *option = Some(text.to_owned()).filter(|text| !text.is_empty());
            }
            Self::Time(option) => match Deadline::unpack_value(value) {
                Ok(Some(deadline)) => *option = deadline.0,
                _ => return Err(wrong(name, crate::duration::EXPECTED, value)),
            },
            Self::Size(option) => {
                let size = int(value).ok_or_else(|| wrong(name, "an int that is not negative", value))?;
                *option = Some(size).filter(|size| *size > 0);
            }
        }
        Ok(())
    }
}

/// Half a TLS configuration is a server that speaks plain HTTP where the operator believes it does not.
fn check_tls(options: &ServerOptions) -> starlark::Result<()> {
    let (given, missing) = match (&options.tls_cert, &options.tls_key) {
        (Some(_), None) => ("tls_cert", "tls_key"),
        (None, Some(_)) => ("tls_key", "tls_cert"),
        _ => return Ok(()),
    };
    Err(usage(format!("{given} given without {missing}; TLS needs both")))
}
