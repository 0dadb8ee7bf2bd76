//! Claims about where policies come from, in three sets: the store, the uploads, the signer.

use super::{Breaches, Tried};
use crate::ports::{AdmissionStore, PolicySigner, PolicyUploads};

mod signer;
mod store;
mod uploads;

/// Tries every claim on a store, each below a prefix of its own under `contract/`, where nothing may be
/// yet.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_admission_store(store: &dyn AdmissionStore) -> Result<(), Breaches> {
    let mut place = 0;
    let mut tried = Tried::of("store of policies");
    macro_rules! claims {
        ($($claim:ident,)+) => {
            $(
                place += 1;
                let held = store::$claim(store, &format!("contract/{place}")).await;
                tried.note(stringify!($claim), held);
            )+
        };
    }
    claims! {
        what_was_never_written_is_absent,
        what_is_written_is_read_back_to_the_letter,
        what_is_known_is_unchanged_until_it_is_another,
        an_object_is_created_once_and_the_second_creation_changes_nothing,
        of_creations_at_once_exactly_one_finds_nothing_there,
        a_replacement_of_nothing_succeeds_once,
        a_replacement_of_what_was_read_changes_it_and_its_tag,
        a_replacement_of_an_old_one_conflicts_and_changes_nothing,
        of_replacements_of_the_same_at_once_exactly_one_wins,
        a_put_overwrites_whatever_is_there,
        a_list_is_in_order_by_prefix_and_after_the_path_that_is_named,
        a_list_of_120_is_whole,
    }
    tried.result()
}

/// Tries every claim on a place for uploads, each in folders of its own of the owner `contract`, which
/// must have none yet. `delete` deletes the upload at a path, as people do.
///
/// # Errors
/// The claims that do not hold.
pub async fn check_uploads(
    uploads: &dyn PolicyUploads,
    delete: impl AsyncFn(&str),
) -> Result<(), Breaches> {
    let mut place = 0;
    let mut tried = Tried::of("place for uploads");
    macro_rules! claims {
        ($($claim:ident($($more:expr)?),)+) => {
            $(
                place += 1;
                let held =
                    uploads::$claim(uploads, &format!("repos/contract/{place}"), $($more)?).await;
                tried.note(stringify!($claim), held);
            )+
        };
    }
    claims! {
        what_was_never_uploaded_is_not_there(),
        an_upload_is_listed_with_its_size_and_read_back_to_the_letter(),
        uploads_of_every_level_are_listed_each_once(),
        another_upload_of_a_path_is_another_version_and_the_only_one_listed(),
        an_old_version_never_gives_the_bytes_of_a_newer_one(),
        an_upload_says_who_made_it(),
        what_is_deleted_is_listed_no_more(&delete),
        what_was_deleted_can_be_uploaded_again(&delete),
    }
    tried.result()
}

/// Tries every claim on a signer. `verify` says whether a public key (first) of a statement (second)
/// verifies a signature (third).
///
/// # Errors
/// The claims that do not hold.
pub async fn check_signer(
    signer: &dyn PolicySigner,
    verify: impl Fn(&[u8], &[u8], &[u8]) -> bool,
) -> Result<(), Breaches> {
    let mut tried = Tried::of("signer");
    macro_rules! claims {
        ($($claim:ident,)+) => {
            $( tried.note(stringify!($claim), signer::$claim(signer, &verify).await); )+
        };
    }
    claims! {
        a_signature_verifies_with_the_public_key,
        a_signature_is_for_one_statement,
        the_longest_statement_is_signed_and_none_that_is_longer,
        the_public_key_stays_what_it_is,
    }
    tried.result()
}
