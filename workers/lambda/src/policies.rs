//! Who decides, and what policies may be and use.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use stoker_core::ids::Deployment;
use stoker_policy::artifact::PublicKeys;
use stoker_policy::{HostSettings, Limits, OnFailure, PolicyMode, SizeClass, Trust};

use crate::reader::Reader;

/// More than a Lambda has: a limit beyond it would limit nothing.
const MOST_BYTES: usize = 1 << 30;

/// The most bytes that a component can be allowed to have. Those who read uploads stop there, so that whatever
/// somebody uploads fits into a Lambda's memory: a limit beyond it would let nothing more in.
pub const LARGEST_COMPONENT: usize = 20 << 20;

/// Some 20 s of a policy's time: a decision that takes longer holds up its scope.
const MOST_FUEL: u64 = 100_000_000_000;

/// How often the active policies are confirmed, in seconds: what DESIGN promises, and a request every 15
/// seconds of a busy process costs a dollar in two months.
const REVALIDATE: u32 = 15;

/// Who decides, and within which limits.
pub fn host<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<HostSettings> {
    let mode = reader.word(
        "POLICY_MODE",
        &[
            ("policies", PolicyMode::Policies),
            ("built-in", PolicyMode::BuiltIn),
        ],
    );
    let limits = limits(reader);
    let on_failure = reader.word(
        "ON_POLICY_FAILURE",
        &[("built-in", OnFailure::BuiltIn), ("hold", OnFailure::Hold)],
    );
    Some(HostSettings {
        mode: mode?,
        limits: limits?,
        on_failure: on_failure?,
    })
}

/// Which documents are trusted, and how often they are confirmed. With `POLICY_MODE=built-in` none is
/// read, and no key is needed.
pub fn trust<F: Fn(&str) -> Option<String>>(
    reader: &mut Reader<F>,
    deployment: Option<&Deployment>,
    mode: Option<PolicyMode>,
) -> Option<Trust> {
    let keys = if mode == Some(PolicyMode::BuiltIn) {
        Some(PublicKeys::default())
    } else {
        public_keys(reader)
    };
    let what = "the seconds after which the active policies are confirmed again";
    let revalidate = reader.number(
        "POLICY_REVALIDATE_SECONDS",
        1..=3_600,
        Some(REVALIDATE),
        what,
    );
    Some(Trust {
        deployment: deployment?.clone(),
        keys: keys?,
        revalidate: revalidate?,
    })
}

/// The keys that may sign for what is active: one, or two while one is replaced by the other.
pub fn public_keys<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<PublicKeys> {
    const NAME: &str = "POLICY_PUBLIC_KEYS";
    let given = reader.required(
        NAME,
        "the public key that admission signs with (PEM, or base64 of its DER; two while it is rotated)",
    )?;
    let keys = match ders(&given) {
        Ok(keys) => keys,
        Err(error) => {
            reader.fail(NAME, format!("has a key that is no base64: {error}"));
            return None;
        }
    };
    match PublicKeys::checked(keys) {
        Ok(keys) => Some(keys),
        Err(problem) => {
            reader.fail(NAME, format!("does not do: {problem}"));
            None
        }
    }
}

