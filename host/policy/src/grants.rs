//! Grants: a profile and its extra rules, compiled for one app.
//!
//! A grant is a list of layers that must all allow a call. Narrowing a tenant's grants by an app's
//! appends the app's layers, so it cannot widen anything: there is no operation that removes a
//! layer or merges two. Variables are replaced and links followed here, once, by the caller's [`Roots`].

use std::{fmt, sync::Arc};

use thiserror::Error;

use crate::{
    layer::{Layer, Source},
    profile::Profile,
    resource::MissingRoot,
    roots::Roots,
    rule::Rule,
};

/// The grants of one app. They are cheap to clone.
#[derive(Clone)]
pub struct Grants {
    /// The first layer to ask; there is always one.
    pub(crate) outer: Arc<Layer>,
    /// The others, which must allow a call too.
    pub(crate) inner: Arc<[Arc<Layer>]>,
    /// The built-in profiles with the same folders, to find the one that would grant a call.
    pub(crate) ladder: Arc<[Layer]>,
}

/// The reason why grants cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GrantsError {
    /// A rule starts with `$HOME` and no home folder was given.
    #[error("the rule {0} needs a home folder")]
    NoHome(Box<Rule>),
}

impl Grants {
    /// Compiles a profile with rules added to it: `deny` wins over `allow` and the profile.
    pub fn new(profile: &Profile, allow: &[Rule], deny: &[Rule], roots: &Roots) -> Result<Self, GrantsError> {
        let ladder = Profile::ladder().iter().map(|rung| compile(rung, &[], &[], roots));
        Ok(Self {
            outer: Arc::new(compile(profile, allow, deny, roots)?),
            inner: Arc::new([]),
            ladder: ladder.collect::<Result<_, _>>()?,
        })
    }

    /// The grants that allow what both these grants and the app's allow. Paths in advice are those of the app.
    #[must_use]
    pub fn narrow(&self, app: &Self) -> Self {
        Self {
            outer: self.outer.clone(),
            inner: self.inner.iter().chain([&app.outer]).chain(app.inner.iter()).cloned().collect(),
            ladder: app.ladder.clone(),
        }
    }

    /// The name of the profile of each layer, the outermost first.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        self.layers().map(Layer::profile)
    }

    pub(crate) fn layers(&self) -> impl Iterator<Item = &Layer> {
        [&self.outer].into_iter().chain(self.inner.iter()).map(AsRef::as_ref)
    }
}

/// The profiles only: a permit holds its grants, and logs show permits.
impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Grants")?;
        f.debug_list().entries(self.profiles()).finish()
    }
}

fn compile(profile: &Profile, allow: &[Rule], deny: &[Rule], roots: &Roots) -> Result<Layer, GrantsError> {
    let no_home = |(rule, MissingRoot): (Box<Rule>, MissingRoot)| GrantsError::NoHome(rule);
    let mut layer = Layer::new(profile);
    for part in profile.lineage() {
        layer.add(&Source::Profile(part.name().into()), part.allow(), part.deny(), roots).map_err(no_home)?;
    }
    layer.add(&Source::Added, allow, deny, roots).map_err(no_home)?;
    Ok(layer)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::path::CanonicalPath;

    #[test]
    fn a_rule_about_home_needs_one() {
        let rule = Rule::parse("fs.read($HOME/**)").unwrap();
        let cwd = CanonicalPath::absolute("/srv").unwrap();
        let roots = Roots::new(cwd.clone());
        let refused = Grants::new(&Profile::default(), &[], std::slice::from_ref(&rule), &roots);
        assert_eq!(refused.unwrap_err(), GrantsError::NoHome(Box::new(rule.clone())));
        let roots = roots.with_home(cwd);
        assert!(Grants::new(&Profile::default(), &[rule], &[], &roots).is_ok());
    }

    #[test]
    fn narrowing_keeps_every_layer() {
        let roots = Roots::new(CanonicalPath::absolute("/srv").unwrap());
        let tenant = Profile::named("allow-local").unwrap();
        let tenant = Grants::new(&tenant, &[], &[], &roots).unwrap();
        let app = Grants::new(&Profile::default(), &[], &[], &roots).unwrap();
        assert_eq!(tenant.narrow(&app).profiles().collect::<Vec<_>>(), ["allow-local", "deny-all"]);
    }
}
