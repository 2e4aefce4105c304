//! The commands on the pages for users (`crate::documents`), run as readers run them.
//!
//! A page is one bash script, run by root in a copy of this machine (`sandbox.rs`), so pages do not meet. What readers do with their
//! hands is done by functions of the same names (`docs/prelude.sh`): a server is put into the background, a password is typed.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Result, ensure};

use super::report::Report;
use super::scratch::Scratch;
use super::{sandbox, tools};
use crate::documents::{self, Page, What};

/// What a page's script begins with.
pub(super) const PRELUDE: &str = include_str!("docs/prelude.sh");

/// Runs every page, or those whose names have `only` in them.
pub(crate) fn flow(program: &Path, scratch: &Scratch, only: Option<&str>, report: &Report) {
    let pages = match documents::pages() {
        Ok(pages) => pages,
        Err(error) => return report.flow("docs", "are read", || Err(error)),
    };
    let pages = pages.iter().filter(|page| only.is_none_or(|only| page.name.contains(only)));
    for page in pages.filter(|page| page.blocks.iter().any(|block| block.what == What::Run)) {
        report.flow("docs", &format!("the commands in {} work", page.name), || run(page, program, scratch));
    }
}

fn run(page: &Page, program: &Path, scratch: &Scratch) -> Result<()> {
    let folder = format!("docs-{}", page.name.replace('/', "-"));
    let crane = tools::crane()?;
    let said = sandbox::run(&folder, &script(page), &[(program, "cargohold"), (&crane, "crane")], scratch)?;
    let ran = said.lines().filter(|line| line.starts_with("== ")).count();
    let expected = page.blocks.iter().filter(|block| !matches!(block.what, What::NotRun(_))).count();
    ensure!(ran == expected, "{ran} of {expected} blocks were run:\n{said}");
    Ok(())
}

/// The page as one script; each block says that it begins.
fn script(page: &Page) -> String {
    let mut script = PRELUDE.to_owned();
    for block in &page.blocks {
        match block.what {
            What::Run | What::Hidden => {
                let _ = write!(script, "\nat '{}:{}'\n{}", page.name, block.line, block.commands);
            }
            What::NotRun(_) => {}
        }
    }
    script.push_str("\nleave\n");
    script
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Block;

    #[test]
    fn a_page_is_one_script_without_what_is_not_run() {
        let block = |line, commands: &str, what| Block { line, commands: commands.to_owned(), what };
        let blocks = vec![
            block(1, "ls\n", What::Run),
            block(5, "sleep 9\n", What::NotRun(String::new())),
            block(8, "touch x\n", What::Hidden),
        ];
        let script = script(&Page { name: "docs/a.md".to_owned(), blocks });
        assert!(script.ends_with("\nat 'docs/a.md:1'\nls\n\nat 'docs/a.md:8'\ntouch x\n\nleave\n"), "{script}");
    }
}
