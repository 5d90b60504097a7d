//! Entries of managedFields are ordered by their times, in seconds, before their managers: two writes of one second are
//! recorded in another order than the same writes with the turn of a second between them.

/// Orders the entries of managedFields in YAML as if all were of the same second.
pub fn ordered(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((line, after)) = split_line(rest) {
        out.push_str(line);
        rest = after;
        if line.trim_start() == "managedFields:\n" {
            let indent = line.len() - line.trim_start().len();
            let (mut entries, after) = entries(rest, indent);
            entries.sort_by_cached_key(|entry| {
                ["operation", "manager", "apiVersion", "subresource"].map(|key| value(entry, indent, key))
            });
            out.extend(entries);
            rest = after;
        }
    }
    out
}

fn split_line(text: &str) -> Option<(&str, &str)> {
    let end = text.find('\n').map_or(text.len(), |end| end + 1);
    (!text.is_empty()).then(|| text.split_at(end))
}

/// The entries that a text begins with, and what comes after them.
fn entries(text: &str, indent: usize) -> (Vec<&str>, &str) {
    let mut entries = Vec::new();
    let mut rest = text;
    while begins(rest, indent, "- ") {
        let mut end = 0;
        while let Some((line, _)) = split_line(&rest[end..]).filter(|(line, _)| end == 0 || begins(line, indent, "  "))
        {
            end += line.len();
        }
        entries.push(&rest[..end]);
        rest = &rest[end..];
    }
    (entries, rest)
}

fn begins(line: &str, indent: usize, with: &str) -> bool {
    line.get(..indent).is_some_and(|blank| blank.trim_start().is_empty())
        && line.get(indent..).is_some_and(|text| text.starts_with(with))
}

/// A value of the entry itself, "" if it has none.
fn value<'e>(entry: &'e str, indent: usize, key: &str) -> &'e str {
    let values = entry.lines().filter_map(|line| line.get(indent + 2..)?.strip_prefix(key)?.strip_prefix(": "));
    values.into_iter().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::ordered;

    const HEAD: &str = "metadata:\n  managedFields:\n";
    const SERVER: &str = "  - apiVersion: v1\n    fieldsV1:\n      f:status:\n        f:manager: {}\n    manager: kube-apiserver\n    operation: Update\n    subresource: status\n";
    const CLIENT: &str =
        "  - apiVersion: v1\n    fieldsV1:\n      f:spec: {}\n    manager: kubectl-create\n    operation: Update\n";
    const APPLIER: &str = "  - apiVersion: v1\n    manager: z\n    operation: Apply\n";
    const TAIL: &str = "  name: a\nspec: {}\n";

    #[test]
    fn entries_come_as_if_of_one_second() {
        let expected = [HEAD, APPLIER, SERVER, CLIENT, TAIL].concat();
        for entries in [[APPLIER, SERVER, CLIENT], [CLIENT, SERVER, APPLIER], [SERVER, CLIENT, APPLIER]] {
            assert_eq!(ordered(&[&[HEAD], &entries[..], &[TAIL]].concat().concat()), expected);
        }
        let two = [HEAD, SERVER, CLIENT].concat();
        assert_eq!(ordered(&two), two);
        assert_eq!(ordered(&[HEAD, CLIENT, SERVER].concat()), two);
    }

    #[test]
    fn other_text_stays() {
        for text in [
            "",
            "\n",
            "managedFields:",
            "managedFields:\n",
            "managedFields:\nname: a\n",
            "managedFields\t<[]X>\n",
            "- b\n- a\n",
        ] {
            assert_eq!(ordered(text), text);
        }
    }
}
