use super::*;
use crate::testing::{definition, text};

const NOW: Timestamp = Timestamp::from_seconds(1_577_934_245);
const TIME: &str = "2020-01-02T03:04:05Z";

/// Names as `plural,singular,short1+short2,kind,listKind`.
fn names(names: &str) -> String {
    let parts: Vec<&str> = names.split(',').collect();
    let [plural, singular, short, kind, list_kind] = parts[..] else { panic!("five names: {names}") };
    let short: Vec<String> = short.split('+').filter(|name| !name.is_empty()).map(|name| format!("{name:?}")).collect();
    format!(
        r#"{{"plural":"{plural}","singular":"{singular}","shortNames":[{}],"kind":"{kind}","listKind":"{list_kind}"}}"#,
        short.join(",")
    )
}

fn crd(wanted: &str, accepted: &str, conditions: &str) -> Tree {
    let accepted = if accepted.is_empty() { "{}".to_owned() } else { names(accepted) };
    definition(&format!(
        r#"{{"metadata":{{"name":"x"}},"spec":{{"group":"g.io","names":{}}},"status":{{"acceptedNames":{accepted},"conditions":[{conditions}]}}}}"#,
        names(wanted)
    ))
}

fn told(tree: &Tree) -> String {
    let crd: CustomResourceDefinition<'_> = tree.view();
    let names = crd.status().accepted_names();
    let short: Vec<&str> = names.short_names().iter().collect();
    let conditions: Vec<String> = crd
        .status()
        .conditions()
        .iter()
        .map(|condition| {
            let (reason, message) = (condition.reason(), condition.message());
            format!("{}={}/{reason}/{message}", condition.type_(), condition.status())
        })
        .collect();
    format!(
        "{},{},{},{},{} {}",
        names.plural(),
        names.singular(),
        short.join("+"),
        names.kind(),
        names.list_kind(),
        conditions.join(" ")
    )
}

#[track_caller]
fn accepts(wanted: &str, accepted: &str, others: &[&str], expected: &str) {
    let others: Vec<Tree> = others.iter().map(|names| crd(names, names, "")).collect();
    let tree = crd(wanted, accepted, "");
    let names: Vec<AcceptedNames> = others.iter().chain([&tree]).map(|tree| AcceptedNames::of(tree.view())).collect();
    let got = accept_names(&tree, &names.iter().collect(), NOW).map_or("nothing".into(), |tree| told(&tree));
    assert_eq!(got, expected);
}

/// The step that a definition takes beside the others of its group.
fn next(tree: &Tree, others: &[&Tree]) -> Option<Tree> {
    let all = others.iter().copied().chain([tree]);
    let names: Vec<AcceptedNames> = all.map(|tree| AcceptedNames::of(tree.view())).collect();
    reconcile(tree, &names.iter().collect(), NOW)
}

const INSTALLING: &str = "NamesAccepted=True/NoConflicts/no conflicts found Established=False/Installing/the initial names have been accepted";
const NOT_ACCEPTED: &str = "Established=False/NotAccepted/not all names are accepted";

#[test]
fn accepts_what_is_free() {
    let all = "as,a,x+y,A,AList";
    accepts(all, "", &[], &format!("{all} {INSTALLING}"));
    accepts(all, "", &["bs,b,,B,BList"], &format!("{all} {INSTALLING}"));
    accepts(all, all, &[], "nothing");
    accepts(
        all,
        "",
        &["as,b,,B,BList"],
        &format!(",a,x+y,A,AList NamesAccepted=False/PluralConflict/\"as\" is already in use {NOT_ACCEPTED}"),
    );
    accepts(
        all,
        "",
        &["bs,a,,B,BList"],
        &format!("as,,x+y,A,AList NamesAccepted=False/SingularConflict/\"a\" is already in use {NOT_ACCEPTED}"),
    );
    accepts(
        all,
        "",
        &["bs,b,y,B,BList", "cs,c,x,C,CList"],
        &format!(
            "as,a,,A,AList NamesAccepted=False/ShortNamesConflict/[\"x\" is already in use, \"y\" is already in use] {NOT_ACCEPTED}"
        ),
    );
    accepts(
        all,
        "",
        &["bs,b,,A,BList"],
        &format!("as,a,x+y,,AList NamesAccepted=False/KindConflict/\"A\" is already in use {NOT_ACCEPTED}"),
    );
    accepts(
        all,
        "",
        &["bs,b,,AList,A"],
        &format!("as,a,x+y,, NamesAccepted=False/ListKindConflict/\"AList\" is already in use {NOT_ACCEPTED}"),
    );
    // A short name that is its own already is not lost to itself.
    accepts("as,a,x+y,A,AList", "as,a,x,A,AList", &[], &format!("as,a,x+y,A,AList {INSTALLING}"));
}

#[test]
fn an_established_definition_stays_so() {
    let established = format!(
        r#"{{"type":"Established","status":"True","lastTransitionTime":"{TIME}","reason":"InitialNamesAccepted","message":"m"}}"#
    );
    let other = crd("bs,b,z,B,BList", "bs,b,z,B,BList", "");
    let changed = crd("as,a,z,A,AList", "as,a,,A,AList", &established);
    let got = told(&next(&changed, &[&other]).unwrap());
    assert_eq!(
        got,
        "as,a,,A,AList Established=True/InitialNamesAccepted/m NamesAccepted=False/ShortNamesConflict/\"z\" is already in use"
    );
}

