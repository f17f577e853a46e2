//! Lists in pages: a cluster hands out a part at a time, and says where the next one begins.

use serde::Deserialize;

use crate::bindings::starcell::guest::k8s::Selection;
use crate::k8s::route::with_query;

/// Objects that are asked for at a time, as kubectl does.
const PAGE: u32 = 500;

/// Most pages of one list.
const MAX_PAGES: usize = 200;

/// The pages of a list so far.
#[derive(Default)]
pub(super) struct Pages {
    pub(super) texts: Vec<String>,
    pub(super) bytes: usize,
    items: u32,
    /// Where the next page begins.
    next: Option<String>,
}

/// What is looked at of a page.
#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default)]
    r#continue: Option<String>,
}

impl Pages {
    pub(super) fn wants_more(&self, selection: &Selection) -> bool {
        let more = self.texts.is_empty() || self.next.is_some();
        more && selection.limit.is_none_or(|limit| self.items < limit)
    }

    /// The path with what selects the next page.
    pub(super) fn target(&self, path: &str, selection: &Selection) -> String {
        let limit = selection.limit.map_or(PAGE, |limit| limit.saturating_sub(self.items).min(PAGE)).to_string();
        let pairs = [
            ("labelSelector", selection.labels.as_deref()),
            ("fieldSelector", selection.fields.as_deref()),
            ("limit", Some(&*limit)),
            ("continue", self.next.as_deref()),
        ];
        let pairs: Vec<(&str, &str)> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        with_query(path, &pairs)
    }

    pub(super) fn add(&mut self, text: String) -> Result<(), String> {
        let page: Page = serde_json::from_str(&text).map_err(|_| "the answer is no list of objects".to_owned())?;
        self.bytes += text.len();
        self.items =
            self.items.saturating_add(u32::try_from(page.items.map_or(0, |items| items.len())).unwrap_or(u32::MAX));
        self.next = page.metadata.r#continue.filter(|token| !token.is_empty());
        self.texts.push(text);
        match self.texts.len() >= MAX_PAGES && self.next.is_some() {
            true => Err(format!("more than {MAX_PAGES} pages; narrow it with namespace=, labels=, fields= or limit=")),
            false => Ok(()),
        }
    }
}
