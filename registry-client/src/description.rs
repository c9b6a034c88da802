use std::fmt;

use wasmparser::{Parser, Payload};

use crate::{
    ComponentInfo, NotAComponent,
    inspect::{HANDLER_NAME, inspect, is_handler, parse},
    producers,
};

/// A page of WebAssembly's memories, in bytes, unless a memory says otherwise.
const PAGE_BYTES: u64 = 64 << 10;

/// What a component was written in. It decides how a component is built again. In the order in which one tells more than
/// another that a component names too, since engines and adapters are written in languages of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// By `rustc`.
    Rust,
    /// By Go itself or TinyGo.
    Go,
    /// With its interpreter, by `componentize-py`.
    Python,
    /// Around an engine, by ComponentizeJS, which `jco` calls.
    JavaScript,
}

/// What can be told of a component without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// What it asks for and offers.
    pub info: ComponentInfo,
    /// What it was written in, as far as its `producers` sections tell.
    pub language: Option<Language>,
    /// Of the whole file.
    pub size_bytes: u64,
    /// Of all memories that its modules define, as they begin.
    pub initial_memory_bytes: u64,
    /// Whether it answers HTTP requests as services here must.
    pub answers_http: bool,
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
            Self::Go => "Go",
            Self::Rust => "Rust",
        })
    }
}

/// Describes a component, whether it answers HTTP requests or not.
///
/// The language is found by the tools that name themselves in the `producers` sections of the component and its modules.
pub fn describe(bytes: &[u8]) -> Result<Description, NotAComponent> {
    let info = match inspect(bytes) {
        Ok(info) => info,
        Err(NotAComponent::NoHandler { .. }) => parse(bytes)?,
        Err(other) => return Err(other),
    };
    let mut pages = 0_u64;
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        if let Payload::MemorySection(memories) = payload {
            let memories = memories.into_iter().map_while(Result::ok);
            pages = memories.fold(pages, |pages, memory| pages.saturating_add(memory.initial));
        }
    }
    Ok(Description {
        answers_http: info.exports.iter().any(|name| is_handler(name)),
        info,
        language: producers::language(bytes),
        size_bytes: bytes.len() as u64,
        initial_memory_bytes: pages.saturating_mul(PAGE_BYTES),
    })
}

impl Description {
    /// What a service must export, and this does not.
    pub fn missing_export(&self) -> Option<&'static str> {
        (!self.answers_http).then_some(HANDLER_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(tools: &[&str]) -> Vec<u8> {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
        for tool in tools {
            let field = [&[1][..], &text("processed-by"), &[1], &text(tool), &text("1.0")].concat();
            let section = [text("producers"), field].concat();
            bytes.extend([&[0, section.len() as u8][..], &section].concat());
        }
        bytes
    }

    #[test]
    fn the_most_particular_tool_tells_the_language() {
        let language = |tools: &[&str]| describe(&component(tools)).unwrap().language;
        assert_eq!(language(&["rustc", "wit-component", "ComponentizeJS"]), Some(Language::JavaScript));
        assert_eq!(language(&["component-init-transform", "rustc"]), Some(Language::Python));
        assert_eq!(language(&["Go cmd/compile", "rustc"]), Some(Language::Go));
        assert_eq!(language(&["rustc", "clang"]), Some(Language::Rust));
        assert_eq!(language(&["clang"]), None);
    }

    #[test]
    fn what_is_no_service_is_described_with_what_it_lacks() {
        let described = describe(&component(&[])).unwrap();
        assert_eq!((described.size_bytes, described.initial_memory_bytes), (8, 0));
        assert_eq!(described.missing_export(), Some("wasi:http/incoming-handler@0.2"));
    }
}
