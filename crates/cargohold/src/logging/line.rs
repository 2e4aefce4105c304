//! How a line is written: as text, or as JSON in the words of the CNCF registry's logs or of Logstash.
//!
//! A line is one line whatever it tells: control characters, and those that turn text around, are written as escapes. It is at
//! most [`LONGEST`] bytes long, and a value in it at most [`LONGEST_VALUE`] before it is escaped; what is cut off ends in an ellipsis.

use std::{
    collections::BTreeMap,
    fmt,
    fmt::Write,
    time::{Duration, SystemTime},
};

use tracing::Level;

use super::clock;

/// The longest value, in bytes, before it is escaped.
const LONGEST_VALUE: usize = 4096;
/// The longest line, in bytes. What comes behind is left out.
pub(super) const LONGEST: usize = 16 * 1024;

/// What lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Formatter {
    /// For people, and for `grep`: time, level, where from, message, `name=value`.
    #[default]
    Text,
    /// One JSON object a line: `time`, `level`, `msg`.
    Json,
    /// One JSON object a line: `@timestamp`, `@version`, `level`, `message`.
    Logstash,
}

/// How the lines of one log are written.
#[derive(Clone, Debug)]
pub(super) struct Style {
    formatter: Formatter,
    /// What every line ends in, as it is written there.
    fields: String,
    coloured: bool,
}

/// A value in a line.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    /// With its unit for people, in seconds for programs.
    Time(Duration),
    /// What writes itself.
    Written(&'v dyn fmt::Display),
}

/// A line that is being written.
pub(super) struct Line<'l> {
    style: &'l Style,
    text: &'l mut String,
}

impl Style {
    /// `fields` go into every line.
    pub(super) fn new(formatter: Formatter, fields: &BTreeMap<String, String>, coloured: bool) -> Self {
        let coloured = coloured && formatter == Formatter::Text;
        let mut style = Self { formatter, fields: String::new(), coloured };
        let mut text = String::new();
        let mut line = Line { style: &style, text: &mut text };
        for (name, value) in fields {
            line.field(name, Value::Text(value));
        }
        style.fields = text;
        style
    }

    /// Begins a line in `text`, which is emptied.
    pub(super) fn begin<'l>(
        &'l self,
        text: &'l mut String,
        time: SystemTime,
        level: Level,
        target: &str,
        message: Value<'_>,
    ) -> Line<'l> {
        text.clear();
        let mut line = Line { style: self, text };
        match self.formatter {
            Formatter::Text => line.begin_text(time, level, target, message),
            Formatter::Json => line.begin_json("{\"time\":\"", "\"", "msg", time, level, target, message),
            Formatter::Logstash => {
                let (before, after) = ("{\"@timestamp\":\"", "\",\"@version\":\"1\"");
                line.begin_json(before, after, "message", time, level, target, message);
            }
        }
        line
    }
}

