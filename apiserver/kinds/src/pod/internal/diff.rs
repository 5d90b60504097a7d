//! Unified diffs as Python's difflib makes them, and Go's port of it: the longest common run of lines first, then what
//! is left and right of it, where lines that stand everywhere in a long text start no run.

use std::collections::HashMap;
use std::fmt::Write;

const CONTEXT: usize = 3;
/// From so many lines on, those that make up more than one in a hundred start no run.
const LONG: usize = 200;
/// How many places are compared for each line of both texts, and for a text of a few lines. Runs are looked for as long
/// as that lasts, which is many times what real objects take; difflib itself takes the cube of the length at worst.
const STEPS_FOR_LINE: usize = 100;
const STEPS_MIN: usize = 50_000;
/// A diff is cut when it is longer: nobody reads it to its end.
const LENGTH_MAX: usize = 1024 * 1024;

pub fn unified(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.split('\n').collect(), new.split('\n').collect());
    let mut out = String::new();
    for group in groups(changes(&a, &b)) {
        if out.len() > LENGTH_MAX {
            break;
        }
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (of_old, of_new) = (range(first.a.0, last.a.1), range(first.b.0, last.b.1));
        let _ = writeln!(out, "@@ -{of_old} +{of_new} @@");
        for change in group {
            if change.same {
                write_lines(' ', &a[change.a.0..change.a.1], &mut out);
            } else {
                write_lines('-', &a[change.a.0..change.a.1], &mut out);
                write_lines('+', &b[change.b.0..change.b.1], &mut out);
            }
        }
    }
    if out.len() > LENGTH_MAX {
        out.push_str("...\n");
    }
    out
}

fn write_lines(mark: char, lines: &[&str], out: &mut String) {
    for line in lines {
        if out.len() > LENGTH_MAX {
            return;
        }
        out.push(mark);
        out.push_str(line);
        out.push('\n');
    }
}

