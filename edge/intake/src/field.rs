//! Reading a payload in one pass, without a DOM, and still knowing which field was wrong.
//!
//! serde's own errors name a line and a column, not a field, and stop a payload whose odd field nobody
//! needs. A [`Field`] takes whatever is there and remembers it; whoever needs the value asks with the
//! field's name.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

/// A field that an event must have and the payload has not, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PayloadError {
    /// The field is absent or null.
    #[error("the payload lacks {field}")]
    Lacking {
        /// The field's path, such as `repository.owner.id`.
        field: &'static str,
    },
    /// The field is there, with a value of the wrong type or form.
    #[error("the payload's {field} is not {expected}")]
    Wrong {
        /// The field's path.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// A value as far as it could be read.
#[derive(Default)]
pub(crate) enum Field<T> {
    /// Absent or null.
    #[default]
    Lacking,
    /// Of another type.
    Wrong,
    /// As expected.
    Is(T),
}

impl<T: Readable> Field<T> {
    /// The value, which the event must have.
    pub(crate) fn required(self, field: &'static str) -> Result<T, PayloadError> {
        self.optional(field)?.ok_or(PayloadError::Lacking { field })
    }

    /// The value, which the event may lack.
    pub(crate) fn optional(self, field: &'static str) -> Result<Option<T>, PayloadError> {
        match self {
            Self::Is(value) => Ok(Some(value)),
            Self::Lacking => Ok(None),
            Self::Wrong => Err(PayloadError::Wrong {
                field,
                expected: T::EXPECTED,
            }),
        }
    }

    /// The value, if it is there and as expected: for what is merely nice to know.
    pub(crate) fn lenient(self) -> Option<T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Lacking | Self::Wrong => None,
        }
    }
}

/// What a [`Field`] can hold. Each type takes its own JSON form; the others are wrong, and are skipped.
pub(crate) trait Readable: Sized {
    const EXPECTED: &'static str;

    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_number(_: u64) -> Option<Self> {
        None
    }

    fn from_text(_: &str) -> Option<Self> {
        None
    }

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl Readable for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl Readable for u64 {
    const EXPECTED: &'static str = "a whole number from 0";

    fn from_number(value: u64) -> Option<Self> {
        Some(value)
    }
}

impl Readable for String {
    const EXPECTED: &'static str = "a text";

    fn from_text(value: &str) -> Option<Self> {
        Some(value.to_owned())
    }
}

impl Readable for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn from_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Some(Self::new());
        while let Some(element) = list.next_element::<Field<String>>()? {
            match (element, all.as_mut()) {
                (Field::Is(text), Some(texts)) => texts.push(text),
                _ => all = None,
            }
        }
        Ok(all)
    }
}

/// An object whose fields are [`Field`]s.
pub(crate) trait Object: for<'de> Deserialize<'de> {}

impl<T: Object> Readable for T {
    const EXPECTED: &'static str = "an object";

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(object)).map(Some)
    }
}

impl<'de, T: Readable> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<T> From<Option<T>> for Field<T> {
    fn from(read: Option<T>) -> Self {
        read.map_or(Self::Wrong, Self::Is)
    }
}

impl<'de, T: Readable> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Field::Lacking)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(T::from_bool(value).into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(T::from_number(value).into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(value).ok().and_then(T::from_number).into())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Field::Wrong)
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(T::from_text(value).into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Ok(T::from_list(list)?.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Self::Value, A::Error> {
        Ok(T::from_object(object)?.into())
    }
}
