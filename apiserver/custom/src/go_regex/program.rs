//! What a pattern becomes: states with a way on for each, over classes of characters.

use std::collections::HashMap;

use parking_lot::Mutex;
use regex_syntax::ast::{AssertionKind, Ast, Flag, Flags, Repetition, RepetitionKind, RepetitionRange};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, HirKind};

use super::matcher::{Alphabet, Cache};
use super::syntax::{STATES_MAX, Syntax, last_line};

#[derive(Debug)]
pub(super) struct Program {
    pub(super) states: Vec<State>,
    pub(super) start: u32,
    pub(super) classes: Vec<CharClass>,
    /// A match can only begin where the text does.
    pub(super) anchored: bool,
    /// Whether what comes before a character matters for what comes after it.
    pub(super) looks_around: bool,
    /// For a pattern of ordinary size, the characters that it tells apart.
    pub(super) alphabet: Option<Alphabet>,
    pub(super) cache: Mutex<Cache>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A character of a class, and what follows.
    Char(u32, u32),
    /// One or the other.
    Split(u32, u32),
    Look(Look, u32),
    Match,
}

/// What must be true between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    StartText,
    EndText,
    StartLine,
    EndLine,
    Word,
    NotWord,
}

/// Characters, as ranges in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CharClass {
    pub(super) ranges: Box<[(u32, u32)]>,
    ascii: u128,
}

/// The ranges of all classes of a pattern; some hundred of the largest classes.
const RANGES_MAX: usize = 1 << 18;
/// What a program takes besides, about.
const BYTES_MIN: usize = 2048;

#[derive(Clone, Copy, Default)]
struct Modes {
    ignore_case: bool,
    multi_line: bool,
    dot_is_newline: bool,
}

struct Builder<'s> {
    syntax: &'s Syntax,
    states: Vec<State>,
    classes: Vec<CharClass>,
    by_ranges: HashMap<Box<[(u32, u32)]>, u32>,
    /// By how they are written, and whether case matters.
    by_text: HashMap<(&'s str, bool), u32>,
    ranges: usize,
}

impl Program {
    pub(super) fn new(syntax: &Syntax) -> Result<Program, String> {
        let mut builder = Builder {
            syntax,
            states: Vec::new(),
            classes: Vec::new(),
            by_ranges: HashMap::new(),
            by_text: HashMap::new(),
            ranges: 0,
        };
        let end = builder.push(State::Match)?;
        let start = builder.add(&syntax.ast, Modes::default(), end)?;
        let Builder { mut states, classes, .. } = builder;
        states.shrink_to_fit();
        let looks_around = states.iter().any(|state| matches!(state, State::Look(..)));
        let mut program =
            Program { states, start, alphabet: None, classes, anchored: false, looks_around, cache: Mutex::default() };
        program.anchored = program.begins_with_the_text();
        program.alphabet = Alphabet::new(&program);
        Ok(program)
    }

    /// What it takes, with its cache when that is full.
    pub(super) fn bytes(&self) -> usize {
        let ranges: usize = self.classes.iter().map(|class| class.ranges.len()).sum();
        let alphabet = self.alphabet.as_ref().map_or(0, |alphabet| alphabet.bytes() + Cache::BYTES_MAX);
        self.states.len() * size_of::<State>() + ranges * size_of::<(u32, u32)>() + alphabet + BYTES_MIN
    }

    /// Whether every way from the start needs the start of the text.
    fn begins_with_the_text(&self) -> bool {
        let (mut seen, mut next) = (vec![false; self.states.len()], vec![self.start]);
        while let Some(at) = next.pop() {
            if std::mem::replace(&mut seen[at as usize], true) {
                continue;
            }
            match self.states[at as usize] {
                State::Look(Look::StartText, _) => {}
                State::Look(_, then) => next.push(then),
                State::Split(one, other) => next.extend([one, other]),
                State::Char(..) | State::Match => return false,
            }
        }
        true
    }
}

impl<'s> Builder<'s> {
    fn push(&mut self, state: State) -> Result<u32, String> {
        // Some states more than `Syntax` counted.
        if self.states.len() > 2 * STATES_MAX {
            return Err("expression too large".to_owned());
        }
        self.states.push(state);
        Ok((self.states.len() - 1) as u32)
    }

    /// The state in which a part begins that `then` follows.
    fn add(&mut self, ast: &'s Ast, modes: Modes, then: u32) -> Result<u32, String> {
        match ast {
            Ast::Empty(_) | Ast::Flags(_) => Ok(then),
            Ast::Literal(literal) if !modes.ignore_case => {
                let class = self.class([(literal.c as u32, literal.c as u32)].into())?;
                self.push(State::Char(class, then))
            }
            Ast::Dot(_) => {
                let all: &[(u32, u32)] = match modes.dot_is_newline {
                    true => &[(0, char::MAX as u32)],
                    false => &[(0, 9), (11, char::MAX as u32)],
                };
                let class = self.class(all.into())?;
                self.push(State::Char(class, then))
            }
            Ast::Literal(_) | Ast::ClassUnicode(_) | Ast::ClassPerl(_) | Ast::ClassBracketed(_) => {
                let key = (self.syntax.slice(ast.span(), ast.span()), modes.ignore_case);
                let class = match self.by_text.get(&key) {
                    Some(class) => *class,
                    None => {
                        let class = self.class(ranges(self.syntax, ast, modes.ignore_case)?)?;
                        self.by_text.insert(key, class);
                        class
                    }
                };
                self.push(State::Char(class, then))
            }
            Ast::Assertion(assertion) => {
                let look = match assertion.kind {
                    AssertionKind::StartLine if modes.multi_line => Look::StartLine,
                    AssertionKind::EndLine if modes.multi_line => Look::EndLine,
                    AssertionKind::StartLine | AssertionKind::StartText => Look::StartText,
                    AssertionKind::EndLine | AssertionKind::EndText => Look::EndText,
                    AssertionKind::WordBoundary => Look::Word,
                    AssertionKind::NotWordBoundary => Look::NotWord,
                    _ => return Err("an assertion that Go does not know".to_owned()),
                };
                self.push(State::Look(look, then))
            }
            Ast::Group(group) => {
                let modes = group.flags().map_or(modes, |flags| modes.with(flags));
                self.add(&group.ast, modes, then)
            }
            Ast::Concat(concat) => {
                let modes = modes_of(&concat.asts, modes);
                concat.asts.iter().zip(modes).rev().try_fold(then, |then, (part, modes)| self.add(part, modes, then))
            }
            Ast::Alternation(alternation) => {
                let modes = modes_of(&alternation.asts, modes);
                let mut start = None;
                for (part, modes) in alternation.asts.iter().zip(modes).rev() {
                    let part = self.add(part, modes, then)?;
                    start = Some(match start {
                        Some(others) => self.push(State::Split(part, others))?,
                        None => part,
                    });
                }
                Ok(start.unwrap_or(then))
            }
            Ast::Repetition(repetition) => self.repeat(repetition, modes, then),
        }
    }

