//! The content of a record: the caller, the call, the decision and the outcome.

/// Everything that stays the same for one app. Made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The machine.
    pub node: String,
    /// The owner of the app.
    pub tenant: String,
    /// The app.
    pub app: String,
    /// The number of its revision, where the node numbers them.
    pub revision: Option<u64>,
    /// The digest of its script.
    pub script_digest: String,
    /// The digest of the rules it runs under.
    pub policy_digest: String,
}

/// One privileged call, before it is done.
#[derive(Clone, Copy, Debug)]
pub struct AuditedCall<'a> {
    /// The id of the request it is made in; none during setup.
    pub request: Option<&'a str>,
    /// When in the life of the script.
    pub phase: Phase,
    /// The function: `fs.read_text`, `http.server.serve`, `os.exec`, `kv.get`.
    pub capability: &'a str,
    /// The capability as rules name it, such as `fs.read`; `time` or `random` for a call that needs no rule.
    pub category: &'a str,
    /// The resource, canonical, as a rule would write it; for a request whose host was resolved the URL, a space and
    /// the address, as an endpoint of the policy prints.
    pub resource: &'a str,
    /// The decision about the call.
    pub decision: Decision,
    /// The rule that decided; none for a default.
    pub rule: Option<&'a str>,
    /// The lowest profile that would grant it.
    pub needed: Option<&'a str>,
    /// The script, or the file it loaded.
    pub file: &'a str,
    /// The line of the call in it.
    pub line: u32,
    /// The arguments that decide what the call does.
    pub arguments: &'a Arguments,
}

/// The arguments of a call that decide what it does, beside its resource. Each is there only where the function has it.
///
/// No field holds the value of a variable, the input of a program, a body or a query: a log must not become a second
/// place for secrets. Statements on databases and their parameters are there only for an operator who asks for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// The words of a command, the program first.
    pub argv: Option<Vec<String>>,
    /// The names of the variables that a program is given.
    pub env: Option<Vec<String>>,
    /// The folder that a program starts in, as the script spelled it.
    pub cwd: Option<String>,
    /// The name of an object of a cluster.
    pub object: Option<String>,
    /// The method of a request.
    pub method: Option<String>,
    /// The server that keeps the pairs of `kv`, without credentials.
    pub store: Option<String>,
    /// The statement on a database.
    pub statement: Option<String>,
    /// What stands for its placeholders, one list behind the other.
    pub parameters: Option<Vec<String>>,
    /// Whether a cluster was only asked what it would do.
    pub dry_run: bool,
}

impl Arguments {
    /// No arguments: the resource says all.
    pub const NONE: &'static Self = &Self {
        argv: None,
        env: None,
        cwd: None,
        object: None,
        method: None,
        store: None,
        statement: None,
        parameters: None,
        dry_run: false,
    };

    /// Adds the words of a command.
    #[must_use]
    pub fn argv<T: Into<String>>(self, words: impl IntoIterator<Item = T>) -> Self {
        Self { argv: Some(words.into_iter().map(Into::into).collect()), ..self }
    }

    /// Adds the names of the variables that a program is given.
    #[must_use]
    pub fn env<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        Self { env: Some(names.into_iter().map(Into::into).collect()), ..self }
    }

    /// Adds the folder that a program starts in.
    #[must_use]
    pub fn cwd(self, folder: impl Into<String>) -> Self {
        Self { cwd: Some(folder.into()), ..self }
    }

    /// Adds the name of an object.
    #[must_use]
    pub fn object(self, name: impl Into<String>) -> Self {
        Self { object: Some(name.into()), ..self }
    }

    /// Adds the method of a request.
    #[must_use]
    pub fn method(self, method: impl Into<String>) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// Adds the server that keeps the pairs of `kv`.
    #[must_use]
    pub fn store(self, server: impl Into<String>) -> Self {
        Self { store: Some(server.into()), ..self }
    }

    /// Adds the statement on a database.
    #[must_use]
    pub fn statement(self, text: impl Into<String>) -> Self {
        Self { statement: Some(text.into()), ..self }
    }

    /// Adds what stands for the placeholders of a statement.
    #[must_use]
    pub fn parameters<T: Into<String>>(self, values: impl IntoIterator<Item = T>) -> Self {
        Self { parameters: Some(values.into_iter().map(Into::into).collect()), ..self }
    }

    /// Says whether a cluster is only asked what it would do.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run, ..self }
    }
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
    /// The decision about a call.
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
    /// The end of a call that was done.
    Outcome {
        /// It succeeded.
        Ok "ok",
        /// It failed.
        Error "error",
        /// It was ended before it was over, since its request's time ran out or its client left. What it had done by
        /// then stays done.
        Cancelled "cancelled",
        /// Nobody knows: the host died in between. Written by nobody; a reader infers it.
        Unknown "unknown",
    }
}
