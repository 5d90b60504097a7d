//! Parameters of operations: names in paths, and the options that a query may carry.

use corten_schema::{Field, Shape, TypeId, type_named};

use crate::operation::{Parameter, Place};

pub(crate) fn namespace() -> Parameter {
    in_path("namespace", "object name and auth scope, such as for teams and projects".into())
}

pub(crate) fn name(kind: &str) -> Parameter {
    in_path("name", format!("name of the {kind}"))
}

pub(crate) fn path() -> Parameter {
    in_path("path", "path to the resource".into())
}

pub(crate) fn pretty() -> Parameter {
    query("pretty", "string")
}

fn in_path(name: &str, description: String) -> Parameter {
    Parameter { name: name.into(), place: Place::Path, kind: "string", description }
}

fn query(name: &str, kind: &'static str) -> Parameter {
    Parameter { name: name.into(), place: Place::Query, kind, description: describe(name).into() }
}

/// The fields of an options type (`ListOptions`) that a query can carry: scalars, and lists of them.
pub(crate) fn options(type_name: &str, except: &[&str]) -> Vec<Parameter> {
    type_named(type_name).map(|ty| options_of(ty, except)).unwrap_or_default()
}

pub(crate) fn options_of(ty: TypeId, except: &[&str]) -> Vec<Parameter> {
    let fields = ty.get().fields.iter().filter(|field| field.embedded.is_empty() && !except.contains(&field.name));
    fields.filter_map(|field| Some(query(field.name, kind(field)?))).collect()
}

fn kind(field: &Field) -> Option<&'static str> {
    let scalar = match field.shape {
        Shape::List(element) => *element,
        shape => shape,
    };
    match scalar {
        Shape::Bool => Some("boolean"),
        Shape::Int32 | Shape::Int64 => Some("integer"),
        Shape::String => Some("string"),
        _ => None,
    }
}

fn describe(name: &str) -> &'static str {
    match name {
        "allowWatchBookmarks" => "Whether a watch may send BOOKMARK events, which tell how far it has come.",
        "command" => "The command to run and its arguments, repeated for each; no shell is involved.",
        "container" => "The container to act on; the only one, where the pod has but one.",
        "continue" => "The token of the previous page's metadata, to get the page that follows it.",
        "dryRun" => "All: do everything but persist the change.",
        "fieldManager" => "Who makes the change, as managedFields record it; at most 128 characters.",
        "fieldSelector" => "Only objects whose fields match this selector.",
        "fieldValidation" => "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
        "follow" => "Whether to go on sending what is logged from now on.",
        "force" => "Take over fields that another manager of an apply owns.",
        "gracePeriodSeconds" => "How long the object may take to end; zero deletes it at once.",
        "ignoreStoreReadErrorWithClusterBreakingPotential" => {
            "Delete an object that can no longer be read from storage, without finalizers or preconditions. Unsafe."
        }
        "insecureSkipTLSVerifyBackend" => "Whether to skip verifying the certificate of the kubelet that is asked.",
        "labelSelector" => "Only objects whose labels match this selector.",
        "limit" => "At most so many objects; more are on the next page, which the list's continue token names.",
        "limitBytes" => "At most so many bytes of the log.",
        "orphanDependents" => "Deprecated: say propagationPolicy instead. Whether dependents are orphaned.",
        "path" => "The path to ask of what is proxied to.",
        "ports" => "The ports to forward.",
        "pretty" => "'true' indents the answer. Browsers and command line tools get that without asking.",
        "previous" => "Whether to show the log of the container's previous instance.",
        "propagationPolicy" => "What becomes of dependents: Orphan, Background or Foreground.",
        "resourceVersion" => {
            "How old an answer may be: empty for the latest, 0 for any, else as resourceVersionMatch says."
        }
        "resourceVersionMatch" => "How resourceVersion is meant in a list: NotOlderThan or Exact.",
        "sendInitialEvents" => "Whether a watch begins with what exists, closed by a bookmark.",
        "shardSelector" => "Only objects of the shard that this expression selects.",
        "sinceSeconds" => "Only what was logged in the last so many seconds.",
        "stderr" => "Whether to connect the container's standard error.",
        "stdin" => "Whether to connect the container's standard input.",
        "stdout" => "Whether to connect the container's standard output.",
        "stream" => "Which stream of the log: All, Stdout or Stderr.",
        "tailLines" => "Only so many lines from the end of the log.",
        "timeoutSeconds" => "How long a list or watch may last.",
        "timestamps" => "Whether each line begins with its time.",
        "tty" => "Whether to give the command a terminal.",
        "watch" => "Whether to send changes, as a stream of events, instead of a list.",
        _ => "",
    }
}
