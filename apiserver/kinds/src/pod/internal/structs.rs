//! How upstream's internal API names and orders the fields of what a pod's spec is made of.

/// A field of an internal struct.
pub struct Field {
    /// Go's name for it.
    pub go: &'static str,
    /// Its name in the versioned API; "" where that has it elsewhere.
    pub name: &'static str,
    pub zero: Zero,
}

/// What shows where nothing is set.
pub enum Zero {
    Json(&'static str),
    Struct(&'static str),
}

use Zero::{Json, Struct};

pub const fn field(go: &'static str, name: &'static str, zero: Zero) -> Field {
    Field { go, name, zero }
}

/// By the struct's name, sorted.
#[rustfmt::skip]
pub static STRUCTS: &[(&str, &[Field])] = &[
    ("AWSElasticBlockStoreVolumeSource", &[
        field("VolumeID", "volumeID", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("Partition", "partition", Json("0")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("Affinity", &[
        field("NodeAffinity", "nodeAffinity", Json("null")), field("PodAffinity", "podAffinity", Json("null")),
        field("PodAntiAffinity", "podAntiAffinity", Json("null")),
    ]),
    ("AppArmorProfile", &[
        field("Type", "type", Json("\"\"")), field("LocalhostProfile", "localhostProfile", Json("null")),
    ]),
    ("AzureDiskVolumeSource", &[
        field("DiskName", "diskName", Json("\"\"")), field("DataDiskURI", "diskURI", Json("\"\"")),
        field("CachingMode", "cachingMode", Json("null")), field("FSType", "fsType", Json("null")),
        field("ReadOnly", "readOnly", Json("null")), field("Kind", "kind", Json("null")),
    ]),
    ("AzureFileVolumeSource", &[
        field("SecretName", "secretName", Json("\"\"")), field("ShareName", "shareName", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("CSIVolumeSource", &[
        field("Driver", "driver", Json("\"\"")), field("ReadOnly", "readOnly", Json("null")),
        field("FSType", "fsType", Json("null")), field("VolumeAttributes", "volumeAttributes", Json("null")),
        field("NodePublishSecretRef", "nodePublishSecretRef", Json("null")),
    ]),
    ("Capabilities", &[
        field("Add", "add", Json("null")), field("Drop", "drop", Json("null")),
    ]),
    ("CephFSVolumeSource", &[
        field("Monitors", "monitors", Json("null")), field("Path", "path", Json("\"\"")),
        field("User", "user", Json("\"\"")), field("SecretFile", "secretFile", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("CinderVolumeSource", &[
        field("VolumeID", "volumeID", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("SecretRef", "secretRef", Json("null")),
    ]),
    ("ClusterTrustBundleProjection", &[
        field("Name", "name", Json("null")), field("SignerName", "signerName", Json("null")),
        field("LabelSelector", "labelSelector", Json("null")), field("Optional", "optional", Json("null")),
        field("Path", "path", Json("\"\"")),
    ]),
    ("ConfigMapEnvSource", &[
        field("Name", "name", Json("\"\"")), field("Optional", "optional", Json("null")),
    ]),
    ("ConfigMapKeySelector", &[
        field("Name", "name", Json("\"\"")), field("Key", "key", Json("\"\"")),
        field("Optional", "optional", Json("null")),
    ]),
    ("ConfigMapProjection", &[
        field("Name", "name", Json("\"\"")), field("Items", "items", Json("null")),
        field("Optional", "optional", Json("null")),
    ]),
    ("ConfigMapVolumeSource", &[
        field("Name", "name", Json("\"\"")), field("Items", "items", Json("null")),
        field("DefaultMode", "defaultMode", Json("null")), field("Optional", "optional", Json("null")),
    ]),
    ("Container", &[
        field("Name", "name", Json("\"\"")), field("Image", "image", Json("\"\"")),
        field("Command", "command", Json("null")), field("Args", "args", Json("null")),
        field("WorkingDir", "workingDir", Json("\"\"")), field("Ports", "ports", Json("null")),
        field("EnvFrom", "envFrom", Json("null")), field("Env", "env", Json("null")),
        field("Resources", "resources", Struct("ResourceRequirements")),
        field("ResizePolicy", "resizePolicy", Json("null")), field("RestartPolicy", "restartPolicy", Json("null")),
        field("RestartPolicyRules", "restartPolicyRules", Json("null")),
        field("VolumeMounts", "volumeMounts", Json("null")), field("VolumeDevices", "volumeDevices", Json("null")),
        field("LivenessProbe", "livenessProbe", Json("null")),
        field("ReadinessProbe", "readinessProbe", Json("null")), field("StartupProbe", "startupProbe", Json("null")),
        field("Lifecycle", "lifecycle", Json("null")),
        field("TerminationMessagePath", "terminationMessagePath", Json("\"\"")),
        field("TerminationMessagePolicy", "terminationMessagePolicy", Json("\"\"")),
        field("ImagePullPolicy", "imagePullPolicy", Json("\"\"")),
        field("SecurityContext", "securityContext", Json("null")), field("Stdin", "stdin", Json("false")),
        field("StdinOnce", "stdinOnce", Json("false")), field("TTY", "tty", Json("false")),
    ]),
    ("ContainerPort", &[
        field("Name", "name", Json("\"\"")), field("HostPort", "hostPort", Json("0")),
        field("ContainerPort", "containerPort", Json("0")), field("Protocol", "protocol", Json("\"\"")),
        field("HostIP", "hostIP", Json("\"\"")),
    ]),
    ("ContainerResizePolicy", &[
        field("ResourceName", "resourceName", Json("\"\"")), field("RestartPolicy", "restartPolicy", Json("\"\"")),
    ]),
    ("ContainerRestartRule", &[
        field("Action", "action", Json("\"\"")), field("ExitCodes", "exitCodes", Json("null")),
    ]),
    ("ContainerRestartRuleOnExitCodes", &[
        field("Operator", "operator", Json("\"\"")), field("Values", "values", Json("null")),
    ]),
    ("DaemonSetUpdateStrategy", &[
        field("Type", "type", Json("\"\"")), field("RollingUpdate", "rollingUpdate", Json("null")),
    ]),
    ("DeploymentStrategy", &[
        field("Type", "type", Json("\"\"")), field("RollingUpdate", "rollingUpdate", Json("null")),
    ]),
    ("DownwardAPIProjection", &[
        field("Items", "items", Json("null")),
    ]),
    ("DownwardAPIVolumeFile", &[
        field("Path", "path", Json("\"\"")), field("FieldRef", "fieldRef", Json("null")),
        field("ResourceFieldRef", "resourceFieldRef", Json("null")), field("Mode", "mode", Json("null")),
    ]),
    ("DownwardAPIVolumeSource", &[
        field("Items", "items", Json("null")), field("DefaultMode", "defaultMode", Json("null")),
    ]),
    ("EmptyDirVolumeSource", &[
        field("Medium", "medium", Json("\"\"")), field("SizeLimit", "sizeLimit", Json("null")),
    ]),
    ("EnvFromSource", &[
        field("Prefix", "prefix", Json("\"\"")), field("ConfigMapRef", "configMapRef", Json("null")),
        field("SecretRef", "secretRef", Json("null")),
    ]),
    ("EnvVar", &[
        field("Name", "name", Json("\"\"")), field("Value", "value", Json("\"\"")),
        field("ValueFrom", "valueFrom", Json("null")),
    ]),
    ("EnvVarSource", &[
        field("FieldRef", "fieldRef", Json("null")), field("ResourceFieldRef", "resourceFieldRef", Json("null")),
        field("ConfigMapKeyRef", "configMapKeyRef", Json("null")),
        field("SecretKeyRef", "secretKeyRef", Json("null")), field("FileKeyRef", "fileKeyRef", Json("null")),
    ]),
    ("EphemeralContainer", &[
        field("Name", "name", Json("\"\"")), field("Image", "image", Json("\"\"")),
        field("Command", "command", Json("null")), field("Args", "args", Json("null")),
        field("WorkingDir", "workingDir", Json("\"\"")), field("Ports", "ports", Json("null")),
        field("EnvFrom", "envFrom", Json("null")), field("Env", "env", Json("null")),
        field("Resources", "resources", Struct("ResourceRequirements")),
        field("ResizePolicy", "resizePolicy", Json("null")), field("RestartPolicy", "restartPolicy", Json("null")),
        field("RestartPolicyRules", "restartPolicyRules", Json("null")),
        field("VolumeMounts", "volumeMounts", Json("null")), field("VolumeDevices", "volumeDevices", Json("null")),
        field("LivenessProbe", "livenessProbe", Json("null")),
        field("ReadinessProbe", "readinessProbe", Json("null")), field("StartupProbe", "startupProbe", Json("null")),
        field("Lifecycle", "lifecycle", Json("null")),
        field("TerminationMessagePath", "terminationMessagePath", Json("\"\"")),
        field("TerminationMessagePolicy", "terminationMessagePolicy", Json("\"\"")),
        field("ImagePullPolicy", "imagePullPolicy", Json("\"\"")),
        field("SecurityContext", "securityContext", Json("null")), field("Stdin", "stdin", Json("false")),
        field("StdinOnce", "stdinOnce", Json("false")), field("TTY", "tty", Json("false")),
        field("TargetContainerName", "targetContainerName", Json("\"\"")),
    ]),
    ("EphemeralVolumeSource", &[
        field("VolumeClaimTemplate", "volumeClaimTemplate", Json("null")),
    ]),
    ("ExecAction", &[
        field("Command", "command", Json("null")),
    ]),
    ("FCVolumeSource", &[
        field("TargetWWNs", "targetWWNs", Json("null")), field("Lun", "lun", Json("null")),
        field("FSType", "fsType", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("WWIDs", "wwids", Json("null")),
    ]),
    ("FileKeySelector", &[
        field("VolumeName", "volumeName", Json("\"\"")), field("Path", "path", Json("\"\"")),
        field("Key", "key", Json("\"\"")), field("Optional", "optional", Json("null")),
    ]),
    ("FlexVolumeSource", &[
        field("Driver", "driver", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
        field("Options", "options", Json("null")),
    ]),
    ("FlockerVolumeSource", &[
        field("DatasetName", "datasetName", Json("\"\"")), field("DatasetUUID", "datasetUUID", Json("\"\"")),
    ]),
    ("GCEPersistentDiskVolumeSource", &[
        field("PDName", "pdName", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("Partition", "partition", Json("0")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("GRPCAction", &[
        field("Port", "port", Json("0")), field("Service", "service", Json("null")),
    ]),
    ("GitRepoVolumeSource", &[
        field("Repository", "repository", Json("\"\"")), field("Revision", "revision", Json("\"\"")),
        field("Directory", "directory", Json("\"\"")),
    ]),
    ("GlusterfsVolumeSource", &[
        field("EndpointsName", "endpoints", Json("\"\"")), field("Path", "path", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("HTTPGetAction", &[
        field("Path", "path", Json("\"\"")), field("Port", "port", Json("0")), field("Host", "host", Json("\"\"")),
        field("Scheme", "scheme", Json("\"\"")), field("HTTPHeaders", "httpHeaders", Json("null")),
    ]),
    ("HTTPHeader", &[
        field("Name", "name", Json("\"\"")), field("Value", "value", Json("\"\"")),
    ]),
    ("HostAlias", &[
        field("IP", "ip", Json("\"\"")), field("Hostnames", "hostnames", Json("null")),
    ]),
    ("HostIP", &[
        field("IP", "ip", Json("\"\"")),
    ]),
    ("HostPathVolumeSource", &[
        field("Path", "path", Json("\"\"")), field("Type", "type", Json("null")),
    ]),
    ("ISCSIVolumeSource", &[
        field("TargetPortal", "targetPortal", Json("\"\"")), field("IQN", "iqn", Json("\"\"")),
        field("Lun", "lun", Json("0")), field("ISCSIInterface", "iscsiInterface", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("Portals", "portals", Json("null")), field("DiscoveryCHAPAuth", "chapAuthDiscovery", Json("false")),
        field("SessionCHAPAuth", "chapAuthSession", Json("false")), field("SecretRef", "secretRef", Json("null")),
        field("InitiatorName", "initiatorName", Json("null")),
    ]),
    ("ImageVolumeSource", &[
        field("Reference", "reference", Json("\"\"")), field("PullPolicy", "pullPolicy", Json("\"\"")),
    ]),
    ("KeyToPath", &[
        field("Key", "key", Json("\"\"")), field("Path", "path", Json("\"\"")), field("Mode", "mode", Json("null")),
    ]),
    ("Lifecycle", &[
        field("PostStart", "postStart", Json("null")), field("PreStop", "preStop", Json("null")),
        field("StopSignal", "stopSignal", Json("null")),
    ]),
    ("LifecycleHandler", &[
        field("Exec", "exec", Json("null")), field("HTTPGet", "httpGet", Json("null")),
        field("TCPSocket", "tcpSocket", Json("null")), field("Sleep", "sleep", Json("null")),
    ]),
    ("LocalObjectReference", &[
        field("Name", "name", Json("\"\"")),
    ]),
    ("NFSVolumeSource", &[
        field("Server", "server", Json("\"\"")), field("Path", "path", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("NodeAffinity", &[
        field("RequiredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution", Json("null")),
        field("PreferredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution", Json("null")),
    ]),
    ("NodeSelector", &[
        field("NodeSelectorTerms", "nodeSelectorTerms", Json("null")),
    ]),
    ("NodeSelectorRequirement", &[
        field("Key", "key", Json("\"\"")), field("Operator", "operator", Json("\"\"")),
        field("Values", "values", Json("null")),
    ]),
    ("NodeSelectorTerm", &[
        field("MatchExpressions", "matchExpressions", Json("null")),
        field("MatchFields", "matchFields", Json("null")),
    ]),
    ("ObjectFieldSelector", &[
        field("APIVersion", "apiVersion", Json("\"\"")), field("FieldPath", "fieldPath", Json("\"\"")),
    ]),
    ("PersistentVolumeClaimSpec", &[
        field("AccessModes", "accessModes", Json("null")), field("Selector", "selector", Json("null")),
        field("Resources", "resources", Struct("VolumeResourceRequirements")),
        field("VolumeName", "volumeName", Json("\"\"")), field("StorageClassName", "storageClassName", Json("null")),
        field("VolumeMode", "volumeMode", Json("null")), field("DataSource", "dataSource", Json("null")),
        field("DataSourceRef", "dataSourceRef", Json("null")),
        field("VolumeAttributesClassName", "volumeAttributesClassName", Json("null")),
    ]),
    ("PersistentVolumeClaimTemplate", &[
        field("ObjectMeta", "metadata", Json("{}")), field("Spec", "spec", Struct("PersistentVolumeClaimSpec")),
    ]),
    ("PersistentVolumeClaimVolumeSource", &[
        field("ClaimName", "claimName", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("PhotonPersistentDiskVolumeSource", &[
        field("PdID", "pdID", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
    ]),
    ("PodAffinity", &[
        field("RequiredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution", Json("null")),
        field("PreferredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution", Json("null")),
    ]),
    ("PodAffinityTerm", &[
        field("LabelSelector", "labelSelector", Json("null")), field("Namespaces", "namespaces", Json("null")),
        field("TopologyKey", "topologyKey", Json("\"\"")),
        field("NamespaceSelector", "namespaceSelector", Json("null")),
        field("MatchLabelKeys", "matchLabelKeys", Json("null")),
        field("MismatchLabelKeys", "mismatchLabelKeys", Json("null")),
    ]),
    ("PodAntiAffinity", &[
        field("RequiredDuringSchedulingIgnoredDuringExecution", "requiredDuringSchedulingIgnoredDuringExecution", Json("null")),
        field("PreferredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution", Json("null")),
    ]),
    ("PodCertificateProjection", &[
        field("SignerName", "signerName", Json("\"\"")), field("KeyType", "keyType", Json("\"\"")),
        field("MaxExpirationSeconds", "maxExpirationSeconds", Json("null")),
        field("CredentialBundlePath", "credentialBundlePath", Json("\"\"")),
        field("KeyPath", "keyPath", Json("\"\"")),
        field("CertificateChainPath", "certificateChainPath", Json("\"\"")),
        field("UserAnnotations", "userAnnotations", Json("null")),
    ]),
    ("PodDNSConfig", &[
        field("Nameservers", "nameservers", Json("null")), field("Searches", "searches", Json("null")),
        field("Options", "options", Json("null")),
    ]),
    ("PodDNSConfigOption", &[
        field("Name", "name", Json("\"\"")), field("Value", "value", Json("null")),
    ]),
    ("PodFailurePolicy", &[
        field("Rules", "rules", Json("null")),
    ]),
    ("PodFailurePolicyOnExitCodesRequirement", &[
        field("ContainerName", "containerName", Json("null")), field("Operator", "operator", Json("\"\"")),
        field("Values", "values", Json("null")),
    ]),
    ("PodFailurePolicyOnPodConditionsPattern", &[
        field("Type", "type", Json("\"\"")), field("Status", "status", Json("\"\"")),
    ]),
    ("PodFailurePolicyRule", &[
        field("Action", "action", Json("\"\"")), field("OnExitCodes", "onExitCodes", Json("null")),
        field("OnPodConditions", "onPodConditions", Json("null")),
    ]),
    ("PodIP", &[
        field("IP", "ip", Json("\"\"")),
    ]),
    ("PodOS", &[
        field("Name", "name", Json("\"\"")),
    ]),
    ("PodReadinessGate", &[
        field("ConditionType", "conditionType", Json("\"\"")),
    ]),
    ("PodResourceClaim", &[
        field("Name", "name", Json("\"\"")), field("ResourceClaimName", "resourceClaimName", Json("null")),
        field("ResourceClaimTemplateName", "resourceClaimTemplateName", Json("null")),
    ]),
    ("PodSchedulingGate", &[
        field("Name", "name", Json("\"\"")),
    ]),
    ("PodSchedulingGroup", &[
        field("PodGroupName", "podGroupName", Json("null")),
    ]),
    ("PodSecurityContext", &[
        field("HostNetwork", "", Json("false")), field("HostPID", "", Json("false")),
        field("HostIPC", "", Json("false")), field("ShareProcessNamespace", "", Json("null")),
        field("HostUsers", "", Json("null")), field("SELinuxOptions", "seLinuxOptions", Json("null")),
        field("WindowsOptions", "windowsOptions", Json("null")), field("RunAsUser", "runAsUser", Json("null")),
        field("RunAsGroup", "runAsGroup", Json("null")), field("RunAsNonRoot", "runAsNonRoot", Json("null")),
        field("SupplementalGroups", "supplementalGroups", Json("null")),
        field("SupplementalGroupsPolicy", "supplementalGroupsPolicy", Json("null")),
        field("FSGroup", "fsGroup", Json("null")), field("FSGroupChangePolicy", "fsGroupChangePolicy", Json("null")),
        field("Sysctls", "sysctls", Json("null")), field("SeccompProfile", "seccompProfile", Json("null")),
        field("AppArmorProfile", "appArmorProfile", Json("null")),
        field("SELinuxChangePolicy", "seLinuxChangePolicy", Json("null")),
    ]),
    ("PodSpec", &[
        field("Volumes", "volumes", Json("null")), field("InitContainers", "initContainers", Json("null")),
        field("Containers", "containers", Json("null")),
        field("EphemeralContainers", "ephemeralContainers", Json("null")),
        field("RestartPolicy", "restartPolicy", Json("\"\"")),
        field("TerminationGracePeriodSeconds", "terminationGracePeriodSeconds", Json("null")),
        field("ActiveDeadlineSeconds", "activeDeadlineSeconds", Json("null")),
        field("DNSPolicy", "dnsPolicy", Json("\"\"")), field("NodeSelector", "nodeSelector", Json("null")),
        field("ServiceAccountName", "serviceAccountName", Json("\"\"")),
        field("AutomountServiceAccountToken", "automountServiceAccountToken", Json("null")),
        field("NodeName", "nodeName", Json("\"\"")), field("SecurityContext", "securityContext", Json("null")),
        field("ImagePullSecrets", "imagePullSecrets", Json("null")), field("Hostname", "hostname", Json("\"\"")),
        field("Subdomain", "subdomain", Json("\"\"")), field("SetHostnameAsFQDN", "setHostnameAsFQDN", Json("null")),
        field("Affinity", "affinity", Json("null")), field("SchedulerName", "schedulerName", Json("\"\"")),
        field("Tolerations", "tolerations", Json("null")), field("HostAliases", "hostAliases", Json("null")),
        field("PriorityClassName", "priorityClassName", Json("\"\"")), field("Priority", "priority", Json("null")),
        field("PreemptionPolicy", "preemptionPolicy", Json("null")), field("DNSConfig", "dnsConfig", Json("null")),
        field("ReadinessGates", "readinessGates", Json("null")),
        field("RuntimeClassName", "runtimeClassName", Json("null")), field("Overhead", "overhead", Json("null")),
        field("EnableServiceLinks", "enableServiceLinks", Json("null")),
        field("TopologySpreadConstraints", "topologySpreadConstraints", Json("null")),
        field("OS", "os", Json("null")), field("SchedulingGates", "schedulingGates", Json("null")),
        field("ResourceClaims", "resourceClaims", Json("null")), field("Resources", "resources", Json("null")),
        field("HostnameOverride", "hostnameOverride", Json("null")),
        field("SchedulingGroup", "schedulingGroup", Json("null")),
    ]),
    ("PortworxVolumeSource", &[
        field("VolumeID", "volumeID", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("PreferredSchedulingTerm", &[
        field("Weight", "weight", Json("0")), field("Preference", "preference", Struct("NodeSelectorTerm")),
    ]),
    ("Probe", &[
        field("Exec", "exec", Json("null")), field("HTTPGet", "httpGet", Json("null")),
        field("TCPSocket", "tcpSocket", Json("null")), field("GRPC", "grpc", Json("null")),
        field("InitialDelaySeconds", "initialDelaySeconds", Json("0")),
        field("TimeoutSeconds", "timeoutSeconds", Json("0")), field("PeriodSeconds", "periodSeconds", Json("0")),
        field("SuccessThreshold", "successThreshold", Json("0")),
        field("FailureThreshold", "failureThreshold", Json("0")),
        field("TerminationGracePeriodSeconds", "terminationGracePeriodSeconds", Json("null")),
    ]),
    ("ProjectedVolumeSource", &[
        field("Sources", "sources", Json("null")), field("DefaultMode", "defaultMode", Json("null")),
    ]),
    ("QuobyteVolumeSource", &[
        field("Registry", "registry", Json("\"\"")), field("Volume", "volume", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")), field("User", "user", Json("\"\"")),
        field("Group", "group", Json("\"\"")), field("Tenant", "tenant", Json("\"\"")),
    ]),
    ("RBDVolumeSource", &[
        field("CephMonitors", "monitors", Json("null")), field("RBDImage", "image", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("RBDPool", "pool", Json("\"\"")),
        field("RadosUser", "user", Json("\"\"")), field("Keyring", "keyring", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("ResourceClaim", &[
        field("Name", "name", Json("\"\"")), field("Request", "request", Json("\"\"")),
    ]),
    ("ResourceFieldSelector", &[
        field("ContainerName", "containerName", Json("\"\"")), field("Resource", "resource", Json("\"\"")),
        field("Divisor", "divisor", Json("\"0\"")),
    ]),
    ("ResourceRequirements", &[
        field("Limits", "limits", Json("null")), field("Requests", "requests", Json("null")),
        field("Claims", "claims", Json("null")),
    ]),
    ("RollingUpdateDaemonSet", &[
        field("MaxUnavailable", "maxUnavailable", Json("0")), field("MaxSurge", "maxSurge", Json("0")),
    ]),
    ("RollingUpdateDeployment", &[
        field("MaxUnavailable", "maxUnavailable", Json("0")), field("MaxSurge", "maxSurge", Json("0")),
    ]),
    ("RollingUpdateStatefulSetStrategy", &[
        field("Partition", "partition", Json("0")), field("MaxUnavailable", "maxUnavailable", Json("null")),
    ]),
    ("SELinuxOptions", &[
        field("User", "user", Json("\"\"")), field("Role", "role", Json("\"\"")), field("Type", "type", Json("\"\"")),
        field("Level", "level", Json("\"\"")),
    ]),
    ("ScaleIOVolumeSource", &[
        field("Gateway", "gateway", Json("\"\"")), field("System", "system", Json("\"\"")),
        field("SecretRef", "secretRef", Json("null")), field("SSLEnabled", "sslEnabled", Json("false")),
        field("ProtectionDomain", "protectionDomain", Json("\"\"")),
        field("StoragePool", "storagePool", Json("\"\"")), field("StorageMode", "storageMode", Json("\"\"")),
        field("VolumeName", "volumeName", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("ReadOnly", "readOnly", Json("false")),
    ]),
    ("SeccompProfile", &[
        field("Type", "type", Json("\"\"")), field("LocalhostProfile", "localhostProfile", Json("null")),
    ]),
    ("SecretEnvSource", &[
        field("Name", "name", Json("\"\"")), field("Optional", "optional", Json("null")),
    ]),
    ("SecretKeySelector", &[
        field("Name", "name", Json("\"\"")), field("Key", "key", Json("\"\"")),
        field("Optional", "optional", Json("null")),
    ]),
    ("SecretProjection", &[
        field("Name", "name", Json("\"\"")), field("Items", "items", Json("null")),
        field("Optional", "optional", Json("null")),
    ]),
    ("SecretVolumeSource", &[
        field("SecretName", "secretName", Json("\"\"")), field("Items", "items", Json("null")),
        field("DefaultMode", "defaultMode", Json("null")), field("Optional", "optional", Json("null")),
    ]),
    ("SecurityContext", &[
        field("Capabilities", "capabilities", Json("null")), field("Privileged", "privileged", Json("null")),
        field("SELinuxOptions", "seLinuxOptions", Json("null")),
        field("WindowsOptions", "windowsOptions", Json("null")), field("RunAsUser", "runAsUser", Json("null")),
        field("RunAsGroup", "runAsGroup", Json("null")), field("RunAsNonRoot", "runAsNonRoot", Json("null")),
        field("ReadOnlyRootFilesystem", "readOnlyRootFilesystem", Json("null")),
        field("AllowPrivilegeEscalation", "allowPrivilegeEscalation", Json("null")),
        field("ProcMount", "procMount", Json("null")), field("SeccompProfile", "seccompProfile", Json("null")),
        field("AppArmorProfile", "appArmorProfile", Json("null")),
    ]),
    ("ServiceAccountTokenProjection", &[
        field("Audience", "audience", Json("\"\"")), field("ExpirationSeconds", "expirationSeconds", Json("0")),
        field("Path", "path", Json("\"\"")),
    ]),
    ("SleepAction", &[
        field("Seconds", "seconds", Json("0")),
    ]),
    ("StatefulSetUpdateStrategy", &[
        field("Type", "type", Json("\"\"")), field("RollingUpdate", "rollingUpdate", Json("null")),
    ]),
    ("StorageOSVolumeSource", &[
        field("VolumeName", "volumeName", Json("\"\"")), field("VolumeNamespace", "volumeNamespace", Json("\"\"")),
        field("FSType", "fsType", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("SecretRef", "secretRef", Json("null")),
    ]),
    ("SuccessPolicy", &[
        field("Rules", "rules", Json("null")),
    ]),
    ("SuccessPolicyRule", &[
        field("SucceededIndexes", "succeededIndexes", Json("null")),
        field("SucceededCount", "succeededCount", Json("null")),
    ]),
    ("Sysctl", &[
        field("Name", "name", Json("\"\"")), field("Value", "value", Json("\"\"")),
    ]),
    ("TCPSocketAction", &[
        field("Port", "port", Json("0")), field("Host", "host", Json("\"\"")),
    ]),
    ("Toleration", &[
        field("Key", "key", Json("\"\"")), field("Operator", "operator", Json("\"\"")),
        field("Value", "value", Json("\"\"")), field("Effect", "effect", Json("\"\"")),
        field("TolerationSeconds", "tolerationSeconds", Json("null")),
    ]),
    ("TopologySpreadConstraint", &[
        field("MaxSkew", "maxSkew", Json("0")), field("TopologyKey", "topologyKey", Json("\"\"")),
        field("WhenUnsatisfiable", "whenUnsatisfiable", Json("\"\"")),
        field("LabelSelector", "labelSelector", Json("null")), field("MinDomains", "minDomains", Json("null")),
        field("NodeAffinityPolicy", "nodeAffinityPolicy", Json("null")),
        field("NodeTaintsPolicy", "nodeTaintsPolicy", Json("null")),
        field("MatchLabelKeys", "matchLabelKeys", Json("null")),
    ]),
    ("TypedLocalObjectReference", &[
        field("APIGroup", "apiGroup", Json("null")), field("Kind", "kind", Json("\"\"")),
        field("Name", "name", Json("\"\"")),
    ]),
    ("TypedObjectReference", &[
        field("APIGroup", "apiGroup", Json("null")), field("Kind", "kind", Json("\"\"")),
        field("Name", "name", Json("\"\"")), field("Namespace", "namespace", Json("null")),
    ]),
    ("UncountedTerminatedPods", &[
        field("Succeeded", "succeeded", Json("null")), field("Failed", "failed", Json("null")),
    ]),
    ("Volume", &[
        field("Name", "name", Json("\"\"")), field("HostPath", "hostPath", Json("null")),
        field("EmptyDir", "emptyDir", Json("null")), field("GCEPersistentDisk", "gcePersistentDisk", Json("null")),
        field("AWSElasticBlockStore", "awsElasticBlockStore", Json("null")),
        field("GitRepo", "gitRepo", Json("null")), field("Secret", "secret", Json("null")),
        field("NFS", "nfs", Json("null")), field("ISCSI", "iscsi", Json("null")),
        field("Glusterfs", "glusterfs", Json("null")),
        field("PersistentVolumeClaim", "persistentVolumeClaim", Json("null")), field("RBD", "rbd", Json("null")),
        field("Quobyte", "quobyte", Json("null")), field("FlexVolume", "flexVolume", Json("null")),
        field("Cinder", "cinder", Json("null")), field("CephFS", "cephfs", Json("null")),
        field("Flocker", "flocker", Json("null")), field("DownwardAPI", "downwardAPI", Json("null")),
        field("FC", "fc", Json("null")), field("AzureFile", "azureFile", Json("null")),
        field("ConfigMap", "configMap", Json("null")), field("VsphereVolume", "vsphereVolume", Json("null")),
        field("AzureDisk", "azureDisk", Json("null")),
        field("PhotonPersistentDisk", "photonPersistentDisk", Json("null")),
        field("Projected", "projected", Json("null")), field("PortworxVolume", "portworxVolume", Json("null")),
        field("ScaleIO", "scaleIO", Json("null")), field("StorageOS", "storageos", Json("null")),
        field("CSI", "csi", Json("null")), field("Ephemeral", "ephemeral", Json("null")),
        field("Image", "image", Json("null")),
    ]),
    ("VolumeDevice", &[
        field("Name", "name", Json("\"\"")), field("DevicePath", "devicePath", Json("\"\"")),
    ]),
    ("VolumeMount", &[
        field("Name", "name", Json("\"\"")), field("ReadOnly", "readOnly", Json("false")),
        field("RecursiveReadOnly", "recursiveReadOnly", Json("null")), field("MountPath", "mountPath", Json("\"\"")),
        field("SubPath", "subPath", Json("\"\"")), field("MountPropagation", "mountPropagation", Json("null")),
        field("SubPathExpr", "subPathExpr", Json("\"\"")),
    ]),
    ("VolumeProjection", &[
        field("Secret", "secret", Json("null")), field("DownwardAPI", "downwardAPI", Json("null")),
        field("ConfigMap", "configMap", Json("null")),
        field("ServiceAccountToken", "serviceAccountToken", Json("null")),
        field("ClusterTrustBundle", "clusterTrustBundle", Json("null")),
        field("PodCertificate", "podCertificate", Json("null")),
    ]),
    ("VolumeResourceRequirements", &[
        field("Limits", "limits", Json("null")), field("Requests", "requests", Json("null")),
    ]),
    ("VsphereVirtualDiskVolumeSource", &[
        field("VolumePath", "volumePath", Json("\"\"")), field("FSType", "fsType", Json("\"\"")),
        field("StoragePolicyName", "storagePolicyName", Json("\"\"")),
        field("StoragePolicyID", "storagePolicyID", Json("\"\"")),
    ]),
    ("WeightedPodAffinityTerm", &[
        field("Weight", "weight", Json("0")), field("PodAffinityTerm", "podAffinityTerm", Struct("PodAffinityTerm")),
    ]),
    ("WindowsSecurityContextOptions", &[
        field("GMSACredentialSpecName", "gmsaCredentialSpecName", Json("null")),
        field("GMSACredentialSpec", "gmsaCredentialSpec", Json("null")),
        field("RunAsUserName", "runAsUserName", Json("null")), field("HostProcess", "hostProcess", Json("null")),
    ]),
];
