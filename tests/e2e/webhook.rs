//! The webhook Lambda beside the Worker: the same answers, byte for byte, and the same messages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use stoker_intake::sign;

use crate::parts::aws::{clients, make_queue};
use crate::parts::lambda::{Environment, Lambda};
use crate::parts::moto::Moto;
use crate::parts::payload;
use crate::parts::worker::{SECRET, Worker, delivered};

/// An event as an HTTP API, or a function URL, hands it on.
fn event(path: &str, headers: &[(&str, String)], body: &str, in_base64: bool) -> Value {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    let path = format!("/{path}");
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a", "domainName": "a.example",
            "domainPrefix": "a", "requestId": "r", "routeKey": "$default", "stage": "$default",
            "time": "28/Nov/2026:00:00:00 +0000", "timeEpoch": 1_800_000_000_000_u64,
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "GitHub-Hookshot/test"},
        },
        "body": if in_base64 { STANDARD.encode(body) } else { body.to_owned() },
        "isBase64Encoded": in_base64,
    })
}

fn answered(answer: &Value) -> (u16, String, String) {
    let status = answer["statusCode"].as_u64().unwrap();
    let kind = answer["headers"]["content-type"].as_str().unwrap();
    let body = answer["body"].as_str().unwrap_or_default();
    let body = if answer["isBase64Encoded"] == true {
        String::from_utf8(STANDARD.decode(body).unwrap()).unwrap()
    } else {
        body.to_owned()
    };
    (u16::try_from(status).unwrap(), kind.to_owned(), body)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lambda_answers_each_of_github_s_examples_as_the_worker_does() {
    let moto = Moto::start().await;
    let clients = clients(&moto.url).await;
    let of_worker = make_queue(&clients, "of-worker", false).await;
    let of_lambda = make_queue(&clients, "of-lambda", false).await;
    clients
        .ssm
        .put_parameter()
        .name("/stoker/webhook-secret")
        .value(SECRET)
        .r#type(aws_sdk_ssm::types::ParameterType::SecureString)
        .send()
        .await
        .unwrap();
    let worker = Worker::start(&moto.url, &of_worker.url).await;
    let environment: Environment = vec![
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", moto.url.clone()),
        ("AWS_ACCESS_KEY_ID", "test".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("INTAKE_QUEUE_URL", of_lambda.url.clone()),
        (
            "GITHUB_WEBHOOK_SECRET_PARAMETER",
            "/stoker/webhook-secret".to_owned(),
        ),
        ("ALLOW_PUBLIC_REPOSITORIES", "true".to_owned()),
        ("CHECK_RUN_APPS", "*".to_owned()),
    ];
    let lambda = Lambda::start("webhook", environment).await;

    let mut asked = Vec::new();
    for (number, (name, body)) in payload::all().into_iter().enumerate() {
        let delivery = format!("{number:08x}-cc78-11e3-81ab-4c9367dc0958");
        let signature = sign(&SECRET.into(), body.as_bytes());
        asked.push(("webhook", delivered(&name, &delivery, &signature), body));
    }
    assert!(asked.len() > 100, "{}", asked.len());
    let job = payload::workflow_job().to_string();
    let signature = sign(&SECRET.into(), job.as_bytes());
    let whole = delivered("workflow_job", "d", &signature);
    let without = |name: &str| {
        let mut headers = whole.clone();
        headers.retain(|(known, _)| *known != name);
        headers
    };
    for name in ["x-github-event", "x-github-delivery", "x-hub-signature-256"] {
        asked.push(("webhook", without(name), job.clone()));
    }
    let forged = sign(&"another secret".into(), job.as_bytes());
    asked.push((
        "webhook",
        delivered("workflow_job", "d", &forged),
        job.clone(),
    ));
    let broken = "{\"action\":";
    let signature = sign(&SECRET.into(), broken.as_bytes());
    asked.push((
        "webhook",
        delivered("workflow_job", "d", &signature),
        broken.to_owned(),
    ));
    // Without a body: the Worker reads none of it there, and may reset the connection.
    asked.push(("nothing", whole.clone(), String::new()));
    asked.push(("healthz", whole, String::new()));

    for (number, (path, headers, body)) in asked.into_iter().enumerate() {
        let event = event(path, &headers, &body, number % 2 == 1);
        let of_lambda = answered(&lambda.asked(&event).await);
        let of_worker = worker.post(path, &headers, body).await;
        assert_eq!(of_lambda, of_worker, "{path} {headers:?}");
    }
    let mut told = Vec::new();
    for queue in [&of_worker, &of_lambda] {
        let messages = taken(&clients.sqs, &queue.url).await;
        assert!(messages.len() > 10, "{}", messages.len());
        told.push(messages);
    }
    assert_eq!(told[0], told[1]);
    let log = format!("{:?}", lambda.log());
    assert!(
        log.contains("72d3162e") || log.contains("00000001-cc78"),
        "the delivery is in the log"
    );
    assert!(!log.contains(SECRET), "no secret is");
}

/// The bodies of all messages, sorted.
async fn taken(client: &aws_sdk_sqs::Client, url: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let some = client
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(10)
            .send()
            .await
            .unwrap();
        if some.messages().is_empty() {
            all.sort();
            return all;
        }
        all.extend(
            some.messages()
                .iter()
                .filter_map(|message| message.body.clone()),
        );
    }
}
