//! Requests by chance, each from numbers of its own, so that leaving one out changes no other.

use std::collections::BTreeMap;

use corten_store::simulation::Dice;
use serde_json::{Value, json};

use super::follower::{Scope, Selector};
use super::kinds::{KINDS, Kind, Theme, pick};
use crate::fixture::Request;

/// What a request is meant to do.
#[derive(Clone, Debug)]
pub enum Intent {
    Create,
    /// With the revision and the uid that it names.
    Replace {
        revision: Option<u64>,
        uid: String,
    },
    Patch,
    Apply,
    Delete {
        revision: Option<u64>,
        uid: String,
    },
    Collection,
    Get,
    List {
        scope: Scope,
        /// Pages of so many.
        limit: u64,
        consistent: bool,
    },
    Watch {
        scope: Scope,
        from: Option<u64>,
    },
    /// A subresource whose answer is no object of the kind.
    Scale,
}

#[derive(Clone, Debug)]
pub struct Issue {
    pub request: Request,
    pub kind: usize,
    pub namespace: String,
    /// Empty if it is generated, or there is none.
    pub name: String,
    pub intent: Intent,
    pub dry_run: bool,
}

impl Issue {
    pub fn kind(&self) -> &'static Kind {
        &KINDS[self.kind]
    }

    pub fn key(&self) -> String {
        self.kind().key(&self.namespace, &self.name)
    }

    pub fn told(&self) -> String {
        let body = String::from_utf8_lossy(&self.request.body);
        format!("{} {} {body}", self.request.method, self.request.path)
    }
}

/// What clients have seen: the newest object that any answer brought, by path, and revisions of lists.
#[derive(Default)]
pub struct Known {
    pub objects: BTreeMap<String, Value>,
    pub revisions: Vec<u64>,
}

/// The request of a number.
pub fn issue(dice: &mut Dice, known: &Known, theme: Theme) -> Issue {
    let weights: u64 = KINDS.iter().map(|kind| theme.weight(kind)).sum();
    let mut chosen = dice.roll(weights);
    let mut at = 0;
    while chosen >= theme.weight(&KINDS[at]) {
        chosen -= theme.weight(&KINDS[at]);
        at += 1;
    }
    let kind = &KINDS[at];
    let namespace = match kind.namespaced {
        true => pick(dice, &["default", "default", "red"]),
        false => "",
    };
    let name = kind.name(dice);
    let collection = kind.collection(namespace);
    let path = format!("{collection}/{name}");
    let mut issue = Issue {
        request: Request::get(&path),
        kind: at,
        namespace: namespace.to_owned(),
        name: name.clone(),
        intent: Intent::Get,
        dry_run: dice.roll(16) == 0,
    };
    let query = if issue.dry_run { "?dryRun=All" } else { "" };
    // A definition is there more often than not, or nothing happens to its objects.
    let fresh = if kind.is_definition() { 34 } else { 26 };
    let verb = dice.roll(100);
    if verb < fresh {
        create(&mut issue, &collection, query, dice);
    } else if verb < 44 {
        replace(&mut issue, &path, query, known, dice);
    } else if verb < 54 {
        patch(&mut issue, &path, query, dice);
    } else if verb < 62 {
        apply(&mut issue, &path, query, dice);
    } else if verb < 76 {
        delete(&mut issue, &path, known, dice);
    } else if verb < 79 {
        collection_of(&mut issue, &collection, dice);
    } else if verb < 83 {
        subresource(&mut issue, &path, known, dice);
    } else if verb < 86 {
        issue.dry_run = false;
    } else {
        issue.dry_run = false;
        issue.name = String::new();
        let scope = Scope {
            kind: at,
            namespace: if dice.roll(2) == 0 { namespace.to_owned() } else { String::new() },
            selector: selector(kind, &name, dice),
        };
        read(&mut issue, scope, known, dice);
    }
    issue
}

fn create(issue: &mut Issue, collection: &str, query: &str, dice: &mut Dice) {
    let kind = issue.kind();
    let mut object = kind.object(&issue.name, dice);
    if dice.roll(12) == 0 && !kind.is_definition() {
        issue.name = String::new();
        let meta = object["metadata"].as_object_mut().expect("an object");
        meta.remove("name");
        meta.insert("generateName".to_owned(), "g-".into());
    }
    issue.intent = Intent::Create;
    issue.request = Request::post(format!("{collection}{query}")).json(object);
}

