//! What differs from run to run, replaced by its name.
//!
//! A table's column is as wide as its widest cell, so in a table that has a masked column all padding is masked too.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// Texts of one run that have names: the server's address, the working folder.
#[derive(Clone, Debug, Default)]
pub struct Mask {
    names: Vec<(String, String)>,
}

impl Mask {
    pub fn new(names: impl IntoIterator<Item = (String, &'static str)>) -> Mask {
        let mut names: Vec<_> = names.into_iter().map(|(text, name)| (text, format!("<{name}>"))).collect();
        names.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Mask { names }
    }

    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.names {
            text = text.replace(from, to);
        }
        for (pattern, with) in RULES.iter() {
            text = pattern.replace_all(&text, *with).into_owned();
        }
        // Neighbouring cells share the blank between them, so the pattern for ages is applied until nothing is left.
        while AGE.is_match(&text) {
            text = AGE.replace_all(&text, age).into_owned();
        }
        without_padding(&text)
    }
}

static RULES: LazyLock<Vec<(Regex, &'static str)>> = LazyLock::new(|| {
    let rule = |pattern: &str, with| Regex::new(pattern).map(|regex| (regex, with));
    [
        // kubectl's own log: day, time and process.
        rule(r"(?m)^([IWEF])\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "$1<time> "),
        // Whether it was asking when its time was up.
        rule(r"(?m)^[EW]<time> reflector\.go:\d+\] .*context deadline exceeded.*\n?", ""),
        rule(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uid>"),
        rule(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| [+-]\d{4})", "<time>"),
        rule(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "<time>"),
        rule(r"\bey[\w-]+\.[\w-]+\.[\w-]+", "<token>"),
        rule(r#"(resourceVersion"?: )"\d+""#, r#"${1}"<rv>""#),
        rule(r"\b10\.96\.\d+\.\d+\b", "<ip>"),
        rule(r"\b3[0-2]\d{3}\b", "<port>"),
        rule(r"(?m)^(\s*Resource Version:\s+)\d+$", "$1<rv>"),
        rule(r"(LIVE-|MERGED-|kubectl-edit-)\d+", "$1<n>"),
        rule(r"\b(kube-api-access-)[bcdfghjklmnpqrstvwxz2456789]{5}\b", "$1<suffix>"),
        rule(r"(?m)^(Age:\s+)[0-9smhd]+$", "$1<age>"),
    ]
    .into_iter()
    .collect::<Result<_, _>>()
    .expect("the patterns above compile")
});

/// An age is a word by itself, and not the value of a field, where the same form may be a quantity.
static AGE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)(^\s*|[^:\s]\s+)(?:\d+[smhd]){1,2}(\s|$)").expect("the pattern compiles"));

static HEADER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[A-Z][A-Z -]* .*\b(AGE|CLUSTER-IP)\b").expect("the pattern compiles"));

static PADDING: LazyLock<Regex> = LazyLock::new(|| Regex::new(" {2,}").expect("the pattern compiles"));

/// A table goes from its header to an empty line.
fn without_padding(text: &str) -> String {
    let mut in_table = false;
    let line = |line: &str| {
        in_table = (in_table && !line.trim().is_empty()) || HEADER.is_match(line);
        if in_table { PADDING.replace_all(line, "   ").into_owned() } else { line.to_owned() }
    };
    text.split_inclusive('\n').map(line).collect()
}

fn age(found: &Captures) -> String {
    format!("{}<age>{}", &found[1], &found[2])
}

#[cfg(test)]
mod tests {
    use super::Mask;

    fn check(text: &str, expected: &str) {
        assert_eq!(Mask::default().apply(text), expected);
    }

    #[test]
    fn what_changes_is_masked() {
        check("uid: 0b5b0e8f-4a3c-4b5e-9d1c-2f3a4b5c6d7e\n", "uid: <uid>\n");
        check("creationTimestamp: \"2026-01-02T03:04:05Z\"", "creationTimestamp: \"<time>\"");
        check("renewTime: 2026-01-02T03:04:05.000001Z", "renewTime: <time>");
        check("Start Time:  Fri, 02 Jan 2026 03:04:05 +0000", "Start Time:  <time>");
        check("+++ /tmp/LIVE-123/x\t2026-01-02 03:04:05.123456789 +0000", "+++ /tmp/LIVE-<n>/x\t<time>");
        check("  resourceVersion: \"123\"", "  resourceVersion: \"<rv>\"");
        check("\"resourceVersion\": \"123\",", "\"resourceVersion\": \"<rv>\",");
        check("  Resource Version:    365\n", "  Resource Version:    <rv>\n");
        check("\"/tmp/kubectl-edit-749304948.yaml\"", "\"/tmp/kubectl-edit-<n>.yaml\"");
        check("80:31234/TCP", "80:<port>/TCP");
        check("W1121 15:20:16.349995   30773 diff.go:711] Object", "W<time> diff.go:711] Object");
        let late =
            "E1121 15:20:16.349995   30773 reflector.go:227] \"Failed to watch\" err=\"context deadline exceeded\"\n";
        check(&format!("{late}error: timed out\n"), "error: timed out\n");
        check("kube-api-access-x7vbz", "kube-api-access-<suffix>");
    }

    #[test]
    fn ages_in_tables_are_masked_with_their_padding() {
        check("NAME   AGE\na      5s\nb      2m3s\n", "NAME   AGE\na   <age>\nb   <age>\n");
        check("NAME   AGE    IP\na      2m3s   x\n", "NAME   AGE   IP\na   <age>   x\n");
        check("3s 4s\n", "<age> <age>\n");
        let services =
            "NAME   CLUSTER-IP     PORTS\na      10.96.1.2      80\nb      None           80\n\nPorts:    80\n";
        check(services, "NAME   CLUSTER-IP   PORTS\na   <ip>   80\nb   None   80\n\nPorts:    80\n");
    }

    #[test]
    fn quantities_stay() {
        check("      cpu:  100m\n", "      cpu:  100m\n");
        check("delay=0s timeout=1s\n", "delay=0s timeout=1s\n");
    }

    #[test]
    fn named_texts_are_replaced_longest_first() {
        let mask = Mask::new([("/tmp/a".to_owned(), "folder"), ("/tmp/a/b".to_owned(), "file")]);
        assert_eq!(mask.apply("/tmp/a/b /tmp/a"), "<file> <folder>");
    }
}
