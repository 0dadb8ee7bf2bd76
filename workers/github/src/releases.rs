//! The releases of the runner, which are public: nobody in particular asks for them.
//!
//! A token would be of no use. GitHub knows an answer by another tag for each token, and an installation's token is
//! another every hour, so that what is known would never be known again. Without one an address has 60 requests an
//! hour, of which this takes one for each time that the releases are looked at, and none for archives. And no
//! credential can go astray where archives are: GitHub sends whoever asks for one to another host.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ETAG, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use stoker_core::distribution::Version;
use stoker_core::distribution::layout::{Asset, Published};
use stoker_core::distribution::version::{PLATFORMS, archive_name};
use stoker_core::ports::{Clock, Download, Newest, Releases, ReleasesError};
use stoker_core::time::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::endpoints::{Endpoints, is_local};
use crate::error::{Error, Purpose};
use crate::http::{self, Ask, CONNECT, Http, Repeat, causes};

/// More than a year of releases: GitHub gives jobs to those of the last month or two.
const NEWEST: &str = "30";

/// A connection that is silent for so long is broken.
const SILENCE: Duration = Duration::from_secs(30);

/// GitHub sends whoever asks for an archive to one other host.
const REDIRECTIONS: usize = 5;

const LISTING: Purpose = Purpose {
    permission: None,
    not_found: "there is no repository actions/runner: check GITHUB_RELEASES_URL",
};

/// GitHub's releases of the runner.
pub struct RunnerReleases {
    http: Http,
    archives: Client,
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Listed {
    tag_name: String,
    draft: bool,
    prerelease: bool,
    #[serde(default)]
    published_at: Option<String>,
    assets: Vec<ListedAsset>,
}

#[derive(Deserialize)]
struct ListedAsset {
    name: String,
    size: u64,
    #[serde(default)]
    digest: Option<String>,
    browser_download_url: String,
}

impl RunnerReleases {
    /// Those of that GitHub. Nothing is asked yet.
    ///
    /// # Errors
    /// If no connection could ever be made, such as without root certificates.
    pub fn new(endpoints: Endpoints, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let http = Http::new(&endpoints, clock)?;
        let mut archives = Client::builder()
            .user_agent(concat!("stoker/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(redirect::Policy::none());
        if endpoints.is_local() {
            archives = archives.no_proxy();
        }
        let archives = archives.build().map_err(|error| Error::Unreachable {
            problem: causes(&error),
        })?;
        Ok(Self {
            http,
            archives,
            endpoints,
        })
    }

    fn list(&self) -> Url {
        let path = ["repos", "actions", "runner", "releases"];
        let mut url = self.endpoints.api(&path);
        url.query_pairs_mut().append_pair("per_page", NEWEST);
        url
    }

    async fn ask(&self, known: Option<&str>) -> Result<Newest, Error> {
        let response = self
            .http
            .answered(&Ask {
                method: Method::GET,
                url: self.list(),
                body: None,
                bearer: None,
                token: None,
                purpose: LISTING,
                repeat: Repeat::Harmless,
                unless: known,
            })
            .await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Newest::Unchanged);
        }
        let tag = response.headers().get(ETAG);
        let tag = tag.and_then(|tag| Some(tag.to_str().ok()?.to_owned()));
        let listed: Vec<Listed> = http::read(response).await?;
        Ok(Newest::Listed {
            published: listed.iter().filter_map(published).collect(),
            tag,
        })
    }

    /// Whether an archive may be asked for there: nothing goes over the network in the clear.
    fn is_safe(&self, url: &Url) -> bool {
        url.scheme() == "https"
            || (url.scheme() == "http" && self.endpoints.is_local() && is_local(url))
    }

    async fn follow(&self, url: &str) -> Result<Response, String> {
        let mut url = Url::parse(url).map_err(|error| format!("its address is none: {error}"))?;
        for _ in 0..=REDIRECTIONS {
            if !self.is_safe(&url) {
                return Err("its address does not begin with https://".to_owned());
            }
            let response = self.archives.get(url.clone()).send().await;
            let response = response.map_err(|error| {
                format!(
                    "{} did not answer: {}; let the Lambda reach it",
                    url.host_str().unwrap_or_default(),
                    said(&error)
                )
            })?;
            if response.status().is_success() {
                return Ok(response);
            }
            let there = response.headers().get(LOCATION);
            let there = there.and_then(|there| url.join(there.to_str().ok()?).ok());
            match there.filter(|_| response.status().is_redirection()) {
                Some(there) => url = there,
                None => {
                    return Err(format!(
                        "{} answered {}",
                        url.host_str().unwrap_or_default(),
                        response.status()
                    ));
                }
            }
        }
        Err(format!("it led on more than {REDIRECTIONS} times"))
    }
}

/// What a connection says, in a word for silence.
fn said(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        format!("nothing came for {} s", SILENCE.as_secs())
    } else {
        causes(error)
    }
}

