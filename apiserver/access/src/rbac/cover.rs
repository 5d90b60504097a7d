//! Whether some rules give everything that others give: nobody may hand on what they do not have.

use std::collections::HashMap;

use super::rule::{ALL, PolicyRule, path_matches};

/// What of `wanted` no single rule of `held` gives, taken apart into one verb on one thing each; nothing if all is
/// covered. Rights are only compared as they are written: that several names happen to be all there are does not count.
pub fn covers(held: &[&PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    wanted.iter().flat_map(break_down).filter(|part| !held.iter().any(|rule| rule_covers(rule, part))).collect()
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

fn break_down(rule: &PolicyRule) -> Vec<PolicyRule> {
    let mut parts = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let part = PolicyRule::new(&[verb], &[group], &[resource]);
                if rule.resource_names.is_empty() {
                    parts.push(part);
                } else {
                    parts.extend(rule.resource_names.iter().map(|name| part.clone().named(&[name])));
                }
            }
        }
    }
    for path in &rule.non_resource_urls {
        parts.extend(rule.verbs.iter().map(|verb| PolicyRule::paths(&[verb], &[path])));
    }
    parts
}

fn rule_covers(held: &PolicyRule, part: &PolicyRule) -> bool {
    let names = match part.resource_names.is_empty() {
        true => held.resource_names.is_empty(),
        false => held.resource_names.is_empty() || has_all(&held.resource_names, &part.resource_names),
    };
    names
        && (has(&held.verbs, ALL) || has_all(&held.verbs, &part.verbs))
        && (has(&held.api_groups, ALL) || has_all(&held.api_groups, &part.api_groups))
        && (has(&held.resources, ALL)
            || part.resources.iter().all(|resource| resource_covered(&held.resources, resource)))
        && part.non_resource_urls.iter().all(|path| held.non_resource_urls.iter().any(|own| path_matches(own, path)))
}

fn resource_covered(held: &[String], resource: &str) -> bool {
    let any_with_subresource =
        |(_, subresource): (&str, &str)| held.iter().any(|own| own.strip_prefix("*/") == Some(subresource));
    has(held, resource) || resource.split_once('/').is_some_and(any_with_subresource)
}

fn has(values: &[String], wanted: &str) -> bool {
    values.iter().any(|value| value == wanted)
}

fn has_all(values: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| has(values, wanted))
}
