//! Objects made from the schema tables: JSON text in normal form, so that no codec has a reason to change a value.

use corten_schema::{Field, FieldId, Kind, Proto, ProtoItem, RawKind, SchemaOr, Shape, Type, TypeId};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// Every field, one item in each list.
    Everything,
    /// About half of the fields, up to three items in each list.
    Sparse,
}

/// The JSON of an object of this kind; the same for the same seed.
pub fn generate(kind: &Kind, seed: u64, fill: Fill) -> Vec<u8> {
    let mut generator = Generator { random: Random(seed), fill, ancestors: Vec::new(), keys: &[], out: String::new() };
    let version = if kind.group.is_empty() { kind.version.into() } else { format!("{}/{}", kind.group, kind.version) };
    generator.out.push('{');
    // A WatchEvent is a kind that does not say so.
    let says_kind = kind.ty.get().field_named("kind").is_some();
    if says_kind {
        generator.out.push_str(&format!("\"kind\":\"{}\",\"apiVersion\":\"{version}\"", kind.kind));
    }
    generator.fields(kind.ty, !says_kind);
    generator.out.push('}');
    generator.out.into_bytes()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

struct Generator {
    random: Random,
    fill: Fill,
    /// The structs that are being written.
    ancestors: Vec<TypeId>,
    /// The fields by which the items of the list around are told apart: they are never left out.
    keys: &'static [&'static str],
    out: String,
}

/// What is easily broken: escapes, what Go escapes in HTML, several planes of Unicode, what YAML takes for something
/// else, long words that are folded.
const STRINGS: &[&str] = &[
    "a",
    "web-0",
    "a \\\"quoted\\\" word",
    "\\u003cb\\u003e \\u0026 c",
    "tab\\tline\\nend",
    "trailing space ",
    " leading space",
    "back\\\\slash",
    "\\u0001\\u001f\\u007f",
    "\\u2028\\u2029",
    "grüße 日本語",
    "\u{1F980}",
    "yes",
    "null",
    "~",
    "0123",
    "1e3",
    "0x1f",
    "12:30:45",
    "2024-05-06",
    "- item",
    "key: value",
    "# no comment",
    "%percent",
    "{{template}}",
    "line one\\nline two\\n",
    "\\n",
    "=",
    "<<",
    "a-long-text that has to be folded when somebody writes it as YAML, because it is much longer than eighty columns are",
];
const KEYS: &[&str] = &["a", "app.kubernetes.io/name", "b", "yes", "1", "true", "a b", "x\\ny", "", "é", "key: x", "#"];
const QUANTITIES: &[&str] =
    &["1", "100m", "1500m", "128Mi", "3Gi", "2k", "5M", "1u", "7n", "12e6", "7Ei", "-1", "1025"];
const TIMES: &[&str] =
    &["2024-01-02T03:04:05Z", "1970-01-01T00:00:01Z", "2038-01-19T03:14:08Z", "1969-12-31T23:59:59Z"];
const MICRO_TIMES: &[&str] =
    &["2024-01-02T03:04:05.000001Z", "2024-01-02T03:04:05.100000Z", "2024-01-02T03:04:05.000000Z"];
const DURATIONS: &[&str] =
    &["1s", "1m0s", "1h2m3s", "1.5s", "300ms", "2562047h47m16.854775807s", "-1m30s", "1µs", "7ns"];
const RAW_OBJECTS: &[&str] = &[
    "{\"apiVersion\":\"example.test/v1\",\"kind\":\"Thing\",\"spec\":{\"a\":[1,2.5,\"x\",null,true]}}",
    "{\"a\":{\"y\":[],\"z\":{}},\"b\":1}",
];
const RAW_VALUES: &[&str] = &["{\"a\":1}", "\"text\"", "5", "-2.5", "[1,\"a\"]", "true", "false"];
const FIELDS: &[&str] =
    &["{\"f:metadata\":{\"f:labels\":{\".\":{},\"f:a\":{}}}}", "{\"f:spec\":{\"k:{\\\"name\\\":\\\"x\\\"}\":{}}}"];

impl Generator {
    fn everything(&self) -> bool {
        self.fill == Fill::Everything
    }

    /// The fields of a struct whose brace is open.
    fn fields(&mut self, ty: TypeId, mut first: bool) {
        self.ancestors.push(ty);
        let keys = std::mem::take(&mut self.keys);
        for (i, field) in ty.get().fields.iter().enumerate() {
            let id = FieldId(i as u16);
            // What protobuf does not carry (kind and apiVersion of an object within another) cannot come back from it.
            if !in_protobuf(ty.get().proto, id) || !(keys.contains(&field.name) || self.is_chosen(ty.get(), field)) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            self.out.push_str(&format!("\"{}\":", field.name));
            self.keys = field.markers.list_map_keys;
            self.value(&field.shape, field.pointer);
        }
        self.keys = &[];
        self.ancestors.pop();
    }

