//! The public keys that an operator hands in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use stoker_lambda::policies;
use stoker_policy::artifact::PublicKeys;

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
    let ders = match std::str::from_utf8(&bytes) {
        Ok(text) => policies::ders(text).with_context(|| {
            format!("{shown} holds no public key (PEM, DER, or base64 of that)")
        })?,
        Err(_) => vec![bytes],
    };
    PublicKeys::checked(ders.clone()).map_err(|problem| anyhow!("{shown}: {problem}"))?;
    Ok(ders)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

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
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{head}\n{tail}\n-----END PUBLIC KEY-----\n");
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