fn replace(issue: &mut Issue, path: &str, query: &str, known: &Known, dice: &mut Dice) {
    let kind = issue.kind();
    let mut fresh = kind.object(&issue.name, dice);
    let before = known.objects.get(path);
    let way = dice.roll(5);
    if let Some(before) = before.filter(|_| way > 0) {
        let mut meta = before["metadata"].clone();
        if way == 1 {
            meta.as_object_mut().expect("an object").remove("resourceVersion");
        }
        if let Some(labels) = fresh["metadata"].get("labels") {
            meta["labels"] = labels.clone();
        }
        // Finalizers come and go, but for those of a definition: who takes them off leaves its objects behind.
        if dice.roll(3) == 0 && !kind.is_definition() {
            meta.as_object_mut().expect("an object").remove("finalizers");
        }
        fresh["metadata"] = meta;
        if kind.kind == "Service" && dice.roll(3) > 0 {
            let ip = before["spec"]["clusterIP"].clone();
            if !ip.is_null() {
                fresh["spec"]["clusterIP"] = ip;
            }
        }
        if kind.kind == "RoleBinding" || kind.kind == "ClusterRoleBinding" {
            fresh["roleRef"] = before["roleRef"].clone();
        }
        if !before["status"].is_null() && dice.roll(2) == 0 {
            fresh["status"] = before["status"].clone();
        }
        if kind.kind == "Pod" {
            let image = fresh["spec"]["containers"][0]["image"].clone();
            fresh["spec"] = before["spec"].clone();
            fresh["spec"]["containers"][0]["image"] = image;
        }
    }
    let text = |name: &str| fresh["metadata"][name].as_str().unwrap_or_default();
    let intent = Intent::Replace { revision: text("resourceVersion").parse().ok(), uid: text("uid").to_owned() };
    issue.intent = intent;
    issue.request = Request::put(format!("{path}{query}")).json(fresh);
}

fn patch(issue: &mut Issue, path: &str, query: &str, dice: &mut Dice) {
    issue.intent = Intent::Patch;
    let path = format!("{path}{query}");
    let app = pick(dice, &["x", "y", "z"]);
    issue.request = match dice.roll(6) {
        0 => Request::json_patch(path, json!([{"op": "add", "path": "/metadata/annotations", "value": {"n": app}}])),
        1 if !issue.kind().is_definition() => Request::merge_patch(path, json!({"metadata": {"finalizers": null}})),
        2 if !issue.kind().is_definition() => {
            Request::merge_patch(path, json!({"metadata": {"finalizers": ["example.com/hold"]}}))
        }
        3 if !issue.kind().is_custom() => Request::strategic_patch(path, json!({"metadata": {"labels": {"app": app}}})),
        4 if issue.kind().is_custom() => {
            Request::merge_patch(path, json!({"spec": {"color": pick(dice, &["red", "green"])}}))
        }
        4 if issue.kind().kind == "Service" => Request::merge_patch(
            path,
            json!({"spec": {"type": pick(dice, &["ClusterIP", "NodePort", "LoadBalancer"])}}),
        ),
        5 if issue.kind().is_definition() => columns(path, dice),
        _ => Request::merge_patch(path, json!({"metadata": {"labels": {"app": app}}})),
    };
}

/// A definition changes in what its resources show.
fn columns(path: String, dice: &mut Dice) -> Request {
    let value = match dice.roll(2) {
        0 => {
            json!([{"op": "add", "path": "/spec/versions/0/selectableFields", "value": [{"jsonPath": ".spec.color"}]}])
        }
        _ => json!([{"op": "add", "path": "/spec/versions/0/additionalPrinterColumns",
            "value": [{"name": format!("C{}", dice.roll(9)), "type": "string", "jsonPath": ".spec.color"}]}]),
    };
    Request::json_patch(path, value)
}

fn apply(issue: &mut Issue, path: &str, query: &str, dice: &mut Dice) {
    let mut object = issue.kind().object(&issue.name, dice);
    object["metadata"].as_object_mut().expect("an object").remove("finalizers");
    let manager = pick(dice, &["m1", "m2"]);
    let force = if dice.roll(2) == 0 { "&force=true" } else { "" };
    issue.intent = Intent::Apply;
    let mut request = Request::apply(&format!("{path}{query}"), manager, object);
    request.path.push_str(force);
    issue.request = request;
}

fn delete(issue: &mut Issue, path: &str, known: &Known, dice: &mut Dice) {
    let (mut revision, mut uid) = (None, String::new());
    let mut options = json!({});
    if let Some(before) = known.objects.get(path) {
        let text = |name: &str| before["metadata"][name].as_str().unwrap_or_default().to_owned();
        if dice.roll(4) == 0 {
            uid = text("uid");
            options["preconditions"]["uid"] = uid.clone().into();
        }
        if dice.roll(6) == 0 {
            revision = text("resourceVersion").parse().ok();
            options["preconditions"]["resourceVersion"] = text("resourceVersion").into();
        }
    }
    if dice.roll(4) == 0 {
        options["propagationPolicy"] = pick(dice, &["Orphan", "Background", "Foreground"]).into();
    }
    if dice.roll(4) == 0 {
        options["gracePeriodSeconds"] = dice.roll(2).into();
    }
    if issue.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    issue.intent = Intent::Delete { revision, uid };
    issue.request = Request::delete(path).json(options);
}

