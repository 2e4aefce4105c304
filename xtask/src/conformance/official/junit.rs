//! What the official suite writes into `junit.xml`: the counts, and the tests that did not pass.

use anyhow::{Context as _, Result};

/// The counts of a run, and its tests that did not pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) tests: usize,
    pub(super) failures: usize,
    pub(super) errors: usize,
    pub(super) skipped: usize,
    pub(super) disabled: usize,
    not_passed: Vec<String>,
}

impl Suite {
    /// What is not as it has to be.
    pub(super) fn shortcomings(&self, least_tests: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.tests < least_tests {
            wrong.push(format!("expected at least {least_tests} tests, found {}", self.tests));
        }
        for (what, number) in [("failures", self.failures), ("errors", self.errors), ("skips", self.skipped)] {
            if number > 0 {
                wrong.push(format!("expected no {what}, found {number}"));
            }
        }
        if !wrong.is_empty() {
            wrong.extend(self.not_passed.iter().cloned());
        }
        wrong
    }
}

/// Reads the file, as far as it is needed: the tags of the suite and of its tests.
pub(super) fn parse(xml: &str) -> Result<Suite> {
    let tag = tags(xml, "testsuite").next().context("there is no testsuite")?;
    let number = |name: &str| -> Result<usize> {
        // Zeros may be left out.
        let text = attribute(tag, name).unwrap_or_else(|| "0".to_owned());
        text.parse().with_context(|| format!("{name}=\"{text}\" is no number"))
    };
    attribute(tag, "tests").context("the testsuite does not say how many tests it has")?;
    let not_passed = tags(xml, "testcase").filter_map(|tag| {
        let status = attribute(tag, "status").unwrap_or_default();
        (status != "passed").then(|| format!("{status} {}", attribute(tag, "name").unwrap_or_default()))
    });
    Ok(Suite {
        tests: number("tests")?,
        failures: number("failures")?,
        errors: number("errors")?,
        skipped: number("skipped")?,
        disabled: number("disabled")?,
        not_passed: not_passed.collect(),
    })
}

/// The attributes of every start tag of that name. In text and attributes `<` is escaped (XML 1.0, section 2.4).
fn tags<'a>(xml: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    xml.split('<').filter_map(move |part| {
        let attributes = part.strip_prefix(name)?;
        attributes.starts_with([' ', '\n', '>']).then_some(attributes)
    })
}

/// The value of an attribute, its escapes undone as far as names of tests have any.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once("=\"")?;
        let (value, further) = after.split_once('"')?;
        if before.trim() == name {
            let escapes = [("&#34;", "\""), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")];
            return Some(escapes.iter().fold(value.to_owned(), |text, (escape, plain)| text.replace(escape, plain)));
        }
        rest = further;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    const FILE: &str = r#"<testsuites time="0.4" tests="7" failures="1" skipped="1">
  <testsuite name="A &#34;suite&#34;" tests="7" failures="1" errors="0" skipped="1" time="0.4">
    <properties>
      <property name="Config" value="tests: &lt;testsuite tests=&#34;9&#34;&gt;"></property>
    </properties>
    <testcase name="A/ping" classname="" time="0.1" status="passed">
      <system-err>&lt;testcase name=&#34;x&#34; status=&#34;failure&#34;&gt;</system-err>
    </testcase>
    <testcase name="A/b &amp; c" classname="" time="0.1" status="failure"></testcase>
    <testcase name="A/d" classname="" time="0.1" status="skipped"></testcase>
  </testsuite>
</testsuites>"#;

    #[test]
    fn the_counts_are_those_of_the_suite_and_not_of_what_is_quoted_in_it() {
        let suite = parse(FILE).unwrap();
        assert_eq!((suite.tests, suite.failures, suite.errors, suite.skipped, suite.disabled), (7, 1, 0, 1, 0));
        assert_eq!(suite.not_passed, ["failure A/b & c", "skipped A/d"]);
    }

    #[test]
    fn failures_skips_and_too_few_tests_are_shortcomings() {
        assert_eq!(parse(FILE).unwrap().shortcomings(8).len(), 5);
        let good = parse(r#"<testsuite tests="970" failures="0" errors="0" disabled="4"></testsuite>"#).unwrap();
        assert!(good.shortcomings(970).is_empty());
        assert_eq!(good.shortcomings(971), ["expected at least 971 tests, found 970"]);
        let bad = parse(r#"<testsuite tests="970" failures="0" errors="2"></testsuite>"#).unwrap();
        assert_eq!(bad.shortcomings(970), ["expected no errors, found 2"]);
    }

    #[test]
    fn a_file_without_a_suite_or_without_numbers_is_an_error() {
        assert!(parse("").is_err());
        assert!(parse("<testsuites tests=\"3\"></testsuites>").is_err());
        assert!(parse("<testsuite name=\"a\"></testsuite>").is_err());
        assert!(parse("<testsuite tests=\"many\"></testsuite>").is_err());
    }
}
