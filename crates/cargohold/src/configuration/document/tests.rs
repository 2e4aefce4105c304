use proptest::{collection, prelude::*};
use serde_json::Value as Json;

use super::*;

/// A tree without its places: texts as JSON strings.
fn plain(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(entries) => entries.iter().map(|(key, entry)| (key.clone(), plain(&entry.node))).collect(),
    }
}

#[track_caller]
fn reads(text: &str, as_json: &str) {
    let node = Node::parse(text).unwrap_or_else(|error| panic!("{}: {error} in {text}", error.at));
    assert_eq!(plain(&node), serde_json::from_str::<Json>(as_json).unwrap(), "{text}");
}

#[track_caller]
fn refused(text: &str, at: (usize, usize), says: &str) {
    let error = Node::parse(text).unwrap_err();
    assert_eq!((error.at.line, error.at.column), at, "{error} in {text}");
    assert!(error.reason.contains(says), "{error}");
}

#[test]
fn sections_lists_and_values() {
    reads("http:\n  addr: :5000\n  limits: {wait: 5s}\nlist:\n- a\n- b: c\n", {
        r#"{"http": {"addr": ":5000", "limits": {"wait": "5s"}}, "list": ["a", {"b": "c"}]}"#
    });
    reads("\u{feff}a: 'it''s'\r\nb: \"x\\ty\"\r\nc: |\r\n  two\r\n  lines\r\n", {
        r#"{"a": "it's", "b": "x\ty", "c": "two\nlines\n"}"#
    });
    reads("# only a comment\n", "null");
    reads("", "null");
    reads("---\na: 1\n...\n", r#"{"a": "1"}"#);
}

#[test]
fn null_is_only_what_is_written_without_quotes() {
    reads("{a: null, b: ~, c: , d: 'null', e: \"\", f: Null, g: nul}", {
        r#"{"a": null, "b": null, "c": null, "d": "null", "e": "", "f": null, "g": "nul"}"#
    });
    reads("null: 1", r#"{"null": "1"}"#);
}

#[test]
fn everything_knows_where_it_was_written() {
    let Value::Map(top) = Node::parse("# é\nhttp:\n  'addr':   :5000\n").unwrap().value else { panic!("no map") };
    let http = &top["http"];
    assert_eq!(http.key_at, Place::Document(Position { line: 2, column: 1 }));
    let Value::Map(below) = &http.node.value else { panic!("no map") };
    assert_eq!(below["addr"].key_at, Place::Document(Position { line: 3, column: 3 }));
    assert_eq!(below["addr"].node.at, Place::Document(Position { line: 3, column: 13 }));
}

#[test]
fn aliases_repeat_values() {
    reads("a: &x {b: c}\nd: *x\n&y k: &z v\n*z : *y\n", r#"{"a": {"b": "c"}, "d": {"b": "c"}, "k": "v", "v": "k"}"#);
    refused("a: &x [*x]", (1, 8), "contains itself");
}

#[test]
fn aliases_cannot_make_much_of_little() {
    let mut lines = vec!["a0: &a0 [x, x, x, x, x, x, x, x]".to_owned()];
    for level in 1..30 {
        let repeated = vec![format!("*a{}", level - 1); 8].join(", ");
        lines.push(format!("a{level}: &a{level} [{repeated}]"));
    }
    let error = Node::parse(&lines.join("\n")).unwrap_err();
    assert!(error.reason.contains("aliases"), "{error}");
}

#[test]
fn what_is_no_yaml_is_refused_where_it_breaks() {
    refused("a: 1\nb: [1, 2\n", (3, 1), "not YAML");
    refused("a: 1\n  b: 2\n", (2, 4), "not YAML");
    refused("a:\n\tb: 2\n", (2, 2), "not YAML");
    refused("a: *nobody\n", (1, 4), "not YAML");
}

#[test]
fn what_yaml_has_and_a_configuration_has_not_is_refused() {
    refused("a: 1\nb: 2\na: 3\n", (3, 1), "the key \"a\" a second time: line 1");
    refused("{\"a\": 1, a: 3}", (1, 10), "a second time");
    refused("a: !!int 1\n", (1, 4), "a tag");
    refused("a: 1\n---\nb: 2\n", (2, 1), "a second document");
    refused("? [a]\n: 1\n", (1, 3), "not a text");
    refused("a: &x [b]\n*x : 1\n", (1, 4), "not a text");
    refused("a: 1\nb: \0c\n", (2, 4), "a control character");
}

#[test]
fn what_nests_without_end_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let text = |depth| format!("{}{}", open.repeat(depth), close.repeat(depth));
        assert!(Node::parse(&text(MAX_DEPTH)).is_ok());
        assert!(Node::parse(&text(MAX_DEPTH + 1)).unwrap_err().reason.contains("deep"));
        assert!(Node::parse(&text(100_000)).is_err());
    }
}

/// Texts made of what matters to the parser.
fn yaml_like() -> impl Strategy<Value = String> {
    const WORDS: &str = "a|b: |- |{|}|[|]|, |: |:|\n|\n  |\"|'|&a |*a|!!str |? |>-\n| #|---\n|...|%YAML 1.2\n|\t|\r|\u{feff}|\\x|é|@|~|null|0|\0|<<: ";
    let word = prop::sample::select(WORDS.split('|').collect::<Vec<_>>()).prop_map(str::to_owned);
    collection::vec(prop_oneof![9 => word, 1 => ".{0,3}"], 0..40).prop_map(|words| words.concat())
}

fn json() -> impl Strategy<Value = Json> {
    // What JSON writes as escapes is read back from them; DEL and its like YAML takes in quotes.
    let leaf = prop_oneof![Just(Json::Null), ".{0,20}".prop_map(Json::from)];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let list = collection::vec(inner.clone(), 0..6).prop_map(Json::from);
        prop_oneof![list, collection::btree_map(".{0,9}", inner, 0..6).prop_map(|map| map.into_iter().collect())]
    })
}

proptest! {
    #[test]
    fn any_text_has_an_answer_that_names_a_place_in_it(text in yaml_like()) {
        if let Err(error) = Node::parse(&text) {
            prop_assert!(error.at.line <= text.matches(['\n', '\r']).count() + 2, "{}", error.at);
        }
    }

    #[test]
    fn json_is_yaml(value in json()) {
        prop_assert_eq!(plain(&Node::parse(&value.to_string()).unwrap()), value.clone());
        prop_assert_eq!(plain(&Node::parse(&format!("{value:#}")).unwrap()), value);
    }
}
