//! What all pages have: head, navigation, and the parts that tables and forms are made of.

use starcell_config::Role;

use crate::node::admin::access::Operator;
use crate::node::orders::Refused;

use super::html::{Content, Element, Html, Link, el};
use super::session::FormKey;

/// Who looks at a page.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    /// The operator.
    pub(super) operator: Operator,
    /// The key of the forms.
    pub(super) form: FormKey,
    /// Whether there is a session that can be ended.
    pub(super) has_session: bool,
}

impl Visit {
    /// Whether the operator may change something.
    pub(super) fn operates(&self) -> bool {
        self.operator.role == Role::Operate
    }
}

/// A page for an operator.
pub(super) fn page(visit: &Visit, title: &str, content: impl Content) -> Html {
    let Operator { name, role, tenant } = &visit.operator;
    let of_tenant = tenant.as_ref().map(|tenant| format!(", tenant {tenant}")).unwrap_or_default();
    let leave = visit.has_session.then(|| {
        let link = Link::to(&["logout"]);
        form(visit, &link).put(el("button").attr("type", "submit").class("plain").put("Sign out"))
    });
    let links = [("Apps", Link::to(&[])), ("Audit log", Link::to(&["audit"]))];
    let navigation = el("nav")
        .attr("aria-label", "Console")
        .put(links.map(|(text, link)| a(&link, text)))
        .put(el("div").class("who").put(el("span").put(format!("{name} ({}{of_tenant})", role.name()))).put(leave));
    let skip = el("a").class("skip").href(&Link::here("main")).put("Skip to the content");
    frame(title, (skip, el("header").put(brand()).put(navigation), main(title, content)))
}

/// The page on which a browser shows its token.
pub(super) fn login(next: &str, problem: Option<&str>) -> Html {
    let field = el("input").attr("id", "token").attr("name", "token").attr("type", "password");
    let field = field.attr("autocomplete", "off").flag("required", true).flag("autofocus", true);
    let form = el("form")
        .attr("method", "post")
        .action(&Link::to(&["login"]))
        .class("login")
        .put(problem.map(|problem| el("p").class("problem").attr("role", "alert").put(problem)))
        .put(el("label").attr("for", "token").put("A token of the node's token file"))
        .put(field)
        .put(el("input").attr("type", "hidden").attr("name", "next").attr("value", next))
        .put(el("button").attr("type", "submit").put("Sign in"));
    frame("Sign in", (el("header").put(brand()), main("Sign in", form)))
}

/// A page that says why there is no other one.
pub(super) fn refused(visit: &Visit, refused: &Refused) -> Html {
    let back = el("p").put(a(&Link::to(&[]), "All apps"));
    page(visit, refused.status.canonical_reason().unwrap_or("Refused"), (problem(&refused.message), back))
}

fn frame(title: &str, content: impl Content) -> Html {
    let meta = |name: &'static str, content: &str| el("meta").attr("name", name).attr("content", content);
    let head = el("head")
        .put(el("meta").attr("charset", "utf-8"))
        .put(meta("viewport", "width=device-width, initial-scale=1"))
        .put(meta("color-scheme", "light dark"))
        .put(el("title").put(format!("{title} - starcell")))
        .put(el("link").attr("rel", "icon").href(&Link::to(&["icon.svg"])))
        .put(el("link").attr("rel", "stylesheet").href(&Link::to(&["console.css"])))
        .put(el("script").src(&Link::to(&["console.js"])).flag("defer", true));
    Html::document(&el("html").attr("lang", "en").put(head).put(el("body").put(content)))
}

fn brand() -> Element {
    el("a").class("brand").href(&Link::to(&[])).put("starcell")
}

fn main(title: &str, content: impl Content) -> Element {
    el("main").attr("id", "main").put(el("h1").put(title)).put(content)
}

/// A link.
pub(super) fn a(link: &Link, text: impl Content) -> Element {
    el("a").href(link).put(text)
}

/// The link to an app.
pub(super) fn app_link(name: &str) -> Link {
    Link::to(&["apps", name])
}

/// A form that changes something, with its key.
pub(super) fn form(visit: &Visit, to: &Link) -> Element {
    let key = el("input").attr("type", "hidden").attr("name", "form").attr("value", visit.form.text());
    el("form").attr("method", "post").action(to).put(key)
}

/// A part of a page, with its title.
pub(super) fn section(id: &'static str, title: &str, content: impl Content) -> Element {
    el("section").attr("id", id).put(el("h2").put(title)).put(content)
}

/// A part of a page that a browser with JavaScript renews.
pub(super) fn live(id: &'static str, content: impl Content) -> Element {
    el("div").attr("id", id).attr("data-live", "").put(content)
}

/// A table that is scrolled on narrow screens.
pub(super) fn table(label: &str, heads: &[&str], rows: Vec<Element>) -> Element {
    let heads: Vec<Element> = heads.iter().map(|head| el("th").attr("scope", "col").put(*head)).collect();
    let table = el("table").put(el("thead").put(el("tr").put(heads))).put(el("tbody").put(rows));
    el("div").class("scroll").attr("role", "region").attr("aria-label", label).attr("tabindex", "0").put(table)
}

/// A row of a table.
pub(super) fn row<const N: usize>(cells: [Element; N]) -> Element {
    el("tr").put(cells)
}

/// A cell with a text.
pub(super) fn cell(content: impl Content) -> Element {
    el("td").put(content)
}

/// A cell with a number.
pub(super) fn number(content: impl Content) -> Element {
    el("td").class("number").put(content)
}

/// Names with their values.
pub(super) fn facts(facts: Vec<(&str, Html)>) -> Element {
    let fact = |(name, value): (&str, Html)| el("div").put(el("dt").put(name)).put(el("dd").put(value));
    el("dl").put(facts.into_iter().map(fact).collect::<Vec<_>>())
}

/// Markup of some content.
pub(super) fn html(content: impl Content) -> Html {
    let mut out = Html::default();
    content.add_to(&mut out);
    out
}

/// A text in the face of code.
pub(super) fn code(text: impl Content) -> Element {
    el("code").put(text)
}

/// A sentence in place of a table without rows.
pub(super) fn nothing(text: &str) -> Element {
    el("p").class("quiet").put(text)
}

/// Why something is not as it should be.
pub(super) fn problem(text: &str) -> Element {
    el("pre").class("problem").put(text)
}
