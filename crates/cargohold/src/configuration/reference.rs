//! The settings explained to people: in the terminal and in `docs/configuration.md`.

use std::fmt::Write;

use super::settings::SETTINGS;

/// How wide help is, in characters: what the narrowest terminals have.
const HELP_WIDTH: usize = 79;

/// All settings, for the help of the command that takes them.
pub(crate) fn help() -> String {
    let mut text = String::from(
        "Settings, by their keys in FILE. In the environment http.addr is\n\
         CARGOHOLD__HTTP__ADDR, and so on; the environment wins:\n",
    );
    for setting in SETTINGS {
        let default = setting.default_text().map(|default| format!(" [default: {default}]"));
        let about = format!("{}{}", setting.about, default.unwrap_or_default());
        let lines = wrapped(&about, HELP_WIDTH - 6);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {}\n      {}", setting.key, lines.join("\n      "));
    }
    text
}

/// All settings, as the part of the reference page that is made from them.
#[cfg(test)]
pub(super) fn page() -> String {
    let entry = |setting: &super::settings::Setting| {
        let default = setting.default_text().map_or("not set".to_owned(), |default| format!("`{default}`"));
        let about = wrapped(setting.about, 120).join("\n");
        let (key, variable, rule) = (setting.key, setting.variable(), setting.rule());
        format!("### `{key}`\n\n{about}\n\n- Value: {rule}\n- Default: {default}\n- Environment: `{variable}`\n")
    };
    SETTINGS.iter().map(entry).collect::<Vec<_>>().join("\n")
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
