//! What an instance reads when it boots: how it is to register with GitHub.
//!
//! It travels as one parameter (an SSM `SecureString` on AWS) at a path that only that instance may
//! read, and is deleted once read. The parameter's value is one JSON object:
//!
//! ```json
//! {"version":1,"mode":"ephemeral","name":"…","encoding":"gzip+base64","jit_config":"…"}
//! {"version":1,"mode":"persistent","name":"…","url":"…","token":"…","labels":["…"],"ephemeral":false,"runner_group":"…"}
//! ```
//!
//! `ephemeral` says that the runner is to serve one job (`config.sh --ephemeral`); without `runner_group` it
//! joins the default one.
//!
//! GitHub's just-in-time configuration is base64 over JSON and longer than the 4 KB of a standard
//! parameter. `gzip+base64` says that `jit_config` is what GitHub sent, *decoded* from its base64,
//! compressed and encoded again: `base64 -d | gunzip | base64 -w0` gives GitHub's string back.
//! `plain` says that it is GitHub's string as it came.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

/// How a runner registers: secret, and good for one registration (or an hour).
#[derive(Debug, Clone)]
pub enum Registration {
    /// GitHub's `encoded_jit_config`: registers one runner for one job.
    Ephemeral(SecretString),
    /// A registration token, good for an hour.
    Persistent(SecretString),
}

/// What is written for one instance.
#[derive(Debug, Clone)]
pub struct InstanceConfiguration {
    /// The runner's name.
    pub name: String,
    /// The page of the organisation or repository that it registers with.
    pub url: String,
    /// What it registers with.
    pub labels: Vec<String>,
    /// The name of the runner group; none: the default one.
    pub runner_group: Option<String>,
    /// Whether it serves one job.
    pub ephemeral: bool,
    /// The secret.
    pub registration: Registration,
}

#[derive(Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
enum Parameter<'a> {
    Ephemeral {
        version: u32,
        name: &'a str,
        encoding: &'static str,
        jit_config: &'a str,
    },
    Persistent {
        version: u32,
        name: &'a str,
        url: &'a str,
        token: &'a str,
        labels: &'a [String],
        ephemeral: bool,
        /// Left out: the default one.
        #[serde(skip_serializing_if = "Option::is_none")]
        runner_group: Option<&'a str>,
    },
}

impl InstanceConfiguration {
    /// The parameter's value.
    pub fn to_parameter(&self) -> SecretString {
        let json = match &self.registration {
            Registration::Ephemeral(config) => {
                let plain = config.expose_secret();
                let packed = pack(plain);
                let (encoding, jit_config) = match &packed {
                    Some(packed) => ("gzip+base64", packed.as_str()),
                    None => ("plain", plain),
                };
                serde_json::to_string(&Parameter::Ephemeral {
                    version: 1,
                    name: &self.name,
                    encoding,
                    jit_config,
                })
            }
            Registration::Persistent(token) => serde_json::to_string(&Parameter::Persistent {
                version: 1,
                name: &self.name,
                url: &self.url,
                token: token.expose_secret(),
                labels: &self.labels,
                ephemeral: self.ephemeral,
                runner_group: self.runner_group.as_deref(),
            }),
        };
        // Strings and numbers always have a JSON form.
        SecretString::from(json.unwrap_or_default())
    }
}

/// Packs base64 text smaller. None: it is not canonical base64, so unpacking would not give it back, or
/// it would not become smaller.
fn pack(encoded: &str) -> Option<String> {
    let bytes = STANDARD.decode(encoded).ok()?;
    if STANDARD.encode(&bytes) != encoded {
        return None;
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes).ok()?;
    let packed = STANDARD.encode(gzip.finish().ok()?);
    (packed.len() < encoded.len()).then_some(packed)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn configuration(registration: Registration) -> InstanceConfiguration {
        InstanceConfiguration {
            name: "stoker-test-i-1".to_owned(),
            url: "https://github.com/acme".to_owned(),
            labels: vec!["linux".to_owned()],
            runner_group: Some("ours".to_owned()),
            ephemeral: false,
            registration,
        }
    }

    fn parameter(registration: Registration) -> serde_json::Value {
        let secret = configuration(registration).to_parameter();
        serde_json::from_str(secret.expose_secret()).unwrap()
    }

    #[test]
    fn a_jit_configuration_is_packed_and_comes_back_to_the_letter() {
        let original = STANDARD.encode(format!("{{\"a\":\"{}\"}}", "x".repeat(5_000)));
        let value = parameter(Registration::Ephemeral(original.clone().into()));
        assert_eq!(value["encoding"], "gzip+base64");
        let packed = STANDARD
            .decode(value["jit_config"].as_str().unwrap())
            .unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(STANDARD.encode(unpacked), original);
    }

    #[test]
    fn what_is_not_base64_travels_as_it_is() {
        let value = parameter(Registration::Ephemeral("not base64!".to_owned().into()));
        assert_eq!(value["encoding"], "plain");
        assert_eq!(value["jit_config"], "not base64!");
    }

    #[test]
    fn a_secret_is_not_in_the_debug_form() {
        let configuration =
            configuration(Registration::Persistent("AAAB-secret".to_owned().into()));
        assert!(!format!("{configuration:?}").contains("AAAB-secret"));
    }
}
