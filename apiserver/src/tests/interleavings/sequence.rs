//! One sequence: clients, servers, and a schedule that lets one of them go on at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use corten_store::simulation::{Dice, SimDisk};
use corten_store::{Applied, Error, Store};
use futures::FutureExt;
use serde_json::{Value, json};

use super::follower::Follower;
use super::gates::Gates;
use super::judge;
use super::kinds::{KINDS, Theme, pick};
use super::requests::{self, Intent, Issue, Known};
use super::timeline::Timeline;
use crate::fixture::{Answer, Cluster, Fault, Request, Server, Settings, StoreCall, Verb, Watching, settle, until};

/// What a sequence is made from; the same makes the same.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub servers: usize,
    /// Numbers of requests that are left out.
    pub without: BTreeSet<usize>,
    /// Whether a history is kept.
    pub told: bool,
}

/// Longer than any request may take.
const REQUEST_MAX: Duration = Duration::from_secs(130);
/// More steps than a sequence has whose servers come to rest.
const STEPS_MAX: usize = 20_000;

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Finding {
    pub check: &'static str,
    pub text: String,
}

impl Finding {
    pub fn new(check: &'static str, text: impl Into<String>) -> Finding {
        Finding { check, text: text.into() }
    }
}

pub type Judged<T = ()> = Result<T, Finding>;

pub struct Sequence {
    pub plan: Plan,
    pub cluster: Cluster,
    pub timeline: Timeline,
    pub followers: Vec<Follower>,
    pub known: Known,
    /// Whether calls of the store fail in this round.
    pub faulty: bool,
    /// Whether they have in this round or in one before: caches were filled anew, and know only what came since.
    pub was_faulty: bool,
    /// The first form in which each object was shown at each revision.
    pub shown: BTreeMap<String, Value>,
    /// Objects whose deletion was answered, by uid.
    pub deleted: BTreeMap<String, String>,
    pub history: Vec<String>,
    pub findings: Vec<Finding>,
    gates: Arc<Gates>,
    dice: Dice,
    clients: Vec<Client>,
    next: usize,
    total: usize,
    round: usize,
    theme: Theme,
    weights: Weights,
    vanishing: bool,
}

/// How likely each kind of step is; drawn anew for each round, so that servers are behind in some, and calls in
/// others.
#[derive(Default)]
struct Weights {
    start: u64,
    open: u64,
    deliver: Vec<u64>,
}

#[derive(Default)]
struct Client {
    under_way: Option<UnderWay>,
}

struct UnderWay {
    number: usize,
    issue: Issue,
    server: usize,
    /// The store's revision when it began.
    since: u64,
    answer: Pin<Box<dyn Future<Output = Got> + Send>>,
    woken: Arc<Flag>,
}

pub enum Got {
    Answer(Answer),
    Watch(Watching),
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Start(usize),
    Poll(usize),
    Vanish(usize),
    Open(usize),
    Deliver(usize),
    Read(usize),
    Tick,
    Break(usize),
}

/// Numbers of their own for each purpose.
pub fn dice(seed: u64, purpose: u64) -> Dice {
    let mut mixed = seed.wrapping_add(purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        mixed = (mixed ^ (mixed >> 29)).wrapping_mul(factor);
    }
    Dice::new(mixed ^ (mixed >> 32))
}

fn theme_of(seed: u64, round: usize) -> Theme {
    pick(&mut dice(seed, 50 + round as u64), &Theme::ALL)
}

/// What sequences begin with: the initial objects, a namespace more, and service accounts for pods; and the same with a
/// definition that is served.
async fn beginnings() -> &'static [SimDisk; 2] {
    static DISKS: tokio::sync::OnceCell<[SimDisk; 2]> = tokio::sync::OnceCell::const_new();
    DISKS
        .get_or_init(async || {
            let mut cluster = Cluster::start().await;
            let server = cluster.server(0);
            let namespace = json!({"metadata": {"name": "red"}});
            server.ask(Request::post("/api/v1/namespaces").json(namespace)).await.created();
            for namespace in ["default", "red"] {
                let account = json!({"metadata": {"name": "default"}});
                let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
                server.ask(Request::post(path).json(account)).await.created();
            }
            cluster.engine().close().await.expect("the store closes");
            let without = cluster.disk.copy();
            cluster.restart().await;
            let definitions = KINDS.iter().find(|kind| kind.is_definition()).expect("the kind");
            let mut widgets = definitions.object("widgets.example.com", &mut dice(7, 7));
            // The timeline looks into what changes only.
            widgets["metadata"] = json!({"name": "widgets.example.com"});
            let server = cluster.server(0);
            server.ask(Request::post(definitions.collection("")).json(widgets)).await.created();
            let served = async || server.get("/apis/example.com/v1/widgets").await.is_success().then_some(());
            until("the resource of the definition", served).await;
            settle().await;
            cluster.engine().close().await.expect("the store closes");
            [without, cluster.disk.copy()]
        })
        .await
}