    fn is_chosen(&mut self, ty: &Type, field: &Field) -> bool {
        // The revision is what canonical JSON leaves out.
        if ty.name == "meta.v1.ObjectMeta" && field.name == "resourceVersion" {
            return false;
        }
        let own = struct_of(&field.shape);
        let again = own.map_or(0, |own| self.ancestors.iter().filter(|known| **known == own).count());
        // Schemas hold schemas; two levels of them show what there is to see.
        if again >= 2 || self.ancestors.len() > 16 {
            return false;
        }
        if self.everything() {
            return true;
        }
        if field.name == "metadata" && self.ancestors.len() == 1 {
            return true;
        }
        self.random.below(100) < if self.ancestors.len() < 4 { 70 } else { 40 }
    }

    fn count(&mut self) -> usize {
        if self.everything() { 1 } else { 1 + self.random.below(3) }
    }

    fn string(&mut self) {
        let value = self.random.pick(STRINGS);
        self.out.push_str(&format!("\"{value}\""));
    }

    fn quoted(&mut self, all: &[&str]) {
        let value = self.random.pick(all);
        self.out.push_str(&format!("\"{value}\""));
    }

    fn text(&mut self, all: &[&str]) {
        let value = self.random.pick(all);
        self.out.push_str(value);
    }

    /// A value; zero only where that differs from absent.
    fn value(&mut self, shape: &'static Shape, zero: bool) {
        let zero = zero && !self.everything() && self.random.below(4) == 0;
        match shape {
            Shape::Bool => self.out.push_str(if zero { "false" } else { "true" }),
            Shape::Int32 | Shape::Int64 | Shape::Float64 | Shape::IntOrString if zero => self.out.push('0'),
            Shape::String if zero => self.out.push_str("\"\""),
            Shape::Int32 => self.text(&["1", "-1", "80", "2147483647", "-2147483648"]),
            Shape::Int64 => self.text(&["1", "-1", "30", "9223372036854775807", "-9223372036854775808"]),
            Shape::Float64 => self.text(&["0.5", "-2.25", "3", "1e+21", "1e-7"]),
            Shape::String => self.string(),
            Shape::Bytes => self.quoted(&["AA==", "aGVsbG8=", "/+8=", "AAECAw=="]),
            Shape::Time => self.quoted(TIMES),
            Shape::MicroTime => self.quoted(MICRO_TIMES),
            Shape::Duration => self.quoted(DURATIONS),
            Shape::Quantity => self.quoted(QUANTITIES),
            Shape::IntOrString => self.text(&["1", "8080", "-1", "\"50%\"", "\"http\"", "\"80\""]),
            Shape::Raw(RawKind::RawExtension) => self.text(RAW_OBJECTS),
            Shape::Raw(RawKind::FieldsV1) => self.text(FIELDS),
            Shape::Raw(RawKind::Json) => self.text(RAW_VALUES),
            Shape::SchemaOr(or) => self.schema_or(*or),
            Shape::Struct(ty) => {
                self.out.push('{');
                self.fields(*ty, true);
                self.out.push('}');
            }
            Shape::List(item) | Shape::WrappedList(item) => self.list(item),
            Shape::Map(value) => self.map(value),
        }
    }

    fn list(&mut self, item: &'static Shape) {
        self.out.push('[');
        let keys = self.keys;
        for i in 0..self.count() {
            if i > 0 {
                self.out.push(',');
            }
            self.keys = keys;
            self.value(item, true);
        }
        self.out.push(']');
    }

    fn map(&mut self, value: &'static Shape) {
        let mut keys: Vec<&str> = (0..self.count()).map(|_| self.random.pick(KEYS)).collect();
        keys.sort_unstable();
        keys.dedup();
        self.out.push('{');
        for (i, key) in keys.into_iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            self.out.push_str(&format!("\"{key}\":"));
            self.value(value, true);
        }
        self.out.push('}');
    }

    fn schema_or(&mut self, or: SchemaOr) {
        let (SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) = or;
        let again = self.ancestors.iter().filter(|known| **known == ty).count() > 1;
        match (or, again || self.random.below(2) == 0) {
            (SchemaOr::Bool(_), true) => self.text(&["true", "false"]),
            (SchemaOr::Strings(_), true) => self.out.push_str("[\"a\",\"b\"]"),
            (SchemaOr::Array(ty), _) if again => self.schema(ty, "{\"type\":\"string\"}"),
            (SchemaOr::Array(ty), true) => {
                self.out.push('[');
                self.schema(ty, "");
                self.out.push(']');
            }
            _ => self.schema(ty, ""),
        }
    }

    /// A schema, or the text that stands for one where they would have no end.
    fn schema(&mut self, ty: TypeId, instead: &str) {
        if !instead.is_empty() {
            return self.out.push_str(instead);
        }
        self.out.push('{');
        self.fields(ty, true);
        self.out.push('}');
    }
}

pub fn in_protobuf(items: &[Proto], id: FieldId) -> bool {
    items.iter().any(|entry| match &entry.item {
        ProtoItem::Field(field) => *field == id,
        ProtoItem::Embedded { items, .. } => in_protobuf(items, id),
    })
}

/// The struct that a shape holds, through lists and maps.
pub fn struct_of(shape: &Shape) -> Option<TypeId> {
    match shape {
        Shape::Struct(ty) => Some(*ty),
        Shape::SchemaOr(SchemaOr::Bool(ty) | SchemaOr::Array(ty) | SchemaOr::Strings(ty)) => Some(*ty),
        Shape::List(item) | Shape::Map(item) | Shape::WrappedList(item) => struct_of(item),
        _ => None,
    }
}
