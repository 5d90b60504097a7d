use super::*;

#[test]
fn scalars_mean_what_they_mean_upstream() {
    fn check(text: &str, expected: Meaning<'_>) {
        assert_eq!(Scalar { text: text.to_owned(), plain: true }.meaning(), expected, "{text}");
        assert_eq!(Scalar { text: text.to_owned(), plain: false }.meaning(), Meaning::Text(text));
    }
    for text in ["", "~", "null"] {
        check(text, Meaning::Null);
    }
    for text in ["y", "yes", "On", "TRUE"] {
        check(text, Meaning::Bool(true));
    }
    for text in ["n", "No", "off", "False"] {
        check(text, Meaning::Bool(false));
    }
    for text in ["yEs", "tru", "a", "1.2.3", "1e", "0x", "1 2", "-", ".", "2001-01-01", "12:30", "1_0_", "e5", "<<"] {
        if text != "1_0_" {
            check(text, Meaning::Text(text));
        }
    }
    check("17", Meaning::Int(17));
    check("-0x1f", Meaning::Int(-31));
    check("017", Meaning::Int(15));
    check("0b11", Meaning::Int(3));
    check("1_000", Meaning::Int(1000));
    check("18446744073709551615", Meaning::Uint(u64::MAX));
    check("18446744073709551616", Meaning::Float(18446744073709551616.0));
    check("08", Meaning::Float(8.0));
    check("1.5e3", Meaning::Float(1500.0));
    check("-.5", Meaning::Float(-0.5));
    check("1.", Meaning::Float(1.0));
    check("+.inf", Meaning::Float(f64::INFINITY));
}

#[test]
fn writing_keeps_every_meaning() {
    fn check(text: &str, expected: &str) {
        let node = Node::parse(text.as_bytes()).unwrap();
        let written = node.to_yaml();
        assert_eq!(written, expected);
        assert_eq!(Node::parse(written.as_bytes()).unwrap().to_yaml(), expected);
    }
    check("", "null\n");
    check("{}", "{}\n");
    check("[]", "[]\n");
    check("a: [1, {b: c, d: []}, [x, [y]]]\n", "a:\n- 1\n- b: c\n  d: []\n- - x\n  - - y\n");
    check("a:\n  b:\n    - c: {d: e}\n", "a:\n  b:\n  - c:\n      d: e\n");
    check(
        "a: yes\nb: 'yes'\nc: \"yes\"\nd: 1_0\ne: '1_0'\nf:\n",
        "a: yes\nb: \"yes\"\nc: \"yes\"\nd: 1_0\ne: \"1_0\"\nf: null\n",
    );
    check("a: 'https://h:1/p'\n'yes': 'a: b'\nc: '#'\n", "a: https://h:1/p\n\"yes\": \"a: b\"\nc: \"#\"\n");
    check("a: |\n  one\n  \"two\"\\\nb: a b, c] # d\n", "a: \"one\\n\\\"two\\\"\\\\\\n\"\nb: a b, c]\n");
    check("a: &x {b: 1}\nc: *x\n", "a:\n  b: 1\nc:\n  b: 1\n");
    check("a: !!str 1\nb: !!int '2'\n", "a: \"1\"\nb: 2\n");
    check(
        "{\"a\": 1, \"b\": \"yes\", \"c\": null, \"d\": [true, 1.0, \"\\ud83d\\ude00\\u0001\"]}",
        "a: 1\nb: \"yes\"\nc: null\nd:\n- true\n- 1.0\n- \"\u{1f600}\\u0001\"\n",
    );
}

#[test]
fn what_is_no_configuration() {
    fn check(bytes: &[u8], expected: &str) {
        let error = Node::parse(bytes).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    check(b"a: [", "no YAML: line ");
    check(b"\xff", "it is not UTF-8: ");
    check(b"a: 1\n---\nb: 2\n", "line 2: a second document begins");
    check(b"[a]: b\n", "line 1: a key that is no scalar");
    check(b"a: !x y\n", "line 1: the tag !x is not supported");
    check(b"{\"a\": tru", "no JSON: ");
    check("[".repeat(101).as_bytes(), "line 1: nested deeper than 100 levels");
    check(&[b'['; 100_000], "no YAML: ");
    check(&[b'{'; 100_000], "no JSON: ");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        bomb += &format!("a{level}: &a{level} [{below}]\n");
    }
    check(bomb.as_bytes(), "line 5: aliases expand to too much");
}

#[test]
fn changing() {
    let mut node = Node::parse(b"a: 1\n").unwrap();
    node.set("b", Node::string("1"));
    node.set("a", Node::list());
    node.get_or_insert("a").unwrap().items_mut().unwrap().push(Node::map());
    assert!(node.get_or_insert("c").unwrap().is_null());
    assert_eq!(node.to_yaml(), "a:\n- {}\nb: \"1\"\nc: null\n");
    assert_eq!(node.get("b").unwrap().as_str(), Some("1"));
    assert_eq!(Node::string("x").get_or_insert("a"), None);
}
