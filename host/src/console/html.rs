//! Pages as values: text goes in, and only markup comes out.
//!
//! The decision: [`Html`] is markup, its field is private, and each way to make it from a text escapes that text by
//! [`escape`]. Names of elements and attributes are written in the source (`&'static str`). An address is a [`Link`], which is
//! made of segments below the console; no other attribute that a browser follows can be set. So a page that forgot to escape
//! does not compile.
//!
//! What is refused: markup, quotes, and the characters that turn text around or take no room, which are shown as Starlark
//! literals spell them.
//!
//! The attack it answers: a script, a client or a manifest chooses a name, a path, a log line or a traceback that a browser
//! takes for markup or for an address, and so acts with the session of the operator who looks at it.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use starcell_text::terminal;

/// Where the console is.
pub(super) const ROOT: &str = "/console";

/// What stands as it is in a segment of a path and in a query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Elements without an end.
const VOID: [&str; 5] = ["meta", "link", "input", "br", "hr"];

/// Markup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

/// What can stand in an element.
pub(super) trait Content {
    /// Adds it to markup.
    fn add_to(&self, out: &mut Html);
}

/// An element that is being made.
#[derive(Clone, Debug)]
pub(super) struct Element {
    name: &'static str,
    attributes: String,
    content: Html,
}

/// An address within the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link(String);

