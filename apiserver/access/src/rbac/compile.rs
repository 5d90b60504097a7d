//! What is remembered of a role to pass over most of its rules without comparing a string: for each rule two sets of 64
//! bits, of its verbs and of its resources. A bit that is missing excludes the rule; one that is there proves nothing.

use super::rule::{ALL, PolicyRule};
use crate::authorize::Attributes;

pub(super) struct CompiledRole {
    pub(super) rules: Vec<PolicyRule>,
    sieves: Vec<Sieve>,
}

#[derive(Clone, Copy)]
struct Sieve {
    verbs: u64,
    /// Of the combined names (`pods/log`, `*/scale`); for a rule about paths, all or nothing.
    resources: u64,
    paths: bool,
}

/// A request, seen through the same sieve.
#[derive(Clone, Copy)]
pub(super) struct Probe {
    verb: u64,
    resource: u64,
    resource_request: bool,
}

impl CompiledRole {
    pub(super) fn new(rules: Vec<PolicyRule>) -> CompiledRole {
        let sieves = rules
            .iter()
            .map(|rule| Sieve {
                verbs: bits(&rule.verbs),
                resources: bits(&rule.resources),
                paths: !rule.non_resource_urls.is_empty(),
            })
            .collect();
        CompiledRole { rules, sieves }
    }

    pub(super) fn allows(&self, probe: Probe, attributes: &Attributes<'_>) -> bool {
        self.sieves.iter().zip(&self.rules).any(|(sieve, rule)| sieve.passes(probe) && rule.allows(attributes))
    }
}

impl Sieve {
    fn passes(self, probe: Probe) -> bool {
        let target = if probe.resource_request { self.resources & probe.resource != 0 } else { self.paths };
        self.verbs & probe.verb != 0 && target
    }
}

impl Probe {
    pub(super) fn new(attributes: &Attributes<'_>) -> Probe {
        let resource = match attributes.subresource {
            "" => bit(&[attributes.resource]),
            subresource => bit(&[attributes.resource, "/", subresource]) | bit(&["*/", subresource]),
        };
        Probe { verb: bit(&[attributes.verb]), resource, resource_request: attributes.resource_request }
    }
}

fn bits(values: &[String]) -> u64 {
    values.iter().fold(0, |all, value| all | if value == ALL { u64::MAX } else { bit(&[value]) })
}

/// One of 64 bits for a text given in parts (FNV-1a, which sees no borders between them).
fn bit(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    1 << (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}
