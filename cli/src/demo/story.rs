//! What is played, in which order, and what must come of it.

use secrecy::SecretString;
use stoker_core::ids::ArtifactDigest;

use super::payloads::{Example, Repository, Told};
use super::world::{Stage, World};
use crate::tell::Tone;
use crate::webhook::made_up_delivery;

const SHOP: Repository = Repository {
    id: 186_853_002,
    name: "shop",
    private: true,
};
const SITE: Repository = Repository {
    id: 186_853_003,
    name: "website",
    private: false,
};

/// What went otherwise than it should.
type Findings = Vec<String>;

/// Plays all of it.
pub(super) async fn play(
    world: &mut World,
    policy: Option<&ArtifactDigest>,
) -> anyhow::Result<Findings> {
    let mut findings = Findings::new();
    not_work(world, &mut findings).await?;
    one_job(world, &mut findings).await?;
    by_check_run(world, &mut findings).await?;
    too_many(world, &mut findings).await?;
    at_the_end(world, policy, &mut findings);
    Ok(findings)
}

fn expect(findings: &mut Findings, holds: bool, otherwise: impl FnOnce() -> String) {
    if !holds {
        findings.push(otherwise());
    }
}

async fn not_work(world: &mut World, findings: &mut Findings) -> anyhow::Result<()> {
    world
        .teller
        .heading("1. Not every webhook is work: GitHub is answered at once, with the reason");
    let job = |repository| Told {
        id: 60_999_999_990,
        repository,
        name: "build",
        labels: &["self-hosted", "linux", "x64"],
    };
    let public = Example::JobQueued.of(&job(SITE), None)?;
    let waiting = Example::JobWaiting.of(&job(SHOP), None)?;
    for (told, example, payload, part) in [
        (
            "greets the new webhook",
            Example::Ping,
            Example::Ping.payload()?,
            "pong",
        ),
        (
            "tells of a push",
            Example::Push,
            Example::Push.payload()?,
            "event_not_handled",
        ),
        (
            "tells of a job in octo-org/website, which is public",
            Example::JobQueued,
            public,
            "public_repository",
        ),
        (
            "tells of a job that waits for a deployment's approval",
            Example::JobWaiting,
            waiting,
            "job_waiting",
        ),
        (
            "tells of a check that another App made",
            Example::CheckRunCreated,
            Example::CheckRunCreated.payload()?,
            "app_not_admitted",
        ),
    ] {
        world.teller.say(Tone::Outside, "GitHub", told);
        let (_, answer) = world.send(example, &payload).await?;
        expect(
            findings,
            answer.status == 200 && answer.body.contains(part),
            || {
                format!(
                    "a {} was answered {} {}",
                    example.event(),
                    answer.status,
                    answer.body
                )
            },
        );
    }
    world.teller.say(
        Tone::Outside,
        "stranger",
        "sends a queued job of octo-org/shop, signed with another secret",
    );
    let forged = Example::JobQueued.of(&job(SHOP), None)?;
    let delivery = made_up_delivery(b"forged")?;
    let wrong = SecretString::from("not the secret".to_owned());
    let answer = world
        .deliver(Example::JobQueued, &forged, &delivery, Some(&wrong))
        .await?;
    expect(findings, answer.status == 401, || {
        format!(
            "a wrong signature was answered {} {}",
            answer.status, answer.body
        )
    });
    world.settled().await?;
    expect(findings, world.counts.decisions == 0, || {
        "something was decided though nothing was work".to_owned()
    });
    Ok(())
}

async fn one_job(world: &mut World, findings: &mut Findings) -> anyhow::Result<()> {
    world
        .teller
        .heading("2. A job is queued: a runner is launched for it, takes it, and goes with it");
    let labels = &["self-hosted", "linux", "x64"];
    let (delivery, payload) = world
        .queue(Example::JobQueued, SHOP, "build", labels)
        .await?;
    world
        .until("the launch", |world| world.counts.launched == 1)
        .await?;
    world.settled().await?;
    world.teller.say(
        Tone::Outside,
        "GitHub",
        "delivers the same webhook again, as it may: nothing more is to be launched",
    );
    let again = world
        .deliver(Example::JobQueued, &payload, &delivery, None)
        .await?;
    expect(findings, again.status == 202, || {
        format!(
            "the redelivery was answered {} {}",
            again.status, again.body
        )
    });
    world
        .until("the redelivery to be folded", |world| {
            world.counts.nothing_new > 0
        })
        .await?;
    world.settled().await?;
    expect(findings, world.counts.launched == 1, || {
        format!(
            "{} runners were launched for one job",
            world.counts.launched
        )
    });
    finished(world).await
}

async fn by_check_run(world: &mut World, findings: &mut Findings) -> anyhow::Result<()> {
    world.teller.heading(
        "3. A job known only by its check run: labels are not told, so GitHub is asked before a launch",
    );
    let before = world.counts.launched;
    let labels = &["self-hosted", "large"];
    world
        .queue(Example::CheckRunCreated, SHOP, "bench", labels)
        .await?;
    finished(world).await?;
    expect(findings, world.counts.launched == before + 1, || {
        "the job known by its check run got no runner of its own".to_owned()
    });
    Ok(())
}

async fn too_many(world: &mut World, findings: &mut Findings) -> anyhow::Result<()> {
    world.teller.heading(
        "4. Three jobs at once where two runners are allowed: one waits, and is served when one ends",
    );
    let labels = &["self-hosted", "linux", "x64", "small"];
    for name in ["test (1)", "test (2)", "test (3)"] {
        world.queue(Example::JobQueued, SHOP, name, labels).await?;
    }
    finished(world).await?;
    let deferred = world
        .jobs
        .iter()
        .any(|job| job.deferred.iter().any(|reason| reason.contains("maximum")));
    expect(findings, deferred, || {
        "no job was deferred at the maximum of 2 runners".to_owned()
    });
    Ok(())
}

/// Lets all jobs end and their runners go.
async fn finished(world: &mut World) -> anyhow::Result<()> {
    let what = "all jobs to end and all runners to retire";
    world
        .until(what, |world| {
            world.all_done() && world.counts.retired == world.counts.launched
        })
        .await?;
    world.settled().await?;
    Ok(())
}

fn at_the_end(world: &World, policy: Option<&ArtifactDigest>, findings: &mut Findings) {
    for job in &world.jobs {
        expect(findings, job.stage == Stage::Done, || {
            format!("{} did not end", job.full_name())
        });
    }
    let (launched, jobs) = (world.counts.launched, world.jobs.len());
    expect(findings, launched == jobs, || {
        format!("{launched} runners were launched for {jobs} jobs")
    });
    expect(findings, world.running_instances() == 0, || {
        format!("{} instances are left", world.running_instances())
    });
    let Some(decision) = &world.decided else {
        findings.push("nothing was decided".to_owned());
        return;
    };
    if let Some(fallback) = &decision.fallback {
        findings.push(format!("the policy did not decide: {}", fallback.message));
    }
    expect(findings, decision.by.digest.as_ref() == policy, || {
        format!(
            "another policy decided than the one given: {:?}",
            decision.by
        )
    });
}