/// The DER of each key in a text: between PEM's lines, or else its base64, between spaces and commas.
///
/// # Errors
/// If one is no base64.
pub fn ders(text: &str) -> Result<Vec<Vec<u8>>, DecodeError> {
    let keys: Vec<String> = if text.contains("-----BEGIN") {
        let keys = text.split("-----BEGIN PUBLIC KEY-----").skip(1);
        keys.map(|key| {
            let body = key.split("-----END").next().unwrap_or_default();
            body.split_whitespace().collect()
        })
        .collect()
    } else {
        let keys = text.split(|c: char| c == ',' || c.is_whitespace());
        keys.filter(|key| !key.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    };
    keys.iter().map(|key| STANDARD.decode(key)).collect()
}

/// What policies may be and use.
pub fn limits<F: Fn(&str) -> Option<String>>(reader: &mut Reader<F>) -> Option<Limits> {
    let size_class = reader.word(
        "POLICY_SIZE_CLASS",
        &[("small", SizeClass::Small), ("large", SizeClass::Large)],
    );
    let class = size_class.unwrap_or(SizeClass::Small).limits();
    let component_bytes = reader.number(
        "POLICY_MAX_BYTES",
        1..=LARGEST_COMPONENT,
        Some(class.component_bytes),
        "the most bytes of a policy (a larger upload is not read)",
    );
    let mut bytes = |name, default, what| reader.number(name, 1..=MOST_BYTES, Some(default), what);
    let memory = "the most bytes of memory of a policy";
    let memory_bytes = bytes("POLICY_MAX_MEMORY_BYTES", class.memory_bytes, memory);
    let output = "the most bytes that a policy may hand back in one call";
    let handed_back_bytes = bytes("POLICY_MAX_OUTPUT_BYTES", class.handed_back_bytes, output);
    let mut fuel = |name, default, what| reader.number(name, 0..=MOST_FUEL, Some(default), what);
    let base = "the fuel of a decision whatever it is about";
    let fuel_base = fuel("POLICY_FUEL_BASE", class.fuel_base, base);
    let each = "the fuel of a decision for each job and runner";
    let fuel_each = fuel("POLICY_FUEL_EACH", class.fuel_each, each);
    size_class?;
    Some(Limits {
        component_bytes: component_bytes?,
        fuel_base: fuel_base?,
        fuel_each: fuel_each?,
        memory_bytes: memory_bytes?,
        handed_back_bytes: handed_back_bytes?,
        ..class
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELX/4d6wmAfDYvU5IysJghvh66iT1MwRqJpV8pYpyX8JjfV0zBkRllmrz48QmvMQx1WYcRjX5DDuKztpOG1kigw==";

    fn read(value: &str) -> Result<PublicKeys, String> {
        let mut reader = Reader::new(|_: &str| Some(value.to_owned()));
        let keys = public_keys(&mut reader);
        reader.finish(keys).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_can_be_allowed_no_more_bytes_than_are_read_of_an_upload() {
        let read = |given: &str| {
            let mut reader =
                Reader::new(|name: &str| (name == "POLICY_MAX_BYTES").then(|| given.to_owned()));
            let limits = limits(&mut reader);
            let read = reader.finish(limits).map(|limits| limits.component_bytes);
            read.map_err(|error| error.to_string())
        };
        assert_eq!(read("20971520"), Ok(20_971_520));
        assert_eq!(
            read("20971521"),
            Err(
                "one setting is wrong: POLICY_MAX_BYTES is `20971521`: give it the most bytes of a policy \
                 (a larger upload is not read), 1 to 20971520"
                    .to_owned()
            )
        );
        // What is the default somewhere can be asked for.
        assert_eq!(SizeClass::Large.limits().component_bytes, LARGEST_COMPONENT);
    }

    #[test]
    fn keys_are_read_as_pem_and_as_base64_one_or_two() {
        let (head, tail) = KEY.split_at(64);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{head}\n{tail}\n-----END PUBLIC KEY-----\n");
        for (given, count) in [
            (KEY.to_owned(), 1),
            (format!("{KEY},{KEY}"), 2),
            (format!("{KEY}\n{KEY}\n"), 2),
            (pem.clone(), 1),
            (format!("{pem}{pem}"), 2),
        ] {
            assert_eq!(read(&given).unwrap().count(), count, "{given}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_in_words() {
        for given in ["", "nonsense!", "AAAA", "-----BEGIN PUBLIC KEY-----"] {
            let told = read(given).unwrap_err();
            assert!(told.contains("POLICY_PUBLIC_KEYS"), "{given}: {told}");
        }
    }
}
