//! Which request is for whom.

/// What a path and a method ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/webhook`, by any method: intake answers the wrong ones.
    Webhook,
    /// `GET /healthz`: whether a webhook could be accepted.
    Health,
    /// A known path by a wrong method.
    MethodNotAllowed {
        /// The methods that are right, as `Allow` wants them.
        allow: &'static str,
    },
    /// Anything else.
    NotFound,
}

/// Finds the route of a request. Paths are exact: a webhook that is redirected loses its body.
pub fn route(method: &str, path: &str) -> Route {
    match (path, method) {
        ("/webhook", _) => Route::Webhook,
        ("/healthz", "GET" | "HEAD") => Route::Health,
        ("/healthz", _) => Route::MethodNotAllowed { allow: "GET, HEAD" },
        _ => Route::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_paths_exist() {
        assert_eq!(route("POST", "/webhook"), Route::Webhook);
        assert_eq!(route("GET", "/webhook"), Route::Webhook);
        assert_eq!(route("GET", "/healthz"), Route::Health);
        assert_eq!(
            route("POST", "/healthz"),
            Route::MethodNotAllowed { allow: "GET, HEAD" }
        );
        for path in [
            "/",
            "",
            "/webhook/",
            "/Webhook",
            "/healthz/x",
            "/%2fwebhook",
        ] {
            assert_eq!(route("POST", path), Route::NotFound, "{path}");
        }
    }
}
