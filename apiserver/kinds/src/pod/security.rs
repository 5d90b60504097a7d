//! Security contexts of pods and of containers, and what only one operating system has.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::Node;
use corten_views::core_v1::{AppArmorProfile, PodSecurityContext, PodSpec, SeccompProfile, SecurityContext, Sysctl};

use super::checks::{int_messages, local_descending_path, not_supported, one_of};
use super::options::Options;
use super::{containers, internal, windows};

const PROFILE_TYPES: &[&str] = &["Localhost", "RuntimeDefault", "Unconfined"];

pub fn validate_container(context: SecurityContext<'_>, host_users: bool, path: &Path<'_>, errors: &mut Errors) {
    if let Some(user) = context.run_as_user() {
        int_messages(names::is_valid_user_id(user), user, &path.child("runAsUser"), errors);
    }
    if let Some(group) = context.run_as_group() {
        int_messages(names::is_valid_group_id(group), group, &path.child("runAsGroup"), errors);
    }
    if let Some(mount) = context.proc_mount() {
        let path = path.child("procMount");
        one_of(mount, &["Default", "Unmasked"], &path, errors);
        if host_users && mount == "Unmasked" {
            let value = corten_api::field::BadValue::typed(mount);
            errors.push(Error::invalid(&path, value, "`hostUsers` must be false to use `Unmasked`"));
        }
    }
    if let Some(profile) = context.seccomp_profile() {
        validate_seccomp(profile, &path.child("seccompProfile"), errors);
    }
    if context.allow_privilege_escalation() == Some(false) {
        if context.privileged() == Some(true) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(Error::invalid(path, internal::bad_value(context), detail));
        }
        let added = context.capabilities().into_iter().flat_map(|capabilities| capabilities.add().iter());
        for _ in added.filter(|&capability| capability == "CAP_SYS_ADMIN") {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push_with(|| Error::invalid(path, internal::bad_value(context), detail));
        }
    }
    if let Some(options) = context.windows_options() {
        windows::validate_options(options, &path.child("windowsOptions"), errors);
    }
    if let Some(profile) = context.app_armor_profile() {
        validate_app_armor(profile, &path.child("appArmorProfile"), errors);
    }
}

pub fn validate_pod(
    context: PodSecurityContext<'_>,
    spec: PodSpec<'_>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    if let Some(group) = context.fs_group() {
        int_messages(names::is_valid_group_id(group), group, &path.child("fsGroup"), errors);
    }
    if let Some(user) = context.run_as_user() {
        int_messages(names::is_valid_user_id(user), user, &path.child("runAsUser"), errors);
    }
    if let Some(group) = context.run_as_group() {
        int_messages(names::is_valid_group_id(group), group, &path.child("runAsGroup"), errors);
    }
    for (i, group) in context.supplemental_groups().iter().map(Node::as_int).enumerate() {
        let list = path.child("supplementalGroups");
        int_messages(names::is_valid_group_id(group), group, &list.index(i), errors);
    }
    if spec.host_pid() && spec.share_process_namespace() == Some(true) {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(Error::invalid(&path.child("shareProcessNamespace"), true, detail));
    }
    validate_sysctls(context, spec, options, &path.child("sysctls"), errors);
    if let Some(policy) = context.fs_group_change_policy() {
        one_of(policy, &["Always", "OnRootMismatch"], &path.child("fsGroupChangePolicy"), errors);
    }
    if let Some(profile) = context.seccomp_profile() {
        validate_seccomp(profile, &path.child("seccompProfile"), errors);
    }
    if let Some(options) = context.windows_options() {
        windows::validate_options(options, &path.child("windowsOptions"), errors);
    }
    if let Some(profile) = context.app_armor_profile() {
        validate_app_armor(profile, &path.child("appArmorProfile"), errors);
    }
    if let Some(policy) = context.supplemental_groups_policy() {
        one_of(policy, &["Merge", "Strict"], &path.child("supplementalGroupsPolicy"), errors);
    }
    if let Some(policy) = context.se_linux_change_policy() {
        let supported: &[&str] =
            if options.any_selinux_change_policy { &["MountOption", "Recursive"] } else { &["Recursive"] };
        one_of(policy, supported, &path.child("seLinuxChangePolicy"), errors);
    }
}

