//! Whether a text matches. All ways through a program are followed at once, so that the time is that of the text times
//! the states that it can be in. For ordinary programs the sets of states that came up are kept, each with where it goes
//! on, as long as they are few: then a character is one look into a table.

use std::collections::HashMap;
use std::sync::Arc;

use super::program::{Look, Program, State};

/// What stands before or after a place, as far as `Look` asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    /// The text begins or ends.
    Edge,
    Newline,
    Word,
    Other,
}

/// The characters that a program tells apart, as symbols.
#[derive(Debug)]
pub(super) struct Alphabet {
    ascii: [u8; 128],
    /// Where others begin, and their symbols.
    starts: Box<[u32]>,
    symbols: Box<[u8]>,
    /// A character of each symbol.
    examples: Vec<char>,
}

/// Sets of states that came up before, and how they go on.
#[derive(Debug, Default)]
pub(super) struct Cache {
    sets: Vec<Arc<Set>>,
    numbers: HashMap<Arc<Set>, u32>,
    /// For each set, where it goes on each symbol, and at the end of the text.
    table: Vec<u32>,
    bytes: usize,
    full: bool,
}

/// The states behind a character that was read, and what it was.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Set {
    states: Box<[u32]>,
    before: Side,
}

/// Entries of the table that are no set.
const UNKNOWN: u32 = u32::MAX;
const MATCH: u32 = u32::MAX - 1;
const NO_MATCH: u32 = u32::MAX - 2;

const SYMBOLS_MAX: usize = 128;
/// Steps that finding the symbols may take.
const ALPHABET_STEPS_MAX: usize = 1 << 15;

impl Program {
    pub(super) fn is_match(&self, text: &str) -> bool {
        let mut threads = Threads::new(self);
        let start = Set { states: [self.start].into(), before: Side::Edge };
        // Who comes while another uses the cache goes without.
        if let Some(alphabet) = &self.alphabet
            && let Some(mut cache) = self.cache.try_lock()
        {
            return match cache.run(alphabet, &mut threads, start, text) {
                Ok(matches) => matches,
                Err((set, rest)) => {
                    drop(cache);
                    threads.run(&set, rest)
                }
            };
        }
        threads.run(&start, text)
    }
}

/// All the ways that are being followed.
struct Threads<'p> {
    program: &'p Program,
    /// The round in which a state was last seen, and in which it was last put into the next set.
    seen: Vec<u32>,
    entered: Vec<u32>,
    round: u32,
    stack: Vec<u32>,
    /// The round in which a class was last asked for its character, and what it said.
    verdicts: Vec<(u32, bool)>,
}

