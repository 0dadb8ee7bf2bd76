//! Reading what is uploaded: what was accepted in the same version is known by its digest, all else is
//! read, many at once.

use std::collections::BTreeMap;

use futures::future::FutureExt as _;
use stoker_core::ids::ArtifactDigest;
use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::{Upload, UploadBytes};
use stoker_policy::activation::{Document, Own, PassedOver, Piece};

use crate::admission::Admission;
use crate::assemble::Files;
use crate::at_once;
use crate::inspect::Inspection;
use crate::problem::Problem;
use crate::task::Hint;
use crate::view::{File, Uploaded, View};

/// An upload that is to be read.
struct Wanted<'a> {
    folder: &'a PolicyFolder,
    file: File,
    upload: &'a Upload,
}

impl Admission {
    /// What is in each folder, by digest. None: something was uploaded meanwhile, and what was listed is no
    /// more.
    pub(crate) async fn files(
        &self,
        base: &Document,
        view: &View,
        hints: &[Hint],
        inspection: &mut Inspection<'_>,
    ) -> Option<BTreeMap<PolicyFolder, Files>> {
        let mut files = BTreeMap::new();
        let mut wanted = Vec::new();
        for (folder, uploaded) in &view.folders {
            let own = base.folders.get(folder).map(|record| &record.own);
            let (found, unread) = self.known(folder, uploaded, own);
            let known = [
                (found.own.policy.as_ref(), File::Policy),
                (found.own.settings.as_ref(), File::Settings),
            ];
            for (piece, file) in known {
                if let (Some(piece), Some(upload)) = (piece, uploaded.file(file)) {
                    inspection.lies_in(&piece.digest, upload);
                }
            }
            files.insert(folder.clone(), found);
            wanted.extend(unread);
        }
        let mut reads = Vec::new();
        for wanted in &wanted {
            reads.push(self.uploads.read(wanted.upload).boxed());
        }
        for (wanted, read) in wanted.iter().zip(at_once(reads).await) {
            let Some(found) = files.get_mut(wanted.folder) else {
                continue;
            };
            match read {
                Ok(Some(read)) => {
                    let piece = piece(wanted.upload, &read, hints);
                    inspection.uploaded(wanted.file, &piece.digest, read.bytes);
                    *slot(&mut found.own, wanted.file) = Some(piece);
                }
                Ok(None) => return None,
                // One that can't be read is its folder's matter, and nobody else's.
                Err(error) => found.problems.push(Problem {
                    about: wanted.file.name().to_owned(),
                    cause: "unreadable".to_owned(),
                    message: format!("{error}; the next sweep tries again"),
                }),
            }
        }
        Some(files)
    }

    /// What is known of a folder without reading, and what is to be read.
    fn known<'a>(
        &self,
        folder: &'a PolicyFolder,
        uploaded: &'a Uploaded,
        accepted: Option<&Own>,
    ) -> (Files, Vec<Wanted<'a>>) {
        let version = |file| uploaded.file(file).map(|upload| upload.version.clone());
        let mut found = Files {
            versions: PassedOver {
                policy: version(File::Policy),
                settings: version(File::Settings),
            },
            ..Files::default()
        };
        let mut wanted = Vec::new();
        for file in File::ALL {
            let Some(upload) = uploaded.file(file) else {
                continue;
            };
            let accepted = accepted.and_then(|own| match file {
                File::Policy => own.policy.as_ref(),
                File::Settings => own.settings.as_ref(),
            });
            if let Some(piece) = accepted.filter(|piece| piece.version == upload.version) {
                *slot(&mut found.own, file) = Some(piece.clone());
            } else if let Some(failure) = file.too_large(upload, &self.settings.limits) {
                found.problems.push(Problem::of(file.name(), &failure));
            } else {
                wanted.push(Wanted {
                    folder,
                    file,
                    upload,
                });
            }
        }
        (found, wanted)
    }
}

fn slot(own: &mut Own, file: File) -> &mut Option<Piece> {
    match file {
        File::Policy => &mut own.policy,
        File::Settings => &mut own.settings,
    }
}

fn piece(upload: &Upload, read: &UploadBytes, hints: &[Hint]) -> Piece {
    let seen = hints
        .iter()
        .find(|hint| hint.path == upload.path && hint.version == upload.version);
    let claimed = || {
        let claimed = read.by.as_ref()?;
        Some(format!("{claimed} (says the upload)"))
    };
    Piece {
        digest: ArtifactDigest::of(&read.bytes),
        version: upload.version.clone(),
        at: upload.at,
        by: seen
            .map(|hint| hint.by.clone())
            .or_else(claimed)
            .map(stoker_policy::tame),
    }
}