impl Sequence {
    pub async fn begin(plan: Plan) -> Sequence {
        let mut dice = dice(plan.seed, 0);
        let defined = theme_of(plan.seed, 0) == Theme::Definitions && dice.roll(3) > 0;
        let settings = Settings {
            servers: plan.servers,
            seed: plan.seed,
            disk: Some(beginnings().await[usize::from(defined)].copy()),
            ..Settings::default()
        };
        let gates = Gates::new(super::sequence::dice(plan.seed, 1));
        let mut cluster = Cluster::without_servers(settings).await;
        for number in 0..plan.servers {
            let store = cluster.viewpoint();
            store.set_gate(Some(gates.of(number)));
            let server = cluster.try_server(store).await.unwrap_or_else(|error| panic!("no start: {error:#}"));
            cluster.join(server);
        }
        settle().await;
        cluster.servers().iter().for_each(Server::hold_feed);
        let timeline = Timeline::begin(&cluster).await;
        let mut sequence = Sequence {
            total: 0,
            clients: Vec::new(),
            faulty: false,
            was_faulty: false,
            vanishing: false,
            round: 0,
            theme: Theme::ALL[0],
            plan,
            cluster,
            timeline,
            followers: Vec::new(),
            known: Known::default(),
            shown: BTreeMap::new(),
            deleted: BTreeMap::new(),
            history: Vec::new(),
            findings: Vec::new(),
            gates,
            dice,
            next: 0,
            weights: Weights::default(),
        };
        sequence.draw();
        sequence
    }

    /// Begins the next round on what the rounds before have left.
    pub fn go_on(&mut self) {
        self.round += 1;
        self.tell(|| "the next round".to_owned());
        self.followers.clear();
        self.draw();
    }

    /// Draws what a round is like. It does not depend on the rounds before, so that leaving out a request of theirs
    /// changes little.
    fn draw(&mut self) {
        let mut dice = dice(self.plan.seed, 10 + self.round as u64);
        let choose = |dice: &mut Dice| [3, 20, 40, 100][dice.roll(4) as usize];
        self.theme = theme_of(self.plan.seed, self.round);
        self.weights = Weights {
            start: choose(&mut dice),
            open: choose(&mut dice),
            deliver: (0..self.plan.servers).map(|_| choose(&mut dice)).collect(),
        };
        self.total = self.next + 10 + dice.roll(31) as usize;
        self.clients = (0..2 + dice.roll(3)).map(|_| Client::default()).collect();
        self.faulty = dice.roll(4) == 0;
        self.was_faulty |= self.faulty;
        self.vanishing = dice.roll(2) == 0;
        self.gates.shut();
    }

    /// Notes what must not be; the sequence goes on, so that one finding does not hide the next.
    pub fn judged(&mut self, judged: Judged) {
        if let Err(finding) = judged {
            self.tell(|| format!("FOUND {}: {}", finding.check, finding.text));
            self.findings.push(finding);
        }
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.plan.told {
            let line = line();
            self.history.push(line);
        }
    }

    /// Lets the schedule run until every request has been made and all has come to rest.
    pub async fn run(&mut self) -> Judged {
        let mut progressed = self.cluster.clock.monotonic();
        for taken in 0.. {
            if taken > STEPS_MAX {
                return Err(Finding::new("never rests", self.waiting()));
            }
            self.cluster.turn().await;
            let steps = self.steps();
            let weight: u64 = steps.iter().map(|(weight, _)| weight).sum();
            if weight == 0 {
                let idle = self.clients.iter().all(|client| client.under_way.is_none());
                if idle && self.next >= self.total {
                    break;
                }
                // Somebody waits for time.
                if self.cluster.clock.since(progressed) > REQUEST_MAX || !self.cluster.time.advance_to_next() {
                    return Err(Finding::new("hangs", self.waiting()));
                }
                continue;
            }
            let mut chosen = self.dice.roll(weight);
            let mut at = 0;
            while chosen >= steps[at].0 {
                chosen -= steps[at].0;
                at += 1;
            }
            if matches!(steps[at].1, Step::Start(_) | Step::Poll(_)) {
                progressed = self.cluster.clock.monotonic();
            }
            let judged = self.take(steps[at].1);
            self.judged(judged);
        }
        self.rest().await
    }

    fn waiting(&self) -> String {
        let under_way = self.clients.iter().filter_map(|client| client.under_way.as_ref());
        let told: Vec<String> = under_way.map(|one| format!("{}: {}", one.number, one.issue.told())).collect();
        format!("not answered: {told:?}")
    }

