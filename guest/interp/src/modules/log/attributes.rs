//! The attributes of a logger, and the groups that they stand in.
//!
//! A group holds all attributes that are added behind it: in JSON it is an object, in text its name stands before theirs,
//! as `req.id=7`. Groups are only ever added, so an attribute needs no more than the number of groups that it stands in.
//! An attribute given again replaces the one of the same name in the same group.

use allocative::Allocative;

use super::super::json_string;
use crate::error::usage;
use crate::host::{Field, LogFormat};

/// Most groups of a logger: they nest in JSON, and a reader counts them.
const MAX_GROUPS: usize = 16;

/// What a logger adds to each of its lines.
#[derive(Clone, Debug, Default, Allocative)]
pub(super) struct Attributes {
    attributes: Vec<Attribute>,
    groups: Vec<String>,
}

/// A name and one JSON text.
#[derive(Clone, Debug, Allocative)]
struct Attribute {
    /// How many of the groups it stands in.
    depth: usize,
    name: String,
    json: String,
}

impl Attributes {
    /// These attributes and more, in the last group.
    pub(super) fn with(&self, own: Vec<Field>) -> Self {
        let depth = self.groups.len();
        let is_kept = |kept: &&Attribute| kept.depth != depth || !own.iter().any(|(name, _)| *name == kept.name);
        let mut attributes: Vec<Attribute> = self.attributes.iter().filter(is_kept).cloned().collect();
        attributes.extend(own.into_iter().map(|(name, json)| Attribute { depth, name, json }));
        Self { attributes, groups: self.groups.clone() }
    }

    /// These attributes, with a group for those that are added from now on.
    pub(super) fn within(&self, group: &str) -> starlark::Result<Self> {
        if self.groups.len() >= MAX_GROUPS {
            return Err(usage(format!("a logger has {MAX_GROUPS} groups at most")));
        }
        let mut within = self.clone();
        within.groups.push(group.to_owned());
        Ok(within)
    }

    /// The fields of a line in a format.
    pub(super) fn fields(&self, format: LogFormat) -> Vec<Field> {
        match format {
            LogFormat::Json => self.nested(0),
            LogFormat::Text => {
                self.attributes.iter().map(|attribute| (self.qualified(attribute), attribute.json.clone())).collect()
            }
        }
    }

    /// All of them as one JSON object.
    pub(super) fn object(&self) -> String {
        object(&self.nested(0))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.attributes.is_empty()
    }

    /// A name behind those of its groups.
    fn qualified(&self, attribute: &Attribute) -> String {
        let groups = self.groups.iter().take(attribute.depth).map(String::as_str);
        groups.chain([attribute.name.as_str()]).collect::<Vec<_>>().join(".")
    }

    /// The attributes that stand in so many groups, and the next group, unless it is empty. A group hides an attribute of
    /// its name: an object has each name once.
    fn nested(&self, depth: usize) -> Vec<Field> {
        let is_deeper = self.attributes.iter().any(|attribute| attribute.depth > depth);
        let group = self.groups.get(depth).filter(|_| is_deeper);
        let own = self.attributes.iter().filter(|attribute| attribute.depth == depth);
        let seen = own.filter(|attribute| group != Some(&attribute.name));
        let mut fields: Vec<Field> = seen.map(|attribute| (attribute.name.clone(), attribute.json.clone())).collect();
        fields.extend(group.map(|group| (group.clone(), object(&self.nested(depth + 1)))));
        fields
    }
}

fn object(fields: &[Field]) -> String {
    let pairs: Vec<String> =
        fields.iter().map(|(name, json)| format!("{}:{json}", json_string::string(name))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn field(name: &str, json: &str) -> Vec<Field> {
        vec![(name.to_owned(), json.to_owned())]
    }

    #[test]
    fn groups_are_objects_in_json_and_prefixes_in_text() {
        let plain = Attributes::default().with(field("app", "\"a\""));
        let request = plain.within("req").unwrap().with(field("id", "1")).with(field("id", "2"));
        let user = request.within("user").unwrap().with(field("id", "3"));
        assert_eq!(user.object(), r#"{"app":"a","req":{"id":2,"user":{"id":3}}}"#);
        let text: Vec<String> =
            user.fields(LogFormat::Text).iter().map(|(name, json)| format!("{name}={json}")).collect();
        assert_eq!(text, ["app=\"a\"", "req.id=2", "req.user.id=3"]);
        assert_eq!(request.within("empty").unwrap().object(), r#"{"app":"a","req":{"id":2}}"#);
        assert_eq!(plain.within("app").unwrap().with(field("x", "1")).object(), r#"{"app":{"x":1}}"#);
    }

    #[test]
    fn a_logger_has_so_many_groups_and_no_more() {
        let mut attributes = Attributes::default();
        for _ in 0..MAX_GROUPS {
            attributes = attributes.within("g").unwrap();
        }
        assert!(attributes.within("g").unwrap_err().to_string().contains("16 groups at most"));
        let deep = attributes.with(field("x", "1")).object();
        assert_eq!(deep.matches("\"g\":").count(), MAX_GROUPS);
    }
}
