//! What becomes of a role or binding of a fresh cluster that is there already: what it lacks is added, what it has
//! beyond that stays. One that says `autoupdate: "false"` is left alone.

use corten_access::rbac::{PolicyRule, Rest, covers};
use serde_json::{Map, Value, json};

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

#[derive(Debug, PartialEq)]
pub enum Outcome {
    Whole,
    Update(Value),
    /// It is bound to another role, which cannot be changed.
    Recreate,
}

pub fn reconcile(existing: &Value, expected: &Value) -> Outcome {
    if existing["metadata"]["annotations"][AUTOUPDATE] == "false" {
        return Outcome::Whole;
    }
    if existing["roleRef"] != expected["roleRef"] {
        return Outcome::Recreate;
    }
    let mut result = existing.clone();
    for words in ["annotations", "labels"] {
        if !expected["metadata"][words].is_null() {
            add_words(&mut result["metadata"][words], &expected["metadata"][words]);
        }
    }
    add_rules(&mut result, expected);
    if !expected["aggregationRule"].is_null() {
        let list = &mut result["aggregationRule"]["clusterRoleSelectors"];
        add_items(list, &expected["aggregationRule"]["clusterRoleSelectors"]);
    }
    if !expected["subjects"].is_null() {
        add_items(&mut result["subjects"], &expected["subjects"]);
    }
    if result == *existing { Outcome::Whole } else { Outcome::Update(result) }
}

fn add_words(own: &mut Value, expected: &Value) {
    let Some(expected) = expected.as_object() else { return };
    if own.is_null() {
        *own = Value::Object(Map::new());
    }
    let Some(own) = own.as_object_mut() else { return };
    for (key, value) in expected {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}

fn add_items(own: &mut Value, expected: &Value) {
    let known: Vec<Value> = own.as_array().cloned().unwrap_or_default();
    let missing = expected.as_array().into_iter().flatten().filter(|item| !known.contains(item));
    let missing: Vec<Value> = missing.cloned().collect();
    if !missing.is_empty() {
        *own = Value::Array([known, missing].concat());
    }
}

fn add_rules(result: &mut Value, expected: &Value) {
    let rules = |of: &Value| -> Vec<PolicyRule> { serde_json::from_value(of["rules"].clone()).unwrap_or_default() };
    let (held, wanted) = (rules(result), rules(expected));
    let missing = covers(&held.iter().collect::<Vec<_>>(), &wanted);
    if missing.is_empty() {
        return;
    }
    let mut list = result["rules"].as_array().cloned().unwrap_or_default();
    // What is not known to be there is added as it is wanted.
    let added = if missing.rest == Rest::Nothing { &missing.rules } else { &wanted };
    list.extend(added.iter().map(|rule| json!(rule)));
    result["rules"] = Value::Array(list);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(existing: Value, expected: Value, outcome: Outcome) {
        assert_eq!(reconcile(&existing, &expected), outcome, "{existing} from {expected}");
    }

    fn role(rules: Value) -> Value {
        json!({"metadata": {"name": "r", "labels": {"a": "b"}}, "rules": rules})
    }

    #[test]
    fn what_is_missing_is_added() {
        let get = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]});
        let list = json!({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]});
        let both = json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]});
        check(role(json!([both])), role(json!([get])), Outcome::Whole);
        check(role(json!([get])), role(json!([both])), Outcome::Update(role(json!([get, list]))));
        check(
            json!({"metadata": {"labels": {"a": "own"}}, "subjects": ["x"], "roleRef": "r"}),
            json!({"metadata": {"labels": {"a": "b", "c": "d"}}, "subjects": ["y"], "roleRef": "r"}),
            Outcome::Update(
                json!({"metadata": {"labels": {"a": "own", "c": "d"}}, "subjects": ["x", "y"], "roleRef": "r"}),
            ),
        );
    }

    #[test]
    fn some_are_left_alone_and_some_made_anew() {
        let own = json!({"metadata": {"annotations": {AUTOUPDATE: "false"}}, "roleRef": "other"});
        check(own, json!({"metadata": {}, "roleRef": "r"}), Outcome::Whole);
        check(json!({"metadata": {}, "roleRef": "o"}), json!({"metadata": {}, "roleRef": "r"}), Outcome::Recreate);
    }
}