fn collection_of(issue: &mut Issue, collection: &str, dice: &mut Dice) {
    issue.intent = Intent::Collection;
    issue.name = String::new();
    // Of what the cluster itself needs, nothing is deleted by the dozen.
    let cluster_wide = !issue.kind().namespaced && !issue.kind().is_custom();
    if cluster_wide || issue.kind().kind == "Service" {
        issue.intent = Intent::Get;
        issue.request = Request::get(format!("{collection}/none"));
        issue.name = "none".to_owned();
        issue.dry_run = false;
        return;
    }
    let limit = if dice.roll(3) == 0 { "&limit=1" } else { "" };
    let selector = Selector::App(pick(dice, &["x", "y", "z"])).query();
    let dry_run = if issue.dry_run { "&dryRun=All" } else { "" };
    issue.request = Request::delete(format!("{collection}?{}{limit}{dry_run}", selector.trim_end_matches('&')));
}

fn subresource(issue: &mut Issue, path: &str, known: &Known, dice: &mut Dice) {
    let before = known.objects.get(path);
    match issue.kind().kind {
        "Deployment" if dice.roll(2) == 0 => {
            issue.intent = Intent::Scale;
            issue.request = Request::merge_patch(format!("{path}/scale"), json!({"spec": {"replicas": dice.roll(5)}}));
        }
        "Namespace" => {
            issue.intent = Intent::Replace { revision: None, uid: String::new() };
            let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": issue.name}, "spec": {"finalizers": []}});
            issue.request = Request::put(format!("{path}/finalize")).json(object);
        }
        "Widget" | "Gadget" | "Deployment" | "Pod" | "Service" => {
            issue.intent = Intent::Patch;
            let status = match issue.kind().kind {
                "Pod" => json!({"phase": pick(dice, &["Pending", "Running"])}),
                "Deployment" => json!({"observedGeneration": dice.roll(3)}),
                "Service" => json!({"conditions": []}),
                _ => json!({"seen": dice.roll(3)}),
            };
            issue.request = Request::merge_patch(format!("{path}/status"), json!({"status": status}));
        }
        _ => {
            issue.intent = Intent::Patch;
            issue.request =
                Request::merge_patch(path, json!({"metadata": {"annotations": {"s": dice.roll(3).to_string()}}}));
            let _ = before;
        }
    }
    issue.dry_run = false;
}

fn selector(kind: &Kind, name: &str, dice: &mut Dice) -> Selector {
    let app = pick(dice, &["x", "y", "z"]);
    match dice.roll(9) {
        0 => Selector::App(app),
        1 => Selector::NotApp(app),
        2 => Selector::HasApp,
        3 => Selector::Name(name.to_owned()),
        4 if kind.kind == "Pod" => Selector::Node(pick(dice, &["n1", "n2"])),
        4 | 5 if kind.is_custom() => Selector::Color(pick(dice, &["red", "green"])),
        _ => Selector::All,
    }
}

fn read(issue: &mut Issue, scope: Scope, known: &Known, dice: &mut Dice) {
    let collection = issue.kind().collection(&scope.namespace);
    let query = scope.selector.query();
    let revision = match known.revisions.len() as u64 {
        0 => None,
        count => Some(known.revisions[dice.roll(count) as usize]),
    };
    match dice.roll(3) {
        0 => {
            let limit = if dice.roll(3) == 0 { 1 + dice.roll(2) } else { 0 };
            let (consistent, at) = match (dice.roll(4), revision) {
                (0, _) if limit == 0 => (false, "resourceVersion=0&".to_owned()),
                (1, Some(at)) => (false, format!("resourceVersion={at}&resourceVersionMatch=Exact&")),
                (2, Some(at)) if limit == 0 => (false, format!("resourceVersion={at}&")),
                _ => (true, String::new()),
            };
            let limited = if limit > 0 { format!("limit={limit}&") } else { String::new() };
            issue.intent = Intent::List { scope, limit, consistent };
            issue.request = Request::get(format!("{collection}?{query}{at}{limited}"));
        }
        _ => {
            let from = revision.filter(|_| dice.roll(2) == 0);
            let at = from.map_or("resourceVersion=&".to_owned(), |from| format!("resourceVersion={from}&"));
            issue.intent = Intent::Watch { scope, from };
            issue.request = Request::get(format!("{collection}?{query}{at}allowWatchBookmarks=true&"));
        }
    }
}
