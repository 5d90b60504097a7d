use super::*;

const RED: &[(&str, &str)] = &[("x", "y"), ("n", "2"), ("empty", "")];

fn matches(selector: &Selector, labels: &[(&'static str, &'static str)]) -> bool {
    selector.matches(|key| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| *value))
}

#[test]
fn parsed() {
    let check = |input: &str, text: &str| {
        assert_eq!(parse(input).unwrap().to_string(), text, "{input}");
        assert_eq!(parse(text).unwrap().to_string(), text, "again");
    };
    check("x=a,y=b,z=c", "x=a,y=b,z=c");
    check("", "");
    check("x!=a,y=b", "x!=a,y=b");
    check("x=", "x=");
    check("x= ", "x=");
    check("x=,z= ", "x=,z=");
    check("!x", "!x");
    check("x>1", "x>1");
    check("x>1,z<5", "x>1,z<5");
    check("a=x,x=a", "a=x,x=a");
    check("x in (b,a)", "x in (a,b)");
    check("x in ()", "x in ()");
    check("x in (,a)", "x in (,a)");
    check("x in (a,,a,)", "x in (,a)");
    check("x notin (abc)", "x notin (abc)");
    check("in in (in)", "in in (in)");
    check("notin,in", "in,notin");
    check("x in (a),!y,z==1", "x in (a),!y,z==1");
    check("example.com/k = v", "example.com/k=v");
    check("x\n=\ty", "x=y");
}

