//! The tree of tests of one run: groups in groups, and at the leaves the tests with their ends.

use serde_json::{Value, json};

use super::outcome::{Counts, Outcome};

/// A named part of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) children: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Group(Group),
    Test(Test),
}

/// A leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    /// Why it ended so, with the requests and answers that show it; empty if it passed.
    pub(crate) story: String,
}

impl Group {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), children: Vec::new() }
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for child in &self.children {
            match child {
                Node::Group(group) => counts += group.counts(),
                Node::Test(test) => counts.add(test.outcome),
            }
        }
        counts
    }

    /// The groups right below this one.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|child| match child {
            Node::Group(group) => Some(group),
            Node::Test(_) => None,
        })
    }

    /// Shows `visit` every test with the names that lead to it from below this group, in the order of the run.
    pub(crate) fn visit_tests<'a>(&'a self, visit: &mut dyn FnMut(&[&'a str], &'a Test)) {
        self.visit_below(&mut Vec::new(), visit);
    }

    fn visit_below<'a>(&'a self, path: &mut Vec<&'a str>, visit: &mut dyn FnMut(&[&'a str], &'a Test)) {
        for child in &self.children {
            match child {
                Node::Group(group) => {
                    path.push(&group.name);
                    group.visit_below(path, visit);
                    path.pop();
                }
                Node::Test(test) => visit(path, test),
            }
        }
    }

    /// The tree for programs: names, counts, ends and stories.
    pub(crate) fn to_json(&self) -> Value {
        let children: Vec<Value> = self
            .children
            .iter()
            .map(|child| match child {
                Node::Group(group) => group.to_json(),
                Node::Test(test) if test.story.is_empty() => {
                    json!({ "name": test.name, "outcome": test.outcome.as_str() })
                }
                Node::Test(test) => {
                    json!({ "name": test.name, "outcome": test.outcome.as_str(), "story": test.story })
                }
            })
            .collect();
        let counts = self.counts();
        let counts: serde_json::Map<String, Value> =
            Outcome::ALL.iter().map(|outcome| (outcome.as_str().to_owned(), counts.of(*outcome).into())).collect();
        json!({ "name": self.name, "counts": counts, "children": children })
    }
}

#[cfg(test)]
mod tests {
    use super::{Group, Node, Outcome, Test};

    fn test(name: &str, outcome: Outcome) -> Node {
        Node::Test(Test { name: name.to_owned(), outcome, story: String::new() })
    }

    fn tree() -> Group {
        let inner = Group {
            name: "inner".to_owned(),
            children: vec![test("a", Outcome::Pass), test("b", Outcome::Fail), test("c", Outcome::Skip)],
        };
        Group { name: "run".to_owned(), children: vec![test("first", Outcome::Pass), Node::Group(inner)] }
    }

    #[test]
    fn a_group_counts_what_lies_below_it_at_any_depth() {
        let counts = tree().counts();
        assert_eq!((counts.total(), counts.of(Outcome::Pass), counts.of(Outcome::Fail)), (4, 2, 1));
        assert_eq!(tree().groups().map(|group| group.counts().total()).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn tests_are_visited_in_order_with_their_paths() {
        let tree = tree();
        let mut seen = Vec::new();
        tree.visit_tests(&mut |path, test| seen.push(format!("{}/{}", path.join("/"), test.name)));
        assert_eq!(seen, ["/first", "inner/a", "inner/b", "inner/c"]);
    }

    #[test]
    fn programs_read_the_same_counts() {
        let json = tree().to_json();
        assert_eq!(json["counts"]["pass"], 2);
        assert_eq!(json["children"][1]["children"][1]["outcome"], "fail");
        assert!(json["children"][0].get("story").is_none());
    }
}
