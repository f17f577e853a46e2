//! The links of the documentation: a file that is named is there, and so is the heading or the test within it.
//!
//! A page such as `docs/from-starkite.md` is worth what its proofs are worth. A test that was renamed, or a page that was
//! moved, would leave it with claims that nobody can look up.

use std::fs;
use std::path::{Path, PathBuf};

/// A link of a page: what it shows and where it leads.
struct Link<'a> {
    text: &'a str,
    target: &'a str,
}

/// What is wrong with the links of all pages, and how many there are.
pub(crate) fn broken(root: &Path) -> (Vec<String>, usize) {
    let (mut found, mut count) = (Vec::new(), 0);
    for page in pages(root) {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text).into_iter().filter(|link| !link.target.contains("://")) {
            count += 1;
            if let Some(why) = wrong(&page, &link) {
                found.push(format!("{}: [{}]({}): {why}", page.display(), link.text, link.target));
            }
        }
    }
    (found, count)
}

/// The pages that people wrote, at the top and in `docs`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let folders = [root.to_owned(), root.join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

fn links(text: &str) -> Vec<Link<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, behind)) = after.split_once(')') else { break };
        // A rule such as `k8s.write[apply](web/*)` is no link: a link does not begin within a word.
        if let Some((outside, text)) = before.rsplit_once('[')
            && !outside.ends_with(char::is_alphanumeric)
        {
            found.push(Link { text, target });
        }
        rest = behind;
    }
    found
}

/// Why a link leads nowhere.
fn wrong(page: &Path, link: &Link<'_>) -> Option<String> {
    let (file, heading) = link.target.split_once('#').unwrap_or((link.target, ""));
    let path = if file.is_empty() { page.to_owned() } else { page.parent()?.join(file) };
    let Ok(content) = fs::read_to_string(&path) else {
        return (!path.exists()).then(|| "there is no such file".to_owned());
    };
    if !heading.is_empty() && !content.lines().any(|line| line.starts_with('#') && slug(line) == heading) {
        return Some("there is no such heading".to_owned());
    }
    // In a link to a source of tests, the name in backquotes is that of a test.
    let test = link.text.strip_prefix('`')?.strip_suffix('`')?;
    let is_there = !file.ends_with(".rs") || content.contains(&format!("fn {test}()"));
    (!is_there).then(|| format!("there is no test {test}"))
}

/// A heading as GitHub names it in links.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}
