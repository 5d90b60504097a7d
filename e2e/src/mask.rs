//! Replaces what differs from run to run, such as ages, by a name.
//!
//! Ages are masked in tables that have a column of ages, and in the few phrases that tell one. Elsewhere `100m` is as
//! likely a quantity and `300s` the value of a field; both are the same on every day and stay. `<unknown>` and `<invalid>`
//! stay too: they say that there is no age.
//!
//! A table's column is as wide as its widest cell, so in a table that has a masked column all padding is masked too.

mod managed_fields;

use regex::Regex;
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
        managed_fields::ordered(&tables(&text))
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
        rule(&format!(r"\((x\d+ over|lasts) {AGE}\)"), "($1 <age>)"),
        rule(&format!(r"\({AGE} ago\)"), "(<age> ago)"),
    ]
    .into_iter()
    .collect::<Result<_, _>>()
    .expect("the patterns above compile")
});

/// Every form that upstream's `HumanDuration` has, from `0s` to `6y326d`.
const AGE: &str = r"(?:\d+s|\d+m(?:\d+s)?|\d+h(?:\d+m)?|\d+d(?:\d+h)?|\d+y(?:\d+d)?)";

static AGE_ALONE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("^(?:{AGE}|<age>)$")).expect("the pattern compiles"));

/// The headers of tables that have a masked column: those of `get` and `events`, of a description's events, of a node's pods.
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"^([A-Z][A-Z -]* .*\b(AGE|LAST SEEN|CLUSTER-IP)|LAST SEEN|\s+Type\s+Reason\s+Age|\s+Namespace\s.*\sAge)\b",
    )
    .expect("the pattern compiles")
});

static PADDING: LazyLock<Regex> = LazyLock::new(|| Regex::new(" {2,}").expect("the pattern compiles"));

