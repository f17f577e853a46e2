//! The variables of a script, from the flags and files of its operator.
//!
//! The decision: all of them are one tree, in which a name such as `db.host` is a path. Files come first, each over those
//! before it, table by table; then the flags, each of which sets one place. So `var_dict("db")` and `var_str("db.host")`
//! cannot disagree. The tree is then written down flat, one variable for each place in it, and the script looks names up.
//! A file is read as the script's own `json.decode`, `toml.decode` or `yaml.decode` would read it.

use starlark::environment::Module;
use starlark::values::Value;
use starlark::values::dict::DictRef;

use crate::host::{Setting, Variable};
use crate::modules::data::{DataFormat, decode};
use crate::modules::{json_encode, json_string};

/// Bytes of all variables, in a flat list: every image of the script holds them.
const MAX_BYTES: usize = 4 << 20;

/// Flags and files, one over the other.
#[derive(Debug, Default)]
pub struct VariableTree {
    root: Vec<(String, Node)>,
}

/// A place in the tree, and where its value comes from.
#[derive(Clone, Debug)]
struct Node {
    shape: Shape,
    origin: String,
}

#[derive(Clone, Debug)]
enum Shape {
    Table(Vec<(String, Node)>),
    Text(String),
    /// One JSON text of any other value.
    Json(String),
}

impl Node {
    fn is_null(&self) -> bool {
        matches!(&self.shape, Shape::Json(json) if json == "null")
    }
}

impl VariableTree {
    /// Adds a file, whose values replace those that are there.
    ///
    /// # Errors
    /// The sentence about what is wrong with the text.
    pub fn add_file(&mut self, origin: &str, format: DataFormat, text: &[u8]) -> Result<(), String> {
        match document(format, text, origin)?.map(|node| node.shape) {
            // An empty YAML file is no value.
            None => Ok(()),
            Some(Shape::Table(table)) => {
                merge(&mut self.root, table);
                Ok(())
            }
            Some(_) => Err("a file of variables has names and values: its outermost value is a table".to_owned()),
        }
    }

    /// Sets one variable to a text, whatever is there.
    pub fn set(&mut self, origin: &str, name: &str, text: &str) {
        place(&mut self.root, name, Node { shape: Shape::Text(text.to_owned()), origin: origin.to_owned() });
    }

    /// All variables, sorted by name: each value, each table as a whole, and what is in the tables.
    ///
    /// # Errors
    /// A sentence: they are more than a script can hold.
    pub fn variables(&self) -> Result<Vec<Variable>, String> {
        let mut variables = Vec::new();
        flatten("", &self.root, &mut variables);
        // Of two places that are written alike, as `"a.b"` and `b` in `a`, the first counts.
        variables.sort_by(|one, other| one.name.cmp(&other.name));
        variables.dedup_by(|later, first| later.name == first.name);
        let bytes: usize = variables.iter().map(size).sum();
        match bytes <= MAX_BYTES {
            true => Ok(variables),
            false => {
                Err(format!("the variables take {bytes} bytes, more than the {MAX_BYTES} that a script may be given"))
            }
        }
    }
}

fn size(variable: &Variable) -> usize {
    let (Setting::Text(value) | Setting::Json(value)) = &variable.setting;
    variable.name.len() + variable.origin.len() + value.len()
}

/// The value of a document, if it is not null.
fn document(format: DataFormat, text: &[u8], origin: &str) -> Result<Option<Node>, String> {
    Module::with_temp_heap(|module| {
        let value = decode(format, text, module.heap())?;
        if value.is_none() { Ok(None) } else { node(value, origin).map(Some) }
    })
}

fn node(value: Value<'_>, origin: &str) -> Result<Node, String> {
    let origin = origin.to_owned();
    if let Some(text) = value.unpack_str() {
        return Ok(Node { shape: Shape::Text(text.to_owned()), origin });
    }
    let Some(dict) = DictRef::from_value(value) else {
        return Ok(Node { shape: Shape::Json(json_encode::encode(value, None)?), origin });
    };
    let mut table = Vec::new();
    for (key, value) in dict.iter() {
        let name = key.unpack_str().ok_or_else(|| format!("the name {} is no text", key.to_repr()))?;
        table.push((name.to_owned(), node(value, &origin).map_err(|why| format!("{name}: {why}"))?));
    }
    Ok(Node { shape: Shape::Table(table), origin })
}