/// Lines are counted from one; an empty range stands after the line that it names.
fn range(start: usize, end: usize) -> String {
    match end - start {
        1 => (start + 1).to_string(),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

/// A run of lines that both have, or lines of the one that stand for lines of the other.
#[derive(Clone, Copy)]
struct Change {
    same: bool,
    a: (usize, usize),
    b: (usize, usize),
}

/// Equal runs at the place where they begin in both.
struct Match {
    a: usize,
    b: usize,
    size: usize,
}

fn changes(a: &[&str], b: &[&str]) -> Vec<Change> {
    let mut out = Vec::new();
    let (mut i, mut j) = (0, 0);
    for found in matches(a, b) {
        if i < found.a || j < found.b {
            out.push(Change { same: false, a: (i, found.a), b: (j, found.b) });
        }
        (i, j) = (found.a + found.size, found.b + found.size);
        if found.size > 0 {
            out.push(Change { same: true, a: (found.a, i), b: (found.b, j) });
        }
    }
    out
}

/// In order, neighbours joined, with an empty one at the end.
fn matches(a: &[&str], b: &[&str]) -> Vec<Match> {
    let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
    for (j, line) in b.iter().enumerate() {
        places.entry(line).or_default().push(j);
    }
    if b.len() >= LONG {
        places.retain(|_, at| at.len() <= b.len() / 100 + 1);
    }
    let mut found = Vec::new();
    let mut steps = STEPS_MIN + STEPS_FOR_LINE * (a.len() + b.len());
    let mut waiting = vec![(0, a.len(), 0, b.len())];
    while let Some((a_start, a_end, b_start, b_end)) = waiting.pop() {
        let run = longest(a, b, &places, (a_start, a_end), (b_start, b_end), &mut steps);
        if run.size == 0 {
            continue;
        }
        let (a_next, b_next) = (run.a + run.size, run.b + run.size);
        if a_next < a_end && b_next < b_end {
            waiting.push((a_next, a_end, b_next, b_end));
        }
        if a_start < run.a && b_start < run.b {
            waiting.push((a_start, run.a, b_start, run.b));
        }
        found.push(run);
    }
    found.sort_by_key(|run| run.a);
    let mut joined: Vec<Match> = Vec::new();
    for run in found {
        match joined.last_mut() {
            Some(last) if last.a + last.size == run.a && last.b + last.size == run.b => last.size += run.size,
            _ => joined.push(run),
        }
    }
    joined.push(Match { a: a.len(), b: b.len(), size: 0 });
    joined
}

/// The longest run that begins with a line that is not everywhere, drawn out at both ends; the first of equals.
fn longest(
    a: &[&str],
    b: &[&str],
    places: &HashMap<&str, Vec<usize>>,
    (a_start, a_end): (usize, usize),
    (b_start, b_end): (usize, usize),
    steps: &mut usize,
) -> Match {
    let mut best = Match { a: a_start, b: b_start, size: 0 };
    // Where in `b` runs end with the line before, and how long they are, in the order of their places.
    let (mut runs, mut next) = (Vec::<(usize, usize)>::new(), Vec::new());
    for (i, line) in a.iter().enumerate().take(a_end).skip(a_start) {
        let at: &[usize] = places.get(line).map_or(&[], Vec::as_slice);
        let at = &at[at.partition_point(|&j| j < b_start)..at.partition_point(|&j| j < b_end)];
        let Some(left) = steps.checked_sub(1 + at.len()) else { break };
        *steps = left;
        let mut before = runs.iter().peekable();
        for &j in at {
            while before.next_if(|(end, _)| end + 1 < j).is_some() {}
            let length = 1 + before.peek().filter(|(end, _)| end + 1 == j).map_or(0, |(_, length)| *length);
            next.push((j, length));
            if length > best.size {
                best = Match { a: i + 1 - length, b: j + 1 - length, size: length };
            }
        }
        std::mem::swap(&mut runs, &mut next);
        next.clear();
    }
    while best.a > a_start && best.b > b_start && a[best.a - 1] == b[best.b - 1] {
        best = Match { a: best.a - 1, b: best.b - 1, size: best.size + 1 };
    }
    while best.a + best.size < a_end && best.b + best.size < b_end && a[best.a + best.size] == b[best.b + best.size] {
        best.size += 1;
    }
    best
}

/// Changes with a few equal lines around them.
fn groups(mut changes: Vec<Change>) -> Vec<Vec<Change>> {
    if let Some(first) = changes.first_mut().filter(|first| first.same) {
        first.a.0 = first.a.0.max(first.a.1.saturating_sub(CONTEXT));
        first.b.0 = first.b.0.max(first.b.1.saturating_sub(CONTEXT));
    }
    if let Some(last) = changes.last_mut().filter(|last| last.same) {
        last.a.1 = last.a.1.min(last.a.0 + CONTEXT);
        last.b.1 = last.b.1.min(last.b.0 + CONTEXT);
    }
    let mut groups = Vec::new();
    let mut group: Vec<Change> = Vec::new();
    for mut change in changes {
        if change.same && change.a.1 - change.a.0 > 2 * CONTEXT {
            let end = Change { a: (change.a.0, change.a.0 + CONTEXT), b: (change.b.0, change.b.0 + CONTEXT), ..change };
            group.push(end);
            groups.push(std::mem::take(&mut group));
            change.a.0 = change.a.1 - CONTEXT;
            change.b.0 = change.b.1 - CONTEXT;
        }
        group.push(change);
    }
    groups.push(group);
    groups.retain(|group| group.iter().any(|change| !change.same));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts without a long common run end when their steps are used up, and still tell how one becomes the other.
    #[test]
    fn bounded() {
        let text = |of: &[&str]| of.join("\n");
        let old: Vec<String> = (0..20_000).map(|i| (i % 200).to_string()).collect();
        let new: Vec<String> = (0..20_000).map(|i| (i * 7 % 200).to_string()).collect();
        let (old, new): (Vec<&str>, Vec<&str>) =
            (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
        let out = unified(&text(&old), &text(&new));
        let lines = |mark: char| out.lines().filter(|line| line.starts_with(mark)).count();
        assert_eq!(lines('-') - lines('+'), 0);
        assert!(lines('-') > 0 && lines('-') <= old.len());
    }

    #[test]
    fn what_is_long_is_cut() {
        let text = |mark: &str| (0..100_000).map(|i| format!("{mark} and some more {i}\n")).collect::<String>();
        let out = unified(&text("old"), &text("new"));
        assert!(
            out.len() > LENGTH_MAX
                && out.len() < LENGTH_MAX + 100
                && out.starts_with("@@ -1,100001 +1,100001 @@\n-old")
        );
        assert!(out.ends_with("\n...\n"));
        assert_eq!(unified(&text("old"), &text("old")), "");
    }

    #[test]
    fn diffs() {
        let check = |old: &str, new: &str, expected: &str| assert_eq!(unified(old, new), expected);
        check("a\nb", "a\nb", "");
        check("a\nb\nc", "a\nx\nc", "@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        check("a", "b", "@@ -1 +1 @@\n-a\n+b\n");
        check("1\n2\n3\n4\n5\n6\n7\n8\n9", "1\n2\n3\n4\n5\n6\n7\n8\n9\n10", "@@ -7,3 +7,4 @@\n 7\n 8\n 9\n+10\n");
        check(
            "x\n1\n2\n3\n4\n5\n6\n7\ny",
            "X\n1\n2\n3\n4\n5\n6\n7\nY",
            "@@ -1,4 +1,4 @@\n-x\n+X\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-y\n+Y\n",
        );
        check("a\nb\nc", "a\nc", "@@ -1,3 +1,2 @@\n a\n-b\n c\n");
    }
}
