//! Feature gates: upstream's names, stages and defaults, and `--feature-gates`.
//!
//! A gate is looked up by its place in a bit set. Corten implements most features in their default state alone; the
//! gates that code here can switch are listed in `SETTABLE`, and asking another to leave its default is an error, as
//! is a name that upstream does not know. Code that makes a gate work adds it to the list, and asks `enabled`.

use std::fmt;

use crate::values;

include!(concat!(env!("OUT_DIR"), "/gates.rs"));

/// The gates whose other value is implemented too.
pub const SETTABLE: &[Gate] = &[];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Alpha,
    Beta,
    GA,
    Deprecated,
}

/// What upstream says of a gate in this version.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub gate: Gate,
    pub name: &'static str,
    pub stage: Stage,
    pub default: bool,
    pub locked: bool,
}

/// Which features are on; small, and copied rather than shared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FeatureGates([u64; WORDS]);

const WORDS: usize = FACTS.len().div_ceil(64);

impl Gate {
    pub fn by_name(name: &str) -> Option<Gate> {
        FACTS.iter().find(|facts| facts.name == name).map(|facts| facts.gate)
    }

    pub fn facts(self) -> &'static Facts {
        // The order of the table is the order of the enum.
        &FACTS[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Every gate, by name.
    pub fn all() -> impl Iterator<Item = &'static Facts> {
        FACTS.iter()
    }
}

impl FeatureGates {
    /// The pairs of `--feature-gates`, in order, the last of a name winning; all errors in one text, as upstream joins
    /// them.
    pub fn parse<S: AsRef<str>>(pairs: &[(S, bool)]) -> Result<FeatureGates, String> {
        FeatureGates::parse_with(pairs, SETTABLE)
    }

    /// `A=true,B=false`, as in a flag or a configuration file.
    pub fn parse_text(text: &str) -> Result<FeatureGates, String> {
        let mut pairs = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| format!("missing bool value for {}", pair.trim()))?;
            let (name, value) = (name.trim(), value.trim());
            let value =
                values::parse_bool(value).map_err(|error| format!("invalid value of {name}={value}, err: {error}"))?;
            pairs.push((name, value));
        }
        FeatureGates::parse(&pairs)
    }

    #[inline]
    pub fn enabled(&self, gate: Gate) -> bool {
        self.0[gate as usize / 64] >> (gate as usize % 64) & 1 == 1
    }

    /// For tests of code behind a gate; no check is made.
    #[must_use]
    pub fn with(mut self, gate: Gate, enabled: bool) -> FeatureGates {
        let bit = 1 << (gate as usize % 64);
        match enabled {
            true => self.0[gate as usize / 64] |= bit,
            false => self.0[gate as usize / 64] &= !bit,
        }
        self
    }

    fn parse_with<S: AsRef<str>>(pairs: &[(S, bool)], settable: &[Gate]) -> Result<FeatureGates, String> {
        let mut last: Vec<(&str, bool)> = Vec::new();
        for (name, value) in pairs {
            last.retain(|(earlier, _)| *earlier != name.as_ref());
            last.push((name.as_ref(), *value));
        }
        let (mut gates, mut errors) = (FeatureGates::default(), Vec::new());
        // What is said of all counts where nothing is said of the one.
        for (name, stage) in [("AllAlpha", Stage::Alpha), ("AllBeta", Stage::Beta)] {
            let Some((_, value)) = last.iter().find(|(given, _)| *given == name) else { continue };
            let others = Gate::all().filter(|facts| facts.stage == stage && !facts.locked && facts.default != *value);
            let others = others.filter(|facts| last.iter().all(|(given, _)| *given != facts.name));
            let (changed, refused): (Vec<&Facts>, Vec<&Facts>) =
                others.partition(|facts| settable.contains(&facts.gate));
            gates = changed.iter().fold(gates, |gates, facts| gates.with(facts.gate, *value));
            if let Some(first) = refused.first() {
                errors.push(format!(
                    "cannot set feature gate {name} to {value}: {} and {} other features are implemented as they are \
                     by default only",
                    first.name,
                    refused.len() - 1
                ));
            }
        }
        for (name, value) in last.into_iter().filter(|(name, _)| !matches!(*name, "AllAlpha" | "AllBeta")) {
            match check(name, value, settable) {
                Ok(gate) => gates = gates.with(gate, value),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            errors = gates.missing_needs();
        }
        match errors.len() {
            0 => Ok(gates),
            1 => Err(errors.remove(0)),
            _ => Err(format!("[{}]", errors.join(", "))),
        }
    }

    fn missing_needs(&self) -> Vec<String> {
        let mut errors: Vec<(Gate, Vec<&str>)> = Vec::new();
        for (gate, needed) in NEEDS.into_iter().filter(|(gate, needed)| self.enabled(*gate) && !self.enabled(*needed)) {
            match errors.last_mut() {
                Some((last, names)) if *last == gate => names.push(needed.name()),
                _ => errors.push((gate, vec![needed.name()])),
            }
        }
        let texts = errors.into_iter().map(|(gate, names)| {
            format!("{} is enabled, but depends on features that are disabled: [{}]", gate.name(), names.join(" "))
        });
        texts.collect()
    }
}

