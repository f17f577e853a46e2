//! The closed list of what a script may be refused.
//!
//! A capability is a `module.category` pair with the script functions it covers and the kind of
//! resource those functions act on. The list is an enum, not a table of strings, so that adding a
//! privileged function without deciding its capability does not compile, and so that a misspelt
//! name in a rule is an error instead of a rule that silently matches nothing. Time and randomness
//! are not here: every script has them.

use std::fmt;

use crate::suggest::nearest;

/// A privileged operation: what a rule grants and a [`Permit`](crate::Permit) proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// `fs.delete`: remove files and folders.
    FsDelete,
    /// `fs.read`: read files, list folders, look at metadata.
    FsRead,
    /// `fs.write`: create, change, move and link files.
    FsWrite,
    /// `http.client`: send a request; the function is the method.
    HttpClient,
    /// `http.server`: bind a listener.
    HttpServer,
    /// `k8s.config`: read the cluster configuration in use.
    K8sConfig,
    /// `k8s.exec`: run programs in containers and copy files in and out.
    K8sExec,
    /// `k8s.read`: read cluster objects and logs.
    K8sRead,
    /// `k8s.write`: change cluster objects.
    K8sWrite,
    /// `kv.read`: read the key-value store.
    KvRead,
    /// `kv.write`: change the key-value store.
    KvWrite,
    /// `os.env`: read and set environment variables of the script.
    OsEnv,
    /// `os.exec`: run a program of the host.
    OsExec,
}

/// What the functions of a capability act on, which decides how a rule's resource is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// The name of an environment variable.
    EnvName,
    /// A key of the key-value store.
    Key,
    /// A kind of Kubernetes object in a namespace.
    Object,
    /// A path of the host's file system.
    Path,
    /// The absolute path of a program.
    Program,
    /// An address and port to listen on.
    Server,
    /// A URL to send a request to.
    Url,
}

impl Capability {
    /// Every capability, in the order of their names.
    pub const ALL: [Self; 13] = [
        Self::FsDelete,
        Self::FsRead,
        Self::FsWrite,
        Self::HttpClient,
        Self::HttpServer,
        Self::K8sConfig,
        Self::K8sExec,
        Self::K8sRead,
        Self::K8sWrite,
        Self::KvRead,
        Self::KvWrite,
        Self::OsEnv,
        Self::OsExec,
    ];

    /// The capability written `module.category`.
    pub fn named(name: &str) -> Option<Self> {
        let (module, category) = name.split_once('.')?;
        Self::ALL.into_iter().find(|c| c.module() == module && c.category() == category)
    }

    /// The part of the name before the dot.
    pub const fn module(self) -> &'static str {
        match self {
            Self::FsDelete | Self::FsRead | Self::FsWrite => "fs",
            Self::HttpClient | Self::HttpServer => "http",
            Self::K8sConfig | Self::K8sExec | Self::K8sRead | Self::K8sWrite => "k8s",
            Self::KvRead | Self::KvWrite => "kv",
            Self::OsEnv | Self::OsExec => "os",
        }
    }

    /// The part of the name after the dot.
    pub const fn category(self) -> &'static str {
        match self {
            Self::FsDelete => "delete",
            Self::FsRead | Self::K8sRead | Self::KvRead => "read",
            Self::FsWrite | Self::K8sWrite | Self::KvWrite => "write",
            Self::HttpClient => "client",
            Self::HttpServer => "server",
            Self::K8sConfig => "config",
            Self::K8sExec | Self::OsExec => "exec",
            Self::OsEnv => "env",
        }
    }

    /// What its functions act on.
    pub const fn kind(self) -> ResourceKind {
        match self {
            Self::FsDelete | Self::FsRead | Self::FsWrite => ResourceKind::Path,
            Self::HttpClient => ResourceKind::Url,
            Self::HttpServer => ResourceKind::Server,
            Self::K8sConfig | Self::K8sExec | Self::K8sRead | Self::K8sWrite => ResourceKind::Object,
            Self::KvRead | Self::KvWrite => ResourceKind::Key,
            Self::OsEnv => ResourceKind::EnvName,
            Self::OsExec => ResourceKind::Program,
        }
    }

    /// The names of its functions, as a rule's function list spells them.
    pub fn functions(self) -> Vec<&'static str> {
        match self.kind() {
            ResourceKind::EnvName => EnvFunction::names_of(self),
            ResourceKind::Key => KvFunction::names_of(self),
            ResourceKind::Object => K8sFunction::names_of(self),
            ResourceKind::Path => PathFunction::names_of(self),
            ResourceKind::Program => ExecFunction::names_of(self),
            ResourceKind::Server => ServerFunction::names_of(self),
            ResourceKind::Url => HttpMethod::names_of(self),
        }
    }

    /// The known module most like `name`.
    pub(crate) fn module_like(name: &str) -> Option<&'static str> {
        nearest(name, Self::ALL.into_iter().map(Self::module))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module(), self.category())
    }
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EnvName => "environment variables",
            Self::Key => "keys",
            Self::Object => "kubernetes objects",
            Self::Path => "paths",
            Self::Program => "programs",
            Self::Server => "server addresses",
            Self::Url => "URLs",
        })
    }
}