impl<'p> Threads<'p> {
    fn new(program: &'p Program) -> Threads<'p> {
        Threads { program, seen: Vec::new(), entered: Vec::new(), round: 0, stack: Vec::new(), verdicts: Vec::new() }
    }

    fn run(&mut self, start: &Set, text: &str) -> bool {
        let (mut states, mut next, mut before) = (start.states.to_vec(), Vec::new(), start.before);
        for c in text.chars() {
            if self.step(&states, before, Some(c), &mut next) {
                return true;
            }
            if next.is_empty() {
                return false;
            }
            std::mem::swap(&mut states, &mut next);
            before = self.side(Some(c));
        }
        self.step(&states, before, None, &mut next)
    }

    /// Where some states go on a character, or at the end of the text; whether the text matches already.
    fn step(&mut self, states: &[u32], before: Side, c: Option<char>, next: &mut Vec<u32>) -> bool {
        let program = self.program;
        if self.seen.is_empty() {
            self.seen = vec![0; program.states.len()];
            self.entered = vec![0; program.states.len()];
            self.verdicts = vec![(0, false); program.classes.len()];
        }
        self.round += 1;
        let after = self.side(c);
        next.clear();
        self.stack.extend(states);
        while let Some(at) = self.stack.pop() {
            if std::mem::replace(&mut self.seen[at as usize], self.round) == self.round {
                continue;
            }
            match program.states[at as usize] {
                State::Match => {
                    self.stack.clear();
                    return true;
                }
                State::Split(one, other) => self.stack.extend([one, other]),
                State::Look(look, then) if look.holds(before, after) => self.stack.push(then),
                State::Look(..) => {}
                State::Char(class, then) => {
                    if c.is_some_and(|c| self.contains(class, c)) {
                        self.enter(then, next);
                    }
                }
            }
        }
        if !program.anchored && c.is_some() {
            self.enter(program.start, next);
        }
        false
    }

    fn enter(&mut self, state: u32, next: &mut Vec<u32>) {
        if std::mem::replace(&mut self.entered[state as usize], self.round) != self.round {
            next.push(state);
        }
    }

    fn contains(&mut self, class: u32, c: char) -> bool {
        let verdict = &mut self.verdicts[class as usize];
        if verdict.0 != self.round {
            *verdict = (self.round, self.program.classes[class as usize].contains(c));
        }
        verdict.1
    }

    /// All sides are alike to a program that does not look.
    fn side(&self, c: Option<char>) -> Side {
        match c {
            None => Side::Edge,
            _ if !self.program.looks_around => Side::Other,
            Some('\n') => Side::Newline,
            Some('0'..='9' | 'A'..='Z' | 'a'..='z' | '_') => Side::Word,
            Some(_) => Side::Other,
        }
    }
}

impl Look {
    fn holds(self, before: Side, after: Side) -> bool {
        let at_word = (before == Side::Word) != (after == Side::Word);
        match self {
            Look::StartText => before == Side::Edge,
            Look::EndText => after == Side::Edge,
            Look::StartLine => matches!(before, Side::Edge | Side::Newline),
            Look::EndLine => matches!(after, Side::Edge | Side::Newline),
            Look::Word => at_word,
            Look::NotWord => !at_word,
        }
    }
}

impl Cache {
    pub(super) const BYTES_MAX: usize = 16 << 10;

    #[cfg(test)]
    pub(super) fn full(&self) -> bool {
        self.full
    }

    /// Whether the text matches; or, where the cache is full, the set that was reached, and the rest of the text.
    fn run<'t>(
        &mut self,
        alphabet: &Alphabet,
        threads: &mut Threads<'_>,
        start: Set,
        text: &'t str,
    ) -> Result<bool, (Arc<Set>, &'t str)> {
        if self.full {
            *self = Cache::default();
        }
        let width = alphabet.examples.len() + 1;
        let mut at = match self.sets.is_empty() {
            true => self.add(start, width).map_err(|set| (set, text))?,
            false => 0,
        };
        let mut chars = text.chars();
        loop {
            let rest = chars.as_str();
            let c = chars.next();
            let symbol = c.map_or(width - 1, |c| alphabet.symbol(c));
            let place = at as usize * width + symbol;
            let mut then = self.table[place];
            if then == UNKNOWN {
                let set = Arc::clone(&self.sets[at as usize]);
                then = self.find(alphabet, threads, &set, symbol, width).map_err(|_| (set, rest))?;
                self.table[place] = then;
            }
            match then {
                MATCH => return Ok(true),
                NO_MATCH => return Ok(false),
                set => at = set,
            }
        }
    }

    /// Where a set goes on a symbol.
    fn find(
        &mut self,
        alphabet: &Alphabet,
        threads: &mut Threads<'_>,
        set: &Set,
        symbol: usize,
        width: usize,
    ) -> Result<u32, Arc<Set>> {
        let example = alphabet.examples.get(symbol).copied();
        let mut next = Vec::new();
        if threads.step(&set.states, set.before, example, &mut next) {
            return Ok(MATCH);
        }
        if next.is_empty() {
            return Ok(NO_MATCH);
        }
        next.sort_unstable();
        self.add(Set { states: next.into(), before: threads.side(example) }, width)
    }

