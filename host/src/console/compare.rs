//! Two revisions of an app side by side: what each may do, how each is described, and the lines of their files.
//!
//! `app.toml` is compared by what it comes to: of a variable of the environment the name is shown, and whether its value is
//! another one.

use std::collections::{BTreeMap, BTreeSet};

use starcell_config::{AppManifest, Side, diff as profile_diff};
use starcell_policy::CanonicalPath;

use crate::granted::roots_in;
use crate::node::admin::clerk::Clerk;
use crate::node::admin::kept::KeptFiles;
use crate::node::orders::{AppName, Refused};

use super::diff::{Change, changes};
use super::form::Form;
use super::html::{Element, Html, el};
use super::layout::{Visit, a, app_link, nothing, page, problem, section};
use super::units::bytes;

/// Lines around a change, and lines of all files together.
const AROUND: usize = 3;
const LINES: usize = 4000;

/// The page.
pub(super) async fn compare(clerk: &Clerk, visit: &Visit, name: AppName, query: &Form) -> Result<Html, Refused> {
    let number = |field: &str| {
        let wrong = || Refused::new(http::StatusCode::BAD_REQUEST, "bad_query", "`from` and `to` are revisions");
        query.number::<u64>(field).ok_or_else(wrong)
    };
    let (from, to) = (number("from")?, number("to")?);
    let (before, after) = (clerk.kept(name.clone(), from).await?, clerk.kept(name.clone(), to).await?);
    let parts = [
        el("p").put(a(&app_link(&name.name), format!("App {}", name.name))),
        section("capabilities", "What it may do", capabilities(&before, &after)),
        section("description", "How it is described", description(&before, &after)),
        section("source", "Source", sources(&before, &after)),
    ];
    Ok(page(visit, &format!("{}: revision {from} and revision {to}", name.name), parts))
}

fn capabilities(before: &KeptFiles, after: &KeptFiles) -> Element {
    let (from, to) = match (&before.manifest, &after.manifest) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(why), _) | (_, Err(why)) => return problem(why),
    };
    // Rules that begin with the folder of the app are compared as they are written.
    let roots = match CanonicalPath::absolute("/").map_err(|error| error.to_string()).and_then(roots_in) {
        Ok(roots) => roots,
        Err(why) => return problem(&why),
    };
    let diff = profile_diff(&from.profile, &to.profile, &roots);
    if diff.is_empty() {
        return nothing("Both may do the same, with the profiles as they are configured now.");
    }
    let side = |side: &Side, class: &'static str, sign: &'static str| {
        let allow = side.allow.iter().map(|rule| format!("{sign} allow {rule}"));
        let deny = side.deny.iter().map(|rule| format!("{sign} deny {rule}"));
        let reach = side.reach.iter().map(|class| format!("{sign} reach {class} addresses"));
        let rest = side.allows_the_rest.then(|| format!("{sign} allow whatever no rule denies"));
        let all = allow.chain(deny).chain(reach).chain(rest);
        all.map(|text| el("span").class(class).put(text).put("\n")).collect::<Vec<_>>()
    };
    let lines = (side(&diff.removed, "removed", "-"), side(&diff.added, "added", "+"));
    let note = format!("From the profile {} to {}, as they are configured now.", diff.from, diff.to);
    el("div").put(el("p").put(note)).put(el("pre").class("diff").attr("tabindex", "0").put(lines))
}

fn description(before: &KeptFiles, after: &KeptFiles) -> Element {
    let (from, to) = match (&before.manifest, &after.manifest) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(why), _) | (_, Err(why)) => return problem(why),
    };
    let (first, second) = (described(from), described(to));
    let all: Vec<Change<'_>> = changes(&first, &second);
    let valued = values(from, to).into_iter().map(|text| el("span").class("place").put(text).put("\n"));
    let valued: Vec<Element> = valued.collect();
    if valued.is_empty() && all.iter().all(|change| matches!(change, Change::Same(_))) {
        return nothing("Both are described in the same way.");
    }
    let changed = all.into_iter().filter(|change| !matches!(change, Change::Same(_))).map(line);
    el("pre").class("diff").attr("tabindex", "0").put((changed.collect::<Vec<_>>(), valued))
}

/// What an `app.toml` says, without a value that may be somebody's secret.
fn described(manifest: &AppManifest) -> String {
    let AppManifest { tenant, hosts, prefix, profile, limits, env, secrets, vars, schedule, resident, preview } =
        manifest;
    let mut lines = vec![format!("tenant {tenant}"), format!("path {prefix}/"), format!("profile {}", profile.name())];
    lines.extend(hosts.iter().map(|host| format!("host {host}")));
    lines.extend(limits.memory.map(|memory| format!("limit memory {}", bytes(memory))));
    lines.extend(limits.cpu.map(|cpu| format!("limit cpu {}", humantime::format_duration(cpu))));
    lines.extend(limits.time.map(|time| format!("limit time {}", humantime::format_duration(time))));
    lines.extend(limits.log.map(|log| format!("limit log {}", bytes(log))));
    lines.extend(env.keys().map(|name| format!("env {name}")));
    lines.extend(secrets.keys().map(|name| format!("secret {name}")));
    lines.extend(vars.keys().map(|name| format!("var {name}")));
    lines.extend(schedule.iter().map(|entry| format!("schedule {}", entry.path)));
    lines.extend(resident.then(|| "resident".to_owned()));
    lines.extend(preview.then(|| "preview".to_owned()));
    lines.join("\n")
}

