//! What the documents point at is there: whoever follows a link in a hurry arrives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::project;

/// The folders whose pages are read, besides the root's.
const FOLDERS: [&str; 4] = ["docs", "docs/decisions", "events", "tools/stripe-stand-in"];

#[test]
fn a_link_leads_to_a_file_and_a_heading_that_are_there() {
    let pages = pages();
    assert!(pages.contains_key(Path::new("docs/api.md")), "{pages:?}");
    let mut dead = Vec::new();
    for (page, text) in &pages {
        for link in links(text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => plain(&page.parent().unwrap().join(file)),
            };
            let heading_is_there = match pages.get(&target) {
                Some(text) if !heading.is_empty() => headings(text).contains(heading),
                _ => true,
            };
            if !project::path(target.to_str().unwrap()).exists() || !heading_is_there {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// A collection that the guide forgets is lost to whoever restores by it: an agency without its connected accounts, a client without what it was sold.
#[test]
fn the_guide_restores_every_collection_of_the_accounts_table() {
    let (storage, guide) = (
        project::text("docs/storage.md"),
        project::text("docs/operations.md"),
    );
    let accounts = storage
        .split("\n## ")
        .find(|part| part.starts_with("accounts\n"))
        .unwrap();
    let restored = guide
        .split("\n## ")
        .find(|part| part.starts_with("Backup"))
        .unwrap();
    let titles = accounts.lines().filter(|line| line.starts_with("### "));
    let collections: BTreeSet<_> = titles
        .flat_map(|title| title.split('`').skip(1).step_by(2))
        .filter(|key| key.contains('#'))
        .map(|key| key.split('#').next().unwrap())
        .collect();
    assert!(collections.contains("BUYER"), "{collections:?}");
    for collection in collections {
        assert!(
            restored.contains(&format!("{collection}#")),
            "{collection}# is not restored"
        );
    }
}

/// Every page by its path from the root, without what stands in fences.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    for folder in std::iter::once("").chain(FOLDERS) {
        for entry in fs::read_dir(project::path(folder)).unwrap() {
            let page = Path::new(folder).join(entry.unwrap().file_name());
            if page.extension().is_some_and(|it| it == "md") {
                let text = project::text(page.to_str().unwrap());
                pages.insert(page, outside_fences(&text));
            }
        }
    }
    pages
}

fn outside_fences(text: &str) -> String {
    let mut is_inside = false;
    let lines = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_inside ^= is_fence;
        !is_fence && !is_inside
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The links of a page that stay in the project.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = targets.filter(|target| !target.starts_with("http"));
    own.map(str::to_owned).collect()
}

/// The names by which a page's headings are linked: letters in lower case, digits, `-` and `_`; a space is a `-`.
fn headings(text: &str) -> BTreeSet<String> {
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let name = |title: &str| {
        let title = title.trim_start_matches('#').trim().to_lowercase();
        let kept = title
            .chars()
            .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    titles.map(name).collect()
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::Normal(name) => plain.push(name),
            _ => {}
        }
    }
    plain
}
