use wasmparser::{KnownCustom, Parser, Payload};

/// Tools that make components around the engine StarlingMonkey, as they name themselves in `producers` sections.
const STARLING_MONKEY: [&str; 3] = ["ComponentizeJS", "componentize-js", "StarlingMonkey"];

/// Names of one section that are looked at.
const MAX_NAMES: usize = 64;

/// The tool, with its version, that made a component around an engine of which an instance answers one request alone; `None`
/// for all others. Told by its `producers` sections, and those of its modules (the convention of
/// WebAssembly/tool-conventions, ProducersSection.md).
pub fn answers_once(component: &[u8]) -> Option<String> {
    Parser::new(0).parse_all(component).map_while(Result::ok).find_map(|payload| match payload {
        Payload::CustomSection(section) => match section.as_known() {
            KnownCustom::Producers(producers) => one_of(producers),
            _ => None,
        },
        _ => None,
    })
}

fn one_of(producers: wasmparser::ProducersSectionReader<'_>) -> Option<String> {
    let fields = producers.into_iter().map_while(Result::ok);
    let mut tools = fields.flat_map(|field| field.values.into_iter().map_while(Result::ok)).take(MAX_NAMES);
    let tool = tools.find(|tool| STARLING_MONKEY.iter().any(|name| tool.name.eq_ignore_ascii_case(name)))?;
    Some(format!("{} {}", tool.name, tool.version).trim_end().to_owned())
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
    }

    #[test]
    fn what_is_cut_off_or_no_component_says_nothing() {
        let whole = processed_by("ComponentizeJS", "0.22.0");
        assert_eq!(answers_once(&whole[..20]), None);
        assert_eq!(answers_once(b"text"), None);
    }
}
