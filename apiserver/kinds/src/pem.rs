//! Blocks of PEM, as forgiving as Go's decoder: what stands around them does not matter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub struct Block {
    pub kind: String,
    /// Whether lines of `Key: value` came first.
    pub has_headers: bool,
    pub bytes: Vec<u8>,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "\n-----END ";
const DASHES: &str = "-----";

/// The next block and what follows it. As in Go, a block is what stands between an end and the last beginning before it,
/// so that a text is walked once, whatever is in it.
pub fn next(text: &str) -> Option<(Block, &str)> {
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once(END)?;
        let begin = before.rfind(BEGIN).filter(|&at| at == 0 || before.as_bytes()[at - 1] == b'\n');
        if let Some(found) = begin.and_then(|at| block(&before[at + BEGIN.len()..], after)) {
            return Some(found);
        }
        rest = after;
    }
}

/// A block by what stands between the words for its beginning and its end, and by what follows the latter.
fn block<'t>(text: &str, end: &'t str) -> Option<(Block, &'t str)> {
    let (first, mut body) = text.split_once('\n').unwrap_or((text, ""));
    let kind = first.trim_end().strip_suffix(DASHES)?;
    let mut has_headers = false;
    while body.split('\n').next().is_some_and(|line| line.contains(':')) {
        has_headers = true;
        // A line stands between the headers and the end.
        (_, body) = body.split_once('\n')?;
    }
    let (rest_of_line, after) = end.split_once('\n').unwrap_or((end, ""));
    if rest_of_line.trim_end().strip_prefix(kind)? != DASHES {
        return None;
    }
    let digits: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(digits).ok()?;
    Some((Block { kind: kind.to_owned(), has_headers, bytes }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        let check = |text: &str, expected: &[(&str, bool, &[u8])]| {
            let mut found = Vec::new();
            let mut rest = text;
            while let Some((block, after)) = next(rest) {
                found.push((block.kind, block.has_headers, block.bytes));
                rest = after;
            }
            let expected: Vec<_> =
                expected.iter().map(|(kind, headers, bytes)| ((*kind).to_owned(), *headers, bytes.to_vec())).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("", &[]);
        check("text", &[]);
        check("-----BEGIN A-----\nAQI=\n-----END A-----\n", &[("A", false, &[1, 2])]);
        check("before\n-----BEGIN A-----\nAQ\nI=\n-----END A-----", &[("A", false, &[1, 2])]);
        check("-----BEGIN A-----\nKey: value\n\nAQI=\n-----END A-----\n", &[("A", true, &[1, 2])]);
        check("-----BEGIN A-----\nAQI=\n-----END B-----\n", &[]);
        check("-----BEGIN A-----\n-----END A-----", &[("A", false, &[])]);
        check("-----BEGIN A-----\nKey: value\n-----END A-----", &[]);
        check("-----BEGIN B-----\n-----BEGIN A-----\nAQI=\n-----END A-----\n", &[("A", false, &[1, 2])]);
        check("x-----BEGIN A-----\nAQI=\n-----END A-----\n", &[]);
        check("-----BEGIN A-----\nAQI=\n-----END A----- x\n", &[]);
        check(
            "-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN B-----\nAQ==\n-----END B-----\n",
            &[("B", false, &[1])],
        );
    }
}
