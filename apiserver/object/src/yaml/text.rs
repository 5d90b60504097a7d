//! A text as the scanner reads it.
//!
//! The scanner takes `...` and `---` for the end of a document wherever a line of a plain scalar begins with them; they
//! are that only where the line itself does. So this input knows where it stands.

use saphyr_parser::Input;

/// As many characters as the scanner may look ahead at once.
const LOOKAHEAD_MAX: usize = 128;

pub(super) struct Text<'t> {
    rest: &'t str,
    /// How many characters the scanner has asked for.
    lookahead: usize,
    begins_line: bool,
}

impl<'t> Text<'t> {
    pub(super) fn new(text: &'t str) -> Text<'t> {
        Text { rest: text, lookahead: 0, begins_line: true }
    }
}

impl Input for Text<'_> {
    fn lookahead(&mut self, count: usize) {
        self.lookahead = self.lookahead.max(count);
    }

    fn buflen(&self) -> usize {
        self.lookahead
    }

    fn bufmaxlen(&self) -> usize {
        LOOKAHEAD_MAX
    }

    fn raw_read_ch(&mut self) -> char {
        let next = self.peek();
        self.skip();
        next
    }

    fn raw_read_non_breakz_ch(&mut self) -> Option<char> {
        let next = self.rest.chars().next().filter(|c| !matches!(c, '\n' | '\r' | '\0'))?;
        self.skip();
        Some(next)
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        if let Some(skipped) = chars.next() {
            self.begins_line = matches!(skipped, '\n' | '\r');
            self.rest = chars.as_str();
        }
    }

    fn skip_n(&mut self, count: usize) {
        (0..count).for_each(|_| self.skip());
    }

    fn peek(&self) -> char {
        self.rest.chars().next().unwrap_or('\0')
    }

    fn peek_nth(&self, n: usize) -> char {
        self.rest.chars().nth(n).unwrap_or('\0')
    }

    fn next_is_document_indicator(&self) -> bool {
        let after = |mark| self.rest.strip_prefix(mark).map(|rest| rest.chars().next());
        let next = || after("...").or_else(|| after("---"));
        self.begins_line && next().is_some_and(|c| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | '\0')))
    }
}
