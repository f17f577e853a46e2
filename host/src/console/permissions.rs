//! What an app may do, beside what it did, was refused, and needs at least.
//!
//! The answers come from the audit log of the node, which is read whole: so this is a page of its own, and not renewed.

use std::str::FromStr as _;

use starcell_policy::Rule;

use crate::api::views::{DenialsView, GrantView, LeastView};
use crate::node::admin::clerk::Clerk;
use crate::node::orders::{AppName, Refused};

use super::html::{Element, Html, el};
use super::layout::{Visit, a, app_link, cell, code, nothing, page, problem, row, section, table};
use super::tenant_page::grants;
use super::units::count;

/// Refused calls on the page.
const DENIALS: usize = 100;

/// The page.
pub(super) async fn permissions(clerk: &Clerk, visit: &Visit, name: AppName) -> Result<Html, Refused> {
    let view = clerk.app(name.clone()).await?;
    let granted = view.grants.unwrap_or_default();
    let least = clerk.least(name.clone()).await;
    let denials = clerk.denials(name.clone(), DENIALS).await;
    let why = |refused: &Refused| problem(&refused.message);
    let used = least.as_ref().map_or_else(why, |least| used(least, &granted));
    let profile = least.as_ref().map_or_else(why, profile);
    let denials = denials.as_ref().map_or_else(why, denied);
    let granted = el("div").put(el("h2").put("Granted")).put(grants(&granted));
    let used = el("div").put(el("h2").put("Used")).put(used);
    let parts = [
        el("p").put(a(&app_link(&name.name), format!("App {}", name.name))),
        el("div").class("halves").put(granted).put(used),
        section("profile", "The least profile for what it did", profile),
        section("denials", "Refused calls", denials),
    ];
    Ok(page(visit, &format!("Permissions of {}", name.name), parts))
}

/// The rules for what was used, and the granted ones that nothing needed.
fn used(least: &LeastView, granted: &[GrantView]) -> Element {
    let rules: Vec<Element> = least.allow.iter().map(|rule| el("li").put(code(rule))).collect();
    let rules = match rules.is_empty() {
        true => nothing("No recorded call was allowed."),
        false => el("ul").class("rules").put(rules),
    };
    let unused: Vec<Element> = unused(least, granted).into_iter().map(|rule| el("li").put(code(rule))).collect();
    let unused = (!unused.is_empty()).then(|| {
        let title = el("h3").put("Granted, and not seen to be used");
        el("div").put(title).put(el("ul").class("rules").put(unused))
    });
    let unjudged: Vec<Element> = least.unjudged.iter().map(|call| el("li").put(call)).collect();
    let unjudged = (!unjudged.is_empty()).then(|| {
        el("div").put(el("h3").put("Calls that no rule can be made for")).put(el("ul").class("rules").put(unjudged))
    });
    el("div").put(rules).put(unused).put(unjudged)
}

/// The granted rules that cover nothing of what was used, as far as two rules tell.
fn unused(least: &LeastView, granted: &[GrantView]) -> Vec<String> {
    let used: Vec<Rule> = least.allow.iter().filter_map(|rule| Rule::from_str(rule).ok()).collect();
    let is_unused = |text: &&String| {
        // Calls of another capability are the only ones that a rule is sure to have nothing to do with.
        let rule = Rule::from_str(text).ok();
        rule.is_some_and(|rule| !used.iter().any(|used| is_near(&rule, used)))
    };
    let mut found: Vec<String> = granted.iter().flat_map(|grant| &grant.allow).filter(is_unused).cloned().collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether a granted rule may be what allowed a used one: one of them covers the other, or they speak of the same function.
fn is_near(granted: &Rule, used: &Rule) -> bool {
    let name = |rule: &Rule| rule.to_string().split('(').next().unwrap_or_default().to_owned();
    granted.includes(used) || used.includes(granted) || name(granted) == name(used)
}

/// The profile as the configuration spells it, to copy.
fn profile(least: &LeastView) -> Element {
    let text = el("textarea").attr("id", "least").flag("readonly", true).attr("spellcheck", "false").put(&least.toml);
    let label = el("label").attr("for", "least").put("Copy this into the configuration of the node:");
    el("div").put(label).put(text)
}

fn denied(denials: &DenialsView) -> Element {
    if denials.denials.is_empty() {
        return nothing("No call was refused.");
    }
    let rows = denials.denials.iter().rev().map(|denial| {
        let why = match (&denial.rule, &denial.needed) {
            (Some(rule), _) => format!("denied by {rule}"),
            (None, Some(needed)) => format!("no rule allows it; {needed} would"),
            (None, None) => "no rule allows it".to_owned(),
        };
        row([
            cell(&denial.time),
            cell(code(format!("{}({})", denial.capability, denial.resource))),
            cell(why),
            cell(code(format!("{}:{}", denial.file, denial.line))),
            cell(code(denial.request.as_deref().unwrap_or("setup"))),
        ])
    });
    let heads = ["time", "call", "why", "place", "request"];
    let shown = denials.denials.len() as u64;
    let of_all = (denials.total > shown).then(|| nothing(&format!("the last {shown} of {}", count(denials.total))));
    el("div").put(table("Refused calls", &heads, rows.collect())).put(of_all)
}
