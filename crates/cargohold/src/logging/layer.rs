//! What `tracing` tells, written down: events with their own fields and those of the spans that they happen in.

use std::{cell::RefCell, fmt, time::SystemTime};

use tracing::{
    Event,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{
    Spans,
    line::{Line, Style, Value},
    sink::Sink,
};

/// A field that asks for its event to be written before anything else happens: the process is about to end.
const LAST_WORDS: &str = "last_words";

/// Writes events as lines.
#[derive(Debug)]
pub(super) struct EventLines {
    style: Style,
    /// Whether lines tell where in the program they come from.
    caller: bool,
    sink: Sink,
}

/// The fields of a span, as far as they are known.
#[derive(Default)]
struct SpanFields(Vec<(&'static str, Kept)>);

/// A value that outlives its event.
enum Kept {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
}

/// The message of an event, and whether these are the last words.
#[derive(Default)]
struct Message {
    text: String,
    last_words: bool,
}

/// The other fields of an event.
struct Fields<'f, 'l>(&'f mut Line<'l>);

thread_local! {
    /// Where lines are put together.
    static TEXT: RefCell<String> = const { RefCell::new(String::new()) };
}

impl EventLines {
    pub(super) fn new(style: Style, caller: bool, sink: Sink) -> Self {
        Self { style, caller, sink }
    }

    fn write<S: Spans>(&self, text: &mut String, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let mut message = Message::default();
        event.record(&mut message);
        let said = Value::Text(&message.text);
        let mut line = self.style.begin(text, SystemTime::now(), *metadata.level(), metadata.target(), said);
        event.record(&mut Fields(&mut line));
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(SpanFields(fields)) = span.extensions().get() {
                for (name, value) in fields {
                    line.field(name, value.as_value());
                }
            }
        }
        if self.caller
            && let (Some(file), Some(number)) = (metadata.file(), metadata.line())
        {
            line.field("file", Value::Written(&format_args!("{file}:{number}")));
        }
        line.end();
        message.last_words
    }
}

impl<S: Spans> Layer<S> for EventLines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = SpanFields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<SpanFields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        // Taken, since something that is being logged may log.
        let mut text = TEXT.take();
        let last_words = self.write(&mut text, event, &context);
        self.sink.write(&text);
        TEXT.set(text);
        if last_words {
            self.sink.flush(super::PATIENCE);
        }
    }
}

impl Kept {
    fn as_value(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Unsigned(number) => Value::Unsigned(*number),
            Self::Signed(number) => Value::Signed(*number),
            Self::Float(number) => Value::Float(*number),
            Self::Flag(flag) => Value::Flag(*flag),
        }
    }
}

impl SpanFields {
    /// The last word on a field counts.
    fn keep(&mut self, field: &Field, value: Kept) {
        // What has a dot in its name is for those who collect traces.
        if field.name().contains('.') {
            return;
        }
        match self.0.iter_mut().find(|(name, _)| *name == field.name()) {
            Some((_, kept)) => *kept = value,
            None => self.0.push((field.name(), value)),
        }
    }
}

impl Visit for SpanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, Kept::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, Kept::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, Kept::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, Kept::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, Kept::Flag(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, Kept::Text(format!("{value:?}")));
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.text);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.last_words |= value && field.name() == LAST_WORDS;
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.text = format!("{value:?}");
        }
    }
}

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, value: Value<'_>) {
        if !["message", LAST_WORDS].contains(&field.name()) {
            self.0.field(field.name(), value);
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.write(field, Value::Text(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.write(field, Value::Unsigned(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.write(field, Value::Signed(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.write(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.write(field, Value::Flag(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write(field, Value::Written(&value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, Value::Written(&format_args!("{value:?}")));
    }
}
