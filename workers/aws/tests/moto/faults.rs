//! DynamoDB on its bad days: moto behind a wire that loses answers, refuses, and cuts pages short.
//!
//! Which request is struck is counted, not drawn, so that several runs which begin to count elsewhere
//! strike every request between them. A request and its repetitions are one: it is struck so often, and
//! then let through.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::wire::{Request, serve};

/// What befalls a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// It is carried out, and the connection ends without a word.
    Silence,
    /// It is carried out, and the connection ends in the midst of the answer.
    BrokenOff,
    /// It is carried out, and the answer says that something went wrong.
    InternalError,
    /// It is not carried out: DynamoDB is busy, and says so by this code.
    Busy(&'static str),
    /// A transaction is not carried out, for this reason that one of its items has.
    Cancelled(&'static str),
    /// A write of one item is not carried out: it met a transaction.
    Met,
}

/// Answers to writes get lost.
pub(crate) const LOST: &[Fault] = &[Fault::InternalError, Fault::Silence, Fault::BrokenOff];

/// DynamoDB is busy, in all the ways in which it says so.
pub(crate) const BUSY: &[Fault] = &[
    Fault::Busy("ProvisionedThroughputExceededException"),
    Fault::Cancelled("ThrottlingError"),
    Fault::Busy("ThrottlingException"),
    Fault::Cancelled("ProvisionedThroughputExceeded"),
    Fault::Busy("RequestLimitExceeded"),
];

/// Writes meet other transactions.
pub(crate) const MET: &[Fault] = &[
    Fault::Cancelled("TransactionConflict"),
    Fault::Met,
    Fault::Busy("TransactionInProgressException"),
];

/// All of it at once.
pub(crate) const ALL: &[Fault] = &[
    Fault::InternalError,
    Fault::Busy("ThrottlingException"),
    Fault::Cancelled("TransactionConflict"),
    Fault::Silence,
    Fault::Met,
    Fault::Busy("ProvisionedThroughputExceededException"),
    Fault::Cancelled("ThrottlingError"),
    Fault::BrokenOff,
];

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Plan {
    /// In turns.
    pub(crate) faults: &'static [Fault],
    /// Of so many requests that can be struck one is.
    pub(crate) every: usize,
    /// How many are let through before that is counted.
    pub(crate) from: usize,
    /// How often a request is struck before it is let through.
    pub(crate) times: usize,
    /// Whether pages are of one to three items, whatever is asked for.
    pub(crate) small_pages: bool,
}

/// A wire on which that plan is carried out.
pub(crate) struct Wire {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

impl Wire {
    pub(crate) fn new(endpoint: &str, plan: Plan) -> Self {
        let behind = endpoint.trim_start_matches("http://").to_owned();
        let state = Arc::new(Mutex::new(State {
            plan,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let endpoint = serve(move |_, client| pass(&shared, &behind, &client));
        Self { endpoint, state }
    }

    /// How often each fault struck.
    pub(crate) fn struck(&self) -> HashMap<Fault, usize> {
        self.state.lock().unwrap().struck.clone()
    }

    /// How many pages were not the last of their query.
    pub(crate) fn cut_pages(&self) -> usize {
        self.state.lock().unwrap().cut_pages
    }
}

#[derive(Default)]
struct State {
    plan: Plan,
    /// How many requests could have been struck.
    counted: usize,
    /// How many of these were.
    chosen: usize,
    /// What was begun to be struck, and how often it is to be yet.
    open: HashMap<String, (Fault, usize)>,
    struck: HashMap<Fault, usize>,
    queries: usize,
    cut_pages: usize,
}

impl State {
    /// What befalls this request now.
    fn strike(&mut self, call: &Call) -> Option<Fault> {
        let fault = match self.open.remove(&call.identity) {
            Some((_, 0)) => return None,
            Some((fault, left)) => {
                self.open.insert(call.identity.clone(), (fault, left - 1));
                fault
            }
            None => self.choose(call)?,
        };
        *self.struck.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn choose(&mut self, call: &Call) -> Option<Fault> {
        let Plan {
            faults,
            every,
            from,
            times,
            ..
        } = self.plan;
        let mut turns = faults.iter().cycle().skip(self.chosen).take(faults.len());
        let fault = *turns.find(|fault| call.can_suffer(**fault))?;
        self.counted += 1;
        if !(self.counted + every - 1 - from).is_multiple_of(every) {
            return None;
        }
        self.chosen += 1;
        self.open.insert(call.identity.clone(), (fault, times - 1));
        Some(fault)
    }
}

/// What is asked of DynamoDB.
struct Call {
    operation: String,
    /// The same for a request and its repetitions, and for no other that is under way.
    identity: String,
    body: Value,
}

impl Call {
    fn of(request: &Request) -> Self {
        let target = request.header("x-amz-target").unwrap();
        let (_, operation) = target.split_once('.').unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut call = Self {
            operation: operation.to_owned(),
            identity: String::new(),
            body,
        };
        call.identity = if call.is_write() {
            // The ledger itself repeats some, and then the SDK takes them for new.
            let mut content = call.body.clone();
            content
                .as_object_mut()
                .unwrap()
                .remove("ClientRequestToken");
            format!("{operation} {content}")
        } else {
            request.header("amz-sdk-invocation-id").unwrap().to_owned()
        };
        call
    }

    fn is_transaction(&self) -> bool {
        self.operation == "TransactWriteItems"
    }

    fn is_write(&self) -> bool {
        self.is_transaction() || ["PutItem", "DeleteItem"].contains(&self.operation.as_str())
    }

    fn can_suffer(&self, fault: Fault) -> bool {
        match fault {
            Fault::Silence | Fault::BrokenOff | Fault::InternalError => self.is_write(),
            Fault::Busy("TransactionInProgressException") | Fault::Cancelled(_) => {
                self.is_transaction()
            }
            Fault::Busy(_) => true,
            Fault::Met => self.is_write() && !self.is_transaction(),
        }
    }

    /// DynamoDB's words for having been cancelled: each item has a reason, and most have none.
    fn cancelled(&self, reason: &str) -> Value {
        let count = self.body["TransactItems"].as_array().unwrap().len();
        let mut reasons = vec![json!({ "Code": "None" }); count];
        reasons[count - 1] = json!({ "Code": reason, "Message": "as the test wants it" });
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{reason}]"),
            "CancellationReasons": reasons,
        })
    }
}

fn pass(state: &Mutex<State>, behind: &str, client: &TcpStream) {
    let Some(request) = Request::read(client) else {
        return;
    };
    let mut call = Call::of(&request);
    let fault = state.lock().unwrap().strike(&call);
    match fault {
        Some(Fault::Busy(code)) => answer(client, "400 Bad Request", &refusal(code)),
        Some(Fault::Met) => answer(
            client,
            "400 Bad Request",
            &refusal("TransactionConflictException"),
        ),
        Some(Fault::Cancelled(reason)) => {
            answer(client, "400 Bad Request", &call.cancelled(reason));
        }
        Some(Fault::Silence) => {
            served(behind, &request, &call.body);
        }
        Some(Fault::BrokenOff) => {
            let whole = served(behind, &request, &call.body);
            send(client, &whole[..whole.len() - 1]);
        }
        Some(Fault::InternalError) => {
            served(behind, &request, &call.body);
            answer(
                client,
                "500 Internal Server Error",
                &refusal("InternalServerError"),
            );
        }
        None => {
            let is_query = call.operation == "Query";
            if is_query {
                state.lock().unwrap().page(&mut call.body);
            }
            let whole = served(behind, &request, &call.body);
            if is_query && contains(&whole, b"\"LastEvaluatedKey\"") {
                state.lock().unwrap().cut_pages += 1;
            }
            send(client, &whole);
        }
    }
    let _it_may_be_closed_already = client.shutdown(Shutdown::Both);
}

impl State {
    fn page(&mut self, query: &mut Value) {
        if self.plan.small_pages {
            self.queries += 1;
            query["Limit"] = json!(self.queries % 3 + 1);
        }
    }
}

fn refusal(code: &str) -> Value {
    json!({
        "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"),
        "message": "as the test wants it",
    })
}

fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|part| part == words)
}

/// The whole answer from behind.
fn served(behind: &str, request: &Request, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let head: String = request
        .head
        .iter()
        .filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            !["connection", "content-length"].contains(&name.to_ascii_lowercase().as_str())
        })
        .flat_map(|line| [line, "\r\n"])
        .collect();
    let whole = format!(
        "{head}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut server = TcpStream::connect(behind).unwrap();
    server.write_all(whole.as_bytes()).unwrap();
    // Or moto waits for more, a hundredth of a second after each request.
    server.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).unwrap();
    answer
}

fn answer(client: &TcpStream, status: &str, body: &Value) {
    let body = body.to_string();
    let whole = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    send(client, whole.as_bytes());
}

fn send(mut client: &TcpStream, bytes: &[u8]) {
    // Who asked may have given up.
    let _whether_it_arrived = client.write_all(bytes);
}
