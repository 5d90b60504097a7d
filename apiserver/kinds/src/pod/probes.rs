//! Probes, lifecycle hooks and the actions that both consist of.

use corten_api::field::{Error, Errors, Path};
use corten_api::names;
use corten_object::tree::IntOrStr;
use corten_views::core_v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe, SleepAction, TCPSocketAction,
};

use super::checks::{int_messages, not_supported, one_of};
use crate::object_meta::{invalid_each, validate_nonnegative};

const WINDOWS_SIGNALS: &[&str] = &["SIGKILL", "SIGTERM"];
/// Sorted, as errors list them.
const LINUX_SIGNALS: &[&str] = &[
    "SIGABRT",
    "SIGALRM",
    "SIGBUS",
    "SIGCHLD",
    "SIGCLD",
    "SIGCONT",
    "SIGFPE",
    "SIGHUP",
    "SIGILL",
    "SIGINT",
    "SIGIO",
    "SIGIOT",
    "SIGKILL",
    "SIGPIPE",
    "SIGPOLL",
    "SIGPROF",
    "SIGPWR",
    "SIGQUIT",
    "SIGRTMAX",
    "SIGRTMAX-1",
    "SIGRTMAX-10",
    "SIGRTMAX-11",
    "SIGRTMAX-12",
    "SIGRTMAX-13",
    "SIGRTMAX-14",
    "SIGRTMAX-2",
    "SIGRTMAX-3",
    "SIGRTMAX-4",
    "SIGRTMAX-5",
    "SIGRTMAX-6",
    "SIGRTMAX-7",
    "SIGRTMAX-8",
    "SIGRTMAX-9",
    "SIGRTMIN",
    "SIGRTMIN+1",
    "SIGRTMIN+10",
    "SIGRTMIN+11",
    "SIGRTMIN+12",
    "SIGRTMIN+13",
    "SIGRTMIN+14",
    "SIGRTMIN+15",
    "SIGRTMIN+2",
    "SIGRTMIN+3",
    "SIGRTMIN+4",
    "SIGRTMIN+5",
    "SIGRTMIN+6",
    "SIGRTMIN+7",
    "SIGRTMIN+8",
    "SIGRTMIN+9",
    "SIGSEGV",
    "SIGSTKFLT",
    "SIGSTOP",
    "SIGSYS",
    "SIGTERM",
    "SIGTRAP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGUSR1",
    "SIGUSR2",
    "SIGVTALRM",
    "SIGWINCH",
    "SIGXCPU",
    "SIGXFSZ",
];

/// The hooks and probes of a container that may have them.
pub fn validate(container: Container<'_>, grace: Option<i64>, os: Option<&str>, path: &Path<'_>, errors: &mut Errors) {
    if let Some(lifecycle) = container.lifecycle() {
        validate_lifecycle(lifecycle, grace, os, &path.child("lifecycle"), errors);
    }
    let one_success = |probe: Probe<'_>, path: &Path<'_>, errors: &mut Errors| {
        validate_probe(probe, grace, path, errors);
        if probe.success_threshold() != 1 {
            errors.push(Error::invalid(&path.child("successThreshold"), probe.success_threshold(), "must be 1"));
        }
    };
    if let Some(probe) = container.liveness_probe() {
        one_success(probe, &path.child("livenessProbe"), errors);
    }
    if let Some(probe) = container.readiness_probe() {
        let path = path.child("readinessProbe");
        validate_probe(probe, grace, &path, errors);
        if let Some(seconds) = probe.termination_grace_period_seconds() {
            let path = path.child("terminationGracePeriodSeconds");
            errors.push(Error::invalid(&path, seconds, "must not be set for readinessProbes"));
        }
    }
    if let Some(probe) = container.startup_probe() {
        one_success(probe, &path.child("startupProbe"), errors);
    }
}

fn validate_probe(probe: Probe<'_>, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let handler = Handler {
        exec: probe.exec(),
        http_get: probe.http_get(),
        tcp_socket: probe.tcp_socket(),
        grpc: probe.grpc(),
        sleep: None,
    };
    validate_handler(handler, grace, path, errors);
    validate_nonnegative(probe.initial_delay_seconds(), &path.child("initialDelaySeconds"), errors);
    validate_nonnegative(probe.timeout_seconds(), &path.child("timeoutSeconds"), errors);
    validate_nonnegative(probe.period_seconds(), &path.child("periodSeconds"), errors);
    validate_nonnegative(probe.success_threshold(), &path.child("successThreshold"), errors);
    validate_nonnegative(probe.failure_threshold(), &path.child("failureThreshold"), errors);
    if let Some(seconds) = probe.termination_grace_period_seconds().filter(|&seconds| seconds <= 0) {
        let path = path.child("terminationGracePeriodSeconds");
        errors.push(Error::invalid(&path, seconds, "must be greater than 0"));
    }
}

