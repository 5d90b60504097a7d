//! The index against the plain rule: look at every binding, in whatever order. Objects come, change and go at random,
//! from few enough names that they meet.

use corten_runtime::random::Random;

use super::*;

/// What the index should know, without one.
#[derive(Default)]
struct Plain {
    roles: Vec<Role>,
    bindings: Vec<Binding>,
}

impl Plain {
    fn rules(&self, user: &User, namespace: &str) -> Vec<PolicyRule> {
        let mut rules = Vec::new();
        for binding in &self.bindings {
            let counts = binding.namespace.is_empty() || binding.namespace == namespace;
            if !counts
                || !binding.subjects.iter().any(|subject| Matcher::new(user).matches(subject, &binding.namespace))
            {
                continue;
            }
            let role_namespace = if binding.role.kind == "Role" { binding.namespace.as_str() } else { "" };
            let found =
                self.roles.iter().find(|role| role.name == binding.role.name && role.namespace == role_namespace);
            let found = found.filter(|_| binding.role.kind == "ClusterRole" || !role_namespace.is_empty());
            rules.extend(found.into_iter().flat_map(|role| role.rules.clone()));
        }
        rules
    }
}

struct Dice(Random);

impl Dice {
    fn pick<'a>(&self, from: &[&'a str]) -> &'a str {
        from[self.0.below(from.len() as u64) as usize]
    }

    fn some<'a>(&self, from: &[&'a str]) -> Vec<&'a str> {
        (0..1 + self.0.below(2)).map(|_| self.pick(from)).collect()
    }

    fn rule(&self) -> PolicyRule {
        if self.0.below(5) == 0 {
            return PolicyRule::paths(&self.some(VERBS), &self.some(&["/a", "/a/*", "*"]));
        }
        let rule = PolicyRule::new(&self.some(VERBS), &self.some(&["", "apps", "*"]), &self.some(RESOURCES));
        if self.0.below(4) == 0 { rule.named(&self.some(NAMES)) } else { rule }
    }

    fn binding(&self) -> Binding {
        let role = format!("{}/{}", self.pick(&["Role", "ClusterRole"]), self.pick(NAMES));
        let subjects = ["User:u", "User:v", "Group:g", "Group:h", "ServiceAccount:s", "ServiceAccount:n1/s", "Robot:u"];
        binding(self.pick(NAMESPACES), self.pick(NAMES), &role, &self.some(&subjects))
    }
}

const VERBS: &[&str] = &["get", "list", "update", "*"];
const RESOURCES: &[&str] = &["pods", "pods/log", "nodes", "*/log", "*"];
const NAMES: &[&str] = &["a", "b", "c", "d"];
const NAMESPACES: &[&str] = &["", "n1", "n2"];

#[test]
fn the_index_decides_as_the_plain_rule_does() {
    let dice = Dice(Random::seeded(1));
    let (rbac, mut plain) = (Rbac::default(), Plain::default());
    let mut allowed = 0;
    for step in 0..3000 {
        match dice.0.below(4) {
            0 => {
                let role = role(dice.pick(NAMESPACES), dice.pick(NAMES), &[dice.rule(), dice.rule()]);
                plain.roles.retain(|old| (&old.namespace, &old.name) != (&role.namespace, &role.name));
                plain.roles.push(role.clone());
                rbac.set_role(role);
            }
            1 => {
                let (namespace, name) = (dice.pick(NAMESPACES), dice.pick(NAMES));
                let before = (plain.roles.len(), plain.bindings.len());
                match dice.0.below(2) {
                    0 => plain.roles.retain(|old| (old.namespace.as_str(), old.name.as_str()) != (namespace, name)),
                    _ => plain.bindings.retain(|old| (old.namespace.as_str(), old.name.as_str()) != (namespace, name)),
                }
                if plain.roles.len() < before.0 {
                    rbac.remove_role(namespace, name);
                }
                if plain.bindings.len() < before.1 {
                    rbac.remove_binding(namespace, name);
                }
            }
            _ => {
                let binding = dice.binding();
                plain.bindings.retain(|old| (&old.namespace, &old.name) != (&binding.namespace, &binding.name));
                plain.bindings.push(binding.clone());
                rbac.set_binding(binding);
            }
        }
        assert_eq!(rbac.snapshot().binding_count(), plain.bindings.len());
        let user = User::new(dice.pick(&["u", "v", "system:serviceaccount:n1:s"]), &dice.some(&["g", "h", "i"]));
        let attributes = match dice.0.below(4) {
            0 => Attributes::path(&user, dice.pick(VERBS), dice.pick(&["/a", "/a/b", "/c"])),
            _ => Attributes {
                namespace: dice.pick(NAMESPACES),
                subresource: dice.pick(&["", "log"]),
                name: dice.pick(NAMES),
                ..Attributes::resource(
                    &user,
                    dice.pick(VERBS),
                    dice.pick(&["", "apps", "batch"]),
                    "v1",
                    dice.pick(&["pods", "nodes"]),
                )
            },
        };
        let mut rules = plain.rules(&user, attributes.namespace);
        let expected = rules.iter().any(|rule| rule.allows(&attributes));
        assert_eq!(rbac.authorize(&attributes).allowed(), expected, "step {step}: {attributes:?} {rules:?}");
        allowed += usize::from(expected);

        let index = rbac.snapshot();
        let mut listed: Vec<PolicyRule> = index.resolve(&user, attributes.namespace).rules().cloned().collect();
        rules.sort();
        listed.sort();
        assert_eq!(listed, rules, "step {step}");
    }
    assert!((300..2700).contains(&allowed), "{allowed} of 3000: the cases say little");
}
