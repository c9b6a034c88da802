//! The tools that made a component, as they name themselves in the `producers` sections of the component and of its modules
//! (WebAssembly/tool-conventions, ProducersSection.md).

use wasmparser::{KnownCustom, Parser, Payload, ProducersSectionReader};

use crate::Language;

/// Names of one section that are looked at.
const MAX_NAMES: usize = 64;

/// A tool that tells something.
#[derive(Debug, PartialEq, Eq)]
struct Tool {
    /// In lower case; [`GO_COMPILER`] begins with it.
    name: &'static str,
    language: Language,
    /// An instance of the engine that it builds in answers one request alone.
    answers_once: bool,
}

/// Go names its compiler with the program that it is: `Go cmd/compile`.
const GO_COMPILER: &str = "go cmd/";

const TOOLS: [Tool; 12] = [
    tool("componentizejs", Language::JavaScript, true),
    tool("componentize-js", Language::JavaScript, true),
    tool("starlingmonkey", Language::JavaScript, true),
    tool("javascript", Language::JavaScript, false),
    tool("componentize-py", Language::Python, false),
    // What componentize-py starts the interpreter with, and which leaves its name.
    tool("component-init-transform", Language::Python, false),
    tool("python", Language::Python, false),
    tool("go", Language::Go, false),
    tool("tinygo", Language::Go, false),
    tool(GO_COMPILER, Language::Go, false),
    tool("rust", Language::Rust, false),
    tool("rustc", Language::Rust, false),
];

const fn tool(name: &'static str, language: Language, answers_once: bool) -> Tool {
    Tool { name, language, answers_once }
}

/// The language that a component or module was written in, as far as it tells. Engines and adapters are written in languages
/// of their own, so the most particular one decides.
pub(crate) fn language(bytes: &[u8]) -> Option<Language> {
    sections(bytes).filter_map(|section| known(section).map(|(tool, _)| tool.language).max()).max()
}

/// The tool, with its version, that made a component around an engine of which an instance answers one request alone; `None`
/// for all others.
pub fn answers_once(component: &[u8]) -> Option<String> {
    let mut tools = sections(component).flat_map(known);
    tools.find(|(tool, _)| tool.answers_once).map(|(_, named)| named)
}

/// The `producers` sections of a component, or a module, and of all that is in it.
fn sections(bytes: &[u8]) -> impl Iterator<Item = ProducersSectionReader<'_>> {
    Parser::new(0).parse_all(bytes).map_while(Result::ok).filter_map(|payload| match payload {
        Payload::CustomSection(section) => match section.as_known() {
            KnownCustom::Producers(producers) => Some(producers),
            _ => None,
        },
        _ => None,
    })
}

/// The tools of a section that are known, and how each names itself, with its version.
fn known(section: ProducersSectionReader<'_>) -> impl Iterator<Item = (&'static Tool, String)> {
    let fields = section.into_iter().map_while(Result::ok);
    let names = fields.flat_map(|field| field.values.into_iter().map_while(Result::ok)).take(MAX_NAMES);
    names.filter_map(|named| {
        let name = named.name.to_ascii_lowercase();
        let is_it = |tool: &&Tool| tool.name == name || (tool.name == GO_COMPILER && name.starts_with(GO_COMPILER));
        let tool = TOOLS.iter().find(is_it)?;
        Some((tool, format!("{} {}", named.name, named.version).trim_end().to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with a `producers` section in which this tool processed it.
    fn processed_by(tool: &str, version: &str) -> Vec<u8> {
        let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
        let field = [&[1][..], &text("processed-by"), &[1], &text(tool), &text(version)].concat();
        let section = [text("producers"), field].concat();
        [b"\0asm\x0d\0\x01\0", &[0, section.len() as u8][..], &section].concat()
    }

    #[test]
    fn components_of_an_engine_that_answers_once_are_known_by_their_producers() {
        assert_eq!(answers_once(&processed_by("ComponentizeJS", "0.22.0")), Some("ComponentizeJS 0.22.0".to_owned()));
        assert_eq!(answers_once(&processed_by("StarlingMonkey", "")), Some("StarlingMonkey".to_owned()));
        assert_eq!(answers_once(&processed_by("wit-component", "0.250.0")), None);
        assert_eq!(answers_once(&processed_by("componentize-py", "0.25.1")), None);
    }

    #[test]
    fn what_is_cut_off_or_no_component_says_nothing() {
        let whole = processed_by("ComponentizeJS", "0.22.0");
        assert_eq!(answers_once(&whole[..20]), None);
        assert_eq!(answers_once(b"text"), None);
    }
}
