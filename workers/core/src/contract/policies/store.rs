//! Claims about stores. Each has `place` to itself, a prefix without its last slash.

use futures::stream::{self, StreamExt as _};

use crate::contract::{Held, Seen, ensure, same};
use crate::ports::{AdmissionStore, Fetched, PolicyStoreError, Replaced};

/// How many writers of a claim go at once.
const AT_ONCE: u8 = 8;

/// How many writes of a claim go at once: enough to be quick on a store behind a network.
const WRITTEN_AT_ONCE: usize = 16;

/// Some tag that no object has.
const STRANGE_TAG: &str = "\"0123456789abcdef0123456789abcdef\"";

async fn found(store: &dyn AdmissionStore, path: &str) -> Result<(Vec<u8>, String), Seen> {
    match store.fetch(path, None).await? {
        Fetched::Found { bytes, tag } => Ok((bytes, tag)),
        other => Err(Seen(format!("at {path} is {other:?}"))),
    }
}

async fn holds(store: &dyn AdmissionStore, path: &str, bytes: &[u8]) -> Held {
    let (stored, _) = found(store, path).await?;
    same(path, &stored, &bytes.to_vec())
}

async fn absent(store: &dyn AdmissionStore, path: &str) -> Held {
    same(path, &store.fetch(path, None).await?, &Fetched::Absent)
}

/// Writes over what `known` names, and must succeed.
async fn replaced(
    store: &dyn AdmissionStore,
    path: &str,
    known: Option<&str>,
    bytes: &[u8],
) -> Result<String, Seen> {
    match store.replace(path, known, bytes).await? {
        Replaced::Written { tag } => Ok(tag),
        Replaced::Conflict => Err(Seen(format!("{path} over {known:?} was a conflict"))),
    }
}

async fn conflicts(
    store: &dyn AdmissionStore,
    path: &str,
    known: Option<&str>,
    bytes: &[u8],
) -> Held {
    let answer = store.replace(path, known, bytes).await?;
    same(
        &format!("the replacement over {known:?}"),
        &answer,
        &Replaced::Conflict,
    )
}

pub(super) async fn what_was_never_written_is_absent(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/deep/in/active.json");
    for known in [None, Some(STRANGE_TAG)] {
        let fetched = store.fetch(&path, known).await?;
        same("what was fetched", &fetched, &Fetched::Absent)?;
    }
    let listed = store.list(&format!("{place}/"), None).await?;
    same("the list", &listed, &Vec::new())
}

pub(super) async fn what_is_written_is_read_back_to_the_letter(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let every_byte: Vec<u8> = (0..=u8::MAX).cycle().take(2_000_000).collect();
    for (name, bytes) in [("empty", Vec::new()), ("large", every_byte)] {
        let created = format!("{place}/{name}.created");
        store.create(&created, &bytes).await?;
        let put = format!("{place}/{name}.put");
        store.put(&put, &bytes).await?;
        let over = format!("{place}/{name}.replaced");
        replaced(store, &over, None, &bytes).await?;
        for path in [created, put, over] {
            let (stored, _) = found(store, &path).await?;
            ensure(stored == bytes, || {
                format!("{path} has other bytes: {} of them", stored.len())
            })?;
        }
    }
    Ok(())
}

pub(super) async fn what_is_known_is_unchanged_until_it_is_another(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/active.json");
    store.put(&path, b"one").await?;
    let (_, tag) = found(store, &path).await?;
    for _ in 0..2 {
        let again = store.fetch(&path, Some(&tag)).await?;
        same("what was fetched", &again, &Fetched::Unchanged)?;
    }
    store.put(&path, b"two").await?;
    match store.fetch(&path, Some(&tag)).await? {
        Fetched::Found { bytes, tag: other } => {
            same("the bytes", &bytes, &b"two".to_vec())?;
            ensure(other != tag, || format!("both have the tag {tag}"))
        }
        other => Err(Seen(format!("after a change {other:?} was fetched"))),
    }
}

pub(super) async fn an_object_is_created_once_and_the_second_creation_changes_nothing(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/artifact");
    same("the first", &store.create(&path, b"one").await?, &true)?;
    let (_, tag) = found(store, &path).await?;
    for bytes in [&b"two"[..], b"one"] {
        same("the second", &store.create(&path, bytes).await?, &false)?;
        holds(store, &path, b"one").await?;
    }
    let unchanged = store.fetch(&path, Some(&tag)).await?;
    same("what was fetched", &unchanged, &Fetched::Unchanged)
}

pub(super) async fn of_creations_at_once_exactly_one_finds_nothing_there(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/artifact");
    let rivals: Vec<Vec<u8>> = (0..AT_ONCE).map(|n| vec![n; 1_000]).collect();
    let creations = rivals.iter().map(|bytes| store.create(&path, bytes));
    let answers = futures::future::join_all(creations).await;
    let firsts: Vec<usize> = (0..answers.len())
        .filter(|&n| matches!(answers[n], Ok(true)))
        .collect();
    let [first] = firsts.as_slice() else {
        return Err(Seen(format!("creations at once were answered {answers:?}")));
    };
    holds(store, &path, &rivals[*first]).await
}

