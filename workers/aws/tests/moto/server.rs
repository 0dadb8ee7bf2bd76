//! `moto_server`, started on a free port and stopped when the last test is done with it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// It takes two seconds here, and longer where many tests start at once.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// One request after another: moto's transactions copy the whole table and put the copy back when they
/// fail, so of requests at once some would be lost. Its command line has no switch for that. The copy,
/// which moto makes anew for each item of a transaction, is made once and shares the items with the table,
/// and a query does not sort the whole table first: otherwise large transactions and scopes take seconds.
const BOOTSTRAP: &str = "
import copy
from collections import defaultdict
import moto.server
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

run = moto.server.run_simple
moto.server.run_simple = lambda *args, **how: run(*args, **{**how, 'threaded': False})

kept = {}
transact, update = DynamoDBBackend.transact_write_items, DynamoDBBackend.update_item

def keep(table, memo):
    if table.name not in kept:
        kept[table.name] = copy.copy(table)
        items = {pk: dict(of_pk) for pk, of_pk in table.items.items()}
        kept[table.name].items = defaultdict(dict, items)
    return kept[table.name]

def transact_write_items(self, *args, **how):
    kept.clear()
    return transact(self, *args, **how)

def update_item(self, table_name, key, *args, **how):
    # An update changes the item where it lies: not the one that is shared with the copy.
    table = self.get_table(table_name)
    pk, sk = (DynamoType(key[name]) for name in (table.hash_key_attr, table.range_key_attr))
    if sk in table.items.get(pk, {}):
        table.items[pk][sk] = copy.deepcopy(table.items[pk][sk])
    return update(self, table_name, key, *args, **how)

def all_items(table):
    for of_pk in table.items.values():
        yield from of_pk.values()

Table.__deepcopy__ = keep
Table.all_items = all_items
DynamoDBBackend.transact_write_items = transact_write_items
DynamoDBBackend.update_item = update_item
moto.server.main(['-H', '127.0.0.1', '-p', '0'])
";

/// The server ends with the shell's standard input, so also when the test process is killed.
const WATCHED: &str =
    r#""$0" -c "$1" 2>&1 & server=$!; exec >/dev/null 2>&1; cat; kill $server; wait"#;

/// A running stand-in for AWS.
pub(crate) struct Moto {
    shell: Child,
    endpoint: String,
}

impl Moto {
    /// The one of this process.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let moto = Arc::new(Self::start());
            *shared = Arc::downgrade(&moto);
            moto
        })
    }

    /// Where it answers.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn start() -> Self {
        let program = program();
        assert!(
            program.is_file(),
            "there is no {}: run `make setup` once (it installs the stand-in for AWS), or say with STOKER_MOTO_SERVER where moto_server is",
            program.display()
        );
        let shell = Command::new("sh")
            .arg("-c")
            .arg(WATCHED)
            .arg(program.with_file_name("python"))
            .arg(BOOTSTRAP)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // From here on it is ended, whatever happens.
        let mut moto = Self {
            shell,
            endpoint: String::new(),
        };
        moto.endpoint = moto.announced();
        moto
    }

    /// The address that it says it answers at.
    fn announced(&mut self) -> String {
        let output = BufReader::new(self.shell.stdout.take().unwrap());
        let (tell, hear) = mpsc::channel();
        // Reads on for as long as it runs: its log of requests must go somewhere.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _only_the_start_is_listened_to = tell.send(line);
            }
        });
        let until = Instant::now() + STARTS_WITHIN;
        let mut said = Vec::new();
        loop {
            match hear.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if let Some((_, address)) = line.split_once("Running on ") {
                        return address.trim().to_owned();
                    }
                    said.push(line);
                }
                Err(RecvTimeoutError::Timeout) => panic!("moto_server did not start: {said:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("moto_server ended: {said:#?}"),
            }
        }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _whatever_it_says = self.shell.wait();
    }
}

fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("STOKER_MOTO_SERVER") {
        return program.into();
    }
    let setup = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/setup-python");
    let output = Command::new(&setup)
        .args(["--path", "moto"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let folder = String::from_utf8(output.stdout).unwrap();
    Path::new(folder.trim()).join("moto_server")
}