    fn add(&mut self, set: Set, width: usize) -> Result<u32, Arc<Set>> {
        let set = Arc::new(set);
        if let Some(number) = self.numbers.get(&set) {
            return Ok(*number);
        }
        self.bytes += size_of_val(&*set.states) + width * size_of::<u32>() + 64;
        if self.bytes > Cache::BYTES_MAX {
            self.full = true;
            return Err(set);
        }
        let number = self.sets.len() as u32;
        self.sets.push(Arc::clone(&set));
        self.numbers.insert(set, number);
        self.table.resize(self.table.len() + width, UNKNOWN);
        Ok(number)
    }
}

impl Alphabet {
    /// Nothing for a program whose classes overlap in too many ways.
    pub(super) fn new(program: &Program) -> Option<Alphabet> {
        let around: &[&[(u32, u32)]] = &[&[(0x0a, 0x0a)], &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)]];
        let around = if program.looks_around { around } else { &[] };
        let classes = || program.classes.iter().map(|class| &*class.ranges).chain(around.iter().copied());
        if classes().map(<[_]>::len).sum::<usize>() > ALPHABET_STEPS_MAX {
            return None;
        }
        let mut starts: Vec<u32> = classes().flatten().flat_map(|&(from, until)| [from, until + 1]).collect();
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        // All characters are alike at first; each class parts those that are in it from the others.
        let (mut symbols, mut sizes, mut steps) = (vec![0_usize; starts.len()], vec![starts.len()], 0);
        for ranges in classes() {
            let covered = |&(from, until): &(u32, u32)| {
                starts.partition_point(|start| *start < from)..starts.partition_point(|start| *start <= until)
            };
            steps += ranges.iter().map(|range| covered(range).len() + 1).sum::<usize>();
            if steps > ALPHABET_STEPS_MAX {
                return None;
            }
            let mut inside: HashMap<usize, usize> = HashMap::new();
            ranges.iter().flat_map(covered).for_each(|at| *inside.entry(symbols[at]).or_default() += 1);
            let mut parted: HashMap<usize, usize> = HashMap::new();
            for at in ranges.iter().flat_map(covered) {
                let symbol = symbols[at];
                if inside[&symbol] == sizes[symbol] && !parted.contains_key(&symbol) {
                    continue;
                }
                let new = *parted.entry(symbol).or_insert_with(|| {
                    sizes[symbol] -= inside[&symbol];
                    sizes.push(inside[&symbol]);
                    sizes.len() - 1
                });
                symbols[at] = new;
            }
            if sizes.len() > SYMBOLS_MAX {
                return None;
            }
        }
        Some(Alphabet::numbered(starts, &symbols, sizes.len()))
    }

    fn numbered(starts: Vec<u32>, symbols: &[usize], count: usize) -> Alphabet {
        let mut examples = vec![char::MAX; count];
        let ends = starts.iter().skip(1).map(|start| start - 1).chain([char::MAX as u32]);
        for ((start, end), symbol) in starts.iter().zip(ends).zip(symbols) {
            // Some numbers are no characters, but stand between the ranges of classes.
            let first = if (0xd800..0xe000).contains(start) { 0xe000 } else { *start };
            if let Some(example) = char::from_u32(first).filter(|_| first <= end) {
                examples[*symbol] = example;
            }
        }
        let symbols = symbols.iter().map(|symbol| *symbol as u8).collect();
        let mut alphabet = Alphabet { ascii: [0; 128], starts: starts.into(), symbols, examples };
        alphabet.ascii = std::array::from_fn(|c| alphabet.find(c as u32));
        alphabet
    }

    pub(super) fn bytes(&self) -> usize {
        self.starts.len() * 5
    }

    fn symbol(&self, c: char) -> usize {
        match self.ascii.get(c as usize) {
            Some(symbol) => usize::from(*symbol),
            None => usize::from(self.find(c as u32)),
        }
    }

    fn find(&self, c: u32) -> u8 {
        let after = self.starts.partition_point(|start| *start <= c);
        self.symbols[after.saturating_sub(1)]
    }
}