#[test]
fn nothing_is_said_twice() {
    let fresh = crd("as,a,,A,AList", "", "");
    let named = next(&fresh, &[]).unwrap();
    assert!(next(&named, &[]).is_none());
    let established = establish(&named, NOW).unwrap();
    assert!(establish(&established, NOW).is_none());
    assert!(establish(&fresh, NOW).is_none());
    let other = crd("as,b,,B,BList", "as,b,,B,BList", "");
    let refused = next(&fresh, &[&other]).unwrap();
    assert!(next(&refused, &[&other]).is_none());
    // Once the other is gone the name is free.
    assert!(told(&next(&refused, &[]).unwrap()).starts_with("as,a,,A,AList NamesAccepted=True"));
}

#[test]
fn times_move_with_the_status_only() {
    let time = |tree: &Tree, kind: &str| condition(tree.view(), kind).unwrap().last_transition_time().to_owned();
    let named = next(&crd("as,a,,A,AList", "", ""), &[]).unwrap();
    assert_eq!(time(&named, "Established"), TIME);
    let later = Timestamp::from_seconds(NOW.seconds + 1);
    let established = establish(&named, later).unwrap();
    assert_eq!(time(&established, "Established"), "2020-01-02T03:04:06Z");
    assert_eq!(time(&established, "NamesAccepted"), TIME);
    let mut same = established.clone();
    let message = Condition::new("Established", "True", "Other", "reason");
    set_condition(&mut same.edit(), &message, Timestamp::from_seconds(NOW.seconds + 9));
    assert_eq!(time(&same, "Established"), "2020-01-02T03:04:06Z");
}

fn deleting(established: bool) -> Tree {
    let status = if established { "True" } else { "False" };
    definition(&format!(
        r#"{{"metadata":{{"name":"x","deletionTimestamp":"{TIME}","finalizers":["a.io/b","{CLEANUP_FINALIZER}"]}},"spec":{{"group":"g.io"}},"status":{{"conditions":[{{"type":"Established","status":"{status}"}}]}}}}"#
    ))
}

#[test]
fn objects_go_before_their_definition() {
    let Cleanup::DeleteObjects { announce: Some(announced) } = begin_cleanup(&deleting(true), NOW) else {
        panic!("the deletion is not announced")
    };
    assert!(is_terminating(announced.view()));
    let again = begin_cleanup(&announced, NOW);
    assert!(matches!(again, Cleanup::DeleteObjects { announce: None }));
    let failed = end_cleanup(&announced, &Deleted::Remaining("timed out".into()), NOW);
    assert!(matches!(begin_cleanup(&failed, NOW), Cleanup::DeleteObjects { .. }));
    let done = end_cleanup(&announced, &Deleted::All, NOW);
    assert!(told(&done).ends_with("Terminating=False/InstanceDeletionCompleted/removed all instances"));
    assert_eq!(text(done.root().at(&["metadata", "finalizers"]).unwrap()), r#"["a.io/b"]"#);
    assert!(matches!(begin_cleanup(&done, NOW), Cleanup::Nothing));
}

#[test]
fn built_in_objects_do_not_go_with_a_definition_of_their_name() {
    let mut crd = deleting(true);
    let mut edit = crd.edit();
    let mut spec = edit.ensure(CustomResourceDefinition::SPEC);
    spec.set(CustomResourceDefinitionSpec::GROUP, "apiregistration.k8s.io");
    spec.ensure(CustomResourceDefinitionSpec::NAMES).set(CustomResourceDefinitionNames::PLURAL, "apiservices");
    let Cleanup::Finish(done) = begin_cleanup(&crd, NOW) else { panic!("not finished") };
    assert!(told(&done).ends_with(
        "Terminating=False/OverlappingBuiltInResource/instances overlap with built-in resources in storage"
    ));
}

#[test]
fn what_was_never_served_has_no_objects() {
    let Cleanup::Finish(done) = begin_cleanup(&deleting(false), NOW) else { panic!("not finished") };
    assert!(told(&done).ends_with("Terminating=False/NeverEstablished/resource was never established"));
    assert!(matches!(begin_cleanup(&crd("as,a,,A,AList", "", ""), NOW), Cleanup::Nothing));
}

#[test]
fn what_is_served_and_not_yet_established_may_have_objects() {
    let mut served = deleting(false);
    set_condition(&mut served.edit(), &Condition::new("NamesAccepted", "True", "NoConflicts", ""), NOW);
    assert!(matches!(begin_cleanup(&served, NOW), Cleanup::DeleteObjects { announce: Some(_) }));
}

#[test]
fn says_whether_schemas_are_structural_and_groups_approved() {
    let with = |metadata: &str, group: &str, schema: &str| {
        definition(&format!(
            r#"{{"metadata":{metadata},"spec":{{"group":"{group}","versions":[{{"name":"v1","schema":{{"openAPIV3Schema":{schema}}}}}]}}}}"#
        ))
    };
    let crd = with("{}", "g.io", r#"{"type":"object","properties":{"a":{}}}"#);
    assert!(told(&note_structure(&crd, NOW).unwrap()).ends_with(
        "NonStructuralSchema=True/Violations/spec.versions[0].schema.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields"
    ));
    let sound = with("{}", "g.io", r#"{"type":"object"}"#);
    assert!(note_structure(&sound, NOW).is_none());
    assert!(note_approval(&sound, NOW).is_none());
    let mut repaired = note_structure(&crd, NOW).unwrap();
    repaired.edit().remove(CustomResourceDefinition::SPEC);
    assert!(told(&note_structure(&repaired, NOW).unwrap()).ends_with(",,,, "));
    let annotated = with(r#"{"annotations":{"api-approved.kubernetes.io":"unapproved, new"}}"#, "a.k8s.io", "{}");
    let noted = note_approval(&annotated, NOW).unwrap();
    assert!(told(&noted).ends_with(
        "KubernetesAPIApprovalPolicyConformant=False/UnapprovedAnnotation/not approved: \"unapproved, new\""
    ));
    assert!(note_approval(&noted, NOW).is_none());
}
