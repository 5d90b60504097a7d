//! Volumes, claims to them, and the `storage.k8s.io` group.

use corten_object::tree::{Node, Strings};
use corten_views::core_v1::{PersistentVolume, PersistentVolumeClaim};
use corten_views::meta_v1::ObjectMeta;
use corten_views::storage_v1::{CSIDriver, CSINode, StorageClass, VolumeAttachment, VolumeAttributesClass};

use super::{AGE, NAME, NONE, Printer, UNSET, age, boolean, integer, join, or, text, view, wide};
use crate::table::{Column, Row};

pub(super) fn printer(plural: &str) -> Option<&'static Printer> {
    Some(match plural {
        "csidrivers" => &CSI_DRIVER,
        "csinodes" => &CSI_NODE,
        "storageclasses" => &STORAGE_CLASS,
        "volumeattachments" => &VOLUME_ATTACHMENT,
        "volumeattributesclasses" => &VOLUME_ATTRIBUTES_CLASS,
        _ => return None,
    })
}

pub(super) static PERSISTENT_VOLUME: Printer = Printer {
    columns: &[
        NAME,
        text(
            "Capacity",
            "capacity is the description of the persistent volume's resources and capacity. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#capacity",
        ),
        text(
            "Access Modes",
            "accessModes contains all ways the volume can be mounted. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#access-modes",
        ),
        text(
            "Reclaim Policy",
            "persistentVolumeReclaimPolicy defines what happens to a persistent volume when released from its claim. Valid options are Retain (default for manually created PersistentVolumes), Delete (default for dynamically provisioned PersistentVolumes), and Recycle (deprecated). Recycle must be supported by the volume plugin underlying this PersistentVolume. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#reclaiming",
        ),
        text(
            "Status",
            "phase indicates if a volume is available, bound to a claim, or released by a claim. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#phase",
        ),
        text(
            "Claim",
            "claimRef is part of a bi-directional binding between PersistentVolume and PersistentVolumeClaim. Expected to be non-nil when bound. claim.VolumeName is the authoritative bind between PV and PVC. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#binding",
        ),
        text("StorageClass", "StorageClass of the pv"),
        text("VolumeAttributesClass", "VolumeAttributesClass of the pv"),
        text(
            "Reason",
            "reason is a brief CamelCase string that describes any failure and is meant for machine parsing and tidy display in the CLI.",
        ),
        AGE,
        wide(
            "VolumeMode",
            "volumeMode defines if a volume is intended to be used with a formatted filesystem or to remain in raw block state. Value of Filesystem is implied when not included in spec.",
        ),
    ],
    row: persistent_volume,
};

pub(super) static PERSISTENT_VOLUME_CLAIM: Printer = Printer {
    columns: &[
        NAME,
        text("Status", "phase represents the current phase of PersistentVolumeClaim."),
        text("Volume", "volumeName is the binding reference to the PersistentVolume backing this claim."),
        text("Capacity", "capacity represents the actual resources of the underlying volume."),
        text(
            "Access Modes",
            "accessModes contains the actual access modes the volume backing the PVC has. More info: https://kubernetes.io/docs/concepts/storage/persistent-volumes#access-modes-1",
        ),
        text("StorageClass", "StorageClass of the pvc"),
        text("VolumeAttributesClass", "VolumeAttributesClass of the pvc"),
        AGE,
        wide(
            "VolumeMode",
            "volumeMode defines what type of volume is required by the claim. Value of Filesystem is implied when not included in claim spec.",
        ),
    ],
    row: persistent_volume_claim,
};

static STORAGE_CLASS: Printer = Printer {
    columns: &[
        NAME,
        text("Provisioner", "provisioner indicates the type of the provisioner."),
        text(
            "ReclaimPolicy",
            "reclaimPolicy controls the reclaimPolicy for dynamically provisioned PersistentVolumes of this storage class. Defaults to Delete.",
        ),
        text(
            "VolumeBindingMode",
            "volumeBindingMode indicates how PersistentVolumeClaims should be provisioned and bound.  When unset, VolumeBindingImmediate is used. This field is only honored by servers that enable the VolumeScheduling feature.",
        ),
        text("AllowVolumeExpansion", "allowVolumeExpansion shows whether the storage class allow volume expand."),
        AGE,
    ],
    row: storage_class,
};

static VOLUME_ATTRIBUTES_CLASS: Printer = Printer {
    columns: &[NAME, text("DriverName", "Name of the CSI driver This field is immutable."), AGE],
    row: volume_attributes_class,
};

