//! A definition as upstream sees it inside: what all versions share stands beside them and not in them. Paths and values
//! of errors show it.

use corten_api::field::BadValue;
use corten_api::json::{Members, write_array, write_f64, write_string, write_strings};
use corten_object::json;
use corten_object::tree::{Items, List, Node, Value, View};
use corten_views::apiextensions_v1::{
    CustomResourceColumnDefinition, CustomResourceDefinitionSpec, CustomResourceDefinitionVersion,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps, SelectableField,
};

#[derive(Clone, Copy)]
pub struct Spec<'t> {
    pub view: CustomResourceDefinitionSpec<'t>,
    pub shares_schema: bool,
    pub shares_subresources: bool,
    pub shares_columns: bool,
    pub shares_selectable: bool,
}

impl<'t> Spec<'t> {
    pub fn of(view: CustomResourceDefinitionSpec<'t>) -> Spec<'t> {
        let versions = view.versions();
        let Some(first) = versions.get(0) else {
            return Spec {
                view,
                shares_schema: false,
                shares_subresources: false,
                shares_columns: false,
                shares_selectable: false,
            };
        };
        let all = |same: &dyn Fn(CustomResourceDefinitionVersion<'t>) -> bool| versions.iter().all(same);
        Spec {
            view,
            shares_schema: all(&|version| same(version.schema(), first.schema())),
            shares_subresources: all(&|version| same(version.subresources(), first.subresources())),
            shares_columns: all(&|version| {
                same_lists(version.additional_printer_columns().nodes(), first.additional_printer_columns().nodes())
            }),
            shares_selectable: all(&|version| {
                same_lists(version.selectable_fields().nodes(), first.selectable_fields().nodes())
            }),
        }
    }

    fn first(&self) -> Option<CustomResourceDefinitionVersion<'t>> {
        self.view.versions().get(0)
    }

    /// The schema of all versions.
    pub fn validation(&self) -> Option<CustomResourceValidation<'t>> {
        self.first().filter(|_| self.shares_schema)?.schema()
    }

    /// The schema of one version alone.
    pub fn schema_of(&self, version: CustomResourceDefinitionVersion<'t>) -> Option<CustomResourceValidation<'t>> {
        if self.shares_schema { None } else { version.schema() }
    }

    pub fn subresources(&self) -> Option<CustomResourceSubresources<'t>> {
        self.first().filter(|_| self.shares_subresources)?.subresources()
    }

    pub fn subresources_of(
        &self,
        version: CustomResourceDefinitionVersion<'t>,
    ) -> Option<CustomResourceSubresources<'t>> {
        if self.shares_subresources { None } else { version.subresources() }
    }

    pub fn columns(&self) -> Option<Items<'t, CustomResourceColumnDefinition<'t>>> {
        Some(self.first().filter(|_| self.shares_columns)?.additional_printer_columns())
    }

    pub fn columns_of(
        &self,
        version: CustomResourceDefinitionVersion<'t>,
    ) -> Option<Items<'t, CustomResourceColumnDefinition<'t>>> {
        (!self.shares_columns).then(|| version.additional_printer_columns())
    }

    pub fn selectable(&self) -> Option<Items<'t, SelectableField<'t>>> {
        Some(self.first().filter(|_| self.shares_selectable)?.selectable_fields())
    }

    pub fn selectable_of(
        &self,
        version: CustomResourceDefinitionVersion<'t>,
    ) -> Option<Items<'t, SelectableField<'t>>> {
        (!self.shares_selectable).then(|| version.selectable_fields())
    }

    /// Every schema once.
    pub fn schemas(&self) -> Vec<JSONSchemaProps<'t>> {
        let shared = self.validation().into_iter();
        let own = self.view.versions().iter().filter_map(|version| self.schema_of(version));
        shared.chain(own).filter_map(|validation| validation.open_api_v3_schema()).collect()
    }

    /// `spec.versions`, as an error shows it.
    pub fn bad_versions(&self) -> BadValue {
        let versions = self.view.versions();
        if !self.view.as_struct().has(CustomResourceDefinitionSpec::VERSIONS) {
            return BadValue::Null;
        }
        let mut out = Vec::new();
        write_array(&mut out, versions.iter(), |version, out| self.write_version(version, out));
        BadValue::Json(String::from_utf8_lossy(&out).into_owned())
    }

    fn write_version(&self, version: CustomResourceDefinitionVersion<'t>, out: &mut Vec<u8>) {
        let mut fields = Fields::new(out);
        fields.string("Name", version.name());
        fields.bool("Served", version.served());
        fields.bool("Storage", version.storage());
        fields.bool("Deprecated", version.deprecated());
        fields.string_opt("DeprecationWarning", version.deprecation_warning());
        fields.with("Schema", self.schema_of(version), |schema, out| {
            let mut fields = Fields::new(out);
            fields.with("OpenAPIV3Schema", schema.open_api_v3_schema(), write_schema);
            fields.end();
        });
        fields.with("Subresources", self.subresources_of(version), |subresources, out| {
            let mut fields = Fields::new(out);
            fields.with("Status", subresources.status(), |_, out| out.extend_from_slice(b"{}"));
            fields.with("Scale", subresources.scale(), |scale, out| {
                let mut fields = Fields::new(out);
                fields.string("SpecReplicasPath", scale.spec_replicas_path());
                fields.string("StatusReplicasPath", scale.status_replicas_path());
                fields.string_opt("LabelSelectorPath", scale.label_selector_path());
                fields.end();
            });
            fields.end();
        });
        let columns = self.columns_of(version).filter(|columns| !columns.is_empty());
        fields.with("AdditionalPrinterColumns", columns, |columns, out| {
            write_array(out, columns.iter(), |column, out| {
                let mut fields = Fields::new(out);
                fields.string("Name", column.name());
                fields.string("Type", column.type_());
                fields.string("Format", column.format());
                fields.string("Description", column.description());
                fields.int("Priority", column.priority());
                fields.string("JSONPath", column.json_path());
                fields.end();
            });
        });
        let selectable = self.selectable_of(version).filter(|selectable| !selectable.is_empty());
        fields.with("SelectableFields", selectable, |selectable, out| {
            write_array(out, selectable.iter(), |field, out| {
                let mut fields = Fields::new(out);
                fields.string("JSONPath", field.json_path());
                fields.end();
            });
        });
        fields.end();
    }
}

