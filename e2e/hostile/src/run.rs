//! The requests of a case, sent one after the other and measured.

use anyhow::Result;
use serde_json::{Value, json};

use crate::body::{self, JSON, PROTOBUF, YAML};
use crate::case::{Case, Form, Style};
use crate::client::{Answer, NO_ANSWER, Sender, Sent};
use crate::grow::Size;
use crate::meter::{Cost, Meter};
use crate::patches::{self, APPLY, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
/// How long it may take until a deleted object is gone.
const GONE: std::time::Duration = std::time::Duration::from_secs(30);

/// What became of one request of a case.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub step: &'static str,
    pub bytes: usize,
    pub answer: Answer,
    pub cost: Cost,
}

/// Sends the requests of a case whose value has been grown to a size. Where one has no answer, it is the last.
pub async fn run(case: &Case<'_>, size: Size, sender: &Sender, meter: &mut dyn Meter) -> Result<Vec<Outcome>> {
    let mut run = Run { case, size, sender, meter, outcomes: Vec::new() };
    let sent = run.send_all().await;
    if answered(&run.outcomes) {
        sent?;
        if case.form.stores() {
            run.remove().await?;
        }
    }
    Ok(run.outcomes)
}

/// Whether each request had an answer.
pub fn answered(outcomes: &[Outcome]) -> bool {
    outcomes.iter().all(|outcome| outcome.answer.code != NO_ANSWER)
}

struct Run<'a> {
    case: &'a Case<'a>,
    size: Size,
    sender: &'a Sender,
    meter: &'a mut dyn Meter,
    outcomes: Vec<Outcome>,
}

