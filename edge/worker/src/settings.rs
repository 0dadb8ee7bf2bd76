//! What must be configured: intake's settings, the queue, and who may send to it.

use secrecy::{ExposeSecret, SecretString};
use stoker_intake::{SettingError, SettingsError, SettingsReader};

/// All settings of the Worker. The `Debug` output shows no secret.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What a webhook is, and which are admitted.
    pub intake: stoker_intake::Settings,
    /// Where admitted events go.
    pub queue: Queue,
}

/// An SQS standard queue and the credentials to send to it.
#[derive(Clone, Debug)]
pub struct Queue {
    /// The region, as in `eu-central-1`.
    pub region: String,
    /// The queue's URL, which SQS knows it by.
    pub url: String,
    /// The URL that requests go to, with a slash at the end.
    pub endpoint: String,
    /// Who sends.
    pub credentials: Credentials,
}

/// AWS credentials.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The access key's id. Not a secret by itself, and treated as one.
    pub access_key_id: SecretString,
    /// The access key.
    pub secret_access_key: SecretString,
    /// The session token of temporary credentials.
    pub session_token: Option<SecretString>,
}

impl Settings {
    /// Reads all settings, or says everything that is wrong with them.
    ///
    /// On top of intake's: `AWS_REGION`, `SQS_QUEUE_URL`, `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY` are required; `AWS_SESSION_TOKEN` and `SQS_ENDPOINT` (unset is the region's
    /// own) are optional.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = SettingsReader::new(lookup);
        let intake = stoker_intake::Settings::read(&mut reader);
        let queue = queue(&mut reader);
        let settings = intake.zip(queue);
        reader.finish(settings.map(|(intake, queue)| Self { intake, queue }))
    }
}

fn queue<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<Queue> {
    let region = region(reader);
    let url = queue_url(reader);
    let endpoint = endpoint(reader, region.as_deref());
    let access_key_id = reader.required_secret("AWS_ACCESS_KEY_ID");
    let secret_access_key = reader.required_secret("AWS_SECRET_ACCESS_KEY");
    let session_token = reader.optional_secret("AWS_SESSION_TOKEN");
    let (region, url) = (region?, url?);
    if url_region(&url).is_some_and(|own| own != region) {
        reader.fail(SettingError::Invalid {
            name: "AWS_REGION",
            expected: "the region in SQS_QUEUE_URL",
        });
    }
    Some(Queue {
        region,
        url,
        endpoint: endpoint?,
        credentials: Credentials {
            access_key_id: trimmed(&access_key_id?),
            secret_access_key: trimmed(&secret_access_key?),
            session_token: session_token.as_ref().map(trimmed),
        },
    })
}

fn region<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<String> {
    let name = "AWS_REGION";
    let region = reader.required(name)?.trim().to_owned();
    // The region becomes part of a host name.
    let is_region = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.chars().all(is_region) {
        return Some(region);
    }
    let expected = "an AWS region, such as eu-central-1";
    reader.fail(SettingError::Invalid { name, expected });
    None
}

fn queue_url<F: Fn(&str) -> Option<String>>(reader: &mut SettingsReader<F>) -> Option<String> {
    let name = "SQS_QUEUE_URL";
    let url = reader.required(name)?.trim().to_owned();
    // A FIFO queue refuses a delay per message, and would hold an owner's jobs behind one another.
    let is_fifo = url.rsplit('.').next() == Some("fifo");
    if is_http_url(&url) && !is_fifo {
        return Some(url);
    }
    let expected = "the http(s) URL of an SQS standard queue";
    reader.fail(SettingError::Invalid { name, expected });
    None
}

fn endpoint<F: Fn(&str) -> Option<String>>(
    reader: &mut SettingsReader<F>,
    region: Option<&str>,
) -> Option<String> {
    let name = "SQS_ENDPOINT";
    let Some(url) = reader.optional(name) else {
        return region.map(regional_endpoint);
    };
    let url = url.trim().trim_end_matches('/');
    if is_http_url(url) && !url.contains(['?', '#']) {
        return Some(format!("{url}/"));
    }
    let expected = "an http(s) URL without a query";
    reader.fail(SettingError::Invalid { name, expected });
    None
}

/// The public endpoint of SQS in a region. China is a partition with a domain of its own.
fn regional_endpoint(region: &str) -> String {
    let domain = if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    };
    format!("https://sqs.{region}.{domain}/")
}