    fn repeat(&mut self, repetition: &'s Repetition, modes: Modes, then: u32) -> Result<u32, String> {
        let (min, max) = match &repetition.op.kind {
            RepetitionKind::ZeroOrOne => (0, Some(1)),
            RepetitionKind::ZeroOrMore => (0, None),
            RepetitionKind::OneOrMore => (1, None),
            RepetitionKind::Range(RepetitionRange::Exactly(times)) => (*times, Some(*times)),
            RepetitionKind::Range(RepetitionRange::AtLeast(times)) => (*times, None),
            RepetitionKind::Range(RepetitionRange::Bounded(min, max)) => (*min, Some(*max)),
        };
        let inner = &*repetition.ast;
        let mut start = then;
        match max {
            Some(max) => {
                for _ in min..max {
                    let part = self.add(inner, modes, start)?;
                    start = self.push(State::Split(part, then))?;
                }
                self.times(inner, modes, min, start)
            }
            None => {
                let again = self.push(State::Split(then, then))?;
                let part = self.add(inner, modes, again)?;
                self.states[again as usize] = State::Split(part, then);
                self.times(inner, modes, min.saturating_sub(1), if min == 0 { again } else { part })
            }
        }
    }

    fn times(&mut self, inner: &'s Ast, modes: Modes, times: u32, then: u32) -> Result<u32, String> {
        (0..times).try_fold(then, |then, _| self.add(inner, modes, then))
    }

    fn class(&mut self, ranges: Box<[(u32, u32)]>) -> Result<u32, String> {
        if let Some(known) = self.by_ranges.get(&ranges) {
            return Ok(*known);
        }
        self.ranges += ranges.len();
        if self.ranges > RANGES_MAX {
            return Err("expression too large".to_owned());
        }
        let number = self.classes.len() as u32;
        self.classes.push(CharClass::new(ranges.clone()));
        self.by_ranges.insert(ranges, number);
        Ok(number)
    }
}

impl Modes {
    fn with(self, flags: &Flags) -> Modes {
        let of = |flag, before| flags.flag_state(flag).unwrap_or(before);
        Modes {
            ignore_case: of(Flag::CaseInsensitive, self.ignore_case),
            multi_line: of(Flag::MultiLine, self.multi_line),
            dot_is_newline: of(Flag::DotMatchesNewLine, self.dot_is_newline),
        }
    }

    /// What holds after a part: `(?i)` counts until its group ends.
    fn after(self, ast: &Ast) -> Modes {
        match ast {
            Ast::Flags(set) => self.with(&set.flags),
            Ast::Concat(concat) => concat.asts.iter().fold(self, Modes::after),
            _ => self,
        }
    }
}

/// What holds in each of some parts that stand in a row.
fn modes_of(parts: &[Ast], first: Modes) -> Vec<Modes> {
    let mut all = Vec::with_capacity(parts.len());
    let mut modes = first;
    for part in parts {
        all.push(modes);
        modes = modes.after(part);
    }
    all
}

impl CharClass {
    fn new(ranges: Box<[(u32, u32)]>) -> CharClass {
        let below = ranges.iter().flat_map(|&(from, until)| from..=until.min(127)).take_while(|c| *c < 128);
        CharClass { ascii: below.fold(0, |bits, c| bits | 1 << c), ranges }
    }

    pub(super) fn contains(&self, c: char) -> bool {
        let c = c as u32;
        if c < 128 {
            return self.ascii >> c & 1 == 1;
        }
        let after = self.ranges.partition_point(|&(from, _)| from <= c);
        after > 0 && c <= self.ranges[after - 1].1
    }
}

/// The characters of a class or a literal.
pub(super) fn ranges(syntax: &Syntax, ast: &Ast, ignore_case: bool) -> Result<Box<[(u32, u32)]>, String> {
    let mut translator = TranslatorBuilder::new().case_insensitive(ignore_case).build();
    let hir = translator.translate(&syntax.text, ast).map_err(|error| last_line(&error.to_string()))?;
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            Ok(class.ranges().iter().map(|range| (range.start() as u32, range.end() as u32)).collect())
        }
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).unwrap_or_default();
            Ok(text.chars().map(|c| (c as u32, c as u32)).collect())
        }
        // A class of no character.
        _ => Ok(Box::default()),
    }
}
