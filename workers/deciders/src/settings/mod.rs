//! What a Lambda that decides is told by its environment, checked once at start-up.

mod guards;
pub mod places;

use stoker_core::class::Classes;
use stoker_core::ids::RunnerNames;
use stoker_core::limits::{
    BOOT_TIME, JOBS_SHOWN, MINIMUM_RUNNING_TIME, Operation, RunnerLevel, RunnerMode,
};
use stoker_github::Endpoints;
use stoker_intake::AllowList;
use stoker_lambda::reader::Reader;

use self::places::{Place, Policies};

/// What becomes of messages that can't be handled: scale-up's alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handling {
    /// The queue for them.
    pub dead_letter_queue_url: String,
    /// How often a message may be delivered before it is put there.
    pub most_receives: u32,
}

/// A message that failed so often, over some six minutes, fails for a reason that does not pass by itself.
const MOST_RECEIVES: u32 = 10;

impl Handling {
    /// Reads and checks it. None: something is wrong, of which the reader tells.
    pub fn from_reader<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        // Each is read before any is missed, so that all of them are listed.
        let dead_letter_queue_url = reader.required(
            "DEAD_LETTER_QUEUE_URL",
            "the URL of the queue for messages that can't be handled",
        );
        let receives = "how often a message may be delivered before it is put aside";
        let most_receives = reader.number("MAX_RECEIVES", 1..=1_000, Some(MOST_RECEIVES), receives);
        Some(Self {
            dead_letter_queue_url: dead_letter_queue_url?,
            most_receives: most_receives?,
        })
    }
}

/// All of it, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the control plane goes by.
    pub operation: Operation,
    /// Whose jobs are taken up when a lost ledger is rebuilt.
    pub allow_list: AllowList,
    /// Who decides.
    pub policies: Policies,
    /// The `DynamoDB` table.
    pub ledger_table: String,
    /// The queue of events.
    pub intake_queue_url: String,
    /// The FIFO queue.
    pub act_queue_url: String,
    /// Where the journal is.
    pub journal: Place,
    /// Where instances find their configurations: `/<prefix>/<deployment>/runners/…`.
    pub parameter_prefix: String,
    /// How many configurations may be written a second.
    pub parameter_writes: u32,
    /// The key that encrypts them; none: the account's own for SSM.
    pub kms_key: Option<String>,
    /// Which GitHub.
    pub github: Endpoints,
    /// The SSM parameter with the App's id.
    pub app_id_parameter: String,
    /// The SSM parameter with the App's private key.
    pub app_key_parameter: String,
}

/// The most that a maximum may say: GitHub takes no more runners into one group.
const MOST_RUNNERS: u32 = 10_000;

/// Showing a job costs a policy some 1,000 fuel and the host half a microsecond; GitHub queues no more
/// jobs than this for one organisation's runners at once that could all be launched for.
const MOST_SHOWN: usize = 20_000;

/// What SSM takes a second, unless the account has a higher throughput.
const PARAMETER_WRITES: u32 = 40;

/// A boot that takes longer than an hour is none.
const LONGEST_BOOT: u32 = 3_600;

/// A runner that stays a week without being wanted is no runner that is scaled down.
const LONGEST_STAY: u32 = 7 * 24 * 3_600;

impl Settings {
    /// Reads and checks everything. None: something is wrong, of which the reader tells.
    pub fn from_reader<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Self> {
        // Each is read before any is missed, so that all of them are listed.
        let operation = operation(reader);
        let allow_list = allow_list(reader);
        let deployment = operation.as_ref().map(|operation| &operation.deployment);
        let policies = places::policies(reader, deployment);
        let ledger_table = reader.required("LEDGER_TABLE", "the name of the DynamoDB table");
        let intake_queue_url =
            reader.required("INTAKE_QUEUE_URL", "the URL of the queue of events");
        let act_queue_url = act_queue_url(reader);
        let journal = places::journal(reader);
        let parameter_prefix = reader
            .optional("PARAMETER_PREFIX")
            .unwrap_or_else(|| "stoker".to_owned());
        let writes = "how many parameters may be written a second";
        let parameter_writes = reader.number(
            "PARAMETER_WRITES_A_SECOND",
            1..=10_000,
            Some(PARAMETER_WRITES),
            writes,
        );
        let kms_key = reader.optional("KMS_KEY_ID");
        let github = endpoints(reader);
        let app_id_parameter = reader.required(
            "GITHUB_APP_ID_PARAMETER",
            "the name of the SSM parameter with the GitHub App's id",
        );
        let app_key_parameter = reader.required(
            "GITHUB_APP_PRIVATE_KEY_PARAMETER",
            "the name of the SSM parameter with the GitHub App's private key",
        );
        Some(Self {
            operation: operation?,
            allow_list: allow_list?,
            policies: policies?,
            ledger_table: ledger_table?,
            intake_queue_url: intake_queue_url?,
            act_queue_url: act_queue_url?,
            journal: journal?,
            parameter_prefix,
            parameter_writes: parameter_writes?,
            kms_key,
            github: github?,
            app_id_parameter: app_id_parameter?,
            app_key_parameter: app_key_parameter?,
        })
    }
}

