//! The variables that an operator gives a script: those of flags and files, and those of the environment.
//!
//! They travel with the script into the guest and are part of its images. So a handler reads one without a call of the
//! host, which therefore has nothing to judge: whatever is in here, the script may know.

use std::fmt;

use crate::bindings::starcell::guest::types::{Field, Variable};

/// The variables of one app.
#[derive(Clone, Default)]
pub struct Variables {
    /// Those of flags and files, each name once.
    pub defined: Vec<Variable>,
    /// Those of the environment that stand for variables of the script, by their whole names.
    pub environment: Vec<Field>,
}

impl fmt::Debug for Variables {
    /// The names alone: a value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defined = self.defined.iter().map(|variable| &variable.name);
        f.debug_list().entries(defined).entries(self.environment.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bindings::starcell::guest::types::Setting;

    #[test]
    fn a_value_is_not_shown_where_an_app_is() {
        let setting = Setting::Text("hidden".to_owned());
        let variable = Variable { name: "token".to_owned(), setting, origin: "--var".to_owned() };
        let environment = vec![("STARCELL_VAR_KEY".to_owned(), "hidden".to_owned())];
        let shown = format!("{:?}", Variables { defined: vec![variable], environment });
        assert_eq!(shown, r#"["token", "STARCELL_VAR_KEY"]"#);
    }
}
