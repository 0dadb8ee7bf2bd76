//! From bytes to a component whose imports and exports are allowed.

use stoker_core::ids::ArtifactDigest;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use crate::contract::tame::tame;
use crate::contract::{self, Spoken};
use crate::failure::Failure;
use crate::limits::Limits;

/// What of WASI other languages' toolchains import without using it. It is there, and traps.
const WASI_STUBS: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Bytes of an allowed size, and their digest.
#[derive(Debug, Clone)]
pub struct Uploaded<'a> {
    bytes: &'a [u8],
    digest: ArtifactDigest,
}

impl<'a> Uploaded<'a> {
    /// Takes bytes in.
    ///
    /// # Errors
    /// If there are more of them than a policy may have.
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, Failure> {
        if bytes.len() > limits.component_bytes {
            return Err(Failure::TooLarge {
                size: bytes.len(),
                limit: limits.component_bytes,
            });
        }
        Ok(Self {
            digest: ArtifactDigest::of(bytes),
            bytes,
        })
    }

    /// The SHA-256 of the bytes.
    pub fn digest(&self) -> &ArtifactDigest {
        &self.digest
    }

    /// Compiles the component and looks at what it wants and offers. Takes some hundred milliseconds for a small
    /// policy and seconds for a large one.
    ///
    /// # Errors
    /// Says why it is refused. wasmtime may panic on hostile bytes instead; whoever calls contains that.
    pub fn admit(self, engine: &Engine) -> Result<Admitted, Failure> {
        let component = compile(engine, self.bytes)?;
        let types = component.component_type();
        for (name, item) in types.imports(engine) {
            if !allowed(name, &item.ty, engine) {
                return Err(Failure::ForbiddenImport(tame(name.to_owned())));
            }
        }
        let spoken = contract::spoken(types.exports(engine).map(|(name, _)| name))?;
        Ok(Admitted {
            component,
            digest: self.digest,
            spoken,
        })
    }
}

/// A component whose imports are allowed and which exports a policy. Only [`Uploaded::admit`] makes
/// one.
pub struct Admitted {
    pub(super) component: Component,
    pub(super) digest: ArtifactDigest,
    pub(super) spoken: Spoken,
}

impl Admitted {
    /// What it imports of WASI, and what would trap if it were called.
    pub fn stubs(&self) -> Vec<String> {
        let engine = self.component.engine();
        self.component
            .component_type()
            .imports(engine)
            .map(|(name, _)| name)
            .filter(|name| is_stub(name))
            .map(ToOwned::to_owned)
            .collect()
    }
}

fn is_stub(name: &str) -> bool {
    WASI_STUBS.iter().any(|stub| name.starts_with(stub))
}

/// Whether a policy may import that. An instance of types only brings nothing with it.
fn allowed(name: &str, item: &ComponentItem, engine: &Engine) -> bool {
    is_stub(name)
        || contract::is_logging(name)
        || (name.starts_with(contract::PACKAGE)
            && match item {
                ComponentItem::ComponentInstance(instance) => instance
                    .exports(engine)
                    .all(|(_, item)| matches!(item.ty, ComponentItem::Type(_))),
                _ => false,
            })
}

#[cfg(feature = "compiler")]
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, Failure> {
    Component::from_binary(engine, bytes)
        .map_err(|error| Failure::NotAComponent(tame(crate::run::one_line(&error))))
}

#[cfg(not(feature = "compiler"))]
fn compile(_: &Engine, _: &[u8]) -> Result<Component, Failure> {
    Err(Failure::NoCompiler)
}
