//! Which cases there are: every site once, with styles, forms and field validation in pairs.

use std::collections::BTreeMap;

use crate::case::{Case, FORMS, Form, STYLES, Style, VALIDATIONS, Validation};
use crate::sites::Grown;
use crate::target::Target;

type Row = (Form, Style, Validation);

/// Every case, in the order of targets and sites; the same for the same seed. A list or a map has `rounds` cases.
pub fn all(targets: &[Target], seed: u64, rounds: usize) -> Vec<Case<'_>> {
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for target in targets {
        let mut rows = Rows { all: pairs(target), next: 0 };
        random.shuffle(&mut rows.all);
        for site in &target.sites {
            for _ in 0..if site.is_collection() { rounds } else { 1 } {
                let (form, style, validation) = rows.next(|form| suits(form, &site.grown));
                cases.push(Case { target, site, style, form, validation, number: cases.len() });
            }
        }
    }
    cases
}

/// A part of them, drawn by the seed: as many of each target as there is room for, lists and maps first.
pub fn some<'t>(cases: Vec<Case<'t>>, count: usize, seed: u64) -> Vec<Case<'t>> {
    let mut random = Random(seed);
    let mut by_target: BTreeMap<&str, Vec<Case<'t>>> = BTreeMap::new();
    for case in cases {
        by_target.entry(&case.target.name).or_default().push(case);
    }
    let mut queues: Vec<_> = by_target.into_values().collect();
    for queue in &mut queues {
        random.shuffle(queue);
        // Taken from the end.
        queue.sort_by_key(|case| case.site.is_collection());
    }
    let mut drawn = Vec::new();
    while drawn.len() < count && queues.iter().any(|queue| !queue.is_empty()) {
        let round = queues.iter_mut().filter_map(Vec::pop);
        drawn.extend(round.take(count - drawn.len()));
    }
    drawn
}

/// A covering array: each form with each style, and with them the validations in turn, so that each of those meets each
/// form and each style.
fn pairs(target: &Target) -> Vec<Row> {
    let forms = FORMS.iter().copied().filter(|form| form.suits(target)).enumerate();
    let validation = |form: usize, style: usize| VALIDATIONS[(form + style) % VALIDATIONS.len()];
    forms
        .flat_map(|(i, form)| STYLES.iter().enumerate().map(move |(j, style)| (form, *style, validation(i, j))))
        .collect()
}

/// Protobuf has neither unknown nor duplicate fields that are told of, and no long digits.
fn suits(form: Form, grown: &Grown) -> bool {
    !form.is_protobuf() || !matches!(grown, Grown::Unknown | Grown::Duplicate { .. } | Grown::Nest { .. })
}

struct Rows {
    all: Vec<Row>,
    next: usize,
}

impl Rows {
    fn next(&mut self, suits: impl Fn(Form) -> bool) -> Row {
        loop {
            let row = self.all[self.next % self.all.len()];
            self.next += 1;
            if suits(row.0) {
                return row;
            }
        }
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for i in (1..all.len()).rev() {
            all.swap(i, (self.next() % (i as u64 + 1)) as usize);
        }
    }
}
