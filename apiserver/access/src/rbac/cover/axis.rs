//! The axes of the product that a rule is: for every text on one, the held rules that give it.

use std::collections::HashMap;

use super::{Search, Step};
use crate::rbac::rule::{ALL, PolicyRule};

/// The axes, with the texts that the wanted rules have.
pub(super) struct Axes<'a> {
    pub(super) groups: Axis<'a>,
    pub(super) resources: Axis<'a>,
    pub(super) verbs: Axis<'a>,
    pub(super) names: Axis<'a>,
    pub(super) paths: Axis<'a>,
}

/// One axis. Held rules are numbers here.
#[derive(Default)]
pub(super) struct Axis<'a> {
    /// Those that give a text because they say it, in order.
    by_text: HashMap<&'a str, Vec<u32>>,
    /// Those that give every text, in order.
    any: Vec<u32>,
    /// Those that give every text that ends with a slash and this: `*/log`.
    by_subresource: HashMap<&'a str, Vec<u32>>,
    /// A rule without a name is about every name, so that being without is one more thing to be given.
    pub(super) may_be_empty: bool,
}

/// One axis of a wanted rule. A set has a bit for each candidate.
pub(super) struct Sets<'p> {
    /// Each text, and its place in `distinct`: the candidates that give it.
    pub(super) texts: Vec<(&'p str, usize)>,
    pub(super) distinct: Vec<Box<[u64]>>,
}

impl<'a> Axes<'a> {
    pub(super) fn new(held: &[&PolicyRule], wanted: &'a [PolicyRule], search: &mut Search) -> Step<Axes<'a>> {
        let of = |texts: fn(&PolicyRule) -> &Vec<String>| Axis::of(wanted.iter().flat_map(texts));
        let mut axes = Axes {
            groups: of(|rule| &rule.api_groups),
            resources: of(|rule| &rule.resources),
            verbs: of(|rule| &rule.verbs),
            names: Axis { may_be_empty: true, ..of(|rule| &rule.resource_names) },
            paths: of(|rule| &rule.non_resource_urls),
        };
        let subresources = wanted.iter().flat_map(|rule| &rule.resources).filter_map(|text| subresource(text));
        axes.resources.by_subresource = subresources.map(|text| (text, Vec::new())).collect();
        let mut sorted: Vec<&str> = axes.paths.by_text.keys().copied().collect();
        sorted.sort_unstable();
        for (rule, number) in held.iter().zip(0..) {
            axes.groups.hold(&rule.api_groups, number);
            axes.resources.hold(&rule.resources, number);
            axes.verbs.hold(&rule.verbs, number);
            match rule.resource_names.as_slice() {
                [] => axes.names.any.push(number),
                names => names.iter().for_each(|name| axes.names.give(name, number)),
            }
            axes.paths.hold_paths(&rule.non_resource_urls, number, &sorted, search)?;
        }
        Ok(axes)
    }
}

impl<'a> Axis<'a> {
    fn of(texts: impl Iterator<Item = &'a String>) -> Axis<'a> {
        Axis { by_text: texts.map(|text| (text.as_str(), Vec::new())).collect(), ..Axis::default() }
    }

    fn hold(&mut self, texts: &[String], rule: u32) {
        if texts.iter().any(|text| text == ALL) {
            self.any.push(rule);
            return;
        }
        texts.iter().for_each(|text| self.give(text, rule));
    }

    fn give(&mut self, text: &str, rule: u32) {
        let any_with = text.strip_prefix("*/").and_then(|subresource| self.by_subresource.get_mut(subresource));
        for rules in self.by_text.get_mut(text).into_iter().chain(any_with) {
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
        }
    }

    /// A trailing `*` stands for any rest of a path. `sorted` are the wanted paths.
    fn hold_paths(&mut self, paths: &[String], rule: u32, sorted: &[&str], search: &mut Search) -> Step<()> {
        if paths.iter().any(|path| path == ALL) {
            self.any.push(rule);
            return Ok(());
        }
        for path in paths {
            self.give(path, rule);
            if !path.ends_with('*') {
                continue;
            }
            let prefix = path.trim_end_matches('*');
            let below = &sorted[sorted.partition_point(|wanted| *wanted < prefix)..];
            let below = below.iter().take_while(|wanted| wanted.starts_with(prefix));
            for wanted in below {
                search.spend(1)?;
                self.give(wanted, rule);
            }
        }
        Ok(())
    }

    /// The lists of rules that give a text by saying it.
    fn lists(&self, text: &str) -> impl Iterator<Item = &[u32]> {
        let any_with = subresource(text).and_then(|subresource| self.by_subresource.get(subresource));
        self.by_text.get(text).into_iter().chain(any_with).map(Vec::as_slice)
    }

    /// The candidates that give each of these texts; for no text, those that give all.
    pub(super) fn sets<'p>(&self, texts: &'p [String], candidates: &[u32], search: &mut Search) -> Step<Sets<'p>> {
        let mut any = empty(candidates.len());
        search.spend(self.mark(&self.any, candidates, &mut any))?;
        if texts.is_empty() {
            return Ok(Sets { texts: vec![("", 0)], distinct: vec![any] });
        }
        let mut sets = Sets { texts: Vec::with_capacity(texts.len()), distinct: Vec::new() };
        let mut known: HashMap<Box<[u64]>, usize> = HashMap::new();
        for text in texts {
            let mut set = any.clone();
            search.spend(set.len() + 1)?;
            for list in self.lists(text) {
                search.spend(self.mark(list, candidates, &mut set))?;
            }
            let at = match known.get(&set) {
                Some(&at) => at,
                None => {
                    search.keep(2 * set.len())?;
                    sets.distinct.push(set.clone());
                    *known.entry(set).or_insert(sets.distinct.len() - 1)
                }
            };
            sets.texts.push((text, at));
        }
        Ok(sets)
    }

