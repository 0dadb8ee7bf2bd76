//! The job that is meant: people have the address of a page at hand, or its repository and its id.

use super::gather::Named;
use crate::WrongArguments;

/// The job that is meant.
pub(super) fn named(words: &[String]) -> anyhow::Result<Named> {
    let meant = match words {
        [page] if page.contains("://") => of_page(page),
        [one] => of_parts(&one.split('/').collect::<Vec<_>>()),
        [repository, job] => {
            let parts: Vec<&str> = repository.split('/').chain([job.as_str()]).collect();
            of_parts(&parts)
        }
        _ => None,
    };
    meant.ok_or_else(|| {
        let wrong = WrongArguments(format!(
            "`{}` names no job: give its page (https://github.com/OWNER/REPO/actions/runs/RUN/job/JOB), or OWNER/REPO \
             and the job's id",
            words.join(" ")
        ));
        wrong.into()
    })
}

fn of_page(page: &str) -> Option<Named> {
    let (_, address) = page.split_once("://")?;
    let address = address.split('#').next()?;
    let (path, query) = address.split_once('?').unwrap_or((address, ""));
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    let (owner, repo, job) = match parts.as_slice() {
        [_, owner, repo, "actions", "runs", _run, "job" | "jobs", job] => (owner, repo, *job),
        [_, owner, repo, "runs", job] => (owner, repo, *job),
        // Among a pull request's checks.
        [_, owner, repo, "pull", _number, "checks"] => {
            let mut query = query.split('&');
            let job = query.find_map(|one| one.strip_prefix("check_run_id="))?;
            (owner, repo, job)
        }
        _ => return None,
    };
    of_parts(&[owner, repo, job])
}

fn of_parts(parts: &[&str]) -> Option<Named> {
    match parts {
        [owner, repo, job] if !owner.is_empty() && !repo.is_empty() => Some(Named {
            repository: format!("{owner}/{repo}").to_lowercase(),
            job: job.parse().ok()?,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Option<(String, u64)> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        named(&words)
            .ok()
            .map(|named| (named.repository, named.job))
    }

    #[test]
    fn a_job_is_named_as_people_have_it_at_hand() {
        let meant = Some(("acme/app".to_owned(), 4711));
        for words in [
            &["https://github.com/Acme/App/actions/runs/71/job/4711"][..],
            &["https://github.com/acme/app/actions/runs/71/job/4711?pr=3#step:2:1"],
            &["https://github.com/acme/app/pull/3/checks?check_run_id=4711"],
            &["https://ghes.example/acme/app/runs/4711"],
            &["acme/app", "4711"],
            &["acme/app/4711"],
        ] {
            assert_eq!(read(words), meant, "{words:?}");
        }
        for words in [
            &["https://github.com/acme/app/actions/runs/71"][..],
            &["https://github.com/acme/app/pull/3/checks"],
            &["acme/app"],
            &["acme", "4711"],
            &["acme/app", "build"],
        ] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }
}