    fn steps(&self) -> Vec<(u64, Step)> {
        let mut steps = Vec::new();
        for (number, client) in self.clients.iter().enumerate() {
            match &client.under_way {
                None if self.next < self.total => steps.push((self.weights.start, Step::Start(number))),
                None => {}
                Some(one) if one.woken.0.load(Ordering::Relaxed) => steps.push((60, Step::Poll(number))),
                Some(_) if self.vanishing => steps.push((2, Step::Vanish(number))),
                Some(_) => {}
            }
        }
        steps.extend((0..self.gates.waiting()).map(|at| (self.weights.open, Step::Open(at))));
        for (number, server) in self.cluster.servers().iter().enumerate() {
            if server.store.undelivered().is_some() {
                steps.push((self.weights.deliver[number], Step::Deliver(number)));
            }
        }
        if !steps.is_empty() {
            steps.extend((0..self.followers.len()).map(|at| (4, Step::Read(at))));
            let idle = self.clients.iter().all(|client| client.under_way.is_none());
            if idle {
                steps.push((3, Step::Tick));
            }
            if self.faulty {
                steps.extend((0..self.plan.servers).map(|number| (1, Step::Break(number))));
            }
        }
        steps
    }

    fn take(&mut self, step: Step) -> Judged {
        match step {
            Step::Start(client) => self.start(client),
            Step::Poll(client) => self.poll(client)?,
            Step::Vanish(client) => {
                if let Some(gone) = self.clients[client].under_way.take() {
                    self.tell(|| format!("{} goes away", gone.number));
                }
            }
            Step::Open(at) => {
                let (dice, faulty) = (&mut self.dice, self.faulty);
                let told = self.gates.let_through(at, |call| fault(call, dice, faulty));
                self.tell(|| told);
            }
            Step::Deliver(server) => {
                let next = self.cluster.server(server).store.undelivered();
                self.cluster.server(server).store.deliver_one();
                self.tell(|| format!("s{server} hears of {next:?}"));
            }
            Step::Read(follower) => self.read(follower)?,
            Step::Tick => {
                let milliseconds = 1 + self.dice.roll(1500);
                self.cluster.time.advance(Duration::from_millis(milliseconds));
                self.tell(|| format!("{milliseconds} ms pass"));
            }
            Step::Break(server) => {
                self.tell(|| format!("the watch of s{server} breaks"));
                self.cluster.server(server).store.break_feed(Error::Compacted { requested: 1, compacted: 2 });
            }
        }
        Ok(())
    }

    fn revision(&self) -> u64 {
        self.cluster.engine().current_revision().now_or_never().and_then(Result::ok).unwrap_or_default()
    }

    fn start(&mut self, client: usize) {
        let number = self.next;
        self.next += 1;
        if self.plan.without.contains(&number) {
            return;
        }
        let mut dice = dice(self.plan.seed, 100 + number as u64);
        let issue = requests::issue(&mut dice, &self.known, self.theme);
        let server = match dice.roll(4) {
            0 => dice.roll(self.plan.servers as u64) as usize,
            _ => client % self.plan.servers,
        };
        self.tell(|| format!("{number} asks s{server}: {}", issue.told()));
        let from = self.cluster.server(server).clone();
        let answer = answer_of(from, issue.clone()).boxed();
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.clients[client].under_way =
            Some(UnderWay { number, issue, server, since: self.revision(), answer, woken });
    }

