//! What is told of a scenario: each figure beside its aim, and what a million such jobs would cost.

use stoker_core::limits::REGISTRATIONS_A_MINUTE;

use crate::queue::FIFO_A_SECOND;
use crate::scenario::{Outcome, Scenario};
use crate::world::{Purpose, What, World, locked};

/// List prices in US dollars: AWS's price lists, us-east-1, 2026. Each of a million, but for the first
/// (GB-seconds of Lambda, x86) and the last (a GB into `CloudWatch` Logs).
mod prices {
    pub(super) const GB_SECOND: f64 = 0.000_016_666_7;
    pub(super) const INVOCATIONS: f64 = 0.20;
    pub(super) const WRITE_UNITS: f64 = 0.625;
    pub(super) const READ_UNITS: f64 = 0.125;
    pub(super) const STANDARD_QUEUE: f64 = 0.40;
    pub(super) const FIFO_QUEUE: f64 = 0.50;
    pub(super) const S3_PUT: f64 = 5.0;
    pub(super) const LOG_GB: f64 = 0.50;
}

/// The Lambda's memory that costs are told for, in MB, and at how many of them it has a whole CPU: it gets
/// CPU time by its share of them.
const MEMORY: f64 = 512.0;
const WHOLE_CPU: f64 = 1_769.0;

/// What GitHub's points let an App register in a minute, and how much of that is to be used.
const A_MINUTE: f64 = 180.0;
const USED: f64 = 0.95;

/// A scenario's figures as they are printed.
struct Told<'a> {
    scenario: &'a Scenario,
    world: &'a World,
    all_met: bool,
}

/// Prints a scenario's figures. Whether every aim is met.
pub(crate) fn tell(scenario: &Scenario, outcome: &Outcome) -> bool {
    let mut told = Told {
        scenario,
        world: &outcome.world,
        all_met: true,
    };
    let limits = if scenario.limited {
        "GitHub 900 points a minute, CreateFleet 2 a second, SSM 40 a second"
    } else {
        "without any limit"
    };
    println!(
        "\n{} jobs within a second, {limits}, {} launches a decision",
        scenario.jobs, scenario.a_decision
    );
    told.time(outcome);
    told.calls();
    told.memory(outcome);
    told.around(outcome);
    told.work();
    told.writes();
    told.cost(outcome);
    told.all_met
}