fn operation<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Operation> {
    let deployment = places::deployment(reader);
    let prefix = reader
        .optional("RUNNER_NAME_PREFIX")
        .unwrap_or_else(|| "stoker".to_owned());
    let names = deployment.as_ref().and_then(|deployment| {
        let names = RunnerNames::new(&prefix, deployment);
        reader.parsed("RUNNER_NAME_PREFIX", names)
    });
    let level = reader.word(
        "RUNNER_LEVEL",
        &[
            ("organization", RunnerLevel::Organization),
            ("repository", RunnerLevel::Repository),
        ],
    );
    let mode = reader.word(
        "RUNNER_MODE",
        &[
            ("ephemeral", RunnerMode::Ephemeral),
            ("ephemeral-by-token", RunnerMode::EphemeralByToken),
            ("persistent", RunnerMode::Persistent),
        ],
    );
    let runner_group = reader.optional("RUNNER_GROUP");
    let classes = reader
        .required("RUNNER_CLASSES", "a JSON list of runner classes")
        .and_then(|json| reader.parsed("RUNNER_CLASSES", Classes::from_json(&json)));
    let most = "the most runners that an organisation or repository may have";
    let scope_maximum = reader.number("MAX_RUNNERS", 0..=MOST_RUNNERS, None, most);
    let boot = "the seconds after which an instance that was not heard of is no longer counted on";
    let boot_time = reader.number(
        "BOOT_TIME_SECONDS",
        30..=LONGEST_BOOT,
        Some(BOOT_TIME),
        boot,
    );
    let running = "the seconds for which each runner stays, whatever a policy says";
    let minimum_running_time = reader.number(
        "MINIMUM_RUNNING_TIME_SECONDS",
        0..=LONGEST_STAY,
        Some(MINIMUM_RUNNING_TIME),
        running,
    );
    let shown = "the most waiting jobs that a policy is shown";
    let jobs_shown = reader.number("MAX_JOBS_SHOWN", 1..=MOST_SHOWN, Some(JOBS_SHOWN), shown);
    let guards = guards::guards(reader);
    let rates = guards::rates(reader);
    let all = "the most runners of all organisations and repositories together";
    let deployment_maximum = guards::maximum(reader, "MAX_RUNNERS_IN_ALL", all);
    let spot_fallback = guards::spot_fallback(reader);
    Some(Operation {
        deployment: deployment?,
        names: names?,
        level: level?,
        mode: mode?,
        runner_group,
        classes: classes?,
        scope_maximum: scope_maximum?,
        boot_time: boot_time?,
        minimum_running_time: minimum_running_time?,
        jobs_shown: jobs_shown?,
        guards: guards?,
        rates: rates?,
        deployment_maximum: deployment_maximum?,
        spot_fallback,
    })
}

/// The edge's list: without it, all that the App sees is taken up.
fn allow_list<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<AllowList> {
    match reader.optional("REPOSITORY_ALLOW_LIST") {
        None => Some(AllowList::all()),
        Some(list) => reader.parsed("REPOSITORY_ALLOW_LIST", list.parse()),
    }
}

fn act_queue_url<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<String> {
    let url = reader.required(
        "ACT_QUEUE_URL",
        "the URL of the FIFO queue of requests to act",
    )?;
    if url.starts_with("http") && url.rsplit('.').next() == Some("fifo") {
        return Some(url);
    }
    reader.fail(
        "ACT_QUEUE_URL",
        format!("is `{url}`: give it the URL of a FIFO queue, which ends in `.fifo`"),
    );
    None
}