    /// Sets the bits of the candidates that are in a list; the shorter of the two is gone through. Returns the steps.
    fn mark(&self, list: &[u32], candidates: &[u32], set: &mut [u64]) -> usize {
        let mut put = |at: usize| set[at / 64] |= 1 << (at % 64);
        if list.len() <= candidates.len() {
            list.iter().filter_map(|rule| candidates.binary_search(rule).ok()).for_each(&mut put);
            return list.len();
        }
        let listed = candidates.iter().enumerate().filter(|(_, rule)| list.binary_search(rule).is_ok());
        listed.for_each(|(at, _)| put(at));
        candidates.len()
    }
}

fn subresource(resource: &str) -> Option<&str> {
    resource.split_once('/').map(|(_, subresource)| subresource)
}

/// The held rules that give anything on the axis where the fewest do.
pub(super) fn candidates(axes: &[(&Axis<'_>, &[String])], search: &mut Search) -> Step<Vec<u32>> {
    let lists = |(axis, texts): &(&Axis<'_>, &[String])| {
        let said: usize = texts.iter().flat_map(|text| axis.lists(text)).map(<[u32]>::len).sum();
        axis.any.len() + said
    };
    let Some((axis, texts)) = axes.iter().min_by_key(|axis| lists(axis)) else { return Ok(Vec::new()) };
    search.spend(lists(&(axis, texts)) + axes.iter().map(|(_, texts)| texts.len()).sum::<usize>())?;
    let mut rules: Vec<u32> = axis.any.clone();
    texts.iter().flat_map(|text| axis.lists(text)).for_each(|list| rules.extend(list));
    rules.sort_unstable();
    rules.dedup();
    Ok(rules)
}

/// A set without a candidate.
fn empty(candidates: usize) -> Box<[u64]> {
    vec![0; candidates.div_ceil(64)].into()
}

/// A set with all candidates.
pub(super) fn full(candidates: usize) -> Box<[u64]> {
    let mut set = empty(candidates);
    (0..candidates).for_each(|at| set[at / 64] |= 1 << (at % 64));
    set
}