static VOLUME_ATTACHMENT: Printer = Printer {
    columns: &[
        NAME,
        Column {
            format: "name",
            ..text(
                "Attacher",
                "attacher indicates the name of the volume driver that MUST handle this request. This is the name returned by GetPluginName().",
            )
        },
        text("PV", "persistentVolumeName represents the name of the persistent volume to attach."),
        text("Node", "nodeName represents the node that the volume should be attached to."),
        boolean(
            "Attached",
            "attached indicates the volume is successfully attached. This field must only be set by the entity completing the attach operation, i.e. the external-attacher.",
        ),
        AGE,
    ],
    row: volume_attachment,
};

static CSI_NODE: Printer = Printer {
    columns: &[NAME, integer("Drivers", "Drivers indicates the number of CSI drivers registered on the node"), AGE],
    row: csi_node,
};

static CSI_DRIVER: Printer = Printer {
    columns: &[
        NAME,
        boolean(
            "AttachRequired",
            "attachRequired indicates this CSI volume driver requires an attach operation (because it implements the CSI ControllerPublishVolume() method), and that the Kubernetes attach detach controller should call the attach volume interface which checks the volumeattachment status and waits until the volume is attached before proceeding to mounting. The CSI external-attacher coordinates with CSI volume driver and updates the volumeattachment status when the attach operation is complete. If the value is specified to false, the attach operation will be skipped. Otherwise the attach operation will be called.\n\nThis field is immutable.",
        ),
        boolean(
            "PodInfoOnMount",
            "podInfoOnMount indicates this CSI volume driver requires additional pod information (like podName, podUID, etc.) during mount operations, if set to true. If set to false, pod information will not be passed on mount. Default is false.\n\nThe CSI driver specifies podInfoOnMount as part of driver deployment. If true, Kubelet will pass pod information as VolumeContext in the CSI NodePublishVolume() calls. The CSI driver is responsible for parsing and validating the information passed in as VolumeContext.\n\nThe following VolumeContext will be passed if podInfoOnMount is set to true. This list might grow, but the prefix will be used. \"csi.storage.k8s.io/pod.name\": pod.Name \"csi.storage.k8s.io/pod.namespace\": pod.Namespace \"csi.storage.k8s.io/pod.uid\": string(pod.UID) \"csi.storage.k8s.io/ephemeral\": \"true\" if the volume is an ephemeral inline volume\n                                defined by a CSIVolumeSource, otherwise \"false\"\n\n\"csi.storage.k8s.io/ephemeral\" is a new feature in Kubernetes 1.16. It is only required for drivers which support both the \"Persistent\" and \"Ephemeral\" VolumeLifecycleMode. Other drivers can leave pod info disabled and/or ignore this field. As Kubernetes 1.15 doesn't support this field, drivers can only support one mode when deployed on such a cluster and the deployment determines which mode that is, for example via a command line parameter of the driver.\n\nThis field was immutable in Kubernetes < 1.29 and now is mutable.",
        ),
        boolean(
            "StorageCapacity",
            "storageCapacity indicates that the CSI volume driver wants pod scheduling to consider the storage capacity that the driver deployment will report by creating CSIStorageCapacity objects with capacity information, if set to true.\n\nThe check can be enabled immediately when deploying a driver. In that case, provisioning new volumes with late binding will pause until the driver deployment has published some suitable CSIStorageCapacity object.\n\nAlternatively, the driver can be deployed with the field unset or false and it can be flipped later when storage capacity information has been published.\n\nThis field was immutable in Kubernetes <= 1.22 and now is mutable.",
        ),
        text(
            "TokenRequests",
            "tokenRequests indicates the CSI driver needs pods' service account tokens it is mounting volume for to do necessary authentication. Kubelet will pass the tokens in VolumeContext in the CSI NodePublishVolume calls. The CSI driver should parse and validate the following VolumeContext: \"csi.storage.k8s.io/serviceAccount.tokens\": {\n  \"<audience>\": {\n    \"token\": <token>,\n    \"expirationTimestamp\": <expiration timestamp in RFC3339>,\n  },\n  ...\n}\n\nNote: Audience in each TokenRequest should be different and at most one token is empty string. To receive a new token after expiry, RequiresRepublish can be used to trigger NodePublishVolume periodically.",
        ),
        boolean(
            "RequiresRepublish",
            "requiresRepublish indicates the CSI driver wants `NodePublishVolume` being periodically called to reflect any possible change in the mounted volume. This field defaults to false.\n\nNote: After a successful initial NodePublishVolume call, subsequent calls to NodePublishVolume should only update the contents of the volume. New mount points will not be seen by a running container.",
        ),
        text(
            "Modes",
            "volumeLifecycleModes defines what kind of volumes this CSI volume driver supports. The default if the list is empty is \"Persistent\", which is the usage defined by the CSI specification and implemented in Kubernetes via the usual PV/PVC mechanism.\n\nThe other mode is \"Ephemeral\". In this mode, volumes are defined inline inside the pod spec with CSIVolumeSource and their lifecycle is tied to the lifecycle of that pod. A driver has to be aware of this because it is only going to get a NodePublishVolume call for such a volume.\n\nFor more information about implementing this mode, see https://kubernetes-csi.github.io/docs/ephemeral-local-volumes.html A driver can support one or more of these modes and more modes may be added in the future.\n\nThis field is beta. This field is immutable.",
        ),
        AGE,
    ],
    row: csi_driver,
};