/// The region in the URL of a queue on AWS.
fn url_region(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://sqs.")?;
    let (region, rest) = rest.split_once('.')?;
    rest.starts_with("amazonaws.com").then_some(region)
}

/// Whether a text is a URL with a plain host, as far as a signature and a request need it.
fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else {
        return false;
    };
    let host_and_port = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = host_and_port
        .rsplit_once(':')
        .unwrap_or((host_and_port, "443"));
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let has_letter_or_digit = host.chars().any(|c| c.is_ascii_alphanumeric());
    has_letter_or_digit
        && host.chars().all(is_host)
        && port.parse::<u16>().is_ok()
        && rest.chars().all(|c| c.is_ascii_graphic())
}

/// Keys have no white space, and what is piped into `wrangler secret put` may end with a line break.
fn trimmed(secret: &SecretString) -> SecretString {
    secret.expose_secret().trim().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMPLETE: &[(&str, &str)] = &[
        ("GITHUB_WEBHOOK_SECRET", "hush-webhook"),
        ("AWS_REGION", "eu-central-1"),
        (
            "SQS_QUEUE_URL",
            "https://sqs.eu-central-1.amazonaws.com/123456789012/intake",
        ),
        ("AWS_ACCESS_KEY_ID", "hush-id"),
        ("AWS_SECRET_ACCESS_KEY", "hush-key\n"),
    ];

    fn read(extra: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        Settings::from_lookup(|name| {
            let mut all = extra.iter().chain(COMPLETE);
            all.find(|(own, _)| *own == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    fn wrong(extra: &[(&str, &str)]) -> Vec<&'static str> {
        let told = read(extra).unwrap_err();
        told.errors().iter().map(SettingError::name).collect()
    }

    #[test]
    fn the_endpoint_is_the_regions_unless_it_is_given() {
        assert_eq!(
            read(&[]).unwrap().queue.endpoint,
            "https://sqs.eu-central-1.amazonaws.com/"
        );
        let beijing = read(&[
            ("AWS_REGION", "cn-north-1"),
            (
                "SQS_QUEUE_URL",
                "https://sqs.cn-north-1.amazonaws.com.cn/1/intake",
            ),
        ]);
        assert_eq!(
            beijing.unwrap().queue.endpoint,
            "https://sqs.cn-north-1.amazonaws.com.cn/"
        );
        for given in ["http://127.0.0.1:4566", "http://127.0.0.1:4566/"] {
            let settings = read(&[("SQS_ENDPOINT", given)]).unwrap();
            assert_eq!(settings.queue.endpoint, "http://127.0.0.1:4566/");
        }
    }

    #[test]
    fn keys_lose_the_line_break_that_came_with_them() {
        let settings = read(&[]).unwrap();
        let key = settings.queue.credentials.secret_access_key;
        assert_eq!(key.expose_secret(), "hush-key");
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let told = Settings::from_lookup(|_| None).unwrap_err();
        let names: Vec<_> = told.errors().iter().map(SettingError::name).collect();
        assert_eq!(
            names,
            [
                "GITHUB_WEBHOOK_SECRET",
                "AWS_REGION",
                "SQS_QUEUE_URL",
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
            ]
        );
    }

    #[test]
    fn a_setting_that_cannot_work_is_named() {
        assert_eq!(wrong(&[("AWS_REGION", "Frankfurt!")]), ["AWS_REGION"]);
        assert_eq!(wrong(&[("AWS_REGION", "us-east-1")]), ["AWS_REGION"]);
        for url in [
            "intake",
            "https://",
            "ftp://host/q",
            "https://h/q.fifo",
            "https://a b/q",
        ] {
            assert_eq!(wrong(&[("SQS_QUEUE_URL", url)]), ["SQS_QUEUE_URL"], "{url}");
        }
        for url in [
            "sqs",
            "http://:80",
            "http://host:port",
            "http://u:p@host/",
            "http://h/?a=b",
        ] {
            assert_eq!(wrong(&[("SQS_ENDPOINT", url)]), ["SQS_ENDPOINT"], "{url}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let shown = format!(
            "{:?}",
            read(&[("AWS_SESSION_TOKEN", "hush-token")]).unwrap()
        );
        assert!(!shown.contains("hush"), "{shown}");
        let told = read(&[("DELAY_SECONDS", "-1"), ("AWS_REGION", "hush hush")]).unwrap_err();
        let shown = format!("{told} {told:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*") {
            let _ = read(&[("SQS_ENDPOINT", &text), ("SQS_QUEUE_URL", &text), ("AWS_REGION", &text)]);
        }
    }
}
