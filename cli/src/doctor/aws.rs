//! The ledger's table, and the launch templates of the runner classes.

use std::collections::BTreeMap;

use futures::future::{join_all, join3};
use stoker_aws::inspect::{TableFacts, TemplateFacts, ledger_keys};
use stoker_aws::ledger::EXPIRES_AT;
use stoker_aws::{InspectError, Inspector};
use stoker_core::class::RunnerClass;

use super::deployment::Deployment;
use super::finding::{Check, Finding};

const NO_TABLE: &str = "make it (terraform apply), or correct LEDGER_TABLE; what was in a lost one is rebuilt by \
    `stoker ledger rebuild`";

/// The table of the ledger.
pub(super) async fn ledger(aws: &Inspector, deployment: &Deployment) -> Vec<Finding> {
    let name = &deployment.settings.ledger_table;
    let subject = format!("the table {name}");
    let (table, expiry, recovery) = join3(
        aws.table(name),
        aws.expiry(name),
        aws.has_point_in_time_recovery(name),
    )
    .await;
    if let Err(error @ InspectError::Missing(_)) = &table {
        // What is said of the rest is no news then.
        return vec![Check::Ledger.unseen(subject, error, NO_TABLE)];
    }
    let expiring = format!("expiry of {subject}");
    let backups = format!("point-in-time recovery of {subject}");
    vec![
        match &table {
            Ok(facts) => judge_table(&subject, facts),
            Err(error) => Check::Ledger.unseen(subject, error, NO_TABLE),
        },
        match &expiry {
            Ok(attribute) => judge_expiry(&expiring, attribute.as_deref()),
            Err(error) => Check::Ledger.unseen(expiring, error, NO_TABLE),
        },
        match &recovery {
            Ok(true) => Check::Ledger.ok(format!("{backups}: on")),
            Ok(false) => Check::Ledger.warning(
                backups,
                "it is off: what only the ledger knows (spend, why jobs waited) can't be put back",
                "turn it on: aws dynamodb update-continuous-backups --table-name … \
                 --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            ),
            Err(error) => Check::Ledger.unseen(backups, error, NO_TABLE),
        },
    ]
}

fn judge_table(subject: &str, table: &TableFacts) -> Finding {
    let expected = ledger_keys();
    if table.keys != expected {
        return Check::Ledger.failure(
            subject,
            format!(
                "its keys are {} and have to be {}",
                table.keys.join(" and "),
                expected.join(" and ")
            ),
            "make a table with those keys and put its name into LEDGER_TABLE: keys can't be changed",
        );
    }
    // It can be used while its settings are changed.
    if !["ACTIVE", "UPDATING"].contains(&table.status.as_str()) {
        return Check::Ledger.failure(
            subject,
            format!("it is {} and can't be used", table.status),
            "wait while it is CREATING; otherwise see what its page in the console says",
        );
    }
    Check::Ledger.ok(format!(
        "{subject}: {}, keyed by {}",
        table.status,
        expected.join(" and ")
    ))
}

fn judge_expiry(subject: &str, attribute: Option<&str>) -> Finding {
    match attribute {
        Some(EXPIRES_AT) => Check::Ledger.ok(format!("{subject}: by {EXPIRES_AT}")),
        other => {
            let problem = other.map_or_else(
                || "it is off: ended jobs and runners are kept, and paid for, for ever".to_owned(),
                |other| format!("it is by `{other}` and has to be by `{EXPIRES_AT}`"),
            );
            let remedy = format!("turn TTL on with the attribute `{EXPIRES_AT}`");
            Check::Ledger.failure(subject, problem, remedy)
        }
    }
}

/// The launch templates of all classes, each asked about once.
pub(super) async fn classes(aws: &Inspector, deployment: &Deployment) -> Vec<Finding> {
    let mut users: BTreeMap<&str, Vec<&RunnerClass>> = BTreeMap::new();
    for class in deployment.settings.operation.classes.all() {
        users.entry(&class.launch_template).or_default().push(class);
    }
    let asked = users.iter().map(async |(template, classes)| {
        let answer = aws.launch_template(template).await;
        let each = classes.iter().map(|class| judge_class(class, &answer));
        each.collect::<Vec<_>>()
    });
    join_all(asked).await.concat()
}

fn judge_class(class: &RunnerClass, answer: &Result<TemplateFacts, InspectError>) -> Finding {
    let (template, version) = (&class.launch_template, &class.launch_template_version);
    let subject = format!("the launch template {template} of the class {}", class.name);
    let facts = match answer {
        Ok(facts) => facts,
        Err(error) => {
            let remedy = "make it, or correct launch_template of that class in RUNNER_CLASSES: a template belongs to \
                one region";
            return Check::Classes.unseen(subject, error, remedy);
        }
    };
    match version.parse::<i64>() {
        Ok(number) if number > facts.latest || number < 1 => Check::Classes.failure(
            subject,
            format!("it has no version {number}: its newest is {}", facts.latest),
            "correct launch_template_version of that class in RUNNER_CLASSES, or leave it out for $Default",
        ),
        _ => Check::Classes.ok(format!("{subject}: version {version} of {}", facts.latest)),
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::class::Classes;

    use super::super::finding::Verdict;
    use super::*;

    fn table(status: &str, keys: &[String]) -> Finding {
        let facts = TableFacts {
            status: status.to_owned(),
            keys: keys.to_vec(),
        };
        judge_table("the table t", &facts)
    }

    #[test]
    fn a_table_needs_its_keys_and_to_be_active() {
        assert_eq!(table("ACTIVE", &ledger_keys()).verdict, Verdict::Ok);
        assert_eq!(table("UPDATING", &ledger_keys()).verdict, Verdict::Ok);
        assert_eq!(table("CREATING", &ledger_keys()).verdict, Verdict::Failure);
        let wrong = table("ACTIVE", &["id (HASH, S)".to_owned()]);
        assert!(
            wrong
                .problem
                .unwrap()
                .contains("pk (HASH, S) and sk (RANGE, S)")
        );
    }

    #[test]
    fn items_have_to_expire_by_the_ledger_s_attribute() {
        assert_eq!(judge_expiry("x", Some(EXPIRES_AT)).verdict, Verdict::Ok);
        assert_eq!(judge_expiry("x", Some("ttl")).verdict, Verdict::Failure);
        assert_eq!(judge_expiry("x", None).verdict, Verdict::Failure);
    }

    #[test]
    fn a_class_needs_its_template_in_that_version() {
        let json = r#"[{"name":"small","labels":["linux"],"launch_template":"runner",
            "launch_template_version":"3","maximum":1,"on_demand_price":0.1}]"#;
        let classes = Classes::from_json(json).unwrap();
        let class = classes.all().first().unwrap();
        let judge = |latest| judge_class(class, &Ok(TemplateFacts { latest })).verdict;
        assert_eq!((judge(3), judge(2)), (Verdict::Ok, Verdict::Failure));
        let missing = judge_class(class, &Err(InspectError::Missing("none".to_owned())));
        assert_eq!(missing.verdict, Verdict::Failure);
        assert!(missing.subject.contains("class small"));
    }
}
