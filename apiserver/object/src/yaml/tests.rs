use super::{from_json, to_json};

fn check(yaml: &str, json: &str) {
    let shown = match to_json(yaml) {
        Ok(converted) => String::from_utf8(converted.json).expect("is UTF-8"),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown, json, "{yaml}");
}

#[test]
fn scalars_are_of_yaml_1_1() {
    for (yaml, json) in [
        ("yes", "true"),
        ("Off", "false"),
        ("'yes'", r#""yes""#),
        ("~", "null"),
        ("", "null"),
        ("010", "8"),
        ("0o17", "15"),
        ("0x1F", "31"),
        ("0b101", "5"),
        ("-0b101", "-5"),
        ("1_000", "1000"),
        ("+12", "12"),
        ("08", "8"),
        ("1e3", "1000"),
        ("1.50", "1.5"),
        (".5", "0.5"),
        ("12345678901234567890", "12345678901234567890"),
        ("123456789012345678901", "123456789012345680000"),
        ("2001-01-01", r#""2001-01-01""#),
        ("2001-12-14t21:59:43.10-05:00", r#""2001-12-14t21:59:43.10-05:00""#),
        ("1:30", r#""1:30""#),
        ("100m", r#""100m""#),
        ("!!str 1", r#""1""#),
        ("!!float 1", "1"),
        ("!!int a", "yaml: cannot decode !!str `a` as a !!int"),
        (".inf", "json: unsupported value: +Inf"),
    ] {
        check(yaml, json);
    }
}

#[test]
fn maps_merge_and_anchors_are_followed() {
    check("a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3", r#"{"a":{"b":1,"c":2},"d":{"b":3,"c":2}}"#);
    check("d:\n  b: 3\n  <<: {b: 1}", r#"{"d":{"b":1}}"#);
    check("<<: [{a: 1}, {a: 2, b: 2}]", r#"{"a":1,"b":2}"#);
    check("<<: 1", "yaml: map merge requires map or sequence of maps as the value");
    check(
        "a: &x {b: {c: 1}}\nd: *x\ne: [&y {f: 1}, *y]",
        r#"{"a":{"b":{"c":1}},"d":{"b":{"c":1}},"e":[{"f":1},{"f":1}]}"#,
    );
    check(
        "a: &x {b: 1}\nc: &y {<<: *x, d: *x}\ne: *y",
        r#"{"a":{"b":1},"c":{"b":1,"d":{"b":1}},"e":{"b":1,"d":{"b":1}}}"#,
    );
    check("a: &x [*x]", "yaml: anchor 'x' value contains itself");
    check("a: *x", "yaml: unknown anchor 'x' referenced");
    check("1: a\n1.5: b\ntrue: c", r#"{"1":"a","1.5":"b","true":"c"}"#);
    check("a: 1\n---\nb: 2", r#"{"a":1}"#);
}

#[test]
fn documents_end_where_a_line_begins() {
    check("a: x\n  ... y\n  --- z", r#"{"a":"x ... y --- z"}"#);
    check("a: x\n  ...", r#"{"a":"x ..."}"#);
    check("a: x\n...\nb: 2", r#"{"a":"x"}"#);
    check("a: x\n--- \nb: 2", r#"{"a":"x"}"#);
    check("a: x\n  y\n... \nb: 2", r#"{"a":"x y"}"#);
    check("---\na: |\n  ...\n  ---\nb: ----", r#"{"a":"...\n---\n","b":"----"}"#);
}

#[test]
fn repetition_and_depth_are_bounded() {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..9 {
        let refs = vec![format!("*a{}", i - 1); 10].join(",");
        text.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    check(&text, "yaml: document contains excessive aliasing");
    let aliases = |text: &str, count: usize| format!("x: &a {text}\nz: [{}]", vec!["*a"; count].join(","));
    let long = "b".repeat(500_000);
    check(&aliases(&long, 4000), "yaml: document contains excessive aliasing");
    check(&aliases(&long, 2), &format!(r#"{{"x":"{long}","z":["{long}","{long}"]}}"#));
    check(&aliases("b", 90_000), &format!(r#"{{"x":"b","z":[{}]}}"#, vec![r#""b""#; 90_000].join(",")));
    assert!(to_json(&"[".repeat(200_000)).is_err());
    assert!(to_json(&"- ".repeat(200_000)).is_err());
    assert!(to_json("&x {a: {<<: *x}, b: {<<: *x}}").is_err());
}

#[test]
fn duplicates_are_told() {
    let converted = to_json("a: 1\nb:\n  c: 1\n  c: 2\na: 2").expect("parses");
    assert_eq!(String::from_utf8_lossy(&converted.json), r#"{"a":2,"b":{"c":2}}"#);
    assert_eq!(
        converted.strict.as_deref(),
        Some("yaml: unmarshal errors:\n  line 4: key \"c\" already set in map\n  line 5: key \"a\" already set in map")
    );
}

#[test]
fn json_is_written_as_upstream_does() {
    let json = include_str!("testdata/sample.json");
    assert_eq!(from_json(json.as_bytes()), include_str!("testdata/sample.yaml"));
}

/// What would be nearly nothing but indentation ends as JSON.
#[test]
fn indentation_is_bounded() {
    let values = vec![r#"{"a":["b c"]}"#; 5000].join(",");
    let text = format!("{}[{values}]{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let written = from_json(text.as_bytes());
    assert!(written.len() < 20 * text.len() + 100_000, "{} of {}", written.len(), text.len());
    check(&written, &text);
}

#[test]
fn keys_are_in_natural_order() {
    for (json, keys) in [
        (r#"{"a10":0,"a9":0,"a":0,"ab":0,"a-":0,"":0}"#, ["", "a", "a-", "a9", "a10", "ab"]),
        (r#"{"é2":0,"é10":0,"é":0,"è":0,"ê":0,"éa":0}"#, ["è", "é", "é2", "é10", "éa", "ê"]),
        (r#"{"1.10":0,"1.9":0,"1.09":0,"100":0,"01":0,"1":0}"#, ["1", "1.9", "1.09", "1.10", "01", "100"]),
    ] {
        let written = from_json(json.as_bytes());
        let found: Vec<&str> = written.lines().map(|line| line.trim_end_matches(": 0").trim_matches('"')).collect();
        assert_eq!(found, keys, "{json}");
    }
}

#[test]
fn separators_of_lines_end_lines() {
    for (json, yaml) in [
        (r#"{"a":["\u2028L"]}"#, "a:\n- '\u{2028}  L'\n"),
        (r#"{"a":["a\u2029b\u2028"]}"#, "a:\n- 'a\u{2029}  b\u{2028}'\n"),
        (r#"{"a":["\u2028 L "]}"#, "a:\n- \"\\L L \"\n"),
    ] {
        assert_eq!(from_json(json.as_bytes()), yaml);
        check(yaml, json);
    }
    // The scanner does not read these: in a block, only a line feed ends a line for it.
    for (json, yaml) in [
        (r#"{"a":["\u2028L\nM\u2028"],"b":1}"#, "a:\n- |2\n\u{2028}  L\n  M\u{2028}b: 1\n"),
        (r#"{"a":"L\n\u2029","b":1}"#, "a: |+\n  L\n\u{2029}b: 1\n"),
    ] {
        assert_eq!(from_json(json.as_bytes()), yaml);
    }
}

#[test]
fn an_exclamation_mark_makes_a_text() {
    check("! <<: {a: 1}", r#"{"a":1}"#);
    check("a: ! 05", r#"{"a":"05"}"#);
    check("a: ! ~", r#"{"a":"~"}"#);
    check("! a: 1", r#"{"a":1}"#);
    check("a: !\n  b: 1", r#"{"a":{"b":1}}"#);
    check("a: !foo 1", r#"{"a":"1"}"#);
}

#[test]
fn errors_are_worded_and_counted_as_libyaml_does() {
    for (yaml, error) in [
        ("a:\n  b: 1\n c: 2", "yaml: line 2: did not find expected key"),
        ("a: b\n- c", "yaml: line 1: did not find expected key"),
        ("a: [1, 2", "yaml: line 1: did not find expected ',' or ']'"),
        ("a: \"x", "yaml: found unexpected end of stream"),
        ("a: @x", "yaml: found character that cannot start any token"),
        ("a:\n\t- b", "yaml: line 2: found character that cannot start any token"),
        ("- a\nb: c", "yaml: line 1: did not find expected '-' indicator"),
        ("key: value\nbad", "yaml: line 3: could not find expected ':'"),
        ("a: 1\nb: \"\\ud83d\"\n", "yaml: line 2: found invalid Unicode character escape code"),
        ("a: -\nb: - c", "yaml: block sequence entries are not allowed in this context"),
        ("%YAML 1.2\n---\na: 1", "yaml: found incompatible YAML document"),
        ("a: \u{1}", "yaml: control characters are not allowed"),
    ] {
        check(yaml, error);
    }
}

#[test]
fn blocks_keep_their_line_breaks() {
    check("a: |\n x\n  y\n z", r#"{"a":"x\n y\nz"}"#);
    check("a: |\n x\n", r#"{"a":"x\n"}"#);
    check("x: >\n folded\n text\n\n more\nw: |+\n keep\n\nz: 1", r#"{"w":"keep\n\n","x":"folded text\nmore\n","z":1}"#);
}
