//! What the parent and the child say to each other over the child's standard input and output: frames of
//! a length and JSON, and raw bytes after those that announce some.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stoker_policy::Limits;
use stoker_policy::activation::NativeCode;

use crate::confine::ChildLimits;
use crate::judge::{About, Answer, Question};
use crate::problem::Problem;

/// The largest frame: a thousand answers with all the zones and complaints that there may be.
pub(crate) const LARGEST_FRAME: usize = 64 << 20;

/// The largest machine code: four times that of the largest component that is known.
pub(crate) const LARGEST_CODE: u64 = 512 << 20;

/// What the parent says first. The component's bytes follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) may_use: ChildLimits,
    pub(crate) limits: Limits,
    /// Of the engine's configuration, what tests change.
    pub(crate) stack: usize,
    pub(crate) component: u64,
}

/// What the child says first.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OpenedFrame {
    /// It can't be confined, so it tries nothing.
    Unable(String),
    Refused(Problem),
    /// The machine code follows.
    Opened {
        about: About,
        code: NativeCode,
    },
}

/// What the parent says then, any number of times.
pub(crate) type Ask = Vec<Question>;

/// What the child answers.
pub(crate) type Answers = Vec<Answer>;

/// Writes a frame.
pub(crate) fn frame<T: Serialize>(content: &T) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(content)?;
    let length = u32::try_from(body.len()).map_err(|_| too_large(body.len()))?;
    Ok([&length.to_le_bytes()[..], &body].concat())
}

/// Reads a frame; none: the other side has ended.
pub(crate) fn read<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let length = length_of(length)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}

/// The length of a frame's body.
pub(crate) fn length_of(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LARGEST_FRAME {
        return Err(too_large(length));
    }
    Ok(length)
}

fn too_large(length: usize) -> io::Error {
    let told = format!("a frame of {length} bytes, and {LARGEST_FRAME} are the most");
    io::Error::new(io::ErrorKind::InvalidData, told)
}

/// Writes a frame and what follows it.
pub(crate) fn write<T: Serialize>(
    to: &mut impl Write,
    content: &T,
    bytes: &[u8],
) -> io::Result<()> {
    to.write_all(&frame(content)?)?;
    to.write_all(bytes)?;
    to.flush()
}
