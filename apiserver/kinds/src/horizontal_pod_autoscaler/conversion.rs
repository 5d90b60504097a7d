//! Between v2 and v1, which keeps what it has no fields for in annotations, as JSON of its own older types.

use corten_object::json::{self, Form};
use corten_object::tree::{Map, Node, Tree, Value, View};
use corten_views::autoscaling_v1 as v1;
use corten_views::autoscaling_v2::{
    HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerCondition,
    HorizontalPodAutoscalerSpec, HorizontalPodAutoscalerStatus, MetricSpec, MetricStatus,
};
use corten_views::meta_v1::ObjectMeta;

use super::{default_metrics, list_of};
use crate::access::import_as;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const ROUND_TRIP: &[&str] = &[
    METRICS,
    BEHAVIOR,
    "autoscaling.alpha.kubernetes.io/scale-down-tolerance",
    "autoscaling.alpha.kubernetes.io/scale-up-tolerance",
    CURRENT_METRICS,
    CONDITIONS,
];

pub fn to_v1(object: &Tree) -> Tree {
    let hub: HorizontalPodAutoscaler<'_> = object.view();
    let mut out = shell(object, v1::HorizontalPodAutoscaler::TYPE, "autoscaling/v1");
    let (spec, status) = (hub.spec(), hub.status());
    let cpu = spec.metrics().iter().find_map(cpu_utilization);
    let mut edit = out.edit();
    if let Some(cpu) = cpu {
        edit.ensure(v1::HorizontalPodAutoscaler::SPEC)
            .set(v1::HorizontalPodAutoscalerSpec::TARGET_CPU_UTILIZATION_PERCENTAGE, cpu);
    }
    let current = status.current_metrics().iter().filter_map(current_cpu_utilization).next_back();
    if let Some(current) = current {
        edit.ensure(v1::HorizontalPodAutoscaler::STATUS)
            .set(v1::HorizontalPodAutoscalerStatus::CURRENT_CPU_UTILIZATION_PERCENTAGE, current);
    }
    let others = spec.metrics().iter().filter(|metric| cpu_utilization(*metric).is_none()).map(metric_to_v1);
    let statuses = status.current_metrics().iter().map(status_to_v1);
    let conditions = status.conditions().iter().map(condition_to_v1);
    for (key, list) in [
        (METRICS, array(others)),
        (CURRENT_METRICS, array(statuses)),
        (BEHAVIOR, spec.behavior().map(behavior_to_internal)),
        (CONDITIONS, array(conditions)),
    ] {
        if let Some(list) = list {
            edit.ensure_path([v1::HorizontalPodAutoscaler::METADATA, ObjectMeta::ANNOTATIONS]).set_key(key, &list);
        }
    }
    out
}