fn persistent_volume(object: Node<'_>) -> Row {
    let object: PersistentVolume = view(object);
    let (metadata, spec, status) = (object.metadata(), object.spec(), object.status());
    let claim = spec.claim_ref().map(|claim| format!("{}/{}", claim.namespace(), claim.name()));
    row![
        metadata.name(),
        spec.capacity().get("storage").unwrap_or("0"),
        access_modes(spec.access_modes()),
        spec.persistent_volume_reclaim_policy(),
        phase(metadata, status.phase()),
        claim.unwrap_or_default(),
        storage_class_name(metadata, spec.storage_class_name()),
        spec.volume_attributes_class_name().unwrap_or(UNSET),
        status.reason(),
        age(metadata),
        spec.volume_mode().unwrap_or(UNSET),
    ]
}

/// What is claimed is shown only once there is a volume.
fn persistent_volume_claim(object: Node<'_>) -> Row {
    let object: PersistentVolumeClaim = view(object);
    let (metadata, spec, status) = (object.metadata(), object.spec(), object.status());
    let (capacity, modes) = match spec.volume_name() {
        "" => ("", String::new()),
        _ => (status.capacity().get("storage").unwrap_or("0"), access_modes(status.access_modes())),
    };
    row![
        metadata.name(),
        phase(metadata, status.phase()),
        spec.volume_name(),
        capacity,
        modes,
        storage_class_name(metadata, spec.storage_class_name().unwrap_or("")),
        spec.volume_attributes_class_name().unwrap_or(UNSET),
        age(metadata),
        spec.volume_mode().unwrap_or(UNSET),
    ]
}

fn phase<'s>(metadata: ObjectMeta<'_>, phase: &'s str) -> &'s str {
    if metadata.deletion_timestamp().is_some() { "Terminating" } else { phase }
}

fn access_modes(modes: Strings<'_>) -> String {
    const SHORT: [(&str, &str); 4] =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    join(SHORT.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| *short), ",")
}

/// The annotation of the field's beta goes first.
fn storage_class_name<'s>(metadata: ObjectMeta<'s>, field: &'s str) -> &'s str {
    metadata.annotations().get("volume.beta.kubernetes.io/storage-class").unwrap_or(field)
}

fn storage_class(object: Node<'_>) -> Row {
    let object: StorageClass = view(object);
    let annotations = object.metadata().annotations();
    let is_default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| annotations.get(key) == Some("true"));
    row![
        format!("{}{}", object.metadata().name(), if is_default { " (default)" } else { "" }),
        object.provisioner(),
        object.reclaim_policy().unwrap_or("Delete"),
        object.volume_binding_mode().unwrap_or("Immediate"),
        object.allow_volume_expansion().unwrap_or(false),
        age(object.metadata()),
    ]
}

fn volume_attributes_class(object: Node<'_>) -> Row {
    let object: VolumeAttributesClass = view(object);
    row![object.metadata().name(), object.driver_name(), age(object.metadata())]
}

fn volume_attachment(object: Node<'_>) -> Row {
    let object: VolumeAttachment = view(object);
    let spec = object.spec();
    row![
        object.metadata().name(),
        spec.attacher(),
        spec.source().persistent_volume_name().unwrap_or(""),
        spec.node_name(),
        object.status().attached(),
        age(object.metadata()),
    ]
}

fn csi_node(object: Node<'_>) -> Row {
    let object: CSINode = view(object);
    row![object.metadata().name(), object.spec().drivers().len() as i64, age(object.metadata())]
}

fn csi_driver(object: Node<'_>) -> Row {
    let object: CSIDriver = view(object);
    let spec = object.spec();
    let audiences = match spec.token_requests() {
        requests if requests.is_empty() => UNSET.to_owned(),
        requests => join(requests.iter().map(|request| request.audience()), ","),
    };
    row![
        object.metadata().name(),
        spec.attach_required().unwrap_or(true),
        spec.pod_info_on_mount().unwrap_or(false),
        spec.storage_capacity().unwrap_or(false),
        audiences,
        spec.requires_republish().unwrap_or(false),
        or(&join(spec.volume_lifecycle_modes().iter(), ","), NONE),
        age(object.metadata()),
    ]
}