fn validate_seccomp(profile: SeccompProfile<'_>, path: &Path<'_>, errors: &mut Errors) {
    let kind = profile.type_();
    match kind {
        "" => errors.push(Error::required(&path.child("type"), "type is required when seccompProfile is set")),
        _ if PROFILE_TYPES.contains(&kind) => {}
        _ => errors.push(not_supported(kind, PROFILE_TYPES, &path.child("type"))),
    }
    let local = path.child("localhostProfile");
    match profile.localhost_profile() {
        Some(file) if kind == "Localhost" => local_descending_path(file, &local, errors),
        Some(_) => {
            let detail = "can only be set when seccomp type is Localhost";
            errors.push(Error::invalid(&local, internal::bad_value(profile), detail));
        }
        None if kind == "Localhost" => {
            errors.push(Error::required(&local, "must be set when seccomp type is Localhost"));
        }
        None => {}
    }
}

pub fn validate_app_armor(profile: AppArmorProfile<'_>, path: &Path<'_>, errors: &mut Errors) {
    let local = path.child("localhostProfile");
    let missing = || Error::required(&local, "must be set when AppArmor type is Localhost");
    match (profile.type_(), profile.localhost_profile()) {
        ("Localhost", None) => errors.push(missing()),
        ("Localhost", Some(file)) => {
            if file.trim() != file {
                errors.push(Error::invalid(&local, file, "must not be padded with whitespace"));
            } else if file.is_empty() {
                errors.push(missing());
            }
            // PATH_MAX without its end.
            if file.len() > 4095 {
                errors.push(Error::too_long(&local, 4095));
            }
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("RuntimeDefault" | "Unconfined", Some(file)) => {
            let value = corten_api::field::BadValue::typed(file);
            errors.push(Error::invalid(&local, value, "can only be set when AppArmor type is Localhost"));
        }
        ("", _) => errors.push(Error::required(&path.child("type"), "type is required when appArmorProfile is set")),
        (other, _) => errors.push(not_supported(other, PROFILE_TYPES, &path.child("type"))),
    }
}

fn validate_sysctls(
    context: PodSecurityContext<'_>,
    spec: PodSpec<'_>,
    options: &Options,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let mut seen = super::checks::TextSet::default();
    for (i, sysctl) in context.sysctls().iter().enumerate() {
        let item = path.index(i);
        let path = item.child("name");
        let name = sysctl.name();
        if name.is_empty() {
            errors.push(Error::required(&path, ""));
        } else if !is_sysctl_name(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(Error::invalid(&path, name, detail));
        } else if seen.contains(name) {
            errors.push(Error::duplicate(&path, name));
        }
        if !options.host_sysctls
            && let Some(detail) = shared_namespace(sysctl, spec)
        {
            errors.push(Error::invalid(&path, name, detail));
        }
        seen.insert(name);
    }
}

fn is_sysctl_name(name: &str) -> bool {
    let segment = |segment: &str| {
        let bytes = segment.as_bytes();
        let inner = |c: &u8| matches!(c, b'-' | b'_' | b'a'..=b'z' | b'0'..=b'9');
        let outer = |c: Option<&u8>| c.is_some_and(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9'));
        bytes.iter().all(inner) && outer(bytes.first()) && outer(bytes.last())
    };
    name.len() <= 253 && name.split(['.', '/']).all(segment)
}

pub fn has_host_sysctl(spec: PodSpec<'_>) -> bool {
    let sysctls = spec.security_context().into_iter().flat_map(|context| context.sysctls().iter());
    sysctls.map(|sysctl| shared_namespace(sysctl, spec)).any(|detail| detail.is_some())
}

/// Why a sysctl cannot be set: it belongs to a namespace that the pod shares with its host.
fn shared_namespace(sysctl: Sysctl<'_>, spec: PodSpec<'_>) -> Option<&'static str> {
    if !spec.host_network() && !spec.host_ipc() {
        return None;
    }
    let name = normal_sysctl(sysctl.name());
    let name = name.split('*').next().unwrap_or_default();
    let ipc = matches!(
        name,
        "kernel.sem"
            | "kernel.shmall"
            | "kernel.shmmax"
            | "kernel.shmmni"
            | "kernel.shm_rmid_forced"
            | "kernel.shm"
            | "kernel.msgmax"
            | "kernel.msgmnb"
            | "kernel.msgmni"
            | "kernel.msg"
    ) || name.starts_with("fs.mqueue.");
    if spec.host_network() && name.starts_with("net.") {
        Some("may not be specified when 'hostNetwork' is true")
    } else if spec.host_ipc() && ipc {
        Some("may not be specified when 'hostIPC' is true")
    } else {
        None
    }
}

/// Dots part the name, unless a slash comes first: then slashes part it, and dots stand within parts.
fn normal_sysctl(name: &str) -> String {
    match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'/') => name
            .chars()
            .map(|c| {
                if c == '/' {
                    '.'
                } else if c == '.' {
                    '/'
                } else {
                    c
                }
            })
            .collect(),
        _ => name.to_owned(),
    }
}

