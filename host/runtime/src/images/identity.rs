//! The digest of all that a setup can see.
//!
//! Each part stands with its name and its length, so that no two lists of parts have the same bytes. The digest is keyed:
//! secrets are among the parts, and the digest is the name of a file.

use ring::hmac::{Context, Key};

use crate::context::{AppConfig, AppContext};
use crate::limits::Limits;
use crate::{Setting, Variable};

/// Whose image it is, as far as the app itself does not know.
#[derive(Clone, Copy, Debug)]
pub struct ImageOwner<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The app.
    pub app: &'a str,
    /// All that decides what the app may do, in one text.
    pub policy: &'a str,
}

/// The digest of what the setup of `source` can see in an app.
pub(super) fn identity(
    key: &Key,
    interpreter: &[u8; 32],
    owner: &ImageOwner<'_>,
    app: &AppContext,
    source: &[u8],
) -> [u8; 32] {
    let mut parts = Parts(Context::with_key(key));
    parts.add("version", env!("CARGO_PKG_VERSION"));
    parts.add("interpreter", interpreter);
    // Not for the setup: two tenants share no image even where all else is equal.
    parts.add("tenant", owner.tenant);
    parts.add("app", owner.app);
    parts.add("policy", owner.policy);
    parts.add("source", source);
    let AppConfig { script, mode, cwd, arguments, variables, state, limits, log, host, port, .. } = &app.config;
    let environment = &state.environment;
    parts.add("script", script);
    parts.add("mode", format!("{mode:?}"));
    parts.add("cwd", cwd.to_string());
    parts.add("address", format!("{host:?} {port:?}"));
    parts.add("log", format!("{:?} {:?}", log.least, log.format));
    limit_parts(&mut parts, limits);
    arguments.iter().for_each(|argument| parts.add("argument", argument));
    for Variable { name, setting, origin } in &variables.defined {
        parts.add("variable", name);
        match setting {
            Setting::Text(text) => parts.add("text", text),
            Setting::Json(text) => parts.add("json", text),
        }
        parts.add("origin", origin);
    }
    for (name, value) in &variables.environment {
        parts.add("variable of the environment", name);
        parts.add("value", value);
    }
    for name in environment.names() {
        parts.add("environment", name);
        parts.add("value", environment.get(name).unwrap_or_default());
    }
    parts.digest()
}

fn limit_parts(parts: &mut Parts, limits: &Limits) {
    // All, so that a limit that is new is not forgotten.
    let &Limits {
        memory_bytes,
        request_cpu,
        request_wall,
        setup_cpu,
        setup_wall,
        call_depth,
        crossing_bytes,
        io_bytes,
        log_bytes,
    } = limits;
    let text = format!(
        "{memory_bytes} {request_cpu:?} {request_wall:?} {setup_cpu:?} {setup_wall:?} {call_depth} {crossing_bytes} {io_bytes} \
         {log_bytes:?}"
    );
    parts.add("limits", text);
}

struct Parts(Context);

impl Parts {
    fn add(&mut self, name: &str, bytes: impl AsRef<[u8]>) {
        for part in [name.as_bytes(), bytes.as_ref()] {
            self.0.update(&(part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    fn digest(self) -> [u8; 32] {
        let mut digest = [0; 32];
        // A code of this kind has 32 bytes.
        digest.copy_from_slice(self.0.sign().as_ref());
        digest
    }
}

#[cfg(test)]
mod tests {
    use ring::hmac::HMAC_SHA256;

    use super::*;

    fn digest(parts: &[(&str, &str)]) -> [u8; 32] {
        let mut all = Parts(Context::with_key(&Key::new(HMAC_SHA256, b"key")));
        parts.iter().for_each(|(name, text)| all.add(name, text));
        all.digest()
    }

    #[test]
    fn parts_are_told_apart() {
        let lists: [&[(&str, &str)]; 6] = [
            &[],
            &[("a", "bc")],
            &[("ab", "c")],
            &[("a", "b"), ("a", "c")],
            &[("a", "bac")],
            &[("a", "c"), ("a", "b")],
        ];
        for (at, one) in lists.iter().enumerate() {
            for other in lists.iter().skip(at + 1) {
                assert_ne!(digest(one), digest(other), "{one:?} {other:?}");
            }
        }
    }
}
