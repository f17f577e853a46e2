//! What is recorded: who asked for what, and what was decided and came of it.

/// Everything that stays the same for one app. Made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The machine.
    pub node: String,
    /// The owner of the app.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// The digest of its script.
    pub script_digest: String,
    /// The digest of the rules it runs under.
    pub policy_digest: String,
}

/// One privileged call, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The id of the request it is made in; none during setup.
    pub request: Option<&'a str>,
    /// When in the life of the script.
    pub phase: Phase,
    /// The function: `fs.read_text`, `http.server.serve`, `os.exec`, `kv.get`.
    pub capability: &'a str,
    /// What rules name: `fs.read`; `time` or `random` for what needs no rule.
    pub category: &'a str,
    /// What it acts on, canonical, as a rule would write it; for a request whose host was resolved the URL, a space and
    /// the address, as an endpoint of the policy prints.
    pub resource: &'a str,
    /// What was decided.
    pub decision: Decision,
    /// The rule that decided; none for a default.
    pub rule: Option<&'a str>,
    /// The lowest profile that would grant it.
    pub needed: Option<&'a str>,
    /// The script, or the file it loaded.
    pub file: &'a str,
    /// The line of the call in it.
    pub line: u32,
}

/// Declares an enum whose variants have a stable label in the log.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])+ $variant:ident $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize, serde::Serialize)]
        pub enum $name {
            $($(#[$variant_doc])+ #[serde(rename = $label)] $variant,)+
        }

        impl $name {
            /// Its word in the log.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

labels! {
    /// When in the life of a script.
    Phase {
        /// While the script sets itself up.
        Setup "setup",
        /// While it handles a request.
        Request "request",
    }
}

labels! {
    /// What was decided about a call.
    Decision {
        /// It is done.
        Allow "allow",
        /// It is not done.
        Deny "deny",
        /// It is done, and would have been denied if the app did not only count.
        WouldDeny "would-deny",
    }
}

labels! {
    /// What came of a call that was done.
    Outcome {
        /// It succeeded.
        Ok "ok",
        /// It failed.
        Error "error",
        /// Nobody knows: the host died in between. Written by nobody; a reader infers it.
        Unknown "unknown",
    }
}
