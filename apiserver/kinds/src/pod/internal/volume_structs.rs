//! The same for what a PersistentVolume's spec is made of.

use super::structs::Zero::Json;
use super::structs::{Field, field};

/// By the struct's name, sorted.
#[rustfmt::skip]
pub static STRUCTS: &[(&str, &[Field])] = &[
    ("AzureFilePersistentVolumeSource", &[
        field("SecretName", "secretName", Json("\"\"")), field("ShareName", "shareName", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("SecretNamespace", "secretNamespace", Json("null")),
    ]),
    ("CSIPersistentVolumeSource", &[
        field("Driver", "driver", Json("\"\"")), field("VolumeHandle", "volumeHandle", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("FSType", "fsType", Json("\"\"")),
        field("VolumeAttributes", "volumeAttributes", Json("null")),
        field("ControllerPublishSecretRef", "controllerPublishSecretRef", Json("null")),
        field("NodeStageSecretRef", "nodeStageSecretRef", Json("null")),
        field("NodePublishSecretRef", "nodePublishSecretRef", Json("null")),
        field("ControllerExpandSecretRef", "controllerExpandSecretRef", Json("null")),
        field("NodeExpandSecretRef", "nodeExpandSecretRef", Json("null")),
    ]),
    ("CephFSPersistentVolumeSource", &[
        field("Monitors", "monitors", Json("null")), field("Path", "path", Json("\"\"")),
        field("User", "user", Json("\"\"")), field("SecretFile", "secretFile", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("CinderPersistentVolumeSource", &[
        field("VolumeID", "volumeID", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("SecretRef", "secretRef", Json("null")),
    ]),
    ("FlexPersistentVolumeSource", &[
        field("Driver", "driver", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
        field("Options", "options", Json("null")),
    ]),
    ("GlusterfsPersistentVolumeSource", &[
        field("EndpointsName", "endpoints", Json("\"\"")), field("Path", "path", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("EndpointsNamespace", "endpointsNamespace", Json("null")),
    ]),
    ("ISCSIPersistentVolumeSource", &[
        field("TargetPortal", "targetPortal", Json("\"\"")), field("IQN", "iqn", Json("\"\"")),
        field("Lun", "lun", Json("0")), field("ISCSIInterface", "iscsiInterface", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("Portals", "portals", Json("null")), field("DiscoveryCHAPAuth", "chapAuthDiscovery", Json("false")),
        field("SessionCHAPAuth", "chapAuthSession", Json("false")), field("SecretRef", "secretRef", Json("null")),
        field("InitiatorName", "initiatorName", Json("null")),
    ]),
    ("LocalVolumeSource", &[
        field("Path", "path", Json("\"\"")), field("FSType", "fsType", Json("null")),
    ]),
    ("ObjectReference", &[
        field("Kind", "kind", Json("\"\"")), field("Namespace", "namespace", Json("\"\"")),
        field("Name", "name", Json("\"\"")), field("UID", "uid", Json("\"\"")),
        field("APIVersion", "apiVersion", Json("\"\"")), field("ResourceVersion", "resourceVersion", Json("\"\"")),
        field("FieldPath", "fieldPath", Json("\"\"")),
    ]),
    ("PersistentVolumeSource", &[
        field("GCEPersistentDisk", "gcePersistentDisk", Json("null")),
        field("AWSElasticBlockStore", "awsElasticBlockStore", Json("null")),
        field("HostPath", "hostPath", Json("null")), field("Glusterfs", "glusterfs", Json("null")),
        field("NFS", "nfs", Json("null")), field("RBD", "rbd", Json("null")),
        field("Quobyte", "quobyte", Json("null")), field("ISCSI", "iscsi", Json("null")),
        field("FlexVolume", "flexVolume", Json("null")), field("Cinder", "cinder", Json("null")),
        field("CephFS", "cephfs", Json("null")), field("FC", "fc", Json("null")),
        field("Flocker", "flocker", Json("null")), field("AzureFile", "azureFile", Json("null")),
        field("VsphereVolume", "vsphereVolume", Json("null")), field("AzureDisk", "azureDisk", Json("null")),
        field("PhotonPersistentDisk", "photonPersistentDisk", Json("null")),
        field("PortworxVolume", "portworxVolume", Json("null")), field("ScaleIO", "scaleIO", Json("null")),
        field("Local", "local", Json("null")), field("StorageOS", "storageos", Json("null")),
        field("CSI", "csi", Json("null")),
    ]),
    ("RBDPersistentVolumeSource", &[
        field("CephMonitors", "monitors", Json("null")), field("RBDImage", "image", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("RBDPool", "pool", Json("\"\"")),
        field("RadosUser", "user", Json("\"\"")), field("Keyring", "keyring", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("ScaleIOPersistentVolumeSource", &[
        field("Gateway", "gateway", Json("\"\"")), field("System", "system", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("SSLEnabled", "sslEnabled", Json("false")),
        field("ProtectionDomain", "protectionDomain", Json("\"\"")),
        field("StoragePool", "storagePool", Json("\"\"")), field("StorageMode", "storageMode", Json("\"\"")),
        field("VolumeName", "volumeName", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("SecretReference", &[
        field("Name", "name", Json("\"\"")), field("Namespace", "namespace", Json("\"\"")),
    ]),
    ("StorageOSPersistentVolumeSource", &[
        field("VolumeName", "volumeName", Json("\"\"")), field("VolumeNamespace", "volumeNamespace", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("SecretRef", "secretRef", Json("null")),
    ]),
    ("VolumeNodeAffinity", &[
        field("Required", "required", Json("null")),
    ]),
];
