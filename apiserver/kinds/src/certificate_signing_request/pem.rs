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
const DASHES: &str = "-----";

/// The next block and what follows it.
pub fn next(text: &str) -> Option<(Block, &str)> {
    let mut rest = text;
    loop {
        let at = rest.match_indices(BEGIN).map(|(at, _)| at).find(|&at| at == 0 || rest.as_bytes()[at - 1] == b'\n')?;
        rest = &rest[at + BEGIN.len()..];
        if let Some(found) = block(rest) {
            return Some(found);
        }
    }
}

/// A block whose beginning has been read.
fn block(text: &str) -> Option<(Block, &str)> {
    let (first, mut body) = text.split_once('\n')?;
    let kind = first.trim_end().strip_suffix(DASHES)?;
    let mut has_headers = false;
    while let Some((_, after)) = body.split_once('\n').filter(|(line, _)| line.contains(':')) {
        has_headers = true;
        body = after;
    }
    let end = format!("-----END {kind}{DASHES}");
    let at =
        body.match_indices(end.as_str()).map(|(at, _)| at).find(|&at| at == 0 || body.as_bytes()[at - 1] == b'\n')?;
    let digits: String = body[..at].chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = STANDARD.decode(digits).ok()?;
    let after = &body[at + end.len()..];
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
        check(
            "-----BEGIN A-----\n!\n-----END A-----\n-----BEGIN B-----\nAQ==\n-----END B-----\n",
            &[("B", false, &[1])],
        );
    }
}
