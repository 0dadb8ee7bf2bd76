//! What the stand-in is asked.

use axum::http::Method;

/// The kinds of request that are counted, and that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// Which installation serves an owner or a repository.
    Installation,
    /// An installation's access token.
    AccessToken,
    /// A registration token.
    RegistrationToken,
    /// A just-in-time configuration.
    JitConfig,
    /// A job.
    Job,
    /// The runner groups of an organisation.
    RunnerGroups,
    /// The runners of an organisation or repository.
    Runners,
    /// A runner's removal.
    Removal,
    /// The App's installations.
    Installations,
    /// A repository, or all that an installation sees.
    Repositories,
    /// The runs of a repository.
    Runs,
    /// The jobs of a run.
    RunJobs,
    /// The deliveries of the App's webhook.
    Deliveries,
    /// Another attempt of one.
    Redelivery,
    /// The releases of the runner.
    Releases,
}

impl Call {
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", [.., "installation"]) => Some(Self::Installation),
            ("POST", [.., "access_tokens"]) => Some(Self::AccessToken),
            ("POST", [.., "registration-token"]) => Some(Self::RegistrationToken),
            ("POST", [.., "generate-jitconfig"]) => Some(Self::JitConfig),
            ("GET", [.., "jobs", _]) => Some(Self::Job),
            ("GET", [.., "actions", "runner-groups"]) => Some(Self::RunnerGroups),
            ("GET", [.., "actions", "runners"]) => Some(Self::Runners),
            ("DELETE", [.., "actions", "runners", _]) => Some(Self::Removal),
            ("GET", ["app", "installations"]) => Some(Self::Installations),
            ("GET", ["installation", "repositories"] | ["repos", _, _]) => Some(Self::Repositories),
            ("GET", [.., "actions", "runs"]) => Some(Self::Runs),
            ("GET", [.., "runs", _, "jobs"]) => Some(Self::RunJobs),
            ("GET", [.., "hook", "deliveries"]) => Some(Self::Deliveries),
            ("POST", [.., "deliveries", _, "attempts"]) => Some(Self::Redelivery),
            ("GET", [.., "releases"]) => Some(Self::Releases),
            _ => None,
        }
    }
}
