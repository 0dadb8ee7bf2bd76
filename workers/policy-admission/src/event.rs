//! What the Lambda is invoked with: S3's events, which are hints; the schedule's; and requests of
//! `stoker policy`.

use serde::Deserialize;
use serde_json::Value;
use stoker_admission::{Hint, Source, Task};
use stoker_core::ids::PolicyGeneration;
use stoker_core::policy_folder::PolicyFolder;
use thiserror::Error;

/// What is to be done, and what is known of who uploaded what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) task: Task,
    pub(crate) hints: Vec<Hint>,
}

/// A request that is none.
#[derive(Debug, Error)]
#[error(
    "the request can't be understood: {0}; it is {{\"task\":\"sweep\"}} or \
     {{\"task\":\"republish\",\"folder\":…,\"source\":…,\"by\":…}}"
)]
pub(crate) struct NotARequest(#[from] serde_json::Error);

#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "kebab-case", deny_unknown_fields)]
enum Request {
    Sweep {},
    Republish {
        folder: PolicyFolder,
        source: RequestedSource,
        #[serde(default)]
        from: Option<PolicyGeneration>,
        by: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RequestedSource {
    Before {},
    Generation(PolicyGeneration),
    Folder(PolicyFolder),
}

/// Reads an event. One of S3's or of the schedule's is a hint, whatever is in it; `prefix` is where the
/// policies' part of the bucket begins.
pub(crate) fn wanted(event: Value, prefix: &str) -> Result<Wanted, NotARequest> {
    if event.get("task").is_none() {
        return Ok(Wanted {
            task: Task::Sweep,
            hints: hints(&event, prefix),
        });
    }
    let task = match serde_json::from_value(event)? {
        Request::Sweep {} => Task::Sweep,
        Request::Republish {
            folder,
            source,
            from,
            by,
        } => Task::Republish {
            folder,
            from,
            source: match source {
                RequestedSource::Before {} => Source::Before,
                RequestedSource::Generation(generation) => Source::Generation(generation),
                RequestedSource::Folder(folder) => Source::Folder(folder),
            },
            by,
        },
    };
    Ok(Wanted {
        task,
        hints: Vec::new(),
    })
}

/// Who uploaded which version, as S3 says.
fn hints(event: &Value, prefix: &str) -> Vec<Hint> {
    let records = event["Records"].as_array();
    let uploads = format!("{prefix}policies/");
    let hint = |record: &Value| {
        let key = decoded(record["s3"]["object"]["key"].as_str()?);
        Some(Hint {
            path: key.strip_prefix(&uploads)?.to_owned(),
            version: record["s3"]["object"]["versionId"].as_str()?.to_owned(),
            by: record["userIdentity"]["principalId"].as_str()?.to_owned(),
        })
    };
    records.into_iter().flatten().filter_map(hint).collect()
}

/// A key as S3 writes it into an event: as a form would, `%2F` for a slash and `+` for a space.
fn decoded(key: &str) -> String {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let text = std::str::from_utf8(&digits).unwrap_or("00");
                u8::from_str_radix(text, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s3_s_events_say_who_uploaded_what_and_whatever_else_they_say_is_a_sweep() {
        let event = json!({"Records": [
            {"eventName": "ObjectCreated:Put",
             "userIdentity": {"principalId": "AWS:AROA:alice"},
             "s3": {"object": {"key": "policies/orgs%2Facme/policy.wasm", "versionId": "v1"}}},
            {"s3": {"object": {"key": "policies/default/policy.wasm"}}},
            {"nonsense": true},
        ]});
        let read = wanted(event, "").unwrap();
        assert_eq!(read.task, Task::Sweep);
        let hint = Hint {
            path: "orgs/acme/policy.wasm".to_owned(),
            version: "v1".to_owned(),
            by: "AWS:AROA:alice".to_owned(),
        };
        assert_eq!(read.hints, [hint]);
        for scheduled in [json!({"source": "aws.events"}), json!(null), json!({})] {
            assert_eq!(wanted(scheduled, "").unwrap().task, Task::Sweep);
        }
    }

    #[test]
    fn requests_are_read_and_wrong_ones_are_told_what_they_should_be() {
        let request = json!({"task": "republish", "folder": "orgs/acme", "source": {"before": {}}, "by": "me"});
        let folder: PolicyFolder = "orgs/acme".parse().unwrap();
        let by = "me".to_owned();
        assert_eq!(
            wanted(request, "").unwrap().task,
            Task::Republish {
                folder,
                source: Source::Before,
                from: None,
                by
            }
        );
        for wrong in [
            json!({"task": "dance"}),
            json!({"task": "republish", "folder": "orgs/Acme", "source": {"before": {}}, "by": "me"}),
        ] {
            let told = wanted(wrong, "").unwrap_err().to_string();
            assert!(told.contains("\"task\":\"sweep\""), "{told}");
        }
    }
}
