use super::*;

#[test]
fn types_are_sorted_and_found() {
    assert!(TYPES.windows(2).all(|pair| pair[0].name < pair[1].name));
    for (index, ty) in TYPES.iter().enumerate() {
        assert_eq!(type_named(ty.name), Some(TypeId(index as u16)));
    }
    assert_eq!(type_named("core.v1.PodSpec"), Some(ids::core_v1::POD_SPEC));
    assert_eq!(type_named("core.v1.Podspec"), None);
}

#[test]
fn fields_are_found_by_name() {
    for ty in TYPES {
        assert_eq!(ty.by_name.len(), ty.fields.len(), "{}", ty.name);
        for (index, field) in ty.fields.iter().enumerate() {
            assert_eq!(ty.field_named(field.name), Some(FieldId(index as u16)), "{} {}", ty.name, field.name);
            for before in 0..=ty.fields.len() as u16 {
                assert_eq!(
                    ty.field_after(before, field.name),
                    Some(FieldId(index as u16)),
                    "{} after {before}",
                    ty.name
                );
            }
        }
        assert_eq!(ty.field_named("no such field"), None);
        assert_eq!(ty.field_after(0, "no such field"), None);
    }
}

#[test]
fn every_kind_resolves() {
    for row in KINDS {
        let found = kind(row.group, row.version, row.kind).expect(row.kind);
        assert_eq!(found.ty, row.ty);
        let name = row.ty.get().name;
        let (package, short) = name.rsplit_once('.').expect(name);
        assert_eq!((short, package.rsplit('.').next()), (row.kind, Some(row.version)));
    }
    assert!(kind("", "v1", "Deployment").is_none());
}

#[test]
fn every_resource_has_its_kinds() {
    for row in RESOURCES {
        let ty = kind(row.group, row.version, row.kind).expect(row.plural).ty;
        assert_eq!(&ty.get().fields[..2].iter().map(|field| field.name).collect::<Vec<_>>(), &["kind", "apiVersion"]);
        if row.verbs.contains(&"list") {
            let list = kind(row.group, row.version, &format!("{}List", row.kind)).expect(row.plural).ty.get();
            let items = &list.fields[list.field_named("items").expect("items").0 as usize];
            assert!(matches!(items.shape, Shape::List(Shape::Struct(item)) if *item == ty), "{}", row.plural);
        }
        for sub in row.subresources {
            let (group, version) =
                if sub.version.is_empty() { (row.group, row.version) } else { (sub.group, sub.version) };
            assert!(kind(group, version, sub.kind).is_some(), "{}/{}", row.plural, sub.name);
            assert!(!sub.verbs.is_empty());
        }
        assert_eq!(row.persisted, row.storage_prefix.ends_with('/'), "{}", row.plural);
        if row.persisted {
            assert!(kind(row.storage_group, row.storage_version, row.kind).is_some(), "{}", row.plural);
            assert!(!row.storage_version_hash.is_empty());
        }
    }
}

/// Every message is in ascending number and has every field of its type once, or (Table) none at all; what only JSON
/// has is TypeMeta.
#[test]
fn messages_are_complete() {
    for ty in TYPES {
        let mut found = Vec::new();
        collect(ty.proto, &mut found, ty.name);
        found.sort();
        let without: Vec<_> = (0..ty.fields.len() as u16).filter(|index| !found.contains(index)).collect();
        assert_eq!(found.len() + without.len(), ty.fields.len(), "{} has a field twice", ty.name);
        let only_json = ty.name.starts_with("meta.v1.Table");
        for index in without {
            let field = &ty.fields[index as usize];
            assert!(only_json || field.embedded == "TypeMeta", "{} {}", ty.name, field.name);
        }
    }
}

fn collect(items: &[Proto], found: &mut Vec<u16>, name: &str) {
    assert!(items.windows(2).all(|pair| pair[0].number < pair[1].number), "{name}");
    for item in items {
        assert!(item.number > 0);
        match item.item {
            ProtoItem::Field(id) => found.push(id.0),
            ProtoItem::Embedded { items, .. } => collect(items, found, name),
        }
    }
}