/// The names that both have, each with another value.
fn values(from: &AppManifest, to: &AppManifest) -> Vec<String> {
    let env = from.env.iter().filter(|(name, value)| to.env.get(*name).is_some_and(|other| other != *value));
    let vars = from.vars.iter().filter(|(name, value)| to.vars.get(*name).is_some_and(|other| other != *value));
    let secrets = from.secrets.iter().filter(|(name, from)| to.secrets.get(*name).is_some_and(|other| other != *from));
    let env = env.map(|(name, _)| format!("  env {name} has another value"));
    let vars = vars.map(|(name, _)| format!("  var {name} has another value"));
    let secrets = secrets.map(|(name, _)| format!("  secret {name} comes from another place"));
    let times = from.schedule != to.schedule && from.schedule.len() == to.schedule.len();
    env.chain(vars).chain(secrets).chain(times.then(|| "  the schedule has other times or paths".to_owned())).collect()
}

fn sources(before: &KeptFiles, after: &KeptFiles) -> Element {
    let names: BTreeSet<&String> = before.sources.keys().chain(after.sources.keys()).collect();
    let of = |files: &BTreeMap<String, String>, name: &String| files.get(name).cloned().unwrap_or_default();
    let mut left = LINES;
    let mut parts = Vec::new();
    for name in names {
        let (first, second) = (of(&before.sources, name), of(&after.sources, name));
        if first == second {
            continue;
        }
        let lines = hunks(&changes(&first, &second), &mut left);
        let shown = el("pre").class("diff").attr("tabindex", "0").put(lines);
        parts.push(el("div").put(el("h3").put(name)).put(shown));
    }
    let cut = (left == 0).then(|| nothing("There are more lines than are shown here."));
    match parts.is_empty() {
        true => nothing("Both have the same files."),
        false => el("div").put(parts).put(cut),
    }
}

/// The lines that changed, with some around them, so many at most.
fn hunks(all: &[Change<'_>], left: &mut usize) -> Vec<Element> {
    let differs = |place: usize| all.get(place).is_some_and(|change| !matches!(change, Change::Same(_)));
    let mut near = vec![false; all.len()];
    for place in (0..all.len()).filter(|place| differs(*place)) {
        let around = place.saturating_sub(AROUND)..(place + AROUND + 1).min(all.len());
        near.get_mut(around).into_iter().flatten().for_each(|near| *near = true);
    }
    let (mut from, mut out, mut gap) = (0, Vec::new(), true);
    for (change, near) in all.iter().zip(near) {
        from += usize::from(!matches!(change, Change::Added(_)));
        if !near {
            gap = true;
            continue;
        }
        if *left == 0 {
            break;
        }
        if std::mem::take(&mut gap) {
            let at = from + usize::from(matches!(change, Change::Added(_)));
            out.push(el("span").class("place").put(format!("line {at}")).put("\n"));
        }
        *left -= 1;
        out.push(line(*change));
    }
    out
}

fn line(change: Change<'_>) -> Element {
    let (class, text) = match change {
        Change::Same(text) => ("same", format!("  {text}")),
        Change::Removed(text) => ("removed", format!("- {text}")),
        Change::Added(text) => ("added", format!("+ {text}")),
    };
    el("span").class(class).put(text).put("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use starcell_config::NodeConfig;

    use super::super::layout::html;
    use super::*;

    fn manifest(text: &str) -> AppManifest {
        let node = "[node]\nstate = \"s\"\napps = \"a\"\n[listeners.w]\naddress = \"127.0.0.1:0\"\n[tenants.t]\n\
                    [profiles.more]\nbase = \"deny-all\"\nallow = [\"kv.read\"]\n";
        let config = NodeConfig::parse(node, "node.toml").unwrap();
        AppManifest::parse(&format!("tenant = \"t\"\n{text}"), "app.toml", &config).unwrap()
    }

    fn kept(text: &str, source: &str) -> KeptFiles {
        KeptFiles {
            manifest: Ok(manifest(text)),
            sources: BTreeMap::from([("main.star".to_owned(), source.to_owned())]),
        }
    }

    #[test]
    fn what_changed_is_shown_and_no_value_is() {
        let before = kept("env = { A = \"hunter1\", B = \"b\" }\nprofile = \"deny-all\"\n", "a\nb\n");
        let after =
            kept("env = { A = \"hunter2\", C = \"c\" }\nprofile = \"more\"\nhosts = [\"h.example\"]\n", "a\n<b>\n");
        let shown = html((description(&before, &after), sources(&before, &after), capabilities(&before, &after)));
        let shown = shown.into_text();
        for text in
            ["- env B", "+ env C", "env A has another value", "+ host h.example", "+ allow kv.read", "+ &lt;b&gt;"]
        {
            assert!(shown.contains(text), "{text}\n{shown}");
        }
        assert!(!shown.contains("hunter"), "{shown}");
        let same = html((description(&before, &before), sources(&before, &before), capabilities(&before, &before)));
        let same = same.into_text();
        assert!(
            ["Both are described", "Both have the same files", "Both may do"].iter().all(|text| same.contains(text))
        );
    }

    #[test]
    fn a_long_file_is_shown_around_its_changes() {
        let text: String = (1..=50).map(|number| format!("line {number}\n")).collect();
        let other = text.replace("line 20\n", "changed\n");
        let mut left = 100;
        let shown = html(hunks(&changes(&text, &other), &mut left)).into_text();
        assert_eq!((left, shown.matches('\n').count()), (92, 9), "{shown}");
        assert!(shown.starts_with("<span class=\"place\">line 17") && !shown.contains("line 24"), "{shown}");
        let mut left = 3;
        assert_eq!((hunks(&changes(&text, &other), &mut left).len(), left), (4, 0));
    }
}