/// Declares the functions of one kind of resource: an enum whose variants know their name and
/// capability, so that a call cannot pair a function with a resource of another kind.
macro_rules! functions {
    ($(#[$doc:meta])* $name:ident { $($capability:ident: $($variant:ident $text:literal),+;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(
                #[doc = concat!("`", $text, "`, covered by [`Capability::", stringify!($capability), "`].")]
                $variant,
            )+)+
        }

        impl $name {
            /// Every function of this kind.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)+)+];

            /// The function with this name; the case of ASCII letters does not matter.
            pub fn named(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|f| f.name().eq_ignore_ascii_case(name))
            }

            /// Its name in a script and in a rule's function list.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $text,)+)+ }
            }

            /// The capability it needs.
            pub const fn capability(self) -> Capability {
                match self { $($(Self::$variant)|+ => Capability::$capability,)+ }
            }

            fn names_of(capability: Capability) -> Vec<&'static str> {
                let mine = Self::ALL.iter().filter(|f| f.capability() == capability);
                mine.map(|f| f.name()).collect()
            }
        }
    };
}

functions! {
    /// A function on an environment variable.
    EnvFunction {
        OsEnv: Env "env", Setenv "setenv";
    }
}

functions! {
    /// A function on a program.
    ExecFunction {
        OsExec: Exec "exec", Which "which";
    }
}

functions! {
    /// The method of an outgoing request.
    HttpMethod {
        HttpClient: Delete "DELETE", Get "GET", Head "HEAD", Options "OPTIONS", Patch "PATCH",
            Post "POST", Put "PUT";
    }
}

functions! {
    /// A function on Kubernetes objects.
    K8sFunction {
        K8sConfig: Config "config";
        K8sExec: Cp "cp", Exec "exec";
        K8sRead: Describe "describe", Get "get", List "list", Logs "logs",
            PortForward "port_forward", TopNodes "top_nodes", TopPods "top_pods",
            Version "version", WaitFor "wait_for", Watch "watch";
        K8sWrite: Annotate "annotate", Apply "apply", Cordon "cordon", Create "create",
            Delete "delete", Drain "drain", Label "label", Patch "patch", Rollout "rollout",
            Scale "scale", Uncordon "uncordon";
    }
}

functions! {
    /// A function on keys of the key-value store.
    KvFunction {
        KvRead: Exists "exists", Get "get", List "list";
        KvWrite: CompareAndSet "compare_and_set", Delete "delete", Increment "increment",
            Set "set";
    }
}

functions! {
    /// A function on a path.
    PathFunction {
        FsDelete: Remove "remove";
        FsRead: DiskUsage "disk_usage", Exists "exists", Glob "glob", Group "group",
            IsDir "is_dir", IsFile "is_file", IsSymlink "is_symlink", Listdir "listdir",
            Owner "owner", ReadBytes "read_bytes", ReadText "read_text", Readlink "readlink",
            Stat "stat", Walk "walk";
        FsWrite: AppendBytes "append_bytes", AppendText "append_text", Chmod "chmod",
            Chown "chown", CopyTo "copy_to", HardlinkTo "hardlink_to", Mkdir "mkdir",
            MoveTo "move_to", Rename "rename", SymlinkTo "symlink_to", Touch "touch",
            Truncate "truncate", WriteBytes "write_bytes", WriteText "write_text";
    }
}

functions! {
    /// A function that binds a listener.
    ServerFunction {
        HttpServer: Serve "serve", Start "start";
    }
}

impl PathFunction {
    /// Whether it acts on everything beneath the path at once, so that a deny rule for something
    /// beneath must stop it: moving a folder away would otherwise free its denied contents.
    /// `walk` is how a move asks to read all that it moves.
    pub(crate) const fn takes_tree(self) -> bool {
        matches!(self, Self::CopyTo | Self::MoveTo | Self::Remove | Self::Rename | Self::Walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_the_capability() {
        for capability in Capability::ALL {
            assert_eq!(Capability::named(&capability.to_string()), Some(capability));
        }
        assert_eq!(Capability::named("fs"), None);
        assert_eq!(Capability::named("fs.reads"), None);
        assert_eq!(Capability::named("time.now"), None);
    }

    #[test]
    fn every_capability_has_functions_and_none_is_listed_twice() {
        for capability in Capability::ALL {
            let mut names = capability.functions();
            assert!(!names.is_empty(), "{capability}");
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{capability}");
        }
    }

    #[test]
    fn functions_know_their_capability() {
        assert_eq!(PathFunction::named("remove").map(PathFunction::capability), Some(Capability::FsDelete));
        assert_eq!(HttpMethod::named("get"), Some(HttpMethod::Get));
        assert_eq!(HttpMethod::named("CONNECT"), None);
    }

    #[test]
    fn a_misspelt_module_has_a_suggestion() {
        assert_eq!(Capability::module_like("htpp"), Some("http"));
        assert_eq!(Capability::module_like("random"), None);
    }
}
