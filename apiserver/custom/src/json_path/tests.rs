use corten_object::json::{self, Form};

use super::*;

const OBJECT: &str =
    r#"{"a":{"b":[{"n":"x","v":1},{"n":"y","v":2,"ok":true}],"s":"text","f":1.5,"z":null},"l":{"app.io/k":"v"}}"#;

#[track_caller]
fn check(path: &str, expected: &str) {
    let tree = json::parse(OBJECT.as_bytes().to_vec(), Form::Plain).unwrap().tree;
    let got = match JsonPath::parse(path).and_then(|path| path.find(tree.root())) {
        Ok(found) => found.iter().map(Found::print).collect::<Vec<_>>().join(" | "),
        Err(error) => format!("error: {error}"),
    };
    assert_eq!(got, expected, "{path}");
}

#[test]
fn finds_what_upstream_finds() {
    check(".a.s", "text");
    check("$.a.s", "text");
    check(".a.f", "1.5");
    check(".a.z", "<no value>");
    check(".a.none", "");
    check(".a.b[0].n", "x");
    check(".a.b[-1].n", "y");
    check(".a.b[*].n", "x | y");
    check(".a.b[0:2].v", "1 | 2");
    check(".a.b[0,1].v", "1 | 2");
    check(".a.b[?(@.n==\"y\")].v", "2");
    check(".a.b[?(@.v>1)].n", "y");
    check(".a.b[?(@.ok)].n", "y");
    check(".a.b[?(@.ok==true)].n", "y");
    check("..n", "x | y");
    check(".a.b", r#"[{"n":"x","v":1},{"n":"y","ok":true,"v":2}]"#);
    check(r".l.app\.io/k", "v");
    check(r".l['app\.io/k']", "v");
    check(".a.b[5].n", "error: array index out of bounds: index 5, length 2");
    check(".a.s[0]", "error: string is not array or slice");
}

#[test]
fn refuses_what_upstream_refuses() {
    check(".a.b[x]", "error: invalid array index x");
    check(".a.b[0", "error: unterminated array");
    check("#", "error: unrecognized character in action: U+0023 '#'");
    check("nope", "error: unrecognized identifier nope");
    check("....a", "error: invalid multiple recursive descent");
}
