//! What people read after the runs: a table of groups and runs, and every test that did not pass with what it saw.

use std::fmt::Write as _;

use super::outcome::{Counts, Outcome};
use super::tree::{Group, Node};
use crate::e2e::command::indented;

/// Groups down, runs across, totals at the end.
pub(crate) fn table(runs: &[Group]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for group in runs.iter().flat_map(Group::groups) {
        if !names.contains(&group.name.as_str()) {
            names.push(&group.name);
        }
    }
    let mut rows = vec![std::iter::once(String::new()).chain(runs.iter().map(|run| run.name.clone())).collect()];
    for name in names {
        let cells = runs.iter().map(|run| {
            run.groups().find(|group| group.name == name).map_or("-".to_owned(), |group| cell(&group.counts()))
        });
        rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
    let totals = runs.iter().map(|run| cell(&run.counts()));
    rows.push(std::iter::once("all".to_owned()).chain(totals).collect());
    aligned(&rows)
}

/// The number of tests, and of those that did not pass.
fn cell(counts: &Counts) -> String {
    let mut text = counts.total().to_string();
    for outcome in [Outcome::Error, Outcome::Fail, Outcome::Skip, Outcome::Disabled] {
        if counts.of(outcome) > 0 {
            let _ = write!(text, ", {} {outcome}", counts.of(outcome));
        }
    }
    text
}

/// The first column to the left, the others to the right, all as wide as their widest cell.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows.iter().map(Vec::len).max().unwrap_or(0)).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(line, "{cell:width$}") } else { write!(line, "  {cell:>width$}") };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// Every test that ended in one of these ways, with its story.
pub(crate) fn stories(run: &Group, outcomes: &[Outcome]) -> String {
    let mut text = String::new();
    run.visit_tests(&mut |path, test| {
        if outcomes.contains(&test.outcome) {
            let place = [&[run.name.as_str()], path, &[test.name.as_str()]].concat().join(" / ");
            let _ = writeln!(text, "{} {place}", test.outcome);
            if !test.story.is_empty() {
                let _ = writeln!(text, "{}", indented(&test.story));
            }
        }
    });
    text
}

/// The whole tree, one line a test.
pub(crate) fn tree(group: &Group) -> String {
    let mut text = format!("{}: {}\n", group.name, cell(&group.counts()));
    for child in &group.children {
        let lines = match child {
            Node::Group(inner) => tree(inner),
            Node::Test(test) => format!("{:<9}{}\n", test.outcome, test.name),
        };
        for line in lines.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tree::Test;
    use super::{Group, Node, Outcome, stories, table, tree};

    fn run(name: &str, outcomes: &[Outcome]) -> Group {
        let tests = outcomes.iter().enumerate().map(|(number, outcome)| {
            let story = if *outcome == Outcome::Pass { String::new() } else { "expected a\n> GET /\n".to_owned() };
            Node::Test(Test { name: format!("test {number}"), outcome: *outcome, story })
        });
        let group = Group { name: "blobs".to_owned(), children: tests.collect() };
        Group { name: name.to_owned(), children: vec![Node::Group(group)] }
    }

    #[test]
    fn the_table_has_a_column_for_each_run_and_tells_what_did_not_pass() {
        let mut other = run("dev", &[Outcome::Fail, Outcome::Skip, Outcome::Pass]);
        other.children.push(Node::Group(Group::new("tags")));
        assert_eq!(
            table(&[run("1.0", &[Outcome::Pass, Outcome::Pass]), other]),
            "       1.0                dev\n\
             blobs    2  3, 1 fail, 1 skip\n\
             tags     -                  0\n\
             all      2  3, 1 fail, 1 skip\n"
        );
    }

    #[test]
    fn a_failure_is_told_with_its_place_and_its_story() {
        let run = run("dev", &[Outcome::Pass, Outcome::Fail, Outcome::Skip]);
        assert_eq!(stories(&run, &[Outcome::Fail]), "fail dev / blobs / test 1\n    | expected a\n    | > GET /\n");
    }

    #[test]
    fn the_tree_is_set_in_by_depth() {
        assert_eq!(
            tree(&run("dev", &[Outcome::Pass, Outcome::Fail])),
            "dev: 2, 1 fail\n  blobs: 2, 1 fail\n    pass     test 0\n    fail     test 1\n"
        );
    }
}
