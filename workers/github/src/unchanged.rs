//! Lists that are asked for again and again and mostly have not changed: GitHub is told which answer is known, and
//! says in a few bytes that it still holds ("Best practices for using the REST API", conditional requests: that
//! costs nothing of the hour's requests).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::{ETAG, HeaderMap};

/// The most that is kept, in bytes of bodies: a small part of a Lambda's memory.
const MOST: usize = 8 << 20;

/// An answer, and by what GitHub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) tag: String,
    pub(crate) body: Vec<u8>,
}

/// Answers that may still hold, by what was asked.
#[derive(Debug, Default)]
pub(crate) struct Unchanged {
    answers: Mutex<HashMap<String, Answer>>,
}

impl Unchanged {
    /// What was answered last.
    pub(crate) fn known(&self, asked: &str) -> Option<Answer> {
        self.answers().get(asked).cloned()
    }

    /// Keeps an answer, if GitHub says by what it knows it.
    pub(crate) fn keep(&self, asked: &str, headers: &HeaderMap, body: &[u8]) {
        let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
        let Some(tag) = tag.filter(|_| body.len() <= MOST) else {
            return;
        };
        let mut answers = self.answers();
        answers.remove(asked);
        let kept: usize = answers.values().map(|one| one.body.len()).sum();
        if kept + body.len() > MOST {
            // They are asked for within minutes, and then kept again.
            answers.clear();
        }
        let answer = Answer {
            tag: tag.to_owned(),
            body: body.to_vec(),
        };
        answers.insert(asked.to_owned(), answer);
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn tagged(tag: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(ETAG, HeaderValue::from_static(tag))])
    }

    #[test]
    fn the_last_answer_with_a_tag_is_known_and_all_of_them_stay_within_bounds() {
        let unchanged = Unchanged::default();
        unchanged.keep("a", &HeaderMap::new(), b"untagged");
        assert_eq!(unchanged.known("a"), None);
        unchanged.keep("a", &tagged("W/\"1\""), b"one");
        unchanged.keep("a", &tagged("W/\"2\""), b"two");
        let known = unchanged.known("a").unwrap();
        assert_eq!(
            (known.tag.as_str(), known.body.as_slice()),
            ("W/\"2\"", b"two".as_slice())
        );
        unchanged.keep("b", &tagged("3"), &vec![0; MOST - 1]);
        assert_eq!(unchanged.known("a"), None);
        unchanged.keep("c", &tagged("4"), &vec![0; MOST + 1]);
        assert!(unchanged.known("b").is_some() && unchanged.known("c").is_none());
    }
}