/// What a pod for Linux cannot have.
pub fn validate_linux(spec: PodSpec<'_>, path: &Path<'_>, errors: &mut Errors) {
    let detail = "windows options cannot be set for a linux pod";
    let field = "securityContext.windowsOptions";
    if spec.security_context().is_some_and(|context| context.windows_options().is_some()) {
        errors.push(Error::forbidden(&path.child(field), detail));
    }
    containers::visit(spec, path, |container, path| {
        if container.security_context().is_some_and(|context| context.windows_options().is_some()) {
            errors.push(Error::forbidden(&path.child(field), detail));
        }
    });
}

/// What a pod in a user namespace of its own cannot share with the host.
pub fn validate_user_namespace(spec: PodSpec<'_>, options: &Options, path: &Path<'_>, errors: &mut Errors) {
    if spec.host_users() != Some(false) {
        return;
    }
    let detail = "when `hostUsers` is false";
    if !options.user_namespace_on_host_network && spec.host_network() {
        errors.push(Error::forbidden(&path.child("hostNetwork"), detail));
    }
    if spec.host_pid() {
        errors.push(Error::forbidden(&path.child("HostPID"), detail));
    }
    if spec.host_ipc() {
        errors.push(Error::forbidden(&path.child("HostIPC"), detail));
    }
    if !options.user_namespace_with_devices {
        containers::visit(spec, path, |container, path| {
            if !container.volume_devices().is_empty() {
                errors.push(Error::forbidden(&path.child("volumeDevices"), detail));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctl_names() {
        let check = |name: &str, expected: bool| assert_eq!(is_sysctl_name(name), expected, "{name}");
        for name in ["a.b.c.d", "a", "a_b", "a-b", "abc", "abc.def", "a/b/c/d", "a/b.c"] {
            check(name, true);
        }
        for name in [
            "", "*", "ä", "a_", "_", "_a", "_a._b", "__", "-", ".", "a.", ".a", "a.b.", "a*.b", "a*b", "*a", "a.*",
            "a.b.c*", "Abc", "/", "a//b",
        ] {
            check(name, false);
        }
        check(&"x".repeat(253), true);
        check(&"x".repeat(254), false);
    }

    #[test]
    fn normal_sysctls() {
        assert_eq!(normal_sysctl("net/ipv4/conf/eth0.100/x"), "net.ipv4.conf.eth0/100.x");
        assert_eq!(normal_sysctl("net.ipv4/x"), "net.ipv4/x");
        assert_eq!(normal_sysctl("kernel"), "kernel");
    }
}
