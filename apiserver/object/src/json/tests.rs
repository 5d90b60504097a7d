use corten_schema::Kind;

use super::{Form, ParseError, parse, parse_written, to_string};

/// A Lease, which has times of both forms.
fn lease() -> &'static Kind {
    corten_schema::kind("coordination.k8s.io", "v1", "Lease").expect("the tables have it")
}

fn text(created: &str, renewed: &str) -> String {
    format!(r#"{{"metadata":{{"creationTimestamp":"{created}"}},"spec":{{"renewTime":"{renewed}"}}}}"#)
}

#[test]
fn years_that_only_this_process_writes() {
    let form = Form::Typed(lease().ty);
    for day in ["10000-01-01", "33715-10-27", "-0001-12-31", "292277026596-12-04"] {
        for text in [
            text(&format!("{day}T00:00:00Z"), "2026-01-01T00:00:00.000000Z"),
            text("2026-01-01T00:00:00Z", &format!("{day}T00:00:00.000001Z")),
        ] {
            let parsed =
                parse_written(text.clone().into_bytes(), form).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(to_string(parsed.tree.root()), text);
            let refused = parse(text.clone().into_bytes(), form).map(|parsed| parsed.strict);
            assert!(matches!(refused, Err(ParseError::Type(_))), "{text}: {refused:?}");
        }
    }
}

/// The metadata of a custom object has its type; what else looks like a time is text.
#[test]
fn years_of_custom_objects() {
    let form = Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META };
    let text = r#"{"metadata":{"creationTimestamp":"33715-10-27T00:00:00Z"},"spec":{"a":"33715-10-27T00:00:00Z"}}"#;
    let parsed = parse_written(text.into(), form).expect("it was written so");
    assert_eq!(to_string(parsed.tree.root()), text);
    assert!(parse(text.into(), form).is_err());
}

/// Only the exact text that this process writes for a time is taken.
#[test]
fn no_other_form_is_taken_for_written() {
    let form = Form::Typed(lease().ty);
    for (created, renewed) in [
        ("33715-10-27T00:00:00+01:00", ""),
        ("33715-10-27T00:00:00.5Z", ""),
        ("33715-10-27T0:00:00Z", ""),
        ("033715-10-27T00:00:00Z", ""),
        ("+33715-10-27T00:00:00Z", ""),
        ("-0000-10-27T00:00:00Z", ""),
        ("33715-13-27T00:00:00Z", ""),
        ("9223372036854775807-01-01T00:00:00Z", ""),
        ("-9223372036854775807-01-01T00:00:00Z", ""),
        ("x", ""),
        ("", "33715-10-27T00:00:00Z"),
        ("", "33715-10-27T00:00:00.1Z"),
    ] {
        let either = |time: &str, sound: &str| if time.is_empty() { sound.to_owned() } else { time.to_owned() };
        let text = text(&either(created, "2026-01-01T00:00:00Z"), &either(renewed, "2026-01-01T00:00:00.000000Z"));
        assert!(parse_written(text.clone().into_bytes(), form).is_err(), "{text}");
    }
}
