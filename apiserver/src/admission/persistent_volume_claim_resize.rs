//! PersistentVolumeClaimResize: a claim grows when it is bound, and if its class says that its volumes may.

use corten_api::quantity::Quantity;
use corten_api::status::Result;
use corten_object::tree::Tree;
use corten_views::core_v1::PersistentVolumeClaim;
use corten_views::storage_v1::StorageClass;

use super::{Attributes, Operation, Phase, Plugin, forbidden};
use crate::call::Call;

pub struct PersistentVolumeClaimResize;

const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

impl Plugin for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn phases(&self) -> &'static [Phase] {
        &[Phase::Validate]
    }

    fn validate(
        &self,
        call: &Call,
        attributes: &Attributes<'_>,
        object: Option<&Tree>,
        old: Option<&Tree>,
    ) -> Result<()> {
        let (Some(object), Some(old)) = (object, old) else { return Ok(()) };
        if !attributes.is("", "persistentvolumeclaims") || attributes.operation != Operation::Update {
            return Ok(());
        }
        let (new, old): (PersistentVolumeClaim<'_>, PersistentVolumeClaim<'_>) = (object.view(), old.view());
        if size(new) <= size(old) {
            return Ok(());
        }
        if old.status().phase() != "Bound" {
            return Err(forbidden(attributes, "Only bound persistent volume claims can be expanded"));
        }
        let same = class(new).filter(|new| Some(*new) == class(old));
        if let Some(class) = same
            && expands(call, class)?
        {
            return Ok(());
        }
        let message = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc \
            must support resize";
        Err(forbidden(attributes, message))
    }
}

fn size(claim: PersistentVolumeClaim<'_>) -> Quantity {
    let requests = claim.spec().resources().requests();
    requests.get("storage").and_then(|text| Quantity::parse(text).ok()).unwrap_or_default()
}

/// By the annotation of old, or by the field.
fn class<'t>(claim: PersistentVolumeClaim<'t>) -> Option<&'t str> {
    let annotated = claim.metadata().annotations().get(CLASS);
    annotated.or(claim.spec().storage_class_name()).filter(|class| !class.is_empty())
}

fn expands(call: &Call, class: &str) -> Result<bool> {
    let tree = call.api.lookup_tree("storage.k8s.io", "storageclasses", class)?;
    Ok(tree.is_some_and(|tree| tree.view::<StorageClass<'_>>().allow_volume_expansion() == Some(true)))
}
