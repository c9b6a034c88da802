use wasmparser::{ComponentExternalKind, Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::{Language, producers};

/// What a guest must export, as messages say it.
pub(crate) const HANDLER_NAME: &str = "wasi:http/incoming-handler@0.2";

/// How many names a message lists.
const MAX_NAMES_IN_MESSAGE: usize = 8;

/// What a component asks for and offers, by interface name, in its own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentInfo {
    /// Such as `wasi:keyvalue/store@0.2.0-draft`.
    pub imports: Vec<String>,
    /// Such as `wasi:http/incoming-handler@0.2.0`.
    pub exports: Vec<String>,
}

/// What bytes are that are not a component answering HTTP requests, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// No bytes at all.
    #[error("the file is empty: was the build cut short? Build it again")]
    Empty,
    /// A module of the core specification.
    #[error("this is a core WebAssembly module, not a component: {way_out}")]
    CoreModule {
        /// How such a module becomes a component.
        way_out: &'static str,
    },
    /// Machine code in an ELF file.
    #[error(
        "this is a native ELF binary: Sampan runs WebAssembly components; for Rust, build with `--target wasm32-wasip2`"
    )]
    Elf,
    /// What wasmtime compiled ahead of time.
    #[error(
        "this is machine code that wasmtime compiled ahead of time (.cwasm), which cannot be verified: \
         give the .wasm that it was compiled from"
    )]
    Precompiled,
    /// WebAssembly's text format.
    #[error("this is WebAssembly in text form: make it binary first, with `wasm-tools parse FILE.wat -o FILE.wasm`")]
    Wat,
    /// Any other text.
    #[error("this is text, beginning with `{start}`: give the .wasm file that the build wrote")]
    Text {
        /// Its first characters.
        start: String,
    },
    /// Interfaces in binary form, as `wasm-tools component wit --wasm` and `wkg` write them.
    #[error(
        "this is a WIT package, which describes {} and has no code: give the component that was built for a world of it",
        names(.exports)
    )]
    WitPackage {
        /// Its interfaces and worlds.
        exports: Vec<String>,
    },
    /// None of the known.
    #[error("this is not WebAssembly, its first bytes are {start}: give the .wasm file that the build wrote")]
    Unknown {
        /// The first bytes, in hexadecimal.
        start: String,
    },
    /// It ends in the middle.
    #[error("the component is cut off after {bytes} bytes: build it again, or copy it again")]
    Truncated {
        /// How much there is.
        bytes: usize,
    },
    /// It is broken in some other way.
    #[error("the component is malformed at byte {offset}: {why}; build it again with a current toolchain")]
    Malformed {
        /// The byte at which it cannot be read.
        offset: u64,
        /// What wasmparser says.
        why: String,
    },
    /// A sound component that does not answer HTTP requests.
    #[error("the component does not export `wasi:http/incoming-handler`@0.2 but {}: {way_out}", names(.exports))]
    NoHandler {
        /// What it exports instead.
        exports: Vec<String>,
        /// How to make it answer requests.
        way_out: &'static str,
    },
}

/// Tells whether these bytes are a component that answers HTTP requests, and what it imports and exports.
///
/// Types are checked, function bodies are not: compiling does that.
pub fn inspect(bytes: &[u8]) -> Result<ComponentInfo, NotAComponent> {
    match bytes {
        [] => return Err(NotAComponent::Empty),
        [0x7f, b'E', b'L', b'F', ..] => return Err(native(bytes)),
        [0, b'a', b's', b'm', ..] => {}
        _ => return Err(other(bytes)),
    }
    let info = parse(bytes)?;
    if info.exports.iter().any(|name| is_handler(name)) {
        return Ok(info);
    }
    let way_out = no_handler_way_out(&info.exports, producers::language(bytes));
    Err(NotAComponent::NoHandler { exports: info.exports, way_out })
}

/// Whether an export answers requests as services here do. A prerelease, such as `0.2.0-rc-2023-12-05`, is another interface.
pub(crate) fn is_handler(export: &str) -> bool {
    export.strip_prefix(HANDLER_NAME).is_some_and(|patch| patch.starts_with('.') && !patch.contains('-'))
}

/// What a component imports and exports, whatever that is.
pub(crate) fn parse(bytes: &[u8]) -> Result<ComponentInfo, NotAComponent> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    let mut info = ComponentInfo::default();
    let mut only_types = true;
    // Nested components have imports and exports of their own, which are nobody else's business.
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(|error| broken(bytes, &error))?;
        if let Payload::Version { encoding: Encoding::Module, .. } = payload
            && depth == 0
        {
            return Err(NotAComponent::CoreModule { way_out: core_module_way_out(bytes) });
        }
        validator.payload(&payload).map_err(|error| broken(bytes, &error))?;
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    info.imports.push(import.map_err(|error| broken(bytes, &error))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    let export = export.map_err(|error| broken(bytes, &error))?;
                    only_types &= export.kind == ComponentExternalKind::Type;
                    info.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    if only_types && !info.exports.is_empty() {
        return Err(NotAComponent::WitPackage { exports: info.exports });
    }
    Ok(info)
}