/// Masks ages and padding in tables. A table goes from its header to an empty line, or to a line that is indented less. A
/// text without a header is a table if each of its lines ends with an age (`get --no-headers`).
fn tables(text: &str) -> String {
    if !text.is_empty() && text.lines().all(|line| line.rsplit_once("  ").is_some_and(|(_, last)| is_age(last))) {
        return text.split_inclusive('\n').map(row).collect();
    }
    let mut table = None;
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        table = table.filter(|least| !line.trim().is_empty() && indent >= *least);
        if HEADER.is_match(line) {
            table = Some(indent);
        }
        if table.is_some() { PADDING.replace_all(&row(line), "   ").into_owned() } else { line.to_owned() }
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Masks the ages of a row: words that follow no colon, and are not a node's `100m (10%)`.
fn row(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let (mut masked, mut before) = (Vec::new(), "");
    for (index, &padded) in words.iter().enumerate() {
        let word = padded.trim_end();
        let percentage =
            words.get(index + 1).is_some_and(|next| next.starts_with('(') && next.trim_end().ends_with("%)"));
        if is_age(word) && !before.ends_with(':') && !percentage {
            masked.push(format!("<age>{}", &padded[word.len()..]));
        } else {
            masked.push(padded.to_owned());
        }
        before = if word.is_empty() { before } else { word };
    }
    masked.join(" ")
}

fn is_age(word: &str) -> bool {
    AGE_ALONE.is_match(word)
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
    fn every_form_of_age_is_masked() {
        // The bounds between the forms of `HumanDuration`, where a year has 365 days.
        let forms = "0s 9s 119s 2m 2m5s 9m59s 10m 179m 3h 3h1m 7h59m 8h 47h 2d 2d1h 7d23h 8d 729d 2y 2y1d 6y326d 7y364d 8y 2026y";
        for form in forms.split(' ') {
            check(&format!("NAME   AGE\na      {form}\n"), "NAME   AGE\na   <age>\n");
            check(&format!("a   1   {form}\n"), "a   1   <age>\n");
            check(&format!("1 ({form} ago)\n"), "1 (<age> ago)\n");
            check(&format!("Status:  Terminating (lasts {form})\n"), "Status:  Terminating (lasts <age>)\n");
            check(&format!("(x3 over {form})\n"), "(x3 over <age>)\n");
        }
        for other in ["<unknown>", "<invalid>", "5", "5x", "s", "1s2m", "1y2h", "1d2h3m", "-5s", "1.5s", "m5", "<none>"]
        {
            check(&format!("NAME   AGE\na      {other}\n"), &format!("NAME   AGE\na   {other}\n"));
        }
    }

    #[test]
    fn ages_in_tables_are_masked_with_their_padding() {
        check("NAME   AGE\na      5s\nb      2m3s\n", "NAME   AGE\na   <age>\nb   <age>\n");
        check("NAME   AGE    IP\na      2m3s   x\n", "NAME   AGE   IP\na   <age>   x\n");
        check(
            "NAME   READY   RESTARTS         AGE\np      1/1     3 (2y326d ago)   8y\n",
            "NAME   READY   RESTARTS   AGE\np   1/1   3 (<age> ago)   <age>\n",
        );
        check("NAME   DURATION   AGE\nj      3s         4s\n", "NAME   DURATION   AGE\nj   <age>   <age>\n");
        check("a      red   5s\nb            2y\n", "a      red   <age>\nb            <age>\n");
        let services =
            "NAME   CLUSTER-IP     PORTS\na      10.96.1.2      80\nb      None           80\n\nPorts:    80\n";
        check(services, "NAME   CLUSTER-IP   PORTS\na   <ip>   80\nb   None   80\n\nPorts:    80\n");
        // A record that is masked already stays as it is.
        check("NAME   AGE\na   <age>\n", "NAME   AGE\na   <age>\n");
        check("c     red         <age>\n", "c     red         <age>\n");
    }

    #[test]
    fn ages_of_events_are_masked() {
        check(
            "LAST SEEN   TYPE     REASON   OBJECT        MESSAGE\n6y326d      Normal   Seen     configmap/c   seen\n",
            "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n<age>   Normal   Seen   configmap/c   seen\n",
        );
        check(
            "LAST SEEN             TYPE\n2m (x3 over 6y326d)   Normal\n<unknown>             Normal\n",
            "LAST SEEN   TYPE\n<age> (x3 over <age>)   Normal\n<unknown>   Normal\n",
        );
        check(
            "NAMESPACE   LAST SEEN   FIRST SEEN   COUNT\na           6y326d      8y           1\n",
            "NAMESPACE   LAST SEEN   FIRST SEEN   COUNT\na   <age>   <age>   1\n",
        );
        check(
            "Events:\n  Type    Reason  Age              From  Message\n  ----    ------  ----             ----  -------\n  \
             Normal  Seen    2m (x3 over 5d)  me    seen\n",
            "Events:\n   Type   Reason   Age   From   Message\n   ----   ------   ----   ----   -------\n   \
             Normal   Seen   <age> (x3 over <age>)   me   seen\n",
        );
    }

    #[test]
    fn a_node_s_pods_have_ages_and_quantities() {
        check(
            "  Namespace  Name  CPU Requests  CPU Limits  Age\n  ---------  ----  ------------  ----------  ---\n  \
             a          p     100m (10%)    0 (0%)      2y\nAllocated resources:\n  cpu  100m (10%)\n",
            "   Namespace   Name   CPU Requests   CPU Limits   Age\n   ---------   ----   ------------   ----------   ---\n   \
             a   p   100m (10%)   0 (0%)   <age>\nAllocated resources:\n  cpu  100m (10%)\n",
        );
    }

    #[test]
    fn quantities_and_values_stay() {
        check("      cpu:  100m\n", "      cpu:  100m\n");
        check("delay=0s timeout=1s\n", "delay=0s timeout=1s\n");
        check("Tolerations:  a:NoExecute op=Exists for 300s\n", "Tolerations:  a:NoExecute op=Exists for 300s\n");
        check(
            "NAME   CPU(cores)   MEMORY(bytes)\na      250m         20Mi\n",
            "NAME   CPU(cores)   MEMORY(bytes)\na      250m         20Mi\n",
        );
        check(
            "Resource  Used  Hard\n--------  ----  ----\ncpu       0     100m\n",
            "Resource  Used  Hard\n--------  ----  ----\ncpu       0     100m\n",
        );
        check(
            "NAME   REQUEST         AGE\nq      cpu: 100m/1     5s\n",
            "NAME   REQUEST   AGE\nq   cpu: 100m/1   <age>\n",
        );
        check(
            "NAME   TARGETS               AGE\nh      cpu: <unknown>/80%    5s\n",
            "NAME   TARGETS   AGE\nh   cpu: <unknown>/80%   <age>\n",
        );
        check("Duration:  5s\nRequested Duration:  10m\n", "Duration:  5s\nRequested Duration:  10m\n");
    }

    /// Records were masked when they were recorded, so that masking them again changes nothing.
    #[test]
    fn records_are_masked() -> anyhow::Result<()> {
        let records = crate::workspace().join("e2e/kubectl/records");
        for version in crate::VERSIONS {
            for entry in std::fs::read_dir(records.join(version))? {
                let file = entry?.path();
                let record = std::fs::read_to_string(&file)?;
                for block in crate::scenario::blocks(&record) {
                    let printed: String =
                        block.lines().skip(1).filter_map(|line| line.get(2..)).flat_map(|line| [line, "\n"]).collect();
                    assert_eq!(Mask::default().apply(&printed), printed, "{}", file.display());
                }
            }
        }
        Ok(())
    }

    #[test]
    fn named_texts_are_replaced_longest_first() {
        let mask = Mask::new([("/tmp/a".to_owned(), "folder"), ("/tmp/a/b".to_owned(), "file")]);
        assert_eq!(mask.apply("/tmp/a/b /tmp/a"), "<file> <folder>");
    }
}