pub fn from_v1(object: &Tree) -> Tree {
    let old: v1::HorizontalPodAutoscaler<'_> = object.view();
    let annotations = old.metadata().annotations();
    let mut out = shell(object, HorizontalPodAutoscaler::TYPE, "autoscaling/v2");

    let mut metrics = annotations.get(METRICS).and_then(|text| parse_list(text, MetricSpec::TYPE, metric_from_v1));
    if let Some(cpu) = old.spec().target_cpu_utilization_percentage() {
        let cpu = format!(
            r#"{{"type":"Resource","resource":{{"name":"cpu","target":{{"type":"Utilization","averageUtilization":{cpu}}}}}}}"#
        );
        metrics.get_or_insert_default().extend(parse_typed(cpu, MetricSpec::TYPE));
    }
    let metrics = metrics.unwrap_or_default();
    let behavior = annotations.get(BEHAVIOR).and_then(behavior_from_internal);
    let statuses = annotations
        .get(CURRENT_METRICS)
        .and_then(|text| parse_list(text, MetricStatus::TYPE, status_from_v1))
        .or_else(|| {
            let cpu = old.status().current_cpu_utilization_percentage()?;
            let cpu = format!(
                r#"{{"type":"Resource","resource":{{"name":"cpu","current":{{"averageUtilization":{cpu}}}}}}}"#
            );
            Some(parse_typed(cpu, MetricStatus::TYPE).into_iter().collect())
        });
    let conditions = annotations.get(CONDITIONS).and_then(|text| {
        parse_list(text, HorizontalPodAutoscalerCondition::TYPE, |condition| Some(json::to_string(condition)))
    });

    let metrics_id = list_of(&mut out, &metrics);
    let behavior_id = behavior.map(|behavior| out.import(behavior.root()));
    let statuses_id = statuses.map(|statuses| list_of(&mut out, &statuses));
    let conditions_id = conditions.map(|conditions| list_of(&mut out, &conditions));
    let mut edit = out.edit();
    let mut spec = edit.ensure(HorizontalPodAutoscaler::SPEC);
    if metrics.is_empty() {
        default_metrics(&mut spec);
    } else {
        spec.put(HorizontalPodAutoscalerSpec::METRICS, metrics_id);
    }
    if let Some(behavior) = behavior_id {
        spec.put(HorizontalPodAutoscalerSpec::BEHAVIOR, behavior);
    }
    for (field, list) in [
        (HorizontalPodAutoscalerStatus::CURRENT_METRICS, statuses_id),
        (HorizontalPodAutoscalerStatus::CONDITIONS, conditions_id),
    ] {
        if let Some(list) = list {
            edit.ensure(HorizontalPodAutoscaler::STATUS).put(field, list);
        }
    }
    out
}

/// What both versions have alike, without the annotations that carry the rest.
fn shell(object: &Tree, ty: corten_schema::TypeId, api_version: &str) -> Tree {
    let mut out = Tree::new();
    let root = import_as(&mut out, object.root(), ty);
    out.set_root(root);
    let api_version = out.string(api_version);
    out.set_named(root, "apiVersion", api_version);
    // Lists that only v2 has are set by the caller, from where v1 keeps them.
    if let Some(metadata) = out.get(root, "metadata")
        && let Some(annotations) = out.get(metadata, "annotations")
    {
        for key in ROUND_TRIP {
            out.remove_key(annotations, key);
        }
        if out.is_empty(annotations) {
            out.remove_field(metadata, ObjectMeta::ANNOTATIONS);
        }
    }
    out
}

fn cpu_utilization(metric: MetricSpec<'_>) -> Option<i64> {
    let resource = metric.resource().filter(|resource| metric.type_() == "Resource" && resource.name() == "cpu")?;
    resource.target().average_utilization()
}

fn current_cpu_utilization(metric: MetricStatus<'_>) -> Option<i64> {
    let resource = metric.resource().filter(|resource| metric.type_() == "Resource" && resource.name() == "cpu")?;
    resource.current().average_utilization()
}

// Writing v1's own types.

fn array(items: impl Iterator<Item = String>) -> Option<String> {
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then(|| format!("[{}]", items.join(",")))
}

/// Fields of a JSON object; those without a value are left out.
fn object(fields: &[(&str, Option<String>)]) -> String {
    let fields: Vec<String> =
        fields.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("\"{name}\":{value}"))).collect();
    format!("{{{}}}", fields.join(","))
}

fn text(value: &str) -> Option<String> {
    Some(corten_api::json::string(value))
}

fn opt_text(value: Option<&str>) -> Option<String> {
    value.map(corten_api::json::string)
}

fn number(value: Option<i64>) -> Option<String> {
    value.map(|value| value.to_string())
}

/// A quantity that v1 always writes.
fn quantity(value: Option<&str>) -> Option<String> {
    text(value.unwrap_or("0"))
}

fn whole<'t>(value: Option<impl View<'t>>) -> Option<String> {
    value.and_then(|value| value.as_struct().as_node()).map(json::to_string)
}

fn described(reference: corten_views::autoscaling_v2::CrossVersionObjectReference<'_>) -> Option<String> {
    let version = Some(reference.api_version()).filter(|version| !version.is_empty());
    Some(object(&[
        ("kind", text(reference.kind())),
        ("name", text(reference.name())),
        ("apiVersion", opt_text(version)),
    ]))
}

