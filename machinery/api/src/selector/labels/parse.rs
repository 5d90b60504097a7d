//! The grammar of label selectors.
//!
//! ```text
//! selector    = [ requirement { "," requirement } ]
//! requirement = [ "!" ] key [ set | comparison ]
//! set         = ( "in" | "notin" ) "(" [ value ] { "," [ value ] } ")"
//! comparison  = ( "=" | "==" | "!=" | "<" | ">" ) [ value ]
//! ```
//! `in` and `notin` are words only where an operator may stand: elsewhere they are names like any other.

use super::{Requirement, Selector, validate_key};
use crate::field::Path;
use crate::selector::{Error, Operator};

pub fn parse(text: &str) -> Result<Selector, Error> {
    parse_at(text, &Path::root())
}

/// As `parse`, with errors that are about the field at `path`.
pub fn parse_at(text: &str, path: &Path<'_>) -> Result<Selector, Error> {
    let mut parser = Parser { tokens: Lexer { text, position: 0 }.tokens(), position: 0, path };
    Ok(Selector::new(parser.selector()?))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'t> {
    End,
    /// A name or value; `in` and `notin` too.
    Word(&'t str),
    Symbol(&'static str),
}

impl<'t> Token<'t> {
    fn literal(self) -> &'t str {
        match self {
            Token::End => "",
            Token::Word(text) => text,
            Token::Symbol(text) => text,
        }
    }
}

struct Lexer<'t> {
    text: &'t str,
    position: usize,
}

impl<'t> Lexer<'t> {
    /// All tokens, the last of which is the only `End`. As upstream, a NUL ends the text if it stands alone, and is
    /// swallowed behind another token.
    fn tokens(mut self) -> Vec<Token<'t>> {
        let mut tokens = Vec::new();
        loop {
            let token = self.next();
            tokens.push(token);
            if token == Token::End {
                return tokens;
            }
        }
    }

    fn next(&mut self) -> Token<'t> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.position).copied().is_some_and(is_space) {
            self.position += 1;
        }
        let rest = &bytes[self.position..];
        match rest {
            [] | [0, ..] => Token::End,
            [b'=', b'=', ..] => self.symbol("=="),
            [b'!', b'=', ..] => self.symbol("!="),
            [b'=', ..] => self.symbol("="),
            [b'!', ..] => self.symbol("!"),
            [b'(', ..] => self.symbol("("),
            [b')', ..] => self.symbol(")"),
            [b',', ..] => self.symbol(","),
            [b'>', ..] => self.symbol(">"),
            [b'<', ..] => self.symbol("<"),
            _ => {
                let length = rest.iter().position(|&c| c == 0 || is_space(c) || is_symbol(c)).unwrap_or(rest.len());
                let word = &self.text[self.position..self.position + length];
                self.advance(length);
                Token::Word(word)
            }
        }
    }

    fn symbol(&mut self, symbol: &'static str) -> Token<'t> {
        self.advance(symbol.len());
        Token::Symbol(symbol)
    }

    fn advance(&mut self, length: usize) {
        self.position += length;
        self.position += usize::from(self.text.as_bytes().get(self.position) == Some(&0));
    }
}

fn is_space(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\r' | b'\n')
}

fn is_symbol(c: u8) -> bool {
    matches!(c, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<')
}

struct Parser<'t, 'p> {
    tokens: Vec<Token<'t>>,
    position: usize,
    path: &'p Path<'p>,
}

impl<'t> Parser<'t, '_> {
    fn peek(&self) -> Token<'t> {
        self.tokens.get(self.position).copied().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.position += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, Error> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                Token::End => return Ok(requirements),
                Token::Word(_) | Token::Symbol("!") => {}
                other => return Err(found(other, ", expected: !, identifier, or 'end of string'")),
            }
            let requirement =
                self.requirement().map_err(|error| Error(format!("unable to parse requirement: {error}")))?;
            requirements.push(requirement);
            match self.take() {
                Token::End => return Ok(requirements),
                Token::Symbol(",") => match self.peek() {
                    Token::Word(_) | Token::Symbol("!") => {}
                    other => return Err(found(other, ", expected: identifier after ','")),
                },
                other => return Err(found(other, ", expected: ',' or 'end of string'")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, Error> {
        let mut token = self.take();
        let negated = token == Token::Symbol("!");
        if negated {
            token = self.take();
        }
        let Token::Word(key) = token else { return Err(found(token, ", expected: identifier")) };
        if let Some(error) = validate_key(key, self.path) {
            return Err(Error(error.to_string()));
        }
        if negated {
            return Requirement::new_at(key, Operator::DoesNotExist, Vec::new(), self.path);
        }
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Requirement::new_at(key, Operator::Exists, Vec::new(), self.path);
        }
        let operator = self.operator()?;
        let mut values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        values.sort_unstable();
        values.dedup();
        Requirement::new_at(key, operator, values.into_iter().map(str::to_owned).collect(), self.path)
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        Ok(match self.take() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Symbol("=") => Operator::Equals,
            Token::Symbol("==") => Operator::DoubleEquals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            other => return Err(found(other, ", expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    /// `(a,b)`; an empty place between commas and parentheses is the empty value.
    fn values(&mut self) -> Result<Vec<&'t str>, Error> {
        match self.take() {
            Token::Symbol("(") => {}
            other => return Err(found(other, " expected: '('")),
        }
        match self.peek() {
            Token::Word(_) | Token::Symbol(",") => self.value_list(),
            Token::Symbol(")") => {
                self.take();
                Ok(vec![""])
            }
            other => Err(found(other, ", expected: ',', ')' or identifier")),
        }
    }

    fn value_list(&mut self) -> Result<Vec<&'t str>, Error> {
        let mut values = Vec::new();
        loop {
            match self.take() {
                Token::Word(value) => {
                    values.push(value);
                    match self.peek() {
                        Token::Symbol(",") => {}
                        Token::Symbol(")") => break,
                        other => return Err(found(other, ", expected: ',' or ')'")),
                    }
                }
                Token::Symbol(",") => {
                    if values.is_empty() {
                        values.push("");
                    }
                    match self.peek() {
                        Token::Symbol(")") => {
                            values.push("");
                            break;
                        }
                        Token::Symbol(",") => values.push(""),
                        _ => {}
                    }
                }
                other => return Err(found(other, ", expected: ',', or identifier")),
            }
        }
        self.take();
        Ok(values)
    }

    fn exact_value(&mut self) -> Result<&'t str, Error> {
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            return Ok("");
        }
        match self.take() {
            Token::Word(value) => Ok(value),
            other => Err(found(other, ", expected: identifier")),
        }
    }
}

fn found(token: Token<'_>, expected: &str) -> Error {
    Error(format!("found '{}'{expected}", token.literal()))
}