#[test]
fn not_parsed() {
    let fails = |input: &str, error: &str| assert_eq!(parse(input).unwrap_err().to_string(), error, "{input}");
    fails(
        "x=a||y=b",
        "unable to parse requirement: values[0][x]: Invalid value: \"a||y\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
    fails("x==a==b", "found '==', expected: ',' or 'end of string'");
    fails("!x=a", "found '=', expected: ',' or 'end of string'");
    fails(
        "x<a",
        "unable to parse requirement: values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    fails("x,", "found '', expected: identifier after ','");
    fails(",x", "found ',', expected: !, identifier, or 'end of string'");
    fails("x in", "unable to parse requirement: found '' expected: '('");
    fails("x in (", "unable to parse requirement: found '', expected: ',', ')' or identifier");
    fails("x in (a", "unable to parse requirement: found '', expected: ',' or ')'");
    fails("x in (a b)", "unable to parse requirement: found 'b', expected: ',' or ')'");
    fails("x in (a,=)", "unable to parse requirement: found '=', expected: ',', or identifier");
    fails("x in a", "unable to parse requirement: found 'a' expected: '('");
    fails("x (a)", "unable to parse requirement: found '(', expected: in, notin, =, ==, !=, gt, lt");
    fails("!", "unable to parse requirement: found '', expected: identifier");
    fails("!!x", "unable to parse requirement: found '!', expected: identifier");
    fails("x!", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt");
    fails("x=(", "unable to parse requirement: found '(', expected: identifier");
    fails("x y", "unable to parse requirement: found 'y', expected: in, notin, =, ==, !=, gt, lt");
    fails("a b=c", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
    fails(
        "-x",
        "unable to parse requirement: <nil>: Invalid value: \"-x\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    );
    fails(
        "x=-",
        "unable to parse requirement: values[0][x]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
    fails("/x", "unable to parse requirement: <nil>: Invalid value: \"/x\": prefix part must be non-empty");
    fails(
        "a/b/c",
        "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
    );
    fails("x exists", "unable to parse requirement: found 'exists', expected: in, notin, =, ==, !=, gt, lt");
    fails("!\0=", "unable to parse requirement: found '=', expected: identifier");
    let spec = Path::new("spec");
    let error = parse_at("x<a", &spec.child("selector")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unable to parse requirement: spec.selector.values[0]: Invalid value: \"a\": for 'Gt', 'Lt' operators, the value must be an integer"
    );
}

#[test]
fn matching() {
    let check = |input: &str, expected: bool| {
        assert_eq!(matches(&parse(input).unwrap(), RED), expected, "{input}");
    };
    check("", true);
    check("x", true);
    check("y", false);
    check("!x", false);
    check("!y", true);
    check("x=y", true);
    check("x=z", false);
    check("y=", false);
    check("empty=", true);
    check("empty", true);
    check("x!=y", false);
    check("x!=z", true);
    check("y!=z", true);
    check("x in (y,z)", true);
    check("x in (z)", false);
    check("y in (z)", false);
    check("x notin (y,z)", false);
    check("x notin (z)", true);
    check("y notin (z)", true);
    check("n>1", true);
    check("n>2", false);
    check("n<3", true);
    check("n<2", false);
    check("x>1", false);
    check("y<1", false);
    check("x=y,n=2", true);
    check("x=y,n=3", false);
    assert!(!matches(&Selector::nothing(), RED));
    assert!(matches(&Selector::everything(), &[]));
    assert!(matches(&Selector::from_set([("x", "y")]), RED));
    assert!(!matches(&Selector::from_set([("x", "y"), ("z", "")]), RED));
}

#[test]
fn requirements() {
    let check = |key: &str, operator: Operator, values: &[&str], expected: &str| {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        match Requirement::new(key, operator, values) {
            Ok(requirement) => assert_eq!(requirement.to_string(), expected),
            Err(error) => assert_eq!(error.to_string(), expected),
        }
    };
    let empty_set = "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty";
    check("x", Operator::In, &[], empty_set);
    check("x", Operator::NotIn, &[], empty_set);
    check("x", Operator::In, &["b", "a"], "x in (a,b)");
    check(
        "x",
        Operator::Exists,
        &["a", "b"],
        r#"values: Invalid value: ["a","b"]: values set must be empty for exists and does not exist"#,
    );
    check("x", Operator::Exists, &[], "x");
    check("x", Operator::DoesNotExist, &[], "!x");
    check(
        "x",
        Operator::Equals,
        &["a", "b"],
        r#"values: Invalid value: ["a","b"]: exact-match compatibility requires one single value"#,
    );
    check(
        "x",
        Operator::GreaterThan,
        &[],
        "values: Invalid value: null: for 'Gt', 'Lt' operators, exactly one value is required",
    );
    check(
        "x",
        Operator::LessThan,
        &["1.1"],
        "values[0]: Invalid value: \"1.1\": for 'Gt', 'Lt' operators, the value must be an integer",
    );
    check("x", Operator::GreaterThan, &["1"], "x>1");
    check(
        "x",
        Operator::Equals,
        &["-"],
        "values[0][x]: Invalid value: \"-\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    );
}

#[test]
fn label_selectors() {
    let check = |labels: &[(&str, &str)], expressions: &[(&str, &str, &[&str])], expected: &str| {
        let expressions = expressions.iter().map(|&(key, operator, values)| (key, operator, values.iter().copied()));
        match Selector::from_label_selector(labels.iter().copied(), expressions) {
            Ok(selector) => assert_eq!(selector.to_string(), expected),
            Err(error) => assert_eq!(error.to_string(), expected),
        }
    };
    check(&[], &[], "");
    check(&[("foo", "bar")], &[], "foo=bar");
    check(&[("foo", "bar")], &[("baz", "In", &["qux", "norf"])], "baz in (norf,qux),foo=bar");
    check(&[], &[("baz", "NotIn", &["qux"]), ("a", "Exists", &[])], "a,baz notin (qux)");
    check(&[], &[("baz", "DoesNotExist", &[])], "!baz");
    check(&[], &[("baz", "Gt", &["1"])], "\"Gt\" is not a valid label selector operator");
    check(
        &[],
        &[("baz", "In", &[])],
        "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty",
    );
}

#[test]
fn exact_matches() {
    let check = |input: &str, key: &str, expected: Option<&str>| {
        assert_eq!(parse(input).unwrap().requires_exact_match(key), expected, "{input}");
    };
    check("x=y", "x", Some("y"));
    check("x==y,a=b", "x", Some("y"));
    check("x in (y)", "x", Some("y"));
    check("x in (y,z)", "x", None);
    check("x!=y", "x", None);
    check("x", "x", None);
    check("a=b", "x", None);
    check("x!=z,x=y", "x", None);
}

#[test]
fn combined() {
    let b = Requirement::new("b", Operator::Exists, Vec::new()).unwrap();
    assert_eq!(parse("c=1,a=2").unwrap().with([b.clone()]).to_string(), "a=2,b,c=1");
    assert!(Selector::nothing().with([b]).is_nothing());
    assert!(parse("").unwrap().is_everything());
    assert!(!Selector::nothing().is_everything());
}

#[test]
fn columns() {
    assert_eq!(format_labels([]), "<none>");
    assert_eq!(format_labels([("b", "2"), ("a", "1")]), "a=1,b=2");
    assert_eq!(format_label_selector(&Ok(Selector::nothing())), "<none>");
    assert_eq!(format_label_selector(&parse("x in (b,a)")), "x in (a,b)");
    assert_eq!(format_label_selector(&parse("x=(")), "<error>");
}
