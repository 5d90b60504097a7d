//! The ServiceCIDR `kubernetes`: made from the flags, and said to be ready where it is what the flags say.

use std::sync::Arc;

use anyhow::Result;
use corten_api::json::{string as quoted, write_strings};
use corten_api::time::Timestamp;
use corten_object::json;
use corten_object::tree::{Tree, View};
use corten_runtime::tasks::CancellationToken;
use corten_views::networking_v1::{ServiceCIDR, ServiceCIDRSpec};
use ipnet::IpNet;

use super::changes::Changes;
use super::client;
use super::pace::Pace;
use super::recorder::Recorder;
use crate::api::Api;
use crate::cache::Scope;
use crate::metadata;

const NAME: &str = "kubernetes";
const GROUP: &str = "networking.k8s.io";
const COLLECTION: &str = "/apis/networking.k8s.io/v1/servicecidrs";
const CONTROLLER: &str = "kubernetes-service-cidr-controller";

pub struct DefaultServiceCidr {
    api: Arc<Api>,
    cidrs: Vec<String>,
    changes: Changes,
    pace: Pace,
    recorder: Recorder,
    reported_mismatch: bool,
    reported_not_ready: bool,
}

/// What a look at the object leads to.
#[derive(Debug, PartialEq)]
enum Step {
    Nothing,
    Create,
    SetReady,
    /// The cluster becomes dual stack.
    AddSecondRange,
    ReportMismatch,
    ReportNotReady {
        reason: String,
        message: String,
    },
}

impl DefaultServiceCidr {
    pub fn new(api: &Arc<Api>, ranges: &[IpNet]) -> Result<DefaultServiceCidr> {
        Ok(DefaultServiceCidr {
            api: Arc::clone(api),
            cidrs: ranges.iter().map(|range| range.trunc().to_string()).collect(),
            changes: Changes::of(api, GROUP, "servicecidrs", Scope::Object(NAME.into()))?,
            pace: Pace::new(api.clock.clone()),
            recorder: Recorder { controller: CONTROLLER },
            reported_mismatch: false,
            reported_not_ready: false,
        })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = self.changes.wait() => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
            self.look().await;
        }
    }

    /// Makes it what it should be, as far as that is for a server to do.
    pub async fn look(&mut self) {
        self.changes.take();
        // One that cannot be read is left alone; a change of it brings us here again.
        let Ok(tree) = self.api.lookup_tree(GROUP, "servicecidrs", NAME) else { return self.pace.settled(NAME) };
        let step = tree.as_ref().map_or(Step::Create, |tree| next(tree, &self.cidrs));
        if matches!(step, Step::Nothing | Step::ReportMismatch | Step::ReportNotReady { .. }) {
            self.pace.settled(NAME);
        } else if !self.pace.admits(NAME) {
            return;
        }
        let outcome = match (step, tree) {
            (Step::Create, _) => self.create().await,
            (Step::SetReady, _) => self.set_ready().await,
            (Step::AddSecondRange, Some(tree)) => self.add_second_range(tree).await,
            (Step::ReportMismatch, Some(tree)) => return self.report_mismatch(&tree).await,
            (Step::ReportNotReady { reason, message }, Some(tree)) => {
                return self.report_not_ready(&tree, &reason, &message).await;
            }
            _ => return,
        };
        match outcome {
            // Another server was quicker, and the event of that brings us here again.
            Err(refused) if !(refused.is_already_exists() || refused.is_conflict() || refused.is_not_found()) => {
                tracing::warn!(error = %refused, "the default ServiceCIDR is not as it should be");
                self.pace.failed(NAME);
            }
            _ => self.pace.wrote(NAME),
        }
    }

    async fn report_mismatch(&mut self, tree: &Tree) {
        if std::mem::replace(&mut self.reported_mismatch, true) {
            return;
        }
        let kept: Vec<&str> = ServiceCIDR::from_struct(tree.root().as_struct()).spec().cidrs().iter().collect();
        let note = format!(
            "The default ServiceCIDR [{}] does not match the controller flag configurations [{}]",
            kept.join(" "),
            self.cidrs.join(" ")
        );
        tracing::warn!("{note}");
        self.warn(tree, "KubernetesDefaultServiceCIDRInconsistent", &note).await;
    }

    async fn report_not_ready(&mut self, tree: &Tree, reason: &str, message: &str) {
        if !std::mem::replace(&mut self.reported_not_ready, true) {
            let reason = if reason.is_empty() { "NotReady" } else { reason };
            self.warn(tree, reason, &format!("Configuration matches, but {message}")).await;
        }
    }

    async fn create(&self) -> client::Result<()> {
        client::create(&self.api, COLLECTION, self.body()).await?;
        self.set_ready().await
    }

    async fn warn(&self, tree: &Tree, reason: &str, note: &str) {
        self.recorder.warn(&self.api, tree, reason, "ServiceCIDRSync", note).await;
    }

    fn body(&self) -> String {
        let mut cidrs = Vec::new();
        write_strings(&mut cidrs, &self.cidrs);
        format!(
            r#"{{"kind":"ServiceCIDR","apiVersion":"networking.k8s.io/v1","metadata":{{"name":"{NAME}"}},"spec":{{"cidrs":{}}}}}"#,
            String::from_utf8_lossy(&cidrs)
        )
    }

    async fn set_ready(&self) -> client::Result<()> {
        let now = Timestamp::from_seconds(self.api.clock.now().seconds).format();
        let body = format!(
            concat!(
                r#"{{"kind":"ServiceCIDR","apiVersion":"networking.k8s.io/v1","metadata":{{"name":"{name}"}},"#,
                r#""status":{{"conditions":[{{"type":"Ready","status":"True","lastTransitionTime":{now},"#,
                r#""message":"Kubernetes default Service CIDR is ready"}}]}}}}"#
            ),
            name = NAME,
            now = quoted(&now)
        );
        client::apply(&self.api, &format!("{COLLECTION}/{NAME}/status"), CONTROLLER, body).await?;
        Ok(())
    }

    async fn add_second_range(&self, mut tree: Tree) -> client::Result<()> {
        let items: Vec<_> = self.cidrs.iter().map(|cidr| tree.string(cidr)).collect();
        let list = tree.list(&items);
        tree.edit().ensure(ServiceCIDR::SPEC).put(ServiceCIDRSpec::CIDRS, list);
        let outcome = client::update(&self.api, &format!("{COLLECTION}/{NAME}"), json::to_vec(tree.root())).await;
        let refused = match outcome {
            Ok(_) => return Ok(()),
            // A server that becomes dual stack at the same time was quicker.
            Err(refused) if refused.is_conflict() => return Err(refused),
            Err(refused) => refused,
        };
        let note = format!(
            "The default ServiceCIDR can not be upgraded from {} to dual stack [{}] : {}",
            self.cidrs[0],
            self.cidrs.join(" "),
            refused.message
        );
        self.warn(&tree, "KubernetesDefaultServiceCIDRError", &note).await;
        Err(refused)
    }
}