/// Lays one table over another.
fn merge(under: &mut Vec<(String, Node)>, over: Vec<(String, Node)>) {
    for (name, node) in over {
        let Some((_, there)) = under.iter_mut().find(|(known, _)| *known == name) else {
            under.push((name, node));
            continue;
        };
        match (&mut there.shape, node) {
            (Shape::Table(under), Node { shape: Shape::Table(over), origin }) => {
                merge(under, over);
                there.origin = origin;
            }
            (_, node) => *there = node,
        }
    }
}

/// Puts a value where its path leads: to the name as it is, if that is there, else through tables.
fn place(table: &mut Vec<(String, Node)>, path: &str, node: Node) {
    let is_there = table.iter().any(|(name, _)| name == path);
    let Some((first, rest)) = path.split_once('.').filter(|_| !is_there) else {
        return merge(table, vec![(path.to_owned(), node)]);
    };
    let at = table.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
        table.push((first.to_owned(), Node { shape: Shape::Table(Vec::new()), origin: node.origin.clone() }));
        table.len() - 1
    });
    let Some((_, there)) = table.get_mut(at) else { return };
    there.origin.clone_from(&node.origin);
    let mut inside = match std::mem::replace(&mut there.shape, Shape::Table(Vec::new())) {
        Shape::Table(inside) => inside,
        Shape::Text(text) => in_text(&text, &there.origin).unwrap_or_default(),
        Shape::Json(_) => Vec::new(),
    };
    place(&mut inside, rest, node);
    there.shape = Shape::Table(inside);
}

/// The table that a text is in JSON, as a flag may give it.
fn in_text(text: &str, origin: &str) -> Option<Vec<(String, Node)>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    match document(DataFormat::Json, text.as_bytes(), origin).ok()??.shape {
        Shape::Table(table) => Some(table),
        Shape::Text(_) | Shape::Json(_) => None,
    }
}

fn flatten(prefix: &str, table: &[(String, Node)], variables: &mut Vec<Variable>) {
    // A null in a file takes a value away: the script's default stands.
    for (name, node) in table.iter().filter(|(_, node)| !node.is_null()) {
        let name = format!("{prefix}{name}");
        let setting = match &node.shape {
            Shape::Text(text) => Setting::Text(text.clone()),
            shape => Setting::Json(json(shape)),
        };
        variables.push(Variable { name: name.clone(), setting, origin: node.origin.clone() });
        match &node.shape {
            Shape::Table(inside) => flatten(&format!("{name}."), inside, variables),
            Shape::Text(text) => {
                let inside = in_text(text, &node.origin).unwrap_or_default();
                flatten(&format!("{name}."), &inside, variables);
            }
            Shape::Json(_) => {}
        }
    }
}

