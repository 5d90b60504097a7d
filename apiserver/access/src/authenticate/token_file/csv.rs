//! CSV as Go reads it: fields may be quoted, quotes within are doubled, empty lines are passed over.

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvError {
    start_line: usize,
    line: usize,
    column: usize,
    problem: &'static str,
}

impl std::fmt::Display for CsvError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CsvError { start_line, line, column, problem } = self;
        if start_line != line {
            write!(f, "record on line {start_line}; ")?;
        }
        write!(f, "parse error on line {line}, column {column}: {problem}")
    }
}

impl std::error::Error for CsvError {}

const BARE_QUOTE: &str = "bare \" in non-quoted field";
const QUOTE: &str = "extraneous or missing \" in quoted-field";

pub(super) struct Records<'t> {
    lines: std::str::SplitInclusive<'t, char>,
    number: usize,
    start_line: usize,
}

impl<'t> Records<'t> {
    pub(super) fn new(text: &'t str) -> Records<'t> {
        Records { lines: text.split_inclusive('\n'), number: 0, start_line: 0 }
    }

    /// The next line without its end, and whether it had one.
    fn line(&mut self) -> Option<(&'t str, bool)> {
        let line = self.lines.next()?;
        self.number += 1;
        Some(match line.strip_suffix('\n') {
            Some(line) => (line.strip_suffix('\r').unwrap_or(line), true),
            None => (line.strip_suffix('\r').unwrap_or(line), false),
        })
    }

    fn error(&self, column: usize, problem: &'static str) -> CsvError {
        CsvError { start_line: self.start_line, line: self.number, column, problem }
    }

    /// A quoted field, from behind its opening quote; it may go on over lines. Returns where the next field starts, if
    /// there is one.
    fn quoted(
        &mut self,
        line: &mut (&'t str, bool),
        mut at: usize,
        field: &mut String,
    ) -> Result<Option<usize>, CsvError> {
        loop {
            let Some(length) = line.0[at..].find('"') else {
                field.push_str(&line.0[at..]);
                let end = line.0.len();
                if line.1 {
                    field.push('\n');
                }
                match line.1.then(|| self.line()).flatten() {
                    Some(next) => (*line, at) = (next, 0),
                    None => return Err(self.error(end + 1, QUOTE)),
                }
                continue;
            };
            field.push_str(&line.0[at..at + length]);
            at += length + 1;
            match line.0.as_bytes().get(at) {
                Some(b'"') => {
                    field.push('"');
                    at += 1;
                }
                Some(b',') => return Ok(Some(at + 1)),
                None => return Ok(None),
                Some(_) => return Err(self.error(at, QUOTE)),
            }
        }
    }

    fn record(&mut self, mut line: (&'t str, bool)) -> Result<Vec<String>, CsvError> {
        self.start_line = self.number;
        let (mut fields, mut at) = (Vec::new(), 0);
        loop {
            let mut field = String::new();
            let next = if line.0[at..].starts_with('"') {
                self.quoted(&mut line, at + 1, &mut field)?
            } else {
                let text = line.0[at..].split(',').next().unwrap_or_default();
                if let Some(quote) = text.find('"') {
                    return Err(self.error(at + quote + 1, BARE_QUOTE));
                }
                field.push_str(text);
                let end = at + text.len();
                (end < line.0.len()).then_some(end + 1)
            };
            fields.push(field);
            match next {
                Some(next) => at = next,
                None => return Ok(fields),
            }
        }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Vec<String>, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.line()?;
            if !line.0.is_empty() {
                return Some(self.record(line));
            }
        }
    }
}