fn endpoints<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Endpoints> {
    let api = reader
        .optional("GITHUB_API_URL")
        .unwrap_or_else(|| Endpoints::DEFAULT_API.to_owned());
    let default = reader.parsed("GITHUB_API_URL", Endpoints::new(&api, None));
    match reader.optional("GITHUB_WEB_URL") {
        None => default,
        Some(web) => {
            default?;
            reader.parsed("GITHUB_WEB_URL", Endpoints::new(&api, Some(&web)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use stoker_core::limits::{Guards, PublicRepositories};
    use stoker_lambda::reader::SettingsError;
    use stoker_policy::{OnFailure, PolicyMode, SizeClass};

    use super::*;

    const CLASSES: &str = r#"[{"name":"small","labels":["linux"],"launch_template":"lt-1","maximum":5,"spot_price":0.03}]"#;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELX/4d6wmAfDYvU5IysJghvh66iT1MwRqJpV8pYpyX8JjfV0zBkRllmrz48QmvMQx1WYcRjX5DDuKztpOG1kigw==";

    fn enough() -> HashMap<&'static str, &'static str> {
        HashMap::from([
            ("DEPLOYMENT", "ci"),
            ("RUNNER_CLASSES", CLASSES),
            ("MAX_RUNNERS", "20"),
            ("LEDGER_TABLE", "ledger"),
            (
                "INTAKE_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/1/in",
            ),
            (
                "ACT_QUEUE_URL",
                "https://sqs.eu-west-1.amazonaws.com/1/act.fifo",
            ),
            ("JOURNAL_BUCKET", "journal"),
            ("POLICIES_BUCKET", "policies"),
            ("POLICY_PUBLIC_KEYS", KEY),
            ("GITHUB_APP_ID_PARAMETER", "/stoker/app-id"),
            ("GITHUB_APP_PRIVATE_KEY_PARAMETER", "/stoker/app-key"),
        ])
    }

    #[test]
    fn only_where_policies_decide_a_key_is_needed() {
        let mut variables = enough();
        variables.remove("POLICY_PUBLIC_KEYS");
        let told = read(&variables).unwrap_err().to_string();
        assert!(told.contains("POLICY_PUBLIC_KEYS"), "{told}");
        variables.insert("POLICY_MODE", "built-in");
        assert!(read(&variables).is_ok());
    }

    fn read(variables: &HashMap<&str, &str>) -> Result<Settings, SettingsError> {
        let mut reader = Reader::new(|name| variables.get(name).map(|&value| value.to_owned()));
        let settings = Settings::from_reader(&mut reader);
        reader.finish(settings)
    }

    fn wrong(changes: &[(&'static str, &'static str)]) -> String {
        let mut variables = enough();
        variables.extend(changes.iter().copied());
        read(&variables).unwrap_err().to_string()
    }

    #[test]
    fn what_may_be_left_out_has_the_documented_default() {
        let settings = read(&enough()).unwrap();
        assert_eq!(settings.operation.mode, RunnerMode::Ephemeral);
        assert_eq!(settings.operation.level, RunnerLevel::Organization);
        assert_eq!(settings.operation.runner_group, None);
        assert_eq!(settings.operation.boot_time, BOOT_TIME);
        assert_eq!(settings.operation.minimum_running_time, 60);
        assert_eq!(settings.policies.host.mode, PolicyMode::Policies);
        assert_eq!(settings.policies.host.limits, SizeClass::Small.limits());
        assert_eq!(settings.operation.jobs_shown, JOBS_SHOWN);
        assert_eq!(settings.policies.host.on_failure, OnFailure::BuiltIn);
        assert_eq!(settings.policies.place.prefix, "");
        assert_eq!(settings.policies.trust.revalidate, 15);
        assert_eq!(settings.operation.guards, Guards::default());
        assert!(settings.allow_list.admits("acme", "site"));
        assert_eq!(settings.kms_key, None);
        let instance = "i-0a".parse().unwrap();
        assert_eq!(settings.operation.names.name(&instance), "stoker-ci-i-0a");
    }

    #[test]
    fn the_operator_s_limits_are_read() {
        let mut variables = enough();
        variables.extend([
            ("ALLOW_PUBLIC_REPOSITORIES", "true"),
            ("MAX_RUNNERS_PER_REPOSITORY", "7"),
            ("MAX_LAUNCHES_PER_DECISION", "50"),
            ("MAX_REGISTRATIONS_PER_DECISION", "60"),
            ("MAX_SPEND_PER_DAY", "12.5"),
        ]);
        let guards = read(&variables).unwrap().operation.guards;
        assert_eq!(guards.public_repositories, PublicRepositories::Admitted);
        assert_eq!(guards.repository_maximum, Some(7));
        assert_eq!(guards.launches_per_decision, 50);
        assert_eq!(guards.registrations_per_decision, 60);
        assert_eq!(guards.spend.day, Some(12.5));
        assert_eq!(guards.spend.hour, None);
    }

    #[test]
    fn everything_that_is_wrong_is_listed_at_once() {
        let told = read(&HashMap::new()).unwrap_err();
        let names: Vec<_> = told.0.iter().map(|problem| problem.name).collect();
        assert_eq!(
            names,
            [
                "DEPLOYMENT",
                "RUNNER_CLASSES",
                "MAX_RUNNERS",
                "POLICY_PUBLIC_KEYS",
                "POLICIES_BUCKET",
                "LEDGER_TABLE",
                "INTAKE_QUEUE_URL",
                "ACT_QUEUE_URL",
                "JOURNAL_BUCKET",
                "GITHUB_APP_ID_PARAMETER",
                "GITHUB_APP_PRIVATE_KEY_PARAMETER",
            ]
        );
        assert!(
            told.to_string()
                .starts_with("11 settings are wrong: DEPLOYMENT is not set")
        );
    }

    #[test]
    fn a_wrong_value_says_what_would_do() {
        for (name, value, expected) in [
            (
                "RUNNER_MODE",
                "jit",
                "`ephemeral` or `ephemeral-by-token` or `persistent`",
            ),
            ("RUNNER_LEVEL", "Org", "`organization` or `repository`"),
            ("POLICY_MODE", "off", "`policies` or `built-in`"),
            ("ON_POLICY_FAILURE", "stop", "`built-in` or `hold`"),
            ("MAX_RUNNERS", "many", "0 to 10000"),
            ("MAX_RUNNERS", "-1", "0 to 10000"),
            ("BOOT_TIME_SECONDS", "5", "30 to 3600"),
            ("MINIMUM_RUNNING_TIME_SECONDS", "soon", "0 to 604800"),
            ("ALLOW_PUBLIC_REPOSITORIES", "yes", "`false` or `true`"),
            ("MAX_RUNNERS_PER_REPOSITORY", "-1", "0 to 10000"),
            ("MAX_LAUNCHES_PER_DECISION", "0", "1 to 10000"),
            ("MAX_REGISTRATIONS_PER_DECISION", "x", "1 to 10000"),
            ("MAX_SPEND_PER_DAY", "-5", "0 to"),
            ("MAX_SPEND_PER_HOUR", "NaN", "0 to"),
            ("MAX_SPEND_PER_MONTH", "ten", "0 to"),
            (
                "RUNNER_CLASSES",
                "[]",
                "without a class no runner can be launched",
            ),
            ("RUNNER_CLASSES", "{", "not a JSON list"),
            ("DEPLOYMENT", "My CI", "lower-case letters"),
            ("RUNNER_NAME_PREFIX", "a b", "runner name prefix"),
            ("REPOSITORY_ALLOW_LIST", "a/b/c", "more than one slash"),
            ("ACT_QUEUE_URL", "https://sqs/1/act", "ends in `.fifo`"),
            ("GITHUB_API_URL", "http://github.example", "https://"),
            ("GITHUB_WEB_URL", "github.example", "not an https URL"),
        ] {
            let told = wrong(&[(name, value)]);
            assert!(told.contains(name) && told.contains(expected), "{told}");
        }
    }

    #[test]
    fn several_wrong_values_are_told_together() {
        let told = wrong(&[
            ("RUNNER_MODE", "x"),
            ("MAX_RUNNERS", "x"),
            ("LEDGER_TABLE", " "),
        ]);
        assert!(told.starts_with("3 settings are wrong"), "{told}");
    }
}