fn check(name: &str, value: bool, settable: &[Gate]) -> Result<Gate, String> {
    let facts = Gate::by_name(name).ok_or_else(|| format!("unrecognized feature gate: {name}"))?.facts();
    if facts.default == value || settable.contains(&facts.gate) && !facts.locked {
        return Ok(facts.gate);
    }
    if facts.locked {
        return Err(format!("cannot set feature gate {name} to {value}, feature is locked to {}", facts.default));
    }
    Err(format!("cannot set feature gate {name} to {value}: it is implemented as {} only, its default", facts.default))
}

impl Default for FeatureGates {
    fn default() -> FeatureGates {
        const DEFAULTS: [u64; WORDS] = {
            let mut words = [0; WORDS];
            let mut at = 0;
            while at < FACTS.len() {
                words[at / 64] |= (FACTS[at].default as u64) << (at % 64);
                at += 1;
            }
            words
        };
        FeatureGates(DEFAULTS)
    }
}

impl fmt::Debug for FeatureGates {
    /// What is not at its default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changed = Gate::all().filter(|facts| self.enabled(facts.gate) != facts.default);
        f.debug_map().entries(changed.map(|facts| (facts.name, !facts.default))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_the_enum() {
        for (at, facts) in FACTS.iter().enumerate() {
            assert_eq!(facts.gate as usize, at);
            assert_eq!(format!("{:?}", facts.gate), facts.name);
            assert_eq!(FeatureGates::default().enabled(facts.gate), facts.default);
        }
        assert!(FeatureGates::default().missing_needs().is_empty());
        assert!(SETTABLE.iter().all(|gate| !gate.facts().locked));
    }

    #[test]
    fn flags_are_checked() {
        fn check(text: &str, expected: Result<&str, &str>) {
            let settable = [Gate::APIServingWithRoutine, Gate::APIResponseCompression, Gate::GangScheduling];
            let pairs: Vec<_> = text.split(',').filter_map(|pair| pair.split_once('=')).collect();
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name, *value == "true")).collect();
            let gates = FeatureGates::parse_with(&pairs, &settable).map(|gates| format!("{gates:?}"));
            assert_eq!(gates.as_deref().map_err(String::as_str), expected, "{text}");
        }
        check("", Ok("{}"));
        check("WatchList=true", Ok("{}"));
        check("APIServingWithRoutine=true", Ok("{\"APIServingWithRoutine\": true}"));
        check("APIServingWithRoutine=true,APIServingWithRoutine=false", Ok("{}"));
        check("AllAlpha=false", Ok("{}"));
        check("Nope=true", Err("unrecognized feature gate: Nope"));
        check(
            "APIServerTracing=false",
            Err("cannot set feature gate APIServerTracing to false, feature is locked to true"),
        );
        check(
            "Nope=true,WatchList=false",
            Err("[unrecognized feature gate: Nope, cannot set feature gate WatchList to false: it is implemented as \
                 true only, its default]"),
        );
        check(
            "GangScheduling=true",
            Err("GangScheduling is enabled, but depends on features that are disabled: [GenericWorkload]"),
        );
    }

    #[test]
    fn all_of_a_stage() {
        let count = |stage, value| {
            let changed = Gate::all().filter(|facts| facts.stage == stage && !facts.locked && facts.default != value);
            changed.count()
        };
        let error = FeatureGates::parse(&[("AllBeta", false)]).unwrap_err();
        let others = count(Stage::Beta, false) - 1;
        assert_eq!(
            error,
            format!(
                "cannot set feature gate AllBeta to false: APIResponseCompression and {others} other features are \
                 implemented as they are by default only"
            )
        );
        let all: Vec<Gate> = Gate::all().map(|facts| facts.gate).collect();
        let gates = FeatureGates::parse_with(&[("AllAlpha", true), ("AllBeta", true)], &all).unwrap();
        assert!(Gate::all().filter(|facts| facts.stage == Stage::Alpha).all(|facts| gates.enabled(facts.gate)));
        let gates =
            FeatureGates::parse_with(&[("APIServingWithRoutine", false), ("AllAlpha", true), ("AllBeta", true)], &all)
                .unwrap();
        assert!(!gates.enabled(Gate::APIServingWithRoutine));
    }

    #[test]
    fn texts() {
        assert_eq!(FeatureGates::parse_text(" WatchList = true ,,"), Ok(FeatureGates::default()));
        assert_eq!(FeatureGates::parse_text("WatchList"), Err("missing bool value for WatchList".to_owned()));
        let error = "invalid value of WatchList=x, err: strconv.ParseBool: parsing \"x\": invalid syntax";
        assert_eq!(FeatureGates::parse_text("WatchList=x"), Err(error.to_owned()));
    }
}