fn metric_to_v1(metric: MetricSpec<'_>) -> String {
    object(&[
        ("type", text(metric.type_())),
        (
            "object",
            metric.object().map(|source| {
                object(&[
                    ("target", described(source.described_object())),
                    ("metricName", text(source.metric().name())),
                    ("targetValue", quantity(source.target().value())),
                    ("selector", whole(source.metric().selector())),
                    ("averageValue", opt_text(source.target().average_value())),
                ])
            }),
        ),
        (
            "pods",
            metric.pods().map(|source| {
                object(&[
                    ("metricName", text(source.metric().name())),
                    ("targetAverageValue", quantity(source.target().average_value())),
                    ("selector", whole(source.metric().selector())),
                ])
            }),
        ),
        (
            "resource",
            metric.resource().map(|source| {
                object(&[
                    ("name", text(source.name())),
                    ("targetAverageUtilization", number(source.target().average_utilization())),
                    ("targetAverageValue", opt_text(source.target().average_value())),
                ])
            }),
        ),
        (
            "containerResource",
            metric.container_resource().map(|source| {
                object(&[
                    ("name", text(source.name())),
                    ("targetAverageUtilization", number(source.target().average_utilization())),
                    ("targetAverageValue", opt_text(source.target().average_value())),
                    ("container", text(source.container())),
                ])
            }),
        ),
        (
            "external",
            metric.external().map(|source| {
                object(&[
                    ("metricName", text(source.metric().name())),
                    ("metricSelector", whole(source.metric().selector())),
                    ("targetValue", opt_text(source.target().value())),
                    ("targetAverageValue", opt_text(source.target().average_value())),
                ])
            }),
        ),
    ])
}

fn status_to_v1(metric: MetricStatus<'_>) -> String {
    object(&[
        ("type", text(metric.type_())),
        (
            "object",
            metric.object().map(|source| {
                object(&[
                    ("target", described(source.described_object())),
                    ("metricName", text(source.metric().name())),
                    ("currentValue", quantity(source.current().value())),
                    ("selector", whole(source.metric().selector())),
                    ("averageValue", opt_text(source.current().average_value())),
                ])
            }),
        ),
        (
            "pods",
            metric.pods().map(|source| {
                object(&[
                    ("metricName", text(source.metric().name())),
                    ("currentAverageValue", quantity(source.current().average_value())),
                    ("selector", whole(source.metric().selector())),
                ])
            }),
        ),
        (
            "resource",
            metric.resource().map(|source| {
                object(&[
                    ("name", text(source.name())),
                    ("currentAverageUtilization", number(source.current().average_utilization())),
                    ("currentAverageValue", quantity(source.current().average_value())),
                ])
            }),
        ),
        (
            "containerResource",
            metric.container_resource().map(|source| {
                object(&[
                    ("name", text(source.name())),
                    ("currentAverageUtilization", number(source.current().average_utilization())),
                    ("currentAverageValue", quantity(source.current().average_value())),
                    ("container", text(source.container())),
                ])
            }),
        ),
        (
            "external",
            metric.external().map(|source| {
                object(&[
                    ("metricName", text(source.metric().name())),
                    ("metricSelector", whole(source.metric().selector())),
                    ("currentValue", quantity(source.current().value())),
                    ("currentAverageValue", opt_text(source.current().average_value())),
                ])
            }),
        ),
    ])
}

fn condition_to_v1(condition: HorizontalPodAutoscalerCondition<'_>) -> String {
    let some = |value: &str| Some(value).filter(|value| !value.is_empty()).and_then(text);
    object(&[
        ("type", text(condition.type_())),
        ("status", text(condition.status())),
        ("lastTransitionTime", some(condition.last_transition_time()).or(Some("null".to_owned()))),
        ("reason", some(condition.reason())),
        ("message", some(condition.message())),
    ])
}

