//! The rest of the world: GitHub, which tells of jobs, gives them to runners and ends them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use secrecy::SecretString;
use stoker_admission::Report;
use stoker_core::class::Classes;
use stoker_core::happening::{Decision, Happening};
use stoker_core::ids::{ClassName, InstanceId, JobKey};
use stoker_core::ports::{JobLookup, Reporter};
use stoker_core::runner::RunnerPhase;
use stoker_core::time::Timestamp;
use stoker_intake::{Answer, DeliveryId, JobId, Reception, sign};
use stoker_local::Embedded;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

use super::payloads::{Example, OWNER, Repository, Told};
use crate::plane::{Observer, Plane};
use crate::tell::{Teller, Tone};
use crate::webhook::{Answered, client, made_up_delivery, post};

/// How long a job of the demo runs.
const JOB_TIME: Duration = Duration::from_millis(1_500);

/// How long the demo waits for something to happen: many times what it takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells what happens, and lets the demo hear of it.
pub(super) struct Ears {
    pub(super) teller: Arc<Teller>,
    pub(super) seen: UnboundedSender<Happening>,
}

impl Reporter for Ears {
    fn report(&self, at: Timestamp, happening: &Happening) {
        self.teller.report(at, happening);
        // When the demo is over nobody listens.
        let _ = self.seen.send(happening.clone());
    }
}

impl Observer for Ears {
    fn webhook(&self, reception: &Reception, answer: &Answer) {
        self.teller.webhook(reception, answer);
    }

    fn admission(&self, came_to: Result<&Report, String>) {
        // That the policy is active is told by the introduction.
        let good = came_to.as_ref().is_ok_and(|report| {
            let refused = |folder| {
                let verdict: Option<&stoker_admission::Verdict> = report.verdicts.get(folder);
                verdict.is_some_and(|verdict| verdict.outcome.is_refusal())
            };
            report.alarms.is_empty() && !report.news.iter().any(refused)
        });
        if !good {
            self.teller.admission(came_to);
        }
    }
}

/// How far a job has come, at GitHub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Waits,
    Runs { until: Instant },
    Done,
}

/// A job at GitHub.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) repository: Repository,
    pub(super) name: &'static str,
    pub(super) labels: &'static [&'static str],
    /// How Stoker heard of it first.
    pub(super) announced_by: &'static str,
    pub(super) stage: Stage,
    pub(super) queued: Instant,
    pub(super) taken: Option<Instant>,
    pub(super) runner: Option<String>,
    pub(super) class: Option<ClassName>,
    /// Why it was deferred, each reason once.
    pub(super) deferred: Vec<String>,
}

impl Job {
    pub(super) fn full_name(&self) -> String {
        format!("{OWNER}/{} \"{}\"", self.repository.name, self.name)
    }

    fn told(&self) -> Told<'_> {
        Told {
            id: self.id,
            repository: self.repository,
            name: self.name,
            labels: self.labels,
        }
    }
}

/// What was counted of it all.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) accepted: usize,
    pub(super) dropped: usize,
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) decisions: usize,
    pub(super) launched: usize,
    pub(super) retired: usize,
    pub(super) nothing_new: usize,
}

/// The world.
pub(super) struct World {
    pub(super) jobs: Vec<Job>,
    pub(super) counts: Counts,
    /// The last decision: who decides does not change.
    pub(super) decided: Option<Decision>,
    /// What must not happen, and did.
    wrong: Vec<String>,
    pub(super) teller: Arc<Teller>,
    plane: Arc<Embedded>,
    url: String,
    client: reqwest::Client,
    secret: SecretString,
    heard: UnboundedReceiver<Happening>,
    classes: Classes,
    class_of: HashMap<InstanceId, ClassName>,
    /// Runners that wait for a job, by name.
    idle: Vec<(String, InstanceId)>,
    first_id: u64,
}

