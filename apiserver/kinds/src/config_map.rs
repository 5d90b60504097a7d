//! ConfigMap.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Node;
use corten_views::core_v1::ConfigMap;

use crate::access::{decoded_length, same, view};
use crate::object_meta::invalid_each;
use crate::strategy::{Context, MetadataRun, Strategy};

/// What a ConfigMap or a Secret may hold altogether.
pub const SIZE_MAX: usize = 1024 * 1024;
pub const IMMUTABLE: &str = "field is immutable when `immutable` is set";

pub struct ConfigMaps;

impl Strategy for ConfigMaps {
    fn validate(&self, object: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        validate(view(object), &mut errors);
        errors
    }

    fn validate_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Errors {
        let mut errors = Errors::default();
        let (new, old): (ConfigMap<'_>, ConfigMap<'_>) = (view(object), view(old));
        if old.immutable() == Some(true) {
            let data = same(new, old, ConfigMap::DATA);
            let binary = same(new, old, ConfigMap::BINARY_DATA);
            for (field, kept) in [("immutable", new.immutable() == Some(true)), ("data", data), ("binaryData", binary)]
            {
                if !kept {
                    errors.push(Error::forbidden(&Path::new(field), IMMUTABLE));
                }
            }
        }
        validate(new, &mut errors);
        errors
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }
}

fn validate(map: ConfigMap<'_>, errors: &mut Errors) {
    let mut size = 0;
    let path = Path::new("data");
    for (key, value) in map.data().iter() {
        let path = path.key(key);
        invalid_each(names::is_config_map_key(key), key, &path, errors);
        if map.binary_data().contains_key(key) {
            errors.push(Error::invalid(&path, key, "duplicate of key present in binaryData"));
        }
        size += value.len();
    }
    let path = Path::new("binaryData");
    for (key, value) in map.binary_data().iter() {
        invalid_each(names::is_config_map_key(key), key, &path.key(key), errors);
        size += decoded_length(value);
    }
    if size > SIZE_MAX {
        // Upstream's way to speak of the whole object.
        errors.push(Error::too_long(&Path::new(""), SIZE_MAX));
    }
}
