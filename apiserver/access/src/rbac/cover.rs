//! Whether some rules give everything that others give: nobody may hand on what they do not have.
//!
//! A rule is a product of groups, resources, verbs and names. Upstream multiplies it out into single rights and compares
//! each with every rule that is held; two hundred of each are eight million of them. Here the product stays a product: of
//! each group, resource, verb and name it is known which held rules give it, those that the same rules give are looked
//! at once, and a part of the product is only entered while no held rule gives all of it. What is missing is listed in
//! upstream's order, up to a limit.
//!
//! In the worst case (rules that overlap in every way) deciding is as hard as multiplying out, so that the work has a
//! limit too. Whoever exceeds it is refused: rights that were not compared are not granted.

mod axis;

use std::collections::HashMap;

use self::axis::{Axes, Axis, Sets};
use super::rule::PolicyRule;

/// The rights that are missing, each a rule with one verb on one thing.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Missing {
    pub rules: Vec<PolicyRule>,
    pub rest: Rest,
}

/// What `Missing` does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rest {
    #[default]
    Nothing,
    /// More rights are missing than are listed.
    NotListed,
    /// The comparison took too long and was given up.
    NotCompared,
}

/// So many rights are listed, with so many bytes in all. A role that somebody wrote by hand is far below.
const LISTED_MAX: usize = 20_000;
const LISTED_BYTES_MAX: usize = 1 << 20;
/// Steps of a comparison, each some nanoseconds.
const STEPS_MAX: usize = 1 << 25;
/// What is kept costs as much as so many steps, so that memory is limited by the same number.
const STEPS_PER_KEPT_WORD: usize = 16;

impl Missing {
    /// Whether nothing is missing, as far as it is known.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.rest == Rest::Nothing
    }
}

/// What of `wanted` no single rule of `held` gives. Rights are only compared as they are written: that several names
/// happen to be all there are does not count.
pub fn covers(held: &[&PolicyRule], wanted: &[PolicyRule]) -> Missing {
    let mut search = Search { steps_left: STEPS_MAX, bytes: 0, missing: Missing::default() };
    if let Err(rest) = search.run(held, wanted) {
        search.missing.rest = rest;
    }
    search.missing
}

/// Joins the verbs of rules about the same single resource, so that a message is short. The order of the others is kept.
pub fn compact_rules(rules: Vec<PolicyRule>) -> Vec<PolicyRule> {
    let mut compacted: Vec<PolicyRule> = Vec::with_capacity(rules.len());
    let mut simple: HashMap<(String, String, Option<String>), usize> = HashMap::new();
    for rule in rules {
        let key = simple_key(&rule);
        match key.as_ref().and_then(|key| simple.get(key)) {
            Some(&at) => compacted[at].verbs.extend(rule.verbs),
            None => {
                if let Some(key) = key {
                    simple.insert(key, compacted.len());
                }
                compacted.push(rule);
            }
        }
    }
    compacted
}

fn simple_key(rule: &PolicyRule) -> Option<(String, String, Option<String>)> {
    match (rule.api_groups.as_slice(), rule.resources.as_slice(), rule.resource_names.as_slice()) {
        ([group], [resource], names) if rule.non_resource_urls.is_empty() && names.len() <= 1 => {
            Some((group.clone(), resource.clone(), names.first().cloned()))
        }
        _ => None,
    }
}

/// One comparison. Its functions end with an error when there is nothing more to find out or to list.
struct Search {
    steps_left: usize,
    bytes: usize,
    missing: Missing,
}

type Step<T> = Result<T, Rest>;

/// A wanted rule as a product: its axes in the order in which rights are listed.
struct Product<'p> {
    axes: Vec<Sets<'p>>,
    /// The held rules that give everything from this axis on.
    rest: Vec<Box<[u64]>>,
    /// From here on, whether held rules together give everything.
    known: Vec<HashMap<Box<[u64]>, bool>>,
    /// Makes a rule of a text for each axis.
    part: fn(&[&str]) -> PolicyRule,
}

