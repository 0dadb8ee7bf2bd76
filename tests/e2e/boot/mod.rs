//! The runner's boot: the real scripts of `terraform/runner`, in a folder that stands for the machine,
//! against a stand-in for AWS (SSM, S3, EC2 and the metadata service) by the real AWS CLI.
//!
//! In reading order: `account`, what the instance finds on AWS; `web`, its metadata service and GitHub's
//! releases; `machine`, the instance; then the tests: `serving`, `failing`, `images`, `scripts`.

mod account;
mod failing;
mod images;
mod machine;
mod scripts;
mod serving;
mod web;
