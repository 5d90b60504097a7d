use crate::json::{self, Form};
use crate::tree::Tree;

use super::{json as json_patch, merge, strategic};

fn object(kind: &str, body: &str) -> Tree {
    let ty = corten_schema::type_named(kind).expect("a known type");
    json::parse(body.as_bytes().to_vec(), Form::Typed(ty)).expect("parses").tree
}

fn config_map(data: &str) -> Tree {
    object(
        "core.v1.ConfigMap",
        &format!(r#"{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"c"}},"data":{data}}}"#),
    )
}

fn part(tree: &Tree, path: &[&str]) -> String {
    tree.root().at(path).map_or("absent".into(), json::to_string)
}

#[test]
fn json_patches_change_what_they_point_to() {
    for (patch, expected) in [
        (r#"[{"op":"add","path":"/data/x","value":"1"}]"#, r#"{"a":"1","b":"2","x":"1"}"#),
        (r#"[{"op":"remove","path":"/data/a"}]"#, r#"{"b":"2"}"#),
        (r#"[{"op":"replace","path":"/data/a","value":"9"}]"#, r#"{"a":"9","b":"2"}"#),
        (r#"[{"op":"move","from":"/data/a","path":"/data/z"}]"#, r#"{"b":"2","z":"1"}"#),
        (r#"[{"op":"copy","from":"/data/a","path":"/data/z"}]"#, r#"{"a":"1","b":"2","z":"1"}"#),
        (r#"[{"op":"test","path":"/data/a","value":"1"},{"op":"remove","path":"/data"}]"#, "absent"),
        (r#"[{"op":"test","path":"/nope","value":null}]"#, r#"{"a":"1","b":"2"}"#),
        (r#"[{"op":"add","path":"/data/~0~1","value":"1"}]"#, r#"{"a":"1","b":"2","~/":"1"}"#),
        ("null", r#"{"a":"1","b":"2"}"#),
    ] {
        let patched = json_patch(&config_map(r#"{"a":"1","b":"2"}"#), patch.as_bytes());
        assert_eq!(part(&patched.expect("applies").tree, &["data"]), expected, "{patch}");
    }
}

#[test]
fn json_patches_count_in_lists() {
    let live = object("core.v1.ServiceAccount", r#"{"metadata":{"finalizers":["a","b","c"]}}"#);
    for (patch, expected) in [
        (r#"{"op":"add","path":"/metadata/finalizers/-","value":"x"}"#, r#"["a","b","c","x"]"#),
        (r#"{"op":"add","path":"/metadata/finalizers/1","value":"x"}"#, r#"["a","x","b","c"]"#),
        (r#"{"op":"add","path":"/metadata/finalizers/-1","value":"x"}"#, r#"["a","b","c","x"]"#),
        (r#"{"op":"remove","path":"/metadata/finalizers/-1"}"#, r#"["a","b"]"#),
        (r#"{"op":"replace","path":"/metadata/finalizers/0","value":"x"}"#, r#"["x","b","c"]"#),
    ] {
        let patched = json_patch(&live, format!("[{patch}]").as_bytes()).expect("applies");
        assert_eq!(part(&patched.tree, &["metadata", "finalizers"]), expected, "{patch}");
    }
}

/// Containers are compared by what is in them, scalars by their text, wherever they stand.
#[test]
fn json_patches_test_values() {
    let text =
        r#"{"apiVersion":"e.com/v1","kind":"W","metadata":{"name":"a"},"spec":{"a":[1,{"b":"<x>","c":null}],"d":{}}}"#;
    let metadata = corten_schema::ids::meta_v1::OBJECT_META;
    let live = json::parse(text.as_bytes().to_vec(), Form::Custom { metadata }).expect("parses").tree;
    for (path, value, passes) in [
        ("/spec", r#"{"d":{}, "a":[1, {"c":null,"b":"<x>"}]}"#, true),
        ("/spec/a/1", r#"{"b":"\u003cx>","c":null}"#, true),
        ("/spec/a/1", r#"{"b":"<x>"}"#, false),
        ("/spec/a/1", r#"{"b":"<x>","e":null}"#, false),
        ("/spec/a/1", r#"{"b":"\u003c\u0078>","c":null}"#, false),
        ("/spec/a", r#"[1.0,{"b":"<x>","c":null}]"#, false),
        ("/spec/a", "[1]", false),
        ("/spec/d", "{}", true),
        ("/spec/d", "[]", false),
        ("/spec/d", "null", false),
        ("/spec/a/1/c", "null", true),
        ("/spec/e", "null", true),
    ] {
        let test = format!(r#"[{{"op":"test","path":"{path}","value":{value}}}]"#);
        // Again, when it has been taken apart.
        let twice = format!("[{0},{0}]", &test[1..test.len() - 1]);
        for patch in [test, twice] {
            assert_eq!(json_patch(&live, patch.as_bytes()).is_ok(), passes, "{patch}");
        }
    }
}

#[test]
fn json_patches_that_do_not_apply_are_unprocessable() {
    for patch in [
        r#"[{"op":"nope","path":"/data"}]"#,
        r#"[{"op":"remove","path":"/data/x"}]"#,
        r#"[{"op":"add","path":"/x/y","value":1}]"#,
        r#"[{"op":"add","value":1}]"#,
        r#"[{"op":"test","path":"/data/a","value":"2"}]"#,
        r#"[{"op":"replace","path":"","value":1}]"#,
    ] {
        let error = json_patch(&config_map(r#"{"a":"1"}"#), patch.as_bytes()).expect_err("does not apply");
        assert_eq!((error.code(), error.reason().as_str()), (422, "Invalid"), "{patch}");
        assert_eq!(error.message(), "the server rejected our request due to an error in our request");
    }
    let many = format!("[{}]", vec![r#"{"op":"test","path":"/data/a","value":"1"}"#; 10_001].join(","));
    let error = json_patch(&config_map(r#"{"a":"1"}"#), many.as_bytes()).expect_err("is too long");
    assert_eq!(error.code(), 413);
    assert!(error.message().ends_with("The allowed maximum operations in a JSON patch is 10000, got 10001"));
    let big = format!(
        r#"[{{"op":"add","path":"/data/a","value":"{}"}},{{"op":"copy","from":"/data/a","path":"/data/b"}},{{"op":"copy","from":"/data/a","path":"/data/c"}}]"#,
        "x".repeat(2 << 20)
    );
    assert_eq!(json_patch(&config_map("{}"), big.as_bytes()).expect_err("copies too much").code(), 422);
}

#[test]
fn what_is_no_patch_is_told_as_go_tells_it() {
    let live = config_map(r#"{"a":"1"}"#);
    for (patch, expected) in [
        ("{}", "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        ("[1]", "error decoding patch: json: cannot unmarshal number into Go value of type handlers.jsonPatchOp"),
        (
            r#"[{"op":1}]"#,
            "error decoding patch: json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string",
        ),
        ("[", "error decoding patch: unexpected end of JSON input"),
    ] {
        assert_eq!(json_patch(&live, patch.as_bytes()).expect_err("is none").message(), expected);
    }
    for (patch, expected) in [
        ("[]", "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("null", "Invalid JSON Patch"),
        ("{", "error decoding patch: unexpected end of JSON input"),
    ] {
        assert_eq!(merge(&live, patch.as_bytes()).expect_err("is none").message(), expected);
    }
    let strict =
        json_patch(&live, br#"[{"op":"add","path":"/data/x","value":"1","q":1,"op":"add"}]"#).expect("applies");
    assert_eq!(strict.strict, [r#"json patch unknown field "[0].q""#, r#"json patch duplicate field "[0].op""#]);
    assert!(
        strict
            .strict_error()
            .expect("there is one")
            .message()
            .contains("strict decoding error: json patch unknown field")
    );
}

#[test]
fn merge_patches_take_nulls_out() {
    for (patch, expected) in [
        (r#"{"data":{"a":null,"c":"3"}}"#, r#"{"b":"2","c":"3"}"#),
        (r#"{"data":null}"#, "absent"),
        (r#"{"data":{"x":null}}"#, r#"{"a":"1","b":"2"}"#),
    ] {
        let patched = merge(&config_map(r#"{"a":"1","b":"2"}"#), patch.as_bytes()).expect("applies");
        assert_eq!(part(&patched.tree, &["data"]), expected, "{patch}");
    }
    let custom = r#"{"apiVersion":"e.com/v1","kind":"A","metadata":{"name":"a"},"spec":{"a":[1],"b":2}}"#;
    let custom = json::parse(custom.into(), Form::Custom { metadata: corten_schema::ids::meta_v1::OBJECT_META });
    let custom = custom.expect("an object").tree;
    for (patch, expected) in [
        (r#"{"c":{"x":null,"y":[{"n":null,"m":1},null,[{}]]}}"#, r#"{"a":[1],"b":2,"c":{"y":[{"m":1},null,[{}]]}}"#),
        (r#"{"c":{"x":1,"x":null,"z":0,"y":{"y":1,"y":{"k":null}}}}"#, r#"{"a":[1],"b":2,"c":{"y":{"y":{}},"z":0}}"#),
        (r#"{"a":{"x":null,"y":"null"}}"#, r#"{"a":{"y":"null"},"b":2}"#),
        (r#"{"a":[{"n":null},null]}"#, r#"{"a":[{},null],"b":2}"#),
    ] {
        let patched = merge(&custom, format!(r#"{{"spec":{patch}}}"#).as_bytes()).expect("applies");
        assert_eq!(part(&patched.tree, &["spec"]), expected, "{patch}");
    }
    let noted = merge(&config_map("{}"), br#"{"nope":1,"data":{"a":"1","a":"2"}}"#).expect("applies");
    assert_eq!(noted.strict, [r#"duplicate field "data.a""#, r#"unknown field "nope""#]);
}

/// A strategic patch of a pod's containers, given and shown by names and images.
fn containers(live: &str, patch: &str) -> String {
    let live = object("core.v1.Pod", &format!(r#"{{"metadata":{{"name":"p"}},"spec":{{"containers":{live}}}}}"#));
    match strategic(&live, format!(r#"{{"spec":{patch}}}"#).as_bytes()) {
        Ok(patched) => {
            let list = patched.tree.root().at(&["spec", "containers"]).map(|list| list.as_list());
            let text =
                |node: crate::tree::Node<'_>, key: &str| node.get(key).map_or("", |node| node.as_str()).to_owned();
            let shown: Vec<String> = list
                .into_iter()
                .flat_map(|list| list.iter())
                .map(|item| format!("{}={}", text(item, "name"), text(item, "image")))
                .collect();
            shown.join(" ")
        }
        Err(error) => format!("{}: {}", error.code(), error.message()),
    }
}

#[test]
fn strategic_patches_merge_lists_by_key() {
    let live = r#"[{"name":"a","image":"1"},{"name":"b","image":"2"},{"name":"c","image":"3"}]"#;
    for (patch, expected) in [
        (r#"{"containers":[{"name":"b","image":"9"}]}"#, "a=1 b=9 c=3"),
        (r#"{"containers":[{"name":"z","image":"9"}]}"#, "z=9 a=1 b=2 c=3"),
        (r#"{"containers":[{"name":"b","$patch":"delete"}]}"#, "a=1 c=3"),
        (r#"{"containers":[{"$patch":"replace"},{"name":"z","image":"9"}]}"#, "z=9"),
        (r#"{"containers":null}"#, ""),
        (r#"{"containers":[{"name":"b","image":null}]}"#, "a=1 b= c=3"),
        (r#"{"$setElementOrder/containers":[{"name":"c"},{"name":"a"},{"name":"b"}]}"#, "c=3 a=1 b=2"),
        (
            r#"{"$setElementOrder/containers":[{"name":"z"},{"name":"c"}],"containers":[{"name":"z","image":"9"}]}"#,
            "z=9 a=1 b=2 c=3",
        ),
        (r#"{"containers":[{"image":"x"}]}"#, "500: map: map[image:x] does not contain declared merge key: name"),
        (r#"{"$patch":"x"}"#, "500: unknown patch type: x in map: map[$patch:x]"),
        (
            r#"{"containers":[{"name":"a","$patch":"merge"}]}"#,
            "500: merging lists cannot yet be specified in the patch",
        ),
        (
            r#"{"containers":[[1]]}"#,
            "500: list element types are not identical: [[map[image:1 name:a resources:map[]] map[image:2 name:b resources:map[]] map[image:3 name:c resources:map[]]] [[1]]]",
        ),
        (r#"{"$setElementOrder/containers":1}"#, "500: expected a []interface {}, but received a int64"),
        (
            r#"{"$setElementOrder/nope":[1]}"#,
            r#"500: unable to find api field in struct PodSpec for the json field "nope""#,
        ),
        (r#"{"$retainKeys":1}"#, "400: invalid patch format of retainKeys"),
    ] {
        assert_eq!(containers(live, patch), expected, "{patch}");
    }
}

#[test]
fn strategic_patches_of_plain_lists_and_maps() {
    let live = object(
        "core.v1.ServiceAccount",
        r#"{"metadata":{"name":"s","labels":{"a":"1","b":"2"},"finalizers":["x","y","z"]}}"#,
    );
    for (patch, path, expected) in [
        (r#"{"metadata":{"finalizers":["w","y"]}}"#, "finalizers", r#"["w","x","y","z"]"#),
        (r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["y"]}}"#, "finalizers", r#"["x","z"]"#),
        (r#"{"metadata":{"labels":{"$patch":"replace","q":"1"}}}"#, "labels", r#"{"q":"1"}"#),
        (r#"{"metadata":{"labels":{"$patch":"delete"}}}"#, "labels", "{}"),
        (r#"{"metadata":{"labels":{"$retainKeys":["b"],"b":"3"}}}"#, "labels", r#"{"b":"3"}"#),
    ] {
        let patched = strategic(&live, patch.as_bytes()).expect("applies");
        assert_eq!(part(&patched.tree, &["metadata", path]), expected, "{patch}");
    }
}

#[test]
fn what_strategic_patches_spoil_is_invalid() {
    let live = object("apps.v1.Deployment", r#"{"metadata":{"name":"d"},"spec":{"replicas":1}}"#);
    for (patch, shown, message) in [
        (r#"{"spec":{"replicas":"x"}}"#, "map[spec:map[replicas:x]]", "unrecognized type: int32"),
        (r#"{"spec":{"replicas":1.5}}"#, "map[spec:map[replicas:1.5]]", "cannot convert float64 to int32"),
        (r#"{"spec":1}"#, "map[spec:1]", "cannot restore struct from: int64"),
        (
            r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":{}}}}}"#,
            "map[spec:map[strategy:map[rollingUpdate:map[maxSurge:map[]]]]]",
            "json: cannot unmarshal object into Go value of type int32",
        ),
        (
            r#"{"spec":{"template":{"spec":{"dnsPolicy":1}}}}"#,
            "map[spec:map[template:map[spec:map[dnsPolicy:1]]]]",
            "cannot convert int64 to v1.DNSPolicy",
        ),
        (r#"{"metadata":{"labels":{"a":1}}}"#, "map[metadata:map[labels:map[a:1]]]", "cannot convert int64 to string"),
        (r#"{"spec":{"paused":"x"}}"#, "map[spec:map[paused:x]]", "unrecognized type: bool"),
        (r#"{"metadata":{"labels":[]}}"#, "map[metadata:map[labels:[]]]", "cannot restore map from slice"),
    ] {
        let error = strategic(&live, patch.as_bytes()).expect_err("is invalid");
        let expected = format!(r#" "" is invalid: patch: Invalid value: "{shown}": {message}"#);
        assert_eq!(error.message(), expected, "{patch}");
    }
    let whole = strategic(&live, br#"{"spec":{"replicas":2.0}}"#).expect("applies");
    assert_eq!(part(&whole.tree, &["spec", "replicas"]), "2");
    let noted = strategic(&live, br#"{"spec":{"nope":1,"replicas":2,"replicas":3}}"#).expect("applies");
    assert_eq!(
        noted.strict_error().expect("there is one").message(),
        r#" "" is invalid: patch: Invalid value: "map[spec:map[nope:1 replicas:3]]": strict decoding error: duplicate field "spec.replicas", unknown field "spec.nope""#
    );
}
