//! What is uploaded now, by folders.

use std::collections::BTreeMap;

use stoker_core::policy_folder::PolicyFolder;
use stoker_core::ports::Upload;
use stoker_policy::{Failure, Limits};

use crate::problem::Problem;
use crate::settings::LARGEST;

/// The largest settings file that is read, in bytes; what is too large is refused by name then.
const SETTINGS_READ: u64 = 1 << 20;

/// What a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// A policy's component.
    Policy,
    /// Its settings.
    Settings,
}

impl File {
    pub(crate) const ALL: [Self; 2] = [Self::Policy, Self::Settings];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy.wasm",
            Self::Settings => "settings.json",
        }
    }

    /// Why an upload is not even read.
    pub(crate) fn too_large(self, upload: &Upload, limits: &Limits) -> Option<Failure> {
        let (size, limit) = (upload.size, limits.component_bytes);
        match self {
            Self::Policy if size > limit as u64 => Some(Failure::TooLarge {
                size: usize::try_from(size).unwrap_or(usize::MAX),
                limit,
            }),
            Self::Settings if size > SETTINGS_READ => Some(Failure::Settings {
                path: upload.path.clone(),
                problem: format!("the file has {size} bytes and may have {LARGEST}"),
            }),
            _ => None,
        }
    }
}

/// What is in a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uploaded {
    pub(crate) policy: Option<Upload>,
    pub(crate) settings: Option<Upload>,
}

/// What is uploaded.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) folders: BTreeMap<PolicyFolder, Uploaded>,
    /// What is in no folder, or not called as it must be.
    pub(crate) misplaced: Vec<Problem>,
}

impl Uploaded {
    pub(crate) fn file(&self, file: File) -> Option<&Upload> {
        match file {
            File::Policy => self.policy.as_ref(),
            File::Settings => self.settings.as_ref(),
        }
    }
}

impl View {
    pub(crate) fn of(uploads: Vec<Upload>) -> Self {
        let mut view = Self::default();
        for upload in uploads {
            // What S3's console makes when somebody creates a folder.
            if upload.path.ends_with('/') && upload.size == 0 {
                continue;
            }
            let (folder, file) = upload.path.rsplit_once('/').unwrap_or(("", &upload.path));
            let place = match (folder.parse::<PolicyFolder>(), file) {
                (Ok(folder), name) if name == File::Policy.name() => {
                    &mut view.folders.entry(folder).or_default().policy
                }
                (Ok(folder), name) if name == File::Settings.name() => {
                    &mut view.folders.entry(folder).or_default().settings
                }
                (Ok(_), _) => {
                    view.misplaced.push(misplaced(
                        &upload,
                        "only policy.wasm and settings.json are looked at",
                    ));
                    continue;
                }
                (Err(error), _) => {
                    view.misplaced.push(misplaced(&upload, &error.to_string()));
                    continue;
                }
            };
            *place = Some(upload);
        }
        view
    }
}

fn misplaced(upload: &Upload, why: &str) -> Problem {
    Problem {
        about: stoker_policy::tame(upload.path.clone()),
        cause: "misplaced".to_owned(),
        message: stoker_policy::tame(format!("it decides nothing where it is: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use stoker_core::time::Timestamp;

    use super::*;

    #[test]
    fn files_are_found_by_folder_and_others_are_named_with_what_is_wrong() {
        let upload = |path: &str, size| Upload {
            path: path.to_owned(),
            version: "1".to_owned(),
            size,
            at: Timestamp(1),
        };
        let view = View::of(vec![
            upload("default/policy.wasm", 9),
            upload("repos/acme/app/settings.json", 9),
            upload("orgs/Acme/policy.wasm", 9),
            upload("orgs/acme/policy.wsm", 9),
            upload("README", 9),
            upload("orgs/", 0),
        ]);
        assert_eq!(view.folders.len(), 2);
        assert!(view.folders[&PolicyFolder::Default].policy.is_some());
        let told: Vec<&str> = view.misplaced.iter().map(|p| p.about.as_str()).collect();
        assert_eq!(
            told,
            ["orgs/Acme/policy.wasm", "orgs/acme/policy.wsm", "README"]
        );
        assert!(view.misplaced[0].message.contains("in lower case"));
    }
}