fn next(tree: &Tree, cidrs: &[String]) -> Step {
    let view = ServiceCIDR::from_struct(tree.root().as_struct());
    let kept: Vec<&str> = view.spec().cidrs().iter().collect();
    if cidrs.len() == 2 && kept == [cidrs[0].as_str()] {
        return Step::AddSecondRange;
    }
    // What is being deleted is the controller manager's.
    if metadata::read(tree).deletion_timestamp().is_some() {
        return Step::Nothing;
    }
    if kept != cidrs {
        return Step::ReportMismatch;
    }
    let conditions = view.status().conditions();
    let ready = conditions.iter().find(|condition| condition.type_() == "Ready");
    match ready.map(|condition| (condition, condition.status())) {
        None | Some((_, "Unknown")) => Step::SetReady,
        Some((condition, "False")) => {
            Step::ReportNotReady { reason: condition.reason().to_owned(), message: condition.message().to_owned() }
        }
        Some(_) => Step::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        let ty = corten_schema::kind(GROUP, "v1", "ServiceCIDR").unwrap().ty;
        let check = |kept: &str, wanted: &[&str], expected: Step| {
            let tree = json::parse(kept.as_bytes().to_vec(), json::Form::Typed(ty)).unwrap().tree;
            let wanted: Vec<String> = wanted.iter().map(|cidr| (*cidr).to_owned()).collect();
            assert_eq!(next(&tree, &wanted), expected, "{kept}");
        };
        let one = r#"{"spec":{"cidrs":["10.96.0.0/16"]}}"#;
        check(one, &["10.96.0.0/16"], Step::SetReady);
        check(one, &["10.97.0.0/16"], Step::ReportMismatch);
        check(one, &["10.96.0.0/16", "fd00::/112"], Step::AddSecondRange);
        let status = |status: &str| {
            format!(
                r#"{{"spec":{{"cidrs":["10.96.0.0/16"]}},"status":{{"conditions":[{{"type":"Ready","status":"{status}","reason":"R","message":"M"}}]}}}}"#
            )
        };
        check(&status("True"), &["10.96.0.0/16"], Step::Nothing);
        check(&status("Unknown"), &["10.96.0.0/16"], Step::SetReady);
        let not_ready = Step::ReportNotReady { reason: "R".into(), message: "M".into() };
        check(&status("False"), &["10.96.0.0/16"], not_ready);
        let deleted = r#"{"metadata":{"deletionTimestamp":"2026-01-01T00:00:00Z"},"spec":{"cidrs":["10.96.0.0/16"]}}"#;
        check(deleted, &["10.96.0.0/16"], Step::Nothing);
    }
}