fn broken(bytes: &[u8], error: &wasmparser::BinaryReaderError) -> NotAComponent {
    // wasmparser gives no kind, but only an end that came too soon is reported at or behind the last byte.
    let at_end = error.message().contains("unexpected end") || error.offset() >= bytes.len();
    if at_end {
        NotAComponent::Truncated { bytes: bytes.len() }
    } else {
        NotAComponent::Malformed { offset: error.offset() as u64, why: error.message().to_owned() }
    }
}

fn core_module_way_out(bytes: &[u8]) -> &'static str {
    let is_wasip1 = Parser::new(0).parse_all(bytes).filter_map(Result::ok).any(|payload| match payload {
        Payload::ImportSection(section) => section
            .into_imports()
            .filter_map(Result::ok)
            .any(|import| import.module == "wasi_snapshot_preview1" || import.module == "wasi_unstable"),
        _ => false,
    });
    match (producers::language(bytes), is_wasip1) {
        (Some(Language::Go), _) => {
            "give it the world that it is built for with `wasm-tools component embed --world WORLD`, and wrap it with \
             `wasm-tools component new --adapt`"
        }
        (Some(Language::Rust), true) => "it was built for WASI 0.1; build it for `wasm32-wasip2`",
        (Some(Language::Rust), false) => "build it for `wasm32-wasip2`",
        (_, true) => {
            "it was built for WASI 0.1; build it for `wasm32-wasip2` (Rust), or wrap it with \
             `wasm-tools component new --adapt`"
        }
        (_, false) => "build it for `wasm32-wasip2` (Rust), or wrap it with `wasm-tools component new`",
    }
}

fn no_handler_way_out(exports: &[String], language: Option<Language>) -> &'static str {
    let has = |prefix: &str| exports.iter().any(|name| name.starts_with(prefix));
    let is_command = has("wasi:cli/run@");
    if !is_command && has("wasi:http/") {
        return "it is built for another version of wasi:http; build it for 0.2";
    }
    match language {
        Some(Language::JavaScript) => {
            "export it in the world that `jco componentize --wit WIT -n WORLD` is given, which a listener of `fetch` answers"
        }
        Some(Language::Python) => {
            "export it in the world that `componentize-py -d WIT -w WORLD componentize` is given, and write a class \
             `IncomingHandler`"
        }
        Some(Language::Go) => {
            "export it in the world that the bindings and `wasm-tools component embed --world WORLD` are given"
        }
        Some(Language::Rust) | None if is_command => {
            "it is a command, not a service; in Rust make it a library (crate-type `cdylib`) with `#[wstd::http_server]`"
        }
        Some(Language::Rust) | None => "in Rust, write the function that answers requests under `#[wstd::http_server]`",
    }
}

/// wasmtime puts what it compiled into ELF files, under an OS number of its own.
fn native(bytes: &[u8]) -> NotAComponent {
    const OS_AT: usize = 7;
    const OS_WASMTIME: u8 = 200;
    if bytes.get(OS_AT) == Some(&OS_WASMTIME) { NotAComponent::Precompiled } else { NotAComponent::Elf }
}

fn other(bytes: &[u8]) -> NotAComponent {
    const LOOK_AT: usize = 4096;
    const SHOW: usize = 32;
    let head = &bytes[..bytes.len().min(LOOK_AT)];
    // The cut may fall into a character, which then is no sign of anything.
    let text = match std::str::from_utf8(head) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).ok(),
        Err(_) => None,
    };
    match text {
        Some(text) if is_wat(text) => NotAComponent::Wat,
        Some(text) if !text.chars().any(|c| c.is_control() && !c.is_whitespace()) => {
            NotAComponent::Text { start: text.trim().chars().take(SHOW).map(one_line).collect() }
        }
        _ if b"\0asm".starts_with(bytes) => NotAComponent::Truncated { bytes: bytes.len() },
        _ => NotAComponent::Unknown {
            start: bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
        },
    }
}

fn is_wat(text: &str) -> bool {
    let code = text.lines().map(str::trim_start).find(|line| !line.is_empty() && !line.starts_with(";;"));
    code.is_some_and(|line| line.starts_with("(component") || line.starts_with("(module"))
}

fn one_line(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

fn names(exports: &[String]) -> String {
    match exports {
        [] => "nothing".to_owned(),
        few if few.len() <= MAX_NAMES_IN_MESSAGE => format!("`{}`", few.join("`, `")),
        many => {
            format!("`{}` and {} more", many[..MAX_NAMES_IN_MESSAGE].join("`, `"), many.len() - MAX_NAMES_IN_MESSAGE)
        }
    }
}
