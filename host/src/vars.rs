//! The variables that the command line and the environment give a script.
//!
//! All of them are read once, before the script starts. Of the environment nothing but the variables that are meant for
//! scripts, by their prefix, gets any further: no script can reach another one through `vars`.

use std::collections::BTreeMap;
use std::path::Path;

use starcell_interp::tools::{DataFormat, VariableTree};
use starcell_interp::{Setting as Given, Variable as GivenVariable};
use starcell_runtime::{Setting, Variable, Variables};

use crate::cli::VarFlags;
use crate::folder::read_named;
use crate::granted::environment_beginning;

/// What the names of variables of the environment that are meant for scripts begin with.
const PREFIX: &str = "STARCELL_VAR_";

/// Bytes of one file of variables.
const MAX_FILE_BYTES: usize = 1 << 20;

/// Reads the files that the flags name, and takes the flags and the environment beside them.
///
/// # Errors
/// The sentence for whoever typed the command.
pub fn variables(flags: &VarFlags) -> Result<Variables, String> {
    let mut tree = VariableTree::default();
    for file in &flags.files {
        let name = file.display().to_string();
        let of_file = |why: String| format!("--var-file: {name}: {why}");
        let format = format(file).map_err(of_file)?;
        let text = read_named(file).map_err(|error| format!("--var-file: {error}"))?;
        if text.len() > MAX_FILE_BYTES {
            return Err(of_file(format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        tree.add_file(&name, format, &text).map_err(of_file)?;
    }
    for (name, value) in &flags.vars {
        tree.set("--var", name, value);
    }
    let defined = tree.variables()?.into_iter().map(variable).collect();
    Ok(Variables { defined, environment: environment_beginning(PREFIX)? })
}

/// The variables of an app of a node: those of its configuration, and none of the environment.
///
/// # Errors
/// The sentence for the operator.
pub fn of_app(vars: &BTreeMap<String, serde_json::Value>) -> Result<Variables, String> {
    let mut tree = VariableTree::default();
    let text = serde_json::to_vec(vars).map_err(|error| format!("vars: {error}"))?;
    tree.add_file("app.toml", DataFormat::Json, &text).map_err(|why| format!("vars: {why}"))?;
    let defined = tree.variables()?.into_iter().map(variable).collect();
    Ok(Variables { defined, environment: Vec::new() })
}

/// The format of a file, by its name.
fn format(file: &Path) -> Result<DataFormat, String> {
    match file.extension().and_then(|suffix| suffix.to_str()) {
        Some("json") => Ok(DataFormat::Json),
        Some("toml") => Ok(DataFormat::Toml),
        Some("yaml" | "yml") => Ok(DataFormat::Yaml),
        _ => Err("a file of variables ends in .toml, .json, .yaml or .yml".to_owned()),
    }
}

fn variable(GivenVariable { name, setting, origin }: GivenVariable) -> Variable {
    let setting = match setting {
        Given::Text(text) => Setting::Text(text),
        Given::Json(json) => Setting::Json(json),
    };
    Variable { name, setting, origin }
}
