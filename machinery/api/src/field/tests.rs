use super::*;

#[test]
fn paths() {
    let root = Path::root();
    let spec = Path::new("spec");
    let containers = spec.child("containers");
    let first = containers.index(0);
    let check = |path: &Path<'_>, expected: &str| assert_eq!(path.to_string(), expected);
    check(&spec, "spec");
    check(&first, "spec.containers[0]");
    check(&first.child("env").key("NAME"), "spec.containers[0].env[NAME]");
    check(&root.child("metadata").child("a.b"), "metadata.a.b");
    check(&root.index(3).child("x"), "[3].x");
    check(&spec.child("").child("x"), "spec[].x");
    assert!(root.is_root() && !spec.is_root());
    assert_eq!(Error::required(&root, "").field, "<nil>");
}

#[test]
fn bodies() {
    let path = Path::new("f");
    let check = |error: Error, expected: &str| {
        assert_eq!(error.body(), expected);
        assert_eq!(error.to_string(), format!("f: {expected}"));
    };
    check(Error::required(&path, ""), "Required value");
    check(Error::required(&path, "say so"), "Required value: say so");
    check(Error::forbidden(&path, "no"), "Forbidden: no");
    check(Error::internal(&path, "boom"), "Internal error: boom");
    check(Error::invalid(&path, "a\"b", "bad"), "Invalid value: \"a\\\"b\": bad");
    check(Error::invalid(&path, 3i64, ""), "Invalid value: 3");
    check(Error::invalid(&path, true, ""), "Invalid value: true");
    check(Error::invalid(&path, 1e6, ""), "Invalid value: 1e+06");
    check(Error::invalid(&path, 1.5, ""), "Invalid value: 1.5");
    check(Error::invalid(&path, 0.00001, ""), "Invalid value: 1e-05");
    check(Error::invalid(&path, 999999.5, ""), "Invalid value: 999999.5");
    check(Error::invalid(&path, None::<i64>, ""), "Invalid value: null");
    check(Error::invalid(&path, Some("<a>"), ""), "Invalid value: \"\\u003ca\\u003e\"");
    check(Error::invalid(&path, BadValue::typed("<a>"), ""), "Invalid value: \"\\u003ca\\u003e\"");
    check(Error::invalid(&path, BadValue::strings(["a", "b"]), ""), "Invalid value: [\"a\",\"b\"]");
    check(Error::invalid(&path, BadValue::Json("{}".into()), "bad"), "Invalid value: {}: bad");
    check(Error::type_invalid(&path, "x", "bad"), "Invalid value: \"x\": bad");
    check(Error::duplicate(&path, "x"), "Duplicate value: \"x\"");
    check(Error::not_found(&path, "x"), "Not found: \"x\"");
    check(Error::not_supported(&path, "x", &["a", "b"]), "Unsupported value: \"x\": supported values: \"a\", \"b\"");
    check(Error::not_supported(&path, "x", &[]), "Unsupported value: \"x\"");
    check(Error::too_long(&path, 1), "Too long: may not be more than 1 byte");
    check(Error::too_long(&path, 63), "Too long: may not be more than 63 bytes");
    check(Error::too_long_characters(&path, 63), "Too long: may not be more than 63 characters");
    check(Error::too_short(&path, "x", 1), "Too short: must be at least 1 character");
    check(Error::too_many(&path, 3, 2), "Too many: 3: must have at most 2 items");
    check(Error::too_many(&path, 3, 1), "Too many: 3: must have at most 1 item");
    check(Error::too_few(&path, 0, 1), "Too few: 0: must have at least 1 item");
    check(Error::new(ErrorType::TooMany, &path, BadValue::Omit, "has too many items"), "Too many: has too many items");
}

#[test]
fn aggregates() {
    let (a, b) = (Path::new("a"), Path::new("b"));
    let check = |errors: &[Error], expected: &str| assert_eq!(Errors::from_iter(errors.to_vec()).to_string(), expected);
    let (missing_a, missing_b) = (Error::required(&a, ""), Error::required(&b, ""));
    check(std::slice::from_ref(&missing_a), "a: Required value");
    check(&[missing_a.clone(), missing_a.clone()], "a: Required value");
    check(&[missing_a.clone(), missing_b, missing_a], "[a: Required value, b: Required value]");
}

/// A list ends where it is full, and says how many errors it does not show.
#[test]
fn bounds() {
    let path = Path::new("f");
    let fill = |times: usize, value: usize| {
        let mut errors = Errors::default();
        let mut made = 0;
        for i in 0..times {
            errors.push_with(|| {
                made += 1;
                Error::invalid(&path.index(i), "x".repeat(value), "")
            });
        }
        (errors, made)
    };
    let check = |times: usize, value: usize, listed: usize| {
        let (errors, made) = fill(times, value);
        assert_eq!((errors.len(), errors.iter().count(), made), (times, listed, listed), "{times} of {value}");
        let message = errors.to_string();
        match times - listed {
            0 => assert!(!message.contains("more errors")),
            more => assert!(message.ends_with(&format!(", and {more} more errors]")), "{message:.100}"),
        }
    };
    check(ERRORS_MAX, 1, ERRORS_MAX);
    check(ERRORS_MAX + 1, 1, ERRORS_MAX);
    check(5000, ERROR_TEXT_MAX, 1);
    check(3, ERROR_TEXT_MAX / 2, 2);

    let (mut errors, _) = fill(10, 1);
    errors.repeat(usize::MAX - 10, || Error::required(&path, ""));
    assert_eq!((errors.len(), errors.iter().count()), (usize::MAX, ERRORS_MAX));

    let (mut errors, _) = fill(600, 1);
    errors.append(fill(1700, 1).0);
    assert_eq!((errors.len(), errors.iter().count()), (2300, ERRORS_MAX));
}

#[test]
fn quoted() {
    let check = |input: &str, expected: &str| assert_eq!(quote(input), expected);
    check("", r#""""#);
    check("a\"b\\c'd", r#""a\"b\\c'd""#);
    check("\u{7}\u{8}\u{c}\n\r\t\u{b}", r#""\a\b\f\n\r\t\v""#);
    check("\0\u{1f}\u{7f}", r#""\x00\x1f\x7f""#);
    check("é€😀", "\"é€😀\"");
    check("\u{301}e\u{301}", "\"\u{301}e\u{301}\"");
    check("\u{80}\u{a0}\u{ad}\u{200b}\u{2028}\u{feff}", r#""\u0080\u00a0\u00ad\u200b\u2028\ufeff""#);
    check("\u{e000}\u{10ffff}", r#""\ue000\U0010ffff""#);
}