/// The one way from a text to markup.
fn escape(out: &mut String, text: &str) {
    for c in terminal(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// An element.
pub(super) const fn el(name: &'static str) -> Element {
    Element { name, attributes: String::new(), content: Html(String::new()) }
}

impl Html {
    /// The markup, as it is sent.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// A whole document.
    pub(super) fn document(root: &Element) -> Self {
        let mut out = Self("<!doctype html>".to_owned());
        root.add_to(&mut out);
        out
    }
}

impl Element {
    /// Sets an attribute that a browser only shows, compares or sends back.
    pub(super) fn attr(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        // An address is a `Link`; code is in no attribute at all.
        let is_followed = matches!(name, "href" | "src" | "action" | "formaction" | "style" | "srcdoc" | "data");
        debug_assert!(!is_followed && !name.starts_with("on"), "{name} takes a Link, or nothing");
        if !is_followed && !name.starts_with("on") {
            self.set(name, value.as_ref());
        }
        self
    }

    /// Sets an attribute that has no value.
    pub(super) fn flag(mut self, name: &'static str, is_set: bool) -> Self {
        if is_set {
            self.attributes.push(' ');
            self.attributes.push_str(name);
        }
        self
    }

    /// Sets the class.
    pub(super) fn class(self, class: &'static str) -> Self {
        self.attr("class", class)
    }

    /// Sets where a link leads, or which file an element is.
    pub(super) fn href(mut self, link: &Link) -> Self {
        self.set("href", &link.0);
        self
    }

    /// Sets the file of a script.
    pub(super) fn src(mut self, link: &Link) -> Self {
        self.set("src", &link.0);
        self
    }

    /// Sets where a form is sent.
    pub(super) fn action(mut self, link: &Link) -> Self {
        self.set("action", &link.0);
        self
    }

    /// Adds content behind what is there.
    pub(super) fn put(mut self, content: impl Content) -> Self {
        content.add_to(&mut self.content);
        self
    }

    fn set(&mut self, name: &'static str, value: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.attributes, " {name}=\"");
        escape(&mut self.attributes, value);
        self.attributes.push('"');
    }
}

impl Link {
    /// The address of these segments below the console.
    pub(super) fn to(segments: &[&str]) -> Self {
        let mut text = ROOT.to_owned();
        for segment in segments {
            text.push('/');
            text.extend(utf8_percent_encode(segment, UNRESERVED));
        }
        Self(text)
    }

    /// A place on the same page.
    pub(super) fn here(id: &'static str) -> Self {
        Self(format!("#{id}"))
    }

    /// The same with a value in its query.
    pub(super) fn with(mut self, key: &'static str, value: impl AsRef<str>) -> Self {
        let between = if self.0.contains('?') { '&' } else { '?' };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{between}{key}={}", utf8_percent_encode(value.as_ref(), UNRESERVED));
        self
    }

    /// The same with a place on the page.
    pub(super) fn at(mut self, id: &'static str) -> Self {
        self.0.push('#');
        self.0.push_str(id);
        self
    }

    /// The address as text, for a header.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Content for str {
    fn add_to(&self, out: &mut Html) {
        escape(&mut out.0, self);
    }
}

impl Content for String {
    fn add_to(&self, out: &mut Html) {
        escape(&mut out.0, self);
    }
}

impl Content for u64 {
    fn add_to(&self, out: &mut Html) {
        // Writing to a String cannot fail.
        let _ = write!(out.0, "{self}");
    }
}

impl Content for Html {
    fn add_to(&self, out: &mut Html) {
        out.0.push_str(&self.0);
    }
}

impl Content for Element {
    fn add_to(&self, out: &mut Html) {
        let Self { name, attributes, content } = self;
        // Writing to a String cannot fail.
        let _ = write!(out.0, "<{name}{attributes}>");
        if !VOID.contains(name) {
            let _ = write!(out.0, "{}</{name}>", content.0);
        }
    }
}

impl<C: Content + ?Sized> Content for &C {
    fn add_to(&self, out: &mut Html) {
        (**self).add_to(out);
    }
}

impl<C: Content> Content for Option<C> {
    fn add_to(&self, out: &mut Html) {
        self.iter().for_each(|content| content.add_to(out));
    }
}

impl<C: Content> Content for Vec<C> {
    fn add_to(&self, out: &mut Html) {
        self.iter().for_each(|content| content.add_to(out));
    }
}

impl<C: Content, const N: usize> Content for [C; N] {
    fn add_to(&self, out: &mut Html) {
        self.iter().for_each(|content| content.add_to(out));
    }
}

impl<A: Content, B: Content> Content for (A, B) {
    fn add_to(&self, out: &mut Html) {
        self.0.add_to(out);
        self.1.add_to(out);
    }
}

impl<A: Content, B: Content, C: Content> Content for (A, B, C) {
    fn add_to(&self, out: &mut Html) {
        self.0.add_to(out);
        self.1.add_to(out);
        self.2.add_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(content: impl Content) -> String {
        let mut out = Html::default();
        content.add_to(&mut out);
        out.into_text()
    }

    #[test]
    fn a_text_is_never_markup() {
        let hostile = "</p><script>alert(1)</script>\"'&amp;\u{202e}\0\x1b[2J";
        let shown = "&lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;amp;\\u202e\\u0000\\u001b[2J";
        assert_eq!(text(hostile), shown);
        assert_eq!(text(el("p").put(hostile)), format!("<p>{shown}</p>"));
        assert_eq!(text(el("p").attr("title", hostile)), format!("<p title=\"{shown}\"></p>"));
        assert_eq!(text(el("input").attr("value", "a\"b")), "<input value=\"a&quot;b\">");
        assert_eq!(text((vec!["<"], Some("&".to_owned()), ["a", ">"])), "&lt;&amp;a&gt;");
        assert_eq!(text("a\n\tb"), "a\n\tb", "lines stay lines");
        assert_eq!(text(el("ul").put([el("li").put(1_u64), el("li").put("b")])), "<ul><li>1</li><li>b</li></ul>");
    }

    #[test]
    fn a_link_stays_below_the_console() {
        for (segment, shown) in [
            ("orders", "/console/apps/orders"),
            ("../../v1", "/console/apps/..%2F..%2Fv1"),
            ("//evil.example", "/console/apps/%2F%2Fevil.example"),
            ("javascript:alert(1)", "/console/apps/javascript%3Aalert%281%29"),
            ("a?b#c\"", "/console/apps/a%3Fb%23c%22"),
            ("é\n", "/console/apps/%C3%A9%0A"),
        ] {
            assert_eq!(Link::to(&["apps", segment]).as_str(), shown);
        }
        let link = Link::to(&["audit"]).with("q", "a&b=c").with("app", "x y").at("top");
        assert_eq!(link.as_str(), "/console/audit?q=a%26b%3Dc&app=x%20y#top");
        assert_eq!(text(el("a").href(&link)), "<a href=\"/console/audit?q=a%26b%3Dc&amp;app=x%20y#top\"></a>");
    }
}
