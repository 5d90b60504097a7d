//! Which keys: a range from a key up to another, that one left out.

use crate::store::Key;

/// Keys from `start` up to `end`. As prefixes end in `/` by custom, a prefix is known as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    start: Key,
    /// Up to the end of all keys, if absent.
    end: Option<Key>,
    shape: Shape,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Key,
    Prefix,
    Between,
}

impl Span {
    pub fn key(key: impl Into<Key>) -> Span {
        let start = key.into();
        let end = Some(Key::from(format!("{start}\0")));
        Span { start, end, shape: Shape::Key }
    }

    /// Every key that begins with these characters; the empty prefix is every key.
    pub fn prefix(prefix: impl Into<Key>) -> Span {
        let start = prefix.into();
        let end = prefix_end(&start);
        Span { start, end, shape: Shape::Prefix }
    }

    /// `start <= key < end`.
    pub fn between(start: impl Into<Key>, end: impl Into<Key>) -> Span {
        Span { start: start.into(), end: Some(end.into()), shape: Shape::Between }
    }

    /// The part of this span that begins at `key`: how a page goes on.
    pub fn starting_at(&self, key: impl Into<Key>) -> Span {
        let key = key.into();
        let start = if key > self.start { key } else { self.start.clone() };
        Span { start, end: self.end.clone(), shape: Shape::Between }
    }

    pub fn starting_after(&self, key: &str) -> Span {
        self.starting_at(format!("{key}\0"))
    }

    pub fn start(&self) -> &Key {
        &self.start
    }

    pub fn end(&self) -> Option<&Key> {
        self.end.as_ref()
    }

    pub fn contains(&self, key: &str) -> bool {
        match self.shape {
            Shape::Key => key == &*self.start,
            Shape::Prefix => key.starts_with(&*self.start),
            Shape::Between => key >= &*self.start && self.end.as_deref().is_none_or(|end| key < end),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end <= &self.start)
    }

    /// The key or prefix, where it is one that an index can find a key by: a whole key, or the part of it up to a `/`.
    pub(crate) fn landmark(&self) -> Option<&Key> {
        match self.shape {
            Shape::Key => Some(&self.start),
            Shape::Prefix => (self.start.is_empty() || self.start.ends_with('/')).then_some(&self.start),
            Shape::Between => None,
        }
    }
}

/// The first string after all that begin with `prefix`; none, if there is no such.
fn prefix_end(prefix: &str) -> Option<Key> {
    let mut kept = prefix;
    while let Some(last) = kept.chars().next_back() {
        kept = &kept[..kept.len() - last.len_utf8()];
        // The gap of the surrogates is stepped over; the order of strings is that of their characters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            return Some(Key::from(format!("{kept}{next}")));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_before_the_next_string() {
        let check = |prefix: &str, end: Option<&str>| assert_eq!(prefix_end(prefix).as_deref(), end, "{prefix:?}");
        check("/registry/pods/", Some("/registry/pods0"));
        check("", None);
        check("a\u{10ffff}", Some("b"));
        check("\u{10ffff}", None);
        check("a\u{d7ff}", Some("a\u{e000}"));
    }

    #[test]
    fn spans_contain_their_keys() {
        let check = |span: &Span, key: &str, inside: bool| assert_eq!(span.contains(key), inside, "{span:?} {key}");
        let pods = Span::prefix("/pods/");
        check(&pods, "/pods/a", true);
        check(&pods, "/pods", false);
        check(&pods, "/pods0", false);
        let rest = pods.starting_after("/pods/a");
        check(&rest, "/pods/a", false);
        check(&rest, "/pods/a\0", true);
        check(&rest, "/pods/b", true);
        check(&rest, "/pods0", false);
        check(&Span::key("/pods/a"), "/pods/a", true);
        check(&Span::key("/pods/a"), "/pods/a\0", false);
        check(&Span::prefix(""), "\u{10ffff}", true);
        check(&Span::between("b", "d"), "c", true);
        check(&Span::between("b", "d"), "d", false);
        assert!(Span::between("d", "b").is_empty());
        assert_eq!(pods.starting_at("/a").start().as_ref(), "/pods/");
    }

    #[test]
    fn landmarks() {
        let check = |span: Span, expected: Option<&str>| assert_eq!(span.landmark().map(|key| &**key), expected);
        check(Span::prefix("/pods/"), Some("/pods/"));
        check(Span::prefix("/pods/a"), None);
        check(Span::prefix(""), Some(""));
        check(Span::key("/pods/a"), Some("/pods/a"));
        check(Span::between("a", "b"), None);
    }
}
