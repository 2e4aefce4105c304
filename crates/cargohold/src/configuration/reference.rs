//! The settings explained to people: in the terminal, in `docs/configuration.md`, and in the example file.

use std::fmt::Write;

use super::{
    Configuration,
    settings::{self, Setting},
    told::Sections,
};

/// How wide help is, in characters: what the narrowest terminals have.
const HELP_WIDTH: usize = 79;
/// How wide a file is.
const FILE_WIDTH: usize = 120;

/// All settings, for the help of the command that takes them.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Settings, by their keys in FILE. In the environment http.addr is\n\
         CARGOHOLD__HTTP__ADDR, and so on; the environment wins:\n",
    );
    for setting in settings::all() {
        let default = default(setting).map(|default| format!(" [default: {default}]"));
        let about = format!("{}{}", setting.about, default.unwrap_or_default());
        let lines = wrapped(&about, HELP_WIDTH - 6);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {}\n      {}", setting.key, lines.join("\n      "));
        for part in setting.parts() {
            let about = wrapped(&format!("{} [{}]", part.about, part.rule), HELP_WIDTH - 10);
            let _ = writeln!(text, "      {}\n          {}", part.key, about.join("\n          "));
        }
    }
    text
}

/// A file with every setting, explained, each with its default and switched off by a `#`.
pub(crate) fn example() -> String {
    let mut sections = Sections::default();
    for setting in settings::all() {
        sections.setting(setting.key, |name| {
            let depth = setting.key.matches('.').count();
            let mut lines: Vec<_> =
                wrapped(setting.about, FILE_WIDTH - 2 - 2 * depth).iter().map(|line| format!("# {line}")).collect();
            lines.push(match default(setting) {
                Some(default) => format!("#{name}: {default}"),
                None => format!("#{name}:"),
            });
            if !setting.parts().is_empty() {
                lines.push("#  -".to_owned());
            }
            for part in setting.parts() {
                lines.extend(
                    wrapped(part.about, FILE_WIDTH - 8 - 2 * depth).iter().map(|line| format!("#    # {line}")),
                );
                lines.push(format!("#    {}: {}", part.key, part.default.unwrap_or_default()).trim_end().to_owned());
            }
            lines.push(String::new());
            lines.join("\n")
        });
    }
    format!("{EXAMPLE}\n{}\n", sections.into_text().trim_end())
}

const EXAMPLE: &str = "\
# All settings of Cargohold, each with its default. Take the `#` away in front of what you want to be different:
#
#   cargohold config example > cargohold.yml
#   cargohold config check cargohold.yml
#   cargohold serve cargohold.yml
#
# A key is also a variable of the environment, which wins: http.addr is CARGOHOLD__HTTP__ADDR.
";

fn default(setting: &Setting) -> Option<String> {
    setting.default_text(&mut Configuration::default())
}

/// All settings, as the part of the reference page that is made from them.
#[cfg(test)]
pub(super) fn page() -> String {
    let entry = |setting: &Setting| {
        let ours = default(setting).map_or("not set".to_owned(), |default| format!("`{default}`"));
        let inherited = setting.default_text(&mut Configuration::inherited());
        let inherited = inherited.map_or("not set".to_owned(), |default| format!("`{default}`"));
        let inherited =
            if inherited == ours { String::new() } else { format!("; in a file of the CNCF registry {inherited}") };
        let about = wrapped(setting.about, FILE_WIDTH).join("\n");
        let (key, variable, rule) = (setting.key, setting.variable(), setting.rule());
        let from_file = if setting.is_secret() {
            format!("- From a file: `{key}file`, or `{variable}FILE` in the environment\n")
        } else {
            String::new()
        };
        let parts: String = setting.parts().iter().map(part).collect();
        let parts = if parts.is_empty() { parts } else { format!("\nEach has these keys:\n\n{parts}") };
        format!(
            "### `{key}`\n\n{about}\n\n- Value: {rule}\n- Default: {ours}{inherited}\n- Environment: `{variable}`\n{from_file}{parts}"
        )
    };
    settings::all().map(entry).collect::<Vec<_>>().join("\n")
}

/// A key of a record, as a line of the page.
#[cfg(test)]
fn part(part: &super::slot::Part) -> String {
    let default = part.default.as_ref().map_or(String::new(), |default| format!("; default `{default}`"));
    let text = format!("- `{}`: {} ({}{default})", part.key, part.about, part.rule);
    format!("{}\n", wrapped(&text, FILE_WIDTH - 2).join("\n  "))
}

/// Lines of at most so many characters, but for words that are longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}