/// The behavior is kept as Go's JSON of the internal type, which has no tags.
fn behavior_to_internal(behavior: HorizontalPodAutoscalerBehavior<'_>) -> String {
    let null = || Some("null".to_owned());
    let rules = |rules: Option<corten_views::autoscaling_v2::HPAScalingRules<'_>>| {
        let Some(rules) = rules else { return null() };
        let policies = array(rules.policies().iter().map(|policy| {
            object(&[
                ("Type", text(policy.type_())),
                ("Value", Some(policy.value().to_string())),
                ("PeriodSeconds", Some(policy.period_seconds().to_string())),
            ])
        }));
        Some(object(&[
            ("StabilizationWindowSeconds", number(rules.stabilization_window_seconds()).or_else(null)),
            ("SelectPolicy", opt_text(rules.select_policy()).or_else(null)),
            ("Policies", policies.or_else(null)),
            ("Tolerance", opt_text(rules.tolerance()).or_else(null)),
        ]))
    };
    object(&[("ScaleUp", rules(behavior.scale_up())), ("ScaleDown", rules(behavior.scale_down()))])
}

// Reading them.

fn parse_typed(text: String, ty: corten_schema::TypeId) -> Option<Tree> {
    json::parse(text.into_bytes(), Form::Typed(ty)).ok().map(|parsed| parsed.tree)
}

/// The items of a JSON list as trees of v2; nothing, if any of it does not fit, as upstream leaves such a list alone.
fn parse_list(text: &str, ty: corten_schema::TypeId, to_v2: impl Fn(Node<'_>) -> Option<String>) -> Option<Vec<Tree>> {
    let parsed = json::parse(text.as_bytes().to_vec(), Form::Plain).ok()?;
    match parsed.tree.root().value() {
        Value::List(list) => list.iter().map(|item| parse_typed(to_v2(item)?, ty)).collect(),
        Value::Null => Some(Vec::new()),
        _ => None,
    }
}

fn member(node: Option<Node<'_>>, name: &str) -> Option<String> {
    node?.get(name).filter(|value| !value.is_null()).map(json::to_string)
}

fn quoted(text: &str) -> Option<String> {
    Some(format!("\"{text}\""))
}

fn present<'t>(node: Node<'t>, name: &str) -> Option<Node<'t>> {
    node.get(name).filter(|value| !value.is_null())
}

fn identifier(source: Node<'_>, selector: &str) -> Option<String> {
    Some(object(&[("name", member(Some(source), "metricName")), ("selector", member(Some(source), selector))]))
}

fn metric_from_v1(metric: Node<'_>) -> Option<String> {
    let utilization = |source: Node<'_>| {
        let percent = member(Some(source), "targetAverageUtilization");
        Some(object(&[
            ("type", quoted(if percent.is_some() { "Utilization" } else { "AverageValue" })),
            ("averageValue", member(Some(source), "targetAverageValue")),
            ("averageUtilization", percent),
        ]))
    };
    Some(object(&[
        ("type", member(Some(metric), "type")),
        (
            "object",
            present(metric, "object").map(|source| {
                let average = member(Some(source), "averageValue");
                let value = member(Some(source), "targetValue").or_else(|| quoted("0"));
                let value = value.filter(|value| average.is_none() || value != "\"0\"");
                object(&[
                    ("describedObject", member(Some(source), "target")),
                    (
                        "target",
                        Some(object(&[
                            ("type", quoted(if average.is_some() { "AverageValue" } else { "Value" })),
                            ("value", value),
                            ("averageValue", average),
                        ])),
                    ),
                    ("metric", identifier(source, "selector")),
                ])
            }),
        ),
        (
            "pods",
            present(metric, "pods").map(|source| {
                let average = member(Some(source), "targetAverageValue").or_else(|| quoted("0"));
                object(&[
                    ("metric", identifier(source, "selector")),
                    ("target", Some(object(&[("type", quoted("AverageValue")), ("averageValue", average)]))),
                ])
            }),
        ),
        (
            "resource",
            present(metric, "resource")
                .map(|source| object(&[("name", member(Some(source), "name")), ("target", utilization(source))])),
        ),
        (
            "containerResource",
            present(metric, "containerResource").map(|source| {
                object(&[
                    ("name", member(Some(source), "name")),
                    ("target", utilization(source)),
                    ("container", member(Some(source), "container")),
                ])
            }),
        ),
        (
            "external",
            present(metric, "external").map(|source| {
                let value = member(Some(source), "targetValue");
                object(&[
                    ("metric", identifier(source, "metricSelector")),
                    (
                        "target",
                        Some(object(&[
                            ("type", quoted(if value.is_some() { "Value" } else { "AverageValue" })),
                            ("value", value),
                            ("averageValue", member(Some(source), "targetAverageValue")),
                        ])),
                    ),
                ])
            }),
        ),
    ]))
}

