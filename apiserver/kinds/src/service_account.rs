//! ServiceAccount.

use corten_object::tree::{Edit, Node};
use corten_views::core_v1::{ObjectReference, ServiceAccount};

use crate::access::view;
use crate::strategy::{Context, MetadataRun, Strategy};

const ENFORCE_MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

pub struct ServiceAccounts;

impl Strategy for ServiceAccounts {
    fn prepare_create(&self, object: &mut Edit<'_>, _context: &Context<'_>) {
        keep_names_of_secrets(object);
    }

    fn prepare_update(&self, object: &mut Edit<'_>, _old: Node<'_>, _context: &Context<'_>) {
        keep_names_of_secrets(object);
    }

    fn warn_create(&self, object: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        warnings(view(object))
    }

    fn warn_update(&self, object: Node<'_>, old: Node<'_>, _context: &Context<'_>) -> Vec<String> {
        let had = view::<ServiceAccount<'_>>(old).metadata().annotations().contains_key(ENFORCE_MOUNTABLE);
        if had { Vec::new() } else { warnings(view(object)) }
    }

    fn metadata_on_update(&self) -> &'static [MetadataRun] {
        &[MetadataRun::Change, MetadataRun::Whole]
    }
}

fn keep_names_of_secrets(object: &mut Edit<'_>) {
    for secret in object.items(ServiceAccount::SECRETS) {
        let mut secret = object.at(secret);
        for field in [
            ObjectReference::KIND,
            ObjectReference::NAMESPACE,
            ObjectReference::UID,
            ObjectReference::API_VERSION,
            ObjectReference::RESOURCE_VERSION,
            ObjectReference::FIELD_PATH,
        ] {
            secret.remove(field);
        }
    }
}

fn warnings(account: ServiceAccount<'_>) -> Vec<String> {
    if !account.metadata().annotations().contains_key(ENFORCE_MOUNTABLE) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{ENFORCE_MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access \
         to mounted secrets"
    )]
}
