//! Values of a size, in the forms that are hard for something or other.

pub fn repeated(n: usize, between: &str, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<String>>().join(between)
}

/// A list of so many items.
pub fn list(n: usize, item: impl Fn(usize) -> String) -> String {
    format!("[{}]", repeated(n, ",", item))
}

/// A map of so many members.
pub fn map(n: usize, member: impl Fn(usize) -> String) -> String {
    format!("{{{}}}", repeated(n, ",", member))
}

fn nested(open: &str, inner: &str, close: &str, levels: usize) -> String {
    format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
}

/// A name, a size, and the JSON of a value of a size.
pub type Body = (&'static str, usize, fn(usize) -> String);

/// What may be changed in a value is a 7.
pub const ALL: &[Body] = &[
    ("ascending keys", 1000, |n| map(n, |i| format!(r#""k{i:06}":7"#))),
    ("descending keys", 1000, |n| map(n, |i| format!(r#""k{:06}":7"#, n - i))),
    ("one key", 1000, |n| map(n, |_| r#""k":7"#.into())),
    ("keys from both ends", 1000, |n| {
        map(n, |i| format!(r#""k{:06}":7"#, if i.is_multiple_of(2) { i } else { 2 * n - i }))
    }),
    ("keys that begin alike", 200, |n| {
        let start = "k".repeat(200);
        map(n, |i| format!(r#""{start}{i}":7"#))
    }),
    ("escaped keys", 500, |n| map(n, |i| format!(r#""\u006b\n{i}":7"#))),
    ("a long text", 20_000, |n| format!(r#"["{}",7]"#, "x y".repeat(n))),
    ("an escaped text", 5000, |n| format!(r#"["{}",7]"#, r#"\u003c\n\""#.repeat(n))),
    ("numbers", 2000, |n| list(n, |_| "7".into())),
    ("fractions", 1000, |n| list(n, |i| format!("{i}.7e3"))),
    ("equal texts", 1000, |n| list(n, |_| r#""7""#.into())),
    ("empty maps", 2000, |n| list(n, |_| "{}".into())),
    ("empty lists", 2000, |n| list(n, |_| "[]".into())),
    ("maps of one", 500, |n| list(n, |i| format!(r#"{{"a":{i},"b":7}}"#))),
    ("deep maps", 500, |n| nested(r#"{"a":"#, "7", "}", n / 2)),
    ("wide and deep maps", 600, |n| nested(r#"{"a":"#, &map(n, |i| format!(r#""k{i:06}":7"#)), "}", n / 2)),
    ("maps that end deep", 300, |n| {
        let open = r#"{"a":[1,2,3,4],"z":"#;
        nested(open, "7", "}", n / 2)
    }),
    ("lists in maps", 240, |n| nested(r#"{"a":["#, "7", "]}", n / 2)),
];
