//! Patterns in Go's syntax.
//!
//! A definition may have thousands of patterns, most of which no object ever meets, and a few characters of one can stand
//! for very much: `\pL{60}` is sixty times a class of 130,000 letters. So a pattern is only read when a definition is
//! written, becomes a program when a text is first held against it, and those programs that were not needed for the
//! longest time are given up for new ones. A program works on characters, with one table for a class however often it
//! stands in the pattern, where crates that work on bytes repeat the whole class; those take 5 MB for the pattern above.

mod matcher;
mod program;
mod syntax;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use self::program::Program;
use self::syntax::Syntax;

/// A pattern as it is written, and what it means; a pattern that cannot be read matches nothing.
#[derive(Debug)]
pub struct Pattern {
    pub text: Box<str>,
    pub error: Option<Box<str>>,
    /// Once it was needed, and until it is given up.
    program: Mutex<Option<Arc<Program>>>,
}

impl Pattern {
    /// The pattern of a text, one for all who have the same text.
    pub fn shared(text: &str) -> Arc<Pattern> {
        if let Some(known) = KNOWN.lock().find(text) {
            return known;
        }
        // Nobody else waits while it is read.
        let pattern = Pattern::read(text);
        KNOWN.lock().add(pattern)
    }

    fn read(text: &str) -> Pattern {
        let error = Syntax::parse(text).err().map(Into::into);
        Pattern { text: text.into(), error, program: Mutex::default() }
    }

    /// Whether a part of a text matches.
    pub fn is_match(self: &Arc<Pattern>, text: &str) -> bool {
        self.program().is_some_and(|program| program.is_match(text))
    }

    fn program(self: &Arc<Pattern>) -> Option<Arc<Program>> {
        if let Some(program) = &*self.program.lock() {
            return Some(Arc::clone(program));
        }
        let program = Arc::new(Program::new(&Syntax::parse(&self.text).ok()?).ok()?);
        let given_up = {
            let mut slot = self.program.lock();
            if let Some(program) = &*slot {
                return Some(Arc::clone(program));
            }
            *slot = Some(Arc::clone(&program));
            PROGRAMS.lock().add(Arc::downgrade(self), program.bytes())
        };
        // Never two slots at once.
        given_up.iter().filter_map(Weak::upgrade).for_each(|pattern| *pattern.program.lock() = None);
        Some(program)
    }
}

static KNOWN: LazyLock<Mutex<Patterns>> = LazyLock::new(Mutex::default);
static PROGRAMS: LazyLock<Mutex<Programs>> = LazyLock::new(Mutex::default);

/// The patterns that have a program, in the order in which they got it.
#[derive(Default)]
struct Programs {
    kept: VecDeque<(Weak<Pattern>, usize)>,
    bytes: usize,
}

/// What all programs may take together. Those of a large cluster's definitions are a tenth of it.
const PROGRAM_BYTES_MAX: usize = 24 << 20;

impl Programs {
    /// Those that have to give up theirs; never the one that came last.
    fn add(&mut self, pattern: Weak<Pattern>, bytes: usize) -> Vec<Weak<Pattern>> {
        let mut given_up = Vec::new();
        self.kept.push_back((pattern, bytes));
        self.bytes += bytes;
        while self.bytes > PROGRAM_BYTES_MAX && self.kept.len() > 1 {
            let Some((pattern, bytes)) = self.kept.pop_front() else { break };
            self.bytes -= bytes;
            given_up.push(pattern);
        }
        given_up
    }
}

/// The patterns that somebody has, by their texts. Definitions of operators repeat a few patterns thousands of times.
#[derive(Default)]
struct Patterns {
    by_text: HashMap<Box<str>, Weak<Pattern>>,
    /// Kept for whoever comes next: a definition is validated first, and served by what is read after that.
    recent: VecDeque<Arc<Pattern>>,
    /// How many entries there may be until those that nobody has any more are removed.
    entries_max: usize,
}

const RECENT_MAX: usize = 16;
const ENTRIES_MIN: usize = 64;

impl Patterns {
    fn find(&self, text: &str) -> Option<Arc<Pattern>> {
        self.by_text.get(text).and_then(Weak::upgrade)
    }

    fn add(&mut self, pattern: Pattern) -> Arc<Pattern> {
        if let Some(known) = self.find(&pattern.text) {
            return known;
        }
        let pattern = Arc::new(pattern);
        if self.by_text.len() >= self.entries_max.max(ENTRIES_MIN) {
            self.by_text.retain(|_, pattern| pattern.strong_count() > 0);
            self.entries_max = 2 * self.by_text.len();
        }
        self.by_text.insert(pattern.text.clone(), Arc::downgrade(&pattern));
        self.recent.push_back(Arc::clone(&pattern));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        pattern
    }
}

#[cfg(test)]
mod tests;
