//! What a deployment is made of and by: the archives of `dist/`, what Terraform tells each Lambda, and the scripts that
//! hand the Worker its settings and secrets.

mod edge;
mod environment;
mod pack;
mod tool;
