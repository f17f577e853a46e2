//! Values for a script, by name, as flags.

use std::path::PathBuf;

use clap::Args;

/// Tables that a name may lead through.
const MAX_PARTS: usize = 32;

/// The variables of a script, which it reads with `vars`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Variables")]
pub struct VarFlags {
    /// Gives the script a variable, which it reads with vars.var_str and its siblings; lists and dicts are JSON, and a name
    /// such as db.host leads into a table. May be repeated; the last one of a name counts. A variable that no flag and no
    /// file gives comes from STARCELL_VAR_NAME in the environment.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    pub vars: Vec<(String, String)>,

    /// A file of variables, in TOML, JSON or YAML by its name. May be repeated; a later file wins over an earlier one, and
    /// --var over all. The files are read again with the script, under --watch and after a SIGHUP.
    #[arg(long = "var-file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("there is no = in it; write NAME=VALUE, such as port=8080".to_owned());
    };
    let is_wrong = |c: char| c.is_whitespace() || c.is_control();
    match name {
        "" => Err("the name before = is missing; write NAME=VALUE, such as port=8080".to_owned()),
        name if name.contains(is_wrong) => Err(format!("the name {name:?} has a space or a control character in it")),
        name if name.split('.').any(str::is_empty) => Err(format!("the name {name:?} has a dot beside no part of it")),
        name if name.split('.').count() > MAX_PARTS => Err(format!("the name has more than {MAX_PARTS} parts")),
        name => Ok((name.to_owned(), value.to_owned())),
    }
}
