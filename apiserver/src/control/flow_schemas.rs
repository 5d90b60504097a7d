//! Says of each FlowSchema whether the priority level that it refers to is there.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use corten_api::field::quote;
use corten_api::json::string as quoted;
use corten_api::time::Timestamp;
use corten_object::tree::Tree;
use corten_runtime::tasks::CancellationToken;
use corten_views::flowcontrol_v1::FlowSchema;

use super::changes::Changes;
use super::client;
use super::pace::Pace;
use crate::api::Api;
use crate::cache::Scope;

const GROUP: &str = "flowcontrol.apiserver.k8s.io";
const COLLECTION: &str = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
/// The field manager that upstream's servers are, too, so that several servers do not contend.
const MANAGER: &str = "api-priority-and-fairness-config-consumer-v1";
const DANGLING: &str = "Dangling";

pub struct FlowSchemas {
    api: Arc<Api>,
    schemas: Changes,
    levels: Changes,
    pace: Pace,
}

/// What the condition is to say.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    status: &'static str,
    reason: &'static str,
    message: String,
}

impl FlowSchemas {
    pub fn new(api: &Arc<Api>) -> Result<FlowSchemas> {
        Ok(FlowSchemas {
            api: Arc::clone(api),
            schemas: Changes::of(api, GROUP, "flowschemas", Scope::All)?,
            levels: Changes::of(api, GROUP, "prioritylevelconfigurations", Scope::All)?,
            pace: Pace::new(api.clock.clone()),
        })
    }

    pub async fn run(mut self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = self.schemas.wait() => {}
                () = self.levels.wait() => {}
                () = self.pace.wait() => {}
                () = token.cancelled() => return,
            }
            self.look().await;
        }
    }

    /// Looks at all of them: a level that comes or goes concerns any number.
    pub async fn look(&mut self) {
        self.schemas.take();
        self.levels.take();
        let objects = self.schemas.storage.cache.snapshot().objects;
        for object in objects.values() {
            let tree = self.schemas.storage.tree(object);
            let Some(said) = self.to_say(&tree) else {
                self.pace.settled(object.name());
                continue;
            };
            if !self.pace.admits(object.name()) {
                continue;
            }
            match self.say(object.name(), &said).await {
                Ok(()) => self.pace.wrote(object.name()),
                Err(error) => {
                    tracing::warn!(name = object.name(), %error, "a FlowSchema does not say whether its level is there");
                    self.pace.failed(object.name());
                }
            }
        }
    }

    /// What the condition is to say, if it does not.
    fn to_say(&self, tree: &Tree) -> Option<Said> {
        let schema: FlowSchema<'_> = tree.view();
        let level = schema.spec().priority_level_configuration().name();
        // One that cannot be read is there.
        let said = said(level, !matches!(self.api.lookup(GROUP, "prioritylevelconfigurations", level), Ok(None)));
        (!says(schema, &said)).then_some(said)
    }

    async fn say(&self, name: &str, said: &Said) -> Result<()> {
        let path = format!("{COLLECTION}/{name}/status");
        let now = Timestamp::from_seconds(self.api.clock.now().seconds).format();
        match client::apply(&self.api, &path, MANAGER, body(name, said, &now)).await {
            Ok(_) => Ok(()),
            // It is gone, and the event of that is on its way.
            Err(refused) if refused.is_not_found() => Ok(()),
            Err(refused) => Err(anyhow!(refused)),
        }
    }
}

fn said(level: &str, found: bool) -> Said {
    let subject = format!("This FlowSchema references the PriorityLevelConfiguration object named {}", quote(level));
    if found {
        Said { status: "False", reason: "Found", message: format!("{subject} and it exists") }
    } else {
        Said { status: "True", reason: "NotFound", message: format!("{subject} but there is no such object") }
    }
}

fn says(schema: FlowSchema<'_>, said: &Said) -> bool {
    let condition = schema.status().conditions().iter().find(|condition| condition.type_() == DANGLING);
    condition.is_some_and(|condition| {
        condition.status() == said.status && condition.reason() == said.reason && condition.message() == said.message
    })
}

fn body(name: &str, said: &Said, now: &str) -> String {
    format!(
        concat!(
            r#"{{"kind":"FlowSchema","apiVersion":"flowcontrol.apiserver.k8s.io/v1","metadata":{{"name":{name}}},"#,
            r#""status":{{"conditions":[{{"type":"{dangling}","status":"{status}","lastTransitionTime":"{now}","#,
            r#""reason":"{reason}","message":{message}}}]}}}}"#
        ),
        name = quoted(name),
        dangling = DANGLING,
        status = said.status,
        now = now,
        reason = said.reason,
        message = quoted(&said.message),
    )
}

#[cfg(test)]
mod tests {
    use corten_object::json::{Form, parse};
    use corten_object::tree::View;

    use super::*;

    #[test]
    fn what_is_said() {
        let check = |status: &str, found: bool, expected: bool| {
            let text = format!(
                r#"{{"spec":{{"priorityLevelConfiguration":{{"name":"p"}}}},"status":{{"conditions":[{status}]}}}}"#
            );
            let tree = parse(text.into_bytes(), Form::Typed(FlowSchema::TYPE)).expect("JSON").tree;
            assert_eq!(says(tree.view(), &said("p", found)), expected, "{status} {found}");
        };
        let condition = |said: &Said| {
            let (status, reason, message) = (said.status, said.reason, quoted(&said.message));
            format!(r#"{{"type":"Dangling","status":"{status}","reason":"{reason}","message":{message}}}"#)
        };
        check("", true, false);
        check(&condition(&said("p", true)), true, true);
        check(&condition(&said("p", true)), false, false);
        check(&condition(&said("p", false)), false, true);
        check(&condition(&said("q", true)), true, false);
    }
}