impl Run<'_> {
    async fn send_all(&mut self) -> Result<()> {
        use Form::*;
        let case = self.case;
        let subresource = case.target.subresource(case.site);
        match case.form {
            // What only a subresource writes would be ignored in a create.
            CreateJson | StoreJson if !subresource.is_empty() => self.on_small(UpdateJson).await,
            CreateYaml | StoreYaml if !subresource.is_empty() => self.on_small(UpdateYaml).await,
            CreateProtobuf | StoreProtobuf if !subresource.is_empty() => self.on_small(UpdateProtobuf).await,
            CreateJson | CreateYaml | CreateProtobuf => {
                let query = self.query(true);
                let (body, content_type) = self.whole(&case.target.renamed("new"), case.style)?;
                let path = format!("{}?{query}", case.target.collection);
                self.send("create", "POST", &path, content_type, body).await.map(drop)
            }
            StoreJson | StoreYaml | StoreProtobuf => self.stored().await,
            LargeJsonPatch | LargeMergePatch | LargeStrategicPatch | LargeApply => self.on_large().await,
            form => self.on_small(form).await,
        }
    }

    /// A request about the small object that is there, or about none where none is.
    async fn on_small(&mut self, form: Form) -> Result<()> {
        let case = self.case;
        let applied = matches!(form, Form::ApplyJson | Form::ApplyYaml);
        let subresource = case.target.subresource(case.site);
        let path = format!("{}{subresource}?{}", case.target.path(case.target.base()), self.query(true));
        let sample = &case.target.sample;
        let (size, style) = (self.size, case.style);
        match form {
            Form::UpdateJson | Form::UpdateYaml | Form::UpdateProtobuf => {
                let (body, content_type) = self.whole(sample, style)?;
                self.send("update", "PUT", &path, content_type, body).await?;
            }
            Form::JsonPatch => {
                let body = patches::json_patch(case, sample, size);
                self.send("patch", "PATCH", &path, JSON_PATCH, body.into()).await?;
            }
            Form::JsonPatchMany => {
                let body = patches::json_patch_many(case, sample, size);
                self.send("patch", "PATCH", &path, JSON_PATCH, body.into()).await?;
            }
            Form::MergePatch => {
                let body = body::json(sample, case.site, style, size);
                self.send("patch", "PATCH", &path, MERGE_PATCH, body.into()).await?;
            }
            Form::StrategicPatch => {
                let body = patches::strategic(case, sample, size);
                self.send("patch", "PATCH", &path, STRATEGIC_PATCH, body.into()).await?;
            }
            _ => {
                debug_assert!(applied);
                let path = format!("{path}&fieldManager=hostile&force=true");
                let body = self.applied(form, style);
                self.send("apply", "PATCH", &path, APPLY, body).await?;
            }
        }
        Ok(())
    }

    /// Creates, reads in each form, updates in the other order, changes a little, deletes.
    async fn stored(&mut self) -> Result<()> {
        let case = self.case;
        let (name, query) = (self.name(), self.query(false));
        let sample = case.target.renamed(&name);
        let (body, content_type) = self.whole(&sample, case.style)?;
        let created =
            self.send("create", "POST", &format!("{}?{query}", case.target.collection), content_type, body).await?;
        if created.code != 201 {
            return Ok(());
        }
        let path = self.path();
        self.read("get", &path, JSON).await?;
        self.read("get as YAML", &path, YAML).await?;
        self.read("get as table", &path, TABLE).await?;
        if case.target.ty.is_some() {
            self.read("get as protobuf", &path, PROTOBUF).await?;
        }
        self.read("list", &case.target.collection, JSON).await?;
        let (body, content_type) = self.whole(&sample, other(case.style))?;
        self.send("update", "PUT", &format!("{path}?{query}"), content_type, body).await?;
        let label = json!({"metadata": {"labels": {"patched": "yes"}}}).to_string();
        self.send("small patch", "PATCH", &format!("{path}?{query}"), MERGE_PATCH, label.into()).await?;
        let delete = format!("{path}?gracePeriodSeconds=0");
        self.send("delete", "DELETE", &delete, JSON, Vec::new()).await?;
        Ok(())
    }

    /// Patches an object that is large at the site already.
    async fn on_large(&mut self) -> Result<()> {
        let case = self.case;
        let (name, query) = (self.name(), self.query(false));
        let (sample, subresource) = (case.target.renamed(&name), case.target.subresource(case.site));
        let collection = format!("{}?{query}", case.target.collection);
        let mut path = format!("{}{subresource}?{query}", self.path());
        let large = body::json(&sample, case.site, Style::Ordered, self.size);
        let made = if subresource.is_empty() {
            self.send("create", "POST", &collection, JSON, large.into()).await?
        } else {
            let small = body::settled(&sample).to_string();
            self.send("create small", "POST", &collection, JSON, small.into()).await?;
            self.send("update", "PUT", &path, JSON, large.into()).await?
        };
        let mut patched = sample;
        if made.code > 201 {
            // What cannot be large in itself is patched where it is small; that stays as it is.
            path = format!("{}{subresource}?{}", case.target.path(case.target.base()), self.query(true));
            patched = case.target.sample.clone();
        }
        let (size, style) = (self.size, case.style);
        match case.form {
            Form::LargeJsonPatch => {
                let body = patches::json_patch_large(case, size);
                self.send("patch", "PATCH", &path, JSON_PATCH, body.into()).await?;
            }
            Form::LargeMergePatch => {
                let body = body::json(&patched, case.site, style, size);
                self.send("patch", "PATCH", &path, MERGE_PATCH, body.into()).await?;
            }
            Form::LargeStrategicPatch => {
                let body = patches::strategic(case, &patched, size);
                self.send("patch", "PATCH", &path, STRATEGIC_PATCH, body.into()).await?;
            }
            _ => {
                // By a manager who owns nothing of it, then by one who lets go of a half. Where all are equal, without
                // force: the answer names the conflicts.
                let force = style != Style::Equal;
                let path = format!("{path}&fieldManager=other&force={force}");
                let body = body::json(&patched, case.site, Style::Ordered, size);
                self.send("apply", "PATCH", &path, APPLY, body.into()).await?;
                let half = Size { bytes: size.bytes / 2, ..size };
                let body = body::json(&patched, case.site, style, half);
                self.send("apply again", "PATCH", &path, APPLY, body.into()).await?;
            }
        }
        Ok(())
    }

    /// The whole object in the form's encoding.
    fn whole(&self, sample: &Value, style: Style) -> Result<(Vec<u8>, &'static str)> {
        let (site, size) = (self.case.site, self.size);
        match (self.case.form, self.case.target.ty) {
            (Form::CreateYaml | Form::UpdateYaml | Form::StoreYaml, _) => {
                Ok((body::yaml(sample, site, style, size).into_bytes(), YAML))
            }
            (form, Some(ty)) if form.is_protobuf() => {
                let json = body::json(sample, site, style, size);
                match body::protobuf(ty, json.clone()) {
                    Ok(bytes) => Ok((bytes, PROTOBUF)),
                    // Protobuf cannot say it, a number of a million digits for instance.
                    Err(_) => Ok((json.into_bytes(), JSON)),
                }
            }
            _ => Ok((body::json(sample, site, style, size).into_bytes(), JSON)),
        }
    }

    fn applied(&self, form: Form, style: Style) -> Vec<u8> {
        let (sample, site) = (&self.case.target.sample, self.case.site);
        match form {
            Form::ApplyYaml => body::yaml(sample, site, style, self.size).into_bytes(),
            _ => body::json(sample, site, style, self.size).into_bytes(),
        }
    }

    fn query(&self, dry: bool) -> String {
        let dry = if dry { "dryRun=All&" } else { "" };
        format!("{dry}fieldValidation={:?}", self.case.validation)
    }

    /// Of what this case stores. It has no digit that a generated name could have, and is short.
    fn name(&self) -> String {
        format!("case{}", self.case.number)
    }

    /// The path of what this case stores.
    fn path(&self) -> String {
        let sample = self.case.target.renamed(&self.name());
        self.case.target.path(sample["metadata"]["name"].as_str().unwrap_or_default())
    }

    async fn read(&mut self, step: &'static str, path: &str, accept: &str) -> Result<()> {
        let user = self.case.target.user.as_deref();
        self.exchange(step, Sent { method: "GET", path, content_type: JSON, accept, user, body: Vec::new() })
            .await
            .map(drop)
    }

    async fn send(
        &mut self,
        step: &'static str,
        method: &str,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let user = self.case.target.user.as_deref();
        self.exchange(step, Sent { method, path, content_type, accept: JSON, user, body }).await
    }

    async fn exchange(&mut self, step: &'static str, sent: Sent<'_>) -> Result<Answer> {
        let bytes = sent.body.len();
        self.meter.begin();
        let answer = self.sender.send(sent).await;
        let cost = self.meter.end();
        self.outcomes.push(Outcome { step, bytes, answer: answer.clone(), cost });
        anyhow::ensure!(answer.code != NO_ANSWER, "no answer");
        Ok(answer)
    }

    /// Takes away what the case has stored, whatever finalizers it has.
    async fn remove(&mut self) -> Result<()> {
        let path = self.path();
        let began = std::time::Instant::now();
        loop {
            let delete = Sent {
                method: "DELETE",
                path: &format!("{path}?gracePeriodSeconds=0&propagationPolicy=Background"),
                content_type: JSON,
                accept: JSON,
                user: None,
                body: Vec::new(),
            };
            if self.sender.send(delete).await.code == 404 {
                return Ok(());
            }
            let free = Sent {
                method: "PATCH",
                path: &path,
                content_type: MERGE_PATCH,
                accept: JSON,
                user: None,
                body: br#"{"metadata":{"finalizers":null}}"#.to_vec(),
            };
            self.sender.send(free).await;
            anyhow::ensure!(began.elapsed() < GONE, "{path} cannot be deleted");
        }
    }
}

/// The style of an update after a create, so that something changes.
fn other(style: Style) -> Style {
    match style {
        Style::Ordered => Style::Reversed,
        _ => Style::Ordered,
    }
}