fn status_from_v1(metric: Node<'_>) -> Option<String> {
    let zero = |source: Node<'_>, name: &str| member(Some(source), name).or_else(|| quoted("0"));
    let utilization = |source: Node<'_>| {
        Some(object(&[
            ("averageValue", zero(source, "currentAverageValue")),
            ("averageUtilization", member(Some(source), "currentAverageUtilization")),
        ]))
    };
    Some(object(&[
        ("type", member(Some(metric), "type")),
        (
            "object",
            present(metric, "object").map(|source| {
                object(&[
                    ("metric", identifier(source, "selector")),
                    (
                        "current",
                        Some(object(&[
                            ("value", zero(source, "currentValue")),
                            ("averageValue", member(Some(source), "averageValue")),
                        ])),
                    ),
                    ("describedObject", member(Some(source), "target")),
                ])
            }),
        ),
        (
            "pods",
            present(metric, "pods").map(|source| {
                object(&[
                    ("metric", identifier(source, "selector")),
                    ("current", Some(object(&[("averageValue", zero(source, "currentAverageValue"))]))),
                ])
            }),
        ),
        (
            "resource",
            present(metric, "resource")
                .map(|source| object(&[("name", member(Some(source), "name")), ("current", utilization(source))])),
        ),
        (
            "containerResource",
            present(metric, "containerResource").map(|source| {
                object(&[
                    ("name", member(Some(source), "name")),
                    ("current", utilization(source)),
                    ("container", member(Some(source), "container")),
                ])
            }),
        ),
        (
            "external",
            present(metric, "external").map(|source| {
                object(&[
                    ("metric", identifier(source, "metricSelector")),
                    (
                        "current",
                        Some(object(&[
                            ("value", zero(source, "currentValue")),
                            ("averageValue", member(Some(source), "currentAverageValue")),
                        ])),
                    ),
                ])
            }),
        ),
    ]))
}

/// A member, its name in whatever case, as Go's decoder finds it.
fn caseless<'t>(map: Map<'t>, name: &str) -> Option<Node<'t>> {
    map.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null()).map(|(_, value)| value)
}

fn behavior_from_internal(text: &str) -> Option<Tree> {
    let parsed = json::parse(text.as_bytes().to_vec(), Form::Plain).ok()?;
    let Value::Map(behavior) = parsed.tree.root().value() else { return None };
    let scalar = |map: Map<'_>, name: &str| caseless(map, name).map(json::to_string);
    let rules = |name: &str| {
        let rules = caseless(behavior, name)?.as_map();
        let policies = caseless(rules, "Policies").map(|policies| {
            let policies = policies.as_list().iter().map(|policy| {
                let policy = policy.as_map();
                object(&[
                    ("type", scalar(policy, "Type")),
                    ("value", scalar(policy, "Value")),
                    ("periodSeconds", scalar(policy, "PeriodSeconds")),
                ])
            });
            array(policies).unwrap_or_else(|| "[]".to_owned())
        });
        Some(object(&[
            ("stabilizationWindowSeconds", scalar(rules, "StabilizationWindowSeconds")),
            ("selectPolicy", scalar(rules, "SelectPolicy")),
            ("policies", policies),
            ("tolerance", scalar(rules, "Tolerance")),
        ]))
    };
    let (up, down) = (rules("ScaleUp"), rules("ScaleDown"));
    if up.is_none() && down.is_none() {
        return None;
    }
    parse_typed(object(&[("scaleUp", up), ("scaleDown", down)]), HorizontalPodAutoscalerBehavior::TYPE)
}