#[test]
fn markers_name_what_exists() {
    for ty in TYPES {
        for field in ty.fields {
            let markers = field.markers;
            let at = format!("{} {}", ty.name, field.name);
            let keys =
                markers.list_map_keys.iter().chain((!markers.merge_key.is_empty()).then_some(&markers.merge_key));
            for key in keys {
                let (Shape::List(Shape::Struct(item)) | Shape::WrappedList(Shape::Struct(item))) = field.shape else {
                    panic!("{at} is no list of structs")
                };
                assert!(item.get().field_named(key).is_some(), "{at} {key}");
            }
            assert_eq!(markers.list == ListType::Map, !markers.list_map_keys.is_empty(), "{at}");
            let value_struct = matches!(field.shape, Shape::Struct(_)) && !field.pointer;
            assert!(!(value_struct && field.omit_empty), "{at}");
        }
    }
}

#[test]
fn defaults_lead_somewhere() {
    for default in DEFAULTS {
        let row = kind(default.group, default.version, default.kind).expect(default.kind);
        let at = format!("{} {}", default.kind, default.path);
        let mut shape = Shape::Struct(row.ty);
        for step in default.path.split('.') {
            let Shape::Struct(ty) = shape else { panic!("{at}: {step} is in no struct") };
            let name = step.trim_end_matches("[]");
            shape = ty.field(ty.get().field_named(name).expect(&at)).shape;
            for _ in 0..(step.len() - name.len()) / 2 {
                let Shape::List(item) = shape else { panic!("{at}: {step} is no list") };
                shape = *item;
            }
        }
    }
}

fn check_order(ty: &str, expected: &str) {
    let fields = type_named(ty).expect(ty).get().fields;
    assert_eq!(fields.iter().map(|field| field.name).collect::<Vec<_>>().join(" "), expected, "{ty}");
}

/// As upstream's recorded objects have them.
#[test]
fn fields_stand_in_the_order_of_json() {
    check_order("core.v1.ConfigMap", "kind apiVersion metadata immutable data binaryData");
    check_order(
        "core.v1.Probe",
        "exec httpGet tcpSocket grpc initialDelaySeconds timeoutSeconds periodSeconds \
        successThreshold failureThreshold terminationGracePeriodSeconds",
    );
    check_order("core.v1.SecretKeySelector", "name key optional");
    check_order(
        "admissionregistration.v1.NamedRuleWithOperations",
        "resourceNames operations apiGroups apiVersions \
        resources scope",
    );
    check_order(
        "meta.v1.ObjectMeta",
        "name generateName namespace selfLink uid resourceVersion generation \
        creationTimestamp deletionTimestamp deletionGracePeriodSeconds labels annotations ownerReferences finalizers \
        managedFields",
    );
    check_order("networking.v1.IngressRule", "host http");
    check_order(
        "core.v1.ReplicationControllerStatus",
        "replicas fullyLabeledReplicas readyReplicas availableReplicas \
        observedGeneration conditions",
    );
}

#[test]
fn embedded_messages() {
    let probe = ids::core_v1::PROBE.get();
    let ProtoItem::Embedded { pointer: false, items } = probe.proto[0].item else { panic!("a message first") };
    assert_eq!((probe.proto[0].number, items.len(), probe.proto[1].number), (1, 4, 2));
    assert_eq!(probe.fields[1].embedded, "ProbeHandler");
    let rule = ids::admissionregistration_v1::NAMED_RULE_WITH_OPERATIONS.get();
    let operations = &rule.fields[rule.field_named("apiGroups").expect("apiGroups").0 as usize];
    assert_eq!(operations.embedded, "RuleWithOperations.Rule");
}

#[test]
fn go_types() {
    let limits = ids::core_v1::RESOURCE_REQUIREMENTS.get();
    assert_eq!(limits.fields[0].go_type, "v1.ResourceList");
    assert_eq!(ids::core_v1::CONTAINER.get().fields[0].go_type, "");
}