/// A release with the archives that Stoker knows what to do with; none: it is a draft, or has no version.
fn published(listed: &Listed) -> Option<Published> {
    let version = listed.tag_name.strip_prefix('v')?;
    version.parse::<Version>().ok()?;
    let at = OffsetDateTime::parse(listed.published_at.as_deref()?, &Rfc3339).ok()?;
    if listed.draft {
        return None;
    }
    let assets = PLATFORMS.iter().filter_map(|platform| {
        let name = archive_name(platform, version);
        let asset = listed.assets.iter().find(|asset| asset.name == name)?;
        let asset = Asset {
            url: asset.browser_download_url.clone(),
            bytes: asset.size,
            sha256: asset.digest.as_deref().and_then(sha256),
        };
        Some(((*platform).to_owned(), asset))
    });
    Some(Published {
        version: version.to_owned(),
        published_at: Timestamp::from(at),
        prerelease: listed.prerelease,
        assets: assets.collect::<BTreeMap<_, _>>(),
    })
}

/// The digits of a digest, if it is one that Stoker can verify.
fn sha256(digest: &str) -> Option<String> {
    let digits = digest.strip_prefix("sha256:")?;
    let is_one = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| digits.to_ascii_lowercase())
}

/// What went wrong, and what to do.
fn problem(error: &Error) -> String {
    match error {
        Error::LeftAlone { .. } => format!(
            "{error}. Whoever asks from this address without an account shares 60 requests an hour: give the \
             Lambda an address of its own (a VPC with a NAT gateway), or let it run less often"
        ),
        Error::Unreachable { problem } => format!(
            "it could not be reached: {problem}; check GITHUB_RELEASES_URL and the way out of the network"
        ),
        Error::Unreadable { problem } => format!(
            "its answer can't be read: {problem}; is GITHUB_RELEASES_URL the address of an API?"
        ),
        Error::Refused { refusal, .. } if refusal.status == 404 => {
            format!("{refusal}; {}", LISTING.not_found)
        }
        Error::Refused { refusal, .. } => refusal.to_string(),
        other => other.to_string(),
    }
}

#[async_trait]
impl Releases for RunnerReleases {
    fn source(&self) -> String {
        self.list().into()
    }

    async fn newest(&self, known: Option<&str>) -> Result<Newest, ReleasesError> {
        self.ask(known).await.map_err(|error| ReleasesError {
            what: "list the releases of the runner".to_owned(),
            problem: problem(&error),
        })
    }

    async fn open(&self, url: &str) -> Result<Box<dyn Download>, ReleasesError> {
        let what = || format!("give {url}");
        let response = self.follow(url).await;
        let response = response.map_err(|problem| ReleasesError {
            what: what(),
            problem,
        })?;
        Ok(Box::new(Archive {
            what: what(),
            response,
        }))
    }
}

/// An archive on its way.
struct Archive {
    what: String,
    response: Response,
}

#[async_trait]
impl Download for Archive {
    async fn read(&mut self, to: &mut Vec<u8>) -> Result<bool, ReleasesError> {
        let chunk = self.response.chunk().await;
        let chunk = chunk.map_err(|error| ReleasesError {
            what: self.what.clone(),
            problem: format!("it broke off: {}", said(&error)),
        })?;
        if let Some(chunk) = &chunk {
            to.extend_from_slice(chunk);
        }
        Ok(chunk.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(tag: &str, digest: Option<&str>) -> Listed {
        let asset = |name: &str| ListedAsset {
            name: name.to_owned(),
            size: 7,
            digest: digest.map(str::to_owned),
            browser_download_url: format!("https://github.com/{name}"),
        };
        Listed {
            tag_name: tag.to_owned(),
            draft: false,
            prerelease: true,
            published_at: Some("2026-01-02T03:04:05Z".to_owned()),
            assets: vec![
                asset("actions-runner-linux-x64-2.330.0.tar.gz"),
                asset("actions-runner-linux-x64-2.330.0-noexternals.tar.gz"),
                asset("actions-runner-linux-arm64-2.329.0.tar.gz"),
            ],
        }
    }

    #[test]
    fn only_the_plain_archives_of_that_very_version_count() {
        let digest = format!("sha256:{}", "AB".repeat(32));
        let release = published(&listed("v2.330.0", Some(&digest))).unwrap();
        assert_eq!(release.version, "2.330.0");
        assert_eq!(release.published_at, Timestamp(1_767_323_045));
        assert_eq!(release.assets.len(), 1);
        let asset = &release.assets["linux-x64"];
        assert_eq!(asset.sha256, Some("ab".repeat(32)));
    }

    #[test]
    fn what_is_no_version_or_no_digest_is_none() {
        assert_eq!(published(&listed("nightly", None)), None);
        assert_eq!(published(&listed("v../x", None)), None);
        let draft = Listed {
            draft: true,
            ..listed("v2.330.0", None)
        };
        assert_eq!(published(&draft), None);
        for digest in [None, Some("sha512:ab"), Some("sha256:ab"), Some("sha256:")] {
            let release = published(&listed("v2.330.0", digest)).unwrap();
            assert_eq!(release.assets["linux-x64"].sha256, None, "{digest:?}");
        }
    }
}