fn same<'a, 'b>(a: Option<impl View<'a>>, b: Option<impl View<'b>>) -> bool {
    match (a.and_then(|a| a.as_struct().as_node()), b.and_then(|b| b.as_struct().as_node())) {
        (Some(a), Some(b)) => a.equals(b),
        (None, None) => true,
        _ => false,
    }
}

fn same_lists(a: List<'_>, b: List<'_>) -> bool {
    a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
}

pub fn same_selectable(a: CustomResourceDefinitionVersion<'_>, b: CustomResourceDefinitionVersion<'_>) -> bool {
    same_lists(a.selectable_fields().nodes(), b.selectable_fields().nodes())
}

/// A schema, as an error shows it.
pub fn bad_schema(schema: JSONSchemaProps<'_>) -> BadValue {
    let mut out = Vec::new();
    write_schema(schema, &mut out);
    BadValue::Json(String::from_utf8_lossy(&out).into_owned())
}

/// `items`, as an error shows it.
pub fn bad_items(schema: JSONSchemaProps<'_>) -> BadValue {
    let mut out = Vec::new();
    if let Some(items) = schema.items() {
        write_items(items, &mut out);
    }
    BadValue::Json(String::from_utf8_lossy(&out).into_owned())
}

/// An object whose members are Go's names for fields, none left out.
struct Fields<'o>(Members<'o>);

