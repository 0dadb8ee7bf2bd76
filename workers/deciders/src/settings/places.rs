//! Settings that every Lambda that decides has: whose it is, by which policies it decides, and where it writes down
//! what it did.

use stoker_core::ids::Deployment;
use stoker_lambda::policies;
use stoker_lambda::reader::Reader;
use stoker_policy::{HostSettings, Trust};

/// A part of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The S3 bucket.
    pub bucket: String,
    /// Below which prefix; may be empty.
    pub prefix: String,
}

/// Who decides.
#[derive(Debug, Clone)]
pub struct Policies {
    /// How policies are run, and whether at all.
    pub host: HostSettings,
    /// Whose word is taken for who decides.
    pub trust: Trust,
    /// Where policies are.
    pub place: Place,
}

/// The name of this installation.
pub fn deployment<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Deployment> {
    reader
        .required("DEPLOYMENT", "a name for this installation of Stoker")
        .and_then(|name| reader.parsed("DEPLOYMENT", name.parse::<Deployment>()))
}

/// A part of a bucket, by the names of its two variables.
pub fn place<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    [bucket, prefix]: [&'static str; 2],
    what: &str,
) -> Option<Place> {
    let bucket = reader.required(bucket, what);
    let prefix = reader.optional(prefix).unwrap_or_default();
    Some(Place {
        bucket: bucket?,
        prefix,
    })
}

/// Where the journal is.
pub fn journal<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Place> {
    let names = ["JOURNAL_BUCKET", "JOURNAL_PREFIX"];
    place(reader, names, "the S3 bucket of the journal")
}

/// Who decides in that deployment.
pub fn policies<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    deployment: Option<&Deployment>,
) -> Option<Policies> {
    // Each is read before any is missed, so that all of them are listed.
    let host = policies::host(reader);
    let mode = host.as_ref().map(|host| host.mode);
    let trust = policies::trust(reader, deployment, mode);
    let names = ["POLICIES_BUCKET", "POLICIES_PREFIX"];
    let place = place(reader, names, "the S3 bucket with the policies");
    Some(Policies {
        host: host?,
        trust: trust?,
        place: place?,
    })
}
