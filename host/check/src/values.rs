//! Values that lead to the host's files: paths, and data that can be written.
//!
//! Which value a method is called on only running tells. So in a script that makes such values, a method of that name
//! counts, whatever it is called on; in any other script it does not.

use starcell_policy::Capability;

use crate::facts::{Facts, Mention};

/// The formats whose `file(path)` reads a file.
const READ_FILES: [&str; 8] = ["base64", "csv", "gzip", "hash", "json", "template", "toml", "yaml"];

/// The formats whose `source(value)` has a `write_file`.
const WRITE_FILES: [&str; 4] = ["csv", "json", "toml", "yaml"];

/// What a function of a format needs.
pub(crate) fn format_needs(module: &str, function: &str) -> Vec<Capability> {
    match function {
        "file" if READ_FILES.contains(&module) => vec![Capability::FsRead],
        _ => Vec::new(),
    }
}

/// What a method of a path needs.
pub(crate) fn path_needs(method: &str) -> Vec<Capability> {
    match method.strip_prefix("try_").unwrap_or(method) {
        "exists" | "glob" | "is_dir" | "is_file" | "listdir" | "read_bytes" | "read_text" | "resolve" | "stat" => {
            vec![Capability::FsRead]
        }
        "append_text" | "mkdir" | "write_bytes" | "write_text" => vec![Capability::FsWrite],
        // The source is read.
        "copy_to" | "move_to" => vec![Capability::FsRead, Capability::FsWrite],
        "remove" => vec![Capability::FsDelete],
        _ => Vec::new(),
    }
}

/// What a method of data with `write_file` needs.
pub(crate) fn source_needs(method: &str) -> Vec<Capability> {
    match method.strip_prefix("try_").unwrap_or(method) {
        "write_file" => vec![Capability::FsWrite],
        _ => Vec::new(),
    }
}

/// Which such values a script can have in its hands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    paths: bool,
    sources: bool,
}

impl Made {
    /// By all of its files, since one can hand a value to another.
    pub(crate) fn by<'a>(files: impl IntoIterator<Item = &'a Facts<'a>>) -> Self {
        let mut made = Self::default();
        for mention in files.into_iter().flat_map(|facts| &facts.mentions) {
            made.paths |= leads(mention, &["fs"], &["path"]);
            made.sources |= leads(mention, &WRITE_FILES, &["source"]);
        }
        made
    }

    /// What an attribute may need that is taken from any value; one without a name may be each.
    pub(crate) fn attribute_needs(self, name: Option<&str>) -> Vec<Capability> {
        let all = || vec![Capability::FsDelete, Capability::FsRead, Capability::FsWrite];
        let mut needed = match name {
            None if self.paths => all(),
            None if self.sources => vec![Capability::FsWrite],
            None => Vec::new(),
            Some(name) => {
                let of_paths = if self.paths { path_needs(name) } else { Vec::new() };
                let of_sources = if self.sources { source_needs(name) } else { Vec::new() };
                [of_paths, of_sources].concat()
            }
        };
        needed.sort_unstable();
        needed.dedup();
        needed
    }
}

fn leads(mention: &Mention<'_>, modules: &[&str], makers: &[&str]) -> bool {
    let makes = |member: &str| makers.contains(&member.strip_prefix("try_").unwrap_or(member));
    modules.contains(&mention.module) && mention.member.is_none_or(makes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::builtins::builtins;

    /// A new method of a path is noticed here.
    #[test]
    fn every_method_of_a_path_is_decided_upon() {
        const FREE: [&str; 11] = [
            "clean",
            "is_absolute",
            "join",
            "name",
            "parent",
            "parts",
            "stem",
            "string",
            "suffix",
            "with_name",
            "with_suffix",
        ];
        for name in builtins().types.get("fs.path").unwrap().members.keys() {
            let free = FREE.contains(&name.strip_prefix("try_").unwrap_or(name));
            assert_ne!(path_needs(name).is_empty(), !free, "{name}");
        }
    }

    #[test]
    fn every_format_with_files_is_known() {
        for module in builtins().modules() {
            let has = |name: &str| builtins().function(module, name).is_some();
            assert_eq!(has("file"), READ_FILES.contains(&module), "{module}.file");
            assert_eq!(has("source"), WRITE_FILES.contains(&module), "{module}.source");
        }
    }
}
