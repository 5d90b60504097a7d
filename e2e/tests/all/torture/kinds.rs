//! What is written under torture: two kinds whose answers are promises, and two of which a crash may take the newest.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Pod};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    ConfigMap,
    Pod,
    Lease,
    Event,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::ConfigMap, Kind::Pod, Kind::Lease, Kind::Event];

    pub fn api(self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(client.clone(), namespace, &self.resource())
    }

    fn resource(self) -> ApiResource {
        match self {
            Kind::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
            Kind::Pod => ApiResource::erase::<Pod>(&()),
            Kind::Lease => ApiResource::erase::<Lease>(&()),
            Kind::Event => ApiResource::erase::<Event>(&()),
        }
    }

    /// A new object; of a Lease, `holder` has it.
    pub fn object(self, namespace: &str, name: &str, holder: &str) -> DynamicObject {
        let content = match self {
            Kind::ConfigMap => json!({"data": {"text": "x".repeat(200)}}),
            Kind::Pod => json!({"spec": {"containers": [{"name": "c", "image": "example.test/c:1"}]}}),
            Kind::Lease => json!({"spec": {"holderIdentity": holder}}),
            Kind::Event => {
                let about = json!({"kind": "Pod", "namespace": namespace, "name": name});
                json!({"involvedObject": about, "reason": "Tortured", "type": "Normal"})
            }
        };
        DynamicObject::new(name, &self.resource()).data(content)
    }

    /// Changes an object so that each change differs. The holder of a Lease changes now and then.
    pub fn change(self, object: &mut DynamicObject, holder: &str, take_over: bool) {
        if self == Kind::Lease && take_over {
            object.data["spec"]["holderIdentity"] = Value::from(holder);
        }
    }

    /// Whether the design lets a crash lose this change of an object, or its creation if there is no object yet.
    pub fn is_lazy(self, before: Option<&DynamicObject>, after: &DynamicObject) -> bool {
        let holder = |object: &DynamicObject| object.data["spec"]["holderIdentity"].clone();
        match self {
            Kind::ConfigMap | Kind::Pod => false,
            Kind::Lease => before.is_some_and(|before| holder(before) == holder(after)),
            Kind::Event => true,
        }
    }
}

const ATTEMPT: &str = "torture/attempt";

/// Marks an object with the attempt that writes it.
pub fn mark(object: &mut DynamicObject, attempt: &str) {
    object.annotations_mut().insert(ATTEMPT.to_owned(), attempt.to_owned());
}

/// The attempt that wrote an object.
pub fn attempt(object: &DynamicObject) -> &str {
    object.annotations().get(ATTEMPT).map_or("", String::as_str)
}
