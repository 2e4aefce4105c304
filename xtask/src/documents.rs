//! The pages for users, `README.md` and `docs/*.md`, and the commands in them.
//!
//! Every block says by its language what it is: `sh` is run by the end-to-end suite (the group `docs`), page by page, from the top
//! down; what is only looked at is of one of [`SHOWN`]. A block of commands that cannot be run has a comment above it with the
//! reason, `<!-- not run: ... -->`, and stands in the list of `docs/README.md`, which is made from these comments. What has to
//! be done before the next block, and is no reader's business, is a comment too: `<!-- sh`, its lines, `-->`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The languages of blocks that are read and not run.
const SHOWN: &[&str] = &[
    "caddyfile",
    "console",
    "dockerfile",
    "haproxy",
    "http",
    "ini",
    "json",
    "nginx",
    "promql",
    "python",
    "systemd",
    "text",
    "toml",
    "yaml",
];

/// Stands above the list in `docs/README.md`, which goes on to the end of the page.
#[cfg(test)]
const LIST: &str = "<!-- What follows is made from the pages: WRITE_DOCS=1 cargo test -p xtask -->\n";

/// A page and what is to be run on it.
#[derive(Debug)]
pub(crate) struct Page {
    /// As people name it: `docs/backup.md`.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
}

/// Commands on a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Where it begins, counted from 1.
    pub(crate) line: usize,
    pub(crate) commands: String,
    pub(crate) what: What,
}

/// What becomes of commands.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// They are run as readers run them.
    Run,
    /// They are run, and readers do not see them.
    Hidden,
    /// They are not run, for this reason.
    NotRun(String),
}

/// All pages, in the order of their names.
pub(crate) fn pages() -> Result<Vec<Page>> {
    let root = root();
    let mut names = vec!["README.md".to_owned()];
    for entry in fs::read_dir(root.join("docs"))? {
        let name = entry?.file_name();
        let name = name.to_str().context("a page has a name that is not UTF-8")?;
        if Path::new(name).extension().is_some_and(|extension| extension == "md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    names.into_iter().map(|name| read(&root, name)).collect()
}

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(root: &Path, name: String) -> Result<Page> {
    let text = fs::read_to_string(root.join(&name)).with_context(|| name.clone())?;
    let blocks = blocks(&text).with_context(|| name.clone())?;
    Ok(Page { name, blocks })
}

/// The commands of a page.
fn blocks(page: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut reason: Option<(usize, String)> = None;
    let mut lines = (1..).zip(page.lines());
    while let Some((number, line)) = lines.next() {
        let text = line.trim();
        let begun = |end| Begun { line: number, indent: line.len() - line.trim_start().len(), end };
        if let Some(language) = text.strip_prefix("```") {
            let commands = begun("```").rest(&mut lines)?;
            match (language, reason.take()) {
                ("sh", None) => blocks.push(Block { line: number, commands, what: What::Run }),
                ("sh", Some((_, why))) => blocks.push(Block { line: number, commands, what: What::NotRun(why) }),
                (shown, None) if SHOWN.contains(&shown) => {}
                (shown, Some((above, _))) if SHOWN.contains(&shown) => {
                    bail!("line {above}: a reason not to run what is not run anyway: `{shown}`")
                }
                (other, _) => bail!(
                    "line {number}: a block says what it is: ```sh is run, and these are shown: {}; not `{other}`",
                    SHOWN.join(", ")
                ),
            }
        } else if text == "<!-- sh" {
            let commands = begun("-->").rest(&mut lines)?;
            blocks.push(Block { line: number, commands, what: What::Hidden });
        } else if let Some(why) = text.strip_prefix("<!-- not run: ") {
            let why = why.strip_suffix(" -->").with_context(|| format!("line {number}: the comment is one line"))?;
            reason = Some((number, why.to_owned()));
        } else if let (false, Some((above, _))) = (text.is_empty(), &reason) {
            bail!("line {above}: there is no block below this reason not to run one");
        }
    }
    Ok(blocks)
}

/// Something that goes on to a line of its own.
struct Begun {
    line: usize,
    indent: usize,
    end: &'static str,
}

impl Begun {
    fn rest<'l>(&self, lines: &mut impl Iterator<Item = (usize, &'l str)>) -> Result<String> {
        let mut text = String::new();
        for (_, line) in lines {
            if line.trim() == self.end {
                return Ok(text);
            }
            text.push_str(line.get(self.indent..).unwrap_or(line.trim_start()));
            text.push('\n');
        }
        bail!("line {}: what begins here does not end with {}", self.line, self.end)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_block_is_run_unless_there_is_a_reason_above_it() {
        let page =
            "A\n\n```sh\nls\n```\n```yaml\na: 1\n```\n<!-- sh\ntouch x\n-->\n<!-- not run: it takes long -->\n\n- b\n";
        assert!(blocks(page).unwrap_err().to_string().contains("line 12"), "nothing to run below it");
        let page = page.replace("- b\n", "  ```sh\n  sleep 9\n    x\n  ```\n");
        let block = |line, commands: &str, what| Block { line, commands: commands.to_owned(), what };
        assert_eq!(
            blocks(&page).unwrap(),
            [
                block(3, "ls\n", What::Run),
                block(9, "touch x\n", What::Hidden),
                block(14, "sleep 9\n  x\n", What::NotRun("it takes long".to_owned())),
            ]
        );
    }

    #[test]
    fn a_block_that_is_neither_run_nor_shown_is_a_mistake() {
        for (page, says) in [
            ("```\nls\n```\n", "line 1: a block says what it is"),
            ("```bash\nls\n```\n", "not `bash`"),
            ("```sh\nls\n", "does not end"),
            ("<!-- not run: why -->\n```text\n```\n", "not run anyway"),
        ] {
            let error = blocks(page).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    /// `docs/README.md` ends with what is not run, and why. `WRITE_DOCS=1 cargo test -p xtask` writes it.
    #[test]
    fn what_is_not_run_is_listed_with_its_reason() {
        let path = root().join("docs/README.md");
        let page = fs::read_to_string(&path).unwrap();
        let (above, _) = page.split_once(LIST).expect("docs/README.md has the place for the list");
        let mut expected = format!("{above}{LIST}\n| where | what is not run | why |\n|---|---|---|\n");
        for page in pages().unwrap() {
            let name = page.name.strip_prefix("docs/").map_or(format!("../{}", page.name), str::to_owned);
            for block in &page.blocks {
                if let What::NotRun(why) = &block.what {
                    let command = block.commands.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
                    let command = command.split("  #").next().unwrap_or_default().trim().replace('|', "\\|");
                    let _ = writeln!(expected, "| [{}]({name}) | `{command}` ... | {why} |", page.name);
                }
            }
        }
        if std::env::var_os("WRITE_DOCS").is_some() {
            fs::write(&path, &expected).unwrap();
        } else {
            assert!(page == expected, "docs/README.md is behind: WRITE_DOCS=1 cargo test -p xtask brings it up");
        }
    }
}
