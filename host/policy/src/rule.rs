//! Rules: the grammar an operator writes, parsed once into types.
//!
//! ```text
//! rule      = name "." name [ "[" function { "," function } "]" ] [ "(" resource ")" ]
//! name      = "*" | a module or category of the closed list
//! ```
//!
//! Functions stand in their own brackets, so a resource may hold colons and commas without being
//! taken for a function list. An unknown name, a function the categories do not have or a malformed
//! resource is an error with its byte position: a rule that silently matches nothing is the worst
//! kind of deny rule. A rule with a resource must be about one kind of resource, since it could not
//! judge the others.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{
    call::Call,
    capability::{AnyPattern, Capability, ResourceKind},
    glob::Fault,
    resource::{MAX_RULE, MissingRoot},
    roots::Roots,
    suggest::nearest,
};

/// One line of a profile: what it allows or denies depends on the list it stands in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    module: Option<&'static str>,
    category: Option<&'static str>,
    /// Sorted; empty for every function.
    functions: Vec<&'static str>,
    resource: Option<AnyPattern>,
}

/// The place and the reason why a text is not a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("bad rule {rule:?} at byte {position}: {problem}{}", did_you_mean(.suggestion.as_deref()))]
pub struct RuleError {
    rule: String,
    position: usize,
    problem: String,
    suggestion: Option<String>,
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|s| format!("; did you mean `{s}`?")).unwrap_or_default()
}

impl RuleError {
    /// The byte offset in the rule, from 0.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The problem at that place, or what was expected there.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// The known name that was probably meant.
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }
}

impl Rule {
    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let error = |fault: Fault, suggestion: Option<&str>| RuleError {
            rule: text.chars().take(MAX_RULE).collect(),
            position: fault.at,
            problem: fault.problem,
            suggestion: suggestion.map(str::to_owned),
        };
        if text.len() > MAX_RULE {
            return Err(error(Fault::new(MAX_RULE, "a rule has at most 4096 bytes"), None));
        }
        if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(error(Fault::new(at, "a rule holds no control characters"), None));
        }
        Parser { text, at: 0 }.rule().map_err(|(fault, suggestion)| error(fault, suggestion))
    }

    /// The capabilities it is about.
    pub fn capabilities(&self) -> impl Iterator<Item = Capability> {
        let (module, category) = (self.module, self.category);
        Capability::ALL.into_iter().filter(move |c| selects(module, category, *c))
    }

    /// The functions it is about; empty for all of its capabilities.
    pub fn functions(&self) -> &[&'static str] {
        &self.functions
    }

    /// Its resource as written in canonical form.
    pub fn resource(&self) -> Option<String> {
        self.resource.as_ref().map(AnyPattern::to_string)
    }

    /// Returns whether it allows all that the other allows, as far as it can be seen from the two: a yes is certain, a
    /// no may be a yes that is harder to see.
    pub fn includes(&self, other: &Self) -> bool {
        let names = other.capabilities().all(|c| selects(self.module, self.category, c));
        let functions = self.functions.is_empty()
            || (!other.functions.is_empty() && other.functions.iter().all(|f| self.functions.contains(f)));
        let resource = match (&self.resource, &other.resource) {
            (None, None) => true,
            (None, Some(other)) => !other.is_of_addresses(),
            (Some(_), None) => false,
            (Some(pattern), Some(other)) => pattern.includes(other),
        };
        // A list of all functions there are is not taken for no list; that would change when one is added.
        names && functions && resource
    }

    /// The rule with its variables replaced and its links followed to their end, to compare it with rules that spell the
    /// folder out; none where a variable stands for nothing.
    #[must_use]
    pub fn with_roots(&self, roots: &Roots) -> Option<Self> {
        let resource = match self.spellings(roots).ok()? {
            Some(mut spellings) => Some(spellings.pop()?),
            None => None,
        };
        Some(Self { resource, ..self.clone() })
    }

    /// Returns whether some call may be about both: they have a capability and a function in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let common = |c: &Capability| selects(self.module, self.category, *c);
        let functions = |rule: &Self, f| rule.functions.is_empty() || rule.functions.contains(&f);
        let mut all = other.capabilities().filter(common).flat_map(Capability::functions);
        all.any(|f| functions(self, f) && functions(other, f))
    }

    /// `module.category`.
    pub(crate) const fn of(capability: Capability) -> Self {
        Self {
            module: Some(capability.module()),
            category: Some(capability.category()),
            functions: Vec::new(),
            resource: None,
        }
    }

    /// `module.*`, for the module of a capability.
    pub(crate) const fn of_module(capability: Capability) -> Self {
        Self { module: Some(capability.module()), category: None, functions: Vec::new(), resource: None }
    }

    /// `module.category(resource)`, for a resource of the capability's kind.
    pub(crate) fn about(capability: Capability, resource: AnyPattern) -> Self {
        Self { resource: Some(resource), ..Self::of(capability) }
    }

    /// The narrowest rule that would grant the call, when one can be spelled.
    pub(crate) fn granting(call: &Call<'_>) -> Option<Self> {
        let capability = call.capability();
        match call.in_rule() {
            Some(resource) => Self::parse(&format!("{capability}({resource})")).ok(),
            None if capability.kind() == ResourceKind::Object => Some(Self::of(capability)),
            None => None,
        }
    }

    /// Returns whether its names and functions are those of the call, whatever the resource.
    pub(crate) fn is_about(&self, call: &Call<'_>) -> bool {
        selects(self.module, self.category, call.capability())
            && (self.functions.is_empty() || self.functions.contains(&call.function()))
    }

    /// Its resource under every name that it has here, any of which is meant; none for a rule without one.
    pub(crate) fn spellings(&self, roots: &Roots) -> Result<Option<Vec<AnyPattern>>, MissingRoot> {
        self.resource.as_ref().map(|resource| resource.spellings(roots)).transpose()
    }
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        Self::parse(text)
    }
}

