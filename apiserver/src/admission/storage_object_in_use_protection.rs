//! StorageObjectInUseProtection: volumes, claims and classes of attributes stay until a controller has found that
//! nobody uses them.

use corten_api::status::Result;
use corten_object::tree::Tree;

use super::{Attributes, Operation, Phase, Plugin};
use crate::call::Call;
use crate::metadata;

pub struct StorageObjectInUseProtection;

/// Group, resource, and the finalizer that its controller takes away.
const PROTECTED: [(&str, &str, &str); 3] = [
    ("", "persistentvolumes", "kubernetes.io/pv-protection"),
    ("", "persistentvolumeclaims", "kubernetes.io/pvc-protection"),
    ("storage.k8s.io", "volumeattributesclasses", "kubernetes.io/vac-protection"),
];

impl Plugin for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Admit]
    }

    fn admit(&self, _: &Call, attributes: &Attributes<'_>, object: &mut Tree, _: Option<&Tree>) -> Result<()> {
        let row = PROTECTED.iter().find(|(group, plural, _)| attributes.is(group, plural));
        let Some((_, _, finalizer)) = row.filter(|_| attributes.operation == Operation::Create) else { return Ok(()) };
        let mut finalizers: Vec<String> = metadata::read(object).finalizers().iter().map(str::to_owned).collect();
        if !finalizers.iter().any(|own| own == finalizer) {
            finalizers.push((*finalizer).to_owned());
            metadata::set_finalizers(object, finalizers.iter().map(String::as_str));
        }
        Ok(())
    }
}