impl Told<'_> {
    fn line(what: &str, measured: &str) {
        println!("  {what:<58} {measured:>14}");
    }

    fn aim(&mut self, what: &str, measured: &str, aim: &str, met: bool) {
        self.all_met &= met;
        let verdict = if met { "met" } else { "MISSED" };
        println!("  {what:<58} {measured:>14}   aim: {aim} ({verdict})");
    }

    fn per_job(&self, what: What, purposes: &[Purpose]) -> f64 {
        self.world.counted(what, purposes) as f64 / self.scenario.jobs as f64
    }

    fn all_per_job(&self, what: What) -> f64 {
        self.world.total(what) as f64 / self.scenario.jobs as f64
    }

    fn time(&mut self, outcome: &Outcome) {
        let scenario = self.scenario;
        let jobs = scenario.jobs as f64;
        let seconds = outcome.launched_in.unwrap_or(f64::INFINITY);
        let what = "until every runner is launched, registered and configured";
        let measured = format!("{seconds:.1} s");
        if scenario.limited {
            Self::line(what, &measured);
            let rate = jobs / seconds * 60.0;
            let measured = format!("{rate:.1}");
            let aim = format!("at least {:.0}", A_MINUTE * USED);
            self.aim("runners a minute", &measured, &aim, rate >= A_MINUTE * USED);
        } else if scenario.a_decision > REGISTRATIONS_A_MINUTE {
            self.aim(what, &measured, "15 s", seconds <= 15.0);
        } else {
            Self::line(what, &measured);
        }
        Self::line(
            "until every job has ended and all is quiet",
            &format!("{:.0} s", outcome.over_in),
        );
    }

    fn calls(&mut self) {
        let github = self.all_per_job(What::Registrations) + self.all_per_job(What::GitHubOthers);
        self.aim(
            "GitHub calls a job",
            &format!("{github:.3}"),
            "1.1",
            github <= 1.1,
        );
        let written = self.all_per_job(What::ParametersWritten);
        self.aim(
            "SSM writes a job",
            &format!("{written:.3}"),
            "1.1",
            written <= 1.1,
        );
        let launch = self.per_job(What::LedgerWrites, &Purpose::OF_LAUNCHES);
        let measured = format!("{launch:.2}");
        self.aim(
            "ledger writes a job, for its launch",
            &measured,
            "8",
            launch <= 8.0,
        );
        let fleets = self.all_per_job(What::Fleets) * 100.0;
        let measured = format!("{fleets:.2} %");
        self.aim(
            "CreateFleet calls, of the jobs",
            &measured,
            "2 %",
            fleets < 2.0,
        );
    }

    fn memory(&mut self, outcome: &Outcome) {
        if let Some(act) = outcome.one_act {
            let measured = format!("{:.1} MB", act.own());
            let what = "memory of a process that acts on 10,000 waiting jobs";
            self.aim(what, &measured, "128 MB", act.own() < 128.0);
            let what = "  of that before there were any";
            Self::line(what, &format!("{:.1} MB", act.before));
            let what = "  what the stand-ins hold besides then";
            Self::line(what, &format!("{:.1} MB", act.filled - act.before));
        }
        let what = "memory of the whole scenario, stand-ins included";
        Self::line(what, &format!("{:.1} MB", outcome.peak));
    }

    fn around(&self, outcome: &Outcome) {
        let world = self.world;
        let (points, asking) = locked(&world.outside).most();
        let numbers = [
            ("runners launched", locked(&world.outside).launched()),
            (
                "GitHub: refused for its limit",
                world.total(What::GitHubRefused),
            ),
            ("GitHub: the most points in a minute", points.into()),
            ("GitHub: the most requests at once", asking.into()),
            ("CreateFleet: calls", world.total(What::Fleets)),
            ("CreateFleet: throttled", world.total(What::FleetsThrottled)),
            ("EC2: other calls", world.total(What::Ec2Others)),
            (
                "SSM: throttled, and repeated by the SDK",
                world.total(What::ParametersThrottled),
            ),
            (
                "SSM: given up by the SDK",
                world.total(What::ParametersFailed),
            ),
            ("SSM: deleted", world.total(What::ParametersDeleted)),
            (
                "ledger: writes that met another writer",
                world.total(What::LedgerConflicts),
            ),
            (
                "troubles in the log (BURST_TELLS=1 tells them)",
                world.total(What::Troubles),
            ),
            (
                "act queue: the most requests sent in a second",
                world.acts.most_a_second(),
            ),
            ("acts", world.total(What::Acts)),
            (
                "decisions that launch",
                world.total(What::DecisionsThatLaunch),
            ),
            ("invocations", world.total(What::Invocations)),
            ("processes", outcome.processes),
        ];
        for (what, number) in numbers {
            Self::line(what, &number.to_string());
        }
        if world.acts.most_a_second() > FIFO_A_SECOND {
            println!("    (a FIFO queue without high throughput takes {FIFO_A_SECOND} a second)");
        }
    }

    /// The table of who asks for what.
    fn work(&self) {
        let parts = [
            ("queued", Purpose::Queued),
            ("acts", Purpose::Act),
            ("ticks", Purpose::Tick),
            ("news", Purpose::News),
            ("around", Purpose::Around),
            ("edge", Purpose::Edge),
        ];
        print!("  {:<28}", "a job");
        for (name, _) in parts {
            print!("{name:>10}");
        }
        println!("{:>10}", "all");
        for (name, what) in [
            ("GitHub: registrations", What::Registrations),
            ("GitHub: other calls", What::GitHubOthers),
            ("ledger: reads", What::LedgerReads),
            ("ledger: read units", What::ReadUnits),
            ("ledger: writes", What::LedgerWrites),
            ("ledger: items written", What::ItemsWritten),
            ("ledger: write units", What::WriteUnits),
            ("SSM: writes", What::ParametersWritten),
            ("SSM: deletions", What::ParametersDeleted),
            ("SQS: standard requests", What::StandardRequests),
            ("SQS: FIFO requests", What::FifoRequests),
            ("S3: journal records", What::JournalWrites),
            ("S3: journal bytes", What::JournalBytes),
            ("log bytes", What::LogBytes),
        ] {
            print!("  {name:<28}");
            for (_, purpose) in parts {
                let number = self.per_job(what, &[purpose]);
                print!("{number:>10.*}", if number >= 1_000.0 { 0 } else { 2 });
            }
            let number = self.all_per_job(what);
            println!("{number:>10.*}", if number >= 1_000.0 { 0 } else { 2 });
        }
    }

    /// What the ledger's writes are.
    fn writes(&self) {
        println!("  ledger writes a job, by what is written: for its launch, and in all");
        for what in [
            "jobs",
            "runners",
            "outcomes",
            "decisions",
            "accounts",
            "shared items",
            "what is due",
            "repositories' names",
        ] {
            let launch = self.per_job(What::Wrote(what), &Purpose::OF_LAUNCHES);
            let all = self.all_per_job(What::Wrote(what));
            println!("    {what:<26}{launch:>10.2}{all:>10.2}");
        }
    }

    fn cost(&self, outcome: &Outcome) {
        let jobs = self.scenario.jobs as f64;
        let waits = self.world.total(What::LambdaMicros) as f64 / 1e6;
        let computes = outcome.cpu * WHOLE_CPU / MEMORY;
        let seconds = waits + computes;
        let numbers = [
            (
                "Lambda-seconds by the virtual clock",
                format!("{waits:.1} s"),
            ),
            (
                "CPU time of the whole program",
                format!("{:.1} s of {:.0}", outcome.cpu, outcome.real),
            ),
            (
                "  of it, at the CPU share of 512 MB",
                format!("{computes:.1} s"),
            ),
            (
                "Lambda-seconds a job, both",
                format!("{:.3} s", seconds / jobs),
            ),
        ];
        for (what, number) in numbers {
            Self::line(what, &number);
        }
        println!("  a million such jobs, in US dollars");
        let each = |what| self.all_per_job(what);
        let rows = [
            (
                "Lambda: 512 MB, and invocations",
                seconds / jobs * MEMORY / 1_024.0 * prices::GB_SECOND * 1e6
                    + each(What::Invocations) * prices::INVOCATIONS,
            ),
            (
                "DynamoDB: writes",
                each(What::WriteUnits) * prices::WRITE_UNITS,
            ),
            (
                "DynamoDB: reads",
                each(What::ReadUnits) * prices::READ_UNITS,
            ),
            (
                "SQS",
                each(What::StandardRequests) * prices::STANDARD_QUEUE
                    + each(What::FifoRequests) * prices::FIFO_QUEUE,
            ),
            (
                "S3: journal records",
                each(What::JournalWrites) * prices::S3_PUT,
            ),
            ("SSM: standard parameters", 0.0),
        ];
        let mut all = 0.0;
        for (what, dollars) in rows {
            all += dollars;
            Self::line(&format!("  {what}"), &format!("{dollars:.2}"));
        }
        Self::line("  all of it", &format!("{all:.2}"));
        let log = each(What::LogBytes) / 1e9 * prices::LOG_GB * 1e6;
        Self::line("  besides: CloudWatch Logs", &format!("{log:.2}"));
    }
}
