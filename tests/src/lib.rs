//! The stand-ins that Stoker's end-to-end tests need beside the real parts.
//!
//! What it is: [`github`], as much of GitHub's API as Stoker uses, over HTTP and with real checks of
//! what it is sent. What it is not: anything that a deployment runs, or that knows Stoker's own types.
//!
//! The tests themselves are one binary, `e2e/`, because linking the AWS SDK is slow.

pub mod github;
