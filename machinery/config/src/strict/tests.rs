use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;

#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    name: String,
    max_pods: u8,
    enabled: bool,
    period: GoDuration,
    mode: Mode,
    nested: Option<Nested>,
    rules: Vec<Nested>,
    labels: BTreeMap<String, String>,
    old: Option<Unsupported>,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Nested {
    path: String,
}

#[derive(Debug, Default, Deserialize, PartialEq)]
enum Mode {
    #[default]
    Fast,
    Slow,
}

const HEADER: &str = "apiVersion: example/v1\nkind: Config\n";

fn decode(text: &str) -> Result<Config, String> {
    let document = Document::parse("f.yaml", text.as_bytes()).map_err(|error| error.to_string())?;
    document.decode().map_err(|error| error.to_string())
}

#[test]
fn values_are_decoded() {
    let text = "name: a\nmaxPods: 0x10\nenabled: yes\nperiod: 1m30s\nmode: Slow\nnested: {path: p}\nrules: [{path: \
                q}]\nlabels: {a: b, c: '1'}\n";
    let expected = Config {
        name: "a".to_owned(),
        max_pods: 16,
        enabled: true,
        period: GoDuration(Duration::from_secs(90)),
        mode: Mode::Slow,
        nested: Some(Nested { path: "p".to_owned() }),
        rules: vec![Nested { path: "q".to_owned() }],
        labels: [("a", "b"), ("c", "1")].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        old: None,
    };
    assert_eq!(decode(&format!("{HEADER}{text}")), Ok(expected));
    let json = r#"{"kind": "Config", "name": "a", "maxPods": 3, "rules": null, "labels": null, "nested": null}"#;
    let expected = Config { name: "a".to_owned(), max_pods: 3, ..Config::default() };
    assert_eq!(decode(json), Ok(expected));
    let nulls = "kind: Config\nname:\nmaxPods: ~\nenabled: null\nmode:\nold:\nperiod:\n";
    assert_eq!(decode(nulls), Ok(Config::default()));
}

#[test]
fn problems_name_the_field_and_the_file() {
    fn check(text: &str, expected: &str) {
        assert_eq!(decode(text).unwrap_err(), format!("f.yaml: {expected}"));
    }
    check("", "it is empty");
    check("- a\n", "it does not hold an object");
    check("nme: a\n", "strict decoding error: unknown field \"nme\" (line 1)");
    check("Name: a\n", "strict decoding error: unknown field \"Name\" (line 1)");
    check(
        "rules:\n- path: a\n- path: b\n  x: 1\n  path: c\nrules: []\n",
        "strict decoding error: duplicate field \"rules\" (line 6), unknown field \"rules[1].x\" (line 4), duplicate \
         field \"rules[1].path\" (line 5)",
    );
    check("nested: {path: a, kind: b}\n", "strict decoding error: unknown field \"nested.kind\" (line 1)");
    check("labels:\n  a: b\n  a: c\n", "strict decoding error: duplicate field \"labels.a\" (line 3)");
    check(
        "{\"name\": \"a\", \"name\": \"b\", \"x\": 1}",
        "strict decoding error: duplicate field \"name\", unknown field \"x\"",
    );
    check("name: 5\n", "field \"name\" (line 1): invalid type: integer `5`, expected a string");
    check("\nmaxPods: 300\n", "field \"maxPods\" (line 2): invalid value: integer `300`, expected u8");
    check("maxPods: '3'\n", "field \"maxPods\" (line 1): invalid type: string \"3\", expected u8");
    check("rules: [{path: a}, 3]\n", "field \"rules[1]\" (line 1): invalid type: integer `3`, expected struct Nested");
    check("rules: [{}]\n", "field \"rules[0]\" (line 1): missing field `path`");
    check("rules: {}\n", "field \"rules\" (line 1): invalid type: map, expected a sequence");
    check("labels: {a: 1}\n", "field \"labels.a\" (line 1): invalid type: integer `1`, expected a string");
    check("mode: Other\n", "field \"mode\" (line 1): unknown variant `Other`, expected `Fast` or `Slow`");
    check("mode: [a]\n", "field \"mode\" (line 1): invalid type: sequence, expected enum Mode");
    check("period: 5\n", "field \"period\" (line 1): invalid type: integer `5`, expected a string");
    check("period: '5'\n", "field \"period\" (line 1): time: missing unit in duration \"5\"");
    check("old: {}\n", "field \"old\" (line 1): this field is not supported");
    check(
        "x: 1\nname: 5\n",
        "field \"name\" (line 2): invalid type: integer `5`, expected a string, strict decoding error: unknown field \
         \"x\" (line 1)",
    );
}

#[test]
fn kinds_are_checked() {
    fn check(text: &str, expected: Result<usize, &str>) {
        let document = Document::parse("f.yaml", text.as_bytes()).unwrap();
        let result = document.expect(&[("example/v1", "Config"), ("example/v2", "Config")]);
        let known = "; expected Config of example/v1, or Config of example/v2";
        let expected = expected.map_err(|problem| format!("f.yaml: {problem}{known}"));
        assert_eq!(result.map_err(|error| error.to_string()), expected);
    }
    check(HEADER, Ok(0));
    check("{\"kind\": \"Config\", \"apiVersion\": \"example/v2\"}", Ok(1));
    check("apiVersion: example/v1\n", Err("kind is not set"));
    check("kind: Config\n", Err("apiVersion is not set"));
    check("apiVersion: a/v1\nkind: Pod\n", Err("no kind \"Pod\" is registered for version \"a/v1\""));
}

#[test]
fn a_file_that_is_not_there() {
    let error = read(Path::new("/nowhere/f.yaml"), &[]).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/f.yaml: No such file"), "{error}");
}
