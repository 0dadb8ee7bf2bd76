//! The public keys that an operator hands in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stoker_policy::artifact::PublicKeys;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";

/// The keys in those files; none if there are no files.
pub(super) fn read(files: &[PathBuf]) -> anyhow::Result<Option<PublicKeys>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for file in files {
        keys.extend(of_file(file)?);
    }
    Ok(Some(PublicKeys::new(keys)))
}

fn of_file(file: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("{shown} can't be read"))?;
    let ders = ders(&bytes)
        .with_context(|| format!("{shown} holds no public key (PEM, DER, or base64 of that)"))?;
    PublicKeys::checked(ders.clone()).map_err(|problem| anyhow!("{shown}: {problem}"))?;
    Ok(ders)
}

/// The DER of each key.
fn ders(bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(vec![bytes.to_vec()]);
    };
    let keys: Vec<String> = if text.contains(BEGIN) {
        let keys = text.split(BEGIN).skip(1);
        keys.map(|key| {
            let body = key.split("-----END").next().unwrap_or_default();
            body.split_whitespace().collect()
        })
        .collect()
    } else {
        let keys = text.split([',', ' ', '\n', '\r']);
        keys.filter(|key| !key.is_empty())
            .map(ToOwned::to_owned)
            .collect()
    };
    keys.iter().map(|key| Ok(STANDARD.decode(key)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAELX/4d6wmAfDYvU5IysJghvh66iT1MwRqJpV8pYpyX8JjfV0zBkRllmrz48QmvMQx1WYcRjX5DDuKztpOG1kigw==";

    fn of(bytes: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, bytes).unwrap();
        of_file(&file)
    }

    #[test]
    fn a_key_is_read_in_every_form_that_kms_and_terraform_give_it_in() {
        let der = STANDARD.decode(KEY).unwrap();
        let (head, tail) = KEY.split_at(64);
        let pem = format!("{BEGIN}\n{head}\n{tail}\n-----END PUBLIC KEY-----\n");
        for bytes in [&der[..], KEY.as_bytes(), pem.as_bytes()] {
            assert_eq!(of(bytes).unwrap(), std::slice::from_ref(&der));
        }
        assert_eq!(of(pem.repeat(2).as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bytes in [&b""[..], b"nonsense!", b"AAAA", b"\xff\xfe"] {
            assert!(of(bytes).is_err(), "{bytes:?}");
        }
    }
}