    fn poll(&mut self, client: usize) -> Judged {
        let Some(one) = &mut self.clients[client].under_way else { return Ok(()) };
        one.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&one.woken));
        let Poll::Ready(got) = one.answer.as_mut().poll(&mut Context::from_waker(&waker)) else { return Ok(()) };
        let Some(one) = self.clients[client].under_way.take() else { return Ok(()) };
        self.timeline.catch_up(&self.cluster);
        let window = (one.since, self.revision());
        match got {
            Got::Answer(answer) => {
                let end = answer.bytes.len().min(400);
                self.tell(|| {
                    format!(
                        "{} is answered {} {}",
                        one.number,
                        answer.code,
                        String::from_utf8_lossy(&answer.bytes[..end])
                    )
                });
                judge::answer(self, &one.issue, &answer, window)
                    .map_err(|finding| Finding { text: format!("request {}: {}", one.number, finding.text), ..finding })
            }
            Got::Watch(watch) => {
                self.tell(|| format!("{} watches", one.number));
                let Intent::Watch { scope, from } = one.issue.intent else { return Ok(()) };
                self.followers.push(Follower::new(scope, one.server, one.issue.request.path, watch, from));
                Ok(())
            }
        }
    }

    fn read(&mut self, follower: usize) -> Judged {
        let mut objects = Vec::new();
        let one = &mut self.followers[follower];
        let kind = &KINDS[one.scope.kind];
        let read = one.read(|object| objects.push(object.clone()));
        let path = one.path.clone();
        read.map_err(|text| Finding::new("watch", format!("{path}: {text}")))?;
        objects.into_iter().try_for_each(|object| judge::shown(self, kind, object))
    }

    /// Lets everything that is under way come to its end, without faults.
    async fn rest(&mut self) -> Judged {
        self.tell(|| "all gates open".to_owned());
        self.gates.open();
        self.flow().await?;
        // What was put off until later has its time: other tries of what failed, and the repair of what is left.
        let span = Duration::from_secs(if self.faulty { 1200 } else { 5 });
        let end = self.cluster.clock.monotonic() + span;
        while self.cluster.clock.monotonic() < end && self.cluster.time.advance_to_next() {
            self.flow().await?;
        }
        self.flow().await?;
        for at in 0..self.followers.len() {
            let judged = self.read(at);
            self.judged(judged);
        }
        self.timeline.catch_up(&self.cluster);
        Ok(())
    }

    /// Delivers until nobody has anything to do.
    async fn flow(&mut self) -> Judged {
        for _ in 0..STEPS_MAX {
            self.cluster.turn().await;
            let mut delivered = false;
            for server in self.cluster.servers() {
                delivered |= server.store.deliver_one();
            }
            if !delivered {
                return Ok(());
            }
        }
        self.timeline.catch_up(&self.cluster);
        let last = self.timeline.changes.iter().rev().take(8);
        let last: Vec<String> = last.map(|change| format!("{}@{}", change.key, change.revision)).collect();
        Err(Finding::new("never rests", format!("the last of what is written: {last:?}")))
    }

    /// An answer at rest.
    pub async fn ask(&mut self, server: usize, request: Request) -> Judged<Answer> {
        let what = format!("{} {}", request.method, request.path);
        let mut pending = self.cluster.server(server).begin(request);
        for _ in 0..1000 {
            if let Poll::Ready(mut answer) = Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop())) {
                answer.asked = what;
                return Ok(answer);
            }
            self.flow().await?;
        }
        Err(Finding::new("hangs", what))
    }
}

async fn answer_of(server: Server, issue: Issue) -> Got {
    match &issue.intent {
        Intent::Watch { .. } => match server.begin_watch(issue.request).await {
            Ok(watch) => Got::Watch(watch),
            Err(answer) => Got::Answer(answer),
        },
        Intent::List { limit, .. } if *limit > 0 => Got::Answer(pages(&server, issue.request).await),
        _ => Got::Answer(server.begin(issue.request).await),
    }
}

/// All pages of a list as one.
async fn pages(server: &Server, request: Request) -> Answer {
    let mut whole: Option<Answer> = None;
    let mut next = request.clone();
    loop {
        let mut page = server.begin(next.clone()).await;
        if !page.is_success() {
            return page;
        }
        let token = page.text("/metadata/continue").to_owned();
        match &mut whole {
            None => whole = Some(page),
            Some(whole) => {
                let items = page.body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
                if let Some(all) = whole.body["items"].as_array_mut() {
                    all.extend(items);
                }
                if whole.text("/metadata/resourceVersion") != page.text("/metadata/resourceVersion") {
                    whole.body["metadata"]["resourceVersion"] = "pages of several revisions".into();
                }
            }
        }
        if token.is_empty() {
            return whole.expect("a page");
        }
        // The revision is the token's.
        let kept: Vec<&str> = request.path.split('&').filter(|part| !part.contains("resourceVersion")).collect();
        let base = request.path.split('?').next().unwrap_or_default();
        let kept: Vec<&str> = kept.iter().map(|part| part.split('?').next_back().unwrap_or_default()).collect();
        let kept: Vec<&str> = kept.into_iter().filter(|part| part.contains('=') && !part.is_empty()).collect();
        next.path = format!("{base}?{}&continue={token}", kept.join("&"));
    }
}

fn fault(call: &StoreCall, dice: &mut Dice, faulty: bool) -> Option<Fault> {
    if !faulty || dice.roll(25) > 0 {
        return None;
    }
    let unavailable = |applied| Error::Unavailable { reason: "by chance".to_owned(), applied };
    Some(match (call.verb, dice.roll(3)) {
        (Verb::Put | Verb::Delete, 0) => Fault::After(unavailable(Applied::Unknown)),
        (Verb::Put | Verb::Delete, 1) => Fault::Before(unavailable(Applied::Unknown)),
        _ => Fault::Before(unavailable(Applied::No)),
    })
}
