//! What the generated lines mean.

/// `view! { PodSpec = core_v1::POD_SPEC; volumes VOLUMES 0 items core_v1::Volume; ... }`: method, constant, place among
/// the type's fields, rule of [`accessor`].
macro_rules! view {
    ($name:ident = $package:ident :: $id:ident;
     $($method:ident $field:ident $index:literal $rule:ident $($inner_package:ident :: $inner:ident)?;)*) => {
        #[derive(Clone, Copy)]
        pub struct $name<'t>(corten_object::tree::Struct<'t>);

        impl<'t> corten_object::tree::View<'t> for $name<'t> {
            const TYPE: corten_schema::TypeId = corten_schema::ids::$package::$id;
            #[inline]
            fn from_struct(structure: corten_object::tree::Struct<'t>) -> Self {
                $name(structure)
            }
            #[inline]
            fn as_struct(self) -> corten_object::tree::Struct<'t> {
                self.0
            }
        }

        // JSONSchemaProps has a field `not`; no view is an operand.
        #[allow(clippy::should_implement_trait)]
        impl<'t> $name<'t> {
            $(
                pub const $field: corten_schema::FieldId = corten_schema::FieldId($index);
                accessor! { $method $field $rule $($inner_package :: $inner)? }
            )*
        }
    };
}

macro_rules! accessor {
    ($method:ident $field:ident string) => {
        getter! { $method $field string &'t str }
    };
    ($method:ident $field:ident string_opt) => {
        getter! { $method $field string_opt Option<&'t str> }
    };
    ($method:ident $field:ident bool) => {
        getter! { $method $field bool bool }
    };
    ($method:ident $field:ident bool_opt) => {
        getter! { $method $field bool_opt Option<bool> }
    };
    ($method:ident $field:ident int) => {
        getter! { $method $field int i64 }
    };
    ($method:ident $field:ident int_opt) => {
        getter! { $method $field int_opt Option<i64> }
    };
    ($method:ident $field:ident float) => {
        getter! { $method $field float f64 }
    };
    ($method:ident $field:ident float_opt) => {
        getter! { $method $field float_opt Option<f64> }
    };
    ($method:ident $field:ident int_or_string) => {
        getter! { $method $field int_or_string corten_object::tree::IntOrStr<'t> }
    };
    ($method:ident $field:ident int_or_string_opt) => {
        getter! { $method $field int_or_string_opt Option<corten_object::tree::IntOrStr<'t>> }
    };
    ($method:ident $field:ident raw) => {
        getter! { $method $field raw Option<&'t str> }
    };
    ($method:ident $field:ident node) => {
        getter! { $method $field node Option<corten_object::tree::Node<'t>> }
    };
    ($method:ident $field:ident list) => {
        getter! { $method $field list corten_object::tree::List<'t> }
    };
    ($method:ident $field:ident map) => {
        getter! { $method $field map corten_object::tree::Map<'t> }
    };
    ($method:ident $field:ident strings) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::Strings<'t> {
            corten_object::tree::Strings::new(self.0.list(Self::$field))
        }
    };
    ($method:ident $field:ident string_map) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::StringMap<'t> {
            corten_object::tree::StringMap::new(self.0.map(Self::$field))
        }
    };
    ($method:ident $field:ident items $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> corten_object::tree::Items<'t, crate::$package::$inner<'t>> {
            corten_object::tree::Items::new(self.0.list(Self::$field))
        }
    };
    ($method:ident $field:ident structure $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> crate::$package::$inner<'t> {
            corten_object::tree::View::from_struct(self.0.structure(Self::$field))
        }
    };
    ($method:ident $field:ident structure_opt $package:ident :: $inner:ident) => {
        #[inline]
        pub fn $method(self) -> Option<crate::$package::$inner<'t>> {
            self.0.structure_opt(Self::$field).map(corten_object::tree::View::from_struct)
        }
    };
}

macro_rules! getter {
    ($method:ident $field:ident $read:ident $result:ty) => {
        #[inline]
        pub fn $method(self) -> $result {
            self.0.$read(Self::$field)
        }
    };
}

#[cfg(test)]
mod tests {
    use corten_object::tree::{IntOrStr, Struct, Tree, View};
    use corten_schema::TYPES;

    use crate::core_v1::{Container, ContainerPort, Pod, PodSpec, Probe};
    use crate::meta_v1::ObjectMeta;

    fn pod() -> Tree {
        let mut tree = Tree::of(Pod::TYPE);
        let mut pod = tree.edit();
        let mut metadata = pod.ensure(Pod::METADATA);
        metadata.set(ObjectMeta::NAME, "web");
        let mut labels = metadata.ensure(ObjectMeta::LABELS);
        labels.set_key("app", "web");
        let mut spec = pod.ensure(Pod::SPEC);
        spec.set(PodSpec::HOST_NETWORK, true);
        spec.set(PodSpec::TERMINATION_GRACE_PERIOD_SECONDS, 0i64);
        let mut container = spec.append(PodSpec::CONTAINERS, Container::TYPE);
        container.set(Container::IMAGE, "nginx");
        container.append(Container::PORTS, ContainerPort::TYPE).set(ContainerPort::CONTAINER_PORT, 80i64);
        tree
    }

    #[test]
    fn reads_what_is_there() {
        let tree = pod();
        let pod: Pod = tree.view();
        assert_eq!(pod.metadata().name(), "web");
        assert_eq!(pod.metadata().labels().iter().collect::<Vec<_>>(), [("app", "web")]);
        assert!(pod.spec().host_network());
        assert_eq!(pod.spec().termination_grace_period_seconds(), Some(0));
        let container = pod.spec().containers().get(0).unwrap();
        assert_eq!(container.image(), "nginx");
        assert_eq!(container.ports().iter().map(|port| port.container_port()).collect::<Vec<_>>(), [80]);
    }

    #[test]
    fn what_is_absent_is_zero() {
        let tree = pod();
        let pod: Pod = tree.view();
        assert_eq!(pod.spec().active_deadline_seconds(), None);
        assert!(pod.spec().security_context().is_none());
        assert!(pod.spec().init_containers().is_empty());
        assert!(!pod.spec().host_pid());
        assert_eq!(pod.status().pod_ip(), "");
        assert!(pod.status().pod_ips().is_empty());
        let nothing = Probe::from_struct(Struct::ABSENT);
        assert!(nothing.http_get().is_none());
        let get = crate::core_v1::HTTPGetAction::from_struct(Struct::ABSENT);
        assert_eq!(get.port(), IntOrStr::Int(0));
    }

    /// The generated constants are the tables' places.
    #[test]
    fn constants_are_the_tables_places() {
        assert_eq!(TYPES[PodSpec::TYPE.0 as usize].name, "core.v1.PodSpec");
        assert_eq!(PodSpec::TYPE.field(PodSpec::HOST_PID).name, "hostPID");
        let ty = crate::apiextensions_v1::JSONSchemaProps::TYPE;
        assert_eq!(ty.field(crate::apiextensions_v1::JSONSchemaProps::REF_).name, "$ref");
    }
}