impl Line<'_> {
    fn begin_text(&mut self, time: SystemTime, level: Level, target: &str, message: Value<'_>) {
        let (dim, colour, plain) =
            if self.style.coloured { ("\x1b[2m", colour(level), "\x1b[0m") } else { ("", "", "") };
        self.text.push_str(dim);
        clock::rfc_3339(time, self.text);
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{plain} {colour}{level:>5}{plain} {dim}{target}:{plain} ");
        escape(message, self.text, text_escape);
    }

    #[expect(clippy::too_many_arguments, reason = "what two formats differ in, and what each line has")]
    fn begin_json(
        &mut self,
        before: &str,
        after: &str,
        name: &str,
        time: SystemTime,
        level: Level,
        target: &str,
        message: Value<'_>,
    ) {
        self.text.push_str(before);
        clock::rfc_3339(time, self.text);
        self.text.push_str(after);
        let _ = write!(self.text, ",\"level\":\"{}\",\"target\":\"{target}\",\"{name}\":", word(level));
        self.json_value(message);
    }

    /// Adds a value by its name.
    pub(super) fn field(&mut self, name: &str, value: Value<'_>) {
        if self.text.len() > LONGEST - 2 * LONGEST_VALUE {
            return;
        }
        match self.style.formatter {
            Formatter::Text => {
                self.text.push(' ');
                escape(Value::Text(name), self.text, text_escape);
                self.text.push('=');
                self.text_value(value);
            }
            Formatter::Json | Formatter::Logstash => {
                // As the CNCF registry does with a field that has the name of what every line has.
                let reserved = ["time", "level", "msg", "message", "@timestamp", "@version", "target"].contains(&name);
                self.text.push_str(if reserved { ",\"fields." } else { ",\"" });
                escape(Value::Text(name), self.text, json_escape);
                self.text.push_str("\":");
                self.json_value(value);
            }
        }
    }

    /// Ends the line.
    pub(super) fn end(self) {
        self.text.push_str(&self.style.fields);
        if self.style.formatter != Formatter::Text {
            self.text.push('}');
        }
        self.text.push('\n');
    }

    /// A word as it is, anything else in quotes.
    fn text_value(&mut self, value: Value<'_>) {
        let start = self.text.len();
        escape(value, self.text, text_escape);
        let written = &self.text[start..];
        if written.is_empty() || written.contains([' ', '"', '=', '\\']) {
            let quoted = format!("\"{}\"", written.replace('"', "\\\""));
            self.text.replace_range(start.., &quoted);
        }
    }

    fn json_value(&mut self, value: Value<'_>) {
        let _ = match value {
            Value::Unsigned(number) => write!(self.text, "{number}"),
            Value::Signed(number) => write!(self.text, "{number}"),
            Value::Float(number) if number.is_finite() => write!(self.text, "{number}"),
            Value::Flag(flag) => write!(self.text, "{flag}"),
            Value::Time(time) => write!(self.text, "{:.6}", time.as_secs_f64()),
            Value::Text(_) | Value::Written(_) | Value::Float(_) => {
                self.text.push('"');
                escape(value, self.text, json_escape);
                self.text.push('"');
                Ok(())
            }
        };
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

/// A level as logs in JSON have it.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

/// Writes a value, sign by sign where it needs to be, and no more of it than may be.
fn escape(value: Value<'_>, into: &mut String, write_sign: fn(char, &mut String)) {
    let mut escaped = Escaped { into, write_sign, left: LONGEST_VALUE };
    // Its errors only say that enough was written.
    let _ = match value {
        Value::Text(text) => escaped.write_str(text),
        Value::Unsigned(number) => write!(escaped, "{number}"),
        Value::Signed(number) => write!(escaped, "{number}"),
        Value::Float(number) => write!(escaped, "{number}"),
        Value::Flag(flag) => write!(escaped, "{flag}"),
        Value::Time(time) => write!(escaped, "{time:?}"),
        Value::Written(written) => write!(escaped, "{written}"),
    };
}

struct Escaped<'e> {
    into: &'e mut String,
    write_sign: fn(char, &mut String),
    left: usize,
}

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.len() <= self.left;
        let text = if fits { text } else { &text[..text.floor_char_boundary(self.left)] };
        self.left -= text.len();
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')) {
            self.into.push_str(text);
        } else {
            text.chars().for_each(|sign| (self.write_sign)(sign, self.into));
        }
        if fits {
            return Ok(());
        }
        self.into.push('…');
        self.left = 0;
        Err(fmt::Error)
    }
}

fn text_escape(sign: char, into: &mut String) {
    match sign {
        '\\' => into.push_str("\\\\"),
        sign if steers(sign) => into.extend(sign.escape_default()),
        sign => into.push(sign),
    }
}

fn json_escape(sign: char, into: &mut String) {
    match sign {
        '"' => into.push_str("\\\""),
        '\\' => into.push_str("\\\\"),
        '\n' => into.push_str("\\n"),
        '\t' => into.push_str("\\t"),
        sign if steers(sign) => {
            let _ = write!(into, "\\u{:04x}", u32::from(sign));
        }
        sign => into.push(sign),
    }
}

/// Whether a sign does something to a terminal or to the order of what is read, or ends a line for some reader.
fn steers(sign: char) -> bool {
    sign.is_control() || matches!(sign, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}
