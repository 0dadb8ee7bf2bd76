//! A deployment on AWS: a bucket, and the admission Lambda.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use stoker_admission::{Report, Source, Task};
use stoker_aws::{ClientSettings, Clients, LambdaFunction, S3Policies, S3Uploads};
use stoker_policy::artifact::PublicKeys;

use super::{Deployment, Kind};

/// Where it is.
pub(super) struct Place {
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

pub(super) async fn open(bucket: &str, prefix: &str, given: Option<PublicKeys>) -> Deployment {
    let clients = Clients::load(&ClientSettings::default()).await;
    let bare = prefix.trim_matches('/');
    let place = Place {
        bucket: bucket.to_owned(),
        prefix: if bare.is_empty() {
            String::new()
        } else {
            format!("{bare}/")
        },
    };
    Deployment {
        uploads: Arc::new(S3Uploads::new(clients.s3.clone(), bucket).prefix(prefix)),
        store: Arc::new(S3Policies::new(clients.s3, bucket).prefix(prefix)),
        keys: given.ok_or_else(|| "no --public-key was given".to_owned()),
        kind: Kind::Aws(place),
    }
}

impl Place {
    pub(super) async fn admit(&self, task: &Task, function: &str) -> anyhow::Result<Report> {
        let lambda = LambdaFunction::load(function).await;
        let answer = lambda.invoke(&request(task)).await?;
        serde_json::from_value(answer).with_context(|| {
            format!(
                "the answer of the Lambda {function} can't be understood: is it the admission Lambda, of \
                 the same release as this command?"
            )
        })
    }

    pub(super) fn of(&self, path: &str) -> String {
        format!("s3://{}/{}policies/{path}", self.bucket, self.prefix)
    }
}

/// What the Lambda is asked.
fn request(task: &Task) -> Value {
    match task {
        Task::Sweep => json!({ "task": "sweep" }),
        Task::Republish {
            folder,
            source,
            from,
            by,
        } => {
            let source = match source {
                Source::Before => json!({ "before": {} }),
                Source::Generation(generation) => json!({ "generation": generation }),
                Source::Folder(folder) => json!({ "folder": folder }),
            };
            let mut request =
                json!({ "task": "republish", "folder": folder, "source": source, "by": by });
            if let Some(from) = from {
                request["from"] = json!(from);
            }
            request
        }
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::ids::PolicyGeneration;

    use super::*;

    #[test]
    fn the_lambda_is_asked_as_it_expects() {
        let task = |source, from| Task::Republish {
            folder: "orgs/acme".parse().unwrap(),
            source,
            from,
            by: "julia".to_owned(),
        };
        let republish = |source| request(&task(source, None));
        let asked = |source| json!({ "task": "republish", "folder": "orgs/acme", "source": source, "by": "julia" });
        assert_eq!(request(&Task::Sweep), json!({ "task": "sweep" }));
        let before = asked(json!({ "before": {} }));
        assert_eq!(republish(Source::Before), before);
        let from = request(&task(Source::Before, Some(PolicyGeneration(9))));
        assert_eq!(from["from"], 9);
        assert_eq!(from["source"], before["source"]);
        let generation = Source::Generation(PolicyGeneration(7));
        assert_eq!(republish(generation), asked(json!({ "generation": 7 })));
        let folder = Source::Folder("default".parse().unwrap());
        assert_eq!(republish(folder), asked(json!({ "folder": "default" })));
    }
}