/// The canonical spelling, which parses to the same rule.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module.unwrap_or("*"), self.category.unwrap_or("*"))?;
        if !self.functions.is_empty() {
            write!(f, "[{}]", self.functions.join(","))?;
        }
        match &self.resource {
            Some(resource) => write!(f, "({resource})"),
            None => Ok(()),
        }
    }
}

fn selects(module: Option<&str>, category: Option<&str>, capability: Capability) -> bool {
    module.is_none_or(|m| m == capability.module()) && category.is_none_or(|c| c == capability.category())
}

type Refusal = (Fault, Option<&'static str>);

/// A cursor over a rule's text.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rule(mut self) -> Result<Rule, Refusal> {
        let module = self.module()?;
        if !self.eat('.') {
            return Err(self.expected("`.` and a category"));
        }
        let category = self.category(module)?;
        let known: Vec<Capability> = Capability::ALL.into_iter().filter(|c| selects(module, category, *c)).collect();
        let functions = if self.eat('[') { self.functions(&known)? } else { Vec::new() };
        let resource = if self.eat('(') { Some(self.resource(&known)?) } else { None };
        if self.at < self.text.len() {
            return Err(self.expected(match (&resource, functions.is_empty()) {
                (Some(_), _) => "the end of the rule",
                (None, true) => "`[`, `(` or the end of the rule",
                (None, false) => "`(` or the end of the rule",
            }));
        }
        Ok(Rule { module, category, functions, resource })
    }

    fn module(&mut self) -> Result<Option<&'static str>, Refusal> {
        let start = self.at;
        let name = self.name("a module or `*`")?;
        if name == "*" {
            return Ok(None);
        }
        let known = Capability::ALL.into_iter().map(Capability::module).find(|m| *m == name);
        known
            .map(Some)
            .ok_or_else(|| (Fault::new(start, format!("unknown module `{name}`")), Capability::module_like(name)))
    }

    fn category(&mut self, module: Option<&'static str>) -> Result<Option<&'static str>, Refusal> {
        let start = self.at;
        let name = self.name("a category or `*`")?;
        if name == "*" {
            return Ok(None);
        }
        let of_module = Capability::ALL.into_iter().filter(|c| selects(module, None, *c));
        let known: Vec<&'static str> = of_module.map(Capability::category).collect();
        known.iter().copied().find(|c| *c == name).map(Some).ok_or_else(|| {
            let place = module.map(|m| format!(" of module `{m}`")).unwrap_or_default();
            (Fault::new(start, format!("unknown category `{name}`{place}")), nearest(name, known))
        })
    }

    fn functions(&mut self, of: &[Capability]) -> Result<Vec<&'static str>, Refusal> {
        let known: Vec<&'static str> = of.iter().flat_map(|c| c.functions()).collect();
        let mut functions = Vec::new();
        loop {
            let start = self.at;
            let name = self.name("a function")?;
            let found = known.iter().copied().find(|f| f.eq_ignore_ascii_case(name));
            functions.push(found.ok_or_else(|| {
                let problem = format!("unknown function `{name}`");
                (Fault::new(start, problem), nearest(name, known.iter().copied()))
            })?);
            if self.eat(']') {
                break;
            }
            if !self.eat(',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
        functions.sort_unstable();
        functions.dedup();
        Ok(functions)
    }

    /// Everything up to the last character, which must close the parenthesis.
    fn resource(&mut self, of: &[Capability]) -> Result<AnyPattern, Refusal> {
        let start = self.at;
        let rest = self.rest();
        let Some(inner) = rest.strip_suffix(')') else {
            self.at = self.text.len();
            return Err(self.expected("`)` at the end of the rule"));
        };
        self.at = self.text.len();
        let mut kinds: Vec<ResourceKind> = of.iter().map(|c| c.kind()).collect();
        kinds.dedup();
        match kinds.as_slice() {
            [kind] => AnyPattern::parse(*kind, inner).map_err(|f| (f.shifted(start), None)),
            kinds => {
                let kinds: Vec<String> = kinds.iter().map(ResourceKind::to_string).collect();
                let problem = format!("one resource cannot be judged as {}", kinds.join(" and "));
                Err((Fault::new(start, problem), None))
            }
        }
    }

    fn name(&mut self, what: &str) -> Result<&'a str, Refusal> {
        let rest = self.rest();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = match rest.starts_with('*') {
            true => 1,
            false => rest.find(|c| !word(c)).unwrap_or(rest.len()),
        };
        if len == 0 {
            return Err(self.expected(what));
        }
        let (name, _) = rest.split_at(len);
        self.at += len;
        Ok(name)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.rest().starts_with(wanted);
        self.at += if found { wanted.len_utf8() } else { 0 };
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn expected(&self, what: &str) -> Refusal {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{c}`"),
            None => "the end".to_owned(),
        };
        (Fault::new(self.at, format!("expected {what}, found {found}")), None)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn rules_print_canonically() {
        for (text, printed) in [
            ("fs.read", "fs.read"),
            ("*.*", "*.*"),
            ("kv.*", "kv.*"),
            ("*.read", "*.read"),
            ("k8s.read[list,get,list]", "k8s.read[get,list]"),
            ("http.client[post](https://H.example/x)", "http.client[POST](https://h.example/x)"),
            ("fs.write($CWD/**)", "fs.write($CWD/**)"),
            ("fs.*($HOME)", "fs.*($HOME)"),
            ("fs.read(/a (b)/c,d:e)", "fs.read(/a (b)/c,d:e)"),
            ("os.env(APP_*)", "os.env(APP_*)"),
            ("kv.read(user:*)", "kv.read(user:*)"),
            ("http.server(localhost:8080)", "http.server(127.0.0.1:8080)"),
            ("http.server([::1]:*)", "http.server([::1]:*)"),
            ("http.server(127.1.1.1/8)", "http.server(127.0.0.0/8:*)"),
            ("http.server($HOST:80)", "http.server($HOST:80)"),
            ("os.env($ENV)", "os.env($ENV)"),
            ("k8s.*(default/po)", "k8s.*(default/pods)"),
            ("os.exec(/usr/bin/id)", "os.exec(/usr/bin/id)"),
            ("*.client(10.0.0.0/8)", "*.client(10.0.0.0/8)"),
        ] {
            let rule = Rule::parse(text).unwrap();
            assert_eq!(rule.to_string(), printed);
            assert_eq!(printed.parse::<Rule>().unwrap(), rule);
        }
    }

    #[test]
    fn errors_have_a_position_and_a_suggestion() {
        for (text, at, suggestion) in [
            ("", 0, None),
            ("kv", 2, None),
            ("fs.", 3, None),
            ("xyzzy.read", 0, None),
            ("fss.read", 0, Some("fs")),
            ("fs.raed", 3, Some("read")),
            ("fs.exec", 3, None),
            ("*.raed", 2, Some("read")),
            ("k8s.read[gte]", 9, Some("get")),
            ("k8s.read[get", 12, None),
            ("k8s.read[]", 9, None),
            ("http.server[start]", 12, None),
            ("os.env[setenv]", 7, None),
            ("fs.read[walk]", 8, None),
            ("k8s.exec", 4, None),
            ("k8s.read[get;list]", 12, None),
            ("k8s.read[get]x", 13, None),
            ("http.server[localhost](:80)", 12, None),
            ("fs.read(/a", 10, None),
            ("fs.read()", 8, None),
            ("fs.read(a/b)", 8, None),
            ("fs.read(/a/../b)", 11, None),
            ("fs.read /a", 7, None),
            (" fs.read", 0, None),
            ("fs.read\n", 7, None),
            ("*.read(/a)", 7, None),
            ("os.*(PATH)", 5, None),
            ("http.client(http://u@h/)", 19, None),
            ("http.server(:http)", 13, None),
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert_eq!(error.position(), at, "{error}");
            assert_eq!(error.suggestion(), suggestion, "{error}");
        }
        assert_eq!(
            Rule::parse("fs.raed").unwrap_err().to_string(),
            "bad rule \"fs.raed\" at byte 3: unknown category `raed` of module `fs`; \
             did you mean `read`?"
        );
        assert!(Rule::parse(&"*".repeat(5000)).is_err());
    }

    #[test]
    fn a_rule_includes_what_it_is_seen_to_cover() {
        for (wide, narrow, expected) in [
            ("fs.write", "fs.write($CWD/**)", true),
            ("fs.write($CWD/**)", "fs.write", false),
            ("fs.write($CWD/**)", "fs.write[mkdir]($CWD/a/b*)", true),
            ("fs.write($CWD/**)", "fs.write($CWD)", false),
            ("fs.write($CWD/**)", "fs.write(/srv/a)", false),
            ("fs.write(/a/*)", "fs.write(/a/**)", false),
            ("fs.write(/a/**/c)", "fs.write(/a/b*/**/c)", true),
            ("fs.*", "fs.read(/a)", true),
            ("*.read", "*.*", false),
            ("*.*", "*.read", true),
            ("kv.read[get]", "kv.read", false),
            ("kv.read(a*)", "kv.read(ab*)", true),
            ("kv.read(a*)", "kv.read(*a)", false),
            ("http.client", "http.client(h)", true),
            ("http.client", "http.client(10.0.0.5)", false),
            ("http.client(10.0.0.0/8)", "http.client[GET](http://10.0.0.5/a)", true),
            ("http.client(*)", "http.client(*.h)", true),
            ("http.client(*)", "http.client(10.0.0.5)", false),
            ("http.client(*.h)", "http.client(a.b.h:80)", true),
            ("http.client(*.h)", "http.client(h)", false),
            ("http.client(https://h/a/**)", "http.client(https://h)", false),
            ("http.server(:80)", "http.server(127.0.0.1:80)", true),
            ("http.server(127.0.0.1)", "http.server(:80)", false),
            ("k8s.read(default/*)", "k8s.read(default/pods)", true),
            ("k8s.read(default/*)", "k8s.read(*/pods)", false),
        ] {
            let (wide, narrow) = (Rule::parse(wide).unwrap(), Rule::parse(narrow).unwrap());
            assert_eq!(wide.includes(&narrow), expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn a_star_selects_by_name() {
        let rule = Rule::parse("*.exec").unwrap();
        let selected: Vec<_> = rule.capabilities().collect();
        assert_eq!(selected, [Capability::OsExec]);
    }
}