impl<'o> Fields<'o> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        Fields(Members::new(out))
    }

    fn end(self) {
        self.0.end();
    }

    fn string(&mut self, name: &str, value: &str) {
        write_string(self.0.name(name), value);
    }

    fn string_opt(&mut self, name: &str, value: Option<&str>) {
        self.with(name, value, |value, out| write_string(out, value));
    }

    fn bool(&mut self, name: &str, value: bool) {
        self.0.name(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    fn int(&mut self, name: &str, value: i64) {
        self.0.name(name).extend_from_slice(value.to_string().as_bytes());
    }

    fn int_opt(&mut self, name: &str, value: Option<i64>) {
        self.with(name, value, |value, out| out.extend_from_slice(value.to_string().as_bytes()));
    }

    fn float_opt(&mut self, name: &str, value: Option<f64>) {
        self.with(name, value, |value, out| write_f64(out, value));
    }

    fn strings(&mut self, name: &str, values: corten_object::tree::Strings<'_>) {
        let values = (!values.is_empty()).then_some(values);
        self.with(name, values, |values, out| write_strings(out, values.iter()));
    }

    fn schemas(&mut self, name: &str, schemas: Items<'_, JSONSchemaProps<'_>>) {
        let schemas = (!schemas.is_empty()).then_some(schemas);
        self.with(name, schemas, |schemas, out| write_array(out, schemas.iter(), write_schema));
    }

    fn with<T>(&mut self, name: &str, value: Option<T>, write: impl FnOnce(T, &mut Vec<u8>)) {
        let out = self.0.name(name);
        match value {
            Some(value) => write(value, out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

fn write_schema(schema: JSONSchemaProps<'_>, out: &mut Vec<u8>) {
    let raw = |text: &str, out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
    let mut fields = Fields::new(out);
    fields.string("ID", schema.id());
    fields.string("Schema", schema.schema());
    fields.string_opt("Ref", schema.ref_());
    fields.string("Description", schema.description());
    fields.string("Type", schema.type_());
    fields.bool("Nullable", schema.nullable());
    fields.string("Format", schema.format());
    fields.string("Title", schema.title());
    fields.with("Default", schema.default(), raw);
    fields.float_opt("Maximum", schema.maximum());
    fields.bool("ExclusiveMaximum", schema.exclusive_maximum());
    fields.float_opt("Minimum", schema.minimum());
    fields.bool("ExclusiveMinimum", schema.exclusive_minimum());
    fields.int_opt("MaxLength", schema.max_length());
    fields.int_opt("MinLength", schema.min_length());
    fields.string("Pattern", schema.pattern());
    fields.int_opt("MaxItems", schema.max_items());
    fields.int_opt("MinItems", schema.min_items());
    fields.bool("UniqueItems", schema.unique_items());
    fields.float_opt("MultipleOf", schema.multiple_of());
    let values = (!schema.enum_().is_empty()).then(|| schema.enum_());
    fields.with("Enum", values, |values, out| write_array(out, values.iter(), json::write));
    fields.int_opt("MaxProperties", schema.max_properties());
    fields.int_opt("MinProperties", schema.min_properties());
    fields.strings("Required", schema.required());
    fields.with("Items", schema.items(), write_items);
    fields.schemas("AllOf", schema.all_of());
    fields.schemas("OneOf", schema.one_of());
    fields.schemas("AnyOf", schema.any_of());
    fields.with("Not", schema.not(), write_schema);
    let map = |map: corten_object::tree::Map<'_>, fields: &mut Fields<'_>, name: &str| {
        fields.with(name, (!map.is_empty()).then_some(map), |map, out| {
            let mut fields = Fields::new(out);
            for (name, node) in map.iter() {
                fields.with(name, Some(JSONSchemaProps::from_struct(node.as_struct())), write_schema);
            }
            fields.end();
        });
    };
    map(schema.properties(), &mut fields, "Properties");
    fields.with("AdditionalProperties", schema.additional_properties(), write_schema_or_bool);
    map(schema.pattern_properties(), &mut fields, "PatternProperties");
    let dependencies = (!schema.dependencies().is_empty()).then(|| schema.dependencies());
    fields.with("Dependencies", dependencies, |map, out| {
        let mut fields = Fields::new(out);
        for (name, node) in map.iter() {
            fields.with(name, Some(node), json::write);
        }
        fields.end();
    });
    fields.with("AdditionalItems", schema.additional_items(), write_schema_or_bool);
    map(schema.definitions(), &mut fields, "Definitions");
    fields.with("ExternalDocs", schema.external_docs(), |docs, out| {
        let mut fields = Fields::new(out);
        fields.string("Description", docs.description());
        fields.string("URL", docs.url());
        fields.end();
    });
    fields.with("Example", schema.example(), raw);
    let preserve = schema.x_kubernetes_preserve_unknown_fields();
    fields.with("XPreserveUnknownFields", preserve, |value, out| out.extend_from_slice(value.to_string().as_bytes()));
    fields.bool("XEmbeddedResource", schema.x_kubernetes_embedded_resource());
    fields.bool("XIntOrString", schema.x_kubernetes_int_or_string());
    fields.strings("XListMapKeys", schema.x_kubernetes_list_map_keys());
    fields.string_opt("XListType", schema.x_kubernetes_list_type());
    fields.string_opt("XMapType", schema.x_kubernetes_map_type());
    let rules = (!schema.x_kubernetes_validations().is_empty()).then(|| schema.x_kubernetes_validations());
    fields.with("XValidations", rules, |rules, out| {
        write_array(out, rules.iter(), |rule, out| {
            let mut fields = Fields::new(out);
            fields.string("Rule", rule.rule());
            fields.string("Message", rule.message());
            fields.string("MessageExpression", rule.message_expression());
            fields.string_opt("Reason", rule.reason());
            fields.string("FieldPath", rule.field_path());
            let old_self = rule.optional_old_self();
            fields.with("OptionalOldSelf", old_self, |value, out| out.extend_from_slice(value.to_string().as_bytes()));
            fields.end();
        });
    });
    fields.end();
}

fn write_items(items: Node<'_>, out: &mut Vec<u8>) {
    let mut fields = Fields::new(out);
    match items.value() {
        Value::List(list) => {
            fields.with("Schema", None::<()>, |(), _| {});
            fields.with("JSONSchemas", Some(list), |list, out| {
                let schemas = list.iter().map(|node| JSONSchemaProps::from_struct(node.as_struct()));
                write_array(out, schemas, write_schema);
            });
        }
        _ => {
            fields.with("Schema", Some(JSONSchemaProps::from_struct(items.as_struct())), write_schema);
            fields.with("JSONSchemas", None::<()>, |(), _| {});
        }
    }
    fields.end();
}

fn write_schema_or_bool(node: Node<'_>, out: &mut Vec<u8>) {
    let schema = matches!(node.value(), Value::Struct(_)).then(|| JSONSchemaProps::from_struct(node.as_struct()));
    let mut fields = Fields::new(out);
    fields.bool("Allows", schema.is_some() || node.as_bool());
    fields.with("Schema", schema, write_schema);
    fields.end();
}
