//! The policies of a folder: admitted when the control plane starts, and again whenever the folder is
//! another than it was, by the very rules that the Lambda admits by. What decides reads what admission
//! published, as it does on AWS.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use stoker_admission::{Admission, Task};
use stoker_core::ids::Deployment;
use stoker_core::ports::PolicyStore;
use stoker_policy::{Limits, Trust};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::Observer;
use crate::policy::deployment::folder::Folders;

/// How often the folder is looked at: an author waits no longer than a breath to see what became of a
/// file.
const LOOK: Duration = Duration::from_millis(500);

/// How often everything is judged whatever the folder looks like, as the Lambda's schedule does.
const SWEEP: Duration = Duration::from_mins(5);

/// How often what is published is confirmed, in seconds. A file next door costs nothing to read.
const REVALIDATE: u32 = 1;

/// How deep the layout goes: `repos/<owner>/<repository>/policy.wasm`.
const DEEPEST: usize = 4;

/// Admission of a folder, going on until it is dropped.
pub(super) struct Policies {
    pub(super) store: Arc<dyn PolicyStore>,
    pub(super) trust: Trust,
    watch: JoinHandle<()>,
    /// Where what is published lies, if there is no data folder.
    _data: Option<TempDir>,
}

impl Drop for Policies {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

/// Admits what is in the folder, and goes on doing so.
pub(super) async fn start(
    folder: PathBuf,
    data: Option<&Path>,
    deployment: &Deployment,
    limits: Limits,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Policies> {
    let own = match data {
        Some(_) => None,
        None => Some(tempfile::tempdir().context("a folder for what is published")?),
    };
    let data = data.or(own.as_ref().map(TempDir::path)).unwrap_or(&folder);
    std::fs::create_dir_all(data)
        .with_context(|| format!("the data folder {} can't be made", data.display()))?;
    let folders = Folders::open(&folder, data)?;
    let trust = Trust {
        deployment: deployment.clone(),
        keys: folders.keys(),
        revalidate: REVALIDATE,
    };
    let store: Arc<dyn PolicyStore> = folders.store();
    let admission = folders.admission(deployment, limits);
    let mut seen = look(&folder);
    let mut judged = judge(&admission, observer.as_ref()).await;
    let watch = tokio::spawn(async move {
        let mut last = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(LOOK).await;
            let (looked_at, now) = (folder.clone(), tokio::task::spawn_blocking);
            let Ok(found) = now(move || look(&looked_at)).await else {
                // The runtime shuts down.
                return;
            };
            // What could not be judged is judged again although nothing has changed.
            if found == seen && judged && last.elapsed() < SWEEP {
                continue;
            }
            judged = judge(&admission, observer.as_ref()).await;
            last = tokio::time::Instant::now();
            seen = found;
        }
    });
    Ok(Policies {
        store,
        trust,
        watch,
        _data: own,
    })
}

/// Judges what is there; whether that could be done.
async fn judge(admission: &Admission, observer: &dyn Observer) -> bool {
    let came_to = admission.run(&Task::Sweep, &[]).await;
    let judged = came_to.is_ok();
    observer.admission(came_to.as_ref().map_err(ToString::to_string));
    judged
}

/// What tells a folder from what it was: the names, sizes and times of its files.
fn look(folder: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        // What can't be read is told of by admission.
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match std::fs::metadata(&path) {
                Ok(about) if about.is_dir() && depth < DEEPEST => folders.push((path, depth + 1)),
                Ok(about) => found.push((path, about.len(), about.modified().ok())),
                Err(_) => {}
            }
        }
    }
    found.sort();
    found
}