pub(super) async fn a_replacement_of_nothing_succeeds_once(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/active.json");
    conflicts(store, &path, Some(STRANGE_TAG), b"strange").await?;
    absent(store, &path).await?;
    replaced(store, &path, None, b"one").await?;
    conflicts(store, &path, None, b"two").await?;
    holds(store, &path, b"one").await
}

pub(super) async fn a_replacement_of_what_was_read_changes_it_and_its_tag(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/active.json");
    let mut tags = vec![replaced(store, &path, None, b"0").await?];
    for n in 1..4_u8 {
        let (_, read) = found(store, &path).await?;
        ensure(tags.last() == Some(&read), || {
            format!("the tag {read} was read, of those written last {tags:?}")
        })?;
        let next = replaced(store, &path, Some(&read), &[b'0' + n]).await?;
        ensure(!tags.contains(&next), || {
            format!("the tag {next} comes again: {tags:?}")
        })?;
        holds(store, &path, &[b'0' + n]).await?;
        tags.push(next);
    }
    Ok(())
}

pub(super) async fn a_replacement_of_an_old_one_conflicts_and_changes_nothing(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/active.json");
    let first = replaced(store, &path, None, b"one").await?;
    let second = replaced(store, &path, Some(&first), b"two").await?;
    for known in [None, Some(first.as_str()), Some(STRANGE_TAG)] {
        conflicts(store, &path, known, b"three").await?;
    }
    holds(store, &path, b"two").await?;
    let unchanged = store.fetch(&path, Some(&second)).await?;
    same("what was fetched", &unchanged, &Fetched::Unchanged)
}

pub(super) async fn of_replacements_of_the_same_at_once_exactly_one_wins(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/active.json");
    let mut known: Option<String> = None;
    for round in 0..3_u8 {
        let rivals: Vec<Vec<u8>> = (0..AT_ONCE).map(|n| vec![round, n]).collect();
        let writes = rivals
            .iter()
            .map(|bytes| store.replace(&path, known.as_deref(), bytes));
        let answers: Vec<Result<Replaced, PolicyStoreError>> =
            futures::future::join_all(writes).await;
        let mut won = None;
        for (answer, bytes) in answers.iter().zip(&rivals) {
            match answer {
                Ok(Replaced::Written { tag }) if won.is_none() => won = Some((tag.clone(), bytes)),
                Ok(Replaced::Conflict) => {}
                _ => {
                    return Err(Seen(format!(
                        "replacements at once were answered {answers:?}"
                    )));
                }
            }
        }
        let Some((tag, bytes)) = won else {
            return Err(Seen("of replacements at once none won".to_owned()));
        };
        holds(store, &path, bytes).await?;
        known = Some(tag);
    }
    Ok(())
}

pub(super) async fn a_put_overwrites_whatever_is_there(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = format!("{place}/verdict.json");
    store.put(&path, b"one").await?;
    let (_, tag) = found(store, &path).await?;
    store.put(&path, b"two").await?;
    holds(store, &path, b"two").await?;
    // Who had read what was there before knows that it is gone.
    conflicts(store, &path, Some(&tag), b"three").await?;
    same("a creation", &store.create(&path, b"four").await?, &false)?;
    holds(store, &path, b"two").await
}

pub(super) async fn a_list_is_in_order_by_prefix_and_after_the_path_that_is_named(
    store: &dyn AdmissionStore,
    place: &str,
) -> Held {
    let path = |name: &str| format!("{place}/{name}");
    // In the order of their bytes, which is not that of a walk through folders.
    let names = ["Z.json", "a-b", "a/b.json", "a/c/d.json", "a0", "b"];
    for name in ["b", "a/c/d.json", "a0", "Z.json", "a-b", "a/b.json"] {
        store.put(&path(name), name.as_bytes()).await?;
    }
    // Another that begins with the same words.
    store.put(&format!("{place}0/a"), b"other").await?;
    for (prefix, after, expected) in [
        ("", None, &names[..]),
        ("a", None, &names[1..5]),
        ("a/", None, &names[2..4]),
        ("a/c", None, &names[3..4]),
        ("a/b.json", None, &names[2..3]),
        ("c", None, &[]),
        ("", Some("a/b.json"), &names[3..]),
        ("a", Some("a-b"), &names[2..5]),
        ("a/", Some("Z.json"), &names[2..4]),
        ("a/", Some("a/bb"), &names[3..4]),
        ("a/", Some("b"), &[]),
        ("", Some("b"), &[]),
    ] {
        let listed = store
            .list(&path(prefix), after.map(path).as_deref())
            .await?;
        let expected: Vec<String> = expected.iter().map(|name| path(name)).collect();
        let what = format!("the list of {prefix:?} after {after:?}");
        same(&what, &listed, &expected)?;
    }
    Ok(())
}

pub(super) async fn a_list_of_120_is_whole(store: &dyn AdmissionStore, place: &str) -> Held {
    let paths: Vec<String> = (0..120)
        .map(|n| format!("{place}/{}/{n:03}", n % 7))
        .collect();
    let mut writes = stream::iter(paths.iter().map(|path| store.create(path, b"x")))
        .buffer_unordered(WRITTEN_AT_ONCE);
    while let Some(written) = writes.next().await {
        same("a creation", &written?, &true)?;
    }
    let mut expected = paths.clone();
    expected.sort();
    let listed = store.list(&format!("{place}/"), None).await?;
    same("the list", &listed, &expected)
}