impl World {
    pub(super) fn new(
        plane: &Plane,
        teller: Arc<Teller>,
        secret: SecretString,
        heard: UnboundedReceiver<Happening>,
        classes: Classes,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            jobs: Vec::new(),
            counts: Counts::default(),
            decided: None,
            wrong: Vec::new(),
            teller,
            plane: Arc::clone(plane.embedded()),
            url: plane.webhook_url(),
            client: client()?,
            secret,
            heard,
            classes,
            class_of: HashMap::new(),
            idle: Vec::new(),
            // GitHub's ids have eleven digits by now.
            first_id: 61_000_000_000,
        })
    }

    /// Sends a payload as GitHub does.
    pub(super) async fn send(
        &mut self,
        example: Example,
        payload: &serde_json::Value,
    ) -> anyhow::Result<(DeliveryId, Answered)> {
        let delivery = made_up_delivery(payload.to_string().as_bytes())?;
        let answer = self.deliver(example, payload, &delivery, None).await?;
        Ok((delivery, answer))
    }

    /// Delivers it, or delivers it again; signed with another secret if there is one.
    pub(super) async fn deliver(
        &mut self,
        example: Example,
        payload: &serde_json::Value,
        delivery: &DeliveryId,
        forged: Option<&SecretString>,
    ) -> anyhow::Result<Answered> {
        let body = payload.to_string().into_bytes();
        let signature = sign(forged.unwrap_or(&self.secret), &body);
        let (event, url) = (example.event(), self.url.as_str());
        let answer = post(&self.client, url, event, delivery, &signature, body).await?;
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        match said["status"].as_str() {
            Some("accepted") => self.counts.accepted += 1,
            Some("dropped") => self.counts.dropped += 1,
            Some("pong") => self.counts.answered += 1,
            _ => self.counts.refused += 1,
        }
        Ok(answer)
    }

    /// GitHub queues a job, and says so by that event. The delivery's id and payload, to send it again.
    pub(super) async fn queue(
        &mut self,
        example: Example,
        repository: Repository,
        name: &'static str,
        labels: &'static [&'static str],
    ) -> anyhow::Result<(DeliveryId, serde_json::Value)> {
        let id = self.first_id + 10 * u64::try_from(self.jobs.len())?;
        let job = Job {
            id,
            repository,
            name,
            labels,
            announced_by: example.event(),
            stage: Stage::Waits,
            queued: Instant::now(),
            taken: None,
            runner: None,
            class: None,
            deferred: Vec::new(),
        };
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        let answer = JobLookup::Queued { labels };
        self.plane.github().announce(JobId::new(id), answer);
        let payload = example.of(&job.told(), None)?;
        self.jobs.push(job);
        let (delivery, answer) = self.send(example, &payload).await?;
        if answer.status != 202 {
            self.wrong.push(format!(
                "{name} was answered {} {}",
                answer.status, answer.body
            ));
        }
        Ok((delivery, payload))
    }

    /// Lets the world go on until something holds. Says whether it came to hold in time.
    pub(super) async fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<bool> {
        let start = Instant::now();
        while !holds(self) {
            if start.elapsed() > PATIENCE {
                self.wrong.push(format!(
                    "waited {} s in vain for: {what}",
                    PATIENCE.as_secs()
                ));
                return Ok(false);
            }
            match timeout(Duration::from_millis(50), self.heard.recv()).await {
                Ok(Some(happening)) => self.hear(happening),
                Ok(None) => bail!("the control plane has stopped"),
                Err(_) => {}
            }
            self.end_jobs().await?;
            self.give_jobs().await?;
        }
        Ok(true)
    }

    /// Lets the world go on until nothing is on its way inside the control plane.
    pub(super) async fn settled(&mut self) -> anyhow::Result<bool> {
        let plane = Arc::clone(&self.plane);
        self.until("the queues to be empty", |world| {
            plane.is_quiet() && world.heard.is_empty()
        })
        .await
    }

    pub(super) fn all_done(&self) -> bool {
        self.jobs.iter().all(|job| job.stage == Stage::Done)
    }

    pub(super) fn running_instances(&self) -> usize {
        self.plane.fleet().running()
    }

    fn hear(&mut self, happening: Happening) {
        match happening {
            Happening::Decided(decision) => {
                self.counts.decisions += 1;
                for deferral in &decision.deferrals {
                    for key in &deferral.jobs {
                        self.note_deferral(*key, &deferral.reason);
                    }
                }
                self.decided = Some(*decision);
            }
            Happening::Launched {
                instances, class, ..
            } => {
                self.counts.launched += instances.len();
                for instance in instances {
                    self.class_of.insert(instance.id, class.clone());
                }
            }
            Happening::RunnerChanged {
                runner,
                instance,
                phase,
                ..
            } => match phase {
                RunnerPhase::Idle => self.idle.push((runner, instance)),
                RunnerPhase::Ended => {
                    self.counts.retired += 1;
                    self.idle.retain(|(name, _)| *name != runner);
                }
                _ => {}
            },
            Happening::NothingNew { .. } => self.counts.nothing_new += 1,
            Happening::Trouble { problem, .. }
            | Happening::LaunchUnsettled { problem, .. }
            | Happening::ConfigurationFailed { problem, .. }
            | Happening::MessagePutAside { problem, .. } => self.wrong.push(problem),
            _ => {}
        }
    }

    fn note_deferral(&mut self, key: JobKey, reason: &str) {
        let job = self
            .jobs
            .iter_mut()
            .find(|job| job.id == key.check_run.get());
        if let Some(job) = job
            && job.deferred.last().is_none_or(|last| last != reason)
        {
            job.deferred.push(reason.to_owned());
        }
    }

    /// Each idle runner gets the first job that it fits, as GitHub does it.
    async fn give_jobs(&mut self) -> anyhow::Result<()> {
        let mut place = 0;
        while let Some((runner, instance)) = self.idle.get(place).cloned() {
            let class = self.class_of.get(&instance).cloned();
            let labels = class.as_ref().and_then(|class| self.classes.named(class));
            let fits = |job: &Job| {
                let wanted: Vec<String> = job.labels.iter().map(|&l| l.to_owned()).collect();
                job.stage == Stage::Waits && labels.is_some_and(|class| class.satisfies(&wanted))
            };
            let Some(at) = self.jobs.iter().position(fits) else {
                place += 1;
                continue;
            };
            self.idle.remove(place);
            let now = Instant::now();
            let job = &mut self.jobs[at];
            job.stage = Stage::Runs {
                until: now + JOB_TIME,
            };
            job.taken = Some(now);
            job.runner = Some(runner.clone());
            job.class = class;
            let text = format!("gives {} to {runner}", job.full_name());
            self.tell_of(at, Example::JobInProgress, "in_progress", &text)
                .await?;
        }
        Ok(())
    }

    async fn end_jobs(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        for at in 0..self.jobs.len() {
            if matches!(self.jobs[at].stage, Stage::Runs { until } if until <= now) {
                self.jobs[at].stage = Stage::Done;
                let text = format!("sees {} end with success", self.jobs[at].full_name());
                self.tell_of(at, Example::JobCompleted, "completed", &text)
                    .await?;
            }
        }
        Ok(())
    }

    async fn tell_of(
        &mut self,
        at: usize,
        example: Example,
        status: &str,
        text: &str,
    ) -> anyhow::Result<()> {
        let job = &self.jobs[at];
        self.teller.say(Tone::Outside, "GitHub", text);
        self.plane.github().announce(
            JobId::new(job.id),
            JobLookup::NotQueued {
                status: status.to_owned(),
                runner_name: None,
            },
        );
        let payload = example.of(&job.told(), job.runner.as_deref())?;
        let (_, answer) = self.send(example, &payload).await?;
        if answer.status != 202 {
            self.wrong.push(format!(
                "{status} was answered {} {}",
                answer.status, answer.body
            ));
        }
        Ok(())
    }

    /// What went wrong by itself.
    pub(super) fn untold(&mut self) -> Vec<String> {
        while let Ok(happening) = self.heard.try_recv() {
            self.hear(happening);
        }
        std::mem::take(&mut self.wrong)
    }
}
