use super::*;

#[test]
fn parsed() {
    let check = |input: &str, text: &str| {
        assert_eq!(Selector::parse(input).unwrap().to_string(), text, "{input}");
        assert_eq!(Selector::parse(text).unwrap().to_string(), text, "again");
    };
    check("x=a,y=b,z=c", "x=a,y=b,z=c");
    check("", "");
    check("x!=a,y=b", "x!=a,y=b");
    check("x=a||y\\=b", "x=a||y\\=b");
    check("x=a\\=\\=b", "x=a\\=\\=b");
    check("a=x,x=a", "a=x,x=a");
    check("x=a,a=x", "a=x,x=a");
    check("x==y", "x=y");
    check(",x=y,", "x=y");
    check("x=", "x=");
    check("=", "");
    check("=y", "=y");
    check("k=\\,,k2=v2", "k2=v2,k=\\,");
    check("함=수,목=록", "목=록,함=수");
}

#[test]
fn not_parsed() {
    let fails = |input: &str, error: &str| assert_eq!(Selector::parse(input).unwrap_err().to_string(), error);
    fails("x=a||y=b", "invalid field selector: unescaped character in value: 61");
    fails("x==a==b", "invalid field selector: unescaped character in value: 61");
    fails("x=a,b", "invalid selector: 'x=a,b'; can't understand 'b'");
    fails("x in (a)", "invalid selector: 'x in (a)'; can't understand 'x in (a)'");
    fails("x", "invalid selector: 'x'; can't understand 'x'");
    fails("k=\\a", "invalid field selector: invalid escape sequence: \\a");
    fails("k=\\", "invalid field selector: invalid escape sequence: \\");
    fails("k=a=b", "invalid field selector: unescaped character in value: 61");
}

#[test]
fn values() {
    let check = |value: &str, escaped: &str| {
        assert_eq!(escape_value(value), escaped);
        assert_eq!(unescape_value(escaped).unwrap(), value);
    };
    check("", "");
    check("a", "a");
    check("=", r"\=");
    check(",", r"\,");
    check(r"\", r"\\");
    check(r"\=\,\", r"\\\=\\\,\\");
    for invalid in [r"\", r"\\\", r"\a"] {
        assert!(unescape_value(invalid).is_err(), "{invalid}");
    }
}

#[test]
fn matching() {
    let check = |input: &str, expected: bool| {
        let selector = Selector::parse(input).unwrap();
        let lookup = |field: &str| match field {
            "metadata.name" => Some("a"),
            "spec.nodeName" => Some(""),
            _ => None,
        };
        assert_eq!(selector.matches(lookup), expected, "{input}");
    };
    check("", true);
    check("metadata.name=a", true);
    check("metadata.name=b", false);
    check("metadata.name!=a", false);
    check("metadata.name!=b", true);
    check("spec.nodeName=", true);
    check("spec.nodeName!=", false);
    check("missing=", true);
    check("missing!=", false);
    check("missing!=x", true);
    check("metadata.name=a,spec.nodeName=n", false);
    assert!(!Selector::nothing().matches(|_| None));
    assert!(Selector::equal("a", "b").matches(|_| Some("b")));
    assert!(!Selector::not_equal("a", "b").matches(|_| Some("b")));
}

#[test]
fn transformed() {
    let selector = Selector::parse("a=1,b!=2,c=3").unwrap();
    let renamed = selector.transform(|field, value| {
        Ok::<_, Error>(if field == "c" { Default::default() } else { (format!("x{field}"), value.to_owned()) })
    });
    assert_eq!(renamed.unwrap().to_string(), "xa=1,xb!=2");
    let refused = selector.transform(|field, _| Err::<(String, String), _>(format!("no {field}")));
    assert_eq!(refused.unwrap_err(), "no a");
}

#[test]
fn exact_matches() {
    let selector = Selector::parse("a=1,b!=2").unwrap();
    assert_eq!(selector.requires_exact_match("a"), Some("1"));
    assert_eq!(selector.requires_exact_match("b"), None);
    assert_eq!(selector.requires_exact_match("c"), None);
}
