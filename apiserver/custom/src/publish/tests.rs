use super::*;
use crate::testing::{definition, plain, text};

/// What kube-apiserver publishes: names, the version beside its name, and the schemas.
const RECORDED: &str = include_str!("../recorded_openapi.jsonl");

#[test]
fn publishes_what_upstream_publishes() {
    for (index, line) in RECORDED.lines().enumerate() {
        let case = plain(line);
        let case = case.root().as_list();
        let names = text(case.get(0).unwrap()).replace("\"kind\":\"Tz\"", "\"kind\":\"Tz\",\"listKind\":\"TzList\"");
        let version = text(case.get(1).unwrap());
        let group = format!("g{index}.pub.example");
        let crd = definition(&format!(
            r#"{{"spec":{{"group":"{group}","names":{names},"versions":[{{"name":"v1",{}}}]}}}}"#,
            &version[1..version.len() - 1]
        ));
        let published = publish(crd.root(), "v1").unwrap();
        let expected = case.get(2).unwrap();
        for (name, schema) in [(&published.name, &published.schema), (&published.list_name, &published.list_schema)] {
            let got = plain(std::str::from_utf8(schema).unwrap());
            let expected = expected.get(name).unwrap_or_else(|| panic!("upstream has no {name}"));
            assert_eq!(text(got.root()), text(expected), "{name}");
        }
    }
}
