//! Lines about requests, one for each, in a format of their own.

use std::{cell::RefCell, fmt::Write};

use cargohold_http::{Access, AccessLog};
use tracing::Level;

use super::{
    clock,
    line::{Style, Value},
    sink::Sink,
};

/// What `RUST_LOG` calls these lines.
pub(super) const TARGET: &str = "access";

/// How a line about a request looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AccessFormat {
    /// As every other line, with all that is known.
    #[default]
    Structured,
    /// As Apache's combined log.
    Combined,
    /// As Apache's common log.
    Common,
}

/// Writes a line for each request.
#[derive(Debug)]
pub(super) struct AccessLines {
    format: AccessFormat,
    style: Style,
    sink: Sink,
}

thread_local! {
    /// Where lines are put together.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl AccessLines {
    pub(super) fn new(format: AccessFormat, style: Style, sink: Sink) -> Self {
        Self { format, style, sink }
    }

    fn structured(&self, access: &Access<'_>, text: &mut String) {
        let request = format_args!("{:.32} {}", access.method, access.target);
        let ended = access.began + access.duration;
        let mut line = self.style.begin(text, ended, Level::INFO, TARGET, Value::Written(&request));
        line.field("id", Value::Text(access.id));
        line.field("peer", Value::Written(&access.peer));
        if access.client != access.peer.ip() {
            line.field("client", Value::Written(&access.client));
        }
        if let Some(user) = access.user {
            line.field("user", Value::Text(user));
        }
        line.field("status", Value::Unsigned(access.status.into()));
        line.field("bytes", Value::Unsigned(access.bytes));
        line.field("complete", Value::Flag(access.complete));
        line.field("duration", Value::Time(access.duration));
        line.field("agent", Value::Text(access.agent.unwrap_or("-")));
        line.end();
    }

    /// `host ident user [time] "request" status bytes`, and in the combined log `"referer" "agent"`.
    fn apache(&self, access: &Access<'_>, text: &mut String) {
        text.clear();
        // Writing to a text cannot fail.
        let _ = write!(text, "{} - ", access.client);
        word(access.user.unwrap_or("-"), text);
        text.push_str(" [");
        clock::apache(access.began, text);
        let _ = write!(text, "] \"{:.32} ", access.method);
        quoted(access.target, text);
        let _ = write!(text, " {:?}\" {} {}", access.version, access.status, access.bytes);
        if self.format == AccessFormat::Combined {
            for said in [access.referer, access.agent] {
                text.push_str(" \"");
                quoted(said.unwrap_or("-"), text);
                text.push('"');
            }
        }
        text.push('\n');
    }
}

impl AccessLog for AccessLines {
    fn write(&self, access: &Access<'_>) {
        TEXT.with_borrow_mut(|text| {
            match self.format {
                AccessFormat::Structured => self.structured(access, text),
                AccessFormat::Combined | AccessFormat::Common => self.apache(access, text),
            }
            self.sink.write(text);
        });
    }
}

/// What ends at the next quote.
fn quoted(said: &str, text: &mut String) {
    escaped(said, |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'), text);
}

/// What ends at the next blank.
fn word(said: &str, text: &mut String) {
    escaped(said, |byte| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\'), text);
}

/// As Apache does it: what could be mistaken is written in hexadecimal digits.
fn escaped(said: &str, plain: fn(u8) -> bool, text: &mut String) {
    for byte in said.bytes() {
        if plain(byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
}