impl Search {
    fn run(&mut self, held: &[&PolicyRule], wanted: &[PolicyRule]) -> Step<()> {
        let axes = Axes::new(held, wanted, self)?;
        for rule in wanted {
            let Axes { groups, resources, verbs, names, paths } = &axes;
            let things = [
                (groups, rule.api_groups.as_slice()),
                (resources, &rule.resources),
                (verbs, &rule.verbs),
                (names, &rule.resource_names),
            ];
            let part: fn(&[&str]) -> PolicyRule = match rule.resource_names.is_empty() {
                true => |texts| PolicyRule::new(&[texts[2]], &[texts[0]], &[texts[1]]),
                false => |texts| PolicyRule::new(&[texts[2]], &[texts[0]], &[texts[1]]).named(&[texts[3]]),
            };
            self.compare(&things, part)?;
            // Only rules for every name give paths.
            let part: fn(&[&str]) -> PolicyRule = |texts| PolicyRule::paths(&[texts[1]], &[texts[0]]);
            self.compare(&[(paths, &rule.non_resource_urls), (verbs, &rule.verbs), (names, &[])], part)?;
        }
        Ok(())
    }

    /// Lists what of a product is missing.
    fn compare(&mut self, axes: &[(&Axis<'_>, &[String])], part: fn(&[&str]) -> PolicyRule) -> Step<()> {
        if axes.iter().any(|(axis, texts)| texts.is_empty() && !axis.may_be_empty) {
            return Ok(());
        }
        let candidates = axis::candidates(axes, self)?;
        let mut sets = Vec::with_capacity(axes.len());
        for (axis, texts) in axes {
            sets.push(axis.sets(texts, &candidates, self)?);
        }
        let mut all = axis::full(candidates.len());
        let mut rest: Vec<Box<[u64]>> = Vec::with_capacity(sets.len() + 1);
        rest.push(all.clone());
        for axis in sets.iter().rev() {
            axis.distinct.iter().for_each(|set| all = both(&all, set));
            rest.push(all.clone());
        }
        rest.reverse();
        let mut product = Product { known: vec![HashMap::new(); sets.len()], axes: sets, rest, part };
        self.list(&mut product, &axis::full(candidates.len()), &mut Vec::new())
    }

    /// Whether those held rules that give what was chosen on the axes before this one give everything on the others.
    fn covered(&mut self, product: &mut Product<'_>, axis: usize, held: &[u64]) -> Step<bool> {
        self.spend(held.len() + 1)?;
        if held.iter().all(|word| *word == 0) {
            return Ok(false);
        }
        if held.iter().zip(&product.rest[axis]).any(|(held, rest)| held & rest != 0) {
            return Ok(true);
        }
        if let Some(known) = product.known[axis].get(held) {
            return Ok(*known);
        }
        let mut covered = true;
        for set in 0..product.axes[axis].distinct.len() {
            let held = both(held, &product.axes[axis].distinct[set]);
            covered = self.covered(product, axis + 1, &held)?;
            if !covered {
                break;
            }
        }
        self.keep(held.len())?;
        product.known[axis].insert(held.into(), covered);
        Ok(covered)
    }

    /// Lists what is missing behind a choice on the first axes.
    fn list<'p>(&mut self, product: &mut Product<'p>, held: &[u64], chosen: &mut Vec<&'p str>) -> Step<()> {
        if self.covered(product, chosen.len(), held)? {
            return Ok(());
        }
        let Some(axis) = product.axes.get(chosen.len()) else {
            return self.add((product.part)(chosen), chosen);
        };
        for at in 0..axis.texts.len() {
            let (text, set) = product.axes[chosen.len()].texts[at];
            let held = both(held, &product.axes[chosen.len()].distinct[set]);
            chosen.push(text);
            self.list(product, &held, chosen)?;
            chosen.pop();
        }
        Ok(())
    }

    fn add(&mut self, rule: PolicyRule, texts: &[&str]) -> Step<()> {
        self.bytes += texts.iter().map(|text| text.len()).sum::<usize>();
        if self.missing.rules.len() == LISTED_MAX || self.bytes > LISTED_BYTES_MAX {
            return Err(Rest::NotListed);
        }
        self.missing.rules.push(rule);
        Ok(())
    }

    fn spend(&mut self, steps: usize) -> Step<()> {
        self.steps_left = self.steps_left.checked_sub(steps).ok_or(Rest::NotCompared)?;
        Ok(())
    }

    fn keep(&mut self, words: usize) -> Step<()> {
        self.spend(words * STEPS_PER_KEPT_WORD)
    }
}

fn both(left: &[u64], right: &[u64]) -> Box<[u64]> {
    left.iter().zip(right).map(|(left, right)| left & right).collect()
}
