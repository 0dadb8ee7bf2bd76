//! Who asks: the App by a JWT, or one of its installations by a token.

use axum::http::{HeaderMap, header};
use axum::response::Response;
use jsonwebtoken::{Algorithm, Validation, decode};
use serde::Deserialize;

use super::answer;
use super::level::Level;
use super::state::State;

/// GitHub refuses a JWT that is good for longer, in seconds.
const LONGEST_LIFE: i64 = 600;

/// What GitHub forgives of clocks that differ, in seconds.
const LEEWAY: i64 = 60;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    iat: i64,
    exp: i64,
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value
        .strip_prefix("Bearer ")
        .or_else(|| value.strip_prefix("token "))
}

/// The App itself.
pub(super) fn app(state: &State, headers: &HeaderMap) -> Result<(), Box<Response>> {
    let refused = |message: &str| Err(Box::new(answer::refusal(401, message)));
    let Some(token) = bearer(headers) else {
        return refused("A JSON web token could not be decoded");
    };
    let mut validation = Validation::new(Algorithm::RS256);
    validation.leeway = 0;
    validation.set_required_spec_claims(&["exp", "iss"]);
    let claims = match decode::<Claims>(token, &state.key(), &validation) {
        Ok(decoded) => decoded.claims,
        Err(error) => {
            return refused(&format!("A JSON web token could not be decoded ({error})"));
        }
    };
    let now = answer::now();
    if claims.iss != state.app() {
        return refused("'Issuer' claim ('iss') must be an Integer or the client ID of the App");
    }
    if claims.iat > now + LEEWAY {
        return refused(
            "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued",
        );
    }
    if claims.exp > now + LONGEST_LIFE {
        return refused("'Expiration time' claim ('exp') is too far in the future");
    }
    Ok(())
}

/// The account whose installation asks.
pub(super) fn account(state: &State, headers: &HeaderMap) -> Result<String, Box<Response>> {
    let grant = bearer(headers).and_then(|token| state.granted(token));
    match grant.filter(|grant| grant.expires_at > answer::now()) {
        Some(grant) => Ok(grant.login),
        None => Err(Box::new(answer::refusal(401, "Bad credentials"))),
    }
}

/// An installation that may do this at that level.
pub(super) fn installation(
    state: &State,
    headers: &HeaderMap,
    level: &Level,
    permission: &'static str,
) -> Result<(), Box<Response>> {
    let bad = || Box::new(answer::refusal(401, "Bad credentials"));
    let grant = bearer(headers)
        .and_then(|token| state.granted(token))
        .ok_or_else(bad)?;
    if grant.expires_at <= answer::now() {
        return Err(bad());
    }
    if !grant.login.eq_ignore_ascii_case(level.owner()) {
        return Err(Box::new(answer::not_found()));
    }
    if state.denies(permission) {
        let mut refusal = answer::refusal(403, "Resource not accessible by integration");
        if let Ok(accepted) = format!("{permission}=write").parse() {
            refusal
                .headers_mut()
                .insert("x-accepted-github-permissions", accepted);
        }
        return Err(Box::new(refusal));
    }
    Ok(())
}
