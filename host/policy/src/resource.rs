//! The contract of one kind of resource: what a privileged call acts on, and how a rule is about it.
//!
//! A kind of resource is a type of its own ([`CanonicalPath`](crate::CanonicalPath), [`Url`](crate::Url)) with a type
//! for the part of a rule in parentheses. Granting and denying are two questions: a grant must cover all that a call acts
//! on, a deny rule any part of it. The decision itself knows no kind; a kind that forgets one of the two questions does
//! not compile.

use std::{fmt, hash::Hash, net::IpAddr};

use crate::{glob::Fault, roots::Roots};

/// Bytes of a rule. A resource that needs more is widened by [`Resource::covering`].
pub(crate) const MAX_RULE: usize = 4096;

/// Bytes of a rule that its capability and a list of functions may take.
pub(crate) const ROOM_FOR_NAMES: usize = 512;

/// A resource that the functions of a capability act on, in its one spelling.
pub trait Resource: Clone + fmt::Debug + fmt::Display + PartialEq + Eq + Sized + 'static {
    /// The resource of a rule for this kind.
    type Pattern: Pattern<Self>;

    /// Reads the resource as it prints; the error is a sentence without the text.
    fn read(text: &str, reading: &Reading<'_>) -> Result<Self, String>;

    /// The resource as a rule spells it, when a rule can name it and nothing else.
    fn in_rule(&self) -> Option<String> {
        Some(self.to_string())
    }

    /// The resource of a rule that covers it and as little else as rules can say.
    fn covering(&self) -> String {
        self.to_string()
    }

    /// The address that it names itself, which is then the only one it may lead to.
    fn address(&self) -> Option<IpAddr> {
        None
    }

    /// The resource of a rule that lets a call connect to an address that its host resolved to.
    fn at_address(&self, address: IpAddr) -> Option<String> {
        let _ = address;
        None
    }
}

/// The way in which a resource is read from a text.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// The folder that relative paths start at; none where only absolute ones are read.
    pub cwd: Option<&'a str>,
    /// True if the function acts on all that begins with the resource, and not on it alone.
    pub beneath: bool,
}

/// The resource of a rule for one kind.
pub trait Pattern<R>: Clone + fmt::Debug + fmt::Display + PartialEq + Eq + Hash {
    /// Reads the text between the parentheses of a rule.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// The pattern with its variables replaced and its links followed: any of these is meant. The error names a variable
    /// that has no meaning.
    fn spellings(&self, roots: &Roots) -> Result<Vec<Self>, MissingRoot> {
        let _ = roots;
        Ok(vec![self.clone()])
    }

    /// Returns whether it grants the resource; for a URL, whether it grants the name.
    fn grants(&self, resource: &R) -> bool;

    /// Returns whether it denies the resource or a part of it: the address that it leads to, or with `beneath`
    /// something that begins with it.
    fn denies(&self, resource: &R, address: Option<IpAddr>, beneath: bool) -> bool;

    /// Returns whether it grants all that the other does, as far as it can be seen from the two: a yes is certain, a no
    /// may be a yes that is harder to see.
    fn includes(&self, other: &Self) -> bool;

    /// Returns whether it grants the connection to an address, because it names that address.
    fn reaches(&self, resource: &R, address: IpAddr) -> bool {
        let _ = (resource, address);
        false
    }

    /// Returns whether it names addresses, which a rule without a resource does not.
    fn is_of_addresses(&self) -> bool {
        false
    }
}

/// A rule names `$HOME` and no home folder was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingRoot;
