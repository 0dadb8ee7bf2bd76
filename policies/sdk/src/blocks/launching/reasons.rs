//! Why, in sentences that whoever waits for a job understands.

use super::{Launching, Limit};
use crate::blocks::{index, position};
use crate::facts::{Capacity, Situation, Visibility};
use crate::scale_up::Launch;

impl Launching<'_> {
    /// Why a job waits that a limit binds, and when it is worth asking again, in seconds.
    pub(super) fn bound(&self, limit: Limit) -> (String, Option<u32>) {
        let situation = self.situation;
        let headroom = &situation.headroom;
        let reason = match limit {
            Limit::Scope => format!(
                "the operator's maximum of {} runners for this scope is reached",
                headroom.runners_maximum
            ),
            Limit::Launches => {
                return (
                    format!(
                        "one decision launches at most {} runners",
                        headroom.launches_left
                    ),
                    // The next decision can launch more; it is not to outrun what can register.
                    Some(headroom.registrations_reset),
                );
            }
            Limit::Registrations => {
                return (
                    // Without the number, which is another with each decision: a reason that changes is
                    // written down anew with every job.
                    "GitHub lets no more runners register now".to_owned(),
                    Some(headroom.registrations_reset),
                );
            }
            Limit::Own(own) => {
                let own = &self.own[own];
                return (own.reason.clone(), own.retry_after);
            }
            Limit::Repository(place) => {
                let repository = &situation.repositories[place];
                match repository.maximum {
                    Some(maximum) => format!(
                        "the operator's maximum of {maximum} runners for `{}` is reached",
                        repository.name
                    ),
                    None if repository.visibility == Visibility::Public => format!(
                        "`{}` is public, and this deployment launches nothing for public repositories",
                        repository.name
                    ),
                    None => format!("there is no room left for `{}`", repository.name),
                }
            }
            Limit::OwnRepository(place) => format!(
                "`{}` is at its own maximum of {} runners",
                situation.repositories[place].name,
                self.repositories[place]
                    .own
                    .map_or(0, |(maximum, _)| maximum)
            ),
            Limit::Classes(label_set) => self.full(label_set),
            Limit::NoClass => "no runner class has all of its labels".to_owned(),
            Limit::Spend => {
                // The hour ends, or a runner does whose first hour is spoken for.
                let hour = 3_600 - situation.now % 3_600;
                let soon = if situation.runners.is_empty() {
                    hour
                } else {
                    300
                };
                return (
                    "the operator's spend limit is reached".to_owned(),
                    Some(soon.min(hour)),
                );
            }
        };
        (reason, None)
    }

    fn full(&self, label_set: usize) -> String {
        let fits = &self.situation.label_sets[label_set].fits;
        let classes: Vec<String> = fits
            .iter()
            .filter(|&&class| self.places.is_open(self.room(index(class))))
            .filter_map(|&class| self.situation.classes.get(index(class)))
            .map(|class| format!("`{}` ({})", class.name, class.maximum))
            .collect();
        if classes.is_empty() {
            return "the policy holds back every class that fits now".to_owned();
        }
        let allowed = if classes.len() < fits.len() {
            " and that the policy allows now"
        } else {
            ""
        };
        format!(
            "every class that fits{allowed} is at its maximum: {}",
            classes.join(", ")
        )
    }
}

/// A launch for these jobs.
pub(super) fn launch(
    situation: &Situation,
    class: usize,
    on_demand: bool,
    jobs: Vec<u32>,
) -> Launch {
    let count = position(jobs.len());
    // A launch is for a repository only if all of its jobs are that repository's.
    let mut repositories = jobs
        .iter()
        .map(|&job| situation.pending[index(job)].repository);
    let first = repositories.next();
    let launched_for = first.filter(|first| repositories.all(|other| other == *first));
    let name = &situation.classes[class].name;
    let reason = if count == 1 {
        format!("1 job waits for `{name}` and no idle or booting runner is free for it")
    } else {
        format!("{count} jobs wait for `{name}` and no idle or booting runner is free for them")
    };
    Launch {
        runner_class: position(class),
        capacity: if on_demand {
            Capacity::OnDemand
        } else {
            Capacity::Spot
        },
        count,
        launched_for,
        jobs,
        reason,
    }
}
