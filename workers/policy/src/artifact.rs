//! The stages of a policy before it runs: bytes → [`Admitted`] → [`Loaded`].

use stoker_core::ids::ArtifactDigest;
use stoker_core::plan::PolicyLevel;
use stoker_core::situation::Situation;
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};

use crate::contract::v0_1;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::run::{self, Decided, Guest};

/// What of WASI other languages' toolchains import without using it. It is there, and traps.
const WASI_STUBS: [&str; 6] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// A component whose imports are allowed and which says what it is. Only [`Admitted::new`] makes one.
pub struct Admitted {
    component: Component,
    digest: ArtifactDigest,
    scales_up: bool,
}

impl Admitted {
    /// Compiles a component and looks at what it wants and offers. Takes some 30 ms for a small policy
    /// and seconds for a large one.
    ///
    /// # Errors
    /// Says why it is refused. wasmtime may panic on hostile bytes instead; whoever calls contains that.
    pub fn new(engine: &Engine, bytes: &[u8], limits: &Limits) -> Result<Self, Failure> {
        if bytes.len() > limits.component_bytes {
            return Err(Failure::TooLarge {
                size: bytes.len(),
                limit: limits.component_bytes,
            });
        }
        let component = compile(engine, bytes)?;
        let types = component.component_type();
        for (name, item) in types.imports(engine) {
            if !allowed(name, &item.ty, engine) {
                return Err(Failure::ForbiddenImport(name.to_owned()));
            }
        }
        let exports = |wanted: &str| types.exports(engine).any(|(name, _)| name == wanted);
        if !exports(v0_1::ABOUT) {
            return Err(Failure::WrongWorld(v0_1::ABOUT));
        }
        Ok(Self {
            scales_up: exports(v0_1::SCALE_UP),
            digest: ArtifactDigest::of(bytes),
            component,
        })
    }
}

/// Whether a policy may import that. An instance of types only brings nothing with it.
fn allowed(name: &str, item: &ComponentItem, engine: &Engine) -> bool {
    if WASI_STUBS.iter().any(|stub| name.starts_with(stub)) {
        return true;
    }
    if name == v0_1::LOGGING {
        return true;
    }
    name.starts_with("stoker:policy/")
        && match item {
            ComponentItem::ComponentInstance(instance) => instance
                .exports(engine)
                .all(|(_, item)| matches!(item.ty, ComponentItem::Type(_))),
            _ => false,
        }
}

#[cfg(feature = "compiler")]
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Component, Failure> {
    Component::from_binary(engine, bytes)
        .map_err(|error| Failure::NotAComponent(format!("{error:#}")))
}

#[cfg(not(feature = "compiler"))]
fn compile(_: &Engine, _: &[u8]) -> Result<Component, Failure> {
    Err(Failure::NoCompiler)
}

/// A policy that is ready to run, any number of times.
pub struct Loaded {
    scale_up: Option<v0_1::ScaleUpPartPre<Guest>>,
    digest: ArtifactDigest,
    title: String,
}

impl Loaded {
    /// Links a component, and asks it who it is.
    ///
    /// # Errors
    /// Says what is missing, or how `describe` failed.
    pub fn new(admitted: Admitted, limits: &Limits) -> Result<Self, Failure> {
        let unlinkable = |error: wasmtime::Error| Failure::Instantiation(run::one_line(&error));
        let mut linker: Linker<Guest> = Linker::new(admitted.component.engine());
        linker
            .define_unknown_imports_as_traps(&admitted.component)
            .map_err(unlinkable)?;
        linker.allow_shadowing(true);
        v0_1::logging::add_to_linker::<_, HasSelf<_>>(&mut linker, |guest| guest)
            .map_err(unlinkable)?;
        let instance = linker
            .instantiate_pre(&admitted.component)
            .map_err(unlinkable)?;
        let scale_up = if admitted.scales_up {
            Some(v0_1::ScaleUpPartPre::new(instance.clone()).map_err(unlinkable)?)
        } else {
            None
        };
        let about = v0_1::AboutPartPre::new(instance).map_err(unlinkable)?;
        let description = run::describe(&about, limits)?;
        Ok(Self {
            scale_up,
            digest: admitted.digest,
            title: run::title(&description),
        })
    }

    /// Its name and version, as it says them.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The SHA-256 of its bytes.
    pub fn digest(&self) -> &ArtifactDigest {
        &self.digest
    }

    /// Whether it decides which runners to launch.
    pub fn scales_up(&self) -> bool {
        self.scale_up.is_some()
    }

    /// Asks it which runners to launch.
    pub(crate) fn scale_up(
        &self,
        situation: &Situation,
        level: PolicyLevel,
        settings: &str,
        limits: &Limits,
    ) -> Result<Decided, Failure> {
        let policy = self
            .scale_up
            .as_ref()
            .ok_or(Failure::WrongWorld(v0_1::SCALE_UP))?;
        run::scale_up(policy, situation, level, settings, limits)
    }
}
