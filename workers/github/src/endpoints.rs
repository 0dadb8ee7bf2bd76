//! Where GitHub is: its API for Stoker, its pages for runners.

use std::net::IpAddr;

use reqwest::Url;
use thiserror::Error;

/// An address that can't be GitHub's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "`{given}` is not an https URL such as https://api.github.com or https://github.example.com/api/v3: {problem}"
)]
pub struct InvalidEndpoint {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The two faces of one GitHub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    api: Url,
    web: Url,
}

impl Endpoints {
    /// GitHub's own API.
    pub const DEFAULT_API: &str = "https://api.github.com";

    /// The API at that address. Without `web` the pages are where that API's pages are: `github.com`
    /// for GitHub's own, `<tenant>.ghe.com` for one with data residency, the same host for a GitHub
    /// Enterprise Server.
    pub fn new(api: &str, web: Option<&str>) -> Result<Self, InvalidEndpoint> {
        let api = parse(api)?;
        let web = match web {
            Some(web) => parse(web)?,
            None => pages_of(&api),
        };
        Ok(Self { api, web })
    }

    /// An address of the API. Each segment is escaped, so a name can't lead elsewhere.
    pub(crate) fn api(&self, segments: &[&str]) -> Url {
        below(&self.api, segments)
    }

    /// The address of a page.
    pub(crate) fn page(&self, segments: &[&str]) -> String {
        below(&self.web, segments).into()
    }

    /// Whether GitHub is a stand-in on this machine.
    pub(crate) fn is_local(&self) -> bool {
        is_local(&self.api)
    }
}

fn parse(given: &str) -> Result<Url, InvalidEndpoint> {
    let refuse = |problem: &str| InvalidEndpoint {
        given: given.to_owned(),
        problem: problem.to_owned(),
    };
    let mut url = Url::parse(given.trim()).map_err(|error| refuse(&error.to_string()))?;
    // Tokens travel there.
    if url.scheme() != "https" && !(url.scheme() == "http" && is_local(&url)) {
        return Err(refuse("it does not start with https://"));
    }
    if url.host_str().is_none() || url.cannot_be_a_base() {
        return Err(refuse("it names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not the URL itself: it holds a password.
        return Err(InvalidEndpoint {
            given: "a URL with a user name".to_owned(),
            problem: "leave user name and password out".to_owned(),
        });
    }
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

pub(crate) fn is_local(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

fn pages_of(api: &Url) -> Url {
    let mut web = api.clone();
    web.set_path("/");
    let tenant = api
        .host_str()
        .and_then(|host| host.strip_prefix("api."))
        .filter(|rest| *rest == "github.com" || rest.ends_with(".ghe.com"));
    if let Some(tenant) = tenant {
        // Part of a host name is one.
        let _same = web.set_host(Some(tenant));
    }
    web
}

fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(api: &str) -> String {
        Endpoints::new(api, None).unwrap().page(&["acme", "site"])
    }

    #[test]
    fn the_pages_are_found_by_the_api() {
        for (api, expected) in [
            ("https://api.github.com", "https://github.com/acme/site"),
            ("https://api.github.com/", "https://github.com/acme/site"),
            ("https://api.octo.ghe.com", "https://octo.ghe.com/acme/site"),
            (
                "https://ghes.example/api/v3",
                "https://ghes.example/acme/site",
            ),
            ("http://127.0.0.1:81", "http://127.0.0.1:81/acme/site"),
        ] {
            assert_eq!(page(api), expected);
        }
        let told = Endpoints::new("https://api.example", Some("https://pages.example/x")).unwrap();
        assert_eq!(told.page(&["acme"]), "https://pages.example/x/acme");
    }

    #[test]
    fn the_path_of_an_enterprise_server_is_kept() {
        for api in [
            "https://ghes.example/api/v3",
            "https://ghes.example/api/v3/",
        ] {
            let endpoints = Endpoints::new(api, None).unwrap();
            assert_eq!(
                endpoints.api(&["orgs", "acme"]).as_str(),
                "https://ghes.example/api/v3/orgs/acme"
            );
        }
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let endpoints = Endpoints::new(Endpoints::DEFAULT_API, None).unwrap();
        assert_eq!(
            endpoints.api(&["orgs", "a/../b?c#d"]).as_str(),
            "https://api.github.com/orgs/a%2F..%2Fb%3Fc%23d"
        );
    }

    #[test]
    fn tokens_travel_encrypted_or_not_at_all() {
        for refused in [
            "http://api.github.com",
            "http://127.0.0.1.example",
            "ftp://api.github.com",
            "api.github.com",
            "",
            "https://user:word@api.github.com",
        ] {
            let told = Endpoints::new(refused, None).unwrap_err().to_string();
            assert!(!told.contains("word@"), "{told}");
        }
        assert!(Endpoints::new("http://[::1]:8", None).is_ok());
    }
}