fn validate_lifecycle(
    lifecycle: Lifecycle<'_>,
    grace: Option<i64>,
    os: Option<&str>,
    path: &Path<'_>,
    errors: &mut Errors,
) {
    let handler = |handler: LifecycleHandler<'_>, path: Path<'_>, errors: &mut Errors| {
        let handler = Handler {
            exec: handler.exec(),
            http_get: handler.http_get(),
            tcp_socket: handler.tcp_socket(),
            grpc: None,
            sleep: handler.sleep(),
        };
        validate_handler(handler, grace, &path, errors);
    };
    if let Some(hook) = lifecycle.post_start() {
        handler(hook, path.child("postStart"), errors);
    }
    if let Some(hook) = lifecycle.pre_stop() {
        handler(hook, path.child("preStop"), errors);
    }
    if let Some(signal) = lifecycle.stop_signal() {
        let path = path.child("stopSignal");
        match os {
            None => errors.push(Error::forbidden(&path, "may not be set for containers with empty `spec.os.name`")),
            Some("windows") => one_of(signal, WINDOWS_SIGNALS, &path, errors),
            Some("linux") => one_of(signal, LINUX_SIGNALS, &path, errors),
            Some(_) => {}
        }
    }
}

/// What a probe or a hook does.
struct Handler<'t> {
    exec: Option<ExecAction<'t>>,
    http_get: Option<HTTPGetAction<'t>>,
    tcp_socket: Option<TCPSocketAction<'t>>,
    grpc: Option<GRPCAction<'t>>,
    sleep: Option<SleepAction<'t>>,
}

/// The first action is looked into; any other is one too many.
fn validate_handler(handler: Handler<'_>, grace: Option<i64>, path: &Path<'_>, errors: &mut Errors) {
    let mut found = false;
    let mut first = |path: &Path<'_>, errors: &mut Errors| {
        if found {
            errors.push(Error::forbidden(path, "may not specify more than 1 handler type"));
        }
        !std::mem::replace(&mut found, true)
    };
    if let Some(exec) = handler.exec {
        let path = path.child("exec");
        if first(&path, errors) && exec.command().is_empty() {
            errors.push(Error::required(&path.child("command"), ""));
        }
    }
    if let Some(get) = handler.http_get {
        let path = path.child("httpGet");
        if first(&path, errors) {
            validate_http_get(get, &path, errors);
        }
    }
    if let Some(socket) = handler.tcp_socket {
        let path = path.child("tcpSocket");
        if first(&path, errors) {
            validate_port(socket.port(), &path.child("port"), errors);
        }
    }
    if let Some(grpc) = handler.grpc {
        let path = path.child("grpc");
        if first(&path, errors) {
            validate_port(IntOrStr::Int(grpc.port()), &path.child("port"), errors);
        }
    }
    if let Some(sleep) = handler.sleep {
        let path = path.child("sleep");
        // A grace period that is missing is an error of its own.
        if first(&path, errors)
            && let Some(grace) = grace.filter(|&grace| sleep.seconds() < 0 || sleep.seconds() > grace)
        {
            let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
            errors.push(Error::invalid(&path, sleep.seconds(), detail));
        }
    }
    if !found {
        errors.push(Error::required(path, "must specify a handler type"));
    }
}

fn validate_http_get(get: HTTPGetAction<'_>, path: &Path<'_>, errors: &mut Errors) {
    if get.path().is_empty() {
        errors.push(Error::required(&path.child("path"), ""));
    }
    validate_port(get.port(), &path.child("port"), errors);
    if !matches!(get.scheme(), "HTTP" | "HTTPS") {
        errors.push(not_supported(get.scheme(), &["HTTP", "HTTPS"], &path.child("scheme")));
    }
    for header in get.http_headers().iter() {
        let wrong = names::is_http_header_name(header.name());
        invalid_each(wrong, header.name(), &path.child("httpHeaders"), errors);
    }
}

/// A port by number or by the name that a container gives it.
pub fn validate_port(port: IntOrStr<'_>, path: &Path<'_>, errors: &mut Errors) {
    match port {
        IntOrStr::Int(port) => int_messages(names::is_valid_port_num(port), port, path, errors),
        IntOrStr::Str(port) => invalid_each(names::is_valid_port_name(port), port, path, errors),
    }
}