fn json(shape: &Shape) -> String {
    match shape {
        Shape::Text(text) => json_string::string(text),
        Shape::Json(json) => json.clone(),
        Shape::Table(table) => {
            let pairs = table.iter().map(|(name, node)| format!("{}:{}", json_string::string(name), json(&node.shape)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn shown(tree: &VariableTree) -> Vec<String> {
        let variables = tree.variables().unwrap();
        let text = |setting: &Setting| match setting {
            Setting::Text(text) => format!("{text:?}"),
            Setting::Json(json) => json.clone(),
        };
        variables.iter().map(|v| format!("{} = {} ({})", v.name, text(&v.setting), v.origin)).collect()
    }

    #[test]
    fn a_later_file_lies_over_an_earlier_one_table_by_table() {
        let mut tree = VariableTree::default();
        tree.add_file("a.toml", DataFormat::Toml, b"port = 1\n[db]\nhost = \"a\"\nport = 5\n").unwrap();
        tree.add_file("b.yaml", DataFormat::Yaml, b"db:\n  host: b\nports: [1, 2]\n").unwrap();
        tree.add_file("c.json", DataFormat::Json, b"{\"port\": {\"http\": 80}}").unwrap();
        let expected = [
            "db = {\"host\":\"b\",\"port\":5} (b.yaml)",
            "db.host = \"b\" (b.yaml)",
            "db.port = 5 (a.toml)",
            "port = {\"http\":80} (c.json)",
            "port.http = 80 (c.json)",
            "ports = [1,2] (b.yaml)",
        ];
        assert_eq!(shown(&tree), expected);
    }

    #[test]
    fn a_flag_sets_one_place_and_the_last_one_counts() {
        let mut tree = VariableTree::default();
        tree.add_file("a.toml", DataFormat::Toml, b"[db]\nhost = \"a\"\nport = 5\n").unwrap();
        for (name, text) in [("db.host", "x"), ("db.host", "y"), ("new.deep.name", "1"), ("db.port.http", "80")] {
            tree.set("--var", name, text);
        }
        let expected = [
            "db = {\"host\":\"y\",\"port\":{\"http\":\"80\"}} (--var)",
            "db.host = \"y\" (--var)",
            "db.port = {\"http\":\"80\"} (--var)",
            "db.port.http = \"80\" (--var)",
            "new = {\"deep\":{\"name\":\"1\"}} (--var)",
            "new.deep = {\"name\":\"1\"} (--var)",
            "new.deep.name = \"1\" (--var)",
        ];
        assert_eq!(shown(&tree), expected);
    }

    #[test]
    fn a_flag_in_json_is_a_text_and_a_table() {
        let mut tree = VariableTree::default();
        tree.add_file("a.toml", DataFormat::Toml, b"[db]\nhost = \"a\"\nport = 5\n").unwrap();
        tree.set("--var", "db", "{\"host\": \"x\"}");
        assert_eq!(shown(&tree), ["db = \"{\\\"host\\\": \\\"x\\\"}\" (--var)", "db.host = \"x\" (--var)"]);
        tree.set("--var", "db.port", "7");
        let expected =
            ["db = {\"host\":\"x\",\"port\":\"7\"} (--var)", "db.host = \"x\" (--var)", "db.port = \"7\" (--var)"];
        assert_eq!(shown(&tree), expected);
    }

    #[test]
    fn a_name_with_a_dot_is_itself_first() {
        let mut tree = VariableTree::default();
        tree.add_file("a.json", DataFormat::Json, b"{\"a.b\": 1, \"a\": {\"b\": 2}}").unwrap();
        tree.set("--var", "a.b", "3");
        assert_eq!(shown(&tree), ["a = {\"b\":2} (a.json)", "a.b = \"3\" (--var)"]);
    }

    #[test]
    fn a_null_takes_a_value_away() {
        let mut tree = VariableTree::default();
        tree.add_file("a.yaml", DataFormat::Yaml, b"a: 1\nb: {c: 2, d: 3}\n").unwrap();
        tree.add_file("b.yaml", DataFormat::Yaml, b"a: null\nb: {c: }\n").unwrap();
        assert_eq!(shown(&tree), ["b = {\"c\":null,\"d\":3} (b.yaml)", "b.d = 3 (a.yaml)"]);
    }

    #[test]
    fn wrong_files_are_errors() {
        for (format, text, expected) in [
            (DataFormat::Toml, &b"a = \n"[..], "line 1"),
            (DataFormat::Json, b"{\"a\": 1", "line 1"),
            (DataFormat::Json, b"[1]", "outermost value is a table"),
            (DataFormat::Yaml, b"- a\n", "outermost value is a table"),
            (DataFormat::Yaml, b"a: [1\n", "line"),
            (DataFormat::Yaml, b"1: a\n", "the name 1 is no text"),
            (DataFormat::Toml, b"\xff", "UTF-8"),
        ] {
            let error = VariableTree::default().add_file("f", format, text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let mut empty = VariableTree::default();
        empty.add_file("e.yaml", DataFormat::Yaml, b"# nothing\n").unwrap();
        empty.add_file("e.toml", DataFormat::Toml, b"").unwrap();
        assert_eq!(shown(&empty), Vec::<String>::new());
    }

    #[test]
    fn what_no_script_could_hold_is_an_error() {
        let mut tree = VariableTree::default();
        tree.set("--var", "a", &"x".repeat(MAX_BYTES));
        assert!(tree.variables().unwrap_err().contains("more than the 4194304"));
    }
}
