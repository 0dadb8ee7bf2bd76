//! What the Lambda is told by its environment, checked once at start-up.

use stoker_admission::confine::ChildLimits;
use stoker_core::ids::Deployment;
use stoker_lambda::policies;
use stoker_lambda::reader::{Reader, SettingsError};
use stoker_policy::Limits;
use stoker_policy::artifact::PublicKeys;

/// All of it, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Whose policies they are.
    pub(crate) deployment: Deployment,
    /// Where they are.
    pub(crate) bucket: String,
    /// Below which prefix.
    pub(crate) prefix: String,
    /// The key of KMS that signs.
    pub(crate) signing_key: String,
    /// Who may have signed what is active.
    pub(crate) keys: PublicKeys,
    /// What policies may be and use.
    pub(crate) limits: Limits,
    /// What compiling and trying one may take.
    pub(crate) child: ChildLimits,
}

/// A Lambda has no more.
const MOST_MEMORY: u64 = 10 << 30;

/// A Lambda runs no longer.
const LONGEST: u64 = 900;

impl Settings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut reader = Reader::new(lookup);
        let deployment = reader
            .required("DEPLOYMENT", "a name for this installation of Stoker")
            .and_then(|name| reader.parsed("DEPLOYMENT", name.parse::<Deployment>()));
        let bucket = reader.required("POLICIES_BUCKET", "the S3 bucket with the policies");
        let prefix = reader.optional("POLICIES_PREFIX").unwrap_or_default();
        let signing_key = reader.required(
            "POLICY_SIGNING_KEY_ID",
            "the id, ARN or alias of the KMS key (ECC_NIST_P256) that signs what is active",
        );
        let keys = policies::public_keys(&mut reader);
        let limits = policies::limits(&mut reader);
        let default = ChildLimits::default();
        let memory = "the most bytes of memory for compiling and trying one policy";
        let memory_bytes = reader.number(
            "ADMISSION_MEMORY_BYTES",
            64 << 20..=MOST_MEMORY,
            Some(default.memory_bytes),
            memory,
        );
        let cpu = "the most seconds of CPU time for compiling and trying one policy";
        let cpu_seconds = reader.number(
            "ADMISSION_CPU_SECONDS",
            1..=LONGEST,
            Some(default.cpu_seconds),
            cpu,
        );
        let settings = (|| {
            Some(Self {
                deployment: deployment?,
                bucket: bucket?,
                prefix,
                signing_key: signing_key?,
                keys: keys?,
                limits: limits?,
                child: ChildLimits {
                    memory_bytes: memory_bytes?,
                    cpu_seconds: cpu_seconds?,
                },
            })
        })();
        reader.finish(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_once() {
        let told = Settings::read(|_| None).unwrap_err().to_string();
        for name in [
            "DEPLOYMENT",
            "POLICIES_BUCKET",
            "POLICY_SIGNING_KEY_ID",
            "POLICY_PUBLIC_KEYS",
        ] {
            assert!(told.contains(name), "{told}");
        }
    }
}
